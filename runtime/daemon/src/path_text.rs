//! A path as JSON: text, or the numbers of its bytes where it is no UTF-8 text.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum PathText {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&Path> for PathText {
    fn from(path: &Path) -> Self {
        let text = path.to_str().map(|text| Self::Text(text.to_owned()));
        text.unwrap_or_else(|| Self::Bytes(path.as_os_str().as_bytes().to_vec()))
    }
}

impl From<PathText> for PathBuf {
    fn from(written: PathText) -> Self {
        match written {
            PathText::Text(text) => text.into(),
            PathText::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    PathText::from(path).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    PathText::deserialize(deserializer).map(PathBuf::from)
}

/// The same of one that there may be.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(PathText::from).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<PathText>::deserialize(deserializer)?.map(PathBuf::from))
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Places {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "option")]
        other: Option<PathBuf>,
    }

    #[test]
    fn every_path_comes_back_as_it_was() {
        let odd = || PathBuf::from(OsStr::from_bytes(b"/a\xff"));
        for (one, other, json) in [
            ("/a".into(), None, r#"{"one":"/a","other":null}"#),
            (odd(), Some("/b".into()), r#"{"one":[47,97,255],"other":"/b"}"#),
            ("".into(), Some(odd()), r#"{"one":"","other":[47,97,255]}"#),
        ] {
            let places = Places { one, other };
            assert_eq!(serde_json::to_string(&places).unwrap(), json);
            assert_eq!(serde_json::from_str::<Places>(json).unwrap(), places);
        }
    }
}

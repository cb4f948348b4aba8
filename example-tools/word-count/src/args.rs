//! The arguments of the operations.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_guest::Error;

/// How many of the most frequent words `count` lists when nothing is said.
const TOP_DEFAULT: usize = 10;

/// Arguments of `count`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountArgs {
    pub(crate) folder: String,
    #[serde(default = "top_default")]
    pub(crate) top: usize,
}

/// Arguments of `count-file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountFileArgs {
    pub(crate) path: String,
}

/// Parses the arguments of an operation.
pub(crate) fn parse<T: DeserializeOwned>(arguments: &str) -> Result<T, Error> {
    serde_json::from_str(arguments).map_err(|error| Error::invalid_arguments(error.to_string()))
}

fn top_default() -> usize {
    TOP_DEFAULT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_has_a_default() {
        let args: CountArgs = parse(r#"{"folder": "/docs"}"#).unwrap();
        assert_eq!((args.folder.as_str(), args.top), ("/docs", TOP_DEFAULT));
    }

    #[test]
    fn unknown_arguments_are_refused() {
        let error = parse::<CountFileArgs>(r#"{"path": "/docs/a", "deep": true}"#).unwrap_err();
        assert_eq!(error.code, "invalid-arguments");
    }
}

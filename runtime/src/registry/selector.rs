//! Which installed version of a tool is meant: `NAME`, `NAME@VERSION` or `NAME@sha256:DIGITS`. Pure.

use std::fmt;
use std::str::FromStr;

use tollgate_config::{NameError, ToolName};

use super::record::{DIGEST_PREFIX, Installed, Record, hex_of};

/// A tool, and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The tool.
    pub name: ToolName,
    /// Which version; the current one, if `None`.
    pub version: Option<Choice>,
}

/// What tells one version from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// What its manifest calls it.
    Version(String),
    /// The first hex digits of its component's SHA-256; at least [`DIGITS_MIN`].
    Digits(String),
}

/// Why a text selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// What stands before the `@`, or all of it, is no name.
    #[error(transparent)]
    Name(NameError),
    /// What stands behind the `@` is neither a version nor a digest.
    #[error(
        "`{given}` is neither a version nor a digest: write NAME@VERSION, or NAME@sha256: with {DIGITS_MIN} to 64 lower-case hex \
         digits"
    )]
    Choice {
        /// What stands there.
        given: String,
    },
}

/// Why no version is chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// None is so.
    #[error("no version `{choice}` of `{name}` is installed; there are: {}", listed(there))]
    None {
        /// The tool.
        name: ToolName,
        /// What was asked for.
        choice: Choice,
        /// Each version that is installed.
        there: Vec<String>,
    },
    /// Several are.
    #[error("`{choice}` is several installed versions of `{name}`: {}", listed(several))]
    Several {
        /// The tool.
        name: ToolName,
        /// What was asked for.
        choice: Choice,
        /// Those.
        several: Vec<String>,
    },
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        let name = name.parse().map_err(SelectorError::Name)?;
        Ok(Self { name, version: version.map(str::parse).transpose()? })
    }
}

impl FromStr for Choice {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError::Choice { given: text.escape_debug().to_string() };
        if let Some(digits) = text.strip_prefix(DIGEST_PREFIX) {
            let is_hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let is_long = (DIGITS_MIN..=64).contains(&digits.len());
            return if is_hex && is_long { Ok(Self::Digits(digits.to_owned())) } else { Err(wrong()) };
        }
        text.parse::<tollgate_config::ToolVersion>()
            .map(|version| Self::Version(version.to_string()))
            .map_err(|_not| wrong())
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => f.write_str(version),
            Self::Digits(digits) => write!(f, "{DIGEST_PREFIX}{digits}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl Selector {
    /// The version of a record that it means.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`].
    pub fn choose<'r>(&self, record: &'r Record) -> Result<&'r Installed, ChoiceError> {
        let Some(choice) = &self.version else { return Ok(record.current()) };
        let fits = |installed: &&Installed| match choice {
            Choice::Version(version) => installed.version == *version,
            Choice::Digits(digits) => hex_of(installed.component).starts_with(digits),
        };
        let name = self.name.clone();
        match record.versions().iter().filter(fits).collect::<Vec<_>>().as_slice() {
            [one] => Ok(one),
            [] => {
                let there = record.versions().iter().map(Installed::whole).collect();
                Err(ChoiceError::None { name, choice: choice.clone(), there })
            }
            several => {
                let several = several.iter().map(|installed| installed.whole()).collect();
                Err(ChoiceError::Several { name, choice: choice.clone(), several })
            }
        }
    }
}

fn listed(versions: &[String]) -> String {
    versions.join(", ")
}

/// Fewest digits of a digest that select a version: whoever makes components tries fewer until another one has them, too.
pub const DIGITS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::record::tests::installed;

    fn record() -> Record {
        let one = Record::with(None, installed("0.1.0", 1)).0;
        let two = Record::with(Some(one), installed("0.1.0", 2)).0;
        Record::with(Some(two), installed("0.2.0", 3)).0
    }

    fn chosen(text: &str) -> Result<u8, String> {
        let selector: Selector = text.parse().map_err(|error: SelectorError| error.to_string())?;
        assert_eq!(selector.to_string(), text);
        selector.choose(&record()).map(|installed| installed.component.0[0]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_version_is_meant_by_name_version_or_digest() {
        let all = "03".repeat(32);
        assert_eq!(chosen("a"), Ok(3), "the current one");
        assert_eq!(chosen("a@0.2.0"), Ok(3));
        assert_eq!(chosen("a@sha256:0202020202020202"), Ok(2));
        assert_eq!(chosen(&format!("a@sha256:{all}")), Ok(3));
        let [one, two] = ["01", "02"].map(|digits| format!("0.1.0 sha256:{}", digits.repeat(32)));
        let several = format!("`0.1.0` is several installed versions of `a`: {one}, {two}");
        assert_eq!(chosen("a@0.1.0"), Err(several));
        assert!(
            chosen("a@1.0.0").unwrap_err().starts_with("no version `1.0.0` of `a` is installed; there are: 0.1.0 sh")
        );
        assert!(
            chosen("a@sha256:0707070707070707").unwrap_err().starts_with("no version `sha256:0707070707070707` of `a`")
        );
        let digits = ["a@sha256:020202020202020", "a@sha256:020202020202020G", "a@sha256:02020202"];
        for wrong in ["a@", "a@latest", "a@0.1.0@0.1.0", "A@0.1.0", "@0.1.0"].into_iter().chain(digits) {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
        assert!(format!("a@sha256:{all}0").parse::<Selector>().is_err());
    }
}

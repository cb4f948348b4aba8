//! The names that manifests and grants are made of, each a type that only a well-formed name can have. A name must
//! never need escaping where it is shown: in a rule (`fs:/docs:read`), a `--grant` text, TOML or a terminal.

use std::fmt;
use std::str::FromStr;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

/// Longest name of a tool, an operation or a version, in bytes: they stand in every ledger entry of a call.
pub const NAME_TEXT_BYTES_MAX: usize = 64;
/// Longest guest path and longest name of an environment variable, in bytes: they stand in rules.
pub const GUEST_PATH_BYTES_MAX: usize = 255;
/// Longest name by which an operation is offered to models, in bytes: they take 64, and clients put their own before it.
pub const OFFERED_BYTES_MAX: usize = 48;

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum NameError {
    /// Not the name of a tool, an operation, a compartment or an agent.
    #[error("{given:?} is not a name for {what}")]
    #[diagnostic(help(
        "{}use lower-case letters, digits and `-`, starting with a letter, at most 64 bytes, such as `word-count`",
        name_help(given)
    ))]
    Name {
        /// What it should name.
        what: &'static str,
        /// The text.
        given: String,
    },
    /// Not a name that models take.
    #[error("{given:?} is not a name by which an operation can be offered")]
    #[diagnostic(help(
        "use lower-case letters, digits, `_` and `-`, starting with a letter, at most 48 bytes, such as `count_words`"
    ))]
    Offered {
        /// The text.
        given: String,
    },
    /// Not a version.
    #[error("{given:?} is not a version")]
    #[diagnostic(help(
        "write MAJOR.MINOR.PATCH, with `-pre` and `+build` if needed, such as \"0.1.0\", at most 64 bytes"
    ))]
    Version {
        /// The text.
        given: String,
    },
    /// Not the name of a variable.
    #[error("{given:?} is not a name for a variable")]
    #[diagnostic(help("use letters, digits and `_`, not starting with a digit, at most 255 bytes, such as `LANG`"))]
    Env {
        /// The text.
        given: String,
    },
    /// Not a guest path.
    #[error("{given:?} is not a path that a guest can see a folder at")]
    #[diagnostic(help(
        "write an absolute path without `.`, `..`, `//` or a slash at the end, of names made of letters, digits, `.`, \
         `_` and `-`, at most 255 bytes, such as \"/docs\""
    ))]
    GuestPath {
        /// The text.
        given: String,
    },
}

/// Declares a name type: a `String` that only `$well_formed` lets in.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $well_formed:expr, $error:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let well_formed: fn(&str) -> bool = $well_formed;
                let error: fn(String) -> NameError = $error;
                if well_formed(text) { Ok(Self(text.to_owned())) } else { Err(error(text.to_owned())) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a tool: `[a-z][a-z0-9-]*`, at most [`NAME_TEXT_BYTES_MAX`] bytes.
    ToolName, is_name, |given| NameError::Name { what: "a tool", given }
}

name! {
    /// The name of a compartment: `[a-z][a-z0-9-]*`, at most [`NAME_TEXT_BYTES_MAX`] bytes.
    CompartmentName, is_name, |given| NameError::Name { what: "a compartment", given }
}

name! {
    /// The name of an operation: `[a-z][a-z0-9-]*`, at most [`NAME_TEXT_BYTES_MAX`] bytes.
    OperationName, is_name, |given| NameError::Name { what: "an operation", given }
}

name! {
    /// The name by which an operation is offered to models: `[a-z][a-z0-9_-]*`, at most [`OFFERED_BYTES_MAX`] bytes.
    OfferedName, is_offered_name, |given| NameError::Offered { given }
}

name! {
    /// The name of an agent: `[a-z][a-z0-9-]*`, at most [`NAME_TEXT_BYTES_MAX`] bytes.
    AgentName, is_name, |given| NameError::Name { what: "an agent", given }
}

name! {
    /// A version as of semver.org: `MAJOR.MINOR.PATCH`, then `-pre` and `+build` if any.
    ToolVersion, is_version, |given| NameError::Version { given }
}

name! {
    /// The name of an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
    EnvName, is_env_name, |given| NameError::Env { given }
}

name! {
    /// Where a guest sees a folder: absolute and normalised, such as `/docs`; `/` is the guest's root.
    GuestPath, is_guest_path, |given| NameError::GuestPath { given }
}

impl AgentName {
    /// `local`: the operator's own user, where a policy names no agents. No policy can name it.
    #[must_use]
    pub fn local() -> Self {
        Self("local".to_owned())
    }
}

impl GuestPath {
    /// Whether one of the two is the other, or below it.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    fn contains(&self, other: &Self) -> bool {
        match other.0.strip_prefix(self.0.trim_end_matches('/')) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

/// The name that was meant where only its case and its dashes are wrong.
fn name_help(given: &str) -> String {
    let meant = given.to_lowercase().replace(['_', ' ', '.'], "-");
    if is_name(&meant) && meant != given { format!("did you mean `{meant}`? ") } else { String::new() }
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_TEXT_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_offered_name(text: &str) -> bool {
    text.len() <= OFFERED_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
}

fn is_version(text: &str) -> bool {
    let (release, build) = text.split_once('+').map_or((text, None), |(release, build)| (release, Some(build)));
    let (core, pre) = release.split_once('-').map_or((release, None), |(core, pre)| (core, Some(pre)));
    let numbers = core.split('.').collect::<Vec<_>>();
    text.len() <= NAME_TEXT_BYTES_MAX
        && numbers.len() == 3
        && numbers.into_iter().all(is_version_number)
        && pre.is_none_or(is_version_tail)
        && build.is_none_or(is_version_tail)
}

fn is_version_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

fn is_version_tail(text: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    text.split('.').all(is_part)
}

fn is_env_name(text: &str) -> bool {
    text.len() <= GUEST_PATH_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_guest_path(text: &str) -> bool {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    text.len() <= GUEST_PATH_BYTES_MAX
        && text.strip_prefix('/').is_some_and(|names| names.is_empty() || names.split('/').all(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parses<T: FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }

    #[test]
    fn names_are_plain() {
        assert!(["a", "word-count", "a1"].into_iter().all(parses::<ToolName>));
        let bad = ["", "A", "1a", "-a", "a_b", "a b", "a\u{1b}[31m", "ä"];
        assert!(!bad.into_iter().any(parses::<ToolName>) && !parses::<OperationName>(&"a".repeat(65)));
        assert!(["LANG", "_x", "A1"].into_iter().all(parses::<EnvName>));
        assert!(!["", "1A", "A=B", "A B", "A\0"].into_iter().any(parses::<EnvName>));
    }

    #[test]
    fn versions_look_like_semver() {
        assert!(["0.1.0", "1.0.0-rc.1", "1.2.3+b.5", "10.20.30-a-b+c"].into_iter().all(parses::<ToolVersion>));
        let bad = ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0+", "v1.0.0", "1.0.0-a..b", "1.0.0 "];
        assert!(!bad.into_iter().any(parses::<ToolVersion>));
    }

    #[test]
    fn guest_paths_are_absolute_and_normalised() {
        assert!(["/", "/docs", "/a/b.c/d-e_f"].into_iter().all(parses::<GuestPath>));
        let bad = ["", "docs", "/docs/", "//docs", "/a/../b", "/./a", "/a:read", "/a=b", "/a b", "/a\n"];
        assert!(!bad.into_iter().any(parses::<GuestPath>));
    }

    #[test]
    fn overlap_is_by_whole_names() {
        let path = |text: &str| text.parse::<GuestPath>().unwrap();
        assert!(path("/a").overlaps(&path("/a/b")) && path("/a/b").overlaps(&path("/a")));
        assert!(path("/").overlaps(&path("/a")) && path("/a").overlaps(&path("/a")));
        assert!(!path("/a").overlaps(&path("/ab")) && !path("/a/b").overlaps(&path("/a/c")));
    }
}

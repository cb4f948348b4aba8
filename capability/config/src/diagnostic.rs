//! Errors in a manifest or a policy, with the file, the place in it and what to do. An error must never carry text that
//! could steer a terminal: a manifest comes from the author of an untrusted tool.

use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tollgate_capability::PatternError;
use tollgate_plain::{one_line, same_length};

use crate::agent_error::AgentError;
use crate::host_path::HostPathError;
use crate::names::{AgentName, CompartmentName, NameError, ToolName};
use crate::nearest::nearest;
use crate::pin::PinFault;
use crate::texts::TextError;
use crate::units::UnitError;

/// The text of a file with its name, shared by the errors that point into it.
pub type SourceText = Arc<NamedSource<String>>;

/// The text of a file, for an error of somebody else's to point into; what could steer a terminal is replaced.
#[must_use]
pub fn source_text(file: &str, text: &str) -> SourceText {
    Arc::new(NamedSource::new(one_line(file), same_length(text)))
}

/// Where the value stands in a TOML text that these keys lead to, as bytes; `None` if there is none.
#[must_use]
pub fn key_span(text: &str, keys: &[&str]) -> Option<Range<usize>> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let (first, rest) = keys.split_first()?;
    let mut value = document.get_ref().get(*first)?;
    for key in rest {
        value = value.get_ref().as_table()?.get(*key)?;
    }
    Some(value.span())
}

/// What any of the TOML files can have wrong with it.
#[derive(Debug, Clone, Error, Diagnostic)]
#[non_exhaustive]
pub enum DocumentError {
    /// The file is too long to be one of ours.
    #[error("{file} has more than {bytes_max} bytes, which is the maximum")]
    #[diagnostic(help("shorten it; descriptions and patterns have limits of their own"))]
    TooLong {
        /// Its name.
        file: String,
        /// The longest.
        bytes_max: usize,
    },
    /// It is not TOML.
    #[error("not TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// What to do.
        #[help]
        help: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The place.
        #[label("here")]
        at: SourceSpan,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest known key and all known keys.
        #[help]
        help: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The place.
        #[label("no such key here")]
        at: SourceSpan,
    },
    /// A word that is none of those that can stand here.
    #[error("unknown word `{word}`")]
    UnknownWord {
        /// The word.
        word: String,
        /// The nearest known word and all known words.
        #[help]
        help: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The place.
        #[label("no such word here")]
        at: SourceSpan,
    },
    /// A key that must be there is not.
    #[error("the key `{key}` is missing")]
    #[diagnostic(help("{}", missing_help(key)))]
    MissingKey {
        /// The key.
        key: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The table it is missing from.
        #[label("missing here")]
        at: SourceSpan,
    },
    /// A value of the wrong type.
    #[error("the value does not fit: {message}")]
    WrongType {
        /// What is there and what is expected.
        message: String,
        /// What to do.
        #[help]
        help: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The place.
        #[label("this value")]
        at: SourceSpan,
    },
    /// A value of the right type that cannot be used.
    #[error("{fault}")]
    Value {
        /// What is wrong with it.
        fault: ValueError,
        /// What to do.
        #[help]
        help: String,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The place.
        #[label("this value")]
        at: SourceSpan,
    },
}

/// Why a policy is refused.
#[derive(Debug, Clone, Error, Diagnostic)]
#[non_exhaustive]
pub enum PolicyError {
    /// What any file can have wrong with it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Document(#[from] DocumentError),
    /// A tool is in two compartments, or twice in one.
    #[error("the tool `{tool}` is in a compartment twice: in `{earlier}` and in `{later}`")]
    #[diagnostic(help("a tool has one worker: take it out of one of the two lists"))]
    TwoCompartments {
        /// The tool.
        tool: ToolName,
        /// The compartment that comes first in the file.
        earlier: CompartmentName,
        /// The one that comes second, or the same.
        later: CompartmentName,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The first place.
        #[label("`{tool}` is here first")]
        first: SourceSpan,
        /// The second place.
        #[label(primary, "and here again")]
        second: SourceSpan,
    },
    /// Two agents have what tells them apart, or one agent has it twice.
    #[error("{own} is given twice: to the agent `{earlier}` and to `{later}`")]
    #[diagnostic(help("take it out of one of the two: whoever has it could choose which of them to be"))]
    TwoAgents {
        /// A uid, a port or a socket, with its value.
        own: String,
        /// The agent that comes first in the file.
        earlier: AgentName,
        /// The one that comes second, or the same.
        later: AgentName,
        /// The file.
        #[source_code]
        text: SourceText,
        /// The first place.
        #[label("{own} is here first")]
        first: SourceSpan,
        /// The second place.
        #[label(primary, "and here again")]
        second: SourceSpan,
    },
}

/// Why a value cannot be used, wherever it was given.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum ValueError {
    /// A size, duration or count.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unit(#[from] UnitError),
    /// A name.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Name(#[from] NameError),
    /// A pattern.
    #[error(transparent)]
    #[diagnostic(help("{}", .0.help()))]
    Pattern(#[from] PatternError),
    /// A host path.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Host(#[from] HostPathError),
    /// A component.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Component(#[from] PinFault),
    /// An agent.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Agent(#[from] AgentError),
    /// A text or a list.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(#[from] TextError),
}

/// A file being read: its text, for errors to point into.
#[derive(Debug)]
pub(crate) struct Document {
    text: SourceText,
}

impl Document {
    /// Reads the TOML of `text` into its raw shape.
    pub(crate) fn read<T: DeserializeOwned>(
        file: &str,
        text: &str,
        bytes_max: usize,
    ) -> Result<(Self, T), DocumentError> {
        if text.len() > bytes_max {
            return Err(DocumentError::TooLong { file: one_line(file), bytes_max });
        }
        let document = Self { text: source_text(file, text) };
        match toml::from_str(text) {
            Ok(raw) => Ok((document, raw)),
            Err(error) => Err(document.toml_error(&error)),
        }
    }

    /// The text, for an error.
    pub(crate) fn text(&self) -> SourceText {
        Arc::clone(&self.text)
    }

    /// The error for a value that cannot be used.
    pub(crate) fn value(&self, span: Range<usize>, fault: impl Into<ValueError>) -> DocumentError {
        let fault = fault.into();
        let help = fault.help().map(|help| help.to_string()).unwrap_or_default();
        DocumentError::Value { fault, help, text: self.text(), at: self.span(span) }
    }

    /// The part of `span` on its first line, inside the text.
    pub(crate) fn span(&self, span: Range<usize>) -> SourceSpan {
        let text = self.text.inner();
        let start = span.start.min(text.len());
        let end = span.end.clamp(start, text.len());
        let line = text.get(start..end).and_then(|part| part.lines().next()).map_or(0, str::len);
        (start, line).into()
    }

    /// The line that a span begins in.
    fn line(&self, at: &SourceSpan) -> Option<&str> {
        let start = self.text.inner().get(..at.offset())?.rfind('\n').map_or(0, |end| end + 1);
        self.text.inner().get(start..)?.lines().next()
    }

    /// What to do about a value of another type, of which serde says `message`.
    fn wrong_type_help(&self, message: &str, at: &SourceSpan) -> String {
        let given = self.text.inner().get(at.offset()..at.offset() + at.len()).unwrap_or_default();
        let Some((what, expected)) = message.rsplit_once(", expected ") else { return CHANGE.to_owned() };
        match (what, expected) {
            ("map", "a sequence") if given.starts_with('[') => format!("write `[{given}]`: there can be several"),
            (what, "a sequence") if what.starts_with("string ") => format!("write `[{given}]`: there can be several"),
            (what, "struct RawFsGrant") if what.starts_with("string ") => {
                format!("write `{{ host = {given}, access = [\"read\"] }}`")
            }
            ("sequence", "a map") => "write a table, such as `{ NAME = … }`".to_owned(),
            (_, "struct RawProof") => format!("write {PROOFS}"),
            _ => CHANGE.to_owned(),
        }
    }

    fn toml_error(&self, error: &toml::de::Error) -> DocumentError {
        let at = self.span(error.span().unwrap_or_default());
        let message = same_length(error.message());
        let text = self.text();
        if let Some((key, known)) = unknown(&message, "unknown field `") {
            return DocumentError::UnknownKey { help: nearest(key, &known, "keys"), key: key.to_owned(), text, at };
        }
        if let Some((word, known)) = unknown(&message, "unknown variant `") {
            return DocumentError::UnknownWord {
                help: nearest(word, &known, "words"),
                word: word.to_owned(),
                text,
                at,
            };
        }
        if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            return DocumentError::MissingKey { key: key.to_owned(), text, at };
        }
        if message.starts_with("invalid unquoted key") {
            let is_path = self.line(&at).is_some_and(|line| line.contains("fs./"));
            let example = if is_path { "a path stands in quotes: `fs.\"/notes\"`" } else { "put the key in quotes" };
            return DocumentError::Syntax { message, help: example.to_owned(), text, at };
        }
        if let Some(message) = message.strip_prefix("invalid ") {
            let message = message.trim_start_matches("type: ").trim_start_matches("value: ");
            let help = self.wrong_type_help(message, &at);
            return DocumentError::WrongType { message: in_toml(message), help, text, at };
        }
        // Of one that is none of several words.
        if message == "wanted string or table" {
            let message = "expected a word in quotes".to_owned();
            return DocumentError::WrongType { message, help: CHANGE.to_owned(), text, at };
        }
        let help = if message.starts_with("duplicate key") {
            "a key can be given once: keep one of the two and take the other out"
        } else {
            "see https://toml.io for the grammar"
        };
        DocumentError::Syntax { message, help: help.to_owned(), text, at }
    }
}

/// What to write in the place of a value of another type.
const CHANGE: &str = "change it to what is expected";

/// What an agent's `is` can be.
const PROOFS: &str = "`is = { uid = 1001 }`, `is = { token = true }` or `is = { socket = true }`";

/// What to add where a key is not there: for what is a table of its own, the table.
fn missing_help(key: &str) -> String {
    let operations = "[[operations]]\nname = \"run\"";
    match key {
        "tool" => format!("begin with:\n[tool]\nname = \"my-tool\"\nversion = \"0.1.0\"\n\n{operations}"),
        "is" => format!("say what proves that it is this agent: {PROOFS}"),
        "operations" => format!("add what the tool can be called for:\n{operations}"),
        key => format!("add `{key} = …` to this table"),
    }
}

/// What serde says of an unknown field or variant: the word, and the known ones.
fn unknown<'m>(message: &'m str, prefix: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let rest = message.strip_prefix(prefix)?;
    let (word, known) = rest.split_once("`, expected ").or_else(|| rest.split_once("`, there are no "))?;
    Some((word, known.split('`').skip(1).step_by(2).collect()))
}

/// What serde says of a value of a wrong type, in the words of TOML in the place of Rust's.
fn in_toml(message: &str) -> String {
    let Some((given, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let given = given.trim_end_matches(" as i128").trim_end_matches(" as u128");
    let expected = match expected {
        "a map" => "a table",
        "a sequence" => "a list",
        "a boolean" => "`true` or `false`",
        "u64" => "a whole number from 0 to 18446744073709551615",
        expected if expected.starts_with("struct ") => "a table",
        expected => expected,
    };
    format!("{given}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_told_in_the_words_of_toml() {
        for (said, told) in [
            ("integer `3`, expected struct RawGrant", "integer `3`, expected a table"),
            ("integer `3`, expected a map", "integer `3`, expected a table"),
            ("string \"read\", expected a sequence", "string \"read\", expected a list"),
            ("integer `3`, expected a boolean", "integer `3`, expected `true` or `false`"),
            (
                "integer `99999999999999999999` as i128, expected u64",
                "integer `99999999999999999999`, expected a whole number from 0 to 18446744073709551615",
            ),
            ("string \"x, expected u64\", expected a string", "string \"x, expected u64\", expected a string"),
        ] {
            assert_eq!(in_toml(said), told);
        }
    }

    #[test]
    fn the_network_is_no_slip_of_the_pen() {
        let help = nearest("net", &["fs", "env"], "keys");
        assert!(help.starts_with("the network cannot be granted, to any tool"), "{help}");
        assert!(nearest("nev", &["fs", "env"], "keys").starts_with("did you mean `env`?"));
    }

    #[test]
    fn serde_messages_are_taken_apart() {
        let one_of = "unknown field `nmae`, expected one of `name`, `version`, `description`";
        assert_eq!(unknown(one_of, "unknown field `"), Some(("nmae", vec!["name", "version", "description"])));
        let either = "unknown field `x`, expected `a` or `b`";
        assert_eq!(unknown(either, "unknown field `"), Some(("x", vec!["a", "b"])));
        let none = "unknown field `x`, there are no fields";
        assert_eq!(unknown(none, "unknown field `"), Some(("x", vec![])));
        let odd = "unknown field `a`b`, expected `c`";
        assert_eq!(unknown(odd, "unknown field `").map(|(word, _)| word), Some("a`b"));
    }
}

//! Operations in a component's own words. They are kept beside its machine code and compared with what it says at each load.
//! Untrusted text throughout: bounded here, and judged where it is used.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_config::OPERATIONS_MAX;
use tollgate_schema::limits::{SCHEMA_BYTES_MAX, SCHEMA_VALUES_MAX};
use tollgate_schema::read_values;

use crate::error::LoadError;
use crate::instance::bindings::exports::tollgate::tool::tool as wit;

/// What a component says of one of its operations, as it says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationText {
    /// The name by which callers choose it.
    pub name: String,
    /// Its description, for whoever chooses.
    pub description: String,
    /// The JSON Schema of its arguments, as text.
    pub input_schema: String,
    /// The JSON Schema of its result, as text.
    pub output_schema: String,
}

impl OperationText {
    /// The schema of its arguments, read as JSON and not judged; `None` if it is none.
    #[must_use]
    pub fn schema(&self) -> Option<Value> {
        read_values(&self.input_schema, SCHEMA_VALUES_MAX).ok()
    }
}

/// What a component says of all its operations, within bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OperationText>")]
pub struct OperationTexts(Vec<OperationText>);

impl TryFrom<Vec<OperationText>> for OperationTexts {
    type Error = LoadError;

    fn try_from(texts: Vec<OperationText>) -> Result<Self, LoadError> {
        let too_long = |what: String| Err(LoadError::OperationsTooLong { what });
        if texts.len() > OPERATIONS_MAX {
            return too_long(format!("{} operations; the maximum is {OPERATIONS_MAX}", texts.len()));
        }
        let lengths = texts.iter().flat_map(|text| lengths(text).map(|length| (&text.name, length)));
        for (name, (what, bytes, max)) in lengths {
            if bytes > max {
                let name = shown(name);
                return too_long(format!("the {what} of {name} has {bytes} bytes; the maximum is {max}"));
            }
        }
        let texts = Self(texts);
        match texts.to_bytes().len() {
            bytes if bytes > OPERATIONS_BYTES_MAX => {
                too_long(format!("{bytes} bytes as JSON; the maximum is {OPERATIONS_BYTES_MAX}"))
            }
            _within => Ok(texts),
        }
    }
}

/// Bytes of each text of an operation, and the most that it may have.
fn lengths(text: &OperationText) -> [(&'static str, usize, usize); 4] {
    let OperationText { name, description, input_schema, output_schema } = text;
    [
        ("name", name.len(), DESCRIPTION_BYTES_MAX),
        ("description", description.len(), DESCRIPTION_BYTES_MAX),
        ("input schema", input_schema.len(), SCHEMA_BYTES_MAX),
        ("output schema", output_schema.len(), SCHEMA_BYTES_MAX),
    ]
}

impl OperationTexts {
    /// From an instance's answer.
    pub(crate) fn told(operations: Vec<wit::Operation>) -> Result<Self, LoadError> {
        let texts = operations.into_iter().map(|operation| {
            let wit::Operation { name, description, input_schema, output_schema } = operation;
            OperationText { name, description, input_schema, output_schema }
        });
        texts.collect::<Vec<_>>().try_into()
    }

    /// From what [`OperationTexts::to_bytes`] gave to be stored.
    pub(crate) fn parse(stored: &[u8]) -> Option<Self> {
        let is_within = stored.len() <= OPERATIONS_BYTES_MAX;
        is_within.then(|| serde_json::from_slice(stored).ok()).flatten()
    }

    /// The JSON that is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts in a list: there is nothing here that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Each operation, in the order of the component.
    pub fn iter(&self) -> std::slice::Iter<'_, OperationText> {
        self.0.iter()
    }

    /// Fails unless these are the texts of before, word by word.
    ///
    /// # Errors
    ///
    /// [`LoadError::OperationsChanged`], with the names of those that differ.
    pub fn must_be(&self, before: &Self) -> Result<(), LoadError> {
        if self == before {
            return Ok(());
        }
        let differing = |one: &Self, other: &Self| -> Vec<String> {
            let differing = one.iter().filter(|text| !other.0.contains(text));
            differing.map(|text| shown(&text.name)).collect()
        };
        let mut operations = differing(before, self);
        operations.extend(differing(self, before));
        operations.sort_unstable();
        operations.dedup();
        operations.truncate(NAMED_MAX);
        if operations.is_empty() {
            operations.push("their order".to_owned());
        }
        Err(LoadError::OperationsChanged { operations })
    }
}

/// If the tools of one worker say too much together: the place of the tool with which they do, and the error.
pub fn too_much_together(tools: &[OperationTexts]) -> Option<(usize, LoadError)> {
    let mut bytes = 0;
    let place = tools.iter().position(|texts| {
        bytes += texts.to_bytes().len();
        bytes > ALL_OPERATIONS_BYTES_MAX
    })?;
    let what = format!(
        "{bytes} bytes as JSON together with the {place} tools before it in its compartment; the maximum is \
         {ALL_OPERATIONS_BYTES_MAX}, so it needs another compartment"
    );
    Some((place, LoadError::OperationsTooLong { what }))
}

fn shown(name: &str) -> String {
    format!("`{}`", name.chars().take(NAME_CHARS_SHOWN).flat_map(char::escape_debug).collect::<String>())
}

/// Most bytes of all that a component says of its operations, as JSON: an agent reads it all before it chooses one.
pub(crate) const OPERATIONS_BYTES_MAX: usize = 2 << 20;
/// Most bytes of what all tools of a compartment say together: many times what 64 ordinary tools say. A supervisor may have to
/// hold this much for a worker that was broken into.
pub const ALL_OPERATIONS_BYTES_MAX: usize = 32 << 20;
/// Longest description of an operation.
const DESCRIPTION_BYTES_MAX: usize = 16 << 10;
/// Operations that an error names.
const NAMED_MAX: usize = 8;
/// Characters of a name that an error shows.
const NAME_CHARS_SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn text(name: &str, description: &str) -> OperationText {
        let (name, description) = (name.to_owned(), description.to_owned());
        OperationText { name, description, input_schema: "{}".to_owned(), output_schema: "{}".to_owned() }
    }

    #[test]
    fn what_is_stored_is_parsed_within_its_bounds_alone() {
        let texts = OperationTexts::try_from(vec![text("a", "\u{1b}\0\"\n"), text("b", "\u{1f980}")]).unwrap();
        assert_eq!(OperationTexts::parse(&texts.to_bytes()), Some(texts));
        let too_many: Vec<_> = (0..=OPERATIONS_MAX).map(|number| text(&number.to_string(), "")).collect();
        too_long(too_many, "65 operations; the maximum is 64");
        let one = |change: fn(&mut OperationText) -> &mut String, length: usize| {
            let mut one = text("a", "");
            *change(&mut one) = "x".repeat(length);
            vec![one]
        };
        type Part = fn(&mut OperationText) -> &mut String;
        let parts: [(&str, Part, usize); 4] = [
            ("name", |text| &mut text.name, DESCRIPTION_BYTES_MAX),
            ("description", |text| &mut text.description, DESCRIPTION_BYTES_MAX),
            ("input schema", |text| &mut text.input_schema, SCHEMA_BYTES_MAX),
            ("output schema", |text| &mut text.output_schema, SCHEMA_BYTES_MAX),
        ];
        for (what, part, max) in parts {
            OperationTexts::try_from(one(part, max)).unwrap();
            too_long(one(part, max + 1), &format!(" has {} bytes; the maximum is {max}", max + 1));
            let error = OperationTexts::try_from(one(part, max + 1)).unwrap_err();
            assert!(error.to_string().contains(&format!("the {what} of `")), "{error}");
        }
        // As long as its JSON is: a control character takes six bytes there.
        let controls: Vec<_> = (0..32).map(|number| text(&number.to_string(), &"\0".repeat(11 << 10))).collect();
        assert!(controls.iter().map(|text| text.description.len()).sum::<usize>() < OPERATIONS_BYTES_MAX);
        too_long(controls, &format!("bytes as JSON; the maximum is {OPERATIONS_BYTES_MAX}"));
        for stored in ["", "{}", "[{}]", "[1]", "[]x", "null"] {
            assert_eq!(OperationTexts::parse(stored.as_bytes()), None, "{stored}");
        }
    }

    fn too_long(texts: Vec<OperationText>, why: &str) {
        assert_eq!(OperationTexts::parse(&serde_json::to_vec(&texts).unwrap()), None);
        let error = OperationTexts::try_from(texts).unwrap_err();
        assert!(matches!(&error, LoadError::OperationsTooLong { what } if what.ends_with(why)), "{error}");
    }

    #[test]
    fn operations_that_are_said_otherwise_are_named() {
        let texts = |texts: &[OperationText]| OperationTexts::try_from(texts.to_vec()).unwrap();
        let before = texts(&[text("same", "x"), text("changed", "x"), text("gone", "x")]);
        before.must_be(&before.clone()).unwrap();
        let now = texts(&[text("same", "x"), text("changed", "y"), text("new\u{1b}", "x")]);
        let error = now.must_be(&before).unwrap_err();
        let LoadError::OperationsChanged { operations } = &error else { panic!("{error}") };
        assert_eq!(operations, &["`changed`", "`gone`", "`new\\u{1b}`"]);
        // The order is a part of it: whoever chooses by place would choose another.
        let turned = texts(&[text("changed", "x"), text("same", "x"), text("gone", "x")]);
        assert!(turned.must_be(&before).is_err());
    }
}

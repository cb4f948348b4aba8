//! JSON objects whose members stay text, so that no number loses a digit: what is wrong with them is told with its place.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tollgate_schema::count_values;
use tollgate_schema::limits::ARGUMENT_VALUES_MAX;

/// Most lists and objects inside one another.
pub const NESTING_MAX: usize = 127;

/// The members of an object that are not taken yet.
#[derive(Debug)]
pub(super) struct Members<'a> {
    // The text that the object is in, by which places are told.
    text: &'a str,
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Members<'a> {
    /// Reads a text that is one object.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| format!("no UTF-8 at {}", place(bytes, error.valid_up_to())))?;
        must_be_bounded(bytes)?;
        Self::of(text, text)
    }

    /// Reads a member that is an object. `text` is what it stands in.
    pub(super) fn inside(text: &'a str, value: &'a RawValue) -> Result<Self, String> {
        Self::of(text, value.get())
    }

    fn of(text: &'a str, object: &'a str) -> Result<Self, String> {
        let start = object.trim_start();
        if !start.is_empty() && !start.starts_with('{') {
            return Err(format!("not an object at {}", place_in(text, start)));
        }
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let members = deserializer.deserialize_map(Pairs).map_err(|error| error.to_string())?;
        deserializer.end().map_err(|error| error.to_string())?;
        let read = Self { text, members };
        for (number, (key, value)) in read.members.iter().enumerate() {
            if read.members.iter().take(number).any(|(before, _)| before == key) {
                return Err(format!("the key {} stands twice, at {}", shown(key), read.place(value)));
            }
        }
        Ok(read)
    }

    /// The text that the object is in.
    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Takes a member out.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(at).1)
    }

    /// Takes out a member that is a string of at most `most` bytes; `null` is none.
    pub(super) fn take_text(&mut self, key: &str, most: usize) -> Result<Option<String>, String> {
        let Some(value) = self.take(key).filter(|value| value.get() != "null") else { return Ok(None) };
        match serde_json::from_str::<String>(value.get()) {
            Ok(text) if text.len() > most => {
                Err(format!("`{key}` has {} bytes; the maximum is {most}; at {}", text.len(), self.place(value)))
            }
            Ok(text) => Ok(Some(text)),
            Err(_other) => Err(format!("`{key}` must be a string, at {}", self.place(value))),
        }
    }

    /// That nothing is left: a key that nobody knows is refused, with the nearest that is known.
    pub(super) fn must_be_empty(&self, known: &[&str]) -> Result<(), String> {
        let Some((key, value)) = self.members.first() else { return Ok(()) };
        let help = match nearest(key, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
        };
        Err(format!("unknown key {}, with its value at {}; {help}", shown(key), self.place(value)))
    }

    /// Where a member's value stands.
    pub(super) fn place(&self, value: &RawValue) -> String {
        place_in(self.text, value.get())
    }
}

/// That a text does not become much more in memory than it is, nor deeper than a parser goes.
pub(super) fn must_be_bounded(text: &[u8]) -> Result<(), String> {
    if count_values(text) > ARGUMENT_VALUES_MAX {
        return Err(format!("more than {ARGUMENT_VALUES_MAX} JSON values"));
    }
    match too_deep_at(text) {
        Some(at) => Err(format!("nested deeper than {NESTING_MAX} at {}", place(text, at))),
        None => Ok(()),
    }
}

/// Whether these bytes are JSON text.
#[must_use]
pub fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

fn too_deep_at(text: &[u8]) -> Option<usize> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _other => {}
        }
        if depth > NESTING_MAX {
            return Some(at);
        }
    }
    None
}

/// The place of a part of a text, which must be of that very text.
fn place_in(text: &str, part: &str) -> String {
    place(text.as_bytes(), (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize))
}

fn place(text: &[u8], at: usize) -> String {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
    format!("line {line} column {column}")
}

/// A key as a message names it: its beginning, with nothing that steers.
fn shown(key: &str) -> String {
    let mut start: String = key.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    if key.chars().nth(SHOWN_CHARS_MAX).is_some() {
        start.push('…');
    }
    format!("`{start}`")
}

/// The known key that differs in the fewest letters, if those are few.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    if key.len() > SHOWN_CHARS_MAX {
        return None;
    }
    let (distance, near) = known.iter().map(|known| (distance(key.as_bytes(), known.as_bytes()), *known)).min()?;
    (distance <= 1 + near.len() / 4).then_some(near)
}

/// How many letters must be put in, taken out or exchanged to make one word of the other (Levenshtein).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, byte) in one.iter().enumerate() {
        let mut left = line + 1;
        let mut above_left = std::mem::replace(row.first_mut().unwrap_or(&mut 0), left);
        for (cell, theirs) in row.iter_mut().skip(1).zip(other) {
            let cost = (above_left + usize::from(byte != theirs)).min(left + 1).min(*cell + 1);
            above_left = std::mem::replace(cell, cost);
            left = cost;
        }
    }
    row.last().copied().unwrap_or(0)
}

const SHOWN_CHARS_MAX: usize = 64;

/// Most members of an object of ours: none has as many.
const MEMBERS_MAX: usize = 64;

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() == MEMBERS_MAX {
                return Err(serde::de::Error::custom(format_args!("more than {MEMBERS_MAX} keys")));
            }
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Members::read(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_place() {
        assert_eq!(problem(""), "EOF while parsing a value at line 1 column 0");
        assert_eq!(problem("{\n  \"a\" 1}"), "expected `:` at line 2 column 7");
        assert_eq!(problem(" [1]"), "not an object at line 1 column 2");
        assert_eq!(problem("{} {}"), "trailing characters at line 1 column 4");
        assert_eq!(problem("{\"a\":1,\n\"a\":2}"), "the key `a` stands twice, at line 2 column 5");
        assert_eq!(Members::read(b"{\n\"\xff").unwrap_err(), "no UTF-8 at line 2 column 2");
        let many: Vec<String> = (0..65).map(|number| format!("\"{number}\":0")).collect();
        assert!(problem(&format!("{{{}}}", many.join(","))).starts_with("more than 64 keys at line 1"));
    }

    #[test]
    fn what_would_grow_is_refused_before_it_is_read() {
        assert_eq!(problem(&"{\"a\":".repeat(128)), "nested deeper than 127 at line 1 column 636");
        let deepest = format!("{{\"a\":{}1{}}}", "[".repeat(126), "]".repeat(126));
        assert!(Members::read(deepest.as_bytes()).is_ok());
        assert_eq!(problem(&format!("{{\"a\":[{}]}}", "0,".repeat(1 << 20))), "more than 1048576 JSON values");
        assert!(Members::read(br#"{"a":"[[[[\"{{{{"}"#).is_ok());
    }

    #[test]
    fn members_are_taken_as_text() {
        let text = r#"{"a": 1.000000000000000000001, "b": "é", "c": null, "d": 5}"#;
        let mut members = Members::read(text.as_bytes()).unwrap();
        assert_eq!(members.take("a").unwrap().get(), "1.000000000000000000001");
        assert!(members.take("a").is_none());
        assert_eq!(members.take_text("b", 1).unwrap_err(), "`b` has 2 bytes; the maximum is 1; at line 1 column 37");
        assert_eq!(members.take_text("c", 9), Ok(None));
        assert_eq!(members.take_text("d", 9).unwrap_err(), "`d` must be a string, at line 1 column 59");
        assert_eq!(members.must_be_empty(&[]), Ok(()));
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest() {
        let unknown = |key: &str| {
            let text = format!("{{\"{key}\":1}}");
            Members::read(text.as_bytes()).unwrap().must_be_empty(&["tool", "arguments", "agent"]).unwrap_err()
        };
        assert_eq!(unknown("agnet"), "unknown key `agnet`, with its value at line 1 column 10; did you mean `agent`?");
        assert!(unknown("argument").ends_with("did you mean `arguments`?"));
        assert!(unknown("Tool").ends_with("did you mean `tool`?"));
        assert!(unknown("kind").ends_with("known are `tool`, `arguments`, `agent`"));
        assert!(unknown("").ends_with("known are `tool`, `arguments`, `agent`"));
        let steering = unknown("\\u001b[31m\\u202e");
        assert!(steering.starts_with("unknown key `\\u{1b}[31m\\u{202e}`,"), "{steering}");
        assert!(unknown(&"x".repeat(1000)).len() < 200);
    }
}

//! A bound on what JSON text becomes, before it becomes that: a text of two bytes for each value takes some twenty times its
//! length in memory.

use serde_json::Value;

/// Why a text is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// It is no JSON.
    #[error("{message}")]
    NotJson {
        /// The parser's words, with line and column.
        message: String,
    },
    /// It has too many values.
    #[error("it has more than {max} JSON values")]
    TooMany {
        /// The most that there may be.
        max: usize,
    },
}

/// Reads JSON text of at most `max` values.
///
/// # Errors
///
/// [`ValuesError`].
pub fn read_values(text: &str, max: usize) -> Result<Value, ValuesError> {
    if count_values(text.as_bytes()) > max {
        return Err(ValuesError::TooMany { max });
    }
    serde_json::from_str(text).map_err(|error| ValuesError::NotJson { message: error.to_string() })
}

/// The number of values in JSON text, or more; of a text that is no JSON, no fewer than a parser reads before it sees that.
/// Looks at each byte once.
#[must_use]
pub fn count_values(text: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (1_usize, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            // A list or object holds one value, and one more for each comma.
            b',' | b'[' | b'{' if !in_text => count = count.saturating_add(1),
            _other => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(value: &Value) -> usize {
        1 + match value {
            Value::Array(values) => values.iter().map(self::values).sum::<usize>(),
            Value::Object(values) => values.values().map(self::values).sum::<usize>(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    #[test]
    fn no_value_is_missed_and_no_text_is_counted() {
        for text in ["1", "[]", "{}", "[1, [2, {}], \"a,[{\\\",\"]", r#"{"a,": {"b\\": [null, true]}, "\\\"": 1}"#] {
            let (counted, value) = (count_values(text.as_bytes()), serde_json::from_str::<Value>(text).unwrap());
            let empty = text.matches("[]").count() + text.matches("{}").count();
            assert_eq!(counted, values(&value) + empty, "{text}");
        }
    }

    #[test]
    fn too_many_are_refused_before_they_are_read() {
        let text = format!("[{}0]", "0,".repeat(98));
        assert!(read_values(&text, 100).is_ok());
        assert_eq!(read_values(&text, 99), Err(ValuesError::TooMany { max: 99 }));
        assert_eq!(read_values(&"[".repeat(1000), 99), Err(ValuesError::TooMany { max: 99 }));
        assert!(matches!(read_values("{", 99), Err(ValuesError::NotJson { .. })));
    }
}

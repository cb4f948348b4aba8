//! Values as problems show them: a few bytes, whatever they are.

use std::io::{self, Write};

use serde_json::Value;

use crate::limits::SHOWN_BYTES_MAX;

/// `value` as JSON, cut after [`SHOWN_BYTES_MAX`] bytes. Costs no more than what is shown.
pub(crate) fn json(value: &Value) -> String {
    let mut out = Cut(Vec::new());
    // What does not fit ends the writing.
    let whole = serde_json::to_writer(&mut out, value).is_ok();
    let mut text = String::from_utf8_lossy(&out.0).into_owned();
    if !whole {
        text = format!("{}…", text.trim_end_matches('\u{fffd}'));
    }
    text
}

/// A name, cut after [`SHOWN_BYTES_MAX`] bytes.
pub(crate) fn name(name: &str) -> String {
    match name.char_indices().map(|(at, _)| at).find(|at| *at >= SHOWN_BYTES_MAX) {
        Some(at) => format!("{}…", name.get(..at).unwrap_or_default()),
        None => name.to_owned(),
    }
}

struct Cut(Vec<u8>);

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SHOWN_BYTES_MAX.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_whole_or_cut_between_characters() {
        assert_eq!(json(&serde_json::json!({"a": [1, "é"]})), r#"{"a":[1,"é"]}"#);
        let long = json(&Value::from("é".repeat(1 << 20)));
        assert!(long.ends_with("é…") && long.len() < SHOWN_BYTES_MAX + 4, "{long}");
        assert_eq!(name("short"), "short");
        assert!(name(&"é".repeat(1 << 20)).len() < SHOWN_BYTES_MAX + 6);
    }
}

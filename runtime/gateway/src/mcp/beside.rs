//! Texts of tools, which go beside rmcp, byte for byte: it has a mark in their place. As values of JSON they would take many times
//! their bytes, for as long as a client does not read.

use std::mem;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_system::lock;

use crate::held::Holding;
use crate::reply::unbroken;

/// The text of one answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside(Arc<Mutex<Option<Put>>>);

#[derive(Debug)]
struct Put {
    text: Text,
    // Until it is written.
    _holding: Option<Holding>,
}

/// A text, in one line.
#[derive(Debug)]
pub(super) enum Text {
    /// A tool's result, JSON text.
    Output(String),
    /// The entries of a list of tools: a JSON array.
    Tools(String),
}

#[derive(Deserialize)]
struct Listed<'l> {
    #[serde(borrow)]
    tools: &'l RawValue,
}

impl Text {
    /// A result, which is JSON.
    pub(super) fn output(output: &[u8]) -> Self {
        Self::Output(unbroken(String::from_utf8_lossy(output).into_owned()))
    }

    /// The daemon's list; none where it is none.
    pub(super) fn tools(list: &str) -> Option<Self> {
        let Listed { tools } = serde_json::from_str(list).ok()?;
        tools.get().starts_with('[').then(|| Self::Tools(unbroken(tools.get().to_owned())))
    }

    /// The message with the text where its marks are.
    fn into_message(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Output(text) => {
                let quoted = serde_json::to_string(&text).unwrap_or_default();
                let message = put(message, &format!("{AS_VALUE}{{\"{MARK}\":null}}"), AS_VALUE, &text);
                put(&message, &format!("{AS_TEXT}\"{MARK}\""), AS_TEXT, &quoted)
            }
            Self::Tools(text) => put(message, NO_TOOLS, TOOLS, &text),
        }
    }
}

impl Beside {
    /// Puts a text beside the answer.
    pub(super) fn put(&self, text: Text, holding: Option<Holding>) {
        *lock(&self.0) = Some(Put { text, _holding: holding });
    }

    /// Whether there is one.
    pub(super) fn is_there(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// The message of rmcp's, with the text in it.
    pub(super) fn put_into(&self, message: Vec<u8>) -> Vec<u8> {
        match mem::take(&mut *lock(&self.0)) {
            Some(Put { text, _holding }) => text.into_message(&message),
            None => message,
        }
    }
}

/// Whether a message has a mark in the place of a text. In what others say the quotes are escaped.
pub(super) fn is_marked(message: &[u8]) -> bool {
    let has = |marked: &str| message.windows(marked.len()).any(|window| window == marked.as_bytes());
    has(NO_TOOLS) || has(&format!("{AS_VALUE}{{\"{MARK}\":null}}"))
}

/// The message with `key` and `text` in the first place of `marked`. A request's id may look like one: whoever sends such an id
/// spoils the answer to itself alone, which is JSON all the same.
fn put(message: &[u8], marked: &str, key: &str, text: &str) -> Vec<u8> {
    let at = message.windows(marked.len()).position(|window| window == marked.as_bytes());
    let Some((before, behind)) = at.and_then(|at| message.split_at_checked(at)) else { return message.to_vec() };
    let behind = behind.get(marked.len()..).unwrap_or_default();
    [before, key.as_bytes(), text.as_bytes(), behind].concat()
}

/// What stands for a tool's result.
pub(super) const MARK: &str = "the tool's result";

const AS_TEXT: &str = "\"text\":";
const AS_VALUE: &str = "\"structuredContent\":";
const NO_TOOLS: &str = "\"tools\":[]";
const TOOLS: &str = "\"tools\":";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spliced(message: &Value, text: Text) -> Value {
        serde_json::from_slice(&text.into_message(message.to_string().as_bytes())).unwrap()
    }

    #[test]
    fn a_result_stands_in_its_message_byte_for_byte_as_text_and_as_value() {
        let message = json!({ "id": 1, "result": { "content": [{ "type": "text", "text": MARK }, { "type": "resource_link" }],
            "structuredContent": { MARK: null }, "isError": false } });
        let output = b"{\"a\": 1.50,\n \"text\":\"the tool's result\", \"b\":\"\\u0041\"}";
        let bytes = Text::output(output).into_message(message.to_string().as_bytes());
        let line = String::from_utf8(bytes).unwrap();
        let one_line = "{\"a\": 1.50,  \"text\":\"the tool's result\", \"b\":\"\\u0041\"}";
        assert!(line.contains(&format!("\"structuredContent\":{one_line}")), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["result"]["content"][0], json!({ "type": "text", "text": one_line }));
        assert_eq!((read["result"]["content"].as_array().unwrap().len(), read["id"].clone()), (2, json!(1)));
    }

    #[test]
    fn what_has_a_mark_is_known_by_it() {
        let marked =
            [json!({ "result": { "tools": [] } }), json!({ "result": { "structuredContent": { MARK: null } } })];
        assert!(marked.iter().all(|message| is_marked(message.to_string().as_bytes())));
        let others =
            [json!({ "result": {} }), json!({ "error": { "message": format!("\"tools\":[] {}", marked[1]) } })];
        assert!(!others.iter().any(|message| is_marked(message.to_string().as_bytes())));
    }

    #[test]
    fn a_list_stands_in_its_message() {
        let message = json!({ "id": "\"tools\":[]", "result": { "tools": [], "ttlMs": 1 } });
        let tools = json!([{ "name": "a", "inputSchema": {} }]);
        let listed = Text::tools(&json!({ "tools": tools }).to_string()).unwrap();
        assert_eq!(spliced(&message, listed)["result"], json!({ "tools": tools, "ttlMs": 1 }));
        for none in ["", "{}", "[]", "{\"tools\":1}", "{\"tools\":{}}"] {
            assert!(Text::tools(none).is_none(), "{none}");
        }
    }

    /// An id that looks like a mark costs whoever sent it its own answer, and stays JSON.
    #[test]
    fn a_message_stays_json_whatever_its_id_is() {
        for id in [MARK, "structuredContent", "text", "\"text\":\"the tool's result\""] {
            let message =
                json!({ "id": id, "text": MARK, "result": { "structuredContent": { MARK: null }, "content": [] } });
            spliced(&message, Text::output(b"[1]"));
        }
    }
}

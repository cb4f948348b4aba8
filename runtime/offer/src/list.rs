//! Lists of tools, in the form of each provider of models.

use serde_json::{Value, json};
use tollgate_plain::output;

use crate::hints::Hints;
use crate::lower::{lower_input, lower_output};
use crate::names::{NotOffered, Operation};

/// Whose models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Any, by MCP.
    Mcp,
    /// `OpenAI`: functions of its Responses API.
    Openai,
    /// Anthropic: tools of its Messages API.
    Anthropic,
    /// Google: function declarations of Gemini's API.
    Gemini,
}

impl Provider {
    /// The provider of this word: `mcp`, `openai`, `anthropic` or `gemini`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "mcp" => Some(Self::Mcp),
            "openai" => Some(Self::Openai),
            "anthropic" => Some(Self::Anthropic),
            "gemini" => Some(Self::Gemini),
            _other => None,
        }
    }
}

/// An operation that is offered.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Its one name.
    pub name: String,
    /// Its own names.
    pub operation: Operation,
    /// What it says of itself: untrusted text.
    pub description: String,
    /// The schema of what it takes, as the tool has it.
    pub input: Value,
    /// The schema of what it gives, as the tool has it.
    pub output: Value,
    /// What it can do.
    pub hints: Hints,
}

/// Most bytes of the entries of one list in JSON: a tool's author must not make a daemon hold, or a client read, what has no end.
pub const LIST_BYTES_MAX: usize = 8 << 20;

/// Most bytes of one tool's entries: it must not have other tools left out.
pub const TOOL_BYTES_MAX: usize = 1 << 20;

/// A list of tools as a provider's interface takes them, made one entry after the other.
#[derive(Debug)]
pub struct List {
    provider: Provider,
    // A JSON array, but for its end.
    text: String,
    // The tool whose entries come now, and their bytes.
    tool: (String, usize),
    is_full: bool,
    left_out: Vec<NotOffered>,
}

impl List {
    /// An empty one.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, text: "[".to_owned(), tool: (String::new(), 0), is_full: false, left_out: Vec::new() }
    }

    /// Appends an operation; those of a tool come one after the other. One that would make its tool's entries longer than
    /// [`TOOL_BYTES_MAX`] is left out. False where it would make the list longer than [`LIST_BYTES_MAX`]: then it is not in it, and the
    /// list takes no other, so that whoever makes it need read no further.
    pub fn push(&mut self, offer: &Offer) -> bool {
        if self.is_full {
            return false;
        }
        if self.tool.0 != offer.operation.tool {
            self.tool = (offer.operation.tool.clone(), 0);
        }
        let operation = || offer.operation.clone();
        // What comes behind one that was too much is not looked at.
        if self.tool.1 >= TOOL_BYTES_MAX {
            return true;
        }
        let entry = entry(offer, self.provider).to_string();
        let of_tool = self.tool.1.saturating_add(entry.len());
        if of_tool > TOOL_BYTES_MAX {
            self.tool.1 = TOOL_BYTES_MAX;
            if self.left_out.len() < LEFT_OUT_MAX {
                self.left_out.push(NotOffered::OfItsTool { operation: operation() });
            }
            return true;
        }
        // A comma and the end, too.
        if self.text.len().saturating_add(entry.len()).saturating_add(2) > LIST_BYTES_MAX {
            self.is_full = true;
            self.left_out.push(NotOffered::TooMuch { operation: operation() });
            return false;
        }
        self.tool.1 = of_tool;
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&entry);
        true
    }

    /// A JSON array; and the first operations that are not in it for want of room: of a tool, and of the list.
    #[must_use]
    pub fn finish(mut self) -> (String, Vec<NotOffered>) {
        self.text.push(']');
        (self.text, self.left_out)
    }
}

/// Tools of which it is told that not all of their operations have room.
const LEFT_OUT_MAX: usize = 64;

fn entry(offer: &Offer, provider: Provider) -> Value {
    let Offer { name, operation, description, input, output: given, hints } = offer;
    let description = &*output(description);
    let input = lower_input(input, provider).schema;
    match provider {
        Provider::Mcp => json!({
            "name": name,
            "title": operation.to_string(),
            "description": description,
            "inputSchema": input,
            "outputSchema": lower_output(given, provider).schema,
            "annotations": hints.annotations(),
        }),
        // Strict would take closed objects with every key required alone, which is narrower than what tools take.
        Provider::Openai => json!({
            "type": "function", "name": name, "description": description, "parameters": input, "strict": false,
        }),
        Provider::Anthropic => json!({ "name": name, "description": description, "input_schema": input }),
        Provider::Gemini => json!({ "name": name, "description": description, "parametersJsonSchema": input }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_its_form() {
        let operation = Operation { tool: "word-count".to_owned(), operation: "count".to_owned() };
        let hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
        let input = json!({ "type": "object", "properties": { "n": { "const": 1 } }, "required": ["n"] });
        let offer = Offer {
            name: "word-count_count".to_owned(),
            operation,
            description: "Counts\u{202e}\r\nwords\u{e0041}".to_owned(),
            input,
            output: json!({ "type": "integer" }),
            hints,
        };
        let one = |provider| {
            let mut list = List::new(provider);
            assert!(list.push(&offer));
            serde_json::from_str::<Vec<Value>>(&list.finish().0).unwrap().remove(0)
        };
        let object = json!({ "type": "object", "required": ["n"], "properties": { "n": { "enum": [1] } } });
        let result = json!({
            "type": "object", "properties": { "result": { "type": "integer" } }, "required": ["result"],
            "additionalProperties": false,
        });
        let mcp = json!({
            "name": "word-count_count", "title": "word-count.count",
            "description": "Counts\\u202e \nwords\\udb40\\udc41", "inputSchema": object,
            "outputSchema": result,
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
            },
        });
        assert_eq!(one(Provider::Mcp), mcp);
        let (name, description) = ("word-count_count", "Counts\\u202e \nwords\\udb40\\udc41");
        assert_eq!(
            one(Provider::Openai),
            json!({ "type": "function", "name": name, "description": description, "parameters": object, "strict": false })
        );
        assert_eq!(
            one(Provider::Anthropic),
            json!({ "name": name, "description": description, "input_schema": object })
        );
        let gemini = json!({ "type": "object", "properties": { "n": {} }, "required": ["n"] });
        assert_eq!(
            one(Provider::Gemini),
            json!({ "name": name, "description": description, "parametersJsonSchema": gemini })
        );
        let words = ["mcp", "openai", "anthropic", "gemini", "other"].map(|word| Provider::of_word(word).is_some());
        assert_eq!(words, [true, true, true, true, false]);
    }

    #[test]
    fn a_list_ends_where_it_is_too_long() {
        const TOOLS: usize = 1_000 << 10;
        let offers: Vec<Offer> = (0..10).map(|at| offer(&format!("t{at}"), TOOLS)).chain([offer("u", 100)]).collect();
        for provider in [Provider::Mcp, Provider::Openai, Provider::Anthropic, Provider::Gemini] {
            let mut list = List::new(provider);
            let taken: Vec<bool> = offers.iter().map(|offer| list.push(offer)).collect();
            assert_eq!(
                taken,
                [[true; 8].as_slice(), &[false; 3]].concat(),
                "it takes none behind the first that it has no room for"
            );
            let (text, left_out) = list.finish();
            assert!(text.len() <= LIST_BYTES_MAX);
            let tools: Vec<Value> = serde_json::from_str(&text).unwrap();
            let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["t0_o", "t1_o", "t2_o", "t3_o", "t4_o", "t5_o", "t6_o", "t7_o"]);
            assert_eq!(
                left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [
                    "`t8.o` and what comes after it are not offered to models: with it, the list of tools would have more than \
                 8388608 bytes"
                ]
            );
        }
        assert_eq!(List::new(Provider::Mcp).finish(), ("[]".to_owned(), Vec::new()));
    }

    #[test]
    fn a_tool_that_is_too_much_leaves_others_their_room() {
        let mut list = List::new(Provider::Mcp);
        let wide = [offer("a", 600 << 10), offer("a", 600 << 10), offer("a", 10)];
        assert!(wide.iter().chain([&offer("b", 600 << 10), &offer("c", 10)]).all(|offer| list.push(offer)));
        let (text, left_out) = list.finish();
        let tools: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(tools.iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["a_o", "b_o", "c_o"]);
        assert_eq!(
            left_out.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "`a.o` and what the tool has behind it are not offered to models: with it, the tool's entries in the list would have \
             more than 1048576 bytes"
            ]
        );
    }

    fn offer(tool: &str, bytes: usize) -> Offer {
        Offer {
            name: format!("{tool}_o"),
            operation: Operation { tool: tool.to_owned(), operation: "o".to_owned() },
            description: "x".repeat(bytes),
            input: json!({ "type": "object" }),
            output: json!({ "type": "object" }),
            hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        }
    }
}

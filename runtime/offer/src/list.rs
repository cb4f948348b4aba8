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

/// A list of tools as a provider's interface takes them, made one entry after the other.
#[derive(Debug)]
pub struct List {
    provider: Provider,
    // A JSON array, but for its end.
    text: String,
    left_out: Option<NotOffered>,
}

impl List {
    /// An empty one.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, text: "[".to_owned(), left_out: None }
    }

    /// Appends an operation. False where it would make the list longer than [`LIST_BYTES_MAX`]: then it is not in it, and the list takes
    /// no other, so that whoever makes it need read no further.
    pub fn push(&mut self, offer: &Offer) -> bool {
        if self.left_out.is_some() {
            return false;
        }
        let entry = entry(offer, self.provider).to_string();
        // A comma and the end, too.
        if self.text.len().saturating_add(entry.len()).saturating_add(2) > LIST_BYTES_MAX {
            self.left_out = Some(NotOffered::TooMuch { operation: offer.operation.clone() });
            return false;
        }
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.text.push_str(&entry);
        true
    }

    /// A JSON array; and the first operation that is not in it for want of room, if there is one.
    #[must_use]
    pub fn finish(mut self) -> (String, Option<NotOffered>) {
        self.text.push(']');
        (self.text, self.left_out)
    }
}

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
        let offer = |at: usize, bytes: usize| Offer {
            name: format!("t_o{at}"),
            operation: Operation { tool: "t".to_owned(), operation: format!("o{at}") },
            description: "x".repeat(bytes),
            input: json!({ "type": "object" }),
            output: json!({ "type": "object" }),
            hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
        };
        let offers: Vec<Offer> =
            (0..9).map(|at| offer(at, 1 << 20)).chain([offer(9, 100), offer(10, 1 << 20)]).collect();
        for provider in [Provider::Mcp, Provider::Openai, Provider::Anthropic, Provider::Gemini] {
            let mut list = List::new(provider);
            let taken: Vec<bool> = offers.iter().map(|offer| list.push(offer)).collect();
            assert_eq!(
                taken,
                [[true; 7].as_slice(), &[false; 4]].concat(),
                "it takes none behind the first that it has no room for"
            );
            let (text, left_out) = list.finish();
            assert!(text.len() <= LIST_BYTES_MAX);
            let tools: Vec<Value> = serde_json::from_str(&text).unwrap();
            let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["t_o0", "t_o1", "t_o2", "t_o3", "t_o4", "t_o5", "t_o6"]);
            assert_eq!(
                left_out.unwrap().to_string(),
                "`t.o7` and what comes after it are not offered to models: with it, the list of tools would have more than \
                 8388608 bytes"
            );
        }
        assert_eq!(List::new(Provider::Mcp).finish(), ("[]".to_owned(), None));
    }
}

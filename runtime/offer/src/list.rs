//! Lists of tools, in the form of each provider of models.

use serde_json::{Value, json};

use crate::hints::Hints;
use crate::lower::{lower_input, lower_output};
use crate::names::Operation;

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

/// Operations as a provider's interface takes them, each an entry of its list of tools.
#[must_use]
pub fn list(offers: &[Offer], provider: Provider) -> Vec<Value> {
    offers.iter().map(|offer| entry(offer, provider)).collect()
}

fn entry(offer: &Offer, provider: Provider) -> Value {
    let Offer { name, operation, description, input, output, hints } = offer;
    let input = lower_input(input, provider).schema;
    match provider {
        Provider::Mcp => json!({
            "name": name,
            "title": operation.to_string(),
            "description": description,
            "inputSchema": input,
            "outputSchema": lower_output(output, provider).schema,
            "annotations": {
                "readOnlyHint": hints.read_only,
                "destructiveHint": hints.destructive,
                "idempotentHint": hints.idempotent,
                "openWorldHint": hints.open_world,
            },
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
            description: "Counts".to_owned(),
            input,
            output: json!({ "type": "integer" }),
            hints,
        };
        let one = |provider| list(std::slice::from_ref(&offer), provider).remove(0);
        let object = json!({ "type": "object", "required": ["n"], "properties": { "n": { "enum": [1] } } });
        let result = json!({
            "type": "object", "properties": { "result": { "type": "integer" } }, "required": ["result"],
            "additionalProperties": false,
        });
        let mcp = json!({
            "name": "word-count_count", "title": "word-count.count", "description": "Counts", "inputSchema": object,
            "outputSchema": result,
            "annotations": {
                "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
            },
        });
        assert_eq!(one(Provider::Mcp), mcp);
        let (name, description) = ("word-count_count", "Counts");
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
}

//! What MCP's conformance suite asks a server's tools for, as far as a tool can: a text, an error, silence where nothing was asked for, and
//! a schema of many words. A policy's aliases give the operations the suite's names.

use hostile_guests::operation;
use serde_json::json;
use tollgate_guest::{Error, Operation, Tool, log};

struct ProbeMcp;

tollgate_guest::export!(ProbeMcp);

impl Tool for ProbeMcp {
    fn operations() -> Vec<Operation> {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        });
        vec![
            operation("simple-text", "Answers with a text."),
            operation("error", "Fails."),
            operation("logging", "Logs three lines, and answers with a text."),
            operation("streaming", "Answers with a text, and asks the client for nothing."),
            Operation { input_schema: schema.to_string(), ..operation("schema", "Takes what its schema says.") },
        ]
    }

    fn invoke(operation: &str, _arguments: &str) -> Result<String, Error> {
        let text = |text: &str| Ok(json!(text).to_string());
        match operation {
            "simple-text" => text("This is a simple text response for testing."),
            "error" => Err(Error::new("intended", "This tool intentionally returns an error for testing")),
            "logging" => {
                ["first", "second", "third"].iter().for_each(|line| log::info!("{line}"));
                text("three lines were logged")
            }
            "streaming" => text("nothing is asked of the client"),
            "schema" => text("taken"),
            other => Err(Error::unknown_operation(other)),
        }
    }
}

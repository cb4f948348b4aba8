//! A tool's schema as interfaces of models have it.

use serde_json::{Value, json};
use tollgate_offer::{Provider, is_wrapped, lower_input, unwrapped_input};
use tollgate_schema::{Budget, Schema, read_values};

use crate::text;

/// A schema on the first line, a value on those behind it. What is lowered is short, an object without combinators that refers to nothing,
/// and takes whatever the tool's own schema takes.
pub fn lowering(bytes: &[u8]) {
    let Some((schema, value)) = text(bytes).map(|text| text.split_once('\n').unwrap_or((text, "null"))) else { return };
    let Ok((read, ours)) = Schema::parse(schema) else { return };
    let value = read_values(value, VALUES_MAX).unwrap_or(Value::Null);
    let fits = ours.judge(&value, &mut Budget::steps(STEPS)).is_ok_and(|problems| problems.is_empty());
    for provider in [Provider::Mcp, Provider::Openai, Provider::Anthropic, Provider::Gemini] {
        let lowered = lower_input(&read, provider);
        assert_eq!(lowered.is_wrapped, is_wrapped(&read));
        assert_eq!(lowered.schema["type"], "object");
        for word in ["anyOf", "oneOf", "allOf", "not", "if", "enum", "const", "$ref", "$defs"] {
            assert!(lowered.schema.get(word).is_none(), "{word}");
        }
        let given = if lowered.is_wrapped { json!({ "input": value }) } else { value.clone() };
        if lowered.is_wrapped {
            assert_eq!(unwrapped_input(&given.to_string()), value.to_string());
        }
        // One that references made long is not taken here; nor need it be.
        if let (true, Ok((_, lowered))) = (fits, Schema::parse(&lowered.schema.to_string())) {
            match lowered.judge(&given, &mut Budget::steps(STEPS)) {
                Ok(problems) => assert!(problems.is_empty(), "{problems:?}"),
                Err(_spent) => {}
            }
        }
    }
}

const VALUES_MAX: usize = 1_000;

const STEPS: u64 = 1 << 20;

use proptest::prelude::*;
use tollgate_schema::{Budget, Schema};

use super::*;

const PROVIDERS: [Provider; 4] = [Provider::Mcp, Provider::Openai, Provider::Anthropic, Provider::Gemini];

fn fits(schema: &Value, value: &Value) -> Option<bool> {
    let (_, schema) = Schema::parse(&schema.to_string()).ok()?;
    schema.judge(value, &mut Budget::steps(1 << 20)).ok().map(|problems| problems.is_empty())
}

#[test]
fn references_are_inlined_and_combinators_leave_the_root() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": { "id": { "type": "string", "const": "x" } },
        "type": "object",
        "properties": { "id": { "$ref": "#/$defs/id", "description": "Which" } },
        "oneOf": [{ "required": ["id"] }, { "properties": { "path": { "type": "string", "description": "Where" } } }],
        "not": { "required": ["both"] },
    });
    let lowered = lower_input(&schema, Provider::Openai);
    assert_eq!(
        lowered,
        Lowered {
            schema: json!({
                "type": "object",
                "properties": {
                    "id": { "type": "string", "enum": ["x"], "description": "Which" },
                    "path": { "description": "Where" },
                },
            }),
            is_wrapped: false,
        }
    );
}

#[test]
fn gemini_has_what_it_knows() {
    let schema = json!({
        "type": "object",
        "properties": {
            "n": { "type": ["integer", "null"], "exclusiveMinimum": 0, "format": "uint8", "description": "N" },
            "t": { "type": "array", "prefixItems": [{ "type": "string" }], "items": false },
            "k": { "const": "a" },
        },
        "required": ["n", "elsewhere"],
        "additionalProperties": false,
    });
    let expected = json!({
        "type": "object",
        "properties": {
            "n": { "description": "N", "anyOf": [{ "minimum": 0, "type": "integer" }, { "type": "null" }] },
            "t": { "type": "array", "items": {} },
            "k": { "enum": ["a"] },
        },
        "required": ["n"],
    });
    assert_eq!(lower_input(&schema, Provider::Gemini).schema, expected);
}

#[test]
fn formats_are_those_of_json_schema_and_no_remark_is_the_authors_own() {
    let schema = json!({ "type": "object", "x-own": 1, "properties": {
        "n": { "type": "integer", "format": "uint64", "x-mcp-header": "N" },
        "d": { "type": "string", "format": "date-time" },
        "o": { "format": 1 },
    } });
    let expected = json!({ "n": { "type": "integer" }, "d": { "type": "string", "format": "date-time" }, "o": {} });
    for provider in [Provider::Mcp, Provider::Openai, Provider::Anthropic] {
        let whole = json!({ "type": "object", "properties": expected });
        assert_eq!(lower_input(&schema, provider).schema, whole);
        assert_eq!(lower_output(&schema, provider).schema, whole);
    }
}

#[test]
fn what_is_no_object_is_wrapped_and_taken_in_either_form() {
    for schema in [json!({ "type": "array" }), json!({}), json!(true), json!({ "anyOf": [{ "type": "object" }, {}] })] {
        for provider in PROVIDERS {
            let lowered = lower_input(&schema, provider);
            assert!(lowered.is_wrapped, "{schema}");
            assert_eq!((&lowered.schema["type"], &lowered.schema["required"]), (&json!("object"), &json!(["input"])));
        }
        assert!(is_wrapped(&schema));
    }
    assert_eq!(unwrapped_input(r#" {"input": [1.00] }"#), "[1.00]");
    for bare in ["[1]", "{}", r#"{"input":1,"more":2}"#, r#"{"other":1}"#, "1", "{"] {
        assert_eq!(unwrapped_input(bare), bare);
    }
    assert_eq!(wrapped_output("[1.0]"), r#"{"result":[1.0]}"#);
    let object = json!({ "$ref": "#/$defs/a~1b%20c", "$defs": { "a/b c": { "type": "object" } } });
    assert!(!lower_input(&object, Provider::Mcp).is_wrapped && !is_wrapped(&object));
}

#[test]
fn a_schema_that_references_blow_up_stays_small() {
    let mut definitions = Map::new();
    for level in 0..40 {
        let below = json!({ "$ref": format!("#/$defs/l{}", level + 1) });
        definitions.insert(format!("l{level}"), json!({ "type": "object", "properties": { "a": below, "b": below } }));
    }
    definitions.insert("l40".to_owned(), json!({ "type": "string" }));
    let schema = json!({ "$ref": "#/$defs/l0", "$defs": definitions });
    for provider in PROVIDERS {
        assert!(lower_input(&schema, provider).schema.to_string().len() < 1 << 20);
    }
    let circle = json!({ "$ref": "#" });
    assert!(lower_input(&circle, Provider::Mcp).is_wrapped);
}

/// What is named is cheap to write and is inlined two thousand times.
#[test]
fn long_texts_behind_references_stay_within_the_budget() {
    let long = "x".repeat(60 << 10);
    let many = |name: &str| {
        let properties = (0..45).map(|at| (format!("p{at}"), json!({ "$ref": format!("#/$defs/{name}") })));
        json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "additionalProperties": false })
    };
    let pattern = "^[a-z]{0,9}".repeat(80);
    let targets = [
        json!({ "description": long }),
        json!({ "title": long }),
        json!({ "description": "\u{ad}".repeat(30 << 10) }),
        json!({ "default": long }),
        json!({ "examples": [long] }),
        json!({ "not": { "const": long }, "enum": ["a", long] }),
        json!({ "type": ["string", "integer", "number"], "pattern": pattern, "minimum": 0.1, "maximum": 9.5 }),
        json!({ "properties": { long: { "type": "string" } } }),
        json!({ "enum": std::iter::once(json!("a")).chain((0..9_000).map(Value::from)).collect::<Vec<_>>() }),
    ];
    for x in targets {
        let mut schema = many("y");
        schema["$defs"] = json!({ "x": x, "y": many("x") });
        let taken = json!({ "p0": { "p0": "a" }, "p44": { "p44": "a" } });
        for provider in PROVIDERS {
            for lowered in [lower_input(&schema, provider), lower_output(&schema, provider)] {
                assert!(!lowered.is_wrapped);
                let bytes = lowered.schema.to_string().len();
                assert!(bytes <= BYTES_MAX + 64, "{bytes} bytes by {provider:?}");
                assert_eq!(lowered.schema["properties"].as_object().unwrap().len(), 45);
            }
            // Short enough to be judged.
            let short = lowered_within(40 << 10, &schema, provider, INPUT).schema;
            assert_eq!(fits(&short, &taken), Some(true), "{provider:?}");
        }
    }
}

#[test]
fn the_longest_schema_without_references_is_lowered_whole() {
    let properties = (0..1_600).map(|at| (format!("p{at}"), json!({ "type": "string", "description": "Says" })));
    let schema = json!({ "type": "object", "properties": properties.collect::<Map<_, _>>() });
    let bytes = schema.to_string().len();
    assert!(bytes > 64 << 10, "{bytes}");
    for provider in PROVIDERS {
        assert_eq!(lower_input(&schema, provider).schema, schema);
    }
}

/// What a model reads is escaped; what values must match is not.
/// Where a schema keeps them, nobody looks; a value that tags or marks of order stand in is none that anybody types.
#[test]
fn remarks_with_hidden_characters_are_left_out() {
    let hidden = "as usual\u{e0041}\u{202e}";
    let schema = json!({
        "type": "object", "default": { "a": hidden }, "examples": [{ "a": "plain" }, { "a": hidden }],
        "properties": { "a": { "type": "string", "default": "plain", "examples": [hidden], "contentEncoding": hidden } },
    });
    for provider in PROVIDERS {
        let lowered = lower_input(&schema, provider).schema;
        let text = lowered.to_string();
        assert!(!text.contains("as usual"), "{text}");
        if provider == Provider::Mcp {
            assert_eq!(lowered["properties"]["a"], json!({ "type": "string", "default": "plain" }));
        }
    }
}

#[test]
fn descriptions_steer_nothing() {
    let (hidden, shown) = ("a\u{202e}b\u{e0041}\u{1b}[1m\n\tc", "a\\u202eb\\udb40\\udc41\\u001b[1m\n\tc");
    let below = |text: &str| json!({ "type": "string", "title": text, "description": text, "enum": [hidden], "pattern": "\u{202e}" });
    let schema = json!({
        "type": "object",
        "$defs": { "x": { "type": "string" } },
        "properties": { hidden: below(hidden), "description": { "$ref": "#/$defs/x", "description": hidden } },
        "required": [hidden],
        "description": hidden,
    });
    let expected = json!({
        "type": "object",
        "properties": { hidden: below(shown), "description": { "type": "string", "description": shown } },
        "required": [hidden],
        "description": shown,
    });
    for provider in PROVIDERS {
        assert_eq!(lower_input(&schema, provider).schema, expected, "{provider:?}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        Just(json!(1.5)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Schemas of most keywords, some with references into `$defs`.
fn schema() -> impl Strategy<Value = Value> {
    let types =
        || prop_oneof!["string", "integer", "number", "boolean", "null", "array", "object"].prop_map(Value::from);
    let leaf = prop_oneof![
        types().prop_map(|name| json!({ "type": name })),
        proptest::collection::btree_set(prop_oneof!["string", "null", "integer", "object"], 1..3)
            .prop_map(|names| json!({ "type": names })),
        value().prop_map(|value| json!({ "const": value })),
        proptest::collection::vec(value(), 1..3).prop_map(|values| {
            let mut unique: Vec<Value> = Vec::new();
            values.into_iter().for_each(|value| {
                if !unique.contains(&value) {
                    unique.push(value);
                }
            });
            json!({ "enum": unique })
        }),
        (-2..3_i64).prop_map(|least| json!({ "exclusiveMinimum": least, "type": ["integer", "null"] })),
        (0..3_u64).prop_map(|least| json!({ "minLength": least, "exclusiveMaximum": 2 })),
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({ "$ref": "#/$defs/d" })),
        Just(json!({ "$ref": "#/$defs/d", "type": "object" })),
    ];
    let inner = leaf.prop_recursive(4, 32, 4, |inner| {
        let list = || proptest::collection::vec(inner.clone(), 1..3);
        let properties = proptest::collection::btree_map("[abc]", inner.clone(), 0..3);
        prop_oneof![
            (
                properties,
                prop_oneof![Just(json!(false)), Just(json!(true)), inner.clone()],
                proptest::option::of("[abc]")
            )
                .prop_map(|(properties, more, required)| json!({
                    "type": "object", "properties": properties, "additionalProperties": more,
                    "required": required.into_iter().collect::<Vec<_>>(),
                })),
            list().prop_map(|all| json!({ "anyOf": all })),
            list().prop_map(|all| json!({ "oneOf": all })),
            list().prop_map(|all| json!({ "allOf": all, "minProperties": 0 })),
            inner.clone().prop_map(|not| json!({ "not": not })),
            (list(), inner.clone())
                .prop_map(|(first, rest)| json!({ "type": "array", "prefixItems": first, "items": rest })),
            (inner.clone(), 0..2_u64).prop_map(|(some, least)| json!({ "contains": some, "minContains": least })),
            (inner.clone(), inner.clone())
                .prop_map(|(when, then)| json!({ "if": when, "then": then, "type": "object" })),
            inner
                .clone()
                .prop_map(|below| json!({ "type": ["array", "object"], "items": below, "propertyNames": below })),
        ]
    });
    let definition = prop_oneof![
        Just(json!({ "type": "string" })),
        Just(json!({ "type": "object", "properties": { "a": { "const": 1 } }, "required": ["a"] })),
    ];
    (inner, definition).prop_map(|(mut schema, definition)| {
        if let Value::Object(keywords) = &mut schema {
            keywords.insert("$defs".to_owned(), json!({ "d": definition }));
        }
        schema
    })
}

fn has_key(value: &Value, keys: &[&str]) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| has_key(value, keys)),
        Value::Object(object) => {
            object.iter().any(|(key, value)| keys.contains(&key.as_str()) || (key != "enum" && has_key(value, keys)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A lowered schema takes all that the tool's own takes, is an object without combinators, and refers to nothing.
    #[test]
    fn lowering_never_narrows(
        schema in schema(),
        values in proptest::collection::vec(value(), 1..8),
        budget in prop_oneof![Just(BYTES_MAX), 0..400_usize],
    ) {
        for provider in PROVIDERS {
            let lowered = lowered_within(budget, &schema, provider, INPUT);
            prop_assert!(lowered.schema.to_string().len() <= budget + 128, "{} bytes: {}", budget, lowered.schema);
            let root = lowered.schema.as_object().unwrap();
            prop_assert_eq!(&root["type"], "object");
            let combinators = ["anyOf", "oneOf", "allOf", "not", "enum", "const", "if"];
            prop_assert!(!combinators.iter().any(|key| root.contains_key(*key)), "{}", lowered.schema);
            prop_assert!(!has_key(&lowered.schema, &["$ref", "$defs", "oneOf", "const"]), "{}", lowered.schema);
            if provider == Provider::Gemini {
                let unknown = ["exclusiveMinimum", "not", "allOf", "prefixItems", "additionalProperties", "contains"];
                prop_assert!(!has_key(&lowered.schema, &unknown), "{}", lowered.schema);
            }
            for value in &values {
                if fits(&schema, value) == Some(true) {
                    let given = if lowered.is_wrapped { json!({ "input": value }) } else { value.clone() };
                    prop_assert_eq!(fits(&lowered.schema, &given), Some(true), "{} of {} by {}", given, schema, lowered.schema);
                    let (given, own) = (given.to_string(), value.to_string());
                    let taken = if is_wrapped(&schema) { unwrapped_input(&given) } else { given.as_str() };
                    prop_assert_eq!(taken, own.as_str());
                    let output = if is_wrapped(&schema) { wrapped_output(&own) } else { own };
                    let output: Value = serde_json::from_str(&output).unwrap();
                    let told = lowered_within(budget, &schema, provider, OUTPUT);
                    prop_assert_eq!(fits(&told.schema, &output), Some(true), "{} by {}", output, told.schema);
                }
            }
        }
    }
}

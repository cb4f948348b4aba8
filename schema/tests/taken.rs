//! What is taken as a schema, what is refused, and that what is taken costs no more than it may: by exact counts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use serde_json::{Value, json};
use tollgate_schema::limits::{
    ENUM_VALUES_MAX, PATTERNS_MAX, PATTERNS_MEMORY_MAX, SCHEMA_BYTES_MAX, SCHEMA_SIZE_MAX, SCHEMA_VALUES_MAX, WORK_MAX,
};
use tollgate_schema::{Budget, Schema, Stop};

fn taken(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("{text:.200}: {error}")).1
}

fn refused(text: &str) -> String {
    match Schema::parse(text) {
        Ok(_) => panic!("taken: {text:.200}"),
        Err(error) => error.to_string(),
    }
}

fn problems(schema: &Value, value: &Value) -> Vec<String> {
    taken(&schema.to_string()).judge(value, &mut Budget::steps(WORK_MAX)).unwrap()
}

#[test]
fn a_usual_schema_with_definitions_is_taken() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/point"}, "to": {"$ref": "#/$defs/point"}},
        "required": ["at"],
        "additionalProperties": false,
        "$defs": {"point": {"type": "array", "items": {"type": "number"}, "format": "point", "x-unit": "mm"}}
    });
    assert_eq!(problems(&schema, &json!({"at": [1, 2.5]})), Vec::<String>::new());
    assert_eq!(
        problems(&schema, &json!({"to": [1, "x"], "by": 3})),
        [
            "at the arguments: \"at\" is a required property",
            "at `/to/1`: \"x\" is not of type \"number\"",
            "at the arguments: Additional properties are not allowed ('by' was unexpected)",
        ]
    );
    assert_eq!(problems(&json!(false), &json!(1)), ["at the arguments: nothing may stand here"]);
    assert_eq!(problems(&json!(true), &json!(1)), Vec::<String>::new());
}

#[test]
fn draft_2020_12_alone_is_taken() {
    for draft in ["http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#", "2020-12"] {
        let error = refused(&json!({"$schema": draft}).to_string());
        assert!(error.contains("only draft 2020-12") && error.contains(draft), "{error}");
    }
    assert!(refused(r#"{"$schema": 4}"#).contains("only draft 2020-12"));
    let error = refused(r#"{"properties": {"a": {"$schema": "https://json-schema.org/draft/2020-12/schema"}}}"#);
    assert!(error.contains("`#/properties/a`") && error.contains("only at the root"), "{error}");
    for keyword in [
        "$anchor",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$recursiveAnchor",
        "$recursiveRef",
        "$vocabulary",
        "additionalItems",
        "definitions",
        "dependencies",
        "disallow",
        "divisibleBy",
        "extends",
        "id",
        "nullable",
        "unevaluatedItems",
        "maxLenght",
    ] {
        for schema in [json!({keyword: "#a"}), json!({"properties": {"a": {"items": {keyword: {}}}}})] {
            let error = refused(&schema.to_string());
            assert!(error.contains(&format!("the keyword `{keyword}` is not taken: ")), "{error}");
        }
        // A property may have any name.
        taken(&json!({"properties": {keyword: true}, "required": [keyword], "x-note": {keyword: 1}}).to_string());
    }
    assert!(refused(r#"{"items": [true]}"#).contains("`prefixItems`"));
    assert!(refused(r#"{"exclusiveMaximum": true}"#).contains("must be a number"));
}

/// A draft-04 `id` moved the base of references, so that a walk over `#/…` saw no circle where the evaluation ran in one.
/// As the draft has it (`schemaArray`): other judges refuse such a schema.
#[test]
fn no_list_of_schemas_is_empty() {
    for keyword in ["prefixItems", "allOf", "anyOf", "oneOf"] {
        let error = refused(&json!({ keyword: [] }).to_string());
        assert!(error.contains(&format!("`{keyword}` is an empty list")), "{error}");
    }
}

#[test]
fn an_older_id_hides_no_recursion() {
    let hidden = r##"{"id": "http://a/", "properties": {"a": {"$ref": "http://a/#"}}}"##;
    assert!(refused(hidden).contains("the keyword `id` is not taken"));
    let with_draft =
        r##"{"$schema": "http://json-schema.org/draft-04/schema#", "id": "x:", "items": {"$ref": "x:#"}}"##;
    assert!(refused(with_draft).contains("only draft 2020-12"));
    assert!(refused(r##"{"properties": {"a": {"$ref": "http://a/#"}}}"##).contains("leads nowhere"));
}

#[test]
fn recursion_is_refused() {
    for schema in [
        r##"{"$ref": "#"}"##,
        r##"{"properties": {"a": {"$ref": "#"}}}"##,
        r##"{"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##,
        r##"{"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}"##,
        r##"{"allOf": [{"not": {"$ref": "#/allOf"}}, {"$ref": "#/allOf/0"}, {"$ref": "#/allOf/2"}]}"##,
    ] {
        let error = refused(schema);
        assert!(error.contains("recursive") || error.contains("is no schema"), "{error}");
    }
}

#[test]
fn other_documents_are_never_read() {
    for reference in
        ["file:///etc/passwd", "http://example.com/schema", "#/$defs/none", "other.json#/a", "#a", "#/%24defs"]
    {
        assert!(refused(&json!({"$ref": reference, "$defs": {}}).to_string()).contains("leads nowhere"), "{reference}");
    }
    assert!(refused(r#"{"$ref": 3}"#).contains("leads nowhere"));
}

#[test]
fn what_a_keyword_may_hold_is_checked() {
    for schema in [
        r#"{"type": "text"}"#,
        r#"{"type": 1}"#,
        r#"{"enum": 1}"#,
        r#"{"minLength": -1}"#,
        r#"{"minLength": 1.5}"#,
        r#"{"maximum": "3"}"#,
        r#"{"multipleOf": 0}"#,
        r#"{"required": "a"}"#,
        r#"{"required": [1]}"#,
        r#"{"anyOf": []}"#,
        r#"{"anyOf": {}}"#,
        r#"{"properties": []}"#,
        r#"{"properties": {"a": 1}}"#,
        r#"{"pattern": 1}"#,
        "3",
        "[]",
        r#"{"uniqueItems": 1}"#,
        r#"{"dependentRequired": {"a": 1}}"#,
        r#"{"not": null}"#,
        r#"{"pattern": "(?=a)b"}"#,
    ] {
        refused(schema);
    }
    taken(r#"{"minLength": 2.0, "maximum": 1e3, "type": ["string", "null"]}"#);
    let error = refused(r#"{"properties": {"a/b": {"anyOf": [true, {"pattern": "("}]}}}"#);
    assert!(error.starts_with("at `#/properties/a~1b/anyOf`: the pattern is not taken"), "{error}");
}

#[test]
fn size_depth_values_and_enums_have_bounds() {
    assert!(refused(&format!(r#"{{"title": "{}"}}"#, "x".repeat(SCHEMA_BYTES_MAX))).contains("bytes"));
    assert!(refused(&format!("{}true{}", r#"{"not":"#.repeat(101), "}".repeat(101))).contains("levels"));
    assert!(refused(&format!("{}true{}", r#"{"not":"#.repeat(1000), "}".repeat(1000))).contains("recursion limit"));
    taken(&format!("{}true{}", r#"{"not":"#.repeat(90), "}".repeat(90)));
    let chain: Vec<String> = (0..1500).map(|at| format!(r##""d{at}": {{"$ref": "#/$defs/d{}"}}"##, at + 1)).collect();
    let down = format!(r##"{{"$defs": {{{}, "d1500": true}}, "$ref": "#/$defs/d0"}}"##, chain.join(","));
    let up = format!(
        r##"{{"$defs": {{"d1500": true, {}}}, "$ref": "#/$defs/d0"}}"##,
        chain.iter().rev().map(String::as_str).collect::<Vec<_>>().join(",")
    );
    [down, up].iter().for_each(|schema| assert!(refused(schema).contains("levels")));
    let numbers = |count: usize| Value::from((0..count).collect::<Vec<_>>());
    taken(&json!({"enum": numbers(ENUM_VALUES_MAX)}).to_string());
    assert!(refused(&json!({"enum": numbers(ENUM_VALUES_MAX + 1)}).to_string()).contains("1025 values"));
    assert!(
        refused(&json!({"default": numbers(SCHEMA_VALUES_MAX)}).to_string()).contains("more than 10000 JSON values")
    );
}

/// The work of references is bounded, not only their circles: forty definitions that each refer to the one before twice are
/// 2^40 checks from a text of 4 KiB.
#[test]
fn doubling_by_references_is_refused() {
    let doubling = |levels: usize| {
        let mut definitions = json!({"d0": {"type": "integer"}});
        for level in 1..=levels {
            let before = json!({"$ref": format!("#/$defs/d{}", level - 1)});
            definitions[format!("d{level}")] = json!({"allOf": [before, before]});
        }
        json!({"$defs": definitions, "$ref": format!("#/$defs/d{levels}")}).to_string()
    };
    assert!(refused(&doubling(40)).contains("over 10000 checks"));
    assert!(refused(&doubling(11)).contains("over 10000 checks"));
    let schema = taken(&doubling(9));
    assert!(schema.size() <= SCHEMA_SIZE_MAX && schema.schemas() < 50, "{} {}", schema.size(), schema.schemas());
    let mut budget = Budget::steps(WORK_MAX);
    assert_eq!(schema.judge(&json!(1), &mut budget), Ok(Vec::new()));
    assert!(WORK_MAX - budget.left() <= schema.size(), "one value costs what `size` says");
}

/// 64 KiB of patterns took 2.3 GiB and a minute.
#[test]
fn patterns_take_two_mebibytes_at_most() {
    let heavy = |pattern: &str, count: usize| {
        let all: Vec<_> = (0..count).map(|at| json!({"pattern": format!("{pattern}{at}")})).collect();
        json!({"anyOf": all}).to_string()
    };
    for pattern in [r"^[\p{L}\p{N}]{1,1000}$", r"(?:(?:\w{1,100}){1,100}){1,100}", r"\p{L}{100}"] {
        let error = refused(&heavy(pattern, 60));
        assert!(error.contains("takes more than 524288 bytes"), "{error}");
    }
    let error = refused(&heavy(r"\p{L}{1,14}x", 60));
    assert!(error.contains("takes more than ") && !error.contains("than 524288"), "all of them together: {error}");
    let schema = taken(&heavy(r"^(?:a{1,9}){1,9}", PATTERNS_MAX));
    assert!(schema.pattern_bytes() <= PATTERNS_MEMORY_MAX, "{}", schema.pattern_bytes());
    assert!(refused(&heavy("a", PATTERNS_MAX + 1)).contains("more than 64 patterns"));
    let names: Value =
        (0..=PATTERNS_MAX).map(|at| (format!("a{at}"), json!(true))).collect::<serde_json::Map<_, _>>().into();
    assert!(refused(&json!({"patternProperties": names}).to_string()).contains("more than 64 patterns"));
}

/// Whatever schema and value are, no more steps are done than there are, and it is said when they are spent.
#[test]
fn no_value_costs_more_steps_than_the_budget() {
    let numbers = |count: i32| Value::from((0..count).collect::<Vec<_>>());
    let text = |bytes: usize| Value::from("a".repeat(bytes));
    let choices = |count: usize| {
        let mut choices = vec![json!({"type": "string", "maxLength": 0}); count];
        choices.push(json!({"not": {"type": "object"}}));
        Value::from(choices)
    };
    let cases = [
        ("items", json!({"items": {"anyOf": choices(500)}}), numbers(100_000)),
        ("pattern", json!({"pattern": "(a{1,50}){1,50}b"}), text(1 << 20)),
        ("names", json!({"patternProperties": {"(a{1,50}){1,50}b": true}}), json!({"a".repeat(1 << 20): 1})),
        ("enum", json!({"items": {"enum": numbers(1000)}}), Value::from(vec![json!(999); 100_000])),
        ("contains", json!({"contains": {"anyOf": choices(500)}}), numbers(100_000)),
        ("unique", json!({"uniqueItems": true}), numbers(1_000_000)),
        ("unevaluated", json!({"unevaluatedProperties": false, "anyOf": choices(2000)}), json!({"a": 1})),
    ];
    for (name, schema, value) in cases {
        let schema = taken(&schema.to_string());
        let mut budget = Budget::steps(100_000);
        let judged = schema.judge(&value, &mut budget);
        if name == "unevaluated" {
            assert!(judged.is_ok_and(|problems| !problems.is_empty()), "{name}");
        } else {
            assert_eq!(judged, Err(Stop::Work), "{name}");
        }
    }
}

/// The counts of usual values are those that one would expect: steps grow with what is there, and with nothing else.
#[test]
fn steps_are_counted_exactly() {
    let spent = |schema: &Value, value: &Value| {
        let mut budget = Budget::steps(WORK_MAX);
        taken(&schema.to_string()).judge(value, &mut budget).unwrap();
        WORK_MAX - budget.left()
    };
    let list = |count: usize| Value::from(vec![1; count]);
    let of_numbers = json!({"items": {"type": "number"}});
    // The list and its check; each element and its check.
    assert_eq!([0, 1, 1000].map(|count| spent(&of_numbers, &list(count))), [2, 4, 2002]);
    assert_eq!(spent(&json!({"enum": [1, 2, 3]}), &json!(3)), 2 + 3);
    assert_eq!(spent(&json!({"maxLength": 9999}), &json!("x".repeat(1600))), 2 + 100);
    let referred = json!({"$defs": {"a": {"type": "number"}}, "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]});
    assert_eq!(spent(&referred, &json!(1)), 2 + 2 * (2 + 2));
}

#[test]
fn a_deadline_that_is_over_ends_it() {
    let schema = taken(r#"{"type": "object"}"#);
    let mut budget = Budget::until(std::time::Instant::now());
    assert_eq!(schema.judge(&json!({}), &mut budget), Err(Stop::Deadline));
}

#[test]
fn problems_are_few_and_short() {
    let schema = json!({"items": {"type": "string", "pattern": "^a"}, "maxItems": 1});
    let value = Value::from(vec![json!({"long": "x".repeat(1 << 20)}); 1000]);
    let told = problems(&schema, &value);
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|problem| problem.len() < 300), "{told:?}");
    let deep = problems(&json!({"additionalProperties": {"type": "null"}}), &json!({"n".repeat(1 << 20): 1}));
    assert!(deep[0].len() < 300, "{}", deep[0].len());
}

#[test]
fn unevaluated_properties_are_those_that_no_keyword_knows() {
    let schema = json!({
        "properties": {"a": true},
        "anyOf": [{"properties": {"b": {"type": "number"}}, "required": ["b"]}, {"required": ["c"], "properties": {"c": true}}],
        "$ref": "#/$defs/more",
        "$defs": {"more": {"patternProperties": {"^x": true}}},
        "unevaluatedProperties": false
    });
    for (value, fits) in [
        (json!({"a": 1, "b": 2, "x1": 3}), true),
        (json!({"a": 1, "c": 2}), true),
        (json!({"b": 1, "c": 2}), true),
        (json!({"b": 1, "d": 2}), false),
        (json!({"b": "no", "c": 2}), false),
    ] {
        assert_eq!(problems(&schema, &value).is_empty(), fits, "{value}");
    }
}

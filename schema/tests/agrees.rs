//! Judges as another implementation does (the `jsonschema` crate), on schemas and values made at random from few words, so
//! that both fit and do not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_schema::{Budget, Schema};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_say_the_same(schema in schemas(), values in prop::collection::vec(values(), 1..6)) {
        let (read, ours) = Schema::parse(&schema.to_string()).unwrap();
        prop_assert_eq!(&read, &schema);
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        let theirs = options.build(&schema).unwrap();
        for value in values {
            let problems = ours.judge(&value, &mut Budget::steps(u64::MAX)).unwrap();
            prop_assert_eq!(problems.is_empty(), theirs.is_valid(&value), "{} under {}: {:?}", value, schema, problems);
        }
    }
}

fn numbers() -> impl Strategy<Value = Value> {
    let all = ["0", "1", "1.0", "2", "-1", "0.5", "1.5", "3", "1e3", "9007199254740993", "18446744073709551615"];
    prop::sample::select(all.to_vec()).prop_map(|text| serde_json::from_str(text).unwrap())
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "ab", "c"]).prop_map(str::to_owned)
}

fn texts() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["", "a", "é", "ab", "aab", "12", "a b"]).prop_map(Value::from)
}

fn values() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![numbers(), texts(), any::<bool>().prop_map(Value::from), Just(Value::Null)];
    plain.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner).prop_map(Value::from),
        ]
    })
}

fn members(inner: impl Strategy<Value = Value> + Clone + 'static) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((names(), inner), 0..4).prop_map(|members| members.into_iter().collect())
}

fn schemas() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        1 => any::<bool>().prop_map(Value::from),
        8 => prop::collection::vec(plain_keywords(), 0..3).prop_map(merged),
    ];
    let nested = plain.prop_recursive(3, 24, 3, |inner| {
        prop::collection::vec(prop_oneof![plain_keywords(), nested_keywords(inner)], 1..4).prop_map(merged)
    });
    (nested, prop::collection::vec(plain_keywords(), 0..2)).prop_map(|(schema, definition)| {
        // One definition, which is referred to beside what else there is.
        let Value::Object(mut keywords) = schema else { return schema };
        keywords.insert("$defs".to_owned(), json!({"one": merged(definition)}));
        let reference = json!([{"$ref": "#/$defs/one"}, {"$ref": "#/$defs/one"}]);
        keywords.entry("anyOf").or_insert(reference);
        Value::Object(keywords)
    })
}

fn merged(all: Vec<Map<String, Value>>) -> Value {
    all.into_iter().flatten().collect::<Map<_, _>>().into()
}

fn one(name: &'static str, value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Map<String, Value>> {
    value.prop_map(move |value| [(name.to_owned(), value)].into_iter().collect()).boxed()
}

fn plain_keywords() -> BoxedStrategy<Map<String, Value>> {
    let kinds = ["null", "boolean", "integer", "number", "string", "array", "object"];
    let kind = prop::sample::select(kinds.to_vec());
    let count = || (0_u64..4).prop_map(Value::from);
    let name_list = || prop::collection::btree_set(names(), 0..3).prop_map(|names| json!(names));
    let pattern = || prop::sample::select(vec!["^a", "b$", r"^\d+$", "^[^a]*$", "a.b", "é"]).prop_map(Value::from);
    prop_oneof![
        one("type", kind.clone().prop_map(Value::from)),
        one("type", prop::collection::btree_set(kind, 1..3).prop_map(|kinds| json!(kinds))),
        one("enum", prop::collection::vec(values(), 1..4).prop_map(Value::from)),
        one("const", values()),
        one("minimum", numbers()),
        one("maximum", numbers()),
        one("exclusiveMinimum", numbers()),
        one("exclusiveMaximum", numbers()),
        one("multipleOf", prop::sample::select(vec![json!(1), json!(2), json!(0.5)])),
        one("minLength", count()),
        one("maxLength", count()),
        one("pattern", pattern()),
        one("minItems", count()),
        one("maxItems", count()),
        one("uniqueItems", any::<bool>().prop_map(Value::from)),
        one("minProperties", count()),
        one("maxProperties", count()),
        one("required", name_list()),
        one("dependentRequired", name_list().prop_map(|names| json!({"a": names}))),
    ]
    .boxed()
}

fn nested_keywords(inner: impl Strategy<Value = Value> + Clone + 'static) -> BoxedStrategy<Map<String, Value>> {
    let inner = inner.boxed();
    let list = || prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
    let named = || members(inner.clone()).prop_map(Value::from);
    let keyword = |name: &'static str| one(name, inner.clone());
    let condition = (inner.clone(), inner.clone(), inner.clone()).prop_map(|(condition, then, otherwise)| {
        let all = [("if", condition), ("then", then), ("else", otherwise)];
        all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
    });
    let contained = (inner.clone(), 0_u64..3, 1_u64..4).prop_map(|(what, min, max)| {
        let all = [("contains", what), ("minContains", min.into()), ("maxContains", max.into())];
        all.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
    });
    let patterned = inner.clone().prop_map(|schema| json!({"^a": schema}));
    prop_oneof![
        keyword("items"),
        one("prefixItems", list()),
        keyword("contains"),
        contained,
        one("properties", named()),
        one("patternProperties", patterned),
        keyword("additionalProperties"),
        keyword("unevaluatedProperties"),
        keyword("propertyNames"),
        one("dependentSchemas", named()),
        one("allOf", list()),
        one("anyOf", list()),
        one("oneOf", list()),
        keyword("not"),
        condition,
    ]
    .boxed()
}

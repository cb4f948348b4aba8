//! What `#[tool]` makes of functions: names and order, schemas, arguments and their errors, answers. This crate is one tool
//! whose operations are below.
#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tollgate_guest::{Error, Operation, invoke, operations, tool};

/// Greets someone
/// by name.
///
/// - politely
#[tool]
fn greet(
    /// Who is greeted.
    name: String,
    /// A title before
    /// the name.
    title: Option<String>,
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 3))]
    times: u32,
) -> Result<Greeting, Error> {
    if times == 0 {
        return Err(Error::new("no-greeting", "`times` is 0"));
    }
    let title = title.map(|title| title + " ").unwrap_or_default();
    Ok(Greeting { text: format!("Hello, {title}{name}!"), times })
}

fn once() -> u32 {
    1
}

/// What is said.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
struct Greeting {
    text: String,
    times: u32,
}

/// Needs nothing.
#[tool(name = "needs-nothing")]
fn unit() -> Result<(), Error> {
    Ok(())
}

/// Prices a basket. The parameter has the name of the function.
#[tool]
fn total(mut total: Vec<Item>, r#type: Kind) -> Result<f64, Refused> {
    total.retain(|item| item.count > 0);
    if total.is_empty() {
        return Err(Refused::Empty);
    }
    let sum: f64 = total.iter().map(|item| item.price * f64::from(item.count)).sum();
    Ok(if r#type == Kind::Discounted { sum / 2.0 } else { sum })
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Item {
    price: f64,
    #[serde(default)]
    count: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Full,
    Discounted,
}

enum Refused {
    Empty,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Empty => Self::new("empty", "the basket is empty: put something in"),
        }
    }
}

type Answer<T> = Result<T, Error>;

/// Answers with a map that JSON cannot write.
#[tool]
fn no_json() -> Answer<BTreeMap<Vec<u8>, u8>> {
    Ok(BTreeMap::from([(vec![1], 1)]))
}

/// A list in a list.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Tree {
    below: Vec<Self>,
}

mod elsewhere {
    use super::{Error, Tree};

    /// Takes any tree.
    #[tollgate_guest::tool]
    pub(super) fn walk(tree: Tree) -> Result<usize, Error> {
        Ok(tree.below.len())
    }
}

fn operation(name: &str) -> Operation {
    operations().into_iter().find(|operation| operation.name == name).unwrap()
}

/// The schema of a function's arguments, but for the word that names the draft.
fn input(name: &str) -> Value {
    let mut schema: Value = serde_json::from_str(&operation(name).input_schema).unwrap();
    schema.as_object_mut().unwrap().remove("$schema").unwrap();
    schema
}

fn refused(name: &str, arguments: Value) -> String {
    let error = invoke(name, &arguments.to_string()).unwrap_err();
    assert_eq!(error.code, "invalid-arguments");
    error.message
}

#[test]
fn operations_are_in_the_order_of_the_source() {
    let names: Vec<String> = operations().into_iter().map(|operation| operation.name).collect();
    assert_eq!(names, ["greet", "needs-nothing", "total", "no-json", "walk"]);
}

#[test]
fn the_description_is_the_whole_doc_comment() {
    assert_eq!(operation("greet").description, "Greets someone by name.\n\n- politely");
}

#[test]
fn the_function_stays_as_it_is() {
    assert_eq!(greet("Ada".into(), None, 1).unwrap(), Greeting { text: "Hello, Ada!".into(), times: 1 });
    assert_eq!(elsewhere::walk(Tree { below: Vec::new() }).unwrap(), 0);
}

#[test]
fn each_parameter_is_a_property() {
    let expected = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "Who is greeted." },
            "title": { "type": ["string", "null"], "description": "A title before the name." },
            "times": { "type": "integer", "format": "uint32", "default": 1, "minimum": 1, "maximum": 3 },
        },
        "required": ["name"],
        "additionalProperties": false,
    });
    assert_eq!(input("greet"), expected);
    assert_eq!(input("needs-nothing"), json!({ "type": "object", "additionalProperties": false }));
    let properties = &input("total")["properties"];
    assert_eq!(properties["type"]["enum"], json!(["full", "discounted"]));
    assert_eq!(properties["total"]["items"]["required"], json!(["price"]));
}

#[test]
fn schemas_say_that_they_are_of_draft_2020_12() {
    for operation in operations() {
        for schema in [&operation.input_schema, &operation.output_schema] {
            let schema: Value = serde_json::from_str(schema).unwrap();
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{}", operation.name);
        }
    }
}

#[test]
fn the_answer_has_a_schema_without_references() {
    let output = operation("greet").output_schema;
    assert!(!output.contains("$ref") && !output.contains("title"), "{output}");
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(output["required"], json!(["text", "times"]));
    assert_eq!(output["description"], "What is said.");
}

#[test]
fn a_type_that_refers_to_itself_shows_it() {
    let schema = operation("walk").input_schema;
    let value: Value = serde_json::from_str(&schema).unwrap();
    assert!(value["$defs"]["Tree"].is_object(), "{schema}");
}

#[test]
fn answers_are_json() {
    let answer = invoke("greet", r#"{"name": "Ada", "title": "Countess", "times": 2}"#).unwrap();
    assert_eq!(answer, r#"{"text":"Hello, Countess Ada!","times":2}"#);
    assert_eq!(invoke("needs-nothing", "{}").unwrap(), "null");
    let basket = json!({ "total": [{ "price": 1.5, "count": 3 }], "type": "full" }).to_string();
    assert_eq!(invoke("total", &basket).unwrap(), "4.5");
}

#[test]
fn the_tools_own_errors_have_their_code_and_message() {
    let error = invoke("total", r#"{"total": [], "type": "full"}"#).unwrap_err();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("empty", "the basket is empty: put something in"));
    assert_eq!(invoke("greet", r#"{"name": "", "times": 0}"#).unwrap_err().code, "no-greeting");
    assert_eq!(invoke("no-json", "{}").unwrap_err().code, "invalid-answer");
    let error = invoke("greeting", "{}").unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("unknown-operation", "this tool has no operation \"greeting\"")
    );
}

#[test]
fn errors_of_arguments_name_the_path() {
    assert_eq!(refused("greet", json!({})), "missing field `name`");
    assert_eq!(refused("greet", json!({ "name": 1 })), "at name: invalid type: integer `1`, expected a string");
    assert_eq!(
        refused("greet", json!({ "name": "", "nmae": "" })),
        "at nmae: unknown field `nmae`, expected one of `name`, `title`, `times`"
    );
    let items = json!({ "total": [{ "price": 1 }, { "price": 1 }, { "price": "1" }], "type": "full" });
    assert_eq!(refused("total", items), "at total[2].price: invalid type: string \"1\", expected f64");
    let items = json!({ "total": [{ "price": 1 }, { "count": 1 }], "type": "full" });
    assert_eq!(refused("total", items), "at total[1]: missing field `price`");
    let kind = refused("total", json!({ "total": [], "type": "half" }));
    assert_eq!(kind, "at type: unknown variant `half`, expected `full` or `discounted`");
}

#[test]
fn text_that_is_no_json_is_refused_with_its_position() {
    let message = |text: &str| invoke("greet", text).unwrap_err().message;
    assert_eq!(message(""), "EOF while parsing a value at line 1 column 0");
    assert_eq!(message(r#"{"name": "Ada"} x"#), "trailing characters at line 1 column 17");
    assert_eq!(message("[1"), "at [0]: invalid type: integer `1`, expected a string");
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["name|title|times|total|type|price|count|tree|below", ".{0,4}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}|full|discounted".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_an_operation_panic(name in "greet|needs-nothing|total|no-json|walk|.{0,8}", arguments in any_json()) {
        if let Err(error) = invoke(&name, &arguments.to_string()) {
            prop_assert!(!error.code.is_empty() && !error.message.is_empty());
        }
    }

    #[test]
    fn no_text_makes_an_operation_panic(name in "greet|total|walk", arguments in ".{0,64}|[\\[\\]{}\",:0-9a-e.-]{0,64}") {
        prop_assert!(invoke(&name, &arguments).is_err());
    }
}

#[test]
fn depth_is_an_error_and_no_overflow_of_the_stack() {
    let arguments = format!("{}{}", r#"{"below": ["#.repeat(100_000), "]}".repeat(100_000));
    let message = invoke("walk", &format!(r#"{{"tree": {arguments}}}"#)).unwrap_err().message;
    assert!(message.contains("recursion limit exceeded"), "{}", &message[..200.min(message.len())]);
}

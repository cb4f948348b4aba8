//! json-query: needs nothing; caps hold for what only computes too.

use serde_json::{Value, json};
use tollgate::{CallError, RejectError};
use tollgate_audit::Kind;
use tollgate_workspace::{Lab, guest};

use crate::refusal;

/// The document of the README's examples.
const INVOICE: &str = include_str!("../../example-tools/json-query/samples/invoice.json");

fn arguments(key: &str, value: &str) -> String {
    let document: Value = serde_json::from_str(INVOICE).unwrap();
    json!({ "document": document, key: value }).to_string()
}

#[test]
fn it_works_without_any_grant_and_asks_for_nothing() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("json-query"), &[]);
    let item = lab.answer(&tool, "query", &arguments("pointer", "/items/1/name"));
    assert_eq!(item, json!({ "value": "ink, black" }));
    assert_eq!(lab.answer(&tool, "keys", &arguments("pointer", "/customer")), json!({ "keys": ["city", "name"] }));
    assert_eq!(lab.answer(&tool, "keys", &arguments("pointer", "/items")), json!({ "length": 3 }));
    let expensive = arguments("expression", "items[?price > `10`].name | sort(@)");
    assert_eq!(lab.answer(&tool, "search", &expensive), json!({ "value": ["fountain pen"] }));
    assert_eq!(lab.verified().count(Kind::Intent), 0);
}

/// One expression or more for each kind, after the specification's own examples (<https://jmespath.org/specification.html>).
#[test]
fn jmespath_is_understood() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("json-query"), &[]);
    let document =
        json!({ "a": { "b": [0, 1, 2, 3] }, "people": [{ "n": "Ada", "y": 1815 }, { "n": "Alan", "y": 1912 }] });
    for (expression, value) in [
        ("a.b[-1]", json!(3)),
        ("a.b[1:3]", json!([1, 2])),
        ("a.b[::-1]", json!([3, 2, 1, 0])),
        ("people[*].n", json!(["Ada", "Alan"])),
        ("people[?y < `1900`] | [0].n", json!("Ada")),
        ("people[].{name: n, born: y}", json!([{ "name": "Ada", "born": 1815 }, { "name": "Alan", "born": 1912 }])),
        ("max_by(people, &y).n", json!("Alan")),
        ("length(a.b) == `4` && !nothing", json!(true)),
        ("sum(a.b)", json!(6.0)),
        ("join(', ', people[*].n)", json!("Ada, Alan")),
        ("nothing.at.all", json!(null)),
    ] {
        let arguments = json!({ "document": document, "expression": expression }).to_string();
        assert_eq!(lab.answer(&tool, "search", &arguments), json!({ "value": value }), "{expression}");
    }
    for expression in ["people[", "nofunction(a)", "length(`1`)", ""] {
        let arguments = json!({ "document": document, "expression": expression });
        assert_eq!(refusal(&mut lab, &tool, "search", &arguments).0, "invalid-expression", "{expression}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("json-query"), &[]);
    let nowhere = refusal(&mut lab, &tool, "query", &json!({ "document": {}, "pointer": "/a" }));
    assert_eq!(nowhere, ("not-found".to_owned(), "nothing is at \"/a\"".to_owned()));
    assert_eq!(refusal(&mut lab, &tool, "keys", &json!({ "document": 1 })).0, "not-a-container");
    for arguments in [json!({}), json!({ "document": {}, "pointer": "a" }), json!({ "document": {}, "deep": true })] {
        let failure = lab.failure(&tool, "query", &arguments.to_string());
        assert!(matches!(failure.error, CallError::Rejected(RejectError::Schema { .. })), "{failure:?}");
    }
}

#[test]
fn what_costs_too_much_is_ended() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("json-query"), &["limit:fuel=20000000"]);
    let search = |numbers: u32| {
        let document: Vec<u32> = (0..numbers).rev().collect();
        json!({ "document": document, "expression": "sort(@)[0]" }).to_string()
    };
    assert_eq!(lab.answer(&tool, "search", &search(1_000)), json!({ "value": 0 }));
    let failure = lab.failure(&tool, "search", &search(50_000));
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap.as_str(), hit.limit), ("fuel", 20_000_000));
    lab.verified();
}

//! dice: randomness, reproducible where a seed is granted.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, guest};

use crate::{refusal, without_grants};

/// By this name `get-random-u64` is denied too.
const RANDOM_BYTES: &str = "wasi:random/random.get-random-bytes";

fn roll(expression: &str) -> String {
    json!({ "expression": expression }).to_string()
}

/// What the dice of the answer show.
fn results(answer: &Value) -> Vec<u64> {
    let dice = answer["dice"].as_array().unwrap().iter().flat_map(|dice| dice["results"].as_array().unwrap());
    dice.map(|result| result.as_u64().unwrap()).collect()
}

#[test]
fn dice_are_rolled_and_added_up() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("dice"), &["random=secure"]);
    let answer = lab.answer(&tool, "roll", &roll("500d6+2"));
    let results = results(&answer);
    assert_eq!(results.len(), 500);
    assert_eq!(results.iter().copied().collect::<BTreeSet<_>>(), (1..=6).collect());
    assert_eq!(answer["total"], results.iter().sum::<u64>() + 2);
    let (one, other) = (lab.answer(&tool, "roll", &roll("20d1000")), lab.answer(&tool, "roll", &roll("20d1000")));
    assert_ne!(one, other);
    assert_eq!(refusal(&mut lab, &tool, "roll", &json!({ "expression": "3x6" })).0, "invalid-expression");
    assert_eq!(refusal(&mut lab, &tool, "roll", &json!({ "expression": "1001d6" })).0, "invalid-expression");
}

#[test]
fn the_same_seed_gives_the_same_rolls() {
    let mut lab = Lab::new();
    let tool = lab.tool(guest("dice"), &["random=seed:42"]);
    let first = lab.answer(&tool, "roll", &roll("20d1000"));
    assert_eq!(lab.answer(&tool, "roll", &roll("20d1000")), first, "in every call");
    let another = lab.tool(guest("dice"), &["random=seed:43"]);
    assert_ne!(lab.answer(&another, "roll", &roll("20d1000")), first);
}

#[test]
fn without_randomness_there_is_no_roll() {
    assert_eq!(without_grants("dice").toml_lines(), "[tools.dice]\nrandom = \"secure\"");
    let mut lab = Lab::new();
    let mut set = lab.set(guest("dice"), &["random=secure"]);
    set.random = None;
    let tool = lab.tool_with(guest("dice"), set).unwrap();
    lab.killed(&tool, "roll", &roll("1d6"), Denied::not_granted(RANDOM_BYTES, "random"));
    assert_eq!(lab.answer(&tool, "roll", &roll("6"))["total"], 6, "a number is no die");
}

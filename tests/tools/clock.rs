//! clock: the wall clock, real, coarse and frozen.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tollgate::Tool;
use tollgate_capability::COARSE_CLOCK_NS;
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, guest};

use crate::{refusal, without_grants};

fn clock(lab: &mut Lab, mode: &str) -> Tool {
    lab.tool(guest("clock"), &[&format!("clock:wall={mode}")])
}

fn watched(lab: &mut Lab, tool: &Tool) -> Value {
    lab.answer(tool, "watch", r#"{"readings": 1000}"#)
}

/// An instant of an answer, in nanoseconds.
fn instant_ns(instant: &Value) -> u128 {
    let part = |name: &str| u128::from(instant[name].as_u64().unwrap());
    part("unix_seconds") * 1_000_000_000 + part("nanoseconds")
}

#[allow(clippy::disallowed_methods, reason = "what the tool tells is compared with it")]
fn host_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_nanos()
}

#[test]
fn a_real_clock_tells_the_time() {
    let mut lab = Lab::new();
    let tool = clock(&mut lab, "real");
    let before = host_ns();
    let now = lab.answer(&tool, "now", "{}");
    assert!((before..=host_ns()).contains(&instant_ns(&now)), "{now}");
    let utc = now["utc"].as_str().unwrap();
    assert!(
        utc.starts_with("20") && utc.ends_with('Z') && utc.len() == "2024-02-29T12:00:00.000000000Z".len(),
        "{utc}"
    );
    assert!(watched(&mut lab, &tool)["ticks"].as_u64().unwrap() > 100);
    lab.verified();
}

#[test]
fn a_coarse_clock_goes_in_steps_of_a_tenth_of_a_second() {
    let mut lab = Lab::new();
    let tool = clock(&mut lab, "coarse");
    let now = lab.answer(&tool, "now", "{}");
    assert_eq!(instant_ns(&now) % u128::from(COARSE_CLOCK_NS), 0);
    let watched = watched(&mut lab, &tool);
    assert!(watched["ticks"].as_u64().unwrap() < 100, "{watched}");
    assert_eq!(instant_ns(&watched["last"]) % u128::from(COARSE_CLOCK_NS), 0);
}

#[test]
fn a_frozen_clock_stands_still_for_a_call() {
    let mut lab = Lab::new();
    let tool = clock(&mut lab, "frozen");
    let watched = watched(&mut lab, &tool);
    assert_eq!((&watched["first"], &watched["ticks"]), (&watched["last"], &json!(0)));
}

#[test]
fn without_a_clock_there_is_no_time() {
    assert_eq!(without_grants("clock").toml_lines(), "[tools.clock]\nclocks.wall = \"real\"");
    let mut lab = Lab::new();
    let mut set = lab.set(guest("clock"), &["clock:wall=real"]);
    set.wall_clock = None;
    let tool = lab.tool_with(guest("clock"), set).unwrap();
    let denied = Denied::not_granted("wasi:clocks/wall-clock.now", "clocks.wall");
    lab.killed(&tool, "now", "{}", denied);
    let days = lab.answer(&tool, "days-between", r#"{"from": "2024-02-28", "to": "2024-03-01"}"#);
    assert_eq!(days, json!({ "days": 2 }), "what only computes goes on");
    assert_eq!(lab.answer(&tool, "weekday", r#"{"date": "2024-02-29"}"#), json!({ "weekday": "Thursday" }));
    assert_eq!(refusal(&mut lab, &tool, "weekday", &json!({ "date": "2023-02-29" })).0, "invalid-date");
}

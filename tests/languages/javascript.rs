//! `fill-in`: JavaScript that computes, and makes no host call at all.

use std::path::PathBuf;

use serde_json::json;
use tollgate_workspace::foreign::missing;

use crate::project::{Project, installed};

pub(crate) fn a_tool_in_javascript((): ()) {
    let package = installed("js/node_modules/@bytecodealliance/componentize-js");
    with(package.and(installed("js/node_modules")));
}

/// With the packages that have componentize-js among them, where there are some.
pub(crate) fn with(modules: Option<PathBuf>) {
    let Some(modules) = modules else {
        return missing("componentize-js in target/languages/js", "npm.log");
    };
    let fill_in = Project::build("fill-in", ("node_modules", &modules));
    let values = json!({ "name": "Ada", "sum": { "amount": 3 } });
    let said =
        fill_in.run("fill", &json!({ "template": "{{name}} owes {{sum.amount}} {{unit}}", "values": values }), &[]);
    assert_eq!(said.answer(), &json!({ "text": "Ada owes 3 {{unit}}", "missing": ["unit"] }));
    assert_eq!(said.intents(), [], "it asks for nothing");

    let strict = fill_in.run("fill", &json!({ "template": "{{a}}", "values": {}, "strict": true }), &[]);
    assert_eq!(strict.refusal(), ("missing-values", "no value for a: add them to `values`"));

    let wrong = fill_in.run("fill", &json!({ "template": 1, "values": {} }), &[]);
    assert_eq!(wrong.exit, 2, "{}", wrong.json);

    let many = json!({ "template": "{{a}}".repeat(20_000) });
    let said = fill_in.run("placeholders", &many, &["limit:fuel=5000000"]);
    assert_eq!(said.cap(), "fuel");
    let said = fill_in.run("placeholders", &many, &["limit:memory=10MiB"]);
    assert_eq!(said.cap(), "memory");
}

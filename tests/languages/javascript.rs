//! `fill-in`: JavaScript that computes, and makes no host call at all.

use serde_json::json;

use crate::project::{Project, installed_or_missing};

pub(crate) fn a_tool_in_javascript((): ()) {
    if installed_or_missing("js/node_modules/@bytecodealliance/componentize-js").is_none() {
        return;
    }
    let Some(modules) = installed_or_missing("js/node_modules") else { return };
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

//! `fill-in`: JavaScript that computes, and makes no host call at all.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use tollgate_workspace::foreign::missing;

use crate::project::{Project, copy, installed, installed_or_missing, repository, scratch};

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

/// A build with all features of componentize-js imports `wasi:http`.
pub(crate) fn http_is_linked_and_denied((): ()) {
    let Some(modules) = installed_or_missing("js/node_modules") else { return };
    let source = scratch().join("http-source");
    fs::remove_dir_all(&source).ok();
    copy(&repository().join("guest-sdk/javascript"), &source.join("vendor"));
    let change = |file: &str, from: &str, to: &str| {
        let file = source.join("vendor").join(file);
        let text = fs::read_to_string(&file).expect("a file of the SDK");
        assert!(text.contains(from), "{from:?} is not in {}", file.display());
        fs::write(file, text.replace(from, to)).expect("a file");
    };
    change("build.mjs", "disableFeatures: ['clocks', 'fetch-event', 'http', 'stdio']", "disableFeatures: []");
    change("library.js", "['fetch', ", "[");
    fs::write(source.join("tool.js"), FETCHES).expect("a file");
    fs::write(source.join("tool.toml"), FETCHES_MANIFEST).expect("a file");
    let fetches = Project::build_from(&source, "fetches", ("node_modules", &modules));

    let grants = ["stdio=stdin,stdout,stderr", "clock:wall=real", "clock:monotonic=real", "random=secure"];
    let said = fetches.run("greet", &json!({}), &grants);
    assert_eq!(said.answer(), "hello", "it loads, and what it does without HTTP goes on");
    let said = fetches.run("fetch", &json!({ "url": "http://127.0.0.1:9/" }), &grants);
    let error = &said.json["error"];
    assert_eq!((said.exit, error["rule"].as_str()), (3, Some("net")), "{}", said.json);
    assert_eq!(error["subject"], "an HTTP request", "{}", said.json);
    let denied: Vec<_> =
        said.intents().into_iter().filter(|(function, _)| function.starts_with("wasi:http/")).collect();
    assert_eq!(denied.len(), 1, "the first call is the last: {denied:?}");
    assert_eq!(denied[0].1, "net");
}

const FETCHES: &str = "import { tool } from './vendor/tollgate-guest.js';
tool({ name: 'greet', description: 'Greets.', input: { type: 'object' }, output: {} }, () => 'hello');
tool({ name: 'fetch', description: 'Fetches.', input: { type: 'object' }, output: {} },
  async ({ url }) => (await fetch(url)).status);
";

const FETCHES_MANIFEST: &str = r#"
[tool]
name = "fetches"
version = "0.1.0"
description = "Fetches."
[[operations]]
name = "greet"
[[operations]]
name = "fetch"
[needs]
random = "secure"
clocks.wall = "real"
clocks.monotonic = "real"
stdio = ["stdin", "stdout", "stderr"]
"#;

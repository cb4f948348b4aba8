//! Row 10: untrusted bytes cause no work outside the caps, and every request is on record before they cause any.

use std::fs;

use serde_json::{Value, json};

use super::component::with_schema;
use super::machine;
use super::ran::{Ran, Stop, Verdict};
use super::scene::Scene;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("a schema of many large patterns", |scene| {
        // A thirtieth of the longest schema: each pattern takes a twentieth of a second and 4 MiB.
        let patterns = (0..PATTERNS).map(|n| format!("{{\"pattern\":\"{PATTERN}-{n}\"}}"));
        let schema = format!("{{\"type\":\"object\",\"allOf\":[{}]}}", patterns.collect::<Vec<_>>().join(","));
        costly(scene, &schema, &json!({}))
    }),
    known("a schema of draft 4 hides that it is recursive", |scene| {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "properties": {"a": {}, "b": {"$ref": "#/definitions/r"}},
            "definitions": {"r": {"id": "http://r.example/r", "properties": {"a": {"$ref": "#/properties/a"}}}},
        });
        recursive(scene, &schema, &json!({"b": {"a": 1}}))
    }),
    known("a request that is rejected is not on record", |scene| {
        unrecorded(scene, &[], &json!({"steps": "none"}), REJECTED)
    }),
    known("arguments are compared with the schema before the deadline runs", |scene| {
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": true}}});
        let items: Vec<Value> = (0..30_000).map(|n| json!({"n": n, "m": [n]})).collect();
        slow(scene, &schema, &json!({"a": items}))
    }),
    known("a listing collects the whole folder", |scene| listed(scene, 150_000, 1)),
    known("a rejected request reads the whole side store", side_store_read),
    variant("a schema of draft 7 hides that it is recursive", |scene| {
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "properties": {"a": {}, "b": {"$ref": "#/definitions/r"}},
            "definitions": {"r": {"$id": "http://r.example/r", "properties": {"a": {"$ref": "#/properties/a"}}}},
        });
        recursive(scene, &schema, &json!({"b": {"a": 1}}))
    }),
    variant("a schema without a draft uses draft 4's name for its place", |scene| {
        let schema = json!({
            "properties": {"a": {}, "b": {"$ref": "#/definitions/r"}},
            "definitions": {"r": {
                "$schema": "http://json-schema.org/draft-04/schema#", "id": "http://r.example/r",
                "properties": {"a": {"$ref": "#/properties/a"}},
            }},
        });
        recursive(scene, &schema, &json!({"b": {"a": 1}}))
    }),
    variant("a schema says that it is another draft", |scene| {
        let schema = json!({"$schema": "http://json-schema.org/draft-06/schema#", "type": "object"});
        refused(scene, &schema.to_string())
    }),
    variant("a schema of many patterns for names", |scene| {
        let patterns = (0..PATTERNS).map(|n| format!("\"{PATTERN}-{n}\":{{}}"));
        let schema =
            format!("{{\"type\":\"object\",\"patternProperties\":{{{}}}}}", patterns.collect::<Vec<_>>().join(","));
        costly(scene, &schema, &json!({}))
    }),
    variant("a schema of one pattern that counts far", |scene| {
        refused(scene, r#"{"type":"object","properties":{"a":{"pattern":"(?:(?:(?:a{9}){9}){9}){999}"}}}"#)
    }),
    variant("a long array is compared with a long list of values", |scene| {
        let values: Vec<Value> = (0..4000).map(|n| json!([n, "x"])).collect();
        let items: Vec<Value> = (0..60_000).map(|_| json!([-1, "x"])).collect();
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"not": {"enum": values}}}}});
        slow(scene, &schema, &json!({"a": items}))
    }),
    variant("a long array is compared with many branches", |scene| {
        let branches: Vec<Value> = (0..1000).map(|n| json!({"const": n})).collect();
        let items: Vec<Value> = (0..60_000).map(|_| json!(0)).collect();
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"oneOf": branches}}}});
        slow(scene, &schema, &json!({"a": items}))
    }),
    variant("arguments are nested without end", |scene| {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        fs::write(scene.path("deep.json"), deep)?;
        let input = format!("@{}", scene.place("deep.json"));
        let ran = scene.tollgate(&["run", "../tools/hostile.wasm", "--input", &input])?;
        ran.judge((ran.exit.is_none()).then(|| "the program crashed".to_owned()), &[REJECTED])
    }),
    variant("arguments that are no JSON are not on record", |scene| {
        let ran = scene.tollgate(&["run", "../tools/hostile.wasm", "--input", "{\"steps\": "])?;
        on_record(scene, &ran, REJECTED)
    }),
    variant("an operation that is not there is not on record", |scene| {
        unrecorded(scene, &["--op", "nothing"], &json!({}), Stop::refused(&["nothing"]))
    }),
    variant("the text of a rejected request is kept for ever", rejected_text_is_kept),
    variant("many listings are open at once", |scene| listed(scene, 8_000, 40)),
];

/// How many patterns a schema has.
const PATTERNS: usize = 40;
/// A pattern that grows when it is compiled, in JSON.
const PATTERN: &str = r"(?:\\p{L}{1,9}){1,9}";
/// How much more memory than a harmless run an attack may take.
const MORE_BYTES_MAX: u64 = 64 << 20;
/// What is said of arguments that do not fit.
const REJECTED: Stop = Stop::refused(&["arguments"]);
/// What is said of a schema that is not taken.
const SCHEMA: Stop = Stop::refused(&["schema"]);

/// A run of the hostile tool that does nothing, to compare with.
fn harmless(scene: &Scene<'_>) -> Result<Ran> {
    scene.hostile(&[], &json!([]))?.done()
}

/// A schema must be refused before it costs much.
fn costly(scene: &Scene<'_>, schema: &str, arguments: &Value) -> Result<Verdict> {
    let base = harmless(scene)?;
    let tool = with_schema(scene, "costly", schema)?;
    let ran = scene.tool(&tool, &[], arguments)?;
    let more = ran.peak_bytes.saturating_sub(base.peak_bytes);
    let effect = if ran.exit == Some(0) {
        Some(format!("the schema was taken; it cost {} MiB", more >> 20))
    } else {
        (more > MORE_BYTES_MAX).then(|| format!("to refuse the schema cost {} MiB", more >> 20))
    };
    ran.judge(effect, &[SCHEMA])
}

/// A schema must be refused.
fn refused(scene: &Scene<'_>, schema: &str) -> Result<Verdict> {
    let tool = with_schema(scene, "odd", schema)?;
    let ran = scene.tool(&tool, &[], &json!({}))?;
    ran.judge((ran.exit == Some(0)).then(|| "the schema was taken".to_owned()), &[SCHEMA])
}

/// A schema that leads back to itself must be refused; else a process may run out of stack.
fn recursive(scene: &Scene<'_>, schema: &Value, arguments: &Value) -> Result<Verdict> {
    let tool = with_schema(scene, "recursive", &schema.to_string())?;
    let ran = scene.tool(&tool, &[], arguments)?;
    let text = ran.text();
    let effect = match ran.exit {
        Some(0 | 1) => Some("the schema was taken".to_owned()),
        None => Some("the program crashed".to_owned()),
        Some(_) if text.contains("overflow") || text.contains("SIGSEGV") || text.contains("ended by") => {
            Some("the schema was taken, and a process crashed".to_owned())
        }
        Some(_) if text.contains("arguments") => {
            Some("the schema was taken, and arguments compared with it".to_owned())
        }
        Some(_) => None,
    };
    ran.judge(effect, &[SCHEMA])
}

/// To compare the arguments with the schema takes longer than the deadline, which must end it; or the schema is refused.
fn slow(scene: &Scene<'_>, schema: &Value, arguments: &Value) -> Result<Verdict> {
    let tool = with_schema(scene, "slow", &schema.to_string())?;
    let options = ["--grant", "limit:deadline=20ms", "--grant", "limit:input=16MiB", "--grant", "limit:fuel=20000000"];
    scene.tool(&tool, &options, &json!({"a": []})).ok();
    let ran = scene.tool(&tool, &options, arguments)?;
    // What the guest itself says comes after the comparison.
    let effect =
        matches!(ran.exit, Some(0 | 1)).then(|| "arguments were compared for longer than the deadline".to_owned());
    let caps = [SCHEMA, Stop::capped(&["limits.deadline"]), Stop::capped(&["limits.fuel"]), Stop::capped(&["limits."])];
    ran.judge(effect, &caps)
}

/// A request that does not fit is rejected, and stands in the ledger.
fn unrecorded(scene: &Scene<'_>, options: &[&str], input: &Value, stop: Stop) -> Result<Verdict> {
    let tool = if options.is_empty() {
        let schema = json!({"type": "object", "properties": {"steps": {"type": "array"}}});
        with_schema(scene, "strict", &schema.to_string())?
    } else {
        "../tools/hostile.wasm".to_owned()
    };
    let ran = scene.tool(&tool, options, input)?;
    on_record(scene, &ran, stop)
}

fn on_record(scene: &Scene<'_>, ran: &Ran, stop: Stop) -> Result<Verdict> {
    let shown = scene.tollgate(&["audit", "show"])?;
    let effect = (!shown.says("rejected")).then(|| "the ledger does not have the request".to_owned());
    ran.judge(effect, &[stop])
}

/// A large folder is listed, several times at once; memory must not grow with it.
fn listed(scene: &Scene<'_>, names: u32, listings: u32) -> Result<Verdict> {
    scene.dir("project/work")?;
    let folder = scene.path("project/work");
    for n in 0..names {
        // A link is made faster than a file.
        std::os::unix::fs::symlink("x", folder.join(format!("{}-{n}", "n".repeat(200))))?;
    }
    let base = harmless(scene)?;
    let options =
        ["--grant", "fs:/work=work:list,read", "--grant", "limit:fuel=100000000000", "--grant", "limit:deadline=1m"];
    let steps = if listings > 1 {
        json!([{"do": "hold-listing", "of": "/work", "as": "l-{n}", "times": listings}])
    } else {
        json!([{"do": "list", "path": "/work"}])
    };
    let ran = scene.hostile(&options, &steps)?;
    let more = ran.peak_bytes.saturating_sub(base.peak_bytes);
    let effect = (more > MORE_BYTES_MAX / 4).then(|| format!("a process took {} MiB more for it", more >> 20));
    ran.judge(effect, &[Stop::new(0, &["ok"]), Stop::capped(&["limits."])])
}

/// Beside a side store of many records, to reject a request must read no more than to answer one.
fn side_store_read(scene: &Scene<'_>) -> Result<Verdict> {
    scene.hostile(&["--grant", "audit:arguments=full"], &json!([]))?.done()?;
    let store = scene.path("home/state/tollgate/ledger.private/00000001.open");
    let mut bytes = fs::read(&store)?;
    let records = bytes.get(SIDE_STORE_HEAD_BYTES..).unwrap_or_default().to_vec();
    if records.is_empty() {
        return Err("the side store has no records".into());
    }
    while bytes.len() < SIDE_STORE_BYTES {
        bytes.extend_from_slice(&records);
    }
    fs::write(&store, bytes)?;
    // The next run may look at what was added, once.
    harmless(scene)?;
    let answered = bytes_read(scene, &[], 0)?;
    let rejected = bytes_read(scene, &["--op", "nothing"], 2)?;
    let more = rejected.saturating_sub(answered);
    if more > MORE_READ_MAX {
        return Ok(Verdict::Reached(format!(
            "to reject a request {} MiB more were read than to answer one",
            more >> 20
        )));
    }
    Ok(Verdict::Held(format!(
        "exit 2, {} KiB more read than for an answer, beside {} MiB",
        more >> 10,
        SIDE_STORE_BYTES >> 20
    )))
}

/// How much a run and its processes read.
fn bytes_read(scene: &Scene<'_>, options: &[&str], exit: i32) -> Result<u64> {
    let counted = scene.tool_command("../tools/hostile.wasm", options, &json!({}))?;
    let mut command = scene.command("sh", &[]);
    // What its children read counts for the shell once it has waited for them.
    command.args(["-c", "\"$@\"; exit=$?; cat /proc/$$/io; exit $exit", "sh"]);
    command.arg(counted.get_program()).args(counted.get_args());
    let ran = machine::run(command)?;
    let read = ran.out.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
    read.filter(|_| ran.exit == Some(exit)).ok_or_else(|| format!("nothing was counted: {}", ran.brief()).into())
}

/// What stands before the first record (`audit/README.md`).
const SIDE_STORE_HEAD_BYTES: usize = 43;
/// How large the side store is made.
const SIDE_STORE_BYTES: usize = 48 << 20;
/// How much more may be read for a request that is rejected.
const MORE_READ_MAX: u64 = 4 << 20;

/// What was asked for in a request that was rejected is in no file.
fn rejected_text_is_kept(scene: &Scene<'_>) -> Result<Verdict> {
    const WORDS: &str = "the-words-of-a-rejected-request";
    let schema = json!({"type": "object", "properties": {"steps": {"type": "array"}}});
    let tool = with_schema(scene, "strict", &schema.to_string())?;
    let ran = scene.tool(&tool, &["--grant", "audit:arguments=full"], &json!({"steps": WORDS}))?;
    let store = scene.text("home/state/tollgate/ledger.private/00000001.open").unwrap_or_default();
    let journal = scene.text("home/state/tollgate/ledger/journal").unwrap_or_default();
    let kept = store.contains(WORDS) || journal.contains(WORDS);
    ran.judge(kept.then(|| "its text stands beside the ledger".to_owned()), &[REJECTED])
}

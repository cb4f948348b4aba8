//! Row 12: text that somebody else wrote steers no terminal, and nothing that reads what is printed.

use std::fs;

use serde_json::{Value, json};

use super::component::{importing, with_manifest};
use super::ran::{Ran, Stop, Verdict};
use super::scene::{Scene, all_of};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("names of imports, by inspect", |scene| {
        for (n, steering) in STEERING.iter().enumerate() {
            scene.file("tools/odd.wasm", importing(&format!("url=<a{steering}b>")))?;
            let ran = scene.tollgate(&["inspect", "../tools/odd.wasm"])?;
            if let Some(effect) = steers(&ran) {
                return Ok(Verdict::Reached(format!("{effect} (text {n})")));
            }
        }
        let ran = scene.tollgate(&["inspect", "../tools/odd.wasm"])?;
        // The compiler's process tells the names, and no name that steers is taken from it.
        ran.judge(None, &[Stop::refused(&["is no name of an import or export"])])
    }),
    known("the answer of a tool", |scene| answered(scene, &[])),
    known("the answer of a tool, by --json", |scene| answered(scene, &["--json"])),
    known("a path on record, by export", |scene| on_record(scene, &["audit", "export"])),
    known("a bare carriage return in a manifest's error", |scene| {
        scene.file("tools/hostile.toml", "[tool]\nname = \"hostile\"\rname = \"safe\"\nversion = \"1.0.0\"\n")?;
        clean(&scene.hostile(&[], &json!([]))?, &[Stop::refused(&["hostile.toml"])])
    }),
    variant("a path on record, by show", |scene| on_record(scene, &["audit", "show"])),
    variant("a path on record, by show --json", |scene| on_record(scene, &["audit", "show", "--json"])),
    variant("a path on record, by the report in Markdown", |scene| {
        on_record(scene, &["audit", "report", "--by", "agent"])
    }),
    variant("a path on record, by the report in HTML", |scene| {
        on_record(scene, &["audit", "report", "--by", "agent", "--format", "html"])
    }),
    variant("a path on record, by the report in JSON", |scene| {
        on_record(scene, &["audit", "report", "--by", "agent", "--format", "json"])
    }),
    variant("who asks and why, by show", asked_for),
    variant("the error of a tool", |scene| {
        let steps = json!([{"do": "fail", "path": format!("code{}", all()), "data": format!("message{}", all())}]);
        clean(&scene.hostile(&[], &steps)?, &[Stop::new(1, &["message"])])
    }),
    variant("the error of a tool, by --json", |scene| {
        let steps = json!([{"do": "fail", "path": "code", "data": format!("message{}", all())}]);
        clean(&scene.hostile(&["--json"], &steps)?, &[Stop::new(1, &["message"])])
    }),
    variant("what a tool prints", |scene| {
        let steps = json!([
            {"do": "stdout", "data": format!("out{}\n", all())},
            {"do": "stderr", "data": format!("err{}\n", all())},
        ]);
        clean(&scene.hostile(&[], &steps)?, &[Stop::new(0, &["[tool stdout]"])])
    }),
    variant("what a tool prints, by --json", |scene| {
        let steps = json!([{"do": "stderr", "data": format!("err{}\n", all())}]);
        clean(&scene.hostile(&["--json"], &steps)?, &[Stop::new(0, &["\"stderr\""])])
    }),
    variant("names of files in an answer", |scene| {
        scene.file(&format!("project/work/a{}", all().replace('\r', "")), "x")?;
        let grant = all_of("/work", "work");
        clean(
            &scene.hostile(&["--grant", &grant], &json!([{"do": "list", "path": "/work"}]))?,
            &[Stop::new(0, &["names"])],
        )
    }),
    variant("the path of a denied call", |scene| {
        scene.dir("project/work")?;
        let steps = json!([{"do": "read", "path": format!("/work/../a{}", all())}]);
        clean(&scene.hostile(&["--grant", "fs:/work=work:read"], &steps)?, &[Stop::denied(&["fs:/work:beneath"])])
    }),
    variant("an operation that is not there", |scene| {
        let operation = format!("op{}", all());
        clean(&scene.hostile(&["--op", &operation], &json!([]))?, &[Stop::refused(&["op"])])
    }),
    variant("the text of a policy with an error in it", |scene| {
        scene.file("project/tollgate.toml", format!("[tools.hostile]\n# {}\nnonsense = \"{}\"\n", all(), all()))?;
        clean(&scene.hostile(&[], &json!([]))?, &[Stop::refused(&["tollgate.toml"])])
    }),
    variant("the description in a manifest that a component brings", |scene| {
        let hostile = fs::read(&scene.stage.hostile)?;
        let soft: String =
            STEERING.iter().filter(|text| !text.chars().any(|c| c.is_ascii_control())).copied().collect();
        let manifest = format!(
            "[tool]\nname = \"odd\"\nversion = \"1.0.0\"\ndescription = \"does{soft}\"\n\n[[operations]]\nname = \"play\"\ndescription = \"plays{soft}\"\n"
        );
        scene.file("tools/odd.wasm", with_manifest(&hostile, &manifest))?;
        let ran = scene.tollgate(&["inspect", "../tools/odd.wasm"])?;
        clean(&ran, &[Stop::new(0, &["odd"]), Stop::refused(&["description"])])
    }),
    variant("the name of a component's file", |scene| {
        let name = format!("tools/a{}.wasm", all().replace('\r', ""));
        scene.file(&name, "no component")?;
        clean(&scene.tool(&format!("../{name}"), &[], &json!({}))?, &[Stop::refused(&["wasm"])])
    }),
    variant("an unknown word in a grant", |scene| {
        let grant = format!("fs:/work=work:re{}ad", all());
        clean(&scene.hostile(&["--grant", &grant], &json!([]))?, &[Stop::refused(&["grant"])])
    }),
];

/// Texts that do something where they are shown: erase a screen, by 7 and by 8 bits; turn the order of letters around; say
/// something that nobody sees; begin the line anew.
const STEERING: [&str; 8] =
    ["\u{1b}[2J", "\u{9b}2J", "\u{202e}", "\u{2066}", "\u{e0041}\u{e007f}", "\r", "\u{200b}\u{2060}", "\u{2028}"];

fn all() -> String {
    STEERING.concat()
}

/// What of what was printed would steer.
fn steers(ran: &Ran) -> Option<String> {
    let harmless = |c: char| matches!(c, '\n' | '\t') || !is_steering(c);
    [("stdout", &ran.out), ("stderr", &ran.err)].into_iter().find_map(|(stream, text)| {
        let found = text.chars().find(|c| !harmless(*c))?;
        Some(format!("{stream} has a raw U+{:04X}", u32::from(found)))
    })
}

fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn clean(ran: &Ran, stops: &[Stop]) -> Result<Verdict> {
    ran.judge(steers(ran), stops)
}

fn answered(scene: &Scene<'_>, options: &[&str]) -> Result<Verdict> {
    // Control characters are no JSON as they are; the others are.
    let soft: String = STEERING.iter().filter(|text| !text.chars().any(|c| c.is_ascii_control())).copied().collect();
    let answer = format!("\"answer{soft}\"");
    let ran = scene.tool("../tools/hostile.wasm", options, &json!({"answer": answer}))?;
    let read: Option<Value> = serde_json::from_str(ran.out.trim()).ok();
    let read = read.and_then(|read| read.get("output").cloned().or(Some(read)));
    let same = read.as_ref().and_then(Value::as_str) == Some(&format!("answer{soft}"));
    if !same && ran.exit == Some(0) {
        return Err(format!("the answer is not what the tool said: {}", ran.brief()).into());
    }
    clean(&ran, &[Stop::new(0, &["\\u202e"]), Stop::new(0, &["\\u202E"])])
}

/// A path that steers is on record; `command` shows it.
fn on_record(scene: &Scene<'_>, command: &[&str]) -> Result<Verdict> {
    scene.dir("project/work")?;
    let steps = json!([{"do": "stat", "path": format!("/work/path{}", all())}]);
    let (agent, decision) = (format!("agent{}", all()), format!("decision{}", all()));
    let ran =
        scene.hostile(&["--grant", "fs:/work=work:metadata", "--agent", &agent, "--decision", &decision], &steps)?;
    if ran.exit == Some(0) {
        return clean(&scene.tollgate(command)?, &[Stop::new(0, &["path"]), Stop::new(0, &["agent"])]);
    }
    // Who asks may not say so; then the path alone is on record.
    clean(&ran, &[Stop::refused(&["agent"])])
}

fn asked_for(scene: &Scene<'_>) -> Result<Verdict> {
    let text = format!("x{}", all());
    let options = ["--agent", &text, "--session", &text, "--decision", &text, "--reason", &text];
    let ran = scene.hostile(&options, &json!([]))?;
    if ran.exit != Some(0) {
        return clean(&ran, &[Stop::refused(&["agent"])]);
    }
    clean(&scene.tollgate(&["audit", "show"])?, &[Stop::new(0, &["agent="])])
}

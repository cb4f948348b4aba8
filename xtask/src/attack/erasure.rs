//! Row 15: texts of a call can be erased, whatever became of the call.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::ran::{Ran, Verdict};
use super::scene::Scene;
use super::stage::copy_tree;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("the worker died before its first entry, and the texts stay for ever", |scene| {
        let call = lost_call(scene)?;
        gone(scene, &erase(scene, &call)?)
    }),
    known("what a died run left is not swept away by the next one", |scene| {
        lost_call(scene)?;
        let next = run(scene, &[], "next")?;
        gone(scene, &next)
    }),
    known("a torn record keeps its text", |scene| {
        run(scene, &FULL, WORDS)?;
        cut(scene, 3)?;
        // The record that is cut is the result's; the arguments' is whole, and stays until it is erased.
        let next = run(scene, &[], "next")?;
        torn_gone(scene, &next)
    }),
    variant("a torn record of a call that is erased keeps its text", |scene| {
        let ran = run(scene, &FULL, WORDS)?;
        cut(scene, 1)?;
        gone(scene, &erase(scene, &call_of(&ran)?)?)
    }),
    variant("a torn record is hidden behind a later one", |scene| {
        let ran = run(scene, &FULL, WORDS)?;
        cut(scene, 1)?;
        run(scene, &FULL, "later")?;
        gone(scene, &erase(scene, &call_of(&ran)?)?)
    }),
    variant("the result of a call stays when the call is erased", |scene| {
        let ran = run(scene, &FULL, WORDS)?;
        gone(scene, &erase(scene, &call_of(&ran)?)?)
    }),
    variant("the error of a tool stays when the call is erased", |scene| {
        let steps = json!({"steps": [{"do": "fail", "path": "code", "data": WORDS}]});
        let ran = scene.tool("../tools/hostile.wasm", &[&FULL[..], &["--json"]].concat(), &steps)?;
        gone(scene, &erase(scene, &call_of(&ran)?)?)
    }),
    variant("a call whose processes were killed cannot be erased", killed),
];

const FULL: [&str; 2] = ["--grant", "audit:arguments=full"];
/// What must be forgotten.
const WORDS: &str = "the-words-that-must-be-forgotten";
const STATE: &str = "home/state/tollgate";
/// Where the texts are.
const SHARD: &str = "ledger.private/00000001.open";

fn run(scene: &Scene<'_>, options: &[&str], words: &str) -> Result<Ran> {
    let input: Value = json!({"answer": format!("\"{words}\"")});
    scene.tool("../tools/hostile.wasm", &[options, &["--json"]].concat(), &input)?.done()
}

fn call_of(ran: &Ran) -> Result<String> {
    let said: Value = serde_json::from_str(&ran.out).map_err(|error| format!("{error}: {}", ran.brief()))?;
    Ok(said.get("call").and_then(Value::as_str).ok_or("no call id")?.to_owned())
}

/// A call of which the side store has the texts, and the ledger nothing: as if all died before the first entry.
fn lost_call(scene: &Scene<'_>) -> Result<String> {
    run(scene, &FULL, "first")?;
    copy_tree(&scene.path(STATE), &scene.path("copy"))?;
    let ran = run(scene, &FULL, WORDS)?;
    fs::copy(scene.path(STATE).join(SHARD), scene.path("copy").join(SHARD))?;
    fs::remove_dir_all(scene.path(STATE))?;
    fs::rename(scene.path("copy"), scene.path(STATE))?;
    if !kept(scene) {
        return Err("the side store does not have the words".into());
    }
    call_of(&ran)
}

fn erase(scene: &Scene<'_>, call: &str) -> Result<Ran> {
    scene.tollgate(&["audit", "erase", "--call", call, "--reason", "asked for"])
}

/// Cuts the side store's last bytes off, as a write that was cut short.
fn cut(scene: &Scene<'_>, bytes: u64) -> Result<()> {
    let path = scene.path(STATE).join(SHARD);
    let file = fs::File::options().write(true).open(&path)?;
    Ok(file.set_len(fs::metadata(&path)?.len().saturating_sub(bytes))?)
}

/// Whether a file beside the ledger, or of it, has the words.
fn kept(scene: &Scene<'_>) -> bool {
    has_words(&scene.path(STATE), 8)
}

fn has_words(folder: &Path, levels: u32) -> bool {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).any(|path| {
        if path.is_dir() {
            return levels > 0 && has_words(&path, levels - 1);
        }
        fs::read(path).is_ok_and(|bytes| bytes.windows(WORDS.len()).any(|window| window == WORDS.as_bytes()))
    })
}

fn gone(scene: &Scene<'_>, ran: &Ran) -> Result<Verdict> {
    if kept(scene) {
        return Ok(Verdict::Reached(format!("the text is still there; {}", ran.brief())));
    }
    if ran.exit != Some(0) {
        return Err(format!("the text is gone, and the command failed: {}", ran.brief()).into());
    }
    let verified = scene.tollgate(&["audit", "verify"])?;
    verified.done().map_err(|error| format!("the ledger does not verify any more: {error}"))?;
    Ok(Verdict::Held("exit 0, the text is gone, and the ledger verifies".to_owned()))
}

/// The result was cut; of the two places that had the words, only the arguments' may have them.
fn torn_gone(scene: &Scene<'_>, ran: &Ran) -> Result<Verdict> {
    let store = fs::read(scene.path(STATE).join(SHARD))?;
    let begin = WORDS.trim_end_matches("forgotten").as_bytes();
    let places = store.windows(begin.len()).filter(|window| *window == begin).count();
    match places {
        0 => Err("the arguments are gone too".into()),
        1 => Ok(Verdict::Held("the next run overwrote what was torn".to_owned())),
        _more => Ok(Verdict::Reached(format!("what was torn is still there; {}", ran.brief()))),
    }
}

/// All processes of a run are killed while the tool works; its texts can be erased by the call's id, as the side store has it.
fn killed(scene: &Scene<'_>) -> Result<Verdict> {
    run(scene, &FULL, "first")?;
    let input = json!({"steps": [{"do": "wait", "len": 3_000_000_000_u64}], "answer": format!("\"{WORDS}\"")});
    let options = [&FULL[..], &["--grant", "clock:monotonic=real"]].concat();
    let command = scene.tool_command("../tools/hostile.wasm", &options, &input)?;
    let mut command = command;
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    for _ in 0..1000 {
        if kept(scene) {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    if !kept(scene) {
        return Err("the words were never kept".into());
    }
    // What is left of the run ends by itself: it has lost its supervisor.
    let mut next = run(scene, &[], "next");
    for _ in 0..20 {
        if next.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
        next = run(scene, &[], "next");
    }
    next?;
    if !kept(scene) {
        return Ok(Verdict::Held("the next run swept the texts away".to_owned()));
    }
    let shown = scene.tollgate(&["audit", "export", "--kind", "call"])?.done()?;
    let calls = shown.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ids = calls.filter_map(|line| Some(line.get("entry")?.get("call")?.as_str()?.to_owned()));
    for call in ids.collect::<Vec<_>>() {
        erase(scene, &call)?;
    }
    gone(scene, &scene.tollgate(&["audit", "verify"])?)
}

//! Row 9: a tool without a clock learns no time.

use serde_json::{Value, json};

use super::ran::{Ran, Stop, Verdict};
use super::scene::Scene;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("times of a file, without a clock", |scene| {
        untimed(scene, &[], json!([{"do": "stat", "path": "/work/file"}]))
    }),
    known("times of a file, with clocks that stand still", |scene| {
        untimed(
            scene,
            &["--grant", "clock:wall=frozen", "--grant", "clock:monotonic=frozen"],
            json!([
                {"do": "make", "path": "/work/new", "data": "x"},
                {"do": "stat", "path": "/work/new"},
            ]),
        )
    }),
    known("an open file is asked about without any right but to make it", |scene| {
        let steps = json!([
            {"do": "open", "path": "/work/new-{n}", "open": ["create"], "as": "f", "times": 2},
            {"do": "stat-handle", "of": "f"},
        ]);
        ungated(scene, "create", &steps)
    }),
    variant("times of a file that is open", |scene| {
        untimed(
            scene,
            &[],
            json!([
                {"do": "open", "path": "/work/file", "flags": ["read"], "as": "f"},
                {"do": "stat-handle", "of": "f"},
            ]),
        )
    }),
    variant("times of the granted folder itself", |scene| {
        untimed(scene, &[], json!([{"do": "stat-handle", "of": "/work"}]))
    }),
    variant("times of a link", |scene| {
        untimed(
            scene,
            &[],
            json!([
                {"do": "symlink", "path": "/work/link", "data": "file"},
                {"do": "stat", "path": "/work/link"},
            ]),
        )
    }),
    variant("a file is touched, and asked when that was", |scene| {
        untimed(
            scene,
            &[],
            json!([
                {"do": "make", "path": "/work/new", "data": "x"},
                {"do": "touch", "path": "/work/new"},
                {"do": "stat", "path": "/work/new", "follow": true},
            ]),
        )
    }),
    variant("times of a file, with a monotonic clock alone", |scene| {
        untimed(scene, &["--grant", "clock:monotonic=real"], json!([{"do": "stat", "path": "/work/file"}]))
    }),
    variant("times of a file are finer than the coarse clock", coarse),
    variant("the granted folder is asked about without the right to metadata", |scene| {
        ungated(scene, "read,list", &json!([{"do": "stat-handle", "of": "/work"}]))
    }),
    variant("a folder that is open is asked about without the right to metadata", |scene| {
        scene.dir("project/work/folder")?;
        let steps = json!([
            {"do": "open", "path": "/work/folder", "open": ["directory"], "flags": ["read"], "as": "d"},
            {"do": "stat-handle", "of": "d"},
        ]);
        ungated(scene, "read,list", &steps)
    }),
    variant("an open file is hashed without any right but to make it", |scene| {
        let steps = json!([
            {"do": "open", "path": "/work/new-{n}", "open": ["create"], "as": "f", "times": 2},
            {"do": "hash-handle", "of": "f"},
        ]);
        ungated(scene, "create", &steps)
    }),
    variant("an open file is asked about, and the record does not say how often", |scene| {
        prepared(scene)?;
        let steps = json!([
            {"do": "open", "path": "/work/file", "flags": ["read"], "as": "f"},
            {"do": "stat-handle", "of": "f", "times": 4321},
        ]);
        scene.hostile(&["--grant", "fs:/work=work:read,metadata"], &steps)?.all_done()?;
        let ends = scene.tollgate(&["audit", "export", "--kind", "call-end"])?;
        let effect = (!ends.says("4321")).then(|| "4321 questions are not on record".to_owned());
        ends.judge(effect, &[Stop::new(0, &["4321"])])
    }),
];

/// All three times of a file are absent: not 0, which is a time.
const NO_TIMES: &str = "\"times\":[null,null,null]";

fn prepared(scene: &Scene<'_>) -> Result<()> {
    scene.file("project/work/file", "content")
}

/// What is asked about has no times.
fn untimed(scene: &Scene<'_>, options: &[&str], steps: Value) -> Result<Verdict> {
    prepared(scene)?;
    let grant = super::scene::all_of("/work", "work");
    let ran = scene.hostile(&[&["--grant", grant.as_str()], options].concat(), &steps)?;
    let timed = ran.all_done()?.iter().find_map(|step| step.get("ok")?.get("times").cloned());
    let times = timed.ok_or("nothing was asked about")?;
    let effect = (times != json!([null, null, null])).then(|| format!("the tool learnt the times {times}"));
    ran.judge(effect, &[Stop::new(0, &[NO_TIMES])])
}

/// To ask about what is open takes the right to metadata, unless it was opened to be read or written; with it, it is answered.
fn ungated(scene: &Scene<'_>, rights: &str, steps: &Value) -> Result<Verdict> {
    prepared(scene)?;
    let grant = |rights: &str| format!("fs:/work=work:{rights}");
    scene.hostile(&["--grant", &grant(&format!("{rights},metadata"))], steps)?.all_done()?;
    for n in 0..2 {
        std::fs::remove_file(scene.path(&format!("project/work/new-{n}"))).ok();
    }
    told(&scene.hostile(&["--grant", &grant(rights)], steps)?)
}

fn told(ran: &Ran) -> Result<Verdict> {
    let told = ran.steps().is_ok_and(|steps| steps.last().is_some_and(|step| step.get("ok").is_some()));
    ran.judge(told.then(|| "the question was answered".to_owned()), &[Stop::denied(&["fs:/work:metadata"])])
}

/// With a coarse clock, times are in its steps of 100 ms.
fn coarse(scene: &Scene<'_>) -> Result<Verdict> {
    prepared(scene)?;
    let grant = super::scene::all_of("/work", "work");
    let steps = json!([
        {"do": "make", "path": "/work/new-{n}", "data": "x", "times": 3},
        {"do": "stat", "path": "/work/new-0"},
        {"do": "stat", "path": "/work/new-1"},
        {"do": "stat", "path": "/work/new-2"},
    ]);
    let ran = scene.hostile(&["--grant", &grant, "--grant", "clock:wall=coarse"], &steps)?;
    let steps = ran.all_done()?;
    let times: Vec<Value> =
        steps.iter().filter_map(|step| step.get("ok")?.get("times")?.as_array().cloned()).flatten().collect();
    let nanoseconds: Vec<u64> = times.iter().filter_map(|time| time.get("nanoseconds")?.as_u64()).collect();
    let fine = nanoseconds.iter().find(|nanoseconds| *nanoseconds % STEP_NS != 0);
    let effect = fine.map(|fine| format!("a time has {fine} nanoseconds"));
    if nanoseconds.is_empty() {
        return Err("with a clock, files have times".into());
    }
    ran.judge(effect, &[Stop::new(0, &["\"times\""])])
}

/// The step of a coarse clock.
const STEP_NS: u64 = 100_000_000;

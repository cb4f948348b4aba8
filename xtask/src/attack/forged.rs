//! Row 13: what somebody without the key writes into a ledger's folder is not taken for what the notary wrote.

use std::fs;

use serde_json::json;

use super::ran::{Ran, Stop, Verdict};
use super::scene::Scene;
use super::stage::copy_tree;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("entries of a call that never was are added, and verified", |scene| {
        forge(scene, CALL)?;
        verified(&scene.tollgate(&["audit", "verify"])?)
    }),
    known("entries of a call that never was are signed by the next run", |scene| {
        forge(scene, CALL)?;
        signed_by_next(scene)
    }),
    known("a verification that must be complete passes over added entries", |scene| {
        forge(scene, CALL)?;
        let ran = scene.tollgate(&["audit", "verify", "--complete"])?;
        ran.judge((ran.exit == Some(0)).then(|| "it is verified".to_owned()), &[UNPROVEN])
    }),
    variant("added entries, for tollgate-verify", |scene| {
        forge(scene, CALL)?;
        let ran = scene.verify(&["ledger", &scene.place(LEDGER)])?;
        verified(&ran)
    }),
    variant("a call that never was is half told", |scene| {
        forge(scene, Forgery { frames: 1 })?;
        signed_by_next(scene)
    }),
    variant("added entries after the death of all processes", |scene| {
        crashed(scene)?;
        append(scene, CALL)?;
        signed_by_next(scene)
    }),
    variant("an old checkpoint is put back, so that newer entries are unproven", |scene| {
        base(scene)?;
        let checkpoint = fs::read(scene.path(LEDGER).join("checkpoint"))?;
        scene.hostile(&[], &json!([]))?.done()?;
        fs::write(scene.path(LEDGER).join("checkpoint"), checkpoint)?;
        verified(&scene.tollgate(&["audit", "verify"])?)
    }),
    variant("the checkpoint is taken away", |scene| {
        base(scene)?;
        fs::remove_file(scene.path(LEDGER).join("checkpoint"))?;
        let ran = scene.tollgate(&["audit", "verify"])?;
        let effect =
            (ran.exit == Some(0) && !ran.says("not proven")).then(|| "it is verified without a checkpoint".to_owned());
        ran.judge(effect, &[Stop::unsound(&[]), Stop::new(0, &["not proven"])])
    }),
    variant("the last entries are doubled", |scene| {
        base(scene)?;
        let journal = scene.path(LEDGER).join("journal");
        let bytes = fs::read(&journal)?;
        let frames = frames(&bytes)?;
        let last = frames.last().copied().ok_or("the journal is empty")?;
        fs::write(&journal, [&bytes, last].concat())?;
        signed_by_next(scene)
    }),
    variant("an entry that says a call's texts were erased is added", |scene| {
        base(scene)?;
        let other = other_ledger(scene)?;
        let call = call_of(&other.0)?;
        scene
            .tollgate(&["audit", "erase", "--call", &call, "--reason", "none", "--ledger", "../other/ledger"])?
            .done()?;
        let bytes = fs::read(scene.path("other/ledger/journal"))?;
        let last = frames(&bytes)?.last().copied().map(<[u8]>::to_vec).ok_or("the journal is empty")?;
        add(scene, &last)?;
        signed_by_next(scene)
    }),
];

const LEDGER: &str = "home/state/tollgate/ledger";

/// What verification says of entries that no checkpoint covers.
const UNPROVEN: Stop = Stop::unsound(&["not proven"]);

/// How many frames of another ledger's last call are added.
#[derive(Clone, Copy)]
struct Forgery {
    frames: usize,
}

/// A call and its end.
const CALL: Forgery = Forgery { frames: 2 };

/// A ledger with one call, closed as it should be.
fn base(scene: &Scene<'_>) -> Result<()> {
    scene.hostile(&["--agent", "honest"], &json!([]))?.done()?;
    scene.tollgate(&["audit", "verify"])?.done()?;
    Ok(())
}

/// Another ledger, of whose entries each is well made.
fn other_ledger(scene: &Scene<'_>) -> Result<(Ran, Vec<u8>)> {
    let ran = scene.hostile(&["--agent", "forged", "--ledger", "../other/ledger", "--json"], &json!([]))?.done()?;
    Ok((ran, fs::read(scene.path("other/ledger/journal"))?))
}

fn call_of(ran: &Ran) -> Result<String> {
    let said: serde_json::Value = serde_json::from_str(&ran.out)?;
    Ok(said.get("call").and_then(|call| call.as_str()).ok_or("no call id")?.to_owned())
}

fn forge(scene: &Scene<'_>, forgery: Forgery) -> Result<()> {
    base(scene)?;
    append(scene, forgery)
}

/// Adds the entries of another ledger's last call.
fn append(scene: &Scene<'_>, forgery: Forgery) -> Result<()> {
    let (_, other) = other_ledger(scene)?;
    let frames = frames(&other)?;
    let begin =
        frames.iter().rposition(|frame| contains(frame, b"forged")).ok_or("the forged call is not on record")?;
    let taken = frames.get(begin..begin + forgery.frames).ok_or("the forged call is not on record")?;
    add(scene, &taken.concat())
}

fn add(scene: &Scene<'_>, frames: &[u8]) -> Result<()> {
    let journal = scene.path(LEDGER).join("journal");
    let bytes = fs::read(&journal)?;
    Ok(fs::write(&journal, [&bytes, frames].concat())?)
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

/// A journal's frames: length, entry, four bytes of check (`audit/README.md`).
fn frames(mut journal: &[u8]) -> Result<Vec<&[u8]>> {
    let mut frames = Vec::new();
    while let [high, low, ..] = journal {
        let length = usize::from(u16::from_be_bytes([*high, *low])) + 6;
        let (frame, rest) = journal.split_at_checked(length).ok_or("the journal ends within a frame")?;
        frames.push(frame);
        journal = rest;
    }
    Ok(frames)
}

/// The ledger as it stands while it is written, from a copy: as after a death of all processes at once.
fn crashed(scene: &Scene<'_>) -> Result<()> {
    base(scene)?;
    let input = json!({"steps": [{"do": "wait", "len": 2_000_000_000_u64}]});
    let options = ["--grant", "clock:monotonic=real", "--agent", "slow"];
    let mut child =
        scene.tool_command("../tools/hostile.wasm", &options, &input)?.stdout(std::process::Stdio::null()).spawn()?;
    let journal = scene.path(LEDGER).join("journal");
    for _ in 0..PATIENCE_LOOKS {
        if fs::read(&journal).is_ok_and(|bytes| contains(&bytes, b"slow")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let copied = copy_tree(&scene.path("home/state"), &scene.path("copy"));
    child.wait()?;
    copied?;
    if !fs::read(scene.path("copy/tollgate/ledger/journal")).is_ok_and(|bytes| contains(&bytes, b"slow")) {
        return Err("the ledger could not be copied while a call ran".into());
    }
    fs::remove_dir_all(scene.path("home/state"))?;
    Ok(fs::rename(scene.path("copy"), scene.path("home/state"))?)
}

/// How often is looked whether a call is on record: 10 s.
const PATIENCE_LOOKS: u32 = 2000;

/// Forged entries are verified if nothing says that they are not proven.
fn verified(ran: &Ran) -> Result<Verdict> {
    let passed = ran.exit == Some(0) && !ran.says("not proven");
    ran.judge(
        passed.then(|| "it is verified, with what nobody signed".to_owned()),
        &[Stop::new(0, &["not proven"]), Stop::new(1, &["not proven"]), UNPROVEN],
    )
}

/// The next run must not sign forged entries as its own.
fn signed_by_next(scene: &Scene<'_>) -> Result<Verdict> {
    let next = scene.hostile(&["--agent", "next"], &json!([]))?;
    if next.exit != Some(0) {
        return next.judge(None, &[Stop::unsound(&["ledger"])]);
    }
    let verified = scene.tollgate(&["audit", "verify"])?;
    let taken_over = scene.tollgate(&["audit", "show"])?.done()?.says("taken over unproven");
    let effect = match verified.exit {
        Some(0) if taken_over => None,
        Some(0) => Some("the next run signed what it did not write"),
        _unsound => Some("the next run signed what does not verify"),
    };
    let effect = effect.map(str::to_owned);
    verified.judge(effect, &[Stop::new(0, &["verified"])])
}

//! Row 19: processes of a daemon that are killed in the middle of calls: callers get an error, others are served on, and the record
//! stays whole.

use std::process::Command;

use serde_json::{Value, json};

use super::daemon::{Client, Daemon, TOOLS, await_that, calls, entries, is_answered, is_refused, of, verdict};
use super::machine::run;
use super::ran::Verdict;
use super::scene::Scene;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("the gateway of an agent is killed", gateway),
    known("the daemon is killed in the middle of calls", daemon),
    variant("a worker is killed in the middle of calls", worker),
    variant("the notary is killed in the middle of calls", notary),
    variant("the gateway is killed again and again", gateway_again),
    variant("a second daemon takes the ledger of one that lives", second),
];

fn agents(scene: &Scene<'_>) -> String {
    let agent = |name: &str, tool: &str| {
        let socket = scene.place(&format!("sockets/{name}"));
        format!("\n[agents.{name}]\nis = {{ socket = true }}\nlisten = {socket:?}\ntools.{tool} = {{}}\n")
    };
    [TOOLS, &agent("one", "hostile"), &agent("two", "second")].concat()
}

fn kill(process: u32) -> Result<()> {
    let mut command = Command::new("kill");
    command.args(["-KILL", &process.to_string()]);
    run(command)?.done()?;
    Ok(())
}

/// A client with a call that lasts, which has begun.
fn waiting(daemon: &Daemon<'_>, agent: &str) -> Result<Client> {
    let before = calls(&entries(daemon.scene)?).len();
    let mut client = daemon.client(agent)?;
    client.begin_waiting(&json!(7))?;
    await_that("the call has begun", || Ok(calls(&entries(daemon.scene)?).len() > before))?;
    Ok(client)
}

/// The process of an agent's gateway.
fn gateway_of(daemon: &Daemon<'_>, agent: &str) -> Result<u32> {
    let status = daemon.status()?;
    let agents = status.get("agents").and_then(Value::as_array).cloned().unwrap_or_default();
    let found =
        agents.iter().find(|found| of(found, "agent") == agent).and_then(|found| found.get("gateway")?.as_u64());
    Ok(u32::try_from(found.ok_or("the agent has no gateway")?)?)
}

/// How many calls ended so.
fn ended(entries: &[Value], class: &str) -> usize {
    entries.iter().filter(|entry| of(entry, "class") == class).count()
}

fn gateway(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, &agents(scene))?;
    let mut waits = waiting(&daemon, "one")?;
    let mut other = daemon.client("two")?;
    let before = other.call("second", &json!([]), json!({}))?;
    kill(gateway_of(&daemon, "one")?)?;
    let told = waits.hear()?;
    // The same connection, through the gateway that lives.
    let on = other.call("second", &json!([]), json!({}))?;
    daemon.must_serve("one", None)?;
    drop((waits, other));
    let entries = daemon.end()?;
    verdict(
        &[
            (!is_answered(&on), "another agent is not served on"),
            (told.is_some(), "the killed gateway's client was answered"),
        ],
        &[
            (is_answered(&before), "both are served at first"),
            (ended(&entries, "cancelled") == 1, "its call is on record as withdrawn"),
        ],
        "its clients are closed, its call is cancelled; the other agent's connection is served on, and then it is served again",
    )
}

fn gateway_again(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, &agents(scene))?;
    let mut other = daemon.client("two")?;
    for _ in 0..8 {
        let mut client = daemon.client("one")?;
        if !is_answered(&client.call("hostile", &json!([]), json!({}))?) {
            return Err("the agent is not served".into());
        }
        let dies = gateway_of(&daemon, "one")?;
        kill(dies)?;
        client.hear()?;
        await_that("it is noticed", || Ok(gateway_of(&daemon, "one").map_or(true, |gateway| gateway != dies)))?;
    }
    let refused = daemon.client("one")?.call("hostile", &json!([]), json!({}))?;
    let is_let_be = daemon.processes("gateway").len() == 1;
    let on = other.call("second", &json!([]), json!({}))?;
    await_that("it is served again", || {
        Ok(is_answered(&daemon.client("one")?.call("hostile", &json!([]), json!({}))?))
    })?;
    drop(other);
    daemon.end()?;
    verdict(
        &[
            (!is_let_be || is_answered(&refused), "gateways are started as fast as they die"),
            (!is_answered(&on), "another agent is not served on"),
        ],
        &[],
        "after 8 deaths it is let be for 10 s; the other agent is served on",
    )
}

fn daemon(scene: &Scene<'_>) -> Result<Verdict> {
    let policy = agents(scene);
    let mut daemon = Daemon::start(scene, &policy)?;
    let mut answered = 0;
    for round in 0..3 {
        answered += usize::from(is_answered(&daemon.client("two")?.call("second", &json!([]), json!({}))?));
        let mut waits = waiting(&daemon, "one")?;
        daemon.kill()?;
        if let Some(answer) = waits.hear()? {
            return Ok(Verdict::Reached(format!("a call without a daemon was answered: {answer}")));
        }
        let verified = scene.tollgate(&["audit", "verify"])?;
        if verified.exit != Some(0) {
            return Ok(Verdict::Reached(format!("round {round}: the ledger does not verify: {}", verified.brief())));
        }
        daemon = Daemon::again(scene, &policy)?;
        daemon.must_serve("one", None)?;
    }
    let entries = daemon.end()?;
    let closers = entries.iter().filter(|entry| of(entry, "kind") == "closer").count();
    let seconds = calls(&entries).iter().filter(|call| of(call, "tool") == "second").count();
    verdict(
        &[(seconds < answered, "an acknowledged call is not on record")],
        &[
            (answered == 3, "each round is served first"),
            (closers == 3, "the calls that were under way are closed on record"),
        ],
        "callers are closed; the ledger verifies, the next start goes on and closes the open calls",
    )
}

fn worker(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, &agents(scene))?;
    let mut other = daemon.client("two")?;
    other.call("second", &json!([]), json!({}))?;
    let others = daemon.processes("worker");
    let mut waits = waiting(&daemon, "one")?;
    let new: Vec<u32> = daemon.processes("worker").into_iter().filter(|worker| !others.contains(worker)).collect();
    let [worker] = new.as_slice() else { return Err(format!("not one worker, but {new:?}").into()) };
    kill(*worker)?;
    let told = waits.hear()?.unwrap_or_default();
    let on = other.call("second", &json!([]), json!({}))?;
    let next = waits.call("hostile", &json!([]), json!({}))?;
    drop((waits, other));
    daemon.end()?;
    verdict(
        &[(!is_answered(&on), "another tool is not served on")],
        &[
            (is_refused(&told, "worker", ""), "the caller is told that the worker died"),
            (is_answered(&next), "the same connection is served again"),
        ],
        "worker: the caller is told, the next call has another one",
    )
}

fn notary(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, &agents(scene))?;
    let mut waits = waiting(&daemon, "one")?;
    kill(daemon.process("notary")?)?;
    await_that("there is another notary, and calls are taken", || {
        Ok(is_answered(&daemon.client("two")?.call("second", &json!([]), json!({}))?))
    })?;
    waits.say(b"{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{\"id\":7}}\n")?;
    let told = waits.hear()?.unwrap_or_default();
    drop(waits);
    let entries = daemon.end()?;
    let ends = entries.iter().filter(|entry| of(entry, "kind") == "call-end" || of(entry, "kind") == "closer").count();
    let begun = entries.iter().filter(|entry| of(entry, "kind") == "call").count();
    verdict(
        &[(ends < begun, "a call has no end on record")],
        &[(told.get("error").is_some(), "the caller is told")],
        "another notary goes on; each call has its end on record",
    )
}

fn second(scene: &Scene<'_>) -> Result<Verdict> {
    let daemon = Daemon::start(scene, &agents(scene))?;
    let pid = daemon.pid().to_string();
    let ran = scene.tollgate(&["serve"])?;
    daemon.must_serve("one", None)?;
    daemon.end()?;
    verdict(
        &[(ran.exit == Some(0), "two daemons have one ledger")],
        &[(ran.exit == Some(2) && ran.says("in use by process") && ran.says(&pid), "the refusal names the process")],
        "exit 2: in use by process PID",
    )
}

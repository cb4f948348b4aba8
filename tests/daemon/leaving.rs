//! Clients that leave, or want their call no more.

use serde_json::json;
use tollgate_audit::Entry;
use tollgate_workspace::processes::await_that;

use crate::lab::{DaemonLab, READS, SLEEPS, kind_of};

const SPINS: &str = "[tools.spin]\nlimits = { deadline = \"1h\", fuel = 10000000000000, calls = 16 }\n";

pub(crate) fn clients_that_leave_end_their_calls() {
    let policy = format!("{READS}{SLEEPS}{SPINS}[serve]\ncalls = 2\n");
    let lab = DaemonLab::new(&["echo-read", "sleep-forever", "spin"], &policy);
    let mut begun = 0;
    let idle = || await_that("no call is left", || lab.daemon.status().agents[0].running == 0);
    for (tool, arguments) in [("spin", json!({})), ("sleep-forever", json!({ "millis": 3_600_000 }))] {
        // By end of file.
        let mut client = lab.connect();
        client.begin(tool, "attack", &arguments);
        begun += 1;
        lab.await_begun("attack", begun);
        drop(client);
        idle();
        // By request: the same connection goes on.
        let mut client = lab.connect();
        let id = client.begin(tool, "attack", &arguments);
        begun += 1;
        lab.await_begun("attack", begun);
        client.say(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{id}}}}}\n").as_bytes());
        let cancelled = client.hear().expect("an answer");
        assert_eq!((&cancelled["id"], kind_of(&cancelled)), (&json!(id), "cancelled"), "{cancelled}");
        client.is_served();
    }
    // In the queue: it never runs.
    let mut client = lab.connect();
    for _call in 0..2 {
        client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    }
    begun += 2;
    lab.await_begun("attack", begun);
    let queued = client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    client.say(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{queued}}}}}\n").as_bytes());
    let cancelled = client.hear().expect("an answer");
    assert_eq!((&cancelled["id"], kind_of(&cancelled)), (&json!(queued), "cancelled"), "{cancelled}");
    drop(client);
    idle();
    assert_eq!(lab.begun("attack"), begun);
    let entries = lab.end();
    let is_it = |entry: &&Entry<'_>| matches!(entry, Entry::CallEnd(end) if end.class.as_str() == "cancelled");
    assert_eq!(entries.iter().filter(is_it).count(), begun, "each is on record as withdrawn");
}

/// A tool that runs as often as it may: others wait for their turn, whoever they are of, and none is told of a cap.
pub(crate) fn calls_beyond_a_tools_cap_wait_their_turn() {
    let policy = SLEEPS.replace("calls = 16", "calls = 1");
    let lab = DaemonLab::new(&["sleep-forever"], &policy);
    let mut clients: Vec<_> = (0..4).map(|_| lab.connect()).collect();
    for round in 0..5 {
        for client in &mut clients {
            client.begin("sleep-forever", "attack", &json!({ "millis": 5 }));
        }
        for client in &mut clients {
            let answer = client.hear().expect("an answer");
            assert_eq!(answer["result"]["ok"], true, "{round}: {answer}");
        }
    }
    // One that waits can be withdrawn, and keeps nobody.
    clients[0].begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    lab.await_begun("attack", 21);
    let waits = clients[1].begin("sleep-forever", "attack", &json!({ "millis": 5 }));
    await_that("two calls", || lab.daemon.status().agents[0].running == 2);
    clients[1].say(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{waits}}}}}\n").as_bytes());
    assert_eq!(kind_of(&clients[1].hear().expect("an answer")), "cancelled");
    clients.remove(0);
    let answer = clients[0].call("sleep-forever", "attack", &json!({ "millis": 5 }));
    assert_eq!(answer["result"]["ok"], true, "{answer}");
    drop(clients);
    lab.end();
}

/// A client that has a tool's log told and does not read it costs its own calls at most: their worker has others' calls too.
pub(crate) fn a_log_that_nobody_reads_costs_no_other_call() {
    let policy = format!(
        "{SLEEPS}[tools.flood-stdout]\nlimits = {{ stdio = \"1MiB\", deadline = \"1s\", calls = 16 }}\n\
         [compartments]\nboth = [\"flood-stdout\", \"sleep-forever\"]\n"
    );
    let lab = DaemonLab::new(&["flood-stdout", "sleep-forever"], &policy);
    let (mut deaf, mut other) = (lab.connect(), lab.connect());
    const CALLS: usize = 13;
    for id in 0..CALLS {
        let params =
            json!({ "tool": "flood-stdout", "operation": "stderr", "arguments": { "lines": 1_000 }, "logs": true });
        deaf.say(format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "call", "params": params })).as_bytes());
    }
    lab.await_begun("stderr", CALLS);
    // Longer, together, than the deadline of those calls and the grace behind it.
    for _call in 0..5 {
        let slept = other.call("sleep-forever", "attack", &json!({ "millis": 700 }));
        assert_eq!(slept["result"]["ok"], true, "{slept}");
    }
    let mut ended = 0;
    while ended < CALLS {
        let heard = deaf.hear().expect("an answer");
        if heard["method"] != "log" {
            let is_own = heard["result"]["ok"] == true || ["cap", "trap"].contains(&kind_of(&heard));
            assert!(is_own, "{}", heard["error"]);
            ended += 1;
        }
    }
    drop((deaf, other));
    let entries = lab.end();
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Closer(_))).count(), 0, "no worker was killed");
}

/// What a tool logs comes while it runs, whole and in order, however much at once; other calls of its worker notice nothing.
pub(crate) fn what_a_tool_logs_comes_while_it_runs() {
    let limits = "[tools.flood-stdout]\nlimits = { stdio = \"1MiB\", deadline = \"10s\", calls = 16 }\n";
    let lab = DaemonLab::new(&["flood-stdout"], limits);
    let (mut follows, mut other) = (lab.connect(), lab.connect());
    for lines in [1, 10, 500] {
        let params =
            json!({ "tool": "flood-stdout", "operation": "stderr", "arguments": { "lines": lines }, "logs": true });
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "call", "params": params });
        follows.say(format!("{line}\n").as_bytes());
        let beside = other.call("flood-stdout", "stderr", &json!({ "lines": 2 }));
        assert_eq!(beside["result"]["ok"], true, "{beside}");
        let mut text = String::new();
        let answer = loop {
            let heard = follows.hear().expect("an answer");
            if heard["method"] != "log" {
                break heard;
            }
            text.push_str(heard["params"]["text"].as_str().expect("text"));
        };
        assert_eq!(answer["result"]["ok"], true, "{answer}");
        let all = answer["result"]["stderr"].as_str().expect("text");
        assert!(!all.is_empty() && text == all, "{lines}: {} bytes of {}", text.len(), all.len());
    }
    drop((follows, other));
    let entries = lab.end();
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Closer(_))).count(), 0);
}

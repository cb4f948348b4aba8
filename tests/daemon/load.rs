//! Many calls of many clients, while the policy is replaced.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, getpid};
use serde_json::Value;
use tollgate_audit::{CallClass, Entry};
use tollgate_workspace::foreign::missing;
use tollgate_workspace::processes::{await_that, children_in, children_of, open_fds};

use crate::heap::live_bytes;
use crate::lab::{DaemonLab, READS};

/// What one client does over and over: a tool that works, files, and tools that are hostile. It counts what it is answered.
const CLIENT: &str = r#"
import json, socket, sys, threading, collections
path, clients, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
CALLS = [("echo-read", "echo", {"a": 1}), ("json-query", "query", {"document": {"a": 1}, "pointer": "/a"}),
         ("echo-read", "read-many", {"path": "/data/file", "times": 3}), ("echo-read", "echo", {"text": "x" * 2000})]
HOSTILE = [("panic", "attack", {}), ("eat-memory", "attack", {}), ("read-env", "attack", {}), ("climb-dotdot", "attack", {})]
counts, lock = collections.Counter(), threading.Lock()
def client(number):
    stream = socket.socket(socket.AF_UNIX); stream.connect(path)
    lines = stream.makefile("r")
    own = collections.Counter()
    for n in range(calls // clients):
        tool, operation, arguments = HOSTILE[n // 50 % 4] if n % 50 == 49 else CALLS[(n + number) % 4]
        request = {"jsonrpc": "2.0", "id": n, "method": "call", "params": {"tool": tool, "operation": operation, "arguments": arguments}}
        stream.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(lines.readline())
        assert answer["id"] == n, answer
        kind = "ok" if "result" in answer else answer["error"]["data"]["error"]["kind"]
        own[tool + " " + kind] += 1
    with lock: counts.update(own)
threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
[t.start() for t in threads]; [t.join() for t in threads]
print(json.dumps(counts))
"#;

/// What the daemon holds while nobody asks anything of it.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    processes: usize,
    live_bytes: i64,
    /// Of the daemon, and of its gateways.
    pss_kib: (u64, u64),
}

pub(crate) fn eight_clients_lose_no_call() {
    if Command::new("python3").arg("--version").output().is_err() {
        return missing("python3, whose clients count answers,", "apt.log");
    }
    let tools = ["echo-read", "json-query", "panic", "eat-memory", "read-env", "climb-dotdot"];
    let lab = DaemonLab::new(&tools, &policy(0));
    let mut answered = clients(&lab, 2_000);
    let before = held(&lab);
    for (what, count) in clients(&lab, 18_000) {
        *answered.entry(what).or_default() += count;
    }
    let after = held(&lab);
    println!("before: {before:?}\nafter:  {after:?}");
    assert_eq!((after.descriptors, after.processes), (before.descriptors, before.processes));
    assert!(after.live_bytes - before.live_bytes <= LIVE_BYTES_MORE_MAX, "{before:?} {after:?}");
    let more = (after.pss_kib.0 + after.pss_kib.1).saturating_sub(before.pss_kib.0 + before.pss_kib.1);
    assert!(more <= PSS_KIB_MORE_MAX, "{before:?} {after:?}");
    assert_eq!(answered.values().sum::<u64>(), 20_000, "{answered:?}");
    let said = lab.said();
    let entries = lab.end();
    assert!(said.iter().any(|line| line.contains("holds from here on")), "the policy was replaced: {said:?}");
    // No error that is not the hostile tool's own, and each answer is an end in the ledger, of the same tool and class.
    let mut on_record: BTreeMap<String, u64> = BTreeMap::new();
    let mut tool_of = BTreeMap::new();
    for entry in &entries {
        match entry {
            Entry::Call(call) if call.agent.is_some() => drop(tool_of.insert(call.call, call.tool.to_string())),
            Entry::CallEnd(end) => {
                if let Some(tool) = tool_of.get(&end.call) {
                    let kind = match end.class {
                        CallClass::Success => "ok",
                        class => class.as_str(),
                    };
                    *on_record.entry(format!("{tool} {kind}")).or_default() += 1;
                }
            }
            _other => {}
        }
    }
    let answered: BTreeMap<String, u64> =
        answered.into_iter().map(|(what, count)| (what.replace(" tool", " tool-error"), count)).collect();
    // Those by which the daemon was measured are on record too.
    let mut answered = answered;
    ["echo-read ok", "json-query ok"].iter().for_each(|what| *answered.entry((*what).to_owned()).or_default() += 2);
    assert_eq!(answered, on_record);
    let is_good = |what: &&String| ["echo-read", "json-query"].iter().any(|tool| what.starts_with(tool));
    assert!(answered.keys().filter(is_good).all(|what| what.ends_with(" ok")), "{answered:?}");
}

/// Has eight clients make so many calls, while the policy is replaced.
fn clients(lab: &DaemonLab, calls: u32) -> BTreeMap<String, u64> {
    let mut command = Command::new("python3");
    command.args(["-c", CLIENT]).arg(lab.socket()).args(["8", &calls.to_string()]).stdout(Stdio::piped());
    let child = command.spawn().expect("python3");
    let done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                lab.write_policy(&policy(round));
                // Now and then it is one that does not hold.
                let reloaded = lab.daemon.reload("tests");
                assert_eq!(reloaded.is_err(), round % 5 == 4, "{round}: {reloaded:?}");
                thread::sleep(Duration::from_millis(100));
            }
        });
        let output = child.wait_with_output().expect("python3");
        done.store(true, Ordering::SeqCst);
        output
    });
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice::<BTreeMap<String, Value>>(&output.stdout)
        .expect("counts")
        .into_iter()
        .map(|(what, count)| (what, count.as_u64().expect("a count")))
        .collect()
}

/// In each round another one; some give a tool another set, some do not hold.
fn policy(round: u32) -> String {
    let reads = READS.replace("calls = 16", &format!("calls = {}", 16 + round % 2));
    let broken = if round % 5 == 4 { "[tools.echo-read" } else { "" };
    format!(
        "# {round}\n{reads}[tools.json-query]\nlimits = {{ calls = 16 }}\n[tools.panic]\nlimits = {{ calls = 16 }}\n[tools.eat-memory]\nlimits = {{ calls = 16 }}\n[tools.read-env]\nlimits = {{ calls = 16 }}\n[tools.climb-dotdot]\nfs.\"/docs\" = {{ host = \"DATA\", access = [\"read\", \"list\"] }}\nlimits = {{ calls = 16 }}\n{broken}"
    )
}

fn held(lab: &DaemonLab) -> Held {
    lab.write_policy(&policy(0));
    lab.daemon.reload("tests").expect("a policy that holds");
    // Each tool has the worker of this policy, and those of the others are gone.
    let mut client = lab.connect();
    for tool in ["echo-read", "json-query"] {
        let (operation, arguments) = if tool == "echo-read" {
            ("echo", serde_json::json!({}))
        } else {
            ("query", serde_json::json!({ "document": {}, "pointer": "" }))
        };
        client.call(tool, operation, &arguments);
    }
    drop(client);
    await_that("one worker for each tool", || children_in("worker").len() <= 6);
    await_that("no client is left", || lab.daemon.status().agents.iter().all(|agent| agent.connections == 0));
    let processes = children_of(getpid());
    let pss = |pid: Pid| {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_pid())).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:"));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or_default()
    };
    // A daemon that nobody asks anything of gives back what is free, the next time that it looks around.
    let looks = (0..22).map(|_| {
        thread::sleep(Duration::from_millis(500));
        (pss(getpid()), children_in("gateway").into_iter().map(pss).sum())
    });
    let pss_kib = looks.min_by_key(|(own, gateways): &(u64, u64)| own + gateways).expect("looks");
    Held { descriptors: open_fds(), processes: processes.len(), live_bytes: settled_bytes(), pss_kib }
}

/// What is in use once threads that end have given theirs back: the least of many looks.
fn settled_bytes() -> i64 {
    let looks = (0..50).map(|_| {
        thread::sleep(Duration::from_millis(10));
        live_bytes()
    });
    looks.min().unwrap_or_default()
}

/// What tables that have grown once keep, what the daemon said, and 16 KiB of each connection to a worker that was used for the first time:
/// less than sixteen bytes for each call in between.
const LIVE_BYTES_MORE_MAX: i64 = 256 << 10;
const PSS_KIB_MORE_MAX: u64 = 4 << 10;

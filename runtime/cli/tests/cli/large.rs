//! A ledger of as many entries as are wanted, and a home of as many tools: what is there of each, repeated; and how much a
//! command reads.

use std::fs;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tollgate_audit::{CallId, EncodedEntry, Entry, LeafHash, Salt, WriterId, call_root, read};
use tollgate_ledger::{Ledger, SideStore};

/// Repeats the last call of the ledger in `folder`, under new ids and a second after each other, until the ledger has
/// `entries`; the calls. The side store has as much of each as of a call whose arguments are kept.
pub(crate) fn lengthen(folder: &Path, entries: u64) -> Vec<CallId> {
    let there: Vec<_> = read(folder).unwrap().map(|read| read.unwrap().1).collect();
    let last = there.iter().rev().find_map(|entry| if let Entry::CallEnd(end) = entry { Some(end.call) } else { None });
    let call: Vec<_> = there.into_iter().filter(|entry| entry.call() == last).collect();
    let Some(Entry::Call(start)) = call.first() else { panic!("no call: {call:?}") };
    let start_ms = start.time_ns / 1_000_000;
    let ledger = Ledger::reopen(folder, "a test", start.time_ns).unwrap();
    let kept = SideStore::open(folder).unwrap();
    let mut calls = Vec::new();
    while ledger.size().0 < entries {
        let mut group = Vec::new();
        for _call in 0..CALLS_AT_ONCE {
            let count = u32::try_from(calls.len()).unwrap();
            let time_ms = start_ms + 1000 * u64::from(count + 1);
            let id = CallId::new(time_ms, WriterId([7; 6]), count);
            group.extend(again(&call, id, time_ms * 1_000_000));
            kept.put_call(id, &Salt([7; 32]), Some(b"{\"folder\": \"/docs\"}")).unwrap();
            kept.put_result(id, b"{\"files\": 2}").unwrap();
            calls.push(id);
        }
        ledger.append(&group).unwrap();
        if calls.len().is_multiple_of(32 * CALLS_AT_ONCE) {
            ledger.checkpoint().unwrap();
        }
    }
    ledger.checkpoint().unwrap();
    // As the next run would: it looks through what came since the last one.
    kept.sweep().unwrap();
    calls
}

/// The entries of a call as those of another one.
#[allow(clippy::wildcard_enum_match_arm, reason = "a call that ends well has no others")]
fn again(call: &[Entry<'static>], id: CallId, start_ns: u64) -> Vec<EncodedEntry> {
    let mut leaves: Vec<LeafHash> = Vec::new();
    let encode = |entry: &Entry<'static>| {
        let mut entry = entry.clone();
        match &mut entry {
            Entry::Call(start) => (start.call, start.time_ns) = (id, start_ns),
            Entry::Intent(intent) => intent.call = id,
            Entry::Outcome(outcome) => outcome.call = id,
            Entry::CallEnd(end) => (end.call, end.root) = (id, call_root(&leaves)),
            other => panic!("not of a call that ends well: {other:?}"),
        }
        let encoded = entry.encode();
        leaves.push(encoded.leaf());
        encoded
    };
    call.iter().map(encode).collect()
}

/// Gives the tool that is installed as `name` in `home` to `count` tools in all, under other names that sort before it. They share its
/// component, as they would if each was installed.
pub(crate) fn multiply(home: &Path, name: &str, count: usize) {
    let tools = home.join("tools");
    let record = fs::read(tools.join(format!("{name}.json"))).unwrap();
    for number in 1..count {
        fs::write(tools.join(format!("another-{number:05}.json")), &record).unwrap();
    }
}

/// Waits until the process has ended, and says how many bytes it and those that it waited for have read: files, pipes, the page
/// cache or the disk alike (`proc(5)`, `rchar`). It is still to be waited for.
pub(crate) fn bytes_read(child: &Child) -> u64 {
    waitid(WaitId::Pid(Pid::from_child(child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
    let counted = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
    let read = counted.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    read.parse().unwrap()
}

const CALLS_AT_ONCE: usize = 16;

//! A call is found by the time in its id, also where clocks were set back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is wrong")]

use std::collections::HashMap;

use tollgate_audit::{Call, CallId, EncodedEntry, Entry, Kind, WriterId, call_root, read, read_for_call};

use tollgate_testing::calls::open;
use tollgate_testing::entries::{call, call_end};
use tollgate_testing::ledgers::tempdir;

/// A call of two entries, which starts so many seconds after the first one does.
fn entries(count: u32, after_s: u64) -> [EncodedEntry; 2] {
    let time_ms = 1_700_000_000_000 + 1000 * after_s;
    let id = CallId::new(time_ms, WriterId([7; 6]), count);
    let start = Entry::Call(Call { time_ns: time_ms * 1_000_000, ..call(id) }).encode();
    let end = Entry::CallEnd(call_end(id, call_root(&[start.leaf()]))).encode();
    [start, end]
}

#[test]
fn each_call_is_found_though_the_clock_was_set_back_and_leapt() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    // The same hour three times, and another one far ahead between.
    let hours = [0_u64, 1_000_000, 0, 0];
    for (hour, first) in (0_u32..).zip(hours) {
        let group: Vec<_> = (0..600).flat_map(|n| entries(1000 * hour + n, first + 6 * u64::from(n))).collect();
        ledger.append(&group).unwrap();
    }
    ledger.checkpoint().unwrap();
    let is_start = |kind, _call| kind == Kind::Call;
    let mut whole = read(dir.path()).unwrap();
    let mut places = HashMap::new();
    while let Some(read) = whole.next_of(is_start) {
        let (index, entry) = read.unwrap();
        places.insert(entry.call().unwrap(), index);
    }
    assert_eq!(places.len(), 2400);
    let (mut sought, mut passed_over) = (0, 0);
    for (id, place) in places.iter().filter(|(id, _)| id.count() % 50 == 7) {
        let mut found = read_for_call(dir.path(), *id).unwrap();
        passed_over += found.index().unwrap().0;
        sought += 1;
        let (index, _entry) = found.next_of(|kind, call| kind == Kind::Call && call == Some(*id)).unwrap().unwrap();
        assert_eq!(index, *place, "{id}");
    }
    assert!(sought == 48 && passed_over > 48 * 256, "{passed_over} entries were not read");
}

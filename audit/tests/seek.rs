//! A call is found by the time in its id, also where clocks were set back.
#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is wrong")]

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use tollgate_audit::{
    Call, CallId, EncodedEntry, Entry, Kind, LeafIndex, SOUGHT_BUNDLES, Sought, WriterId, call_root, find_call, read,
    read_for_call,
};

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

#[test]
fn a_call_is_sought_within_bounds_with_who_was_proven_to_ask() {
    let anybody = |_proven: Option<&str>| true;
    let dir = tempdir().unwrap();
    assert_eq!(find_call(dir.path(), CallId([9; 16]), anybody).unwrap(), Sought::NotCovered, "there is no ledger");
    let ledger = open(dir.path());
    let id = |n: u32| CallId::new(1_700_000_000_000 + 1000 * u64::from(n), WriterId([7; 6]), n);
    for n in 0..600 {
        ledger.append(&entries(n, u64::from(n))).unwrap();
    }
    ledger.checkpoint().unwrap();
    let opened = read(dir.path()).unwrap().next_of(|kind, _call| kind == Kind::Call).unwrap().unwrap().0;
    for n in [0, 1, 127, 128, 300, 599] {
        let end = LeafIndex(opened.0 + 2 * u64::from(n) + 1);
        assert_eq!(find_call(dir.path(), id(n), anybody).unwrap(), Sought::Ended { end }, "{n}");
    }
    // One that is not covered yet, one that is under way, one of an agent.
    let [start, end] = entries(600, 600);
    ledger.append(&[start]).unwrap();
    assert_eq!(find_call(dir.path(), id(600), anybody).unwrap(), Sought::NotCovered);
    ledger.checkpoint().unwrap();
    assert_eq!(find_call(dir.path(), id(600), anybody).unwrap(), Sought::Begun);
    ledger.append(&[end]).unwrap();
    let named = Call { time_ns: id(601).time_ms() * 1_000_000, agent: Some("web".into()), ..call(id(601)) };
    ledger.append(&[Entry::Call(named).encode()]).unwrap();
    ledger.checkpoint().unwrap();
    let by = |agent: &'static str| move |proven: Option<&str>| proven == Some(agent);
    assert_eq!(find_call(dir.path(), id(601), by("web")).unwrap(), Sought::Begun);
    for (n, agent) in [(601, "other"), (601, "agent-7"), (600, "web"), (0, "agent-7")] {
        let found = find_call(dir.path(), id(n), by(agent)).unwrap();
        assert_eq!(found, Sought::NotCovered, "{n}: neither another one's nor one that it claims");
    }
    // However long the ledger is, no more than this is read for a call that is not there.
    let many: Vec<_> =
        (1_000..1_000 + 256 * u32::try_from(SOUGHT_BUNDLES).unwrap()).flat_map(|n| entries(n, 1_000)).collect();
    for some in many.chunks(1_000) {
        ledger.append(some).unwrap();
    }
    ledger.checkpoint().unwrap();
    assert_eq!(find_call(dir.path(), id(599 + 7), anybody).unwrap(), Sought::NotThere);
    assert_eq!(find_call(dir.path(), CallId([9; 16]), anybody).unwrap(), Sought::NotCovered, "of a time to come");
    assert_eq!(find_call(dir.path(), CallId([0; 16]), anybody).unwrap(), Sought::NotThere);
}

/// Others fill the ledger, and a worker that was broken into says of its entries that they are of another time: neither is taken for the
/// time at which the notary wrote them.
#[test]
fn a_call_is_found_behind_all_that_others_wrote_before_it() {
    let anybody = |_proven: Option<&str>| true;
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    let now = || u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let at = |time_ms: u64, count: u32| {
        let id = CallId::new(time_ms, WriterId([7; 6]), count);
        (id, Entry::Call(Call { time_ns: time_ms * 1_000_000, ..call(id) }).encode())
    };
    let start = now();
    let most = u32::try_from(256 * SOUGHT_BUNDLES).unwrap();
    // As many as are read for one call, and more, each a moment old; every hundredth is of a time to come.
    for first in (0..most + 1_000).step_by(1_000) {
        let some: Vec<_> = (first..first + 1_000)
            .map(|n| at(if n % 100 == 0 { start + 10_000_000 } else { start - 5_000 }, n).1)
            .collect();
        ledger.append(&some).unwrap();
    }
    ledger.checkpoint().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let (own, begun) = at(now(), most + 2_000);
    let end = Entry::CallEnd(call_end(own, call_root(&[begun.leaf()]))).encode();
    ledger.append(&[begun]).unwrap();
    ledger.checkpoint().unwrap();
    assert_eq!(find_call(dir.path(), own, anybody).unwrap(), Sought::Begun);
    // Its end is further behind than is read.
    for first in (0..most).step_by(1_000) {
        ledger.append(&(first..first + 1_000).map(|n| at(now(), most + 3_000 + n).1).collect::<Vec<_>>()).unwrap();
    }
    ledger.append(&[end]).unwrap();
    ledger.checkpoint().unwrap();
    assert_eq!(find_call(dir.path(), own, anybody).unwrap(), Sought::BegunLongBefore);
    assert_eq!(find_call(dir.path(), own, |_nobody| false).unwrap(), Sought::NotThere);
}

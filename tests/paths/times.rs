//! Times of files are a clock: none without one, and none finer than the one that is granted.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tollgate_audit::{Entry, Verdict};
use tollgate_capability::{ClockMode, OnViolation, Reason, RecordScope};

use tollgate_workspace::site::{ALL, Refusal, Site, step};

/// A moment between two steps of a coarse clock.
const MOMENT: Duration = Duration::new(1_000_000, 987_654_321);

/// Every way to ask for the times of `a.txt`: by its path, by a handle that reads, writes, or both; and of the folder.
fn ways() -> Vec<Value> {
    let open =
        |flags: &[&str]| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": flags, "then": "stat" });
    let folder = json!({ "op": "open-at", "base": "/docs", "path": ".", "open": ["directory"], "then": "stat" });
    let preopen = json!({ "op": "preopen", "base": "/docs", "then": "stat" });
    vec![step("stat-at", "a.txt"), open(&["read"]), open(&["write"]), open(&["read", "write"]), folder, preopen]
}

/// The times that each way tells, with both of the file set to one moment.
fn told(clock: Option<ClockMode>) -> Vec<Value> {
    let mut site = Site::new();
    let moment = UNIX_EPOCH + MOMENT;
    let times = FileTimes::new().set_accessed(moment).set_modified(moment);
    for path in ["docs/a.txt", "docs"] {
        File::open(site.lab.path(path)).and_then(|file| file.set_times(times)).expect("new times");
    }
    let mut set = site.set(ALL);
    set.wall_clock = clock;
    let tool = site.load(set);
    let taken = site.raw(&tool, &ways());
    taken.outcomes.iter().map(|outcome| outcome["ok"]["times"].clone()).collect()
}

#[test]
fn without_a_clock_no_way_to_ask_tells_a_time() {
    for clock in [None, Some(ClockMode::Frozen)] {
        assert_eq!(told(clock), vec![json!([null, null, null]); 6], "{clock:?}");
    }
}

#[test]
fn with_a_clock_times_are_as_fine_as_it_is() {
    for (clock, nanoseconds) in [(ClockMode::Real, 987_654_321_u64), (ClockMode::Coarse, 900_000_000)] {
        let moment = json!([1_000_000, nanoseconds]);
        for times in told(Some(clock)) {
            assert_eq!([&times[0], &times[1]], [&moment, &moment], "{clock:?}");
            // The change of the file itself cannot be set: it is now.
            let changed = times[2][1].as_u64().expect("nanoseconds");
            assert!(clock == ClockMode::Real || changed % 100_000_000 == 0, "{clock:?}: {changed}");
        }
    }
}

#[test]
fn what_a_guest_writes_tells_it_no_time_without_a_clock() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let made = json!({ "op": "open-at", "base": "/docs", "path": "new", "open": ["create"], "flags": ["write"], "then": "stat" });
    let taken = site.raw(&tool, &[made, step("set-times-at", "new"), step("stat-at", "new")]);
    for place in [0, 2] {
        assert_eq!(taken.outcomes[place]["ok"]["times"], json!([null, null, null]));
    }
}

#[test]
fn to_ask_about_a_handle_is_counted_and_with_every_call_recorded() {
    let mut site = Site::new();
    let mut set = site.set("read");
    set.record = RecordScope::Every;
    let tool = site.load(set);
    let asked =
        |then: &str| json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "flags": ["read"], "then": then });
    let arguments = json!({ "steps": [asked("stat"), asked("metadata-hash")] }).to_string();
    let answer = site.lab.call(&tool, "raw", &arguments).expect("an answer");
    let entries = site.lab.entries_of(answer.call);
    for name in ["stat", "metadata-hash"] {
        let function = format!("wasi:filesystem/types.[method]descriptor.{name}");
        let recorded = entries.iter().filter(|entry| {
            matches!(entry, Entry::Intent(intent) if intent.function.as_str() == function && intent.verdict == Verdict::Allow)
        });
        assert_eq!(recorded.count(), 1, "{name}");
        let Some(Entry::CallEnd(end)) = entries.last() else { panic!("no end") };
        let counted = end.counters.iter().find(|found| *found.0 == *function);
        assert_eq!(counted.map(|(_, calls)| *calls), Some(1), "{name}");
    }
}

/// The handle of a folder tells no more than its path. Its hash may be had by who lists, as by path.
#[test]
fn a_folder_is_not_asked_about_by_its_handle_without_a_right() {
    let mut site = Site::new();
    let set = site.set("read,write,create,delete");
    let listed = site.set("read,write,create,delete,list");
    let ask = |then: &str| json!({ "op": "preopen", "base": "/docs", "then": then });
    let refusals =
        ["stat", "metadata-hash"].map(|then| Refusal::new(ask(then), "fs:/docs:metadata", Reason::NotGranted));
    site.refused(&set, &refusals);
    site.refused(&listed, &refusals[..1]);
    let all = site.load(site.set("metadata"));
    assert_eq!(site.raw(&all, &[ask("stat"), ask("metadata-hash")]).codes(), ["ok"; 2]);
    assert_eq!(set.on_violation, OnViolation::Kill);
    fs::metadata(site.lab.path("docs")).expect("the folder is there");
}

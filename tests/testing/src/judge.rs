//! Whether a ledger that processes were killed over is whole, and nothing that was acknowledged is missing or there twice.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tollgate_audit::{CallId, Entry, Expected, Report, read, verify};

/// Verifies a ledger without opening it: nothing is wrong, no call is open, and it begins with what it was.
pub fn verified(ledger: &Path, before: Option<Expected>) -> Report {
    let report = verify(ledger, before).expect("a ledger that can be read");
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.open_calls, [], "calls without an end");
    report
}

/// Each of these calls started and ended once, no entry is there twice, no index is left out.
pub fn assert_once(ledger: &Path, acknowledged: &[CallId]) {
    let mut seen = HashSet::new();
    let mut calls: HashMap<CallId, (u32, u32)> = HashMap::new();
    for (place, entry) in (0..).zip(read(ledger).expect("a ledger")) {
        let (index, entry) = entry.expect("an entry");
        assert_eq!(index.0, place, "indices without a gap");
        let Some(call) = entry.call() else { continue };
        assert!(seen.insert(entry.encode().leaf()), "twice: {entry:?}");
        let count = calls.entry(call).or_default();
        match entry {
            Entry::Call(_) => count.0 += 1,
            Entry::CallEnd(_) => count.1 += 1,
            _ => {}
        }
    }
    for call in acknowledged {
        assert_eq!(calls.get(call), Some(&(1, 1)), "starts and ends of {call}, which was acknowledged");
    }
}

/// How many calls of an operation have begun, in a ledger that may be being written.
pub fn calls_in(ledger: &Path, operation: &str) -> usize {
    let entries = read(ledger).expect("a ledger").map_while(Result::ok);
    let is_one = |entry: &Entry<'_>| matches!(entry, Entry::Call(call) if call.operation.as_str() == operation);
    entries.filter(|(_, entry)| is_one(entry)).count()
}

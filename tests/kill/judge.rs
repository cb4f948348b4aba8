//! Whether a ledger is what it must be after a round: whole, and nothing that was acknowledged is missing or there twice.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use tollgate::CallId;
use tollgate_audit::{Entry, Expected, Ledger, Report, read, verify};

use crate::front::ORIGIN;

/// A ledger that rounds go on with.
#[derive(Default)]
pub(crate) struct Past {
    /// Calls that were acknowledged, in every round.
    pub(crate) acknowledged: Vec<CallId>,
    /// What it was after the last round.
    last: Option<Expected>,
}

impl Past {
    pub(crate) fn of(acknowledged: &[CallId]) -> Self {
        Self { acknowledged: acknowledged.to_vec(), last: None }
    }

    /// Opens the ledger, which mends it, and judges all of it; the number of its entries.
    pub(crate) fn judge(&mut self, ledger: &Path) -> u64 {
        drop(Ledger::open(ledger, ORIGIN, "tests", 1).unwrap_or_else(|error| panic!("it does not open: {error:?}")));
        let report = verified(ledger, self.last);
        let checkpoint = report.checkpoint.as_ref().expect("a checkpoint");
        assert_eq!(checkpoint.size, report.size, "the checkpoint covers all");
        let size = report.size;
        let grown = self.last.and_then(|last| last.size).is_none_or(|last| size > last);
        assert!(grown, "{size:?} after {:?}", self.last);
        self.last = Some(Expected { root: report.root, size: Some(size) });
        assert_once(ledger, &self.acknowledged);
        size.0
    }
}

/// Verifies a ledger without opening it: nothing is wrong, no call is open, and it begins with what it was.
pub(crate) fn verified(ledger: &Path, before: Option<Expected>) -> Report {
    let report = verify(ledger, before).expect("a ledger that can be read");
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.open_calls, [], "calls without an end");
    report
}

/// Each of these calls started and ended once, no entry is there twice, no index is left out.
pub(crate) fn assert_once(ledger: &Path, acknowledged: &[CallId]) {
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

//! Whether a ledger is what it must be after a round: whole, and nothing that was acknowledged is missing or there twice.

use std::path::Path;

use tollgate::CallId;
use tollgate_audit::Expected;
use tollgate_ledger::Ledger;
use tollgate_workspace::judge::{assert_once, verified};

use crate::embedder::ORIGIN;

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

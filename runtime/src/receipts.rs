//! Receipts of calls, for whoever asked for the call: the proof that its end is in the ledger, which anybody verifies offline.
//!
//! Reads the ledger's files beside the notary, and has nothing written for it. It must never give one agent what another one's
//! call left, and never tell whether there is such a call; and it must never read much more of a long ledger than of a short one.

use std::thread;
use std::time::Duration;

use tollgate_audit::{CallId, LeafIndex, Receipt, ReceiptError, Sought, find_call, prove};
use tollgate_engine::clock::now_ms;

use crate::service::Tollgate;

/// Why there is no receipt.
#[derive(Debug, thiserror::Error)]
pub enum NoReceipt {
    /// The ledger has no such call, or not one of whoever asks.
    #[error("there is no receipt of a call {call} here")]
    NoCall {
        /// The call.
        call: CallId,
    },
    /// The call is under way, or no checkpoint covers its end yet: asking again later may help. A call whose worker died never has a
    /// receipt, since it has no end.
    #[error(
        "the call {call} has no receipt yet: it is under way, or has only just ended, or its worker died; ask again later"
    )]
    NotYet {
        /// The call.
        call: CallId,
    },
    /// The call's end is further behind its start than is read for one receipt, as where it took long and others recorded much meanwhile.
    #[error(
        "the end of the call {call} is too far behind its start to be looked for here; the operator has its receipt by `tollgate audit prove`"
    )]
    FarEnd {
        /// The call.
        call: CallId,
    },
    /// The ledger cannot be read.
    #[error("no receipt can be made out of the ledger")]
    Ledger(#[from] ReceiptError),
}

impl Tollgate {
    /// The receipt of a call's end, under the latest checkpoint. Waits up to 2 s for one that covers it. A call is found where the time
    /// in its id says that it is; what was recorded while a clock was set back, `tollgate audit prove` finds.
    ///
    /// # Errors
    ///
    /// [`NoReceipt`].
    pub fn receipt(&self, call: CallId) -> Result<Receipt, NoReceipt> {
        self.receipt_of(call, |_anybody| true)
    }

    /// As [`Tollgate::receipt`], of a call that this agent was proven to ask for. What somebody claimed is nothing here.
    ///
    /// # Errors
    ///
    /// [`NoReceipt`]; [`NoReceipt::NoCall`] for the calls of others too.
    pub fn receipt_for(&self, call: CallId, agent: &str) -> Result<Receipt, NoReceipt> {
        self.receipt_of(call, |proven| proven == Some(agent))
    }

    fn receipt_of(&self, call: CallId, is_theirs: impl Fn(Option<&str>) -> bool) -> Result<Receipt, NoReceipt> {
        let mut waits = WAITS.into_iter();
        loop {
            let not_yet = match self.look_for(call, &is_theirs) {
                Ok(receipt) => return Ok(receipt),
                Err(NotFound::ForGood(error)) => return Err(error),
                Err(NotFound::Yet(error)) => error,
            };
            let Some(wait) = waits.next() else { return Err(not_yet) };
            thread::sleep(wait);
        }
    }

    fn look_for(&self, call: CallId, is_theirs: impl Fn(Option<&str>) -> bool) -> Result<Receipt, NotFound> {
        let (ledger, none) = (&self.config().ledger, NoReceipt::NoCall { call });
        let end = match find_call(ledger, call, is_theirs) {
            Ok(Sought::Ended { end }) => Some(end),
            Ok(Sought::Begun) => self.end_of(call),
            Ok(Sought::BegunLongBefore) => {
                let far = || NotFound::ForGood(NoReceipt::FarEnd { call });
                Some(self.end_of(call).ok_or_else(far)?)
            }
            Ok(Sought::NotThere) => return Err(NotFound::ForGood(none)),
            // Of a call of some time ago nothing is about to come.
            Ok(Sought::NotCovered) if !is_of_now(call) => return Err(NotFound::ForGood(none)),
            Ok(Sought::NotCovered) => return Err(NotFound::Yet(none)),
            // Tiles of a checkpoint may be gone once there is a newer one.
            Err(source) => return Err(NotFound::Yet(ReceiptError::Journal { source: Some(source) }.into())),
        };
        let receipt = end.map(|end| prove(ledger, end));
        match receipt {
            Some(Ok(receipt)) => Ok(receipt),
            None | Some(Err(ReceiptError::NotCovered { .. } | ReceiptError::Unsigned)) => {
                Err(NotFound::Yet(NoReceipt::NotYet { call }))
            }
            Some(Err(error)) => Err(NotFound::Yet(error.into())),
        }
    }

    /// Where the notary knows the end of a call, if that was lately.
    fn end_of(&self, call: CallId) -> Option<LeafIndex> {
        self.supervisor().notary().locate(call).ok().flatten()
    }
}

/// Whether a call may just have begun, or have begun and written nothing yet.
fn is_of_now(call: CallId) -> bool {
    now_ms().abs_diff(call.time_ms()) < NOW_MS
}

/// Why one look at the ledger found no receipt.
enum NotFound {
    /// Another look may.
    Yet(NoReceipt),
    /// None will.
    ForGood(NoReceipt),
}

/// A call's start is written before anything that it asks for, and at the latest with its end: within the longest deadline, an hour, and the
/// grace behind it.
const NOW_MS: u64 = 2 * 3_600_000;

/// Between looks: the notary signs every 100 ms where anything is new. Few, since whoever asks may ask for what never comes.
const WAITS: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(500), Duration::from_millis(1_300)];

//! What people read of a ledger: chosen entries, and reports as JSON, Markdown and HTML.
//!
//! It shows; that what it shows is true is `tollgate-audit`'s to prove.
#![forbid(unsafe_code)]

mod filter;
mod report;

pub use crate::filter::{
    CallPattern, Context, Filter, GuestPath, OPEN_CALLS_MAX, OPEN_INTENTS_MAX, ParseCallPatternError,
    ParseGuestPathError, Selector,
};
pub use crate::report::{
    Activity, ActivityReport, BAND_STARTS_PERCENT, BlockedNote, CALLS_LISTED_MAX, CallNote, FINDINGS_LISTED_MAX,
    GROUPS_MAX, Group, GroupBy, Integrity, KernelLayer, RANKED_LISTED_MAX, RANKED_NAMES_MAX, RANKED_TOOLS_MAX, Ranked,
    Ranking, Reading, Reloads, Results, SPANS_MAX, Share, Span, Timeline, UsageShares, WorkerLevels, utc,
};

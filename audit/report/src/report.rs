//! What agents and tools did over a period, added up: calls and how they ended, what was refused, which caps were hit,
//! what was touched, and whether the ledger that says so is sound.
//!
//! One pass in bounded memory; each bound is a constant named here or in [`Filter`]'s module. It must never read a
//! clock, so that the same ledger gives the same report, and never let a text of a tool act as markup.

use serde::Serialize;
use serde_json::{Value, json};

use crate::filter::Filter;
use tollgate_audit::Report;
use tollgate_audit::checkpoint::Checkpoint;
use tollgate_audit::entry::{Entry, Kind};
use tollgate_audit::ids::{CallId, LeafIndex, RootHash, TreeSize};
use tollgate_audit::key::VerifierKey;
use tollgate_audit::show::ReadError;

mod activity;
mod charts;
mod document;
mod escape;
mod html;
mod kernel;
mod markdown;
mod ranking;
mod shares;
mod tally;
mod timeline;
mod units;

pub use activity::{Activity, Results};
pub use kernel::{BlockedNote, KernelLayer, WorkerLevels};
pub use ranking::{RANKED_LISTED_MAX, RANKED_NAMES_MAX, RANKED_TOOLS_MAX, Ranked, Ranking};
pub use shares::{BAND_STARTS_PERCENT, Share, UsageShares};
pub use timeline::{SPANS_MAX, Span, Timeline};
pub use units::time as utc;

/// Most groups that are told apart, by their first call, of proven names and of claimed ones each; the rest is one sum,
/// [`ActivityReport::other_groups`].
pub const GROUPS_MAX: usize = 10_000;

/// Most calls listed that have no end of their own, of each sort.
pub const CALLS_LISTED_MAX: usize = 50;

/// Most findings of verification listed.
pub const FINDINGS_LISTED_MAX: usize = 20;

/// What the calls did that a filter chooses.
///
/// A call counts with all that it did if its start is in the filter's period, so that the reports of one day and
/// the next add up. A criterion on what was asked (path, verdict, rule) narrows the intents, violations, bytes and
/// paths, not the calls. Kinds of entries are not looked at.
///
/// The names of the fields are those of its JSON, and stay. Times end in `_ns` or `_s` (since the Unix epoch), sizes in
/// `_bytes` or start with `bytes_`, ratios run from 0 to 1, shares end in `_percent`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActivityReport {
    /// The form of this report: `tollgate/activity-report@v1`.
    pub format: &'static str,
    /// The criteria of the filter, by name.
    pub criteria: std::collections::BTreeMap<&'static str, String>,
    /// What the groups stand for.
    pub group_by: GroupBy,
    /// Start of the first call counted; `None` if there is none.
    pub first_call_ns: Option<u64>,
    /// Start of the last call counted.
    pub last_call_ns: Option<u64>,
    /// All calls together.
    pub total: Activity,
    /// Calls by group, those with most calls first.
    pub groups: Vec<Group>,
    /// The calls of the groups beyond [`GROUPS_MAX`].
    pub other_groups: Option<Activity>,
    /// Violations by the rule that is missing, with the tools.
    pub denials_by_rule: Ranking,
    /// Calls that a cap ended, by cap, with the tools.
    pub caps_hit: Ranking,
    /// Guest paths by the intents that name them.
    pub paths_by_intents: Ranking,
    /// Guest paths by the violations on them.
    pub paths_by_denials: Ranking,
    /// How much of their caps the calls used.
    pub usage: UsageShares,
    /// Calls over time.
    pub timeline: Timeline,
    /// The calls that a closer stands for, the first [`CALLS_LISTED_MAX`].
    pub closed_calls: Vec<CallNote>,
    /// The calls still open where the ledger ends, the first [`CALLS_LISTED_MAX`].
    pub open_calls: Vec<CallNote>,
    /// What the kernel layer below the calls was, and stopped.
    pub kernel: KernelLayer,
    /// How often a daemon's policy was read again. They count as the kernel layer does.
    pub reloads: Reloads,
    /// What was read.
    pub reading: Reading,
    /// What verification found; `None` if the ledger was not verified.
    pub integrity: Option<Integrity>,
}

/// What the calls of a report are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupBy {
    /// The tool's name.
    #[default]
    Tool,
    /// The agent that was proven to ask, or else the one that the request claims.
    Agent,
    /// The session that was issued, or else the one that the request claims.
    Session,
    /// The decision of the language model that led to the call, as the request claims.
    Decision,
}

/// The calls of one tool, agent, session or decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Group {
    /// Its name; `None` for the calls that name none.
    pub name: Option<String>,
    /// Whether the name is what requests claim, which nobody has proven. The same name, proven, is another group.
    pub claimed: bool,
    /// What its calls did.
    #[serde(flatten)]
    pub activity: Activity,
}

/// A call that is listed by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallNote {
    /// The call.
    pub call: CallId,
    /// Index of its `call` entry.
    pub index: LeafIndex,
    /// When it started.
    pub time_ns: u64,
    /// The tool's name.
    pub tool: String,
    /// The agent that was proven to ask.
    pub agent: Option<String>,
    /// The agent that the request claims.
    pub claimed_agent: Option<String>,
}

/// How often a daemon's policy was read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reloads {
    /// Times that the new one has held from then on.
    pub taken: u64,
    /// Times that the new one was refused, and the old one stayed.
    pub refused: u64,
}

/// What of the ledger was read, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reading {
    /// Entries read, whatever the filter.
    pub entries: u64,
    /// Frames that hold no entry; skipped.
    pub not_entries: u64,
    /// Why reading ended before the ledger did. What stands behind is not in the report.
    pub stopped: Option<String>,
    /// Calls that were forgotten before their end, since too many were open at once; they count as open.
    pub calls_forgotten: u64,
    /// Intents that were forgotten before they were closed, for the same reason; their violations have no path.
    pub intents_forgotten: u64,
}

/// What verification found, as far as a report tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Integrity {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// The ledger's name.
    pub origin: Option<String>,
    /// Number of entries verified.
    pub size: TreeSize,
    /// Root over them.
    pub root: RootHash,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Time of the last entry that the checkpoint covers: it was signed no earlier.
    pub checkpoint_time_ns: Option<u64>,
    /// Entries behind the checkpoint, which no signature covers yet.
    pub beyond_checkpoint: u64,
    /// The key that signed the checkpoint, if that is the ledger's.
    pub signed_by: Option<VerifierKey>,
    /// Entries that crashes left unsigned and the next writer took over; who wrote them is not proven.
    pub taken_over: u64,
    /// How often an operator let the ledger go on although it was not what it remembered to be.
    pub adoptions: u64,
    /// What is wrong, at most [`FINDINGS_LISTED_MAX`].
    pub findings: Vec<String>,
    /// Number of findings that are not listed.
    pub findings_left_out: u64,
}

impl ActivityReport {
    /// Adds up the entries of a ledger, every one of them in their order, as [`read`](tollgate_audit::read) gives them.
    ///
    /// It does not fail: what cannot be read is said in [`Reading`], for an auditor of a damaged ledger wants to see
    /// what is left of it. Pass what [`verify`](tollgate_audit::verify) found, or the report says that nothing is known.
    pub fn build<'a>(
        entries: impl IntoIterator<Item = Result<(LeafIndex, Entry<'a>), ReadError>>,
        filter: &Filter,
        group_by: GroupBy,
        verified: Option<&Report>,
    ) -> Self {
        let mut tally = tally::Tally::new(filter, group_by, verified.map(Integrity::from));
        for read in entries {
            match read {
                Ok((index, entry)) => tally.entry(index, &entry),
                Err(ReadError::NotAnEntry { .. }) => tally.reading.not_entries += 1,
                Err(
                    error @ (ReadError::Io { .. }
                    | ReadError::Corrupt(_)
                    | ReadError::Torn { .. }
                    | ReadError::Cut { .. }),
                ) => {
                    tally.reading.stopped = Some(error.to_string());
                    break;
                }
            }
        }
        tally.finish()
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        // Numbers, names and texts always have a JSON form.
        json!(self)
    }

    /// The report as GitHub-flavoured Markdown. What tools and agents named stands in code spans.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::page(&document::Document::of(self))
    }

    /// The report as one HTML page that needs nothing else: no script, no network, light and dark.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(&document::Document::of(self))
    }
}

impl GroupBy {
    /// The name that people see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Decision => "decision",
        }
    }
}

impl From<&Report> for Integrity {
    fn from(report: &Report) -> Self {
        let listed = report.findings.len().min(FINDINGS_LISTED_MAX);
        let further = report.findings.len() - listed;
        let covered = report.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size.0);
        Self {
            clean: report.is_clean(),
            origin: report.origin.clone(),
            size: report.size,
            root: report.root,
            checkpoint: report.checkpoint.clone(),
            checkpoint_time_ns: None,
            beyond_checkpoint: report.size.0.saturating_sub(covered),
            signed_by: report.signed_by.clone(),
            taken_over: report.taken_over.iter().map(|taken| taken.count).sum(),
            adoptions: report.count(Kind::Adoption),
            findings: report.findings.iter().take(listed).map(ToString::to_string).collect(),
            findings_left_out: report.findings_left_out + further as u64,
        }
    }
}

const FORMAT: &str = "tollgate/activity-report@v1";

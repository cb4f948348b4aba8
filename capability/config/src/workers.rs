//! How long the processes that run tools stay (`[workers]`), and which tools share one (`[compartments]`). A tool must never
//! be in two compartments: which process runs it, and beside whom, must not be a choice made later.

use std::collections::BTreeMap;

use miette::SourceSpan;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError, PolicyError};
use crate::names::{CompartmentName, ToolName};
use crate::schema::{DurationSchema, quantity};
use crate::shared::parsed;
use crate::texts::{self, COMPARTMENT_TOOLS_MAX, POLICY_ENTRIES_MAX, TextError};
use crate::units::{Quantity, Unit};

/// Least time that an idle worker stays, in milliseconds: about what starting one takes. Below it none would be warm.
pub const WORKER_IDLE_MS_MIN: u64 = 10;
/// Longest time that an idle worker stays, in milliseconds: one day. A tool that is called less often gains nothing from a
/// warm worker, whose memory is held all that time.
pub const WORKER_IDLE_MS_MAX: u64 = 86_400_000;
/// Least grace, in milliseconds: a few turns of the scheduler, so that a call that ends at its deadline by itself can say so.
pub const WORKER_GRACE_MS_MIN: u64 = 10;
/// Longest grace, in milliseconds: one minute. The caller waits for it beyond a deadline that has passed.
pub const WORKER_GRACE_MS_MAX: u64 = 60_000;

/// How long workers stay (`[workers]` of a policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Milliseconds without a call after which a worker ends. Default: 5 minutes.
    pub idle_ms: u64,
    /// Milliseconds beyond a call's deadline after which its worker is killed. Default: 1 second.
    pub grace_ms: u64,
}

impl WorkerSettings {
    /// What holds where a policy says nothing.
    pub const DEFAULT: Self = Self { idle_ms: 300_000, grace_ms: 1_000 };
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How long the processes that run tools stay. A manifest has no say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Workers")]
pub(crate) struct RawWorkers {
    /// A worker without calls ends after this time. A worker serves one call of `tollgate run`; the key is for programs that
    /// keep workers.
    #[schemars(
        with = "Option<DurationSchema>",
        transform = quantity(Unit::Time, WorkerSettings::DEFAULT.idle_ms, (WORKER_IDLE_MS_MIN, WORKER_IDLE_MS_MAX))
    )]
    idle: Option<Spanned<Quantity>>,
    /// A call that has not ended this long after its deadline is ended with its worker.
    #[schemars(
        with = "Option<DurationSchema>",
        transform = quantity(Unit::Time, WorkerSettings::DEFAULT.grace_ms, (WORKER_GRACE_MS_MIN, WORKER_GRACE_MS_MAX))
    )]
    grace: Option<Spanned<Quantity>>,
}

impl RawWorkers {
    pub(crate) fn resolve(self, document: &Document) -> Result<WorkerSettings, DocumentError> {
        let WorkerSettings { idle_ms, grace_ms } = WorkerSettings::DEFAULT;
        let idle = (self.idle, "workers.idle", WORKER_IDLE_MS_MIN..=WORKER_IDLE_MS_MAX, idle_ms);
        let grace = (self.grace, "workers.grace", WORKER_GRACE_MS_MIN..=WORKER_GRACE_MS_MAX, grace_ms);
        let [idle_ms, grace_ms] = [idle, grace].map(|(raw, key, bounds, default)| match raw {
            Some(raw) => {
                Unit::Time.read_within(raw.get_ref(), key, &bounds).map_err(|fault| document.value(raw.span(), fault))
            }
            None => Ok(default),
        });
        Ok(WorkerSettings { idle_ms: idle_ms?, grace_ms: grace_ms? })
    }
}

/// Which tools share a worker, by the name of the compartment.
pub(crate) type RawCompartments = BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>;

/// The compartments as they are meant: none empty, no tool in them twice.
pub(crate) fn compartments(
    document: &Document,
    raw: RawCompartments,
) -> Result<BTreeMap<CompartmentName, Vec<ToolName>>, PolicyError> {
    let many = raw.len();
    let mut compartments = BTreeMap::new();
    let mut seen = BTreeMap::<ToolName, (CompartmentName, SourceSpan)>::new();
    for (name, tools) in raw {
        texts::count("compartments", many, POLICY_ENTRIES_MAX).map_err(|fault| document.value(name.span(), fault))?;
        let name: CompartmentName = parsed(document, &name)?;
        let mut members = Vec::new();
        for tool in listed(document, tools)? {
            let at = document.span(tool.span());
            let tool: ToolName = parsed(document, &tool)?;
            if let Some((other, earlier)) = seen.insert(tool.clone(), (name.clone(), at)) {
                return Err(two_homes(document, tool, (other, earlier), (name, at)));
            }
            members.push(tool);
        }
        compartments.insert(name, members);
    }
    Ok(compartments)
}

fn listed(document: &Document, raw: Spanned<Vec<Spanned<String>>>) -> Result<Vec<Spanned<String>>, DocumentError> {
    let list = raw.span();
    let tools = raw.into_inner();
    let at_least_one = if tools.is_empty() { Err(TextError::NoTool) } else { Ok(()) };
    at_least_one
        .and_then(|()| texts::count("tools in one compartment", tools.len(), COMPARTMENT_TOOLS_MAX))
        .map_err(|fault| document.value(list, fault))?;
    Ok(tools)
}

/// The error for a tool that is named twice, in the order of the file.
fn two_homes(
    document: &Document,
    tool: ToolName,
    one: (CompartmentName, SourceSpan),
    other: (CompartmentName, SourceSpan),
) -> PolicyError {
    let ((earlier, first), (later, second)) =
        if one.1.offset() < other.1.offset() { (one, other) } else { (other, one) };
    PolicyError::TwoCompartments { tool, earlier, later, text: document.text(), first, second }
}

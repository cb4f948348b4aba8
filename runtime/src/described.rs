//! What is known of a tool without a worker, and for how long that is kept: of the tools that are in use, never of all that are
//! installed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tollgate_audit::Digest;
use tollgate_capability::CapabilitySet;
use tollgate_config::{Manifest, ToolName};
use tollgate_engine::error::RejectError;
use tollgate_engine::operations::{OperationText, OperationTexts};
use tollgate_offer::is_wrapped;
use tollgate_system::lock;

use crate::registry::{InstalledTool, Stamp, short};

/// A tool under a policy, as whoever chooses one learns of it. Its operations are those that are stored; a component that says others
/// when it is loaded is refused.
#[derive(Debug)]
pub struct Described {
    /// Its version, by its manifest.
    pub version: String,
    /// What it is for, by its manifest: untrusted text.
    pub description: String,
    /// What it can be called for: untrusted text.
    pub operations: OperationTexts,
    /// Its component.
    pub component: Digest,
    /// What it was granted, before a worker has its folders open.
    pub(crate) set: CapabilitySet,
    wrapped_input: BTreeSet<String>,
    wrapped_output: BTreeSet<String>,
    under: u64,
    stamp: Stamp,
}

impl Described {
    /// The tool under the policy of a number.
    pub(crate) fn new(
        (under, tool): (u64, &InstalledTool),
        manifest: &Manifest,
        operations: OperationTexts,
        set: CapabilitySet,
    ) -> Self {
        let wrapped = |of: fn(&OperationText) -> &str| {
            let wrapped = operations.iter().filter(|text| is_wrapped(&schema(of(text))));
            wrapped.map(|text| text.name.clone()).collect()
        };
        Self {
            version: manifest.version.to_string(),
            description: manifest.description.clone(),
            wrapped_input: wrapped(|text| &text.input_schema),
            wrapped_output: wrapped(|text| &text.output_schema),
            operations,
            component: tool.installed.component,
            set,
            under,
            stamp: tool.stamp(),
        }
    }

    /// Whether arguments and results of an operation stand in an object for models.
    #[must_use]
    pub fn wrapping(&self, operation: &str) -> (bool, bool) {
        (self.wrapped_input.contains(operation), self.wrapped_output.contains(operation))
    }

    /// The operation that is asked for, or else its only one.
    pub(crate) fn operation<'o>(&'o self, given: Option<&'o str>) -> Result<&'o str, RejectError> {
        match (given, self.operations.iter().as_slice()) {
            (Some(given), _) => Ok(given),
            (None, [only]) => Ok(&only.name),
            (None, several) => {
                let known = several.iter().map(|operation| operation.name.clone()).collect();
                Err(RejectError::WhichOperation { known })
            }
        }
    }

    /// The capability set that it was granted.
    #[must_use]
    pub fn capability_set(&self) -> &CapabilitySet {
        &self.set
    }

    /// Room that it takes, roughly.
    fn bytes(&self) -> usize {
        let text = |text: &OperationText| {
            text.name.len() + text.description.len() + text.input_schema.len() + text.output_schema.len()
        };
        self.description.len() + self.operations.iter().map(text).sum::<usize>()
    }
}

/// The tools that are in use. One that is asked for when there is no more room takes the place of another one.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tools: HashMap<ToolName, Arc<Described>>,
    bytes: usize,
    // What was not told yet.
    changes: Vec<String>,
}

impl Known {
    /// The tool under this policy, if its record is this one.
    pub(crate) fn get(&self, name: &ToolName, under: u64, stamp: Stamp) -> Option<Arc<Described>> {
        let kept = lock(&self.0);
        kept.tools.get(name).filter(|known| known.under == under && known.stamp == stamp).cloned()
    }

    /// Keeps what is known of a tool, in the place of what was, and of others where there is no more room.
    pub(crate) fn keep(&self, name: &ToolName, described: &Arc<Described>) {
        let mut kept = lock(&self.0);
        kept.exchange(name, described);
        while !kept.has_room_for(described) {
            let Some(other) = kept.tools.keys().next().cloned() else { break };
            kept.remove(&other);
        }
        kept.insert(name, described);
    }

    /// The same if there is room: a list of all tools takes the place of none that is in use.
    pub(crate) fn keep_if_room(&self, name: &ToolName, described: &Arc<Described>) {
        let mut kept = lock(&self.0);
        kept.exchange(name, described);
        if kept.has_room_for(described) {
            kept.insert(name, described);
        }
    }

    pub(crate) fn forget(&self, name: &ToolName) {
        lock(&self.0).remove(name);
    }

    pub(crate) fn names(&self) -> Vec<ToolName> {
        lock(&self.0).tools.keys().cloned().collect()
    }

    pub(crate) fn take_changes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0).changes)
    }
}

impl Kept {
    fn remove(&mut self, name: &ToolName) -> Option<Arc<Described>> {
        let gone = self.tools.remove(name)?;
        self.bytes -= gone.bytes();
        Some(gone)
    }

    /// Lets go of what was known of a tool before, and notes what has changed.
    fn exchange(&mut self, name: &ToolName, described: &Described) {
        let change = self.remove(name).and_then(|before| change(name, &before, described));
        if self.changes.len() < CHANGES_MAX {
            self.changes.extend(change);
        }
    }

    fn has_room_for(&self, described: &Described) -> bool {
        self.tools.len() < TOOLS_MAX && self.bytes + described.bytes() <= BYTES_MAX
    }

    fn insert(&mut self, name: &ToolName, described: &Arc<Described>) {
        self.bytes += described.bytes();
        self.tools.insert(name.clone(), Arc::clone(described));
    }
}

/// A schema as JSON. A tool with another one is not installed.
pub(crate) fn schema(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or(Value::Bool(true))
}

/// How the operations of a tool have changed, if they have.
fn change(name: &ToolName, before: &Described, now: &Described) -> Option<String> {
    let changes = OperationChanges::between(&before.operations, &now.operations);
    if changes.is_empty() {
        return None;
    }
    let version = |described: &Described| format!("{} {}", described.version, short(described.component));
    Some(format!("the tool `{name}` is {} now, and was {}; its operations: {changes}", version(now), version(before)))
}

/// How a list of operations differs from the one before it: names, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationChanges {
    /// New ones.
    pub added: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// Those that say something else of themselves: description or schemas.
    pub changed: Vec<String>,
}

impl OperationChanges {
    /// What leads from the one to the other.
    #[must_use]
    pub fn between(before: &OperationTexts, now: &OperationTexts) -> Self {
        let find = |texts: &OperationTexts, name: &str| texts.iter().find(|text| text.name == name).cloned();
        let missing_in = |texts: &OperationTexts, of: &OperationTexts| -> Vec<String> {
            of.iter().filter(|text| find(texts, &text.name).is_none()).map(|text| text.name.clone()).collect()
        };
        let differs = |text: &&OperationText| find(before, &text.name).is_some_and(|before| before != **text);
        Self {
            added: missing_in(before, now),
            removed: missing_in(now, before),
            changed: now.iter().filter(differs).map(|text| text.name.clone()).collect(),
        }
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl std::fmt::Display for OperationChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = [("added", &self.added), ("removed", &self.removed), ("changed", &self.changed)];
        let parts = all.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
        f.write_str(&parts.join("; "))
    }
}

/// Most tools of which something is kept.
const TOOLS_MAX: usize = 512;
/// Most bytes of what tools say of themselves that are kept.
const BYTES_MAX: usize = 32 << 20;
/// Most changes that are kept until somebody asks.
const CHANGES_MAX: usize = 100;

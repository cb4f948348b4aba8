//! What is known of a tool without a worker, and for how long that is kept: of the tools that are in use, never of all that are
//! installed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

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
pub(crate) struct Known {
    kept: Mutex<Kept>,
    told: Mutex<HashMap<ToolName, Told>>,
    // One at a time compares, so that none tells of a version that another one has seen replaced.
    telling: Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    tools: HashMap<ToolName, Arc<Described>>,
    bytes: usize,
}

/// What was told last of a tool, or was so when it was first looked at. It stays while the tool cannot be used.
#[derive(Debug, Clone)]
struct Told {
    version: String,
    component: Digest,
    operations: Prints,
}

/// Operations by name, each with the digest of all that it says of itself.
type Prints = Vec<(String, Digest)>;

impl Known {
    /// The tool under this policy, if its record is this one.
    pub(crate) fn get(&self, name: &ToolName, under: u64, stamp: Stamp) -> Option<Arc<Described>> {
        let kept = lock(&self.kept);
        kept.tools.get(name).filter(|known| known.under == under && known.stamp == stamp).cloned()
    }

    /// Keeps what is known of a tool, in the place of what was, and of others where there is no more room.
    pub(crate) fn keep(&self, name: &ToolName, described: &Arc<Described>) {
        let mut kept = lock(&self.kept);
        kept.remove(name);
        while !kept.has_room_for(described) {
            let Some(other) = kept.tools.keys().next().cloned() else { break };
            kept.remove(&other);
        }
        kept.insert(name, described);
        drop(kept);
        self.is_seen(name, described);
    }

    /// The same if there is room: a list of all tools takes the place of none that is in use.
    pub(crate) fn keep_if_room(&self, name: &ToolName, described: &Arc<Described>) {
        let mut kept = lock(&self.kept);
        kept.remove(name);
        let has_room = kept.has_room_for(described);
        if has_room {
            kept.insert(name, described);
        }
        drop(kept);
        if has_room {
            self.is_seen(name, described);
        }
    }

    /// The next look at the tool reads it.
    pub(crate) fn forget(&self, name: &ToolName) {
        lock(&self.kept).remove(name);
    }

    /// The tool is gone: of what comes in its place there is nothing to tell.
    pub(crate) fn is_gone(&self, name: &ToolName) {
        self.forget(name);
        lock(&self.told).remove(name);
    }

    /// Waits until nobody else compares.
    pub(crate) fn telling(&self) -> MutexGuard<'_, ()> {
        lock(&self.telling)
    }

    /// The tools of which something was told, or seen.
    pub(crate) fn told(&self) -> Vec<ToolName> {
        lock(&self.told).keys().cloned().collect()
    }

    /// How the operations of a tool differ from those that were told last, which these are from here on. Whoever asks is
    /// [`telling`](Known::telling), and has looked at the tool since.
    pub(crate) fn tell(&self, name: &ToolName, now: &Described) -> Option<String> {
        let now = Told::of(now);
        let before = lock(&self.told).insert(name.clone(), now.clone())?;
        let changes = OperationChanges::of(&before.operations, &now.operations);
        let version = |told: &Told| format!("{} {}", told.version, short(told.component));
        let [now, was] = [version(&now), version(&before)];
        (!changes.is_empty())
            .then(|| format!("the tool `{name}` is {now} now, and was {was}; its operations: {changes}"))
    }

    /// What is seen first is as good as told. What is seen later is compared with that.
    fn is_seen(&self, name: &ToolName, described: &Described) {
        let mut told = lock(&self.told);
        if told.len() < TOOLS_MAX && !told.contains_key(name) {
            told.insert(name.clone(), Told::of(described));
        }
    }
}

impl Told {
    fn of(described: &Described) -> Self {
        let Described { version, component, operations, .. } = described;
        Self { version: version.clone(), component: *component, operations: prints(operations) }
    }
}

impl Kept {
    fn remove(&mut self, name: &ToolName) {
        if let Some(gone) = self.tools.remove(name) {
            self.bytes -= gone.bytes();
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

fn prints(operations: &OperationTexts) -> Prints {
    let print = |text: &OperationText| {
        // Each with its length, so that no two say the same.
        let parts = [&text.description, &text.input_schema, &text.output_schema];
        let parts = parts.map(|part| [&(part.len() as u64).to_le_bytes()[..], part.as_bytes()].concat());
        (text.name.clone(), Digest::of(&parts.concat()))
    };
    operations.iter().map(print).collect()
}

/// A schema as JSON. A tool with another one is not installed.
pub(crate) fn schema(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or(Value::Bool(true))
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
        Self::of(&prints(before), &prints(now))
    }

    fn of(before: &Prints, now: &Prints) -> Self {
        let find = |all: &Prints, wanted: &str| all.iter().find(|(name, _)| name == wanted).map(|(_, print)| *print);
        let missing_in = |all: &Prints, of: &Prints| -> Vec<String> {
            of.iter().map(|(name, _)| name).filter(|name| find(all, name).is_none()).cloned().collect()
        };
        let differs = |(name, print): &&(String, Digest)| find(before, name).is_some_and(|before| before != *print);
        Self {
            added: missing_in(before, now),
            removed: missing_in(now, before),
            changed: now.iter().filter(differs).map(|(name, _)| name.clone()).collect(),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::{New, Registry};

    /// A home's tool, whose versions each have other operations.
    struct Home {
        registry: Registry,
        _around: tempfile::TempDir,
    }

    impl Home {
        fn new() -> Self {
            let around = tempfile::tempdir().unwrap();
            Self { registry: Registry::new(around.path().join("tools")), _around: around }
        }

        /// What is read of a version once it is installed.
        fn read(&self, version: &str, operations: &[&str]) -> Arc<Described> {
            let text = format!("[tool]\nname = \"a-tool\"\nversion = \"{version}\"\n[[operations]]\nname = \"run\"\n");
            let new = New {
                version,
                declared: "a-tool",
                component: version.as_bytes(),
                manifest: &text,
                artifact: b"",
                operations: b"",
                from: None,
                installed_s: 0,
            };
            self.registry.write().unwrap().install(&name(), new).unwrap();
            let tool = self.registry.find(&name()).unwrap().unwrap();
            let operations = operations.iter().map(
                |name| json!({ "name": name, "description": version, "input_schema": "{}", "output_schema": "{}" }),
            );
            let operations = serde_json::from_value(operations.collect()).unwrap();
            let manifest = Manifest::parse(&text, "tool.toml").unwrap();
            Arc::new(Described::new((0, &tool), &manifest, operations, CapabilitySet::default()))
        }
    }

    fn name() -> ToolName {
        "a-tool".parse().unwrap()
    }

    fn version(version: &str) -> String {
        format!("{version} {}", short(Digest::of(version.as_bytes())))
    }

    #[test]
    fn a_change_is_told_once_however_late_somebody_reads_what_was() {
        let (home, known) = (Home::new(), Known::default());
        let old = home.read("0.1.0", &["run"]);
        known.keep(&name(), &old);
        assert_eq!(known.tell(&name(), &old), None);
        let new = home.read("0.2.0", &["run", "more"]);
        known.keep(&name(), &new);
        // Whoever has read the old one keeps it after the new one.
        known.keep(&name(), &old);
        known.keep_if_room(&name(), &old);
        assert!(known.get(&name(), 0, new.stamp).is_none(), "nobody is given it");
        let (now, was) = (version("0.2.0"), version("0.1.0"));
        let expected =
            format!("the tool `a-tool` is {now} now, and was {was}; its operations: added more; changed run");
        assert_eq!(known.tell(&name(), &new), Some(expected));
        known.keep(&name(), &old);
        assert_eq!(known.tell(&name(), &new), None);
    }

    #[test]
    fn a_change_is_told_though_the_tool_could_not_be_read_meanwhile() {
        let (home, known) = (Home::new(), Known::default());
        known.keep(&name(), &home.read("0.1.0", &["run", "other"]));
        known.forget(&name());
        assert_eq!(known.told(), [name()]);
        let new = home.read("0.2.0", &["run"]);
        known.keep(&name(), &new);
        assert!(known.tell(&name(), &new).is_some_and(|line| line.ends_with("removed other; changed run")));
        // Of one that was removed nothing is left to compare with.
        known.is_gone(&name());
        assert!(known.told().is_empty());
        let next = home.read("0.3.0", &["run"]);
        known.keep(&name(), &next);
        assert_eq!(known.tell(&name(), &next), None);
    }
}

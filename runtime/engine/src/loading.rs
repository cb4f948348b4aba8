//! Loads a tool: links its component, puts its policy on record, and asks the component for its operations.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::{Digest, Entry, Kept, Pairs, Policy, Text};
use tollgate_capability::{CapabilitySet, ClockMode, FileId, Limits};
use tollgate_config::{Manifest, OperationName};
use tollgate_ledger::store_set;

use crate::call::ExecutorThread;
use crate::component::Component;
use crate::error::{LoadError, with_causes};
use crate::executor::Executor;
use crate::operations::OperationTexts;
use crate::private::Noted;
use crate::tool::{Identity, LoadedTool};

/// A tool to be loaded, with its capability set: plain data, for the process that will run it.
#[derive(Debug, Clone)]
pub struct LoadOrder {
    /// The tool's name.
    pub name: String,
    /// The tool's version.
    pub version: String,
    /// SHA-256 of the component's bytes.
    pub component: Digest,
    /// The operations that it must export; any, if empty.
    pub operations: BTreeSet<String>,
    /// What it must say of them, word by word; anything, if it was not asked before.
    pub told: Option<OperationTexts>,
    /// The capability set in force.
    pub set: CapabilitySet,
    /// SHA-256 of the manifest's text.
    pub manifest: Digest,
    /// SHA-256 of the grant's text.
    pub grant: Digest,
    /// Who loads it.
    pub by: String,
    /// The name in its manifest, if that differs from `name`.
    pub declared: Option<String>,
}

impl LoadOrder {
    /// The tool with this manifest and component, under the set that its policy gives it.
    #[must_use]
    pub fn new(manifest: &Manifest, component: Digest, set: CapabilitySet, provenance: Provenance<'_>) -> Self {
        Self {
            name: manifest.name.to_string(),
            version: manifest.version.to_string(),
            component,
            operations: manifest.operations.iter().map(|operation| operation.name.to_string()).collect(),
            told: None,
            set,
            manifest: Digest::of(provenance.manifest.as_bytes()),
            grant: Digest::of(provenance.grant.as_bytes()),
            by: provenance.by.to_owned(),
            declared: provenance.declared.filter(|declared| *declared != manifest.name.as_str()).map(str::to_owned),
        }
    }
}

/// A tool that is about to be loaded: its identity with its capability set, and with none.
#[derive(Debug)]
pub struct Loading {
    identity: Identity,
    // For the question which operations it has.
    bare: Identity,
    operations: BTreeSet<String>,
    told: Option<OperationTexts>,
    manifest: Digest,
    grant: Digest,
    by: String,
    declared: Option<String>,
}

impl Loading {
    /// The tool of an order, not loaded yet.
    ///
    /// # Errors
    ///
    /// [`LoadError::SetNotKept`] and its like: the set has no canonical form.
    pub fn of(order: LoadOrder) -> Result<Self, LoadError> {
        let LoadOrder { name, version, component, operations, told, set, manifest, grant, by, declared } = order;
        let bare = bare(&set);
        let identity = |set| Identity::new(&name, &version, component, set);
        Ok(Self { identity: identity(set)?, bare: identity(bare)?, operations, told, manifest, grant, by, declared })
    }

    /// Stores the sets in the ledger's folder, whose entries name them by digest: an auditor can then repeat each decision.
    ///
    /// # Errors
    ///
    /// [`LoadError::SetNotKept`].
    pub fn keep_sets(&self, ledger: &Path) -> Result<(), LoadError> {
        for identity in [&self.identity, &self.bare] {
            store_set(ledger, &identity.canonical_set).map_err(|error| LoadError::SetNotKept(Arc::new(error)))?;
        }
        Ok(())
    }

    /// The digest of the capability set that will be in force.
    pub fn policy(&self) -> Digest {
        self.identity.set_digest
    }

    /// Links the component, records the policy in force, and asks for the operations.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn load(
        self,
        thread: &mut ExecutorThread,
        component: &Component,
        describing: &Noted,
    ) -> Result<LoadedTool, LoadError> {
        let pre = component.pre(&thread.executor().linker)?;
        self.record_policy(thread.executor())?;
        let described = thread.describe(&pre, &self.bare, describing).map_err(LoadError::of_describing)?;
        let texts = OperationTexts::told(described)?;
        same_operations(&self.operations, &texts)?;
        if let Some(before) = &self.told {
            texts.must_be(before)?;
        }
        LoadedTool::described(self.identity, pre, texts)
    }

    fn record_policy(&self, executor: &Executor) -> Result<(), LoadError> {
        let Self { identity, bare, manifest, grant, by, declared, .. } = self;
        let policy = Entry::Policy(Policy {
            digest: identity.set_digest,
            manifest: *manifest,
            grant: *grant,
            tool: identity.name.as_str().into(),
            by: by.as_str().into(),
            folders: opened_folders(&identity.set),
            declared: declared.as_deref().map(Into::into),
        });
        let record = &executor.record;
        let deadline = Instant::now() + Duration::from_millis(bare.set.limits.deadline_ms);
        let unrecorded = |error| LoadError::Unrecorded(with_causes(&error));
        record.ready().map_err(unrecorded)?;
        let recorded = record.record(&[policy.encode()], Kept::Pipe, deadline);
        recorded.map_err(|error| unrecorded(error.source))
    }
}

/// Each folder that was opened when the policy was loaded, as the ledger records it.
fn opened_folders(set: &CapabilitySet) -> Pairs<'static, Text<'static>> {
    Pairs::new(set.fs.iter().filter_map(|fs| {
        let FileId { device, inode } = fs.opened?;
        Some((fs.guest.clone(), Text::from(format!("{device}:{inode} {}", fs.host.display()))))
    }))
}

/// Texts that the policy entry of the ledger names by digest.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The manifest's text.
    pub manifest: &'a str,
    /// The grant's text.
    pub grant: &'a str,
    /// Who loaded it, such as `uid:1000`.
    pub by: &'a str,
    /// The name that the manifest gives, where the tool has been given another one.
    pub declared: Option<&'a str>,
}

/// The set of a tool that is asked for its operations: it may do nothing. JavaScript engines read the monotonic clock before they
/// run a line of the tool, so that clock is there, stands at zero, and tells nothing. Fuel is the cap on the work. The deadline is
/// far above it, since a process with a part of a CPU takes longer for the same work.
pub fn bare(set: &CapabilitySet) -> CapabilitySet {
    let deadline_ms = set.limits.deadline_ms.max(DESCRIBE_MS_MIN);
    let limits = Limits { deadline_ms, ..set.limits };
    CapabilitySet { monotonic_clock: Some(ClockMode::Frozen), limits, ..CapabilitySet::default() }
}

/// Least deadline of a tool that is asked for its operations, in milliseconds: with a twentieth of a CPU it can do what takes a
/// second of a whole one.
pub const DESCRIBE_MS_MIN: u64 = 20_000;

/// Fails unless what a component said of its operations when it was asked before fits a manifest, as at each load.
///
/// # Errors
///
/// [`LoadError::Operations`]: the one has operations that the other has not; [`LoadError::OperationName`].
pub fn operations_must_be_of(manifest: &Manifest, told: &OperationTexts) -> Result<(), LoadError> {
    same_operations(&manifest.operations.iter().map(|operation| operation.name.to_string()).collect(), told)
}

fn same_operations(declared: &BTreeSet<String>, described: &OperationTexts) -> Result<(), LoadError> {
    let mut names = BTreeSet::new();
    for operation in described.iter() {
        let name = &operation.name;
        if let Err(error) = name.parse::<OperationName>() {
            return Err(LoadError::OperationName { name: name.escape_debug().to_string(), message: error.to_string() });
        }
        if !names.insert(name) {
            return Err(LoadError::OperationName { name: name.clone(), message: "it is there twice".into() });
        }
    }
    let exported: BTreeSet<String> = described.iter().map(|operation| operation.name.clone()).collect();
    // A manifest made on the spot lists none and takes what the component has.
    if declared.is_empty() || *declared == exported {
        return Ok(());
    }
    Err(LoadError::Operations {
        only_manifest: declared.difference(&exported).cloned().collect(),
        only_component: exported.difference(declared).cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process with a part of a CPU takes longer to ask, and asks the same: fuel bounds the work.
    #[test]
    fn a_component_is_asked_within_its_fuel_and_far_below_the_clock() {
        let of = |deadline_ms| CapabilitySet {
            limits: Limits { deadline_ms, fuel: 7, ..Limits::DEFAULT },
            ..CapabilitySet::default()
        };
        let asked = |deadline_ms| bare(&of(deadline_ms)).limits;
        assert_eq!(asked(1), Limits { deadline_ms: DESCRIBE_MS_MIN, fuel: 7, ..Limits::DEFAULT });
        assert_eq!(asked(DESCRIBE_MS_MIN + 1).deadline_ms, DESCRIBE_MS_MIN + 1, "what is granted is not taken away");
    }
}

//! What a tool is made from: its code, its identity, and its effective capability set.

use tollgate_capability::CapabilitySet;
use tollgate_config::{Grant, Manifest, Needs, ToolName, intersect};
use tollgate_engine::artifact::Artifact;
use tollgate_engine::loading::{LoadOrder, Provenance, bare};

/// What a [`Supervisor`](crate::Supervisor) or an [`InProcess`](crate::InProcess) makes a tool from: its code, its identity, and
/// its effective capability set.
#[derive(Debug)]
pub struct ToolSpec {
    pub(crate) name: ToolName,
    /// What is loaded, and under which set.
    pub load: LoadOrder,
    pub(crate) artifact: Artifact,
}

impl ToolSpec {
    /// A tool that was compiled apart. If its artifact says what the component says of its operations, the component must say
    /// the same wherever it is loaded.
    #[must_use]
    pub fn new(artifact: Artifact, manifest: &Manifest, set: CapabilitySet, provenance: Provenance<'_>) -> Self {
        let told = artifact.operations().cloned();
        let load = LoadOrder { told, ..LoadOrder::new(manifest, artifact.component(), set, provenance) };
        Self { name: manifest.name.clone(), load, artifact }
    }

    /// A tool that is only asked for its operations ([`Supervisor::describe`](crate::Supervisor::describe)), where its
    /// grant may be made later: of the grant its limits count alone.
    #[must_use]
    pub fn to_describe(artifact: Artifact, manifest: &Manifest, grant: &Grant, provenance: Provenance<'_>) -> Self {
        let asking = Manifest { needs: Needs::default(), ..manifest.clone() };
        let limits = Grant { limits: grant.limits.clone(), ..Grant::default() };
        // It needs nothing that is granted. If it did, it would get nothing.
        let met = intersect(&asking, &limits, |_name| None);
        Self::new(artifact, manifest, met.map(|met| met.set).unwrap_or_default(), provenance)
    }

    /// The same tool, with nothing that it may do.
    pub(super) fn bare(mut self) -> Self {
        self.load.set = bare(&self.load.set);
        self
    }
}

//! From an installed tool to one that a worker has: read, bound to its grant, its folders open, its code handed to the supervisor.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tollgate_audit::Digest;
use tollgate_authority::{Deciding, HeldFolders, Nesting, Seen, TrustStore, files, open_folders_by, same_file_as};
use tollgate_capability::CapabilitySet;
use tollgate_config::{Grant, MANIFEST_BYTES_MAX, Manifest, Subject, ToolName, intersect};
use tollgate_engine::artifact::{Artifact, ArtifactKey};
use tollgate_engine::loading::Provenance;
use tollgate_engine::operations::OperationTexts;
use tollgate_supervisor::{Tool, ToolSpec};

use super::{Governing, Loaded, Ready, Stamps, Tollgate, ToolError};
use crate::described::Described;
use crate::registry::{COMPONENT_BYTES_MAX, InstalledTool, Stamp, StoredError};

/// What was read of an installed tool, but for its component and its code. It is read again where the tool's record is another.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) tool: InstalledTool,
    pub(super) manifest: Manifest,
    manifest_text: String,
    operations: OperationTexts,
}

/// A tool under a policy, which has no worker of it yet.
pub(super) struct Prepared {
    source: Arc<Source>,
    set: CapabilitySet,
    grant: Grant,
    folders: HeldFolders,
}

impl Tollgate {
    /// Hands tools to the supervisor. Unchanged tools keep their worker. One that cannot be used is left out, so that those that share a
    /// worker with it are called all the same; of the tool that is wanted, why.
    pub(super) fn load(
        &self,
        governing: &Governing,
        stamps: &Stamps,
        before: Option<Loaded>,
        wanted: &ToolName,
    ) -> (Loaded, Option<Box<ToolError>>) {
        let before = before.map(|before| before.tools).unwrap_or_default();
        let mut left_out = LeftOut { wanted, why: None };
        let mut members = Vec::new();
        for (name, stamp) in stamps {
            let member = self.member(governing, (name, *stamp), &before);
            if member.as_ref().is_err_and(|error| error.is_damage()) {
                // So that the next list looks at it again.
                self.known.forget(name);
            }
            members.extend(left_out.unless_refused(name, member));
        }
        let mut loaded = Loaded { under: governing.number, stamps: stamps.clone(), tools: BTreeMap::new() };
        let added = match self.added(governing, members, &before, &mut left_out) {
            Ok(added) => added,
            Err(error) => return (loaded, left_out.why.or(Some(error))),
        };
        for (one, tool) in added {
            let described = describe(governing, &one);
            let Prepared { source, grant, folders, .. } = one;
            let name = source.tool.name.clone();
            self.known.keep(&name, &described);
            loaded.tools.insert(name, Arc::new(Ready { described, tool, grant, source, _folders: folders }));
        }
        (loaded, left_out.why)
    }

    /// One of the tools that share a worker, and what the supervisor needs of it, unless that is as before.
    fn member(
        &self,
        governing: &Governing,
        (name, stamp): (&ToolName, Stamp),
        before: &BTreeMap<ToolName, Arc<Ready>>,
    ) -> Result<(Prepared, Option<ToolSpec>), Box<ToolError>> {
        let ready = before.get(name);
        let source = match ready.map(|ready| &ready.source).filter(|source| source.tool.stamp() == stamp) {
            Some(source) => Arc::clone(source),
            None => Arc::new(Source::of_whole(self.installed(name)?, &self.key)?),
        };
        let one = self.prepare(governing, source, (true, &Seen::default()))?;
        let is_as_before = ready.is_some_and(|ready| {
            let (was, is) = (&ready.source.tool.installed, &one.source.tool.installed);
            // The manifest is on record with each worker.
            was.component == is.component && was.manifest == is.manifest && ready.described.set == one.set
        });
        let spec = if is_as_before { None } else { Some(self.spec(governing, &one)?) };
        Ok((one, spec))
    }

    /// These tools, as the supervisor has them: in the worker of before, where all are as they were.
    fn added(
        &self,
        governing: &Governing,
        members: Vec<(Prepared, Option<ToolSpec>)>,
        before: &BTreeMap<ToolName, Arc<Ready>>,
        left_out: &mut LeftOut<'_>,
    ) -> Result<Vec<(Prepared, Tool)>, Box<ToolError>> {
        if before.len() == members.len() && members.iter().all(|(_, spec)| spec.is_none()) {
            let kept = |(one, _): (Prepared, _)| {
                let tool = before.get(&one.source.tool.name).map(|ready| ready.tool.clone());
                tool.map(|tool| (one, tool))
            };
            return Ok(members.into_iter().filter_map(kept).collect());
        }
        let (mut added, mut specs) = (Vec::new(), Vec::new());
        for (one, spec) in members {
            let spec = spec.map_or_else(|| self.spec(governing, &one), Ok);
            if let Some(spec) = left_out.unless_refused(&one.source.tool.name, spec) {
                specs.push(spec);
                added.push(one);
            }
        }
        if specs.is_empty() {
            return Ok(Vec::new());
        }
        let tools = self.supervisor.add_compartment(specs).map_err(|error| Box::new(error.into()))?;
        Ok(added.into_iter().zip(tools).collect())
    }

    /// The capability set that a policy gives a tool, with its folders open.
    /// The trust store remembers whose policies count in them where something `starts`.
    pub(super) fn prepare(
        &self,
        governing: &Governing,
        source: Arc<Source>,
        (starts, seen): (bool, &Seen),
    ) -> Result<Prepared, Box<ToolError>> {
        let (grants, tool) = (&governing.grants, &source.tool);
        let subject = Subject { name: &tool.name, digest: tool.installed.component.0, installed: true };
        let grant = grants.bind(subject, same_file_as(&tool.component())).map_err(ToolError::from)?.grant;
        let met = intersect(&source.manifest, &grant, self.config.variable);
        let mut set = met.map_err(|missing| Box::new(ToolError::Ungranted(Box::new(missing))))?.set;
        let places = governing.places.clone().with(Deciding::Component, &tool.component());
        let places = &places.with(Deciding::Manifest, &tool.manifest());
        let store = self.config.trust.clone().map(TrustStore::new);
        let nesting = Nesting { grant: &grant, grants, store: store.as_ref(), starts, places, bounds: None };
        let folders = open_folders_by(&mut set, nesting, seen);
        let folders = folders.map_err(|source| Box::new(ToolError::Folder(Box::new(source))))?;
        Ok(Prepared { source, set, grant, folders })
    }

    fn spec(&self, governing: &Governing, one: &Prepared) -> Result<ToolSpec, Box<ToolError>> {
        let Source { tool, manifest, manifest_text, .. } = &*one.source;
        let artifact: Result<Artifact, StoredError> = tool.artifact(&self.key, &self.engine);
        let artifact = artifact.map_err(|source| ToolError::Stored { name: tool.name.clone(), source })?;
        let declared = Some(tool.installed.declared.as_str());
        let provenance = Provenance { manifest: manifest_text, grant: &governing.text, by: &self.config.by, declared };
        Ok(ToolSpec::new(artifact, manifest, one.set.clone(), provenance))
    }
}

/// What is known of a tool without its worker.
pub(super) fn describe(governing: &Governing, one: &Prepared) -> Arc<Described> {
    let Source { tool, manifest, operations, .. } = &*one.source;
    Arc::new(Described::new((governing.number, tool), manifest, operations.clone(), one.set.clone()))
}

impl Source {
    pub(super) fn read(tool: InstalledTool, key: &ArtifactKey) -> Result<Self, Box<ToolError>> {
        let name = &tool.name;
        let damaged = |what: String| Box::new(ToolError::Damaged { name: name.clone(), what });
        match tool.with_other_name() {
            Ok(None) => {}
            Ok(Some(path)) => return Err(damaged(format!("`{}` has another name (a hard link)", path.display()))),
            Err(error) => return Err(damaged(error.to_string())),
        }
        let manifest = read(&tool, &tool.manifest(), MANIFEST_BYTES_MAX as u64, tool.installed.manifest)?;
        let manifest_text =
            String::from_utf8(manifest).map_err(|_not_text| damaged("its manifest is not UTF-8 text".to_owned()))?;
        let manifest = Manifest::parse(&manifest_text, &tool.manifest().display().to_string())
            .map_err(|source| ToolError::Manifest { name: name.clone(), source: Box::new(source) })?;
        // Policy and ledger name it as it is installed.
        let manifest = Manifest { name: name.clone(), ..manifest };
        let operations = tool.operations(key);
        let operations = operations.map_err(|source| ToolError::Stored { name: tool.name.clone(), source })?;
        Ok(Self { tool, manifest, manifest_text, operations })
    }

    /// The same, of a tool whose component was looked at.
    fn of_whole(tool: InstalledTool, key: &ArtifactKey) -> Result<Self, Box<ToolError>> {
        read(&tool, &tool.component(), COMPONENT_BYTES_MAX, tool.installed.component)?;
        Self::read(tool, key)
    }
}

/// A file of a tool, if it is the one that was installed.
fn read(tool: &InstalledTool, path: &Path, bytes_max: u64, expected: Digest) -> Result<Vec<u8>, Box<ToolError>> {
    let damaged = |what: String| Box::new(ToolError::Damaged { name: tool.name.clone(), what });
    let bytes = files::read(path, bytes_max).map_err(|error| damaged(format!("`{}`: {error}", path.display())))?;
    match Digest::of(&bytes) {
        found if found == expected => Ok(bytes),
        found => Err(damaged(format!("`{}` was changed: it is {found}, and {expected} was installed", path.display()))),
    }
}

/// Why the tool that is wanted is left out. Others are left out in silence: whoever calls them is told.
struct LeftOut<'n> {
    wanted: &'n ToolName,
    why: Option<Box<ToolError>>,
}

impl LeftOut<'_> {
    fn unless_refused<T>(&mut self, name: &ToolName, made: Result<T, Box<ToolError>>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                if name == self.wanted {
                    self.why = Some(error);
                }
                None
            }
        }
    }
}

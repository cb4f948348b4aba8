//! What is known of tools without their workers: one tool, or a list of many, one after the other. Starts nothing, and keeps no more than
//! [`Known`] takes.

use std::sync::Arc;
use std::time::SystemTime;

use tollgate_authority::Seen;
use tollgate_config::ToolName;
use tollgate_engine::artifact::EngineHash;
use tollgate_system::lock;

use super::loading::{Source, describe};
use super::{Governing, TRIES, Tollgate, ToolError, parsed};
use crate::described::{Described, Known};
use crate::offers::Aliases;
use crate::registry::FindError;

/// Whether a tool is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Something is installed under its name.
    Installed,
    /// A version of before has installed it: `tollgate doctor --fix` moves it.
    Older,
    /// Nothing is.
    Missing,
}

/// A look at many tools, one after the other, all under one policy.
pub(crate) struct Look {
    governing: Arc<Governing>,
    seen: Seen,
    engine: EngineHash,
}

impl Look {
    /// The names by which the policy has operations offered to models.
    pub(crate) fn aliases(&self) -> &Arc<Aliases> {
        &self.governing.aliases
    }
}

impl Tollgate {
    /// Whether a tool of this name is there; one that cannot be used is, too.
    #[must_use]
    pub fn presence(&self, name: &ToolName) -> Presence {
        match self.registry.stamp(name) {
            Ok(None) => match self.registry.find(name) {
                Err(FindError::Older { .. }) => Presence::Older,
                Ok(None) => Presence::Missing,
                Ok(Some(_)) | Err(_) => Presence::Installed,
            },
            Ok(Some(_)) | Err(_) => Presence::Installed,
        }
    }

    /// What is known of the tool of this name, under the policy in force, without a worker: neither its component nor its code is
    /// read, but for what the code was compiled for. One system call where it is as it was.
    ///
    /// # Errors
    ///
    /// [`ToolError`]; a component or code that is damaged is not noticed, code of another engine or CPU is.
    pub fn described(&self, name: &str) -> Result<Arc<Described>, Box<ToolError>> {
        self.look_at(name, &self.look(), Known::keep)
    }

    /// The same for a list of many tools: it is kept where there is room.
    pub(crate) fn glanced_at(&self, name: &str, look: &Look) -> Result<Arc<Described>, Box<ToolError>> {
        self.look_at(name, look, Known::keep_if_room)
    }

    pub(crate) fn look(&self) -> Look {
        Look { governing: self.governing(), seen: Seen::default(), engine: self.engine_hash }
    }

    fn look_at(
        &self,
        name: &str,
        look: &Look,
        keep: fn(&Known, &ToolName, &Arc<Described>),
    ) -> Result<Arc<Described>, Box<ToolError>> {
        let name = parsed(name)?;
        let Look { governing, .. } = look;
        let mut tries = TRIES;
        loop {
            let stamp = self.stamp(&name)?.ok_or_else(|| self.absent(&name))?;
            if let Some(known) = self.known.get(&name, governing.number, stamp) {
                return Ok(known);
            }
            tries -= 1;
            match self.read_for_a_look(look, &name) {
                Ok(described) => {
                    keep(&self.known, &name, &described);
                    return Ok(described);
                }
                // A version that was removed while it was read, since another took its place.
                Err(_) if tries > 0 && self.stamp(&name)? != Some(stamp) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_for_a_look(&self, look: &Look, name: &ToolName) -> Result<Arc<Described>, Box<ToolError>> {
        let source = Source::read(self.installed(name)?, &self.key)?;
        source.tool.fits(look.engine).map_err(|source| ToolError::Stored { name: name.clone(), source })?;
        // Whoever looks starts nothing: the trust store remembers nothing of it.
        let one = self.prepare(&look.governing, Arc::new(source), (false, &look.seen))?;
        Ok(describe(&look.governing, &one))
    }

    /// When something was changed last in the folder of installed tools; `None` if that cannot be told. One system call.
    #[must_use]
    pub fn tools_changed_at(&self) -> Option<SystemTime> {
        std::fs::metadata(self.registry.folder()).and_then(|found| found.modified()).ok()
    }

    /// Ends the workers of tools that are not installed any more, once their calls are over.
    fn unload_removed(&self) {
        let is_gone = |name: &ToolName| matches!(self.stamp(name), Ok(None));
        let loaded: Vec<Vec<ToolName>> = lock(&self.loaded).places.keys().cloned().collect();
        for names in loaded.into_iter().filter(|names| names.iter().all(is_gone)) {
            let gone = lock(&self.loaded).places.remove(&names);
            // Where nobody waits for the lock.
            drop(gone);
        }
    }

    /// Looks again at the tools that were looked at, ends the workers of those that are gone, and says of each whose operations are others
    /// than those that were told last: a line for each, once. One that cannot be used is compared as soon as it can.
    ///
    /// Of more than 512 tools those that were looked at first are compared.
    pub fn changed_operations(&self) -> Vec<String> {
        let _one_at_a_time = self.known.telling();
        let look = self.look();
        let mut changes = Vec::new();
        for name in self.known.told() {
            match self.glanced_at(name.as_str(), &look) {
                Ok(described) => changes.extend(self.known.tell(&name, &described)),
                Err(error) if matches!(*error, ToolError::Unknown { .. }) => self.known.is_gone(&name),
                Err(_for_now) => self.known.forget(&name),
            }
        }
        self.unload_removed();
        changes
    }
}

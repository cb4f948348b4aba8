//! Tools that share a host process, and that process while there is one.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::host_process::{HostProcess, Using};
use super::keeper::Spawner;
use super::tool::ToolSpec;
use super::{FrontSettings, Shared};
use crate::calls::Running;
use crate::drill::{DrillOrder, Drilled};
use crate::error::{CapHit, HostError, LoadError};
use crate::host::order::memory_file;
use crate::host::words::Started;
use crate::tool::{LoadOrder, Loading, Operation};

/// Must not have two host processes at a time that serve.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) shared: Arc<Shared>,
    pub(crate) spawner: Spawner,
    pub(crate) members: Vec<Arc<Member>>,
    /// An attack that its host shall make.
    pub(crate) drill: Option<DrillOrder>,
    slot: Mutex<Slot>,
}

/// One of the tools.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) load: LoadOrder,
    /// Its code, in a file in memory that nobody can change.
    code: OwnedFd,
    running: AtomicU32,
    // Once a host has loaded it.
    operations: OnceLock<Vec<Operation>>,
}

#[derive(Debug)]
enum Slot {
    Empty,
    There(Arc<HostProcess>),
    Closed,
}

impl Group {
    pub(crate) fn new(shared: &Arc<Shared>, spawner: Spawner, members: Vec<Arc<Member>>) -> Self {
        Self { shared: Arc::clone(shared), spawner, members, drill: None, slot: Mutex::new(Slot::Empty) }
    }

    /// Starts a host that makes one attack: what came of it.
    pub(crate) fn drill(&mut self, order: DrillOrder, judged: bool) -> Result<Drilled, LoadError> {
        self.drill = Some(order);
        let (host, started) = HostProcess::start(self)?;
        match started {
            Started::Serving { .. } => Ok(host.drilled(judged)),
            Started::Unloadable { error, .. } => Err(error),
            Started::NoHost { error } => Err(error.into()),
        }
    }

    /// The host, for one call or question; it is started if there is none.
    pub(crate) fn host(&self) -> Result<Using, LoadError> {
        let mut slot = self.slot();
        match &*slot {
            Slot::There(host) if !host.has_ended() => return Ok(Using::of(host)),
            Slot::Closed => return Err(HostError::Start { reason: "the front has ended".to_owned() }.into()),
            Slot::Empty | Slot::There(_) => {}
        }
        let (host, started) = HostProcess::start(self)?;
        let host = Arc::new(host);
        match started {
            Started::Serving { tools } => self.learn(tools)?,
            Started::Unloadable { error, .. } => return Err(error),
            Started::NoHost { error } => return Err(error.into()),
        }
        let using = Using::of(&host);
        *slot = Slot::There(host);
        Ok(using)
    }

    /// What a host says of its tools. What another one said before must still hold.
    fn learn(&self, tools: Vec<Vec<Operation>>) -> Result<(), LoadError> {
        let changed = |reason: &str| HostError::Reload { reason: reason.to_owned() };
        if tools.len() != self.members.len() {
            return Err(changed("it speaks of other tools").into());
        }
        for (member, operations) in self.members.iter().zip(tools) {
            if *member.operations.get_or_init(|| operations.clone()) != operations {
                return Err(changed("it has other operations than before").into());
            }
        }
        Ok(())
    }

    /// Calls that a host runs at the same time.
    pub(crate) fn lanes(&self, settings: &FrontSettings) -> u32 {
        let calls = self.members.iter().map(|member| member.load.set.limits.calls);
        calls.fold(0, u32::saturating_add).clamp(1, settings.lanes_max.max(1))
    }

    /// Ends the host if it has had no call for so long.
    pub(crate) fn end_if_idle(&self, idle: Duration) {
        let mut slot = self.slot();
        let Slot::There(host) = &*slot else { return };
        if !host.is_idle(idle) {
            return;
        }
        let host = Arc::clone(host);
        *slot = Slot::Empty;
        drop(slot);
        host.end();
    }

    /// Ends the host, for good.
    pub(crate) fn close(&self) {
        let before = std::mem::replace(&mut *self.slot(), Slot::Closed);
        match before {
            Slot::There(host) => host.end(),
            Slot::Empty | Slot::Closed => {}
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.close();
    }
}

impl Member {
    /// Keeps what must be known of the tool later.
    pub(crate) fn new(shared: &Shared, tool: ToolSpec) -> Result<Self, LoadError> {
        let ToolSpec { name: _, load, artifact } = tool;
        if let Some(fs) = load.set.fs.iter().find(|fs| reaches(&fs.host, &shared.ledger)) {
            return Err(LoadError::ReachesLedger { guest: fs.guest.clone() });
        }
        Loading::of(load.clone())?.keep_sets(&shared.ledger)?;
        let no_memory = |error: std::io::Error| HostError::Start { reason: error.to_string() };
        let code = memory_file(CODE, artifact.code()).map_err(no_memory)?;
        Ok(Self { load, code, running: AtomicU32::new(0), operations: OnceLock::new() })
    }

    pub(crate) fn operations(&self) -> Option<&[Operation]> {
        self.operations.get().map(Vec::as_slice)
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<Running<'_>, CapHit> {
        Running::enter(&self.running, self.load.set.limits.calls)
    }

    pub(crate) fn code(&self) -> BorrowedFd<'_> {
        self.code.as_fd()
    }
}

/// Whether a granted folder lies in the ledger's, or holds the place of the ledger's folder: its key, its state and its side
/// store are beside it.
fn reaches(granted: &Path, ledger: &Path) -> bool {
    // What cannot be found now is compared as it is written.
    let granted = granted.canonicalize().unwrap_or_else(|_| granted.to_owned());
    granted.starts_with(ledger) || ledger.parent().is_none_or(|beside| beside.starts_with(&granted))
}

const CODE: &str = "tollgate-code";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_reaches_the_ledger_from_inside_above_and_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().canonicalize().unwrap().join(name);
        for folder in ["state/ledger/tile", "state-2", "docs"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        std::os::unix::fs::symlink(at("state"), at("link")).unwrap();
        let ledger = at("state/ledger");
        for reaching in ["", "state", "state/ledger", "state/ledger/tile", "link", "link/ledger", "docs/../state"] {
            assert!(reaches(&at(reaching), &ledger), "{reaching}");
        }
        for apart in ["docs", "state-2", "state/other", "state/ledger-2", "missing"] {
            assert!(!reaches(&at(apart), &ledger), "{apart}");
        }
    }
}

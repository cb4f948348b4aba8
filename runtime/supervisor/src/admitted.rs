//! A tool that was taken, wherever it will run: its identity, its capability set, and how many of its calls run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Instant;

use tollgate_audit::Digest;
use tollgate_authority::{DecidingPlaces, HeldFolders, hold};
use tollgate_capability::Cap;
use tollgate_engine::error::{CallError, CapHit, LoadError};
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::tool::NamedTool;
use tollgate_system::{held, lock};

use super::cancel::{Cancel, Tell};

/// A tool that was taken: its grant reaches nothing that decides over tools, its folders are held open, and its capability sets
/// are kept beside the ledger.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) load: LoadOrder,
    policy: Digest,
    running: AtomicU32,
    turns: Mutex<Turns>,
    left: Condvar,
    // What it says of its operations: as it was stored, or once it was loaded.
    texts: OnceLock<OperationTexts>,
    // Open, so that no other folder gets the device and inode of one of them.
    _folders: HeldFolders,
}

impl Admitted {
    /// Takes a tool that is recorded in the folder `ledger`, unless its grant reaches one of `places`.
    pub(crate) fn new(
        places: &DecidingPlaces,
        ledger: &Path,
        mut load: LoadOrder,
    ) -> Result<(Arc<Self>, Loading), LoadError> {
        places.judge(&load.set)?;
        let folders = hold(&mut load.set).map_err(|error| LoadError::Folder(Arc::new(error)))?;
        let loading = Loading::of(load.clone())?;
        loading.keep_sets(ledger)?;
        let texts = load.told.clone().map_or_else(OnceLock::new, OnceLock::from);
        let admitted = Self {
            load,
            policy: loading.policy(),
            running: AtomicU32::new(0),
            turns: Mutex::default(),
            left: Condvar::new(),
            texts,
            _folders: folders,
        };
        Ok((Arc::new(admitted), loading))
    }

    /// Learns what the tool says of its operations. What is stored of it, or was said before, must still hold.
    pub(crate) fn learn(&self, texts: OperationTexts) -> Result<(), LoadError> {
        texts.must_be(self.texts.get_or_init(|| texts.clone()))
    }

    /// What is known of its operations by now.
    pub(crate) fn texts(&self) -> Option<&OperationTexts> {
        self.texts.get()
    }

    /// Takes one of the places for calls at the same time.
    pub(crate) fn enter(&self) -> Result<InPlace<'_>, CapHit> {
        let limit = self.load.set.limits.calls;
        let one_more = |running: u32| (running < limit).then(|| running.saturating_add(1));
        match self.running.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more) {
            Ok(_before) => Ok(InPlace(self)),
            Err(running) => Err(CapHit { cap: Cap::Calls, asked: Some(u64::from(running) + 1), limit: limit.into() }),
        }
    }

    /// Takes a place for a call of `agent`, as [`Admitted::enter`]. A call that finds none waits for one until `until`, or until it is
    /// withdrawn: agents take turns, so that none waits behind all that another one asks for.
    pub(crate) fn enter_in_turn(
        self: &Arc<Self>,
        agent: &str,
        until: Instant,
        cancel: Option<&Cancel>,
    ) -> Result<InPlace<'_>, CallError> {
        // Calls that wait come first.
        if lock(&self.turns).is_empty()
            && let Ok(entered) = self.enter()
        {
            return Ok(entered);
        }
        let wakes = || -> Tell {
            let tool = Arc::clone(self);
            Arc::new(move || tool.wake())
        };
        let _at = cancel.map(|cancel| cancel.at(wakes()));
        let mut turns = lock(&self.turns);
        let ticket = turns.wait(agent);
        let entered = loop {
            if cancel.is_some_and(Cancel::is_cancelled) {
                break Err(CallError::Cancelled);
            }
            if turns.next() == Some(ticket)
                && let Ok(entered) = self.enter()
            {
                break Ok(entered);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let limit = self.load.set.limits.calls;
                break Err(CallError::Busy { what: format!("{limit} calls of the tool run already (`limits.calls`)") });
            }
            turns = held(self.left.wait_timeout(turns, left)).0;
        };
        turns.leave(ticket, entered.is_ok());
        let others_wait = !turns.is_empty();
        drop(turns);
        if others_wait {
            // Whose turn it is now may find a place, too.
            self.left.notify_all();
        }
        entered
    }

    /// Has the calls that wait for a place look again.
    fn wake(&self) {
        drop(lock(&self.turns));
        self.left.notify_all();
    }

    /// As the record of a call names it.
    pub(crate) fn named(&self) -> NamedTool<'_> {
        let LoadOrder { name, version, component, set, .. } = &self.load;
        NamedTool { name, version, component: *component, policy: self.policy, limits: set.limits }
    }
}

/// One of the places for calls at the same time. Its drop gives it to a call that waits for one.
#[derive(Debug)]
pub(crate) struct InPlace<'t>(&'t Admitted);

impl Drop for InPlace<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        let waits = !lock(&self.0.turns).is_empty();
        if waits {
            self.0.left.notify_all();
        }
    }
}

/// The calls that wait for a place. It is the turn of that agent's which has waited for longest since its last turn; of its calls, of the
/// first.
#[derive(Debug, Default)]
struct Turns {
    // The agent of each, by its ticket.
    waiting: BTreeMap<u64, String>,
    // When an agent had its last turn, for as long as any call waits.
    last: BTreeMap<String, u64>,
    given: u64,
}

impl Turns {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A ticket.
    fn wait(&mut self, agent: &str) -> u64 {
        self.given += 1;
        self.waiting.insert(self.given, agent.to_owned());
        self.given
    }

    /// Whose turn it is.
    fn next(&self) -> Option<u64> {
        let last = |agent: &String| self.last.get(agent).copied().unwrap_or_default();
        self.waiting.iter().min_by_key(|(ticket, agent)| (last(agent), **ticket)).map(|(ticket, _)| *ticket)
    }

    /// Gives a ticket back.
    fn leave(&mut self, ticket: u64, has_entered: bool) {
        let Some(agent) = self.waiting.remove(&ticket) else { return };
        if self.waiting.is_empty() {
            self.last.clear();
        } else if has_entered {
            self.given += 1;
            self.last.insert(agent, self.given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets all who wait enter, one after the other; whose turn it was.
    fn order(turns: &mut Turns) -> Vec<String> {
        let mut order = Vec::new();
        while let Some(ticket) = turns.next() {
            order.extend(turns.waiting.get(&ticket).cloned());
            turns.leave(ticket, true);
        }
        order
    }

    #[test]
    fn agents_take_turns_however_many_calls_one_of_them_has() {
        let mut turns = Turns::default();
        for agent in ["a", "a", "a", "b", "a", "c", "b"] {
            turns.wait(agent);
        }
        assert_eq!(order(&mut turns), ["a", "b", "c", "a", "b", "a", "a"]);
        assert!(turns.is_empty() && turns.last.is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn who_gives_up_has_had_no_turn() {
        let mut turns = Turns::default();
        let [first, second, _third] = ["a", "a", "b"].map(|agent| turns.wait(agent));
        turns.leave(first, false);
        assert_eq!(turns.next(), Some(second));
        assert_eq!(order(&mut turns), ["a", "b"]);
    }
}

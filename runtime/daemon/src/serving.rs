//! What all doors of a daemon serve from: the tools, the tokens, and how it stands.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::statvfs;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tollgate::offers::NotOffered;
use tollgate::service::Tollgate;
use tollgate_config::{Agent, ServeSettings};
use tollgate_system::{ProcessCommand, lock, of_thread};

use crate::tokens::Tokens;

/// What doors, gateways and lanes share.
pub(crate) struct Serving {
    pub(crate) tollgate: Tollgate,
    pub(crate) tokens: Tokens,
    pub(crate) gateway: ProcessCommand,
    pub(crate) ledger: PathBuf,
    pub(crate) tell: Arc<dyn Fn(&str) + Send + Sync>,
    pub(crate) given: Mutex<Vec<(String, UnixListener)>>,
    pub(crate) is_draining: AtomicBool,
    pub(crate) clients: AtomicU64,
    // How often anything was asked on a lane.
    pub(crate) asked: AtomicU64,
    // What is told once.
    pub(crate) told: Mutex<BTreeSet<String>>,
}

impl Serving {
    pub(crate) fn tell(&self, line: &str) {
        (self.tell)(line);
    }

    /// Tells once of each operation that models are not offered.
    pub(crate) fn tell_not_offered<'n>(&self, operations: impl IntoIterator<Item = &'n NotOffered>) {
        operations.into_iter().for_each(|why| self.tell_once(why.to_string()));
    }

    /// Tells what was not told before, as clients can have it told as often as they ask.
    pub(crate) fn tell_once(&self, line: String) {
        let is_new = {
            let mut told = lock(&self.told);
            told.len() < TOLD_MAX && told.insert(line.clone())
        };
        if is_new {
            self.tell(&line);
        }
    }

    pub(crate) fn serve(&self) -> ServeSettings {
        self.tollgate.deployment().serve
    }

    /// What the policy says of an agent.
    pub(crate) fn agent(&self, name: &str) -> Option<Agent> {
        self.tollgate.deployment().agent(name).cloned()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    /// The listener that was given for an agent, once.
    pub(crate) fn given(&self, agent: &str) -> Option<UnixListener> {
        let mut given = lock(&self.given);
        let place = given.iter().position(|(name, _)| name == agent)?;
        Some(given.swap_remove(place).1)
    }

    /// The number of the next client, and the session that it gets.
    pub(crate) fn next_client(&self) -> (u64, String) {
        let client = self.clients.fetch_add(1, Ordering::SeqCst);
        let mut bytes = [0; 8];
        // Who cannot be told apart by chance is by number.
        getrandom::fill(&mut bytes).unwrap_or_default();
        (client, format!("{client}-{}", hex::encode(bytes)))
    }

    /// Why no call would be taken at the moment.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.is_draining() {
            why.push("the daemon is ending".to_owned());
        }
        why.extend(self.tollgate.supervisor().notary().trouble());
        let (free, reserve) = (self.free_bytes(), self.serve().reserve_bytes);
        if free.is_some_and(|free| free < reserve) {
            why.push(format!(
                "the ledger's disk has {} bytes left, and the reserve is {reserve} (`serve.reserve`)",
                free.unwrap_or_default()
            ));
        }
        why.extend(self.descriptors().and_then(|descriptors| descriptors.short()));
        why.extend(Self::short_of_threads());
        why
    }

    /// That so few threads are left that a call may find none, in words. How many a user has can be seen by nobody but the kernel, so that
    /// it is tried.
    pub(crate) fn short_of_threads() -> Option<String> {
        let all_started = Mutex::new(());
        let failed = std::thread::scope(|scope| {
            let _until_all_started = lock(&all_started);
            let start = |_| {
                let thread = std::thread::Builder::new().name("trial".to_owned()).stack_size(TRIAL_STACK_BYTES);
                thread.spawn_scoped(scope, || drop(lock(&all_started))).err()
            };
            (0..THREADS_RESERVE).find_map(start)
        });
        failed.map(|error| format!("this process can start no more threads: {}", of_thread(error)))
    }

    /// How many descriptors this process has open, and may have; none where `/proc` does not tell.
    pub(crate) fn descriptors(&self) -> Option<Descriptors> {
        let limit = getrlimit(Resource::Nofile).current;
        match std::fs::read_dir("/proc/self/fd") {
            // The one by which they are listed is gone again.
            Ok(open) => Some(Descriptors { open: (open.count() as u64).saturating_sub(1), limit }),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE) => limit.map(|most| Descriptors { open: most, limit }),
                Some(_) | None => None,
            },
        }
    }

    /// Bytes that the ledger's disk has left.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let found = statvfs(&self.ledger).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// The agent that the operator is, where a policy names none.
pub(crate) const LOCAL: &str = "local";

/// Descriptors of this process: each connection, worker, gateway and lane takes some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors {
    pub(crate) open: u64,
    /// None where there may be any number.
    pub(crate) limit: Option<u64>,
}

impl Descriptors {
    /// That so few are left that something new may find none, in words.
    pub(crate) fn short(self) -> Option<String> {
        let limit = self.limit?;
        let reserve = DESCRIPTORS_RESERVE.min(limit / 4);
        let left = limit.saturating_sub(self.open);
        (left < reserve).then(|| {
            format!(
                "this process has {left} of its {limit} descriptors left, and the reserve is {reserve} (RLIMIT_NOFILE, `ulimit -n`)"
            )
        })
    }
}

/// Descriptors that are kept free for what is to come: a worker, a gateway and an operator at the same time, several times. A quarter
/// of the limit where that is less.
const DESCRIPTORS_RESERVE: u64 = 64;

/// Threads that a call may need at once: of its gateway and its lane, and those of a worker's process.
const THREADS_RESERVE: usize = 8;

const TRIAL_STACK_BYTES: usize = 64 << 10;

/// Lines that are remembered: what comes beyond is in nobody's list, and the lists say so.
const TOLD_MAX: usize = 1_024;

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("tollgate", &self.tollgate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_run_short_before_they_are_gone() {
        let short = |open, limit| Descriptors { open, limit: Some(limit) }.short();
        assert_eq!((short(0, 1024), short(960, 1024), short(15, 20)), (None, None, None));
        let said = short(961, 1024).unwrap();
        assert!(said.contains("63 of its 1024") && said.contains("the reserve is 64"), "{said}");
        let said = short(16, 20).unwrap();
        assert!(said.contains("4 of its 20") && said.contains("the reserve is 5"), "{said}");
        assert!(short(30, 20).unwrap().contains("0 of its 20"), "the limit was lowered meanwhile");
        assert_eq!(Descriptors { open: 1 << 20, limit: None }.short(), None);
    }
}

//! The attack that a process is started for, which its arguments say, and when it is made: once the process is sealed and serves
//! as any other.

use std::io::Write as _;
use std::process;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_capability::{CapabilitySet, PrivateSet};

use super::ground::{Aim, Ground, Held};
use super::{Outcome, attack};
use tollgate::ProcessCommand;
use tollgate::worker::{AfterSealed, SealedProcess, ThreadKind};

/// One attack, as the code of the process that makes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillOrder {
    /// The attack's name.
    pub(crate) attack: String,
    /// Who makes it.
    pub(crate) thread: ThreadKind,
    /// At what.
    pub(crate) aim: Aim,
    /// What the worker is sealed for, if it has no tool.
    pub(crate) set: Option<PrivateSet>,
    /// Whether the notary is to judge it, which takes its time.
    pub(crate) is_judged: bool,
}

impl DrillOrder {
    /// How a process is started for it: as `command` says, with this order at the end.
    pub(crate) fn command(&self, command: &ProcessCommand) -> Result<ProcessCommand, serde_json::Error> {
        let mut command = command.clone();
        command.arguments.extend(["--order".into(), serde_json::to_string(self)?.into()]);
        Ok(command)
    }

    /// Makes the attack in a gateway, once it is sealed, says what came of it, and ends the process.
    pub fn after_gateway_sealed(&self) {
        self.make_and_end(Held::by_gateway());
    }

    fn make(&self, held: Held) -> Outcome {
        let ground = Ground { aim: self.aim.clone(), held };
        let unknown = || Outcome::Unable(format!("there is no attack `{}`", self.attack));
        attack(&self.attack).map_or_else(unknown, |attack| attack.run(&ground))
    }

    /// Makes it, says what came of it on standard error, and ends the process.
    #[allow(clippy::exit, reason = "after an attack the process is in no state to end by itself")]
    fn make_and_end(&self, held: Held) {
        let outcome = self.make(held);
        let said = serde_json::to_string(&outcome).unwrap_or_default();
        // Where standard error is gone the drill hears nothing, and says so.
        writeln!(std::io::stderr(), "{SAYS}{said}").ok();
        if self.is_judged {
            wait(JUDGED_WITHIN);
        }
        process::exit(0);
    }
}

impl AfterSealed for DrillOrder {
    fn sealed_for(&self) -> Option<CapabilitySet> {
        self.set.clone().map(PrivateSet::into_set)
    }

    /// Makes the attack if it is this thread's to make.
    fn after_sealed(&self, thread: ThreadKind, process: &SealedProcess) {
        if self.thread != thread {
            return;
        }
        process.await_start();
        self.make_and_end(Held::from(process));
    }
}

/// What a process said of its attack, in what it printed at last.
pub(super) fn outcome_in(said: &str) -> Option<Outcome> {
    serde_json::from_str(said.rsplit_once(SAYS)?.1).ok()
}

/// Waits by the one system call that every sealed thread has for it.
fn wait(time: Duration) {
    let (never, changed) = (Mutex::new(()), Condvar::new());
    let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
    drop(changed.wait_timeout(guard, time));
}

/// Stands before what came of an attack.
const SAYS: &str = "tollgate-drill says: ";

/// How long the notary may take to condemn a worker.
const JUDGED_WITHIN: Duration = Duration::from_secs(3);

//! An attack in a host: which thread makes it, and when. The host is sealed and serves by then, as any other.
//!
//! Without an order there is no post, and a host never makes an attack.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tollgate_capability::PrivateSet;

use super::ground::{Aim, Ground, Held};
use super::{Outcome, attack};

/// What the front orders of a host that it starts for one attack.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrillOrder {
    /// The attack's name.
    pub(crate) attack: String,
    /// Who makes it.
    pub(crate) thread: ThreadKind,
    /// At what.
    pub(crate) aim: Aim,
    /// What the host is sealed for, if it has no tool.
    pub(crate) set: Option<PrivateSet>,
}

/// The kinds of thread that a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ThreadKind {
    /// Hears the front.
    Main,
    /// Runs calls.
    Worker,
    /// Advances the engine's epoch.
    Epoch,
}

impl ThreadKind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Main, Self::Worker, Self::Epoch];

    /// In one word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Worker => "worker",
            Self::Epoch => "epoch",
        }
    }
}

/// Where the threads of a host meet over an attack.
#[derive(Debug)]
pub(crate) struct Post {
    order: DrillOrder,
    held: Held,
    step: Mutex<Step>,
    changed: Condvar,
}

#[derive(Debug)]
enum Step {
    Waiting,
    Go,
    Done(Outcome),
}

impl Post {
    pub(crate) fn new(order: DrillOrder, held: Held) -> Self {
        Self { order, held, step: Mutex::new(Step::Waiting), changed: Condvar::new() }
    }

    /// Makes the attack if it is this thread's to make, once [`Post::go`] says so.
    pub(crate) fn attend(&self, thread: ThreadKind) {
        if self.order.thread != thread {
            return;
        }
        drop(self.wait(|step| matches!(step, Step::Waiting)));
        self.set(Step::Done(self.make()));
    }

    /// Has the attack made, on this thread if it is a worker's to make: what came of it, if the host still is there.
    pub(crate) fn go(&self) -> Outcome {
        self.set(Step::Go);
        self.attend(ThreadKind::Worker);
        match &*self.wait(|step| !matches!(step, Step::Done(_))) {
            Step::Done(outcome) => outcome.clone(),
            Step::Waiting | Step::Go => Outcome::Unable("nobody has made it".to_owned()),
        }
    }

    fn make(&self) -> Outcome {
        let ground = Ground { aim: self.order.aim.clone(), held: self.held };
        let unknown = || Outcome::Unable(format!("there is no attack `{}`", self.order.attack));
        attack(&self.order.attack).map_or_else(unknown, |attack| attack.run(&ground))
    }

    fn set(&self, step: Step) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        self.changed.notify_all();
    }

    fn wait(&self, is_early: impl Fn(&Step) -> bool) -> MutexGuard<'_, Step> {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.wait_while(step, |step| is_early(step)).unwrap_or_else(PoisonError::into_inner)
    }
}

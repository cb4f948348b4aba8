//! Native attacks from inside a sealed process, as code would make them that broke out of wasm in a worker, or into the parsers
//! of a gateway: one table of attacks, and what must stop each in which process. `tollgate drill` and the tests run them.
//!
//! An attack aims at things that were made for it and does no lasting damage if it gets its way. It is made in a process of the
//! program `tollgate-drill`, whose code is that of a worker ([`AfterSealed`](tollgate::worker::AfterSealed)) or of a gateway
//! ([`serve_and`](tollgate_gateway::serve_and)) but for the attack; no message to either brings it about.

mod evidence;
mod field;
mod files;
pub(crate) mod flags;
mod gateway;
mod ground;
mod kernel;
mod machine;
mod network;
mod order;
mod pages;
mod privileges;
mod processes;
mod raw;
mod scene;
mod target;
#[cfg(test)]
mod tests;
mod verdict;

use serde::{Deserialize, Serialize};

use tollgate::sandbox::KernelPlan;

pub use field::Field;
pub use gateway::Gateways;
pub(crate) use ground::Ground;
pub use order::DrillOrder;
pub use scene::Scene;
pub use target::{DrillError, Target};
pub use verdict::Verdict;

use raw::{Miss, Reply};

/// One attack.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// What it is called, in kebab case; no other has this name.
    pub name: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    where_nothing: Stop,
    // A second system call, without which the rest of the attack is not come to.
    then: Option<i64>,
    where_folder: Stop,
    /// What comes of it in a process that nothing seals.
    pub alone: Alone,
    in_gateway: InGateway,
    run: Run,
}

/// How an attack is made.
#[derive(Debug, Clone, Copy)]
enum Run {
    By(fn(&Ground) -> Reply),
    WrongFlag(flags::WrongFlag),
}

/// What comes of an attack in a gateway.
#[derive(Debug, Clone, Copy)]
enum InGateway {
    /// What stops it in a worker with nothing granted stops it there too; but the filter only refuses.
    Alike,
    /// Something else stops it.
    Stop(Stop),
    /// It is not made, since it has no meaning there.
    Not(#[allow(dead_code, reason = "the reason is for who reads the row")] &'static str),
}

/// What an attack is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Files and folders that were not granted, or not so.
    Files,
    /// Memory that can be executed.
    Pages,
    /// Processes: new ones, and others.
    Processes,
    /// Anybody to talk to.
    Network,
    /// Parts of the kernel that a worker has no use for.
    Kernel,
    /// More rights, fewer limits.
    Privileges,
    /// What is recorded.
    Evidence,
    /// Flags and commands of allowed system calls that no row names.
    Flags,
}

impl Group {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::Files,
        Self::Pages,
        Self::Processes,
        Self::Network,
        Self::Kernel,
        Self::Privileges,
        Self::Evidence,
        Self::Flags,
    ];

    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Pages => "pages",
            Self::Processes => "processes",
            Self::Network => "network",
            Self::Kernel => "kernel",
            Self::Privileges => "privileges",
            Self::Evidence => "evidence",
            Self::Flags => "flags",
        }
    }
}

/// What must stop an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The filter, at this system call: the worker has written it into the ledger and ended itself.
    Filter(i64),
    /// The filter, at this system call, which fails with `EPERM`; the process goes on.
    Refused(i64),
    /// Landlock, with this errno.
    Landlock(i32),
    /// The kernel ends the process by this signal.
    Killed(i32),
    /// The notary condemns the worker, for what this is part of.
    Notary(&'static str),
    /// A resource limit, with this errno.
    Limit(i32),
    /// There is nothing there to be had: errno of an ordinary check of the kernel, and why it is by our doing.
    Absent(i32, &'static str),
}

/// What comes of an attack in a process that nothing seals: so that "refused" is known to mean the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// It gets its way.
    Works,
    /// It is made such that the kernel refuses it to anybody, or only some kernels and users can do it.
    Depends(&'static str),
    /// It must not be tried, or means nothing where there is no notary.
    Never(&'static str),
}

impl std::fmt::Display for Alone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Works => f.write_str("works"),
            Self::Depends(on) => write!(f, "may not work: {on}"),
            Self::Never(why) => write!(f, "is not tried: {why}"),
        }
    }
}

/// What came of an attack, as the thread that made it says. A worker that is stopped by the filter says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// The kernel answered with this errno.
    Refused(i32),
    /// It got its way: what the kernel answered.
    Escaped(i64),
    /// It was not made, and why.
    Unable(String),
}

impl Attack {
    /// An attack that meets the same `stop` whatever is granted.
    const fn new(name: &'static str, what: &'static str, stop: Stop, run: fn(&Ground) -> Reply) -> Self {
        let run = Run::By(run);
        let in_gateway = InGateway::Alike;
        Self { name, what, where_nothing: stop, then: None, where_folder: stop, alone: Alone::Works, in_gateway, run }
    }

    /// An attack that the filter stops at the system call `number`, whatever is granted.
    const fn blocked(name: &'static str, what: &'static str, number: i64, run: fn(&Ground) -> Reply) -> Self {
        Self::new(name, what, Stop::Filter(number), run)
    }

    /// The same attack, which meets another stop where a folder is granted.
    const fn with_folder(self, stop: Stop) -> Self {
        Self { where_folder: stop, ..self }
    }

    /// The same attack, whose next step is the system call `number`, which a folder may or may not bring.
    const fn then(self, number: i64) -> Self {
        Self { then: Some(number), ..self }
    }

    /// The same attack, which does not simply work where nothing seals the process.
    const fn alone(self, alone: Alone) -> Self {
        Self { alone, ..self }
    }

    /// The same attack, which something else stops in a gateway.
    const fn in_gateway(self, stop: Stop) -> Self {
        Self { in_gateway: InGateway::Stop(stop), ..self }
    }

    /// The same attack, which has no meaning in a gateway.
    const fn not_in_gateway(self, why: &'static str) -> Self {
        Self { in_gateway: InGateway::Not(why), ..self }
    }

    /// What must stop it in a gateway; none where it has no meaning.
    pub(crate) fn stopped_in_gateway(&self) -> Option<Stop> {
        match (self.in_gateway, self.where_nothing) {
            (InGateway::Stop(stop), _) => Some(stop),
            (InGateway::Alike, Stop::Filter(number)) => Some(Stop::Refused(number)),
            // Without a pipe to the notary nothing comes to it.
            (InGateway::Not(_), _) | (InGateway::Alike, Stop::Notary(_)) => None,
            (
                InGateway::Alike,
                stop @ (Stop::Refused(_) | Stop::Landlock(_) | Stop::Killed(_) | Stop::Limit(_) | Stop::Absent(..)),
            ) => Some(stop),
        }
    }

    /// What must stop it in a worker with this plan: where a folder brings the system call, what comes after the filter.
    pub(crate) fn stopped_by(&self, plan: &KernelPlan) -> Stop {
        match self.where_nothing {
            Stop::Filter(number) if !plan.allows(number) => self.where_nothing,
            Stop::Filter(_) if let Some(then) = self.then.filter(|then| !plan.allows(*then)) => Stop::Filter(then),
            Stop::Filter(_)
            | Stop::Refused(_)
            | Stop::Landlock(_)
            | Stop::Killed(_)
            | Stop::Notary(_)
            | Stop::Limit(_)
            | Stop::Absent(..) => self.where_folder,
        }
    }

    /// Makes it, on this thread.
    pub(crate) fn run(&self, ground: &Ground) -> Outcome {
        let reply = match self.run {
            Run::By(run) => run(ground),
            Run::WrongFlag(wrong) => wrong.make(),
        };
        match reply {
            Ok(answer) => Outcome::Escaped(answer),
            Err(Miss::Refused(errno)) => Outcome::Refused(errno),
            Err(Miss::Unable(why)) => Outcome::Unable(why.to_owned()),
        }
    }
}

/// Every attack, by what it is after.
pub fn attacks() -> impl Iterator<Item = (Group, &'static Attack)> {
    let written = TABLE.iter().flat_map(|(group, attacks)| attacks.iter().map(move |attack| (*group, attack)));
    written.chain(flags::ATTACKS.iter().map(|attack| (Group::Flags, attack)))
}

/// The attack of this name.
pub fn attack(name: &str) -> Option<&'static Attack> {
    attacks().map(|(_, attack)| attack).find(|attack| attack.name == name)
}

const TABLE: &[(Group, &[Attack])] = &[
    (Group::Files, files::READ),
    (Group::Files, files::CHANGE),
    (Group::Pages, pages::ATTACKS),
    (Group::Processes, processes::ATTACKS),
    (Group::Network, network::ATTACKS),
    (Group::Kernel, kernel::ATTACKS),
    (Group::Privileges, privileges::ATTACKS),
    (Group::Evidence, evidence::ATTACKS),
];

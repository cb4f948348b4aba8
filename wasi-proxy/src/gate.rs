//! Check, record, permit. Must never hand out a proof for a call that is not in the ledger's hands.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_audit::{Action, AppendError, Durability, Layer, RoomFor};
use tollgate_capability::{
    Call, Cap, CapabilitySet, ClockCall, ContextCall, Decision, Denial, DiskCost, EnvCall, Fact, FsCall, FsPath,
    FsPlace, GrantIndex, OnViolation, PathFault, RECORDS_MAX, RandomCall, Reason, RecordScope, RefusedCall, Rule,
    SocketCall, check,
};
use tollgate_notary::{CALL_ENTRIES_MAX, CallTrail, DenialRef, FactRef, IntentId, OutcomeTotals};

mod permit;
#[cfg(test)]
pub(crate) mod tests;

pub use permit::Permit;
pub(crate) use permit::{Checked, Failed, Performed, Spent, WayOut};

/// Decides and records every call of one guest instance.
#[derive(Debug)]
pub struct Gate {
    set: Arc<CapabilitySet>,
    trail: CallTrail,
    quota_left: Vec<u64>,
    counters: Vec<Counter>,
}

/// How often a function was called, whether or not each call was recorded by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// WIT name of the function.
    pub function: &'static str,
    /// Calls that reached the gate, denied ones included.
    pub calls: u64,
}

/// A call that the capability set does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{function} on {subject} is denied by policy: rule `{rule}` does not hold: {reason}")]
pub struct Violation {
    /// WIT name of the function.
    pub function: Cow<'static, str>,
    /// What it was about: a path, an address, a name.
    pub subject: String,
    /// The rule that is missing, such as `fs:/docs:write`.
    pub rule: String,
    /// Why it does not hold.
    pub reason: Reason,
    /// The cap, if the rule is a limit and not a permission.
    pub cap: Option<Cap>,
}

/// Why a call got no permit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The guest gets WASI's error code and goes on.
    #[error(transparent)]
    Denied(Violation),
    /// The instance ends.
    #[error(transparent)]
    Killed(Violation),
    /// The ledger did not take the record, so the call may not happen.
    #[error("the ledger did not take the record of {function}; nothing was done")]
    Unrecorded {
        /// WIT name of the function.
        function: Cow<'static, str>,
        /// What the ledger said.
        source: AppendError,
    },
    /// The call may add no more to the ledger, so nothing more can be done that is recorded: the instance ends.
    #[error("{function} is not recorded, and nothing was done: {asked} asked for by `limits.{}`, {limit} allowed", cap.as_str())]
    RecordsFull {
        /// WIT name of the function.
        function: Cow<'static, str>,
        /// [`Cap::Records`] or [`Cap::RecordBytes`].
        cap: Cap,
        /// What the call's record would have come to.
        asked: u64,
        /// The cap.
        limit: u64,
    },
}

// The ledger has room for whatever the cap may be set to.
const _: () = assert!(RECORDS_MAX <= CALL_ENTRIES_MAX as u64);

impl Gate {
    /// A gate over `set` that records into `trail`.
    #[must_use]
    pub fn new(set: Arc<CapabilitySet>, trail: CallTrail) -> Self {
        let quota_left = set.fs.iter().map(|fs| fs.write_quota).collect();
        Self { set, trail, quota_left, counters: Vec::with_capacity(COUNTERS_USUAL) }
    }

    /// The capability set in force.
    #[must_use]
    pub fn set(&self) -> &Arc<CapabilitySet> {
        &self.set
    }

    /// Checks `call` and records it; on `Ok` its intent is out of this process's hands, and what it costs of a write quota is
    /// taken off.
    ///
    /// # Errors
    ///
    /// [`Refused`]: denied, killed, or not recorded. In every case nothing was done.
    pub fn admit(&mut self, call: Call) -> Result<Permit, Refused> {
        let function = call.function();
        self.count(function);
        let set = Arc::clone(&self.set);
        match check(&set, &call) {
            Decision::Allow(rule) => {
                let permit = self.record_intent(call, rule)?;
                self.charge(permit.call());
                Ok(permit)
            }
            Decision::Deny(denial) => Err(self.record_denial(&call, denial)),
        }
    }

    /// Checks `call`, counts it, and records its outcome at once where every call is recorded: for calls whose effect says
    /// nothing that the record should keep, or says it in the totals of a handle.
    ///
    /// # Errors
    ///
    /// As of [`Gate::admit`].
    pub(crate) fn checked(&mut self, call: Call) -> Result<Checked, Refused> {
        let permit = self.admit(call)?;
        let (call, intent) = permit.spend().into_parts();
        self.settle_intent(intent, OutcomeTotals { result: "ok", bytes_read: 0, bytes_written: 0, calls: 1 });
        Ok(Checked::new(call))
    }

    /// Records what became of a permitted call: `ok` or WASI's error code.
    pub(crate) fn settle(&mut self, spent: Spent, result: &str) {
        let totals = OutcomeTotals { result, bytes_read: 0, bytes_written: 0, calls: 1 };
        self.settle_intent(spent.into_intent(), totals);
    }

    /// Gives back what a permitted call was charged of a write quota: only where it is certain that it took no room on the
    /// disk.
    pub(crate) fn give_back(&mut self, spent: &Spent) {
        let Some(DiskCost { grant, bytes, .. }) = spent.call().disk_cost() else { return };
        if let Some(left) = self.quota_left.get_mut(usize::from(grant.0)) {
            *left = left.saturating_add(bytes);
        }
    }

    /// Records that something else stood there by then than what a permitted call was decided on, so that nothing was done.
    pub(crate) fn raced(&mut self, spent: Spent) {
        self.give_back(&spent);
        self.settle(spent, RACED);
    }

    /// Records that the kernel refused a permitted call because it would have left the granted folder.
    pub(crate) fn escaped(&mut self, spent: Spent, way: WayOut) -> Refused {
        self.give_back(&spent);
        match way {
            WayOut::Link => self.overruled(spent, |guest| Rule::FsBeneath { guest }, Reason::LinkOutside),
            WayOut::Mount => self.overruled(spent, |guest| Rule::FsMounts { guest }, Reason::Mount),
            WayOut::Pseudo => self.overruled(spent, |guest| Rule::FsMounts { guest }, Reason::Pseudo),
        }
    }

    /// Records that another file was put in the place of the one that a permitted call was decided on. It ends the instance:
    /// nothing but an attack, or another program that changes the folder, does that.
    pub(crate) fn exchanged(&mut self, spent: Spent) -> Refused {
        self.overruled(spent, |guest| Rule::FsSame { guest }, Reason::Exchanged)
    }

    /// Records that a permitted call turned out not to be what was permitted.
    fn overruled(&mut self, spent: Spent, rule: impl FnOnce(&str) -> Rule<'_>, reason: Reason) -> Refused {
        let set = Arc::clone(&self.set);
        let guest = spent.call().fs().and_then(|call| set.fs.get(usize::from(call.place().grant().0)));
        let denial = Denial { missing: guest.map_or(Rule::FsAny, |fs| rule(&fs.guest)), reason };
        let violation = self.violation(spent.call(), denial);
        let kill = self.kills(spent.call(), denial);
        let Some(intent) = spent.into_intent() else { return refused(violation, kill) };
        let record = denial_record(&violation, Layer::Kernel, kill);
        let recorded = self.trail.violated(intent, &violation.function, record.as_ref());
        self.conclude(recorded, violation, kill)
    }

    pub(crate) fn settle_intent(&mut self, intent: Option<IntentId>, totals: OutcomeTotals<'_>) {
        if let Some(intent) = intent {
            self.trail.outcome(intent, totals);
        }
    }

    pub(crate) fn quota_left(&self, grant: GrantIndex) -> u64 {
        self.quota_left.get(usize::from(grant.0)).copied().unwrap_or(0)
    }

    fn charge(&mut self, call: &Call) {
        let Some(DiskCost { grant, bytes, .. }) = call.disk_cost() else { return };
        if let Some(left) = self.quota_left.get_mut(usize::from(grant.0)) {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Counts a call that carries no authority and so needs no check.
    pub(crate) fn count(&mut self, function: &'static str) {
        match self.counters.iter_mut().find(|counter| counter.function == function) {
            Some(counter) => counter.calls += 1,
            None => self.counters.push(Counter { function, calls: 1 }),
        }
    }

    /// Ends the gate at the end of the call.
    #[must_use]
    pub fn into_trail(self) -> (CallTrail, Vec<Counter>) {
        (self.trail, self.counters)
    }

    fn record_intent(&mut self, call: Call, rule: Rule<'_>) -> Result<Permit, Refused> {
        if !call.acquires() && self.set.record == RecordScope::Acquire {
            return Ok(Permit::new(call, None));
        }
        let function = call.function();
        let facts = call.facts();
        let durability = if self.set.is_durable(&call) { Durability::Disk } else { Durability::Pipe };
        let intent = self
            .trail
            .intent(function, &fact_refs(&facts.0), &rule.to_string(), durability)
            .map_err(|source| self.unrecorded(function.into(), source))?;
        Ok(Permit::new(call, Some(intent)))
    }

    fn record_denial(&mut self, call: &Call, denial: Denial<'_>) -> Refused {
        let violation = self.violation(call, denial);
        let kill = self.kills(call, denial);
        let facts = call.facts();
        let record = denial_record(&violation, Layer::Gate, kill);
        let recorded = self.trail.denied(&violation.function, &fact_refs(&facts.0), record.as_ref());
        self.conclude(recorded, violation, kill)
    }

    fn conclude(&self, recorded: Result<(), AppendError>, violation: Violation, kill: bool) -> Refused {
        match recorded {
            Ok(()) => refused(violation, kill),
            Err(source) => self.unrecorded(violation.function, source),
        }
    }

    /// Why there is no record of a call: the call has had all that it may have, or the ledger does not take it.
    fn unrecorded(&self, function: Cow<'static, str>, source: AppendError) -> Refused {
        let AppendError::CallFull { of, asked, left } = source else {
            return Refused::Unrecorded { function, source };
        };
        let cap = match of {
            RoomFor::Entries => Cap::Records,
            RoomFor::Bytes => Cap::RecordBytes,
        };
        let limit = self.set.limits.get(cap);
        Refused::RecordsFull { function, cap, asked: limit.saturating_sub(left).saturating_add(asked), limit }
    }

    fn violation(&self, call: &Call, denial: Denial<'_>) -> Violation {
        let cap = if let Rule::Limit(cap) = denial.missing { Some(cap) } else { None };
        Violation {
            function: call.function().into(),
            subject: subject(&self.set, call),
            rule: denial.missing.to_string(),
            reason: denial.reason,
            cap,
        }
    }

    /// A cap always ends the instance, and so does the denial of a function without an error code to give; a path that
    /// means nothing to any kernel never does, nor does a look at what a link names that leads out: whoever walks through
    /// folders looks at every entry, and opens what the look did not refuse.
    fn kills(&self, call: &Call, denial: Denial<'_>) -> bool {
        let looks = matches!(call, Call::Fs(FsCall::StatAt { .. } | FsCall::MetadataHashAt { .. }));
        match (denial.missing, denial.reason) {
            (_, Reason::LinkOutside) if looks => false,
            (_, Reason::Path(PathFault::Empty | PathFault::TooLong)) => false,
            (_, Reason::Exchanged) => true,
            (Rule::Limit(_) | Rule::WallClock | Rule::MonotonicClock | Rule::Random | Rule::Context, _) => true,
            (
                Rule::Fs { .. }
                | Rule::FsPreopen { .. }
                | Rule::FsBeneath { .. }
                | Rule::FsPatterns { .. }
                | Rule::FsRegular { .. }
                | Rule::FsQuota { .. }
                | Rule::FsNoGain { .. }
                | Rule::FsPolicy { .. }
                | Rule::FsMounts { .. }
                | Rule::FsPlace { .. }
                | Rule::FsSame { .. }
                | Rule::FsAny
                | Rule::Empty
                | Rule::Env
                | Rule::Args
                | Rule::Stdio(_)
                | Rule::Network,
                _,
            ) => self.set.on_violation == OnViolation::Kill,
        }
    }
}

/// Outcome of a call that found another file than the one decided on.
const RACED: &str = "raced";

/// Functions that a usual tool calls.
const COUNTERS_USUAL: usize = 16;

fn refused(violation: Violation, kill: bool) -> Refused {
    if kill { Refused::Killed(violation) } else { Refused::Denied(violation) }
}

/// Owns the text that a [`DenialRef`] points to.
struct DenialRecord<'v> {
    rule: &'v str,
    message: String,
    layer: Layer,
    action: Action,
}

impl DenialRecord<'_> {
    fn as_ref(&self) -> DenialRef<'_> {
        DenialRef { rule: self.rule, layer: self.layer, action: self.action, message: &self.message }
    }
}

fn denial_record(violation: &Violation, layer: Layer, kill: bool) -> DenialRecord<'_> {
    let action = if kill { Action::Kill } else { Action::Deny };
    DenialRecord { rule: &violation.rule, message: violation.reason.to_string(), layer, action }
}

fn fact_refs<'a>(facts: &'a [(&'static str, Fact<'a>)]) -> Vec<(&'a str, FactRef<'a>)> {
    let fact_ref = |fact: &'a Fact<'a>| match fact {
        Fact::Text(text) => FactRef::Text(text),
        Fact::Uint(value) => FactRef::Uint(*value),
        Fact::Bool(value) => FactRef::Bool(*value),
    };
    facts.iter().map(|(name, fact)| (*name, fact_ref(fact))).collect()
}

fn fs_guest<'s>(set: &'s CapabilitySet, call: &FsCall) -> &'s str {
    set.fs.get(usize::from(call.place().grant().0)).map_or("", |fs| fs.guest.as_str())
}

/// What a call is about, as the guest would name it.
fn subject(set: &CapabilitySet, call: &Call) -> String {
    match call {
        Call::Fs(call) => fs_subject(fs_guest(set, call), call.place()),
        Call::Env(EnvCall::GetEnvironment) => "the environment".to_owned(),
        Call::Env(EnvCall::GetArguments) => "the argument vector".to_owned(),
        Call::Stdio(call) => call.stream().as_str().to_owned(),
        Call::Clock(ClockCall::WallClock) => "the wall clock".to_owned(),
        Call::Clock(ClockCall::MonotonicClock) => "the monotonic clock".to_owned(),
        Call::Random(RandomCall::RandomBytes { bytes } | RandomCall::InsecureRandomBytes { bytes }) => {
            format!("{bytes} random bytes")
        }
        Call::Context(ContextCall::GetContext) => "the context of the call".to_owned(),
        Call::Socket(SocketCall::CreateTcpSocket { family }) => format!("a TCP {} socket", family.as_str()),
        Call::Socket(SocketCall::CreateUdpSocket { family }) => format!("a UDP {} socket", family.as_str()),
        Call::Socket(SocketCall::ResolveAddresses { name }) => format!("the name `{}`", name.escape_debug()),
        Call::Refused(call) if call.function.starts_with("wasi:http/") => "an HTTP request".to_owned(),
        Call::Refused(RefusedCall { .. }) => "a socket".to_owned(),
    }
}

fn fs_subject(guest: &str, place: FsPlace<'_>) -> String {
    let at = |path: &FsPath| {
        let mut text = guest.to_owned();
        for part in [path.dir.as_str(), path.asked.as_str()] {
            if !part.is_empty() {
                text.push('/');
                text.push_str(part);
            }
        }
        format!("`{}`", text.escape_debug())
    };
    match place {
        FsPlace::Path(path) => at(path),
        FsPlace::Names { from, to } => format!("`{}` to {}", from.asked.escape_debug(), at(to)),
        FsPlace::Handle(_) => format!("a handle below `{guest}`"),
    }
}

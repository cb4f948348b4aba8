//! A tool whose calls run in a host process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_capability::{ArgsNeed, CapabilitySet, Grant, Limits, Manifest, Needs, ToolName};

use super::group::{Group, Member};
use super::host_process::{END_WAIT, HostProcess, START_WAIT};
use crate::artifact::Artifact;
use crate::error::{CallError, CallFailure, LoadError};
use crate::host::lane::{LaneError, LaneLimits};
use crate::host::words::{Ask, SAID_HEADER_BYTES_MAX, Said};
use crate::invoke::{Answer, Request};
use crate::operations::OperationTexts;
use crate::private::Noted;
use crate::runtime::now_ms;
use crate::tool::{LoadOrder, Operation, Provenance, bare};

/// A tool for a [`Front`](crate::Front): its code, who it is, and what is in force for it.
#[derive(Debug)]
pub struct ToolSpec {
    pub(crate) name: ToolName,
    pub(crate) load: LoadOrder,
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

    /// A tool that is only asked for its operations ([`Front::describe`](crate::Front::describe)), where its grant may be made
    /// later: of the grant its limits count alone.
    #[must_use]
    pub fn to_describe(artifact: Artifact, manifest: &Manifest, grant: &Grant, provenance: Provenance<'_>) -> Self {
        let args = if manifest.needs.args == ArgsNeed::None { ArgsNeed::None } else { ArgsNeed::Empty };
        let env = manifest.needs.env.as_ref().map(|_| BTreeSet::new());
        let asking = Manifest { needs: Needs { env, args, ..Needs::default() }, ..manifest.clone() };
        let limits = Grant { limits: grant.limits.clone(), ..Grant::default() };
        // It needs nothing that is granted. If it did, it would get nothing.
        let met = CapabilitySet::intersect(&asking, &limits, |_name| None);
        Self::new(artifact, manifest, met.map(|met| met.set).unwrap_or_default(), provenance)
    }

    /// The same tool, with nothing that it may do.
    pub(super) fn bare(mut self) -> Self {
        self.load.set = bare(&self.load.set);
        self
    }
}

/// A tool, ready to be called, from any thread.
#[derive(Debug, Clone)]
pub struct HostedTool {
    group: Arc<Group>,
    // Its place in the group, and what is there.
    place: usize,
    member: Arc<Member>,
}

impl HostedTool {
    /// All tools of a group, in their order.
    pub(crate) fn all_of(group: &Arc<Group>) -> Vec<Self> {
        let members = group.members.iter().enumerate();
        members.map(|(place, member)| Self::new(Arc::clone(group), place, Arc::clone(member))).collect()
    }

    pub(crate) fn new(group: Arc<Group>, place: usize, member: Arc<Member>) -> Self {
        Self { group, place, member }
    }

    /// The tool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.member.load.name
    }

    /// What is enforced.
    #[must_use]
    pub fn capability_set(&self) -> &CapabilitySet {
        &self.member.load.set
    }

    /// Starts its host, if there is none: the tool can be called, or it is known why not.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn start(&self) -> Result<(), LoadError> {
        self.group.host(Instant::now() + START_WAIT + END_WAIT).map(drop)
    }

    /// What it can be called for. Starts its host, if nothing is stored of that and no host has loaded the tool yet.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn operations(&self) -> Result<Vec<Operation>, LoadError> {
        self.texts()?.iter().map(Operation::of).collect()
    }

    /// The same in the component's own words.
    pub(crate) fn texts(&self) -> Result<OperationTexts, LoadError> {
        if self.member.texts().is_none() {
            self.start()?;
        }
        Ok(self.member.texts().cloned().unwrap_or_default())
    }

    /// Calls the tool, in its host, which is started if there is none.
    ///
    /// # Errors
    ///
    /// [`CallFailure`], with what the call used until then, as far as the host could say. A result that could not be
    /// recorded is withheld.
    pub fn call(&self, request: &Request<'_>) -> Result<Answer, Box<CallFailure>> {
        let before = CallFailure::before;
        let _running = self.member.enter().map_err(|hit| before(hit.into()))?;
        let turn = self.answer_by();
        let using = self.group.host(turn).map_err(|error| before(CallError::from_load(error)))?;
        let call = using.worker().next_call(now_ms());
        let private = &self.group.shared.private;
        let noted = private.note(self.capability_set().audit.arguments, call, request.arguments)?;
        let failed = |error| {
            let (usage, output) = Default::default();
            Box::new(CallFailure { error, call: Some(call), usage, output })
        };
        match self.ask(using.worker(), turn, request, &noted) {
            Ok(Outcome::Ended(ended)) => private.keep(&noted, ended),
            Ok(Outcome::Rejected(error)) => {
                private.forget(&noted);
                Err(before(error))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// By when something must come of a call that begins now, or begins to wait for its turn: its deadline, and the grace.
    fn answer_by(&self) -> Instant {
        let deadline = Duration::from_millis(self.capability_set().limits.deadline_ms);
        Instant::now() + deadline + self.group.shared.settings.grace
    }

    /// Asks the host, once it has a lane to spare; `turn` is how long that may take.
    fn ask(
        &self,
        host: &HostProcess,
        turn: Instant,
        request: &Request<'_>,
        noted: &Noted,
    ) -> Result<Outcome, CallError> {
        let limits = self.capability_set().limits;
        let grace = self.group.shared.settings.grace;
        let mut lane = host.take_lane(turn)?;
        // The deadline is that of the guest, which starts now: what was waited for a lane is not its fault.
        let until = self.answer_by();
        let ask = Ask::new(self.place, request.operation, &request.caller, noted.call, noted.salt);
        let said = lane
            .send(&ask, [request.arguments.as_bytes(), &request.stdin, b""], Some(until))
            .and_then(|()| lane.receive::<Said>(said_limits(limits), Some(until)));
        match said {
            Ok((said, blobs)) => match outcome(said, blobs, noted) {
                Some(outcome) => {
                    host.give_back(lane);
                    Ok(outcome)
                }
                None => Err(host.lost("it gave an answer that is not UTF-8")),
            },
            Err(LaneError::Late) => Err(host.overran(limits.deadline_ms, millis(grace))),
            Err(error) => Err(host.lost(&error.to_string())),
        }
    }
}

/// What a host said of a call.
enum Outcome {
    Ended(Result<Answer, Box<CallFailure>>),
    Rejected(CallError),
}

fn outcome(said: Said, [output, stdout, stderr]: [Vec<u8>; 3], noted: &Noted) -> Option<Outcome> {
    let streams = tollgate_wasi_proxy::Stdout { stdout, stderr };
    Some(match said {
        Said::Answered { usage } => {
            let output = String::from_utf8(output).ok()?;
            Outcome::Ended(Ok(Answer { output, usage, streams, call: noted.call }))
        }
        Said::Failed { failure } => {
            Outcome::Ended(Err(Box::new(CallFailure { call: Some(noted.call), output: streams, ..failure })))
        }
        Said::Rejected { error } => Outcome::Rejected(error),
    })
}

/// What may come of a call: its caps bound it.
fn said_limits(limits: Limits) -> LaneLimits {
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    LaneLimits {
        header: SAID_HEADER_BYTES_MAX,
        blobs: [bytes(limits.output), bytes(limits.stdio), bytes(limits.stdio)],
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! A tool whose calls run in a worker process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::CallId;
use tollgate_capability::{CapabilitySet, Limits};
use tollgate_engine::call::turn_down;
use tollgate_engine::error::{CallError, CallFailure, LoadError};
use tollgate_engine::operations::OperationTexts;
use tollgate_engine::private::Keeping;
use tollgate_engine::request::{Answer, Request};
use tollgate_engine::tool::Operation;
use tollgate_ipc::{Connection, ConnectionError, MessageLimits};
use tollgate_worker::protocol::{Ask, Go, SAID_HEADER_BYTES_MAX, SAID_VALUES_MAX, Said};

use super::cancel::Cancel;
use super::group::{Group, Using};
use super::member::Member;
use super::worker_handle::END_WAIT;
use super::worker_process::START_WAIT;

/// A tool, ready to be called, from any thread. Its methods hold up the thread that asks: an embedder's event loop calls them
/// on a thread apart.
#[derive(Debug, Clone)]
pub struct Tool {
    group: Arc<Group>,
    // Its place in the group, and what is there.
    place: usize,
    member: Arc<Member>,
}

impl Tool {
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

    /// Starts its worker, if there is none: the tool can be called, or it is known why not. Waits at most 183 s, whichever
    /// thread's start it is; a start that takes longer goes on.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn start(&self) -> Result<(), LoadError> {
        self.group.worker(Instant::now() + START_WAIT + END_WAIT, None).map(drop)
    }

    /// What it can be called for. Starts its worker, if nothing is stored of that and no worker has loaded the tool yet.
    ///
    /// # Errors
    ///
    /// [`LoadError`].
    pub fn operations(&self) -> Result<Vec<Operation>, LoadError> {
        self.texts()?.iter().map(Operation::of).collect()
    }

    /// The same in the component's own words.
    ///
    /// # Errors
    ///
    /// No worker serves the tool, or it cannot load it.
    pub fn texts(&self) -> Result<OperationTexts, LoadError> {
        if self.member.texts().is_none() {
            self.start()?;
        }
        Ok(self.member.texts().cloned().unwrap_or_default())
    }

    /// Calls the tool, in its worker, which is started if there is none.
    ///
    /// It waits for its turn until the call's deadline and the grace have passed, then as long again for its answer: the deadline
    /// is the guest's, and begins once a thread of the worker has the call. A worker that fails the call is killed, and its end
    /// and the notary's word on the call are waited for a few seconds more.
    ///
    /// # Errors
    ///
    /// [`CallFailure`], with what the call used until then, as far as the worker could say. A result that could not be
    /// recorded is withheld.
    pub fn call(&self, request: &Request<'_>) -> Result<Answer, Box<CallFailure>> {
        self.call_with(request, &Control::default())
    }

    /// As [`Tool::call`], where another thread may withdraw the call: its guest is ended within some milliseconds. One whose host
    /// call the kernel does not come back from is killed after the grace, with its worker.
    ///
    /// # Errors
    ///
    /// As [`Tool::call`]; [`CallError::Cancelled`] where it was withdrawn.
    pub fn call_until(&self, request: &Request<'_>, cancel: &Cancel) -> Result<Answer, Box<CallFailure>> {
        self.call_with(request, &Control { cancel: Some(cancel.clone()), ..Control::default() })
    }

    /// As [`Tool::call`], under what whoever makes the call has of it meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Tool::call_until`].
    pub fn call_with(&self, request: &Request<'_>, control: &Control<'_>) -> Result<Answer, Box<CallFailure>> {
        let cancel = control.cancel.as_ref();
        let is_cancelled = || cancel.is_some_and(Cancel::is_cancelled);
        let before = |error| self.turn_down(request, if is_cancelled() { CallError::Cancelled } else { error });
        request.must_fit().map_err(|error| before(error.into()))?;
        let _running = if control.waits_its_turn {
            self.member.enter_in_turn(self.answer_by(), cancel).map_err(before)?
        } else {
            self.member.enter().map_err(|hit| before(hit.into()))?
        };
        let turn = self.answer_by();
        let using = self.group.worker(turn, cancel).map_err(|error| before(CallError::from_load(error)))?;
        let (worker, private) = (using.worker(), &self.group.shared.private);
        let call = worker.next_call(&self.group.shared.notary).map_err(before)?;
        let keeping = private.plan(self.capability_set().audit.arguments, call).map_err(before)?;
        let connection = worker.take_connection(turn, cancel).map_err(before)?;
        if is_cancelled() {
            worker.give_back(connection);
            return Err(before(CallError::Cancelled));
        }
        self.ask(&using, connection, request, (&keeping, control))
            .and_then(|ended| private.keep_result(&keeping, ended))
    }

    /// The failure of a call that no worker gets. It is on record as any other call, by the supervisor itself. Waits two seconds at
    /// most for a ledger that has no room.
    pub fn turn_down(&self, request: &Request<'_>, error: CallError) -> Box<CallFailure> {
        match self.group.shared.recorder() {
            Ok(record) => turn_down(&record, self.member.named(), request, error),
            Err(_no_descriptors) => CallFailure::before(error),
        }
    }

    /// By when something must come of a call that begins now, or begins to wait for its turn: its deadline, and the grace.
    fn answer_by(&self) -> Instant {
        let deadline = Duration::from_millis(self.capability_set().limits.deadline_ms);
        Instant::now() + deadline + self.group.shared.settings.grace
    }

    /// Has a call run. What is wanted of it is kept once the worker says that it is on record and in order.
    fn ask(
        &self,
        using: &Using,
        mut connection: Connection,
        request: &Request<'_>,
        (keeping, control): (&Keeping, &Control<'_>),
    ) -> Heard {
        let cancel = control.cancel.as_ref();
        let is_cancelled = || cancel.is_some_and(Cancel::is_cancelled);
        let worker = using.worker();
        let _runs = worker.runs(keeping.call);
        let _at = cancel.map(|cancel| cancel.at(worker.withdraws(keeping.call, &self.group.shared)));
        let limits = self.capability_set().limits;
        // The deadline is that of the guest, which starts now: what was waited for a connection is not its fault.
        let until = Some(self.answer_by());
        let ask = Ask::new(self.place, request.operation, &request.caller, keeping.call, keeping.salt);
        let ask = ask.hearing(control.hears.is_some());
        let mut said = connection
            .send(&ask, [request.arguments.as_bytes(), &request.stdin, b""], until)
            .and_then(|()| connection.receive::<Said>(said_limits(limits), until));
        let was_accepted = matches!(said, Ok((Said::Accepted, _)));
        let mut may_answer = keeping.salt.is_none();
        if !may_answer && was_accepted {
            let kept = self.group.shared.private.keep_arguments(keeping, request.arguments);
            may_answer = kept.is_ok();
            let go = kept.map_or_else(|error| Go::End { error }, |()| Go::Run);
            said = connection
                .send(&go, [b"", b"", b""], until)
                .and_then(|()| connection.receive::<Said>(said_limits(limits), until));
        }
        while let (Ok((Said::Wrote, [_, _, bytes])), Some(hears)) = (&said, control.hears) {
            hears(bytes);
            said = connection.receive::<Said>(said_limits(limits), until);
        }
        let error = match said {
            Ok((said, blobs)) => match ended(said, blobs, keeping.call, may_answer) {
                Some(_ended) if connection.is_ahead() => worker.lost("it says more than it was asked"),
                Some(ended) => {
                    worker.give_back(connection);
                    return Ok(ended);
                }
                None => worker.lost("it gave an answer that makes no sense"),
            },
            Err(ConnectionError::Late) => worker.overran(limits.deadline_ms, millis(self.group.shared.settings.grace)),
            Err(error) => worker.lost(&error.to_string()),
        };
        let error = if is_cancelled() { CallError::Cancelled } else { error };
        // The worker's word counts where the notary cannot be asked any more, as when the supervisor ends.
        let is_on_record = self.group.shared.notary.is_on_record(keeping.call).unwrap_or(was_accepted);
        let call = is_on_record.then_some(keeping.call);
        Err(Box::new(CallFailure { call, ..*CallFailure::before(error) }))
    }
}

/// Whom a tool's standard error is told to.
pub type Hears<'c> = &'c dyn Fn(&[u8]);

/// What whoever makes a call has of it while it goes on.
#[derive(Clone, Default)]
pub struct Control<'c> {
    /// Withdraws it; nothing does where there is none.
    pub cancel: Option<Cancel>,
    /// Whether a call beyond `limits.calls` waits for its turn, as long as for its worker, instead of failing at that cap.
    pub waits_its_turn: bool,
    /// Hears what the tool writes to its standard error, as it does: pieces of any length, on the thread that made the call. The
    /// answer has all of it again. Whoever is slow here holds up the tool.
    pub hears: Option<Hears<'c>>,
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// How a call ended, if its worker lives and made sense; or how the worker failed it.
type Heard = Result<Result<Answer, Box<CallFailure>>, Box<CallFailure>>;

/// How a call ended, as its worker says; none if that makes no sense. Only a call of which all that is wanted is kept has
/// an answer.
fn ended(
    said: Said,
    [output, stdout, stderr]: [Vec<u8>; 3],
    call: CallId,
    may_answer: bool,
) -> Option<Result<Answer, Box<CallFailure>>> {
    let streams = tollgate_wasi_proxy::Stdout { stdout, stderr };
    match said {
        Said::Answered { usage } if may_answer => {
            Some(Ok(Answer { output: String::from_utf8(output).ok()?, usage, streams, call }))
        }
        Said::Failed { failure } => {
            let on_record = failure.call.map(|_its_own| call);
            Some(Err(Box::new(CallFailure { call: on_record, output: streams, ..failure })))
        }
        Said::Senseless { error } => Some(Err(CallFailure::before(error))),
        Said::Accepted | Said::Wrote | Said::Answered { .. } => None,
    }
}

/// What may come of a call: its caps bound it.
fn said_limits(limits: Limits) -> MessageLimits {
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    MessageLimits {
        header: SAID_HEADER_BYTES_MAX,
        values: SAID_VALUES_MAX,
        blobs: [bytes(limits.output), bytes(limits.stdio), bytes(limits.stdio)],
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! Tools in a worker process: how a call gets there, and what comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::CallId;
use tollgate_capability::Limits;
use tollgate_engine::error::{CallError, CallFailure, LoadError};
use tollgate_engine::private::Keeping;
use tollgate_engine::request::{Answer, Request};
use tollgate_ipc::{Connection, ConnectionError, MessageLimits};
use tollgate_worker::protocol::{Ask, Go, SAID_HEADER_BYTES_MAX, SAID_VALUES_MAX, Said};

use super::{Control, Hears};
use crate::admitted::Admitted;
use crate::group::{Group, Using};
use crate::worker_handle::END_WAIT;
use crate::worker_process::START_WAIT;

/// A tool of a group, whose worker is started when it is needed.
#[derive(Debug, Clone)]
pub(super) struct InWorker {
    pub(super) group: Arc<Group>,
    /// Its place in the group.
    pub(super) place: usize,
}

impl InWorker {
    /// Starts the worker, if there is none.
    pub(super) fn start(&self) -> Result<(), LoadError> {
        self.group.worker(Instant::now() + START_WAIT + END_WAIT, None).map(drop)
    }

    /// By when something must come of a call that begins now, or begins to wait for its turn: its deadline, and the grace.
    pub(super) fn answer_by(&self, limits: Limits) -> Instant {
        Instant::now() + Duration::from_millis(limits.deadline_ms) + self.group.shared.settings.grace
    }

    /// Has the worker run a call. Whatever keeps it from its beginning goes through `before`.
    pub(super) fn call(
        &self,
        tool: &Admitted,
        request: &Request<'_>,
        control: &Control,
        before: impl Fn(CallError) -> Box<CallFailure>,
    ) -> Result<Answer, Box<CallFailure>> {
        let (cancel, set) = (control.cancel.as_ref(), &tool.load.set);
        let turn = self.answer_by(set.limits);
        let using = self.group.worker(turn, cancel).map_err(|error| before(CallError::from_load(error)))?;
        let (worker, private) = (using.worker(), &self.group.shared.private);
        let call = worker.next_call(&self.group.shared.notary).map_err(&before)?;
        let keeping = private.plan(set.audit.arguments, call).map_err(&before)?;
        let connection = worker.take_connection(turn, cancel).map_err(&before)?;
        if control.is_cancelled() {
            worker.give_back(connection);
            return Err(before(CallError::Cancelled));
        }
        self.ask(&using, connection, request, (&keeping, control, set.limits))
            .and_then(|ended| private.keep_result(&keeping, ended))
    }

    /// Has the worker run a call. Once the worker says that the call is on record and accepted, what the policy wants of it is kept.
    fn ask(
        &self,
        using: &Using,
        mut connection: Connection,
        request: &Request<'_>,
        (keeping, control, limits): (&Keeping, &Control, Limits),
    ) -> Heard {
        let cancel = control.cancel.as_ref();
        let worker = using.worker();
        let _runs = worker.runs(keeping.call);
        let _at = cancel.map(|cancel| cancel.at(worker.withdraws(keeping.call, &self.group.shared)));
        // The deadline is the guest's, which starts now: the wait for a connection does not count.
        let answer_by = self.answer_by(limits);
        let until = Some(answer_by);
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
        let mut hearing = Hearing { hears: control.hears.as_ref(), until: answer_by, heard_for: Duration::ZERO };
        while let (Ok((Said::Wrote, [_, _, bytes])), true) = (&said, control.hears.is_some()) {
            hearing.hear(bytes);
            said = connection.receive::<Said>(said_limits(limits), until.map(|until| until + hearing.heard_for));
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
        let error = if control.is_cancelled() { CallError::Cancelled } else { error };
        // Where the notary cannot be asked any more, as when the supervisor ends, the worker's word counts.
        let is_on_record = self.group.shared.notary.is_on_record(keeping.call).unwrap_or(was_accepted);
        let call = is_on_record.then_some(keeping.call);
        Err(Box::new(CallFailure { call, ..*CallFailure::before(error) }))
    }
}

/// Who hears what a tool writes, and for how long the call was held up by that. A worker is late by its own time alone: what a slow
/// listener takes must not end it, and the calls of others in it.
struct Hearing<'h> {
    hears: Option<&'h Hears>,
    until: Instant,
    heard_for: Duration,
}

impl Hearing<'_> {
    fn hear(&mut self, bytes: &[u8]) {
        let Some(hears) = self.hears else { return };
        let before = Instant::now();
        if !hears(bytes, self.until) {
            self.hears = None;
        }
        self.heard_for += before.elapsed();
    }
}

/// How a call ended, if its worker lives and made sense; else how the worker failed the call.
type Heard = Result<Result<Answer, Box<CallFailure>>, Box<CallFailure>>;

/// How a call ended, as its worker says; `None` if that makes no sense. A call has an answer only if what the policy wants of it is
/// kept.
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

/// The limits of a worker's answer, by the caps of the call.
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

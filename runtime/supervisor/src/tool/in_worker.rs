//! Tools in a worker process: how a call gets there, and what comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate_audit::CallId;
use tollgate_capability::Limits;
use tollgate_engine::error::{CallError, CallFailure, LoadError, with_causes};
use tollgate_engine::private::Keeping;
use tollgate_engine::request::{Answer, Request};
use tollgate_ipc::{Connection, ConnectionError, MessageLimits};
use tollgate_worker::protocol::{Ask, Go, SAID_HEADER_BYTES_MAX, SAID_VALUES_MAX, Said};

use super::Control;
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

    /// Has the worker run a call, and keeps what the policy wants of it once it is accepted: at the end, or earlier if the worker asks
    /// for it.
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
        let until = Some(self.answer_by(limits));
        let ask = Ask::new(self.place, request.operation, &request.caller, keeping.call, keeping.salt);
        let ask = ask.hearing(control.hears.is_some());
        let keep = || self.group.shared.private.keep_arguments(keeping, request.arguments);
        let mut kept = keeping.salt.is_none().then_some(Ok(()));
        let mut said = connection
            .send(&ask, [request.arguments.as_bytes(), &request.stdin, b""], until)
            .and_then(|()| connection.receive::<Said>(said_limits(limits), until));
        if kept.is_none() && matches!(said, Ok((Said::Accepted, _))) {
            let go = kept.insert(keep()).as_ref().map_or_else(|error| Go::End { why: why(error) }, |()| Go::Run);
            said = connection
                .send(&go, [b"", b"", b""], until)
                .and_then(|()| connection.receive::<Said>(said_limits(limits), until));
        }
        while let (Ok((Said::Wrote, [_, _, bytes])), Some(hears)) = (&said, &control.hears) {
            hears(bytes);
            said = connection.receive::<Said>(said_limits(limits), until);
        }
        let was_accepted = kept.is_some() && keeping.salt.is_some();
        let error = match said {
            Ok((said, blobs)) => match ended(said, blobs, keeping.call, kept.as_ref()) {
                Some(_ended) if connection.is_ahead() => worker.lost("it says more than it was asked"),
                Some(Ended { result, is_accepted }) => {
                    worker.give_back(connection);
                    let kept = if is_accepted && kept.is_none() { keep() } else { Ok(()) };
                    return Ok(match kept {
                        Ok(()) => result,
                        Err(error) => Err(withheld(error, result)),
                    });
                }
                None => worker.lost("it gave an answer that makes no sense"),
            },
            Err(ConnectionError::Late) => worker.overran(limits.deadline_ms, millis(self.group.shared.settings.grace)),
            Err(error) => worker.lost(&error.to_string()),
        };
        let error = if control.is_cancelled() { CallError::Cancelled } else { error };
        // Where the notary cannot be asked any more, as when the supervisor ends, the worker's word counts.
        let is_on_record = self.group.shared.notary.is_on_record(keeping.call).unwrap_or(was_accepted);
        if is_on_record && kept.is_none() {
            // What broke a worker is what people will look for. The call has failed either way.
            keep().ok();
        }
        let call = is_on_record.then_some(keeping.call);
        Err(Box::new(CallFailure { call, ..*CallFailure::before(error) }))
    }
}

/// How a call ended, if its worker lives and made sense; else how the worker failed the call.
type Heard = Result<Result<Answer, Box<CallFailure>>, Box<CallFailure>>;

/// How a call ended, as its worker says.
struct Ended {
    result: Result<Answer, Box<CallFailure>>,
    is_accepted: bool,
}

/// How a call ended, as its worker says; `None` if that makes no sense. A guest that the supervisor has ended has no answer.
fn ended(
    said: Said,
    [output, stdout, stderr]: [Vec<u8>; 3],
    call: CallId,
    kept: Option<&Result<(), CallError>>,
) -> Option<Ended> {
    let streams = tollgate_wasi_proxy::Stdout { stdout, stderr };
    match said {
        Said::Answered { usage } if !matches!(kept, Some(Err(_))) => {
            let answer = Answer { output: String::from_utf8(output).ok()?, usage, streams, call };
            Some(Ended { result: Ok(answer), is_accepted: true })
        }
        Said::Failed { failure, is_accepted } => {
            let on_record = failure.call.map(|_its_own| call);
            let failure = CallFailure { call: on_record, output: streams, ..failure };
            Some(Ended { result: Err(Box::new(failure)), is_accepted })
        }
        Said::Senseless { error } => Some(Ended { result: Err(CallFailure::before(error)), is_accepted: false }),
        Said::Accepted | Said::Wrote | Said::Answered { .. } => None,
    }
}

/// Why something is not kept, as the call's error will say it again.
fn why(error: &CallError) -> String {
    if let CallError::Unrecorded(why) = error { why.clone() } else { with_causes(error) }
}

/// A call of which not all is kept that the policy wants: it has no answer.
fn withheld(error: CallError, result: Result<Answer, Box<CallFailure>>) -> Box<CallFailure> {
    match result {
        Ok(Answer { usage, streams: output, call, .. }) => {
            Box::new(CallFailure { error, call: Some(call), usage, output, help: Vec::new() })
        }
        // It has failed either way.
        Err(failure) => failure,
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

//! Calls with the types of a daemon's client, so that a program can choose in one place whether its tools run in workers of its
//! own or at a daemon.

use tollgate_client::{Call, Failure, Kind, Reply};
use tollgate_engine::request::{Answer, Caller, Claims};
use tollgate_supervisor::Control;

use crate::service::{self, Tollgate, Unanswered};
use crate::told;

impl Tollgate {
    /// Calls a tool, as [`Client::invoke`](tollgate_client::Client::invoke) has a daemon do. The call is this program's own, so
    /// nobody is proven to ask; what it says of itself is on record as claims.
    ///
    /// Blocks the calling thread as [`Tollgate::call`] does.
    ///
    /// # Errors
    ///
    /// [`Failure`], of the kinds that a daemon tells, and in its words.
    pub fn invoke(&self, call: &Call) -> Result<Reply, Failure> {
        self.invoke_with(call, &Control::default())
    }

    /// As [`Tollgate::invoke`], with a [`Control`].
    ///
    /// # Errors
    ///
    /// As [`Tollgate::invoke`].
    pub fn invoke_with(&self, call: &Call, control: &Control) -> Result<Reply, Failure> {
        let tollgate_client::Claims { agent, session, decision, reason, trace } = call.claims.clone();
        let asked = service::Call {
            tool: &call.tool,
            operation: call.operation.as_deref(),
            arguments: &call.arguments,
            stdin: call.stdin.clone().unwrap_or_default().into(),
            caller: Caller { proven: None, claims: Claims { agent, session, decision, reason, trace } },
        };
        self.call(&asked, control).map(reply).map_err(|unanswered| failure(&unanswered))
    }
}

fn reply(answer: Answer) -> Reply {
    let Answer { output, usage, streams, call } = answer;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&streams.stdout), text(&streams.stderr));
    Reply { call: call.to_string(), output, usage: told::used(&usage), stdout, stderr }
}

fn failure(unanswered: &Unanswered) -> Failure {
    let told::Error { kind, message, details } = told::unanswered(unanswered);
    let mut failure = Failure::new(Kind::of_word(&kind), message);
    failure.remains.details = details;
    if let Unanswered::Call(failed) = unanswered {
        failure.call = failed.call.map(|call| call.to_string());
        failure.remains.usage = Some(told::used(&failed.usage));
        failure.remains.stdout = String::from_utf8_lossy(&failed.output.stdout).into_owned();
        failure.remains.stderr = String::from_utf8_lossy(&failed.output.stderr).into_owned();
    }
    failure
}

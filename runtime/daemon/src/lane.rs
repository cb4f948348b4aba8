//! One lane: what the gateway asks on it, one question after the other, is answered by the thread that has it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate::error::{CallFailure, with_causes};
use tollgate::operations::OperationText;
use tollgate::request::{Answer, Caller, Claims, Proven};
use tollgate::service::{Call, Ready, Unanswered};
use tollgate::supervisor::{Control, Hears};
use tollgate::told;
use tollgate_config::{Agent, ToolName};
use tollgate_gateway::protocol::{self, Asked, Failure, GatewayLimits, Told, asked_limits};
use tollgate_ipc::Connection;

use crate::gateway::Gateway;
use crate::serving::Serving;
use tollgate_system::lock;

/// Whose gateway it is.
pub(crate) trait Names: Send + Sync {
    /// The agent.
    fn agent(&self) -> &str;

    /// Whether a token is the agent's.
    fn has_token(&self, token: &[u8]) -> bool;

    /// The names of the tools that the agent may call.
    fn tools(&self) -> Vec<String>;
}

/// One lane of a gateway.
pub(crate) struct Lane {
    pub(crate) serving: Arc<Serving>,
    pub(crate) names: Arc<dyn Names>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) connection: Arc<Mutex<Connection>>,
    pub(crate) limits: GatewayLimits,
}

/// What is told, with its blobs.
type Saying = (Told, [Vec<u8>; 3]);

impl Lane {
    /// Answers until the gateway is gone, or says what it may not.
    pub(crate) fn serve(self) {
        let limits = asked_limits(&self.limits);
        loop {
            let asked = lock(&self.connection).receive::<Asked>(limits, None);
            let Ok((asked, [first, second, _none])) = asked else { return };
            let (told, [one, two, three]) = self.answer(asked, first, second);
            // A gateway that does not read its answers must not keep this thread for ever.
            let until = Some(Instant::now() + SEND_WAIT);
            if lock(&self.connection).send(&told, [&one, &two, &three], until).is_err() {
                return;
            }
        }
    }

    fn answer(&self, asked: Asked, first: Vec<u8>, second: Vec<u8>) -> Saying {
        match asked {
            Asked::Token { client } => self.token(client, &first),
            Asked::Ready => {
                let why = self.serving.not_ready();
                (Told::Ready { ready: why.is_empty(), why }, Default::default())
            }
            Asked::Tools { client } => match self.gateway.session_of(client) {
                Some(_authentic) => (Told::Tools, [self.tools().into_bytes(), Vec::new(), Vec::new()]),
                None => failed(Failure::new("unauthenticated", NOBODY)),
            },
            Asked::Call { client, request, tool, operation, claims, logs } => {
                let Some(session) = self.gateway.session_of(client) else {
                    return failed(Failure::new("unauthenticated", NOBODY));
                };
                let Some(cancel) = self.gateway.begin(request) else {
                    return failed(Failure::new("internal", "the gateway uses a number twice"));
                };
                let Ok(arguments) = String::from_utf8(first) else {
                    self.gateway.is_done(request);
                    return failed(Failure::new("rejected", "the arguments are not UTF-8 text"));
                };
                let proven = Some(Proven { agent: self.names.agent().to_owned(), session });
                let call = Call {
                    tool: &tool,
                    operation: operation.as_deref(),
                    arguments: &arguments,
                    stdin: second.into(),
                    caller: Caller { proven, claims: claims_of(claims) },
                };
                let connection = Arc::clone(&self.connection);
                let hears = move |bytes: &[u8]| {
                    let until = Some(Instant::now() + SEND_WAIT);
                    // A gateway that is gone withdraws its calls.
                    lock(&connection).send(&Told::Log, [bytes, b"", b""], until).unwrap_or_default();
                };
                let hears = logs.then(|| Arc::new(hears) as Hears);
                let control = Control { cancel: Some(cancel), hears, ..Control::default() };
                let answered = self.serving.tollgate.call(&call, &control);
                self.gateway.is_done(request);
                match answered {
                    Ok(answer) => answered_with(answer),
                    Err(unanswered) => failed_with(unanswered),
                }
            }
        }
    }

    fn token(&self, client: u64, token: &[u8]) -> Saying {
        let is_right = self.names.has_token(token);
        if is_right {
            self.gateway.is_authentic(client);
        }
        (Told::Token { is_right }, Default::default())
    }

    /// The tools of this agent that can be called, and why others of its tools cannot.
    fn tools(&self) -> String {
        let (mut tools, mut unavailable) = (Vec::new(), Vec::new());
        let (names, agent) = (self.names.tools(), self.serving.agent(self.names.agent()));
        for name in names {
            match self.serving.tollgate.tool(&name) {
                Ok(ready) => tools.push(tool(&name, &ready, agent.as_ref())),
                Err(error) => unavailable.push(json!({ "tool": name, "why": with_causes(&*error) })),
            }
        }
        json!({ "tools": tools, "unavailable": unavailable }).to_string()
    }
}

/// What is told of a tool: the operations that the agent may call, all where the policy names no agents.
fn tool(name: &str, ready: &Ready, agent: Option<&Agent>) -> Value {
    let named: Option<ToolName> = name.parse().ok();
    let has = |operation: &&OperationText| match (agent, &named) {
        (Some(agent), Some(named)) => agent.may(named, &operation.name),
        (Some(_), None) => false,
        (None, _) => true,
    };
    let operations: Vec<Value> = ready.operations.iter().filter(has).map(operation).collect();
    json!({ "tool": name, "version": ready.version, "description": ready.description, "operations": operations })
}

fn operation(text: &OperationText) -> Value {
    let schema = |schema: &str| serde_json::from_str::<Value>(schema).unwrap_or(Value::Null);
    json!({
        "name": text.name,
        "description": text.description,
        "input_schema": schema(&text.input_schema),
        "output_schema": schema(&text.output_schema),
    })
}

fn claims_of(claims: protocol::Claims) -> Claims {
    let protocol::Claims { agent, session, decision, reason, trace } = claims;
    Claims { agent, session, decision, reason, trace }
}

fn answered_with(answer: Answer) -> Saying {
    let usage = told::usage(&told::used(&answer.usage));
    let Answer { output, streams, call, .. } = answer;
    (Told::Answered { call: call.to_string(), usage }, [output.into_bytes(), streams.stdout, streams.stderr])
}

fn failed_with(unanswered: Unanswered) -> Saying {
    let told::Error { kind, message, details } = told::unanswered(&unanswered);
    let error = Failure { kind, message, details: details.into() };
    match unanswered {
        Unanswered::Call(failure) => {
            let CallFailure { call, usage, output, .. } = *failure;
            let (call, usage) = (call.map(|call| call.to_string()), Some(told::usage(&told::used(&usage))));
            (Told::Failed { call, usage, error }, [Vec::new(), output.stdout, output.stderr])
        }
        Unanswered::Tool(_) => failed(error),
    }
}

fn failed(error: Failure) -> Saying {
    (Told::Failed { call: None, usage: None, error }, Default::default())
}

/// What is told of a client that this daemon does not know as one that may ask.
const NOBODY: &str = "no token was given that is this agent's";

/// How long a gateway may take to read an answer.
const SEND_WAIT: Duration = Duration::from_secs(30);

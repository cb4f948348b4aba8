//! One lane: what the gateway asks on it, one question after the other, is answered by the thread that has it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate::CallId;
use tollgate::error::{CallFailure, with_causes};
use tollgate::offers::{self, LIST_BYTES_MAX, List, OfTool, Operation, Provider, Through, Unavailable};
use tollgate::operations::OperationText;
use tollgate::receipts::NoReceipt;
use tollgate::request::{Answer, Caller, Claims, Proven};
use tollgate::service::{Call, ToolError, Unanswered};
use tollgate::supervisor::{Cancel, Control, Hears};
use tollgate::told;
use tollgate_config::{Agent, ToolList, ToolName};
use tollgate_gateway::protocol::{self, Asked, Failure, Format, GatewayLimits, Named, Told, asked_limits};
use tollgate_ipc::Connection;
use tollgate_system::lock;

use crate::gateway::Gateway;
use crate::serving::{LOCAL, Serving};

/// Whose gateway it is.
pub(crate) trait Names: Send + Sync {
    /// The agent.
    fn agent(&self) -> &str;

    /// The SHA-256 of a token, if it is the agent's.
    fn token(&self, token: &[u8]) -> Option<String>;

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
            self.serving.asked.fetch_add(1, Ordering::Relaxed);
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
            Asked::Tools { client, format } => match self.gateway.session_of(client) {
                Some(_authentic) => (Told::Tools, [self.tools(format).into_bytes(), Vec::new(), Vec::new()]),
                None => failed(Failure::new("unauthenticated", NOBODY)),
            },
            Asked::Receipt { client, call } => match self.gateway.session_of(client) {
                Some(_authentic) => self.receipt(&call),
                None => failed(Failure::new("unauthenticated", NOBODY)),
            },
            Asked::Call { client, request, named, claims, logs } => {
                self.call((client, request), named, claims, logs, [first, second])
            }
        }
    }

    fn call(
        &self,
        (client, request): (u64, u64),
        named: Named,
        claims: protocol::Claims,
        logs: bool,
        [arguments, stdin]: [Vec<u8>; 2],
    ) -> Saying {
        // Before anything is looked for, which may take as long as a worker's start: it can be withdrawn from here on, also by the
        // removal of the client's token.
        let Some(cancel) = self.gateway.begin(client, request) else {
            return failed(Failure::new("internal", "the gateway uses a number twice"));
        };
        let saying = self.begun(client, cancel, named, claims, logs, [arguments, stdin]);
        self.gateway.is_done(request);
        saying
    }

    fn begun(
        &self,
        client: u64,
        cancel: Cancel,
        named: Named,
        claims: protocol::Claims,
        logs: bool,
        [arguments, stdin]: [Vec<u8>; 2],
    ) -> Saying {
        let Some(session) = self.gateway.session_of(client) else {
            return failed(Failure::new("unauthenticated", NOBODY));
        };
        let Ok(arguments) = String::from_utf8(arguments) else {
            return failed(Failure::new("rejected", "the arguments are not UTF-8 text"));
        };
        let (chosen, arguments) = match self.chosen(named, &arguments) {
            Ok(Choice::Call(chosen, arguments)) => (chosen, arguments),
            Ok(Choice::Answered(own)) => {
                return (Told::Own, [own.to_string().into_bytes(), Vec::new(), Vec::new()]);
            }
            Err(unknown) => return failed(unknown),
        };
        let proven = Some(Proven { agent: self.names.agent().to_owned(), session });
        let call = Call {
            tool: &chosen.tool,
            operation: chosen.operation.as_deref(),
            arguments,
            stdin: stdin.into(),
            caller: Caller { proven, claims: claims_of(claims) },
        };
        let connection = Arc::clone(&self.connection);
        let hears = move |bytes: &[u8], until: Instant| {
            let until = until.min(Instant::now() + SEND_WAIT);
            // A gateway that is gone withdraws its calls; of one that is slow the client misses the rest of the log.
            lock(&connection).send(&Told::Log, [bytes, b"", b""], Some(until)).is_ok()
        };
        let hears = logs.then(|| Arc::new(hears) as Hears);
        let control = Control { cancel: Some(cancel), hears, ..Control::default() };
        let tollgate = &self.serving.tollgate;
        let answered =
            if chosen.is_offered { tollgate.call_offered(&call, &control) } else { tollgate.call(&call, &control) };
        answered.map_or_else(|unanswered| self.failed_with(unanswered), answered_with)
    }

    /// What the agent is told of a failed call; of what is kept from it, the operator.
    fn failed_with(&self, unanswered: Unanswered) -> Saying {
        let told = if self.is_operator() {
            told::unanswered(&unanswered)
        } else {
            let (told, kept) = told::unanswered_for_agent(&unanswered);
            if let Some(kept) = kept {
                self.serving.tell_once(format!("a call of the agent `{}`: {kept}", self.names.agent()));
            }
            told
        };
        failed_with(told, unanswered)
    }

    fn is_operator(&self) -> bool {
        self.names.agent() == LOCAL
    }

    /// What is called, and with which arguments. Where the policy has a list of two tools, those are this daemon's own.
    fn chosen<'a>(&self, named: Named, arguments: &'a str) -> Result<Choice<'a>, Failure> {
        let name = match named {
            Named::Tool { tool, operation } => {
                return Ok(Choice::Call(Chosen { tool, operation, is_offered: false }, arguments));
            }
            Named::Offered { name } => name,
        };
        let through = match self.serving.serve().list {
            ToolList::Search => offers::through(&name, arguments),
            ToolList::All => None,
        };
        match through.transpose().map_err(|wrong| Failure::new("rejected", wrong))? {
            None => Ok(Choice::Call(self.offered(&name)?, arguments)),
            Some(Through::Find { query, limit }) => {
                let _one_at_a_time = lock(&self.gateway.listing);
                let (names, agent) = self.of_agent();
                let offered = self.offers(&names, agent.as_ref()).filter_map(Result::ok);
                let all = offered.flat_map(|tool| tool.offers().collect::<Vec<_>>());
                Ok(Choice::Answered(offers::find(all, &query, limit)))
            }
            Some(Through::Call { name, arguments }) => {
                // The name is an argument here: the model is to see what is wrong with it.
                let chosen = self.offered(&name).map_err(|unknown| {
                    Failure::new("rejected", format!("{}: `find-tool` finds names", unknown.message))
                })?;
                Ok(Choice::Call(chosen, arguments))
            }
        }
    }

    /// An offered name is that of an operation that the agent may call, or of none.
    fn offered(&self, name: &str) -> Result<Chosen, Failure> {
        let agent = self.serving.agent(self.names.agent());
        // An agent that is gone from the policy has none.
        let has_any = agent.is_some() || self.is_operator();
        let may = |of: &Operation| has_any && may(agent.as_ref(), of);
        let Some((Operation { tool, operation }, _ready)) = self.serving.tollgate.offered_by(name, may) else {
            let shown: String = name.chars().take(NAME_CHARS_MAX).flat_map(char::escape_debug).collect();
            return Err(Failure::new("unknown-tool", format!("no tool is offered as `{shown}`")));
        };
        Ok(Chosen { tool, operation: Some(operation), is_offered: true })
    }

    /// The receipt of a call of this agent; of any, where the agent is the operator.
    fn receipt(&self, given: &str) -> Saying {
        let agent = self.names.agent();
        let receipt = given.parse().map_err(|_none| None).and_then(|call: CallId| {
            let of = &self.serving.tollgate;
            let receipt = if self.is_operator() { of.receipt(call) } else { of.receipt_for(call, agent) };
            receipt.map_err(Some)
        });
        match receipt {
            Ok(receipt) => (Told::Receipt, [receipt.to_string().into_bytes(), Vec::new(), Vec::new()]),
            Err(None) => failed(Failure::new("unknown-call", "this is no name of a call")),
            Err(Some(error)) => {
                let kind = match &error {
                    NoReceipt::NoCall { .. } | NoReceipt::FarEnd { .. } => "unknown-call",
                    NoReceipt::NotYet { .. } => "busy",
                    NoReceipt::Ledger(_) => "internal",
                };
                // Why the ledger cannot be read, the operator alone is told.
                if let NoReceipt::Ledger(_) = &error {
                    self.serving.tell_once(format!("no receipt: {}", with_causes(&error)));
                }
                failed(Failure::new(kind, error.to_string()))
            }
        }
    }

    fn token(&self, client: u64, token: &[u8]) -> Saying {
        let mut is_right = false;
        if let Some(hash) = self.names.token(token) {
            self.gateway.is_authentic(client, hash);
            // A removal that has gone by meanwhile has not seen this client.
            is_right = self.names.token(token).is_some();
            if !is_right {
                self.gateway.is_nobodys(client);
            }
        }
        (Told::Token { is_right }, Default::default())
    }

    /// The names of this agent's tools, and what the policy says of it.
    fn of_agent(&self) -> (Vec<String>, Option<Agent>) {
        (self.names.tools(), self.serving.agent(self.names.agent()))
    }

    /// What this agent is offered, tool by tool. The operator is told once of what models cannot be offered.
    fn offers<'l>(
        &'l self,
        names: &'l [String],
        agent: Option<&'l Agent>,
    ) -> impl Iterator<Item = Result<OfTool, Unavailable>> + 'l {
        let offered = self.serving.tollgate.offers(names, move |of| may(agent, of));
        offered.inspect(|found| match found {
            Ok(tool) => self.serving.tell_not_offered(tool.not_offered()),
            Err(Unavailable { tool, error }) if error.is_damage() => {
                self.serving.tell_once(format!("the tool `{tool}` is in no list: {}", with_causes(&**error)));
            }
            Err(_by_the_policy) => {}
        })
    }

    /// The tools of this agent that can be called, and why others of its tools cannot.
    fn tools(&self, format: Format) -> String {
        let _one_at_a_time = lock(&self.gateway.listing);
        let (names, agent) = self.of_agent();
        let offered = self.offers(&names, agent.as_ref());
        let provider = match format {
            Format::Tollgate => return self.all_of(offered, names.len()),
            Format::McpByPolicy if self.serving.serve().list == ToolList::Search => {
                let offered =
                    offered.filter_map(Result::ok).filter(|tool| tool.operations().any(|(_, name)| name.is_some()));
                return json!({ "tools": offers::list_of_two(offered.map(|tool| tool.hints())) }).to_string();
            }
            Format::Mcp | Format::McpByPolicy => Provider::Mcp,
            Format::Openai => Provider::Openai,
            Format::Anthropic => Provider::Anthropic,
            Format::Gemini => Provider::Gemini,
        };
        let mut list = List::new(provider);
        for tool in offered.filter_map(Result::ok) {
            if !tool.offers().all(|offer| list.push(&offer)) {
                break;
            }
        }
        let (tools, left_out) = list.finish();
        self.serving.tell_not_offered(&left_out);
        format!("{{\"tools\":{tools}}}")
    }

    /// All that there is to know of the tools, for programs: of as many as there is room for, and of how many there is none.
    fn all_of(&self, offered: impl Iterator<Item = Result<OfTool, Unavailable>>, count: usize) -> String {
        let mut entries = [String::new(), String::new()];
        let (mut left, mut told) = (LIST_BYTES_MAX, 0);
        for found in offered {
            let (place, entry) = match found {
                Ok(of) => (0, tool(&of).to_string()),
                Err(Unavailable { tool, error }) => {
                    (1, json!({ "tool": tool, "why": self.why(&tool, &error) }).to_string())
                }
            };
            let Some(rest) = left.checked_sub(entry.len() + 1) else { break };
            (left, told) = (rest, told + 1);
            if let Some(entries) = entries.get_mut(place) {
                if !entries.is_empty() {
                    entries.push(',');
                }
                entries.push_str(&entry);
            }
        }
        let ([tools, unavailable], left_out) = (entries, count - told);
        format!("{{\"tools\":[{tools}],\"unavailable\":[{unavailable}],\"left_out\":{left_out}}}")
    }

    fn why(&self, tool: &str, error: &ToolError) -> String {
        let whole = with_causes(error);
        match error.for_agents().filter(|_| !self.is_operator()) {
            Some(short) => {
                // Of damage it was told already.
                if !error.is_damage() {
                    self.serving.tell_once(format!("a tool of the agent `{}`, `{tool}`: {whole}", self.names.agent()));
                }
                short.to_owned()
            }
            None => whole,
        }
    }
}

/// What comes of a call's name.
enum Choice<'a> {
    /// A call of a tool, with these arguments.
    Call(Chosen, &'a str),
    /// What a tool of this daemon's own answers.
    Answered(Value),
}

/// What is called.
struct Chosen {
    tool: String,
    operation: Option<String>,
    /// By the name that models have of it.
    is_offered: bool,
}

/// Whether the agent may call an operation; any, where the policy names no agents.
fn may(agent: Option<&Agent>, Operation { tool, operation }: &Operation) -> bool {
    let Some(agent) = agent else { return true };
    tool.parse().is_ok_and(|tool: ToolName| agent.may(&tool, operation))
}

/// What is told of a tool: the operations that the agent may call, all where the policy names no agents.
fn tool(of: &OfTool) -> Value {
    let OfTool { tool, described, .. } = of;
    let hints = hints(of.hints());
    let told = |(text, offered): (&OperationText, Option<&str>)| operation(text, offered.map(|name| (name, &hints)));
    let operations: Vec<Value> = of.operations().map(told).collect();
    json!({
        "tool": tool, "version": described.version, "description": described.description, "operations": operations,
    })
}

fn hints(hints: offers::Hints) -> Value {
    let offers::Hints { read_only, destructive, idempotent, open_world } = hints;
    json!({ "read_only": read_only, "destructive": destructive, "idempotent": idempotent, "open_world": open_world })
}

fn operation(text: &OperationText, offer: Option<(&str, &Value)>) -> Value {
    let schema = |schema: &str| serde_json::from_str::<Value>(schema).unwrap_or(Value::Null);
    let (offered, hints) = offer.unzip();
    json!({
        "name": text.name,
        "offered": offered,
        "hints": hints,
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

fn failed_with(told: told::Error, unanswered: Unanswered) -> Saying {
    let told::Error { kind, message, details } = told;
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

/// Characters of a name that are told back.
const NAME_CHARS_MAX: usize = 64;

/// How long a gateway may take to read an answer.
const SEND_WAIT: Duration = Duration::from_secs(30);

//! Calls as JSON for programs: the command line and the daemon print the same.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use tollgate_client::Usage;
use tollgate_engine::error::{CallError, CallFailure, CapHit, RejectError, with_causes};

use crate::service::{ToolError, Unanswered};

/// What a call used, in the client's types.
#[must_use]
pub fn used(recorded: &tollgate_audit::Usage) -> Usage {
    let tollgate_audit::Usage {
        fuel_used,
        fuel_cap,
        memory_peak_bytes,
        memory_cap_bytes,
        wall_us,
        deadline_us,
        output_bytes,
        stdio_bytes,
    } = *recorded;
    Usage { fuel_used, fuel_cap, memory_peak_bytes, memory_cap_bytes, wall_us, deadline_us, output_bytes, stdio_bytes }
}

/// What a call used, with each share of its cap in percent: JSON text, since every call has one.
#[must_use]
pub fn usage(usage: &Usage) -> Box<RawValue> {
    let Usage { fuel_used, fuel_cap, memory_peak_bytes, memory_cap_bytes, wall_us, deadline_us, .. } = *usage;
    let shares = Shares {
        fuel: Fuel { used: fuel_used, cap: fuel_cap, percent: percent(fuel_used, fuel_cap) },
        memory: Memory {
            peak_bytes: memory_peak_bytes,
            cap_bytes: memory_cap_bytes,
            percent: percent(memory_peak_bytes, memory_cap_bytes),
        },
        time: Time { wall_us, deadline_us, percent: percent(wall_us, deadline_us) },
        output_bytes: usage.output_bytes,
        stdio_bytes: usage.stdio_bytes,
    };
    // Numbers under fixed names have JSON.
    to_raw_value(&shares).unwrap_or_else(|_none| RawValue::NULL.to_owned())
}

#[derive(Serialize)]
struct Shares {
    fuel: Fuel,
    memory: Memory,
    time: Time,
    output_bytes: u64,
    stdio_bytes: u64,
}

#[derive(Serialize)]
struct Fuel {
    used: u64,
    cap: u64,
    percent: f64,
}

#[derive(Serialize)]
struct Memory {
    peak_bytes: u64,
    cap_bytes: u64,
    percent: f64,
}

#[derive(Serialize)]
struct Time {
    wall_us: u64,
    deadline_us: u64,
    percent: f64,
}

/// The share of the cap in percent, rounded down to tenths.
#[must_use]
pub fn percent(used: u64, cap: u64) -> f64 {
    let permille = u128::from(used) * 1000 / u128::from(cap.max(1));
    f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 10.0
}

/// An error of a call: its class under `kind`, its text under `message`, and its details.
#[must_use]
pub fn error(error: &CallError) -> Value {
    let message = error.to_string();
    match error {
        CallError::Violation(violation) => json!({
            "kind": "violation",
            "message": message,
            "function": violation.function,
            "subject": violation.subject,
            "rule": violation.rule,
            "reason": violation.reason.to_string(),
            "advice": ADVICE,
        }),
        CallError::Cap(CapHit { cap, asked, limit }) => {
            json!({ "kind": "cap", "message": message, "cap": cap.as_str(), "asked": asked, "limit": limit })
        }
        CallError::Tool { code, message } => json!({ "kind": "tool", "code": code, "message": message }),
        CallError::Rejected(RejectError::Schema { problems, .. }) => {
            json!({ "kind": "rejected", "message": message, "problems": problems })
        }
        CallError::Blocked { call } => {
            json!({ "kind": "violation", "layer": "kernel", "message": message, "blocked": call, "advice": BROKEN })
        }
        CallError::Overran { deadline_ms, grace_ms } => {
            json!({ "kind": "cap", "message": message, "cap": "deadline", "asked": null, "limit": deadline_ms, "grace": grace_ms })
        }
        CallError::Rejected(_)
        | CallError::Cancelled
        | CallError::Busy { .. }
        | CallError::Trap { .. }
        | CallError::Exit { .. }
        | CallError::OutputNotJson { .. }
        | CallError::WorkerEnded { .. }
        | CallError::NoWorker(_)
        | CallError::Unrecorded(_)
        | CallError::Internal(_) => json!({ "kind": error.kind(), "message": message }),
    }
}

/// The error of a failed call, with what would let it through under `help`: a line, with all steps of it.
#[must_use]
pub fn failure(failure: &CallFailure) -> Value {
    let mut told = error(&failure.error);
    if let Some(object) = told.as_object_mut().filter(|_| !failure.help.is_empty()) {
        object.insert("help".to_owned(), Value::from(failure.help.join(STEPS)));
    }
    told
}

/// What stands between the steps of a help.
pub const STEPS: &str = "; and ";

/// Explains that a worker made a system call which no tool can cause.
pub const BROKEN: &str = "No tool can do this through WASI: its worker is broken, or was broken into. The worker was stopped, and \
                          the system call is in the ledger: `tollgate audit show --kind blocked-call`.";

/// Advice on a violation. Agents get it too, so that they do not look for a way round.
pub const ADVICE: &str = "This is the operator's policy, not a fault: trying the same thing another way is denied too.";

/// Why a call has no answer, for a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// Its class: a kind of docs/errors.md, or `unknown-tool`.
    pub kind: String,
    /// For people.
    pub message: String,
    /// Its details.
    pub details: Map<String, Value>,
}

/// As [`unanswered`], for an agent that is not the operator: it learns nothing of this machine's folders. What is kept from it comes
/// beside, for the operator.
#[must_use]
pub fn unanswered_for_agent(unanswered: &Unanswered) -> (Error, Option<String>) {
    let mut told = self::unanswered(unanswered);
    let short = match unanswered {
        Unanswered::Tool(error) => error.for_agents(),
        Unanswered::Call(failure) => match &failure.error {
            CallError::Unrecorded(_) => Some("the ledger did not take a record, so the call was ended"),
            CallError::NoWorker(_) => Some("there is no worker for the tool, and the operator was told why"),
            CallError::Internal(_) => Some("tollgate failed, and the operator was told how"),
            CallError::Rejected(_)
            | CallError::Tool { .. }
            | CallError::Violation(_)
            | CallError::Cap(_)
            | CallError::Trap { .. }
            | CallError::Exit { .. }
            | CallError::OutputNotJson { .. }
            | CallError::Blocked { .. }
            | CallError::Overran { .. }
            | CallError::WorkerEnded { .. }
            | CallError::Cancelled
            | CallError::Busy { .. } => None,
        },
    };
    let kept = short.map(|short| std::mem::replace(&mut told.message, short.to_owned()));
    (told, kept)
}

/// The error of a call by a tool's name.
#[must_use]
pub fn unanswered(unanswered: &Unanswered) -> Error {
    match unanswered {
        Unanswered::Call(failure) => {
            let mut details = match self::failure(failure) {
                Value::Object(details) => details,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
            };
            let mut take = |key: &str| match details.shift_remove(key) {
                Some(Value::String(text)) => text,
                Some(_) | None => String::new(),
            };
            let (kind, message) = (take("kind"), take("message"));
            Error { kind, message, details }
        }
        Unanswered::Tool(error) => {
            let is_unknown =
                matches!(**error, ToolError::Unknown { .. } | ToolError::NoName { .. } | ToolError::Version { .. });
            let kind = if is_unknown { "unknown-tool" } else { "load" };
            let mut details = Map::new();
            if let ToolError::Ungranted(missing) = &**error {
                let lines = missing.toml_lines().replace('\n', "; ");
                details.insert("help".to_owned(), Value::from(format!("in tollgate.toml: {lines}")));
            }
            Error { kind: kind.to_owned(), message: with_causes(&**error), details }
        }
    }
}

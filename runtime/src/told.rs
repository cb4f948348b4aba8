//! Calls as JSON for programs: the command line and the daemon print the same.

use serde_json::{Map, Value, json};
use tollgate_client::Usage;
use tollgate_engine::error::{CallError, CapHit, RejectError, with_causes};

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

/// What a call used, with each share of its cap in percent.
#[must_use]
pub fn usage(usage: &Usage) -> Value {
    json!({
        "fuel": { "used": usage.fuel_used, "cap": usage.fuel_cap, "percent": percent(usage.fuel_used, usage.fuel_cap) },
        "memory": {
            "peak_bytes": usage.memory_peak_bytes,
            "cap_bytes": usage.memory_cap_bytes,
            "percent": percent(usage.memory_peak_bytes, usage.memory_cap_bytes),
        },
        "time": {
            "wall_us": usage.wall_us,
            "deadline_us": usage.deadline_us,
            "percent": percent(usage.wall_us, usage.deadline_us),
        },
        "output_bytes": usage.output_bytes,
        "stdio_bytes": usage.stdio_bytes,
    })
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

/// The error of a call by a tool's name.
#[must_use]
pub fn unanswered(unanswered: &Unanswered) -> Error {
    match unanswered {
        Unanswered::Call(failure) => {
            let mut details = match error(&failure.error) {
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
            Error { kind: kind.to_owned(), message: with_causes(&**error), details: Map::new() }
        }
    }
}

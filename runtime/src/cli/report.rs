//! Failures and figures as people and machines read them. Stdout gets JSON results only, stderr the rest.

use std::io::{IsTerminal as _, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};
use tollgate_audit::Usage;
use tollgate_wasi_proxy::{Stdout, Violation};

use super::config;
use super::exit::{Exit, Failure};
use crate::error::{CallError, CallFailure, CapHit, RejectError};

/// Prints a failure, to stdout as JSON or to stderr for people, and says how the process ends.
pub(crate) fn failure(failure: &Failure, json: bool) -> Exit {
    if json {
        let report = failure_json(failure);
        // Nobody is left to tell if the terminal is gone.
        writeln!(std::io::stdout(), "{report}").unwrap_or_default();
    } else {
        eprint(&failure_text(failure));
    }
    failure.exit()
}

/// Passes the end of what the guest printed on, to stderr: stdout is for results. `--json` has all of it.
pub(crate) fn streams(streams: &Stdout) {
    for (name, bytes) in [("stdout", &streams.stdout), ("stderr", &streams.stderr)] {
        let text = String::from_utf8_lossy(bytes);
        let hidden = text.lines().count().saturating_sub(STREAM_LINES_MAX);
        if hidden > 0 {
            eprint(&format!("[tool {name}] … {hidden} lines before, see --json\n"));
        }
        for line in text.lines().skip(hidden) {
            eprint(&format!("[tool {name}] {}\n", line.escape_debug()));
        }
    }
}

/// Lines of a guest's stream that people are shown.
const STREAM_LINES_MAX: usize = 20;

/// What a call used, with each share of its cap in percent.
pub(crate) fn usage(usage: &Usage) -> Value {
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

/// In tenths, rounded down.
fn percent(used: u64, cap: u64) -> f64 {
    let permille = u128::from(used) * 1000 / u128::from(cap.max(1));
    f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 10.0
}

fn failure_json(failure: &Failure) -> Value {
    match failure {
        Failure::Call(failure) => json!({
            "ok": false,
            "call": failure.call.map(|call| call.to_string()),
            "error": error_json(&failure.error),
            "usage": usage(&failure.usage),
            "stdout": String::from_utf8_lossy(&failure.output.stdout),
            "stderr": String::from_utf8_lossy(&failure.output.stderr),
        }),
        Failure::Load(error) => {
            json!({ "ok": false, "error": { "kind": "load", "message": chain(error) } })
        }
        Failure::Usage(report) => json!({ "ok": false, "error": report_json("usage", report) }),
        Failure::Internal(report) => json!({ "ok": false, "error": report_json("internal", report) }),
    }
}

fn report_json(kind: &str, report: &miette::Report) -> Value {
    json!({
        "kind": kind,
        "message": report.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "),
        "help": report.help().map(|help| help.to_string()),
    })
}

fn error_json(error: &CallError) -> Value {
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
        CallError::Rejected(_) => json!({ "kind": "rejected", "message": message }),
        CallError::Trap { .. } | CallError::Exit { .. } => json!({ "kind": "trap", "message": message }),
        CallError::OutputNotJson { .. } => json!({ "kind": "output", "message": message }),
        CallError::Unrecorded(_) | CallError::Internal(_) => json!({ "kind": "internal", "message": message }),
    }
}

fn failure_text(failure: &Failure) -> String {
    match failure {
        Failure::Call(failure) => call_text(failure),
        Failure::Load(error) => format!("error: {}\n", chain(error)),
        Failure::Usage(report) | Failure::Internal(report) => rendered(report),
    }
}

/// With the source line where there is one; colour only on a terminal.
fn rendered(report: &miette::Report) -> String {
    let colour = std::io::stderr().is_terminal() && !config::no_color();
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    match GraphicalReportHandler::new_themed(theme).with_links(false).render_report(&mut text, report.as_ref()) {
        Ok(()) => text,
        Err(_unrenderable) => format!("error: {report}\n"),
    }
}

fn call_text(failure: &CallFailure) -> String {
    streams(&failure.output);
    let mut text = match &failure.error {
        CallError::Violation(violation) => violation_text(violation),
        CallError::Cap(hit) => format!("stopped: {hit}\n"),
        CallError::Rejected(RejectError::Schema { operation, problems }) => {
            let listed: String = problems.iter().map(|problem| format!("  {problem}\n")).collect();
            format!("error: the arguments do not match the schema of `{operation}`; the tool did not run\n{listed}")
        }
        CallError::Rejected(_)
        | CallError::Tool { .. }
        | CallError::Trap { .. }
        | CallError::Exit { .. }
        | CallError::OutputNotJson { .. }
        | CallError::Unrecorded(_)
        | CallError::Internal(_) => format!("error: {}\n", chain(&failure.error)),
    };
    if let Some(call) = failure.call {
        text.push_str(&format!("  in the ledger as call {call}\n"));
    }
    text
}

/// Said to agents too, so that they do not look for a way round.
const ADVICE: &str = "This is the operator's policy, not a fault: trying the same thing another way is denied too.";

fn violation_text(violation: &Violation) -> String {
    let Violation { function, subject, rule, reason, .. } = violation;
    format!(
        "denied by policy: {subject}\n  rule      {rule}\n  why       {reason}\n  function  {function}\n  {ADVICE}\n"
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Prints to stderr; nobody is left to tell if it is gone.
pub(crate) fn eprint(text: &str) {
    write!(std::io::stderr(), "{text}").unwrap_or_default();
}

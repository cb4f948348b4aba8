//! `tollgate audit`.

use std::io::Write as _;
use std::path::Path;

use miette::Diagnostic;
use serde_json::Value;
use tollgate_audit::{CallId, Entry, Expected, Kind, LeafIndex, Report, TreeSize, read, verify};

use super::args::{AuditArgs, AuditCommand};
use super::exit::{Exit, Failure};
use super::run::ledger_folder;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum AuditError {
    #[error("`{given}` is not a {what}")]
    #[diagnostic(help("copy it from what tollgate printed"))]
    Argument { given: String, what: &'static str },
}

pub(crate) fn audit(args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.command {
        AuditCommand::Verify { ledger, root, size, json } => {
            let expected = expected(root.as_deref(), *size)?;
            verified(&ledger_folder(ledger)?, expected, *json)
        }
        AuditCommand::Show { ledger, call, last, json } => {
            let call = call.as_deref().map(call_id).transpose()?;
            show(&ledger_folder(ledger)?, call, *last, *json)
        }
    }
}

fn expected(root: Option<&str>, size: Option<u64>) -> Result<Option<Expected>, Failure> {
    let Some(root) = root else { return Ok(None) };
    let parsed = root.parse().map_err(|_not_hex| argument(root, "root: 64 hex digits"))?;
    Ok(Some(Expected { root: parsed, size: size.map(TreeSize) }))
}

fn call_id(given: &str) -> Result<CallId, Failure> {
    given.parse().map_err(|_not_hex| argument(given, "call id: 32 hex digits"))
}

fn argument(given: &str, what: &'static str) -> Failure {
    Failure::usage(AuditError::Argument { given: given.to_owned(), what })
}

fn verified(folder: &Path, expected: Option<Expected>, json: bool) -> Result<Exit, Failure> {
    let report = verify(folder, expected).map_err(Failure::internal)?;
    let clean = report.is_clean();
    let text = if json { verify_json(&report)? } else { verify_text(folder, &report) };
    write!(std::io::stdout(), "{text}").map_err(Failure::internal)?;
    Ok(if clean { Exit::Success } else { Exit::Internal })
}

fn verify_json(report: &Report) -> Result<String, Failure> {
    let mut value = serde_json::to_value(report).map_err(Failure::internal)?;
    if let Value::Object(object) = &mut value {
        object.insert("ok".into(), report.is_clean().into());
    }
    Ok(format!("{value}\n"))
}

fn verify_text(folder: &Path, report: &Report) -> String {
    let verdict = if report.is_clean() { "verified" } else { "DOES NOT VERIFY" };
    let mut text = format!(
        "{verdict}: {}\n  entries  {}\n  calls    {}\n  root     {}\n",
        folder.display(),
        report.size,
        report.count(Kind::Call),
        report.root
    );
    for finding in &report.findings {
        text.push_str(&format!("  problem  {finding}\n"));
    }
    if !report.open_calls.is_empty() {
        text.push_str(&format!("  open     {} calls have no end yet\n", report.open_calls.len()));
    }
    text
}

fn show(folder: &Path, call: Option<CallId>, last: Option<usize>, json: bool) -> Result<Exit, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut kept = std::collections::VecDeque::new();
    for entry in read(folder).map_err(Failure::internal)? {
        let (index, entry) = entry.map_err(Failure::internal)?;
        if call.is_some() && entry.call() != call {
            continue;
        }
        let line = if json { json_line(index, &entry) } else { text_line(index, &entry) };
        match last {
            None => writeln!(out, "{line}").map_err(Failure::internal)?,
            Some(last) => {
                kept.push_back(line);
                if kept.len() > last {
                    kept.pop_front();
                }
            }
        }
    }
    for line in kept {
        writeln!(out, "{line}").map_err(Failure::internal)?;
    }
    out.flush().map_err(Failure::internal)?;
    Ok(Exit::Success)
}

fn json_line(index: LeafIndex, entry: &Entry<'_>) -> String {
    let mut value = entry.to_json();
    if let Value::Object(object) = &mut value {
        object.insert("index".into(), index.0.into());
    }
    value.to_string()
}

/// One line for people: who, what, which rule, what became of it.
fn text_line(index: LeafIndex, entry: &Entry<'_>) -> String {
    let said = match entry {
        Entry::LedgerOpened(opened) => format!("opened     {} by {}", opened.origin.as_str(), opened.software.as_str()),
        Entry::Policy(policy) => {
            format!("policy     {} set {} by {}", policy.tool.as_str(), policy.digest, policy.by.as_str())
        }
        Entry::Call(call) => format!(
            "call       {} {}@{} {}{}",
            short(call.call),
            call.tool.as_str(),
            call.version.as_str(),
            call.operation.as_str(),
            asked_by(call)
        ),
        Entry::Intent(intent) => {
            format!(
                "intent     {} #{} {} {} {} [{}]",
                short(intent.call),
                intent.seq,
                intent.verdict.as_str(),
                function(intent.function.as_str()),
                facts(entry),
                intent.rule.as_str()
            )
        }
        Entry::Outcome(outcome) => format!(
            "outcome    {} #{} of #{}: {} ({} bytes read, {} written)",
            short(outcome.call),
            outcome.seq,
            outcome.of,
            outcome.result.as_str(),
            outcome.bytes_read,
            outcome.bytes_written
        ),
        Entry::Violation(violation) => format!(
            "violation  {} #{} of #{}: {} by {}: [{}] {}",
            short(violation.call),
            violation.seq,
            violation.of,
            violation.action.as_str(),
            violation.layer.as_str(),
            violation.rule.as_str(),
            violation.message.as_str()
        ),
        Entry::CallEnd(end) => format!(
            "call-end   {} {} in {} µs, {} fuel, {} bytes of memory {}",
            short(end.call),
            end.class.as_str(),
            end.usage.wall_us,
            end.usage.fuel_used,
            end.usage.memory_peak_bytes,
            end.detail.as_str()
        ),
        Entry::Closer(closer) => format!("closer     {} {}", short(closer.call), closer.reason.as_str()),
    };
    format!("{:>6}  {}", index.0, said.trim_end().escape_debug())
}

fn asked_by(call: &tollgate_audit::Call<'_>) -> String {
    let named = [("agent", &call.agent), ("session", &call.session), ("decision", &call.decision)];
    named.iter().filter_map(|(word, id)| Some(format!(" {word}={}", id.as_ref()?.as_str()))).collect()
}

/// Enough of a call id to tell calls apart by eye; `--call` takes the whole one.
fn short(call: CallId) -> String {
    let id = call.to_string();
    id.get(..4).zip(id.get(24..)).map_or_else(|| id.clone(), |(head, tail)| format!("{head}…{tail}"))
}

/// `wasi:filesystem/types.[method]descriptor.open-at` as `open-at`.
fn function(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The texts among the facts of an intent, which say what it is about.
fn facts(entry: &Entry<'_>) -> String {
    let json = entry.to_json();
    let Some(Value::Object(facts)) = json.get("facts") else { return String::new() };
    let texts = facts.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    texts.collect::<Vec<_>>().join(" ")
}

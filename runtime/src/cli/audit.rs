//! `tollgate audit`.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::Value;
use tollgate_audit::{
    CallId, Entry, Expected, Kind, LeafIndex, ReadError, Report, TreeSize, VerifyError, read, verify,
};

use super::args::{AuditArgs, AuditCommand};
use super::exit::{Exit, Failure};
use super::output::{self, Reader, one_line};
use super::run::ledger_folder;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum AuditError {
    #[error("`{given}` is not a {what}")]
    #[diagnostic(help("copy it from what tollgate printed"))]
    Argument { given: String, what: &'static str },
    #[error("there is no ledger in `{}`", folder.display())]
    #[diagnostic(help("give its folder with --ledger; the first `tollgate run` makes one"))]
    NoLedger { folder: PathBuf },
    #[error("the ledger in `{}` cannot be read", folder.display())]
    #[diagnostic(help("read it as the user that it belongs to, or give another folder with --ledger"))]
    Unreadable { folder: PathBuf, source: io::Error },
    #[error("the ledger in `{}` is damaged", folder.display())]
    #[diagnostic(help("what is printed is what stands before the damage; `tollgate audit verify` says more"))]
    Damaged { folder: PathBuf, source: ReadError },
    #[error("the ledger in `{}` has no call `{given}`", folder.display())]
    #[diagnostic(help("`tollgate audit show` lists all calls"))]
    NoCall { folder: PathBuf, given: String },
}

/// Calls that an id means: the whole id, its first digits, or its first and last digits around an ellipsis.
struct CallFilter<'a> {
    given: &'a str,
    head: &'a str,
    tail: &'a str,
}

impl<'a> CallFilter<'a> {
    fn parse(given: &'a str) -> Result<Self, Failure> {
        let (head, tail) = given.split_once('…').or_else(|| given.split_once("...")).unwrap_or((given, ""));
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if head.is_empty() || head.len() + tail.len() > CALL_ID_DIGITS || !hex(head) || !hex(tail) {
            return Err(argument(given, "call id: up to 32 digits of 0 to 9 and a to f"));
        }
        Ok(Self { given, head, tail })
    }

    fn matches(&self, call: CallId) -> bool {
        let id = call.to_string();
        id.starts_with(self.head) && id.ends_with(self.tail)
    }
}

const CALL_ID_DIGITS: usize = 32;

pub(crate) fn audit(args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.command {
        AuditCommand::Verify { ledger, root, size, json } => {
            let expected = expected(root.as_deref(), *size)?;
            verified(&ledger_folder(ledger)?, expected, *json)
        }
        AuditCommand::Show { ledger, call, last, json } => {
            let call = call.as_deref().map(CallFilter::parse).transpose()?;
            show(&ledger_folder(ledger)?, call.as_ref(), *last, *json)
        }
    }
}

fn expected(root: Option<&str>, size: Option<u64>) -> Result<Option<Expected>, Failure> {
    let Some(root) = root else { return Ok(None) };
    let parsed = root.parse().map_err(|_not_hex| argument(root, "root: 64 hex digits"))?;
    Ok(Some(Expected { root: parsed, size: size.map(TreeSize) }))
}

fn argument(given: &str, what: &'static str) -> Failure {
    Failure::usage(AuditError::Argument { given: given.to_owned(), what })
}

fn verified(folder: &Path, expected: Option<Expected>, json: bool) -> Result<Exit, Failure> {
    let report = verify(folder, expected).map_err(|error| not_verified(folder, error))?;
    let clean = report.is_clean();
    let text = if json { verify_json(&report)? } else { verify_text(folder, &report) };
    output::print(&text)?;
    Ok(if clean { Exit::Success } else { Exit::Internal })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only where a file cannot be read is the folder to blame")]
fn not_verified(folder: &Path, error: VerifyError) -> Failure {
    match error {
        VerifyError::Journal { source } | VerifyError::Checkpoint { source } | VerifyError::Other { source } => {
            unreadable(folder, source)
        }
        other => Failure::internal(other),
    }
}

fn unreadable(folder: &Path, source: io::Error) -> Failure {
    let folder = folder.to_owned();
    let absent = matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    Failure::usage(if absent { AuditError::NoLedger { folder } } else { AuditError::Unreadable { folder, source } })
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
        text.push_str(&format!("  problem  {}\n", one_line(&finding.to_string())));
    }
    if !report.open_calls.is_empty() {
        text.push_str(&format!("  open     {} (calls without an end yet)\n", report.open_calls.len()));
    }
    if report.findings_left_out > 0 {
        text.push_str(&format!("  problem  … and {} more\n", report.findings_left_out));
    }
    text
}

fn show(folder: &Path, call: Option<&CallFilter<'_>>, last: Option<usize>, json: bool) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut kept = VecDeque::new();
    let mut found = false;
    let mut damage = None;
    for read in read(folder).map_err(|error| not_shown(folder, error))? {
        let (index, entry) = match read {
            Ok(entry) => entry,
            Err(error) => {
                damage = Some(not_shown(folder, error));
                break;
            }
        };
        if call.is_some_and(|call| !entry.call().is_some_and(|id| call.matches(id))) {
            continue;
        }
        found = true;
        let line = if json { json_line(index, &entry) } else { text_line(index, &entry) };
        kept.push_back(line + "\n");
        let surplus = if kept.len() > last.unwrap_or(0) { kept.pop_front() } else { None };
        let Some(line) = surplus.filter(|_| last.is_none()) else { continue };
        if output::print_to(&mut out, &line)? == Reader::Gone {
            return Ok(Exit::Success);
        }
    }
    for line in kept {
        output::print_to(&mut out, &line)?;
    }
    output::flush(&mut out)?;
    match (damage, call) {
        (Some(damage), _) => Err(damage),
        (None, Some(call)) if !found => {
            Err(Failure::usage(AuditError::NoCall { folder: folder.to_owned(), given: call.given.to_owned() }))
        }
        (None, _) => Ok(Exit::Success),
    }
}

fn not_shown(folder: &Path, error: ReadError) -> Failure {
    match error {
        ReadError::Io { source } => unreadable(folder, source),
        source @ (ReadError::Corrupt(_) | ReadError::NotAnEntry { .. } | _) => {
            Failure::Internal(miette::Report::new(AuditError::Damaged { folder: folder.to_owned(), source }))
        }
    }
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
                "intent     {} #{} {} {}{} [{}]",
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
            "call-end   {} {} in {} µs, {} fuel, {} bytes of memory; {}",
            short(end.call),
            end.class.as_str(),
            end.usage.wall_us,
            end.usage.fuel_used,
            end.usage.memory_peak_bytes,
            end.detail.as_str()
        ),
        Entry::Closer(closer) => format!("closer     {} {}", short(closer.call), closer.reason.as_str()),
        Entry::Erasure(erasure) => format!("erasure    {} by {}", short(erasure.call), erasure.by.as_str()),
    };
    format!("{:>6}  {}", index.0, one_line(said.trim_end_matches([' ', ';'])))
}

fn asked_by(call: &tollgate_audit::Call<'_>) -> String {
    let named = [("agent", &call.agent), ("session", &call.session), ("decision", &call.decision)];
    named.iter().filter_map(|(word, id)| Some(format!(" {word}={}", id.as_ref()?.as_str()))).collect()
}

/// Enough of a call id to tell calls apart by eye; `--call` takes the whole one.
fn short(call: CallId) -> String {
    let id = call.to_string();
    id.get(..4).zip(id.get(20..)).map_or_else(|| id.clone(), |(head, tail)| format!("{head}…{tail}"))
}

/// `wasi:filesystem/types.[method]descriptor.open-at` as `open-at`.
fn function(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The texts among the facts of an intent, which say what it is about.
fn facts(entry: &Entry<'_>) -> String {
    let json = entry.to_json();
    let Some(Value::Object(facts)) = json.get("facts") else { return String::new() };
    let texts = facts.iter().filter_map(|(name, value)| Some(format!(" {name}={}", value.as_str()?)));
    texts.collect()
}

//! Failures and figures as people and machines read them. Stdout gets JSON results only, stderr the rest.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::path::Path;

use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Value, json};
use tollgate_capability::Cap;
use tollgate_config::show_limit;
use tollgate_wasi_proxy::{Stdout, Violation};

use super::config;
use super::exit::{Exit, Failure};
use super::hint::ONCE;
use super::output::{self, eprint, one_line};
use tollgate::error::{
    CallError, CallErrorKind, CallFailure, CapHit, CompileError, LoadError, RejectError, with_causes,
};
use tollgate::log::{LogLevel, log_lines};
use tollgate::request::Answer;
use tollgate::told::{self, ADVICE, BROKEN, STEPS};

/// Prints a failure, to stdout as JSON or to stderr for people, and says how the process ends.
pub(crate) fn failure(failure: &Failure, json: bool) -> Exit {
    if json {
        // Where it cannot be told to a machine, somebody may still read it.
        if output::print(&format!("{}\n", failure_json(failure))).is_err() {
            aside(failure);
        }
    } else {
        aside(failure);
    }
    failure.exit()
}

/// Prints to stdout, as JSON, what is wrong with the arguments, as clap says it.
pub(crate) fn wrong_arguments(text: &str) {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (message, help) = text.split_once("\n\n").unwrap_or((text, ""));
    let error = json!({ "kind": "usage", "message": message.trim(), "help": help.trim() });
    // The exit code is told even if this is not.
    output::print(&format!("{}\n", json!({ "ok": false, "error": error }))).ok();
}

/// Says on stderr what went wrong beside what the command ends with.
pub(crate) fn aside(failure: &Failure) {
    match failure {
        Failure::Usage(report) | Failure::Busy(report) | Failure::Internal(report) => eprint_report(report),
        Failure::Load { .. } | Failure::Call { .. } => eprint(&failure_text(failure)),
    }
}

/// Passes the end of what the guest printed on, to stderr: stdout is for results. `--json` has all of it.
/// What it logs below `least` is left out.
pub(crate) fn streams(streams: &Stdout, least: LogLevel) {
    let stdout = String::from_utf8_lossy(&streams.stdout);
    last_lines("stdout", stdout.lines().map(|line| ("stdout", line.into())).collect());
    let lines = log_lines(&streams.stderr).filter(|line| line.level.is_none_or(|level| level <= least));
    last_lines("stderr", lines.map(|line| (line.level.map_or("stderr", LogLevel::as_str), line.text)).collect());
}

fn last_lines(stream: &str, lines: Vec<(&str, Cow<'_, str>)>) {
    let hidden = lines.len().saturating_sub(STREAM_LINES_MAX);
    if hidden > 0 {
        eprint(&format!("[tool {stream}] … {hidden} lines before, see --json\n"));
    }
    for (kind, line) in lines.into_iter().skip(hidden) {
        eprint(&format!("[tool {kind}] {}\n", one_line(&line)));
    }
}

/// What a tool logged, for machines: all of it.
pub(crate) fn log_json(stderr: &[u8]) -> Value {
    let logged = log_lines(stderr).filter_map(|line| Some(json!({ "level": line.level?.as_str(), "text": line.text })));
    logged.collect()
}

/// Lines of a guest's stream that people are shown.
const STREAM_LINES_MAX: usize = 20;

/// An answer as `--json` prints it; `output` goes in as the tool wrote it, so that no number loses a digit.
pub(crate) fn answer_json(answer: &Answer, output: &str) -> String {
    let call = json!(answer.call.to_string());
    let usage = told::usage(&told::used(&answer.usage));
    let stdout = json!(String::from_utf8_lossy(&answer.streams.stdout));
    let stderr = json!(String::from_utf8_lossy(&answer.streams.stderr));
    let log = log_json(&answer.streams.stderr);
    format!(
        "{{\"ok\":true,\"call\":{call},\"output\":{output},\"usage\":{usage},\"stdout\":{stdout},\"stderr\":{stderr},\"log\":{log}}}\n"
    )
}

/// A failure, for machines.
pub(crate) fn failure_json(failure: &Failure) -> Value {
    match failure {
        Failure::Call { failure, hints, .. } => json!({
            "ok": false,
            "call": failure.call.map(|call| call.to_string()),
            "error": with_hints(told::error(&failure.error), hints),
            "usage": told::usage(&told::used(&failure.usage)),
            "stdout": String::from_utf8_lossy(&failure.output.stdout),
            "stderr": String::from_utf8_lossy(&failure.output.stderr),
            "log": log_json(&failure.output.stderr),
        }),
        Failure::Load { component, error } => json!({
            "ok": false,
            "error": { "kind": "load", "message": unusable(component, error), "help": load_help(error) },
        }),
        Failure::Usage(report) => json!({ "ok": false, "error": report_json("usage", report) }),
        Failure::Busy(report) => json!({ "ok": false, "error": report_json("busy", report) }),
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

/// What hints to an error are called.
fn hint_label(error: &CallError) -> &'static str {
    match error.kind() {
        CallErrorKind::Violation => "to allow",
        CallErrorKind::Cap => "to raise",
        CallErrorKind::Rejected
        | CallErrorKind::Tool
        | CallErrorKind::Output
        | CallErrorKind::Trap
        | CallErrorKind::Cancelled
        | CallErrorKind::Busy
        | CallErrorKind::Worker
        | CallErrorKind::Internal => "note",
    }
}

fn with_hints(mut told: Value, hints: &[String]) -> Value {
    if let Some(object) = told.as_object_mut().filter(|_| !hints.is_empty()) {
        let steps: Vec<&str> = hints.iter().filter(|hint| !hint.starts_with(ONCE)).map(String::as_str).collect();
        object.insert("help".to_owned(), json!(steps.join(STEPS)));
    }
    told
}

fn failure_text(failure: &Failure) -> String {
    match failure {
        Failure::Call { failure, hints, log } => {
            streams(&failure.output, *log);
            call_text(failure, hints)
        }
        Failure::Load { component, error } => {
            let help = load_help(error).map(|help| format!("  help: {help}\n")).unwrap_or_default();
            format!("error: {}\n{help}", unusable(component, error))
        }
        Failure::Usage(report) | Failure::Busy(report) | Failure::Internal(report) => rendered(report, false),
    }
}

/// Colour only on a terminal, and only where nothing in the report could pass for a colour of ours.
fn eprint_report(report: &miette::Report) {
    let text = rendered(report, false);
    let is_plain = tollgate_plain::is_plain(&text);
    if is_plain && std::io::stderr().is_terminal() && !config::no_color() {
        output::eprint_own(&rendered(report, true));
    } else {
        eprint(&text);
    }
}

/// With the source line where there is one.
fn rendered(report: &miette::Report, colour: bool) -> String {
    let mut theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    theme.characters.error = "error:".to_owned();
    // Lines of TOML are there to be copied: they are not wrapped.
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    let mut text = String::new();
    match handler.render_report(&mut text, report.as_ref()) {
        Ok(()) => text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>().trim_start().to_owned(),
        Err(_unrenderable) => format!("error: {report}\n"),
    }
}

fn unusable(component: &Path, error: &LoadError) -> String {
    if matches!(error, LoadError::NoWorker(_) | LoadError::Place(_) | LoadError::Folder(_)) {
        return one_line(&format!("nothing was run: {}", with_causes(error)));
    }
    let component = one_line(&component.display().to_string());
    format!("`{component}` cannot be used as a tool: {}", one_line(&with_causes(error)))
}

/// What to do about a component, where its error does not say.
fn load_help(error: &LoadError) -> Option<&'static str> {
    match error {
        LoadError::Malformed { .. } => Some("look whether the file was copied whole"),
        LoadError::Compile(CompileError::NoCompiler { .. }) => None,
        LoadError::Compile(CompileError::TooLong { .. }) => Some(
            "nothing was run; give this process more CPU, or more time: `time` under [compile] in tollgate.toml. `tollgate doctor` \
             says what CPU there is",
        ),
        LoadError::Compile(CompileError::NoMemory { .. }) => Some(
            "nothing was run; give this container more memory: to compile a Python interpreter, once, takes some 450 MiB",
        ),
        LoadError::Compile(CompileError::InheritedMemory { .. }) => Some(
            "nothing was run; raise the limit on memory (`ulimit -d`, `ulimit -v`): to compile a Python interpreter, once, takes some \
             450 MiB",
        ),
        LoadError::Compile(CompileError::InheritedCpu { .. }) => Some(
            "nothing was run; raise this limit (`ulimit -t`): to compile a Python interpreter, once, takes some 25 s",
        ),
        LoadError::Compile(CompileError::TooMuchCpu { .. }) => Some(
            "nothing was run; a Python interpreter takes less than a tenth of the default: ask the tool's author, or raise `cpu` \
             under [compile] in tollgate.toml",
        ),
        LoadError::Compile(CompileError::TooMuchMemory { .. } | CompileError::TooMuchCode { .. }) => {
            Some("nothing was run; no usual tool does this, unless a limit above is low: ask its author what it does")
        }
        LoadError::Compile(CompileError::Crashed { .. }) => Some(
            "nothing was run; no usual tool does this: ask its author what it does; where a filter around this process refuses \
                 system calls, `tollgate doctor` names them",
        ),
        LoadError::UnknownImports { .. } => {
            Some("build it without what needs them; `tollgate inspect` lists all that it imports")
        }
        LoadError::NotATool { .. } => Some("build it with the tollgate-guest crate, or to guest-sdk/wit/tool.wit"),
        LoadError::Describe { source } if matches!(source.error, CallError::Cap(_)) => Some(
            "raise this cap in manifest and grant, or mend the tool: listing its operations costs next to nothing. \
                 `tollgate doctor` says whether this process has little CPU",
        ),
        LoadError::Describe { .. } => Some("mend the tool: its list of operations must come without any host call"),
        LoadError::Schema { .. } => Some(
            "mend the tool: the schema must be of JSON Schema draft 2020-12, as the SDKs write it; docs/tools.md says more",
        ),
        LoadError::OperationsTooLong { .. } => {
            Some("mend the tool: an agent reads all of this before it chooses an operation")
        }
        LoadError::Place(place) => Some(place.advice()),
        LoadError::Folder(_) => Some("look who exchanged the folder, then run the tool again"),
        LoadError::OperationsChanged { .. } => Some(
            "look who could change what is stored; then install it again from where it came from: `tollgate install PATH --name NAME`",
        ),
        LoadError::NotWasm
        | LoadError::CoreModule
        | LoadError::OperationName { .. }
        | LoadError::Operations { .. }
        | LoadError::Unrecorded(_)
        | LoadError::SetNotKept(_)
        | LoadError::NoWorker(_)
        | LoadError::Engine(_) => None,
    }
}

fn call_text(failure: &CallFailure, hints: &[String]) -> String {
    let mut text = match &failure.error {
        CallError::Violation(violation) => violation_text(violation),
        CallError::Cap(hit) => cap_text(hit),
        CallError::Rejected(reason) => rejected_text(reason),
        CallError::Blocked { call } => {
            format!("stopped by the kernel layer: {}\n  {BROKEN}\n", one_line(call))
        }
        CallError::Tool { .. }
        | CallError::Cancelled
        | CallError::Trap { .. }
        | CallError::Exit { .. }
        | CallError::OutputNotJson { .. }
        | CallError::Unrecorded(_)
        | CallError::Overran { .. }
        | CallError::Busy { .. }
        | CallError::WorkerEnded { .. }
        | CallError::NoWorker(_)
        | CallError::Internal(_) => format!("error: {}\n", one_line(&with_causes(&failure.error))),
    };
    for (place, hint) in hints.iter().enumerate() {
        let label = if place == 0 { hint_label(&failure.error) } else { "" };
        text.push_str(&format!("  {label:<10}{}\n", one_line(hint)));
    }
    if let Some(call) = failure.call {
        text.push_str(&format!("  {:<10}{call}\n", "call"));
    }
    text
}

fn rejected_text(reason: &RejectError) -> String {
    match reason {
        RejectError::Schema { operation, problems } => {
            let listed: String = problems.iter().map(|problem| format!("  {}\n", one_line(problem))).collect();
            let operation = one_line(operation);
            format!("error: the arguments do not match the schema of `{operation}`; the tool was not called\n{listed}")
        }
        RejectError::NotJson { .. } => {
            format!(
                "error: {reason}\n  help: give one JSON object, in quotes of the shell: --input '{{\"key\": \"value\"}}'\n"
            )
        }
        RejectError::UnknownOperation { .. }
        | RejectError::WhichOperation { .. }
        | RejectError::NotTheAgents { .. }
        | RejectError::TooLong { .. }
        | RejectError::TooManyValues { .. }
        | RejectError::TooMuchWork { .. } => format!("error: {}\n", one_line(&reason.to_string())),
    }
}

fn cap_text(hit: &CapHit) -> String {
    let CapHit { cap, asked, limit } = hit;
    let asked = match asked {
        Some(asked) => format!(", and {} asked for", exact(*cap, *asked)),
        None => String::new(),
    };
    format!("stopped by a cap: `limits.{}` is {}{asked}\n", cap.as_str(), exact(*cap, *limit))
}

/// A value of a cap with its unit, spelt out where the cap's own way of writing it has none.
fn exact(cap: Cap, value: u64) -> String {
    match cap {
        Cap::Fuel | Cap::Handles | Cap::Calls | Cap::Deadline => show_limit(cap, value),
        Cap::Records => format!("{value} entries"),
        Cap::Memory | Cap::Input | Cap::Output | Cap::Stdio | Cap::Random | Cap::HostMemory | Cap::RecordBytes => {
            let shown = show_limit(cap, value);
            if shown.ends_with("iB") { shown } else { format!("{value} bytes") }
        }
    }
}

fn violation_text(violation: &Violation) -> String {
    let Violation { function, subject, rule, reason, .. } = violation;
    let (subject, rule) = (one_line(subject), one_line(rule));
    format!(
        "denied by policy: {subject}\n  {ADVICE}\n  rule      {rule}\n  why       {reason}\n  function  {function}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_system_call_is_told_as_evidence_and_not_as_a_fault_of_the_tool() {
        let error = CallError::Blocked { call: "system call ptrace (101) on thread executor-1".into() };
        let json = told::error(&error);
        assert_eq!((&json["kind"], &json["layer"]), (&json!("violation"), &json!("kernel")));
        assert_eq!(json["blocked"], "system call ptrace (101) on thread executor-1");
        let failure = *CallFailure::before(error);
        let text = call_text(&failure, &[]);
        assert!(
            text.starts_with("stopped by the kernel layer: system call ptrace (101) on thread executor-1\n"),
            "{text}"
        );
        assert!(text.contains("audit show --kind blocked-call"), "{text}");
        let failure = Failure::Call { failure: Box::new(failure), hints: Vec::new(), log: LogLevel::Info };
        assert_eq!(failure.exit() as u8, 3);
    }
}

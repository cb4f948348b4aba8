//! `tollgate run`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use miette::Diagnostic;
use serde_json::json;
use tollgate_audit::Ledger;

use super::args::{LedgerArgs, RunArgs};
use super::exit::{Exit, Failure};
use super::{config, load, report};
use crate::invoke::{Answer, Caller, Request, Worker};
use crate::runtime::{Engine, Runtime};
use crate::tool::{Component, Provenance, Tool};

/// Largest input that is read before the tool's own cap on it applies.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// The ledger's name in its checkpoints, and this program's.
const ORIGIN: &str = "tollgate.local/ledger";
const SOFTWARE: &str = concat!("tollgate ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error, Diagnostic)]
enum RunError {
    #[error("the tool has several operations: {known}")]
    #[diagnostic(help("choose one with --op"))]
    WhichOperation { known: String },
    #[error("standard input is not UTF-8 text")]
    #[diagnostic(help("give JSON"))]
    Stdin { source: std::io::Error },
    #[error("there is no place for the ledger: neither TOLLGATE_LEDGER, XDG_STATE_HOME nor HOME is set")]
    #[diagnostic(help("give a folder with --ledger"))]
    NoLedger,
    #[error("the ledger in `{}` cannot be used", folder.display())]
    #[diagnostic(help("{help}"))]
    Ledger { folder: std::path::PathBuf, help: &'static str, source: tollgate_audit::OpenError },
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let loaded = load::load(&args.tool)?;
    let intersection = load::intersect(&loaded.manifest, &loaded.grant)?;
    let bytes = load::component(&args.tool.component)?;
    let input = input(&args.input)?;
    let stdin = stdin(args.stdin.as_deref())?;
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let component = Component::compile(&engine, &bytes).map_err(Failure::Load)?;
    let runtime = Runtime::start(&engine, open_ledger(&args.ledger)?).map_err(Failure::internal)?;
    let mut worker = Worker::new(&runtime).map_err(Failure::internal)?;
    let by = format!("uid:{}", rustix::process::getuid().as_raw());
    let provenance = Provenance { manifest: &loaded.manifest_text, grant: &loaded.grant_text, by: &by };
    let tool =
        Tool::load(&mut worker, &component, &loaded.manifest, intersection.set, provenance).map_err(Failure::Load)?;
    let operation = operation(args.op.as_deref(), &tool)?;
    let request = Request { operation, arguments: &input, stdin: stdin.into(), caller: caller(args) };
    let answer = worker.invoke(&tool, &request).map_err(Failure::Call)?;
    print(&answer, args.json).map_err(Failure::internal)?;
    Ok(Exit::Success)
}

/// Opens the ledger that the arguments name.
fn open_ledger(args: &LedgerArgs) -> Result<Arc<Ledger>, Failure> {
    let folder = ledger_folder(args)?;
    match Ledger::open(&folder, ORIGIN, SOFTWARE, config::now_ns()) {
        Ok(ledger) => Ok(Arc::new(ledger)),
        Err(source) => {
            let help = if matches!(source, tollgate_audit::OpenError::InUse { .. }) {
                "wait until it ends, or give another folder with --ledger"
            } else {
                "nothing was run; `tollgate audit verify` says more, and --ledger takes another folder"
            };
            Err(Failure::usage(RunError::Ledger { folder, help, source }))
        }
    }
}

/// The folder of the ledger that the arguments name.
pub(crate) fn ledger_folder(args: &LedgerArgs) -> Result<std::path::PathBuf, Failure> {
    let folder = args.ledger.clone().or_else(config::ledger_folder);
    folder.ok_or_else(|| Failure::usage(RunError::NoLedger))
}

fn operation<'a>(asked: Option<&'a str>, tool: &'a Tool) -> Result<&'a str, Failure> {
    match (asked, tool.operations()) {
        (Some(name), _) => Ok(name),
        (None, [only]) => Ok(&only.name),
        (None, several) => {
            let known = several.iter().map(|operation| operation.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(RunError::WhichOperation { known }))
        }
    }
}

fn input(given: &str) -> Result<String, Failure> {
    if given == "-" {
        let mut text = String::new();
        let mut stdin = std::io::stdin().lock().take(INPUT_BYTES_MAX);
        stdin.read_to_string(&mut text).map_err(|source| Failure::usage(RunError::Stdin { source }))?;
        return Ok(text);
    }
    match given.strip_prefix('@') {
        Some(path) => load::read_text(Path::new(path), "give a file with the arguments after the @"),
        None => Ok(given.to_owned()),
    }
}

fn stdin(path: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match path {
        Some(path) => load::read(path, INPUT_BYTES_MAX, "give a file for the tool's standard input"),
        None => Ok(Vec::new()),
    }
}

fn caller(args: &RunArgs) -> Caller {
    Caller {
        agent: args.agent.clone(),
        session: args.session.clone(),
        decision: args.decision.clone(),
        reason: args.reason.clone(),
    }
}

fn print(answer: &Answer, json: bool) -> std::io::Result<()> {
    if json {
        let output: serde_json::Value = serde_json::from_str(&answer.output)?;
        let report = json!({
            "ok": true,
            "call": answer.call.to_string(),
            "output": output,
            "usage": report::usage(&answer.usage),
            "stdout": String::from_utf8_lossy(&answer.streams.stdout),
            "stderr": String::from_utf8_lossy(&answer.streams.stderr),
        });
        return writeln!(std::io::stdout(), "{report}");
    }
    report::streams(&answer.streams);
    writeln!(std::io::stdout(), "{}", answer.output)
}

//! `tollgate run`.

use std::io::Read as _;
use std::path::Path;

use miette::Diagnostic;
use tollgate_audit::{CallId, LedgerFault, NotaryError};

use super::args::{HostArgs, LedgerArgs, NotaryArgs, RunArgs};
use super::audit::SavedReceipt;
use super::exit::{Exit, Failure};
use super::load::Loaded;
use super::{compiled, config, hint, load, output, report, tools};
use crate::authority::Deciding;
use crate::error::{CallError, CallFailure, LoadError};
use crate::front::{Front, FrontFailure, FrontSettings, HostCommand, ToolSpec};
use crate::host::HostRole;
use crate::invoke::{Answer, Caller, Request};
use crate::log::LogLevel;
use crate::notary::{NotaryCommand, NotaryFailure, NotaryProcess, NotaryRole};
use crate::runtime::Engine;
use crate::tool::{Operation, Provenance};

/// Largest input that is read before the tool's own cap on it applies.
const INPUT_BYTES_MAX: u64 = 64 << 20;
/// This program's name in the ledger.
pub(crate) const SOFTWARE: &str = concat!("tollgate ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error, Diagnostic)]
enum RunError {
    #[error("the tool has several operations: {known}")]
    #[diagnostic(help("choose one with --op"))]
    WhichOperation { known: String },
    #[error("cannot read standard input")]
    #[diagnostic(help("give JSON there, or with --input"))]
    Stdin { source: std::io::Error },
    #[error("standard input is not UTF-8 text")]
    #[diagnostic(help("give JSON in UTF-8"))]
    StdinNotText,
    #[error("standard input is longer than {INPUT_BYTES_MAX} bytes, which no tool takes")]
    #[diagnostic(help("give the tool a folder with the data instead of the data"))]
    StdinTooLong,
    #[error("--stdin is given, but the tool has no standard input")]
    #[diagnostic(help(
        "grant it with --grant stdio=stdin,stdout,stderr, and let the manifest need it; or leave --stdin out"
    ))]
    StdinNotGranted,
    #[error("there is no place for the ledger: neither TOLLGATE_LEDGER, XDG_STATE_HOME nor HOME is set")]
    #[diagnostic(help("give a folder with --ledger"))]
    NoLedger,
    #[error("the ledger in `{}` cannot be used", folder.display())]
    #[diagnostic(help("{help}"))]
    Ledger { folder: std::path::PathBuf, help: &'static str, source: NotaryFailure },
    #[error("the side store beside the ledger in `{}` cannot be used", folder.display())]
    #[diagnostic(help("nothing was run; it is the file with `.private` behind the ledger's name"))]
    SideStore { folder: std::path::PathBuf, source: std::io::Error },
    #[error("this program's own file cannot be found, so neither notary nor hosts can be started")]
    #[diagnostic(help("it is told by `/proc/self/exe`: mount procfs at /proc"))]
    NoProgram { source: std::io::Error },
    #[error("call {call} is over, and has no receipt")]
    #[diagnostic(help(
        "its answer, if it has one, is withheld; `tollgate audit prove --call {call}` makes a receipt later"
    ))]
    NoReceipt { call: CallId, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the call is over, but its record may not be whole, so its answer is withheld")]
    #[diagnostic(help("`tollgate audit verify` says what the ledger holds"))]
    NotFinished { source: NotaryFailure },
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let which = tools::which(&args.tool)?;
    let bytes = load::component(&which.args.component)?;
    let mut loaded = load::load(&which, &bytes)?;
    if let Some(project) = &args.built_from {
        loaded.running = loaded.running.with(Deciding::Project, project);
    }
    if let Some(receipt) = &args.receipt {
        loaded.running = loaded.running.with(Deciding::Receipt, receipt);
    }
    let (intersection, _folders) = load::intersect_to_run(&loaded)?;
    if args.stdin.is_some() && !intersection.set.stdio.stdin {
        return Err(Failure::usage(RunError::StdinNotGranted));
    }
    let input = input(&args.input)?;
    let stdin = stdin(args.stdin.as_deref())?;
    let receipt = args.receipt.as_deref().map(SavedReceipt::reserve).transpose()?;
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let unusable = |error: LoadError| Failure::Load { component: which.args.component.clone(), error };
    let artifact = compiled::artifact(&which, &engine, &bytes)?;
    // A component that is run by its path is asked for its operations by its first host.
    let unasked = artifact.operations().is_none().then(|| artifact.clone());
    let folder = ledger_folder(&args.ledger.there)?;
    let front = start_front(&folder, args.ledger.origin.clone(), loaded.running.clone())?;
    let by = user();
    let (manifest, grant, declared) = (&loaded.manifest_text, &loaded.grant_text, Some(loaded.declared.as_str()));
    let provenance = Provenance { manifest, grant, by: &by, declared };
    let spec = ToolSpec::new(artifact, &loaded.manifest, intersection.set, provenance);
    let tool = front.add(spec).map_err(unusable)?;
    tool.start().map_err(unusable)?;
    if let Some(artifact) = unasked {
        compiled::keep(&artifact.with_operations(tool.texts().map_err(unusable)?))?;
    }
    let operation = operation(args.op.as_deref(), &tool.operations().map_err(unusable)?)?;
    let request = Request { operation: &operation, arguments: &input, stdin: stdin.into(), caller: caller(args) };
    let answered = tool.call(&request);
    let call = answered.as_ref().map_or_else(|failure| failure.call, |answer| Some(answer.call));
    let kept = receipt.zip(call).map_or(Ok(()), |(file, call)| keep_receipt(file, call, &folder, front.notary()));
    let answer = match answered {
        Ok(answer) => answer,
        Err(failure) => {
            // How the call failed matters more than that nothing proves it.
            kept.unwrap_or_else(|no_receipt| report::aside(&no_receipt));
            return Err(failed(failure, &loaded, args.log));
        }
    };
    kept?;
    finish(front)?;
    print(&answer, args)?;
    Ok(Exit::Success)
}

/// Who runs this program, for the record.
pub(crate) fn user() -> String {
    format!("uid:{}", rustix::process::getuid().as_raw())
}

/// Writes the receipt of the end of `call`.
fn keep_receipt(file: SavedReceipt, call: CallId, folder: &Path, notary: &NotaryProcess) -> Result<(), Failure> {
    let no_receipt = |source| Failure::internal_as(RunError::NoReceipt { call, source });
    notary.checkpoint().map_err(|error| no_receipt(error.into()))?;
    let index = notary.locate(call).map_err(|error| no_receipt(error.into()))?;
    let index = index.ok_or_else(|| no_receipt("the notary does not find its end".into()))?;
    file.prove(folder, index).map_err(|error| no_receipt(error.into()))
}

/// Starts this program as the notary of the ledger in `folder`, and later as the host of one tool, for one call.
pub(crate) fn start_front(folder: &Path, origin: Option<String>, running: load::Running) -> Result<Front, Failure> {
    let (notary, settings) = own_processes(folder, origin, running)?;
    Front::start(notary, folder, settings).map_err(|failure| match failure {
        FrontFailure::Notary(source) => no_notary(folder, source),
        FrontFailure::SideStore(source) => Failure::usage(RunError::SideStore { folder: folder.to_owned(), source }),
        FrontFailure::Ledger(source) | FrontFailure::Thread(source) => Failure::internal(source),
    })
}

/// Ends a front, once all that was recorded is on disk.
pub(crate) fn finish(front: Front) -> Result<(), Failure> {
    front.finish().map_err(|source| Failure::internal_as(RunError::NotFinished { source }))
}

/// This program as the notary of the ledger in `folder`, and as hosts that run one call at a time.
pub(crate) fn own_processes(
    folder: &Path,
    origin: Option<String>,
    running: load::Running,
) -> Result<(NotaryCommand, FrontSettings), Failure> {
    let program = config::this_program().map_err(|source| Failure::internal_as(RunError::NoProgram { source }))?;
    let role = NotaryRole { ledger: folder.to_owned(), origin, software: SOFTWARE.to_owned() };
    let load::Running { sandbox, hosts, places } = running;
    let command = HostCommand::tollgate(&program);
    let settings = FrontSettings { lanes_max: 1, places, ..FrontSettings::under(sandbox, hosts, command) };
    Ok((NotaryCommand::tollgate(&program, &role), settings))
}

/// Runs calls, as the process that a front starts.
#[allow(unsafe_code, reason = "a host closes every file that it was not handed")]
pub(crate) fn host(args: &HostArgs) -> Result<Exit, Failure> {
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    unsafe { crate::host::serve(&HostRole { front: args.front }) }.map_err(Failure::internal)?;
    Ok(Exit::Success)
}

/// Keeps a ledger, as the process that [`start_front`] starts.
#[allow(unsafe_code, reason = "a notary closes every file that it was not handed")]
pub(crate) fn notary(args: &NotaryArgs) -> Result<Exit, Failure> {
    let NotaryArgs { ledger, origin, software } = args;
    let role = NotaryRole { ledger: ledger.clone(), origin: origin.clone(), software: software.clone() };
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    let served = unsafe { crate::notary::serve(&role) };
    match served {
        // The front says it.
        Ok(()) | Err(NotaryError::Open { .. }) => Ok(Exit::Success),
        Err(error) => Err(Failure::internal(error)),
    }
}

fn failed(failure: Box<CallFailure>, loaded: &Loaded, log: LogLevel) -> Failure {
    let hints = match &failure.error {
        CallError::Violation(violation) => hint::to_allow(loaded, &violation.rule),
        CallError::Cap(hit) => hint::to_raise(loaded, hit.cap),
        CallError::Rejected(_)
        | CallError::Tool { .. }
        | CallError::Trap { .. }
        | CallError::Exit { .. }
        | CallError::OutputNotJson { .. }
        | CallError::Unrecorded(_)
        | CallError::Blocked { .. }
        | CallError::Overran { .. }
        | CallError::HostEnded { .. }
        | CallError::NoHost(_)
        | CallError::Internal(_) => Vec::new(),
    };
    Failure::Call { failure, hints, log }
}

/// Whether a ledger cannot be used now, or cannot be trusted.
fn no_notary(folder: &Path, source: NotaryFailure) -> Failure {
    let (damaged, help) = match &source {
        NotaryFailure::Ledger { fault: LedgerFault::InUse, .. } => {
            (false, "nothing was run; wait until it ends, or give another folder with --ledger")
        }
        NotaryFailure::Ledger { fault: LedgerFault::Unreachable, .. } => {
            (false, "nothing was run; mend the folder's rights, or give another with --ledger")
        }
        NotaryFailure::Ledger { fault: LedgerFault::Foreign, .. } => (
            false,
            "nothing was run; leave --origin out, since a ledger keeps its name, or give another folder with --ledger",
        ),
        NotaryFailure::Ledger { fault: LedgerFault::Broken, .. } => (true, BROKEN),
        NotaryFailure::Ledger { fault: LedgerFault::Damaged, .. } => (
            true,
            "nothing was run; keep the folder as it is for whoever looks into it: `tollgate audit verify` says more, \
             and --ledger takes another folder",
        ),
        NotaryFailure::Start { .. } | NotaryFailure::Ended { .. } => (true, "nothing was run; the reason stands above"),
    };
    let report = miette::Report::new(RunError::Ledger { folder: folder.to_owned(), help, source });
    if damaged { Failure::Internal(report) } else { Failure::Usage(report) }
}

const BROKEN: &str = "nothing was run; `tollgate audit verify` says more. If you restored the ledger from a copy, or know \
                      otherwise why it is so, `tollgate audit adopt --reason TEXT` goes on and records the break; else \
                      keep it as it is for whoever looks into it, and give another folder with --ledger";

/// The folder of the ledger that the arguments name.
pub(crate) fn ledger_folder(args: &LedgerArgs) -> Result<std::path::PathBuf, Failure> {
    let folder = args.ledger.clone().or_else(config::ledger_folder);
    folder.ok_or_else(|| Failure::usage(RunError::NoLedger))
}

fn operation(asked: Option<&str>, operations: &[Operation]) -> Result<String, Failure> {
    match (asked, operations) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.name.clone()),
        (None, several) => {
            let known =
                several.iter().map(|operation| output::one_line(&operation.name)).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(RunError::WhichOperation { known }))
        }
    }
}

fn input(given: &str) -> Result<String, Failure> {
    if given == "-" {
        let mut bytes = Vec::new();
        let mut stdin = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1);
        stdin.read_to_end(&mut bytes).map_err(|source| Failure::usage(RunError::Stdin { source }))?;
        if bytes.len() as u64 > INPUT_BYTES_MAX {
            return Err(Failure::usage(RunError::StdinTooLong));
        }
        return String::from_utf8(bytes).map_err(|_not_utf8| Failure::usage(RunError::StdinNotText));
    }
    match given.strip_prefix('@') {
        Some(path) => {
            load::read_text_of(Path::new(path), INPUT_BYTES_MAX, "give a file with the arguments after the @")
        }
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

fn print(answer: &Answer, args: &RunArgs) -> Result<(), Failure> {
    // A line break in JSON is never part of a string.
    let output = answer.output.replace(['\n', '\r'], " ");
    if args.json {
        output::print(&report::answer_json(answer, &output))?;
        return Ok(());
    }
    report::streams(&answer.streams, args.log);
    output::print(&format!("{output}\n"))?;
    Ok(())
}

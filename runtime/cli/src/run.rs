//! `tollgate run`.

use std::path::Path;

use miette::Diagnostic;
use tollgate::engine::Engine;
use tollgate::error::{CallError, CallFailure, LoadError, RejectError};
use tollgate::loading::Provenance;
use tollgate::notary::{NotaryProcess, NotaryRole};
use tollgate::operations::OperationTexts;
use tollgate::request::{Answer, Caller, Claims, Request};
use tollgate::supervisor::{Control, ToolSpec};
use tollgate::worker::WorkerRole;
use tollgate_audit::CallId;
use tollgate_authority::Deciding;
use tollgate_gateway::GatewayRole;
use tollgate_notary::NotaryError;

use super::args::{GatewayArgs, NotaryArgs, RunArgs, WorkerArgs};
use super::audit::{SavedReceipt, no_receipt};
use super::exit::{Exit, Failure};
use super::given::{self, Given};
use super::interrupt::Interrupted;
use super::load::Loaded;
use super::which::which;
use super::{compiled, hint, lacking, ledger, load, output, progress, report, through};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum RunError {
    #[error("the tool has several operations: {known}")]
    #[diagnostic(help("choose one with --op"))]
    WhichOperation { known: String },
    #[error("--stdin is given, but the tool has no standard input: {lacks}")]
    #[diagnostic(help("{}", hints.iter().map(|hint| format!("{hint}\n")).collect::<String>() + "or leave --stdin out"))]
    NoStdin { lacks: &'static str, hints: Vec<String> },
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    // A file system that stands still keeps each of these waiting.
    if let Some(daemon) = progress::during("looking for a daemon", || through::daemon_for(args))? {
        return through::run(args, &daemon);
    }
    let (which, bytes, mut loaded) = progress::during("reading the tool and its policy", || {
        let which = which(&args.tool)?;
        let bytes = load::component(&which.args.component)?;
        let loaded = load::load(&which, &bytes)?;
        Ok((which, bytes, loaded))
    })?;
    if let Some(project) = &args.built_from {
        loaded.running = loaded.running.with(Deciding::Project, project);
    }
    if let Some(receipt) = &args.receipt {
        loaded.running = loaded.running.with(Deciding::Receipt, receipt);
    }
    let folder = args.ledger.there.folder()?;
    // Before it is made: a ledger and its key must not be left where a tool may be let in later.
    loaded.running = progress::during("looking at the ledger", || loaded.running.with_ledger(&folder));
    let (intersection, _folders) = load::intersect_to_run(&loaded)?;
    if args.stdin.is_some() && !intersection.set.stdio.stdin {
        return Err(no_stdin(&loaded));
    }
    lacking::warn(&intersection.set);
    given::must_not_be_stdout("--receipt", args.receipt.as_deref())?;
    let Given { arguments, stdin } = given::to_tool(&args.input, args.stdin.as_deref())?;
    let receipt =
        args.receipt.as_deref().map(|path| SavedReceipt::reserve(path, &loaded.running.places)).transpose()?;
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let unusable = |error: LoadError| Failure::Load { component: which.args.component.clone(), error };
    let artifact = compiled::artifact(&which, &engine, &bytes, loaded.running.deployment.compile)?;
    // A component that is run by its path is asked for its operations by its first worker.
    let unasked = artifact.operations().is_none().then(|| artifact.clone());
    let supervisor =
        ledger::start_supervisor(&folder, args.ledger.there.wait, args.ledger.origin.clone(), loaded.running.clone())?;
    let by = ledger::user();
    let (manifest, grant, declared) = (&loaded.manifest_text, &loaded.grant_text, Some(loaded.declared.as_str()));
    let provenance = Provenance { manifest, grant, by: &by, declared };
    let spec = ToolSpec::new(artifact, &loaded.manifest, intersection.set, provenance);
    let tool = supervisor.add(spec).map_err(unusable)?;
    // Which operation is called, if none is named, is known once the tool is.
    let asked = args.op.as_deref().unwrap_or_default();
    let request = Request { operation: asked, arguments: &arguments, stdin: stdin.into(), caller: caller(args) };
    tool.start().map_err(|error| {
        // A component that is no tool, or not the one that it was, is not called at all.
        if let LoadError::NoWorker(_) = &error {
            tool.turn_down(&request, CallError::from_load(error.clone()));
        }
        unusable(error)
    })?;
    if let Some(artifact) = unasked {
        compiled::keep(&artifact.with_operations(tool.operations().map_err(unusable)?))?;
    }
    let operation = operation(args.op.as_deref(), &tool.operations().map_err(unusable)?)?;
    let interrupted = Interrupted::cancels();
    let control = Control { cancel: Some(interrupted.cancel().clone()), ..Control::default() };
    let answered = tool.call_with(&Request { operation: &operation, ..request }, &control);
    drop(interrupted);
    let call = answered.as_ref().map_or_else(|failure| failure.call, |answer| Some(answer.call));
    let kept = receipt.zip(call).map_or(Ok(()), |(file, call)| keep_receipt(file, call, &folder, supervisor.notary()));
    let answer = match answered {
        Ok(answer) => answer,
        Err(failure) => {
            // How the call failed matters more than that nothing proves it.
            kept.unwrap_or_else(|no_receipt| report::aside(&no_receipt));
            return Err(failed(failure, &loaded, args, &arguments));
        }
    };
    kept?;
    // Whoever reads slowly what is printed must not keep the ledger from others.
    drop(tool);
    ledger::finish(supervisor)?;
    print(&answer, args)?;
    Ok(Exit::Success)
}

/// What of the two that it takes is not there.
fn no_stdin(loaded: &Loaded) -> Failure {
    // A need without a grant has been told before.
    let lacks = if loaded.grant.stdio.is_some_and(|granted| granted.stdin) {
        "it is granted, and the manifest does not need it"
    } else {
        "it is not granted, and the manifest does not need it"
    };
    Failure::usage(RunError::NoStdin { lacks, hints: hint::to_allow(loaded, "stdio:stdin") })
}

/// Writes the receipt of the end of `call`.
fn keep_receipt(file: SavedReceipt, call: CallId, folder: &Path, notary: &NotaryProcess) -> Result<(), Failure> {
    notary.checkpoint().map_err(|error| no_receipt(call, error.into()))?;
    let index = notary.locate(call).map_err(|error| no_receipt(call, error.into()))?;
    let index = index.ok_or_else(|| no_receipt(call, "the notary does not find its end".into()))?;
    file.prove(folder, index).map_err(|error| no_receipt(call, error.into()))
}

/// Runs calls, as the process that a supervisor starts.
#[allow(unsafe_code, reason = "a worker closes every file that it was not handed")]
pub(crate) fn worker(args: &WorkerArgs) -> Result<Exit, Failure> {
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    unsafe { tollgate::worker::serve(&WorkerRole { supervisor: args.supervisor }) }.map_err(Failure::internal)?;
    Ok(Exit::Success)
}

/// Parses what clients send, as the process that a daemon starts.
#[allow(unsafe_code, reason = "a gateway closes every file that it was not handed")]
pub(crate) fn gateway(args: &GatewayArgs) -> Result<Exit, Failure> {
    let role = GatewayRole { supervisor: args.supervisor };
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    unsafe { tollgate_gateway::serve(&role) }.map_err(Failure::internal)?;
    Ok(Exit::Success)
}

/// Keeps a ledger, as the process that [`ledger::start_supervisor`] starts.
#[allow(unsafe_code, reason = "a notary closes every file that it was not handed")]
pub(crate) fn notary(args: &NotaryArgs) -> Result<Exit, Failure> {
    let NotaryArgs { ledger, origin, software, daemon } = args;
    let (origin, software, daemon) = (origin.clone(), software.clone(), daemon.clone());
    let role = NotaryRole { ledger: ledger.clone(), origin, software, daemon };
    // SAFETY: this command does nothing else: it has opened no file before, and ends afterwards.
    let served = unsafe { tollgate::notary::serve(&role) };
    match served {
        // The supervisor says it.
        Ok(()) | Err(NotaryError::Open { .. }) => Ok(Exit::Success),
        Err(error) => Err(Failure::internal(error)),
    }
}

fn failed(failure: Box<CallFailure>, loaded: &Loaded, args: &RunArgs, arguments: &str) -> Failure {
    let hints = hints(&failure.error, loaded, args, arguments);
    Failure::Call { failure, hints, log: args.log.into() }
}

/// What could be done about a failed call, where that is known.
fn hints(error: &CallError, loaded: &Loaded, args: &RunArgs, arguments: &str) -> Vec<String> {
    let lines = hint::of(loaded, error);
    if !lines.is_empty() {
        return lines;
    }
    if matches!(error, CallError::Rejected(RejectError::NotJson { .. })) && Path::new(&args.input).is_file() {
        return vec![format!("there is a file of this name: did you mean --input @{}?", args.input)];
    }
    if matches!(error, CallError::Tool { code, .. } if code == "not-found") {
        return hint::seen_elsewhere(loaded, arguments);
    }
    Vec::new()
}

fn operation(asked: Option<&str>, operations: &OperationTexts) -> Result<String, Failure> {
    match (asked, operations.iter().as_slice()) {
        (Some(name), _) => Ok(name.to_owned()),
        (None, [only]) => Ok(only.name.clone()),
        (None, several) => {
            let known =
                several.iter().map(|operation| output::one_line(&operation.name)).collect::<Vec<_>>().join(", ");
            Err(Failure::usage(RunError::WhichOperation { known }))
        }
    }
}

/// Nobody proves who runs this program: what its arguments say of that is claims.
fn caller(args: &RunArgs) -> Caller {
    let RunArgs { agent, session, decision, reason, trace, .. } = args;
    Caller::from(Claims {
        agent: agent.clone(),
        session: session.clone(),
        decision: decision.clone(),
        reason: reason.clone(),
        trace: trace.clone(),
    })
}

fn print(answer: &Answer, args: &RunArgs) -> Result<(), Failure> {
    // A line break in JSON is never part of a string.
    let output = answer.output.replace(['\n', '\r'], " ");
    if args.json {
        output::print(&report::answer_json(answer, &output))?;
        return Ok(());
    }
    report::streams(&answer.streams, args.log.into());
    output::print(&format!("{output}\n"))?;
    Ok(())
}

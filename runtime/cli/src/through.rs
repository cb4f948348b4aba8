//! `tollgate run NAME` where a daemon has the ledger: the call is the daemon's, under its policy, by one of its warm workers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use serde_json::{Value, json};
use tollgate::told;
use tollgate_audit::CallId;
use tollgate_client::{Call, Client, ConnectError, Failure as CallFailed, Kind, Remains, Reply};
use tollgate_daemon::Operator;

use super::args::RunArgs;
use super::audit::SavedReceipt;
use super::exit::{Exit, Failure};
use super::given::{self, Given};
use super::interrupt::Interrupted;
use super::{config, load, operator, output, report};
use tollgate_authority::POLICY_NAME;
use tollgate_wasi_proxy::Stdout;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ThroughError {
    #[error("a daemon has this ledger, and no agent of its policy is this user ({uid})")]
    #[diagnostic(help(
        "add `[agents.NAME]` with `is = {{ uid = {uid} }}` to the daemon's policy, or run under a policy of your own: --policy FILE"
    ))]
    NoAgent { uid: u32 },
    #[error("the daemon that has this ledger is ending: it takes no more calls")]
    #[diagnostic(help("try again once its last calls are over; `tollgate status` says how it stands"))]
    Ending,
    #[error("the daemon that has this ledger cannot be asked")]
    #[diagnostic(help("`tollgate status` says how it stands"))]
    NotConnected { source: ConnectError },
    #[error("--stdin is not UTF-8 text, and a call through the daemon takes no other")]
    #[diagnostic(help("run it under a policy of your own: --policy FILE"))]
    Stdin,
}

/// The daemon that a run is a call to: its tool is named, and nothing is given that only a supervisor of its own could heed.
pub(crate) fn daemon_for(args: &RunArgs) -> Result<Option<Operator>, Failure> {
    let RunArgs { tool, ledger: new, built_from, .. } = args;
    let grants = &tool.grants;
    // A daemon calls the current version of a tool: another one is this process's own to run.
    let is_name = |given: &str| !given.contains(['/', '@']) && !given.ends_with(".wasm");
    let is_name = tool.component.to_str().is_some_and(is_name);
    let is_plain = tool.manifest.is_none()
        && grants.policy.is_none()
        && grants.grant.is_empty()
        && grants.on_violation.is_none()
        && built_from.is_none()
        && new.origin.is_none();
    if !is_name || !is_plain {
        return Ok(None);
    }
    // What stands there is obeyed or refused, as without a daemon.
    let found = load::working_folder()?.join(POLICY_NAME);
    if found.symlink_metadata().is_ok() {
        return Ok(None);
    }
    let folder = new.there.folder()?;
    operator::found(&folder, "")
}

/// Makes the call.
pub(crate) fn run(args: &RunArgs, operator: &Operator) -> Result<Exit, Failure> {
    let socket = own_socket(operator)?;
    given::must_not_be_stdout("--receipt", args.receipt.as_deref())?;
    let Given { arguments, stdin } = given::to_tool(&args.input, args.stdin.as_deref())?;
    let places = config::deciding_places(None, &load::working_folder()?);
    let receipt = args.receipt.as_deref().map(|path| SavedReceipt::reserve(path, &places)).transpose()?;
    let client = Client::connect(&socket).map_err(|source| Failure::usage(ThroughError::NotConnected { source }))?;
    let mut call = Call::new(args.tool.component.to_string_lossy()).arguments_text(arguments);
    call.operation.clone_from(&args.op);
    if args.stdin.is_some() {
        call.stdin = Some(String::from_utf8(stdin).map_err(|_not_text| Failure::usage(ThroughError::Stdin))?);
    }
    let RunArgs { agent, session, decision, reason, trace, .. } = args;
    let claims = &mut call.claims;
    (claims.agent, claims.session) = (agent.clone(), session.clone());
    (claims.decision, claims.reason, claims.trace) = (decision.clone(), reason.clone(), trace.clone());
    let answered = wait(&client, call);
    let id = answered.as_ref().map_or_else(|failed| failed.call.as_deref(), |reply| Some(reply.call.as_str()));
    let id: Option<CallId> = id.and_then(|id| id.parse().ok());
    if let Some((file, call)) = receipt.zip(id) {
        keep_receipt(file, call, &args.ledger.there.folder()?, operator)?;
    }
    match answered {
        Ok(reply) => {
            print(&reply, args)?;
            Ok(Exit::Success)
        }
        Err(failed) => Ok(say(&failed, args, operator)),
    }
}

/// The socket of the agent that this user is.
pub(crate) fn own_socket(operator: &Operator) -> Result<PathBuf, Failure> {
    let uid = rustix::process::getuid().as_raw();
    let agent = operator.agent_of(uid).map_err(|source| operator::refused(source, ""))?;
    match agent {
        Some((_agent, socket)) => Ok(socket),
        None if operator.status().is_ok_and(|status| status.ending) => Err(ending()),
        None => Err(Failure::usage(ThroughError::NoAgent { uid })),
    }
}

/// That a daemon has no agents any more since it is about to end.
pub(crate) fn ending() -> Failure {
    Failure::busy(ThroughError::Ending)
}

/// Waits for the answer; a signal withdraws the call.
fn wait(client: &Client, call: Call) -> Result<Reply, CallFailed> {
    let interrupted = Interrupted::cancels();
    let mut invocation = client.start(call);
    loop {
        match invocation.wait_timeout(LOOK_EVERY) {
            Ok(answered) => return answered,
            Err(still) => invocation = still,
        }
        if interrupted.cancel().is_cancelled() {
            invocation.cancel();
        }
    }
}

fn keep_receipt(file: SavedReceipt, call: CallId, folder: &Path, operator: &Operator) -> Result<(), Failure> {
    let index = operator.locate(call).map_err(|source| operator::refused(source, ""))?;
    let index = index.ok_or_else(|| super::audit::no_receipt(call, "the notary does not find its end".into()))?;
    file.prove(folder, index).map_err(|error| super::audit::no_receipt(call, error.into()))
}

fn print(reply: &Reply, args: &RunArgs) -> Result<(), Failure> {
    // A line break in JSON is never part of a string.
    let text = reply.output.replace(['\n', '\r'], " ");
    if args.json {
        let (call, usage) = (json!(reply.call), told::usage(&reply.usage));
        let (stdout, stderr) = (json!(reply.stdout), json!(reply.stderr));
        let log = report::log_json(reply.stderr.as_bytes());
        output::print(&format!(
            "{{\"ok\":true,\"call\":{call},\"output\":{text},\"usage\":{usage},\"stdout\":{stdout},\"stderr\":{stderr},\"log\":{log}}}\n"
        ))?;
        return Ok(());
    }
    report::streams(&streams(&reply.stdout, &reply.stderr), args.log.into());
    output::print(&format!("{text}\n"))?;
    Ok(())
}

fn say(failed: &CallFailed, args: &RunArgs, operator: &Operator) -> Exit {
    let CallFailed { kind, message, call, remains, .. } = failed;
    let Remains { details, stdout, stderr, .. } = &**remains;
    if args.json {
        let mut error = details.clone();
        error.insert("kind".to_owned(), json!(kind.as_str()));
        error.insert("message".to_owned(), json!(message));
        let told = json!({ "ok": false, "call": call, "error": error, "stdout": stdout, "stderr": stderr });
        // The exit code is told even if this is not.
        output::print(&format!("{told}\n")).ok();
    } else {
        report::streams(&streams(stdout, stderr), args.log.into());
        let mut text = format!("error: {}\n", output::one_line(message));
        let more = ["rule", "advice", "help"].map(|key| (key, details.get(key).and_then(Value::as_str)));
        // What helps stands in `tollgate.toml`, of which there may be several: it is the daemon's that is meant.
        let policy = more.iter().any(|(key, value)| *key == "help" && value.is_some());
        let policy = policy.then(|| operator.status().ok()?.policy).flatten();
        let policy = policy.map(|path| format!("{}, which the daemon obeys", path.display()));
        let call = [("policy", policy.as_deref()), ("call", call.as_deref())];
        for (key, value) in more.into_iter().chain(call).filter_map(|(key, value)| Some((key, value?))) {
            text.push_str(&format!("  {key:<10}{}\n", output::one_line(value)));
        }
        output::eprint(&text);
    }
    exit_of(kind)
}

fn streams(stdout: &str, stderr: &str) -> Stdout {
    Stdout { stdout: stdout.as_bytes().to_vec(), stderr: stderr.as_bytes().to_vec() }
}

/// The exit code of a class, as of a call in a process of one's own.
fn exit_of(kind: &Kind) -> Exit {
    match kind {
        Kind::Rejected | Kind::UnknownTool | Kind::Unauthenticated => Exit::Usage,
        // The tool cannot be loaded.
        Kind::Other(kind) if kind == "load" => Exit::Usage,
        Kind::Tool | Kind::Output | Kind::Trap => Exit::Tool,
        Kind::Violation => Exit::Violation,
        Kind::Cap => Exit::Cap,
        Kind::Cancelled => Exit::Cancelled,
        Kind::Busy => Exit::Busy,
        Kind::Worker | Kind::Internal | Kind::Disconnected | Kind::Off | Kind::ApprovalNeeded | Kind::Other(_) | _ => {
            Exit::Internal
        }
    }
}

/// How often is looked whether somebody wants the call withdrawn.
const LOOK_EVERY: Duration = Duration::from_millis(50);

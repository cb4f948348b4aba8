//! `tollgate check`: would this call be allowed, and by which rule.

use std::io;
use std::sync::Arc;

use miette::Diagnostic;
use serde_json::json;
use tollgate::kernel_plan::path_out_of_reach;
use tollgate::told::STEPS;
use tollgate_capability::{
    Access, AddressFamily, Call, CapabilitySet, ClockCall, ContextCall, Decision, EnvCall, FsCall, FsPath, GrantIndex,
    OpenFlags, RandomCall, SocketCall, Stdio, StdioCall, check as decide,
};
use tollgate_wasi_proxy::Preview;

use super::args::{CheckArgs, CheckCall, ToolArgs};
use super::exit::{Exit, Failure};
use super::hint::ONCE;
use super::load::Loaded;
use super::which::which;
use super::{hint, load, output};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum CheckError {
    #[error("`{path}` is below no granted folder, so the tool cannot even name it; granted: {granted}")]
    #[diagnostic(help("grant a folder that holds it: fs.\"GUEST\" = {{ host = \"PATH\", access = [\"read\"] }}"))]
    NoFolder { path: String, granted: String },
    #[error("whether `{path}` would be allowed cannot be told: what stands there cannot be looked at as a run does")]
    #[diagnostic(help("a run may deny it: ask as the user that runs the tool, on the machine that does"))]
    Unseen { path: String, source: io::Error },
}

pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let loaded = loaded(args)?;
    let set = Arc::new(load::intersect(&loaded)?.0.set);
    let call = match call(&set, &args.call) {
        Ok(call) => call,
        Err(error @ CheckError::NoFolder { .. }) => return not_granted(&error, args.json),
        Err(error @ CheckError::Unseen { .. }) => return Err(Failure::usage(error)),
    };
    let lacking = lacking(&set, &args.call);
    let decision = decide(&set, &call);
    let (verdict, rule, reason) = match decision {
        Decision::Allow(rule) => ("allowed", rule.to_string(), None),
        Decision::Deny(denial) => ("denied", denial.missing.to_string(), Some(denial.reason.to_string())),
    };
    let hints = if reason.is_some() { hint::to_allow(&loaded, &rule) } else { Vec::new() };
    let text = if args.json {
        let steps: Vec<&str> = hints.iter().filter(|hint| !hint.starts_with(ONCE)).map(String::as_str).collect();
        let help = (!steps.is_empty()).then(|| steps.join(STEPS));
        format!(
            "{}\n",
            json!({ "verdict": verdict, "rule": rule, "reason": reason, "function": call.function(), "out_of_reach": lacking, "help": help })
        )
    } else {
        let why = reason.as_ref().map(|reason| format!("  why       {reason}\n")).unwrap_or_default();
        let labels = std::iter::once("to allow").chain(std::iter::repeat(""));
        let hints: String = hints.iter().zip(labels).map(|(hint, label)| format!("  {label:<10}{hint}\n")).collect();
        let lacking =
            lacking.map(|lacking| format!("  but       {}\n", output::one_line(&lacking))).unwrap_or_default();
        format!("{verdict}\n  rule      {rule}\n{why}  function  {}\n{lacking}{hints}", call.function())
    };
    output::print(&text)?;
    Ok(match decision {
        Decision::Allow(_) => Exit::Success,
        Decision::Deny(_) => Exit::Violation,
    })
}

/// A manifest is enough to ask about a tool that is not built yet.
fn loaded(args: &CheckArgs) -> Result<Loaded, Failure> {
    if args.tool.extension().is_some_and(|extension| extension == "toml") {
        return load::with_manifest(load::manifest_file(&args.tool)?, &args.grants);
    }
    let which = which(&ToolArgs { component: args.tool.clone(), manifest: None, grants: args.grants.clone() })?;
    let bytes = load::component(&which.args.component)?;
    load::load(&which, &bytes)
}

/// Why the tool's process will not be able to do it, whatever the policy says: it has no capabilities.
fn lacking(set: &CapabilitySet, asked: &CheckCall) -> Option<String> {
    let (right, path) = match asked {
        CheckCall::Read { path } => (Access::Read, path),
        CheckCall::Write { path } => (Access::Write, path),
        CheckCall::Create { path } => (Access::Create, path),
        CheckCall::List { path } => (Access::List, path),
        CheckCall::Delete { path } => (Access::Delete, path),
        CheckCall::Stat { path } => (Access::Metadata, path),
        CheckCall::Env
        | CheckCall::Args
        | CheckCall::Random { .. }
        | CheckCall::WallClock
        | CheckCall::MonotonicClock
        | CheckCall::Context
        | CheckCall::Stdio { .. }
        | CheckCall::Tcp
        | CheckCall::Udp
        | CheckCall::Resolve { .. } => return None,
    };
    let path = located(set, path).ok()?;
    let folder = set.fs.get(usize::from(path.grant.0))?;
    path_out_of_reach(&folder.host.join(path.resolved().ok()?), right).map(|lacking| lacking.to_string())
}

fn not_granted(error: &CheckError, json: bool) -> Result<Exit, Failure> {
    let text = if json {
        format!("{}\n", json!({ "verdict": "denied", "rule": "fs", "reason": error.to_string(), "function": null }))
    } else {
        let help = error.help().map(|help| help.to_string()).unwrap_or_default();
        let error = output::one_line(&error.to_string());
        format!("denied\n  rule      fs\n  why       {error}\n  to allow  {help}\n")
    };
    output::print(&text)?;
    Ok(Exit::Violation)
}

fn call(set: &Arc<CapabilitySet>, asked: &CheckCall) -> Result<Call, CheckError> {
    Ok(match asked {
        CheckCall::Read { path } => open(set, path, OpenFlags { read: true, follow: true, ..OpenFlags::default() })?,
        CheckCall::Write { path } => open(set, path, OpenFlags { write: true, follow: true, ..OpenFlags::default() })?,
        CheckCall::Create { path } => {
            let flags = OpenFlags { create: true, exclusive: true, write: true, ..OpenFlags::default() };
            open(set, path, flags)?
        }
        CheckCall::List { path } => {
            open(set, path, OpenFlags { directory: true, read: true, follow: true, ..OpenFlags::default() })?
        }
        CheckCall::Delete { path } => {
            let (path, asked) = (located(set, path)?, path);
            let target = Preview::of(set).name(&path).map_err(|source| unseen(asked, source))?;
            Call::Fs(FsCall::UnlinkFileAt { path, target })
        }
        CheckCall::Stat { path } => {
            let (path, asked) = (located(set, path)?, path);
            let target = Preview::of(set).target(&path, true).map_err(|source| unseen(asked, source))?;
            Call::Fs(FsCall::StatAt { path, target })
        }
        CheckCall::Env => Call::Env(EnvCall::GetEnvironment),
        CheckCall::Args => Call::Env(EnvCall::GetArguments),
        CheckCall::Random { bytes } => Call::Random(RandomCall::RandomBytes { bytes: *bytes }),
        CheckCall::WallClock => Call::Clock(ClockCall::WallClock),
        CheckCall::MonotonicClock => Call::Clock(ClockCall::MonotonicClock),
        CheckCall::Context => Call::Context(ContextCall::GetContext),
        CheckCall::Stdio { stream } => match stdio(stream) {
            Stdio::Stdin => Call::Stdio(StdioCall::get(Stdio::Stdin)),
            // Any tool may have the stream; what is judged is a write.
            stream @ (Stdio::Stdout | Stdio::Stderr) => {
                Call::Stdio(StdioCall::WriteStdio { stream, bytes: 1, left: set.limits.stdio })
            }
        },
        CheckCall::Tcp => Call::Socket(SocketCall::CreateTcpSocket { family: AddressFamily::Ipv4 }),
        CheckCall::Udp => Call::Socket(SocketCall::CreateUdpSocket { family: AddressFamily::Ipv4 }),
        CheckCall::Resolve { name } => Call::Socket(SocketCall::ResolveAddresses { name: name.clone() }),
    })
}

fn stdio(stream: &str) -> Stdio {
    match stream {
        "stdin" => Stdio::Stdin,
        "stdout" => Stdio::Stdout,
        _stderr => Stdio::Stderr,
    }
}

fn open(set: &Arc<CapabilitySet>, asked: &str, flags: OpenFlags) -> Result<Call, CheckError> {
    let path = located(set, asked)?;
    let target = Preview::of(set).target(&path, flags.follow).map_err(|source| unseen(asked, source))?;
    let quota = set.fs.get(usize::from(path.grant.0)).map_or(0, |fs| fs.write_quota);
    let quota_left = if flags.create { quota } else { 0 };
    Ok(Call::Fs(FsCall::OpenAt { path, flags, target, handles_open: 0, quota_left }))
}

fn unseen(path: &str, source: io::Error) -> CheckError {
    CheckError::Unseen { path: output::one_line(path), source }
}

/// The folder that holds a guest path, as a guest's libc would find it.
fn located(set: &CapabilitySet, path: &str) -> Result<FsPath, CheckError> {
    let holder = |guest: &str| -> Option<String> {
        // A tool starts at the root: a relative path means the same as an absolute one.
        let (guest, path) = (guest.trim_matches('/'), path.trim_start_matches('/'));
        let rest = path.strip_prefix(guest)?;
        if !guest.is_empty() && !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let rest = rest.trim_start_matches('/');
        Some(if rest.is_empty() { ".".to_owned() } else { rest.to_owned() })
    };
    let held = set.fs.iter().enumerate().filter_map(|(place, fs)| Some((place, fs, holder(&fs.guest)?)));
    // Of folders inside one another, a libc takes the innermost.
    let Some((place, _, asked)) = held.max_by_key(|(_, fs, _)| fs.guest.len()) else {
        let granted = match set.fs.as_slice() {
            [] => "none".to_owned(),
            some => some.iter().map(|fs| fs.guest.as_str()).collect::<Vec<_>>().join(", "),
        };
        return Err(CheckError::NoFolder { path: path.to_owned(), granted });
    };
    Ok(FsPath::new(GrantIndex(u16::try_from(place).unwrap_or(u16::MAX)), "", asked))
}

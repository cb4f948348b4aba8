//! `tollgate serve`: the daemon, and what the operator tells it; `tollgate status`.

use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use miette::Diagnostic;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::raise;
use tollgate::ProcessCommand;
use tollgate::service::{Config, OpenError};
use tollgate::supervisor::SupervisorError;
use tollgate_authority::PolicyFile;
use tollgate_config::{AgentName, Proof};
use tollgate_daemon::sockets::{SocketError, folder_of};
use tollgate_daemon::tokens::{TOKENS_FILE, TokenError, Tokens};
use tollgate_daemon::{Daemon, DaemonConfig, DaemonError, Status};

use super::args::{ServeArgs, ServeCommand, StatusArgs, TokenCommand};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::operator::{self, RESTART_HELP, not_reloaded, operator, refused};
use super::{config, given, ledger, output, progress};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ServeError {
    #[error("there is no place for {what}: {}", config::no_place("TOLLGATE_HOME"))]
    #[diagnostic(help("set TOLLGATE_HOME to a folder"))]
    NoPlace { what: &'static str },
    #[error("the daemon does not start")]
    #[diagnostic(help("nothing is served; {help}"))]
    NotStarted { help: &'static str, source: DaemonError },
    #[error("another process has the ledger in `{}`", folder.display())]
    #[diagnostic(help("nothing is served; {help}, or give another ledger with --ledger"))]
    InUse { folder: PathBuf, help: &'static str, source: SupervisorError },
    #[error("the daemon has ended, but its record may not be whole")]
    #[diagnostic(help("`tollgate audit verify` says what the ledger holds"))]
    NotFinished { source: tollgate::notary::NotaryFailure },
    #[error("the tokens of agents cannot be used")]
    #[diagnostic(help("{help}"))]
    Tokens { help: String, source: TokenError },
    #[error("`{given}` is no name of an agent")]
    #[diagnostic(help("give the name that the policy has under [agents]"))]
    NoAgent { given: String, source: tollgate_config::NameError },
}

pub(crate) fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    match &args.what {
        None => daemon(args),
        Some(ServeCommand::Reload(there)) => {
            let by = ledger::user();
            operator(&ledger::folder(there)?)?.reload(&by).map_err(not_reloaded)?;
            output::print("the policy was read again, and holds from here on\n")?;
            Ok(Exit::Success)
        }
        Some(ServeCommand::Stop(there)) => {
            operator(&ledger::folder(there)?)?.stop().map_err(|source| refused(source, ""))?;
            output::print("the daemon ends once the calls under way are over\n")?;
            Ok(Exit::Success)
        }
        Some(ServeCommand::Token(token)) => tokens(token),
    }
}

fn daemon(args: &ServeArgs) -> Result<Exit, Failure> {
    if args.detached {
        tollgate_system::detach().map_err(Failure::internal)?;
    }
    let ledger = ledger::folder(&args.ledger)?;
    let policy = policy(args)?;
    let given = super::systemd::given()?;
    let (home, tokens) = home()?;
    let place = |what| move || Failure::usage(ServeError::NoPlace { what });
    let tools = config::tools_folder().ok_or_else(place("tools"))?;
    let key = config::artifact_key().ok_or_else(place("the key of compiled tools"))?;
    ledger::say_if_begun_beside(&ledger);
    raise_open_files();
    // The processes of this daemon are of this very program, also when another one has its name by then.
    let (_open, program) = own_program()?;
    let folder = folder_of(&absolute(&ledger)?, config::runtime_folder().as_deref(), &home);
    let places = config::deciding_places(policy.as_deref(), Path::new("/"));
    let tollgate = Config {
        tools,
        key,
        ledger: absolute(&ledger)?,
        origin: args.origin.clone(),
        policy,
        trust: config::trust_store().map(|store| store.folder().to_owned()),
        program: program.clone(),
        software: ledger::SOFTWARE.to_owned(),
        by: ledger::user(),
        places,
        variable: config::host_variable,
    };
    let gateway = ProcessCommand::new(program, ["gateway"]);
    let tell: Arc<dyn Fn(&str) + Send + Sync> =
        Arc::new(|line| output::eprint(&format!("{}\n", output::one_line(line))));
    // Whoever has the daemon hears it as any other signal.
    let end = Arc::new(|| raise(SIGTERM).unwrap_or_default());
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(Failure::internal)?;
    let config = DaemonConfig { tollgate, folder, tokens, gateway, given, tell, end };
    let daemon = progress::during("opening the ledger", || Daemon::start(config))
        .map_err(|source| not_started(&ledger, source))?;
    say_ready(&daemon, args.json)?;
    super::systemd::ready();
    for signal in signals.forever() {
        if signal == SIGHUP {
            super::systemd::reloading();
            // What is wrong with it was told.
            daemon.reload(&format!("{}, by SIGHUP", ledger::user())).ok();
            super::systemd::ready();
        } else {
            break;
        }
    }
    super::systemd::stopping();
    output::eprint("ending: calls under way are waited for; once more ends tollgate at once\n");
    // The second time nobody is patient.
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever().filter(|signal| *signal != SIGHUP) {
                signal_hook::low_level::emulate_default_handler(signal).unwrap_or_default();
            }
        })
        .ok();
    let finished = daemon.stop();
    finished.map_err(|source| Failure::internal_as(ServeError::NotFinished { source }))?;
    Ok(Exit::Success)
}

/// As many files as may be open: each connection is one, and each worker some.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // The lower one serves too, for fewer clients.
    setrlimit(Resource::Nofile, limit).ok();
}

/// The policy that is given, or else that of the home. None is looked for in the working folder.
fn policy(args: &ServeArgs) -> Result<Option<PathBuf>, Failure> {
    if let Some(given) = &args.policy {
        given::must_be_a_file("--policy", Some(given))?;
        return absolute(given).map(Some);
    }
    Ok(config::home_policy().filter(|path| path.exists()))
}

fn say_ready(daemon: &Daemon, json: bool) -> Result<(), Failure> {
    let places = daemon.places();
    if json {
        let agents = places
            .iter()
            .map(|(agent, (socket, port))| json!({ "agent": agent, "socket": socket.to_string_lossy(), "port": port }));
        let ready = json!({ "ok": true, "pid": std::process::id(), "agents": agents.collect::<Vec<_>>() });
        output::print(&format!("{ready}\n"))?;
        return Ok(());
    }
    for (agent, (socket, port)) in places {
        let port = and_port(port);
        output::eprint(&format!(
            "the agent {agent} is served at {}{port}\n",
            output::one_line(&socket.display().to_string())
        ));
    }
    Ok(())
}

/// This program's own open file, and a path to it that holds while this process has it open.
fn own_program() -> Result<(std::fs::File, PathBuf), Failure> {
    let plain = config::this_program().map_err(Failure::internal)?;
    let open = std::fs::File::open("/proc/self/exe").or_else(|_no_proc| std::fs::File::open(&plain));
    let open = open.map_err(Failure::internal)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
    let path = if path.exists() { path } else { plain };
    Ok((open, path))
}

fn not_started(folder: &Path, source: DaemonError) -> Failure {
    match source {
        DaemonError::Open(OpenError::Supervisor(source)) if ledger::in_use(&source).is_some() => {
            let is_daemon = tollgate_audit::lock::holder(folder).is_some_and(|holder| holder.daemon.is_some());
            let help = if is_daemon {
                "a ledger has one daemon: `tollgate status` says how that one stands, and `tollgate serve stop` ends it"
            } else {
                "start the daemon once that process has ended"
            };
            Failure::usage(ServeError::InUse { folder: folder.to_owned(), help, source })
        }
        DaemonError::Open(OpenError::Supervisor(failure)) => ledger::no_supervisor(folder, failure),
        DaemonError::Open(OpenError::Policy(error)) => Failure::usage(*error),
        source @ DaemonError::Open(OpenError::Engine(_)) => {
            Failure::internal_as(ServeError::NotStarted { help: REASON_ABOVE, source })
        }
        source @ DaemonError::Socket(SocketError::Long { .. }) => {
            Failure::usage(ServeError::NotStarted { help: "set XDG_RUNTIME_DIR to a folder with a short path", source })
        }
        source @ DaemonError::Given { .. } => Failure::usage(ServeError::NotStarted {
            help: "in the `.socket` unit, `FileDescriptorName=` names an agent; without agents in the policy it is `local`",
            source,
        }),
        source @ (DaemonError::Open(_) | DaemonError::Socket(_) | DaemonError::Io(_)) => {
            Failure::usage(ServeError::NotStarted { help: REASON_ABOVE, source })
        }
    }
}

/// The folder in which sockets stand without `XDG_RUNTIME_DIR`, and the file of tokens.
fn home() -> Result<(PathBuf, PathBuf), Failure> {
    let no_place = |what| move || Failure::usage(ServeError::NoPlace { what });
    let home = config::state_folder().ok_or_else(no_place("sockets and tokens"))?;
    Ok((home.clone(), home.join(TOKENS_FILE)))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::internal)
}

fn tokens(command: &TokenCommand) -> Result<Exit, Failure> {
    let tokens = Tokens::at(home()?.1);
    let failed = |source| Failure::usage(ServeError::Tokens { help: help_for_tokens(&source), source });
    let agent = |given: &String| -> Result<AgentName, Failure> {
        given.parse().map_err(|source| Failure::usage(ServeError::NoAgent { given: output::one_line(given), source }))
    };
    match command {
        TokenCommand::Add { agent: name } => {
            let agent = agent(name)?;
            let token = tokens.add(&agent).map_err(failed)?;
            if let Some(why) = of_no_use_yet(&agent) {
                output::eprint(&format!("warning: {}\n", output::one_line(&why)));
            }
            output::eprint("this is the only time that the token is shown\n");
            output::print(&format!("{token}\n"))?;
        }
        TokenCommand::List => {
            let lines = tokens.hashes().map_err(failed)?.into_iter().flat_map(|(agent, hashes)| {
                let line = move |hash: String| format!("{agent}  {}\n", hash.get(..SHOWN).unwrap_or(&hash));
                hashes.into_iter().map(line)
            });
            output::print(&lines.collect::<String>())?;
        }
        TokenCommand::Remove { agent: name, start } => {
            let removed = tokens.remove(&agent(name)?, start.as_deref().unwrap_or_default()).map_err(failed)?;
            // A daemon that is not told looks at the file itself, within seconds.
            let daemon = config::ledger_folder().and_then(|ledger| operator::running(&ledger)?.ok());
            daemon.filter(|_| removed > 0).map(|daemon| daemon.tokens_removed().ok());
            output::print(&format!("removed {removed}\n"))?;
        }
    }
    Ok(Exit::Success)
}

/// What helps depends on the cause: to make the tokens anew ends those of every agent.
fn help_for_tokens(error: &TokenError) -> String {
    match error {
        TokenError::File { path, source } => {
            let place = path.parent().unwrap_or(path).display();
            format!("the tokens are as they were; {}: `{place}`", advice(source, Place::TOKENS))
        }
        TokenError::Damaged { .. } => {
            "the file is this program's own: look who could change it, or remove it and make the \
                                       tokens of all agents anew"
                .to_owned()
        }
        TokenError::OfOthers { path, .. } => format!(
            "look whether it has tokens that you did not make (`tollgate serve token list`, once it is yours alone: `chmod 600 {}`); \
             if so, remove it and make the tokens of all agents anew",
            path.display()
        ),
        TokenError::TooMany { agent } => format!(
            "`tollgate serve token list` shows the start of each, by which `tollgate serve token remove {agent} --start START` \
             removes one"
        ),
        TokenError::Random => "the system gives no randomness: look at its log".to_owned(),
    }
}

/// How an agent is proven, if it is named, by the policy of the daemon that has this user's ledger, else by that of the home; and which
/// policy that is.
pub(crate) fn proof_of(agent: &AgentName) -> Option<(PathBuf, Option<Proof>)> {
    let running = config::ledger_folder().and_then(|ledger| operator::running(&ledger)?.ok());
    let path = match running.and_then(|daemon| daemon.status().ok()) {
        Some(status) => status.policy?,
        None => config::home_policy().filter(|path| path.exists())?,
    };
    // What is wrong with it is told where it is used.
    let policy = PolicyFile::given(&path, Path::new("/")).ok()?.policy;
    Some((path, policy.deployment.agents.get(agent).map(|named| named.is.clone())))
}

/// Why a token opens nothing yet.
fn of_no_use_yet(agent: &AgentName) -> Option<String> {
    let (path, proof) = proof_of(agent)?;
    let path = path.display();
    match proof {
        None => {
            Some(format!("the policy `{path}` names no agent `{agent}`: nobody is heard by this token before it does"))
        }
        Some(proof) if proof != Proof::Token => Some(format!(
            "the policy `{path}` does not prove the agent `{agent}` by a token: `is = {{ token = true }}` would"
        )),
        Some(_) => None,
    }
}

const REASON_ABOVE: &str = "the reason stands above";

/// Digits of a token's SHA-256 that are shown.
const SHOWN: usize = 16;

pub(crate) fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let folder = ledger::folder(&args.ledger)?;
    if args.socket {
        let socket = super::through::own_socket(&operator(&folder)?)?;
        output::print(&format!("{}\n", output::one_line(&socket.display().to_string())))?;
        return Ok(Exit::Success);
    }
    let status = operator(&folder)?.status().map_err(|source| refused(source, RESTART_HELP))?;
    if args.json {
        let json = serde_json::to_string(&status).map_err(Failure::internal)?;
        output::print(&format!("{json}\n"))?;
    } else {
        output::print(&text(&status))?;
    }
    Ok(Exit::Success)
}

fn text(status: &Status) -> String {
    let path = |path: &Path| output::one_line(&path.display().to_string());
    let mut text = format!(
        "process   {} (tollgate {}, since {})\nledger    {}\npolicy    {}\n",
        status.pid,
        output::one_line(&status.version),
        age(status.uptime_s),
        path(&status.ledger),
        status.policy.as_deref().map_or_else(|| "none".to_owned(), path),
    );
    let ready = if status.ready {
        "yes".to_owned()
    } else {
        format!("no: {}", output::one_line(&status.why_not_ready.join("; ")))
    };
    text.push_str(&format!("ready     {ready}\nworkers   {}\n", status.workers));
    if let Some(open) = status.descriptors_open {
        let most = status.descriptors_limit.map_or_else(|| "any number".to_owned(), |most| most.to_string());
        text.push_str(&format!("files     {open} open, of {most}\n"));
    }
    for agent in &status.agents {
        text.push_str(&format!(
            "agent     {}: {} connections, {} calls, {} waiting, at {}{}\n",
            output::one_line(&agent.agent),
            agent.connections,
            agent.running,
            agent.waiting.map_or_else(|| "?".to_owned(), |waiting| waiting.to_string()),
            path(&agent.socket),
            and_port(agent.port)
        ));
        if !agent.not_installed.is_empty() {
            text.push_str(&format!("          not installed: {}\n", output::one_line(&agent.not_installed.join(", "))));
        }
        if !agent.to_move.is_empty() {
            let older = output::one_line(&agent.to_move.join(", "));
            text.push_str(&format!("          of an older version, moved by `tollgate doctor --fix`: {older}\n"));
        }
    }
    text
}

fn and_port(port: Option<u16>) -> String {
    port.map(|port| format!(" and 127.0.0.1:{port}")).unwrap_or_default()
}

fn age(seconds: u64) -> String {
    let span = Duration::from_secs(seconds);
    match span.as_secs() {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _longer => format!("{} h", seconds / 3600),
    }
}

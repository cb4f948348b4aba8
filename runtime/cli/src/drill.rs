//! `tollgate drill`: native attacks from inside sealed workers and gateways, and what stopped each.

use std::ffi::OsString;
use std::fs::{self, DirEntry, File, Metadata};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use miette::Diagnostic;
use serde_json::{Value, json};
use tollgate_audit::{Kind, VerifyError};

use super::args::{DrillArgs, ToolArgs};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::ledger::{own_processes, user};
use super::running::Running;
use super::which::which;
use super::{compiled, config, load, output, report, usage};
use tollgate::ProcessCommand;
use tollgate::engine::Engine;
use tollgate::error::LoadError;
use tollgate::loading::Provenance;
use tollgate::notary::NotaryFailure;
use tollgate::supervisor::{Supervisor, SupervisorError, ToolSpec};
use tollgate::surroundings::survive_size_limit;
use tollgate::worker::{ThreadKind, WorkerRole};
use tollgate_attacks::{
    Attack, DrillError, DrillOrder, Field, Gateways, Group, Scene, Stop, Target, Verdict, attack, attacks,
};
use tollgate_authority::files;
use tollgate_authority::{exposed_to, has_other_name};
use tollgate_gateway::GatewayRole;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum DrillFailure {
    #[error("there is no attack `{name}`")]
    #[diagnostic(help("`tollgate drill --list` prints them all"))]
    Unknown { name: String },
    #[error("files for the drill cannot be made")]
    #[diagnostic(help("{help}"))]
    Scene { help: String, source: std::io::Error },
    #[error("the drill cannot go on")]
    #[diagnostic(help("`tollgate doctor` says what this machine's kernel can enforce"))]
    Worker { source: LoadError },
    #[error("a gateway cannot be drilled")]
    #[diagnostic(help("`tollgate doctor` says what this machine's kernel can enforce"))]
    Gateway { source: std::io::Error },
    #[error("this program's own path is not known")]
    NoProgram { source: std::io::Error },
    #[error("`{}`, which makes the attacks, cannot be started", program.display())]
    #[diagnostic(help("it stands beside `tollgate`, where `cargo install` puts both: install both again"))]
    NotBeside { program: PathBuf, source: std::io::Error },
    #[error("`{}`, which would run unsealed, is not run: {why}", program.display())]
    #[diagnostic(help(
        "nothing was done; look at it, then install it again beside `tollgate`, as this user or as root"
    ))]
    Exposed { program: PathBuf, why: String },
    #[error("no notary keeps the drill's ledger")]
    Notary { source: SupervisorError },
    #[error("the drill's ledger is not whole")]
    NotFinished { source: NotaryFailure },
    #[error("the drill's ledger cannot be verified")]
    NotVerified { source: VerifyError },
    #[error("the drill's ledger does not verify: {findings}")]
    #[diagnostic(help("an attack has changed what was recorded: do not run tools on this machine"))]
    Changed { findings: String },
}

/// What came of one attack on one thread.
#[derive(Debug)]
struct Line {
    group: Group,
    attack: &'static Attack,
    ground: &'static str,
    thread: ThreadKind,
    stop: Stop,
    verdict: Verdict,
}

/// Goes on as `tollgate-drill`, which stands beside this program and has the attacks. The arguments are sound.
#[allow(clippy::disallowed_methods, reason = "this process becomes the program of the drill")]
pub(super) fn become_drill() -> Failure {
    let program = match config::drill_program() {
        Ok(program) => program,
        Err(source) => return Failure::internal_as(DrillFailure::NoProgram { source }),
    };
    // What was looked at is what runs, whatever gets the name in between.
    let file = match files::open(&program) {
        Ok(file) => file,
        Err(source) => return Failure::usage(DrillFailure::NotBeside { program, source }),
    };
    if let Some(why) = exposed(&program, &file) {
        return Failure::usage(DrillFailure::Exposed { program, why });
    }
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    let source = Command::new(opened).args(std::env::args_os().skip(2)).exec();
    Failure::usage(DrillFailure::NotBeside { program, source })
}

/// Why somebody else may have written this file, if somebody may have.
fn exposed(program: &Path, file: &File) -> Option<String> {
    let (Ok(metadata), Ok(exposed)) = (file.metadata(), exposed_to(file)) else {
        return Some("it cannot be looked at".to_owned());
    };
    if let Some(others) = exposed {
        return Some(others.to_string());
    }
    (has_other_name(&metadata) && metadata.nlink() > names_of(program, &metadata))
        .then(|| "it has another name somewhere (a hard link), by which a tool may have changed it".to_owned())
}

/// How many names of this file are beside the program, and where `cargo` has linked it from. No grant lets a tool change those.
fn names_of(program: &Path, file: &Metadata) -> u64 {
    let Ok(program) = program.canonicalize() else { return 0 };
    let is_name = |entry: &DirEntry| {
        entry.metadata().is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (file.dev(), file.ino()))
    };
    let beside = program.parent().map(fs::read_dir).into_iter().flatten();
    let built = fs::read_dir(program.with_file_name(config::BUILT));
    beside.chain(built).flatten().flatten().filter(is_name).count() as u64
}

/// The command line of `tollgate-drill`: that of `tollgate drill`, and the process of a worker that attacks.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let is_attacker = args.get(1).is_some_and(|first| first == ATTACKER);
    let (json, done) = if is_attacker {
        match Attacker::try_parse() {
            Ok(attacker) => (false, attack_as(&attacker)),
            Err(error) => return usage(&error),
        }
    } else {
        survive_size_limit();
        match CommandLine::try_parse() {
            Ok(line) => (line.args.json, config::must_be_usable().and_then(|()| drill(&line.args))),
            Err(error) => return usage(&error),
        }
    };
    done.unwrap_or_else(|failure| report::failure(&failure, json)).into()
}

#[derive(Debug, Parser)]
#[command(name = "tollgate drill", bin_name = "tollgate drill")]
struct CommandLine {
    #[command(flatten)]
    args: DrillArgs,
}

/// What a process that attacks is told.
#[derive(Debug, Parser)]
struct Attacker {
    /// [`ATTACKER`].
    #[arg(long, required = true)]
    as_attacker: bool,
    /// Whether it is a gateway, and no worker.
    #[arg(long)]
    as_gateway: bool,
    /// The process that started it.
    #[arg(long)]
    supervisor: u32,
    /// The attack, in JSON.
    #[arg(long)]
    order: String,
}

/// Serves as a worker or a gateway that was started for an attack.
#[allow(unsafe_code, reason = "both close every file that they were not handed")]
fn attack_as(attacker: &Attacker) -> Result<Exit, Failure> {
    let order: DrillOrder = serde_json::from_str(&attacker.order).map_err(Failure::internal)?;
    if attacker.as_gateway {
        let role = GatewayRole { supervisor: attacker.supervisor };
        // SAFETY: as below.
        unsafe { tollgate_gateway::serve_and(&role, || order.after_gateway_sealed()) }.map_err(Failure::internal)?;
        return Ok(Exit::Success);
    }
    // SAFETY: this process does nothing else: it has opened no file before, and ends afterwards.
    unsafe { tollgate::worker::serve_and(&WorkerRole { supervisor: attacker.supervisor }, order) }
        .map_err(Failure::internal)?;
    Ok(Exit::Success)
}

/// The first argument of such a process: no tool can be called so, and `tollgate drill` does not know it.
const ATTACKER: &str = "--as-attacker";

/// The second one of a gateway.
const AS_GATEWAY: &str = "--as-gateway";

fn drill(args: &DrillArgs) -> Result<Exit, Failure> {
    let chosen = chosen(args)?;
    if args.list {
        return list(&chosen);
    }
    let mut scene = Scene::new().map_err(no_scene)?;
    let (supervisor, targets) = targets(args, &mut scene)?;
    let mut lines = Vec::new();
    for (ground, target) in targets {
        if !args.json {
            output::print(&format!("{ground}:\n"))?;
        }
        for (group, attack) in &chosen {
            let made = make(target.as_ref(), &mut scene, *group, attack, ground, &args.thread)?;
            if !args.json {
                output::print(&text(&made))?;
            }
            lines.extend(made);
        }
    }
    supervisor.finish().map_err(|source| Failure::internal_as(DrillFailure::NotFinished { source }))?;
    let recorded = verify(scene.ledger())?;
    scene.close().map_err(no_scene)?;
    let stopped = lines.iter().filter(|line| line.verdict.is_stopped()).count();
    output::print(&if args.json { as_json(&lines, stopped, recorded) } else { summary(&lines, stopped, recorded) })?;
    Ok(if stopped == lines.len() { Exit::Success } else { Exit::Internal })
}

/// The attacks that are wanted: all, if none is named.
fn chosen(args: &DrillArgs) -> Result<Vec<(Group, &'static Attack)>, Failure> {
    if let Some(unknown) = args.attack.iter().find(|name| attack(name).is_none()) {
        return Err(Failure::usage(DrillFailure::Unknown { name: output::one_line(unknown) }));
    }
    let is_wanted = |attack: &Attack| args.attack.is_empty() || args.attack.iter().any(|name| name == attack.name);
    Ok(attacks().filter(|(_, attack)| is_wanted(attack)).collect())
}

fn list(chosen: &[(Group, &'static Attack)]) -> Result<Exit, Failure> {
    let line =
        |(group, attack): &(Group, &Attack)| format!("{:<11}{:<28}{}\n", group.as_str(), attack.name, attack.what);
    output::print(&chosen.iter().map(line).collect::<String>())?;
    Ok(Exit::Success)
}

type Targets = Vec<(&'static str, Box<dyn Target>)>;

/// The supervisor, and in which processes attacks are made, by what they are sealed for.
fn targets(args: &DrillArgs, scene: &mut Scene) -> Result<(Supervisor, Targets), Failure> {
    // This program itself, whatever has its name by now.
    let attackers = ProcessCommand::new("/proc/self/exe", [ATTACKER]);
    let Some(component) = &args.component else {
        let supervisor = start_supervisor(scene, Running::default())?;
        let bare = Field::bare(&supervisor, &attackers).map_err(failed)?;
        let folder = Field::with_folder(&supervisor, &attackers, scene).map_err(failed)?;
        let mut gateways = attackers;
        gateways.arguments.push(AS_GATEWAY.into());
        let targets: Targets = vec![
            ("nothing granted", Box::new(bare)),
            ("a folder granted with every right", Box::new(folder)),
            ("a gateway, which parses what clients of a daemon send", Box::new(Gateways::new(&gateways))),
        ];
        return Ok((supervisor, targets));
    };
    let (manifest, grants) = (args.manifest.clone(), args.grants.clone());
    let which = which(&ToolArgs { component: component.clone(), manifest, grants })?;
    let bytes = load::component(&which.args.component)?;
    let loaded = load::load(&which, &bytes)?;
    let set = load::intersect(&loaded)?.0.set;
    let engine = Engine::new(1).map_err(Failure::internal)?;
    let artifact = compiled::artifact(&which, &engine, &bytes, loaded.running.deployment.compile)?;
    let supervisor = start_supervisor(scene, loaded.running.clone())?;
    let by = user();
    let (manifest, grant, declared) = (&loaded.manifest_text, &loaded.grant_text, Some(loaded.declared.as_str()));
    let provenance = Provenance { manifest, grant, by: &by, declared };
    let spec = ToolSpec::new(artifact, &loaded.manifest, set, provenance);
    let field = Field::of_tool(&supervisor, &attackers, scene, spec).map_err(failed)?;
    let ground = "as granted to the tool, with a folder of the drill in place of each";
    Ok((supervisor, vec![(ground, Box::new(field))]))
}

fn start_supervisor(scene: &mut Scene, running: Running) -> Result<Supervisor, Failure> {
    let (notary, settings) = own_processes(scene.ledger(), None, running)?;
    let supervisor = Supervisor::start(notary, scene.ledger(), settings)
        .map_err(|source| Failure::internal_as(DrillFailure::Notary { source }))?;
    scene.set_notary(supervisor.notary().pid());
    Ok(supervisor)
}

fn make(
    target: &dyn Target,
    scene: &mut Scene,
    group: Group,
    attack: &'static Attack,
    ground: &'static str,
    threads: &[String],
) -> Result<Vec<Line>, Failure> {
    let Some(stop) = target.stop(attack) else { return Ok(Vec::new()) };
    let is_wanted = |kind: &ThreadKind| threads.is_empty() || threads.iter().any(|name| name == kind.as_str());
    target
        .threads()
        .iter()
        .copied()
        .filter(is_wanted)
        .map(|thread| {
            let verdict = target.make(scene, attack, stop, thread).map_err(failed)?;
            Ok(Line { group, attack, ground, thread, stop, verdict })
        })
        .collect()
}

/// One line for all threads, if they agree.
fn text(lines: &[Line]) -> String {
    let failed: Vec<&Line> = lines.iter().filter(|line| !line.verdict.is_stopped()).collect();
    let shown = if failed.is_empty() { lines.iter().take(1).collect() } else { failed };
    shown.into_iter().map(one_line).collect()
}

fn one_line(line: &Line) -> String {
    let Attack { name, what, .. } = line.attack;
    let thread = line.thread.as_str();
    match &line.verdict {
        Verdict::Stopped(how) => format!("ok       {name:<26} {what:<72} {}\n", output::one_line(how)),
        Verdict::Escaped(how) => format!("ESCAPED  {name:<26} {what:<72} {thread}: {}\n", output::one_line(how)),
        Verdict::Otherwise(how) => format!("OTHER    {name:<26} {what:<72} {thread}: {}\n", output::one_line(how)),
    }
}

/// What the ledger holds of blocked calls.
#[derive(Clone, Copy)]
struct Recorded {
    /// By the workers that made them; what a gateway is refused, nobody is told.
    blocked_calls: u64,
    /// By the kernel, where the notary may listen to its audit.
    kernel_records: u64,
}

/// What the ledger holds, if it verifies.
fn verify(ledger: &Path) -> Result<Recorded, Failure> {
    let report = tollgate_audit::verify(ledger, None)
        .map_err(|source| Failure::internal_as(DrillFailure::NotVerified { source }))?;
    if report.findings.is_empty() {
        let (blocked_calls, kernel_records) = (report.count(Kind::BlockedCall), report.count(Kind::KernelRecord));
        return Ok(Recorded { blocked_calls, kernel_records });
    }
    let findings = report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(Failure::internal_as(DrillFailure::Changed { findings: output::one_line(&findings) }))
}

fn summary(lines: &[Line], stopped: usize, recorded: Recorded) -> String {
    let distinct = |keys: Vec<String>| keys.into_iter().collect::<std::collections::BTreeSet<_>>().len();
    let attacks = distinct(lines.iter().map(|line| line.attack.name.to_owned()).collect());
    let threads = distinct(lines.iter().map(|line| line.thread.as_str().to_owned()).collect());
    let made = lines.len();
    let Recorded { blocked_calls, kernel_records } = recorded;
    format!(
        "drill: {attacks} attacks on {threads} kinds of thread: {stopped} of {made} stopped by what should stop them; \
         {blocked_calls} blocked calls in the ledger, which verifies, and {kernel_records} records of the kernel beside them\n"
    )
}

fn as_json(lines: &[Line], stopped: usize, recorded: Recorded) -> String {
    let attacks: Vec<Value> = lines.iter().map(line_as_json).collect();
    let whole = json!({
        "made": lines.len(),
        "stopped": stopped,
        "blocked_calls_recorded": recorded.blocked_calls,
        "kernel_records": recorded.kernel_records,
        "attacks": attacks,
    });
    format!("{whole}\n")
}

fn line_as_json(line: &Line) -> Value {
    let (verdict, how) = match &line.verdict {
        Verdict::Stopped(how) => ("stopped", how),
        Verdict::Escaped(how) => ("escaped", how),
        Verdict::Otherwise(how) => ("otherwise", how),
    };
    json!({
        "attack": line.attack.name,
        "group": line.group,
        "what": line.attack.what,
        "ground": line.ground,
        "unsealed": line.attack.alone.to_string(),
        "thread": line.thread,
        "expected": format!("{:?}", line.stop),
        "verdict": verdict,
        "how": how,
    })
}

fn no_scene(source: std::io::Error) -> Failure {
    let help = advice(&source, Place::SCENE);
    Failure::usage(DrillFailure::Scene { help, source })
}

fn failed(error: DrillError) -> Failure {
    match error {
        DrillError::Worker(source) => Failure::internal_as(DrillFailure::Worker { source }),
        DrillError::Gateway(source) => Failure::internal_as(DrillFailure::Gateway { source }),
        DrillError::Scene(source) => no_scene(source),
        DrillError::Order(source) => Failure::internal(source),
    }
}

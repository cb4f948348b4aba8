//! The ledger that a command writes to: which one it is, how long it is waited for, and why it cannot be used.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use rustix::io::Errno;
use tollgate::ProcessCommand;
use tollgate::notary::{NotaryFailure, NotaryProcess, NotaryRole};
use tollgate::sandbox::starts_processes_beside_itself;
use tollgate::supervisor::{Supervisor, SupervisorError, SupervisorSettings};
use tollgate::surroundings::low_limits;
use tollgate_config::TimeSpan;
use tollgate_notary::LedgerFault;
use tollgate_system::{of_thread, os_error};

use super::args::{LedgerArgs, WritableLedgerArgs};
use super::cause::{Place, advice, advice_on};
use super::exit::Failure;
use super::running::Running;
use super::{config, operator, output, progress};

/// This program's name in the ledger.
pub(crate) const SOFTWARE: &str = concat!("tollgate ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, thiserror::Error, Diagnostic)]
enum LedgerError {
    #[error("there is no place for the ledger: {}", config::no_place("TOLLGATE_LEDGER, TOLLGATE_HOME, XDG_STATE_HOME"))]
    #[diagnostic(help("give a folder with --ledger"))]
    NoPlace,
    #[error("the ledger in `{}` cannot be used", folder.display())]
    #[diagnostic(help("nothing was run; {help}"))]
    Unusable { folder: PathBuf, help: String, source: NotaryFailure },
    #[error("nothing can be written in the folder of the ledger, `{}`", folder.display())]
    #[diagnostic(help("nothing was run; {help}"))]
    ReadOnly { folder: PathBuf, help: String, source: std::io::Error },
    #[error("the side store beside the ledger in `{}` cannot be used", folder.display())]
    #[diagnostic(help("nothing was run; {help}"))]
    SideStore { folder: PathBuf, help: String, source: std::io::Error },
    #[error("this program's own file cannot be found, so neither notary nor workers can be started")]
    #[diagnostic(help("it is told by `/proc/self/exe`: mount procfs at /proc"))]
    NoProgram { source: std::io::Error },
    #[error("this process cannot start what it needs")]
    #[diagnostic(help("nothing was run; {help}"))]
    NoThread { help: String, source: std::io::Error },
    #[error("the call is over, but its record may not be whole, so its answer is withheld")]
    #[diagnostic(help("`tollgate audit verify` says what the ledger holds"))]
    NotFinished { source: NotaryFailure },
}

/// The folder of the ledger that the arguments name.
pub(crate) fn folder(args: &LedgerArgs) -> Result<PathBuf, Failure> {
    let folder = args.ledger.clone().or_else(config::ledger_folder);
    folder.ok_or_else(|| Failure::usage(LedgerError::NoPlace))
}

/// Says that a ledger is begun beside one that was used before, by which `verify` and `show` would miss what came earlier.
pub(crate) fn say_if_begun_beside(folder: &Path) {
    if let Some(before) = config::ledger_of_before(folder) {
        let [folder, before] = [folder, &before].map(|path| output::one_line(&path.display().to_string()));
        output::eprint(&format!(
            "a new ledger is begun in `{folder}`; the one that was used without TOLLGATE_HOME stays in `{before}`: --ledger or \
             TOLLGATE_LEDGER goes on with it\n"
        ));
    }
}

/// How long a command still waits for a ledger that another process writes to. Only one process can, and no process that has
/// one tells when it will be free, so it is tried again and again.
#[derive(Debug)]
pub(crate) struct Patience {
    wait: TimeSpan,
    until: Instant,
    has_said: bool,
}

impl Patience {
    pub(crate) fn new(wait: TimeSpan) -> Self {
        Self { wait, until: Instant::now() + Duration::from_millis(wait.millis()), has_said: false }
    }

    /// Waits a moment, if there is time left: whether the ledger may be tried again. Says once that it is waited for.
    pub(crate) fn allows_another_try(&mut self, folder: &Path, why: &str) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if !self.has_said {
            self.has_said = true;
            let folder = output::one_line(&folder.display().to_string());
            output::eprint(&format!("waiting up to {} for `{folder}`: {}\n", self.wait, output::one_line(why)));
        }
        thread::sleep(TRY_EVERY.min(left));
        true
    }
}

/// Who runs this program, for the record.
pub(crate) fn user() -> String {
    format!("uid:{}", rustix::process::getuid().as_raw())
}

/// Starts this program as the notary of a ledger, and later as the worker of one tool, for one call. Waits for a ledger that is
/// in use.
pub(crate) fn start_supervisor(
    folder: &Path,
    wait: TimeSpan,
    origin: Option<String>,
    running: Running,
) -> Result<Supervisor, Failure> {
    // A file system that stands still keeps it waiting.
    progress::during("looking at the ledger", || must_take_checkpoints(folder))?;
    say_if_begun_beside(folder);
    let (notary, settings) = own_processes(folder, origin, running)?;
    let mut patience = Patience::new(wait);
    loop {
        // Where a daemon has the ledger, its notary serves this supervisor too.
        let lent = operator::found(folder, "")?.map(|operator| operator.borrow_notary()).transpose();
        let lent = lent.map_err(|source| operator::refused(source, ""))?;
        let start = || match lent {
            Some(channel) => Supervisor::start_with(NotaryProcess::borrow(channel)?, folder, settings.clone()),
            None => Supervisor::start(notary.clone(), folder, settings.clone()),
        };
        let failure = match progress::during("opening the ledger", start) {
            Ok(supervisor) => return Ok(supervisor),
            Err(failure) => failure,
        };
        let is_used = in_use(&failure);
        if !is_used.is_some_and(|why| patience.allows_another_try(folder, &why)) {
            return Err(no_supervisor(folder, failure));
        }
    }
}

/// Ends a supervisor, once all that was recorded is on disk.
pub(crate) fn finish(supervisor: Supervisor) -> Result<(), Failure> {
    let finished = progress::during("bringing the record to disk", || supervisor.finish());
    finished.map_err(|source| Failure::internal_as(LedgerError::NotFinished { source }))
}

/// A ledger that is there takes entries wherever its files can be written; a checkpoint is a new file, and comes after the call.
fn must_take_checkpoints(folder: &Path) -> Result<(), Failure> {
    match rustix::fs::access(folder, rustix::fs::Access::WRITE_OK) {
        Err(errno @ (Errno::ACCESS | Errno::PERM)) => {
            let (folder, help) = (folder.to_owned(), advice(&std::io::Error::from(errno), Place::LEDGER));
            Err(Failure::usage(LedgerError::ReadOnly { folder, help, source: errno.into() }))
        }
        // What else is wrong with it is told where it is opened.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// This program as the notary of the ledger in `folder`, and as workers that run one call at a time.
pub(crate) fn own_processes(
    folder: &Path,
    origin: Option<String>,
    running: Running,
) -> Result<(ProcessCommand, SupervisorSettings), Failure> {
    let program = config::this_program().map_err(|source| Failure::internal_as(LedgerError::NoProgram { source }))?;
    let role = NotaryRole { ledger: folder.to_owned(), origin, software: SOFTWARE.to_owned(), daemon: None };
    let Running { deployment, places } = running;
    let command = ProcessCommand::new(&program, ["worker"]);
    let settings = SupervisorSettings { connections_max: 1, places, ..SupervisorSettings::of(&deployment, command) };
    Ok((role.command(&program), settings))
}

/// Why another process is waited for.
pub(crate) fn in_use(failure: &SupervisorError) -> Option<String> {
    match failure {
        SupervisorError::Notary(NotaryFailure::Ledger { fault: LedgerFault::InUse, message, .. }) => {
            Some(message.clone())
        }
        SupervisorError::SideStore(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(error.to_string()),
        SupervisorError::Notary(_)
        | SupervisorError::SideStore(_)
        | SupervisorError::Ledger(_)
        | SupervisorError::Thread(_) => None,
    }
}

pub(crate) fn no_supervisor(folder: &Path, failure: SupervisorError) -> Failure {
    match failure {
        SupervisorError::Notary(source) => no_notary(folder, source),
        SupervisorError::SideStore(source) => {
            let help = advice(&source, Place::SIDE_STORE);
            Failure::usage(LedgerError::SideStore { folder: folder.to_owned(), help, source })
        }
        SupervisorError::Ledger(source) => Failure::internal(source),
        SupervisorError::Thread(source) => {
            let source = of_thread(source);
            Failure::internal_as(LedgerError::NoThread { help: advice(&source, Place::PROGRAM), source })
        }
    }
}

/// Whether a ledger cannot be used now, or cannot be trusted.
fn no_notary(folder: &Path, source: NotaryFailure) -> Failure {
    let (is_internal, help) = match &source {
        NotaryFailure::Ledger { fault: LedgerFault::InUse, .. } => {
            (false, "wait for longer with --wait, or give another folder with --ledger".to_owned())
        }
        NotaryFailure::Ledger { fault: LedgerFault::Unreachable, os_error, .. } => {
            (false, advice_on(*os_error, Place::LEDGER))
        }
        NotaryFailure::Ledger { fault: LedgerFault::OlderFormat, .. } => (false, NEW_LEDGER.to_owned()),
        NotaryFailure::Ledger { fault: LedgerFault::Foreign, .. } => (
            false,
            "leave --origin out, since a ledger keeps its name, or give another folder with --ledger".to_owned(),
        ),
        NotaryFailure::Ledger { fault: LedgerFault::Broken, .. } => (true, BROKEN.to_owned()),
        NotaryFailure::Ledger { fault: LedgerFault::Damaged, .. } => (true, DAMAGED.to_owned()),
        NotaryFailure::Start { source } => (true, not_started(source)),
        NotaryFailure::Ended { .. } => (true, ended()),
    };
    let report = miette::Report::new(LedgerError::Unusable { folder: folder.to_owned(), help, source });
    if is_internal { Failure::Internal(report) } else { Failure::Usage(report) }
}

/// What to do where the notary has ended: it says itself why, unless limits of the shell leave it no room to.
fn ended() -> String {
    let low: Vec<String> = low_limits().iter().map(ToString::to_string).collect();
    if low.is_empty() {
        return "the reason stands above".to_owned();
    }
    format!("the reason stands above, or is a limit, which `ulimit` raises: {}", low.join("; "))
}

/// What to do where a process of this program cannot be started.
fn not_started(error: &std::io::Error) -> String {
    // What is not there is named: the system's error does not say which of both it is.
    if os_error(error) == Some(Errno::NOENT.raw_os_error()) && !Path::new(NULL).exists() {
        return format!("make `{NULL}`, which this process's environment lacks: containers and chroots need it too");
    }
    if !starts_processes_beside_itself() {
        return "begin inside the PID namespace: `unshare --pid --fork`".to_owned();
    }
    advice(error, Place::PROGRAM)
}

/// What to do beside keeping a ledger that this program does not read.
pub(crate) const NEW_LEDGER: &str = "start a new ledger: give another folder with --ledger";

const NULL: &str = "/dev/null";

const BROKEN: &str = "`tollgate audit verify` says more. If you restored the ledger from a copy, or know otherwise why it \
                      is so, `tollgate audit adopt --reason TEXT` goes on and records the break; else keep it as it is for \
                      whoever looks into it, and give another folder with --ledger";

const DAMAGED: &str = "keep the folder as it is for whoever looks into it: `tollgate audit verify` says more, and --ledger \
                       takes another folder";

/// Often enough that a ledger is taken soon after it is free.
const TRY_EVERY: Duration = Duration::from_millis(100);

impl WritableLedgerArgs {
    /// The folder of the ledger.
    pub(crate) fn folder(&self) -> Result<PathBuf, Failure> {
        folder(&self.ledger)
    }
}

//! `tollgate mcp`: MCP's stdio transport for a client that starts its servers itself. It copies bytes between the client and the daemon's
//! socket, and ends with either: clients start one for each of their sessions, and forget some.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use tollgate_daemon::Operator;
use tollgate_system::{ProcessCommand, keep_files_from_programs, of_thread};

use super::args::McpArgs;
use super::exit::{Exit, Failure};
use super::{config, ledger, operator, output, through};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum McpError {
    #[error("no daemon has the ledger in `{}`, so that nobody serves MCP", folder.display())]
    #[diagnostic(help(
        "start one with `tollgate serve`, have it started by `tollgate mcp --start`, or name its ledger with --ledger"
    ))]
    NoDaemon { folder: PathBuf },
    #[error("the daemon that was started {how}, and none has the ledger")]
    #[diagnostic(help("{said}"))]
    NotStarted { how: &'static str, said: String },
    #[error("the daemon has closed the connection, and the client has not")]
    #[diagnostic(help(
        "the daemon has ended, or does not take this client any more, as where its token was removed: `tollgate status` says \
         how it stands"
    ))]
    Closed,
    #[error("no agent of the daemon's policy is `{agent}`")]
    #[diagnostic(help("its agents are: {known}"))]
    NoAgent { agent: String, known: String },
    #[error("the daemon cannot be asked at `{}`", socket.display())]
    #[diagnostic(help("`tollgate status` says how it stands"))]
    NotConnected { socket: PathBuf, source: io::Error },
    #[error(
        "the token in {from} is no token: it is of printable ASCII without spaces, at most {TOKEN_BYTES_MAX} bytes"
    )]
    #[diagnostic(help("`tollgate serve token add AGENT` makes one"))]
    NoToken { from: String },
    #[error("the file of the token, `{}`, can be read by others: its owner is the user {owner}, its mode {mode:04o}", path.display())]
    #[diagnostic(help(
        "make it yours alone, as with `chmod 600`; if others may have read it, make another token: `tollgate serve token remove` ends this one"
    ))]
    OthersToken { path: PathBuf, mode: u32, owner: u32 },
    #[error("the user {uid} listens at `{}`, and has neither its folder nor is this user", socket.display())]
    #[diagnostic(help("nothing was said there; name the socket of the daemon: `tollgate status` lists them"))]
    OthersSocket { socket: PathBuf, uid: u32 },
    #[error("the file of the token, `{}`, cannot be read", path.display())]
    #[diagnostic(help("give the file that has the token, and nothing else"))]
    NoTokenFile { path: PathBuf, source: io::Error },
}

/// Copies until either side ends. The client's end is the usual one.
pub(crate) fn mcp(args: &McpArgs) -> Result<Exit, Failure> {
    let token = token(args.token_file.as_deref())?;
    let socket = socket(args)?;
    let mut input = File::from(duplicate(io::stdin())?);
    // A client may take its time: the daemon's patience begins with the first bytes.
    let mut first = vec![0; FIRST_BYTES];
    let came = input.read(&mut first).map_err(Failure::internal)?;
    if came == 0 {
        return Ok(Exit::Success);
    }
    let not_connected = |source| Failure::usage(McpError::NotConnected { socket: socket.clone(), source });
    let stream = UnixStream::connect(&socket).map_err(not_connected)?;
    must_be_its_owners(&stream, &socket)?;
    let mut to = stream.try_clone().map_err(Failure::internal)?;
    if let Some(token) = token {
        to.write_all(format!("token {token}\n").as_bytes()).map_err(not_connected)?;
    }
    to.write_all(first.get(..came).unwrap_or_default()).map_err(not_connected)?;
    drop(first);
    let has_ended = Arc::new(AtomicBool::new(false));
    let client_ended = Arc::clone(&has_ended);
    let sends = move || {
        // Whichever side has broken off, it is over.
        if copy(&mut input, &mut to).is_ok() {
            client_ended.store(true, Ordering::SeqCst);
        }
        to.shutdown(Shutdown::Write).unwrap_or_default();
    };
    let client = thread::Builder::new().name("client".to_owned()).stack_size(STACK_BYTES);
    client.spawn(sends).map_err(|error| Failure::internal(of_thread(error)))?;
    let mut output = File::from(duplicate(io::stdout())?);
    let mut stream = stream;
    // A client that is gone needs no answer; the thread that waits for it ends with this process.
    let is_closed = match copy(&mut stream, &mut output) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    };
    if is_closed && !has_ended.load(Ordering::SeqCst) {
        return Err(Failure::internal_as(McpError::Closed));
    }
    Ok(Exit::Success)
}

/// By `read` and `write`, and not as `io::copy` does it, by `splice`: that was seen to sleep on over bytes that had come (Linux 6.18).
fn copy(from: &mut impl io::Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut bytes = vec![0; COPIED_BYTES];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(came) => to.write_all(bytes.get(..came).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same open file, without the buffer of the standard library.
fn duplicate(stream: impl std::os::fd::AsFd) -> Result<std::os::fd::OwnedFd, Failure> {
    stream.as_fd().try_clone_to_owned().map_err(Failure::internal)
}

fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let (from, text) = match file {
        Some(path) => {
            let failed = |source| Failure::usage(McpError::NoTokenFile { path: path.to_owned(), source });
            // It may be a FIFO to which nobody ever writes.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let open = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
            let open = File::from(open);
            must_be_ones_own(&open, path)?;
            let text = String::from_utf8_lossy(&read_within(open, TOKEN_WAIT).map_err(failed)?).into_owned();
            (format!("`{}`", path.display()), text)
        }
        None => match config::token() {
            Some(text) => ("TOLLGATE_TOKEN".to_owned(), text),
            None => return Ok(None),
        },
    };
    let token = text.trim_ascii();
    let is_token =
        !token.is_empty() && token.len() as u64 <= TOKEN_BYTES_MAX && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(Some(token.to_owned())) } else { Err(Failure::usage(McpError::NoToken { from })) }
}

/// The start of what is in a file that was opened without waiting, each part of which may take that long to come.
fn read_within(mut file: File, most: Timespec) -> io::Result<Vec<u8>> {
    let (mut read, mut part) = (Vec::new(), [0; COPIED_BYTES]);
    while read.len() as u64 <= TOKEN_BYTES_MAX * 2 {
        if poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&most))? == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "nobody has written to it for some seconds"));
        }
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(came) => read.extend_from_slice(part.get(..came).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// A token that others can read is theirs as well.
fn must_be_ones_own(file: &File, path: &Path) -> Result<(), Failure> {
    let found = file.metadata().map_err(Failure::internal)?;
    let (owner, own) = (found.uid(), geteuid().as_raw());
    let others = match owner {
        _ if owner == own => found.mode() & GROUP_AND_OTHERS,
        // Root may hand one over to a group.
        ROOT => found.mode() & OTHERS,
        _another => GROUP_AND_OTHERS,
    };
    if others == 0 {
        return Ok(());
    }
    Err(Failure::usage(McpError::OthersToken { path: path.to_owned(), mode: found.mode() & 0o777, owner }))
}

/// Whoever listens at a socket gets the token and whatever the client says. It is to be this user, root, or whoever has the folder of the
/// socket: others can put one, or a link to one, into a folder that all may write to.
fn must_be_its_owners(stream: &UnixStream, socket: &Path) -> Result<(), Failure> {
    let peer = socket_peercred(stream).map_err(|errno| Failure::internal(io::Error::from(errno)))?.uid.as_raw();
    if owners_of(socket).is_some_and(|owners| owners.contains(&peer)) {
        return Ok(());
    }
    Err(Failure::usage(McpError::OthersSocket { socket: socket.to_owned(), uid: peer }))
}

/// Who may listen at a socket. None where a link on the way to it is somebody else's.
fn owners_of(socket: &Path) -> Option<[u32; 3]> {
    let mut place = std::path::absolute(socket).ok()?;
    for _link in 0..LINKS_MAX {
        let folder = place.parent()?.canonicalize().ok()?;
        let owners = [geteuid().as_raw(), ROOT, folder.metadata().ok()?.uid()];
        place = folder.join(place.file_name()?);
        let found = place.symlink_metadata().ok()?;
        if !found.is_symlink() {
            return Some(owners);
        }
        if !owners.contains(&found.uid()) {
            return None;
        }
        place = folder.join(place.read_link().ok()?);
    }
    None
}

/// The socket that is given, or that of the agent that is named, or of the one that this user is.
fn socket(args: &McpArgs) -> Result<PathBuf, Failure> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let patience = Instant::now() + START_PATIENCE;
    loop {
        match found(args) {
            // Another one is started behind it.
            Err(failure) if args.start && failure.exit() == Exit::Busy && Instant::now() < patience => {
                thread::sleep(ENDING_LOOK_EVERY);
            }
            found => return found,
        }
    }
}

fn found(args: &McpArgs) -> Result<PathBuf, Failure> {
    let folder = ledger::folder(&args.ledger)?;
    let operator = match operator::found(&folder, operator::RESTART_HELP)? {
        Some(operator) => operator,
        None if args.start => start(&folder)?,
        None => return Err(Failure::usage(McpError::NoDaemon { folder })),
    };
    let Some(agent) = &args.agent else { return through::own_socket(&operator) };
    let status = operator.status().map_err(|source| operator::refused(source, operator::RESTART_HELP))?;
    let known: Vec<&str> = status.agents.iter().map(|agent| agent.agent.as_str()).collect();
    let place = status.agents.iter().find(|known| known.agent == *agent);
    place.map(|place| place.socket.clone()).ok_or_else(|| {
        if status.ending {
            return through::ending();
        }
        let known = output::one_line(&known.join(", "));
        Failure::usage(McpError::NoAgent { agent: output::one_line(agent), known })
    })
}

/// Starts a daemon, which stays. It gets the places of home, ledger and sockets, and nothing else of this environment or folder.
fn start(ledger: &Path) -> Result<Operator, Failure> {
    let program = config::this_program().map_err(Failure::internal)?;
    let ledger = std::path::absolute(ledger).map_err(Failure::internal)?;
    let said = Said::new().map_err(Failure::internal)?;
    // Clients leave files open in the servers that they start, and wait for their ends.
    keep_files_from_programs().map_err(Failure::internal)?;
    let mut daemon = ProcessCommand::new(program, ["serve", "--detached"])
        .prepare()
        .envs(config::daemon_variables(&ledger))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.0.try_clone().map_err(Failure::internal)?)
        .spawn()
        .map_err(Failure::internal)?;
    let patience = Instant::now() + START_PATIENCE;
    let mut ended = None;
    while Instant::now() < patience {
        if let Some(Ok(operator)) = operator::running(&ledger) {
            return Ok(operator);
        }
        // Another one may have been first, and be about to open the ledger.
        let now = Instant::now();
        if ended.is_none() && matches!(daemon.try_wait(), Ok(Some(_)) | Err(_)) {
            ended = Some(now);
        }
        if ended.is_some_and(|ended| now.duration_since(ended) > OTHERS_PATIENCE) {
            break;
        }
        thread::sleep(LOOK_EVERY);
    }
    let how = if ended.is_some() { "has ended" } else { "does not answer yet" };
    Err(Failure::usage(McpError::NotStarted { how, said: said.text() }))
}

/// What the daemon says on its standard error: a file in memory, of which the first part is kept. It must never grow, since it stays for as
/// long as the daemon does.
struct Said(File);

impl Said {
    fn new() -> io::Result<Self> {
        let file = memfd_create("tollgate-said", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, SAID_BYTES_MAX)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok(Self(file.into()))
    }

    /// In one line.
    fn text(&self) -> String {
        let mut bytes = vec![0; usize::try_from(SAID_BYTES_MAX).unwrap_or_default()];
        let read = self.0.read_at(&mut bytes, 0).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
        let lines = text.trim_end_matches('\0').lines().map(|line| output::one_line(line.trim()));
        match lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ") {
            nothing if nothing.is_empty() => "it said nothing; `tollgate serve` may say what is wrong".to_owned(),
            said => format!("it said: {said}"),
        }
    }
}

const ROOT: u32 = 0;
const LINKS_MAX: usize = 8;
const GROUP_AND_OTHERS: u32 = 0o077;
const OTHERS: u32 = 0o007;

const FIRST_BYTES: usize = 8 << 10;
const COPIED_BYTES: usize = 64 << 10;
const STACK_BYTES: usize = 128 << 10;

/// With its word, a token's line has no more than the gateway reads.
const TOKEN_BYTES_MAX: u64 = 500;

/// How long somebody may take to write a token into a FIFO.
const TOKEN_WAIT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Enough for an error and its help.
const SAID_BYTES_MAX: u64 = 16 << 10;

const START_PATIENCE: Duration = Duration::from_secs(60);
const OTHERS_PATIENCE: Duration = Duration::from_secs(5);
const ENDING_LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOK_EVERY: Duration = Duration::from_millis(20);

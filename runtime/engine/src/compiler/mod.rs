//! Compiles each component in a process of its own, which is sealed before it sees the first byte, capped, and gone afterwards.
//!
//! ```text
//! component ─▶ stdin ─▶ compiler's process (no file, no network, no program) ─▶ stdout ─▶ Artifact: imports, code
//! ```
//!
//! The process that runs tools must never compile. A component that breaks the compiler then gets no further than its own machine
//! code, which is loaded where the tool would have run anyway, and the names of its imports, which are text.

mod calls;
mod process;
mod reply;

use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use tollgate_audit::Digest;
use tollgate_system::{ProcessCommand, of_thread};

pub use self::process::{CompilerRole, serve};
use self::reply::{BEFORE_CODE_BYTES_MAX, Reply, Senseless};
use crate::artifact::Artifact;
pub use crate::compile_limits::CompileLimits;
use crate::engine::Engine;
pub use crate::error::CompileError;
use crate::error::LoadError;
use crate::instance::engine_reserves_bytes;
use crate::interfaces::refuse_what_is_no_component;
use crate::surroundings::{in_words, killed_for_cpu, killed_for_memory, of_start, oom_kills};

/// Makes artifacts of components.
#[derive(Debug, Clone)]
pub struct Compiler {
    command: ProcessCommand,
    limits: CompileLimits,
}

impl Compiler {
    /// A compiler that is started by `command` for each component: a program that calls [`serve`] in that role. What it gives back is
    /// run as machine code.
    #[must_use]
    pub fn new(command: ProcessCommand, limits: CompileLimits) -> Self {
        Self { command, limits }
    }

    /// Compiles a component for `engine`, in a process of its own; a few hundred milliseconds for a usual tool. Blocks the calling
    /// thread for [`CompileLimits::time`] at most. Meanwhile three threads named `compiler-pipe` serve the process's pipes. The
    /// threads and the process are gone when this returns.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotWasm`], [`LoadError::CoreModule`], [`LoadError::Malformed`], [`LoadError::Compile`].
    pub fn compile(&self, engine: &Engine, component: &[u8]) -> Result<Artifact, LoadError> {
        refuse_what_is_no_component(component)?;
        let said = self.ask(component)?;
        match Reply::parse(&said) {
            Ok(Reply::Code { code, .. }) if code.len() as u64 > self.limits.artifact_bytes => {
                Err(self.limits.too_much_code().into())
            }
            Ok(Reply::Code { interfaces, code }) => {
                Ok(Artifact::compiled(Digest::of(component), engine, interfaces, code))
            }
            Ok(Reply::Malformed(message)) => Err(LoadError::Malformed { message }),
            Ok(Reply::NoMemory) => Err(self.limits.too_much_memory().into()),
            Ok(Reply::NoCompiler(reason)) => Err(CompileError::NoCompiler { reason }.into()),
            // Another version of the program says nothing about the component.
            Err(other @ Senseless::Version { .. }) => {
                Err(CompileError::NoCompiler { reason: other.to_string() }.into())
            }
            Err(senseless) => Err(CompileError::Crashed { how: senseless.to_string() }.into()),
        }
    }

    /// Starts the process, gives it the component, and returns its output once it has ended well.
    fn ask(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let deadline = Instant::now() + self.limits.time;
        let before = oom_kills();
        let mut child = Dying(self.spawn().map_err(no_compiler)?);
        let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        // One byte more than allowed is read, to notice too much.
        let said_bytes_max = self.limits.artifact_bytes.saturating_add(BEFORE_CODE_BYTES_MAX);
        thread::scope(|scope| {
            let (sender, said) = mpsc::channel();
            let helpers = || -> io::Result<_> {
                helper().spawn_scoped(scope, move || give(stdin, component))?;
                helper().spawn_scoped(scope, move || sender.send(hear(stdout, said_bytes_max.saturating_add(1))))?;
                helper().spawn_scoped(scope, move || hear(stderr, COMPLAINT_BYTES_MAX))
            };
            let complaints = helpers().map_err(|error| {
                // Its pipes break, and the threads that are there end.
                child.kill();
                no_compiler(of_start(of_thread(error)))
            })?;
            let said = said.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let too_much = said.as_ref().is_ok_and(|said| said.len() as u64 > said_bytes_max);
            let ended = if too_much { None } else { child.ends_by(deadline) };
            // It must end in any case: then its pipes break, and the threads here end.
            child.kill();
            let complaints = complaints.join().unwrap_or_default();
            match (said, ended) {
                _ if too_much => Err(self.limits.too_much_code()),
                (Err(RecvTimeoutError::Timeout), _) | (_, None) => {
                    Err(CompileError::TooLong { limit: self.limits.time, around: in_words() })
                }
                (Ok(said), Some(status)) if status.success() => Ok(said),
                (_, Some(status)) => Err(self.limits.blame(status, before, &String::from_utf8_lossy(&complaints))),
            }
        })
    }

    fn spawn(&self) -> io::Result<Child> {
        self.command
            .prepare()
            .args(process::arguments(&self.limits))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(of_start)
    }
}

impl CompileLimits {
    /// Why a compiler died.
    fn blame(&self, status: ExitStatus, before: u64, complaints: &str) -> CompileError {
        let is_killed = status.signal() == Some(libc::SIGKILL);
        if is_killed && let Some(room) = killed_for_memory(before) {
            return CompileError::NoMemory { room };
        }
        // One of the shell's that is lower holds in its place, and kills.
        if is_killed && let Some(seconds) = killed_for_cpu() {
            return CompileError::InheritedCpu { limit: Duration::from_secs(seconds), around: in_words() };
        }
        if status.signal() == Some(libc::SIGXCPU) {
            return CompileError::TooMuchCpu { limit: Duration::from_secs(self.cpu_seconds), around: in_words() };
        }
        if status.signal() == Some(libc::SIGABRT) && complaints.contains(ALLOCATION_FAILED) {
            return self.too_much_memory();
        }
        let said: Vec<&str> = complaints.lines().filter(|line| !line.trim().is_empty()).take(2).collect();
        CompileError::Crashed { how: format!("{status} {}", said.join(" ")).trim_end().to_owned() }
    }

    fn too_much_code(&self) -> CompileError {
        CompileError::TooMuchCode { limit_bytes: self.artifact_bytes }
    }

    fn too_much_memory(&self) -> CompileError {
        let around = in_words();
        let is_lower = |resource, most| getrlimit(resource).maximum.is_some_and(|value| value < most);
        let addresses = engine_reserves_bytes(1).saturating_add(self.memory_bytes);
        // One of the shell's that is lower holds in its place.
        if is_lower(Resource::Data, self.memory_bytes) || is_lower(Resource::As, addresses) {
            return CompileError::InheritedMemory { around };
        }
        CompileError::TooMuchMemory { limit_bytes: self.memory_bytes, around }
    }
}

/// Writes the component. If the compiler is gone, its exit status says why.
fn give(stdin: Option<ChildStdin>, component: &[u8]) {
    if let Some(mut stdin) = stdin {
        stdin.write_all(component).ok();
    }
}

/// Reads up to a limit. A pipe that breaks has ended.
fn hear(from: Option<impl Read>, bytes_max: u64) -> Vec<u8> {
    let mut heard = Vec::new();
    if let Some(from) = from {
        from.take(bytes_max).read_to_end(&mut heard).ok();
    }
    heard
}

/// A thread at one end of a pipe.
fn helper() -> thread::Builder {
    thread::Builder::new().name("compiler-pipe".to_owned())
}

fn no_compiler(error: io::Error) -> CompileError {
    CompileError::NoCompiler { reason: error.to_string() }
}

/// A child that is not left behind, neither running nor as a zombie.
#[derive(Debug)]
struct Dying(Child);

impl Dying {
    fn ends_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Ok(Some(status)) = self.0.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(END_LOOKED_FOR_EVERY);
        }
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Dying {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A few lines of a panic.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// What Rust prints when it aborts for want of memory.
const ALLOCATION_FAILED: &str = "memory allocation of";

/// How often the end of a process is looked for whose output has ended: it is about to end.
const END_LOOKED_FOR_EVERY: Duration = Duration::from_micros(200);

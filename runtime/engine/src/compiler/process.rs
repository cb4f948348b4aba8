//! The compiler's own process. Must never look at the component before it is sealed.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tollgate_sandbox::trusted;
use tollgate_system::{belong_to, of_call};

use super::calls::ALLOWED;
use super::reply::Reply;
use crate::compile_limits::CompileLimits;
use crate::engine::Engine;
use crate::interfaces::Interfaces;
use crate::surroundings::in_words;

/// What a compiler's process is told by its arguments, `--supervisor`, `--cpu-seconds`, `--memory-bytes` and `--threads`.
#[derive(Debug, Clone, Copy)]
pub struct CompilerRole {
    /// The process that started it. The compiler dies with it.
    pub supervisor: u32,
    /// CPU time over all threads, in seconds.
    pub cpu_seconds: u64,
    /// Memory of the process, in bytes.
    pub memory_bytes: u64,
    /// Threads that compile.
    pub threads: u32,
}

/// The arguments that tell a compiler's process its role.
pub(super) fn arguments(limits: &CompileLimits) -> Vec<OsString> {
    let CompileLimits { cpu_seconds, memory_bytes, threads, .. } = limits;
    let arguments = [
        ("--supervisor", std::process::id().to_string()),
        ("--cpu-seconds", cpu_seconds.to_string()),
        ("--memory-bytes", memory_bytes.to_string()),
        ("--threads", threads.to_string()),
    ];
    arguments.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect()
}

/// Compiles the component on standard input to standard output, as the process that a [`Compiler`](super::Compiler) started,
/// which must have one thread. First it closes every inherited file but the standard streams, leaves its starter's session, and
/// seals the process. Blocks until the answer is written.
///
/// # Errors
///
/// The answer cannot be written. Any other failure is the answer.
///
/// # Safety
///
/// Nothing in this process owns or borrows a file beside its standard streams, or never uses nor closes it again: they are
/// all closed. So this is what a `main` does first, and it ends when this returns.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn serve(role: &CompilerRole) -> io::Result<()> {
    // A component that breaks the compiler must not find files that the supervisor's starter had open.
    // SAFETY: the caller promises it; nothing has been opened here yet.
    let closed = unsafe { trusted::close_inherited(&[]) };
    let reply = match closed.map_err(Cause::from).and_then(|()| sealed_engine(role)) {
        Ok(engine) => compile(&engine)?,
        Err(error) => Reply::NoCompiler(crate::error::with_causes(&*error)),
    };
    let mut out = io::stdout().lock();
    reply.say(&mut out)?;
    out.flush()
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn sealed_engine(role: &CompilerRole) -> Result<Engine, Cause> {
    belong_to(role.supervisor)?;
    let engine = Engine::new(1)?;
    seal(role)?;
    Ok(engine)
}

/// Seals the process. Starts the compiling threads in between, since none can be started afterwards.
pub(super) fn seal(role: &CompilerRole) -> Result<(), Cause> {
    let available = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = usize::try_from(role.threads).unwrap_or(usize::MAX).clamp(1, available);
    let confined = trusted::confine(&[])?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|error| format!("{error}{}", in_words()))?;
    for (resource, most) in [
        (Resource::Cpu, role.cpu_seconds),
        (Resource::Data, role.memory_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ] {
        // CPU time over the first limit ends in SIGXCPU, which says why; over the second in SIGKILL.
        let maximum = if resource == Resource::Cpu { most.saturating_add(1) } else { most };
        // A lower limit from the shell stays.
        let inherited = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let (current, maximum) = (Some(most.min(inherited)), Some(maximum.min(inherited)));
        let set = setrlimit(resource, Rlimit { current, maximum });
        set.map_err(|errno| of_call("prlimit64", errno))?;
    }
    Ok(confined.allow_only(ALLOWED)?)
}

fn compile(engine: &Engine) -> io::Result<Reply> {
    let mut component = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut component) {
        return if error.kind() == io::ErrorKind::OutOfMemory { Ok(Reply::NoMemory) } else { Err(error) };
    }
    Ok(match engine.0.precompile_component(&component) {
        Ok(code) => match Interfaces::read(&component) {
            Ok(interfaces) => Reply::Code { interfaces, code },
            Err(error) => Reply::Malformed(error.to_string()),
        },
        Err(error) if error.is::<wasmtime::OutOfMemory>() => Reply::NoMemory,
        Err(error) => Reply::Malformed(format!("{error:#}")),
    })
}

//! Seals a process that runs tools, once and for good. Each step takes the proof of the one before, so that none can be skipped.
//! Only with an [`Enforced`] may a process serve. Must never go on after a step that failed: the process has to end.
//!
//! ```text
//! strip ─▶ Stripped ─▶ (engine) ─▶ confine ─▶ Confined ─▶ (start threads) ─▶ only_to_load ─▶ Confined ─▶ (load code)
//!       ─▶ filter ─▶ Filtered ─▶ (self_test on every thread) ─▶ finish ─▶ Enforced
//! ```

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Seek as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::RawDir;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tollgate_audit::{Digest, Enforcement, Entry, Kept, Level, Record, RecordError, Text, WriterId};
use tollgate_system::of_call;

use super::descriptors::close_but;
use super::filter::{self, FilterError, LOGGING_FILTER, Log, Otherwise, Program};
use super::kernel::KernelOffer;
use super::limits::{LimitRow, Limited};
use super::loading;
use super::plan::KernelPlan;
use super::ruleset::{self, FilesError, Handled};
use super::self_test::{Expected, SelfTestError, Tested};
use super::trap;

/// Why a process is not sealed. It may be sealed in part, and must end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnforceError {
    /// Threads that are there already would stay outside the seal.
    #[error("the process has {threads} threads, and must be sealed while it has one")]
    Threads {
        /// How many.
        threads: usize,
    },
    /// The kernel offers less than the policy asks for.
    #[error(
        "this kernel can enforce `{reached}`, and the policy requires `{required}`; it lacks {}; run on a newer kernel, \
         or set `sandbox.require = \"{reached}\"` in the policy (tollgate.toml) to run tools with less around them", lacks.join(", ")
    )]
    BelowFloor {
        /// What it can enforce.
        reached: Level,
        /// What the policy requires (`sandbox.require`).
        required: Level,
        /// What is missing for that.
        lacks: Vec<&'static str>,
    },
    /// `/proc/self/task`, which lists the threads, cannot be read.
    #[error("cannot list the threads of this process: is /proc mounted, for this PID namespace or one around it?")]
    ThreadList(#[source] io::Error),
    /// `close_range(2)` failed.
    #[error("cannot close the files that the worker is not to have")]
    Descriptors(#[source] io::Error),
    /// `setrlimit(2)` failed.
    #[error("cannot set the limit {}", limit.as_str())]
    Limit {
        /// Which.
        limit: Limited,
        /// Why.
        source: io::Error,
    },
    /// `prctl(2)` or `capset(2)` failed.
    #[error("cannot give up privileges")]
    Privileges(#[source] io::Error),
    /// Landlock's rules are not in force.
    #[error("cannot confine the process to its folders")]
    Files(#[from] FilesError),
    /// `sigaction(2)` failed.
    #[error("cannot handle what the filter blocks")]
    Handler(#[source] io::Error),
    /// The seccomp filter is not in force.
    #[error("cannot put the filter of system calls in force")]
    Filter(#[from] FilterError),
    /// A thread has shown that the seal does not hold.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// A thread has not shown that the seal holds.
    #[error("{tested} of {threads} threads passed the self-test, and all must")]
    Untested {
        /// Those that passed.
        tested: usize,
        /// All that there are.
        threads: usize,
    },
}

/// A process with one thread, and no open files but those that it was left. The engine is made in this state: it opens
/// `/proc/self/pagemap`, which is out of reach later.
#[must_use = "nothing is enforced yet"]
#[derive(Debug)]
pub struct Stripped {
    threads: ThreadList,
}

/// A process that reaches its folders and no others, within its limits. Threads are started and code is loaded in this state.
#[must_use = "the system calls are still open"]
#[derive(Debug)]
pub struct Confined {
    plan: KernelPlan,
    offer: KernelOffer,
    required: Level,
    handled: Handled,
    threads: ThreadList,
}

/// A process whose threads are all filtered, if the kernel has filters. No thread has tested its seal yet.
#[must_use = "no thread was tested yet"]
#[derive(Debug)]
pub struct Filtered {
    confined: Confined,
    /// The filter still to be applied to them: the same without `seccomp` itself, and with a log.
    filter: Option<Program>,
    threads: usize,
}

/// Proof that this process is sealed as far as its kernel can, that this is at least what the policy requires, and that every
/// thread has tested it. Code that serves calls takes one.
#[derive(Debug)]
pub struct Enforced {
    level: Level,
    required: Level,
    landlock_abi: u32,
    handled: Handled,
    threads: u64,
    ruleset: Digest,
    filter: Digest,
    plan: Digest,
    self_test: String,
}

/// Does [`strip`], then [`Stripped::confine`], for a process that needs nothing in between.
///
/// # Errors
///
/// Those of both.
///
/// # Safety
///
/// As [`strip`].
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn confine(plan: &KernelPlan, required: Level, keep: &[BorrowedFd<'_>]) -> Result<Confined, EnforceError> {
    // SAFETY: the caller of this function promises the same.
    let stripped = unsafe { strip(keep) }?;
    stripped.confine(plan, required)
}

/// Closes every file of this process but its standard streams and `keep`: for a process that has just started.
///
/// # Errors
///
/// The process has more than one thread, `/proc` is not there, or the kernel cannot close ranges (Linux 5.9).
///
/// # Safety
///
/// Nothing in this process owns or borrows another file, or it never uses nor closes that again (`std::os::fd`, "I/O
/// safety"): its number may be another file's by then.
#[allow(unsafe_code, reason = "it closes what others may own, and says so")]
pub unsafe fn strip(keep: &[BorrowedFd<'_>]) -> Result<Stripped, EnforceError> {
    let mut kept: Vec<RawFd> = keep.iter().map(|fd| fd.as_raw_fd()).collect();
    close_but(&mut kept).map_err(EnforceError::Descriptors)?;
    let mut threads = ThreadList::open().map_err(EnforceError::ThreadList)?;
    match threads.list().map_err(EnforceError::ThreadList)?.len() {
        1 => {}
        threads => return Err(EnforceError::Threads { threads }),
    }
    heap_never_shrinks();
    Ok(Stripped { threads })
}

impl Stripped {
    /// Sets the limits, gives up privileges, and leaves this process the plan's folders alone: everything else that this
    /// kernel's Landlock can deny is denied, by a hard requirement.
    ///
    /// # Errors
    ///
    /// The kernel offers less than `required`, refuses a step, or a granted folder is not there.
    pub fn confine(mut self, plan: &KernelPlan, required: Level) -> Result<Confined, EnforceError> {
        match self.threads.list().map_err(EnforceError::ThreadList)?.len() {
            1 => {}
            threads => return Err(EnforceError::Threads { threads }),
        }
        let offer = KernelOffer::here();
        let reached = offer.level();
        if reached < required {
            return Err(EnforceError::BelowFloor { reached, required, lacks: offer.lacks(required) });
        }
        set_limits(plan.limits.iter().filter(|row| !row.resource.comes_last()))?;
        let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        undumpable.map_err(|errno| EnforceError::Privileges(of_call("prctl(PR_SET_DUMPABLE)", errno)))?;
        filter::no_new_privileges().map_err(EnforceError::Privileges)?;
        let handled = ruleset::restrict(offer.landlock_abi, &plan.folders)?;
        drop_capabilities().map_err(EnforceError::Privileges)?;
        Ok(Confined { plan: plan.clone(), offer, required, handled, threads: self.threads })
    }
}

/// Gives up all capabilities, so that modes of files hold for root too. Among these is the mode of the pipe, which no rule of
/// Landlock covers.
#[allow(unsafe_code, reason = "rustix has it behind a feature that would build wasmtime again")]
pub(crate) fn drop_capabilities() -> io::Result<()> {
    // struct __user_cap_header_struct: version 3, this thread; three sets of 64 bits in two structs of three words.
    let (mut header, none) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: the kernel reads 8 bytes of the header, to which it may write a version, and 24 of the sets, as version 3 says;
    // both are alive for the call.
    let answer = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), none.as_ptr()) };
    if answer == 0 { Ok(()) } else { Err(of_call("capset", io::Error::last_os_error())) }
}

/// Does `work` on a thread of its own that has given up its capabilities, which are a thread's, not a process's
/// (`capabilities(7)`). Returns `None` where no thread starts, or it cannot give them up. Waits for the thread.
pub fn without_capabilities<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let work = move || drop_capabilities().ok().map(|()| work());
    let thread = thread::Builder::new().name("powerless".to_owned()).spawn(work).ok()?;
    thread.join().ok().flatten()
}

impl Confined {
    /// Leaves all threads the system calls of the plan, and those that loading code takes. Afterwards no thread, process or
    /// program can be started, and there is no network; pages can still become executable. For a process that loads code that it
    /// does not trust. [`Confined::filter`] follows in any case.
    ///
    /// # Errors
    ///
    /// The kernel has filters, and refuses this one.
    pub fn only_to_load(self) -> Result<Self, EnforceError> {
        if self.offer.seccomp {
            loading::program(&self.plan)?.apply(Log::Nothing)?;
        }
        Ok(self)
    }

    /// Applies the plan's filter to all threads. Afterwards no thread can be started, and no memory becomes executable.
    ///
    /// Every thread must have said that it runs: the plan's calls do not include those that the C library makes at a thread's
    /// start.
    ///
    /// # Errors
    ///
    /// The kernel refuses a step, or a thread has a filter of its own.
    pub fn filter(mut self) -> Result<Filtered, EnforceError> {
        set_limits(self.plan.limits.iter().filter(|row| row.resource.comes_last()))?;
        let threads = self.threads.list().map_err(EnforceError::ThreadList)?.len();
        if !self.offer.seccomp {
            return Ok(Filtered { confined: self, filter: None, threads });
        }
        trap::install().map_err(EnforceError::Handler)?;
        let rows = || self.plan.calls.iter().map(|row| (row.number, row.checks));
        // The self-test must leave nothing in a log, so that what is found there was tripped by something else. The filter that
        // logs comes on top of this one, which stays: what the self-test has shown of it still holds.
        let silent = rows().chain([(libc::SYS_seccomp, LOGGING_FILTER)]);
        Program::compile(silent, Otherwise::Trap)?.apply(Log::Nothing)?;
        let filter = Some(Program::compile(rows(), Otherwise::Trap)?);
        Ok(Filtered { confined: self, filter, threads })
    }
}

impl Filtered {
    /// What [`self_test`](super::self_test::self_test) must find on every thread of this process.
    #[must_use]
    pub fn expected(&self) -> Expected {
        Expected {
            filter: self.filter.is_some(),
            files: self.confined.handled.files != 0,
            opens: self.confined.plan.allows(libc::SYS_openat2),
        }
    }

    /// Finishes the seal: from now on a blocked system call is recorded and ends the process, and no filter can be added.
    ///
    /// # Errors
    ///
    /// A thread is missing among those that were tested, or the kernel refuses the last step.
    pub fn finish(self, tested: &[Tested]) -> Result<Enforced, EnforceError> {
        // Threads are counted, not compared: a `/proc` of another PID namespace has other numbers for them. No thread can have been
        // started since they were listed, so each that was tested is one of them.
        let passed = tested.iter().map(|tested| tested.thread).collect::<BTreeSet<_>>().len();
        if passed != self.threads {
            return Err(EnforceError::Untested { tested: passed, threads: self.threads });
        }
        let self_test = self.expected().text();
        if let Some(filter) = &self.filter {
            filter.apply(Log::Blocked)?;
        }
        trap::end_on_blocked();
        let Self { confined: Confined { plan, offer, required, handled, .. }, filter, threads } = self;
        Ok(Enforced {
            level: offer.level(),
            required,
            landlock_abi: offer.landlock_abi,
            handled,
            threads: threads as u64,
            ruleset: ruleset::digest(handled, &plan.folders),
            filter: filter.map_or_else(|| Digest::of(b""), |filter| filter.digest()),
            plan: plan.digest(),
            self_test,
        })
    }
}

impl Enforced {
    /// Says that nothing is enforced, by the choice of an embedder that runs tools in its own process and trusts them. The ledger
    /// says so.
    #[must_use]
    pub fn nothing_by_choice() -> Self {
        Self {
            level: Level::None,
            required: Level::None,
            landlock_abi: 0,
            handled: Handled::default(),
            threads: 0,
            ruleset: Digest::of(b""),
            filter: Digest::of(b""),
            plan: Digest::of(b""),
            self_test: "tools run in the embedder's own process, by its choice".to_owned(),
        }
    }

    /// The level that is enforced.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The entry that says so in the ledger, for the capability sets with these digests.
    #[must_use]
    pub fn entry(&self, writer: WriterId, time_ns: u64, policies: Vec<Digest>) -> Enforcement<'_> {
        Enforcement {
            writer,
            time_ns,
            level: self.level,
            required: self.required,
            landlock_abi: u64::from(self.landlock_abi),
            handled_fs: self.handled.files,
            handled_net: self.handled.network,
            scoped: self.handled.scopes,
            threads: self.threads,
            ruleset: self.ruleset,
            filter: self.filter,
            plan: self.plan,
            policies,
            policies_left_out: 0,
            self_test: Text::from(self.self_test.as_str()),
        }
    }

    /// Puts that entry on record, before any call is served. Waits for room in the notary's pipe, at most five seconds.
    ///
    /// # Errors
    ///
    /// The entry is not taken, or not in time.
    pub fn record(&self, record: &dyn Record, time_ns: u64, policies: Vec<Digest>) -> Result<(), RecordError> {
        let entry = Entry::Enforcement(self.entry(record.writer(), time_ns, policies)).encode();
        record.record(&[entry], Kept::Pipe, Instant::now() + RECORD_WAIT)
    }
}

/// How long the first entry may wait for room in the notary's pipe.
const RECORD_WAIT: Duration = Duration::from_secs(5);

fn set_limits<'r>(rows: impl Iterator<Item = &'r LimitRow>) -> Result<(), EnforceError> {
    for row in rows {
        let set = row.set().map_err(|source| of_call("prlimit64", source));
        set.map_err(|source| EnforceError::Limit { limit: row.resource, source })?;
    }
    Ok(())
}

/// The threads of this process, by `/proc/self/task`. Held open, since Landlock leaves no way to open it later.
#[derive(Debug)]
struct ThreadList(File);

impl ThreadList {
    fn open() -> io::Result<Self> {
        File::open("/proc/self/task").map(Self)
    }

    fn list(&mut self) -> io::Result<Vec<u32>> {
        self.0.rewind()?;
        let mut buffer = [MaybeUninit::uninit(); ENTRIES_BYTES];
        let mut entries = RawDir::new(&self.0, &mut buffer);
        let mut threads = Vec::new();
        while let Some(entry) = entries.next() {
            // `.` and `..` are no numbers.
            threads.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(threads)
    }
}

/// Bytes of folder entries per read. Listing many threads takes several reads.
const ENTRIES_BYTES: usize = 4096;

/// Has glibc never give memory of an arena back: it would first read `/proc/sys/vm/overcommit_memory`, which a sealed worker cannot
/// reach. `RLIMIT_DATA` limits the memory.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "a setting of the C library")]
fn heap_never_shrinks() {
    const NEVER: libc::c_int = -1;
    // Larger pieces are mapped apart and given back whole. Set here, since setting the other value stops glibc from adapting this
    // one.
    const MAPPED_APART_BYTES: libc::c_int = 1 << 20;
    // SAFETY: takes numbers alone, and this process has one thread.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER) };
    // SAFETY: as before.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_APART_BYTES) };
}

#[cfg(not(target_env = "gnu"))]
fn heap_never_shrinks() {}

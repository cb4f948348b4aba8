//! Whether an attack was stopped, and by what should. That it came to nothing is not enough.

use std::os::unix::process::ExitStatusExt as _;

use tollgate_audit::{AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64, BlockedCall, syscall_name};
use tollgate_notary::WriterEnding;

use super::{Outcome, Stop};
use tollgate::sandbox::trap::BLOCKED_EXIT;
use tollgate::supervisor::WorkerEnd;
use tollgate::worker::ThreadKind;

/// What was seen of a process that was started for an attack.
#[derive(Debug)]
pub(crate) struct Drilled {
    /// What the process said of it, if it still could.
    pub(crate) outcome: Option<Outcome>,
    /// How its process ended.
    pub(crate) end: WorkerEnd,
}

/// What is to be said of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was stopped by what should: what that is, and how it shows.
    Stopped(String),
    /// It got its way.
    Escaped(String),
    /// It was stopped, but not by what should, or cannot be told.
    Otherwise(String),
}

impl Verdict {
    /// Whether all is well.
    pub const fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped(_) => true,
            Self::Escaped(_) | Self::Otherwise(_) => false,
        }
    }
}

/// What is to be said of an attack that `stop` must stop, made on `thread`.
pub(crate) fn judge(stop: Stop, thread: ThreadKind, drilled: &Drilled) -> Verdict {
    let shown = match stop {
        Stop::Filter(number) => by_filter(number, thread, drilled),
        Stop::Refused(number) => refused_by_filter(number, drilled),
        Stop::Landlock(errno) => refused(drilled, errno).then(|| format!("Landlock: {}", name_of(errno))),
        Stop::Limit(errno) => refused(drilled, errno).then(|| format!("resource limit: {}", name_of(errno))),
        Stop::Absent(errno, why) => refused(drilled, errno).then(|| format!("{why}: {}", name_of(errno))),
        Stop::Killed(signal) => by_kernel(signal, drilled),
        Stop::Notary(fault) => by_notary(fault, drilled),
    };
    match (shown, &drilled.outcome, &drilled.end.ending) {
        (Some(how), _, _) => Verdict::Stopped(how),
        (None, Some(Outcome::Escaped(answer)), Some(WriterEnding::Closed) | None) => {
            Verdict::Escaped(format!("the kernel answered {answer}, and the process went on"))
        }
        (None, _, _) => Verdict::Otherwise(otherwise(stop, drilled)),
    }
}

/// The worker has ended itself, unless the supervisor was faster, which hears of it from the notary; and what it was about
/// to do is in the ledger, with the thread's name.
fn by_filter(number: i64, thread: ThreadKind, drilled: &Drilled) -> Option<String> {
    let Some(WriterEnding::Blocked(blocked)) = &drilled.end.ending else { return None };
    let status = drilled.end.status?;
    let is_it = i64::try_from(blocked.number).is_ok_and(|blocked| blocked == number)
        && blocked.thread.as_str().starts_with(thread.as_str())
        && (status.code() == Some(BLOCKED_EXIT) || status.signal() == Some(libc::SIGKILL))
        && drilled.outcome.is_none();
    is_it.then(|| format!("seccomp: {}, in the ledger", call_name(blocked)))
}

/// The process was told so, and went on until it ended by itself.
fn refused_by_filter(number: i64, drilled: &Drilled) -> Option<String> {
    let is_it = refused(drilled, libc::EPERM) && drilled.end.status?.success();
    let call = u64::try_from(number).ok().and_then(|number| syscall_name(ARCH, number));
    let call = call.map_or_else(|| format!("call {number}"), |name| format!("{name} ({number})"));
    is_it.then(|| format!("seccomp refuses {call}: EPERM"))
}

fn by_kernel(signal: i32, drilled: &Drilled) -> Option<String> {
    let is_it = drilled.end.status?.signal() == Some(signal) && drilled.outcome.is_none();
    is_it.then(|| format!("kernel: process killed by {}", signal_name(signal)))
}

fn by_notary(fault: &str, drilled: &Drilled) -> Option<String> {
    let Some(WriterEnding::Condemned { fault: found }) = &drilled.end.ending else { return None };
    found.contains(fault).then(|| format!("notary: {found}"))
}

fn refused(drilled: &Drilled, errno: i32) -> bool {
    drilled.outcome == Some(Outcome::Refused(errno))
}

fn otherwise(stop: Stop, drilled: &Drilled) -> String {
    let said = match &drilled.outcome {
        Some(Outcome::Refused(errno)) => format!("refused with {}", name_of(*errno)),
        Some(Outcome::Escaped(answer)) => format!("the kernel answered {answer}"),
        Some(Outcome::Unable(why)) => format!("not made for want of: {why}"),
        None => drilled.end.how.clone(),
    };
    let ending = match &drilled.end.ending {
        Some(WriterEnding::Blocked(blocked)) => format!("; seccomp: {blocked}"),
        Some(WriterEnding::Condemned { fault }) => format!("; notary: {fault}"),
        Some(WriterEnding::Closed) | None => String::new(),
    };
    format!("{said}{ending}; expected {stop:?}")
}

fn call_name(blocked: &BlockedCall) -> String {
    let number = blocked.number;
    blocked.name().map_or_else(|| number.to_string(), |name| format!("{name} ({number})"))
}

fn name_of(errno: i32) -> String {
    match errno {
        libc::EPERM => "EPERM".to_owned(),
        libc::EACCES => "EACCES".to_owned(),
        libc::EBADF => "EBADF".to_owned(),
        libc::EXDEV => "EXDEV".to_owned(),
        libc::ENXIO => "ENXIO".to_owned(),
        libc::ENOMEM => "ENOMEM".to_owned(),
        other => format!("errno {other}"),
    }
}

/// The table that this program's system calls are of.
const ARCH: u64 = if cfg!(target_arch = "aarch64") { AUDIT_ARCH_AARCH64 } else { AUDIT_ARCH_X86_64 };

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSYS => "SIGSYS".to_owned(),
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use tollgate_audit::{ThreadName, WriterId};

    use super::*;

    fn drilled(outcome: Option<Outcome>, wait_status: i32, ending: Option<WriterEnding>) -> Drilled {
        let (status, how) = (Some(ExitStatus::from_raw(wait_status)), "as it did".to_owned());
        Drilled { outcome, end: WorkerEnd { status, said: String::new(), how, ending } }
    }

    fn blocked(number: u64, thread: &str) -> Option<WriterEnding> {
        let (writer, thread) = (WriterId([0; 6]), ThreadName::new(thread));
        let arch = AUDIT_ARCH_X86_64;
        let blocked = BlockedCall { writer, call: None, thread, number, arch, arguments: [0; 6], instruction: 0 };
        Some(WriterEnding::Blocked(blocked))
    }

    #[test]
    fn it_counts_what_stopped_an_attack() {
        let open = Stop::Filter(2);
        let trapped = BLOCKED_EXIT << 8;
        let is_stopped = |stop, drilled: Drilled| judge(stop, ThreadKind::Executor, &drilled).is_stopped();
        assert!(is_stopped(open, drilled(None, trapped, blocked(2, "executor-1"))));
        assert!(is_stopped(open, drilled(None, libc::SIGKILL, blocked(2, "executor-1"))));
        assert!(!is_stopped(open, drilled(None, trapped, blocked(257, "executor-1"))), "another call");
        assert!(!is_stopped(open, drilled(None, trapped, blocked(2, "main"))), "another thread");
        assert!(!is_stopped(open, drilled(None, trapped, Some(WriterEnding::Closed))), "no evidence");
        assert!(!is_stopped(open, drilled(Some(Outcome::Refused(1)), 0, Some(WriterEnding::Closed))));

        let refused = |errno| drilled(Some(Outcome::Refused(errno)), 0, Some(WriterEnding::Closed));
        assert!(is_stopped(Stop::Landlock(libc::EACCES), refused(libc::EACCES)));
        assert!(!is_stopped(Stop::Landlock(libc::EACCES), refused(libc::ENOENT)));
        assert!(is_stopped(Stop::Killed(libc::SIGSYS), drilled(None, libc::SIGSYS, Some(WriterEnding::Closed))));
        assert!(!is_stopped(Stop::Killed(libc::SIGSYS), drilled(None, libc::SIGSEGV, Some(WriterEnding::Closed))));

        let condemned = |fault: &str| {
            let ending = Some(WriterEnding::Condemned { fault: fault.to_owned() });
            drilled(Some(Outcome::Escaped(64)), libc::SIGKILL, ending)
        };
        assert!(is_stopped(Stop::Notary("no frame"), condemned("bytes that are no frame")));
        assert!(!is_stopped(Stop::Notary("no frame"), condemned("an unfinished frame at its end")));
        assert!(!is_stopped(Stop::Landlock(libc::EACCES), drilled(Some(Outcome::Unable("x".to_owned())), 0, None)));
    }

    #[test]
    fn a_filter_that_refuses_is_told_from_one_that_does_not() {
        let is_stopped = |outcome, wait_status| {
            let drilled = drilled(outcome, wait_status, None);
            judge(Stop::Refused(2), ThreadKind::Main, &drilled).is_stopped()
        };
        assert!(is_stopped(Some(Outcome::Refused(libc::EPERM)), 0));
        assert!(!is_stopped(Some(Outcome::Refused(libc::EACCES)), 0), "another errno");
        assert!(!is_stopped(Some(Outcome::Refused(libc::EPERM)), libc::SIGSYS), "the process did not go on");
        assert!(!is_stopped(Some(Outcome::Unable("x".to_owned())), 0));
        assert!(!is_stopped(None, 0), "it said nothing");
        let escaped = judge(Stop::Refused(2), ThreadKind::Main, &drilled(Some(Outcome::Escaped(3)), 0, None));
        assert!(matches!(escaped, Verdict::Escaped(_)), "{escaped:?}");
    }

    #[test]
    fn an_escape_is_called_one() {
        let escaped = drilled(Some(Outcome::Escaped(3)), 0, Some(WriterEnding::Closed));
        for stop in [Stop::Filter(2), Stop::Landlock(libc::EACCES), Stop::Notary("no frame"), Stop::Killed(31)] {
            assert!(matches!(judge(stop, ThreadKind::Main, &escaped), Verdict::Escaped(_)), "{stop:?}");
        }
    }
}

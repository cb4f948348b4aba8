//! Errors of system calls that say which call it was, where what surrounds this process is to blame: a filter that refuses the
//! call, as containers have them, or a limit that came from the shell. Must never change what kind of error it is.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// An error of a system call whose name must be known to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct OfCall {
    text: String,
    // That of the system's error, which is part of the text and so not told again as a cause. None where a filter refused the
    // call: it stands for rights of a file then, which are not to blame.
    number: Option<i32>,
}

/// The error of the system call named `call`. Where a filter may have refused it (`EPERM`, `ENOSYS`), or a limit of this process
/// was reached (`setrlimit(2)`), its text names the call and what to do; any other error stays as it is.
pub fn of_call(call: &'static str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    let mut number = error.raw_os_error();
    let blame = match number.map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::NOSYS) => {
            number = None;
            REFUSED.to_owned()
        }
        Some(Errno::MFILE) => at_limit(Resource::Nofile, "RLIMIT_NOFILE (`ulimit -n`)"),
        Some(Errno::AGAIN) => at_limit(Resource::Nproc, "RLIMIT_NPROC (`ulimit -u`)"),
        Some(Errno::NOMEM) => at_limit(Resource::As, "RLIMIT_AS, in bytes (`ulimit -v`)"),
        Some(Errno::FBIG) => at_limit(Resource::Fsize, "RLIMIT_FSIZE, in bytes (`ulimit -f`)"),
        _ => return error,
    };
    io::Error::new(error.kind(), OfCall { text: format!("{call}: {error}{blame}"), number })
}

/// An error of the operating system with `more` at the end of its text; its number is still found
/// ([`os_error`]). Any other error stays as it is.
#[must_use]
pub fn with_more(error: io::Error, more: &str) -> io::Error {
    let number = error.raw_os_error();
    if number.is_none() || more.is_empty() {
        return error;
    }
    io::Error::new(error.kind(), OfCall { text: format!("{error}{more}"), number })
}

/// The number of the operating system's error, also where its text was added to.
pub(crate) fn number(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| of_call_in(error)?.number)
}

/// Whether a filter refused a system call, as [`of_call`] tells it: no rights of a file are to blame.
#[must_use]
pub fn is_refused_call(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let named = cause.downcast_ref::<io::Error>().and_then(of_call_in);
        named.is_some_and(|named| named.number.is_none())
    })
}

/// The number of the operating system's error among an error and its causes: that of the outermost that has one.
#[must_use]
pub fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|cause| number(cause.downcast_ref::<io::Error>()?))
}

fn of_call_in(error: &io::Error) -> Option<&OfCall> {
    error.get_ref()?.downcast_ref()
}

/// As [`of_call`], for the start of a thread.
pub fn of_thread(error: io::Error) -> io::Error {
    of_call("clone3 (a new thread)", error)
}

fn at_limit(resource: Resource, name: &str) -> String {
    getrlimit(resource).current.map_or_else(String::new, |value| format!("; the limit {name} is {value}"))
}

const REFUSED: &str = "; a filter of system calls around this process refuses it, such as a container's: `tollgate doctor` tries \
                       all that is needed, and says what to do";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_the_surroundings_cause_names_the_call_and_keeps_its_kind() {
        let refused = of_call("memfd_create", Errno::PERM);
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        let text = refused.to_string();
        assert!(text.starts_with("memfd_create: Operation not permitted (os error 1); a filter"), "{text}");
        assert!(text.contains("`tollgate doctor`"), "{text}");
        assert!(of_call("tee", Errno::NOSYS).to_string().starts_with("tee: Function not implemented"));
        let files = getrlimit(Resource::Nofile).current.unwrap();
        let full = of_call("pipe2", Errno::MFILE).to_string();
        assert!(full.ends_with(&format!("; the limit RLIMIT_NOFILE (`ulimit -n`) is {files}")), "{full}");
        assert_eq!(tollgate_audit::with_causes(&refused), text, "told once");
    }

    #[test]
    fn the_number_is_found_behind_the_words_unless_a_filter_refused_the_call() {
        for errno in [Errno::MFILE, Errno::AGAIN, Errno::NOMEM, Errno::FBIG] {
            let named = of_call("clone3", errno);
            assert_eq!((os_error(&named), is_refused_call(&named)), (Some(errno.raw_os_error()), false));
        }
        for errno in [Errno::PERM, Errno::NOSYS] {
            let named = of_call("clone3", errno);
            assert_eq!((os_error(&named), is_refused_call(&named)), (None, true));
        }
        let more = with_more(Errno::NOENT.into(), "; little memory");
        assert_eq!(more.to_string(), "No such file or directory (os error 2); little memory");
        assert_eq!((os_error(&more), is_refused_call(&more)), (Some(Errno::NOENT.raw_os_error()), false));
        assert_eq!(with_more(io::Error::other("torn"), "; more").to_string(), "torn");
    }

    #[test]
    fn any_other_error_stays_as_it_is() {
        let other = of_call("openat", Errno::NOENT);
        assert_eq!(other.raw_os_error(), Some(Errno::NOENT.raw_os_error()));
        assert!(of_call("read", io::Error::other("torn")).raw_os_error().is_none());
    }
}

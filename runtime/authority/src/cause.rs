//! Advice for errors of the operating system: the error's number decides what helps, and the place names what is concerned. Only
//! text. It must never point at access rights where the disk, the file system or a limit is to blame.

use std::error::Error;

use rustix::io::Errno;
use tollgate_system::{is_refused_call, os_error};

/// A place that is read or written, as advice names it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its name.
    what: &'static str,
    /// What can be done instead of mending it.
    instead: Option<&'static str>,
}

impl Place {
    /// The ledger's folder.
    pub const LEDGER: Self = Self::or("the ledger's folder", "give another one with --ledger");
    /// The side store beside the ledger.
    pub const SIDE_STORE: Self =
        Self::or("the folder with `.private` behind the ledger's name", "give another ledger with --ledger");
    /// The folder of installed tools.
    pub const TOOLS: Self = Self::or("the folder of tools", ANOTHER_HOME);
    /// The folder of one tool.
    pub const TOOL: Self = Self::only("the tool's folder");
    /// The folder of the artifacts' key.
    pub const KEY: Self = Self::or("the folder of the key", ANOTHER_HOME);
    /// The folder of the file of tokens.
    pub const TOKENS: Self = Self::or("the folder of the file of tokens", ANOTHER_HOME);
    /// The store of accepted policies.
    pub const TRUST: Self = Self::or("the store of what is accepted", ANOTHER_HOME);
    /// The folder of a policy or a grant.
    pub const POLICY: Self = Self::only("the folder of the policy or of the grant");
    /// A folder that is granted.
    pub const GRANTED: Self = Self::or("the folder that is granted", "name another one in its `host`");
    /// An author's project.
    pub const PROJECT: Self = Self::only("the project's folder");
    /// A file that is written for the user.
    pub const OUTPUT: Self = Self::or("the folder of this file", "give another file");
    /// A file that the user names.
    pub const INPUT: Self = Self::or("this file", "give another one");
    /// The folder for temporary files.
    pub const SCENE: Self = Self::or("the folder for temporary files", "set TMPDIR to another one");
    /// This program's own file.
    pub const PROGRAM: Self = Self::only("this program's own file");

    #[cfg(test)]
    const ALL: [Self; 14] = [
        Self::LEDGER,
        Self::SIDE_STORE,
        Self::TOOLS,
        Self::TOOL,
        Self::KEY,
        Self::TOKENS,
        Self::TRUST,
        Self::POLICY,
        Self::GRANTED,
        Self::PROJECT,
        Self::OUTPUT,
        Self::INPUT,
        Self::SCENE,
        Self::PROGRAM,
    ];

    const fn or(what: &'static str, instead: &'static str) -> Self {
        Self { what, instead: Some(instead) }
    }

    const fn only(what: &'static str) -> Self {
        Self { what, instead: None }
    }
}

/// What to do about an error at a place.
pub fn advice(error: &(dyn Error + 'static), place: Place) -> String {
    if is_refused_call(error) {
        return "look what refuses the system call: `tollgate doctor` tries all that is needed".to_owned();
    }
    advice_on(os_error(error), place)
}

/// The same by the number of the operating system's error, if it has one.
pub fn advice_on(number: Option<i32>, place: Place) -> String {
    let errno = number.map(Errno::from_raw_os_error);
    let mend = errno.and_then(|errno| of_place(errno, place.what));
    match (mend, errno.and_then(of_process), place.instead) {
        (Some(mend), _, Some(instead)) => format!("{mend}, or {instead}"),
        (Some(mend), _, None) => mend,
        (None, Some(limit), _) => limit.to_owned(),
        (None, None, Some(instead)) => format!("look at {}, or {instead}", place.what),
        (None, None, None) => format!("look at {}", place.what),
    }
}

/// What to mend if the file system is to blame.
fn of_place(errno: Errno, what: &str) -> Option<String> {
    Some(match errno {
        Errno::ACCESS | Errno::PERM => format!("mend the rights of {what}"),
        Errno::ROFS => format!("mount the file system of {what} for writing: it is read-only"),
        Errno::NOSPC => format!("make room on the disk of {what}: it is full"),
        Errno::DQUOT => format!("make room on the disk of {what}, or have the quota raised: it is used up"),
        Errno::FBIG => format!("raise the largest size that a file of {what} may have (`ulimit -f`)"),
        Errno::NOTSUP | Errno::NOSYS | Errno::INVAL | Errno::XDEV => {
            format!("move {what} to a file system that can do this: network and FUSE file systems often cannot")
        }
        Errno::NOENT => format!("make {what}, and the folders above it: something on the way is not there"),
        Errno::NOTDIR => format!("look at the path of {what}: a file stands where a folder should"),
        Errno::ISDIR => format!("look at {what}: a folder stands where a file should"),
        Errno::EXIST | Errno::NOTEMPTY => format!("look at {what}: what should be made is there already"),
        Errno::LOOP => {
            format!(
                "mend the symbolic links on the way to {what}: they lead in circles, or one stands where none is followed"
            )
        }
        Errno::NAMETOOLONG => format!("shorten the path of {what}"),
        Errno::BUSY | Errno::TXTBSY => format!("wait until nothing else uses {what}"),
        Errno::IO | Errno::STALE | Errno::NODEV | Errno::NXIO | Errno::NOTCONN | Errno::TIMEDOUT => {
            format!("look at the device or server of {what}, which fails: the system's log says more")
        }
        _ => return None,
    })
}

/// What to raise if a limit on this process is to blame: another place would not help.
pub(super) fn of_process(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::MFILE => "raise the limit on open files (`ulimit -n`)",
        Errno::NFILE => "close programs: the system has no more open files to give",
        Errno::NOMEM => "make room in memory, or raise its limit (`ulimit -v`, the cgroup's `memory.max`)",
        Errno::AGAIN => "raise the limit on processes and threads (`ulimit -u`, the cgroup's `pids.max`)",
        _ => return None,
    })
}

const ANOTHER_HOME: &str = "set TOLLGATE_HOME to another folder";

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::{fs, io};

    use tollgate_system::of_call;

    use super::*;

    /// Numbers of errors, and what the help must name; most of them at every place.
    const CAUSES: [(Errno, &str); 27] = [
        (Errno::ACCESS, "the rights of"),
        (Errno::PERM, "the rights of"),
        (Errno::ROFS, "read-only"),
        (Errno::NOSPC, "it is full"),
        (Errno::DQUOT, "quota"),
        (Errno::FBIG, "`ulimit -f`"),
        (Errno::NOTSUP, "FUSE"),
        (Errno::NOSYS, "FUSE"),
        (Errno::INVAL, "FUSE"),
        (Errno::XDEV, "FUSE"),
        (Errno::NOENT, "is not there"),
        (Errno::NOTDIR, "a file stands where a folder should"),
        (Errno::ISDIR, "a folder stands where a file should"),
        (Errno::EXIST, "is there already"),
        (Errno::NOTEMPTY, "is there already"),
        (Errno::LOOP, "in circles"),
        (Errno::NAMETOOLONG, "shorten"),
        (Errno::BUSY, "nothing else uses"),
        (Errno::TXTBSY, "nothing else uses"),
        (Errno::IO, "system's log"),
        (Errno::STALE, "system's log"),
        (Errno::NODEV, "system's log"),
        (Errno::NOTCONN, "system's log"),
        (Errno::MFILE, "`ulimit -n`"),
        (Errno::NFILE, "no more open files"),
        (Errno::NOMEM, "`memory.max`"),
        (Errno::AGAIN, "`pids.max`"),
    ];

    #[test]
    fn the_cause_decides_the_help_at_every_place() {
        for place in Place::ALL {
            for (errno, named) in CAUSES {
                let error = io::Error::from(errno);
                let help = advice(&error, place);
                assert!(help.contains(named), "{errno} at {place:?}: {help}");
                let is_of_process = of_process(errno).is_some();
                assert_eq!(help.contains(place.what), !is_of_process, "{errno} at {place:?}: {help}");
                let is_of_rights = matches!(errno, Errno::ACCESS | Errno::PERM);
                assert_eq!(help.contains("rights"), is_of_rights, "{errno} at {place:?}: {help}");
                let instead = place.instead.filter(|_| !is_of_process);
                assert!(instead.is_none_or(|instead| help.ends_with(instead)), "{errno} at {place:?}: {help}");
            }
        }
    }

    /// A fixed text that sends to rights would be said whatever the cause is.
    #[test]
    fn no_other_source_sends_to_the_rights_of_anything() {
        fn is_told(at: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    is_told(&path, found);
                } else if fs::read_to_string(&path).unwrap().to_lowercase().contains("mend the rights") {
                    found.push(path);
                }
            }
        }
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = Vec::new();
        for sources in ["authority/src", "cli/src", "drill/src", "src"] {
            is_told(&runtime.join(sources), &mut found);
        }
        assert_eq!(found, [runtime.join("authority/src/cause.rs")]);
    }

    #[test]
    fn a_refused_system_call_is_no_matter_of_rights() {
        let help = advice(&of_call("flock", Errno::PERM), Place::LEDGER);
        assert_eq!(help, "look what refuses the system call: `tollgate doctor` tries all that is needed");
        assert_eq!(
            advice(&of_call("pipe2", Errno::MFILE), Place::PROGRAM),
            "raise the limit on open files (`ulimit -n`)"
        );
    }

    #[test]
    fn what_has_no_number_blames_nothing() {
        for place in Place::ALL {
            let help = advice(&io::Error::other("it belongs to another user"), place);
            assert!(help.starts_with("look at ") && !help.contains("rights"), "{help}");
        }
    }

    /// An error of a library that was caused by one of the operating system.
    #[test]
    fn the_number_is_found_among_the_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);
        let help = advice(&Outer(Errno::NOSPC.into()), Place::LEDGER);
        assert_eq!(help, "make room on the disk of the ledger's folder: it is full, or give another one with --ledger");
    }
}

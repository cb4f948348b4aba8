//! The lock file as readers meet it: its content says who has the ledger, and must never be trusted for more. The lock itself is
//! the kernel's (`flock(2)`), and its taker's.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::regular;

/// Who has a ledger, as the lock file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process to ask, or to end: the daemon where there is one, else the one that writes the ledger.
    pub pid: u32,
    /// The socket on which the daemon hears its clients.
    pub daemon: Option<PathBuf>,
}

/// The line of a holder: its process id, a check, so that a changed byte is told from another holder, and the daemon's socket if
/// there is one.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`]: the path is not absolute, has more than [`DAEMON_BYTES_MAX`] bytes, is no UTF-8, or would end
/// the line.
pub fn line(pid: u32, daemon: Option<&Path>) -> io::Result<String> {
    let Some(daemon) = daemon else { return Ok(checked(pid, None)) };
    let named = daemon.to_str().filter(|path| is_path(path));
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, format!("no path of a daemon's socket: {daemon:?}"));
    named.map(|path| checked(pid, Some(path))).ok_or_else(refused)
}

fn checked(pid: u32, daemon: Option<&str>) -> String {
    let text = daemon.map_or_else(|| pid.to_string(), |path| format!("{pid} {path}"));
    let [c0, c1, c2, c3, ..] = <[u8; 32]>::from(Sha256::digest(text));
    let check = hex::encode([c0, c1, c2, c3]);
    daemon.map_or_else(|| format!("{pid} {check}\n"), |path| format!("{pid} {check} {path}\n"))
}

fn is_path(text: &str) -> bool {
    text.len() <= DAEMON_BYTES_MAX && text.starts_with('/') && !text.contains(char::is_control)
}

/// The holder that wrote this line.
pub fn parse(text: &str) -> Option<Holder> {
    let (pid, rest) = text.strip_suffix('\n')?.split_once(' ')?;
    let (pid, daemon) = (pid.parse().ok()?, rest.split_once(' ').map(|(_check, path)| path));
    let is_whole = daemon.is_none_or(is_path) && checked(pid, daemon) == text;
    is_whole.then(|| Holder { pid, daemon: daemon.map(PathBuf::from) })
}

/// Who wrote the lock file below `dir`, if it is whole. That process may be gone; the lock tells, not this.
pub fn holder(dir: &Path) -> Option<Holder> {
    parse(&text(dir).ok()?)
}

/// Whether the lock file below `dir` is what a holder writes: nothing, or a line.
pub fn is_sound(dir: &Path) -> bool {
    match text(dir) {
        Ok(text) => text.is_empty() || parse(&text).is_some(),
        Err(error) => !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput),
    }
}

/// Whether another process that still runs wrote the lock file below `dir`: it probably has the ledger. Wrong where
/// numbers of processes came again, or are another namespace's; so it may decide over no more than a moment's wait.
pub fn is_probably_held(dir: &Path) -> bool {
    let holder = holder(dir).filter(|holder| holder.pid != std::process::id());
    holder.is_some_and(|holder| Path::new("/proc").join(holder.pid.to_string()).exists())
}

fn text(dir: &Path) -> io::Result<String> {
    let bytes = regular::read(&dir.join(LOCK_FILE), LINE_BYTES_MAX)?;
    String::from_utf8(bytes).map_err(|_not_text| io::ErrorKind::InvalidData.into())
}

pub const LOCK_FILE: &str = "lock";

/// Longest path of a daemon's socket, in bytes: above what a socket may have (`unix(7)`).
pub const DAEMON_BYTES_MAX: usize = 255;

/// Digits of the largest `u32`, a space, the check, a space, a path and a newline.
pub const LINE_BYTES_MAX: usize = 10 + 1 + 8 + 1 + DAEMON_BYTES_MAX + 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden bytes: a reader of one version finds the daemon of another.
    #[test]
    fn a_holder_is_read_back() {
        assert_eq!(line(4711, None).unwrap(), "4711 de650d61\n");
        let socket = "/run/user/1000/tollgate/5f a/operator";
        assert_eq!(line(4711, Some(Path::new(socket))).unwrap(), format!("4711 f9e2ae4c {socket}\n"));
        let longest = format!("/{}", "x".repeat(DAEMON_BYTES_MAX - 1));
        for daemon in [None, Some(socket), Some("/"), Some(&longest)] {
            let daemon = daemon.map(Path::new);
            let line = line(u32::MAX, daemon).unwrap();
            assert!(line.len() <= LINE_BYTES_MAX);
            assert_eq!(parse(&line), Some(Holder { pid: u32::MAX, daemon: daemon.map(Path::to_owned) }));
            for cut in 0..line.len() {
                assert_eq!(parse(&line[..cut]), None, "cut off at {cut}");
            }
            for place in 0..line.len() {
                let mut other = line.clone().into_bytes();
                other[place] ^= 1;
                assert_eq!(parse(&String::from_utf8(other).unwrap()), None, "another byte at {place}");
            }
        }
    }

    #[test]
    fn what_is_no_path_of_a_socket_is_not_named() {
        let long = format!("/{}", "x".repeat(DAEMON_BYTES_MAX));
        for path in ["", "run/socket", "/run/\n2 00", &long] {
            assert_eq!(line(1, Some(Path::new(path))).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path:?}");
            assert_eq!(parse(&checked(1, Some(path))), None, "{path:?}");
        }
    }
}

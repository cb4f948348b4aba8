//! A test of this program as a process of its own, which seals itself and attacks; and what none of them may do.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

/// In the environment of the child: the folder around it.
const AROUND: &str = "TOLLGATE_TEST_AROUND";

/// This program with one ignored test to run.
#[allow(clippy::disallowed_methods, reason = "this program runs itself")]
pub fn child(test: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture"]);
    // A backtrace reads this program's file, which is out of a sealed process's reach.
    child.env_remove("RUST_BACKTRACE");
    child
}

/// Runs a child, whose test passes.
pub fn passes(mut child: Command) {
    let child = child.output().unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// Runs a test as a child that attacks the folder around it, in which nothing may change but what is in the folder `inside`.
pub fn attacks(test: &str, inside: Option<&str>) {
    let around = tempfile::tempdir().unwrap();
    inside.iter().for_each(|inside| fs::create_dir(around.path().join(inside)).unwrap());
    fs::write(around.path().join("outside"), "secret").unwrap();
    let mut child = child(test);
    child.env(AROUND, around.path());
    passes(child);
    assert_eq!(fs::read_to_string(around.path().join("outside")).unwrap(), "secret");
    assert_eq!(fs::read_dir(around.path()).unwrap().count(), 1 + inside.iter().count(), "nothing was made");
}

/// In such a child: the folder around it, with the file `outside`.
#[allow(clippy::disallowed_methods, reason = "whoever started this process says where")]
pub fn around() -> PathBuf {
    std::env::var_os(AROUND).unwrap().into()
}

/// That the kernel does not permit something.
pub fn denied<T>(what: &str, done: Result<T, impl Into<io::Error>>) {
    assert_eq!(done.err().map(|error| error.into().kind()), Some(ErrorKind::PermissionDenied), "{what}");
}

/// That this process, which is sealed, reaches nothing around it, nobody listening at `address`, and starts nothing.
#[allow(clippy::disallowed_methods, reason = "another program is what it must not start")]
pub fn assert_out_of_reach(around: &Path, address: SocketAddr) {
    let (outside, new) = (around.join("outside"), around.join("new"));
    denied("read a file", fs::read(&outside));
    denied("write a file", fs::write(&outside, ""));
    denied("make a file", fs::write(&new, ""));
    denied("make a folder", fs::create_dir(&new));
    denied("list a folder", fs::read_dir(around));
    denied("remove a file", fs::remove_file(&outside));
    denied("move a file", fs::rename(&outside, &new));
    denied("link a file", fs::hard_link(&outside, &new));
    denied("own memory", File::options().write(true).open("/proc/self/mem"));
    denied("connect", TcpStream::connect(address));
    denied("send", UdpSocket::bind("127.0.0.1:0"));
    denied("another program", Command::new("/bin/true").status());
    denied("another thread", std::thread::Builder::new().spawn(|| ()));
}

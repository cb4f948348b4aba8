//! What a process can do while it loads code: map it and make it executable, and nothing that the plan does not leave it.

use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::{fs, thread};

use tollgate_engine::{Component, Engine, LoadError};
use tollgate_ipc::memory_file;

use super::*;

#[test]
fn code_is_loaded_in_a_process_that_reaches_nothing() {
    in_child("loading::child_loads_code");
}

#[test]
#[ignore = "run as a child"]
fn child_loads_code() {
    let around = tempfile::tempdir().unwrap();
    let outside = around.path().join("outside");
    fs::write(&outside, "secret").unwrap();
    let component = wat::parse_str("(component (core module (memory 1) (data (i32.const 0) \"x\") (func)))").unwrap();
    let code = memory_file("code", &compiled(1, &component)).unwrap();
    let garbage = memory_file("code", &[0x7f; 1 << 16]).unwrap();
    let ended = forked(|pipe| {
        set_evidence(pipe.as_raw_fd(), WRITER);
        let stripped = strip(&[pipe.as_fd(), code.as_fd(), garbage.as_fd()]).unwrap();
        let engine = Engine::for_mapped_code(1).unwrap();
        let confined = stripped.confine(&plan(&CapabilitySet::default()), Level::Full).unwrap();
        let confined = confined.only_to_load().unwrap();
        let load = |code| Component::from_memory_file(&engine, code);
        load(&code).unwrap();
        assert!(matches!(load(&garbage), Err(LoadError::Engine(_))));
        reaches_nothing(&outside);
        // What comes after is the same as ever.
        let filtered = confined.filter().unwrap();
        let tested = self_test(&filtered.expected()).unwrap();
        assert!(load(&code).is_err(), "no page becomes executable any more");
        filtered.finish(&[tested]).unwrap();
        drop(UdpSocket::bind("127.0.0.1:0"));
        panic!("a blocked call ends it");
    });
    assert_eq!(ended.status.exit_status(), Some(trap::BLOCKED_EXIT), "{ended:?}");
    assert_eq!(ended.blocked.unwrap().number, libc::SYS_socket.unsigned_abs());
}

/// Landlock alone would leave it datagrams, sockets by their path, and programs in memory files.
fn reaches_nothing(outside: &Path) {
    let refused = |what: &str, error: Option<std::io::Error>| {
        let kind = error.map(|error| error.kind());
        assert_eq!(kind, Some(std::io::ErrorKind::PermissionDenied), "{what}");
    };
    refused("a datagram socket", UdpSocket::bind("127.0.0.1:0").err());
    refused("a connection", TcpStream::connect("127.0.0.1:1").err());
    refused("a socket by its path", UnixStream::connect(outside).err());
    refused("a file", fs::read(outside).err());
    refused("its names", fs::metadata(outside).err());
    refused("a program", Command::new("/bin/true").status().err());
    refused("a thread", thread::Builder::new().spawn(|| ()).err());
}

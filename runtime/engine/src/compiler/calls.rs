//! The system calls of a compiler: bytes in, bytes out, memory that never becomes executable.

use tollgate_sandbox::trusted::{Call, Check, NOT_EXECUTABLE};

/// The first argument is this file descriptor.
const fn descriptor(number: u32) -> Check {
    Check::is(0, number)
}

/// Memory that counts against the limit (`RLIMIT_DATA`): neither shared nor growing by itself. The fourth argument.
const COUNTED: Check = Check::clear(3, libc::MAP_SHARED | libc::MAP_GROWSDOWN);

/// What a compiler does once it is sealed, beside what every process does, and why.
pub(super) const ALLOWED: &[Call] = &[
    (libc::SYS_read, &[descriptor(0)], "the component"),
    (libc::SYS_write, &[descriptor(1)], "the machine code"),
    (libc::SYS_write, &[descriptor(2)], "panics"),
    (libc::SYS_mmap, &[NOT_EXECUTABLE, COUNTED], "memory"),
];

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test that runs itself as a child, which then seals itself")]
mod tests {
    use std::fs::{self, File};
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::Command;

    use super::super::process::{CompilerRole, seal};

    const FOLDER: &str = "TOLLGATE_TEST_SEALED_COMPILER";

    #[test]
    fn a_sealed_compiler_compiles_and_reaches_nothing() {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("outside"), "secret").unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "compiler::calls::tests::child_seals_itself_and_attacks", "--ignored", "--nocapture"])
            .env(FOLDER, around.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
        assert!(said.contains("1 passed"), "{said}");
        assert_eq!(fs::read_to_string(around.path().join("outside")).unwrap(), "secret");
        assert!(!around.path().join("new").exists());
    }

    #[test]
    #[ignore = "run as a child"]
    fn child_seals_itself_and_attacks() {
        let around = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
        let outside = around.join("outside");
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut open = File::options().read(true).write(true).open(&outside).unwrap();
        let engine = crate::Engine::new(1).unwrap();
        seal(&CompilerRole { supervisor: 0, cpu_seconds: 60, memory_bytes: 256 << 20, threads: 2 }).unwrap();

        // What it needs still works, a panic included.
        let component = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        assert!(!engine.0.precompile_component(&component).unwrap().is_empty());
        assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());

        let denied =
            |what: &str, kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::PermissionDenied), "{what}");
        let kind = |error: std::io::Error| error.kind();
        denied("read", fs::read(&outside).err().map(kind));
        denied("write", fs::write(&outside, "").err().map(kind));
        denied("create", fs::write(around.join("new"), "").err().map(kind));
        denied("list", fs::read_dir(&around).err().map(kind));
        denied("unlink", fs::remove_file(&outside).err().map(kind));
        denied("ask about", fs::metadata(&outside).err().map(kind));
        denied("read a file that was open", open.read(&mut [0]).err().map(kind));
        denied("write a file that was open", open.write(b"x").err().map(kind));
        denied("own memory", File::options().write(true).open("/proc/self/mem").err().map(kind));
        denied("connect", TcpStream::connect(address).err().map(kind));
        denied("send", UdpSocket::bind("127.0.0.1:0").err().map(kind));
        denied("another program", Command::new("/bin/true").status().err().map(kind));
        denied("another thread", std::thread::Builder::new().spawn(|| ()).err().map(kind));
        let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
        assert!(engine.0.precompile_module(&module).is_ok());
        assert!(wasmtime::Module::from_binary(&engine.0, &module).is_err(), "executable pages");
        let mut much = Vec::<u8>::new();
        assert!(much.try_reserve_exact(512 << 20).is_err(), "memory over the limit");
        let limit = rustix::process::Rlimit { current: None, maximum: None };
        assert!(rustix::process::setrlimit(rustix::process::Resource::Data, limit).is_err(), "raise a limit");
    }
}

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
mod tests {
    use std::fs::{self, File};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use tollgate_testing::sealed_child::{around, assert_out_of_reach, attacks, denied};

    use super::super::process::{CompilerRole, seal};

    #[test]
    fn a_sealed_compiler_compiles_and_reaches_nothing() {
        attacks("compiler::calls::tests::child_seals_itself_and_attacks", None);
    }

    #[test]
    #[ignore = "run as a child"]
    fn child_seals_itself_and_attacks() {
        let around = around();
        let outside = around.join("outside");
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut open = File::options().read(true).write(true).open(&outside).unwrap();
        let engine = crate::Engine::new(1).unwrap();
        seal(&CompilerRole { supervisor: 0, cpu_seconds: 60, memory_bytes: 256 << 20, threads: 2 }).unwrap();

        // What it needs still works, a panic included.
        let component = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        assert!(!engine.0.precompile_component(&component).unwrap().is_empty());
        assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());

        assert_out_of_reach(&around, address);
        denied("ask about", fs::metadata(&outside));
        denied("read a file that was open", open.read(&mut [0]));
        denied("write a file that was open", open.write(b"x"));
        let module = wat::parse_str("(module (func (export \"f\")))").unwrap();
        assert!(engine.0.precompile_module(&module).is_ok());
        assert!(wasmtime::Module::from_binary(&engine.0, &module).is_err(), "executable pages");
        let mut much = Vec::<u8>::new();
        assert!(much.try_reserve_exact(512 << 20).is_err(), "memory over the limit");
        let limit = rustix::process::Rlimit { current: None, maximum: None };
        assert!(rustix::process::setrlimit(rustix::process::Resource::Data, limit).is_err(), "raise a limit");
    }
}

//! The compiler's process: what it gives, and what becomes of a component that makes it crash, run long or grow.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use serde_json::json;
use tollgate::compiler::{CompileError, CompileLimits, Compiler};
use tollgate::{Artifact, Engine, LoadError, ProcessCommand};
use tollgate_ipc::PROTOCOL;
use tollgate_ipc::message::encode;

use crate::desk::guest;

const TOLLGATE: &str = env!("CARGO_BIN_EXE_tollgate");

/// What compiling `component` by the real compiler gives, under these limits.
fn under(limits: CompileLimits, component: &[u8]) -> Result<Artifact, LoadError> {
    by(TOLLGATE, &["compile"], limits, component)
}

/// What compiling by `program` gives.
fn by(program: &str, arguments: &[&str], limits: CompileLimits, component: &[u8]) -> Result<Artifact, LoadError> {
    let engine = Engine::new(1).unwrap();
    Compiler::new(ProcessCommand::new(program, arguments), limits).compile(&engine, component)
}

/// What a compiler that is this line of shell comes to.
#[track_caller]
fn shell(line: &str, limits: CompileLimits) -> CompileError {
    let error = by("/bin/sh", &["-c", line], limits, &word_count()).unwrap_err();
    let LoadError::Compile(error) = error else { panic!("{error}") };
    error
}

fn word_count() -> Vec<u8> {
    fs::read(guest("word-count").component).unwrap()
}

/// A component with so many functions, each with some work for a compiler.
fn large(functions: usize) -> Vec<u8> {
    let mut text = "(component (core module".to_owned();
    for _ in 0..functions {
        text.push_str("(func (param i32) (result i32) local.get 0");
        for number in 0..20 {
            write!(text, " i32.const {number} i32.mul local.get 0 i32.xor").unwrap();
        }
        text.push(')');
    }
    text.push_str("))");
    wat::parse_str(text).unwrap()
}

#[test]
fn what_it_compiles_is_what_this_process_would_compile() {
    let bytes = word_count();
    let apart = under(CompileLimits::DEFAULT, &bytes).unwrap();
    let here = Artifact::compile_unsealed(&Engine::new(1).unwrap(), &bytes).unwrap();
    assert_eq!((apart.component(), apart.imports()), (here.component(), here.imports()));
    assert!(apart == here, "the same code, byte for byte");
}

#[test]
fn a_component_that_does_not_compile_is_malformed() {
    let bytes = word_count();
    let error = under(CompileLimits::DEFAULT, &bytes[..bytes.len() / 2]).unwrap_err();
    assert!(matches!(error, LoadError::Malformed { .. }), "{error}");
    // Text is not assembled, and what is no component does not even reach the process.
    assert!(matches!(by("/nowhere", &[], CompileLimits::DEFAULT, b"(component)"), Err(LoadError::NotWasm)));
}

#[test]
fn one_that_takes_too_long_is_stopped() {
    let limits = CompileLimits { time: Duration::from_millis(1), ..CompileLimits::DEFAULT };
    let error = under(limits, &word_count()).unwrap_err();
    assert!(
        matches!(error, LoadError::Compile(CompileError::TooLong { limit, .. }) if limit == limits.time),
        "{error}"
    );
    let soon = CompileLimits { time: Duration::from_millis(200), ..CompileLimits::DEFAULT };
    for line in ["exec sleep 60", "exec sleep 60 >&-", "while :; do :; done"] {
        let error = shell(line, soon);
        assert!(matches!(error, CompileError::TooLong { limit, .. } if limit == soon.time), "{line}: {error}");
    }
}

#[test]
fn one_that_takes_too_much_cpu_is_stopped() {
    let limits = CompileLimits { cpu_seconds: 1, ..CompileLimits::DEFAULT };
    let error = under(limits, &large(40_000)).unwrap_err();
    let second = Duration::from_secs(1);
    assert!(matches!(error, LoadError::Compile(CompileError::TooMuchCpu { limit, .. }) if limit == second), "{error}");
}

#[test]
fn one_that_takes_too_much_memory_is_stopped() {
    for memory_bytes in [1 << 10, 8 << 20, 32 << 20] {
        let limits = CompileLimits { memory_bytes, ..CompileLimits::DEFAULT };
        let error = under(limits, &large(10_000)).unwrap_err();
        let expected = |limit| limit == memory_bytes;
        let is = matches!(error, LoadError::Compile(CompileError::TooMuchMemory { limit_bytes, .. }) if expected(limit_bytes));
        assert!(is, "{memory_bytes}: {error}");
    }
}

#[test]
fn one_that_becomes_too_much_code_is_stopped() {
    let limits = CompileLimits { artifact_bytes: 1000, ..CompileLimits::DEFAULT };
    let error = under(limits, &word_count()).unwrap_err();
    let is = matches!(error, LoadError::Compile(CompileError::TooMuchCode { limit_bytes: 1000 }));
    assert!(is, "{error}");
    let error = shell("yes", limits);
    assert!(matches!(error, CompileError::TooMuchCode { .. }), "{error}");
}

/// A line of a shell that says what a compiler says: in this version of the protocol, with these names and five bytes of code.
fn said(protocol: u32, said: &str, names: &str) -> String {
    let mut message = Vec::new();
    encode(&mut message, &json!({ "protocol": protocol, "said": said }), [names.as_bytes(), b"hello", b""]).unwrap();
    let escaped: String = message.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{escaped}'")
}

#[test]
fn a_compiler_that_dies_says_how() {
    let cases = [
        ("kill -SEGV $$", "signal: 11"),
        ("kill -KILL $$", "signal: 9"),
        ("echo thread panicked at cranelift >&2; exit 101", "exit status: 101 thread panicked at cranelift"),
        // Half an answer is none.
        ("printf cELF; kill -KILL $$", "signal: 9"),
        ("exit 0", "no answer"),
        ("echo hello", "where at most"),
        ("printf c", "cut off"),
        (&said(PROTOCOL, "code", "{}"), "makes no sense"),
        (&said(PROTOCOL, "code", r#"{"imports":[],"exports":["a b"]}"#), "`a b` is no name"),
        (&said(PROTOCOL, "perhaps", ""), "unknown variant"),
    ];
    for (line, how) in cases {
        let error = shell(line, CompileLimits::DEFAULT);
        assert!(matches!(error, CompileError::Crashed { .. }), "{line}: {error}");
        assert!(error.to_string().contains(how), "{line}: {error}");
    }
}

#[test]
fn a_compiler_of_another_version_is_not_the_components_fault() {
    let error = shell(&said(PROTOCOL + 1, "no-memory", ""), CompileLimits::DEFAULT);
    let CompileError::NoCompiler { reason } = &error else { panic!("{error}") };
    assert!(reason.contains("the program was exchanged while it ran"), "{reason}");
}

#[test]
fn a_compiler_that_cannot_start_is_not_the_components_fault() {
    let error = by("/nowhere/tollgate", &[], CompileLimits::DEFAULT, &word_count()).unwrap_err();
    assert!(matches!(error, LoadError::Compile(CompileError::NoCompiler { .. })), "{error}");
}

#[test]
fn a_compiler_sees_no_environment() {
    let error = shell("echo \"[$HOME][$CARGO_MANIFEST_DIR][$TOLLGATE_HOME]\" >&2; exit 1", CompileLimits::DEFAULT);
    assert!(error.to_string().contains("[][][]"), "{error}");
}

#[test]
fn a_real_compiler_survives_a_large_component() {
    under(CompileLimits::DEFAULT, &large(2_000)).unwrap();
}

/// Between the start of a compiler and its wish to die with its parent the parent may have died: it looks.
#[test]
fn a_compiler_that_another_process_started_does_nothing() {
    let component = wat::parse_str("(component)").unwrap();
    let compile = |supervisor: u32| {
        let mut child = std::process::Command::new(TOLLGATE)
            .args(["compile", "--supervisor", &supervisor.to_string(), "--cpu-seconds", "60"])
            .args(["--memory-bytes", &(256 << 20).to_string(), "--threads", "1"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // One that does nothing does not take it.
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &component).ok();
        child.wait_with_output().unwrap().stdout
    };
    let is_code = String::from_utf8_lossy(&compile(std::process::id())).contains(r#""said":"code""#);
    assert!(is_code, "machine code");
    let said = String::from_utf8(compile(1)).unwrap();
    let expected = r#""said":"no-compiler","text":"the process that started this one is gone"}"#;
    assert!(said.ends_with(expected), "{said:?}");
}

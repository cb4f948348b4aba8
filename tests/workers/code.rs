//! Machine code that nobody should load, and what a component says of its operations. Artifacts are forged with the key that
//! these tests made, as a compiler can make them that a component broke into.

use std::fs;

use tollgate::kernel_plan::plan;
use tollgate::{Artifact, ArtifactKey, Engine, LoadError, Provenance, ToolSpec, WorkerError};
use tollgate_capability::CapabilitySet;
use tollgate_workspace::hmac::hmac;
use tollgate_workspace::processes::await_that;
use tollgate_workspace::program::compiled;
use tollgate_workspace::{guest, manifest};

use crate::Scale;

use crate::lab::{READS, SupervisorLab, assert_full, read_many, start_worker, workers};

/// A process that looked at the code before it is confined would say what is wrong with the code.
pub(crate) fn code_is_looked_at_after_the_process_is_confined(_: Scale) {
    let lab = SupervisorLab::new();
    let set = lab.set("echo-read", &READS);
    let garbage = lab.supervisor.add(forged("echo-read", set, |code| *code = b"hello".to_vec())).expect("a tool");
    let error = garbage.start().expect_err("no machine code");
    assert!(matches!(&error, LoadError::Engine(_)), "{error}");
    let (data, away) = (lab.folder().join("data"), lab.folder().join("away"));
    fs::rename(&data, &away).expect("a folder that can be moved");
    let error = garbage.start().expect_err("no folder");
    let LoadError::NoWorker(WorkerError::NotSealed { reason }) = &error else { panic!("{error}") };
    assert!(reason.contains("cannot confine the process to its folders"), "{reason}");
    fs::rename(away, data).expect("a folder that can be moved");
    await_that("neither of them serves", || workers().is_empty());
    drop(lab.end(vec![garbage], &[]));
}

/// The code is aligned so that wasmtime panics over it: that ends the worker, and nobody else.
pub(crate) fn code_that_breaks_whoever_loads_it_ends_a_worker(_: Scale) {
    let lab = SupervisorLab::new();
    let broken =
        lab.supervisor.add(forged("echo-read", lab.set("echo-read", &READS), |code| misalign(code))).expect("a tool");
    for _start in 0..2 {
        let error = broken.start().expect_err("code that nobody can load");
        let LoadError::NoWorker(WorkerError::Start { reason }) = &error else { panic!("{error}") };
        // A panic, with the two sides of what wasmtime asserts.
        assert!(reason.contains("SIGABRT") && reason.contains("left: 1"), "{reason}");
    }
    // The supervisor goes on, as do its other tools.
    let reader = lab.reader();
    let answered = read_many(&reader, 1).expect("an answer").call;
    let record = lab.end(vec![broken, reader], &[answered]);
    assert_eq!(record.enforcements().len(), 1, "a worker that ends so has not served");
}

/// Whatever a tool is granted, it is asked in a process that reaches nothing; then no process is needed to know.
pub(crate) fn a_component_is_asked_where_it_may_do_nothing(_: Scale) {
    let lab = SupervisorLab::new();
    let set = lab.set("echo-read", &READS);
    let (limits, spec) = (set.limits, |artifact| spec_of("echo-read", artifact, set.clone()));
    let described = lab.supervisor.describe(spec(compiled("echo-read"))).expect("operations");
    await_that("it is gone", || workers().is_empty());
    let tool = lab.supervisor.add(spec(described)).expect("a tool");
    let operations = tool.operations().expect("operations");
    let names: Vec<_> = operations.iter().map(|operation| &operation.name).collect();
    assert!(names.iter().any(|name| *name == "read-many"), "{names:?}");
    assert_eq!(workers(), [], "what is stored needs no worker");
    let answered = read_many(&tool, 1).expect("an answer").call;
    let record = lab.end(vec![tool], &[answered]);
    let [asked, served] = record.enforcements()[..] else { panic!("{:?}", record.enforcements()) };
    assert_full(asked);
    let nothing = plan(&CapabilitySet { limits, ..CapabilitySet::default() });
    assert_eq!(asked.plan, nothing.digest());
    assert_ne!(served.plan, nothing.digest());
}

/// Refused by name, and nothing is called. A worker that serves again must say the same, too.
pub(crate) fn operations_must_be_those_that_are_stored(_: Scale) {
    let lab = SupervisorLab::new();
    let set = lab.set("echo-read", &READS);
    let described =
        lab.supervisor.describe(spec_of("echo-read", compiled("echo-read"), set.clone())).expect("operations");
    let forged = forged_of(&described, |_code, operations| {
        let before = r#""name":"read-many","description":""#;
        *operations = operations.replacen(before, &format!("{before}Deletes all. "), 1);
    });
    let tool = lab.supervisor.add(spec_of("echo-read", forged, set)).expect("a tool");
    let error = tool.start().expect_err("other operations");
    let LoadError::OperationsChanged { operations } = &error else { panic!("{error}") };
    assert_eq!(operations, &["`read-many`"]);
    let failure = read_many(&tool, 1).expect_err("a tool that does not load");
    assert!(failure.to_string().contains("`read-many`"), "{failure:?}");
    let call = failure.call.expect("on record, as any other call");
    let record = lab.end(vec![tool], &[]);
    record.assert_turned_down(call, tollgate_audit::CallClass::Internal);
    assert_eq!(record.closers(), 0);
}

/// It opens `/proc/self/pagemap`, which is out of reach later.
pub(crate) fn the_engine_is_made_before_the_process_is_confined(_: Scale) {
    let lab = SupervisorLab::new();
    let reader = lab.reader();
    let worker = start_worker(&reader);
    // A process that cannot be dumped shows what it has open to root alone.
    if let Ok(fds) = fs::read_dir(format!("/proc/{}/fd", worker.as_raw_pid())) {
        let open: Vec<_> = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()).collect();
        assert!(open.iter().any(|file| file.ends_with("pagemap")), "{open:?}");
        assert!(!open.iter().any(|file| file.to_string_lossy().contains("tollgate-code")), "closed by now: {open:?}");
    }
    drop(lab.end(vec![reader], &[]));
}

fn spec_of(name: &str, artifact: Artifact, set: CapabilitySet) -> ToolSpec {
    let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
    ToolSpec::new(artifact, &manifest(guest(name)), set, provenance)
}

/// A guest whose code is not what the compiler gave.
fn forged(name: &str, set: CapabilitySet, change: impl FnOnce(&mut Vec<u8>)) -> ToolSpec {
    spec_of(name, forged_of(&compiled(name), |code, _operations| change(code)), set)
}

/// An artifact of which code or operations are changed, in the form that `runtime/engine/src/artifact/mod.rs` describes.
fn forged_of(artifact: &Artifact, change: impl FnOnce(&mut Vec<u8>, &mut String)) -> Artifact {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let key = ArtifactKey::open_or_make(&path).expect("a key");
    let stored = artifact.seal(&key);
    let length = |at: usize| u32::from_le_bytes(stored[at..at + 4].try_into().expect("four bytes")) as usize;
    let (names, operations) = (120 + length(72), 120 + length(72) + length(76));
    let mut code = stored[operations..].to_vec();
    let mut said = String::from_utf8(stored[names..operations].to_vec()).expect("text");
    change(&mut code, &mut said);
    let mut head = stored[..88].to_vec();
    head[76..80].copy_from_slice(&u32::try_from(said.len()).expect("a length").to_le_bytes());
    head[80..88].copy_from_slice(&(code.len() as u64).to_le_bytes());
    let rest = [&stored[120..names], said.as_bytes(), &code].concat();
    let tag = hmac(&fs::read(&path).expect("the key"), &[&head[..], &rest].concat());
    let engine = Engine::new(1).expect("an engine");
    let forged = [&head[..], &tag, &rest].concat();
    Artifact::open(&forged, &key, artifact.component(), &engine).expect("a seal that holds")
}

/// Moves the section `.text` of an ELF file by one byte, and says that it need not be aligned.
fn misalign(elf: &mut [u8]) {
    let number = |elf: &[u8], at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let (headers, size, count, names) =
        (number(elf, 0x28, 8), number(elf, 0x3a, 2), number(elf, 0x3c, 2), number(elf, 0x3e, 2));
    let section = |place: usize| headers + place * size;
    let names = number(elf, section(names) + 0x18, 8);
    let text = (0..count).map(section).find(|section| elf[names + number(elf, *section, 4)..].starts_with(b".text\0"));
    let text = text.expect("a section `.text`");
    let offset = number(elf, text + 0x18, 8) + 1;
    let bytes = number(elf, text + 0x20, 8) - 1;
    for (at, value) in [(text + 0x18, offset), (text + 0x20, bytes), (text + 0x30, 1)] {
        elf[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
}

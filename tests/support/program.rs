//! This program in the roles of `tollgate`: how it is started as worker, notary and compiler; guests that its compiler has compiled, and
//! a folder for them to read.
//!
//! Its main function must hand these roles on, as `own_main::as_tollgate` does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tollgate::compiler::{CompileLimits, Compiler};
use tollgate::{Artifact, Engine, ProcessCommand};

use crate::guest;

/// Where this program is.
pub fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// This program as a worker.
pub fn worker_command() -> ProcessCommand {
    ProcessCommand::new(this_program(), ["worker"])
}

/// This program as the notary of a ledger, whose origin is used if it is made anew.
pub fn notary_command(ledger: &Path, origin: &str) -> ProcessCommand {
    let mut arguments = vec!["notary".into(), "--ledger".into(), ledger.into()];
    arguments.extend(["--origin", origin, "--software", "tests"].map(Into::into));
    ProcessCommand { program: this_program(), arguments }
}

/// This program as a compiler.
pub fn compiler_command() -> ProcessCommand {
    ProcessCommand::new(this_program(), ["compile"])
}

/// A guest, compiled once for all tests.
pub fn compiled(name: &str) -> Artifact {
    static COMPILED: Mutex<BTreeMap<String, Artifact>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || {
        let engine = Engine::new(1).expect("an engine");
        let component = fs::read(guest(name).component).expect("a component");
        Compiler::new(compiler_command(), CompileLimits::DEFAULT)
            .compile(&engine, &component)
            .expect("a component that compiles")
    };
    compiled.entry(name.to_owned()).or_insert_with(compile).clone()
}

/// Makes the folder `data` with `file`, which `echo-read` reads; its path.
pub fn data_in(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    fs::create_dir_all(&data).expect("a folder");
    fs::write(data.join("file"), "x".repeat(4096)).expect("a file");
    data
}

//! The house in order: which crate and which module may use which, and that what ARCHITECTURE.md says of files and folders is
//! true.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "sources are read where they stand, and cargo is asked for its packages")]

mod crates;
mod map;
mod modules;
mod selection;

use std::collections::BTreeMap;
use std::path::Path;

use modules::{Module, Modules, collect, cycles};

/// Those with more than a few modules.
const CRATES: [&str; 20] = [
    "audit",
    "audit/ledger",
    "audit/notary",
    "audit/report",
    "capability",
    "capability/config",
    "capability/network",
    "guest-sdk",
    "runtime/authority",
    "runtime/cli",
    "runtime/client",
    "runtime/daemon",
    "runtime/drill",
    "runtime/engine",
    "runtime/gateway",
    "runtime/sandbox",
    "runtime/supervisor",
    "runtime/worker",
    "wasi-proxy",
    "xtask",
];

#[test]
fn no_module_uses_one_that_uses_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for name in CRATES {
        let uses = Modules::read(&root.join(name).join("src")).uses();
        assert!(uses.len() > 3, "{name}: what was read?");
        found.extend(cycles(&uses).into_iter().map(|group| format!("{name}: {}", group.join(", "))));
    }
    assert!(found.is_empty(), "these modules use each other, so that none is read without all:\n{}", found.join("\n"));
}

/// A tool that runs, or compiles, in a process without the kernel layer is an embedder's choice.
#[test]
fn no_program_of_ours_runs_or_compiles_a_tool_unsealed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for program in ["runtime/src", "runtime/cli/src", "runtime/daemon/src", "runtime/drill/src", "runtime/worker/src"] {
        let mut files = BTreeMap::new();
        collect(&root.join(program), &mut Module::new(), &mut files);
        assert!(files.len() > 3, "{program}: what was read?");
        for (module, text) in files {
            for name in ["InProcess::", "_unsealed("] {
                assert!(!text.contains(name), "{program}: {} says `{name}`", module.join("/"));
            }
        }
    }
}

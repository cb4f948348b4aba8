//! Says in one line where the ledger does not build. Everything that writes, guards or seals depends on this crate.

#![allow(clippy::disallowed_methods, reason = "cargo tells a build script the target in its environment")]

use std::env::var_os;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if var_os("CARGO_CFG_TARGET_OS").is_none_or(|system| system != "linux") {
        println!(
            "cargo::error=Tollgate's ledger, gate and command line need Linux; the guest SDK, `tollgate-capability` and `tollgate-verify` build anywhere"
        );
    }
}

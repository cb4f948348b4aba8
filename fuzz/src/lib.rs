//! What must hold whatever bytes come: one function for each target, which panics where it does not.
//!
//! `tests/seeds.rs` runs them over the checked-in seeds, `fuzz_targets/` under libFuzzer. A target must never look at
//! anything but its bytes: what fails once has to fail again.
//!
//! Another target is one more module here with a function of the same name, a line in [`TARGETS`], a file in
//! `fuzz_targets/` with its `[[bin]]`, and a folder of seeds. None may need wasmtime.
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "to panic is how a target says that something does not hold"
)]

mod addresses;
mod authority;
mod checkpoint;
mod client_call;
mod daemon_line;
mod daemon_lines;
mod diagnostics;
mod entry;
mod first_bytes;
mod folder;
mod frames;
mod grant;
mod journal;
mod ledger;
mod lowering;
mod manifest;
mod mcp_line;
mod network_grants;
mod note;
mod other_reader;
mod receipt;
mod replay;
mod rpc_line;
mod sample;
mod schema;
mod side_records;
mod side_store;
mod target;
mod tile_path;
mod toml_text;
mod verifier_key;
mod writer_frames;

pub use crate::addresses::addresses;
pub use crate::authority::authority;
pub use crate::checkpoint::checkpoint;
pub use crate::client_call::client_call;
pub use crate::daemon_line::daemon_line;
pub use crate::daemon_lines::daemon_lines;
pub use crate::entry::entry;
pub use crate::first_bytes::first_bytes;
pub use crate::folder::{Files, Folder};
pub use crate::frames::{frame, frames};
pub use crate::grant::grant;
pub use crate::journal::journal;
pub use crate::ledger::{STEP_BYTES, ledger};
pub use crate::lowering::lowering;
pub use crate::manifest::manifest;
pub use crate::mcp_line::mcp_line;
pub use crate::network_grants::network_grants;
pub use crate::note::note;
pub use crate::receipt::receipt;
pub use crate::replay::replay;
pub use crate::rpc_line::rpc_line;
pub use crate::sample::{
    KEY_SEED, ORIGIN, Sample, adoption, blocked, call, cancelled, enforcement, erasure, kernel_record, opened, policy,
    rejected, reload, rotated, sample, takeover,
};
pub use crate::schema::schema;
pub use crate::side_records::side_store_of;
pub use crate::side_store::side_store;
pub use crate::target::target;
pub use crate::tile_path::tile_path;
pub use crate::verifier_key::verifier_key;
pub use crate::writer_frames::{WRITER, writer_frames};

/// Takes any bytes, and panics if something does not hold.
pub type Target = fn(&[u8]);

/// All targets, by the names of their files.
pub const TARGETS: &[(&str, Target)] = &[
    ("addresses", addresses),
    ("authority", authority),
    ("checkpoint", checkpoint),
    ("client_call", client_call),
    ("daemon_line", daemon_line),
    ("daemon_lines", daemon_lines),
    ("entry", entry),
    ("first_bytes", first_bytes),
    ("grant", grant),
    ("writer_frames", writer_frames),
    ("journal", journal),
    ("ledger", ledger),
    ("lowering", lowering),
    ("manifest", manifest),
    ("mcp_line", mcp_line),
    ("network_grants", network_grants),
    ("note", note),
    ("receipt", receipt),
    ("replay", replay),
    ("rpc_line", rpc_line),
    ("schema", schema),
    ("side_store", side_store),
    ("target", target),
    ("tile_path", tile_path),
    ("verifier_key", verifier_key),
];

/// The bytes as the text that most formats are.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

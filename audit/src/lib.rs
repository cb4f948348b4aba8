//! The format of the ledger and its proofs: entries, Merkle trees, checkpoints, receipts, and verification.
//!
//! It reads and proves, on any system. It must never decide (that is `tollgate-capability`), never write a ledger (that is
//! `tollgate-ledger`), never read a clock or the environment, and never re-serialise an entry to verify it.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod call_tree;
mod json;
mod proof;
mod prover;
mod receipt;
mod seek;
mod verify;
mod verify_tiles;
mod wire_enum;

// What the ledger's writer shares with its readers: the names below are the crate's own interface.
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod append_error;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod beneath;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod beside;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod causes;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod checkpoint;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod codec;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod confinement;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod entry;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod frame;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod ids;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod journal;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod key;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod lock;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod moment;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod note;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod pairs;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod private;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod record;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod regular;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod sets;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod show;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod state;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod structure;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod takeover;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod text;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod tile_path;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod tile_store;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod tiles;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the ledger's writer alone")]
pub mod tree;

pub use crate::answer::{Answer, Newer, UntriedError, key_hint, read_checkpoint, read_key};
pub use crate::append_error::{AppendError, RoomFor};
pub use crate::call_tree::{CallProofError, call_root, prove_in_call, verify_in_call};
pub use crate::causes::with_causes;
pub use crate::checkpoint::{Checkpoint, ParseCheckpointError, ReadCheckpointError, SignedCheckpoint};
pub use crate::codec::blocked_frame::{BLOCKED_FRAME_BYTES_MAX, write_blocked_frame};
pub use crate::codec::{DecodeError, ENTRY_BYTES_MAX, ENTRY_VERSION, EncodedEntry, TEXT_BYTES_MAX};
pub use crate::confinement::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64, BlockedCall, ENFORCEMENT_POLICIES_MAX, Enforcement, KernelRecord, Level,
    THREAD_NAME_BYTES_MAX, ThreadName, syscall_name,
};
pub use crate::entry::{
    Action, CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, Claims, Closer, Durability, Entry, Erasure, Fact, Intent,
    KeyRotation, Kind, Layer, LedgerKey, LedgerOpened, Outcome, Policy, Recorded, Reload, Usage, Verdict, Violation,
};
pub use crate::frame::{CorruptFrame, FRAME_BYTES_MAX};
pub use crate::ids::{
    CallId, Digest, LeafHash, LeafIndex, ParseIdError, PublicKey, RootHash, Sequence, Signature, TreeSize, WriterId,
};
pub use crate::journal::OlderFormat;
pub use crate::key::{KeyId, ORIGIN_BYTES_MAX, ParseKeyError, SigningKey, VerifierKey};
pub use crate::note::{
    NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, NoteSignature, ParseNoteError, SignedNote, VerifyNoteError,
};
pub use crate::pairs::{PAIR_KEY_BYTES_MAX, PAIRS_MAX, Pairs};
pub use crate::private::{Compared, Private, Salt};
pub use crate::proof::{ConsistencyProof, InclusionProof, ProofError};
pub use crate::prover::{ProveError, Prover};
pub use crate::receipt::{
    Disclosed, Disclosure, ParseReceiptError, RECEIPT_BYTES_MAX, Receipt, ReceiptError, VerifyReceiptError, disclose,
    find_call_end, prove,
};
pub use crate::record::{Kept, Record, RecordError};
pub use crate::seek::{SOUGHT_BUNDLES, SOUGHT_BYTES, Sought, find_call};
pub use crate::sets::{SET_BYTES_MAX, read_set};
pub use crate::show::{Entries, ReadError, read, read_for_call, read_near_end};
pub use crate::structure::Problem;
pub use crate::takeover::{Adoption, Takeover};
pub use crate::text::{Cut, Text};
pub use crate::tile_path::{ParseTilePathError, TILE_WIDTH, TileKind, TilePath};
pub use crate::tree::{Frontier, leaf_hash, node_hash};
pub use crate::verify::{
    Expected, FINDINGS_MAX, Finding, Report, TakenOver, VerifyError, VerifyOptions, verify, verify_with,
};

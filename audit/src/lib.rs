//! The ledger: what tools asked for and what was answered, in a Merkle tree over an append-only journal.
//!
//! It records and proves. It must never decide (that is `tollgate-capability`), never read a clock or the
//! environment by itself apart from the elapsed time of a call, and never re-serialise an entry to verify it.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod acks;
mod answer;
mod append_error;
mod beneath;
mod call_counter;
mod call_tree;
mod channel;
mod checkpoint;
mod codec;
mod confinement;
mod entry;
mod filter;
mod frame;
mod ids;
mod journal;
mod json;
mod key;
mod key_file;
mod ledger;
mod ledger_error;
mod lock;
mod notary;
mod note;
mod pairs;
mod private;
mod proof;
mod prover;
mod receipt;
mod record;
mod recorder;
mod recover;
mod regular;
mod report;
mod seek;
mod sets;
mod show;
mod side_record;
mod side_store;
mod state;
mod structure;
mod system_call;
mod tail;
mod takeover;
mod text;
mod tile_path;
mod tile_store;
mod tiles;
mod trail;
mod tree;
mod verify;
mod verify_tiles;
mod wire_enum;

pub use crate::answer::{Answer, Newer, UntriedError, key_hint, read_checkpoint, read_key};
pub use crate::append_error::{AppendError, RoomFor};
pub use crate::call_counter::CallCounter;
pub use crate::call_tree::{CallProofError, call_root, prove_in_call, verify_in_call};
pub use crate::channel::{CHANNEL_FDS_MAX, Channel, ChannelError, PACKET_BYTES_MAX, Received};
pub use crate::checkpoint::{Checkpoint, ParseCheckpointError, PublishError, ReadCheckpointError, SignedCheckpoint};
pub use crate::codec::blocked_frame::{BLOCKED_FRAME_BYTES_MAX, write_blocked_frame};
pub use crate::codec::{DecodeError, ENTRY_BYTES_MAX, ENTRY_VERSION, EncodedEntry, TEXT_BYTES_MAX};
pub use crate::confinement::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64, BlockedCall, ENFORCEMENT_POLICIES_MAX, Enforcement, KernelRecord, Level,
    THREAD_NAME_BYTES_MAX, ThreadName, syscall_name,
};
pub use crate::entry::{
    Action, CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, Closer, Durability, Entry, Erasure, Fact, Intent,
    KeyRotation, Kind, Layer, LedgerKey, LedgerOpened, Outcome, Policy, Recorded, Usage, Verdict, Violation,
};
pub use crate::filter::{
    CallPattern, Context, Filter, GuestPath, OPEN_CALLS_MAX, OPEN_INTENTS_MAX, ParseCallPatternError,
    ParseGuestPathError, Selector,
};
pub use crate::frame::{CorruptFrame, FRAME_BYTES_MAX};
pub use crate::ids::{
    CallId, Digest, HostId, LeafHash, LeafIndex, ParseIdError, PublicKey, RootHash, Sequence, Signature, TreeSize,
};
pub use crate::journal::OlderFormat;
pub use crate::key::{KeyId, ORIGIN_BYTES_MAX, ParseKeyError, SigningKey, VerifierKey};
pub use crate::key_file::KeyFileError;
pub use crate::ledger::{Ledger, Recovery};
pub use crate::ledger_error::{CheckpointError, OpenError, RotateKeyError, os_error, with_causes};
pub use crate::notary::{
    FromNotary, HostEnding, HostFault, Intake, LedgerFault, Notary, NotaryError, NotaryOf, PIPE_SHARE_BYTES,
    StartedNotary, Taken, ToNotary, can_take_from_pipes,
};
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
pub use crate::recorder::{HostEnd, HostWay, Recorder, Status};
pub use crate::report::{
    Activity, ActivityReport, BAND_STARTS_PERCENT, BlockedNote, CALLS_LISTED_MAX, CallNote, FINDINGS_LISTED_MAX,
    GROUPS_MAX, Group, GroupBy, HostLevels, Integrity, KernelLayer, RANKED_LISTED_MAX, RANKED_NAMES_MAX,
    RANKED_TOOLS_MAX, Ranked, Ranking, Reading, Results, SPANS_MAX, Share, Span, Timeline, UsageShares, utc,
};
pub use crate::sets::{SET_BYTES_MAX, read_set, store_set};
pub use crate::show::{Entries, ReadError, read, read_for_call, read_near_end};
pub use crate::side_store::{Erased, PRIVATE_BYTES_MAX, SideStore};
pub use crate::structure::Problem;
pub use crate::system_call::{is_refused_call, of_call, of_thread, with_more};
pub use crate::takeover::{Adoption, Takeover};
pub use crate::text::{Cut, Text};
pub use crate::tile_path::{ParseTilePathError, TILE_WIDTH, TileKind, TilePath};
pub use crate::trail::{
    CALL_ENTRIES_MAX, CallEnding, CallStart, CallSummary, CallTrail, DenialRef, FactRef, IntentId, OutcomeTotals, Room,
};
pub use crate::tree::{Frontier, leaf_hash, node_hash};
pub use crate::verify::{
    Expected, FINDINGS_MAX, Finding, Report, TakenOver, VerifyError, VerifyOptions, verify, verify_with,
};

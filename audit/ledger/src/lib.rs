//! The ledger as its only writer holds it: opening, recovery, lock, key, tiles, and what is kept beside it.
//!
//! Its format and proofs are `tollgate-audit`'s. It must never decide, and never take an entry that it could not prove.
#![forbid(unsafe_code)]

mod beneath;
mod call_counter;
mod fresh;
mod journal;
mod key_file;
#[doc(hidden)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "shared with the notary alone")]
pub mod ledger;
mod ledger_error;
mod lock;
mod owner;
mod publish;
mod recover;
mod sets;
mod side_record;
mod side_store;
mod state;
mod tail;
mod tile_writer;

pub use crate::call_counter::CallCounter;
pub use crate::key_file::KeyFileError;
pub use crate::ledger::{Ledger, Recovery};
pub use crate::ledger_error::{CheckpointError, OpenError, RotateKeyError};
pub use crate::publish::PublishError;
pub use crate::sets::store_set;
pub use crate::side_store::{Erased, PRIVATE_BYTES_MAX, SideStore};

//! What Tollgate's processes ask of the operating system, beside what they exist for: errors that say which call failed, how one
//! of them is started, life with the process that started one, renames that replace nothing, locks, and which file systems are the kernel's own.
//!
//! It must never decide: every answer is the kernel's.
#![deny(unsafe_code)]

mod detached;
mod memory;
mod parent;
mod pipes;
mod process_command;
mod pseudo;
mod rename;
mod sync;
mod system_call;

pub use crate::detached::{detach, keep_files_from_programs};
pub use crate::memory::{give_back_memory, share_heaps};
pub use crate::parent::{belong_to, may_signal};
pub use crate::pipes::can_take_from_pipes;
pub use crate::process_command::ProcessCommand;
pub use crate::pseudo::{is_pseudo, know_devtmpfs};
pub use crate::rename::{knows_no_rename_flags, rename_new, rename_new_by};
pub use crate::sync::{held, lock};
pub use crate::system_call::{is_refused_call, of_call, of_thread, os_error, with_more};

//! The kernel's side of the filesystem. Everything goes through a root descriptor and `openat2(RESOLVE_BENEATH)`;
//! nothing here decides, and whatever changes or opens something takes a [`Permit`](crate::Permit).

mod effect;
mod probe;
mod stream;

pub(crate) use effect::{
    Failed, Opened, create_folder, hard_link, open, open_preopen, read_link, remove_folder, rename, set_times, symlink,
    unlink,
};
pub(crate) use probe::{Probe, Root, probe};
pub(crate) use stream::{FileInput, FileOutput, READ_BYTES_MAX, read_at, write_at};

//! The kernel's side of the filesystem. Everything goes through a root descriptor and `openat2(RESOLVE_BENEATH)`;
//! nothing here decides, and whatever changes or opens something takes the proof that its very call was allowed.

mod by_other_calls;
mod effect;
mod exchange;
mod file;
mod links;
mod listing;
mod place;
mod preview;
mod probe;
mod stat;
mod stream;

pub(crate) use effect::{Opened, change, open, open_preopen, read_link, set_times};
pub(crate) use file::{Flush, Kind, READ_BYTES_MAX, read_at, set_open_times, set_size, sync, sync_folder, write};
pub(crate) use listing::{Listing, Next, list};
pub use preview::Preview;
pub(crate) use probe::{Name, Probe, Roots};
pub(crate) use stat::{stat, stat_at};
pub(crate) use stream::GatedStream;

#[cfg(test)]
mod tests;

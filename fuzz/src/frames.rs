//! The journal's frames, read a second time and on their own: what the ledger reads is compared with this.

use tollgate_audit::{ENTRY_BYTES_MAX, leaf_hash};
pub use tollgate_testing::ledgers::frame;

/// The entries of the whole frames that `journal` starts with, and the number of bytes that they take.
#[must_use]
pub fn frames(journal: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut entries, mut end) = (Vec::new(), 0);
    while let Some((entry, check, size)) = first(&journal[end..])
        && leaf_hash(entry).0.starts_with(check)
    {
        entries.push(entry);
        end += size;
    }
    (entries, end)
}

/// Whether the first entry names a format before the one that is read.
pub(crate) fn is_older(entries: &[&[u8]]) -> bool {
    matches!(entries.first(), Some([_map, 0, 1..=4, ..]))
}

/// `journal` with the check of each frame made to fit its entry, as far as the lengths lead.
pub(crate) fn with_checks_mended(journal: &[u8]) -> Vec<u8> {
    let (mut mended, mut end) = (Vec::with_capacity(journal.len()), 0);
    while let Some((entry, _check, size)) = first(&journal[end..]) {
        mended.extend(frame(entry));
        end += size;
    }
    mended.extend(&journal[end..]);
    mended
}

/// Entry, check and size of the frame that the bytes may start with.
pub(crate) fn first(bytes: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (entry, rest) = rest.split_at_checked(length)?;
    let check = rest.get(..CHECK_BYTES)?;
    (1..=ENTRY_BYTES_MAX).contains(&length).then_some((entry, check, 2 + length + CHECK_BYTES))
}

const CHECK_BYTES: usize = 4;

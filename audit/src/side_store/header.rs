//! The start of a side store: what it is, and from where on it must be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::side_record::{CHECK_BYTES, check};

/// Places in the side store and in the journal before which there is nothing to do. What cannot be read of it counts as
/// [`Header::NEW`]: then all is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Where the next open starts to read: all records before are whole, and no erasure of one is unfinished.
    pub(super) hint: u64,
    /// Where the next sweep starts: each record before was compared with the ledger.
    pub(super) swept: u64,
    /// Where in the journal it looks for the others: no call of a record behind `swept` began before this byte.
    pub(super) journal: u64,
}

impl Header {
    /// Of a side store without records.
    pub(super) const NEW: Self = Self { hint: HEADER_BYTES, swept: HEADER_BYTES, journal: 0 };

    /// Whether its places are within a side store of this length.
    pub(super) fn fits(&self, length: u64) -> bool {
        [self.hint, self.swept].iter().all(|place| (HEADER_BYTES..=length).contains(place))
    }

    pub(super) fn write(self, file: &File) -> io::Result<()> {
        let places = [self.hint, self.swept, self.journal].map(u64::to_be_bytes);
        let places = places.as_flattened();
        file.write_all_at(&[MAGIC, places, &check(places)].concat(), 0)
    }

    /// `None` if a write of it was torn.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`]: this is no side store, or one of another version.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_LENGTH];
        file.read_exact_at(&mut header, 0)?;
        let parts = header.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk::<PLACES_BYTES>());
        let Some((places, found)) = parts else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, other(&header)));
        };
        let mut numbers = places.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
        let (Some(hint), Some(swept), Some(journal)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return Ok(None);
        };
        Ok((check(places) == found).then_some(Self { hint, swept, journal }))
    }
}

fn other(header: &[u8]) -> String {
    let is_ours = header.starts_with(NAME);
    match header.get(NAME.len()) {
        Some(version @ b'0'..=b'9') if is_ours => {
            let version = version - b'0';
            format!(
                "the side store is of version {version}, and this program reads version 2: move it away, or erase it"
            )
        }
        _ => "this is no side store".to_owned(),
    }
}

const NAME: &[u8] = b"tollgate-private-";

pub(super) const MAGIC: &[u8] = b"tollgate-private-2\n";

const PLACES_BYTES: usize = 3 * 8;
const HEADER_LENGTH: usize = MAGIC.len() + PLACES_BYTES + CHECK_BYTES;
pub(super) const HEADER_BYTES: u64 = HEADER_LENGTH as u64;

//! The records of a shard of the side store, written a second time and on their own: what the store reads is compared with this.

use tollgate_audit::{CallId, Digest, Private, Salt};

/// A whole shard with these records in it: kind, call, content.
#[must_use]
pub fn side_store_of(records: &[(u8, CallId, &[u8])]) -> Vec<u8> {
    let places = [HEADER_BYTES as u64, 0].map(u64::to_be_bytes);
    let mut file = [MAGIC, places.as_flattened(), &check(places.as_flattened())].concat();
    for (kind, call, content) in records {
        file.extend(record(*kind, call.0, content));
    }
    file
}

/// A record of the bytes of a shard.
#[derive(Debug)]
pub(crate) struct SideRecord<'f> {
    pub(crate) start: usize,
    pub(crate) kind: u8,
    pub(crate) call: CallId,
    pub(crate) content: &'f [u8],
    /// The content is what was written.
    pub(crate) is_whole: bool,
}

impl SideRecord<'_> {
    pub(crate) fn end(&self) -> usize {
        self.start + FRAME_BYTES + self.content.len()
    }
}

/// How the records of a shard end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SideEnd {
    /// There, or with a record that was cut short.
    Sound,
    Corrupt,
}

/// Up to where the calls of a shard were compared with the ledger, if this is a shard: from there on it is read to be written to.
pub(crate) fn swept(file: &[u8]) -> Option<usize> {
    let (places, rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<16>()?;
    let found = rest.get(..CHECK_BYTES)?;
    let until = usize::try_from(u64::from_be_bytes(*places.first_chunk().expect("eight bytes"))).ok();
    let fits = |place: &usize| (HEADER_BYTES..=file.len()).contains(place);
    Some(until.filter(fits).filter(|_| check(places) == found).unwrap_or(HEADER_BYTES))
}

/// The records of a shard from `start` on.
pub(crate) fn side_records(file: &[u8], start: usize) -> (Vec<SideRecord<'_>>, SideEnd) {
    let (mut records, mut at) = (Vec::new(), start);
    loop {
        let rest = &file[at.min(file.len())..];
        let Some((frame, after)) = rest.split_first_chunk::<FRAME_BYTES>() else {
            return (records, SideEnd::Sound);
        };
        let (said, checks) = frame.split_at(SAID_BYTES);
        let known = (1..=3).contains(&said[0]);
        if !known || check(said) != checks[..CHECK_BYTES] {
            let end = if after.iter().all(|byte| *byte == 0) { SideEnd::Sound } else { SideEnd::Corrupt };
            return (records, end);
        }
        let length = u32::from_be_bytes(said[1..5].try_into().expect("four bytes"));
        let Some(content) = usize::try_from(length).ok().and_then(|length| after.get(..length)) else {
            return (records, SideEnd::Sound);
        };
        let call = CallId(said[5..].try_into().expect("sixteen bytes"));
        let is_whole = check(content) == checks[CHECK_BYTES..];
        let record = SideRecord { start: at, kind: said[0], call, content, is_whole };
        at = record.end();
        records.push(record);
    }
}

/// What a shard keeps of `call`; `Err` if it cannot be read.
pub(crate) fn kept(file: &[u8], call: CallId) -> Result<Option<Private>, ()> {
    if file.len() < HEADER_BYTES {
        return Ok(None);
    }
    swept(file).ok_or(())?;
    let (records, end) = side_records(file, HEADER_BYTES);
    let (mut salt, mut arguments, mut result) = (None, None, None);
    for record in records.iter().filter(|record| record.call == call) {
        match (record.is_whole, record.kind) {
            (true, 1) => salt = Some(Salt(record.content.try_into().map_err(|_other_length| ())?)),
            (true, 2) => arguments = Some(record.content.to_vec()),
            (true, _) => result = Some(record.content.to_vec()),
            // Is being written.
            (false, _) if record.end() == file.len() => return Ok(private(call, salt, arguments, result)),
            (false, _) => return Err(()),
        }
    }
    if end == SideEnd::Corrupt { Err(()) } else { Ok(private(call, salt, arguments, result)) }
}

/// The bytes with all checks made to fit, as far as the lengths lead.
pub(crate) fn with_side_checks_mended(file: &[u8]) -> Vec<u8> {
    let mut mended = file.get(..HEADER_BYTES).unwrap_or(file).to_vec();
    let mut rest = file.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((frame, after)) = rest.split_first_chunk::<FRAME_BYTES>()
        && let Some((content, next)) =
            after.split_at_checked(u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize)
    {
        let call = frame[5..SAID_BYTES].try_into().expect("sixteen bytes");
        mended.extend(record(frame[0], call, content));
        rest = next;
    }
    mended.extend(rest);
    mended
}

/// A record as it stands in the file.
pub(crate) fn record(kind: u8, call: [u8; 16], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("no content is that long").to_be_bytes();
    let said = [&[kind][..], &length, &call].concat();
    [&said[..], &check(&said), &check(content), content].concat()
}

fn private(call: CallId, salt: Option<Salt>, arguments: Option<Vec<u8>>, result: Option<Vec<u8>>) -> Option<Private> {
    salt.map(|salt| Private { call, salt, arguments, result })
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    *Digest::of(bytes).0.first_chunk().expect("32 bytes")
}

const MAGIC: &[u8] = b"tollgate-private-3\n";
const CHECK_BYTES: usize = 8;
const SAID_BYTES: usize = 1 + 4 + 16;
const FRAME_BYTES: usize = SAID_BYTES + 2 * CHECK_BYTES;
pub(crate) const HEADER_BYTES: usize = MAGIC.len() + 16 + CHECK_BYTES;

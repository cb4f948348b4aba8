//! The one form of all messages between our processes: a header in JSON, and up to three blobs.
//!
//! ```text
//! offset  bytes
//!      0      4  length of the header, little-endian
//!      4     12  lengths of three blobs, 4 bytes each
//!     16      …  header, JSON; then the blobs
//! ```
//!
//! The sender is not trusted: nothing is read beyond the reader's limits.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_schema::count_values;

/// The version of all messages between our processes. It changes whenever one of them changes: both processes are of one program,
/// unless the program was exchanged in between.
pub const PROTOCOL: u32 = 3;

/// The blobs of a message.
pub type Blobs = [Vec<u8>; 3];

/// The longest message that a reader takes: its header, and each of its blobs.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// Bytes of the header.
    pub header: usize,
    /// JSON values of the header. A value may take two bytes of text, and many times that in memory.
    pub values: usize,
    /// Bytes of each blob.
    pub blobs: [usize; 3],
}

/// Why bytes are no message, or none that the reader takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoMessage(String);

/// Bytes before the header.
pub const HEAD_BYTES: usize = 16;

/// The lengths of the parts of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths([usize; 4]);

impl Lengths {
    /// Reads them from the start of a message, if they are within the limits.
    pub(crate) fn read(message: &[u8], limits: MessageLimits) -> Result<Self, NoMessage> {
        let lengths = std::array::from_fn(|place| {
            let bytes = message.get(place * 4..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
        });
        let allowed = [limits.header, limits.blobs[0], limits.blobs[1], limits.blobs[2]];
        match lengths.iter().zip(allowed).find(|(length, most)| **length > *most) {
            None => Ok(Self(lengths)),
            Some((length, most)) => Err(NoMessage(format!("{length} bytes where at most {most} may come"))),
        }
    }

    /// Bytes of the whole message.
    pub(crate) fn whole(self) -> usize {
        self.0.iter().fold(HEAD_BYTES, |sum, length| sum + length)
    }
}

/// Bytes of the whole message that begins with `start`; `None` if `start` is too short to tell. For readers of a stream that is no
/// [`Connection`](crate::Connection).
///
/// # Errors
///
/// A part of it is longer than its limit.
pub fn message_bytes(start: &[u8], limits: MessageLimits) -> Result<Option<usize>, NoMessage> {
    if start.len() < HEAD_BYTES {
        return Ok(None);
    }
    Lengths::read(start, limits).map(|lengths| Some(lengths.whole()))
}

/// Writes a message into `buffer`, in place of what it holds.
///
/// # Errors
///
/// The header has no JSON, or a part has more bytes than 32 bits count.
pub fn encode(buffer: &mut Vec<u8>, header: &impl Serialize, blobs: [&[u8]; 3]) -> Result<(), NoMessage> {
    encode_head(buffer, header, blobs.map(<[u8]>::len))?;
    blobs.into_iter().for_each(|blob| buffer.extend_from_slice(blob));
    Ok(())
}

/// The same without the blobs, which have these lengths and are written after it.
///
/// # Errors
///
/// As [`encode`].
pub fn encode_head(buffer: &mut Vec<u8>, header: &impl Serialize, blobs: [usize; 3]) -> Result<(), NoMessage> {
    buffer.clear();
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
    serde_json::to_writer(&mut *buffer, header).map_err(|error| NoMessage(error.to_string()))?;
    let [first, second, third] = blobs;
    let lengths = [buffer.len() - HEAD_BYTES, first, second, third];
    for (place, length) in lengths.into_iter().enumerate() {
        let length = u32::try_from(length).map_err(|_too_long| NoMessage(format!("{length} bytes")))?;
        if let Some(bytes) = buffer.get_mut(place * 4..place * 4 + 4) {
            bytes.copy_from_slice(&length.to_le_bytes());
        }
    }
    Ok(())
}

/// Parses `bytes`, which must be one whole message.
///
/// # Errors
///
/// They are no message, or none within these limits.
pub fn decode<H: DeserializeOwned>(bytes: &[u8], limits: MessageLimits) -> Result<(H, Blobs), NoMessage> {
    let lengths = Lengths::read(bytes, limits)?;
    match bytes.len().checked_sub(lengths.whole()) {
        None => return Err(NoMessage("a message that is cut off".to_owned())),
        Some(0) => {}
        Some(_more) => return Err(NoMessage("more than one message at once".to_owned())),
    }
    let mut from = HEAD_BYTES;
    let parts = lengths.0.map(|length| {
        let part = bytes.get(from..from + length).unwrap_or_default();
        from += length;
        part
    });
    let [header, first, second, third] = parts;
    if count_values(header) > limits.values {
        return Err(NoMessage(format!("more than {} values in a header", limits.values)));
    }
    let header = serde_json::from_slice(header).map_err(|error| NoMessage(error.to_string()))?;
    Ok((header, [first.to_vec(), second.to_vec(), third.to_vec()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MessageLimits = MessageLimits { header: 100, values: 20, blobs: [1 << 10, 10, 0] };

    /// Golden bytes: processes of two builds of one version understand each other.
    #[test]
    fn the_bytes_of_a_message() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &"hi", [b"one", b"", b"three"]).unwrap();
        assert_eq!(bytes, b"\x04\0\0\0\x03\0\0\0\0\0\0\0\x05\0\0\0\"hi\"onethree");
        assert!(decode::<String>(&bytes, LIMITS).is_err(), "a third blob");
        let wider = MessageLimits { blobs: [3, 0, 5], ..LIMITS };
        assert_eq!(message_bytes(&bytes[..HEAD_BYTES], wider), Ok(Some(bytes.len())));
        assert_eq!(message_bytes(&bytes[..HEAD_BYTES - 1], wider), Ok(None));
        assert!(message_bytes(&bytes, LIMITS).is_err(), "a third blob");
        let (header, blobs) = decode::<String>(&bytes, MessageLimits { blobs: [3, 0, 5], ..LIMITS }).unwrap();
        assert_eq!((header.as_str(), blobs), ("hi", [b"one".to_vec(), Vec::new(), b"three".to_vec()]));
    }

    #[test]
    fn what_may_not_be_said_is_refused() {
        let senseless = |bytes: &[u8], expected: &str| {
            let error = decode::<String>(bytes, LIMITS).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let head = |lengths: [u32; 4]| lengths.map(u32::to_le_bytes).concat();
        senseless(&head([101, 0, 0, 0]), "101 bytes where at most 100 may come");
        senseless(&head([2, (1 << 10) + 1, 0, 0]), "at most 1024");
        senseless(&head([2, 0, 11, 0]), "at most 10");
        senseless(&head([2, 0, 0, u32::MAX]), "at most 0");
        senseless(&[head([2, 0, 0, 0]), b"\"\"x".to_vec()].concat(), "more than one message");
        senseless(&[head([2, 0, 0, 0]), b"\"".to_vec()].concat(), "cut off");
        senseless(&[2, 0], "cut off");
        senseless(b"", "cut off");
        senseless(&[head([2, 0, 0, 0]), b"{}".to_vec()].concat(), "expected a string");
        senseless(&[head([42, 0, 0, 0]), b"[".repeat(42)].concat(), "more than 20 values in a header");
    }
}

//! What a component says of its operations, stored apart from its machine code: whoever lists tools reads neither that nor the
//! component. It holds on every engine and machine. Must never hand out what was not sealed with the key for this component.
//!
//! ```text
//! offset  bytes
//!      0      8  magic and version, "TGOPERS1"
//!      8     32  SHA-256 of the component
//!     40     32  HMAC-SHA256 with the local key over all the rest
//!     72      …  operations, JSON, as a sealed worker told them
//! ```

use tollgate_audit::Digest;

use super::hmac::{hmac_sha256, same};
use super::{ArtifactError, ArtifactKey};
use crate::operations::{OPERATIONS_BYTES_MAX, OperationTexts};

/// The operations of a component as they are stored.
#[must_use]
pub fn seal_operations(key: &ArtifactKey, component: Digest, operations: &OperationTexts) -> Vec<u8> {
    let text = operations.to_bytes();
    let tag = hmac_sha256(&key.0, &[MAGIC, &component.0, &text]);
    [&MAGIC[..], &component.0, &tag, &text].concat()
}

/// The operations that were stored as `bytes`, if they were sealed with `key` for this component.
///
/// # Errors
///
/// [`ArtifactError`], but for [`ArtifactError::Engine`].
pub fn open_operations(bytes: &[u8], key: &ArtifactKey, component: Digest) -> Result<OperationTexts, ArtifactError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let is_other = bytes.starts_with(MAGIC_OF_ANY_VERSION);
        return Err(if is_other { ArtifactError::Version } else { ArtifactError::Format });
    };
    let (of, rest) = rest.split_first_chunk::<32>().ok_or(ArtifactError::Format)?;
    let (tag, text) = rest.split_first_chunk::<32>().ok_or(ArtifactError::Format)?;
    if !same(tag, &hmac_sha256(&key.0, &[MAGIC, of, text])) {
        return Err(ArtifactError::Tag);
    }
    if *of != component.0 {
        return Err(ArtifactError::Component);
    }
    OperationTexts::parse(text).ok_or(ArtifactError::Format)
}

const MAGIC: &[u8; 8] = b"TGOPERS1";
const MAGIC_OF_ANY_VERSION: &[u8; 7] = b"TGOPERS";

/// Largest file that is read.
pub const TOLD_BYTES_MAX: u64 = 72 + OPERATIONS_BYTES_MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ArtifactKey = ArtifactKey([7; 32]);
    const OF: Digest = Digest([1; 32]);
    const TEXT: &str = r#"[{"name":"count","description":"","input_schema":"{}","output_schema":"{}"}]"#;

    fn operations() -> OperationTexts {
        OperationTexts::parse(TEXT.as_bytes()).unwrap()
    }

    #[test]
    fn the_stored_form_has_golden_bytes_and_opens_again() {
        let stored = seal_operations(&KEY, OF, &operations());
        let tag = hex::encode(hmac_sha256(&KEY.0, &[b"TGOPERS1", &[1; 32], TEXT.as_bytes()]));
        let expected = ["54474f5045525331".to_owned(), "01".repeat(32), tag, hex::encode(TEXT)];
        assert_eq!(hex::encode(&stored), expected.concat());
        assert_eq!(open_operations(&stored, &KEY, OF), Ok(operations()));
    }

    #[test]
    fn what_is_flipped_cut_longer_or_of_another_is_refused() {
        let stored = seal_operations(&KEY, OF, &operations());
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit {
                0..56 => ArtifactError::Format,
                56..64 => ArtifactError::Version,
                _rest => ArtifactError::Tag,
            };
            assert_eq!(open_operations(&flipped, &KEY, OF), Err(expected), "bit {bit}");
        }
        for length in 0..stored.len() {
            open_operations(&stored[..length], &KEY, OF).unwrap_err();
        }
        assert_eq!(open_operations(&[&stored[..], b"x"].concat(), &KEY, OF), Err(ArtifactError::Tag));
        assert_eq!(open_operations(&stored, &ArtifactKey([8; 32]), OF), Err(ArtifactError::Tag));
        assert_eq!(open_operations(&stored, &KEY, Digest([2; 32])), Err(ArtifactError::Component));
    }

    /// Sealed with the right key, and still no operations.
    #[test]
    fn what_is_told_is_parsed_strictly_whoever_sealed_it() {
        for text in ["", "{}", "[1]"] {
            let tag = hmac_sha256(&KEY.0, &[MAGIC, &OF.0, text.as_bytes()]);
            let stored = [&MAGIC[..], &OF.0, &tag, text.as_bytes()].concat();
            assert_eq!(open_operations(&stored, &KEY, OF), Err(ArtifactError::Format), "{text}");
        }
    }
}

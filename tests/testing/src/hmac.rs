//! What seals artifacts, to forge them with the right key.

use tollgate_audit::Digest;

/// HMAC-SHA256 (RFC 2104), with a key of at most 64 bytes.
#[must_use]
pub fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(padded, key)| *padded ^= key);
        block
    };
    let inner = Digest::of(&[&pad(0x36)[..], text].concat());
    Digest::of(&[&pad(0x5c)[..], &inner.0].concat()).0
}

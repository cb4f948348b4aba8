//! HMAC-SHA256 (RFC 2104, FIPS 198-1). The time of a comparison must never tell where two tags differ.

use sha2::{Digest as _, Sha256};

/// Bytes that SHA-256 takes at once; a key of 32 bytes is filled up with zeros to it.
const BLOCK_BYTES: usize = 64;

/// `HMAC(key, parts[0] ‖ parts[1] ‖ …)`, for keys that are not longer than a block.
pub(super) fn hmac_sha256<const KEY_BYTES: usize>(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    const { assert!(KEY_BYTES <= BLOCK_BYTES, "a longer key would be hashed first") };
    let pad = |byte: u8| {
        let mut block = [byte; BLOCK_BYTES];
        block.iter_mut().zip(key).for_each(|(padded, key)| *padded ^= key);
        block
    };
    let mut inner = Sha256::new_with_prefix(pad(0x36));
    parts.iter().for_each(|part| inner.update(part));
    Sha256::new_with_prefix(pad(0x5c)).chain_update(inner.finalize()).finalize().into()
}

/// Whether two tags are the same, in a time that does not depend on where they differ.
pub(super) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 1 to 4: those whose key is not longer than a block and whose tag is whole.
    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        let hex = |tag: [u8; 32]| hex::encode(tag);
        assert_eq!(
            hex(hmac_sha256(&[0x0b; 20], &[b"Hi There"])),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac_sha256(&[0xaa; 20], &[&[0xdd; 50]])),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        );
        let counted: [u8; 25] = std::array::from_fn(|place| u8::try_from(place + 1).unwrap());
        assert_eq!(
            hex(hmac_sha256(&counted, &[&[0xcd; 50]])),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        );
    }

    #[test]
    fn a_tag_that_differs_in_one_bit_is_another() {
        let tag = [7; 32];
        assert!(same(&tag, &tag.clone()));
        for place in 0..32 {
            let mut other = tag;
            other[place] ^= 1;
            assert!(!same(&tag, &other));
        }
    }
}

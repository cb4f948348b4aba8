//! Entries: the one deterministic encoding.

use tollgate_audit::{ENTRY_BYTES_MAX, Entry, leaf_hash};

/// What decodes would be written as the same bytes, fits, hashes as they do, and is the same with texts of its own;
/// no byte less and no byte more is an entry. Its JSON begins with its kind.
pub fn entry(bytes: &[u8]) {
    let decoded = Entry::decode(bytes);
    assert_eq!(decoded, Entry::decode_owned(bytes), "with texts of its own");
    let Ok(entry) = decoded else {
        return;
    };
    let again = entry.encode();
    assert_eq!(again.as_bytes(), bytes, "written again");
    assert_eq!(again.leaf(), leaf_hash(bytes));
    assert!(bytes.len() <= ENTRY_BYTES_MAX, "{} bytes", bytes.len());
    assert!(Entry::decode(&bytes[..bytes.len() - 1]).is_err(), "a byte less");
    assert!(Entry::decode(&[bytes, &[0]].concat()).is_err(), "a byte more");
    let json = entry.to_json().to_string();
    assert!(json.starts_with(&format!("{{\"kind\":\"{}\"", entry.kind())), "{json}");
    assert!(entry.sequence().is_none() || entry.call().is_some(), "a place in no call");
}

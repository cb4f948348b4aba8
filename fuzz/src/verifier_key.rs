//! Verifier keys, as auditors are given them: `name+hash+key`.

use tollgate_audit::VerifierKey;

use crate::text;

/// A key that is read is written alike, and is the key of its name and bytes.
pub fn verifier_key(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Ok(key) = text.parse::<VerifierKey>()
    {
        assert_eq!(key.to_string(), text);
        let again = VerifierKey::new(key.name(), key.public_key()).expect("a key that was read");
        assert_eq!(again, key);
        assert_eq!(again.id(), key.id());
        assert_eq!(text.split('+').count(), 3, "one spelling");
    }
}

//! What the ledger must not hold in plain: salts, arguments and results of calls, and how they fit its entries.
//!
//! A digest without its salt must tell nothing: whoever guesses a text cannot confirm the guess.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::entry::{Call, CallEnd, Recorded};
use crate::ids::{CallId, Digest};

/// 32 random bytes, fresh for each call. Kept in the side store and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl Salt {
    /// A salt from the random number generator of the operating system.
    ///
    /// # Errors
    ///
    /// Whatever it says.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// `SHA-256("tollgate-arguments-1\n" ‖ salt ‖ arguments)`, for [`Call::arguments`].
    #[must_use]
    pub fn arguments(&self, arguments: &[u8]) -> Digest {
        self.digest("tollgate-arguments-1\n", arguments)
    }

    /// `SHA-256("tollgate-result-1\n" ‖ salt ‖ result)`, for [`CallEnd::result`].
    #[must_use]
    pub fn result(&self, result: &[u8]) -> Digest {
        self.digest("tollgate-result-1\n", result)
    }

    fn digest(&self, what: &str, text: &[u8]) -> Digest {
        Digest(Sha256::new().chain_update(what).chain_update(self.0).chain_update(text).finalize().into())
    }
}

/// Shows nothing of it.
impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// What the side store keeps of one call.
#[derive(Clone, PartialEq, Eq)]
pub struct Private {
    /// The call.
    pub call: CallId,
    /// Its salt.
    pub salt: Salt,
    /// Its arguments, if they are kept.
    pub arguments: Option<Vec<u8>>,
    /// Its result, if it is kept.
    pub result: Option<Vec<u8>>,
}

/// A text of the side store beside the entry of the ledger that has its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It is the text that the entry was made from.
    Same,
    /// It is another text, or another call's.
    Different,
    /// The side store keeps no text.
    NotKept,
    /// The entry has no digest.
    NotRecorded,
}

impl Private {
    /// Compares the arguments with what the call's first entry says of them: digest and length.
    #[must_use]
    pub fn check_arguments(&self, entry: &Call<'_>) -> Compared {
        compare(self.arguments.as_deref(), |arguments| {
            let found = match entry.arguments {
                Recorded::Salted(digest) => digest == self.salt.arguments(arguments),
                Recorded::Nothing => return None,
            };
            Some(found && entry.call == self.call && entry.arguments_bytes == arguments.len() as u64)
        })
    }

    /// Compares the result with what the call's end says of it.
    #[must_use]
    pub fn check_result(&self, entry: &CallEnd<'_>) -> Compared {
        compare(self.result.as_deref(), |result| {
            Some(entry.result? == self.salt.result(result) && entry.call == self.call)
        })
    }
}

/// Lengths alone: plain text has no place in a log of the host.
impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Private")
            .field("call", &self.call)
            .field("arguments_bytes", &self.arguments.as_ref().map(Vec::len))
            .field("result_bytes", &self.result.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

fn compare(text: Option<&[u8]>, is_recorded: impl FnOnce(&[u8]) -> Option<bool>) -> Compared {
    match text.map(is_recorded) {
        None => Compared::NotKept,
        Some(None) => Compared::NotRecorded,
        Some(Some(true)) => Compared::Same,
        Some(Some(false)) => Compared::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `printf 'tollgate-arguments-1\n%032d{}' 0 | sha256sum`, the salt being 32 digits 0.
    #[test]
    fn digests_from_elsewhere() {
        let salt = Salt([b'0'; 32]);
        let arguments = "sha256:4b0c032b458a4315495473afc098699678dcd4488d7bb9f4a41c24e4b73ccf1c";
        let result = "sha256:6f4bc5ec81ee9e0239d60ad845d0596887868f0f01aa3051b2a9a570e4088b19";
        assert_eq!(salt.arguments(b"{}").to_string(), arguments);
        assert_eq!(salt.result(b"{}").to_string(), result);
        assert_ne!(Salt::generate().unwrap(), Salt::generate().unwrap());
        assert_eq!(format!("{salt:?}"), "Salt(..)");
    }
}

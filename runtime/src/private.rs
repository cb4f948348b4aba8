//! Arguments and results: what the ledger says of them, and what is kept beside it so that it can be erased.
//!
//! The ledger must never get their text: a digest with the call's salt at most.

use tollgate_audit::{CallId, Digest, Recorded, Salt, SideStore};
use tollgate_capability::ArgumentsRecord;

use crate::error::with_causes;

/// Salts, whose random bytes are fetched for many calls at once.
#[derive(Debug, Default)]
pub(crate) struct Salts(Vec<[u8; 32]>);

/// What is recorded of a call's arguments, and how its result will be.
#[derive(Debug)]
pub(crate) struct Confided {
    pub(crate) arguments: Recorded,
    salt: Option<Salt>,
    keeps_texts: bool,
    failed: Option<String>,
}

impl Salts {
    /// Keeps what the policy wants kept of the arguments of a call.
    pub(crate) fn confide(
        &mut self,
        store: &SideStore,
        wanted: ArgumentsRecord,
        call: CallId,
        arguments: &str,
    ) -> Confided {
        let keeps_texts = match wanted {
            ArgumentsRecord::None => return Confided::nothing(None),
            ArgumentsRecord::Digest => false,
            ArgumentsRecord::Full => true,
        };
        let salt = match self.next() {
            Ok(salt) => salt,
            Err(error) => return Confided::nothing(Some(format!("there is no randomness for a salt: {error}"))),
        };
        let kept = store.put_call(call, &salt, keeps_texts.then_some(arguments.as_bytes()));
        let failed = kept.err().map(|error| format!("the side store cannot be written: {}", with_causes(&error)));
        let arguments = Recorded::Salted(salt.arguments(arguments.as_bytes()));
        Confided { arguments, salt: Some(salt), keeps_texts, failed }
    }

    fn next(&mut self) -> Result<Salt, getrandom::Error> {
        if self.0.is_empty() {
            let mut salts = vec![[0; 32]; SALTS_AT_ONCE];
            getrandom::fill(salts.as_flattened_mut())?;
            self.0 = salts;
        }
        Ok(Salt(self.0.pop().unwrap_or_default()))
    }
}

impl Confided {
    fn nothing(failed: Option<String>) -> Self {
        Self { arguments: Recorded::Nothing, salt: None, keeps_texts: false, failed }
    }

    /// Whether what is wanted is kept; if not, the call may not run.
    pub(crate) fn kept(&self) -> Result<(), String> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// The digest of a result for the record, and whether the text is kept where it is wanted.
    pub(crate) fn result(
        &self,
        store: &SideStore,
        call: CallId,
        result: Option<&str>,
    ) -> (Option<Digest>, Result<(), String>) {
        let (Some(salt), Some(result)) = (&self.salt, result) else { return (None, Ok(())) };
        let kept = if self.keeps_texts { store.put_result(call, result.as_bytes()) } else { Ok(()) };
        let kept = kept.map_err(|error| format!("the side store cannot be written: {}", with_causes(&error)));
        (Some(salt.result(result.as_bytes())), kept)
    }
}

/// Salts for which random bytes are fetched at once.
const SALTS_AT_ONCE: usize = 32;

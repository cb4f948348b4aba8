//! Arguments and results: what the ledger says of them, and what is kept beside it so that it can be erased.
//!
//! The ledger must never get their text: a digest with the call's salt at most.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tollgate_audit::{CallId, Digest, Recorded, Salt, SideStore};
use tollgate_capability::ArgumentsRecord;

use crate::error::{CallError, CallFailure, with_causes};
use crate::invoke::{Answer, private_text};

/// Keeps the salts of calls, and their texts where the policy wants that. Whoever runs the guest need not reach it.
#[derive(Debug)]
pub(crate) struct PrivateTexts {
    store: SideStore,
    // Random bytes, fetched for many calls at once.
    salts: Mutex<Vec<[u8; 32]>>,
}

/// A call that may run: its name, and what its record says of its arguments and will say of its result.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) call: CallId,
    pub(crate) arguments: Recorded,
    pub(crate) salt: Option<Salt>,
    keeps_texts: bool,
}

impl PrivateTexts {
    /// Beside the ledger in the folder `ledger`, which is open, and in which this process has not begun any call. Texts of
    /// calls that never began, since their worker died before, are erased.
    pub(crate) fn open(ledger: &Path) -> io::Result<Self> {
        let store = SideStore::open(ledger)?;
        store.sweep()?;
        Ok(Self { store, salts: Mutex::default() })
    }

    /// Keeps what is wanted of the arguments of a call. What cannot be kept may not run.
    pub(crate) fn note(
        &self,
        wanted: ArgumentsRecord,
        call: CallId,
        arguments: &str,
    ) -> Result<Noted, Box<CallFailure>> {
        let keeps_texts = match wanted {
            ArgumentsRecord::None => return Ok(Noted::of(call, None, arguments)),
            ArgumentsRecord::Digest => false,
            ArgumentsRecord::Full => true,
        };
        let salt = self.salt().map_err(|error| unkept(format!("there is no randomness for a salt: {error}")))?;
        let kept = self.store.put_call(call, &salt, keeps_texts.then_some(arguments.as_bytes()));
        kept.map_err(|error| unkept(not_written(&error)))?;
        Ok(Noted { keeps_texts, ..Noted::of(call, Some(salt), arguments) })
    }

    /// Keeps what is wanted of how a call ended. A result that cannot be kept is withheld.
    pub(crate) fn keep(
        &self,
        noted: &Noted,
        ended: Result<Answer, Box<CallFailure>>,
    ) -> Result<Answer, Box<CallFailure>> {
        if !noted.keeps_texts {
            return ended;
        }
        let put = |text: &str| self.store.put_result(noted.call, text.as_bytes());
        match ended {
            Ok(answer) => match put(&answer.output) {
                Ok(()) => Ok(answer),
                Err(error) => {
                    let Answer { usage, streams: output, call, .. } = answer;
                    let error = CallError::Unrecorded(not_written(&error));
                    Err(Box::new(CallFailure { error, call: Some(call), usage, output }))
                }
            },
            Err(failure) => {
                if let Some(text) = private_text(&failure.error) {
                    // The call has failed either way.
                    put(&text).ok();
                }
                Err(failure)
            }
        }
    }

    /// Forgets a call that was turned down before it began.
    pub(crate) fn forget(&self, noted: &Noted) {
        if noted.salt.is_some() {
            // What stays belongs to no call.
            self.store.erase(noted.call).ok();
        }
    }

    fn salt(&self) -> Result<Salt, getrandom::Error> {
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        if salts.is_empty() {
            let mut more = vec![[0; 32]; SALTS_AT_ONCE];
            getrandom::fill(more.as_flattened_mut())?;
            *salts = more;
        }
        Ok(Salt(salts.pop().unwrap_or_default()))
    }
}

impl Noted {
    /// A call whose texts are kept elsewhere, or not at all.
    pub(crate) fn of(call: CallId, salt: Option<Salt>, arguments: &str) -> Self {
        let recorded = |salt: &Salt| Recorded::Salted(salt.arguments(arguments.as_bytes()));
        let arguments = salt.as_ref().map_or(Recorded::Nothing, recorded);
        Self { call, arguments, salt, keeps_texts: false }
    }

    /// The digest of a result, for the record.
    pub(crate) fn result(&self, result: Option<&str>) -> Option<Digest> {
        Some(self.salt.as_ref()?.result(result?.as_bytes()))
    }
}

fn unkept(reason: String) -> Box<CallFailure> {
    CallFailure::before(CallError::Unrecorded(reason))
}

fn not_written(error: &io::Error) -> String {
    format!("the side store cannot be written: {}", with_causes(error))
}

/// Salts for which random bytes are fetched at once.
const SALTS_AT_ONCE: usize = 32;

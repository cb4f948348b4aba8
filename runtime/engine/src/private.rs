//! Arguments and results: what the ledger says of them, and what is kept in the side store, where it can be erased.
//!
//! Their text must never get into the ledger: at most a digest, salted for the call, does.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use tollgate_audit::{CallId, Digest, Recorded, Salt};
use tollgate_capability::ArgumentsRecord;
use tollgate_ledger::SideStore;
use tollgate_system::lock;

use crate::error::{CallError, CallFailure, with_causes};
use crate::request::Answer;

/// Keeps the salts of calls, and their texts where the policy wants that. A process that runs a guest need not reach it.
///
/// Any thread may use it. It writes to the side store's file, and waits for no other process.
#[derive(Debug)]
pub struct PrivateTexts {
    store: SideStore,
    // Random bytes for the next calls, fetched together.
    salts: Mutex<Vec<[u8; 32]>>,
}

/// A call before it starts: its id, and what will be kept of it once its request is accepted. The side store has nothing of it
/// yet.
#[derive(Debug, Clone, Copy)]
pub struct Keeping {
    /// The call.
    pub call: CallId,
    /// Its salt; none where the policy wants nothing recorded.
    pub salt: Option<Salt>,
    texts: bool,
}

/// A call on record: its id, and what its record says of its arguments and will say of its result.
#[derive(Debug)]
pub struct Noted {
    /// The call.
    pub call: CallId,
    /// What its record says of its arguments.
    pub arguments: Recorded,
    salt: Option<Salt>,
}

impl PrivateTexts {
    /// Opens the side store of the ledger in the folder `ledger`, and erases texts of calls that never began because their worker
    /// died. This process must have begun no call in that ledger yet.
    ///
    /// # Errors
    ///
    /// The side store cannot be opened, or another process has it.
    pub fn open(ledger: &Path) -> io::Result<Self> {
        let store = SideStore::open(ledger)?;
        store.sweep()?;
        Ok(Self { store, salts: Mutex::default() })
    }

    /// As [`PrivateTexts::open`], for a process that borrows another one's notary. It erases nothing: a call that is not in the
    /// ledger yet may be on its way there, in another writer's pipe.
    ///
    /// # Errors
    ///
    /// The side store cannot be opened.
    pub fn open_beside(ledger: &Path) -> io::Result<Self> {
        Ok(Self { store: SideStore::open(ledger)?, salts: Mutex::default() })
    }

    /// Decides what will be kept of a call that is about to start. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`CallError::Unrecorded`]: the operating system gives no random bytes.
    pub fn plan(&self, wanted: ArgumentsRecord, call: CallId) -> Result<Keeping, CallError> {
        let texts = match wanted {
            ArgumentsRecord::None => return Ok(Keeping { call, salt: None, texts: false }),
            ArgumentsRecord::Digest => false,
            ArgumentsRecord::Full => true,
        };
        let none = |error| CallError::Unrecorded(format!("there is no randomness for a salt: {error}"));
        Ok(Keeping { call, salt: Some(self.salt().map_err(none)?), texts })
    }

    /// Stores what the policy wants of a call's arguments, once its request is accepted and before its guest runs. If that fails,
    /// the guest must not run.
    ///
    /// # Errors
    ///
    /// [`CallError::Unrecorded`].
    pub fn keep_arguments(&self, keeping: &Keeping, arguments: &str) -> Result<(), CallError> {
        let Keeping { call, salt, texts } = keeping;
        let Some(salt) = salt else { return Ok(()) };
        let kept = self.store.put_call(*call, salt, texts.then_some(arguments.as_bytes()));
        kept.map_err(|error| CallError::Unrecorded(not_written(&error)))
    }

    /// Stores what the policy wants of a call's result. A result that cannot be stored is withheld.
    ///
    /// # Errors
    ///
    /// The call's own error, or [`CallError::Unrecorded`].
    pub fn keep_result(
        &self,
        keeping: &Keeping,
        ended: Result<Answer, Box<CallFailure>>,
    ) -> Result<Answer, Box<CallFailure>> {
        if !keeping.texts {
            return ended;
        }
        let put = |text: &str| self.store.put_result(keeping.call, text.as_bytes());
        match ended {
            Ok(answer) => match put(&answer.output) {
                Ok(()) => Ok(answer),
                Err(error) => {
                    let Answer { usage, streams: output, call, .. } = answer;
                    let error = CallError::Unrecorded(not_written(&error));
                    Err(Box::new(CallFailure { error, call: Some(call), usage, output, help: Vec::new() }))
                }
            },
            Err(failure) => {
                if let Some(text) = &failure.error.private_text() {
                    // The call has failed either way.
                    put(text).ok();
                }
                Err(failure)
            }
        }
    }

    fn salt(&self) -> Result<Salt, getrandom::Error> {
        let mut salts = lock(&self.salts);
        if salts.is_empty() {
            let mut more = vec![[0; 32]; SALTS_AT_ONCE];
            getrandom::fill(more.as_flattened_mut())?;
            *salts = more;
        }
        Ok(Salt(salts.pop().unwrap_or_default()))
    }
}

impl Noted {
    /// A call with these arguments; `None` where they are too long to be looked at.
    pub fn of(call: CallId, salt: Option<Salt>, arguments: Option<&str>) -> Self {
        let recorded = |(salt, arguments): (Salt, &str)| Recorded::Salted(salt.arguments(arguments.as_bytes()));
        let arguments = salt.zip(arguments).map_or(Recorded::Nothing, recorded);
        Self { call, arguments, salt }
    }

    /// The digest of a result, for the record.
    pub fn result(&self, result: Option<&str>) -> Option<Digest> {
        Some(self.salt.as_ref()?.result(result?.as_bytes()))
    }
}

fn not_written(error: &io::Error) -> String {
    format!("the side store cannot be written: {}", with_causes(error))
}

/// Salts for which random bytes are fetched at once.
const SALTS_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use tollgate_ledger::Ledger;

    use super::*;

    /// As beside a daemon: the call of a third supervisor, which is gone, may be on its way to the ledger.
    #[test]
    fn who_borrows_a_notary_keeps_texts_beside_its_owner_and_erases_none() {
        let around = tempfile::tempdir().unwrap();
        let ledger = around.path().join("ledger");
        let opened = Ledger::open(&ledger, "example.com/ledger", "tests", 0).unwrap();
        let calls = [1, 2, 3].map(|number| CallId([number; 16]));
        let keep = |texts: &PrivateTexts, call: CallId| {
            let keeping = texts.plan(ArgumentsRecord::Full, call).unwrap();
            texts.keep_arguments(&keeping, "the arguments").unwrap();
        };
        let owner = PrivateTexts::open(&ledger).unwrap();
        let [of_owner, of_gone, of_second] = calls;
        keep(&PrivateTexts::open_beside(&ledger).unwrap(), of_gone);
        let second = PrivateTexts::open_beside(&ledger).unwrap();
        keep(&owner, of_owner);
        keep(&second, of_second);
        for call in calls {
            let kept = SideStore::find(&ledger, call).unwrap().unwrap();
            assert_eq!(kept.arguments.as_deref(), Some(b"the arguments".as_slice()));
        }
        drop((owner, second));
        PrivateTexts::open(&ledger).unwrap();
        assert!(calls.iter().all(|call| SideStore::find(&ledger, *call).unwrap().is_none()), "none of them began");
        drop(opened);
    }
}

//! The one call that an id means.

use std::path::Path;

use tollgate_audit::{Call, CallEnd, CallId, CallPattern, Entry, Filter, LeafIndex};

use super::choose::CALL;
use super::fault::{AuditError, argument};
use super::reading::Reading;
use crate::cli::exit::Failure;

/// What a ledger has of one call.
pub(super) struct OneCall {
    pub(super) id: CallId,
    pub(super) call: Call<'static>,
    pub(super) end: Option<(LeafIndex, CallEnd<'static>)>,
    pub(super) is_erased: bool,
}

/// Looks for the call that `given` means. It reads the whole ledger.
pub(super) fn find(folder: &Path, given: &str) -> Result<OneCall, Failure> {
    let pattern: CallPattern = given.parse().map_err(|_no_call| argument(given, CALL))?;
    let mut reading = Reading::start(folder, Filter::default())?;
    let mut found: Vec<OneCall> = Vec::new();
    while let Some((index, entry, _)) = reading.next()? {
        let Some(id) = entry.call().filter(|id| pattern.matches(*id)) else { continue };
        if let Entry::Call(call) = entry {
            found.push(OneCall { id, call, end: None, is_erased: false });
            if found.len() > CALLS_NAMED_MAX {
                break;
            }
        } else if let Some(one) = found.iter_mut().find(|one| one.id == id) {
            if let Entry::CallEnd(end) = entry {
                one.end = Some((index, end));
            } else if let Entry::Erasure(_) = entry {
                one.is_erased = true;
            }
        }
    }
    let (folder, given) = (folder.to_owned(), given.to_owned());
    match found.pop() {
        None => Err(Failure::usage(AuditError::NoCall { folder, given })),
        Some(only) if found.is_empty() => Ok(only),
        Some(last) => {
            let found = found.iter().chain([&last]).map(|one| one.id.to_string()).collect();
            Err(Failure::usage(AuditError::SeveralCalls { folder, given, found }))
        }
    }
}

/// Enough to see that more digits are needed.
const CALLS_NAMED_MAX: usize = 4;

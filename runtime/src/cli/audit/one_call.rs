//! The one call that an id means.

use std::path::Path;

use tollgate_audit::{Call, CallEnd, CallId, CallPattern, Entry, Filter, Kind, LeafIndex, SideStore};

use super::choose::CALL;
use super::fault::{AuditError, argument};
use super::private::SideStoreUnreadable;
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
    let found = matching(folder, &pattern(given)?)?;
    only(folder, given, found, |one| one.id)
}

/// What there is to erase of a call.
pub(super) struct Erasable {
    pub(super) id: CallId,
    pub(super) is_erased: bool,
}

/// As [`find`], also among the calls that only the side store knows: their worker died before their first entry.
pub(super) fn find_erasable(folder: &Path, given: &str) -> Result<Erasable, Failure> {
    let pattern = pattern(given)?;
    let recorded = matching(folder, &pattern)?;
    let is_unrecorded = |id| pattern.matches(id) && recorded.iter().all(|one| one.id != id);
    let unrecorded = SideStore::find_calls(folder, CALLS_NAMED_MAX, is_unrecorded)
        .map_err(|source| Failure::usage(SideStoreUnreadable { source }))?;
    let recorded = recorded.iter().map(|OneCall { id, is_erased, .. }| (*id, Some(*is_erased)));
    let found = recorded.chain(unrecorded.into_iter().map(|id| (id, None))).collect();
    let (id, is_erased) = only(folder, given, found, |(id, _)| *id)?;
    let is_erased = is_erased.map_or_else(|| has_erasure(folder, id), Ok)?;
    Ok(Erasable { id, is_erased })
}

/// Whether an entry says that a call of which there is no other entry was erased.
fn has_erasure(folder: &Path, id: CallId) -> Result<bool, Failure> {
    let mut reading = Reading::start(folder, Filter::default())?;
    while let Some((_, entry)) = reading.next_of(|kind, _call| kind == Kind::Erasure)? {
        if entry.call() == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn pattern(given: &str) -> Result<CallPattern, Failure> {
    given.parse().map_err(|_no_call| argument(given, CALL))
}

/// Calls of the ledger, a few at most.
fn matching(folder: &Path, pattern: &CallPattern) -> Result<Vec<OneCall>, Failure> {
    let mut reading = Reading::start(folder, Filter::default())?;
    let mut found: Vec<OneCall> = Vec::new();
    let may_match = |_kind, call: Option<CallId>| call.is_none_or(|call| pattern.matches(call));
    while let Some((index, entry)) = reading.next_of(may_match)? {
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
    Ok(found)
}

fn only<C>(folder: &Path, given: &str, mut found: Vec<C>, id: impl Fn(&C) -> CallId) -> Result<C, Failure> {
    let (folder, given) = (folder.to_owned(), given.to_owned());
    match found.pop() {
        None => Err(Failure::usage(AuditError::NoCall { folder, given })),
        Some(only) if found.is_empty() => Ok(only),
        Some(last) => {
            let found = found.iter().chain([&last]).map(|one| id(one).to_string()).collect();
            Err(Failure::usage(AuditError::SeveralCalls { folder, given, found }))
        }
    }
}

/// Enough to see that more digits are needed.
const CALLS_NAMED_MAX: usize = 4;

//! The one call that an id means.

use std::collections::BTreeSet;
use std::path::Path;

use tollgate_audit::{Call, CallEnd, CallId, Entry, Kind, LeafIndex};
use tollgate_ledger::SideStore;
use tollgate_report::{CallPattern, Filter};

use super::choose::CALL;
use super::fault::{AuditError, SideStoreUnreadable, argument};
use super::reading::Reading;
use crate::exit::Failure;
use crate::progress;

/// What a ledger has of one call.
pub(super) struct OneCall {
    pub(super) id: CallId,
    pub(super) call: Call<'static>,
    pub(super) end: Option<(LeafIndex, CallEnd<'static>)>,
}

/// Looks for the call that `given` means. If that is not its whole id, it reads the whole ledger.
pub(super) fn find(folder: &Path, given: &str) -> Result<OneCall, Failure> {
    let found = matching(folder, &pattern(given)?)?;
    only(folder, given, found, |one| one.id)
}

/// As [`find`], also among the calls that only the side store knows: their worker died before their first entry.
pub(super) fn find_erasable(folder: &Path, given: &str) -> Result<CallId, Failure> {
    let pattern = pattern(given)?;
    let mut found: Vec<_> = matching(folder, &pattern)?.into_iter().map(|one| one.id).collect();
    if found.is_empty() || pattern.whole().is_none() {
        let is_unrecorded = |id| pattern.matches(id) && !found.contains(&id);
        let unrecorded = progress::during("looking for the call beside the ledger", || {
            SideStore::find_calls(folder, CALLS_NAMED_MAX, is_unrecorded)
        });
        found.extend(unrecorded.map_err(|source| Failure::usage(SideStoreUnreadable { source }))?);
    }
    if found.is_empty() {
        found.extend(erased(folder, &pattern)?);
    }
    only(folder, given, found, |id| *id)
}

/// Whether an entry says that the call was erased. There may be no other entry of it.
pub(super) fn is_erased(folder: &Path, id: CallId) -> Result<bool, Failure> {
    let mut reading = Reading::start(folder, Filter { call: id.to_string().parse().ok(), ..Filter::default() })?;
    let is_of_it = |kind, call| kind == Kind::Erasure && call == Some(id);
    let erasure = progress::during("looking for an erasure", || reading.next_of(is_of_it))?;
    Ok(erasure.is_some())
}

/// Calls of which the ledger says nothing but that they were erased, a few at most.
fn erased(folder: &Path, pattern: &CallPattern) -> Result<BTreeSet<CallId>, Failure> {
    let mut reading = Reading::start(folder, Filter { call: Some(pattern.clone()), ..Filter::default() })?;
    let mut found = BTreeSet::new();
    let is_match = |kind, call: Option<CallId>| kind == Kind::Erasure && call.is_some_and(|id| pattern.matches(id));
    progress::during("looking for an erasure", || {
        while found.len() < CALLS_NAMED_MAX
            && let Some((_index, entry)) = reading.next_of(is_match)?
        {
            found.extend(entry.call());
        }
        Ok(found)
    })
}

fn pattern(given: &str) -> Result<CallPattern, Failure> {
    given.parse().map_err(|_no_call| argument(given, CALL))
}

/// Calls of the ledger, a few at most.
fn matching(folder: &Path, pattern: &CallPattern) -> Result<Vec<OneCall>, Failure> {
    progress::during("looking for the call", || {
        let mut reading = Reading::start(folder, Filter { call: Some(pattern.clone()), ..Filter::default() })?;
        matching_in(&mut reading, pattern)
    })
}

fn matching_in(reading: &mut Reading, pattern: &CallPattern) -> Result<Vec<OneCall>, Failure> {
    let mut found: Vec<OneCall> = Vec::new();
    let may_match = |kind, call: Option<CallId>| {
        matches!(kind, Kind::Call | Kind::CallEnd) && call.is_some_and(|call| pattern.matches(call))
    };
    while let Some((index, entry)) = reading.next_of(may_match)? {
        if let Entry::Call(call) = entry {
            found.push(OneCall { id: call.call, call, end: None });
            if found.len() > CALLS_NAMED_MAX {
                break;
            }
        } else if let Entry::CallEnd(end) = entry
            && let Some(one) = found.iter_mut().find(|one| one.id == end.call)
        {
            one.end = Some((index, end));
            if pattern.whole().is_some() {
                break;
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

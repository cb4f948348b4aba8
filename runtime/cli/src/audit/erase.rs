//! `tollgate audit erase`: the data first, its record after, so that no record speaks of data that is still there. A call
//! that is not in the ledger is found by the side store.

use std::io;
use std::path::Path;

use miette::Diagnostic;
use serde_json::json;
use tollgate_audit::{AppendError, CallId, Entry, Erasure};
use tollgate_ledger::{CheckpointError, Erased, SideStore};

use super::args::EraseArgs;
use super::fault::{must_say, unwritable};
use super::prove::open;
use super::{once_free, one_call};
use crate::exit::{Exit, Failure};
use crate::ledger::user;
use crate::{config, output, progress};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum EraseError {
    #[error("the side store beside the ledger is in use")]
    #[diagnostic(help("nothing was erased; wait until the `tollgate run` that has it ends"))]
    InUse { source: io::Error },
    #[error("the side store beside the ledger cannot be opened")]
    #[diagnostic(help("nothing was erased; {}", mend(source)))]
    SideStore { source: io::Error },
    #[error("the data of call {call} may still be there")]
    #[diagnostic(help("{}", mend(source)))]
    NotErased { call: CallId, source: io::Error },
    #[error("the data of call {call} is erased, and the ledger did not take the record of it")]
    #[diagnostic(help("look at the disk, and do it again: it is then recorded"))]
    NotRecorded { call: CallId, source: AppendError },
    #[error("the data of call {call} is erased and that is recorded, but no checkpoint covers the record yet")]
    #[diagnostic(help("the next `tollgate run` signs one"))]
    NotSigned { call: CallId, source: CheckpointError },
}

/// A damaged file may have data of any call.
fn mend(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::InvalidData {
        "data of the call may be in what is named: take it out of the folder, keep it from everybody or delete it, and do it again"
    } else {
        "look at the disk and at the folder with `.private` behind the ledger's name, and do it again"
    }
}

pub(super) fn erase(args: &EraseArgs, folder: &Path) -> Result<Exit, Failure> {
    must_say("--reason", "why, or leave it out", args.reason.as_deref())?;
    must_say("--by", "who wants it, or leave it out", args.by.as_deref())?;
    let call = one_call::find_erasable(folder, &args.call)?;
    let kept = progress::during("looking for the texts", || SideStore::find(folder, call))
        .map_err(|source| Failure::usage(EraseError::SideStore { source }))?;
    if kept.is_none() && one_call::is_erased(folder, call)? {
        output::print(&said(call, None, args.json))?;
        return Ok(Exit::Success);
    }
    let ledger = once_free(folder, args.ledger.wait, || open(folder)).map_err(|error| unwritable(folder, error))?;
    let store = SideStore::open(folder).map_err(|source| {
        let is_used = source.kind() == io::ErrorKind::WouldBlock;
        Failure::usage(if is_used { EraseError::InUse { source } } else { EraseError::SideStore { source } })
    })?;
    let erased = progress::during("erasing", || store.erase(call))
        .map_err(|source| Failure::internal_as(EraseError::NotErased { call, source }))?;
    let by = args.by.clone().unwrap_or_else(user);
    let reason = args.reason.clone().map(Into::into);
    let entry = Erasure { call, time_ns: config::now_ns(), by: by.into(), reason };
    // Also if nothing was found: an erasure may have died before its record.
    let appended = ledger.append(&[Entry::Erasure(entry).encode()]);
    appended.map_err(|source| Failure::internal_as(EraseError::NotRecorded { call, source }))?;
    let signed = ledger.checkpoint();
    signed.map_err(|source| Failure::internal_as(EraseError::NotSigned { call, source }))?;
    output::print(&said(call, Some(erased), args.json))?;
    Ok(Exit::Success)
}

/// What was erased now; nothing if it was before.
fn said(call: CallId, erased: Option<Erased>, as_json: bool) -> String {
    let Erased { records, bytes } = erased.unwrap_or_default();
    if as_json {
        let was_erased = erased.is_none();
        let value = json!({ "ok": true, "call": call, "records": records, "bytes": bytes, "was_erased": was_erased });
        return format!("{value}\n");
    }
    match (erased, records) {
        (None, _) => format!("erased before: call {call}\n"),
        (Some(_), 0) => format!("recorded: nothing is kept of call {call}\n"),
        (Some(_), _) => format!("erased: call {call}, {bytes} bytes in {records} records\n"),
    }
}

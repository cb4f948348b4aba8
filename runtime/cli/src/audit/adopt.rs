//! `tollgate audit adopt`: goes on with a ledger that is not what it remembers to be, and records the break.

use std::path::Path;

use miette::Diagnostic;
use serde_json::json;
use tollgate_ledger::{CheckpointError, Ledger};

use super::args::AdoptArgs;
use super::fault::{must_say, not_adopted};
use super::once_free;
use crate::exit::{Exit, Failure};
use crate::ledger::{SOFTWARE, user};
use crate::{config, output};

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the break is recorded, but no checkpoint covers the record yet")]
#[diagnostic(help("the next `tollgate run` signs one"))]
struct NotSigned {
    source: CheckpointError,
}

pub(super) fn adopt(args: &AdoptArgs, folder: &Path) -> Result<Exit, Failure> {
    must_say("--reason", "why the ledger is not what it remembers to be", Some(&args.reason))?;
    must_say("--by", "who lets it go on, or leave it out", args.by.as_deref())?;
    let by = args.by.clone().unwrap_or_else(user);
    let adopt = || Ledger::adopt(folder, &by, &args.reason, SOFTWARE, config::now_ns());
    let ledger = once_free(folder, args.ledger.wait, adopt).map_err(|error| not_adopted(folder, error))?;
    let signed = ledger.checkpoint().map_err(|source| Failure::internal_as(NotSigned { source }))?;
    let text = if args.json {
        format!("{}\n", json!({ "ok": true, "origin": signed.origin, "size": signed.size, "root": signed.root }))
    } else {
        let folder = output::one_line(&folder.display().to_string());
        format!("adopted: {folder}, now {} entries with the record of the break\n", signed.size)
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

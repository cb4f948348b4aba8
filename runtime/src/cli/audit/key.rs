//! `tollgate audit key`, and keys as arguments.

use std::path::Path;

use serde_json::json;
use tollgate_audit::{Entry, Filter, Kind, VerifierKey};

use super::args::KeyArgs;
use super::argument;
use super::reading::Reading;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{given, output};

/// A ledger of the first format, which signs nothing.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the ledger names no key yet")]
#[diagnostic(help("the next `tollgate run` gives it one"))]
struct NoKey;

pub(super) fn key(args: &KeyArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, Filter::default())?;
    let mut keys: Vec<VerifierKey> = Vec::new();
    while let Some((_, entry)) = reading.next_of(|kind, _call| kind == Kind::LedgerOpened)? {
        let Entry::LedgerOpened(opened) = entry else { continue };
        let key = opened.key.and_then(|key| VerifierKey::new(opened.origin.as_str(), key.public).ok());
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    let Some(last) = keys.last() else { return Err(Failure::usage(NoKey)) };
    let text = if args.json {
        format!("{}\n", json!({ "key": last, "keys": keys }))
    } else {
        keys.iter().map(|key| format!("{key}\n")).collect()
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// A key as `--key` takes it.
pub(super) fn parse_key(given: &str) -> Result<VerifierKey, Failure> {
    let text = given::text(given, "the key")?;
    text.trim().parse().map_err(|_no_key| argument(given, KEY))
}

const KEY: &str = "verifier key, `name+hash+key`, nor a file with one behind an @";

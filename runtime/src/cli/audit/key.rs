//! `tollgate audit key`, and keys as arguments.

use std::path::Path;

use serde_json::json;
use tollgate_audit::{Entry, Filter, Kind, VerifierKey};

use super::args::KeyArgs;
use super::argument;
use super::fault::said;
use super::reading::Reading;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{given, output};

/// Nothing is left of the ledger.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("no entry of the ledger names a key")]
#[diagnostic(help("`tollgate audit verify` says whether entries are missing"))]
struct NoKey;

pub(super) fn key(args: &KeyArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, Filter::default())?;
    let mut keys: Vec<VerifierKey> = Vec::new();
    let damage = loop {
        let opened = match reading.next_of(|kind, _call| kind == Kind::LedgerOpened) {
            Ok(Some((_, Entry::LedgerOpened(opened)))) => opened,
            Ok(Some(_)) => continue,
            Ok(None) => break reading.whole().err(),
            Err(damage) => break Some(damage),
        };
        let key = VerifierKey::new(opened.origin.as_str(), opened.key.public).ok();
        keys.extend(key.filter(|key| !keys.contains(key)));
    };
    let Some(last) = keys.last() else { return Err(damage.unwrap_or_else(|| Failure::usage(NoKey))) };
    let text = if args.json {
        format!("{}\n", json!({ "key": last, "keys": keys }))
    } else {
        keys.iter().map(|key| format!("{key}\n")).collect()
    };
    output::print(&text)?;
    // There may be newer ones behind.
    Ok(damage.map_or(Exit::Success, |damage| said(&damage)))
}

/// A key as `--key` takes it.
pub(super) fn parse_key(given: &str) -> Result<VerifierKey, Failure> {
    let text = given::text(given, "the key")?;
    text.trim().parse().map_err(|_no_key| argument(given, KEY))
}

const KEY: &str = "verifier key, `name+hash+key`, nor a file with one behind an @";

//! `tollgate audit key`, and keys as arguments.

use std::path::Path;

use serde_json::json;
use tollgate_audit::{Entry, Kind, LeafIndex, VerifierKey, key_hint, read_checkpoint};
use tollgate_report::Filter;

use super::args::KeyArgs;
use super::argument;
use super::fault::said;
use super::reading::Reading;
use crate::exit::{Exit, Failure};
use crate::{given, output, progress};

/// Nothing is left of the ledger.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("no entry of the ledger names a key")]
#[diagnostic(help("`tollgate audit verify` says whether entries are missing"))]
struct NoKey;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("`{given}` is not a verifier key")]
#[diagnostic(help("{help}"))]
struct NoSuchKey {
    given: String,
    help: String,
}

pub(super) fn key(args: &KeyArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, Filter::default())?;
    let mut keys = Vec::new();
    let damage = progress::during("looking for keys", || collect(folder, &mut reading, &mut keys)).err();
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

/// Collects the keys, up to the ledger's end or to where it cannot be read.
fn collect(folder: &Path, reading: &mut Reading, keys: &mut Vec<VerifierKey>) -> Result<(), Failure> {
    while let Some(key) = next_key(reading)? {
        if keys.is_empty()
            && let Some(newer) = newer(folder, &key)
        {
            *reading = newer;
        }
        keys.extend((!keys.contains(&key)).then_some(key));
    }
    reading.whole()
}

fn next_key(reading: &mut Reading) -> Result<Option<VerifierKey>, Failure> {
    while let Some((_, entry)) = reading.next_of(|kind, _call| matches!(kind, Kind::LedgerOpened | Kind::KeyRotated))? {
        let Entry::LedgerOpened(opened) = entry else { continue };
        if let Ok(key) = VerifierKey::new(opened.origin.as_str(), opened.key.public) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// The ledger's newer entries, where none before them can bring another key: each rotation makes a new one, so that the last
/// checkpoint is not signed by the `first` key if it comes behind a rotation.
fn newer(folder: &Path, first: &VerifierKey) -> Option<Reading> {
    let checkpoint = read_checkpoint(folder).ok()?;
    let signed = checkpoint.verify(first).ok()?.size;
    Reading::near_end(folder, Filter::default(), 0).filter(|newer| newer.index() <= Some(LeafIndex(signed.0)))
}

/// A key as `--key` takes it.
pub(super) fn parse_key(given: &str) -> Result<VerifierKey, Failure> {
    let text = given::text(given, "the key")?;
    text.trim().parse().map_err(|_no_key| match key_hint(given, &text) {
        Some(help) => Failure::usage(NoSuchKey { given: given.to_owned(), help }),
        None => argument(given, KEY),
    })
}

const KEY: &str = "verifier key, `name+hash+key`, nor a file with one behind an @";

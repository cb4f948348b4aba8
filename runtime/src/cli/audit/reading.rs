//! The chosen entries of a ledger, in their order. It must never write or lock.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tollgate_audit::{Context, Entries, Entry, Filter, LeafHash, LeafIndex, Selector, read};

use super::fault::not_read;
use crate::cli::exit::Failure;

/// Reads a ledger from its start.
pub(super) struct Reading {
    folder: PathBuf,
    entries: Entries,
    selector: Selector,
}

impl Reading {
    pub(super) fn start(folder: &Path, filter: Filter) -> Result<Self, Failure> {
        let entries = read(folder).map_err(|error| not_read(folder, error))?;
        Ok(Self { folder: folder.to_owned(), entries, selector: filter.selector() })
    }

    /// The next entry and whether it is chosen; `None` where the ledger ends for now.
    pub(super) fn next(&mut self) -> Result<Option<(LeafIndex, Entry<'static>, bool)>, Failure> {
        let Some(read) = self.entries.next() else { return Ok(None) };
        let (index, entry) = read.map_err(|error| not_read(&self.folder, error))?;
        let is_chosen = self.selector.selects(index, &entry);
        Ok(Some((index, entry, is_chosen)))
    }

    /// The next entry that is chosen.
    pub(super) fn next_chosen(&mut self) -> Result<Option<(LeafIndex, Entry<'static>)>, Failure> {
        loop {
            match self.next()? {
                Some((index, entry, true)) => return Ok(Some((index, entry))),
                Some((_, _, false)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Goes on with what came behind the end.
    pub(super) fn go_on(&mut self) -> Result<(), Failure> {
        self.entries.go_on().map(|_more| ()).map_err(|error| not_read(&self.folder, error))
    }

    /// Whose call the entry read last is of.
    pub(super) fn context(&self) -> Option<&Context> {
        self.selector.context()
    }

    pub(super) fn leaf(&self) -> Option<LeafHash> {
        self.entries.latest_leaf()
    }
}

/// Whose call an entry is of, for programs.
pub(super) fn context_json(context: &Context) -> Value {
    let mut fields = Map::new();
    fields.insert("call".into(), json!(context.call));
    fields.insert("tool".into(), json!(context.tool));
    fields.insert("operation".into(), json!(context.operation));
    for (name, id) in [("agent", &context.agent), ("session", &context.session), ("decision", &context.decision)] {
        if let Some(id) = id {
            fields.insert(name.into(), json!(id));
        }
    }
    Value::Object(fields)
}

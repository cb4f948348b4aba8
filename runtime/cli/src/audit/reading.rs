//! The chosen entries of a ledger, in their order. It must never write or lock.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tollgate_audit::{
    CallId, Claims, Entries, Entry, Kind, LeafHash, LeafIndex, Text, read, read_for_call, read_near_end,
};
use tollgate_report::{CallPattern, Context, Filter, Selector};

use super::fault::not_read;
use crate::exit::Failure;

/// Reads a ledger from its start; for one call, from where that starts.
pub(super) struct Reading {
    folder: PathBuf,
    entries: Entries,
    selector: Selector,
    // The choice of any entry hangs on entries of these calls alone.
    only: Option<CallPattern>,
}

impl Reading {
    pub(super) fn start(folder: &Path, filter: Filter) -> Result<Self, Failure> {
        let read =
            only(&filter).and_then(CallPattern::whole).map_or_else(|| read(folder), |call| read_for_call(folder, call));
        let entries = read.map_err(|error| not_read(folder, error))?;
        Ok(Self::of(folder, filter, entries))
    }

    /// From about `bytes` before the ledger's newer entries on, if it is longer and its own writer says where they are.
    pub(super) fn near_end(folder: &Path, filter: Filter, bytes: u64) -> Option<Self> {
        Some(Self::of(folder, filter, read_near_end(folder, bytes)?))
    }

    fn of(folder: &Path, filter: Filter, entries: Entries) -> Self {
        let only = only(&filter).cloned();
        Self { folder: folder.to_owned(), entries, selector: filter.selector(), only }
    }

    /// The next entry and whether it is chosen; `None` where the ledger ends for now.
    pub(super) fn next(&mut self) -> Result<Option<(LeafIndex, Entry<'static>, bool)>, Failure> {
        let only = self.only.as_ref();
        let may_count = |call: Option<CallId>| call.is_none_or(|call| only.is_none_or(|only| only.matches(call)));
        let Some(read) = self.entries.next_of(|_kind, call| may_count(call)) else { return Ok(None) };
        let (index, entry) = read.map_err(|error| not_read(&self.folder, error))?;
        let is_chosen = self.selector.selects(index, &entry);
        Ok(Some((index, entry, is_chosen)))
    }

    /// The next entry of which `wanted` is true. The selector is passed over, and with it whose call it is.
    pub(super) fn next_of(
        &mut self,
        wanted: impl Fn(Kind, Option<CallId>) -> bool,
    ) -> Result<Option<(LeafIndex, Entry<'static>)>, Failure> {
        let read = self.entries.next_of(wanted).transpose();
        read.map_err(|error| not_read(&self.folder, error))
    }

    /// Whether all was seen that the choice of the entry read last hangs on.
    pub(super) fn is_informed(&self) -> bool {
        self.selector.is_informed()
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

    /// Whether no unfinished entry stood behind the end.
    pub(super) fn whole(&self) -> Result<(), Failure> {
        self.entries.whole().map_err(|error| not_read(&self.folder, error))
    }

    /// Goes on with what came behind the end.
    pub(super) fn go_on(&mut self) -> Result<(), Failure> {
        self.entries.go_on().map(|_more| ()).map_err(|error| not_read(&self.folder, error))
    }

    /// Whose call the entry read last is of.
    pub(super) fn context(&self) -> Option<&Context> {
        self.selector.context()
    }

    /// Which entry comes next; `None` behind the end.
    pub(super) fn index(&self) -> Option<LeafIndex> {
        self.entries.index()
    }

    pub(super) fn leaf(&self) -> Option<LeafHash> {
        self.entries.latest_leaf()
    }
}

/// The calls on whose entries alone the choice of any entry hangs. The time of an entry that says none is that of the one before,
/// whosever it is.
fn only(filter: &Filter) -> Option<&CallPattern> {
    let is_timed = filter.from_ns.is_some() || filter.until_ns.is_some();
    filter.call.as_ref().filter(|_| !is_timed)
}

/// Whose call an entry is of, for programs.
pub(super) fn context_json(context: &Context) -> Value {
    let mut fields = Map::new();
    fields.insert("call".into(), json!(context.call));
    fields.insert("tool".into(), json!(context.tool));
    fields.insert("operation".into(), json!(context.operation));
    fields.extend(given([("agent", &context.agent), ("session", &context.session)]));
    let Claims { agent, session, decision, reason: _of_the_call_alone, trace } = &context.claims;
    let claims = given([("agent", agent), ("session", session), ("decision", decision), ("trace", trace)]);
    if !claims.is_empty() {
        fields.insert("claims".into(), Value::Object(claims));
    }
    Value::Object(fields)
}

/// Those that there are, by name.
fn given<const N: usize>(texts: [(&str, &Option<Text<'_>>); N]) -> Map<String, Value> {
    texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))).collect()
}

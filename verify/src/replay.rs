//! Decisions repeated from their record: an auditor need not believe that the gate decided as its capability set says.
//!
//! Pure over entries and the texts of sets. What cannot be repeated is said, with why; it must never pass for a decision
//! that is right.

use std::collections::{BTreeMap, HashMap};
use std::io;

use tollgate_audit::{CallId, Digest, Entry, Fact as RecordedFact, Intent, LeafIndex, Text, Verdict};
use tollgate_capability::{Call, Decision, Fact, FactsError, RecordedSet};

/// Most capability sets that are kept at a time: a ledger has one for each tool and grant, of some KiB, and each may
/// have 16 MiB.
pub const SETS_KEPT_MAX: usize = 16;

/// Most calls whose sets are remembered at a time: of a ledger in which more are open, some decisions cannot be repeated.
const OPEN_CALLS_MAX: usize = 16_384;

/// Repeats the decisions of a ledger, entry by entry, with the sets that `load` gives by their digest
/// ([`tollgate_audit::read_set`]).
#[derive(Debug)]
pub struct Replay<L> {
    load: L,
    // Ids rise with time, so the first is the oldest.
    calls: BTreeMap<CallId, Digest>,
    sets: HashMap<Digest, Result<RecordedSet, Unrepeatable>>,
}

/// What came of repeating one decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    /// It is the one on record.
    Same,
    /// It is another one.
    Differs(Box<Difference>),
    /// It cannot be repeated.
    Not(Unrepeatable),
}

/// A decision on record that its capability set does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Index of the intent.
    pub index: LeafIndex,
    /// The call that asked.
    pub call: CallId,
    /// The function called.
    pub function: String,
    /// What stands on record.
    pub recorded: Ruling,
    /// What the set says.
    pub right: Ruling,
    /// Why the set denies the call, if it does.
    pub reason: Option<String>,
}

/// A verdict and its rule: the one that allows, or the one that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule's text.
    pub rule: String,
}

/// Why a decision cannot be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unrepeatable {
    /// The start of the call, which names the set, is not among the entries, or too many calls started since.
    #[error("the start of its call is not known")]
    CallUnknown,
    /// The folder of the ledger does not have the set.
    #[error("its capability set is not kept")]
    SetMissing,
    /// The set cannot be read, or is not what its digest says.
    #[error("its capability set cannot be read")]
    SetUnreadable,
    /// A text was too long for an entry.
    #[error("a text of it was cut")]
    TextCut,
    /// There were more facts than an entry can hold.
    #[error("facts of it were left out")]
    FactsLeftOut,
    /// The function is none of a gate's.
    #[error("its function is unknown")]
    FunctionUnknown,
    /// The facts are not those of a call of the function.
    #[error("its facts are not those of a call")]
    NoSuchCall,
}

impl Unrepeatable {
    /// A word for it in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallUnknown => "call-unknown",
            Self::SetMissing => "set-missing",
            Self::SetUnreadable => "set-unreadable",
            Self::TextCut => "text-cut",
            Self::FactsLeftOut => "facts-left-out",
            Self::FunctionUnknown => "function-unknown",
            Self::NoSuchCall => "no-such-call",
        }
    }
}

impl<L: FnMut(Digest) -> io::Result<Option<String>>> Replay<L> {
    /// Starts before the first entry.
    pub fn new(load: L) -> Self {
        Self { load, calls: BTreeMap::new(), sets: HashMap::new() }
    }

    /// Takes the next entry of the ledger, every one of them in their order; repeats its decision if it is an intent
    /// that `is_chosen`. Of an intent that the kernel refused below the gate, the gate's decision is repeated.
    pub fn entry(&mut self, index: LeafIndex, entry: &Entry<'_>, is_chosen: bool) -> Option<Repeated> {
        if let Entry::Call(call) = entry {
            self.calls.insert(call.call, call.capability_set);
            if self.calls.len() > OPEN_CALLS_MAX {
                self.calls.pop_first();
            }
        } else if let Entry::CallEnd(_) | Entry::Closer(_) = entry
            && let Some(call) = entry.call()
        {
            self.calls.remove(&call);
        } else if let Entry::Intent(intent) = entry
            && is_chosen
        {
            return Some(self.repeat(index, intent).unwrap_or_else(Repeated::Not));
        }
        None
    }

    fn repeat(&mut self, index: LeafIndex, intent: &Intent<'_>) -> Result<Repeated, Unrepeatable> {
        let digest = *self.calls.get(&intent.call).ok_or(Unrepeatable::CallUnknown)?;
        let call = host_call(intent)?;
        let (right, reason) = match self.set(digest)?.check(&call) {
            Decision::Allow(rule) => (Ruling { verdict: Verdict::Allow, rule: rule.to_string() }, None),
            Decision::Deny(denial) => {
                let ruling = Ruling { verdict: Verdict::Deny, rule: denial.missing.to_string() };
                (ruling, Some(denial.reason.to_string()))
            }
        };
        if right.verdict == intent.verdict && intent.rule.is(&right.rule) {
            return Ok(Repeated::Same);
        }
        let recorded = Ruling { verdict: intent.verdict, rule: intent.rule.to_string() };
        let function = intent.function.to_string();
        Ok(Repeated::Differs(Box::new(Difference { index, call: intent.call, function, recorded, right, reason })))
    }

    fn set(&mut self, digest: Digest) -> Result<&RecordedSet, Unrepeatable> {
        if self.sets.len() >= SETS_KEPT_MAX && !self.sets.contains_key(&digest) {
            self.sets.clear();
        }
        let load = &mut self.load;
        self.sets.entry(digest).or_insert_with(|| read_set(load(digest), digest)).as_ref().map_err(|why| *why)
    }
}

fn read_set(text: io::Result<Option<String>>, digest: Digest) -> Result<RecordedSet, Unrepeatable> {
    let text = text.map_err(|_unreadable| Unrepeatable::SetUnreadable)?.ok_or(Unrepeatable::SetMissing)?;
    let set = RecordedSet::parse(&text).map_err(|_malformed| Unrepeatable::SetUnreadable)?;
    if set.digest() == digest.0 { Ok(set) } else { Err(Unrepeatable::SetUnreadable) }
}

/// The call that an intent stands for.
fn host_call(intent: &Intent<'_>) -> Result<Call, Unrepeatable> {
    if intent.facts.left_out() > 0 {
        return Err(Unrepeatable::FactsLeftOut);
    }
    let facts: Result<Vec<_>, _> = intent.facts.iter().map(|(name, fact)| Ok((name, whole(fact)?))).collect();
    Call::from_facts(whole_text(&intent.function)?, &facts?).map_err(|error| {
        let is_unknown = matches!(error, FactsError::UnknownFunction { .. });
        if is_unknown { Unrepeatable::FunctionUnknown } else { Unrepeatable::NoSuchCall }
    })
}

fn whole<'f>(fact: &'f RecordedFact<'_>) -> Result<Fact<'f>, Unrepeatable> {
    Ok(match fact {
        RecordedFact::Text(text) => Fact::Text(whole_text(text)?.into()),
        RecordedFact::Uint(value) => Fact::Uint(*value),
        RecordedFact::Bool(value) => Fact::Bool(*value),
    })
}

fn whole_text<'t>(text: &'t Text<'_>) -> Result<&'t str, Unrepeatable> {
    if text.cut().is_some() { Err(Unrepeatable::TextCut) } else { Ok(text.as_str()) }
}

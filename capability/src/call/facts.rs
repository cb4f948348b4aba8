//! The facts of a call, as they go into the ledger, and how each type of them is written and read again. They must hold all
//! that `check` looks at: a call is made again out of its facts, and of nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::path::{FsPath, GrantIndex};
use crate::policy_name::Carries;
use crate::reach::Reach;

/// Named facts of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a>(pub Vec<(&'static str, Fact<'a>)>);

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A text: the guest's own, or a fixed word.
    Text(Cow<'a, str>),
    /// A count, an index or a size in bytes.
    Uint(u64),
    /// A flag.
    Bool(bool),
}

/// Why facts stand for no call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FactsError {
    /// No call has this function.
    #[error("no host call has the function {function:?}")]
    UnknownFunction {
        /// Its name.
        function: String,
    },
    /// A fact of the call is not there.
    #[error("the fact `{fact}` is missing")]
    Missing {
        /// Its name.
        fact: &'static str,
    },
    /// A fact is there more than once.
    #[error("the fact {fact:?} is there twice")]
    Duplicate {
        /// Its name.
        fact: String,
    },
    /// A fact that the call does not have.
    #[error("the call has no fact {fact:?}")]
    Extra {
        /// Its name.
        fact: String,
    },
    /// A fact is of another type, or has a value that the call cannot have.
    #[error("the fact `{fact}` is not {expected}")]
    Value {
        /// Its name.
        fact: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl<'a> Facts<'a> {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(FACTS_USUAL))
    }

    pub(crate) fn text(&mut self, name: &'static str, text: impl Into<Cow<'a, str>>) {
        self.0.push((name, Fact::Text(text.into())));
    }

    pub(crate) fn uint(&mut self, name: &'static str, value: impl Into<u64>) {
        self.0.push((name, Fact::Uint(value.into())));
    }
}

/// Room for the facts of the most frequent call, `open-at`.
const FACTS_USUAL: usize = 11;

/// Recorded facts that nothing has asked for yet.
pub(crate) struct Unread<'f>(BTreeMap<&'f str, &'f Fact<'f>>);

impl<'f> Unread<'f> {
    pub(crate) fn new(facts: &'f [(&str, Fact<'f>)]) -> Result<Self, FactsError> {
        let mut unread = BTreeMap::new();
        for (name, fact) in facts {
            if unread.insert(*name, fact).is_some() {
                return Err(FactsError::Duplicate { fact: (*name).to_owned() });
            }
        }
        Ok(Self(unread))
    }

    /// Refuses what is left: the call has no such fact.
    pub(crate) fn end(self) -> Result<(), FactsError> {
        match self.0.into_keys().next() {
            Some(fact) => Err(FactsError::Extra { fact: fact.to_owned() }),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &'static str) -> Result<&'f Fact<'f>, FactsError> {
        self.0.remove(name).ok_or(FactsError::Missing { fact: name })
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<&'f str, FactsError> {
        match self.take(name)? {
            Fact::Text(text) => Ok(text),
            Fact::Uint(_) | Fact::Bool(_) => Err(wrong(name, "a text")),
        }
    }

    pub(crate) fn uint(&mut self, name: &'static str) -> Result<u64, FactsError> {
        match self.take(name)? {
            Fact::Uint(value) => Ok(*value),
            Fact::Text(_) | Fact::Bool(_) => Err(wrong(name, "a number")),
        }
    }

    /// The one of `all` whose word is recorded.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        all: &[T],
        word: fn(T) -> &'static str,
        expected: &'static str,
    ) -> Result<T, FactsError> {
        let text = self.text(name)?;
        all.iter().copied().find(|each| word(*each) == text).ok_or_else(|| wrong(name, expected))
    }
}

/// A type of facts: written and read by its one implementation, and nowhere else.
pub(crate) trait FactValue: Sized {
    /// How a fact of this type, or each of its parts, is named.
    type Key: ?Sized;

    /// Adds the fact, or its parts in their order.
    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>);

    /// The inverse of [`FactValue::tell`].
    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError>;
}

impl FactValue for u64 {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.uint(key, *self);
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.uint(key)
    }
}

impl FactValue for u32 {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.uint(key, *self);
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.uint(key)?.try_into().map_err(|_large| wrong(key, "a number of at most 32 bits"))
    }
}

impl FactValue for bool {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.0.push((key, Fact::Bool(*self)));
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        match facts.take(key)? {
            Fact::Bool(value) => Ok(*value),
            Fact::Text(_) | Fact::Uint(_) => Err(wrong(key, "true or false")),
        }
    }
}

impl FactValue for String {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.text(key, self.as_str());
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.text(key).map(str::to_owned)
    }
}

impl FactValue for GrantIndex {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        facts.uint(key, self.0);
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        facts.uint(key)?.try_into().map(Self).map_err(|_large| wrong(key, "a number of at most 16 bits"))
    }
}

/// The names that the facts of a path have.
pub(crate) struct PathKeys {
    asked: &'static str,
    dir: &'static str,
    grant: &'static str,
}

/// The only path of a call.
pub(crate) const PATH: PathKeys = PathKeys { asked: "path", dir: "dir", grant: "grant" };
/// The old name.
pub(crate) const FROM: PathKeys = PathKeys { asked: "from", dir: "from_dir", grant: "from_grant" };
/// The new name.
pub(crate) const TO: PathKeys = PathKeys { asked: "to", dir: "to_dir", grant: "to_grant" };

/// The text asked for; with a handle below the granted folder, that handle's directory too.
impl FactValue for FsPath {
    type Key = PathKeys;

    fn tell<'a>(&'a self, key: &PathKeys, facts: &mut Facts<'a>) {
        self.asked.tell(&key.asked, facts);
        if !self.dir.is_empty() {
            self.dir.tell(&key.dir, facts);
        }
        self.grant.tell(&key.grant, facts);
    }

    fn read(key: &PathKeys, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        let dir = if facts.0.contains_key(key.dir) { folder(key.dir, facts.text(key.dir)?)? } else { "" };
        Ok(Self::new(GrantIndex::read(&key.grant, facts)?, dir, String::read(&key.asked, facts)?))
    }
}

/// The directory of a handle: it was opened, so it is normalised and below the granted folder.
fn folder<'f>(fact: &'static str, dir: &'f str) -> Result<&'f str, FactsError> {
    let below = FsPath::new(GrantIndex(0), "", dir.to_owned());
    if below.resolved() == Ok(dir) { Ok(dir) } else { Err(wrong(fact, "a normalised path below the granted folder")) }
}

/// How many folders up links lead, or [`ANYWHERE`].
pub(crate) const CLIMBS: &str = "climbs";
/// The word for links that nothing bounds.
const ANYWHERE: &str = "anywhere";

/// Where links lead; without the fact, nobody looked.
impl FactValue for Option<Reach> {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        match self {
            Some(Reach::Up(folders)) => facts.uint(key, *folders),
            Some(Reach::Anywhere) => facts.text(key, ANYWHERE),
            None => {}
        }
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        let expected = "a number of at most 32 bits, or `anywhere`";
        match facts.0.remove(key) {
            None => Ok(None),
            Some(Fact::Uint(folders)) => match u32::try_from(*folders) {
                Ok(folders) => Ok(Some(Reach::Up(folders))),
                Err(_large) => Err(wrong(key, expected)),
            },
            Some(Fact::Text(word)) if word == ANYWHERE => Ok(Some(Reach::Anywhere)),
            Some(Fact::Text(_) | Fact::Bool(_)) => Err(wrong(key, expected)),
        }
    }
}

/// Whether a policy is in a folder that moves.
pub(crate) const CARRIES: &str = "carries";

/// What a folder takes along; without the fact, nobody looked.
impl FactValue for Option<Carries> {
    type Key = &'static str;

    fn tell<'a>(&'a self, key: &Self::Key, facts: &mut Facts<'a>) {
        if let Some(carries) = self {
            facts.text(key, carries.as_str());
        }
    }

    fn read(key: &Self::Key, facts: &mut Unread<'_>) -> Result<Self, FactsError> {
        if !facts.0.contains_key(key) {
            return Ok(None);
        }
        facts.word(key, &Carries::ALL, Carries::as_str, "`no-policy`, `policy` or `unseen`").map(Some)
    }
}

pub(crate) fn wrong(fact: &'static str, expected: &'static str) -> FactsError {
    FactsError::Value { fact, expected }
}

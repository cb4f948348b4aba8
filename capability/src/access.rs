//! What may be done below a granted folder. Must never gain a right that `check` does not ask for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One right below a granted folder. What needs a right that is not there is denied.
///
/// What is linked or renamed must not gain rights: what counts is what all granted folders give at either place of the
/// host, since they may lie in one another. Devices, FIFOs and sockets are neither opened, linked nor renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Open a file to read it, read it; be the source of a hard link, with `write` too.
    Read,
    /// Open a file to write or cut it, write to it; change its length or times. A hard link needs it where its source is, since
    /// any tool with `write` at the new name changes the same file.
    Write,
    /// Make files, folders and links; be the target of a rename.
    Create,
    /// Unlink a file, remove a folder; be the source of a rename, or overwritten by one. A folder is renamed with `list` too.
    Delete,
    /// Open a folder, list it, flush it; the metadata hash, as with `metadata`.
    List,
    /// Ask about a name without opening it: stat, readlink; the metadata hash, as with `list`.
    Metadata,
}

impl Access {
    /// Every right, in the order in which they are printed.
    pub const ALL: [Self; 6] = [Self::Read, Self::Write, Self::Create, Self::Delete, Self::List, Self::Metadata];

    /// The word for it in manifests, grants and rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Metadata => "metadata",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights; the empty set allows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Access>", into = "Vec<Access>")]
pub struct AccessSet(u8);

impl AccessSet {
    /// No right at all.
    pub const EMPTY: Self = Self(0);

    /// Whether `access` is in the set.
    #[must_use]
    pub const fn contains(self, access: Access) -> bool {
        self.0 & access.bit() != 0
    }

    /// Whether every right of `other` is in this set.
    #[must_use]
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rights that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rights of this set that `other` lacks.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The rights that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set with `access` added.
    #[must_use]
    pub const fn with(self, access: Access) -> Self {
        Self(self.0 | access.bit())
    }

    /// The rights of the set, in the order of [`Access::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Access> {
        Access::ALL.into_iter().filter(move |access| self.contains(*access))
    }
}

impl FromIterator<Access> for AccessSet {
    fn from_iter<I: IntoIterator<Item = Access>>(rights: I) -> Self {
        rights.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl From<Vec<Access>> for AccessSet {
    fn from(rights: Vec<Access>) -> Self {
        rights.into_iter().collect()
    }
}

impl From<AccessSet> for Vec<Access> {
    fn from(set: AccessSet) -> Self {
        set.iter().collect()
    }
}

impl fmt::Debug for AccessSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessSet({self})")
    }
}

/// Comma-separated, as in `--grant`: `read,list`.
impl fmt::Display for AccessSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, access) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            f.write_str(access.as_str())?;
        }
        Ok(())
    }
}

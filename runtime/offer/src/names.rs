//! The one name by which a model has an operation: `TOOL_OPERATION`, or the policy's alias. Neither a tool's name nor an operation's has
//! a `_`, so that two operations never have one name, but for an alias.

use std::collections::{BTreeMap, BTreeSet};

use crate::list::LIST_BYTES_MAX;

/// Most bytes of a name: interfaces of models take 64, and clients put their own before it.
pub const NAME_BYTES_MAX: usize = 48;

/// An operation by the names of policy and ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation {
    /// The tool.
    pub tool: String,
    /// One of its operations.
    pub operation: String,
}

/// Why an operation is not offered to models. It can be called by its own names all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOffered {
    /// Its name would be longer than [`NAME_BYTES_MAX`].
    TooLong {
        /// The operation.
        operation: Operation,
        /// How long.
        bytes: usize,
    },
    /// Its alias is another operation's own name.
    Taken {
        /// The operation.
        operation: Operation,
        /// The alias.
        name: String,
    },
    /// With it, a list of tools would be longer than [`LIST_BYTES_MAX`](crate::LIST_BYTES_MAX): it ends there.
    TooMuch {
        /// The first operation that is not in it.
        operation: Operation,
    },
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.tool, self.operation)
    }
}

impl NotOffered {
    /// Which operation.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        match self {
            Self::TooLong { operation, .. } | Self::Taken { operation, .. } | Self::TooMuch { operation } => operation,
        }
    }

    /// The line of a policy that would have it offered, but for a name of the operator's choice. None where another name is of no help.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        match self {
            Self::TooLong { operation, .. } | Self::Taken { operation, .. } => {
                let Operation { tool, operation } = operation;
                Some(format!("[tools.{tool}] aliases = {{ {operation} = \"NAME\" }}"))
            }
            Self::TooMuch { .. } => None,
        }
    }
}

impl std::fmt::Display for NotOffered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong { operation, bytes } => write!(
                f,
                "`{operation}` is not offered to models: its name would have {bytes} bytes, and {NAME_BYTES_MAX} are the most"
            )?,
            Self::Taken { operation, name } => {
                write!(
                    f,
                    "`{operation}` is not offered to models: its alias `{name}` is another operation's own name"
                )?;
            }
            Self::TooMuch { operation } => write!(
                f,
                "`{operation}` and what comes after it are not offered to models: with it, the list of tools would have more than \
                 {LIST_BYTES_MAX} bytes"
            )?,
        }
        self.line().map_or(Ok(()), |line| write!(f, "; add `{line}` to the policy"))
    }
}

/// Aliases by operation. No two operations have the same, and each is a name that interfaces of models take: a policy says no others.
pub type Aliases = BTreeMap<Operation, String>;

fn own_name(operation: &Operation) -> String {
    format!("{}_{}", operation.tool, operation.operation)
}

/// The operation whose own name this would be.
fn owner(name: &str) -> Option<Operation> {
    let (tool, operation) = name.split_once('_')?;
    Some(Operation { tool: tool.to_owned(), operation: operation.to_owned() })
}

/// The name of each operation, or why it has none. Each operation is given once.
#[must_use]
pub fn offered(operations: &[Operation], aliases: &Aliases) -> Vec<(Operation, Result<String, NotOffered>)> {
    let all: BTreeSet<&Operation> = operations.iter().collect();
    let name = |operation: &Operation| name_of(operation, aliases, |other| all.contains(other));
    operations.iter().map(|operation| (operation.clone(), name(operation))).collect()
}

/// The name of an operation, or why it has none. `has` says of another operation whether it is there, too: of one at most, and only where
/// an alias is its own name.
///
/// # Errors
///
/// [`NotOffered`], but for [`NotOffered::TooMuch`].
pub fn name_of(
    operation: &Operation,
    aliases: &Aliases,
    has: impl Fn(&Operation) -> bool,
) -> Result<String, NotOffered> {
    let Some(alias) = aliases.get(operation) else {
        let name = own_name(operation);
        let bytes = name.len();
        let is_short = bytes <= NAME_BYTES_MAX;
        return if is_short { Ok(name) } else { Err(NotOffered::TooLong { operation: operation.clone(), bytes }) };
    };
    if owner(alias).is_some_and(|owner| !aliases.contains_key(&owner) && has(&owner)) {
        return Err(NotOffered::Taken { operation: operation.clone(), name: alias.clone() });
    }
    Ok(alias.clone())
}

/// The operation of a name, as [`offered`] gives it for all operations of which `has` says that they are there. Looks at two at most, and
/// at none behind the one that it gives back.
#[must_use]
pub fn resolve(name: &str, aliases: &Aliases, has: impl Fn(&Operation) -> bool) -> Option<Operation> {
    if let Some(own) = owner(name).filter(|own| !aliases.contains_key(own) && has(own)) {
        return (name.len() <= NAME_BYTES_MAX).then_some(own);
    }
    let aliased = aliases.iter().find(|(_, alias)| alias.as_str() == name);
    aliased.map(|(operation, _)| operation.clone()).filter(|operation| has(operation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn operation(tool: &str, operation: &str) -> Operation {
        Operation { tool: tool.to_owned(), operation: operation.to_owned() }
    }

    #[test]
    fn what_is_not_offered_says_which_line_would_do() {
        let long = operation(&"t".repeat(40), "operation");
        let (taker, taken) = (operation("a", "b"), operation("c", "d"));
        let aliases = Aliases::from([(taken.clone(), "a_b".to_owned())]);
        let names = offered(&[long, taker.clone(), taken.clone()], &aliases);
        assert_eq!(names[1], (taker, Ok("a_b".to_owned())));
        let said = |at: usize| names[at].1.as_ref().unwrap_err().to_string();
        let tool = "t".repeat(40);
        assert_eq!(
            said(0),
            format!(
                "`{tool}.operation` is not offered to models: its name would have 50 bytes, and 48 are the most; add \
                 `[tools.{tool}] aliases = {{ operation = \"NAME\" }}` to the policy"
            )
        );
        assert_eq!(
            said(2),
            "`c.d` is not offered to models: its alias `a_b` is another operation's own name; add `[tools.c] aliases = { d = \
             \"NAME\" }` to the policy"
        );
        // Where the other one is called otherwise, or is not there, the name is free.
        let aliases = Aliases::from([(taken.clone(), "a_b".to_owned()), (operation("a", "b"), "x".to_owned())]);
        let names = offered(&[operation("a", "b"), taken.clone()], &aliases);
        assert_eq!(names.map(|(_, name)| name.unwrap()), ["x", "a_b"]);
        assert_eq!(resolve("a_b", &aliases, |_| true), Some(taken));
    }

    trait Map {
        fn map<T>(self, each: impl Fn((Operation, Result<String, NotOffered>)) -> T) -> Vec<T>;
    }

    impl Map for Vec<(Operation, Result<String, NotOffered>)> {
        fn map<T>(self, each: impl Fn((Operation, Result<String, NotOffered>)) -> T) -> Vec<T> {
            self.into_iter().map(each).collect()
        }
    }

    fn part() -> impl Strategy<Value = String> {
        "[ab](-?[ab]{0,2}|[a-z-]{20,30})"
    }

    proptest! {
        /// Names are names, each is of one operation, and leads back to it; what is not offered is not found.
        #[test]
        fn names_are_injective_and_lead_back(
            operations in proptest::collection::btree_set((part(), part()), 0..12),
            aliases in proptest::collection::btree_map(part(), "[ab](_?[ab]){0,3}", 0..4),
        ) {
            let operations: Vec<Operation> = operations.iter().map(|(tool, name)| operation(tool, name)).collect();
            // Aliases of some operations, each once.
            let mut seen = BTreeSet::new();
            let aliases: Aliases = operations
                .iter()
                .filter_map(|of| Some((of.clone(), aliases.get(&of.tool)?.clone())))
                .filter(|(_, alias)| seen.insert(alias.clone()))
                .collect();
            let has = |of: &Operation| operations.contains(of);
            let names = offered(&operations, &aliases);
            let mut known = BTreeSet::new();
            for (of, name) in &names {
                match name {
                    Ok(name) => {
                        prop_assert!(known.insert(name.clone()), "{name} twice");
                        prop_assert!(name.len() <= NAME_BYTES_MAX);
                        prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte)));
                        prop_assert_eq!(resolve(name, &aliases, has), Some(of.clone()));
                    }
                    Err(why) => {
                        prop_assert_eq!(why.operation(), of);
                        prop_assert_ne!(resolve(&own_name(of), &aliases, has), Some(of.clone()));
                    }
                }
            }
        }
    }
}

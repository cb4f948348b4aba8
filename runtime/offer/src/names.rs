//! The one name by which a model has an operation: `TOOL_OPERATION`, or the policy's alias. Neither a tool's name nor an operation's has
//! a `_`, so that two operations never have one name, but for an alias.

use std::collections::BTreeMap;

use crate::list::{LIST_BYTES_MAX, TOOL_BYTES_MAX};

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
    /// The policy has its name as another operation's alias.
    Taken {
        /// The operation.
        operation: Operation,
        /// The name.
        name: String,
    },
    /// With it, its tool's entries in a list would be longer than [`TOOL_BYTES_MAX`](crate::TOOL_BYTES_MAX).
    OfItsTool {
        /// The first operation of the tool that is not in it.
        operation: Operation,
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
            Self::TooLong { operation, .. }
            | Self::Taken { operation, .. }
            | Self::OfItsTool { operation }
            | Self::TooMuch { operation } => operation,
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
            Self::OfItsTool { .. } | Self::TooMuch { .. } => None,
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
                    "`{operation}` is not offered to models: its name `{name}` is another operation's alias in the policy"
                )?;
            }
            Self::OfItsTool { operation } => write!(
                f,
                "`{operation}` and what the tool has behind it are not offered to models: with it, the tool's entries in the list would have \
                 more than {TOOL_BYTES_MAX} bytes"
            )?,
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

/// The name of each operation, or why it has none. Each operation is given once.
#[must_use]
pub fn offered(operations: &[Operation], aliases: &Aliases) -> Vec<(Operation, Result<String, NotOffered>)> {
    operations.iter().map(|operation| (operation.clone(), name_of(operation, aliases))).collect()
}

/// The name of an operation, or why it has none. What the policy calls an operation is no other one's name, whatever is installed: no tool
/// that comes, or comes in another version, takes a name over.
///
/// # Errors
///
/// [`NotOffered`], but for [`NotOffered::TooMuch`].
pub fn name_of(operation: &Operation, aliases: &Aliases) -> Result<String, NotOffered> {
    if let Some(alias) = aliases.get(operation) {
        return Ok(alias.clone());
    }
    let name = own_name(operation);
    let (operation, bytes) = (operation.clone(), name.len());
    if bytes > NAME_BYTES_MAX {
        return Err(NotOffered::TooLong { operation, bytes });
    }
    if of_alias(&name, aliases).is_some() { Err(NotOffered::Taken { operation, name }) } else { Ok(name) }
}

fn of_alias<'a>(name: &str, aliases: &'a Aliases) -> Option<&'a Operation> {
    aliases.iter().find(|(_, alias)| alias.as_str() == name).map(|(operation, _)| operation)
}

/// The operation of a name, as [`offered`] gives it for all operations of which `has` says that they are there. Looks at one at most.
#[must_use]
pub fn resolve(name: &str, aliases: &Aliases, has: impl Fn(&Operation) -> bool) -> Option<Operation> {
    if let Some(operation) = of_alias(name, aliases) {
        return has(operation).then(|| operation.clone());
    }
    let (tool, operation) = name.split_once('_').filter(|_| name.len() <= NAME_BYTES_MAX)?;
    let own = Operation { tool: tool.to_owned(), operation: operation.to_owned() };
    (!aliases.contains_key(&own) && has(&own)).then_some(own)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        let names = offered(&[long, taken.clone(), taker.clone()], &aliases);
        assert_eq!(names[1], (taken.clone(), Ok("a_b".to_owned())));
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
            "`a.b` is not offered to models: its name `a_b` is another operation's alias in the policy; add `[tools.a] aliases = \
             { b = \"NAME\" }` to the policy"
        );
        // Whatever comes: what the policy calls an operation leads to that one, or to none.
        assert_eq!(resolve("a_b", &aliases, |_| true), Some(taken.clone()));
        assert_eq!(resolve("a_b", &aliases, |operation| *operation == taker), None);
        // Both have a name where the policy has one for each.
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

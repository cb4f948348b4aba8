//! Which grant a component gets. It must never depend on a word that the component says: a grant is for an installed tool by
//! the name that it was installed under, for a file by its path or the name that the operator typed, or for a component by its
//! digest.

use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use crate::grant::Grant;
use crate::names::ToolName;
use crate::pin::ComponentPin;
use crate::policy::Grants;

/// A component that asks for its grant.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The name that it was installed under, or the name of its file without the ending.
    pub name: &'a ToolName,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
    /// Whether `name` is that of an installed tool.
    pub installed: bool,
}

/// What a component gets, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The name of the entry: the tool's name in the policy and in the ledger.
    pub name: ToolName,
    /// The grant; nothing if no entry is for the component.
    pub grant: Grant,
}

/// Why no grant can be given.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum BindError {
    /// The entry of its name is for another component.
    #[error("the policy's entry `{name}` is for the component {pinned}, and this is {found}")]
    #[diagnostic(help(
        "nothing was run; if this component is the one that is meant, write its digest or its path into `component` under \
         [tools.{name}]"
    ))]
    Pinned {
        /// The entry.
        name: ToolName,
        /// The component that it is for.
        pinned: String,
        /// The digest of the one at hand.
        found: String,
    },
    /// Several entries are for it.
    #[error("several entries of the policy are for this component: {}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    #[diagnostic(help("a component has one grant: take `component` out of all but one"))]
    Several {
        /// Their names.
        names: Vec<ToolName>,
    },
}

impl Grants {
    /// The grant of a component: that of an installed tool is the entry of its installed name; that of a file the entry whose
    /// `component` is its path or its digest, else the entry of its name. `is_path` tells whether a path of the policy is the
    /// component's file.
    ///
    /// # Errors
    ///
    /// [`BindError`]: the entry of its name is for another component, or several are for this one.
    pub fn bind(&self, subject: Subject<'_>, is_path: impl Fn(&Path) -> bool) -> Result<Binding, BindError> {
        let is_pinned = |grant: &Grant| match &grant.component {
            Some(ComponentPin::Digest(digest)) => *digest == subject.digest,
            Some(ComponentPin::Path(path)) => is_path(path),
            None => false,
        };
        if !subject.installed {
            let by_path = |grant: &Grant| matches!(grant.component, Some(ComponentPin::Path(_))) && is_pinned(grant);
            let of = |wanted: &dyn Fn(&Grant) -> bool| {
                self.tools.iter().filter(|(_, grant)| wanted(grant)).collect::<Vec<(&ToolName, &Grant)>>()
            };
            for found in [of(&by_path), of(&is_pinned)] {
                match found.as_slice() {
                    [] => {}
                    [(name, grant)] => return Ok(Binding { name: (*name).clone(), grant: (*grant).clone() }),
                    several => {
                        return Err(BindError::Several {
                            names: several.iter().map(|(name, _)| (*name).clone()).collect(),
                        });
                    }
                }
            }
        }
        let name = subject.name.clone();
        match self.tools.get(&name) {
            Some(grant) if grant.component.is_none() || is_pinned(grant) => Ok(Binding { name, grant: grant.clone() }),
            Some(Grant { component: Some(pin), .. }) => {
                let found = format!("sha256:{}", hex::encode(subject.digest));
                let pinned = match pin {
                    ComponentPin::Digest(digest) => format!("sha256:{}", hex::encode(digest)),
                    ComponentPin::Path(path) => format!("`{}`", path.display()),
                };
                Err(BindError::Pinned { name, pinned, found })
            }
            Some(_) | None => Ok(Binding { name, grant: Grant::default() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    const POLICY: &str = "\
        [tools.plain]\nrandom = \"secure\"\n\
        [tools.by-path]\ncomponent = \"bin/tool.wasm\"\ncontext = true\n\
        [tools.by-digest]\ncomponent = \"sha256:0707070707070707070707070707070707070707070707070707070707070707\"\n\
        env.A = \"b\"\n";

    fn bind(name: &str, digest: u8, path: &str, installed: bool) -> Result<Binding, BindError> {
        let policy = Policy::parse(POLICY, "tollgate.toml", Path::new("/p")).unwrap();
        let name = name.parse().unwrap();
        policy.grants.bind(Subject { name: &name, digest: [digest; 32], installed }, |pin| pin == Path::new(path))
    }

    fn name(bound: Result<Binding, BindError>) -> String {
        bound.unwrap().name.to_string()
    }

    #[test]
    fn a_file_takes_the_entry_of_its_path_then_of_its_digest_then_of_its_name() {
        assert_eq!(name(bind("plain", 1, "/p/bin/tool.wasm", false)), "by-path");
        assert_eq!(name(bind("plain", 7, "/p/bin/tool.wasm", false)), "by-path");
        assert_eq!(name(bind("plain", 7, "/elsewhere.wasm", false)), "by-digest");
        let plain = bind("plain", 1, "/elsewhere.wasm", false).unwrap();
        assert!(plain.name.to_string() == "plain" && plain.grant.random.is_some());
        assert_eq!(bind("unknown", 1, "/elsewhere.wasm", false).unwrap().grant, Grant::default());
    }

    #[test]
    fn an_entry_that_is_for_another_component_gives_nothing() {
        for (name, installed) in [("by-path", false), ("by-path", true), ("by-digest", false), ("by-digest", true)] {
            let error = bind(name, 1, "/elsewhere.wasm", installed).unwrap_err();
            assert!(matches!(&error, BindError::Pinned { found, .. } if found.ends_with(&"01".repeat(32))), "{error}");
        }
    }

    #[test]
    fn an_installed_tool_has_the_entry_of_its_name_alone() {
        assert_eq!(name(bind("plain", 7, "/p/bin/tool.wasm", true)), "plain");
        assert_eq!(name(bind("by-digest", 7, "/elsewhere.wasm", true)), "by-digest");
        assert_eq!(name(bind("by-path", 1, "/p/bin/tool.wasm", true)), "by-path");
    }

    #[test]
    fn two_entries_for_one_component_are_an_error() {
        let text = format!("{POLICY}[tools.again]\ncomponent = \"bin/tool.wasm\"\n");
        let policy = Policy::parse(&text, "tollgate.toml", Path::new("/p")).unwrap();
        let name = "x".parse().unwrap();
        let bound = policy.grants.bind(Subject { name: &name, digest: [1; 32], installed: false }, |_| true);
        assert!(matches!(bound, Err(BindError::Several { names }) if names.len() == 2));
    }
}

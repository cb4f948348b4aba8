//! A tool that is granted too little where somebody may have granted it enough: in another folder, in the policy that a daemon alone obeys,
//! or under a misspelt name. Only text: what is read here is never obeyed.

use std::fmt;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_capability::POLICY_NAME;
use tollgate_config::{Grants, MissingGrants, ToolName};

use super::{config, output};
use tollgate_authority::{PolicyFile, is_own_file};

/// Needs without a grant, and where a grant may have gone astray.
#[derive(Debug, thiserror::Error)]
#[error("{missing}")]
pub(crate) struct Ungranted {
    pub(crate) missing: MissingGrants,
    pub(crate) astray: Option<String>,
}

impl Diagnostic for Ungranted {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let lines = self.missing.help()?;
        match &self.astray {
            Some(astray) => Some(Box::new(format!("{astray}\n\nor {lines}"))),
            None => Some(lines),
        }
    }
}

/// Where a grant for `tool` may be, if it is not in the table of that name of the policy in `path`.
pub(crate) fn astray(path: Option<&Path>, grants: &Grants, tool: &ToolName) -> Option<String> {
    if let Some(home) = policy_of_home(path, tool) {
        let shown = output::one_line(&home.display().to_string());
        return Some(format!(
            "the policy of the home, `{shown}`, names `{tool}`, and a daemon alone obeys that one: start it with `tollgate serve`, or \
             give the policy with --policy {}",
            output::shell_word(&home)
        ));
    }
    let Some(path) = path else {
        let above = policy_above()?;
        return Some(format!(
            "no {POLICY_NAME} is in this folder; there is one in `{above}`: run there, or give it with --policy {above}/{POLICY_NAME}",
            above = above.display()
        ));
    };
    if grants.tools.contains_key(tool) {
        return None;
    }
    let distance = |name: &&ToolName| strsim::damerau_levenshtein(tool.as_str(), name.as_str());
    // Farther apart are two tools, and no slip of the pen.
    let near = grants.tools.keys().min_by_key(distance).filter(|name| distance(name) <= 2)?;
    let shown = output::one_line(&path.display().to_string());
    Some(format!("the policy `{shown}` names `{near}` and not `{tool}`: did you mean `[tools.{tool}]`?"))
}

/// The policy of the home, if it is another one, this user's, and names the tool where the one in `path` does not.
fn policy_of_home(path: Option<&Path>, tool: &ToolName) -> Option<PathBuf> {
    let names_it = |path: &Path| {
        let file = PolicyFile::given(path, Path::new("/")).ok();
        file.is_some_and(|file| file.policy.grants.tools.contains_key(tool))
    };
    let home = config::home_policy().filter(|home| is_own_file(home) && names_it(home))?;
    (!path.is_some_and(names_it)).then_some(home)
}

/// The nearest folder above this one that has a policy of this user's; another user's is nobody's to propose.
fn policy_above() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut above = PathBuf::new();
    here.ancestors().skip(1).find_map(|folder| {
        above.push("..");
        is_own_file(&folder.join(POLICY_NAME)).then(|| above.clone())
    })
}

//! A tool that is granted too little where somebody may have granted it enough: in another folder, or under a misspelt name.
//! Only text: no policy is read here, let alone obeyed.

use std::fmt;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_capability::POLICY_NAME;
use tollgate_config::{Grants, MissingGrants, ToolName};

use super::output;
use tollgate_authority::is_own_file;

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

/// The nearest folder above this one that has a policy of this user's; another user's is nobody's to propose.
fn policy_above() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut above = PathBuf::new();
    here.ancestors().skip(1).find_map(|folder| {
        above.push("..");
        is_own_file(&folder.join(POLICY_NAME)).then(|| above.clone())
    })
}

//! Guest paths of intents, as far as a ledger tells them.
//!
//! Text only: it says what a guest asked for, never what stood there.

use std::fmt;
use std::str::FromStr;

use tollgate_audit::entry::{Fact, Intent};

/// An absolute guest path without `.` and `..`, which stands for itself and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestPath(String);

/// A text is no guest path to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a guest path: it starts with `/` and has no `..`")]
pub struct ParseGuestPathError;

impl GuestPath {
    /// Whether the intent names a path that is this or below it.
    pub(crate) fn covers_intent(&self, intent: &Intent<'_>) -> bool {
        let mut asked = paths_asked(intent).peekable();
        if asked.peek().is_none() {
            return handle_folder(intent).is_some_and(|folder| self.covers(folder, true));
        }
        asked.any(|path| self.covers(&path.text, path.whole))
    }

    fn covers(&self, path: &str, whole: bool) -> bool {
        let below = path.strip_prefix(self.0.trim_end_matches('/'));
        below.is_some_and(|rest| rest.starts_with('/') || (whole && rest.is_empty()))
    }
}

impl FromStr for GuestPath {
    type Err = ParseGuestPathError;

    fn from_str(text: &str) -> Result<Self, ParseGuestPathError> {
        if !text.starts_with('/') || text.split('/').any(|part| part == "..") {
            return Err(ParseGuestPathError);
        }
        Ok(Self(format!("/{}", resolved(text).unwrap_or_default().join("/"))))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path that an intent names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathAsked {
    /// From the guest's root, if the rule names the folder that it was asked in; otherwise as it was asked.
    pub(crate) text: String,
    /// `false` if the entry holds only its start.
    pub(crate) whole: bool,
}

/// The paths that `intent` names, without `.` and `..`. One that leads out of its folder keeps them.
pub(crate) fn paths_asked(intent: &Intent<'_>) -> impl Iterator<Item = PathAsked> {
    PATH_FACTS.iter().filter_map(|[path, dir]| {
        let Fact::Text(asked) = intent.facts.get(path)? else { return None };
        let dir = if let Some(Fact::Text(dir)) = intent.facts.get(dir) { dir.as_str() } else { "" };
        let text = placed(rule_folder(intent), dir, asked.as_str());
        Some(PathAsked { text, whole: asked.cut().is_none() })
    })
}

/// The granted folder that `intent` concerns, which names no path: it takes the folder itself, or acts on a handle.
fn handle_folder<'a>(intent: &'a Intent<'_>) -> Option<&'a str> {
    intent.facts.get("grant")?;
    rule_folder(intent)
}

/// The folder in `fs:/docs:read`; of a preopen in `fs:/docs`, which has no access behind it.
fn rule_folder<'a>(intent: &'a Intent<'_>) -> Option<&'a str> {
    let folder = intent.rule.as_str().strip_prefix("fs:")?;
    if intent.function.as_str().ends_with("preopens.get-directories") {
        return Some(folder);
    }
    folder.rsplit_once(':').map(|(folder, _access)| folder)
}

fn placed(folder: Option<&str>, dir: &str, asked: &str) -> String {
    if asked.starts_with('/') {
        return resolved(asked).map_or_else(|| asked.to_owned(), |parts| format!("/{}", parts.join("/")));
    }
    let folder = folder.map(|folder| folder.trim_end_matches('/'));
    let asked = if dir.is_empty() { asked.to_owned() } else { format!("{dir}/{asked}") };
    let below = resolved(&asked).map_or_else(|| asked.clone(), |parts| parts.join("/"));
    match folder {
        None if below.is_empty() => ".".to_owned(),
        None => below,
        Some("") if below.is_empty() => "/".to_owned(),
        Some(folder) if below.is_empty() => folder.to_owned(),
        Some(folder) => format!("{folder}/{below}"),
    }
}

/// The parts of `path` without `.` and `..`; `None` if it leads above where it starts.
fn resolved(path: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts)
}

/// The facts that hold paths, each with that of the directory it starts from.
const PATH_FACTS: [[&str; 2]; 3] = [["path", "dir"], ["from", "from_dir"], ["to", "to_dir"]];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stands_where_its_rule_puts_it() {
        let cases = [
            ("/docs", "", "a.txt", "/docs/a.txt"),
            ("/docs/", "sub/dir", "../a//b/.", "/docs/sub/a/b"),
            ("/docs", "", ".", "/docs"),
            ("/", "", ".", "/"),
            ("/", "", "a", "/a"),
            ("/docs", "", "../../etc/passwd", "/docs/../../etc/passwd"),
            ("/docs", "", "/etc//passwd", "/etc/passwd"),
        ];
        for (folder, dir, asked, wanted) in cases {
            assert_eq!(placed(Some(folder), dir, asked), wanted);
        }
        assert_eq!(placed(None, "sub", "a"), "sub/a");
        assert_eq!(placed(None, "", "."), ".");
    }

    #[test]
    fn a_folder_covers_itself_and_what_is_below() {
        let docs: GuestPath = "/docs/".parse().unwrap();
        assert_eq!(docs.to_string(), "/docs");
        assert!(docs.covers("/docs", true) && docs.covers("/docs/a", true) && docs.covers("/docs/a", false));
        assert!(!docs.covers("/docs", false), "more may follow in the same name");
        assert!(!docs.covers("/docs2", true) && !docs.covers("/", true) && !docs.covers("docs", true));
        let root: GuestPath = "/".parse().unwrap();
        assert!(root.covers("/", true) && root.covers("/docs", true) && !root.covers("docs", true));
        for text in ["", "docs", "/docs/..", "/../a"] {
            assert_eq!(text.parse::<GuestPath>(), Err(ParseGuestPathError), "{text}");
        }
    }
}

//! The difference of two texts as a unified diff. `diff` computes only; `diff-files` reads below `/texts`.

use std::fs;

use schemars::JsonSchema;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};
use tollgate_guest::{Error, tool};

/// Unchanged lines around each change, unless the caller says otherwise: what `diff -u` gives.
const CONTEXT_LINES: u16 = 3;

/// How one text becomes the other.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Difference {
    /// The unified diff; empty if the texts are equal.
    diff: String,
    /// Lines that only the second text has.
    added: usize,
    /// Lines that only the first text has.
    removed: usize,
    /// Lines that both have.
    unchanged: usize,
}

/// Compares two texts line by line.
#[tool]
fn diff(
    /// The first text.
    before: String,
    /// The second text.
    after: String,
    /// Unchanged lines around each change; 3 if not given.
    context: Option<u16>,
) -> Result<Difference, Error> {
    Ok(difference(["before", "after"], [&before, &after], context))
}

/// Compares two text files line by line.
#[tool]
fn diff_files(
    /// Path of the first file, such as /texts/old.txt.
    before: String,
    /// Path of the second file.
    after: String,
    /// Unchanged lines around each change; 3 if not given.
    context: Option<u16>,
) -> Result<Difference, Error> {
    let texts = [read(&before)?, read(&after)?];
    Ok(difference([&before, &after], texts.each_ref().map(String::as_str), context))
}

fn difference(names: [&str; 2], [before, after]: [&str; 2], context: Option<u16>) -> Difference {
    let compared = TextDiff::from_lines(before, after);
    let lines = |tag| compared.iter_all_changes().filter(|change| change.tag() == tag).count();
    let [before_name, after_name] = names;
    let mut unified = compared.unified_diff();
    unified.context_radius(usize::from(context.unwrap_or(CONTEXT_LINES))).header(before_name, after_name);
    Difference {
        diff: unified.to_string(),
        added: lines(ChangeTag::Insert),
        removed: lines(ChangeTag::Delete),
        unchanged: lines(ChangeTag::Equal),
    }
}

fn read(path: &str) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(|error| Error::from(error).while_doing(format!("cannot read {path}")))?;
    String::from_utf8(bytes).map_err(|error| Error::new("not-text", format!("{path} is not UTF-8: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "one\ntwo\nthree\nfour\nfive\n";
    const AFTER: &str = "one\ntwo\n3\nfour\nfive\nsix\n";

    #[test]
    fn gives_a_unified_diff() {
        let found = diff(BEFORE.into(), AFTER.into(), Some(1)).unwrap();
        assert_eq!(found.diff, "--- before\n+++ after\n@@ -2,4 +2,5 @@\n two\n-three\n+3\n four\n five\n+six\n");
        assert_eq!((found.added, found.removed, found.unchanged), (2, 1, 4));
    }

    #[test]
    fn equal_texts_have_no_diff() {
        let found = diff(BEFORE.into(), BEFORE.into(), None).unwrap();
        assert_eq!((found.diff.as_str(), found.unchanged), ("", 5));
        assert_eq!(diff(String::new(), String::new(), None).unwrap().unchanged, 0);
    }

    #[test]
    fn a_missing_last_line_feed_shows() {
        let found = diff("a\n".into(), "a".into(), None).unwrap();
        assert!(found.diff.ends_with("\\ No newline at end of file\n"), "{}", found.diff);
    }

    #[test]
    fn any_context_is_taken() {
        assert_eq!(diff(BEFORE.into(), AFTER.into(), Some(0)).unwrap().diff.matches("@@ ").count(), 2);
        assert_eq!(diff(BEFORE.into(), AFTER.into(), Some(u16::MAX)).unwrap().diff.lines().count(), 3 + 7);
    }

    #[test]
    fn compares_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("old"), BEFORE).unwrap();
        fs::write(path("new"), AFTER).unwrap();
        fs::write(path("image"), b"\xff\xd8").unwrap();
        assert_eq!(diff_files(path("old"), path("new"), None).unwrap().added, 2);
        let missing = diff_files(path("old"), path("gone"), None).unwrap_err();
        assert_eq!((missing.code.as_str(), missing.message.contains("gone")), ("not-found", true));
        assert_eq!(diff_files(path("image"), path("new"), None).unwrap_err().code, "not-text");
    }
}

//! Keeps notes in a file, one JSON record a line. `append` writes at the end and nothing else, so that the tool needs no
//! right to delete, to rename or to list, and what is written stays.

mod book;

use std::fs::OpenOptions;
use std::io::{self, BufReader};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_guest::{Error, log, tool};

use crate::book::{Damaged, Note};

/// The file, as the guest sees it.
const FILE: &str = "/notes/notes.jsonl";

/// A note to append.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// What to remember.
    text: String,
    /// A word to find it by.
    tag: Option<String>,
}

/// The numbers of the notes that were appended.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Appended {
    numbers: Vec<u64>,
}

/// Notes, oldest first.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
struct Listed {
    notes: Vec<Note>,
    /// How many there are of this tag, listed or not.
    total: usize,
    /// Lines that are no notes, such as one that was being written when the tool was ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    damaged: Vec<Damaged>,
}

/// Appends notes to the note book, in their order, and returns their numbers.
#[tool]
fn append(
    /// The notes.
    notes: Vec<NewNote>,
) -> Result<Appended, Error> {
    append_to(Path::new(FILE), notes)
}

/// Lists notes, the newest ones if there are more than asked for.
#[tool]
fn list(
    /// Only notes with this tag.
    tag: Option<String>,
    /// Most notes to list; 100 if not given.
    limit: Option<usize>,
) -> Result<Listed, Error> {
    list_from(Path::new(FILE), tag.as_deref(), limit.unwrap_or(100))
}

fn append_to(path: &Path, notes: Vec<NewNote>) -> Result<Appended, Error> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let mut end = book::read(BufReader::new(&file), drop)?.end;
    let mut numbers = Vec::new();
    for NewNote { text, tag } in notes {
        let note = Note { number: end.last_number + 1, text, tag };
        book::append(&mut file, &note, &mut end)?;
        numbers.push(note.number);
    }
    Ok(Appended { numbers })
}

fn list_from(path: &Path, tag: Option<&str>, limit: usize) -> Result<Listed, Error> {
    let file = match OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Listed { notes: Vec::new(), total: 0, damaged: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let mut notes = Vec::new();
    let wanted = |note: &Note| tag.is_none() || note.tag.as_deref() == tag;
    let read = book::read(BufReader::new(file), |note| notes.extend(Some(note).filter(wanted)))?;
    if !read.damaged.is_empty() {
        log::warn!("{FILE}: {} lines are no notes", read.damaged.len());
    }
    let total = notes.len();
    Ok(Listed { notes: notes.split_off(total.saturating_sub(limit)), total, damaged: read.damaged })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn note(text: &str, tag: Option<&str>) -> NewNote {
        NewNote { text: text.into(), tag: tag.map(str::to_owned) }
    }

    #[test]
    fn notes_are_numbered_kept_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        let listed = |tag, limit| {
            let listed = list_from(&path, tag, limit).unwrap();
            (listed.notes.iter().map(|note| note.number).collect::<Vec<_>>(), listed.total)
        };
        assert_eq!(listed(None, 10), (vec![], 0));
        assert_eq!(append_to(&path, vec![note("milk", Some("buy")), note("call Ada", None)]).unwrap().numbers, [1, 2]);
        assert_eq!(append_to(&path, vec![note("bread\n", Some("buy"))]).unwrap().numbers, [3]);
        assert_eq!(listed(None, 10), (vec![1, 2, 3], 3));
        assert_eq!(listed(None, 2), (vec![2, 3], 3));
        assert_eq!(listed(Some("buy"), 1), (vec![3], 2));
        assert_eq!(listed(Some("sell"), 1), (vec![], 0));
    }

    #[test]
    fn a_torn_last_line_is_told_of_and_the_next_note_stands_on_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        append_to(&path, vec![note("one", None), note("two", None)]).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        for cut in whole.find('\n').unwrap() + 2..whole.len() - 1 {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(append_to(&path, vec![note("three", None)]).unwrap().numbers, [2], "{cut}");
            let listed = list_from(&path, None, 10).unwrap();
            let texts: Vec<&str> = listed.notes.iter().map(|note| note.text.as_str()).collect();
            assert_eq!(texts, ["one", "three"]);
            assert_eq!(listed.damaged.iter().map(|damaged| damaged.line).collect::<Vec<_>>(), [2]);
        }
    }
}

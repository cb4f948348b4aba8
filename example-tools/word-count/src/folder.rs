//! Counting files and folders. Only regular files are read; symlinks are not followed.

use std::fs::{self, File};
use std::io;

use schemars::JsonSchema;
use serde::Serialize;
use tollgate_guest::Error;

use crate::tally::{Frequencies, Tally};

/// The answer of `count`.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct FolderCount {
    files: usize,
    lines: u64,
    words: u64,
    bytes: u64,
    /// By path.
    per_file: Vec<FileCount>,
    /// Most frequent first, words of equal frequency by alphabet.
    top: Vec<WordFrequency>,
}

/// The answer of `count-file`, and one row of [`FolderCount`].
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct FileCount {
    path: String,
    lines: u64,
    words: u64,
    bytes: u64,
}

/// A word and how often it occurs.
#[derive(Debug, Serialize, JsonSchema, PartialEq, Eq)]
pub(crate) struct WordFrequency {
    word: String,
    count: u64,
}

/// Counts every file in `folder` and below it, and lists its `top` most frequent words.
pub(crate) fn count(folder: &str, top: usize) -> Result<FolderCount, Error> {
    let mut frequencies = Frequencies::new();
    let mut total = Tally::default();
    let mut per_file = Vec::new();
    for path in files_below(folder)? {
        let tally = tally(&path, Some(&mut frequencies))?;
        total += tally;
        per_file.push(FileCount::new(path, tally));
    }
    let Tally { lines, words, bytes } = total;
    Ok(FolderCount { files: per_file.len(), lines, words, bytes, per_file, top: most_frequent(frequencies, top) })
}

/// Counts one file.
pub(crate) fn count_file(path: &str) -> Result<FileCount, Error> {
    let tally = tally(path, None)?;
    Ok(FileCount::new(path.to_owned(), tally))
}

impl FileCount {
    fn new(path: String, Tally { lines, words, bytes }: Tally) -> Self {
        Self { path, lines, words, bytes }
    }
}

fn tally(path: &str, frequencies: Option<&mut Frequencies>) -> Result<Tally, Error> {
    File::open(path).and_then(|file| Tally::of(file, frequencies)).map_err(|error| refusal("read", path, error))
}

/// The paths of all regular files below `folder`, sorted.
fn files_below(folder: &str) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![folder.trim_end_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        list(&folder, &mut files, &mut folders).map_err(|error| refusal("list", &folder, error))?;
    }
    files.sort_unstable();
    Ok(files)
}

fn list(folder: &str, files: &mut Vec<String>, folders: &mut Vec<String>) -> io::Result<()> {
    let at = if folder.is_empty() { "/" } else { folder };
    let mut left_out = 0;
    for entry in fs::read_dir(at)? {
        // An error ends the listing: to count what came before it would be a wrong answer.
        let entry = entry?;
        // A name that is not UTF-8 is no path here: nothing of this name can be opened.
        let Ok(name) = entry.file_name().into_string() else {
            left_out += 1;
            continue;
        };
        let path = format!("{folder}/{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            folders.push(path);
        } else if kind.is_file() {
            files.push(path);
        }
    }
    if left_out > 0 {
        tollgate_guest::log::warn!("{at}: left out {left_out} names that are not UTF-8");
    }
    Ok(())
}

fn most_frequent(frequencies: Frequencies, top: usize) -> Vec<WordFrequency> {
    let mut words: Vec<_> = frequencies.into_iter().map(|(word, count)| WordFrequency { word, count }).collect();
    words.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.word.cmp(&b.word)));
    words.truncate(top);
    words
}

/// What the agent is told of a failed access: the path, and a code that does not depend on the platform.
fn refusal(action: &str, path: &str, error: io::Error) -> Error {
    Error::from(error).while_doing(format!("cannot {action} {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("b.txt"), "the end\n").unwrap();
        fs::write(folder.path().join("a.txt"), "The start, the middle\n").unwrap();
        fs::write(folder.path().join("sub/c.txt"), "end").unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        (folder, path)
    }

    #[test]
    fn counts_a_folder_in_the_order_of_paths() {
        let (_keep, path) = folder();
        let counted = count(&path, 2).unwrap();
        let paths: Vec<_> = counted.per_file.iter().map(|file| file.path.replace(&path, "")).collect();
        assert_eq!(paths, ["/a.txt", "/b.txt", "/sub/c.txt"]);
        assert_eq!((counted.files, counted.lines, counted.words, counted.bytes), (3, 3, 7, 33));
        assert_eq!(
            counted.top,
            [WordFrequency { word: "the".into(), count: 3 }, WordFrequency { word: "end".into(), count: 2 }]
        );
    }

    #[test]
    fn a_trailing_slash_changes_nothing() {
        let (_keep, path) = folder();
        assert_eq!(count(&format!("{path}/"), 5).unwrap(), count(&path, 5).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf_8_is_left_out_and_the_rest_counted() {
        use std::os::unix::ffi::OsStrExt as _;
        let (_keep, path) = folder();
        let before = count(&path, 5).unwrap();
        fs::write(std::path::Path::new(&path).join(std::ffi::OsStr::from_bytes(b"\xff.txt")), "unseen").unwrap();
        assert_eq!(count(&path, 5).unwrap(), before);
    }

    #[test]
    fn a_missing_file_is_named() {
        let (_keep, path) = folder();
        let missing = format!("{path}/d.txt");
        let error = count_file(&missing).unwrap_err();
        assert_eq!(error.code, "not-found");
        assert!(error.message.contains(&missing), "{}", error.message);
    }
}

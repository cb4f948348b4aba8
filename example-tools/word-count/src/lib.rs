//! Counts lines, words and bytes of the text files in a folder.
//!
//! Reads and lists, nothing else: no clock, no randomness (so no `HashMap`), no access to metadata.

mod folder;
mod tally;

use tollgate_guest::{Error, tool};

use crate::folder::{FileCount, FolderCount};

/// Counts lines, words and bytes of every file in a folder and the folders below it, and lists the most frequent words.
#[tool]
fn count(
    /// Folder to count, such as /docs.
    folder: String,
    /// How many frequent words to list.
    #[serde(default = "top_default")]
    #[schemars(range(max = 1000))]
    top: usize,
) -> Result<FolderCount, Error> {
    folder::count(&folder, top)
}

/// Counts lines, words and bytes of one file.
#[tool]
fn count_file(
    /// File to count, such as /docs/notes.txt.
    path: String,
) -> Result<FileCount, Error> {
    folder::count_file(&path)
}

/// How many of the most frequent words `count` lists when nothing is said.
fn top_default() -> usize {
    10
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn the_operations_are_those_of_the_manifest() {
        let operations = tollgate_guest::operations();
        assert_eq!(operations.iter().map(|operation| &operation.name).collect::<Vec<_>>(), ["count", "count-file"]);
        let schema: Value = serde_json::from_str(&operations[0].input_schema).unwrap();
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["folder"]), &json!(false)));
        let top = &schema["properties"]["top"];
        assert_eq!((&top["default"], &top["minimum"], &top["maximum"]), (&json!(10), &json!(0), &json!(1000)));
    }

    #[test]
    fn what_no_operation_takes_is_refused() {
        let error = tollgate_guest::invoke("count-file", r#"{"path": "/docs/a", "deep": true}"#).unwrap_err();
        assert_eq!(error.code, "invalid-arguments");
    }
}

//! Numbers per column of a CSV file. The file is read as a stream and only its figures are kept, so a file of any length
//! takes the same memory: much less than the 16 MiB that the manifest asks for.

mod column;
mod records;
mod table;

use std::fs::File;

use tollgate_guest::{Error, tool};

use crate::table::{Layout, Table};

/// Counts the rows of a CSV file and describes each column: numbers by minimum, maximum, mean and standard deviation, text
/// by length and different values. At most 256 columns.
#[tool]
fn describe(
    /// Path of the file, such as /data/prices.csv.
    path: String,
    /// What stands between fields, one ASCII character; a comma if not given.
    delimiter: Option<char>,
    /// Whether the first line names the columns; true if not given.
    header: Option<bool>,
) -> Result<Table, Error> {
    let layout = Layout::new(delimiter.unwrap_or(','), header.unwrap_or(true))?;
    let file = File::open(&path).map_err(|error| Error::from(error).while_doing(format!("cannot open {path}")))?;
    table::describe(file, layout).map_err(|fault| fault.in_file(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv").to_str().unwrap().to_owned();
        std::fs::write(&path, "name;grams\napple;150\npear;170\n").unwrap();
        assert_eq!(describe(path.clone(), Some(';'), None).unwrap().rows, 2);
        assert_eq!(describe(path.clone(), Some(';'), Some(false)).unwrap().rows, 3);
        assert_eq!(describe(path, Some('é'), None).unwrap_err().code, "invalid-delimiter");
    }

    #[test]
    fn errors_name_the_file() {
        let missing = describe("/no/such.csv".into(), None, None).unwrap_err();
        assert_eq!((missing.code.as_str(), missing.message.contains("/no/such.csv")), ("not-found", true));
    }
}

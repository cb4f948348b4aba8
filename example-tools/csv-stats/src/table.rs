//! Describes a table record by record. Must never hold more of it than a record and the names of its columns.

use std::io::{self, Read};

use schemars::JsonSchema;
use serde::Serialize;
use tollgate_guest::Error;

use crate::column::{Column, Gathering};
use crate::records::{COLUMNS_MAX, RECORD_BYTES_MAX, Records};

/// What a CSV file holds.
#[derive(Debug, Serialize, JsonSchema, PartialEq)]
pub(crate) struct Table {
    /// Without the line that names the columns.
    pub(crate) rows: u64,
    /// From left to right.
    pub(crate) columns: Vec<Column>,
}

/// How a file writes its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    delimiter: u8,
    header: bool,
}

impl Layout {
    pub(crate) fn new(delimiter: char, header: bool) -> Result<Self, Error> {
        match u8::try_from(delimiter) {
            Ok(delimiter) if delimiter.is_ascii() && !b"\"\r\n".contains(&delimiter) => Ok(Self { delimiter, header }),
            Ok(_) | Err(_) => {
                let message =
                    format!("{delimiter:?} cannot stand between fields: take one ASCII character but a quote");
                Err(Error::new("invalid-delimiter", message))
            }
        }
    }
}

/// Why a file has no figures.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be read.
    Io(io::Error),
    /// A record has more or fewer fields than the first.
    UnequalLengths { line: u64, fields: usize, expected: usize },
    /// It has over [`RECORD_BYTES_MAX`] bytes.
    RecordTooLong { line: u64 },
    /// It has over [`COLUMNS_MAX`] fields.
    TooManyColumns { line: u64 },
}

/// Describes the table that `csv` holds. An empty text is a table without columns.
pub(crate) fn describe(csv: impl Read, layout: Layout) -> Result<Table, Fault> {
    let mut records = Records::new(csv, layout.delimiter);
    let mut names: Option<Vec<String>> = None;
    let mut columns: Option<Vec<Gathering>> = None;
    let mut rows = 0;
    while let Some(record) = records.next()? {
        if layout.header && names.is_none() {
            names = Some(record.fields().map(|name| String::from_utf8_lossy(name).into_owned()).collect());
            columns = Some(gatherings(record.len()));
            continue;
        }
        let columns = columns.get_or_insert_with(|| gatherings(record.len()));
        if record.len() != columns.len() {
            return Err(Fault::UnequalLengths { line: record.line, fields: record.len(), expected: columns.len() });
        }
        rows += 1;
        for (column, field) in columns.iter_mut().zip(record.fields()) {
            column.add(field);
        }
    }
    let names = names.into_iter().flatten().chain((1..).map(|number: usize| number.to_string()));
    let columns = columns.into_iter().flatten().zip(names).map(|(column, name)| column.finish(name)).collect();
    Ok(Table { rows, columns })
}

fn gatherings(columns: usize) -> Vec<Gathering> {
    (0..columns).map(|_| Gathering::default()).collect()
}

impl Fault {
    /// What the agent is told.
    pub(crate) fn in_file(self, path: &str) -> Error {
        match self {
            Self::Io(error) => Error::from(error).while_doing(format!("cannot read {path}")),
            Self::UnequalLengths { line, fields, expected } => Error::new(
                "invalid-csv",
                format!(
                    "{path}, line {line}: {fields} fields, where the lines before have {expected}; is the delimiter right?"
                ),
            ),
            Self::RecordTooLong { line } => Error::new(
                "invalid-csv",
                format!("{path}, line {line}: a row of over {RECORD_BYTES_MAX} bytes; is a quote not closed?"),
            ),
            Self::TooManyColumns { line } => Error::new(
                "too-many-columns",
                format!("{path}, line {line}: over {COLUMNS_MAX} columns are not described"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(csv: &str, delimiter: char, header: bool) -> Result<Table, Error> {
        describe(csv.as_bytes(), Layout::new(delimiter, header).unwrap()).map_err(|fault| fault.in_file("a.csv"))
    }

    #[test]
    fn describes_each_column() {
        let table = described("name,grams\n\"apple, red\",150\npear,\npear,152\nplum,154\n", ',', true).unwrap();
        assert_eq!(
            serde_json::to_value(table).unwrap(),
            json!({ "rows": 4, "columns": [
                { "name": "name", "empty": 0, "texts": { "count": 4, "distinct": 3, "shortest": 4, "longest": 10 } },
                { "name": "grams", "empty": 1, "numbers":
                    { "count": 3, "min": 150.0, "max": 154.0, "mean": 152.0, "standard_deviation": 2.0 } },
            ] })
        );
    }

    #[test]
    fn without_a_header_columns_have_numbers() {
        let table = described("1\t2\n3\t4\n", '\t', false).unwrap();
        let names: Vec<_> = serde_json::to_value(&table).unwrap()["columns"].as_array().unwrap().clone();
        assert_eq!((table.rows, &names[0]["name"], &names[1]["name"]), (2, &json!("1"), &json!("2")));
    }

    #[test]
    fn an_empty_file_has_nothing_to_tell() {
        assert_eq!(described("", ',', true).unwrap(), Table { rows: 0, columns: Vec::new() });
        assert_eq!(described("", ',', false).unwrap(), Table { rows: 0, columns: Vec::new() });
        assert_eq!(described("a,b\n", ',', true).unwrap().rows, 0);
    }

    #[test]
    fn unequal_lengths_name_the_line() {
        let error = described("a,b\n1,2\n\"3\n3\",4\n5\n", ',', true).unwrap_err();
        assert_eq!(error.code, "invalid-csv");
        assert!(
            error.message.starts_with("a.csv, line 5: 1 fields, where the lines before have 2"),
            "{}",
            error.message
        );
        assert_eq!(described("a,b\n1,2,3\n", ',', true).unwrap_err().code, "invalid-csv");
        assert_eq!(described("a,b\n1", ',', true).unwrap_err().code, "invalid-csv");
    }

    #[test]
    fn a_quote_that_is_not_closed_names_the_line() {
        let error = described(&format!("a\n1\n\"{}", "x\n".repeat(RECORD_BYTES_MAX)), ',', true).unwrap_err();
        assert_eq!(error.message, "a.csv, line 3: a row of over 1048576 bytes; is a quote not closed?");
    }

    #[test]
    fn columns_and_delimiters_are_bounded() {
        assert_eq!(described(&",".repeat(COLUMNS_MAX), ',', true).unwrap_err().code, "too-many-columns");
        assert!(described(&",".repeat(COLUMNS_MAX - 1), ',', true).is_ok());
        for delimiter in ['"', '\n', 'é', '→'] {
            assert_eq!(Layout::new(delimiter, true).unwrap_err().code, "invalid-delimiter");
        }
    }

    #[test]
    fn a_source_that_fails_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let fault = describe(Broken, Layout::new(',', true).unwrap()).unwrap_err();
        assert_eq!(fault.in_file("a.csv").code, "not-permitted");
    }
}

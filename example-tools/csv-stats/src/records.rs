//! The records of a CSV text, one after the other, out of buffers that never grow.

use std::io::{BufRead, BufReader, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::table::Fault;

/// How much is asked of the host at once.
const BUFFER_BYTES: usize = 64 << 10;
/// Longest record: a longer one is more likely a quote that nobody closed.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;
/// Most fields of a record: a table has as many columns.
pub(crate) const COLUMNS_MAX: usize = 256;

/// Reads records from a source.
pub(crate) struct Records<R> {
    source: BufReader<R>,
    parser: Reader,
    /// The fields of a record without their quotes, end to end.
    text: Vec<u8>,
    /// Where each field ends in `text`.
    ends: Vec<usize>,
}

/// A record of at least one field.
pub(crate) struct Record<'r> {
    text: &'r [u8],
    ends: &'r [usize],
    /// The line that it starts on, from 1; an empty line before it, if there is one.
    pub(crate) line: u64,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(source: R, delimiter: u8) -> Self {
        Self {
            source: BufReader::with_capacity(BUFFER_BYTES, source),
            parser: ReaderBuilder::new().delimiter(delimiter).build(),
            text: vec![0; RECORD_BYTES_MAX],
            ends: vec![0; COLUMNS_MAX],
        }
    }

    /// The next record, or none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, Fault> {
        let line = self.parser.line();
        let (mut len, mut fields) = (0, 0);
        loop {
            // The end of the source is told to the parser as an empty input.
            let input = self.source.fill_buf().map_err(Fault::Io)?;
            let text = self.text.get_mut(len..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..).unwrap_or_default();
            let (result, taken, text_given, ends_given) = self.parser.read_record(input, text, ends);
            self.source.consume(taken);
            len += text_given;
            fields += ends_given;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => return Err(Fault::RecordTooLong { line }),
                ReadRecordResult::OutputEndsFull => return Err(Fault::TooManyColumns { line }),
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => {
                    let text = self.text.get(..len).unwrap_or_default();
                    return Ok(Some(Record { text, ends: self.ends.get(..fields).unwrap_or_default(), line }));
                }
            }
        }
    }
}

impl<'r> Record<'r> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &'r [u8]> {
        let text = self.text;
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let field = text.get(start..end).unwrap_or_default();
            start = end;
            field
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out one byte at a time, so that every field crosses a read.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let one = self.0.len().min(1);
            self.0.read(&mut buffer[..one])
        }
    }

    fn records(csv: impl Read) -> Vec<Vec<String>> {
        let mut source = Records::new(csv, b',');
        let mut records = Vec::new();
        while let Some(record) = source.next().unwrap() {
            let fields: Vec<_> = record.fields().map(|field| String::from_utf8(field.to_vec()).unwrap()).collect();
            assert_eq!(fields.len(), record.len());
            records.push(fields);
        }
        records
    }

    #[test]
    fn quotes_line_feeds_and_a_missing_last_one() {
        let csv = "a,b\r\n\"x, y\",\"say \"\"hi\"\"\n\"\n\n,last";
        let expected = [["a", "b"], ["x, y", "say \"hi\"\n"], ["", "last"]];
        assert_eq!(records(csv.as_bytes()), expected);
        assert_eq!(records(Trickle(csv.as_bytes())), expected);
        assert_eq!(records("".as_bytes()).len(), 0);
    }

    #[test]
    fn records_have_a_longest_length_and_a_number_of_fields() {
        let fault = |csv: String| {
            let mut records = Records::new(csv.as_bytes(), b',');
            assert_eq!(records.next().unwrap().unwrap().line, 1);
            records.next().map(drop).unwrap_err()
        };
        assert!(matches!(fault(format!("a\n\"{}", "x\n".repeat(RECORD_BYTES_MAX))), Fault::RecordTooLong { line: 2 }));
        assert!(matches!(fault(format!("a\n{}", ",".repeat(COLUMNS_MAX))), Fault::TooManyColumns { line: 2 }));
        assert_eq!(records(",".repeat(COLUMNS_MAX - 1).as_bytes())[0].len(), COLUMNS_MAX);
    }

    fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
        prop::collection::vec(prop::collection::vec(".{0,9}|[\",\r\n]{1,4}", 2..4), 0..9)
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_again(table in table()) {
            let quoted = |record: &Vec<String>| {
                record.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect::<Vec<_>>().join(",")
            };
            let csv = table.iter().map(|record| quoted(record) + "\n").collect::<String>();
            prop_assert_eq!(&records(csv.as_bytes()), &table);
            prop_assert_eq!(records(Trickle(csv.as_bytes())), table);
        }
    }
}

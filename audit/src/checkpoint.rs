//! The checkpoint file: origin, size and root of the ledger, signed (C2SP tlog-checkpoint in a C2SP signed-note).
//!
//! It must never be ahead of data that is on disk, and never carry extension lines: all that is said is in entries.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::ids::{RootHash, TreeSize};
use crate::key::{ORIGIN_BYTES_MAX, VerifierKey, is_origin};
use crate::note::{NOTE_BYTES_MAX, ParseNoteError, SignedNote, VerifyNoteError};
use crate::regular;

/// How far a ledger has come.
///
/// Its text form is the note body of C2SP tlog-checkpoint: three lines, each with its newline (origin, decimal
/// size, root in standard Base64), no extension lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// The ledger's name.
    pub origin: String,
    /// The number of entries.
    pub size: TreeSize,
    /// The root over these entries.
    pub root: RootHash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = STANDARD.encode(self.root.0);
        write!(f, "{}\n{}\n{root}\n", self.origin, self.size)
    }
}

impl FromStr for Checkpoint {
    type Err = ParseCheckpointError;

    fn from_str(text: &str) -> Result<Self, ParseCheckpointError> {
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            return Err(ParseCheckpointError::Lines);
        };
        if !is_origin(origin) {
            return Err(ParseCheckpointError::Origin);
        }
        Ok(Self { origin: (*origin).to_owned(), size: parse_size(size)?, root: parse_root(root)? })
    }
}

/// A checkpoint with the note that carries it, its signatures not checked yet.
///
/// Text form: a C2SP signed-note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    note: SignedNote,
    checkpoint: Checkpoint,
}

impl SignedCheckpoint {
    /// The checkpoint, if `key` signed it and bears its origin's name.
    ///
    /// # Errors
    ///
    /// [`VerifyNoteError`].
    pub fn verify(&self, key: &VerifierKey) -> Result<&Checkpoint, VerifyNoteError> {
        if key.name() != self.checkpoint.origin {
            return Err(VerifyNoteError::NoKnownKey);
        }
        self.note.verify(std::slice::from_ref(key)).map(|_text| &self.checkpoint)
    }

    /// What it says, of which nothing is known yet.
    #[must_use]
    pub fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note: its text is the checkpoint, its signatures those of the ledger and of witnesses.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

impl FromStr for SignedCheckpoint {
    type Err = ParseCheckpointError;

    fn from_str(text: &str) -> Result<Self, ParseCheckpointError> {
        let note: SignedNote = text.parse().map_err(|source| ParseCheckpointError::Note { source })?;
        let checkpoint = note.unverified_text().parse()?;
        Ok(Self { note, checkpoint })
    }
}

/// A text is not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCheckpointError {
    /// Not three lines, each with its newline.
    #[error("a checkpoint has three lines: origin, size, root")]
    Lines,
    /// The first line names no log.
    #[error("the first line of a checkpoint is the origin, 1 to {ORIGIN_BYTES_MAX} bytes without spaces or plus signs")]
    Origin,
    /// The second line is no size.
    #[error("the second line of a checkpoint is the size, in decimal without leading zeros")]
    Size,
    /// The third line is no root.
    #[error("the third line of a checkpoint is the root, 32 bytes in standard Base64")]
    Root,
    /// No signed note.
    #[error("not a signed note")]
    Note {
        /// What is wrong.
        source: ParseNoteError,
    },
}

/// The checkpoint file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCheckpointError {
    /// The operating system refused to read it.
    #[error("the checkpoint file cannot be read")]
    Io {
        /// The cause.
        source: io::Error,
    },
    /// It holds something else.
    #[error("the checkpoint file holds no checkpoint")]
    Malformed {
        /// What is wrong.
        source: ParseCheckpointError,
    },
}

/// The checkpoint below `dir`, if there is one.
pub fn read(dir: &Path) -> Result<Option<SignedCheckpoint>, ReadCheckpointError> {
    match read_text(&dir.join(CHECKPOINT_FILE)) {
        Ok(text) => text.parse().map(Some).map_err(|source| ReadCheckpointError::Malformed { source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(ReadCheckpointError::Malformed { source: ParseCheckpointError::Lines })
        }
        Err(source) => Err(ReadCheckpointError::Io { source }),
    }
}

/// Not more than a note may have, whatever the file holds.
fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(regular::read(path, NOTE_BYTES_MAX)?).map_err(|_not_text| io::ErrorKind::InvalidData.into())
}

fn parse_size(line: &str) -> Result<TreeSize, ParseCheckpointError> {
    // `u64::from_str` takes a plus sign and leading zeros.
    let digits = line.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (line.starts_with('0') && line != "0") {
        return Err(ParseCheckpointError::Size);
    }
    line.parse().map(TreeSize).or(Err(ParseCheckpointError::Size))
}

fn parse_root(line: &str) -> Result<RootHash, ParseCheckpointError> {
    let bytes = STANDARD.decode(line).or(Err(ParseCheckpointError::Root))?;
    bytes.try_into().map(RootHash).or(Err(ParseCheckpointError::Root))
}

pub const CHECKPOINT_FILE: &str = "checkpoint";

/// Left behind only by a crash.
pub const FRESH_FILE: &str = "checkpoint.tmp";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_form_is_that_of_tlog_checkpoint() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let text = format!("example.com/behind-the-sofa\n20852163\n{root}\n");
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.size, TreeSize(20_852_163));
        assert_eq!(checkpoint.to_string(), text);
    }

    #[test]
    fn other_texts_are_refused() {
        let root = STANDARD.encode([7; 32]);
        for text in [
            String::new(),
            format!("o\n1\n{root}"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("\n1\n{root}\n"),
            format!("two words\n1\n{root}\n"),
            format!("o\n1\n{root}\nextension\n"),
            format!("o\n1\n{}\n", STANDARD.encode([7; 31])),
            format!("o\n1\n{}\n", root.trim_end_matches('=')),
        ] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(
            origin in "[a-z./ +]{0,9}",
            size in "[0-9]{0,21}",
            root in "[A-Za-z0-9+/]{42,43}=",
            end in "(\n\u{2014} [a-z]{1,3} [A-Za-z0-9+/]{8}\n|\\PC{0,9}|)",
        ) {
            let text = format!("{origin}\n{size}\n{root}\n{end}");
            if let Ok(read) = text.parse::<Checkpoint>() {
                prop_assert_eq!(read.to_string(), text.clone());
            }
            if let Ok(read) = text.parse::<SignedCheckpoint>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}

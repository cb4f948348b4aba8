//! What the compiler's process says on its standard output: one byte for what it is, then the rest. Before machine code
//! stands what the component imports and exports:
//!
//! ```text
//! offset  bytes
//!      0      1  `c`
//!      1      4  length of the names, little-endian
//!      5      …  names, JSON; then the code, as wasmtime serializes it
//! ```
//!
//! A component may have broken into that process: all that it says is untrusted.

use std::io::{self, Write};

use crate::interfaces::{INTERFACES_BYTES_MAX, Interfaces, InterfacesError};

/// What became of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Machine code, and what the component imports and exports.
    Code { interfaces: Interfaces, code: Vec<u8> },
    /// It does not parse or compile; the compiler's words.
    Malformed(String),
    /// There was not enough memory.
    NoMemory,
    /// The process could not be sealed, or has no engine.
    NoCompiler(String),
}

/// What was said is nothing that a compiler says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Senseless {
    #[error("it gave no answer")]
    NoAnswer,
    #[error("its answer is cut off")]
    Cut,
    #[error("what it says of the component makes no sense: {0}")]
    Interfaces(#[from] InterfacesError),
}

impl Reply {
    /// What was said.
    pub(super) fn parse(said: Vec<u8>) -> Result<Self, Senseless> {
        let (what, rest) = said.split_first().ok_or(Senseless::NoAnswer)?;
        match *what {
            CODE => {
                let (length, rest) = rest.split_first_chunk().ok_or(Senseless::Cut)?;
                let length = u32::from_le_bytes(*length) as usize;
                if length > INTERFACES_BYTES_MAX {
                    return Err(InterfacesError::TooLong { bytes: length }.into());
                }
                let (names, code) = rest.split_at_checked(length).ok_or(Senseless::Cut)?;
                Ok(Self::Code { interfaces: Interfaces::parse(names)?, code: code.to_vec() })
            }
            MALFORMED => Ok(Self::Malformed(text(rest))),
            NO_MEMORY => Ok(Self::NoMemory),
            NO_COMPILER => Ok(Self::NoCompiler(text(rest))),
            _unknown => Err(Senseless::NoAnswer),
        }
    }

    /// Says it.
    pub(super) fn say(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Code { interfaces, code } => {
                let names = interfaces.to_bytes();
                let length = u32::try_from(names.len()).map_err(io::Error::other)?;
                out.write_all(&[CODE])?;
                out.write_all(&length.to_le_bytes())?;
                out.write_all(&names)?;
                out.write_all(code)
            }
            Self::Malformed(message) => out.write_all(&[&[MALFORMED], message.as_bytes()].concat()),
            Self::NoMemory => out.write_all(&[NO_MEMORY]),
            Self::NoCompiler(reason) => out.write_all(&[&[NO_COMPILER], reason.as_bytes()].concat()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes)).into_owned()
}

/// Most bytes before the code: the byte that says what it is, a length, the names.
pub(super) const BEFORE_CODE_BYTES_MAX: u64 = 5 + INTERFACES_BYTES_MAX as u64;

/// A compiler's message names a place and a reason.
const TEXT_BYTES_MAX: usize = 16 << 10;

const CODE: u8 = b'c';
const MALFORMED: u8 = b'm';
const NO_MEMORY: u8 = b'o';
const NO_COMPILER: u8 = b'n';

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Import;

    fn said(reply: &Reply) -> Vec<u8> {
        let mut said = Vec::new();
        reply.say(&mut said).unwrap();
        said
    }

    fn code() -> Reply {
        let import = Import { interface: "wasi:io/poll@0.2.6".to_owned(), functions: vec!["poll".to_owned()] };
        let interfaces = Interfaces { imports: vec![import], exports: vec!["out".to_owned()] };
        Reply::Code { interfaces, code: vec![0, 1, 255] }
    }

    #[test]
    fn what_is_said_is_understood() {
        let replies = [code(), Reply::Malformed("at 0x7".into()), Reply::NoMemory, Reply::NoCompiler("no".into())];
        for reply in replies {
            assert_eq!(Reply::parse(said(&reply)), Ok(reply));
        }
        let no_answer = Err(Senseless::NoAnswer);
        assert_eq!((Reply::parse(Vec::new()), Reply::parse(b"x".to_vec())), (no_answer, Err(Senseless::NoAnswer)));
        let long = Reply::parse([&b"m"[..], &[b'a'; TEXT_BYTES_MAX + 1]].concat());
        assert_eq!(long, Ok(Reply::Malformed("a".repeat(TEXT_BYTES_MAX))));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let whole = said(&code());
        for length in 1..whole.len() - 3 {
            assert_eq!(Reply::parse(whole[..length].to_vec()), Err(Senseless::Cut), "{length}");
        }
        for length in [u32::MAX, u32::try_from(INTERFACES_BYTES_MAX).unwrap() + 1] {
            let too_long = [&b"c"[..], &length.to_le_bytes(), &[b' '; 10]].concat();
            assert!(matches!(Reply::parse(too_long), Err(Senseless::Interfaces(InterfacesError::TooLong { .. }))));
        }
    }

    /// An answer with any one of its bytes changed says the same code, or is refused, or says other names.
    #[test]
    fn whatever_byte_is_changed_it_is_refused_or_within_bounds() {
        let whole = said(&code());
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                if let Ok(Reply::Code { interfaces, code }) = Reply::parse(changed) {
                    assert!(code.len() <= 3 && Interfaces::parse(&interfaces.to_bytes()) == Ok(interfaces), "{at}");
                }
            }
        }
    }
}

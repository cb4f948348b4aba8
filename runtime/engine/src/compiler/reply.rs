//! The answer of the compiler's process, on its standard output: one [message](tollgate_ipc::message). Its blobs are the names of
//! imports and exports, as JSON, and the code, as wasmtime serializes it.
//!
//! A component may have broken into that process: all of its answer is untrusted.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use tollgate_ipc::message::{HEAD_BYTES, NoMessage, decode, encode_head};
use tollgate_ipc::{MessageLimits, PROTOCOL};

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

/// Why an answer is none that a compiler gives.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Senseless {
    #[error("it gave no answer")]
    NoAnswer,
    #[error("its answer makes no sense: {0}")]
    NoMessage(#[from] NoMessage),
    #[error(
        "it speaks version {theirs} of Tollgate's protocol, and this process version {PROTOCOL}: the program was exchanged while \
         it ran; start it again"
    )]
    Version { theirs: u32 },
    #[error("what it says of the component makes no sense: {0}")]
    Interfaces(#[from] InterfacesError),
}

/// The header.
#[derive(Serialize, Deserialize)]
struct Answer {
    protocol: u32,
    said: Said,
    #[serde(default)]
    text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Code,
    Malformed,
    NoMemory,
    NoCompiler,
}

impl Reply {
    /// Parses an answer.
    pub(super) fn parse(said: &[u8]) -> Result<Self, Senseless> {
        if said.is_empty() {
            return Err(Senseless::NoAnswer);
        }
        let (answer, [names, code, _none]) = decode::<Answer>(said, LIMITS)?;
        if answer.protocol != PROTOCOL {
            return Err(Senseless::Version { theirs: answer.protocol });
        }
        Ok(match answer.said {
            Said::Code => Self::Code { interfaces: Interfaces::parse(&names)?, code },
            Said::Malformed => Self::Malformed(answer.text),
            Said::NoMemory => Self::NoMemory,
            Said::NoCompiler => Self::NoCompiler(answer.text),
        })
    }

    /// Writes the answer.
    pub(super) fn say(&self, out: &mut impl Write) -> io::Result<()> {
        let (said, text, names, code) = match self {
            Self::Code { interfaces, code } => (Said::Code, "", interfaces.to_bytes(), code.as_slice()),
            Self::Malformed(message) => (Said::Malformed, message.as_str(), Vec::new(), &[][..]),
            Self::NoMemory => (Said::NoMemory, "", Vec::new(), &[][..]),
            Self::NoCompiler(reason) => (Said::NoCompiler, reason.as_str(), Vec::new(), &[][..]),
        };
        let answer = Answer { protocol: PROTOCOL, said, text: shortened(text).to_owned() };
        let mut head = Vec::new();
        encode_head(&mut head, &answer, [names.len(), code.len(), 0]).map_err(io::Error::other)?;
        out.write_all(&head)?;
        out.write_all(&names)?;
        out.write_all(code)
    }
}

fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default()
}

/// Most bytes before the code: the message's head and header, the names.
pub(super) const BEFORE_CODE_BYTES_MAX: u64 = (HEAD_BYTES + HEADER_BYTES_MAX + INTERFACES_BYTES_MAX) as u64;

/// Room for the compiler's words, of which each character may take six bytes in JSON.
const HEADER_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 1024;

/// The code is not limited here: no more than its own limit is read at all.
const LIMITS: MessageLimits =
    MessageLimits { header: HEADER_BYTES_MAX, values: 16, blobs: [INTERFACES_BYTES_MAX, u32::MAX as usize, 0] };

/// Most bytes of the compiler's message, which names a place and a reason.
const TEXT_BYTES_MAX: usize = 16 << 10;

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
            assert_eq!(Reply::parse(&said(&reply)), Ok(reply));
        }
        assert_eq!(Reply::parse(b""), Err(Senseless::NoAnswer));
        let long = said(&Reply::Malformed("ä".repeat(TEXT_BYTES_MAX)));
        assert_eq!(Reply::parse(&long), Ok(Reply::Malformed("ä".repeat(TEXT_BYTES_MAX / 2))));
    }

    #[test]
    fn what_is_cut_off_or_of_another_version_is_refused() {
        let whole = said(&code());
        for length in 1..whole.len() {
            assert!(matches!(Reply::parse(&whole[..length]), Err(Senseless::NoMessage(_))), "{length}");
        }
        let mut later = Vec::new();
        let answer = Answer { protocol: PROTOCOL + 1, said: Said::NoMemory, text: String::new() };
        encode_head(&mut later, &answer, [0; 3]).unwrap();
        assert_eq!(Reply::parse(&later), Err(Senseless::Version { theirs: PROTOCOL + 1 }));
    }

    /// An answer with any one of its bytes changed says the same code, or is refused, or says other names.
    #[test]
    fn whatever_byte_is_changed_it_is_refused_or_within_bounds() {
        let whole = said(&code());
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[at] = byte;
                if let Ok(Reply::Code { interfaces, code }) = Reply::parse(&changed) {
                    assert!(code.len() <= 3 && Interfaces::parse(&interfaces.to_bytes()) == Ok(interfaces), "{at}");
                }
            }
        }
    }
}

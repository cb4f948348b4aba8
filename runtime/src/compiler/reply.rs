//! What the compiler's process says on its standard output: one byte for what it is, then the rest.

/// What became of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Machine code.
    Code(Vec<u8>),
    /// It does not parse or compile; the compiler's words.
    Malformed(String),
    /// There was not enough memory.
    NoMemory,
    /// The process could not be sealed, or has no engine.
    NoCompiler(String),
}

impl Reply {
    /// What was said; none if it is nothing that a compiler says.
    pub(super) fn parse(mut said: Vec<u8>) -> Option<Self> {
        let what = *said.first()?;
        said.remove(0);
        match what {
            CODE => Some(Self::Code(said)),
            MALFORMED => Some(Self::Malformed(text(&said))),
            NO_MEMORY => Some(Self::NoMemory),
            NO_COMPILER => Some(Self::NoCompiler(text(&said))),
            _unknown => None,
        }
    }

    /// The byte, and the rest.
    pub(super) fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Code(code) => (CODE, code),
            Self::Malformed(message) => (MALFORMED, message.as_bytes()),
            Self::NoMemory => (NO_MEMORY, &[]),
            Self::NoCompiler(reason) => (NO_COMPILER, reason.as_bytes()),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..TEXT_BYTES_MAX).unwrap_or(bytes)).into_owned()
}

/// A compiler's message names a place and a reason.
const TEXT_BYTES_MAX: usize = 16 << 10;

const CODE: u8 = b'c';
const MALFORMED: u8 = b'm';
const NO_MEMORY: u8 = b'o';
const NO_COMPILER: u8 = b'n';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let replies = [
            Reply::Code(vec![0, 1, 255]),
            Reply::Malformed("at 0x7".into()),
            Reply::NoMemory,
            Reply::NoCompiler("no".into()),
        ];
        for reply in replies {
            let (what, rest) = reply.parts();
            assert_eq!(Reply::parse([&[what], rest].concat()), Some(reply));
        }
        assert_eq!((Reply::parse(Vec::new()), Reply::parse(b"x".to_vec())), (None, None));
        let long = Reply::parse([&b"m"[..], &[b'a'; TEXT_BYTES_MAX + 1]].concat());
        assert_eq!(long, Some(Reply::Malformed("a".repeat(TEXT_BYTES_MAX))));
    }
}

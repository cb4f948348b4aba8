//! The first bytes of a connection: which protocol it speaks, and the token before that.

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// JSON-RPC 2.0, a request on each line.
    JsonRpc,
    /// A line with a token comes first.
    Token,
    /// HTTP/1.1.
    Http,
    /// Something that is not taken.
    Neither,
}

/// Tells protocols apart by the first byte: methods of HTTP are in uppercase, and requests of JSON-RPC are objects.
#[must_use]
pub const fn sniff(first: u8) -> Spoken {
    match first {
        b'{' => Spoken::JsonRpc,
        b't' => Spoken::Token,
        b'A'..=b'Z' => Spoken::Http,
        _other => Spoken::Neither,
    }
}

/// What the start of a connection is as a line `token TOKEN\n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenLine<'a> {
    /// The line is not whole yet.
    More,
    /// It is.
    Whole {
        /// The token.
        token: &'a [u8],
        /// Bytes of the line, its end included.
        length: usize,
    },
    /// It is no such line.
    Malformed,
}

/// Reads the token's line. A token is of printable ASCII without spaces; the line may end with `\r\n`.
#[must_use]
pub fn token_line(bytes: &[u8]) -> TokenLine<'_> {
    let Some(end) = bytes.iter().take(TOKEN_LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        let known = bytes.len().min(WORD.len());
        let may_become_one = bytes.get(..known) == WORD.get(..known) && bytes.len() < TOKEN_LINE_BYTES_MAX;
        return if may_become_one { TokenLine::More } else { TokenLine::Malformed };
    };
    let line = bytes.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.strip_prefix(WORD) {
        Some(token) if !token.is_empty() && token.iter().all(u8::is_ascii_graphic) => {
            TokenLine::Whole { token, length: end + 1 }
        }
        Some(_) | None => TokenLine::Malformed,
    }
}

const WORD: &[u8] = b"token ";

/// Most bytes of the token's line, its end included: ours have some 50.
pub const TOKEN_LINE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells() {
        let spoken = |byte: u8| sniff(byte);
        assert_eq!(spoken(b'{'), Spoken::JsonRpc);
        assert_eq!(spoken(b't'), Spoken::Token);
        assert!((b'A'..=b'Z').all(|byte| spoken(byte) == Spoken::Http));
        let others = (0..=255_u8).filter(|byte| spoken(*byte) == Spoken::Neither).count();
        assert_eq!(others, 256 - 28);
        for byte in [b'[', b'\n', b' ', b'p', 0, 0x16, 0xef] {
            assert_eq!(spoken(byte), Spoken::Neither, "{byte}");
        }
    }

    #[test]
    fn a_token_is_a_whole_line() {
        assert_eq!(token_line(b"t"), TokenLine::More);
        assert_eq!(token_line(b"token tg_1"), TokenLine::More);
        assert_eq!(token_line(b"token tg_1\nrest"), TokenLine::Whole { token: b"tg_1", length: 11 });
        assert_eq!(token_line(b"token tg_1\r\nrest"), TokenLine::Whole { token: b"tg_1", length: 12 });
        for bytes in
            [&b"tokem"[..], b"token \n", b"token\n", b"t\n", b"token a b\n", b"token \xc3\xa9\n", b"token a\0\n"]
        {
            assert_eq!(token_line(bytes), TokenLine::Malformed, "{bytes:?}");
        }
        let longest = [&b"token "[..], &[b'x'; TOKEN_LINE_BYTES_MAX - 7], b"\n"].concat();
        assert!(matches!(token_line(&longest), TokenLine::Whole { length: TOKEN_LINE_BYTES_MAX, .. }));
        assert_eq!(token_line(&longest[..longest.len() - 1]), TokenLine::More);
        assert_eq!(token_line(&[&b"token "[..], &[b'x'; TOKEN_LINE_BYTES_MAX - 6]].concat()), TokenLine::Malformed);
    }
}

//! The first bytes of a connection, as a gateway reads them.

use tollgate_gateway::parse::{Spoken, TOKEN_LINE_BYTES_MAX, TokenLine, sniff, token_line};

/// However the bytes are cut, a connection speaks the same and shows the same token; a token is one line's, whole and printable;
/// and who sends no end of a line is not waited for beyond its bound.
pub fn first_bytes(bytes: &[u8]) {
    let Some(first) = bytes.first() else { return };
    let whole = token_line(bytes);
    if sniff(*first) != Spoken::Token {
        assert_eq!(whole, TokenLine::Malformed);
    }
    let most = bytes.len().min(TOKEN_LINE_BYTES_MAX + 1);
    let first_told = (1..=most).map(|length| token_line(&bytes[..length])).find(|line| *line != TokenLine::More);
    match first_told {
        Some(told) => assert_eq!(told, whole),
        None => assert!(whole == TokenLine::More && bytes.len() < TOKEN_LINE_BYTES_MAX),
    }
    if let TokenLine::Whole { token, length } = whole {
        assert!(length <= TOKEN_LINE_BYTES_MAX && bytes[length - 1] == b'\n' && !bytes[..length - 1].contains(&b'\n'));
        assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
        assert_eq!(&bytes[..6], b"token ");
        assert_eq!(&bytes[6..6 + token.len()], token);
    }
}

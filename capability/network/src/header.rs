//! Fields of a request's head and of its trailers: which a guest may set. Must never let one through that says again, and
//! differently, what was decided on: where the request goes, what it asks for, who asks, how long its body is.
//!
//! Names are compared in small letters, with `_` and `.` as `-`: servers that hand fields on as variables (CGI, WSGI) cannot tell
//! these apart.

use std::fmt;

use thiserror::Error;

use crate::shown::Shown;

/// Most fields of a head: twice what browsers send.
pub const FIELDS_MAX: usize = 64;
/// Most bytes of a head's fields, each with its `: ` and its end of line: half of what servers take at least.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
/// Longest name of a field, in bytes: more than any that IANA lists.
pub const FIELD_NAME_BYTES_MAX: usize = 128;

/// A field's name, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(String);

impl FieldName {
    /// The name that `text` is: a token (RFC 9110 §5.6.2).
    ///
    /// # Errors
    ///
    /// [`FieldFault::Name`] for any other text.
    pub fn parse(text: &[u8]) -> Result<Self, FieldFault> {
        let sound = !text.is_empty() && text.len() <= FIELD_NAME_BYTES_MAX && text.iter().all(|byte| is_token(*byte));
        let text = std::str::from_utf8(text)
            .ok()
            .filter(|_| sound)
            .ok_or_else(|| FieldFault::Name { name: Shown::of(text) })?;
        Ok(Self(text.to_owned()))
    }

    /// The name, as it was given and is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is compared.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase().replace(['_', '.'], "-")
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field, as it was given and is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: FieldName,
    /// Its value: visible ASCII with spaces and tabs between.
    pub value: Vec<u8>,
}

/// The fields of a head that a guest may send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    all: Vec<Field>,
    content_length: Option<u64>,
}

impl Fields {
    /// The fields of a request's head.
    ///
    /// # Errors
    ///
    /// A [`FieldFault`] for the first one that a guest may not send, or for too many.
    pub fn of_head<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, FieldFault> {
        let all = read(fields)?;
        let mut content_length = None;
        for field in &all {
            may_be_set(field)?;
            if field.name.folded() == CONTENT_LENGTH && content_length.replace(length_of(field)?).is_some() {
                return Err(FieldFault::LengthTwice);
            }
        }
        Ok(Self { all, content_length })
    }

    /// The fields of a request's trailers. What frames or authorises a request, or speaks of its body, is known before the body or
    /// not at all (RFC 9110 §6.5.1).
    ///
    /// # Errors
    ///
    /// As [`Fields::of_head`].
    pub fn of_trailers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, FieldFault> {
        let all = read(fields)?;
        for field in &all {
            may_be_set(field)?;
            if NOT_IN_TRAILERS.contains(&field.name.folded().as_str()) {
                return Err(FieldFault::Trailer { name: Shown::of(field.name.as_str()) });
            }
        }
        Ok(Self { all, content_length: None })
    }

    /// All of them, in their order.
    #[must_use]
    pub fn all(&self) -> &[Field] {
        &self.all
    }

    /// The length of the body that the head declares, in bytes.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The first field that is compared as `folded`.
    pub(crate) fn named(&self, folded: &str) -> Option<&FieldName> {
        self.all.iter().map(|field| &field.name).find(|name| name.folded() == folded)
    }
}

/// Why fields may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FieldFault {
    /// More than [`FIELDS_MAX`].
    #[error("there are {count} header fields; the maximum is {FIELDS_MAX}")]
    TooMany {
        /// How many there are, or how many were counted.
        count: usize,
    },
    /// More bytes than [`HEAD_BYTES_MAX`].
    #[error("the header fields have {bytes} bytes; the maximum is {HEAD_BYTES_MAX}")]
    TooLarge {
        /// How many there are, or how many were counted.
        bytes: usize,
    },
    /// The name is no token, or longer than [`FIELD_NAME_BYTES_MAX`].
    #[error("`{name}` is no name of a header field")]
    Name {
        /// What was given.
        name: Shown,
    },
    /// The value has a control character, one that is not ASCII, or a space at its start or end.
    #[error(
        "the value of the header field `{name}` has a control character, one that is not ASCII, or a space at its start or end"
    )]
    Value {
        /// The field.
        name: Shown,
    },
    /// No guest may set it.
    #[error("the header field `{name}` is not the guest's to set: {why}")]
    Forbidden {
        /// The field.
        name: Shown,
        /// What it would do.
        why: Forbidden,
    },
    /// `te` with something but `trailers`.
    #[error("the header field `te` may say `trailers` and nothing else")]
    Te,
    /// A length that is no plain number.
    #[error("the header field `content-length` is not one number in plain digits")]
    Length,
    /// More than one length.
    #[error("there are two header fields `content-length`")]
    LengthTwice,
    /// It has no place in trailers.
    #[error("the header field `{name}` has no place behind a body")]
    Trailer {
        /// The field.
        name: Shown,
    },
    /// The grant's credential is sent there.
    #[error("the header field `{name}` is where the grant's credential is sent")]
    Credential {
        /// The field.
        name: Shown,
    },
}

/// Why no guest may set a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// It belongs to the connection, which is not the guest's.
    Connection,
    /// It says where the request goes, or what it asks for, beside what was decided on.
    Overrides,
    /// It says where the request comes from.
    Pretends,
    /// It is another spelling of a field that counts.
    Spelling,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "it belongs to the connection",
            Self::Overrides => "servers take from it where the request goes or what it asks for",
            Self::Pretends => "servers take from it where the request comes from",
            Self::Spelling => "some servers take it for another field, which differs in `_`, `.` and `-`",
        })
    }
}

fn read<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Result<Vec<Field>, FieldFault> {
    let (mut all, mut bytes) = (Vec::new(), 0_usize);
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        if all.len() == FIELDS_MAX {
            return Err(FieldFault::TooMany { count: FIELDS_MAX + 1 });
        }
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len()).saturating_add(FIELD_OVERHEAD_BYTES);
        if bytes > HEAD_BYTES_MAX {
            return Err(FieldFault::TooLarge { bytes });
        }
        let name = FieldName::parse(name)?;
        if !is_value(value) {
            return Err(FieldFault::Value { name: Shown::of(name.as_str()) });
        }
        all.push(Field { name, value: value.to_vec() });
    }
    Ok(all)
}

/// RFC 9110 §5.5, without spaces around, which who reads the field would drop, and without what is not ASCII: some servers read Latin-1
/// in it, in which some bytes end a line.
fn is_value(value: &[u8]) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let sound = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e);
    value.iter().all(sound) && !is_space(value.first()) && !is_space(value.last())
}

/// Why nothing but the proxy itself may send a field of this name, if that is so: a grant's credential neither.
pub(crate) fn forbidden_field(name: &FieldName) -> Option<FieldFault> {
    let folded = name.folded();
    let framing = ONE_SPELLING.contains(&folded.as_str()).then_some(Forbidden::Connection);
    let why = forbidden(&folded).or(framing)?;
    Some(FieldFault::Forbidden { name: Shown::of(name.as_str()), why })
}

fn may_be_set(field: &Field) -> Result<(), FieldFault> {
    let folded = field.name.folded();
    let name = || Shown::of(field.name.as_str());
    if let Some(why) = forbidden(&folded) {
        return Err(FieldFault::Forbidden { name: name(), why });
    }
    if ONE_SPELLING.contains(&folded.as_str()) && field.name.as_str().contains(['_', '.']) {
        return Err(FieldFault::Forbidden { name: name(), why: Forbidden::Spelling });
    }
    if folded == "te" && !field.value.eq_ignore_ascii_case(b"trailers") {
        return Err(FieldFault::Te);
    }
    Ok(())
}

fn forbidden(folded: &str) -> Option<Forbidden> {
    let named = FORBIDDEN.iter().find(|(name, _)| *name == folded);
    let begun = FORBIDDEN_PREFIXES.iter().find(|(prefix, _)| folded.starts_with(prefix));
    named.or(begun).map(|(_, why)| *why)
}

fn length_of(field: &Field) -> Result<u64, FieldFault> {
    let plain = match field.value.as_slice() {
        [b'0'] => true,
        [b'0', ..] | [] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    };
    let number = std::str::from_utf8(&field.value).ok().filter(|_| plain).and_then(|digits| digits.parse().ok());
    number.ok_or(FieldFault::Length)
}

/// `tchar` of RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// `: `, carriage return, line feed.
const FIELD_OVERHEAD_BYTES: usize = 4;

const CONTENT_LENGTH: &str = "content-length";

/// Fields that a guest may set, and whose other spellings some server takes for them.
const ONE_SPELLING: [&str; 3] = [CONTENT_LENGTH, "te", "trailer"];

const NOT_IN_TRAILERS: [&str; 12] = [
    "authorization",
    "cache-control",
    "content-encoding",
    CONTENT_LENGTH,
    "content-range",
    "content-type",
    "cookie",
    "if-match",
    "if-none-match",
    "range",
    "te",
    "trailer",
];

/// wasmtime-wasi-http's list, and what servers and proxies were seen to obey: OWASP CRS, YARP #1116, Symfony (CVE-2018-14773), Envoy,
/// "httpoxy".
const FORBIDDEN: [(&str, Forbidden); 35] = [
    ("alt-used", Forbidden::Connection),
    ("connection", Forbidden::Connection),
    ("expect", Forbidden::Connection),
    ("http2-settings", Forbidden::Connection),
    ("keep-alive", Forbidden::Connection),
    ("max-forwards", Forbidden::Connection),
    ("proxy", Forbidden::Connection),
    ("transfer-encoding", Forbidden::Connection),
    ("upgrade", Forbidden::Connection),
    ("host", Forbidden::Overrides),
    ("x-host", Forbidden::Overrides),
    ("x-http-host-override", Forbidden::Overrides),
    ("x-http-method", Forbidden::Overrides),
    ("x-http-method-override", Forbidden::Overrides),
    ("x-http-path-override", Forbidden::Overrides),
    ("x-http-destinationurl", Forbidden::Overrides),
    ("x-method-override", Forbidden::Overrides),
    ("x-original-host", Forbidden::Overrides),
    ("x-original-method", Forbidden::Overrides),
    ("x-original-uri", Forbidden::Overrides),
    ("x-original-url", Forbidden::Overrides),
    ("x-override-url", Forbidden::Overrides),
    ("x-rewrite-uri", Forbidden::Overrides),
    ("x-rewrite-url", Forbidden::Overrides),
    ("cf-connecting-ip", Forbidden::Pretends),
    ("client-ip", Forbidden::Pretends),
    ("fastly-client-ip", Forbidden::Pretends),
    ("forwarded", Forbidden::Pretends),
    ("true-client-ip", Forbidden::Pretends),
    ("via", Forbidden::Pretends),
    ("x-client-ip", Forbidden::Pretends),
    ("x-cluster-client-ip", Forbidden::Pretends),
    ("x-originating-ip", Forbidden::Pretends),
    ("x-real-ip", Forbidden::Pretends),
    ("x-remote-ip", Forbidden::Pretends),
];

const FORBIDDEN_PREFIXES: [(&str, Forbidden); 5] = [
    ("proxy-", Forbidden::Connection),
    ("sec-websocket-", Forbidden::Connection),
    ("x-envoy-", Forbidden::Overrides),
    // Also `x-forwarded` itself.
    ("x-forwarded", Forbidden::Pretends),
    ("x-forward-", Forbidden::Pretends),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&str, &str)]) -> Result<Fields, FieldFault> {
        Fields::of_head(fields.iter().copied())
    }

    #[test]
    fn fields_that_speak_of_the_request_alone_are_kept_as_they_are() {
        let given =
            [("Accept", "*/*"), ("X-Api_Key", "a b"), ("content-length", "12"), ("TE", "Trailers"), ("empty", "")];
        let fields = head(&given).unwrap();
        let kept: Vec<_> = fields.all().iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect();
        assert_eq!(kept, given.map(|(name, value)| (name, value.as_bytes())));
        assert_eq!(fields.content_length(), Some(12));
    }

    #[test]
    fn fields_that_say_otherwise_are_refused_in_every_spelling() {
        for (name, why) in FORBIDDEN.iter().chain(&FORBIDDEN_PREFIXES) {
            for spelling in
                [(*name).to_owned(), name.to_ascii_uppercase(), name.replace('-', "_"), name.replace('-', ".")]
            {
                let fault = head(&[(&spelling, "x")]).unwrap_err();
                assert_eq!(fault, FieldFault::Forbidden { name: Shown::of(&spelling), why: *why });
            }
        }
        for name in ["Content_Length", "content.length", "CONTENT_LENGTH"] {
            let fault = head(&[(name, "1")]).unwrap_err();
            assert_eq!(fault, FieldFault::Forbidden { name: Shown::of(name), why: Forbidden::Spelling });
        }
        assert!(head(&[("X-Forwarded-For", "::1")]).is_err() && head(&[("proxy-authorization", "x")]).is_err());
    }

    #[test]
    fn a_length_is_said_once_and_plainly() {
        assert_eq!(head(&[("content-length", "1"), ("Content-Length", "1")]), Err(FieldFault::LengthTwice));
        for value in ["", "+1", "01", "1, 1", "0x1", "-1", "1.0", "99999999999999999999999"] {
            assert_eq!(head(&[("content-length", value)]), Err(FieldFault::Length), "{value}");
        }
        assert_eq!(head(&[("te", "gzip")]), Err(FieldFault::Te));
        assert_eq!(head(&[("te", "trailers, deflate")]), Err(FieldFault::Te));
    }

    #[test]
    fn names_and_values_hold_nothing_that_ends_a_line() {
        for name in ["", "a b", "a:b", "a\r\n", "a\0", "ü", "(a)"] {
            assert!(matches!(head(&[(name, "x")]), Err(FieldFault::Name { .. })), "{name:?}");
        }
        for value in ["a\r\nb", "a\nb", "a\0b", " a", "a ", "\ta", "a\x7f", "\x1b[31m", "\u{e5}", "\u{85}"] {
            assert!(matches!(head(&[("a", value)]), Err(FieldFault::Value { .. })), "{value:?}");
        }
    }

    #[test]
    fn a_head_is_bounded() {
        let many = vec![("a", "b"); FIELDS_MAX + 1];
        assert!(head(&many[1..]).is_ok());
        assert_eq!(head(&many), Err(FieldFault::TooMany { count: FIELDS_MAX + 1 }));
        let long = "x".repeat(HEAD_BYTES_MAX - 5);
        assert!(head(&[("a", &long)]).is_ok());
        assert_eq!(head(&[("ab", &long)]), Err(FieldFault::TooLarge { bytes: HEAD_BYTES_MAX + 1 }));
    }

    #[test]
    fn trailers_say_nothing_that_is_known_before_a_body() {
        let trailers = |name: &str| Fields::of_trailers([(name, "x")]);
        assert!(trailers("x-checksum").is_ok());
        assert!(matches!(trailers("Transfer-Encoding"), Err(FieldFault::Forbidden { .. })));
        for name in NOT_IN_TRAILERS {
            let fault = Fields::of_trailers([(name, "trailers")]).unwrap_err();
            assert_eq!(fault, FieldFault::Trailer { name: Shown::of(name) });
        }
    }
}

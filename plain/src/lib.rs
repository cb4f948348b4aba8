//! Text that others wrote, on its way to people: names, arguments, answers, manifests, entries.
//!
//! One table ([`is_steering`]) says which characters do something to a terminal or to a reader beside being seen: they move the
//! cursor, change the order of the text, or hide in it. Every other function here writes them out, each for one kind of place.
//! No other crate may have a table of its own.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is steering: it does something beside being seen. Line feed and tab are, too; where they may stand, the
/// functions below say so.
///
/// C0 controls, delete and C1 controls; what changes the direction of text (UAX #9); line and paragraph separators; what has no
/// width or no shape (UTS #36, UTR #53; `Default_Ignorable_Code_Point` of UAX #44), also tags and variation selectors, in which
/// a whole text can hide; letters and symbols that are blank. Spaces are no steering, however wide: a gap is seen.
#[must_use]
pub const fn is_steering(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d159}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// For a place within one line: each steering character as Rust writes it (`\n`, `\u{202e}`).
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => line.extend(character.escape_default()),
            _ if is_steering(character) => line.extend(character.escape_unicode()),
            _ => line.push(character),
        }
    }
    line
}

/// For a whole output, of words or of JSON: each steering character as JSON writes it (`\u202e`), which is the same value in
/// JSON. Line feeds and tabs stay. A carriage return becomes a space: in JSON it stands between values only.
#[must_use]
pub fn output(text: &str) -> Cow<'_, str> {
    let stays = |character: char| matches!(character, '\n' | '\t') || !is_steering(character);
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\r' => shown.push(' '),
            _ if stays(character) => shown.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    write!(shown, "\\u{unit:04x}").unwrap_or_default();
                }
            }
        }
    }
    Cow::Owned(shown)
}

/// For a file that an error points into: each steering character but line feed and tab as another one of the same length, so
/// that offsets hold.
#[must_use]
pub fn same_length(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        '\r' => ' ',
        _ if !is_steering(character) => character,
        _ => match character.len_utf8() {
            1 => '?',
            2 => '\u{bf}',
            3 => char::REPLACEMENT_CHARACTER,
            _ => '\u{1f6ab}',
        },
    };
    text.chars().map(shown).collect()
}

/// Whether a text of several lines steers nothing: it may have line ends and tabs.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.replace("\r\n", "\n").contains(|character: char| !matches!(character, '\n' | '\t') && is_steering(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character of these ranges, which are named here a second time.
    fn table() -> String {
        let ranges: &[(&str, std::ops::RangeInclusive<u32>)] = &[
            ("C0", 0..=0x1f),
            ("delete", 0x7f..=0x7f),
            ("C1", 0x80..=0x9f),
            ("soft hyphen", 0xad..=0xad),
            ("grapheme joiner", 0x34f..=0x34f),
            ("Arabic letter mark", 0x61c..=0x61c),
            ("Hangul fillers", 0x115f..=0x1160),
            ("Hangul filler", 0x3164..=0x3164),
            ("Hangul filler of half a width", 0xffa0..=0xffa0),
            ("Khmer inherent vowels", 0x17b4..=0x17b5),
            ("Mongolian variation selectors and vowel separator", 0x180b..=0x180f),
            ("braille blank", 0x2800..=0x2800),
            ("reserved, ignorable by default", 0xfff0..=0xfff8),
            ("hieroglyph format", 0x13430..=0x1343f),
            ("hieroglyph blanks", 0x13441..=0x13442),
            ("Khitan filler", 0x16fe4..=0x16fe4),
            ("musical null note head", 0x1d159..=0x1d159),
            ("zero width, left-to-right and right-to-left mark", 0x200b..=0x200f),
            ("line and paragraph separator", 0x2028..=0x2029),
            ("embeddings and overrides", 0x202a..=0x202e),
            ("word joiner, invisible operators, one that is reserved", 0x2060..=0x2065),
            ("isolates", 0x2066..=0x2069),
            ("deprecated format characters", 0x206a..=0x206f),
            ("variation selectors", 0xfe00..=0xfe0f),
            ("byte order mark", 0xfeff..=0xfeff),
            ("interlinear annotation", 0xfff9..=0xfffb),
            ("shorthand format", 0x1bca0..=0x1bca3),
            ("musical format", 0x1d173..=0x1d17a),
            ("tags, more variation selectors, others that are ignorable by default", 0xe0000..=0xe0fff),
        ];
        ranges.iter().flat_map(|(_, range)| range.clone()).filter_map(char::from_u32).collect()
    }

    const SEEN: &str = "aZ ~ grüße 日本 العربية עברית 🙂 \\ \" ' / é e\u{301} ½ \u{a0} \u{2003} \u{3000} \u{2801} \u{3131} \u{1d158} \u{13000}";

    #[test]
    fn the_table_has_all_that_steers_and_nothing_that_is_seen() {
        assert!(table().chars().all(is_steering));
        assert!(!SEEN.chars().any(is_steering));
        for (text, expected) in [(&*table(), false), (SEEN, true), ("a\n\tb\r\n", true), ("a\rb", false), ("\r", false)]
        {
            assert_eq!(is_plain(text), expected, "{text:?}");
        }
    }

    /// Each of these looks like nothing, or like a space: two names that differ by it look the same.
    #[test]
    fn a_blank_letter_is_written_out() {
        for (blank, expected) in [
            ('\u{2800}', "a\\u{2800}b"),
            ('\u{3164}', "a\\u{3164}b"),
            ('\u{ffa0}', "a\\u{ffa0}b"),
            ('\u{115f}', "a\\u{115f}b"),
            ('\u{1160}', "a\\u{1160}b"),
            ('\u{1d159}', "a\\u{1d159}b"),
        ] {
            let text = format!("a{blank}b");
            assert_eq!(one_line(&text), expected);
            assert!(
                !output(&text).contains(blank) && !same_length(&text).contains(blank) && !is_plain(&text),
                "{text:?}"
            );
        }
    }

    #[test]
    fn nothing_steers_after_any_of_the_functions() {
        let text = format!("{SEEN}{}{SEEN}", table());
        assert!(!one_line(&text).chars().any(is_steering));
        let stays = |text: &str| text.chars().filter(|character| is_steering(*character)).collect::<String>();
        assert_eq!(stays(&output(&text)), "\t\n");
        assert_eq!(stays(&same_length(&text)), "\t\n");
        for unchanged in [SEEN, ""] {
            assert_eq!(
                (&*one_line(unchanged), &*output(unchanged), &*same_length(unchanged)),
                (unchanged, unchanged, unchanged)
            );
        }
    }

    #[test]
    fn a_line_says_what_it_had() {
        assert_eq!(
            one_line("a\u{1b}[31m\nb\u{9b}\u{202e}\t'ü'\r\u{e0041}"),
            "a\\u{1b}[31m\\nb\\u{9b}\\u{202e}\\t'ü'\\r\\u{e0041}"
        );
    }

    #[test]
    fn json_has_the_same_value_after_it() {
        let value = serde_json::json!({ table(): [table(), SEEN], "n": 1.5e300 });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = output(&json);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
            assert!(!shown.chars().any(|character| character != '\n' && is_steering(character)));
        }
        assert_eq!(output("{\r\n\"a\":\t\"\u{e0041}\"}"), "{ \n\"a\":\t\"\\udb40\\udc41\"}");
    }

    #[test]
    fn offsets_hold() {
        let text = format!("{SEEN}{}", table());
        let shown = same_length(&text);
        assert!(text.char_indices().map(|(at, _)| at).eq(shown.char_indices().map(|(at, _)| at)));
        assert_eq!(same_length("a\u{1b}[31m\u{9b}b\u{202e}c\n\td\re"), "a?[31m\u{bf}b\u{fffd}c\n\td e");
    }
}

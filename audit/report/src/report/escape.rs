//! Texts of tools and agents on their way into a page. They must never act as markup, steer the reading direction, hide,
//! or break out of their line.

use std::fmt::Write as _;

use tollgate_plain::is_steering;

/// Most characters shown of one text; the whole is in the JSON.
const SHOWN_CHARS_MAX: usize = 320;

/// `text` in one line, with every character that is not seen written out.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars().take(SHOWN_CHARS_MAX) {
        if is_steering(character) {
            // Writing to a String cannot fail.
            write!(shown, "{}", character.escape_unicode()).unwrap_or_default();
        } else {
            shown.push(character);
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A text of a tool for HTML, in content and in quoted attributes.
pub(super) fn html_foreign(text: &str) -> String {
    html(&visible(text))
}

/// The page's own words for HTML.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// `text` as a code span for a cell of a Markdown table. Backticks and pipes are written out: how they are escaped
/// there differs between renderers.
pub(super) fn markdown_code(text: &str) -> String {
    let text = visible(text).replace('`', "\\u{60}").replace('|', "\\u{7c}");
    // A code span loses one space on both sides, and cannot be empty.
    if text.trim().is_empty() { format!("`\"{text}\"`") } else { format!("`{text}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_or_steers() {
        assert_eq!(visible("a\nb\r\t\u{1b}[31m"), "a\\u{a}b\\u{d}\\u{9}\\u{1b}[31m");
        assert_eq!(visible("\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{e0041}"), {
            "\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{feff}\\u{e0041}"
        });
        assert_eq!(visible("grüße 日本"), "grüße 日本");
        assert_eq!(visible(&"é".repeat(1000)).chars().count(), SHOWN_CHARS_MAX + 1);
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<b title=\"'&\">"), "&lt;b title=&quot;&#39;&amp;&quot;&gt;");
        assert_eq!(markdown_code("a|b`c\\"), "`a\\u{7c}b\\u{60}c\\`");
        assert_eq!(markdown_code(" "), "`\" \"`");
    }
}

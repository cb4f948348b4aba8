//! Texts of tools and agents on their way into a page. They must never act as markup, steer the reading direction,
//! hide, or break out of their line.

use std::fmt::{Display, Write as _};

use maud::Render;
use tollgate_plain::is_steering;

/// Most characters shown of one text; the whole is in the JSON.
const SHOWN_CHARS_MAX: usize = 320;

/// A text from the ledger or from whoever asked for the report: one line, every character that is not seen written out.
///
/// It gives its characters to no one but a template, which escapes them, and a Markdown code span. Pages are made of
/// this type, not of the texts themselves, so that neither step can be forgotten.
#[derive(Clone)]
pub(super) struct Foreign(String);

impl Foreign {
    pub(super) fn new(text: impl Display) -> Self {
        let text = text.to_string();
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
        Self(shown)
    }

    /// Its first characters: at most `chars`, with the mark that there are more.
    pub(super) fn shortened(&self, chars: usize) -> Self {
        if self.0.chars().count() <= chars {
            return self.clone();
        }
        Self(self.0.chars().take(chars - 1).chain(['…']).collect())
    }

    /// As a code span for a cell of a Markdown table. Backticks and pipes are written out: how they are escaped there
    /// differs between renderers.
    pub(super) fn markdown_code(&self) -> String {
        let text = self.0.replace('`', "\\u{60}").replace('|', "\\u{7c}");
        // A code span loses one space on both sides, and cannot be empty.
        if text.trim().is_empty() { format!("`\"{text}\"`") } else { format!("`{text}`") }
    }
}

impl Render for Foreign {
    fn render_to(&self, page: &mut String) {
        // As a `str`, which is escaped.
        self.0.render_to(page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        Foreign::new(text).0
    }

    #[test]
    fn nothing_hides_or_steers() {
        assert_eq!(visible("a\nb\r\t\u{1b}[31m"), "a\\u{a}b\\u{d}\\u{9}\\u{1b}[31m");
        assert_eq!(visible("\u{202e}txt.exe\u{2066}\u{200b}\u{feff}\u{e0041}"), {
            "\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{feff}\\u{e0041}"
        });
        assert_eq!(visible("grüße 日本"), "grüße 日本");
        assert_eq!(visible(&"é".repeat(1000)).chars().count(), SHOWN_CHARS_MAX + 1);
        assert_eq!(Foreign::new("\u{202e}abc").shortened(4).0, "\\u{…");
    }

    #[test]
    fn markup_is_text() {
        let markup = Foreign::new("<b title=\"'&\">\u{202e}");
        let page = maud::html! { p title=(markup) { (markup) } }.into_string();
        let escaped = "&lt;b title=&quot;'&amp;&quot;&gt;\\u{202e}";
        assert_eq!(page, format!("<p title=\"{escaped}\">{escaped}</p>"));
        assert_eq!(Foreign::new("a|b`c\\").markdown_code(), "`a\\u{7c}b\\u{60}c\\`");
        assert_eq!(Foreign::new(" ").markdown_code(), "`\" \"`");
    }
}

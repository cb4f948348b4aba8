//! Spellings that some server takes for one another. Folding errs towards taking two texts for one, so it may only ever deny.

use tollgate_plain::is_steering;
use unicode_normalization::UnicodeNormalization as _;

/// `text` in the one spelling that is compared where case and form do not count: the compatibility form (NFKD) in small letters,
/// without characters that hide. The long `ſ` is an `s` then, and a full-width `．` a dot.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkd().filter(|character| !is_steering(*character)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_word_are_folded_into_one() {
        for text in ["secret", "SECRET", "\u{17f}ecret", "ｓｅｃｒｅｔ", "se\u{200b}cret"] {
            assert_eq!(fold(text), "secret", "{text}");
        }
        assert_eq!(fold("\u{ff0e}\u{2024}\u{2025}"), "....");
        assert_ne!(fold("s\u{435}cret"), "secret");
    }
}

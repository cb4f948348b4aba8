//! Spellings that some server takes for one another. Folding errs towards taking two texts for one, so it may only ever deny.

use tollgate_plain::is_steering;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::canonical_combining_class;

/// `text` in the one spelling that is compared where case and form do not count: the compatibility form (NFKD) in small letters, once it
/// has been in capital ones, without characters that hide and without accents, which databases leave out as well. The long `ſ` is an `s`
/// then, `ı` an `i`, and a full-width `．` a dot. What is folded in pieces is folded alike.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let counts = |character: &char| !is_steering(*character) && canonical_combining_class(*character) == 0;
    let letters = text.nfkd().filter(counts).flat_map(char::to_lowercase);
    letters.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Parts of a pattern are folded by themselves, what they are compared with as a whole.
        #[test]
        fn pieces_are_folded_as_the_whole_is(first in "\\PC{0,6}", second in "[\\PC\u{301}\u{323}\u{1100}\u{1161}]{0,6}") {
            prop_assert_eq!(fold(&format!("{first}{second}")), fold(&first) + &fold(&second));
        }
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for character in '\0'..=char::MAX {
            let once = fold(character.encode_utf8(&mut [0; 4]));
            assert_eq!(fold(&once), once, "{character:?}");
        }
    }

    #[test]
    fn spellings_of_one_word_are_folded_into_one() {
        for text in
            ["secret", "SECRET", "\u{17f}ecret", "ｓｅｃｒｅｔ", "se\u{200b}cret", "sécret", "se\u{323}\u{301}cret"]
        {
            assert_eq!(fold(text), "secret", "{text}");
        }
        for text in ["adm\u{131}n", "ADM\u{130}N", "\u{ff21}dmin"] {
            assert_eq!(fold(text), "admin", "{text}");
        }
        assert_eq!(fold("Stra\u{df}e"), fold("STRA\u{1e9e}E"));
        assert_eq!(fold("\u{ff0e}\u{2024}\u{2025}"), "....");
        assert_ne!(fold("s\u{435}cret"), "secret");
    }
}

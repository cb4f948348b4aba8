//! Which names a file system may take for that of a policy, and what is known of policies in a folder that moves. The file
//! system decides what a name means, so this errs towards hiding: a name that no file system takes for a policy's is lost to
//! a tool, and nothing else.

use tollgate_plain::is_steering;
use unicode_normalization::UnicodeNormalization as _;

/// The name of the file that is found as the policy in the working folder. In folders that a tool may change, the gate keeps
/// it from being made, changed or seen.
pub const POLICY_NAME: &str = "tollgate.toml";

/// Whether some file system takes `name` for [`POLICY_NAME`].
///
/// Names are compared without case and in their compatibility form (NFKD, as ZFS can be told to). What is left out of them:
/// code points that Unicode calls default-ignorable (ext4 and f2fs with `casefold`, HFS+), dots and spaces at the end (vfat,
/// NTFS, CIFS), and the name of a stream after a colon (NTFS). The short names of vfat and NTFS are policies' names too.
#[must_use]
pub fn names_policy(name: &str) -> bool {
    if name.is_ascii() {
        return is_policy(&name.to_ascii_lowercase());
    }
    let folded: String = name.nfkd().filter(|character| !is_ignored(*character)).flat_map(char::to_lowercase).collect();
    is_policy(&folded)
}

/// What a folder that moves takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// There is no policy in it, at any depth.
    NoPolicy,
    /// There is a policy in it.
    Policy,
    /// It was not seen whole: a policy may be in it.
    Unseen,
}

impl Carries {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoPolicy, Self::Policy, Self::Unseen];

    /// The word for it in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPolicy => "no-policy",
            Self::Policy => "policy",
            Self::Unseen => "unseen",
        }
    }
}

/// Default-ignorable code points, and controls: no name of a usual file has them. The last range is what the table of
/// steering characters lacks of the former, since no character is there yet.
fn is_ignored(character: char) -> bool {
    is_steering(character) || matches!(character, '\u{fff0}'..='\u{fff8}')
}

/// As [`names_policy`], of a name in small letters.
fn is_policy(name: &str) -> bool {
    let (name, _stream) = name.split_once(':').unwrap_or((name, ""));
    let name = name.trim_end_matches(['.', ' ']);
    name == POLICY_NAME || is_short_name(name)
}

/// Whether this is a short name that vfat or NTFS makes of [`POLICY_NAME`]: `tollga~1.tom`, with fewer letters before a
/// longer number; after some of these are taken, `to`, four hexadecimal digits and a number.
fn is_short_name(name: &str) -> bool {
    let Some((stem, number)) = name.strip_suffix(".tom").and_then(|base| base.split_once('~')) else { return false };
    let is_cut = !stem.is_empty() && POLICY_NAME.starts_with(stem);
    let hashed = stem.strip_prefix("to").filter(|hash| hash.len() == 4);
    let is_hashed = hashed.is_some_and(|hash| hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    is_number && stem.len() + 1 + number.len() <= SHORT_NAME_BYTES && (is_cut || is_hashed)
}

/// Letters of a short name before its dot.
const SHORT_NAME_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_that_a_file_system_takes_for_the_name() {
        for name in [
            "tollgate.toml",
            "Tollgate.TOML",
            "tollgate.toml.",
            "tollgate.toml . ",
            "toll\u{200b}gate.toml",
            "\u{feff}tollgate.toml",
            "tollgate.to\u{ad}ml",
            "tollgate\u{fff0}.toml",
            "tollgate.toml\u{e0041}",
            "ｔｏｌｌｇａｔｅ．ｔｏｍｌ",
            "to\u{2113}\u{2113}gate\u{2024}TOML\u{a0}",
            "tollgate.toml::$DATA",
            "TOLLGA~1.TOM",
            "tollg~10.tom",
            "TO3F0A~2.TOM",
        ] {
            assert!(names_policy(name), "{name:?}");
        }
    }

    #[test]
    fn names_of_other_files() {
        for name in [
            "",
            "tollgate",
            "toll.toml",
            "my-tollgate.toml",
            "tollgate.toml.bak",
            "tollgáte.toml",
            "tollgate.toml\u{301}",
            "тollgate.toml",
            "TOLLGA~1.TXT",
            "TOLLGA~.TOM",
            "TOLLGA~10.TOM",
            "~1.TOM",
            "tools~1.tom",
            "custom~1.tom",
        ] {
            assert!(!names_policy(name), "{name:?}");
        }
    }

    /// A character that file systems leave out, or none.
    fn ignored() -> impl Strategy<Value = String> {
        let some = prop::sample::select(vec!['\u{200b}', '\u{ad}', '\u{34f}', '\u{fe0f}', '\u{2064}', '\u{fff8}']);
        prop_oneof![3 => Just(String::new()), 1 => some.prop_map(String::from)]
    }

    /// A letter in one of its forms.
    fn form(letter: char) -> impl Strategy<Value = char> {
        let wide = char::from_u32(u32::from(letter) - 0x20 + 0xff00).unwrap_or(letter);
        let wide_capital = char::from_u32(u32::from(letter.to_ascii_uppercase()) - 0x20 + 0xff00).unwrap_or(letter);
        prop::sample::select(vec![letter, letter.to_ascii_uppercase(), wide, wide_capital])
    }

    fn spelling() -> impl Strategy<Value = String> {
        let letters: Vec<_> = POLICY_NAME.chars().map(|letter| (ignored(), form(letter))).collect();
        (letters, ignored(), "[. ]{0,3}").prop_map(|(letters, last, end)| {
            let name: String = letters.into_iter().map(|(ignored, letter)| format!("{ignored}{letter}")).collect();
            format!("{name}{last}{end}")
        })
    }

    proptest! {
        #[test]
        fn every_spelling_of_the_name_is_a_policys(name in spelling()) {
            prop_assert!(names_policy(&name), "{name:?}");
        }

        /// A further visible character makes it another name.
        #[test]
        fn a_longer_name_is_another_one(name in spelling(), more in "[a-z0-9_-]{1,4}") {
            prop_assert!(!names_policy(&format!("{more}{name}")), "{more:?} before {name:?}");
        }

        #[test]
        fn any_name_is_judged_alike_in_any_case(name in "\\PC{0,20}") {
            prop_assert_eq!(names_policy(&name), names_policy(&name.to_ascii_uppercase()));
        }

        #[test]
        fn short_names_are_policys_up_to_eight_letters(kept in 1_usize..8, number in 1_u32..2_000_000) {
            let name = format!("{}~{number}.TOM", &POLICY_NAME[..kept].to_uppercase());
            prop_assert_eq!(names_policy(&name), name.len() <= SHORT_NAME_BYTES + 4, "{}", name);
        }
    }
}

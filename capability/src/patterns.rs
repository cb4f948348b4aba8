//! Include and exclude patterns below a granted folder. They speak of normalised paths relative to it and must never be
//! asked about anything else.
//!
//! A pattern is made of literal text, `?` (one byte but `/`), `*` (any bytes but `/`) and `**` (as a whole name: any
//! number of folders, none included). A backslash makes the next character literal. It is matched against the whole path,
//! case-sensitively, byte by byte: on a file system that folds case, `secret` does not hide `SECRET`.
//!
//! | pattern | matches |
//! |---|---|
//! | `*.pem` | without a slash: that name at any depth, as in `.gitignore`: `a.pem`, `keys/b.pem` |
//! | `.git` | that name at any depth |
//! | `/*.pem` | with a slash: anchored at the granted folder: `a.pem`, not `keys/b.pem` |
//! | `docs/*.txt` | anchored: `docs/a.txt`, neither `docs/x/a.txt` nor `x/docs/a.txt` |
//! | `docs/**` | everything below `docs`; as an exclude pattern `docs` itself too, so that its names are not listed |
//! | `**/*.txt` | `a.txt`, `x/y/a.txt`: the same as `*.txt` |
//!
//! **Exclude** patterns hide what they match and everything below it. **Include** patterns speak of files only: where
//! there is one, a file must match one of them; folders on the way stay visible. Exclude wins. The granted folder itself
//! cannot be left out.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most patterns in one list: each is matched at every path call.
pub const PATTERNS_MAX: usize = 64;
/// Longest pattern, in bytes: as long as a name can be on Linux, enough for a path of several.
pub const PATTERN_BYTES_MAX: usize = 255;

/// Globs over paths relative to the granted folder. Empty patterns leave nothing out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Texts", into = "Texts")]
pub struct Patterns {
    texts: Texts,
    included: GlobSet,
    excluded: GlobSet,
}

impl Patterns {
    /// Patterns from their texts.
    ///
    /// # Errors
    ///
    /// A [`PatternError`] that names the pattern and what is wrong with it, or the list that is too long.
    pub fn new(include: Vec<String>, exclude: Vec<String>) -> Result<Self, PatternError> {
        let included = globs(&include, List::Include)?;
        let excluded = globs(&exclude, List::Exclude)?;
        Ok(Self { texts: Texts { include, exclude }, included, excluded })
    }

    /// Whether there is no pattern at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.include.is_empty() && self.texts.exclude.is_empty()
    }

    /// The include patterns, as written.
    #[must_use]
    pub fn include(&self) -> &[String] {
        &self.texts.include
    }

    /// The exclude patterns, as written.
    #[must_use]
    pub fn exclude(&self) -> &[String] {
        &self.texts.exclude
    }

    /// Whether a file may be at `below`: [`Patterns::allow_folder`], and an include pattern matches if there is one.
    #[must_use]
    pub fn allow_file(&self, below: &str) -> bool {
        self.allow_folder(below) && (self.texts.include.is_empty() || self.included.is_match(below))
    }

    /// Whether a folder may be at `below`: no exclude pattern matches it or a folder above it.
    #[must_use]
    pub fn allow_folder(&self, below: &str) -> bool {
        let mut path = Some(below);
        while let Some(upto) = path.filter(|upto| !upto.is_empty()) {
            if self.excluded.is_match(upto) {
                return false;
            }
            path = upto.rsplit_once('/').map(|(parent, _)| parent);
        }
        true
    }
}

/// Two patterns are equal if their texts are.
impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Eq for Patterns {}

/// Why patterns cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The list is longer than [`PATTERNS_MAX`].
    #[error("{count} patterns in one list, and the most is {PATTERNS_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is longer than [`PATTERN_BYTES_MAX`], or empty.
    #[error("the pattern {pattern:?} is empty or longer than {PATTERN_BYTES_MAX} bytes")]
    Length {
        /// The pattern.
        pattern: String,
    },
    /// It ends in a slash, or has an empty, `.` or `..` name.
    #[error("the pattern {pattern:?} is not a normalised path")]
    NotNormalised {
        /// The pattern.
        pattern: String,
    },
    /// It uses glob syntax that is not supported.
    #[error("the pattern {pattern:?} uses `{symbol}`, which has no meaning here")]
    Unsupported {
        /// The pattern.
        pattern: String,
        /// The symbol.
        symbol: String,
    },
    /// The glob library refuses it.
    #[error("the pattern {pattern:?} cannot be used: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What it says.
        reason: String,
    },
}

impl PatternError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::TooMany { .. } => "join patterns with `*` or `**`, or grant a folder that needs fewer".to_owned(),
            Self::Length { .. } => "leave an empty pattern out; match longer paths with `*` or `**`".to_owned(),
            Self::NotNormalised { .. } => {
                "write names with one `/` between them; for a folder and all in it write `private/**`".to_owned()
            }
            Self::Unsupported { symbol, .. } => format!(
                "patterns know `*`, `?` and `**` as a whole name; write alternatives as patterns of their own, what is to \
                 be left out in `exclude`, and `\\{symbol}` for the character itself"
            ),
            Self::Glob { .. } => "patterns know `*`, `?` and `**` as a whole name".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    include: Vec<String>,
    exclude: Vec<String>,
}

impl TryFrom<Texts> for Patterns {
    type Error = PatternError;

    fn try_from(texts: Texts) -> Result<Self, PatternError> {
        Self::new(texts.include, texts.exclude)
    }
}

impl From<Patterns> for Texts {
    fn from(patterns: Patterns) -> Self {
        patterns.texts
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Include,
    Exclude,
}

fn globs(patterns: &[String], list: List) -> Result<GlobSet, PatternError> {
    if patterns.len() > PATTERNS_MAX {
        return Err(PatternError::TooMany { count: patterns.len() });
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let refused =
            |error: globset::Error| PatternError::Glob { pattern: pattern.clone(), reason: error.kind().to_string() };
        let glob = GlobBuilder::new(&anchored(pattern, list)?)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(refused)?;
        set.add(glob);
    }
    set.build().map_err(|error| PatternError::Glob { pattern: patterns.join(" "), reason: error.kind().to_string() })
}

/// The glob over the whole path that a pattern stands for.
fn anchored(pattern: &str, list: List) -> Result<String, PatternError> {
    if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::Length { pattern: pattern.to_owned() });
    }
    let path = pattern.strip_prefix('/').unwrap_or(pattern);
    for name in path.split('/') {
        name_is_plain(pattern, name)?;
    }
    let path = match list {
        List::Include => path,
        List::Exclude => path.strip_suffix("/**").unwrap_or(path),
    };
    Ok(if pattern.contains('/') { path.to_owned() } else { format!("**/{path}") })
}

fn name_is_plain(pattern: &str, name: &str) -> Result<(), PatternError> {
    let unsupported =
        |symbol: &str| PatternError::Unsupported { pattern: pattern.to_owned(), symbol: symbol.to_owned() };
    if matches!(name, "" | "." | "..") {
        return Err(PatternError::NotNormalised { pattern: pattern.to_owned() });
    }
    if name != "**" && name.contains("**") {
        return Err(unsupported("**"));
    }
    let mut characters = name.chars().enumerate();
    while let Some((position, character)) = characters.next() {
        let meaningless = match character {
            '\\' => characters.next().is_none(),
            '[' | ']' | '{' | '}' | '\0' => true,
            '!' => position == 0,
            _literal => false,
        };
        if meaningless {
            return Err(unsupported(&character.to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(pattern: &str) -> Patterns {
        Patterns::new(vec![pattern.to_owned()], vec![]).unwrap()
    }

    fn exclude(pattern: &str) -> Patterns {
        Patterns::new(vec![], vec![pattern.to_owned()]).unwrap()
    }

    #[test]
    fn a_name_without_a_slash_is_matched_at_any_depth() {
        for path in ["a.pem", "keys/b.pem", "x/y/c.pem", ".pem"] {
            assert!(include("*.pem").allow_file(path), "{path}");
            assert!(include("**/*.pem").allow_file(path), "{path}");
            assert!(!exclude("*.pem").allow_file(path), "{path}");
        }
        assert!(!include("/*.pem").allow_file("keys/b.pem") && include("/*.pem").allow_file("a.pem"));
        assert!(!exclude(".git").allow_folder("sub/.git") && !exclude(".git").allow_file(".git/config"));
        assert!(exclude(".git").allow_file(".gitignore"));
    }

    #[test]
    fn a_pattern_with_a_slash_is_anchored() {
        let docs = include("docs/*.txt");
        assert!(docs.allow_file("docs/a.txt"));
        assert!(["x/docs/a.txt", "docs/x/a.txt", "docs", "a.txt"].into_iter().all(|path| !docs.allow_file(path)));
        assert!(include("docs/**").allow_file("docs/x/y") && !include("docs/**").allow_file("docs"));
    }

    #[test]
    fn an_excluded_folder_hides_itself_and_all_below() {
        for pattern in ["secret", "secret/**", "/secret", "/secret/**", "s*t"] {
            let patterns = exclude(pattern);
            for path in ["secret", "secret/a", "secret/a/b"] {
                assert!(!patterns.allow_folder(path) && !patterns.allow_file(path), "{path} under {pattern}");
            }
            assert!(patterns.allow_folder("") && patterns.allow_file("secre"), "{pattern}");
        }
        assert!(exclude("secret/**").allow_file("x/secret") && !exclude("secret").allow_file("x/secret"));
        assert!(exclude("**").allow_folder("") && !exclude("**").allow_folder("a"));
    }

    #[test]
    fn case_counts_and_escapes_are_literal() {
        assert!(exclude("secret").allow_file("SECRET"));
        assert!(include(r"\[a\]\*").allow_file("[a]*") && !include(r"\[a\]\*").allow_file("[a]b"));
        assert!(include("a?c").allow_file("abc") && !include("a?c").allow_file("a/c"));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for pattern in ["", "/", "a/", "a//b", "./a", "a/../b", "..", "!a", "[ab]", "{a,b}", "a**", "a/b**/c", "a\\"] {
            assert!(Patterns::new(vec![pattern.to_owned()], vec![]).is_err(), "{pattern}");
            assert!(Patterns::new(vec![], vec![pattern.to_owned()]).is_err(), "{pattern}");
        }
        assert!(Patterns::new(vec!["a".repeat(256)], vec![]).is_err());
        assert!(Patterns::new(vec!["a".to_owned(); 65], vec![]).is_err());
    }
}

//! Which paths of an origin a grant speaks of. Patterns are matched against the decoded segments of a target that was accepted, and
//! must never be asked about anything else.
//!
//! A pattern is a path as it is sent, in which `*` stands for any bytes of one segment and `**`, as a whole segment, for any number of
//! segments, none included. An asterisk that is meant is `%2A`. A pattern that ends in `*` means no empty segment: `/v1/*` is not
//! `/v1/`.
//!
//! | pattern | matches |
//! |---|---|
//! | `/status` | that path |
//! | `/repos/*/issues` | `/repos/x/issues`, not `/repos/x/y/issues` |
//! | `/repos/**` | `/repos`, `/repos/`, and everything below |
//! | `/**/*.json` | `/a.json`, `/x/y/a.json` |
//!
//! **Paths** are compared byte by byte. What is **excluded** is compared as the most careless server would: without regard to case,
//! in whatever form its letters are written, without dots and spaces at the end of a segment, without what follows a `;` or an encoded
//! `?` or `#`, and with an encoded slash as a slash too; it hides what is below it as well. Exclude wins.

use thiserror::Error;

use crate::fold::fold;
use crate::percent::{PercentFault, decode, is_plain_in_path};
use crate::shown::Shown;
use crate::target::Target;

/// Most patterns in one list: each is matched for each request.
pub const PATH_PATTERNS_MAX: usize = 64;
/// Longest pattern, in bytes: as for files.
pub const PATH_PATTERN_BYTES_MAX: usize = 255;

/// The paths of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    included: Vec<PathPattern>,
    excluded: Vec<PathPattern>,
}

impl Paths {
    /// Reads both lists.
    ///
    /// # Errors
    ///
    /// A [`PathsError`] that names the pattern and what is wrong with it.
    pub fn parse(paths: &[String], exclude: &[String]) -> Result<Self, PathsError> {
        if paths.is_empty() {
            return Err(PathsError::Empty);
        }
        Ok(Self {
            included: patterns(paths, PathPattern::parse)?,
            excluded: patterns(exclude, PathPattern::excluding)?,
        })
    }

    /// Whether a pattern of `paths` matches.
    #[must_use]
    pub fn include(&self, target: &Target) -> bool {
        let segments: Vec<[&str; 1]> = target.segments().iter().map(|segment| [segment.as_str()]).collect();
        self.included.iter().any(|pattern| pattern.matches(&segments))
    }

    /// Whether a pattern of `exclude` matches what some server could take the path for, or what is above it.
    #[must_use]
    pub fn exclude(&self, target: &Target) -> bool {
        if self.excluded.is_empty() {
            return false;
        }
        let folded: Vec<String> = target.segments().iter().map(|segment| fold(segment)).collect();
        let whole = folded.join("/");
        let as_sent: Vec<_> = folded.iter().map(|segment| readings(segment)).collect();
        let taken_apart: Vec<_> = whole.split('/').map(readings).collect();
        self.excluded.iter().any(|pattern| pattern.matches(&as_sent) || pattern.matches(&taken_apart))
    }

    /// The patterns of `paths`, as written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.included.iter().map(|pattern| pattern.text.as_str())
    }

    /// The patterns of `exclude`, as written.
    pub fn excluded(&self) -> impl Iterator<Item = &str> {
        self.excluded.iter().map(|pattern| pattern.text.as_str())
    }
}

/// Why patterns of paths cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathsError {
    /// There is no path.
    #[error("`paths` is empty, so that nothing is granted; all paths are `/**`")]
    Empty,
    /// A list is longer than [`PATH_PATTERNS_MAX`].
    #[error("there are {count} patterns in one list; the maximum is {PATH_PATTERNS_MAX}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// It is longer than [`PATH_PATTERN_BYTES_MAX`].
    #[error("the pattern `{pattern}` has {bytes} bytes; the maximum is {PATH_PATTERN_BYTES_MAX}")]
    TooLong {
        /// The pattern.
        pattern: Shown,
        /// Its length.
        bytes: usize,
    },
    /// It does not begin with a slash.
    #[error("the pattern `{pattern}` does not begin with `/`")]
    NoSlash {
        /// The pattern.
        pattern: Shown,
    },
    /// It has an empty, `.` or `..` segment, which no path has.
    #[error("the pattern `{pattern}` has an empty segment, `.` or `..`, which no path has")]
    Segment {
        /// The pattern.
        pattern: Shown,
    },
    /// `**` beside something else in a segment.
    #[error("in the pattern `{pattern}`, `**` is not a whole segment")]
    Asterisks {
        /// The pattern.
        pattern: Shown,
    },
    /// It is not written as a path is sent.
    #[error("the pattern `{pattern}` is not written as a path is sent: {fault}")]
    Percent {
        /// The pattern.
        pattern: Shown,
        /// What is wrong.
        fault: PercentFault,
    },
}

fn patterns(
    texts: &[String],
    parse: fn(&str) -> Result<PathPattern, PathsError>,
) -> Result<Vec<PathPattern>, PathsError> {
    if texts.len() > PATH_PATTERNS_MAX {
        return Err(PathsError::TooMany { count: texts.len() });
    }
    texts.iter().map(|text| parse(text)).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct PathPattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`.
    AnyNumber,
    /// What stands between asterisks, decoded; without an asterisk there is one part, which is the segment.
    Parts(Vec<String>),
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, PathsError> {
        let pattern = || Shown::of(text);
        if text.len() > PATH_PATTERN_BYTES_MAX {
            return Err(PathsError::TooLong { pattern: pattern(), bytes: text.len() });
        }
        let Some(below) = text.strip_prefix('/') else { return Err(PathsError::NoSlash { pattern: pattern() }) };
        let count = below.split('/').count();
        let mut segments = Vec::with_capacity(count);
        for (place, segment) in below.split('/').enumerate() {
            if matches!(segment, "." | "..") || (segment.is_empty() && place + 1 < count) {
                return Err(PathsError::Segment { pattern: pattern() });
            }
            segments.push(Segment::parse(segment, text)?);
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// A pattern of `exclude`: folded, and with all that is below.
    fn excluding(text: &str) -> Result<Self, PathsError> {
        let mut pattern = Self::parse(text)?;
        for segment in &mut pattern.segments {
            if let Segment::Parts(parts) = segment {
                parts.iter_mut().for_each(|part| *part = fold(part));
            }
        }
        // `/admin/` hides `/admin` too. The path `/` alone has an empty segment that means something.
        let is_empty = |segment: &Segment| matches!(segment, Segment::Parts(parts) if parts.iter().all(String::is_empty) && parts.len() == 1);
        if pattern.segments.len() > 1 && pattern.segments.last().is_some_and(is_empty) {
            pattern.segments.pop();
        }
        pattern.segments.push(Segment::AnyNumber);
        Ok(pattern)
    }

    /// Whether the whole pattern matches the whole path, each segment in one of its readings. Goes back to the last `**` alone, as
    /// `*` within a segment does: a pattern costs no more than its segments times those of the path.
    fn matches<R: AsRef<[S]>, S: AsRef<str>>(&self, path: &[R]) -> bool {
        let (mut pattern_at, mut path_at) = (0, 0);
        let mut last: Option<(usize, usize)> = None;
        loop {
            match (self.segments.get(pattern_at), path.get(path_at)) {
                (None, None) => return true,
                (Some(Segment::AnyNumber), _) => {
                    last = Some((pattern_at + 1, path_at));
                    pattern_at += 1;
                    continue;
                }
                (Some(Segment::Parts(parts)), Some(readings))
                    if readings.as_ref().iter().any(|reading| parts_match(parts, reading.as_ref())) =>
                {
                    pattern_at += 1;
                    path_at += 1;
                    continue;
                }
                (None | Some(Segment::Parts(_)), _) => {}
            }
            match last {
                Some((after, from)) if from < path.len() => {
                    last = Some((after, from + 1));
                    (pattern_at, path_at) = (after, from + 1);
                }
                Some(_) | None => return false,
            }
        }
    }
}

impl Segment {
    fn parse(text: &str, pattern: &str) -> Result<Self, PathsError> {
        if text == "**" {
            return Ok(Self::AnyNumber);
        }
        if text.contains("**") {
            return Err(PathsError::Asterisks { pattern: Shown::of(pattern) });
        }
        let decoded = |part: &str| decode(part.as_bytes(), is_plain_in_path).map(|decoded| decoded.text);
        let parts: Result<_, _> = text.split('*').map(decoded).collect();
        parts.map(Self::Parts).map_err(|fault| PathsError::Percent { pattern: Shown::of(pattern), fault })
    }
}

/// Whether `segment` begins with the first part, ends with the last one, and has the others in between in their order.
fn parts_match(parts: &[String], segment: &str) -> bool {
    let Some((first, others)) = parts.split_first() else { return segment.is_empty() };
    let Some((last, between)) = others.split_last() else { return segment == first };
    if segment.is_empty() {
        return false;
    }
    let Some(mut rest) = segment.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    for part in between {
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    true
}

/// What servers take a folded segment for: the whole, what stands before parameters, a query or a fragment, and that without dots and
/// spaces at its end.
fn readings(segment: &str) -> [&str; 3] {
    let before = segment.split([';', '?', '#']).next().unwrap_or_default();
    [segment, before, before.trim_end_matches(['.', ' '])]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text.as_bytes()).unwrap()
    }

    fn paths(paths: &[&str], exclude: &[&str]) -> Paths {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Paths::parse(&owned(paths), &owned(exclude)).unwrap()
    }

    fn includes(pattern: &str, path: &str) -> bool {
        paths(&[pattern], &[]).include(&target(path))
    }

    fn excludes(pattern: &str, path: &str) -> bool {
        paths(&["/**"], &[pattern]).exclude(&target(path))
    }

    #[test]
    fn an_asterisk_stays_in_its_segment() {
        for (pattern, path) in [
            ("/a/*", "/a/b"),
            ("/*/b", "/a/b"),
            ("/a*c", "/abc"),
            ("/a*c", "/ac"),
            ("/*.json", "/a.b.json"),
            ("/a*b*c", "/axbxbxc"),
            ("/a%20*", "/a%20b"),
            ("/%2A", "/*"),
            ("/*", "/a%2Fb"),
        ] {
            assert!(includes(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/*", "/a/b"),
            ("/*", "/"),
            ("/a/*", "/a/"),
            ("/a/*", "/a"),
            ("/a/*", "/a/b/c"),
            ("/a/*", "/a/b/"),
            ("/a*", "/b"),
            ("/ab*ba", "/aba"),
            ("/%2A", "/a"),
            ("/a", "/A"),
            ("/a", "/a/"),
            ("/a/", "/a"),
        ] {
            assert!(!includes(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn two_asterisks_are_any_number_of_segments() {
        for (pattern, path) in [
            ("/**", "/"),
            ("/**", "/a/b/"),
            ("/x/**", "/x"),
            ("/x/**", "/x/"),
            ("/x/**", "/x/y/z"),
            ("/**/x", "/x"),
            ("/**/x/**/y", "/a/x/b/x/c/y"),
            ("/x/**/y", "/x/y"),
            ("/**/*.json", "/a/b.json"),
        ] {
            assert!(includes(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("/x/**", "/xy"), ("/x/**", "/"), ("/**/x", "/x/y"), ("/x/**/y", "/x/y/z"), ("/x/**/y/**/y", "/x/y")]
        {
            assert!(!includes(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_excluded_is_hidden_in_every_spelling() {
        for pattern in ["/v1/admin/**", "/v1/admin", "/V1/ADMIN/", "/v1/adm*"] {
            for path in [
                "/v1/admin",
                "/v1/admin/",
                "/v1/admin/x",
                "/v1/ADMIN",
                "/V1/Admin/x",
                "/v1/admin.",
                "/v1/admin%20/x",
                "/v1/admin;x=1/y",
                "/v1/admin%3Fx",
                "/v1/admin%23/y",
                "/v1/%C3%A1dmin",
                "/v1/adm%C4%B1n",
                "/v1/admin%C2%A0",
                "/v1%2Fadmin",
                "/v1%2Fadmin/x",
                "/v1/%ef%bd%81dmin",
                "/v1%ef%bc%8fadmin",
                "/v1/ad%e2%80%8bmin",
            ] {
                assert!(excludes(pattern, path), "{pattern} {path}");
            }
            for path in ["/v1", "/v1/", "/v2/admin", "/v1/x/admin", "/admin"] {
                assert!(!excludes(pattern, path), "{pattern} {path}");
            }
        }
        assert!(excludes("/x/key", "/x/%e2%84%aaey"));
        assert!(excludes("/", "/") && !excludes("/", "/a"));
        assert!(
            excludes("/admin.", "/admin.") && excludes("/a%2Fb", "/a%2Fb") && !excludes("/admin", "/administrator")
        );
    }

    #[test]
    fn each_error_is_named() {
        let error = |pattern: &str| Paths::parse(&[pattern.to_owned()], &[]).unwrap_err();
        assert_eq!(Paths::parse(&[], &[]), Err(PathsError::Empty));
        assert_eq!(Paths::parse(&vec!["/".to_owned(); 65], &[]), Err(PathsError::TooMany { count: 65 }));
        assert!(matches!(error(&format!("/{}", "a".repeat(255))), PathsError::TooLong { bytes: 256, .. }));
        for pattern in ["", "a", "**", "https://api.test/"] {
            assert!(matches!(error(pattern), PathsError::NoSlash { .. }), "{pattern}");
        }
        for pattern in ["//", "/a//b", "/../a", "/a/."] {
            assert!(matches!(error(pattern), PathsError::Segment { .. }), "{pattern}");
        }
        for pattern in ["/a**", "/***", "/**b/c"] {
            assert!(matches!(error(pattern), PathsError::Asterisks { .. }), "{pattern}");
        }
        for pattern in ["/a?b", "/a#b", "/%61", "/a b", "/ü", "/a\\b", "/{id}", "/[a-z]", "/%"] {
            assert!(matches!(error(pattern), PathsError::Percent { .. }), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_with_many_asterisks_ends() {
        let pattern = "/**/a".repeat(50);
        let path = "/a".repeat(2_000);
        assert!(includes(&pattern, &path) && !includes(&pattern, &format!("{path}/b")));
    }
}

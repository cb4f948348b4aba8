//! Targets of requests, and patterns of paths over them.

use tollgate_network::{Paths, Target};

/// By lines, a pattern and a target. A target that is read is sent as it is, and no segment of it means another folder. The pattern
/// matches as by trying everything; what it excludes, it excludes in any case of letters.
pub fn target(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (pattern, target) = bytes.split_at(end);
    let target = target.strip_prefix(b"\n").unwrap_or(target);
    let Ok(target) = Target::parse(target).inspect(|found| sound(found, target)) else { return };
    if let Some(pattern) = crate::text(pattern) {
        matched(pattern, &target);
    }
}

fn sound(found: &Target, bytes: &[u8]) {
    assert_eq!(found.as_str().as_bytes(), bytes);
    assert!(bytes.iter().all(u8::is_ascii_graphic) && !bytes.contains(&b'#'));
    assert_eq!(Target::parse(found.as_str().as_bytes()).as_ref(), Ok(found));
    let path = found.path();
    assert!(path.starts_with('/') && !path.contains("//"), "{path}");
    for segment in found.segments().iter().flat_map(|segment| segment.split('/')) {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(!matches!(name, "." | "..") && !name.contains('\\'), "{path}");
        assert!(!segment.contains(char::is_control), "{path}");
    }
    let names = found.query().and_then(|query| query.names().ok());
    assert!(names.is_none_or(|names| names.iter().all(|name| !name.is_empty() && !name.contains(';'))), "{path}");
}

fn matched(pattern: &str, target: &Target) {
    let texts = [pattern.to_owned()];
    let Ok(paths) = Paths::parse(&texts, &texts) else { return };
    assert!(!paths.include(target) || paths.exclude(target), "{pattern} {}", target.path());
    for other in [target.path().to_ascii_uppercase(), target.path().to_ascii_lowercase()] {
        // In capital letters a triplet stays what it is.
        let Ok(other) = Target::parse(other.as_bytes()) else { continue };
        assert!(!paths.include(target) || paths.exclude(&other), "{pattern} {}", other.path());
    }
    let patterns: Vec<&str> = pattern.split('/').skip(1).collect();
    let is_short = patterns.len() <= SEGMENTS_TRIED && target.segments().len() <= SEGMENTS_TRIED;
    if is_short && !pattern.contains('%') {
        let segments: Vec<&str> = target.segments().iter().map(String::as_str).collect();
        assert_eq!(paths.include(target), by_trying(&patterns, &segments), "{pattern} {}", target.path());
    }
}

fn by_trying(patterns: &[&str], segments: &[&str]) -> bool {
    match (patterns, segments) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=segments.len()).any(|skipped| by_trying(rest, &segments[skipped..])),
        ([pattern, rest @ ..], [segment, others @ ..]) => {
            let is_empty = segment.is_empty() && !pattern.is_empty();
            !is_empty && segment_by_trying(pattern.as_bytes(), segment.as_bytes()) && by_trying(rest, others)
        }
        ([], _) | (_, []) => false,
    }
}

/// Which lengths the segment may have reached after each byte of the pattern.
fn segment_by_trying(pattern: &[u8], segment: &[u8]) -> bool {
    let mut reached = vec![false; segment.len() + 1];
    reached[0] = true;
    for byte in pattern {
        for place in (0..=segment.len()).rev() {
            reached[place] = match byte {
                b'*' => reached[..=place].contains(&true),
                byte => place > 0 && reached[place - 1] && segment[place - 1] == *byte,
            };
        }
    }
    reached[segment.len()]
}

/// More would take long: each `**` tries every place.
const SEGMENTS_TRIED: usize = 8;

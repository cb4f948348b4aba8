//! `expected.txt`: what must come out, a line for each number, `part what … number`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Numbers by what they count.
pub(crate) type Numbers = BTreeMap<String, u64>;

/// Compares the numbers of parts of the file, which begin with a part's name, with those in the file; or writes them there.
pub(crate) fn compare(parts: &[(&str, &Numbers)]) {
    let named = |(part, numbers): &(&str, &Numbers)| {
        numbers.iter().map(|(what, number)| (format!("{part} {what}"), *number)).collect::<Vec<_>>()
    };
    let found: Numbers = parts.iter().flat_map(named).collect();
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/counts/expected.txt"));
    let mut all = parse(&fs::read_to_string(&path).unwrap_or_default());
    let is_ours = |what: &String| parts.iter().any(|(part, _)| what.split(' ').next() == Some(part));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        all.retain(|what, _| !is_ours(what));
        all.extend(found);
        fs::write(&path, text(&all)).expect("a file that can be written");
        return;
    }
    all.retain(|what, _| is_ours(what));
    let differences = differences(&all, &found);
    assert!(
        differences.is_empty(),
        "what is counted has changed:\n{differences}\nMore means that every call is dearer: find out what of the change makes \
         it so. If it must be, or if there is less, `UPDATE_EXPECT=1 cargo test --release --workspace --test counts` writes \
         tests/counts/expected.txt anew; commit it with the change, and say why there."
    );
}

fn differences(expected: &Numbers, found: &Numbers) -> String {
    let mut text = String::new();
    let line = |text: &mut String, what: &str, expected: String, found: String| {
        writeln!(text, "    {what}: expected {expected}, found {found}").expect("a string takes all");
    };
    for (what, expected) in expected {
        match found.get(what) {
            None => line(&mut text, what, expected.to_string(), "nothing".to_owned()),
            Some(found) if is_off(what, *expected, *found) => {
                line(&mut text, what, expected.to_string(), format!("{found}{}", percent(*expected, *found)));
            }
            Some(_same) => {}
        }
    }
    for (what, found) in found.iter().filter(|(what, _)| !expected.contains_key(*what)) {
        line(&mut text, what, "nothing".to_owned(), found.to_string());
    }
    text
}

/// Whether a number is another one: instructions may differ a little.
fn is_off(what: &str, expected: u64, found: u64) -> bool {
    let allowed = if what.starts_with(INSTRUCTIONS) { expected.div_ceil(PART_ALLOWED) } else { 0 };
    expected.abs_diff(found) > allowed
}

fn percent(expected: u64, found: u64) -> String {
    if expected == 0 {
        return String::new();
    }
    #[allow(clippy::cast_precision_loss, reason = "it is shown with one digit")]
    let percent = 100.0 * (found as f64 / expected as f64 - 1.0);
    format!(" ({percent:+.1} %)")
}

fn parse(text: &str) -> Numbers {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parsed = lines.map(|line| {
        let (what, number) = line.rsplit_once(' ').expect("a number");
        (what.trim_end().to_owned(), number.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    });
    parsed.collect()
}

fn text(all: &Numbers) -> String {
    let mut text = HEAD.to_owned();
    let mut before = None;
    for (what, number) in all {
        let part = what.rsplit_once(' ').map(|(part, _)| part);
        if before != Some(part) {
            text.push('\n');
        }
        before = Some(part);
        writeln!(text, "{what} {number}").expect("a string takes all");
    }
    text
}

const HEAD: &str = "\
# What pure code and calls cost, compared by tests/counts. Written by:
#     UPDATE_EXPECT=1 cargo test --release --workspace --test counts
# Instructions may be off by 2 %; all other numbers are exact.
";

/// The part whose numbers are of instructions.
pub(crate) const INSTRUCTIONS: &str = "instructions";

/// Of each number of instructions, one in so many may be more or less: 2 %.
const PART_ALLOWED: u64 = 50;

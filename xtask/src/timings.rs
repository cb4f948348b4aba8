//! What takes the time of `cargo test`: read from what cargo and the test programs print, and the moments at which they
//! print it. Pure: whoever reads the output says when a line came.

use std::fmt::Write as _;
use std::time::Duration;

/// The times of one or more runs of `cargo test`.
#[derive(Debug, Default)]
pub(crate) struct Timings {
    parts: Vec<Part>,
    tests: Vec<(String, Duration)>,
    /// The part that goes on, and when it began.
    current: Option<(Part, Duration)>,
}

/// A build, a test program, or the doctests of a crate.
#[derive(Debug, Clone)]
struct Part {
    name: String,
    build: Duration,
    run: Duration,
}

impl Timings {
    /// A run of cargo begins, which builds first.
    pub(crate) fn begin(&mut self, what: &str, now: Duration) {
        self.start(format!("build: {what}"), now);
    }

    /// A line that was printed at `now`. If it shows that a part has ended, that part in words.
    pub(crate) fn hear(&mut self, line: &str, now: Duration) -> Option<String> {
        let line = plain(line);
        match Line::parse(&line) {
            Some(Line::Built) => self.end(now),
            Some(Line::Starts(name)) => {
                let ended = self.end(now);
                self.start(name, now);
                ended
            }
            Some(Line::DoctestsBuilt(build)) => {
                if let Some((part, _)) = &mut self.current {
                    part.build += build;
                }
                None
            }
            Some(Line::Test(name, seconds)) => {
                let of = self.current.as_ref().map_or("", |(part, _)| part.name.as_str());
                let of = of.split(' ').next().unwrap_or_default();
                self.tests.push((format!("{of}: {name}"), seconds));
                None
            }
            None => None,
        }
    }

    /// The part that goes on is over; that part in words.
    pub(crate) fn end(&mut self, now: Duration) -> Option<String> {
        let (mut part, began) = self.current.take()?;
        let took = now.saturating_sub(began);
        if part.name.starts_with("build: ") {
            part.build = took;
        } else {
            part.run = took.saturating_sub(part.build);
        }
        let words = format!("<-- {} s  {}", seconds(took), part.name);
        self.parts.push(part);
        Some(words)
    }

    /// The slowest parts and tests, slowest first.
    pub(crate) fn table(&self) -> String {
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.build + part.run));
        let all: Duration = parts.iter().map(|part| part.build + part.run).sum();
        let mut table = format!("slowest of {} parts, {} s in all\n", parts.len(), seconds(all));
        table.push_str("   total    build      run  seconds\n");
        for part in parts.iter().take(SHOWN) {
            let (build, run) = (seconds(part.build), seconds(part.run));
            let total = seconds(part.build + part.run);
            writeln!(table, "{total:>8} {build:>8} {run:>8}  {}", part.name).ok();
        }
        let mut tests: Vec<_> = self.tests.iter().collect();
        tests.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        if !tests.is_empty() {
            table.push_str("\nslowest tests, of the programs that tell\n");
        }
        for (name, took) in tests.iter().take(SHOWN) {
            writeln!(table, "{:>8}  {name}", seconds(*took)).ok();
        }
        table
    }

    fn start(&mut self, name: String, now: Duration) {
        self.current = Some((Part { name, build: Duration::ZERO, run: Duration::ZERO }, now));
    }
}

/// A line that says something of times.
enum Line {
    /// Cargo has built all that it will run, doctests apart.
    Built,
    /// A test program starts, or the doctests of a crate are built and run.
    Starts(String),
    /// How long the doctests of a crate were built.
    DoctestsBuilt(Duration),
    /// A test ended, after so long: by the harness of `tests/support/own_main.rs`, as libtest does not tell.
    Test(String, Duration),
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let words = line.trim();
        if let Some(running) = words.strip_prefix("Running ") {
            let (source, program) = running.strip_suffix(')')?.rsplit_once(" (")?;
            let file = program.rsplit('/').next()?;
            let name = file.rsplit_once('-').map_or(file, |(name, _hash)| name);
            return Some(Self::Starts(format!("{name} ({source})")));
        }
        if let Some(name) = words.strip_prefix("Doc-tests ") {
            return Some(Self::Starts(format!("{name} (doctests)")));
        }
        if words.starts_with("Finished ") && words.contains(" profile ") {
            return Some(Self::Built);
        }
        if let Some((_, took)) = words.split_once("merged doctests compilation took ") {
            return Some(Self::DoctestsBuilt(parse_seconds(took.strip_suffix('s')?)?));
        }
        let (name, ended) = words.strip_prefix("test ")?.split_once(" ... ")?;
        let (_, took) = ended.split_once(" (")?;
        Some(Self::Test(name.to_owned(), parse_seconds(took.strip_suffix(" s)")?)?))
    }
}

fn parse_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn seconds(took: Duration) -> String {
    format!("{:.1}", took.as_secs_f64())
}

/// A line without its colours.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = behind.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

/// Rows of a table.
const SHOWN: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: [(u64, &str); 13] = [
        (2_000, "   Compiling tollgate v0.1.0 (/src/runtime)"),
        (60_000, "    Finished `release` profile [optimized] target(s) in 1m 00s"),
        (60_100, "     Running unittests src/lib.rs (target/release/deps/tollgate_audit-0a1b)"),
        (60_200, "test tree::tests::it_grows ... ok"),
        (60_300, "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s"),
        (61_100, "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m tests/kill/main.rs (target/release/deps/kill-2c3d)"),
        (70_000, "test kills ... ok (8.9 s)"),
        (91_000, "test faults ... FAILED (21.0 s)"),
        (91_100, "   Doc-tests tollgate"),
        (95_000, "test runtime/src/lib.rs - (line 12) ... ok"),
        (95_100, "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s"),
        (95_100, "all doctests ran in 4.00s; merged doctests compilation took 3.00s"),
        (95_200, "a line of a test (that says 3.0 s)"),
    ];

    fn heard() -> (Timings, Vec<String>) {
        let mut timings = Timings::default();
        timings.begin("cargo test", Duration::ZERO);
        let at = Duration::from_millis;
        let mut told: Vec<_> = SAID.iter().filter_map(|(now, line)| timings.hear(line, at(*now))).collect();
        told.extend(timings.end(at(96_100)));
        (timings, told)
    }

    #[test]
    fn each_part_is_told_as_it_ends() {
        let expected = [
            "<-- 60.0 s  build: cargo test",
            "<-- 1.0 s  tollgate_audit (unittests src/lib.rs)",
            "<-- 30.0 s  kill (tests/kill/main.rs)",
            "<-- 5.0 s  tollgate (doctests)",
        ];
        assert_eq!(heard().1, expected);
    }

    #[test]
    fn the_table_has_the_slowest_first_and_what_took_the_time() {
        let expected = "\
slowest of 4 parts, 96.0 s in all
   total    build      run  seconds
    60.0     60.0      0.0  build: cargo test
    30.0      0.0     30.0  kill (tests/kill/main.rs)
     5.0      3.0      2.0  tollgate (doctests)
     1.0      0.0      1.0  tollgate_audit (unittests src/lib.rs)

slowest tests, of the programs that tell
    21.0  kill: faults
     8.9  kill: kills
";
        assert_eq!(heard().0.table(), expected);
    }

    #[test]
    fn a_run_that_ends_while_it_builds_has_a_build_alone() {
        let mut timings = Timings::default();
        timings.begin("cargo test", Duration::ZERO);
        assert_eq!(timings.hear("error: could not compile `tollgate`", Duration::from_secs(3)), None);
        assert_eq!(timings.end(Duration::from_secs(4)).as_deref(), Some("<-- 4.0 s  build: cargo test"));
        assert_eq!(timings.end(Duration::from_secs(5)), None);
    }
}

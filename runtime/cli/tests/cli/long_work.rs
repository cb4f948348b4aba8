//! What must read everything says on stderr that it goes on, once where nobody watches. strace has the longest reading of each
//! command take longer than what goes unsaid.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::desk::Desk;
use tollgate_testing::foreign::missing;

const JOURNAL: &str = "ledger/journal";
const SIDE_STORE: &str = "ledger.private/00000001.open";

/// What is done, which file it must read, and what is said. `CALL` is the whole id of a call, `SHORT` the form that `audit show`
/// prints, by which no place in the ledger is known.
const LONG: [(&str, &str, &str); 12] = [
    ("show", JOURNAL, "reading the ledger"),
    ("show --tool nothing", JOURNAL, "reading the ledger"),
    ("show --last 1 --call SHORT", JOURNAL, "reading the ledger"),
    ("show --call CALL --private", SIDE_STORE, "looking for the texts"),
    ("key", JOURNAL, "looking for keys"),
    ("prove --call SHORT", JOURNAL, "looking for the call"),
    ("erase --call SHORT", JOURNAL, "looking for the call"),
    ("erase --call CALL", SIDE_STORE, "looking for the texts"),
    ("replay", JOURNAL, "repeating decisions"),
    ("report", JOURNAL, "adding up the calls"),
    ("export", JOURNAL, "exporting the ledger"),
    ("verify", JOURNAL, "verifying the ledger"),
];

#[test]
fn what_must_read_everything_says_once_that_it_goes_on() {
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        return missing("`strace`", "apt.log");
    }
    let first = Desk::with("word-count");
    first.count(&["--grant", "audit:arguments=full"]).json();
    thread::scope(|scope| {
        for (words, file, said) in LONG {
            let desk = Desk::at_home(&first.home());
            desk.place("word-count");
            // Two calls: something is there to read after the texts of one were erased.
            for _call in 0..2 {
                desk.count(&["--grant", "audit:arguments=full"]).json();
            }
            scope.spawn(move || assert_eq!(told(&desk, words, file), format!("{said} …\n"), "{words}"));
        }
    });
}

/// What a command says on stderr whose longest reading of `file` takes its time.
fn told(desk: &Desk, words: &str, file: &str) -> String {
    let call = desk.last_call();
    let named = |word: &str| match word {
        "CALL" => call.clone(),
        "SHORT" => format!("{}…{}", &call[..4], &call[20..]),
        word => word.to_owned(),
    };
    let args: Vec<String> = ["audit"].into_iter().chain(words.split(' ')).map(named).collect();
    let (file, log) = (fs::canonicalize(desk.path(file)).unwrap(), desk.path("log"));
    let quick = under_strace(desk, &args, &file, &log, "trace=read");
    assert_eq!(quick, "", "{words}: what is done at once is not told");
    let reads = fs::read_to_string(&log).unwrap();
    let lengths: Vec<_> = reads.lines().filter_map(asked_for).collect();
    let longest = lengths.iter().max().unwrap();
    let place = 1 + lengths.iter().position(|length| length == longest).unwrap();
    let delayed = format!("inject=read:delay_enter={DELAY_US}:when={place}");
    let said = under_strace(desk, &args, &file, &log, &delayed);
    assert!(fs::read_to_string(&log).unwrap().contains("(DELAYED)"), "{words}: strace has no effect");
    said
}

/// What it says on stderr.
fn under_strace(desk: &Desk, args: &[String], file: &Path, log: &Path, effect: &str) -> String {
    let program = desk.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", effect, "-o"].map(OsString::from)).arg(log).arg("-P").arg(file);
    strace.arg(program.get_program()).args(program.get_args()).current_dir(desk.path(""));
    strace.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = desk.ran(&strace.output().unwrap());
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    // Of a tool of which nothing is on record, that is said as well.
    let said = ran.stderr.lines().filter(|line| !line.starts_with("nothing in the ledger"));
    said.map(|line| format!("{line}\n")).collect()
}

/// How many bytes a line of strace's says were asked for: `12 read(3, "…"..., 4096) = 7`. Where another thread comes in between, a
/// call has a line of its beginning and one of its end.
fn asked_for(line: &str) -> Option<u64> {
    let (call, _) = line.rsplit_once(" = ")?;
    Some(call.trim_end().strip_suffix(')')?.rsplit_once(", ")?.1.parse().unwrap())
}

/// What goes unsaid takes up to 10 s.
const DELAY_US: u64 = 11_000_000;

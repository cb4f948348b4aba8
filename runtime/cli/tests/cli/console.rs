//! Examples in documents, run as they stand: `$ command`, what it prints, and `[exit 3]` where it fails.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::desk::{BUILDING, COMPILING, Desk, POLICY_FOUND};

/// At the end of a command: the kernel that it runs on.
const WITHOUT_LANDLOCK: &str = "# on a kernel without Landlock";

/// The fenced blocks of a document, in order: language and content.
pub(crate) fn blocks(document: &str) -> Vec<(&str, &str)> {
    let fences = document.split("\n```").skip(1).step_by(2);
    fences.map(|block| block.split_once('\n').unwrap()).collect()
}

/// The commands of a block, each with what it should print.
pub(crate) fn commands(block: &str) -> Vec<(&str, &str)> {
    let starts = format!("\n{block}");
    let count = starts.matches("\n$ ").count();
    let mut commands = Vec::with_capacity(count);
    let mut rest = block;
    while let Some(command) = rest.strip_prefix("$ ") {
        let (line, after) = command.split_once('\n').unwrap_or((command, ""));
        let end = if after.starts_with("$ ") { 0 } else { after.find("\n$ ").map_or(after.len(), |end| end + 1) };
        let (wanted, next) = after.split_at(end);
        commands.push((line, wanted));
        rest = next;
    }
    assert!(rest.is_empty() && commands.len() == count, "not commands and what they print:\n{block}");
    // Each starts anew here, and a reader would stay there.
    let stay = commands.iter().all(|(line, _)| !line.starts_with("cd "));
    assert!(stay, "a command leaves the folder of the page; put it in parentheses:\n{block}");
    commands
}

/// Runs a command at a desk, and compares all that it prints, and how it ends, with what it should; what it printed.
#[track_caller]
pub(crate) fn assert_prints(desk: &Desk, line: &str, wanted: &str, place: &str) -> String {
    let output = shell(desk, &format!("exec 2>&1\n{line}"));
    let (wanted, code) = match wanted.trim_end().rsplit_once("[exit ") {
        Some((wanted, code)) => (wanted, code.trim_end_matches(']').parse().unwrap()),
        None => (wanted, 0),
    };
    // Every command that obeys a found policy says so first; documents do, once.
    let said = String::from_utf8(output.stdout).unwrap();
    // What takes long says so where the machine does much else.
    let said = [COMPILING, BUILDING].iter().fold(said, |said, line| said.replace(&format!("{line}\n"), ""));
    let said = without_the_policy(said, wanted);
    assert_eq!(output.status.code(), Some(code), "{place}: {line}\n{said}");
    compare(&said, wanted, &format!("{place}: {line}"));
    said
}

fn without_the_policy(said: String, wanted: &str) -> String {
    if wanted.contains(POLICY_FOUND) {
        return said;
    }
    said.lines().filter(|line| !line.ends_with(POLICY_FOUND)).map(|line| format!("{line}\n")).collect()
}

/// What comes of a line in a shell at a desk: `tollgate` is the program, `$CALL` the last call on record.
pub(crate) fn shell(desk: &Desk, line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_tollgate"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(desk.path("")).env("PATH", path);
    if line.contains("$CALL") && !line.contains("\nCALL=") {
        command.env("CALL", desk.last_call());
    }
    command.env("TOLLGATE_HOME", desk.home()).env("TOLLGATE_LEDGER", "ledger").stdin(Stdio::null());
    offline(&mut command);
    if line.ends_with(WITHOUT_LANDLOCK) {
        // A filter lies upon one thread and what it starts, and can never be taken off.
        return thread::scope(|scope| scope.spawn(|| without_landlock(&mut command)).join().unwrap());
    }
    command.output().unwrap()
}

/// Builds take what was fetched when this workspace was built, and share a folder.
pub(crate) fn offline(command: &mut Command) {
    command.env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_TARGET_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/projects"));
}

fn without_landlock(command: &mut Command) -> Output {
    let rules = [(libc::SYS_landlock_create_ruleset, Vec::new())].into();
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&filter).unwrap();
    command.output().unwrap()
}

/// `…` stands for any text, and on a line of its own for any lines.
#[track_caller]
pub(crate) fn compare(said: &str, wanted: &str, place: &str) {
    let mut said_lines = said.lines();
    let mut skips = false;
    for wanted in wanted.lines() {
        if wanted == "…" {
            skips = true;
            continue;
        }
        let fits = |line: &&str| fits(line, wanted);
        let found = if skips { said_lines.find(fits) } else { said_lines.next().filter(fits) };
        // A line that begins with `…` may have others before it.
        let found = found.or_else(|| wanted.starts_with('…').then(|| said_lines.find(fits)).flatten());
        assert!(found.is_some(), "{place}: no line {wanted:?} in:\n{said}");
        skips = false;
    }
    assert!(skips || said_lines.next().is_none(), "{place}: more than the document says:\n{said}");
}

fn fits(line: &str, wanted: &str) -> bool {
    let Some((start, end)) = wanted.split_once('…') else { return line == wanted };
    let Some(mut rest) = line.strip_prefix(start) else { return false };
    let (middle, end) = end.rsplit_once('…').unwrap_or(("", end));
    for part in middle.split('…') {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(end)
}

//! `tollgate-verify`: verifies ledgers, receipts and checkpoints of Tollgate and repeats decisions, for those who trust none of its
//! other parts. It reads, and must never write or ask the network.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use serde_json::json;
use tollgate_audit::{Answer, VerifierKey, read, read_key, read_set, with_causes};
use tollgate_plain::one_line;
use tollgate_verify::{Replay, ReplayReport};

const USAGE: &str = "\
Verifies what a Tollgate ledger proves. It reads only.

  tollgate-verify ledger DIR [--key KEY] [--complete]
                                                  the whole ledger in the folder DIR
  tollgate-verify receipt FILE --key KEY          a receipt (.tlog-proof) or a disclosure of chosen entries, or `-` for
                                                  standard input
  tollgate-verify replay DIR --key KEY            the whole ledger, and then each decision on record once more, by the
                                                  capability set that was in force
  tollgate-verify consistency OLD NEW --key KEY   whether the ledger in the folder NEW goes on from the
                                                  checkpoint in the file OLD, with nothing before it changed

  --key KEY   the ledger's verifier key, `name+hash+key`, from whom you trust; @FILE or @- (standard input) has it
  --complete  entries that are newer than what is signed, which nothing is proven of, are a failure
  --json      the answer, or why there is none, as one JSON object

Exit code: 0 verified as far as it is signed, 1 not verified, or a decision is another one than its capability set
gives, 2 could not be tried, 5 with --complete: verified, but there are entries that nobody signed, or decisions that
cannot be repeated.
";

fn main() -> ExitCode {
    // Known before the arguments are: a program that gave it reads JSON, also where they are wrong.
    let as_json = std::env::args_os().any(|arg| arg == "--json");
    let (out, request) = (io::stdout().lock(), Request::parse(lexopt::Parser::from_env()));
    let (reason, usage) = match request {
        Ok(Request { command: Command::Help, .. }) => return say(out, USAGE, ExitCode::SUCCESS),
        Ok(request) => match answer(&request) {
            Ok(answer) => {
                let is_replay = matches!(request.command, Command::Replay { .. });
                let replayed = (is_replay && answer.is_proven()).then(|| replayed(&request)).transpose();
                match replayed {
                    Ok(replayed) => return say_all(out, &answer, replayed.as_ref(), as_json, request.complete),
                    Err(reason) => (reason, String::new()),
                }
            }
            Err(reason) => (reason, String::new()),
        },
        Err(reason) => (reason, format!("\n{USAGE}")),
    };
    if as_json {
        return say(out, &format!("{}\n", json!({ "verified": null, "error": reason })), UNTRIED.into());
    }
    say(io::stderr().lock(), &format!("not tried: {}\n{usage}", one_line(&reason)), UNTRIED.into())
}

fn exit_code(answer: &Answer, replayed: Option<&ReplayReport>, complete: bool) -> ExitCode {
    let is_right = answer.is_proven() && !replayed.is_some_and(ReplayReport::has_differences);
    let is_complete = answer.is_complete() && replayed.is_none_or(ReplayReport::is_complete);
    match is_right {
        true if complete && !is_complete => INCOMPLETE.into(),
        true => ExitCode::SUCCESS,
        false => NOT_PROVEN.into(),
    }
}

/// Repeats the decisions of a ledger that was verified.
fn replayed(request: &Request) -> Result<ReplayReport, String> {
    let Command::Replay { dir, .. } = &request.command else { return Err(USAGE.to_owned()) };
    let mut replay = Replay::new(|digest| read_set(dir, digest));
    let mut report = ReplayReport::default();
    for entry in read(dir).map_err(|error| with_causes(&error))? {
        // A ledger that is written to meanwhile may end within an entry: what was verified stands before that.
        let Ok((index, entry)) = entry else {
            report.cut_off();
            break;
        };
        if let Some(repeated) = replay.entry(index, &entry, true) {
            report.add(repeated);
        }
    }
    Ok(report)
}

fn say_all(
    out: impl Write,
    answer: &Answer,
    replayed: Option<&ReplayReport>,
    as_json: bool,
    complete: bool,
) -> ExitCode {
    let mut json = answer.to_json();
    if let (Some(object), Some(replayed)) = (json.as_object_mut(), replayed) {
        object.insert("replay".to_owned(), replayed.to_json());
    }
    let text = replayed.map(|replayed| replayed.to_text("decisions")).unwrap_or_default();
    let text = if as_json { format!("{json}\n") } else { format!("{answer}{text}") };
    say(out, &text, exit_code(answer, replayed, complete))
}

const NOT_PROVEN: u8 = 1;
const UNTRIED: u8 = 2;
const INCOMPLETE: u8 = 5;

/// What is asked for.
struct Request {
    command: Command,
    complete: bool,
}

enum Command {
    Ledger { dir: PathBuf, key: Option<VerifierKey> },
    Replay { dir: PathBuf, key: VerifierKey },
    Receipt { file: PathBuf, key: VerifierKey },
    Consistency { old: PathBuf, new: PathBuf, key: VerifierKey },
    Help,
}

impl Request {
    fn parse(mut args: lexopt::Parser) -> Result<Self, String> {
        let (mut words, mut key, mut complete) = (Vec::new(), None, false);
        while let Some(arg) = args.next().map_err(|error| error.to_string())? {
            match arg {
                Long("key") => key = Some(given_key(args.value().map_err(|error| error.to_string())?)?),
                Long("json") => {}
                Long("complete") => complete = true,
                Short('h') | Long("help") => return Ok(Self { command: Command::Help, complete }),
                Value(word) => words.push(word),
                other @ (Short(_) | Long(_)) => return Err(other.unexpected().to_string()),
            }
        }
        let mut words = words.into_iter();
        let command = words.next().ok_or("a command is missing")?;
        let paths: Vec<_> = words.map(PathBuf::from).collect();
        let needed = key.clone().ok_or("--key is missing: without a key nothing is proven");
        let command = match (command.to_str().unwrap_or_default(), paths.as_slice()) {
            ("ledger", [dir]) => Command::Ledger { dir: dir.clone(), key },
            ("replay", [dir]) => Command::Replay { dir: dir.clone(), key: needed? },
            ("receipt", [file]) => Command::Receipt { file: file.clone(), key: needed? },
            ("consistency", [old, new]) => Command::Consistency { old: old.clone(), new: new.clone(), key: needed? },
            ("ledger" | "replay" | "receipt" | "consistency", _) => {
                return Err("not as many paths as this command takes".into());
            }
            (other, _) => return Err(format!("there is no command `{other}`")),
        };
        if complete && !matches!(command, Command::Ledger { .. } | Command::Replay { .. }) {
            return Err("--complete is for ledgers".into());
        }
        Ok(Self { command, complete })
    }
}

fn given_key(text: std::ffi::OsString) -> Result<VerifierKey, String> {
    let text = text.into_string().map_err(|_not_text| "the key is not text")?;
    read_key(&text).map_err(|error| format!("--key: {}", with_causes(&error)))
}

fn answer(request: &Request) -> Result<Answer, String> {
    let answer = match &request.command {
        Command::Ledger { dir, key } => Answer::of_folder(dir, key.as_ref()),
        Command::Replay { dir, key } => Answer::of_folder(dir, Some(key)),
        Command::Receipt { file, key } => Answer::of_receipt(file, key),
        Command::Consistency { old, new, key } => Answer::of_consistency(old, new, key),
        Command::Help => return Err(USAGE.to_owned()),
    };
    answer.map_err(|error| with_causes(&error))
}

/// Prints without characters that a terminal obeys: what is shown was written by others.
fn say(mut to: impl Write, text: &str, code: ExitCode) -> ExitCode {
    // A reader that has gone away changes nothing about the answer.
    to.write_all(tollgate_plain::output(text).as_bytes()).ok();
    code
}

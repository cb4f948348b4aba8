//! `tollgate-verify`: verifies ledgers, receipts and checkpoints of Tollgate, for those who trust none of its other
//! parts. It reads, and must never write or ask the network.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;
use serde_json::json;
use tollgate_audit::{Answer, VerifierKey, VerifyOptions, verify_with};

const USAGE: &str = "\
Verifies what a Tollgate ledger proves. It reads only.

  tollgate-verify ledger DIR [--key KEY] [--complete]
                                                  the whole ledger in the folder DIR
  tollgate-verify receipt FILE --key KEY          a receipt (.tlog-proof) or a disclosure of chosen entries, or `-` for
                                                  standard input
  tollgate-verify consistency OLD NEW --key KEY   whether the ledger in the folder NEW goes on from the
                                                  checkpoint in the file OLD, with nothing before it changed

  --key KEY   the ledger's verifier key, `name+hash+key`, from whom you trust
  --complete  entries that are newer than what is signed, which nothing is proven of, are a failure
  --json      the answer as one JSON object

Exit code: 0 verified as far as it is signed, 1 not verified, 2 could not be tried,
5 with --complete: verified, but there are entries that nobody signed.
";

fn main() -> ExitCode {
    let (answer, as_json) = match Request::parse(lexopt::Parser::from_env()) {
        Ok(Request { command: Command::Help, .. }) => return say(USAGE, ExitCode::SUCCESS),
        Ok(request) => {
            let with_code = |answer: Answer| {
                let code = exit_code(&answer, request.complete);
                (answer, code)
            };
            (answer(&request).map(with_code), request.json)
        }
        Err(reason) => (Err(format!("{reason}\n\n{USAGE}")), false),
    };
    match (answer, as_json) {
        (Ok((answer, code)), true) => say(&format!("{}\n", answer.to_json()), code),
        (Ok((answer, code)), false) => say(&answer.to_string(), code),
        (Err(reason), true) => say(&format!("{}\n", json!({ "verified": null, "error": reason })), UNTRIED.into()),
        (Err(reason), false) => say(&format!("not tried: {reason}\n"), UNTRIED.into()),
    }
}

fn exit_code(answer: &Answer, complete: bool) -> ExitCode {
    match answer.is_proven() {
        true if complete && !answer.is_complete() => INCOMPLETE.into(),
        true => ExitCode::SUCCESS,
        false => NOT_PROVEN.into(),
    }
}

const NOT_PROVEN: u8 = 1;
const UNTRIED: u8 = 2;
const INCOMPLETE: u8 = 5;

/// What is asked for.
struct Request {
    command: Command,
    json: bool,
    complete: bool,
}

enum Command {
    Ledger { dir: PathBuf, key: Option<VerifierKey> },
    Receipt { file: PathBuf, key: VerifierKey },
    Consistency { old: PathBuf, new: PathBuf, key: VerifierKey },
    Help,
}

impl Request {
    fn parse(mut args: lexopt::Parser) -> Result<Self, String> {
        let (mut words, mut key, mut json, mut complete) = (Vec::new(), None, false, false);
        while let Some(arg) = args.next().map_err(|error| error.to_string())? {
            match arg {
                Long("key") => key = Some(read_key(args.value().map_err(|error| error.to_string())?)?),
                Long("json") => json = true,
                Long("complete") => complete = true,
                Short('h') | Long("help") => return Ok(Self { command: Command::Help, json, complete }),
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
            ("receipt", [file]) => Command::Receipt { file: file.clone(), key: needed? },
            ("consistency", [old, new]) => Command::Consistency { old: old.clone(), new: new.clone(), key: needed? },
            ("ledger" | "receipt" | "consistency", _) => return Err("not as many paths as this command takes".into()),
            (other, _) => return Err(format!("there is no command `{other}`")),
        };
        if complete && !matches!(command, Command::Ledger { .. }) {
            return Err("--complete is for ledgers".into());
        }
        Ok(Self { command, json, complete })
    }
}

fn read_key(text: std::ffi::OsString) -> Result<VerifierKey, String> {
    let text = text.into_string().map_err(|_not_text| "the key is not text")?;
    text.trim().parse().map_err(|error| format!("--key: {error}"))
}

fn answer(request: &Request) -> Result<Answer, String> {
    match &request.command {
        Command::Ledger { dir, key } => ledger(dir, key.as_ref()),
        Command::Receipt { file, key } => Answer::of_receipt(file, key).map_err(|error| chain(&error)),
        Command::Consistency { old, new, key } => Answer::of_consistency(old, new, key).map_err(|error| chain(&error)),
        Command::Help => Err(USAGE.to_owned()),
    }
}

fn ledger(dir: &Path, key: Option<&VerifierKey>) -> Result<Answer, String> {
    let options = VerifyOptions { key: key.cloned(), expected: None };
    let report = verify_with(dir, &options).map_err(|error| chain(&error))?;
    Ok(Answer::of_ledger(&report, key))
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

/// Prints without characters that a terminal obeys: what is shown was written by others.
fn say(text: &str, code: ExitCode) -> ExitCode {
    // A reader that has gone away changes nothing about the answer.
    std::io::stdout().lock().write_all(tollgate_plain::output(text).as_bytes()).ok();
    code
}

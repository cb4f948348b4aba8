//! `tollgate-verify`: verifies ledgers, receipts and checkpoints of Tollgate, for those who trust none of its other
//! parts. It reads, and must never write or ask the network.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use serde_json::json;
use tollgate_audit::{Answer, VerifierKey, read_key, with_causes};
use tollgate_plain::one_line;

const USAGE: &str = "\
Verifies what a Tollgate ledger proves. It reads only.

  tollgate-verify ledger DIR [--key KEY] [--complete]
                                                  the whole ledger in the folder DIR
  tollgate-verify receipt FILE --key KEY          a receipt (.tlog-proof) or a disclosure of chosen entries, or `-` for
                                                  standard input
  tollgate-verify consistency OLD NEW --key KEY   whether the ledger in the folder NEW goes on from the
                                                  checkpoint in the file OLD, with nothing before it changed

  --key KEY   the ledger's verifier key, `name+hash+key`, from whom you trust; @FILE or @- (standard input) has it
  --complete  entries that are newer than what is signed, which nothing is proven of, are a failure
  --json      the answer, or why there is none, as one JSON object

Exit code: 0 verified as far as it is signed, 1 not verified, 2 could not be tried,
5 with --complete: verified, but there are entries that nobody signed.
";

fn main() -> ExitCode {
    // Known before the arguments are: a program that gave it reads JSON, also where they are wrong.
    let as_json = std::env::args_os().any(|arg| arg == "--json");
    let (out, request) = (io::stdout().lock(), Request::parse(lexopt::Parser::from_env()));
    let (reason, usage) = match request {
        Ok(Request { command: Command::Help, .. }) => return say(out, USAGE, ExitCode::SUCCESS),
        Ok(request) => match answer(&request) {
            Ok(answer) => {
                let text = if as_json { format!("{}\n", answer.to_json()) } else { answer.to_string() };
                return say(out, &text, exit_code(&answer, request.complete));
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
            ("receipt", [file]) => Command::Receipt { file: file.clone(), key: needed? },
            ("consistency", [old, new]) => Command::Consistency { old: old.clone(), new: new.clone(), key: needed? },
            ("ledger" | "receipt" | "consistency", _) => return Err("not as many paths as this command takes".into()),
            (other, _) => return Err(format!("there is no command `{other}`")),
        };
        if complete && !matches!(command, Command::Ledger { .. }) {
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

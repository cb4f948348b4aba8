//! `tollgate-verify`: verifies ledgers, receipts and checkpoints of Tollgate, for those who trust none of its other
//! parts. It reads, and must never write or ask the network.

use std::fmt::Display;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::*;
use serde_json::{Value, json};
use tollgate_audit::{
    Checkpoint, Disclosure, Entry, Kind, Prover, RECEIPT_BYTES_MAX, Receipt, Report, SignedCheckpoint, VerifierKey,
    VerifyOptions, verify_with,
};

const USAGE: &str = "\
Verifies what a Tollgate ledger proves. It reads only.

  tollgate-verify ledger DIR [--key KEY]          the whole ledger in the folder DIR
  tollgate-verify receipt FILE --key KEY          a receipt (.tlog-proof) or a disclosure of chosen entries
  tollgate-verify consistency OLD NEW --key KEY   whether the ledger in the folder NEW goes on from the
                                                  checkpoint in the file OLD, with nothing before it changed

  --key KEY   the ledger's verifier key, `name+hash+key`, from whom you trust
  --json      the answer as one JSON object

Exit code: 0 verified, 1 not verified, 2 could not be tried.
";

fn main() -> ExitCode {
    let (answer, as_json) = match Request::parse(lexopt::Parser::from_env()) {
        Ok(Request { command: Command::Help, .. }) => return say(USAGE, ExitCode::SUCCESS),
        Ok(request) => (answer(&request), request.json),
        Err(reason) => (Answer::Untried(format!("{reason}\n\n{USAGE}")), false),
    };
    let text = if as_json { format!("{}\n", answer.to_json()) } else { answer.to_string() };
    say(&text, answer.exit_code())
}

/// What is asked for.
struct Request {
    command: Command,
    json: bool,
}

enum Command {
    Ledger { dir: PathBuf, key: Option<VerifierKey> },
    Receipt { file: PathBuf, key: VerifierKey },
    Consistency { old: PathBuf, new: PathBuf, key: VerifierKey },
    Help,
}

/// What came of it.
enum Answer {
    /// What is proven, and the same for programs.
    Yes { proven: Vec<String>, facts: Value },
    /// The steps that failed, and what is known all the same.
    No { failed: Vec<String>, facts: Value },
    /// It could not be tried.
    Untried(String),
}

impl Request {
    fn parse(mut args: lexopt::Parser) -> Result<Self, String> {
        let (mut words, mut key, mut json) = (Vec::new(), None, false);
        while let Some(arg) = args.next().map_err(|error| error.to_string())? {
            match arg {
                Long("key") => key = Some(read_key(args.value().map_err(|error| error.to_string())?)?),
                Long("json") => json = true,
                Short('h') | Long("help") => return Ok(Self { command: Command::Help, json }),
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
        Ok(Self { command, json })
    }
}

fn read_key(text: std::ffi::OsString) -> Result<VerifierKey, String> {
    let text = text.into_string().map_err(|_not_text| "the key is not text")?;
    text.trim().parse().map_err(|error| format!("--key: {error}"))
}

fn answer(request: &Request) -> Answer {
    let tried = match &request.command {
        Command::Ledger { dir, key } => ledger(dir, key.as_ref()),
        Command::Receipt { file, key } => receipt(file, key),
        Command::Consistency { old, new, key } => consistency(old, new, key),
        Command::Help => Ok(Answer::Untried(USAGE.to_owned())),
    };
    tried.unwrap_or_else(Answer::Untried)
}

fn ledger(dir: &Path, key: Option<&VerifierKey>) -> Result<Answer, String> {
    let options = VerifyOptions { key: key.cloned(), expected: None };
    let report = verify_with(dir, &options).map_err(|error| chain(&error))?;
    let facts = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    if !report.is_clean() {
        let mut failed: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        if report.findings_left_out > 0 {
            failed.push(format!("and {} more", report.findings_left_out));
        }
        return Ok(Answer::No { failed, facts });
    }
    Ok(Answer::Yes { proven: proven_of(&report, key), facts })
}

fn proven_of(report: &Report, key: Option<&VerifierKey>) -> Vec<String> {
    let origin = report.origin.as_deref().unwrap_or_default();
    let mut proven = vec![
        format!("The ledger {origin} has {} entries, none changed, missing or out of order.", report.size),
        format!(
            "Its {} calls are told without gaps: every intent has one outcome, violation or closer.",
            report.count(Kind::Call)
        ),
    ];
    match (&report.checkpoint, &report.signed_by) {
        (Some(checkpoint), Some(signer)) => {
            proven.push(format!("The first {} of them are signed by {signer}.", checkpoint.size));
            proven.push("Its tiles and bundles are what its journal says.".to_owned());
        }
        _ => proven.push("NOT proven: who wrote it. It has no signed checkpoint.".to_owned()),
    }
    if key.is_none() {
        proven.push("NOT proven: that this key is the one you trust. Give it with --key.".to_owned());
    }
    if !report.open_calls.is_empty() {
        proven.push(format!("{} calls have not ended yet.", report.open_calls.len()));
    }
    for name in &report.not_covered {
        proven.push(format!("Nothing is known about the file {name}: it is no part of the ledger."));
    }
    proven
}

fn receipt(file: &Path, key: &VerifierKey) -> Result<Answer, String> {
    let text = read_text(file)?;
    if text.starts_with("tollgate/") {
        let disclosure: Disclosure = text.parse().map_err(|error| chain(&error))?;
        return Ok(match disclosure.verify(key) {
            Err(error) => no(&chain(&error)),
            Ok(disclosed) => {
                let mut proven = vec![format!(
                    "These {} of the {} entries of call {} were recorded as they stand here:",
                    disclosed.entries.len(),
                    disclosed.end.entries,
                    disclosed.end.call
                )];
                proven.extend(disclosed.entries.iter().map(|entry| format!("  {}", entry.to_json())));
                let end = Entry::CallEnd(disclosed.end);
                proven.extend(proven_entry(&end, disclosure.receipt(), disclosed.checkpoint, key));
                let entries: Vec<_> = disclosed.entries.iter().map(Entry::to_json).collect();
                let index = disclosure.receipt().index();
                Answer::Yes { proven, facts: json!({ "index": index, "call_end": end.to_json(), "entries": entries }) }
            }
        });
    }
    let receipt: Receipt = text.parse().map_err(|error| chain(&error))?;
    Ok(match receipt.verify(key) {
        Err(error) => no(&chain(&error)),
        Ok((entry, checkpoint)) => Answer::Yes {
            proven: proven_entry(&entry, &receipt, checkpoint, key),
            facts: json!({ "index": receipt.index(), "entry": entry.to_json(), "checkpoint": checkpoint }),
        },
    })
}

fn proven_entry(entry: &Entry<'_>, receipt: &Receipt, checkpoint: &Checkpoint, key: &VerifierKey) -> Vec<String> {
    vec![
        format!("This is entry {} of the ledger {}:", receipt.index(), checkpoint.origin),
        format!("  {}", entry.to_json()),
        format!("The ledger had {} entries when {key} signed it, and whoever has that checkpoint", checkpoint.size),
        "or a later one finds this entry in it: it cannot be taken back or changed.".to_owned(),
    ]
}

fn consistency(old: &Path, new: &Path, key: &VerifierKey) -> Result<Answer, String> {
    let read = |path: &Path| -> Result<SignedCheckpoint, String> {
        let file = if path.is_dir() { path.join("checkpoint") } else { path.to_owned() };
        read_text(&file)?.parse().map_err(|error| format!("{}: {}", file.display(), chain(&error)))
    };
    let (old_signed, new_signed) = (read(old)?, read(new)?);
    let tiles = if new.is_dir() { new } else { new.parent().unwrap_or_else(|| Path::new(".")) };
    let (old, new) = match (old_signed.verify(key), new_signed.verify(key)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(error), _) => return Ok(no(&format!("the old checkpoint: {}", chain(&error)))),
        (_, Err(error)) => return Ok(no(&format!("the new checkpoint: {}", chain(&error)))),
    };
    if new.size < old.size {
        return Ok(no(&format!("the new checkpoint has {} entries, the old one had {}", new.size, old.size)));
    }
    let proof = Prover::new(tiles, new.size).consistency(old.size).map_err(|error| chain(&error))?;
    Ok(match proof.verify((old.size, old.root), (new.size, new.root)) {
        Err(error) => no(&format!("the entries of the old checkpoint are not the first of the new one: {error}")),
        Ok(()) => Answer::Yes {
            proven: vec![
                format!("Both checkpoints of {} are signed by {key}.", new.origin),
                format!(
                    "The first {} of its {} entries are those of the old checkpoint: only added to.",
                    old.size, new.size
                ),
            ],
            facts: json!({ "old": old, "new": new }),
        },
    })
}

fn no(step: &str) -> Answer {
    Answer::No { failed: vec![step.to_owned()], facts: json!({}) }
}

/// A file of at most the length that a receipt can have.
fn read_text(path: &Path) -> Result<String, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(named)?;
    file.take(RECEIPT_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(named)?;
    Ok(text)
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

impl Answer {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Yes { .. } => ExitCode::SUCCESS,
            Self::No { .. } => ExitCode::from(1),
            Self::Untried(_) => ExitCode::from(2),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Yes { proven, facts } => json!({ "verified": true, "proven": proven, "facts": facts }),
            Self::No { failed, facts } => json!({ "verified": false, "failed": failed, "facts": facts }),
            Self::Untried(reason) => json!({ "verified": null, "error": reason }),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, lines) = match self {
            Self::Yes { proven, .. } => ("verified", proven.as_slice()),
            Self::No { failed, .. } => ("NOT VERIFIED", failed.as_slice()),
            Self::Untried(reason) => return writeln!(f, "not tried: {}", safe(reason)),
        };
        writeln!(f, "{word}")?;
        lines.iter().try_for_each(|line| writeln!(f, "{}", safe(line)))
    }
}

/// Without characters that a terminal obeys: what is shown was written by others.
fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    // A reader that has gone away changes nothing about the answer.
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
    code
}

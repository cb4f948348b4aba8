//! What Tollgate promises, shown with the real program, real tools and real texts. Each exit code and the words that
//! matter are compared: a demo that no longer holds fails.

mod stage;
mod tools;

use std::fs;
use std::path::Path;

use self::stage::{Promise, Stage};
use crate::{Result, cargo, setup};

/// The operator's file, once he has read what the tool needs.
const POLICY: &str = r#"[tools.word-count]
fs."/docs" = { host = "texts", access = ["read", "list"] }
"#;

/// The tools on stage, each with its component below `guests` and its manifest below `example-tools`.
const TOOLS: [(&str, &str, &str); 11] = [
    ("clock", "clock.wasm", "clock/tool.toml"),
    ("csv-stats", "csv_stats.wasm", "csv-stats/tool.toml"),
    ("dice", "dice.wasm", "dice/tool.toml"),
    ("echo", "echo.wasm", "echo/tool.toml"),
    ("json-query", "json_query.wasm", "json-query/tool.toml"),
    ("note-book", "note_book.wasm", "note-book/tool.toml"),
    ("text-diff", "text_diff.wasm", "text-diff/tool.toml"),
    ("word-count", "word_count.wasm", "word-count/tool.toml"),
    ("eat-memory", "examples/eat_memory.wasm", "hostile/manifests/eat-memory.toml"),
    ("spin", "examples/spin.wasm", "hostile/manifests/spin.toml"),
    ("sleep-forever", "examples/sleep_forever.wasm", "hostile/manifests/sleep-forever.toml"),
];

/// What lies in `data`.
const SAMPLES: [&str; 4] = [
    "csv-stats/samples/fruit.csv",
    "text-diff/samples/draft.txt",
    "text-diff/samples/final.txt",
    "outline/samples/guide.md",
];

/// Shows what Tollgate promises; an error if a promise is not kept.
pub(crate) fn demo() -> Result<()> {
    setup::setup()?;
    cargo::run(&["build", "--workspace"], &[])?;
    let mut stage = Stage::new()?;
    furnish(stage.folder())?;
    stage.tell(
        "A fresh folder: texts in `texts`, a table and two drafts in `data`, a folder `notes` with an empty note book, a secret beside them; tools in `tools`, \
         each a WebAssembly component with its manifest.\nEvery command is recorded in the ledger: TOLLGATE_LEDGER=ledger",
    );
    grants(&mut stage)?;
    let denied = denials(&mut stage)?;
    caps(&mut stage)?;
    ledger(&mut stage, &denied)?;
    tools::tools(&mut stage)?;
    stage.end()
}

fn furnish(folder: &Path) -> Result<()> {
    let workspace = cargo::workspace()?;
    let guests = cargo::built()?.join("guests/wasm32-wasip2/guest");
    let copy = |from: &Path, to: &Path| {
        fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {}: {error}", from.display()))
    };
    for name in ["data", "notes", "texts", "tools"] {
        fs::create_dir(folder.join(name))?;
    }
    // The note book's quota is smaller than what a new file costs.
    fs::write(folder.join("notes/notes.jsonl"), "")?;
    for sample in SAMPLES {
        let sample = workspace.join("example-tools").join(sample);
        let name = sample.file_name().ok_or("a sample has a name")?;
        copy(&sample, &folder.join("data").join(name))?;
    }
    for name in ["alice.txt", "moby-dick.txt", "sonnet-18.txt"] {
        copy(&workspace.join("demo/texts").join(name), &folder.join("texts").join(name))?;
    }
    for (name, component, manifest) in TOOLS {
        let place = folder.join("tools").join(name);
        copy(&guests.join(component), &place.with_extension("wasm"))?;
        copy(&workspace.join("example-tools").join(manifest), &place.with_extension("toml"))?;
    }
    Ok(fs::write(folder.join("secret.txt"), "the password is swordfish\n")?)
}

/// Nothing is granted by default; what is missing is said; what is granted works.
fn grants(stage: &mut Stage) -> Result<()> {
    let count = ["run", "tools/word-count.wasm", "--op", "count", "--input", r#"{"folder": "/docs", "top": 3}"#];
    stage.show(&Promise {
        title: "Nothing is granted by default",
        look: "The tool is not started; the error ends with the lines to add.",
        args: &count,
        exit: 2,
        says: &[
            "the tool `word-count` needs what nothing grants: the folder /docs (read,list)",
            "[tools.word-count]",
            r#"fs."/docs" = { host = "PATH", access = ["read", "list"] }"#,
            "--grant 'fs:/docs=PATH:read,list'",
        ],
    })?;
    fs::write(stage.folder().join("tollgate.toml"), POLICY)?;
    stage.tell(&format!("The operator adds them to tollgate.toml, and names the folder:\n\n{}", indented(POLICY)));
    stage.show(&Promise {
        title: "What could the tool do now?",
        look: "One folder to read and list, two streams to print to, the caps, and no more. The code that it brings may \
               ask for its environment, which is empty.",
        args: &["inspect", "tools/word-count.wasm"],
        exit: 0,
        says: &["could do:", "fs     /docs is ", ": read,list", "memory 32MiB", "wasi:cli/environment"],
    })?;
    let who = ["--agent", "writer-7", "--decision", "step-3", "--reason", "how long are the texts?"];
    stage.show(&Promise {
        title: "The tool answers over the folder that it was granted",
        look: "Three files, counted by code that cannot reach anything else; the ledger is told who asked and why.",
        args: &[count.as_slice(), &who].concat(),
        exit: 0,
        says: &[r#""files":3"#, r#""path":"/docs/moby-dick.txt""#, r#""word":"the""#],
    })?;
    Ok(())
}

/// One step outside. Returns the id of the denied call.
fn denials(stage: &mut Stage) -> Result<String> {
    let said = stage.show(&Promise {
        title: "One step outside the folder is denied",
        look: "secret.txt is there and readable for this user, but not for the tool: the call dies before the first byte.",
        args: &[
            "run",
            "tools/word-count.wasm",
            "--op",
            "count-file",
            "--input",
            r#"{"path": "/docs/../secret.txt"}"#,
            "--agent",
            "writer-7",
        ],
        exit: 3,
        says: &["denied by policy: `/docs/../secret.txt`", "fs:/docs:beneath", "leads out of the granted folder"],
    })?;
    let denied = said.lines().find_map(|line| line.trim_start().strip_prefix("call ")).map(str::trim);
    let denied = denied.ok_or("the denied call did not say its id")?.to_owned();
    stage.show(&Promise {
        title: "Would writing be allowed?",
        look: "The same decision without running anything: the rule that is missing, and what would add it.",
        args: &["check", "tools/word-count.toml", "write", "/docs/alice.txt"],
        exit: 3,
        says: &["denied", "fs:/docs:write", r#"access = ["read", "write", "list"]"#],
    })?;
    Ok(denied)
}

/// Memory, work and time.
fn caps(stage: &mut Stage) -> Result<()> {
    stage.show(&Promise {
        title: "A tool that eats memory",
        look: "It gets 16 MiB and not a page more.",
        args: &["run", "tools/eat-memory.wasm", "--op", "attack"],
        exit: 4,
        says: &["`limits.memory` is 16MiB"],
    })?;
    stage.show(&Promise {
        title: "A tool that computes for ever",
        look: "Fuel is counted by the instruction, so it stops at the same place on every machine.",
        args: &["run", "tools/spin.wasm", "--grant", "limit:fuel=100000000"],
        exit: 4,
        says: &["`limits.fuel` is 100000000"],
    })?;
    stage.show(&Promise {
        title: "A tool that sleeps for a century",
        look: "It burns no fuel while it sleeps: the deadline of one second ends it.",
        args: &["run", "tools/sleep-forever.wasm", "--grant", "clock:monotonic=real"],
        exit: 4,
        says: &["`limits.deadline` is 1s"],
    })?;
    Ok(())
}

/// What is on record, and what can be proven of it.
fn ledger(stage: &mut Stage, denied: &str) -> Result<()> {
    stage.show(&Promise {
        title: "What is on record of the denied call",
        look: "Who called what; each host call as an intent with the rule that allowed it, and its outcome; the denied one \
               with the rule that is missing.",
        args: &["audit", "show", "--call", denied],
        exit: 0,
        says: &["word-count@0.1.0 count-file agent=writer-7", "allow ", "deny open-at", "[fs:/docs:beneath]", "kill by gate"],
    })?;
    stage.show(&Promise {
        title: "The last entries of all calls",
        look: "Every cap is on record too, with what the call used.",
        args: &["audit", "show", "--last", "6"],
        exit: 0,
        says: &["sleep-forever@0.1.0 attack", "call-end", "limits.deadline"],
    })?;
    stage.show(&Promise {
        title: "The ledger verifies",
        look: "Every hash is computed anew; note the root, and nobody can change the past unseen.",
        args: &["audit", "verify"],
        exit: 0,
        says: &["verified", "root"],
    })?;
    audit(stage, denied)?;
    forgery(stage)
}

/// What an auditor does: decisions made again, a receipt, a report.
fn audit(stage: &mut Stage, denied: &str) -> Result<()> {
    stage.show(&Promise {
        title: "Every decision made again",
        look: "The rules that were in force are kept under their digests, so an auditor need not believe the decisions.",
        args: &["audit", "replay"],
        exit: 0,
        says: &["repeated:", "different  0"],
    })?;
    let key = stage.show(&Promise {
        title: "The key to give to an auditor",
        look: "Once, over a way that both trust.",
        args: &["audit", "key"],
        exit: 0,
        says: &["tollgate.local/ledger/"],
    })?;
    stage.show(&Promise {
        title: "A receipt of the denied call",
        look: "One small file: the end of the call, its place in the ledger, the signed checkpoint.",
        args: &["audit", "prove", "--call", denied, "--out", "denied.tlog-proof"],
        exit: 0,
        says: &[],
    })?;
    stage.show(&Promise {
        title: "The auditor verifies it without the ledger",
        look: "Offline; any C2SP tlog-proof verifier does the same.",
        args: &["audit", "receipt", "verify", "denied.tlog-proof", "--key", key.trim()],
        exit: 0,
        says: &["verified", "it cannot be taken back or changed"],
    })?;
    stage.show(&Promise {
        title: "A tool's process, attacked from inside",
        look: "Machine code that broke out of WebAssembly: what stops it, and where that is on record.",
        args: &[
            "drill",
            "tools/word-count.wasm",
            "--attack",
            "open-outside",
            "--attack",
            "mmap-executable",
            "--attack",
            "execve",
            "--attack",
            "garbage",
        ],
        exit: 0,
        says: &["4 attacks on 3 kinds of thread: 12 of 12 stopped by what should stop them"],
    })?;
    stage.show(&Promise {
        title: "The same as a page to look at",
        look: "Open report.html in a browser: calls over time, denials by rule, caps, integrity.",
        args: &["audit", "report", "--format", "html", "--out", "report.html"],
        exit: 0,
        says: &[],
    })?;
    Ok(())
}

/// A changed byte shows, and nothing is added to it.
fn forgery(stage: &mut Stage) -> Result<()> {
    let place = forge(stage.folder())?;
    stage.tell(&format!(
        "A forger takes a copy of the ledger, finds the denied path in its journal (byte {place}) and changes one letter."
    ));
    let said = stage.show(&Promise {
        title: "One changed byte shows",
        look: "The entry is named, with the place in the file where it starts.",
        args: &["audit", "verify", "--ledger", "forged"],
        exit: 5,
        says: &["DOES NOT VERIFY", "  problem  ", "entry ", " at byte "],
    })?;
    let start = said.split(" at byte ").nth(1).and_then(|rest| rest.split(':').next()?.parse::<usize>().ok());
    if !start.is_some_and(|start| start <= place && place - start < FRAME_BYTES_MAX) {
        return Err(format!("byte {place} was changed, and verify points elsewhere: {start:?}").into());
    }
    stage.show(&Promise {
        title: "Nothing runs on a forged ledger",
        look: "Tollgate does not add to a past that it cannot vouch for.",
        args: &[
            "run",
            "tools/word-count.wasm",
            "--op",
            "count",
            "--input",
            r#"{"folder": "/docs"}"#,
            "--ledger",
            "forged",
        ],
        exit: 5,
        says: &["cannot be used", "nothing was run"],
    })?;
    Ok(())
}

/// An entry of at most 3072 bytes with its length and check (audit/README.md).
const FRAME_BYTES_MAX: usize = 3072 + 6;

/// Copies a folder and all below it.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Copies the ledger and changes one letter of the path that was denied. Returns where.
fn forge(folder: &Path) -> Result<usize> {
    let forged = folder.join("forged");
    copy_tree(&folder.join("ledger"), &forged)?;
    let journal = forged.join("journal");
    let mut bytes = fs::read(&journal)?;
    let wanted = b"secret.txt";
    let place =
        bytes.windows(wanted.len()).position(|window| window == wanted).ok_or("the denied path is not on record")?;
    *bytes.get_mut(place).ok_or("the journal is too short")? = b'S';
    fs::write(&journal, bytes)?;
    Ok(place)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

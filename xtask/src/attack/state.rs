//! Row 14: a ledger that was exchanged, or that is another user's, is not gone on with; files that are none stop nobody.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::machine::{children, give_away, has_open, run};
use super::ran::{Stop, Verdict};
use super::scene::Scene;
use super::stage::copy_tree;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("the state is taken away beside a key, after the ledger was put back", |scene| {
        put_back(scene)?;
        fs::remove_file(scene.path(STATE))?;
        goes_on(scene, &["state"])
    }),
    known("the key is another user's", |scene| {
        base(scene)?;
        if let Some(skipped) = give_away(&scene.path(KEY)) {
            return Ok(skipped);
        }
        goes_on(scene, &["key"])
    }),
    known("tollgate-verify waits for a FIFO for ever", |scene| odd_file(scene, "journal", Odd::Fifo)),
    known("tollgate-verify reads a link without end", |scene| {
        base(scene)?;
        let tile = first_file(&scene.path(LEDGER).join("tile/entries")).ok_or("there is no bundle of entries")?;
        fs::remove_file(&tile)?;
        std::os::unix::fs::symlink("/dev/zero", &tile)?;
        hangs(&scene.command(&scene.stage.verify, &["ledger", &scene.place(LEDGER)]))
    }),
    known("the notary keeps a descriptor that it inherits", inherited),
    known("a ledger that was put back is gone on with, and nothing says so", adopted),
    variant("the state is another ledger's", |scene| {
        put_back(scene)?;
        scene.hostile(&["--ledger", "../other/ledger"], &json!([]))?.done()?;
        fs::copy(scene.path("other/ledger.state"), scene.path(STATE))?;
        goes_on(scene, &["state"])
    }),
    variant("the state is empty", |scene| {
        put_back(scene)?;
        fs::write(scene.path(STATE), "")?;
        goes_on(scene, &["state"])
    }),
    variant("the state is a link", |scene| {
        put_back(scene)?;
        fs::rename(scene.path(STATE), scene.path("elsewhere"))?;
        fs::write(scene.path("elsewhere"), "")?;
        scene.link(&scene.place("elsewhere"), STATE)?;
        goes_on(scene, &["state"])
    }),
    variant("the state is a FIFO", |scene| {
        base(scene)?;
        fs::remove_file(scene.path(STATE))?;
        fifo(&scene.path(STATE))?;
        goes_on(scene, &["state"])
    }),
    variant("the state is another user's", |scene| {
        base(scene)?;
        if let Some(skipped) = give_away(&scene.path(STATE)) {
            return Ok(skipped);
        }
        goes_on(scene, &["state"])
    }),
    variant("the key is a link to another user's", |scene| {
        base(scene)?;
        fs::rename(scene.path(KEY), scene.path("theirs.key"))?;
        if let Some(skipped) = give_away(&scene.path("theirs.key")) {
            return Ok(skipped);
        }
        scene.link(&scene.place("theirs.key"), KEY)?;
        goes_on(scene, &["key"])
    }),
    variant("the side store is another user's", |scene| {
        base(scene)?;
        if let Some(skipped) = give_away(&scene.path("home/state/tollgate/ledger.private")) {
            return Ok(skipped);
        }
        goes_on(scene, &["side store"])
    }),
    variant("tollgate-verify reads a journal that is a link to what never ends", |scene| {
        odd_file(scene, "journal", Odd::Endless)
    }),
    variant("tollgate-verify waits for a checkpoint that is a FIFO", |scene| odd_file(scene, "checkpoint", Odd::Fifo)),
    variant("tollgate-verify reads a checkpoint without end", |scene| odd_file(scene, "checkpoint", Odd::Endless)),
    variant("tollgate-verify waits for a receipt that is a FIFO", |scene| {
        base(scene)?;
        let key = scene.tollgate(&["audit", "key"])?.done()?.out;
        fifo(&scene.path("receipt"))?;
        hangs(&scene.command(&scene.stage.verify, &["receipt", "../receipt", "--key", key.trim()]))
    }),
    variant("audit verify waits for a tile that is a FIFO", |scene| {
        base(scene)?;
        let tile = first_file(&scene.path(LEDGER).join("tile/entries")).ok_or("there is no bundle of entries")?;
        fs::remove_file(&tile)?;
        fifo(&tile)?;
        hangs(&scene.command(&scene.stage.tollgate, &["audit", "verify"]))
    }),
    variant("audit show reads a journal without end", |scene| {
        base(scene)?;
        let journal = scene.path(LEDGER).join("journal");
        fs::remove_file(&journal)?;
        std::os::unix::fs::symlink("/dev/zero", &journal)?;
        hangs(&scene.command(&scene.stage.tollgate, &["audit", "show"]))
    }),
    variant("the next run waits for a journal that is a FIFO", |scene| {
        base(scene)?;
        let journal = scene.path(LEDGER).join("journal");
        fs::remove_file(&journal)?;
        fifo(&journal)?;
        goes_on(scene, &["ledger"])
    }),
];

const LEDGER: &str = "home/state/tollgate/ledger";
const KEY: &str = "home/state/tollgate/ledger.key";
const STATE: &str = "home/state/tollgate/ledger.state";

/// A ledger with one call; what goes on with it, works.
fn base(scene: &Scene<'_>) -> Result<()> {
    scene.hostile(&["--agent", "first"], &json!([]))?.done()?;
    scene.hostile(&["--agent", "second"], &json!([]))?.done()?;
    Ok(())
}

/// A ledger whose folder is an older copy. Its state still says so.
fn put_back(scene: &Scene<'_>) -> Result<()> {
    base(scene)?;
    copy_tree(&scene.path(LEDGER), &scene.path("copy"))?;
    scene.hostile(&["--agent", "forgotten"], &json!([]))?.done()?;
    fs::remove_dir_all(scene.path(LEDGER))?;
    fs::rename(scene.path("copy"), scene.path(LEDGER))?;
    let refused = scene.hostile(&[], &json!([]))?;
    if refused.exit == Some(0) {
        return Err("an older copy is gone on with although the state is there".into());
    }
    Ok(())
}

/// The next run must be refused.
fn goes_on(scene: &Scene<'_>, says: &'static [&'static str]) -> Result<Verdict> {
    let mut command = Command::new("timeout");
    let planned = scene.tool_command("../tools/hostile.wasm", &[], &json!({}))?;
    command.arg(TIME_LIMIT_S).arg(planned.get_program()).args(planned.get_args());
    let ran = run(like(command, &planned))?;
    let effect = match ran.exit {
        Some(0) => Some("the next run went on with it".to_owned()),
        Some(TIMED_OUT) => Some("the next run hangs".to_owned()),
        _other => None,
    };
    ran.judge(effect, &[Stop::new(5, says), Stop::new(2, says)])
}

/// A command in the folder and with the environment of another one.
fn like(mut command: Command, other: &Command) -> Command {
    command.env_clear();
    for (name, value) in other.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = other.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// What `timeout` says of a command that it ended.
const TIMED_OUT: i32 = 124;
/// How long a command may take that has next to nothing to do.
const TIME_LIMIT_S: &str = "10";

#[derive(Clone, Copy)]
enum Odd {
    Fifo,
    /// A link to what never ends.
    Endless,
}

fn fifo(path: &Path) -> Result<()> {
    let mut command = Command::new("mkfifo");
    command.arg(path);
    run(command)?.done()?;
    Ok(())
}

/// A file of the ledger is none; the verifier must say so.
fn odd_file(scene: &Scene<'_>, file: &str, odd: Odd) -> Result<Verdict> {
    base(scene)?;
    let path = scene.path(LEDGER).join(file);
    fs::remove_file(&path)?;
    match odd {
        Odd::Fifo => fifo(&path)?,
        Odd::Endless => std::os::unix::fs::symlink("/dev/zero", &path)?,
    }
    hangs(&scene.command(&scene.stage.verify, &["ledger", &scene.place(LEDGER)]))
}

/// A command must end by itself, without reading for ever, and find nothing verified.
fn hangs(command: &Command) -> Result<Verdict> {
    // With 1 GiB of address space, what reads without end fails before the machine does.
    let script = "ulimit -v 1048576; exec timeout \"$@\"";
    let mut limited = Command::new("sh");
    limited.args(["-c", script, "sh", TIME_LIMIT_S]).arg(command.get_program()).args(command.get_args());
    let ran = run(like(limited, command))?;
    let effect = match ran.exit {
        Some(0) => Some("it says that all is well".to_owned()),
        Some(TIMED_OUT) => Some("it hangs".to_owned()),
        None | Some(ABORTED) => Some("it reads without end".to_owned()),
        Some(_) if ran.says("memory") => Some("it reads until memory ends".to_owned()),
        Some(_) => None,
    };
    // What is no file, and what is a link.
    let stops = [1, 2, 5].map(|exit| [Stop::new(exit, &["regular file"]), Stop::new(exit, &["must be a file"])]);
    ran.judge(effect, stops.as_flattened())
}

/// What a shell says of a process that aborted.
const ABORTED: i32 = 134;

fn first_file(folder: &Path) -> Option<std::path::PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    entries.sort();
    entries.into_iter().find_map(|path| if path.is_dir() { first_file(&path) } else { Some(path) })
}

/// A run is started with a secret open; none of its processes may keep it.
fn inherited(scene: &Scene<'_>) -> Result<Verdict> {
    let input = json!({"steps": [{"do": "wait", "len": 1_500_000_000}]});
    let planned = scene.tool_command("../tools/hostile.wasm", &["--grant", "clock:monotonic=real"], &input)?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec 9< ../secret/key.txt; exec \"$@\"", "sh"])
        .arg(planned.get_program())
        .args(planned.get_args());
    let mut child = like(shell, &planned).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let secret = scene.path("secret/key.txt");
    let looked = look_at_processes(child.id(), &secret);
    child.wait()?;
    match looked {
        (Some(kept), _) => Ok(Verdict::Reached(kept)),
        (None, 2..) => Ok(Verdict::Held("neither notary nor worker has it open".to_owned())),
        (None, _) => Err("notary and worker were not seen".into()),
    }
}

/// Waits until a run has started its processes, and tells which has `file` open, and how many there are.
fn look_at_processes(run: u32, file: &Path) -> (Option<String>, usize) {
    for _ in 0..LOOKS {
        thread::sleep(Duration::from_millis(10));
        if children(run).len() >= 2 {
            break;
        }
    }
    // Right after its start a process has closed nothing yet.
    thread::sleep(Duration::from_millis(300));
    let processes = children(run);
    let keeps = processes.iter().find(|process| has_open(**process, file)).map(|process| {
        let line = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        format!("`tollgate {}` has a file open that its starter had open", line.split('\0').nth(1).unwrap_or_default())
    });
    (keeps, processes.len())
}

/// How often is looked for processes: 2 s.
const LOOKS: u32 = 200;

/// To go on with a ledger that was put back takes a word and a reason, and both stay on record.
fn adopted(scene: &Scene<'_>) -> Result<Verdict> {
    put_back(scene)?;
    let silent = scene.tollgate(&["audit", "adopt"])?;
    let refused = silent.exit == Some(2) && silent.says("--reason");
    let adopted = scene.tollgate(&["audit", "adopt", "--reason", "restored from a backup"])?;
    if adopted.exit != Some(0) {
        return Err(format!("there is no way to go on: {}", adopted.brief()).into());
    }
    scene.hostile(&["--agent", "later"], &json!([]))?.done()?;
    let shown = scene.tollgate(&["audit", "show"])?;
    let said = shown.says("restored from a backup");
    let effect = match (refused, said) {
        (false, _) => Some("it is gone on with without a reason".to_owned()),
        (_, false) => Some("the record does not tell of the break".to_owned()),
        (true, true) => None,
    };
    shown.judge(effect, &[Stop::new(0, &["restored from a backup"])])
}

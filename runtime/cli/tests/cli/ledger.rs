//! Where the ledger is, and when nothing runs because of it.

use std::fs;
use std::process::{Command, Stdio};

use crate::desk::{COUNT, DOCS, Desk};
use tollgate_testing::foreign::{missing, skipped};

#[test]
fn the_ledger_is_where_argument_and_environment_say() {
    let desk = Desk::with("word-count");
    desk.count(&["--ledger", "mine"]).json();
    assert!(desk.path("mine/journal").is_file() && !desk.path("ledger").exists());
    let run = |state: Option<&str>, home: Option<&str>| {
        let mut command = desk.command(&[&COUNT[..], &DOCS].concat());
        command.env_remove("TOLLGATE_LEDGER").env_remove("HOME").env_remove("TOLLGATE_HOME");
        command.envs(state.map(|state| ("XDG_STATE_HOME", desk.path(state))));
        command.envs(home.map(|home| ("HOME", desk.path(home))));
        desk.ran(&command.output().unwrap())
    };
    fs::create_dir(desk.path("home")).unwrap();
    run(Some("state"), Some("home")).json();
    assert!(desk.path("state/tollgate/ledger/journal").is_file() && !desk.path("home/.local/state").exists());
    run(None, Some("home")).json();
    assert!(desk.path("home/.local/state/tollgate/ledger/journal").is_file());
    run(None, None).fails(2, &["no place for the ledger", "TOLLGATE_HOME", "HOME", "--ledger"]);
}

/// Whoever sets `TOLLGATE_HOME` later would miss what is on record already.
#[test]
fn a_ledger_that_is_begun_beside_the_one_of_before_is_said_once() {
    let desk = Desk::with("word-count");
    fs::create_dir(desk.path("user")).unwrap();
    let run = |home: Option<&str>| {
        let mut command = desk.command(&[&COUNT[..], &DOCS].concat());
        command.env_remove("TOLLGATE_LEDGER").env_remove("TOLLGATE_HOME").env("HOME", desk.path("user"));
        command.envs(home.map(|home| ("TOLLGATE_HOME", desk.path(home))));
        desk.ran(&command.output().unwrap())
    };
    // No other is there yet.
    run(Some("first")).json();
    run(None).json();
    let begun = run(Some("second"));
    let line = "a new ledger is begun in `FOLDER/second/ledger`; the one that was used without TOLLGATE_HOME stays in \
                `FOLDER/user/.local/state/tollgate/ledger`: --ledger or TOLLGATE_LEDGER goes on with it\n";
    assert_eq!((begun.code, begun.stderr.as_str()), (0, line), "{begun:?}");
    run(Some("second")).json();
}

#[test]
fn a_ledger_that_cannot_be_made_is_named() {
    let desk = Desk::with("word-count");
    let ran = desk.count(&["--ledger", "secret.txt/ledger"]);
    ran.fails(2, &["`secret.txt/ledger` cannot be used", "Not a directory", "nothing was run", "--ledger"]);
}

#[test]
fn a_ledger_in_use_names_the_process_that_has_it() {
    let desk = Desk::with("word-count");
    let sleeper = desk.sleeper();
    let pid = &sleeper.notary;
    assert_ne!(*pid, sleeper.run.as_ref().unwrap().0.id().to_string(), "the notary has it, not the supervisor");
    let ran = desk.count(&["--wait", "0s"]);
    ran.fails(2, &[&format!("in use by process {pid}"), "nothing was run", "--wait", "--ledger"]);
    desk.count(&["--wait", "soon"]).fails(2, &["soon", "is not a duration", "`30s`"]);
    // Reading needs no lock.
    assert_eq!(desk.run(&["audit", "show"]).code, 0);
    drop(sleeper);
    desk.count(&[]).json();
    assert!(desk.run(&["audit", "show"]).stdout.contains("closer"));
}

#[test]
fn a_run_waits_for_the_one_that_has_the_ledger_and_says_so_once() {
    let desk = Desk::with("word-count");
    let sleeper = desk.sleeper();
    let counting =
        desk.command(&[&COUNT[..], &DOCS].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ran = sleeper.end_once_waited_for(counting);
    assert_eq!((ran.code, ran.report()["files"].as_u64()), (0, Some(2)), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    assert!(ran.stderr.starts_with("waiting up to 1m for `ledger`: "), "{ran:?}");
}

#[test]
fn runs_at_once_on_one_ledger_all_end_well() {
    let desk = Desk::with("word-count");
    let started: Vec<_> = (0..5)
        .map(|_| {
            desk.command(&[&COUNT[..], &DOCS].concat()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in started {
        let ran = desk.ran(&child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.report()["files"].as_u64()), (0, Some(2)), "{ran:?}");
    }
    assert_eq!(desk.called(), ["count"; 5]);
    assert!(desk.run(&["audit", "verify", "--complete"]).stdout.starts_with("verified: ledger\n"));
}

/// The answer of a call is on record before it is printed: who does not read it keeps nothing.
#[test]
fn a_run_whose_output_nobody_reads_keeps_the_ledger_from_nobody() {
    let desk = Desk::with("echo");
    let (out, into) = std::io::pipe().unwrap();
    // More than a pipe holds.
    let input = format!("{{\"text\": \"{}\"}}", "x".repeat(200_000));
    desk.file("in.json", input);
    let echo = ["run", "tools/echo.wasm", "--input", "@in.json"];
    assert_eq!(desk.run(&echo).code, 0);
    let ended = |entry: &serde_json::Value| entry["kind"] == "call-end" && entry["context"]["operation"] == "echo";
    let mut stuck = desk.command(&echo).stdout(into).spawn().unwrap();
    let start = std::time::Instant::now();
    while desk.entries().iter().filter(|entry| ended(entry)).count() < 2 {
        assert!(start.elapsed().as_secs() < 60, "it does not end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let other = desk.run(&echo);
    assert_eq!((other.code, other.stdout.len() > 200_000), (0, true), "{other:?}");
    assert!(stuck.try_wait().unwrap().is_none(), "it waits for its reader");
    drop(out);
    stuck.wait().unwrap();
}

#[test]
fn dots_at_the_end_of_a_ledger_name_nothing() {
    let desk = Desk::with("word-count");
    for (folder, place) in [("./new/./", "new"), ("other/.", "other"), ("deep/er/./", "deep/er")] {
        desk.count(&["--ledger", folder]).json();
        assert!(desk.path(place).join("journal").is_file(), "{folder}");
        assert!(desk.path(&format!("{place}.key")).is_file(), "{folder}");
    }
}

/// The cause decides: nobody is sent to rights where a file stands in the way.
#[test]
fn what_helps_a_ledger_that_cannot_be_made_is_what_hinders_it() {
    let desk = Desk::with("word-count");
    let causes = [
        ("secret.txt/ledger", "a file stands where a folder should"),
        ("/proc/no-ledger", "something on the way is not there"),
        (&"x".repeat(300), "shorten the path"),
    ];
    for (folder, help) in causes {
        let ran = desk.count(&["--ledger", folder]);
        ran.fails(2, &[help, "nothing was run", "or give another one with --ledger"]);
        assert!(!ran.stderr.contains("rights"), "{ran:?}");
    }
}

/// Disks of a mount namespace of this test's own: one that is full, one that is read-only, and a machine without `/dev/null`.
#[test]
fn a_disk_is_blamed_where_it_is_to_blame() {
    let desk = Desk::with("word-count");
    let inside = |script: &str, args: &[&str]| {
        let run = desk.command(args);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]).arg(run.get_program()).args(run.get_args());
        command.current_dir(desk.path("")).env("TOLLGATE_LEDGER", "ledger").env("TOLLGATE_HOME", desk.home());
        command.output()
    };
    let Ok(made) = inside("true", &[]) else { return missing("unshare(1)", "apt.log") };
    if !made.status.success() {
        return skipped("no mount namespace can be made here");
    }
    fs::create_dir(desk.path("disk")).unwrap();
    let full = "mount -t tmpfs -o size=16k none disk && ! head -c 99999 /dev/zero > disk/fill 2> heard && exec \"$@\"";
    let read_only = "mount -t tmpfs -o ro none disk && exec \"$@\"";
    let without_null = "mount -t tmpfs none /dev && exec \"$@\" < lock";
    desk.file("lock", "");
    let count = [&COUNT[..], &DOCS].concat();
    let on_disk = [&count[..], &["--ledger", "disk/ledger"]].concat();
    desk.count(&[]).json();
    let cases: [(&str, &[&str], i32, &str); 4] = [
        (full, &on_disk, 2, "make room on the disk of the ledger's folder: it is full"),
        (read_only, &on_disk, 2, "mount the file system of the ledger's folder for writing"),
        (without_null, &count, 5, "make `/dev/null`"),
        (
            read_only,
            &["audit", "report", "--out", "disk/report"],
            2,
            "mount the file system of the folder of this file",
        ),
    ];
    for (script, args, code, help) in cases {
        let ran = desk.ran(&inside(script, args).unwrap());
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        ran.says(&[help]);
        assert!(!ran.stderr.contains("rights"), "{ran:?}");
    }
}

#[test]
fn each_ledger_has_a_name_of_its_own() {
    let desk = Desk::with("word-count");
    let origin = |folder: &str| {
        let first = desk.run(&["audit", "show", "--json", "--limit", "1", "--ledger", folder]).json();
        first["origin"].as_str().unwrap().to_owned()
    };
    for folder in ["one", "other"] {
        desk.count(&["--ledger", folder]).json();
        desk.count(&["--ledger", folder]).json();
        let name = origin(folder);
        let digits = name.strip_prefix("tollgate.local/ledger/").unwrap_or_else(|| panic!("{name}"));
        assert!(digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_eq!(desk.run(&["audit", "verify", "--ledger", folder]).code, 0);
    }
    assert_ne!(origin("one"), origin("other"), "witnesses tell logs apart by it");
    desk.count(&["--ledger", "named", "--origin", "example.org/tollgate"]).json();
    desk.count(&["--ledger", "named"]).json();
    assert_eq!(origin("named"), "example.org/tollgate");
    let key = desk.run(&["audit", "key", "--ledger", "named"]).stdout;
    assert!(key.starts_with("example.org/tollgate+"), "{key}");
    let other = desk.count(&["--ledger", "named", "--origin", "example.org/other"]);
    other.fails(2, &["is of origin \"example.org/tollgate\"", "nothing was run", "leave --origin out"]);
    for bad in ["two words", "", "a+b"] {
        let help = "write 1 to 255 bytes without spaces and plus signs, such as `example.org/tollgate`";
        desk.count(&["--ledger", "bad", "--origin", bad]).fails(2, &["for '--origin <NAME>'", help]);
    }
    let scheme = desk.count(&["--ledger", "bad", "--origin", "https://example.org/tollgate"]);
    scheme.fails(2, &["a ledger's name is a URL without its scheme: `example.org/tollgate`"]);
    assert!(!desk.path("bad").exists());

    // One that was run before is not asked again, and needs no ledger.
    fs::remove_dir_all(desk.home().join("cache")).unwrap();
    let install = ["install", "tools/word-count.wasm", "--ledger", "made"];
    let bad = desk.run(&[&install[..], &["--origin", "two words"]].concat());
    bad.fails(2, &["without spaces and plus signs"]);
    assert_eq!(desk.run(&["list", "--json"]).stdout.trim(), "[]", "nothing was installed");
    assert_eq!(desk.run(&[&install[..], &["--origin", "example.org/made"]].concat()).code, 0);
    assert_eq!(origin("made"), "example.org/made", "whatever makes a ledger can name it");
}

#[test]
fn nothing_runs_on_a_damaged_ledger() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let journal = desk.path("ledger/journal");
    let good = fs::read(&journal).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let damages: [(&[u8], &str); 3] =
        [(&flipped, "is corrupt"), (&good[..good.len() / 2], "data lost"), (b"", "data lost")];
    for (damaged, words) in damages {
        fs::write(&journal, damaged).unwrap();
        desk.count(&[]).fails(5, &["the ledger in `ledger` cannot be used", words, "nothing was run", "audit verify"]);
        assert_eq!(fs::read(&journal).unwrap(), damaged);
        let verified = desk.run(&["audit", "verify"]);
        assert_eq!(verified.code, 5);
        assert!(
            verified.stdout.starts_with("DOES NOT VERIFY") && verified.stdout.contains("  problem  "),
            "{verified:?}"
        );
        assert_eq!(desk.run(&["audit", "verify", "--json"]).report()["ok"], false);
    }
    fs::write(&journal, &flipped).unwrap();
    let shown = desk.run(&["audit", "show"]);
    assert_eq!(shown.code, 5);
    assert!(shown.stdout.lines().count() > 1);
    shown.says(&["the ledger in `ledger` is damaged", "is corrupt", "audit verify"]);
    fs::write(&journal, &good).unwrap();
    fs::write(desk.path("ledger/checkpoint"), "nonsense").unwrap();
    desk.count(&[]).fails(5, &["cannot be used", "nothing was run"]);
    assert_eq!(desk.run(&["audit", "verify"]).code, 5);
}

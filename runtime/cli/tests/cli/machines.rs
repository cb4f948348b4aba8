//! Ordinary machines: containers that refuse system calls, foreign layers of Landlock, shells with low limits, a part of a CPU,
//! little memory, another PID namespace, volumes of other users, a cache that cannot be written. It works, or the error says what
//! is in the way, and what to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use rustix::process::Resource;

use crate::around;
use crate::desk::{COUNT, DOCS, Desk, Ran};
use tollgate_testing::foreign::{missing, skipped};
use tollgate_testing::small_group::SmallGroup;

/// A call of word-count, the surroundings of which `change` makes.
fn count(desk: &Desk, change: impl FnOnce(&mut Command)) -> Ran {
    run(desk, &[&COUNT[..], &DOCS].concat(), change)
}

fn run(desk: &Desk, args: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
    let mut command = desk.command(args);
    change(&mut command);
    desk.ran(&command.output().unwrap())
}

#[track_caller]
fn answers(ran: &Ran) {
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.contains("\"files\":2"), "{ran:?}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// No file is moved from one folder to another, so nothing is withheld: full tiles and partial ones, capability sets, the side
/// store, the cache and the key, an installation and its replacement.
#[test]
fn all_works_below_a_foreign_landlock_layer_without_refer() {
    let desk = Desk::with("word-count");
    for number in 0..150 {
        desk.file(&format!("docs/more/{number}.txt"), "to be\n");
    }
    let probe = |desk: &Desk| {
        // The layer does what it is there for: a file is not moved to another folder.
        desk.file("one/file", "");
        fs::create_dir_all(desk.path("other")).unwrap();
        let mut linked = Command::new("ln");
        linked.args(["one/file", "other/linked"]).current_dir(desk.path(""));
        around::without_refer(&mut linked);
        assert!(!linked.status().unwrap().success(), "the layer lets files go from folder to folder");
    };
    probe(&desk);
    let below = |args: &[&str]| run(&desk, args, around::without_refer);
    for _call in 0..3 {
        let ran = below(&[&COUNT[..], &DOCS, &["--grant", "audit:arguments=full"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    }
    for version in ["0.1.0", "0.2.0"] {
        desk.edit("tools/word-count.toml", "0.1.0", version);
        let ran = below(&["install", "tools/word-count.wasm", "--name", "word-count"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    }
    let installed = ["run", "word-count", "--op", "count", "--input", r#"{"folder": "/docs"}"#];
    assert_eq!(below(&[&installed[..], &DOCS].concat()).code, 0);
    assert_eq!(below(&["remove", "word-count"]).code, 0);
    assert!(desk.path("ledger/tile/entries/000").exists(), "no full tile was written");
    let verified = desk.run(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let doctor = below(&["doctor"]);
    assert_eq!(doctor.code, desk.run(&["doctor"]).code, "{doctor:?}");
    assert!(doctor.stdout.contains("yes  notary: sealed"), "{doctor:?}");
}

/// Calls that containers refuse, and where each is needed.
const NEEDED: [(i64, &str); 10] = [
    (libc::SYS_memfd_create, "memfd_create"),
    (libc::SYS_pidfd_open, "pidfd_open"),
    (libc::SYS_pidfd_send_signal, "pidfd_send_signal"),
    (libc::SYS_tee, "tee"),
    (libc::SYS_splice, "splice"),
    (libc::SYS_close_range, "close_range"),
    (libc::SYS_eventfd2, "eventfd2"),
    (libc::SYS_socketpair, "socketpair"),
    (libc::SYS_capset, "capset"),
    (libc::SYS_sigaltstack, "sigaltstack"),
];

#[test]
fn a_refused_system_call_is_named_and_points_to_doctor() {
    let desk = Desk::with("word-count");
    answers(&count(&desk, |_as_it_is| {}));
    let others = [
        (libc::SYS_openat2, "openat2"),
        (libc::SYS_setsid, "setsid"),
        (libc::SYS_flock, "flock"),
        (libc::SYS_seccomp, "seccomp"),
    ];
    for (call, name) in NEEDED.into_iter().chain(others) {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let ran = count(&desk, |command| around::refuse(command, &[call], errno));
            assert_ne!(ran.code, 0, "{name}: {ran:?}");
            assert_eq!(ran.stdout, "", "{name}");
            // A report breaks long lines.
            let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said.contains(name), "{name} by {errno}: {said}");
            assert!(said.contains("`tollgate doctor`"), "{name} by {errno}: {said}");
        }
    }
    // What nothing needs may be refused.
    let unneeded = [libc::SYS_io_uring_setup, libc::SYS_userfaultfd, libc::SYS_process_madvise, libc::SYS_pkey_alloc];
    answers(&count(&desk, |command| around::refuse(command, &unneeded, libc::EPERM)));
}

#[test]
fn doctor_finds_each_refused_system_call_and_says_what_it_is_for() {
    let desk = Desk::new();
    for (call, name) in NEEDED {
        let ran = run(&desk, &["doctor"], |command| around::refuse(command, &[call], libc::EPERM));
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        let line = ran.stdout.lines().find(|line| line.starts_with("  no   ") && line.contains(name));
        let line = line.unwrap_or_else(|| panic!("no line for {name}:\n{}", ran.stdout));
        assert!(line.contains("let the filter around this process allow"), "{line}");
        assert!(ran.stdout.contains("no tool runs here"), "{name}: {}", ran.stdout);
    }
    // What is found in the processes themselves alone: they are started and sealed.
    let ran = run(&desk, &["doctor"], |command| around::refuse(command, &[libc::SYS_setsid], libc::EPERM));
    assert_eq!(ran.code, 2, "{ran:?}");
    let found = ran.stdout.lines().find(|line| line.starts_with("  no   ") && line.contains("setsid"));
    assert!(found.is_some(), "{}", ran.stdout);
}

#[test]
fn doctor_starts_every_process_of_a_call_and_leaves_nothing() {
    let desk = Desk::new();
    let temporary = desk.path("temporary");
    fs::create_dir(&temporary).unwrap();
    let here = run(&desk, &["doctor", "--json"], |command| {
        command.env("TMPDIR", &temporary);
    })
    .json();
    let processes = here["processes"].as_array().unwrap();
    let names: Vec<_> = processes.iter().map(|process| process["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["compiler", "notary", "worker"]);
    assert!(processes.iter().all(|process| process["works"] == true), "{here}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "it leaves files");
    assert!(!desk.path("ledger").exists() && !desk.path("tollgate-home").exists());
}

#[test]
fn a_pid_namespace_is_no_hindrance_with_its_own_proc_or_the_outer_one() {
    let desk = Desk::with("word-count");
    for options in [&["--pid", "--fork"][..], &["--pid", "--fork", "--mount-proc"]] {
        for (args, shows) in [(&[&COUNT[..], &DOCS].concat()[..], "\"files\":2"), (&["doctor"], "yes  worker: sealed")]
        {
            let command = desk.command(args);
            let Some(mut command) = around::in_pid_namespace(options, &command) else { return };
            let ran = desk.ran(&command.output().unwrap());
            assert!(ran.stdout.contains(shows), "{options:?}: {ran:?}");
        }
    }
    // Without --fork the program itself is outside, and what it starts inside.
    let command = desk.command(&["doctor"]);
    let Some(mut command) = around::in_pid_namespace(&["--pid"], &command) else { return };
    let ran = desk.ran(&command.output().unwrap());
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stdout.contains("unshare --pid --fork"), "{ran:?}");
}

#[test]
fn a_low_limit_of_the_shell_is_named_with_its_value() {
    let desk = Desk::with("word-count");
    answers(&count(&desk, |_as_it_is| {}));
    for (resource, value, words) in [
        (Resource::As, 20_000 << 20, ["RLIMIT_AS (`ulimit -v`) is 20000 MiB", "the engine reserves"]),
        (Resource::Data, 64 << 20, ["RLIMIT_DATA (`ulimit -d`) is 64 MiB", ""]),
        (Resource::Nofile, 8, ["RLIMIT_NOFILE (`ulimit -n`) is 8", ""]),
        (Resource::Nofile, 16, ["RLIMIT_NOFILE (`ulimit -n`) is 16", ""]),
        (Resource::Fsize, 0, ["RLIMIT_FSIZE", "(`ulimit -f`) is 0"]),
        (Resource::Fsize, 50 << 10, ["RLIMIT_FSIZE", "(`ulimit -f`) is 51200"]),
    ] {
        let ran = count(&desk, |command| around::limit(command, resource, value));
        assert_ne!(ran.code, 0, "{resource:?} {value}: {ran:?}");
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(said.contains(word), "{resource:?} {value}: no {word:?} in {said}");
        }
        let doctor = run(&desk, &["doctor"], |command| around::limit(command, resource, value));
        assert!(doctor.stdout.contains("what the shell and the container leave"), "{resource:?} {value}: {doctor:?}");
    }
}

/// However few there are: a process that has no room for its standard streams is ended by Rust's runtime without a word.
#[test]
fn any_number_of_files_that_is_too_low_is_named() {
    let desk = Desk::with("word-count");
    answers(&count(&desk, |_as_it_is| {}));
    for files in 6..20 {
        let ran = count(&desk, |command| around::limit(command, Resource::Nofile, files));
        assert_ne!(ran.code, 0, "{files}: {ran:?}");
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let error = said.split_once("error: ").unwrap_or_else(|| panic!("{files}: {said}")).1;
        assert!(error.contains("(`ulimit -n`)"), "{files}: {said}");
    }
}

/// The first thread of a process would run out of its stack without a word but Rust's own.
#[test]
fn a_stack_that_is_too_small_is_named_before_it_runs_out() {
    let desk = Desk::with("word-count");
    let mut command = desk.command(&[&COUNT[..], &DOCS].concat());
    around::limit(&mut command, Resource::Stack, 64 << 10);
    let ran = desk.ran(&command.output().unwrap());
    ran.fails(
        2,
        &["error: RLIMIT_STACK (`ulimit -s`) is 65536 bytes, and 1 MiB may be needed", "help: nothing was done"],
    );
    assert!(!desk.path("ledger").exists());
    let least = count(&desk, |command| around::limit(command, Resource::Stack, 128 << 10));
    assert_eq!(least.code, 0, "what is taken is enough: {least:?}");
    let below = count(&desk, |command| around::limit(command, Resource::Stack, (128 << 10) - 1));
    below.fails(2, &["help: nothing was done"]);
    let ran = count(&desk, |command| around::limit(command, Resource::Stack, 512 << 10));
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.says(&["warning: RLIMIT_STACK (`ulimit -s`) is 524288 bytes, and 1 MiB may be needed"]);
}

#[test]
fn a_process_that_no_other_may_stand_beside_names_the_limit_on_processes() {
    if !is_root() {
        return skipped("only root can become a user that has no process yet");
    }
    let desk = Desk::with("word-count");
    let open = |path: &std::path::Path| fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    open(&desk.path(""));
    // The program's own folder may be closed to other users: a copy of it is not.
    fs::copy(env!("CARGO_BIN_EXE_tollgate"), desk.path("tollgate")).unwrap();
    open(&desk.path("tollgate"));
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups", "prlimit", "--nproc=1:1"]);
    command.arg(desk.path("tollgate")).args([&COUNT[..], &DOCS].concat()).current_dir(desk.path(""));
    command.env("TOLLGATE_LEDGER", "ledger").env("TOLLGATE_HOME", desk.path("tollgate-home"));
    let Ok(output) = command.output() else { return missing("setpriv(1)", "apt.log") };
    let ran = desk.ran(&output);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("RLIMIT_NPROC (`ulimit -u`) is 1"), "{ran:?}");
}

/// A limit that is lower than a worker's own holds in its place, which is said before anything runs.
#[test]
fn a_limit_that_is_lower_than_a_workers_is_said_at_the_start() {
    let desk = Desk::with("word-count");
    let args = [&COUNT[..], &DOCS, &["--grant", "limit:handles=1000"]].concat();
    let ran = run(&desk, &args, |command| around::limit(command, Resource::Nofile, 200));
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.says(&["warning: RLIMIT_NOFILE (`ulimit -n`) is 200, and", "the lower limit holds"]);
    let inspect = [&["inspect", "tools/word-count.wasm"], &DOCS[..], &["--grant", "limit:handles=1000"]].concat();
    let ran = run(&desk, &inspect, |command| around::limit(command, Resource::Nofile, 200));
    assert!(ran.stdout.contains("this machine will not give it"), "{ran:?}");
    assert!(ran.stdout.contains("RLIMIT_NOFILE (`ulimit -n`) is 200"), "{ran:?}");
}

/// A component whose compilation takes some seconds of CPU time, and some hundred megabytes.
fn heavy(desk: &Desk) {
    let mut text = "(component (core module".to_owned();
    for _function in 0..40_000 {
        text.push_str("(func (param i32) (result i32) local.get 0");
        for number in 0..20 {
            text.push_str(&format!(" i32.const {number} i32.mul local.get 0 i32.xor"));
        }
        text.push(')');
    }
    text.push_str("))");
    desk.file("tools/heavy.wasm", wat::parse_str(text).unwrap());
}

#[test]
fn with_a_fifth_of_a_cpu_a_tool_is_installed_and_the_clock_is_blamed_with_the_throttling() {
    let Some(group) = SmallGroup::of_cpu("cpu", 200) else { return };
    let desk = Desk::with("word-count");
    let ran = run(&desk, &["install", "tools/word-count.wasm"], |command| group.hold(command));
    assert_eq!(ran.code, 0, "{ran:?}");
    answers(&count(&desk, |command| group.hold(command)));
    heavy(&desk);
    desk.file("tollgate.toml", "[compile]\ntime = \"1s\"\n");
    let ran = run(&desk, &["run", "tools/heavy.wasm"], |command| group.hold(command));
    ran.fails(2, &["longer than 1 s by the clock (`compile.time`)", "0.200 CPU (cgroup cpu.max)", "were held back"]);
    ran.says(&["(nr_throttled)", "give this process more CPU, or more time", "[compile] in tollgate.toml"]);
    assert!(!ran.stderr.contains("author"), "{ran:?}");
    let doctor = run(&desk, &["doctor"], |command| group.hold(command));
    assert!(doctor.stdout.contains("  low  this process and those beside it have 0.200 CPU"), "{doctor:?}");
}

#[test]
fn a_component_that_takes_too_much_cpu_time_is_stopped_by_it_whatever_the_clock_says() {
    let desk = Desk::new();
    heavy(&desk);
    desk.file("tollgate.toml", "[compile]\ncpu = \"1s\"\n");
    let ran = desk.run(&["run", "tools/heavy.wasm"]);
    ran.fails(2, &["more than 1 s of CPU time (`compile.cpu`)", "`cpu` under [compile] in tollgate.toml"]);
}

/// `ulimit -t` kills without a word.
#[test]
fn a_limit_of_the_shell_that_ends_a_tool_or_its_compiler_is_named_and_not_the_author() {
    let desk = Desk::with("spin");
    let ends = |args: &[&str], (resource, value, named): (Resource, u64, &str), code: i32, words: &[&str]| {
        let ran = run(&desk, args, |command| around::limit(command, resource, value));
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
        // A report breaks long lines.
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words.iter().chain([&named]) {
            assert!(said.contains(word), "no {word:?} in {said}");
        }
        assert!(!said.contains("author") && !said.contains("[compile]"), "{said}");
    };
    // Its manifest gives it a second by the clock.
    fs::remove_file(desk.path("tools/spin.toml")).unwrap();
    let fuel = "limit:fuel=10000000000000";
    let spin = ["run", "tools/spin.wasm", "--grant", fuel, "--grant", "limit:deadline=60s"];
    let second = (Resource::Cpu, 1, "RLIMIT_CPU (`ulimit -t`) is 1 s");
    ends(&spin, second, 5, &["the tool's worker ended during the call: signal: 9 (SIGKILL): the limit"]);
    heavy(&desk);
    let compile = ["run", "tools/heavy.wasm"];
    ends(&compile, second, 2, &["more than 1 s of CPU time", "raise this limit (`ulimit -t`)"]);
    let little = (Resource::Data, 200 << 20, "RLIMIT_DATA (`ulimit -d`) is 200 MiB");
    ends(
        &compile,
        little,
        2,
        &["more memory than a limit of the shell or the container leaves", "raise the limit on memory"],
    );
}

#[test]
fn a_container_with_too_little_memory_is_named_and_not_the_author() {
    let Some(group) = SmallGroup::of_memory("memory", 60 << 20) else { return };
    let desk = Desk::with("word-count");
    heavy(&desk);
    let ran = run(&desk, &["run", "tools/heavy.wasm"], |command| group.hold(command));
    ran.fails(2, &["the kernel killed the compiler for want of memory", "60 MiB of memory (cgroup memory.max)"]);
    ran.says(&["were killed for want of it (oom_kill)", "give this container more memory"]);
    assert!(!ran.stderr.contains("author"), "{ran:?}");
    let Some(group) = SmallGroup::of_memory("enough", 200 << 20) else { return };
    answers(&count(&desk, |command| group.hold(command)));
}

#[test]
fn a_cache_that_cannot_be_written_is_said_once() {
    let desk = Desk::with("word-count");
    answers(&desk.count(&[]));
    let cache = desk.home().join("cache");
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "no folder").unwrap();
    let ran = desk.count(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let warning = "warning: what is compiled is not kept, so that each call compiles again: `FOLDER/tollgate-home/cache` cannot be \
                   written: ";
    ran.says(&[warning, "set TOLLGATE_HOME"]);
    assert_eq!(ran.stderr.lines().count(), 1, "once, though it is compiled and then asked: {ran:?}");

    // A key that cannot be made leaves no cache either.
    let homeless = run(&desk, &[&COUNT[..], &DOCS].concat(), |command| {
        command.env("TOLLGATE_HOME", "/proc/nowhere");
    });
    assert_eq!(homeless.code, 0, "{homeless:?}");
    homeless.says(&["warning: what is compiled is not kept", "`/proc/nowhere/artifact.key`"]);
    assert_eq!(homeless.stderr.lines().count(), 1, "{homeless:?}");
}

/// Neither hard links nor renames that replace nothing are needed to make the key of compiled tools.
#[test]
fn a_key_is_made_where_nothing_can_be_linked() {
    for calls in [&[libc::SYS_linkat][..], &[libc::SYS_linkat, libc::SYS_renameat2]] {
        for errno in [libc::EPERM, libc::ENOSYS] {
            let desk = Desk::with("word-count");
            answers(&count(&desk, |command| around::refuse(command, calls, errno)));
            let names: Vec<_> = fs::read_dir(desk.home()).unwrap().map(|file| file.unwrap().file_name()).collect();
            assert_eq!(names.len(), 2, "the key and the cache, and nothing is left over: {names:?}");
            // It is a key: what was compiled is found again.
            let compiled = fs::read_dir(desk.home().join("cache")).unwrap().count();
            answers(&desk.count(&[]));
            assert_eq!(fs::read_dir(desk.home().join("cache")).unwrap().count(), compiled);
        }
    }
}

/// Root's capabilities do not reach a worker: a volume of another user is closed to it by its modes.
#[test]
fn what_is_granted_and_out_of_the_workers_reach_is_said_by_inspect_check_and_start() {
    if !is_root() {
        return skipped("only root can give a folder away");
    }
    let desk = Desk::with("word-count");
    let (volume, file) = (desk.path("docs"), desk.path("docs/a.txt"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    for (path, mode) in [(&file, 0o600), (&volume, 0o711)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        chown(path, Some(1000), Some(1000)).unwrap();
    }
    let lacking = "the tool's process will not be able to list in `FOLDER/docs`: Permission denied (os error 13); it runs as \
                   user 0 without capabilities";
    let inspect = desk.run(&[&["inspect", "tools/word-count.wasm"], &DOCS[..]].concat());
    assert!(inspect.stdout.contains(lacking), "{inspect:?}");
    assert!(inspect.stdout.contains("this is user 1000's, with mode 711"), "{inspect:?}");
    let inspect = desk.run(&[&["inspect", "tools/word-count.wasm", "--json"], &DOCS[..]].concat()).json();
    assert!(inspect["granted_out_of_reach"][0].as_str().unwrap().contains("will not be able to list"), "{inspect}");

    let check = [&["check", "tools/word-count.toml"], &DOCS[..], &["read", "/docs/a.txt"]].concat();
    let check = desk.run(&check);
    assert!(check.stdout.starts_with("allowed\n"), "{check:?}");
    assert!(
        check.stdout.contains("  but       the tool's process will not be able to read in `FOLDER/docs/a.txt`"),
        "{check:?}"
    );
    assert!(check.stdout.contains("this is user 1000's, with mode 600"), "{check:?}");

    let ran = desk.count(&[]);
    ran.says(&[&format!("warning: {lacking}")]);
    assert_ne!(ran.code, 0, "the kernel refuses what was said to be refused: {ran:?}");
    // Its own volume is as before.
    for path in [&file, &volume] {
        chown(path, Some(0), Some(0)).unwrap();
    }
    answers(&desk.count(&[]));
}

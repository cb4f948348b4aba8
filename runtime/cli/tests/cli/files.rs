//! Bad arguments and bad files: each is refused with what happened, where, and what to do; nothing is called.

use std::process::Stdio;
use std::time::{Duration, Instant};

use expect_test::expect;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::desk::{COUNT, DOCS, Desk, Ran};
use tollgate_testing::foreign::missing;

/// Runs word-count, and asserts that it was refused before anything was called.
#[track_caller]
fn refused(desk: &Desk, more: &[&str], words: &[&str]) -> String {
    let ran = desk.run(&[&COUNT[..], more].concat());
    ran.fails(2, words);
    assert!(desk.called().is_empty());
    ran.stderr
}

#[test]
fn unknown_flags_and_commands_get_a_suggestion() {
    let desk = Desk::new();
    desk.run(&["run", "--grnat", "x", "a.wasm"]).fails(2, &["--grnat", "--grant"]);
    desk.run(&["inspct"]).fails(2, &["inspct", "'inspect'"]);
    desk.run(&["run"]).fails(2, &["<TOOL>", "Usage:"]);
    desk.run::<&str>(&[]).fails(2, &["Usage:", "Exit codes"]);
    assert_eq!(desk.run(&["run", "--help"]).code, 0);
    let version = desk.run(&["--version"]);
    assert_eq!((version.code, version.stdout.starts_with("tollgate 0.")), (0, true));
}

#[test]
fn files_that_are_no_component_are_told_apart() {
    let desk = Desk::with("word-count");
    let component = std::fs::read(desk.path("tools/word-count.wasm")).unwrap();
    let core = wat::parse_str("(module)").unwrap();
    let import = "(component (import \"acme:rockets/launch@1.0.0\" (instance (export \"go\" (func)))))";
    let cases: [(&[u8], &[&str]); 7] = [
        (b"hello, I am text", &["is not WebAssembly", "wasm32-wasip2"]),
        (b"", &["is not WebAssembly"]),
        (&core, &["core WebAssembly module, not a component", "wasm-tools component new"]),
        (&component[..component.len() / 2], &["damaged", "copied whole"]),
        (b"\0asm\x0e\0\x01\0", &["unknown version"]),
        (&wat::parse_str(import).unwrap(), &["does not have: acme:rockets/launch@1.0.0", "tollgate inspect"]),
        (&wat::parse_str("(component)").unwrap(), &["exports no `tollgate:tool/tool@0.1.0`", "tollgate-guest"]),
    ];
    for (bytes, words) in cases {
        desk.file("tools/word-count.wasm", bytes);
        let text = refused(&desk, &DOCS, words);
        assert!(text.starts_with("error: `tools/word-count.wasm` cannot be used as a tool: "), "{text}");
    }
    let inspected = desk.run(&["inspect", "tools/word-count.wasm", DOCS[0], DOCS[1]]);
    assert_eq!(inspected.code, 2, "{inspected:?}");
    assert!(inspected.stdout.contains("no tool: it will not run:\n"), "{inspected:?}");
    desk.file("tools/word-count.wasm", wat::parse_str(import).unwrap());
    let inspected = desk.run(&["inspect", "tools/word-count.wasm", DOCS[0], DOCS[1]]);
    assert_eq!(inspected.code, 2);
    assert!(inspected.stdout.contains("the tool will not load:\n  acme:rockets/launch@1.0.0"), "{inspected:?}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let desk = Desk::with("word-count");
    desk.run(&["run", "nothing.wasm"]).fails(2, &["cannot read `nothing.wasm`", "No such file", "component"]);
    // A folder cannot be read as a file, not even by root.
    desk.run(&["run", "./docs"]).fails(2, &["cannot read `./docs`", "Is a directory"]);
    refused(&desk, &["--manifest", "nothing.toml"], &["cannot read `nothing.toml`", "--manifest"]);
    refused(&desk, &["--policy", "nothing.toml"], &["cannot read `nothing.toml`", "--policy"]);
    desk.file("latin1.toml", b"[tool]\nname = \"\xe4\"\n");
    refused(&desk, &["--manifest", "latin1.toml"], &["`latin1.toml` is not UTF-8 text", "UTF-8"]);
}

#[test]
fn manifests_are_refused_with_line_column_and_the_nearest_key() {
    let desk = Desk::with("word-count");
    desk.edit("tools/word-count.toml", "memory = ", "memroy = ");
    let text = refused(&desk, &DOCS, &["did you mean `memory`?"]);
    expect![[r#"
        error: unknown key `memroy`
            ╭─[tools/word-count.toml:19:1]
         18 │ [limits]
         19 │ memroy = "32MiB"
            · ───┬──
            ·    ╰── no such key here
         20 │ fuel = 2_000_000_000
            ╰────
          help: did you mean `memory`? Known keys here: `memory`, `fuel`, `deadline`, `input`, `output`, `stdio`, `handles`, `random`, `host_memory`, `calls`, `records`, `record_bytes`
    "#]]
    .assert_eq(&text);
    desk.edit("tools/word-count.toml", "memroy = \"32MiB\"", "memory = \"32MB of it\"");
    refused(&desk, &DOCS, &["32MB of it", "tools/word-count.toml:19:10", "16MiB"]);
    desk.place("word-count");
    desk.edit("tools/word-count.toml", "\"count-file\"", "\"count\"");
    refused(&desk, &DOCS, &["`count`", "tools/word-count.toml:11:8", "help: "]);
}

#[test]
fn manifest_and_component_must_agree_about_operations() {
    let desk = Desk::with("word-count");
    desk.edit("tools/word-count.toml", "\"count-file\"", "\"count-words\"");
    refused(&desk, &DOCS, &["only in the manifest: [count-words]", "only in the component: [count-file]"]);
}

#[test]
fn arguments_must_match_the_schema() {
    let desk = Desk::with("word-count");
    let run = |input: &str| {
        let ran = desk.run(&["run", "tools/word-count.wasm", "--op", "count", DOCS[0], DOCS[1], "--input", input]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_eq!(desk.entries().last().unwrap()["class"], "rejected");
        // The call's id is another one each time.
        let (text, call) = ran.stderr.rsplit_once("  call      ").unwrap();
        assert_eq!(call.len(), 33, "{call}");
        text.to_owned()
    };
    expect![[r#"
        error: the arguments do not match the schema of `count`; the tool was not called
          at `/folder`: 3 is not of type "string"
          at `/top`: "x" is not of type "integer"
    "#]]
    .assert_eq(&run(r#"{"folder": 3, "top": "x"}"#));
    assert!(run("{}").contains("at the arguments: \"folder\" is a required property"));
    assert!(run(r#"{"folder": "#).contains("not JSON: EOF while parsing a value at line 1 column 11"));
    let long = format!("{{\"folder\": \"{}\"}}", "x".repeat(2 << 20));
    desk.file("long.json", long);
    let ran = desk.run(&["run", "tools/word-count.wasm", "--op", "count", DOCS[0], DOCS[1], "--input", "@long.json"]);
    ran.fails(4, &["`limits.input` is 1MiB", "limit:input"]);
    assert_eq!(desk.entries().last().unwrap()["cap"], "input");
}

#[test]
fn a_need_without_a_grant_prints_the_lines_to_add() {
    let desk = Desk::with("word-count");
    let text = refused(&desk, &[], &[]);
    expect![[r#"
        error: the tool `word-count` needs what nothing grants: the folder /docs (read,list)
          help: add to tollgate.toml, in the tables that are there already:

                [tools.word-count]
                fs."/docs" = { host = "PATH", access = ["read", "list"] }

                or on the command line:

                --grant 'fs:/docs=PATH:read,list'
    "#]]
    .assert_eq(&text);
    // The lines are there to be copied, however long they are.
    desk.edit("tools/word-count.toml", "\"list\"", "\"write\", \"create\", \"delete\", \"list\", \"metadata\"");
    let rights = r#"access = ["read", "write", "create", "delete", "list", "metadata"] }"#;
    refused(&desk, &[], &[&format!("fs.\"/docs\" = {{ host = \"PATH\", {rights}\n")]);
}

#[test]
fn folders_that_cannot_be_granted_are_refused() {
    let desk = Desk::with("word-count");
    let grant = |host: &str| format!("fs:/docs={host}:read,list");
    refused(&desk, &["--grant", &grant("nothing")], &["`FOLDER/nothing`, which cannot be used", "create the folder"]);
    refused(
        &desk,
        &["--grant", &grant("docs/a.txt")],
        &["which is not a folder", "grant the folder that the file is in"],
    );
    refused(&desk, &["--grant", &grant("/")], &["root of the host", "grant the folder that the tool needs"]);
    refused(&desk, &["--grant", &grant("/proc/self")], &["/proc", "the kernel's"]);
    std::os::unix::fs::symlink("/", desk.path("root")).unwrap();
    refused(&desk, &["--grant", &grant("root")], &["root of the host"]);
    refused(&desk, &["--grant", "fs:/docs"], &["accepted form", "fs:GUEST=HOST:ACCESS"]);
    refused(&desk, &["--grant", "fs:/docs=docs:raed"], &["raed", "did you mean `read`?"]);
    refused(&desk, &["--grant", "file:/docs=docs:read"], &["file:/docs", "accepted:", "limit:CAP=VALUE"]);
}

#[test]
fn policies_are_refused_where_they_are_wrong() {
    let desk = Desk::with("word-count");
    let policy =
        |host: &str| format!("[tools.word-count]\nfs.\"/docs\" = {{ host = \"{host}\", access = [\"read\"] }}\n");
    desk.file("tollgate.toml", policy("${workspce}/x"));
    refused(&desk, &[], &["unknown variable `workspce`", "tollgate.toml:2:", "[variables]"]);
    desk.file("tollgate.toml", policy("/"));
    refused(&desk, &[], &["root of the host", "tollgate.toml:2:"]);
    desk.file("tollgate.toml", policy("docs").replace("tools.", "tool."));
    refused(&desk, &[], &["unknown key `tool`", "did you mean `tools`?", "tollgate.toml:1:"]);
    desk.file("tollgate.toml", "[tools.word-count\n");
    refused(&desk, &[], &["not TOML", "tollgate.toml:1:"]);
}

#[test]
fn completions_are_scripts() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = desk.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains("tollgate") && ran.stdout.contains("on-violation"), "{shell}");
    }
    desk.run(&["completions", "cmd"]).fails(2, &["cmd", "bash"]);
}

#[test]
fn completions_are_sourced_and_complete() {
    if std::process::Command::new("bash").arg("--version").output().is_err() {
        return missing("bash, which completes,", "apt.log");
    }
    let desk = Desk::new();
    let script = desk.file("completions", desk.run(&["completions", "bash"]).stdout);
    let ask = format!(
        ". '{}' && COMP_WORDS=(tollgate aud) COMP_CWORD=1 && _tollgate tollgate aud tollgate && echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let completed = std::process::Command::new("bash").args(["--norc", "-euc", &ask]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "audit\n", "{completed:?}");
}

#[test]
fn manual_pages_are_of_all_commands_and_sound() {
    let desk = Desk::new();
    let page = desk.run(&["man"]);
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    assert!(page.stdout.contains(".TH tollgate 1") && page.stdout.contains("tollgate\\-run"), "{}", page.stdout);
    std::fs::create_dir(desk.path("man1")).unwrap();
    let written = desk.run(&["man", "--dir", "man1"]);
    assert_eq!((written.code, written.stdout.as_str(), written.stderr.as_str()), (0, "", ""));
    let mut pages: Vec<_> = std::fs::read_dir(desk.path("man1")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in
        ["tollgate.1", "tollgate-run.1", "tollgate-audit-verify.1", "tollgate-serve-token-add.1", "tollgate-man.1"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    for hidden in ["worker", "gateway", "notary", "compile"] {
        assert!(!names.contains(&format!("tollgate-{hidden}.1").as_str()), "{hidden}");
    }
    desk.run(&["man", "--dir", "nowhere"]).fails(2, &["cannot be written into `nowhere`"]);
    if std::process::Command::new("groff").arg("--version").output().is_err() {
        return missing("groff, which reads manual pages,", "apt.log");
    }
    for page in pages {
        let read = std::process::Command::new("groff")
            .args(["-man", "-ww", "-Kutf8", "-Tutf8", "-z"])
            .arg(&page)
            .output()
            .unwrap();
        assert!(read.status.success() && read.stderr.is_empty(), "{}: {read:?}", page.display());
    }
}

/// Before, each of these waited for ever for somebody to write.
#[test]
fn a_fifo_is_refused_wherever_a_file_is_named_and_never_waited_for() {
    let desk = Desk::with("word-count");
    mknodat(CWD, desk.path("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::os::unix::fs::symlink("fifo", desk.path("link")).unwrap();
    std::fs::copy(desk.path("tools/word-count.wasm"), desk.path("bare.wasm")).unwrap();
    assert_eq!(desk.count(&[]).code, 0);
    let before = desk.called().len();
    let run = ["run", "tools/word-count.wasm", "--op", "count", DOCS[0], DOCS[1]];
    let named = |more: &[&'static str]| [&run[..], more].concat();
    let input = ["--input", "{}"];
    for args in [
        named(&["--input", "@fifo"]),
        named(&["--input", "@link"]),
        named(&[&input[..], &["--manifest", "fifo"]].concat()),
        named(&[&input[..], &["--policy", "fifo"]].concat()),
        vec!["run", "bare.wasm", "--grant", "stdio=stdin", "--stdin", "fifo"],
        vec!["run", "./fifo", "--input", "{}"],
        vec!["inspect", "./fifo"],
        vec!["inspect", "./link"],
        vec!["install", "fifo"],
        vec!["audit", "verify", "--key", "@fifo"],
        vec!["audit", "receipt", "verify", "fifo", "--key", "@fifo"],
        vec!["audit", "consistency", "fifo", "ledger", "--key", "@fifo"],
    ] {
        let ran = ends(&desk, &args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains("it is not a regular file"), "{args:?}: {ran:?}");
    }
    assert_eq!(desk.called().len(), before, "nothing was called");
}

/// Runs the program; one that waits for ever is a failure.
#[track_caller]
fn ends(desk: &Desk, args: &[&str]) -> Ran {
    let mut command = desk.command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("{args:?}: it waits for ever");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    desk.ran(&child.wait_with_output().unwrap())
}

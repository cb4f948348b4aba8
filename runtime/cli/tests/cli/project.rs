//! `tollgate new`, `build` and `dev`: from an empty folder to a tool that runs, and what is said on the way if something is amiss.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::console::offline;
use crate::desk::{Background, Desk, Ran};

const GREET: [&str; 4] = ["--op", "greet", "--input", r#"{"name": "Ada"}"#];

/// The program in a project's folder. What Rust needs from elsewhere was fetched when this workspace was built.
fn command(desk: &Desk, folder: &str, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    command.current_dir(desk.path(folder));
    command.env("TOLLGATE_LEDGER", desk.path("ledger"));
    offline(&mut command);
    command
}

fn run(desk: &Desk, folder: &str, args: &[&str]) -> Ran {
    desk.ran(&command(desk, folder, args).output().unwrap())
}

/// A project in the folder `hello`. Its package has a name of its own: cargo takes two of one name for one, in the folder that
/// the tests share.
fn made(name: &str) -> Desk {
    let desk = Desk::new();
    let made = desk.run(&["new", name]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""), "{made:?}");
    let next = format!("  cd {name} && tollgate dev --op greet --input '{{\"name\": \"Ada\"}}'\n");
    assert_eq!(made.stdout, format!("made {name}: a Rust tool\n  build and run it, again on each change\n{next}"));
    fs::rename(desk.path(name), desk.path("hello")).unwrap();
    desk.edit("hello/Cargo.toml", &format!("name = \"{name}\""), &format!("name = \"{name}-package\""));
    desk.edit("hello/tool.toml", &format!("name = \"{name}\""), "name = \"hello\"");
    desk
}

fn built(name: &str) -> Desk {
    let desk = made(name);
    let built = run(&desk, "hello", &["build"]);
    assert_eq!(built.code, 0, "{built:?}");
    desk
}

#[test]
fn a_new_project_runs_with_the_command_that_is_printed_and_passes_its_tests() {
    let desk = made("fresh");
    let ran = run(&desk, "hello", &[&["dev", "--once"][..], &GREET].concat());
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"greeting\":\"Hello, Ada!\"}\n"), "{ran:?}");
    ran.says(&["[dev] built hello.wasm (hello 0.1.0, ", " KiB, sha256:"]);
    let mut cargo = Command::new(env!("CARGO"));
    offline(cargo.args(["test", "--quiet"]).current_dir(desk.path("hello")));
    let tested = cargo.output().unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    assert!(String::from_utf8_lossy(&tested.stdout).contains("1 passed"), "{tested:?}");
    let again = desk.run(&["new", "hello"]);
    again.fails(2, &["`hello` is there already", "nothing was written"]);
}

#[test]
fn what_agents_are_shown_is_the_functions_own() {
    let desk = built("shown");
    let wrong = run(&desk, "hello", &["run", "hello.wasm", "--input", r#"{"name": "Ada", "titel": "Dr"}"#]);
    wrong.fails(2, &["titel"]);
    let refused = run(&desk, "hello", &["run", "hello.wasm", "--input", r#"{"name": ""}"#]);
    refused.fails(1, &["give a name to greet [no-name]"]);
    let shown = run(&desk, "hello", &["run", "hello.wasm", "--input", r#"{"name": "Ada"}"#, "--json"]).json();
    assert_eq!(shown["output"]["greeting"], "Hello, Ada!");
}

/// Not only when somebody runs it: an agent is shown all of it.
#[test]
fn too_many_operations_and_too_long_schemas_are_noticed_when_a_tool_is_built() {
    let desk = made("too-much");
    let more: String = (0..64)
        .map(|number| format!("/// One.\n#[tool]\nfn more_{number}() -> Result<u32, Error> {{ Ok({number}) }}\n"))
        .collect();
    let source = fs::read_to_string(desk.path("hello/src/lib.rs")).unwrap();
    desk.file("hello/src/lib.rs", source.replace("#[cfg(test)]", &format!("{more}\n#[cfg(test)]")));
    let ran = run(&desk, "hello", &["build"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    ran.says(&["says too much of its operations: 65 operations; the maximum is 64"]);
    assert!(!desk.path("hello/hello.wasm").exists());
    assert!(!desk.path("ledger").exists(), "the record of the build is nobody's");
    let long = source.replace("/// Who is greeted.", &format!("/// {}", "x".repeat(66_000)));
    desk.file("hello/src/lib.rs", long);
    let ran = run(&desk, "hello", &["build"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    ran.says(&["the input schema of `greet` has 66", " bytes; the maximum is 65536"]);
    // In the manifest too.
    let listed: String = (0..65).map(|number| format!("[[operations]]\nname = \"more-{number}\"\n")).collect();
    desk.edit("hello/tool.toml", "[limits]", &format!("{listed}[limits]"));
    run(&desk, "hello", &["build"]).fails(2, &["66", "64"]);
}

#[test]
fn needs_and_imports_are_compared() {
    let desk = made("compared");
    desk.edit(
        "hello/tool.toml",
        "[limits]",
        "[needs]\nclocks.wall = \"real\"\ncontext = true\n\n[limits]\noutput = \"64MiB\"",
    );
    desk.edit("hello/src/lib.rs", "if name.is_empty()", "if name.is_empty() || std::fs::read(&name).is_ok()");
    let built = run(&desk, "hello", &["build"]);
    assert_eq!(built.code, 0, "{built:?}");
    let line = |start: &str| built.stdout.lines().find(|line| line.trim_start().starts_with(start)).unwrap().to_owned();
    assert!(line("declared, not imported").contains("clocks.wall, context: "), "{built:?}");
    assert!(line("imported, not declared").contains("fs"), "{built:?}");
    let above = "limits.output = 64MiB: the default holds until the policy grants more";
    assert!(line("above the default").ends_with(above), "{built:?}");
    let json = desk.ran(&command(&desk, "hello", &["build", "--json"]).stderr(Stdio::null()).output().unwrap()).json();
    assert_eq!(json["above_default_limits"], serde_json::json!(["limits.output = 64MiB"]));
    assert_eq!(json["declared_not_imported"], serde_json::json!(["clocks.wall", "context"]));
    assert!(json["imported_not_declared"].as_array().unwrap().contains(&"fs".into()), "{json}");
    assert_eq!(json["bytes"], fs::metadata(desk.path("hello/hello.wasm")).unwrap().len());
}

#[test]
fn a_component_brings_its_manifest_wherever_it_goes() {
    let desk = built("carried");
    fs::create_dir(desk.path("elsewhere")).unwrap();
    fs::copy(desk.path("hello/hello.wasm"), desk.path("elsewhere/hello.wasm")).unwrap();
    let hello = [&["run", "hello.wasm"][..], &GREET].concat();
    let ran = run(&desk, "elsewhere", &hello);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"greeting\":\"Hello, Ada!\"}\n"), "{ran:?}");
    let installed = run(&desk, "elsewhere", &["install", "hello.wasm"]);
    assert!(installed.stdout.starts_with("installed hello 0.1.0 "), "{installed:?}");
    let manifest = desk.stored("hello").manifest;
    assert_eq!(fs::read_to_string(manifest).unwrap(), fs::read_to_string(desk.path("hello/tool.toml")).unwrap());
    // Which of two manifests was reviewed cannot be told.
    desk.file(
        "elsewhere/tool.toml",
        fs::read_to_string(desk.path("hello/tool.toml")).unwrap().replace("hello", "other"),
    );
    let refused = run(&desk, "elsewhere", &hello);
    refused.fails(2, &["brings the manifest of a tool `hello`", "`tool.toml` beside it is that of a tool `other`"]);
}

#[test]
fn a_manifest_beside_that_differs_is_an_error_and_not_a_guess() {
    let desk = built("beside");
    let before = desk.called();
    desk.edit("hello/tool.toml", "deadline = \"2s\"", "deadline = \"1s\"");
    let hello = [&["run", "hello.wasm"][..], &GREET].concat();
    let words = ["`hello.wasm` brings a manifest, and `tool.toml` beside it says something else", "tollgate build"];
    run(&desk, "hello", &hello).fails(2, &words);
    assert_eq!(desk.called(), before, "nothing was called");
    let given = run(&desk, "hello", &[&hello[..], &["--manifest", "tool.toml"]].concat());
    assert_eq!(given.code, 0, "{given:?}");
    assert_eq!(run(&desk, "hello", &["build"]).code, 0);
    assert_eq!(run(&desk, "hello", &hello).code, 0);
}

#[test]
fn dev_builds_and_runs_again_after_each_change() {
    let desk = made("watched");
    let mut dev = command(&desk, "hello", &[&["dev"][..], &GREET].concat());
    let mut dev = Background(dev.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let (line, lines) = mpsc::channel();
    let (out, err) = (dev.0.stdout.take().unwrap(), dev.0.stderr.take().unwrap());
    for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
        let line = line.clone();
        thread::spawn(move || {
            BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|text| line.send(text))
        });
    }
    // What it prints comes on two streams, so in any order.
    let round_with = |wanted: &str| {
        let mut seen: Vec<String> = Vec::new();
        let has = |seen: &[String], text: &str| seen.iter().any(|line| line.contains(text));
        while !(has(&seen, wanted) && has(&seen, "[dev] waits for a change")) {
            let next = lines.recv_timeout(Duration::from_secs(300));
            seen.push(next.unwrap_or_else(|_| panic!("no {wanted:?} in {seen:?}")));
        }
    };
    round_with("Hello, Ada!");
    desk.edit("hello/src/lib.rs", "Hello, {title}", "Goodbye, {title");
    round_with("error: ");
    desk.edit("hello/src/lib.rs", "Goodbye, {title", "Goodbye, {title}");
    round_with("Goodbye, Ada!");
}

#[test]
fn a_tool_changes_no_project_that_dev_builds_again() {
    let desk = made("own-project");
    let needs = "\n[[needs.fs]]\nguest = \"/docs\"\naccess = [\"read\", \"write\", \"create\"]\n";
    let manifest = fs::read_to_string(desk.path("hello/tool.toml")).unwrap();
    desk.file("hello/tool.toml", manifest + needs);
    for folder in ["apart", "hello/notes"] {
        fs::create_dir(desk.path(folder)).unwrap();
    }
    let dev = |host: &str| {
        let grant = format!("fs:/docs={host}:read,write,create");
        run(&desk, "hello", &[&["dev", "--once"][..], &GREET, &["--grant", &grant]].concat())
    };
    for host in ["src", "notes"] {
        dev(host).fails(2, &["hands over the project that is built: `FOLDER/hello`", "outside the project"]);
    }
    dev(".").fails(2, &["hands over the component"]);
    assert!(desk.called().is_empty());
    assert_eq!(dev("../apart").code, 0);
}

#[test]
fn what_is_no_project_says_what_is_missing() {
    let desk = made("missing");
    run(&desk, "", &["build"]).fails(2, &["is no tool's project: there is no `tool.toml`", "tollgate new NAME"]);
    run(&desk, "", &["dev"]).fails(2, &["there is no `tool.toml`"]);
    run(&desk, "", &["build", "nowhere"]).fails(2, &["`nowhere` cannot be used", "No such file or directory"]);
    desk.file("hello/tool.py", "");
    run(&desk, "hello", &["build"]).fails(2, &["it has Cargo.toml and tool.py"]);
    fs::remove_file(desk.path("hello/Cargo.toml")).unwrap();
    fs::remove_file(desk.path("hello/tool.py")).unwrap();
    run(&desk, "hello", &["build"]).fails(2, &["it has none of their files", "`Cargo.toml`, `tool.py` and `tool.js`"]);
    for name in ["Hello", "", "a/b", "../up"] {
        desk.run(&["new", name]).fails(2, &["cannot be the name of a tool"]);
    }
    desk.run(&["new", "x", "--lang", "cobol"]).fails(2, &["rust, python, javascript"]);
    assert!(!desk.path("x").exists());
}

#[test]
fn build_tools_that_are_missing_or_fail_are_named() {
    let desk = made("failing");
    let mut bare = command(&desk, "hello", &["build"]);
    let ran = desk.ran(&bare.env("PATH", desk.path("docs")).output().unwrap());
    ran.fails(2, &["`rustc`, which builds the tool, is not there", "rustup"]);
    desk.edit("hello/src/lib.rs", "Ok(Greeting", "Ok(Greting");
    let failed = run(&desk, "hello", &["build"]);
    failed.fails(2, &["Greting", "`cargo build --release --lib --target wasm32-wasip2", "what it says stands above"]);
    assert!(!desk.path("hello/hello.wasm").exists());
    desk.edit("hello/src/lib.rs", "Ok(Greting", "Ok(Greeting");
    desk.edit("hello/Cargo.toml", "[\"cdylib\"]", "[\"rlib\"]");
    run(&desk, "hello", &["build"]).fails(2, &["made no component", "crate-type = [\"cdylib\"]"]);
}

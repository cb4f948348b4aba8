//! Whose folders are written to, and which places are passed on to programs that start a daemon later: by `connect`, `service install` and
//! `mcp --start`.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::desk::{Desk, Ran};
use crate::mcp::Bridge;
use crate::mcp::official::Started;
use crate::serve::desk;
use tollgate_testing::foreign::skipped;

/// Without any place but `HOME`.
fn at_home(desk: &Desk, home: &Path, args: &[&str]) -> Command {
    let mut command = desk.command(args);
    for name in ["TOLLGATE_HOME", "TOLLGATE_LEDGER", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command.env("HOME", home);
    command
}

fn ran(desk: &Desk, command: &mut Command) -> Ran {
    desk.ran(&command.output().unwrap())
}

/// Those in the home itself, and those among the settings of the user's programs.
const BY_HOME: [&str; 3] = ["cursor", "codex", "gemini-cli"];
const BY_SETTINGS: [&str; 3] = ["claude-desktop", "opencode", "zed"];

#[test]
fn nothing_is_written_into_the_home_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        return skipped("a home of another user takes root");
    }
    let desk = Desk::new();
    let home = desk.path("other");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(4001), Some(4001)).unwrap();
    let whose = "HOME is `FOLDER/other`, which belongs to the user 4001";
    for client in BY_HOME.iter().chain(&BY_SETTINGS) {
        ran(&desk, &mut at_home(&desk, &home, &["connect", client, "--write"]))
            .fails(2, &["there is no place for the client's configuration", whose]);
    }
    ran(&desk, &mut at_home(&desk, &home, &["service", "install"]))
        .fails(2, &["there is no place for the unit", whose]);
    ran(&desk, &mut at_home(&desk, &home, &["mcp", "--start"])).fails(2, &["there is no place for the ledger", whose]);
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    // A file that is there is theirs too.
    let file = home.join(".cursor/mcp.json");
    fs::create_dir(home.join(".cursor")).unwrap();
    fs::write(&file, "{}").unwrap();
    chown(&file, Some(4001), Some(4001)).unwrap();
    ran(&desk, &mut at_home(&desk, &home, &["connect", "cursor", "--write"]))
        .fails(2, &["it belongs to another user (4001)"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
}

#[test]
fn no_home_is_made_for_a_client_or_a_service() {
    let desk = Desk::new();
    let home = desk.path("no/home");
    let none = "HOME is `FOLDER/no/home`, where no folder is";
    for client in BY_HOME {
        let told = ran(&desk, &mut at_home(&desk, &home, &["connect", client, "--write"]));
        told.fails(2, &[none, "`tollgate connect` without --write prints it"]);
        assert!(!told.stderr.contains("XDG"), "no such variable helps: {told:?}");
    }
    for client in BY_SETTINGS {
        ran(&desk, &mut at_home(&desk, &home, &["connect", client, "--write"]))
            .fails(2, &[&format!("none is given by XDG_CONFIG_HOME, and {none}")]);
    }
    ran(&desk, &mut at_home(&desk, &home, &["service", "install"]))
        .fails(2, &[&format!("none is given by XDG_CONFIG_HOME, and {none}")]);
    assert!(!desk.path("no").exists());
    for client in BY_HOME {
        let mut command = at_home(&desk, &home, &["connect", client, "--write"]);
        ran(&desk, command.env_remove("HOME")).fails(2, &["HOME is not set to an absolute path"]);
    }
    // Nor is there a place for tools and the ledger, and that is said.
    let list = ran(&desk, &mut at_home(&desk, &home, &["list"]));
    assert_eq!(list.code, 0, "{list:?}");
    list.says(&["no tool is installed: there is no place for tools: none is given by TOLLGATE_HOME", none]);
    let doctor = ran(&desk, &mut at_home(&desk, &home, &["doctor"]));
    assert_eq!(doctor.code, 2, "{doctor:?}");
    assert!(doctor.stdout.contains("the ledger: no: there is no place for the ledger"), "{doctor:?}");
    assert!(doctor.stdout.contains("missing: a place for the ledger"), "{doctor:?}");
}

/// "If an implementation encounters a relative path in any of these variables it should consider the path invalid and ignore it" (XDG
/// Base Directory Specification 0.8).
#[test]
fn a_relative_place_is_passed_on_to_nobody() {
    const RELATIVE: [&str; 4] = ["XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"];
    let desk = Desk::new();
    let home = desk.path("user");
    fs::create_dir(&home).unwrap();
    let relative = |args: &[&str]| {
        let mut command = at_home(&desk, &home, args);
        command.envs(RELATIVE.map(|name| (name, "relative")));
        command
    };
    for args in [&["connect", "codex"][..], &["connect", "zed"], &["service", "install", "--print"]] {
        let printed = ran(&desk, &mut relative(args));
        assert_eq!(printed.code, 0, "{printed:?}");
        assert!(!printed.stdout.contains("XDG_") && !printed.stdout.contains("relative"), "{printed:?}");
    }
    let zed = ran(&desk, &mut relative(&["connect", "zed", "--write"]));
    assert_eq!(zed.stdout, "Zed has the tools by FOLDER/user/.config/zed/settings.json\n", "{zed:?}");
    // A daemon that is started has the same home as the commands of this environment.
    let mut client = Bridge::start(&mut relative(&["mcp", "--start"]));
    assert_eq!(client.initialize()["result"]["serverInfo"]["name"], "tollgate");
    let status = ran(&desk, &mut relative(&["status", "--json"])).report();
    assert_eq!(status["ledger"], "FOLDER/user/.local/state/tollgate/ledger", "{status}");
    let environment = fs::read(format!("/proc/{}/environ", status["pid"])).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("XDG_STATE_HOME"), "{environment:?}");
    client.end();
    assert_eq!(ran(&desk, &mut relative(&["serve", "stop"])).code, 0);
    while ran(&desk, &mut relative(&["status"])).code == 0 {}
    assert!(!desk.path("relative").exists());
}

#[test]
fn a_place_that_is_no_text_is_no_part_of_an_entry() {
    let desk = Desk::new();
    let odd = desk.path("").join(OsStr::from_bytes(b"h\xff"));
    fs::create_dir(&odd).unwrap();
    let told = |args: &[&str]| ran(&desk, desk.command(args).env("TOLLGATE_HOME", &odd));
    told(&["connect", "codex"]).fails(2, &["the path of TOLLGATE_HOME, `", "is not UTF-8 text"]);
    told(&["service", "install", "--print"])
        .fails(2, &["a path has a character that a unit cannot hold", "is UTF-8 text"]);
    let token = OsStr::from_bytes(b"t\xff");
    let mut command = desk.command(&["connect", "codex", "--token-file"]);
    ran(&desk, command.arg(token)).fails(2, &["the path of the file of the token, `", "is not UTF-8 text"]);
    let backslash = ran(&desk, desk.command(&["service", "install", "--print"]).env("TOLLGATE_HOME", "/a\\b\nc"));
    backslash.fails(2, &["`TOLLGATE_HOME=/a\\b\\nc`", "no double quote and no backslash"]);
}

/// All that a daemon says of itself to its operator, and to the operator's commands, where the home's name is no text.
#[test]
fn a_daemon_whose_home_is_no_text_is_its_operators_as_any_other() {
    let desk = Desk::with("word-count");
    let home = desk.path("").join(OsStr::from_bytes(b"h\xff"));
    fs::create_dir(&home).unwrap();
    fs::write(home.join("tollgate.toml"), "").unwrap();
    fs::create_dir(desk.path("run")).unwrap();
    let command = |args: &[&str]| {
        let mut command = desk.command(args);
        command
            .env("TOLLGATE_HOME", &home)
            .env("TOLLGATE_LEDGER", home.join("ledger"))
            .env("XDG_RUNTIME_DIR", desk.path("run"));
        command
    };
    let mut served = command(&["serve", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(served.stdout.as_mut().unwrap()), &mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    assert_eq!(ready["ok"], true);
    let status = ran(&desk, &mut command(&["status"]));
    assert!(status.code == 0 && status.stdout.contains("\nready     yes\n"), "{status:?}");
    let status = ran(&desk, &mut command(&["status", "--json"])).report();
    let bytes = home.join("ledger").as_os_str().as_bytes().to_vec();
    assert_eq!(status["ledger"], json!(bytes), "{status}");
    assert_eq!(ran(&desk, &mut command(&["status", "--socket"])).code, 0);
    for args in [&["mcp"][..], &["mcp", "--agent", "local"]] {
        let mut client = Bridge::start(&mut command(args));
        assert_eq!(client.initialize()["result"]["serverInfo"]["name"], "tollgate");
        client.end();
    }
    assert_eq!(ran(&desk, &mut command(&["serve", "stop"])).code, 0);
    assert!(served.wait().unwrap().success());
}

#[test]
fn an_entry_says_the_agent_and_the_file_of_its_token() {
    let policy = "[agents.web]\nis = { token = true }\n[agents.team]\nis = { socket = true }\n";
    let desk = desk(&[], policy);
    let warning = "tollgate.toml` proves the agent web by a token, which this entry does not have";
    let without = desk.run(&["connect", "codex", "--agent", "web"]);
    assert_eq!(without.code, 0, "{without:?}");
    without.says(&["warning: the policy `", warning, "--token-file"]);
    let with = desk.run(&["connect", "codex", "--agent", "web", "--token-file", "web.token"]);
    assert_eq!((with.code, with.stderr.as_str()), (0, ""), "{with:?}");
    let file = r#"args = ["mcp", "--start", "--agent", "web", "--token-file", "FOLDER/web.token"]"#;
    assert!(with.stdout.contains(file), "{with:?}");
    let team = desk.run(&["connect", "codex", "--agent", "team"]);
    assert_eq!((team.code, team.stderr.as_str()), (0, ""), "{team:?}");
    for agent in ["a b", "", "Web"] {
        let told = format!("`{agent}` is no name of an agent, so that the entry would never work");
        desk.run(&["connect", "claude-code", "--agent", agent, "--write"]).fails(2, &[&told]);
    }
    assert!(!desk.path(".mcp.json").exists());
    // The client's bridge shows it.
    let shown = desk.run(&["serve", "token", "add", "web"]).stdout;
    fs::set_permissions(desk.file("web.token", shown), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(desk.run(&["connect", "claude-code", "--agent", "web", "--token-file", "web.token", "--write"]).code, 0);
    let entry: Value = serde_json::from_slice(&fs::read(desk.path(".mcp.json")).unwrap()).unwrap();
    let entry = &entry["mcpServers"]["tollgate"];
    let args = entry["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
    let _started = Started(&desk);
    let mut client = Command::new(entry["command"].as_str().unwrap());
    client.args(args).current_dir("/").env_clear();
    client.envs(entry["env"].as_object().unwrap().iter().map(|(name, value)| (name, value.as_str().unwrap())));
    let mut client = Bridge::start(&mut client);
    assert_eq!(client.initialize()["result"]["serverInfo"]["name"], "tollgate");
    client.end();
}

#[test]
fn a_client_of_toml_has_the_entry_once_however_often_it_is_written() {
    let desk = Desk::new();
    fs::create_dir(desk.path("user")).unwrap();
    let file = desk.file("user/.codex/config.toml", "# mine\nmodel = \"m\"\n");
    let write = |ledger: &str| {
        let mut command = desk.command(&["connect", "codex", "--write"]);
        ran(&desk, command.env("HOME", desk.path("user")).env("TOLLGATE_LEDGER", ledger))
    };
    for ledger in ["/one", "/one", "/other"] {
        assert_eq!(write(ledger).code, 0);
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("# mine\nmodel = \"m\"\n") && text.matches("[mcp_servers.tollgate]").count() == 1,
            "{text}"
        );
        assert!(text.contains(&format!("TOLLGATE_LEDGER = \"{ledger}\"")), "{text}");
    }
    // Of JSON, a number that would become another one is not touched.
    let json = desk.file("user/.cursor/mcp.json", r#"{"budget":1e2}"#);
    let mut command = desk.command(&["connect", "cursor", "--write"]);
    ran(&desk, command.env("HOME", desk.path("user")))
        .fails(2, &["it has the number 1e2, which would be written as 100.0"]);
    assert_eq!(fs::read_to_string(&json).unwrap(), r#"{"budget":1e2}"#);
}

/// The daemon bounds by itself what it waits for (`serve.drain`, at most an hour).
#[test]
fn systemd_kills_no_call_that_the_policy_gives_time() {
    let unit = Desk::new().run(&["service", "install", "--print"]).stdout;
    assert!(unit.contains("\nTimeoutStopSec=65min\n") && unit.contains("\nKillMode=mixed\n"), "{unit}");
}

#[test]
fn a_home_below_which_no_file_has_a_path_is_refused() {
    let desk = Desk::new();
    let home = format!("/{}", "x/".repeat(1_950));
    for args in [&["list"][..], &["serve"], &["doctor"]] {
        ran(&desk, desk.command(args).env("TOLLGATE_HOME", &home))
            .fails(2, &["TOLLGATE_HOME is a path of 3901 bytes, and the most is 3840", "give a shorter one"]);
    }
}

//! What `tollgate connect` writes, as the clients' own programs read it: the entry is theirs word by word, and those that look whether a server
//! is there reach the daemon, which the first of them starts. None of them needs an account for that, nor the network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate_testing::foreign::missing;

use crate::desk::Desk;
use crate::mcp::official::Started;
use crate::serve::{POLICY, desk};

/// Where `.ci/run` installs the programs of clients; none where it did not.
fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients-programs");
    if folder.join("package.json").is_file() && folder.join("installed").is_file() {
        return Some(fs::canonicalize(folder.join("node_modules/.bin")).unwrap());
    }
    missing("target/clients-programs, clients of MCP,", "clients-programs.log");
    None
}

/// What a client says of its servers, once Tollgate is written into its configuration: on stdout, and on stderr.
fn servers(desk: &Desk, programs: &Path, client: &str, program: &str, args: &[&str]) -> [String; 2] {
    let home = desk.path("user");
    fs::create_dir_all(&home).unwrap();
    let mut connect = desk.command(&["connect", client, "--write"]);
    let connected = connect.env("HOME", &home).env_remove("XDG_CONFIG_HOME").output().unwrap();
    assert!(connected.status.success(), "{client}: {connected:?}");
    let node = programs.join("../../../clients/node/bin");
    let mut command = Command::new(programs.join(program));
    command.args(args).current_dir(desk.path("")).env_clear().env("HOME", &home);
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", node.display())).env("TERM", "dumb");
    // Nothing is asked of the network, and a folder of one's own is trusted.
    command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("GEMINI_CLI_TRUST_WORKSPACE", "true");
    command.env("DISABLE_AUTOUPDATER", "1").env("OPENCODE_DISABLE_AUTOUPDATE", "1").env("NO_COLOR", "1");
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
    assert!(output.status.success(), "{client}: {said:?}");
    said
}

#[test]
fn clients_read_the_entry_that_is_written_for_them() {
    let (Some(_node), Some(programs)) = (super::official::installed(), installed()) else { return };
    let desk = desk(&["word-count"], POLICY);
    let _started = Started(&desk);
    let list = |client: &str, program: &str, args: &[&str]| servers(&desk, &programs, client, program, args);
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_tollgate")).unwrap();
    let program = program.to_str().unwrap();

    let codex: Value = serde_json::from_str(&list("codex", "codex", &["mcp", "list", "--json"])[0]).unwrap();
    let here = fs::canonicalize(desk.path("")).unwrap();
    let transport = &codex[0]["transport"];
    assert_eq!((&codex[0]["name"], &transport["type"]), (&json!("tollgate"), &json!("stdio")), "{codex}");
    assert_eq!((&transport["command"], &transport["args"]), (&json!(program), &json!(["mcp", "--start"])), "{codex}");
    let at = |name: &str| here.join(name).to_str().unwrap().to_owned();
    assert_eq!(
        transport["env"],
        json!({ "TOLLGATE_HOME": at("tollgate-home"), "TOLLGATE_LEDGER": at("ledger") }),
        "{codex}"
    );

    let entry = format!("tollgate: {program} mcp --start");
    let gemini = list("gemini-cli", "gemini", &["mcp", "list"]).concat();
    assert!(gemini.contains(&format!("{entry} (stdio) - Connected")), "{gemini}");

    let opencode = list("opencode", "opencode", &["mcp", "list"]).concat();
    let is_there =
        ["tollgate", "connected", &format!("{program} mcp --start")].iter().all(|part| opencode.contains(part));
    assert!(is_there && !opencode.contains("failed"), "{opencode}");

    // It asks its user before it starts what a project brings.
    let claude = list("claude-code", "claude", &["mcp", "list"]).concat();
    assert!(claude.contains(&entry), "{claude}");
}

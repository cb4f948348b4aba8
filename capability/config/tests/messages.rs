//! What the parsers say when they refuse: the place, what is wrong there, and what to do. The expected texts are in
//! `golden/messages.txt`; with `UPDATE_EXPECT=1` the test writes them anew.
#![allow(clippy::unwrap_used, reason = "a text of this file that parses otherwise is a test that fails")]

mod texts;

use std::path::Path;

use expect_test::{expect, expect_file};
use texts::{FOLDER, MANIFEST, POLICY, rendered};
use tollgate_config::{AdhocGrant, Grant, GuestPath, Manifest, Policy};

#[test]
fn each_refusal_has_its_words() {
    let many_tools = format!("[{}]", (0..65).map(|number| format!("\"t{number}\"")).collect::<Vec<_>>().join(","));
    let listed = |many, each: fn(usize) -> String| (0..many).map(each).collect::<Vec<_>>().join(", ");
    let many_uids = format!("[{}]", listed(65, |number| number.to_string()));
    let many_agent_tools = format!("tools = {{ {} }}", listed(1_001, |number| format!("t{number} = {{}}")));
    let many_agents =
        format!("[agents]\n{}", listed(65, |number| format!("a{number}.is.token = true")).replace(", ", "\n"));
    let cases = [
        ("manifest: unknown key of the tool", manifest("version =", "vresion =")),
        ("manifest: unknown key of limits", manifest("memory =", "memroy =")),
        ("policy: unknown key of a tool", policy("on_violation", "on_violations")),
        ("manifest: unknown right", manifest("\"list\", \"read\"", "\"list\", \"raed\"")),
        ("policy: unknown clock", policy("wall = \"coarse\"", "wall = \"course\"")),
        ("manifest: an operation twice", manifest("name = \"total\"", "name = \"count\"")),
        ("manifest: folders that overlap", manifest("guest = \"/out\"", "guest = \"/docs/out\"")),
        ("manifest: no operation", manifest_text("operations = []\n[tool]\nname = \"a\"\nversion = \"1.0.0\"\n")),
        ("manifest: no version", manifest("version = \"0.1.0\"", "")),
        ("manifest: a size without a unit", manifest("\"32MiB\"", "\"32M\"")),
        ("manifest: a duration without a unit", manifest("\"2s\"", "2")),
        ("manifest: a deadline above the maximum", manifest("\"2s\"", "\"2h\"")),
        ("manifest: fuel below the minimum", manifest("500_000_000", "0")),
        ("manifest: a number for arguments", manifest("args = true", "args = 1")),
        ("manifest: a name with capitals and a space", manifest("\"word-count\"", "\"Word Count\"")),
        ("manifest: a folder without a right", manifest("[\"write\"]", "[]")),
        ("manifest: a key twice", manifest("args = true", "args = true\nargs = true")),
        ("policy: the root of the host", policy("\"/srv/$$out\"", "\"/srv/..\"")),
        ("policy: unknown variable", policy("${workspace}", "${workspaces}")),
        ("policy: a dollar sign that begins no variable", policy("${workspace}", "$HOME")),
        ("policy: a pattern that ends with a slash", policy("\"private/**\"", "\"private/\"")),
        ("policy: a seed of the wrong kind", policy("{ seed = 42 }", "\"seeded\"")),
        (
            "policy: a durable right that is not granted",
            policy("durable = [\"delete\"]", "durable = [\"create\", \"delete\"]"),
        ),
        ("policy: unknown durable right", policy("durable = [\"delete\"]", "durable = [\"deleet\"]")),
        ("grant: unknown durable right", grant("durable:/out=wrtie")),
        (
            "manifest: audit settings, which only a grant has",
            manifest("record = \"every\"", "audit.arguments = \"none\""),
        ),
        ("policy: unknown audit setting", policy("arguments = \"full\"", "argumnets = \"full\"")),
        ("policy: unknown word for arguments", policy("arguments = \"full\"", "arguments = \"fulll\"")),
        ("policy: unknown word for acknowledging", policy("acknowledge = \"journal\"", "acknowledge = \"dsik\"")),
        ("grant: unknown audit setting", grant("audit:argument=full")),
        ("grant: unknown word for acknowledging", grant("audit:acknowledge=dsik")),
        ("grant: a folder without rights", grant("fs:/docs=./reports")),
        ("grant: unknown right", grant("fs:/docs=./reports:raed")),
        ("grant: the root of the host", grant("fs:/docs=/:read")),
        ("grant: unknown kind", grant("evn:LANG=C")),
        ("grant: a size without its unit", grant("limit:memory=16M")),
        ("policy: an alias that models do not take", policy_text("[tools.a]\naliases.count = \"count.words\"\n")),
        ("policy: an alias twice", policy_text("[tools.a]\naliases.count = \"x\"\n[tools.b]\naliases.count = \"x\"\n")),
        ("policy: unknown key of the sandbox", policy("require =", "requires =")),
        ("policy: unknown level of the sandbox", policy("\"partial\"", "\"ful\"")),
        ("policy: unknown key around workers", policy("idle =", "idel =")),
        ("policy: the table of workers by its old name", policy("[workers]", "[hosts]")),
        ("policy: idle without a unit", policy("\"90s\"", "90")),
        ("policy: idle above the maximum", policy("\"90s\"", "\"25h\"")),
        ("policy: grace below the minimum", policy("\"250ms\"", "\"0ms\"")),
        ("policy: a tool in two compartments", policy("[\"dice\"]", "[\"dice\", \"text-diff\"]")),
        ("policy: a tool twice in a compartment", policy("\"text-diff\"", "\"word-count\"")),
        ("policy: a compartment with a tool's name that cannot be", policy("\"text-diff\"", "\"Text Diff\"")),
        ("policy: a compartment's name that cannot be", policy("texts = ", "Texts = ")),
        ("policy: a compartment without tools", policy("[\"dice\"]", "[]")),
        ("policy: a compartment with too many tools", policy("[\"dice\"]", &many_tools)),
        ("policy: unknown key of an agent", policy("listen =", "lisen =")),
        ("policy: unknown proof of an agent", policy("{ uid = [1002, 1001] }", "{ gid = 1001 }")),
        ("policy: a proof beside `is`", policy("is = { socket = true }", "socket = true")),
        ("policy: an agent without a proof", policy("is = { socket = true }", "")),
        ("policy: an agent with a word for a proof", policy("{ socket = true }", "\"socket\"")),
        ("policy: an agent with an empty proof", policy("{ socket = true }", "{}")),
        ("policy: an agent with two proofs", policy("{ socket = true }", "{ socket = true, token = true }")),
        ("policy: a proof that is turned off", policy("{ token = true }", "{ token = false }")),
        ("policy: an agent of no uid", policy("[1002, 1001]", "[]")),
        ("policy: a user's name for a uid", policy("[1002, 1001]", "\"builder\"")),
        ("policy: a user's name among uids", policy("1001]", "\"builder\"]")),
        ("policy: a uid that is none", policy("1001]", "4294967295]")),
        ("policy: a uid twice", policy("1001]", "1002]")),
        ("policy: too many uids", policy("[1002, 1001]", &many_uids)),
        ("policy: a group's name", policy("group = 2001", "group = \"users\"")),
        ("policy: a group that the mode keeps out", policy("mode = \"0660\"\n", "")),
        ("policy: a socket with a relative path", policy("\"/run/tollgate-reader/socket\"", "\"reader.sock\"")),
        ("policy: a socket with a path that is too long", policy("tollgate-reader", &"r".repeat(100))),
        ("policy: a mode without quotes", policy("\"0660\"", "660")),
        ("policy: a mode with a bit too many", policy("\"0660\"", "\"1660\"")),
        ("policy: a socket that is open to all", policy("{ token = true }\nmode", "{ socket = true }\nmode")),
        ("policy: port 0", policy("7411", "0")),
        ("policy: a port above the highest", policy("7411", "65536")),
        ("policy: a port without a token", policy("{ socket = true }", "{ socket = true }\nport = 7412")),
        ("policy: two agents with a port", policy("{ socket = true }", "{ token = true }\nport = 7411")),
        ("policy: two agents with a uid", policy("{ socket = true }", "{ uid = 1001 }")),
        (
            "policy: two agents with a socket",
            policy("{ socket = true }", "{ socket = true }\nlisten = \"/run/tollgate-reader/socket\""),
        ),
        ("policy: the operator's own name", policy("[agents.web]", "[agents.local]")),
        ("policy: an agent's name that cannot be", policy("[agents.web]", "[agents.Web]")),
        ("policy: no agents", policy_text("[agents]\n")),
        ("policy: too many agents", policy_text(&many_agents)),
        ("policy: a list of tools for an agent", policy("tools = {}", "tools = [\"grep\"]")),
        ("policy: a tool's name of an agent that cannot be", policy("tools.echo", "tools.Echo")),
        ("policy: too many tools of an agent", policy("tools = {}", &many_agent_tools)),
        ("policy: a list for a tool of an agent", policy("tools.echo = {}", "tools.echo = [\"say\"]")),
        ("policy: unknown key of an agent's tool", policy("grep.operations", "grep.operation")),
        ("policy: no operations", policy("[\"search\", \"count\"]", "[]")),
        ("policy: an operation's name that cannot be", policy("\"search\"", "\"Search\"")),
        ("policy: unknown key of a daemon", policy("queue = 0", "queu = 0")),
        ("policy: a queue that is no number", policy("queue = 0", "queue = \"long\"")),
        ("policy: more connections than the maximum", policy("connections = 10", "connections = 4097")),
        ("policy: no calls", policy("calls = 4", "calls = 0")),
        ("policy: a header without a unit", policy("\"8KiB\"", "\"8K\"")),
        ("policy: a body above the maximum", policy("body = \"1MiB\"", "body = \"1GiB\"")),
        ("policy: a handshake with a space before its unit", policy("\"2s\"", "\"2 s\"")),
        ("policy: a reserve below the minimum", policy("reserve = \"1GiB\"", "reserve = 0")),
        ("policy: unknown list of tools", policy("list = \"search\"", "list = \"find\"")),
        ("policy: unknown table", policy("[compartments]", "[compartment]")),
    ];
    let golden = expect_file!["golden/messages.txt"];
    let shown = cases.each_ref().map(|(name, said)| format!("==> {name}\n{said}\n"));
    let expected = golden.data();
    let differ: Vec<_> = cases.iter().zip(&shown).filter(|(_, shown)| !expected.contains(*shown)).collect();
    // The names first: the difference below is of the whole file.
    differ.iter().for_each(|((name, _), _)| eprintln!("not as expected: {name}"));
    golden.assert_eq(&shown.concat());
}

/// What the parser says of the manifest of these tests in which `from` is replaced once.
fn manifest(from: &str, to: &str) -> String {
    manifest_text(&replaced(MANIFEST, from, to))
}

fn manifest_text(text: &str) -> String {
    rendered(&Manifest::parse(text, "tool.toml").unwrap_err())
}

/// The same of the policy of these tests.
fn policy(from: &str, to: &str) -> String {
    policy_text(&replaced(POLICY, from, to))
}

fn policy_text(text: &str) -> String {
    rendered(&Policy::parse(text, "tollgate.toml", Path::new(FOLDER)).unwrap_err())
}

fn grant(text: &str) -> String {
    rendered(&AdhocGrant::parse(text, Path::new("/home/me")).unwrap_err())
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    let replaced = text.replacen(from, to, 1);
    assert_ne!(replaced, text, "nothing to replace: {from}");
    replaced
}

#[test]
fn durable_rights_follow_the_rights_of_their_folder() {
    let mut grant = Grant::default();
    let mut merge = |text| grant.merge_adhoc(AdhocGrant::parse(text, Path::new(FOLDER)).unwrap());
    let no_folder = merge("durable:/out=write").unwrap_err();
    expect![[r#"
        the rights below `/out` cannot be durable: no such folder is granted
            Diagnostic severity: error
        diagnostic help: grant the folder first, such as --grant 'fs:/out=PATH:write' --grant 'durable:/out=write'
    "#]]
    .assert_eq(&rendered(&no_folder));
    assert_eq!(merge("fs:/out=out:write,create"), Ok(()));
    let not_granted = merge("durable:/out=write,delete").unwrap_err();
    expect![[r#"
        below `/out`: durable and not granted: delete
            Diagnostic severity: error
        diagnostic help: grant them in `fs:/out=…` before `durable:/out=…`, or take them out there
    "#]]
    .assert_eq(&rendered(&not_granted));
    assert_eq!(merge("durable:/out=write"), Ok(()));
    let out: GuestPath = "/out".parse().unwrap();
    assert_eq!(grant.fs[&out].durable.to_string(), "write");
    grant.merge_adhoc(AdhocGrant::parse("fs:/out=out:write", Path::new(FOLDER)).unwrap()).unwrap();
    assert!(grant.fs[&out].durable.is_empty(), "a folder that is given anew");
}

/// What people write who know TOML from elsewhere.
#[test]
fn usual_slips_are_told_what_to_write() {
    let in_a_tool = |line: &str| policy_text(&format!("[tools.a]\n{line}\n"));
    let tool = "[tool]\nname = \"a\"\nversion = \"0.1.0\"\n";
    let operations = "[[operations]]\nname = \"run\"\n";
    let named = |name: &str| format!("[tool]\nname = \"{name}\"\nversion = \"0.1.0\"\n{operations}");
    let operation = tool.to_owned() + "[[operations]]\nname = \"first_line\"\n";
    let cases = [
        (
            in_a_tool("fs./notes = { host = \"notes\", access = [\"read\"] }"),
            "help: a path stands in quotes: `fs.\"/notes\"`",
        ),
        (
            in_a_tool("fs.\"/notes\" = { host = \"notes\", access = \"read\" }"),
            "help: write `[\"read\"]`: there can be several",
        ),
        (in_a_tool("fs.\"/notes\" = \"./notes\""), "help: write `{ host = \"./notes\", access = [\"read\"] }`"),
        (in_a_tool("args = \"-x\""), "help: write `[\"-x\"]`: there can be several"),
        (
            manifest_text(""),
            "help: begin with:\n[tool]\nname = \"my-tool\"\nversion = \"0.1.0\"\n\n[[operations]]\nname = \"run\"",
        ),
        (manifest_text(tool), "help: add what the tool can be called for:\n[[operations]]\nname = \"run\""),
        (
            manifest_text(&format!("{tool}[operations]\nname = \"run\"\n")),
            "help: write `[[operations]]`: there can be several",
        ),
        (
            manifest_text(&format!("{tool}{operations}[needs.fs]\nguest = \"/a\"\naccess = [\"read\"]\n")),
            "help: write `[[needs.fs]]`: there can be several",
        ),
        (
            manifest_text(&format!("{tool}{operations}[[needs.fs]]\nguest = \"/a\"\naccess = \"read\"\n")),
            "help: write `[\"read\"]`: there can be several",
        ),
        (manifest_text(&named("first_line")), "help: did you mean `first-line`? use lower-case letters"),
        (manifest_text(&named("First Line")), "help: did you mean `first-line`? use lower-case letters"),
        (manifest_text(&named("9")), "help: use lower-case letters"),
        (manifest_text(&operation), "help: did you mean `first-line`? use lower-case letters"),
    ];
    let wrong: Vec<_> = cases.iter().filter(|(said, told)| !said.contains(told)).collect();
    assert!(wrong.is_empty(), "what is said, and what is missing in it: {wrong:#?}");
}

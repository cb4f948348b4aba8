//! Receipts for whoever asked for the call: over MCP and HTTP, verified offline by this program and by others, and for nobody else.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::desk::Desk;
use crate::mcp::{Bridge, modern};
use crate::serve::{POLICY, Served, desk};
use tollgate_testing::foreign::{go_verifier, missing};

const AGENTS: &str = "[agents.web]\nis = { token = true }\ntools.word-count = {}\n[agents.other]\nis = { token = true }\ntools.word-count = {}\n";

fn call() -> Value {
    json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } })
}

/// The link behind a result's text.
fn link(result: &Value) -> String {
    let content = result["result"]["content"].as_array().unwrap_or_else(|| panic!("{result}"));
    assert_eq!((content.len(), &content[1]["type"]), (2, &json!("resource_link")), "{result}");
    let uri = content[1]["uri"].as_str().unwrap();
    let call = result["result"]["_meta"]["dev.tollgate/call"].as_str().unwrap();
    assert_eq!(uri, format!("tollgate://receipt/{call}"));
    uri.to_owned()
}

fn read(client: &mut Bridge, uri: &str) -> String {
    let read = client.ask("resources/read", modern(json!({ "uri": uri })));
    let contents = &read["result"]["contents"];
    assert_eq!((&contents[0]["uri"], &contents[0]["mimeType"]), (&json!(uri), &json!("text/plain")), "{read}");
    contents[0]["text"].as_str().unwrap().to_owned()
}

/// Both of our verifiers' words, and Go's: yes, and no once a byte is another one.
fn is_verified_offline(desk: &Desk, receipt: &str, call: &str) {
    let key = desk.key();
    let file = desk.file("receipt", receipt);
    let verify =
        |file: &Path| desk.run(&["audit", "receipt", "verify", file.to_str().unwrap(), "--key", &key, "--json"]);
    let answer = verify(&file);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(answer.stdout.contains(call), "{answer:?}");
    let entry = receipt.lines().nth(1).unwrap();
    let changed = receipt.replace(entry, &entry.replace(&entry[20..21], if &entry[20..21] == "A" { "B" } else { "A" }));
    let forged = desk.file("forged", changed);
    let code = verify(&forged).code;
    assert!([2, 5].contains(&code), "{code}: it proves nothing, or is none any more, as the characters fall");
    let build = tempfile::tempdir().unwrap();
    let Some(go) = go_verifier(build.path()) else {
        return missing("`go` with golang.org/x/mod below /usr/share/gocode", "apt.log");
    };
    let by_go = |file: &Path| Command::new(&go).arg("receipt").arg(file).arg(&key).output().unwrap();
    let output = by_go(&file);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("verified entry "), "{output:?}");
    assert!(!by_go(&forged).status.success());
}

#[test]
fn the_operator_reads_a_receipt_over_mcp_and_others_verify_it() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    let uri = link(&client.ask("tools/call", modern(call())));
    let receipt = read(&mut client, &uri);
    let denied = modern(json!({ "name": "word-count_count-file", "arguments": { "path": "/docs/../secret.txt" } }));
    let denied = link(&client.ask("tools/call", denied));
    let of_denial = read(&mut client, &denied);
    client.end();
    served.stop();
    for (uri, receipt) in [(uri, receipt), (denied, of_denial)] {
        is_verified_offline(&desk, &receipt, uri.rsplit('/').next().unwrap());
    }
}

#[test]
fn a_receipt_is_its_agents_alone() {
    let desk = desk(&["word-count"], &format!("{POLICY}{AGENTS}"));
    let served = Served::start(&desk);
    let token = |agent: &str| desk.run(&["serve", "token", "add", agent]).stdout.trim().to_owned();
    let client = |agent: &str, token: &str| {
        let socket = served.socket(agent).to_str().unwrap().to_owned();
        Bridge::start(desk.command(&["mcp", "--socket", &socket]).env("TOLLGATE_TOKEN", token))
    };
    let (web, other) = (token("web"), token("other"));
    let (mut own, mut stranger) = (client("web", &web), client("other", &other));
    let uri = link(&own.ask("tools/call", modern(call())));
    let receipt = read(&mut own, &uri);
    // Whatever it says of itself.
    let mut params = modern(json!({ "uri": uri }));
    params["_meta"]["dev.tollgate/agent"] = json!("web");
    let refused = stranger.ask("resources/read", params);
    let none = uri.replace(&uri[uri.len() - 4..], "0000");
    let not_there = stranger.ask("resources/read", modern(json!({ "uri": none })));
    let words =
        |answer: &Value, uri: &str| answer["error"].to_string().replace(uri.rsplit('/').next().unwrap(), "CALL");
    assert_eq!(words(&refused, &uri), words(&not_there, &none), "as of a call that is not there");
    assert_eq!(refused["error"]["code"], -32602);
    let call = uri.rsplit('/').next().unwrap();
    let get = |agent: &str, token: &str, call: &str| {
        let head = format!(
            "GET /v1/receipts/{call} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        got(served.socket(agent), &head)
    };
    let (head, body) = get("web", &web, call);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/plain"), "{head}");
    assert_eq!(body.lines().nth(1), receipt.lines().nth(1), "the same entry");
    let (head, body) = get("other", &other, call);
    assert!(head.starts_with("HTTP/1.1 404 ") && body.contains("unknown-call"), "{head} {body}");
    let (head, _body) = get("web", "tollgate_wrong", call);
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    // A call of the operator's own, without a daemon, is nobody's.
    own.end();
    stranger.end();
    served.stop();
    let run = desk.run(&[
        "run",
        "word-count",
        "--op",
        "count",
        "--input",
        r#"{"folder": "/docs"}"#,
        "--agent",
        "web",
        "--policy",
        "tollgate-home/tollgate.toml",
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    let claimed = desk.last_call();
    let served = Served::start(&desk);
    let head = format!(
        "GET /v1/receipts/{claimed} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {web}\r\nconnection: close\r\n\r\n"
    );
    let (head, body) = got(served.socket("web"), &head);
    assert!(
        head.starts_with("HTTP/1.1 404 ") && body.contains("unknown-call"),
        "a claim proves nothing: {head} {body}"
    );
    is_verified_offline(&desk, &receipt, call);
}

fn got(socket: &Path, request: &str) -> (String, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase().replacen("http", "HTTP", 1), body.to_owned())
}

#[test]
fn a_receipt_of_a_call_before_this_daemon_is_found_in_the_ledger() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    let uri = link(&client.ask("tools/call", modern(call())));
    client.end();
    served.stop();
    let served = Served::start(&desk);
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    let receipt = read(&mut client, &uri);
    client.end();
    served.stop();
    is_verified_offline(&desk, &receipt, uri.rsplit('/').next().unwrap());
}

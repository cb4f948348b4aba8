//! `tollgate mcp`, where something is wrong: a daemon that does not start, one that ends, tokens that are none.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::mcp::Bridge;
use crate::serve::{POLICY, Served, desk};

/// Its own `serve` would run in another environment.
#[test]
fn a_daemon_that_does_not_start_is_told_in_its_own_words() {
    let desk = desk(&[], "[tools.a]\nrandm = \"seeded\"\n");
    let told = desk.run(&["mcp", "--start"]);
    told.fails(
        2,
        &[
            "the daemon that was started has ended, and none has the ledger",
            "it said: error: ",
            "`randm`",
            "did you mean `random`?",
        ],
    );
    // Where no home is, a ledger alone is not enough.
    let mut command = desk.command(&["mcp", "--start", "--ledger", "other"]);
    let told = desk.ran(&command.env_remove("TOLLGATE_HOME").env_remove("HOME").output().unwrap());
    told.fails(2, &["it said: error: there is no place for sockets and tokens", "set TOLLGATE_HOME to a folder"]);
}

#[test]
fn a_daemon_that_ends_under_its_client_is_told_and_a_client_that_ends_is_not() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut ended = Bridge::start(&mut desk.command(&["mcp"]));
    ended.initialize();
    ended.end();
    let mut client = Bridge::start(&mut desk.command(&["mcp"]));
    client.initialize();
    served.stop();
    let (code, said) = client.closed();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("the daemon has closed the connection, and the client has not"), "{said}");
}

#[test]
fn what_is_no_token_is_told_and_none_is_none() {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let mut client = Bridge::start(desk.command(&["mcp"]).env("TOLLGATE_TOKEN", ""));
    assert_eq!(client.initialize()["result"]["serverInfo"]["name"], "tollgate");
    client.end();
    let odd = desk.ran(&desk.command(&["mcp"]).env("TOLLGATE_TOKEN", OsStr::from_bytes(b"t\xff")).output().unwrap());
    odd.fails(2, &["the token in TOLLGATE_TOKEN is no token"]);
    // A FIFO to which somebody writes is as good as a file, and one to which nobody does is not waited for for ever.
    let fifo = desk.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    desk.run(&["mcp", "--token-file", "fifo"])
        .fails(2, &["the file of the token, `fifo`, cannot be read", "nobody has written to it"]);
    let mut writer = Command::new("sh").args(["-c", "echo tollgate_1 > \"$0\""]).arg(&fifo).spawn().unwrap();
    let mut client = Bridge::start(&mut desk.command(&["mcp", "--token-file", "fifo"]));
    assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
    client.end();
    assert!(writer.wait().unwrap().success());
    std::fs::set_permissions(&fifo, Permissions::from_mode(0o644)).unwrap();
    desk.run(&["mcp", "--token-file", "fifo"]).fails(2, &["can be read by others"]);
    served.stop();
}

/// Which ledger's daemon it is can be said to each command of a daemon.
#[test]
fn a_daemon_is_reloaded_and_stopped_by_its_ledger() {
    let desk = desk(&[], "");
    let served = Served::with(&mut desk.command(&["serve", "--json", "--ledger", "other"]));
    desk.run(&["serve", "stop"]).fails(2, &["no daemon has the ledger in `ledger`", "name its ledger with --ledger"]);
    assert_eq!(desk.run(&["serve", "reload", "--ledger", "other"]).code, 0);
    assert_eq!(desk.run(&["serve", "stop", "--ledger", "other"]).code, 0);
    while desk.run(&["status", "--ledger", "other"]).code == 0 {}
    drop(served);
}

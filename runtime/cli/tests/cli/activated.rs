//! Sockets that a service manager opened for the daemon: each is an agent's, or the daemon does not start. Whoever was sent to one that is
//! dropped would wait for ever.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;

use serde_json::json;

use crate::desk::{Desk, Ran};
use crate::serve::{POLICY, Served, desk};
use tollgate_testing::rpc::Rpc;

/// `tollgate serve`, with an open file that is handed over by this name (`sd_listen_fds(3)`).
fn with(desk: &Desk, given: impl Into<OwnedFd>, (name, args): (&str, &[&str])) -> Command {
    let serve = desk.command(args);
    let mut shell = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    shell.args(["-c", script, "sh"]).arg(serve.get_program()).args(serve.get_args()).stdin(given.into());
    shell.current_dir(desk.path("")).env_remove("XDG_STATE_HOME").env("LISTEN_FDNAMES", name);
    shell.env("TOLLGATE_LEDGER", "ledger").env("TOLLGATE_HOME", desk.home());
    shell
}

fn refused(desk: &Desk, given: impl Into<OwnedFd>, name: &str) -> Ran {
    desk.ran(&with(desk, given, (name, &["serve"])).output().unwrap())
}

/// As systemd calls it where the unit says nothing (systemd.socket(5)).
#[test]
fn a_socket_by_the_name_of_its_unit_is_of_the_agent_of_that_name_or_local() {
    for (agents, name, agent) in [
        ("", "tollgate.socket", "local"),
        ("[agents.reader]\nis = { socket = true }\ntools.word-count = {}\n", "reader.socket", "reader"),
    ] {
        let desk = desk(&["word-count"], &format!("{POLICY}{agents}"));
        let socket = desk.path("given.sock");
        let served = Served::with(&mut with(&desk, UnixListener::bind(&socket).unwrap(), (name, &["serve", "--json"])));
        assert_eq!(served.socket(agent), socket);
        let counted = Rpc::connect(&socket).call("word-count", "count", &json!({ "folder": "/docs" }));
        assert_eq!(counted["result"]["output"]["words"], 10, "{counted}");
        assert_eq!(desk.run(&["serve", "stop"]).code, 0);
        drop(served);
    }
}

#[test]
fn a_socket_that_is_no_agents_is_an_error_at_the_start() {
    let agents = "[agents.reader]\nis = { socket = true }\ntools.word-count = {}\n";
    for (policy, name, known) in
        [("", "nobody", "local"), (agents, "tollgate.socket", "reader"), (agents, "", "reader")]
    {
        let desk = desk(&["word-count"], policy);
        let listener = UnixListener::bind(desk.path("given.sock")).unwrap();
        let told =
            format!("a socket was handed over for `{name}`, which is no agent of the policy, or has a socket already");
        refused(&desk, listener, name)
            .fails(2, &[&told, &format!("the agents are: {known}"), "`FileDescriptorName=` names an agent"]);
        desk.run(&["status"]).fails(2, &["no daemon has the ledger"]);
    }
}

#[test]
fn what_is_no_unix_listener_is_an_error_at_the_start() {
    let desk = desk(&[], "");
    let told =
        ["what was handed over as `local` is no listening stream socket of the family AF_UNIX", "`ListenStream=`"];
    refused(&desk, TcpListener::bind("127.0.0.1:0").unwrap(), "local").fails(2, &told);
    refused(&desk, UnixDatagram::bind(desk.path("datagram.sock")).unwrap(), "local").fails(2, &told);
    refused(&desk, std::fs::File::open("/dev/null").unwrap(), "local").fails(2, &told);
    refused(&desk, UnixListener::bind(desk.path("given.sock")).unwrap(), "a:b").fails(2, &["LISTEN_FDNAMES"]);
    assert!(!desk.path("ledger").exists(), "nothing was begun");
}

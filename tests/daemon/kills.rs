//! Processes of the daemon that die in the middle of calls.

use rustix::process::{Signal, kill_process};
use serde_json::json;
use tollgate_audit::Entry;
use tollgate_workspace::processes::{await_that, children_in};

use crate::lab::{DaemonLab, READS, SLEEPS, kind_of};

pub(crate) fn a_gateway_that_dies_takes_its_clients_alone() {
    let lab = DaemonLab::new(&["echo-read", "sleep-forever"], &format!("{READS}{SLEEPS}"));
    for round in 0..5 {
        let mut client = lab.connect();
        client.is_served();
        client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
        lab.await_begun("attack", round + 1);
        let [gateway] = children_in("gateway")[..] else { panic!("one gateway") };
        kill_process(gateway, Signal::KILL).expect("a gateway");
        assert!(client.hear().is_none(), "the connection is gone with it");
        await_that("its call is withdrawn", || lab.daemon.status().agents[0].gateway.is_none());
        // The next client has another one; the worker lives.
        lab.connect().is_served();
    }
    // A worker and the notary, in the middle of a call: the caller is told, the next one is served.
    let mut client = lab.connect();
    client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    lab.await_begun("attack", 6);
    for worker in children_in("worker") {
        kill_process(worker, Signal::KILL).expect("a worker");
    }
    let told = client.hear().expect("an answer");
    assert_eq!(kind_of(&told), "worker", "{told}");
    let [notary] = children_in("notary")[..] else { panic!("one notary") };
    kill_process(notary, Signal::KILL).expect("a notary");
    drop(client);
    // Nothing begins while there is none.
    await_that("another notary", || {
        let answer = lab.connect().call("echo-read", "echo", &json!({}));
        answer["result"]["ok"] == true
    });
    let entries = lab.end();
    let ends = |class: &str| {
        let is_it = |entry: &&Entry<'_>| matches!(entry, Entry::CallEnd(end) if end.class.as_str() == class);
        entries.iter().filter(is_it).count()
    };
    assert_eq!(ends("cancelled"), 5, "what a gateway asked for is withdrawn when it dies");
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::Closer(_))).count(), 1);
}

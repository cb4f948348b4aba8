//! Clients that leave, or want their call no more.

use serde_json::json;
use tollgate_audit::Entry;
use tollgate_workspace::processes::await_that;

use crate::lab::{DaemonLab, READS, SLEEPS, kind_of};

const SPINS: &str = "[tools.spin]\nlimits = { deadline = \"1h\", fuel = 10000000000000, calls = 16 }\n";

pub(crate) fn clients_that_leave_end_their_calls() {
    let policy = format!("{READS}{SLEEPS}{SPINS}[serve]\ncalls = 2\n");
    let lab = DaemonLab::new(&["echo-read", "sleep-forever", "spin"], &policy);
    let mut begun = 0;
    let idle = || await_that("no call is left", || lab.daemon.status().agents[0].running == 0);
    for (tool, arguments) in [("spin", json!({})), ("sleep-forever", json!({ "millis": 3_600_000 }))] {
        // By end of file.
        let mut client = lab.connect();
        client.begin(tool, "attack", &arguments);
        begun += 1;
        lab.await_begun("attack", begun);
        drop(client);
        idle();
        // By request: the same connection goes on.
        let mut client = lab.connect();
        let id = client.begin(tool, "attack", &arguments);
        begun += 1;
        lab.await_begun("attack", begun);
        client.say(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{id}}}}}\n").as_bytes());
        let cancelled = client.hear().expect("an answer");
        assert_eq!((&cancelled["id"], kind_of(&cancelled)), (&json!(id), "cancelled"), "{cancelled}");
        client.is_served();
    }
    // In the queue: it never runs.
    let mut client = lab.connect();
    for _call in 0..2 {
        client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    }
    begun += 2;
    lab.await_begun("attack", begun);
    let queued = client.begin("sleep-forever", "attack", &json!({ "millis": 3_600_000 }));
    client.say(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{queued}}}}}\n").as_bytes());
    let cancelled = client.hear().expect("an answer");
    assert_eq!((&cancelled["id"], kind_of(&cancelled)), (&json!(queued), "cancelled"), "{cancelled}");
    drop(client);
    idle();
    assert_eq!(lab.begun("attack"), begun);
    let entries = lab.end();
    let is_it = |entry: &&Entry<'_>| matches!(entry, Entry::CallEnd(end) if end.class.as_str() == "cancelled");
    assert_eq!(entries.iter().filter(is_it).count(), begun, "each is on record as withdrawn");
}

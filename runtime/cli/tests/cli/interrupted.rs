//! Ctrl-C.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::desk::Desk;

/// The call is withdrawn, its end is on record, and nothing is printed as its result. The ledger is free afterwards.
#[test]
fn ctrl_c_cancels_the_call_that_runs() {
    for signal in [Signal::INT, Signal::TERM] {
        let desk = Desk::with("sleep-forever");
        std::fs::remove_file(desk.path("tools/sleep-forever.toml")).unwrap();
        let grants = ["--grant", "clock:monotonic=real", "--grant", "limit:deadline=1h"];
        let sleep = [&["run", "tools/sleep-forever.wasm", "--json"][..], &grants].concat();
        let run = desk.command(&sleep).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = std::time::Instant::now();
        while !desk.path("ledger/journal").exists() || !desk.called().contains(&"attack".to_owned()) {
            assert!(start.elapsed().as_secs() < 60, "no call");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        kill_process(Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap(), signal).unwrap();
        let ran = desk.ran(&run.wait_with_output().unwrap());
        assert_eq!(ran.code, 130, "{ran:?}");
        ran.says(&["cancelling the call; once more ends tollgate at once"]);
        let report = ran.report();
        assert_eq!((&report["ok"], &report["error"]["kind"]), (&json!(false), &json!("cancelled")));
        let end = desk.entries().into_iter().rev().find(|entry| entry["kind"] == "call-end").unwrap();
        assert_eq!((&end["class"], &end["call"]), (&json!("cancelled"), &report["call"]));
        desk.run(&["audit", "verify", "--key", &desk.key()]).says(&[]);
    }
}

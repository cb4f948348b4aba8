//! `tollgate drill`, on workers and gateways: the same attacks that an operator can make, as a test. That the drill sees an escape is tested
//! where it judges.

use serde_json::Value;

use crate::desk::Desk;

#[test]
fn nothing_escapes_from_a_sealed_process() {
    let desk = Desk::new();
    let ran = desk.run(&["drill", "--json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let failed: Vec<&Value> =
        report["attacks"].as_array().unwrap().iter().filter(|attack| attack["verdict"] != "stopped").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(ran.code, 0, "{ran:?}");
    // Three kinds of thread, with nothing granted and with a folder granted; then a gateway, which has one.
    let made = report["made"].as_u64().unwrap();
    assert!(made >= 500 * 3 * 2, "{made}");
    let in_gateway: Vec<&Value> = report["attacks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|attack| attack["ground"].as_str().unwrap().starts_with("a gateway"))
        .collect();
    assert!(in_gateway.len() >= 250, "{}", in_gateway.len());
    assert!(in_gateway.iter().all(|attack| attack["thread"] == "main"));
    // Nearly all meet the filter, which answers; and each is made in a process of its own, which says so.
    let refused = in_gateway.iter().filter(|attack| attack["how"].as_str().unwrap().starts_with("seccomp refuses "));
    assert!(refused.count() + 10 >= in_gateway.len(), "{in_gateway:#?}");
    assert_eq!(report["stopped"], made);
    // Every attack that met the filter has left its entry.
    let by_filter = report["attacks"].as_array().unwrap().iter().filter(|attack| {
        let how = attack["how"].as_str().unwrap();
        how.starts_with("seccomp: ")
    });
    assert_eq!(report["blocked_calls_recorded"], by_filter.count());
    assert!(desk.entries().is_empty(), "the drill keeps a ledger of its own");
}

#[test]
fn a_tool_is_drilled_as_it_is_granted_but_not_on_its_folders() {
    let desk = Desk::with("word-count");
    let before = std::fs::metadata(desk.path("docs")).unwrap().modified().unwrap();
    let args =
        ["drill", "tools/word-count.wasm", "--thread", "executor", "--json", "--grant", "fs:/docs=docs:read,list"];
    let ran = desk.run(&args);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    let failed: Vec<&Value> =
        report["attacks"].as_array().unwrap().iter().filter(|attack| attack["verdict"] != "stopped").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(std::fs::metadata(desk.path("docs")).unwrap().modified().unwrap(), before);
    // What this tool may not do either: its worker has no call to move a file.
    let moved = report["attacks"].as_array().unwrap().iter().find(|attack| attack["attack"] == "rename-out").unwrap();
    assert!(moved["how"].as_str().unwrap().starts_with("seccomp: renameat2"), "{moved}");
}

#[test]
fn attacks_are_chosen_by_name() {
    let desk = Desk::new();
    let list = desk.run(&["drill", "--list"]);
    assert_eq!(list.code, 0, "{list:?}");
    assert!(list.stdout.lines().count() >= 60 && list.stdout.contains("open-outside"), "{list:?}");
    let gateway = desk.run(&["drill", "--attack", "read-tokens", "--attack", "tgkill-notary", "--thread", "main"]);
    assert_eq!(gateway.code, 0, "{gateway:?}");
    let said =
        gateway.stdout.split_once("a gateway, which parses what clients of a daemon send:").expect("a gateway").1;
    assert!(said.contains("seccomp refuses openat2 (437): EPERM") && said.contains("Landlock: EPERM"), "{gateway:?}");
    let one = desk.run(&["drill", "--attack", "garbage", "--thread", "epoch"]);
    assert_eq!(one.code, 0, "{one:?}");
    assert!(one.stdout.contains("1 attacks on 1 kinds of thread: 2 of 2 stopped"), "{one:?}");
    assert!(one.stdout.contains("notary: bytes that are no frame"), "{one:?}");
    let unknown = desk.run(&["drill", "--attack", "open-sesame"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("there is no attack `open-sesame`"), "{unknown:?}");
}

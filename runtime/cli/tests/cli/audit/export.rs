//! `tollgate audit export`: one JSON object a line, its fields as documented.

use serde_json::Value;
use tollgate_audit::read;

use super::counted;

#[test]
fn each_entry_has_index_hash_time_and_context() {
    let desk = counted();
    let ran = desk.run(&["audit", "export"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let entries = read(&desk.path("ledger")).unwrap();
    for (line, entry) in lines.iter().zip(entries) {
        let (index, entry) = entry.unwrap();
        let fields: Vec<_> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["index", "leaf_hash", "time_ns", "context", "entry"]);
        // The desk writes its own folder as FOLDER.
        let folder = std::fs::canonicalize(desk.path("")).unwrap();
        let json = entry.to_json().to_string().replace(folder.to_str().unwrap(), "FOLDER");
        assert_eq!((&line["index"], &line["entry"].to_string()), (&index.0.into(), &json));
        assert_eq!(line["leaf_hash"], entry.encode().leaf().to_string());
        assert_eq!(line["context"].is_null(), entry.call().is_none(), "{line}");
        assert_eq!(line["time_ns"].is_null(), line["entry"]["kind"] == "policy", "{line}");
    }
    assert_eq!(lines.len(), desk.entries().len());
}

#[test]
fn filters_choose_what_is_exported() {
    let desk = counted();
    let ran = desk.run(&["audit", "export", "--operation", "count", "--kind", "call"]);
    assert_eq!(ran.json()["context"]["operation"], "count");
    desk.run(&["audit", "export", "--call", "xyz"]).fails(2, &["`xyz` is not a call id"]);
    desk.run(&["audit", "export", "--ledger", "nowhere"]).fails(2, &["there is no ledger in `nowhere`"]);
}

#[test]
fn what_stands_before_the_damage_is_exported() {
    let desk = counted();
    let journal = desk.path("ledger/journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let ran = desk.run(&["audit", "export"]);
    assert_eq!(ran.code, 5);
    assert!(ran.stdout.lines().count() > 1);
    ran.says(&["the ledger in `ledger` is damaged"]);
}

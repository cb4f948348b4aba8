//! `tollgate audit erase`, and `audit show --private`.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tollgate_audit::{CallId, Salt};
use tollgate_ledger::SideStore;

use crate::desk::Desk;

const SECRET: &str = "Rumpelstiltskin";

/// A desk whose side store has the arguments and the result of a call in full, and the receipt of that call in `r`.
fn confided() -> (Desk, String) {
    let desk = Desk::with("json-query");
    desk.file("tollgate.toml", "[tools.json-query.audit]\narguments = \"full\"\n");
    let input = format!(r#"{{"document": {{"name": "{SECRET}"}}, "pointer": "/name"}}"#);
    let args = ["run", "tools/json-query.wasm", "--op", "query", "--input", &input, "--receipt", "r"];
    assert_eq!(desk.run(&args).json()["value"], SECRET);
    let call = desk.call_of("query");
    (desk, call)
}

/// Files in and beside the ledger that hold the secret.
fn places(desk: &Desk) -> Vec<String> {
    fn visit(path: &Path, found: &mut Vec<String>) {
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|file| visit(&file.unwrap().path(), found));
        // A file that was there for a moment is read by nobody else either.
        } else if fs::read(path).unwrap_or_default().windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
            found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    let mut found = Vec::new();
    visit(&desk.path(""), &mut found);
    found
}

#[test]
fn what_is_erased_is_nowhere_and_what_was_proven_stays_proven() {
    let (desk, call) = confided();
    assert_eq!(places(&desk), ["00000001.open"]);
    let ran = desk.run(&["audit", "erase", "--call", &call, "--reason", "asked to", "--by", "dpo"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("erased: call {call}, ")), "{ran:?}");
    assert!(places(&desk).is_empty());
    let key = desk.key();
    assert_eq!(desk.run(&["audit", "receipt", "verify", "r", "--key", &key]).code, 0);
    let verified = desk.run(&["audit", "verify", "--key", &key, "--json"]).json();
    assert_eq!((&verified["ok"], &verified["checkpoint"]["size"]), (&true.into(), &verified["size"]), "{verified}");
    assert!(desk.run(&["audit", "show", "--last", "1"]).stdout.ends_with(" by dpo; asked to\n"));
    let entries = desk.entries();
    let last = entries.last().unwrap();
    let told = json!([last["kind"], last["call"], last["by"], last["reason"]]);
    assert_eq!(told, json!(["erasure", call, "dpo", "asked to"]));
}

#[test]
fn what_was_erased_before_is_not_recorded_again() {
    let (desk, call) = confided();
    assert_eq!(desk.run(&["audit", "erase", "--call", &call, "--json"]).json()["was_erased"], false);
    let entries = desk.entries().len();
    assert_eq!(desk.run(&["audit", "erase", "--call", &call, "--json"]).json()["was_erased"], true);
    assert_eq!(desk.entries().len(), entries);
}

/// As a worker leaves it that dies before the first entry of the call.
fn lost(desk: &Desk) -> String {
    let call = CallId([1; 16]);
    let store = SideStore::open(&desk.path("ledger")).unwrap();
    store.put_call(call, &Salt([7; 32]), Some(SECRET.as_bytes())).unwrap();
    call.to_string()
}

#[test]
fn texts_of_a_call_that_never_began_are_erased_by_its_id() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let call = lost(&desk);
    assert_eq!(places(&desk), ["00000001.open"]);
    let ran = desk.run(&["audit", "erase", "--call", &call[..6], "--by", "dpo", "--json"]).json();
    let told = json!([ran["call"], ran["records"], ran["was_erased"]]);
    assert_eq!(told, json!([call, 2, false]), "{ran}");
    assert!(places(&desk).is_empty());
    let entries = desk.entries();
    let last = entries.last().unwrap();
    assert_eq!(json!([last["kind"], last["call"], last["by"]]), json!(["erasure", call, "dpo"]));
    assert_eq!(desk.run(&["audit", "verify"]).code, 0);
    assert_eq!(desk.run(&["audit", "erase", "--call", &call, "--json"]).json()["was_erased"], true, "again");
    assert_eq!(desk.entries().len(), entries.len());
}

#[test]
fn a_call_is_looked_for_in_the_ledger_and_in_the_side_store() {
    let (desk, call) = confided();
    lost(&desk);
    let ran = desk.run(&["audit", "erase", "--call", "01"]);
    ran.fails(2, &["several calls", &call, &CallId([1; 16]).to_string()]);
    assert_eq!(places(&desk), ["00000001.open"]);
}

#[test]
fn texts_of_a_call_that_never_began_do_not_outlive_the_next_run() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    lost(&desk);
    assert_eq!(places(&desk), ["00000001.open"]);
    desk.count(&[]).json();
    assert!(places(&desk).is_empty());
    assert!(desk.entries().iter().all(|entry| entry["kind"] != "erasure"), "the ledger never spoke of it");
}

#[test]
fn nothing_is_erased_while_the_ledger_is_in_use() {
    let (desk, call) = confided();
    let sleeper = desk.sleeper();
    let pid = &sleeper.notary;
    let ran = desk.run(&["audit", "erase", "--call", &call, "--wait", "0s"]);
    ran.fails(2, &["cannot be written to", &format!("in use by process {pid}"), "nothing was done", "--wait"]);
    assert_eq!(places(&desk), ["00000001.open"]);
}

#[test]
fn an_erasure_waits_for_the_run_that_has_the_ledger() {
    let (desk, call) = confided();
    let sleeper = desk.sleeper();
    let erasing = desk.command(&["audit", "erase", "--call", &call]).stderr(Stdio::piped()).spawn().unwrap();
    let ended = sleeper.end_once_waited_for(erasing);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(places(&desk).is_empty());
    assert_eq!(desk.run(&["audit", "verify"]).code, 0);
}

#[test]
fn only_a_call_on_record_is_erased() {
    let (desk, _call) = confided();
    desk.run(&["audit", "erase", "--call", "ffff"]).fails(2, &["no call `ffff`"]);
    desk.run(&["audit", "erase", "--call", "0"]).fails(2, &["several calls `0`"]);
    desk.run(&["audit", "erase", "--call", "0", "--ledger", "nowhere"]).fails(2, &["there is no ledger"]);
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn private_data_is_shown_beside_what_is_on_record() {
    let (desk, call) = confided();
    let show = ["audit", "show", "--call", &call, "--private"];
    let text = desk.run(&show).stdout;
    assert!(text.contains(" arguments, as recorded: {\"document\"") && text.contains(SECRET), "{text}");
    let json = desk.run(&[&show[..], &["--json", "--limit", "99"]].concat()).stdout;
    let private: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    let private = &private["private"];
    assert_eq!((&private["arguments_are"], &private["result_is"]), (&"as-recorded".into(), &"as-recorded".into()));
    assert!(private["result"].as_str().unwrap().contains(SECRET), "{private}");
    desk.run(&["audit", "erase", "--call", &call]);
    assert!(desk.run(&show).stdout.contains(" arguments, erased\n"));
}

#[test]
fn private_data_that_was_changed_is_told() {
    let (desk, call) = confided();
    let mut bytes = fs::read(desk.path("ledger.private/00000001.open")).unwrap();
    let place = bytes.windows(SECRET.len()).position(|part| part == SECRET.as_bytes()).unwrap();
    bytes[place] ^= 1;
    fs::write(desk.path("ledger.private/00000001.open"), bytes).unwrap();
    let ran = desk.run(&["audit", "show", "--call", &call, "--private"]);
    assert_eq!(ran.code, 2);
    ran.says(&["the side store beside the ledger cannot be read", "corrupt"]);
}

#[test]
fn where_only_digests_are_kept_no_text_is_shown() {
    let desk = Desk::with("word-count");
    desk.count(&[]).json();
    let call = desk.call_of("count");
    let text = desk.run(&["audit", "show", "--call", &call, "--private"]).stdout;
    assert!(text.contains(" arguments, not kept\n") && text.contains(" result, not kept\n"), "{text}");
}

/// It may have data of any call, so nothing is said to be erased; which file it is, is.
#[test]
fn a_damaged_file_of_the_side_store_is_named() {
    let (desk, call) = confided();
    let kept = desk.path("ledger.private/00000001.open");
    let whole = fs::read(&kept).unwrap();
    // The first record begins behind the header, which is all that the store has without a call.
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("ledger");
    fs::create_dir(&empty).unwrap();
    drop(SideStore::open(&empty).unwrap());
    let header = fs::metadata(folder.path().join("ledger.private/00000001.open")).unwrap().len();
    let mut damaged = whole.clone();
    damaged[usize::try_from(header).unwrap()] ^= 0xff;
    fs::write(&kept, &damaged).unwrap();
    for _again in 0..2 {
        let ran = desk.run(&["audit", "erase", "--call", &call]);
        let said: String = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_ne!(ran.code, 0, "{ran:?}");
        assert!(said.contains("ledger.private/00000001.open`: the side store is corrupt at byte"), "{said}");
        assert!(said.contains("what is named") || said.contains("the file that is named"), "{said}");
    }
    assert!(desk.entries().iter().all(|entry| entry["kind"] != "erasure"));
    fs::write(&kept, whole).unwrap();
    assert_eq!(desk.run(&["audit", "erase", "--call", &call]).code, 0);
}

#[test]
fn a_side_store_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (desk, call) = confided();
    for (name, mode, right) in [("ledger.private", 0o755, 0o700), ("ledger.private/00000001.open", 0o644, 0o600)] {
        let change = |mode| fs::set_permissions(desk.path(name), fs::Permissions::from_mode(mode)).unwrap();
        change(mode);
        let ran = desk.run(&["audit", "erase", "--call", &call]);
        ran.fails(2, &["side store beside the ledger cannot be opened", "open to others", "nothing was erased"]);
        change(right);
        assert_eq!(places(&desk), ["00000001.open"]);
    }
    assert!(desk.entries().iter().all(|entry| entry["kind"] != "erasure"));
}

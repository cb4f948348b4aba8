//! text-diff: a folder that only one of its operations needs.

use serde_json::json;
use tollgate::CallError;
use tollgate_audit::Kind;
use tollgate_capability::{PathFault, Reason};
use tollgate_workspace::expect::Denied;
use tollgate_workspace::{Lab, guest};

use crate::{OPEN_AT, assert_sees_no_folder, refusal, without_grants};

const DRAFT: &str = include_str!("../../example-tools/text-diff/samples/draft.txt");
const FINAL: &str = include_str!("../../example-tools/text-diff/samples/final.txt");
const TEXTS: &[&str] = &["fs:/texts=texts:read"];

fn with_texts() -> Lab {
    let lab = Lab::new();
    lab.file("texts/draft.txt", DRAFT);
    lab.file("texts/final.txt", FINAL);
    lab.file("secret.txt", "nobody may read this");
    lab
}

fn files(before: &str, after: &str) -> String {
    json!({ "before": before, "after": after }).to_string()
}

#[test]
fn files_and_texts_differ_alike() {
    let mut lab = with_texts();
    let tool = lab.tool(guest("text-diff"), TEXTS);
    let of_files = lab.answer(&tool, "diff-files", &files("/texts/draft.txt", "/texts/final.txt"));
    assert_eq!((&of_files["added"], &of_files["removed"], &of_files["unchanged"]), (&json!(2), &json!(1), &json!(4)));
    assert!(of_files["diff"].as_str().unwrap().starts_with("--- /texts/draft.txt\n+++ /texts/final.txt\n@@ "));
    let intents = lab.verified().count(Kind::Intent);
    let of_texts = lab.answer(&tool, "diff", &json!({ "before": DRAFT, "after": FINAL, "context": 0 }).to_string());
    assert_eq!((&of_texts["added"], &of_texts["unchanged"]), (&json!(2), &json!(4)));
    assert_eq!(lab.verified().count(Kind::Intent), intents, "texts take no access");
    let missing =
        refusal(&mut lab, &tool, "diff-files", &json!({ "before": "/texts/draft.txt", "after": "/texts/no" }));
    assert_eq!((missing.0.as_str(), missing.1.starts_with("cannot read /texts/no: ")), ("not-found", true));
}

#[test]
fn nothing_beside_the_folder_is_read() {
    let mut lab = with_texts();
    let tool = lab.tool(guest("text-diff"), TEXTS);
    let beneath = Denied { function: OPEN_AT, rule: "fs:/texts:beneath", reason: Reason::Path(PathFault::Escapes) };
    let arguments = files("/texts/draft.txt", "/texts/../secret.txt");
    let failure = lab.killed(&tool, "diff-files", &arguments, beneath);
    assert!(!failure.to_string().contains("nobody may read this"));
}

/// A need holds for the whole tool: a manifest has no word for a need of one operation.
#[test]
fn without_its_folder_the_tool_does_not_start() {
    let missing = without_grants("text-diff");
    assert_eq!(missing.toml_lines(), "[tools.text-diff]\nfs.\"/texts\" = { host = \"PATH\", access = [\"read\"] }");
    // Where it was started without one all the same, what only computes goes on.
    let mut lab = with_texts();
    let mut set = lab.set(guest("text-diff"), TEXTS);
    set.fs.clear();
    let tool = lab.tool_with(guest("text-diff"), set).unwrap();
    assert_eq!(lab.answer(&tool, "diff", r#"{"before": "a\n", "after": "b\n"}"#)["added"], 1);
    let arguments = json!({ "before": "/texts/draft.txt", "after": "/texts/final.txt" });
    assert_sees_no_folder(&mut lab, &tool, "diff-files", &arguments);
}

#[test]
fn texts_that_have_nothing_in_common_take_fuel() {
    let mut lab = Lab::new();
    lab.folder("texts");
    let tool = lab.tool(guest("text-diff"), &["fs:/texts=texts:read", "limit:fuel=100000000"]);
    let lines = |offset: u32| (0..20_000).map(|line| format!("{}\n", line * 2 + offset)).collect::<String>();
    let arguments = json!({ "before": lines(0), "after": lines(1) }).to_string();
    let failure = lab.failure(&tool, "diff", &arguments);
    let CallError::Cap(hit) = &failure.error else { panic!("{failure:?}") };
    assert_eq!((hit.cap.as_str(), hit.limit), ("fuel", 100_000_000));
    lab.verified();
}

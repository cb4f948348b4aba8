//! What the text of a path may say, in every function that takes one.

use serde_json::{Value, json};
use tollgate_capability::{PathFault, Reason};
use tollgate_workspace::expect::Denied;

use tollgate_workspace::site::{ALL, Refusal, Site, Taken, code, read, step, step_to, write};

const BENEATH: &str = "fs:/docs:beneath";

/// Every function that takes a path, with the path in each place where it can stand.
fn everywhere(path: &str) -> Vec<Value> {
    let mut steps: Vec<_> = [
        "open-at",
        "stat-at",
        "metadata-hash-at",
        "set-times-at",
        "readlink-at",
        "unlink-file-at",
        "remove-directory-at",
        "create-directory-at",
    ]
    .into_iter()
    .map(|op| step(op, path))
    .collect();
    for op in ["rename-at", "link-at"] {
        steps.extend([step_to(op, path, "new"), step_to(op, "b.txt", path)]);
    }
    steps.push(step_to("symlink-at", "b.txt", path));
    steps.push(write(path, "x"));
    steps
}

fn below_sub(mut step: Value) -> Value {
    step["dir"] = json!("sub");
    step["to_dir"] = json!("sub");
    step
}

fn refusals(texts: &[&str], fault: PathFault, code: &'static str) -> Vec<Refusal> {
    let steps = texts.iter().flat_map(|text| everywhere(text));
    steps.map(|step| Refusal::new(step, BENEATH, Reason::Path(fault)).with_code(code)).collect()
}

#[test]
fn dotdot_never_leads_above_the_granted_folder() {
    let mut site = Site::new();
    site.lab.file("docs/b.txt", "so that the other side of a rename exists");
    let texts = [
        "..",
        "../",
        "../outside/secret.txt",
        "./..",
        "sub/../..",
        "sub/../../docs/a.txt",
        "x/../../x",
        "a/b/../../..",
    ];
    let refusals = refusals(&texts, PathFault::Escapes, "not-permitted");
    site.refused(&site.set(ALL), &refusals);
}

#[test]
fn dotdot_never_leads_above_a_handle_below() {
    let mut site = Site::new();
    let texts = ["..", "../a.txt", "./..", "x/../..", "../sub/b.txt", "../../outside/secret.txt"];
    let refusals: Vec<_> = refusals(&texts, PathFault::Escapes, "not-permitted")
        .into_iter()
        .map(|refusal| refusal.changed(below_sub))
        .collect();
    site.refused(&site.set(ALL), &refusals);
}

#[test]
fn absolute_paths_are_refused() {
    let mut site = Site::new();
    site.lab.file("docs/b.txt", "");
    let secret = site.lab.path("outside/secret.txt");
    let texts = ["/", "//", "/etc/passwd", "/docs/a.txt", "/./a.txt", secret.to_str().expect("a temporary folder")];
    site.refused(&site.set(ALL), &refusals(&texts, PathFault::Absolute, "not-permitted"));
}

#[test]
fn a_nul_byte_is_refused() {
    let mut site = Site::new();
    site.lab.file("docs/b.txt", "");
    site.refused(&site.set(ALL), &refusals(&["\0", "a.txt\0", "a\0/../.."], PathFault::Nul, "invalid"));
}

#[test]
fn empty_and_overlong_paths_are_refused_and_kill_in_no_mode() {
    let mut site = Site::new();
    site.lab.file("docs/b.txt", "");
    let long_name = "n".repeat(256);
    let long_path = format!("{}n", "n/".repeat(2048));
    let before = site.snapshot();
    let texts = [
        ("", PathFault::Empty, "no-entry"),
        (long_name.as_str(), PathFault::TooLong, "name-too-long"),
        (long_path.as_str(), PathFault::TooLong, "name-too-long"),
    ];
    let strict = site.load(site.set(ALL));
    for (text, fault, expected) in texts {
        let steps = everywhere(text);
        let functions: Vec<_> = steps.iter().map(function).collect();
        let denied: Vec<_> =
            functions.iter().map(|function| Denied { function, rule: BENEATH, reason: Reason::Path(fault) }).collect();
        let outcomes = site.lab.denied(&strict, "raw", &json!({ "steps": steps }).to_string(), &denied);
        let codes: Vec<_> = outcomes.as_array().expect("outcomes").iter().map(code).collect();
        assert_eq!(codes, vec![expected; steps.len()], "{text:.20}");
    }
    assert_eq!(site.snapshot(), before);
}

fn function(step: &Value) -> String {
    format!("wasi:filesystem/types.[method]descriptor.{}", step["op"].as_str().expect("an op"))
}

#[test]
fn dots_and_slashes_that_stay_inside_change_nothing() {
    let mut site = Site::new();
    let tool = site.lenient(site.set(ALL));
    let folders = ["sub", "sub/", "sub//", "./sub", "sub/.", "sub/./", "sub/x/..", "a.txt/../sub"];
    let mut steps: Vec<_> = [".", "./", "././/", "sub/.."].iter().map(|text| step("stat-at", text)).collect();
    steps.extend(folders.iter().map(|text| step("stat-at", text)));
    let taken = site.raw(&tool, &steps);
    for (outcome, step) in taken.outcomes.iter().zip(&steps) {
        assert_eq!(outcome["ok"]["type"], "directory", "{step}: {outcome}");
    }
    let files = ["sub/b.txt", "./sub//b.txt", "sub/./b.txt", "sub/../sub/b.txt", "absent/../sub/b.txt"];
    let mut steps: Vec<_> = files.iter().map(|text| read(text)).collect();
    steps.extend(["b.txt", "./b.txt", "x/../b.txt", ".//b.txt"].iter().map(|text| below_sub(read(text))));
    let padded = format!("{}sub/b.txt", "./".repeat(100_000));
    steps.push(read(&padded));
    let taken = site.raw(&tool, &steps);
    for (outcome, step) in taken.outcomes.iter().zip(&steps) {
        assert_eq!(outcome["ok"], "beta", "{:.80}", step.to_string());
    }
    assert_eq!(site.lab.verified().count(tollgate_audit::Kind::Violation), 0);
}

#[test]
fn a_trailing_slash_makes_no_file_a_folder() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    let on_files = ["a.txt/", "a.txt//", "a.txt/."];
    let ops = ["open-at", "stat-at", "metadata-hash-at", "set-times-at", "unlink-file-at"];
    let mut steps: Vec<_> = on_files.iter().flat_map(|text| ops.iter().map(|op| step(op, text))).collect();
    for text in on_files {
        steps.extend([step_to("rename-at", text, "new"), step_to("link-at", text, "new")]);
    }
    steps.extend([write("a.txt/.", "x"), step_to("rename-at", "a.txt", "new/")]);
    let taken = site.raw(&tool, &steps);
    assert_eq!(taken.codes(), vec!["not-directory"; steps.len()]);
    let made = [write("a.txt/", "x"), write("a.txt//", "x"), write("new/", "x"), write("new/.", "x")];
    assert_eq!(site.raw(&tool, &made).codes(), ["is-directory", "is-directory", "is-directory", "no-entry"]);
    let through_a_file = ["a.txt/x", "a.txt/x/../y"];
    let steps: Vec<_> = through_a_file.iter().flat_map(|text| ops.iter().map(|op| step(op, text))).collect();
    assert_eq!(site.raw(&tool, &steps).codes(), vec!["not-directory"; steps.len()]);
    let open = |path: &str| json!({ "op": "open-at", "base": "/docs", "path": path, "open": ["create"] });
    assert_eq!(site.raw(&tool, &[open("new/"), open("new/.")]).codes(), ["is-directory", "no-entry"]);
    assert_eq!(site.snapshot(), before);
    let steps = [step("create-directory-at", "new/"), step("stat-at", "new/"), step("remove-directory-at", "new//")];
    assert_eq!(site.raw(&tool, &steps).codes(), ["ok", "ok", "ok"]);
}

/// A slash or a dot at the end of a name that is to be made is not dropped.
#[test]
fn a_name_that_ends_in_a_slash_or_a_dot_is_not_made() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    let expected = [
        (step_to("symlink-at", "a.txt", "new/"), "no-entry"),
        (step_to("symlink-at", "a.txt", "new/."), "no-entry"),
        (step_to("symlink-at", "a.txt", "sub/"), "exist"),
        (step_to("symlink-at", "a.txt", "sub/."), "exist"),
        (step("create-directory-at", "new/."), "no-entry"),
        (step("create-directory-at", "sub/."), "exist"),
        (step_to("rename-at", "sub", "new/."), "no-entry"),
        (step_to("rename-at", "sub/.", "new"), "busy"),
        (step_to("rename-at", "a.txt", "sub/."), "busy"),
        (step_to("link-at", "a.txt", "new/"), "no-entry"),
        (step_to("link-at", "a.txt", "new/."), "no-entry"),
        (step_to("link-at", "a.txt", "a.txt/"), "exist"),
        (step_to("link-at", "a.txt", "sub/"), "exist"),
        (step_to("link-at", ".", "new"), "not-permitted"),
        (step_to("link-at", "sub", "new"), "not-permitted"),
        (step_to("link-at", "a.txt", "."), "exist"),
        (step("remove-directory-at", "sub/."), "invalid"),
    ];
    for (step, code) in expected {
        let taken = site.raw(&tool, std::slice::from_ref(&step));
        assert_eq!(taken.codes(), [code], "{step}");
        assert!(!taken.record.iter().any(|line| line.end.starts_with("gate")), "{step} is no violation");
    }
    assert_eq!(site.snapshot(), before);
    let steps = [step_to("rename-at", "sub", "moved/"), step("create-directory-at", "new/")];
    assert_eq!(site.raw(&tool, &steps).codes(), ["ok", "ok"], "a folder's name may end in a slash");
}

/// As Linux has it, where plain wasmtime is wrong.
#[test]
fn stat_of_a_file_with_a_slash_removing_an_empty_folder_with_one_and_reads_of_nothing() {
    let mut site = Site::new();
    site.lab.folder("docs/empty");
    let tool = site.load(site.set(ALL));
    let steps = [step("stat-at", "a.txt/"), step("remove-directory-at", "empty/")];
    assert_eq!(site.raw(&tool, &steps).codes(), ["not-directory", "ok"]);
    assert!(!site.lab.path("docs/empty").exists());
    let open = json!({ "op": "open", "of": "/docs", "path": "a.txt", "flags": ["read"], "name": "a" });
    let read = |len: u64| json!({ "op": "read", "of": "a", "len": len });
    let taken = site.steps(&tool, "handles", &[open, read(0), read(5)]);
    assert_eq!((&taken.outcomes[1]["ok"], &taken.outcomes[2]["ok"]), (&json!(""), &json!("alpha")));
}

/// A slash follows a link, whatever the flags say.
#[test]
fn links_with_a_slash_are_followed_and_what_is_no_link_cannot_be_read_as_one() {
    let mut site = Site::new();
    site.symlink("sub", "docs/to-folder");
    site.symlink("a.txt", "docs/to-file");
    let tool = site.load(site.set(ALL));
    let open = |path: &str, open: &[&str]| json!({ "op": "open-at", "base": "/docs", "path": path, "open": open, "flags": ["read"], "then": "get-type" });
    let steps = [
        open("to-folder/", &[]),
        open("to-folder", &[]),
        open("to-file/", &[]),
        open("sub", &["create"]),
        step("readlink-at", "to-folder"),
        step("readlink-at", "to-folder/"),
        step("readlink-at", "to-file/"),
        step("readlink-at", "a.txt"),
        step("readlink-at", "sub"),
        step("readlink-at", "."),
    ];
    let taken = site.raw(&tool, &steps);
    let codes = [
        "ok",
        "loop",
        "not-directory",
        "is-directory",
        "ok",
        "invalid",
        "not-directory",
        "invalid",
        "invalid",
        "invalid",
    ];
    assert_eq!(taken.codes(), codes);
    assert_eq!(taken.outcomes[0]["ok"], "directory");
}

#[test]
fn the_granted_folder_itself_stays() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let before = site.snapshot();
    for (text, op, expected) in [
        (".", "create-directory-at", "exist"),
        ("sub/..", "create-directory-at", "exist"),
        (".", "remove-directory-at", "busy"),
        (".", "unlink-file-at", "busy"),
        ("sub", "remove-directory-at", "not-empty"),
        ("sub", "unlink-file-at", "is-directory"),
        (".", "readlink-at", "invalid"),
    ] {
        assert_eq!(site.raw(&tool, &[step(op, text)]).codes(), [expected], "{op} {text}");
    }
    let steps = [
        step_to("rename-at", ".", "new"),
        step_to("rename-at", "sub", "."),
        step_to("link-at", "a.txt", "."),
        step_to("symlink-at", "a.txt", "."),
        below_sub(step_to("rename-at", "b.txt", ".")),
    ];
    assert_eq!(site.raw(&tool, &steps).codes(), ["busy", "busy", "exist", "exist", "busy"]);
    assert_eq!(site.snapshot(), before);
}

#[test]
fn the_longest_names_and_paths_are_still_paths() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let name = "n".repeat(255);
    let path = format!("{}n", "n/".repeat(2047));
    assert_eq!((name.len(), path.len()), (255, 4095));
    let taken = site.raw(&tool, &[write(&name, "long"), read(&name), read(&path)]);
    assert_eq!(taken.codes(), ["ok", "ok", "no-entry"]);
    assert_eq!(site.text(&format!("docs/{name}")), "long");
    let wide = "ü".repeat(127);
    assert_eq!(site.raw(&tool, &[write(&wide, "wide")]).codes(), ["ok"]);
    assert_eq!(site.raw(&tool, &[write(&format!("{wide}üü"), "")]).codes(), ["name-too-long"]);
}

#[test]
fn what_only_looks_like_a_way_out_is_a_name() {
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let names = [
        "...",
        ". .",
        ".. ",
        " ..",
        "..\\outside",
        "%2e%2e",
        "\u{2024}\u{2024}",
        "\u{ff0e}\u{ff0e}",
        "..\u{200b}",
        "\u{202e}..",
        "a\nb",
        "C:",
        "~",
        "$HOME",
        "caf\u{e9}",
        "cafe\u{301}",
        "A.TXT",
        "-rf",
        "*",
    ];
    for name in names {
        let Taken { outcomes, .. } = site.raw(&tool, &[write(name, name), read(name)]);
        assert_eq!(outcomes[1]["ok"], *name, "{name:?}");
        assert_eq!(site.text(&format!("docs/{name}")), name);
    }
    assert_eq!(site.text("docs/a.txt"), "alpha", "case counts");
    assert_eq!(site.raw(&tool, &[read("Sub/b.txt"), read("%2e%2e/outside")]).codes(), ["no-entry", "not-directory"]);
    assert_eq!(site.text("outside/secret.txt"), tollgate_workspace::site::SECRET);
}

#[test]
fn nothing_granted_means_nothing_on_paths_either() {
    let mut site = Site::new();
    let refused = |step, right: &str| Refusal::new(step, &format!("fs:/docs:{right}"), Reason::NotGranted);
    let refusals = [
        refused(read("a.txt"), "read"),
        refused(read("absent"), "read"),
        refused(write("a.txt", "x"), "write"),
        refused(write("new", "x"), "write"),
        refused(json!({ "op": "open-at", "base": "/docs", "path": "new", "open": ["create"] }), "create"),
        refused(json!({ "op": "open-at", "base": "/docs", "path": "a.txt", "open": ["truncate"] }), "write"),
        refused(json!({ "op": "open-at", "base": "/docs", "path": "sub", "open": ["directory"] }), "list"),
        refused(step("stat-at", "a.txt"), "metadata"),
        refused(step("metadata-hash-at", "a.txt"), "metadata"),
        refused(step("readlink-at", "a.txt"), "metadata"),
        refused(step("set-times-at", "a.txt"), "write"),
        refused(step("create-directory-at", "new"), "create"),
        refused(step("remove-directory-at", "sub"), "delete"),
        refused(step("unlink-file-at", "a.txt"), "delete"),
        refused(step_to("rename-at", "a.txt", "new"), "delete"),
        refused(step_to("link-at", "a.txt", "new"), "read"),
        refused(step_to("symlink-at", "a.txt", "new"), "create"),
        refused(json!({ "op": "preopen", "base": "/docs", "then": "read-directory" }), "list"),
    ];
    site.refused(&site.set(""), &refusals);
}

//! Tools and their folders on FUSE, where no rename says that it must replace nothing.

use serde_json::json;

use crate::desk::Desk;
use tollgate_testing::fuse::Fuse;

#[test]
fn a_tool_is_installed_and_replaced_where_its_home_is_on_fuse() {
    let desk = Desk::with("json-query");
    std::fs::create_dir_all(desk.path("behind")).unwrap();
    std::fs::create_dir_all(desk.home()).unwrap();
    let Some(_fuse) = Fuse::over(&desk.path("behind"), &desk.home()) else { return };
    let installed = desk.run(&["install", "tools/json-query.wasm"]);
    assert!(installed.stdout.starts_with("installed json-query 0.1.0"), "{installed:?}");
    let again = desk.run(&["install", "tools/json-query.wasm"]);
    assert!(again.code != 0 && again.stderr.contains("--force"), "{again:?}");
    let replaced = desk.run(&["install", "tools/json-query.wasm", "--force"]);
    assert_eq!(replaced.code, 0, "{replaced:?}");
    let run = ["run", "json-query", "--op", "query", "--input", r#"{"document": {"a": 1}, "pointer": "/a"}"#];
    assert_eq!(desk.run(&run).json(), json!({ "value": 1 }));
    let tools = std::fs::read_dir(desk.path("behind/tools")).unwrap().count();
    assert_eq!(tools, 1, "nothing is left over");
}

/// In a sealed worker, whose filter knows no more calls than the grants bring.
#[test]
fn a_sealed_tool_gives_a_file_a_new_name_on_fuse() {
    let desk = Desk::with("probe-fs");
    desk.file("behind/a.txt", "alpha");
    std::fs::create_dir_all(desk.path("mounted")).unwrap();
    let Some(_fuse) = Fuse::over(&desk.path("behind"), &desk.path("mounted")) else { return };
    let steps =
        json!({ "steps": [{ "op": "rename-at", "base": "/docs", "path": "a.txt", "to": "b.txt" }] }).to_string();
    let grant = "fs:/docs=mounted:read,write,create,delete,list,metadata";
    let ran = desk.run(&["run", "tools/probe-fs.wasm", "--op", "raw", "--input", &steps, "--grant", grant]);
    assert_eq!(ran.json(), json!([{ "ok": null }]), "{ran:?}");
    assert_eq!(std::fs::read_to_string(desk.path("behind/b.txt")).unwrap(), "alpha");
    assert!(!desk.path("behind/a.txt").exists());
}

//! What docs/serve-clients.md says, done with a daemon that serves: curl, Python, and the Rust client's example.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::console::blocks;
use crate::serve::{POLICY, Served, calls, desk};
use tollgate_testing::foreign::missing;

const PAGE: &str = include_str!("../../../../docs/serve-clients.md");

fn served(test: impl Fn(&Path)) -> Vec<Value> {
    let desk = desk(&["word-count"], POLICY);
    let served = Served::start(&desk);
    let socket = desk.run(&["status", "--socket"]).stdout.trim().replace("FOLDER", &real(&desk.path("")));
    assert_eq!(Path::new(&socket), served.socket("local"));
    test(Path::new(&socket));
    served.stop();
    calls(&desk)
}

fn real(path: &Path) -> String {
    std::fs::canonicalize(path).unwrap().to_str().unwrap().trim_end_matches('/').to_owned()
}

fn block(language: &str) -> &'static str {
    let found = blocks(PAGE).into_iter().find(|(its, _)| *its == language);
    found.unwrap_or_else(|| panic!("no {language} in the page")).1
}

#[test]
fn curl_as_the_page_has_it() {
    if Command::new("curl").arg("--version").output().is_err() {
        return missing("curl, for the page of clients,", "apt.log");
    }
    let called = served(|socket| {
        // Older ones have no `--json` (7.82).
        let lines = block("console").replace("--json", "--header 'Content-Type: application/json' --data");
        for line in lines.lines() {
            let output = Command::new("sh").args(["-ec", line]).env("SOCKET", socket).output().unwrap();
            let answer: Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
            assert!(answer["tools"][0]["tool"] == "word-count" || answer["output"]["words"] == 10, "{line}: {answer}");
        }
    });
    assert_eq!(called.len(), 1);
}

#[test]
fn python_as_the_page_has_it() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/languages/venv/bin/python3");
    if !Command::new(&python).args(["-c", "import httpx"]).output().is_ok_and(|output| output.status.success()) {
        return missing("httpx in target/languages/venv, for the page of clients,", "pip-clients.log");
    }
    let called = served(|socket| {
        let mut command = Command::new(&python);
        let output =
            command.args(["-c", block("python")]).arg(socket).args(["word-count", "count", r#"{"folder": "/docs"}"#]);
        let output = output.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("word-count count ") && said.contains("\"words\": 10"), "{said}");
    });
    assert_eq!(called.len(), 1);
}

#[test]
fn the_rust_clients_example() {
    let built: PathBuf = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("call");
    let called = served(|socket| {
        let mut command = Command::new(&built);
        let output = command.arg(socket).args(["word-count", "count", r#"{"folder": "/docs"}"#]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("word-count count: ") && said.contains("\"words\":10"), "{said}");
    });
    assert_eq!((called.len(), &called[0]["claims"]["agent"]), (1, &Value::from("example")));
}

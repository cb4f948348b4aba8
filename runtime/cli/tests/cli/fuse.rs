//! Tools and their folders on FUSE, where no rename says that it must replace nothing.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::desk::{Background, Desk};
use tollgate_testing::foreign::skipped;
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
    assert!(again.stdout.starts_with("is installed already"), "{again:?}");
    desk.place("word-count");
    let other = ["install", "tools/word-count.wasm", "--name", "json-query"];
    let replaced = desk.run(&other);
    assert!(replaced.code == 0 && replaced.stdout.contains("before  0.1.0"), "{replaced:?}");
    assert_eq!(desk.run(&["rollback", "json-query"]).code, 0);
    let run = ["run", "json-query", "--op", "query", "--input", r#"{"document": {"a": 1}, "pointer": "/a"}"#];
    assert_eq!(desk.run(&run).json(), json!({ "value": 1 }));
    assert_eq!(desk.run(&["remove", "json-query"]).code, 0);
    let left = std::fs::read_dir(desk.path("behind/tools/components.sha256")).unwrap().count();
    assert_eq!(left, 0, "nothing is left over");
}

/// A mount whose server answers nothing while it lives.
struct Hung<'d> {
    server: Option<Background>,
    at: &'d Path,
}

impl<'d> Hung<'d> {
    fn at(at: &'d Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = "fd=3,rootmode=40000,user_id=0,group_id=0";
        let script =
            format!("exec 3<>/dev/fuse; mount -i -t fuse -o {options} none \"$0\" && echo mounted; exec sleep 1h");
        let mut server = Command::new("sh");
        let mut server =
            server.args(["-c", &script]).arg(at).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut said = String::new();
        BufReader::new(server.stdout.take()?).read_line(&mut said).ok()?;
        let server = Some(Background(server));
        (said == "mounted\n").then_some(Self { server, at })
    }
}

impl Drop for Hung<'_> {
    fn drop(&mut self) {
        drop(self.server.take());
        assert!(Command::new("umount").arg("-l").arg(self.at).status().unwrap().success());
    }
}

/// Nothing can be done about it but to say what is waited for; a server that dies is told as that.
#[test]
fn a_file_system_that_stands_still_is_said_to_be_waited_for() {
    let desk = Desk::with("word-count");
    let at = desk.path("hung");
    let Some(mut hung) = Hung::at(&at) else { return skipped("this user cannot mount FUSE") };
    let wait = |args: &[&str]| desk.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let count = |more: &[&str]| wait(&[&["run", "tools/word-count.wasm", "--op", "count"], more].concat());
    let mut all = [
        ("reading the tool and its policy …\n", wait(&["run", "hung/tool.wasm"])),
        ("looking at the granted folders …\n", count(&["--grant", "fs:/docs=hung:read,list"])),
    ];
    let mut heard = Vec::new();
    for (line, child) in &mut all {
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        stderr.read_line(&mut said).unwrap();
        assert_eq!(said, *line);
        heard.push(stderr);
    }
    drop(hung.server.take());
    for ((_, child), mut stderr) in all.into_iter().zip(heard) {
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2), "{said}");
        assert!(said.contains("help: look at the device or server"), "{said}");
    }
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

//! A home of 10,000 tools: a call, the start of a daemon, a list and the search of a name cost what they show, by counted system calls,
//! and what is held is of tools in use.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tollgate_testing::foreign::missing;
use tollgate_testing::processes::{await_that, children_of_in};
use tollgate_testing::rpc::Rpc;

use crate::desk::Desk;
use crate::large::multiply;
use crate::serve::{POLICY, Served, desk, get, http};

const TOOLS: usize = 10_000;

/// What is counted: all that looks at names and folders.
const COUNTED: &str = "trace=%file,getdents64";

fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    if !is_there {
        missing("`strace`", "apt.log");
    }
    is_there
}

/// A desk with word-count, which a daemon grants its folder, and as many tools in all.
fn with_tools(count: usize) -> Desk {
    let desk = desk(&["word-count"], POLICY);
    multiply(&desk.home(), "word-count", count);
    desk
}

/// The lines of a log of strace that are of the folder of tools.
fn of_tools(log: &Path) -> Vec<String> {
    let log = fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains("tollgate-home/tools")).map(str::to_owned).collect()
}

/// How often a process looks at installed tools while `work` is done.
fn looks(desk: &Desk, process: u32, work: impl FnOnce()) -> usize {
    of_tools(&traced(desk, process, work)).len()
}

/// The log of what a process looks at while `work` is done.
fn traced(desk: &Desk, process: u32, work: impl FnOnce()) -> PathBuf {
    let [log, said] = ["strace.log", "strace.said"].map(|name| desk.path(name));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-s", "4096", "-e", COUNTED, "-o"]).arg(&log).args(["-p", &process.to_string()]);
    let mut strace = strace.stdin(Stdio::null()).stderr(File::create(&said).unwrap()).spawn().unwrap();
    await_that("strace is attached", || fs::read_to_string(&said).unwrap().contains("attached"));
    work();
    kill_process(Pid::from_child(&strace), Signal::INT).unwrap();
    strace.wait().unwrap();
    log
}

#[test]
fn a_call_to_a_daemon_looks_at_one_tool_however_many_there_are() {
    if !has_strace() {
        return;
    }
    let [alone, among] = [1, TOOLS].map(|count| {
        let desk = with_tools(count);
        let served = Served::start(&desk);
        let mut client = Rpc::connect(served.socket("local"));
        let call = |client: &mut Rpc| {
            let by_tool = json!({ "tool": "word-count", "operation": "count", "arguments": { "folder": "/docs" } });
            let by_name = json!({ "name": "word-count_count", "arguments": { "folder": "/docs" } });
            for params in [by_tool, by_name] {
                let answer = client.ask("call", &params);
                assert_eq!(answer["result"]["output"]["files"], 2, "{answer}");
            }
        };
        call(&mut client);
        let looks = looks(&desk, served.pid(), || (0..CALLS).for_each(|_call| call(&mut client)));
        // To tell of all of them starts none of them.
        let told = client.ask("tools", &json!({}));
        assert_eq!(
            told["result"]["tools"].as_array().unwrap().len() + told["result"]["unavailable"].as_array().unwrap().len(),
            count
        );
        let daemon = Pid::from_raw(i32::try_from(served.pid()).unwrap()).unwrap();
        assert_eq!(children_of_in(daemon, "worker").len(), 1);
        drop(served.stop());
        looks
    });
    assert_eq!(alone, among);
    // A call by its tool's name looks at the record once, one by an offered name twice.
    assert_eq!(alone, 3 * CALLS);
}

/// What all tools are judged by is looked at once for each list: the mounts, the folders of all grants, the places that no grant may
/// reach. So each tool more costs the same, and no more than its own files and folders.
#[test]
fn a_list_looks_once_at_what_all_tools_are_judged_by() {
    if !has_strace() {
        return;
    }
    // Its two operations are an entry each of the second.
    let formats = [("tools", 1), ("/v1/tools?format=mcp", 2)];
    let counted = [50, 100, 150].map(|count| {
        let grant = "fs.\"/docs\" = { host = \"../docs\", access = [\"read\", \"list\", \"create\"] }\n";
        let entry = |number| format!("[tools.another-{number:05}]\n{grant}");
        let policy = (1..count).map(entry).chain([format!("[tools.word-count]\n{grant}")]).collect::<String>();
        let desk = desk(&["word-count"], &policy);
        multiply(&desk.home(), "word-count", count);
        formats.map(|(format, each)| {
            let served = Served::start(&desk);
            // Its gateway is there, and the lane.
            Rpc::connect(served.socket("local")).ask("call", &json!({ "tool": "nothing" }));
            let log = traced(&desk, served.pid(), || {
                let listed = if format == "tools" {
                    Rpc::connect(served.socket("local")).ask("tools", &json!({}))["result"].clone()
                } else {
                    serde_json::from_str(&http(served.socket("local"), &get(format)).1).unwrap()
                };
                assert_eq!(listed["tools"].as_array().unwrap().len(), each * count, "{format}");
            });
            let log = fs::read_to_string(log).unwrap();
            assert_eq!(log.matches("mountinfo").count(), 1, "{format}, {count} tools");
            drop(served.stop());
            log.lines().count()
        })
    });
    let [few, some, many] = counted;
    for ((few, some), many) in few.into_iter().zip(some).zip(many) {
        // What the daemon does beside, each few seconds, is not of the list.
        assert!((many - some).abs_diff(some - few) <= BESIDE_MAX, "{few}, {some}, {many}");
        assert!(many - some < 50 * EACH_TOOL_MAX, "{few}, {some}, {many}");
    }
}

#[test]
fn a_daemon_starts_without_a_look_at_any_tool() {
    if !has_strace() {
        return;
    }
    let [alone, among] = [1, TOOLS].map(|count| {
        let desk = with_tools(count);
        let log = desk.path("strace.log");
        let program = desk.command(&["serve", "--json"]);
        let mut strace = Command::new("strace");
        strace.args(["-s", "4096", "-e", COUNTED, "-o"]).arg(&log).arg(program.get_program()).args(program.get_args());
        let variables = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
        strace.current_dir(desk.path("")).envs(variables).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut strace = strace.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(strace.stdout.as_mut().unwrap()), &mut line).unwrap();
        assert!(line.contains("\"agents\""), "{line}");
        assert_eq!(desk.run(&["serve", "stop"]).code, 0);
        strace.wait().unwrap();
        let lines = of_tools(&log);
        assert!(!lines.iter().any(|line| line.contains(".json")), "{lines:?}");
        lines.len()
    });
    assert_eq!(alone, among);
}

#[test]
fn a_list_costs_what_it_shows_and_one_tool_costs_itself() {
    if !has_strace() {
        return;
    }
    let made = |desk: &Desk, args: &[&str]| {
        let log = desk.path("strace.log");
        let program = desk.command(args);
        let mut strace = Command::new("strace");
        strace
            .args(["-s", "0", "-e", "trace=%file,read,getdents64", "-o"])
            .arg(&log)
            .arg(program.get_program())
            .args(program.get_args());
        let variables = program.get_envs().filter_map(|(name, value)| Some((name, value?)));
        strace.current_dir(desk.path("")).envs(variables).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(strace.status().unwrap().success(), "{args:?}");
        fs::read_to_string(log).unwrap().lines().count()
    };
    let (one, many) = (with_tools(1), with_tools(TOOLS));
    let grant = ["--grant", "fs:/docs=docs:read,list"];
    let check = [&["check", "word-count"][..], &grant, &["read", "/docs/a.txt"]].concat();
    let inspect = [&["inspect", "word-count"][..], &grant].concat();
    for args in [&["show", "word-count"][..], &check, &inspect] {
        assert_eq!(made(&one, args), made(&many, args), "{args:?}");
    }
    let (alone, among) = (made(&one, &["list", "--json"]), made(&many, &["list", "--json"]));
    // Open, look at, read to the end, close; and a share of the names and of what is printed.
    assert!(among - alone < 6 * TOOLS, "{alone} {among}");
    let listed = many.run(&["list", "--json"]);
    assert_eq!(listed.json().as_array().unwrap().len(), TOOLS);
}

const CALLS: usize = 20;

/// Most looks at names that a tool of a list costs: its record, its files, its granted folder, and what is above that.
const EACH_TOOL_MAX: usize = 60;
const BESIDE_MAX: usize = 50;

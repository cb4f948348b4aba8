//! Which crate of the workspace may use which: one direction, from what decides and what is proof up to the program, as
//! ARCHITECTURE.md draws it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What the crates that only decide, read and prove do without: a verifier and an auditor's replay need no more than these.
const NOT_BELOW: [&str; 4] = ["toml", "miette", "strsim", "clap"];

/// What nothing that a verifier links may bring, however far below.
const NOT_IN_THE_VERIFIER: [&str; 9] = [
    "toml",
    "miette",
    "strsim",
    "clap",
    "wasmtime",
    "tollgate-config",
    "tollgate-ledger",
    "tollgate-notary",
    "tollgate-report",
];

#[test]
fn crates_use_each_other_as_the_picture_shows() {
    let (uses, shown) = (uses(), picture());
    assert!(shown.len() > 10, "{shown:?}");
    for (name, shown) in &shown {
        let ours = uses[name].iter().filter(|used| uses.contains_key(*used));
        assert_eq!(ours.cloned().collect::<BTreeSet<_>>(), *shown, "{name}");
    }
    let low = ["tollgate-capability", "tollgate-network", "tollgate-audit", "tollgate-wasi-proxy", "tollgate-plain"];
    for name in low.into_iter().chain(["tollgate-schema"]) {
        let too_much: Vec<_> = NOT_BELOW.iter().filter(|other| uses[name].contains(**other)).collect();
        assert!(too_much.is_empty(), "{name} uses {too_much:?}");
    }
    // A library knows no command line.
    let with_clap: Vec<&String> = shown.keys().filter(|name| uses[*name].contains("clap")).collect();
    assert_eq!(with_clap, ["tollgate-cli"]);
}

/// Its whole tree, as cargo would link it for the program of an auditor.
#[test]
fn a_verifier_links_neither_what_configures_nor_what_writes() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", "tollgate-verify", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    let linked: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(linked.contains("tollgate-audit") && linked.contains("tollgate-capability"), "{tree}");
    let too_much: Vec<_> = NOT_IN_THE_VERIFIER.iter().filter(|other| linked.contains(**other)).collect();
    assert!(too_much.is_empty(), "tollgate-verify links {too_much:?}");
}

/// The drawn crates of ARCHITECTURE.md, by the names of their packages, and what each uses of ours.
fn picture() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md")).expect("a text");
    let (_, after) = text.split_once("\nDependencies go one way.").expect("a picture of the crates");
    let drawn = after.split("```").nth(1).expect("what is drawn");
    let package = |name: &str| match name.trim() {
        "tollgate" => "tollgate".to_owned(),
        name => format!("tollgate-{name}"),
    };
    let rows = drawn.lines().filter_map(|line| line.split_once("─▶"));
    let used = |list: &str| list.split(',').filter(|name| !name.trim().is_empty()).map(package).collect();
    rows.map(|(name, list)| (package(name), used(list))).collect()
}

/// `cargo install` takes one package: `tollgate drill` starts the other program from beside itself.
#[test]
fn one_package_brings_both_programs() {
    let packages = packages();
    let is_program = |target: &&Value| {
        let mut kinds = target["kind"].as_array().expect("kinds").iter();
        kinds.any(|kind| kind == "bin")
    };
    let with = |program: &str| -> Vec<&Value> {
        let has = |package: &&Value| {
            let targets = package["targets"].as_array().expect("targets");
            targets.iter().filter(is_program).any(|target| target["name"] == program)
        };
        packages.iter().filter(has).map(|package| &package["name"]).collect()
    };
    let (tollgate, drill) = (with("tollgate"), with("tollgate-drill"));
    assert_eq!((tollgate.len(), &tollgate), (1, &drill), "the packages that have one of the programs");
}

/// The packages of the workspace, and what each uses outside its tests.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let packages = packages().into_iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

/// The packages of the workspace, as cargo tells of them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

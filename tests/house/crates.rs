//! Which crate of the workspace may use which: one direction, from what decides and what is proof up to the program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate that is shipped, with the crates of the workspace that it uses.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("tollgate-plain", &[]),
    ("tollgate-schema", &[]),
    ("tollgate-capability", &["tollgate-plain"]),
    ("tollgate-config", &["tollgate-capability", "tollgate-plain"]),
    ("tollgate-audit", &["tollgate-plain"]),
    ("tollgate-wasi-proxy", &["tollgate-audit", "tollgate-capability"]),
    ("tollgate-authority", &["tollgate-audit", "tollgate-capability", "tollgate-config", "tollgate-wasi-proxy"]),
    (
        "tollgate",
        &[
            "tollgate-audit",
            "tollgate-authority",
            "tollgate-capability",
            "tollgate-config",
            "tollgate-plain",
            "tollgate-schema",
            "tollgate-wasi-proxy",
        ],
    ),
    ("tollgate-attacks", &["tollgate", "tollgate-audit", "tollgate-capability"]),
    (
        "tollgate-cli",
        &[
            "tollgate",
            "tollgate-attacks",
            "tollgate-audit",
            "tollgate-authority",
            "tollgate-capability",
            "tollgate-config",
            "tollgate-plain",
            "tollgate-wasi-proxy",
        ],
    ),
    ("tollgate-guest-macros", &[]),
    ("tollgate-guest", &["tollgate-guest-macros"]),
];

/// What the decision core and the format of the ledger do without: a verifier and an auditor's replay need no more than these.
const NOT_BELOW: [&str; 4] = ["toml", "miette", "strsim", "clap"];

#[test]
fn crates_use_each_other_in_one_direction() {
    let uses = uses();
    for (name, may_use) in MAY_USE {
        let used: BTreeSet<&str> =
            uses[name].iter().map(String::as_str).filter(|used| uses.contains_key(*used)).collect();
        assert_eq!(used, may_use.iter().copied().collect(), "{name}");
    }
    for name in ["tollgate-capability", "tollgate-audit", "tollgate-wasi-proxy", "tollgate-plain", "tollgate-schema"] {
        let too_much: Vec<_> = NOT_BELOW.iter().filter(|other| uses[name].contains(**other)).collect();
        assert!(too_much.is_empty(), "{name} uses {too_much:?}");
    }
    // A library knows no command line.
    let with_clap: Vec<&str> =
        MAY_USE.iter().map(|(name, _)| *name).filter(|name| uses[*name].contains("clap")).collect();
    assert_eq!(with_clap, ["tollgate-cli"]);
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

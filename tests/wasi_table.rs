use std::path::PathBuf;
use wit_parser::{Resolve, WorldItem, FunctionKind};
#[test]
fn explore() {
    for all in [false, true] {
    let out = std::process::Command::new(env!("CARGO")).args(["metadata","--format-version","1","--offline","--filter-platform","x86_64-unknown-linux-gnu"]).output().unwrap();
    let v: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let p = v["packages"].as_array().unwrap().iter().find(|p| p["name"]=="wasmtime-wasi").unwrap();
    let root = PathBuf::from(p["manifest_path"].as_str().unwrap()).parent().unwrap().join("src/p2/wit");
    let mut r = Resolve { all_features: all, ..Default::default() };
    let (pkg,_) = r.push_path(&root).unwrap();
    let w = r.select_world(&[pkg], Some("wasi:cli/imports@0.2.12")).unwrap();
    println!("### all={all}");
    for (_, item) in &r.worlds[w].imports {
        let WorldItem::Interface { id, .. } = item else { continue };
        let i = &r.interfaces[*id];
        let pk = &r.packages[i.package.unwrap()].name;
        println!("{}:{}/{}", pk.namespace, pk.name, i.name.as_ref().unwrap());
        for (n, f) in &i.functions { println!("    {n} {}", matches!(f.kind, FunctionKind::Freestanding)); }
    }
    }
}

//! Every row of docs/wasi.md is held by tests that exist.

use std::fs;
use std::path::Path;

use tollgate_workspace::documented::rows;

/// Where tests are.
const SOURCES: [&str; 3] = ["tests", "runtime/cli/tests", "wasi-proxy/src"];

#[test]
fn every_difference_is_held_by_a_test_that_exists() {
    let mut sources = Vec::new();
    SOURCES.iter().for_each(|folder| read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut sources));
    let rows = rows();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        for test in row.tests {
            // By the harness, or by the list of a program that is its own.
            let (marked, listed) = (format!("#[test]\nfn {test}() {{"), format!("(\"{test}\", {test}),"));
            let exists = sources.iter().any(|source| source.contains(&marked) || source.contains(&listed));
            assert!(exists, "{}: there is no test {test:?}", row.request);
        }
    }
}

fn read(folder: &Path, sources: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            sources.push(fs::read_to_string(path).unwrap());
        }
    }
}

//! The examples of the README's sections on tools and audit, and of the example tools' READMEs, run as they stand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::console::{assert_prints, blocks, commands, compare, shell};
use crate::desk::{Desk, guest};

#[test]
fn the_examples_of_the_audit_section_are_true() {
    examples_are_true("Audit\n", 13);
}

#[test]
fn the_examples_of_the_section_on_tools_are_true() {
    examples_are_true("Install a tool\n", 4);
}

/// Each in a folder with the tool's component and the samples where its README has them.
#[test]
fn the_examples_of_the_example_tools_are_true() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../example-tools");
    for name in ["clock", "csv-stats", "dice", "json-query", "note-book", "text-diff"] {
        let desk = Desk::new();
        let component = name.replace('-', "_") + ".wasm";
        fs::copy(guest(name).component, desk.path(&component)).unwrap();
        symlink(&tools, desk.path("example-tools")).unwrap();
        let readme = fs::read_to_string(tools.join(name).join("README.md")).unwrap();
        let consoles: Vec<_> = blocks(&readme).into_iter().filter(|(language, _)| *language == "console").collect();
        assert!(!consoles.is_empty(), "{name}: a README shows how the tool is run");
        for (line, wanted) in consoles.iter().flat_map(|(_, block)| commands(block)) {
            assert_prints(&desk, line, wanted, name);
        }
    }
}

/// Runs the examples of a section, of which there must be some.
#[track_caller]
fn examples_are_true(title: &str, examples_min: usize) {
    let desk = Desk::with("word-count");
    let readme = include_str!("../../../README.md");
    let section = readme.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    let blocks = section.split("```console\n").skip(1).map(|block| block.split("```").next().unwrap());
    let examples: Vec<_> = blocks.flat_map(|block| block.split("$ ").skip(1)).collect();
    assert!(examples.len() >= examples_min, "{}", examples.len());
    for example in examples {
        let (line, wanted) = example.split_once('\n').unwrap();
        let output = shell(&desk, line);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{line}: {output:?}");
        compare(&String::from_utf8(output.stdout).unwrap(), wanted, line);
    }
}

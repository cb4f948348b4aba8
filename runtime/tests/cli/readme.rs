//! The examples of the README's sections on tools and audit, run as they stand.

use crate::console::{compare, shell};
use crate::desk::Desk;

#[test]
fn the_examples_of_the_audit_section_are_true() {
    examples_are_true("Audit\n", 13);
}

#[test]
fn the_examples_of_the_section_on_tools_are_true() {
    examples_are_true("Install a tool\n", 4);
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

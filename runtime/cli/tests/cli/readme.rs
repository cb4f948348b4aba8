//! The examples of the example tools' READMEs, run as they stand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::{Desk, guest};

/// Each in a folder with the tool's component and the samples where its README has them.
#[test]
fn the_examples_of_the_example_tools_are_true() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-tools");
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

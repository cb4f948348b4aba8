//! The operator's guide to grants: its files are written and its commands run, in its order.

use tollgate_example_tools::ALL;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::Desk;

const GUIDE: &str = include_str!("../../../docs/grants.md");

/// The folder of the page: empty, but for the tools that it runs.
#[test]
fn the_guide_to_grants_is_true() {
    let desk = Desk::empty();
    for tool in ALL.iter().filter(|tool| GUIDE.contains(&format!("tools/{}.wasm", tool.name))) {
        desk.place(tool.name);
    }
    let mut count = 0;
    for (language, block) in blocks(GUIDE) {
        match language {
            "toml" => {
                if let Some((name, content)) = block.split_once('\n').filter(|(name, _)| name.starts_with("# ")) {
                    desk.file(name.trim_start_matches("# "), content);
                }
            }
            "console" => {
                for (line, wanted) in commands(block) {
                    assert_prints(&desk, line, wanted, "grants.md");
                    count += 1;
                }
            }
            other => panic!("a block of {other:?}"),
        }
    }
    assert!(count >= 25, "{count}");
}

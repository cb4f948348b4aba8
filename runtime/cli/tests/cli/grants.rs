//! The operator's guides, to grants and to who may ask a daemon: their files are written and their commands run, in order.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tollgate_example_tools::WORD_COUNT;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::Desk;

#[test]
fn the_guide_to_grants_is_true() {
    let (setup, count) = follow("grants.md", include_str!("../../../../docs/grants.md"));
    assert!(count >= 25 && setup.contains("\nexport CLONE=") && setup.contains("\nCALL="), "{count}: {setup}");
}

#[test]
fn the_guide_to_who_may_ask_a_daemon_is_true() {
    let (setup, count) = follow("serve.md", include_str!("../../../../docs/serve.md"));
    assert!(count >= 10 && setup.contains("\nexport CLONE="), "{count}: {setup}");
}

#[test]
fn the_guide_to_mcp_is_true() {
    let (setup, count) = follow("mcp.md", include_str!("../../../../docs/mcp.md"));
    assert!(count >= 10 && setup.contains("\nexport CLONE="), "{count}: {setup}");
}

/// Does what a page says in an empty folder. What its shell knew in the end, and how many commands were run.
fn follow(name: &str, page: &str) -> (String, usize) {
    let (desk, home) = (Desk::empty(), tempfile::tempdir().unwrap());
    clone_in(home.path());
    // What is exported holds for all lines behind it, and what is assigned.
    let mut setup = format!("unset TOLLGATE_LEDGER TOLLGATE_HOME\nHOME={}\n", home.path().display());
    let mut count = 0;
    for (language, block) in blocks(page) {
        match language {
            "sh" => setup.push_str(&format!("{block}\n")),
            "toml" => {
                if let Some((path, content)) = block.split_once('\n').filter(|(path, _)| path.starts_with("# ")) {
                    desk.file(path.trim_start_matches("# "), content);
                }
            }
            "console" => {
                for (line, wanted) in commands(block) {
                    assert_prints(&desk, &format!("{setup}{line}"), wanted, name);
                    if line.starts_with("CALL=") {
                        setup.push_str(&format!("{line}\n"));
                    }
                    count += 1;
                }
            }
            // For other programs.
            "json" => {}
            other => panic!("a block of {other:?}"),
        }
    }
    (setup, count)
}

/// This clone as it is called on the page, with its guests where `cargo build --release` puts them.
fn clone_in(home: &Path) {
    let release = home.join("tollgate/target/release");
    fs::create_dir_all(&release).unwrap();
    let guests = Path::new(WORD_COUNT).ancestors().find(|path| path.ends_with("guests")).unwrap();
    symlink(guests, release.join("guests")).unwrap();
    let example_tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-tools");
    symlink(example_tools, home.join("tollgate/example-tools")).unwrap();
}

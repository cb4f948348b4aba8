//! The examples of the manifest reference, run as they stand. That each key has one is tested where the page is made:
//! `capability/config/tests/reference`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::console::{assert_prints, blocks, commands};
use crate::desk::{Desk, guest};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");

/// Examples run beside each other: most of their time, processes start and end.
const THREADS: usize = 4;

#[test]
fn the_examples_of_the_manifest_reference_are_true() {
    let examples: Vec<PathBuf> =
        ["manifest", "policy"].iter().flat_map(|part| files(&Path::new(FOLDER).join(part))).collect();
    assert!(examples.len() > 50, "{}", examples.len());
    let home = tempfile::tempdir().unwrap();
    let left = Mutex::new(examples.into_iter());
    let next = || left.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| std::iter::from_fn(next).for_each(|path| run(&Desk::at_home(home.path()), &path)));
        }
    });
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

/// Writes the files of an example as they come, and runs its commands.
fn run(desk: &Desk, path: &Path) {
    let text = format!("\n{}", fs::read_to_string(path).unwrap());
    let place = path.file_stem().unwrap().to_str().unwrap();
    let tool = tool(&text);
    fs::copy(guest(tool).component, desk.path(&format!("{tool}.wasm"))).unwrap();
    desk.file("tool.toml", completed("", tool));
    for (language, block) in blocks(&text) {
        match language {
            "toml" => {
                let (name, content) = block.split_once('\n').unwrap();
                match name {
                    "# tool.toml" => drop(desk.file("tool.toml", completed(content, tool))),
                    "# tollgate.toml" => drop(desk.file("tollgate.toml", content)),
                    other => panic!("{place}: {other:?} names no file"),
                }
            }
            "console" => {
                for (line, wanted) in commands(block) {
                    assert_prints(desk, line, wanted, place);
                }
            }
            other => panic!("{place}: a block of {other:?}"),
        }
    }
}

/// The tool that an example is about: word-count where it runs none.
fn tool(text: &str) -> &str {
    let Some((before, _)) = text.split_once(".wasm") else { return "word-count" };
    before.rsplit(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap()
}

/// A manifest with the tool's own `[tool]` and `[[operations]]` where it has none.
fn completed(manifest: &str, tool: &str) -> String {
    if manifest.contains("[tool]") {
        return manifest.to_owned();
    }
    let own = fs::read_to_string(guest(tool).manifest).unwrap();
    let is_wanted = |table: &&str| {
        table.starts_with("[tool]") || (table.starts_with("[[operations]]") && !manifest.contains("[[operations]]"))
    };
    let own: Vec<&str> = own.split("\n\n").filter(is_wanted).collect();
    format!("{manifest}\n{}\n", own.join("\n"))
}

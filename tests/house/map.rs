//! The code map of ARCHITECTURE.md: each path in it exists, and each file or folder directly below a crate's `src` has a row.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The paths that the rows of the map name. A path that is not the row's first may be told from the first one's folder.
fn rows(root: &Path) -> (BTreeSet<PathBuf>, Vec<String>) {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, map) = text.split_once("\n## Code map\n").expect("a code map");
    let (map, _) = map.split_once("\n## ").expect("a chapter after it");
    let (mut named, mut gone) = (BTreeSet::new(), Vec::new());
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let place = row.split('|').nth(1).unwrap();
        let mut folder = PathBuf::new();
        for (number, path) in place.split('`').skip(1).step_by(2).enumerate() {
            let path = if root.join(path).exists() { PathBuf::from(path) } else { folder.join(path) };
            if !root.join(&path).exists() {
                gone.push(format!("{} (in the row of {place})", path.display()));
            }
            if number == 0 {
                path.parent().unwrap().clone_into(&mut folder);
            }
            named.insert(path);
        }
    }
    (named, gone)
}

/// The crates that are members of the workspace.
fn members(root: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let line = text.lines().find(|line| line.starts_with("members = ")).expect("members of the workspace");
    line.split('"').skip(1).step_by(2).map(PathBuf::from).collect()
}

/// What stands directly below the `src` of a crate and has no row. A row for the crate as a whole counts where no other row
/// goes into its `src`.
fn missing(root: &Path, krate: &Path, named: &BTreeSet<PathBuf>) -> Vec<String> {
    let source = krate.join("src");
    let goes_in = named.iter().any(|path| path.starts_with(&source));
    if !goes_in && named.iter().any(|path| krate.starts_with(path)) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(root.join(&source)).unwrap().map(|entry| source.join(entry.unwrap().file_name()));
    let entries: BTreeSet<PathBuf> = entries.collect();
    let is_root = |path: &Path| path.ends_with("lib.rs") || path.ends_with("main.rs");
    // A folder of modules belongs to the file of the same name.
    let has_row = |path: &Path| {
        named.iter().any(|row| row.starts_with(path))
            || (path.extension().is_none() && named.contains(&path.with_extension("rs")))
    };
    entries.iter().filter(|path| !is_root(path) && !has_row(path)).map(|path| path.display().to_string()).collect()
}

#[test]
fn the_code_map_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (named, gone) = rows(root);
    assert!(named.len() > 40, "the map is read: {named:?}");
    assert!(gone.is_empty(), "rows of the code map for what is not there:\n{}", gone.join("\n"));
    let missing: Vec<String> = members(root).iter().flat_map(|krate| missing(root, krate, &named)).collect();
    assert!(missing.is_empty(), "no row of the code map covers:\n{}", missing.join("\n"));
}

/// Where documents name a file or folder of the repository from its root, it is there.
#[test]
fn what_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "audit/README.md",
        "capability/config/README.md",
        "benches/README.md",
    ] {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let beside = root.join(document).parent().unwrap().to_owned();
        // In a block of code the marks are none.
        let prose: Vec<&str> = text.split("\n```").step_by(2).collect();
        for path in prose.iter().flat_map(|prose| prose.split('`').skip(1).step_by(2)) {
            let is_path = path.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char));
            let Some((first, _)) = path.split_once('/').filter(|_| is_path) else { continue };
            // Others are of a ledger, of a home, of the kernel.
            if !["", "."].contains(&first) && root.join(first).is_dir() {
                named += 1;
                assert!(
                    root.join(path).exists() || beside.join(path).exists(),
                    "{document} names `{path}`, which is not there"
                );
            }
        }
    }
    assert!(named > 150, "{named}");
}

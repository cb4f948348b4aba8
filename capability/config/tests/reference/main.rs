//! `docs/manifest.md` is what the schemas and the examples in `docs/reference` give. To write it anew:
//! `UPDATE_EXPECT=1 cargo test -p tollgate-config --test reference`. That the examples are true is tested where they can
//! be run: `runtime/cli/tests/cli/reference.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what is wrong with a schema or an example is wrong with the checkout, and stops the test"
)]

mod keys;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use tollgate_config::{manifest_schema, policy_schema};

use crate::keys::{Item, items};

/// The examples of a folder of `docs/reference`, by file name without `.md`.
type Examples = BTreeMap<String, String>;

#[test]
fn the_page_is_what_schemas_and_examples_give() {
    let page = page::page((&manifest_schema(), &examples("manifest")), (&policy_schema(), &examples("policy")));
    expect_file!["../../../../docs/manifest.md"].assert_eq(&page);
}

#[test]
fn every_key_has_an_example_and_every_example_a_key() {
    for (folder, schema) in [("manifest", manifest_schema()), ("policy", policy_schema())] {
        let keys: BTreeSet<String> = items(&schema).iter().filter(|item| !item.is_table).map(Item::file_stem).collect();
        let examples: BTreeSet<String> = examples(folder).into_keys().collect();
        let without: Vec<_> = keys.difference(&examples).collect();
        let stray: Vec<_> = examples.difference(&keys).collect();
        assert!(without.is_empty(), "keys without an example in docs/reference/{folder}: {without:?}");
        assert!(stray.is_empty(), "examples in docs/reference/{folder} of no key: {stray:?}");
    }
}

/// Keys that withhold something without an error, so that their examples show what is not there.
const WITHHOLD: [&str; 9] = [
    "needs.args",
    "needs.clocks.monotonic",
    "needs.clocks.wall",
    "needs.env",
    "tools.NAME.audit.arguments",
    "tools.NAME.clocks.monotonic",
    "tools.NAME.clocks.wall",
    "tools.NAME.fs.GUEST.mounts",
    "tools.NAME.random.seed",
];

#[test]
fn every_example_uses_its_key_and_denies_something() {
    for (key, text) in ["manifest", "policy"].into_iter().flat_map(examples) {
        let word = key.rsplit('.').find(|word| !["NAME", "GUEST", "TOOL", "OPERATION"].contains(word)).unwrap();
        let blocks: Vec<&str> =
            text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
        assert!(blocks.iter().any(|block| block.contains(word)), "{key}: no block of TOML has `{word}`");
        let denies = text.split("```console\n").skip(1).any(|block| block.contains("\n[exit "));
        assert_eq!(denies, !WITHHOLD.contains(&key.as_str()), "{key}");
    }
}

fn examples(folder: &str) -> Examples {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let example = |path: PathBuf| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap().to_owned();
        (stem, fs::read_to_string(&path).unwrap())
    };
    files.map(|file| example(file.unwrap().path())).collect()
}

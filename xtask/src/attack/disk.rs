//! Row 8: a quota and the caps on records hold the disk, whatever is put on it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::ran::{Stop, Verdict};
use super::scene::Scene;
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("text of symbolic links", |scene| {
        filled(scene, json!([{"do": "symlink", "path": "/out/link-{n}", "data": "x", "copies": 4000, "times": 2000}]))
    }),
    known("names of empty files", |scene| {
        let path = format!("/out/{}-{{n}}", "x".repeat(200));
        filled(scene, json!([{"do": "make", "path": path, "times": 3000}]))
    }),
    known("folders", |scene| filled(scene, json!([{"do": "mkdir", "path": "/out/folder-{n}", "times": 3000}]))),
    known("a hole behind a stream at the end of a file that is cut", |scene| {
        hole(
            scene,
            json!([
                {"do": "open", "path": "/out/big", "flags": ["write"], "as": "file"},
                {"do": "output", "of": "file", "offset": BIG_BYTES, "as": "stream"},
                {"do": "set-size", "of": "file", "len": 0},
                {"do": "push", "of": "stream", "data": "x"},
            ]),
        )
    }),
    known("one call adds without end to the ledger", |scene| {
        let path = format!("/out/{}/{}/{}/{{n}}", "a".repeat(250), "b".repeat(250), "c".repeat(250));
        recorded(
            scene,
            "limit:deadline=1m",
            LEDGER_BYTES_MAX,
            json!([{"do": "stat", "path": path, "times": 100_000, "stubborn": true}]),
        )
    }),
    variant("names of hard links", |scene| {
        let path = format!("/out/{}-{{n}}", "x".repeat(200));
        filled(
            scene,
            json!([
                {"do": "make", "path": "/out/one", "data": "x"},
                {"do": "link", "path": "/out/one", "to": path, "times": 3000},
            ]),
        )
    }),
    variant("short names that are made long by renaming", |scene| {
        let long = format!("/out/{}-{{n}}", "x".repeat(240));
        filled(
            scene,
            json!([
                {"do": "make", "path": "/out/{n}", "times": 300},
                {"do": "rename", "path": "/out/{n}", "to": long, "times": 300},
            ]),
        )
    }),
    variant("folders in one another", |scene| {
        scene.dir("out")?;
        let name = "d".repeat(200);
        let mut steps = vec![json!({"do": "mkdir", "path": format!("/out/{name}")})];
        steps.push(
            json!({"do": "open", "path": format!("/out/{name}"), "open": ["directory"], "flags": ["read"], "as": "at"}),
        );
        let path = |depth: usize| vec!["d"; depth].join("/");
        steps.extend((1..1000).map(|depth| json!({"do": "mkdir", "path": format!("/out/{}", path(depth))})));
        filled(scene, Value::from(steps))
    }),
    variant("files that are made by opening them, without a byte", |scene| {
        let open = json!({"do": "open", "path": "/out/file-{n}", "open": ["create"], "flags": ["write"], "as": "f", "times": 3000});
        filled(scene, json!([open]))
    }),
    variant("a hole behind a second handle that cuts the file", |scene| {
        hole(
            scene,
            json!([
                {"do": "open", "path": "/out/big", "flags": ["write"], "as": "file"},
                {"do": "output", "of": "file", "offset": BIG_BYTES, "as": "stream"},
                {"do": "open", "path": "/out/big", "open": ["truncate"], "flags": ["write"], "as": "other"},
                {"do": "push", "of": "stream", "data": "x"},
            ]),
        )
    }),
    variant("a hole of zeroes behind a file that is cut", |scene| {
        hole(
            scene,
            json!([
                {"do": "open", "path": "/out/big", "flags": ["write"], "as": "file"},
                {"do": "output", "of": "file", "offset": BIG_BYTES, "as": "stream"},
                {"do": "set-size", "of": "file", "len": 0},
                {"do": "zeroes", "of": "stream", "len": 1},
            ]),
        )
    }),
    variant("a file grows by its size alone, again and again", |scene| {
        hole(
            scene,
            json!([
                {"do": "open", "path": "/out/big", "flags": ["write"], "as": "file"},
                {"do": "set-size", "of": "file", "len": 0},
                {"do": "set-size", "of": "file", "len": BIG_BYTES + 1},
            ]),
        )
    }),
    variant("denied calls are recorded without end", |scene| {
        let path = format!("/out/../{}/{}/{}/{{n}}", "a".repeat(250), "b".repeat(250), "c".repeat(250));
        recorded(scene, LOW_BYTES, 6 << 20, json!([{"do": "stat", "path": path, "times": 100_000, "stubborn": true}]))
    }),
    variant("small entries are recorded without end", |scene| {
        recorded(
            scene,
            LOW_RECORDS,
            1 << 20,
            json!([{"do": "stat", "path": "/out/n", "times": 100_000, "stubborn": true}]),
        )
    }),
    variant("targets of links are recorded without end", |scene| {
        let far = "z".repeat(3000);
        recorded(
            scene,
            LOW_BYTES,
            6 << 20,
            json!([{"do": "symlink", "path": "/out/none/l", "data": far, "times": 100_000, "stubborn": true}]),
        )
    }),
];

/// The quota of the folder.
const QUOTA_BYTES: u64 = 64 << 10;
/// A file of the operator's in it, larger than the quota.
const BIG_BYTES: u64 = 8 << 20;
/// The journal after one call at the very most: the default of `limits.record_bytes`, and an eighth for its frames.
const LEDGER_BYTES_MAX: u64 = 72 << 20;

const QUOTA: Stop = Stop::denied(&["fs:/out:quota"]);

/// Options that grant `/out` with a quota. Within it, files are made.
fn with_quota(scene: &Scene<'_>) -> Result<[String; 2]> {
    scene.dir("out")?;
    let rights = r#"["read", "write", "create", "delete", "list", "metadata"]"#;
    let policy = format!(
        "[tools.hostile]\nfs.\"/out\" = {{ host = \"out\", access = {rights}, quota = \"64KiB\" }}\nlimits.fuel = 20_000_000_000\n"
    );
    scene.file("policy.toml", policy)?;
    let options = ["--policy".to_owned(), "../policy.toml".to_owned()];
    let few = json!([
        {"do": "make", "path": "/out/few-{n}", "data": "twin", "times": 4},
        {"do": "symlink", "path": "/out/few-link", "data": "few-1"},
        {"do": "mkdir", "path": "/out/few"},
    ]);
    scene
        .hostile(&[&options[0], &options[1]], &few)?
        .all_done()
        .map_err(|error| format!("within the quota: {error}"))?;
    fs::remove_dir_all(scene.path("out"))?;
    scene.dir("out")?;
    Ok(options)
}

/// The folder must not be filled with more than twice the quota, counting names, and 256 bytes for whatever has one.
fn filled(scene: &Scene<'_>, steps: Value) -> Result<Verdict> {
    let [policy, file] = with_quota(scene)?;
    let ran = scene.hostile(&[&policy, &file], &steps)?;
    let used = weight(&scene.path("out"), 64)?;
    let effect =
        (used > 2 * QUOTA_BYTES).then(|| format!("{used} bytes are on the disk under a quota of {QUOTA_BYTES}"));
    ran.judge(effect, &[QUOTA])
}

/// Bytes of files and links, of names, and of inodes.
fn weight(folder: &Path, levels: u32) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.path().symlink_metadata()?;
        sum += INODE_BYTES + u64::try_from(entry.file_name().len())?;
        if about.is_dir() {
            // Deeper ones are as good as counted: the way there is all that differs.
            sum += if levels > 0 { weight(&entry.path(), levels - 1)? } else { 2 * QUOTA_BYTES };
        } else if about.nlink() == 1 {
            sum += about.size();
        }
    }
    Ok(sum)
}

/// What an inode takes on common file systems.
const INODE_BYTES: u64 = 256;

/// A large file of the operator's must not become a large hole.
fn hole(scene: &Scene<'_>, steps: Value) -> Result<Verdict> {
    let [policy, file] = with_quota(scene)?;
    fs::write(scene.path("out/big"), vec![b'b'; usize::try_from(BIG_BYTES)?])?;
    let ran = scene.hostile(&[&policy, &file], &steps)?;
    let size = fs::metadata(scene.path("out/big"))?.size();
    let effect =
        (size > BIG_BYTES).then(|| format!("the file has {size} bytes, all of them a hole that nothing paid for"));
    ran.judge(effect, &[QUOTA])
}

/// One call must end by a cap before the journal has more than `most_bytes`.
fn recorded(scene: &Scene<'_>, limit: &str, most_bytes: u64, steps: Value) -> Result<Verdict> {
    let [policy, file] = with_quota(scene)?;
    let options = [&policy, &file, "--on-violation", "deny", "--grant", "limit:deadline=1m", "--grant", limit];
    let ran = scene.hostile(&options, &steps)?;
    let journal = fs::metadata(scene.path("home/state/tollgate/ledger/journal"))?.size();
    let effect = (journal > most_bytes).then(|| format!("one call added {} MiB to the journal", journal >> 20));
    ran.judge(effect, &[Stop::capped(&["limits.record_bytes"]), Stop::capped(&["limits.records"])])
}

/// Grants that let a call record little.
const LOW_BYTES: &str = "limit:record_bytes=4MiB";
const LOW_RECORDS: &str = "limit:records=1000";

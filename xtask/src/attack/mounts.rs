//! Row 5: what is mounted below a granted folder is not granted, and what the kernel shows of itself never is.

use serde_json::{Value, json};

use super::machine::{is_root, run_with_mounts};
use super::ran::{Ran, Stop, Verdict};
use super::scene::{SECRET, Scene, all_of};
use super::{Attack, known, variant};
use crate::Result;

pub(super) const ATTACKS: &[Attack] = &[
    known("/proc is mounted below a granted folder", |scene| {
        let ran = below(scene, "mount --bind /proc mount", "/work/mount/version")?;
        reached(&ran, "the tool read /proc")
    }),
    known("the ledger is mounted below a granted folder", |scene| {
        scene.hostile(&[], &json!([]))?.all_done()?;
        let ledger = scene.place("home/state/tollgate/ledger");
        let ran = below(scene, &format!("mount --bind '{ledger}' mount"), "/work/mount/journal")?;
        reached(&ran, "the tool read the ledger")
    }),
    variant("one file is mounted over a file below a granted folder", |scene| {
        scene.file("project/work/file", "mine")?;
        let secret = scene.place("secret/key.txt");
        let ran = below(scene, &format!("mount --bind '{secret}' file"), "/work/file")?;
        reached(&ran, "the tool read a file that is mounted over its own")
    }),
    variant("the granted folder itself is a mount of /proc", |scene| {
        let ran = granted(scene, "mount --bind /proc mount", "/work/version")?;
        reached_at_load(&ran)
    }),
    variant("the granted folder itself is a mount of a folder in /proc", |scene| {
        let ran = granted(scene, "mount --bind /proc/sys/kernel mount", "/work/ostype")?;
        reached_at_load(&ran)
    }),
    variant("a new file system is mounted below a granted folder", |scene| {
        let mounts = format!("mount -t tmpfs none mount; echo {SECRET} > mount/key.txt");
        let ran = below(scene, &mounts, "/work/mount/key.txt")?;
        reached(&ran, "the tool read what is mounted")
    }),
    variant("a mount is reached by a link inside the folder", |scene| {
        scene.link("mount", "project/work/way")?;
        let secret = scene.place("secret");
        let ran = below(scene, &format!("mount --bind '{secret}' mount"), "/work/way/key.txt")?;
        reached(&ran, "the tool read what is mounted")
    }),
    variant("/sys is mounted below a folder that may have mounts", |scene| {
        if !is_root() {
            return Ok(Verdict::Skipped("needs root, to mount /sys".to_owned()));
        }
        allowed_mounts(scene, "mount --bind /sys mount", "/work/mount/kernel/notes")
    }),
    variant("/proc is mounted below a folder that may have mounts", |scene| {
        allowed_mounts(scene, "mount --bind /proc mount", "/work/mount/version")
    }),
    variant("a file of /proc is mounted over a file, where mounts are allowed", |scene| {
        scene.file("project/work/file", "mine")?;
        allowed_mounts(scene, "mount --bind /proc/version file", "/work/file")
    }),
    variant("devtmpfs is mounted where /dev is another file system", |scene| {
        if !is_root() {
            return Ok(Verdict::Skipped("needs root, to mount devtmpfs".to_owned()));
        }
        let mounts = "mount -t devtmpfs none mount; mount -t tmpfs none /dev; touch /dev/null; mount --bind mount/null /dev/null";
        take_in_mounts(scene, mounts, &json!([{"do": "stat", "path": "/work/mount"}]))
    }),
    variant("a file is written into a mount", |scene| {
        scene.dir("project/work/mount")?;
        let secret = scene.place("secret");
        let steps = json!([{"do": "make", "path": "/work/mount/planted", "data": "planted"}]);
        let ran = mounted(scene, &format!("mount --bind '{secret}' mount"), &[], &steps)?;
        let made = scene.is_there("secret/planted");
        ran.judge(made.then(|| "the tool wrote into what is mounted".to_owned()), &[ACROSS])
    }),
];

/// The gate does not cross into another mount.
const ACROSS: Stop = Stop::denied(&["fs:/work:mounts"]);
/// A pseudo file system is refused as a granted folder.
const PSEUDO: Stop = Stop::refused(&["a file system of the kernel's own"]);

fn read(path: &str) -> Value {
    json!([{"do": "read", "path": path, "follow": true}])
}

/// Mounts in `project/work`, and takes steps there; a file beside the mount is read all right.
fn mounted(scene: &Scene<'_>, mounts: &str, options: &[&str], steps: &Value) -> Result<Ran> {
    scene.dir("project/work/mount")?;
    scene.file("project/work/twin.txt", "twin")?;
    let grant = all_of("/work", "work");
    let options = if options.is_empty() { vec!["--grant", grant.as_str()] } else { options.to_vec() };
    let script = format!("cd '{}'; {mounts}; cd ..", scene.place("project/work"));
    let take = |steps: &Value| {
        let command = scene.tool_command("../tools/hostile.wasm", &options, &json!({"steps": steps}))?;
        run_with_mounts(&format!("set -e; {script}"), &command)
    };
    take(&read("/work/twin.txt"))?.all_done().map_err(|error| format!("beside the mount: {error}"))?;
    take(steps)
}

/// Reads a file that is mounted below a granted folder.
fn below(scene: &Scene<'_>, mounts: &str, path: &str) -> Result<Ran> {
    mounted(scene, mounts, &[], &read(path))
}

/// Reads a file where the granted folder is a mount.
fn granted(scene: &Scene<'_>, mounts: &str, path: &str) -> Result<Ran> {
    scene.dir("project/work/mount")?;
    let grant = all_of("/work", "work/mount");
    let command = scene.tool_command("../tools/hostile.wasm", &["--grant", &grant], &json!({"steps": read(path)}))?;
    run_with_mounts(&format!("set -e; cd work; {mounts}; cd .."), &command)
}

fn has_read(ran: &Ran) -> bool {
    ran.steps().is_ok_and(|steps| steps.iter().any(|step| step.get("ok").is_some()))
}

fn reached(ran: &Ran, effect: &str) -> Result<Verdict> {
    ran.judge(has_read(ran).then(|| effect.to_owned()), &[ACROSS])
}

fn reached_at_load(ran: &Ran) -> Result<Verdict> {
    ran.judge(has_read(ran).then(|| "the tool read /proc".to_owned()), &[PSEUDO])
}

fn allowed_mounts(scene: &Scene<'_>, mounts: &str, path: &str) -> Result<Verdict> {
    take_in_mounts(scene, mounts, &read(path))
}

/// The grant says `mounts = true`: a disk may be mounted there, and what the kernel shows of itself may not.
fn take_in_mounts(scene: &Scene<'_>, mounts: &str, steps: &Value) -> Result<Verdict> {
    let policy = "[tools.hostile]\nfs.\"/work\" = { host = \"project/work\", access = [\"read\", \"metadata\"], mounts = true }\n";
    scene.file("policy.toml", policy)?;
    let mut options = ["--policy", "../policy.toml"];
    let grant = all_of("/work", "work");
    let disk = "mount -t tmpfs none mount; echo mine > mount/file";
    let twin = mounted(scene, disk, &options, &read("/work/mount/file"));
    if twin.as_ref().is_ok_and(|ran| ran.exit == Some(0)) {
        twin?.all_done()?;
    } else {
        // Where the policy has no such word, mounts are crossed anyway.
        options = ["--grant", &grant];
        below(scene, disk, "/work/mount/file")?.all_done()?;
    }
    let ran = mounted(scene, mounts, &options, steps)?;
    ran.judge(has_read(&ran).then(|| "the tool read what the kernel shows of itself".to_owned()), &[ACROSS, PSEUDO])
}

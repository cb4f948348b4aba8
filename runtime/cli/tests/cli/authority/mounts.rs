//! What mounts and overlays give other names to: deciding places, and file systems of the kernel's own.

use std::fs;
use std::process::Command;

use super::{command, nothing_was_called, prober};
use crate::desk::{Desk, Ran};
use tollgate_testing::foreign::{is_ci, missing, skipped};

/// Runs the program in `work`, in a mount namespace of its own, after the shell lines `mounts`, which begin in the desk's folder.
/// `None` where they cannot be taken.
pub(super) fn run_with_mounts(desk: &Desk, mounts: &str, args: &[&str]) -> Option<Ran> {
    let script = format!("trap 'exit 120' EXIT; set -e; {mounts}\ncd \"$HERE/work\"; trap - EXIT; exec \"$@\"");
    let program = command(desk, "", args);
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(program.get_program()).args(program.get_args());
    let here = fs::canonicalize(desk.path("")).unwrap();
    unshare.current_dir(&here).env("HERE", &here);
    unshare.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let Ok(output) = unshare.output() else {
        missing("unshare(1)", "apt.log");
        return None;
    };
    if output.status.code() != Some(120) && !output.stderr.starts_with(b"unshare: ") {
        return Some(desk.ran(&output));
    }
    assert!(!is_ci(), "with CI no check is passed over: {output:?}");
    skipped(&format!("these mounts cannot be made (root?): {output:?}"));
    None
}

#[test]
fn a_mount_that_was_moved_onto_another_hides_no_place() {
    let desk = prober();
    for folder in ["outer/real/home", "other/home", "first", "shown"] {
        fs::create_dir_all(desk.path(folder)).unwrap();
    }
    // The newer mount is below the older one, which was moved.
    let mounts = "mount --bind outer/real first; mount --bind other shown; mount --move first shown; export \
                  TOLLGATE_HOME=\"$HERE/shown/home\"";
    let args = |host| ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}", "--grant", host];
    let Some(ran) = run_with_mounts(&desk, mounts, &args("fs:/docs=../outer:create")) else { return };
    ran.fails(2, &["hands over the key of compiled tools: `FOLDER/shown/home/artifact.key`"]);
    nothing_was_called(&desk);
    // What was covered is no place any more.
    assert_eq!(run_with_mounts(&desk, mounts, &args("fs:/docs=../other:create")).unwrap().code, 0);
}

#[test]
fn check_sees_what_is_mounted_below_a_granted_folder() {
    let desk = prober();
    for folder in ["granted/bound", "granted/proc", "other"] {
        fs::create_dir_all(desk.path(folder)).unwrap();
    }
    let mounts = "mount --bind other granted/bound; mount -t proc none granted/proc";
    let rights = "host = \"../granted\", access = [\"read\", \"write\", \"create\"]";
    for (more, path, is_allowed) in [
        ("", "/docs/bound/new", false),
        ("", "/docs/proc/new", false),
        (", mounts = true", "/docs/bound/new", true),
        (", mounts = true", "/docs/proc/new", false),
    ] {
        desk.file("work/tollgate.toml", format!("[tools.probe-fs]\nfs.\"/docs\" = {{ {rights}{more} }}\n"));
        let given = ["check", "../tools/probe-fs.toml", "--policy", "tollgate.toml"];
        let args = [&given[..], &["--json", "create", path]].concat();
        let Some(ran) = run_with_mounts(&desk, mounts, &args) else { return };
        let rule = if is_allowed { "fs:/docs:create" } else { "fs:/docs:mounts" };
        assert_eq!((ran.code, ran.report()["rule"].as_str()), (if is_allowed { 0 } else { 3 }, Some(rule)), "{ran:?}");
    }
}

#[test]
fn a_place_is_out_of_reach_through_an_overlay_too() {
    let desk = prober();
    fs::create_dir(desk.path("ov")).unwrap();
    let mounts = "mount -t tmpfs none ov; cd ov; mkdir lower upper upper/home work merged apart; mount -t overlay none -o \
                  \"lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work\" merged; cd ..; export TOLLGATE_HOME=";
    for (home, host, reached) in [
        ("upper/home", "merged", true),
        ("merged/home", "upper", true),
        ("merged/home", "lower", true),
        ("upper/home", "apart", false),
    ] {
        let (mounts, grant) = (format!("{mounts}\"$HERE/ov/{home}\""), format!("fs:/docs=../ov/{host}:create"));
        let args = ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}", "--grant", &grant];
        let Some(ran) = run_with_mounts(&desk, &mounts, &args) else { return };
        if reached {
            ran.fails(2, &[&format!("hands over the key of compiled tools: `FOLDER/ov/{home}/artifact.key`")]);
        } else {
            assert_eq!(ran.code, 0, "{ran:?}");
        }
    }
}

#[test]
fn devtmpfs_is_no_granted_folder_where_dev_is_another_file_system() {
    let desk = prober();
    fs::create_dir(desk.path("devices")).unwrap();
    let mounts = "mount -t devtmpfs none devices; mount -t tmpfs none /dev; for device in null zero random urandom; do touch \
                  /dev/$device; mount --bind devices/$device /dev/$device; done";
    let args = ["run", "../tools/probe-fs.wasm", "--grant", "fs:/docs=../devices:read,list"];
    let Some(ran) = run_with_mounts(&desk, mounts, &args) else { return };
    ran.fails(2, &["names `FOLDER/devices`, which is in a file system of the kernel's own"]);
    nothing_was_called(&desk);
}

#[test]
fn a_file_system_of_the_kernel_is_known_through_an_overlay() {
    let desk = prober();
    fs::create_dir(desk.path("ov")).unwrap();
    let mounts = "mount -t tmpfs none ov; cd ov; mkdir lower out out/merged; mount -t overlay none -o \
                  \"lowerdir=/sys:$PWD/lower\" out/merged; cd ..";
    let run = |grant: &[&str]| {
        let args = [&["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}"], grant].concat();
        run_with_mounts(&desk, mounts, &args)
    };
    let Some(ran) = run(&["--grant", "fs:/docs=../ov/out/merged:read,list"]) else { return };
    ran.fails(2, &["names `FOLDER/ov/out/merged`, which is in a file system of the kernel's own"]);
    let policy = |mounts: bool| {
        let entry = format!("{{ host = \"ov/out\", access = [\"read\"], mounts = {mounts} }}");
        desk.file("p.toml", format!("[tools.probe-fs]\nfs.\"/docs\" = {entry}\n"));
    };
    policy(true);
    run(&["--policy", "../p.toml"]).unwrap().fails(2, &["which is in a file system of the kernel's own"]);
    nothing_was_called(&desk);
    // Without other mounts nothing of the overlay is reached.
    policy(false);
    assert_eq!(run(&["--policy", "../p.toml"]).unwrap().code, 0);
}

#[test]
fn a_file_that_is_mounted_from_a_granted_folder_is_out_of_reach_there() {
    let desk = prober();
    fs::create_dir(desk.path("source")).unwrap();
    fs::rename(desk.path("tools/probe-fs.wasm"), desk.path("source/c.wasm")).unwrap();
    desk.file("tools/probe-fs.wasm", "");
    let mounts = "mount --bind source/c.wasm tools/probe-fs.wasm";
    let args = ["run", "../tools/probe-fs.wasm", "--grant", "fs:/docs=../source:write"];
    let Some(ran) = run_with_mounts(&desk, mounts, &args) else { return };
    ran.fails(2, &["hands over the component"]);
    nothing_was_called(&desk);
}

#[test]
fn a_policy_that_is_mounted_into_the_working_folder_is_out_of_reach_at_its_source() {
    let desk = prober();
    for file in ["source/conf.toml", "work/tollgate.toml", "p.toml"] {
        desk.file(file, "");
    }
    let args = |grant| {
        let args = ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}"];
        [&args[..], &["--policy", "../p.toml", "--grant", grant]].concat()
    };
    let mounts = "mount --bind source/conf.toml work/tollgate.toml";
    let Some(ran) = run_with_mounts(&desk, mounts, &args("fs:/docs=../source:write")) else { return };
    ran.fails(2, &["hands over the place where a policy is found"]);
    nothing_was_called(&desk);
    // The gate keeps the name itself, and so one that a mount of the folder gives it.
    for (mounts, grant) in [(mounts, "fs:/docs=.:write"), ("mount --bind work source", "fs:/docs=../source:write")] {
        assert_eq!(run_with_mounts(&desk, mounts, &args(grant)).unwrap().code, 0, "{mounts}");
    }
}

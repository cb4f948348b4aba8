//! What is kept of the folders in which tools could make links: by runs alone, and said where it cannot be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use super::mounts::run_with_mounts;
use super::{command, nothing_was_called, prober, run, step, write};

const WARNING: &str = "warning: links that this tool makes will not be remembered";
const NOTHING: [&str; 6] = ["run", "../tools/probe-fs.wasm", "--op", "run", "--input", "{\"steps\": []}"];
const CREATE: [&str; 2] = ["--grant", "fs:/docs=.:create,write"];

#[test]
fn what_is_only_looked_at_is_not_kept() {
    let desk = prober();
    let trust = desk.home().join("trust");
    let looks = [
        (&["inspect", "../tools/probe-fs.wasm"][..], &[][..]),
        (&["inspect", "../tools/probe-fs.wasm"], &["--kernel"]),
        (&["check", "../tools/probe-fs.toml"], &["read", "/docs/a"]),
    ];
    for (look, rest) in looks {
        let ran = run(&desk, "work", &[look, &CREATE, rest].concat());
        assert!(matches!(ran.code, 0 | 3), "{ran:?}");
        assert!(!trust.exists(), "{look:?}");
    }
    assert_eq!(step(&desk, &[CREATE[1]], &write("/docs/x")).code, 0);
    let kept = fs::read_dir(&trust).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept: Vec<_> = kept.collect();
    assert!(matches!(&kept[..], [name] if name.starts_with("created-")), "{kept:?}");
}

#[test]
fn where_nothing_can_be_kept_a_run_says_so_and_goes_on() {
    let desk = prober();
    let readable = "mkdir -p tollgate-home/trust; mount -t tmpfs -o ro,mode=700 none tollgate-home/trust";
    let Some(ran) = run_with_mounts(&desk, readable, &[&NOTHING[..], &CREATE].concat()) else { return };
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.says(&[WARNING, "cannot be written: Read-only file system", "set TOLLGATE_HOME to a folder"]);
    assert_eq!(ran.stderr.matches('\n').count(), 1, "{ran:?}");
    // A tool that makes no link is nobody to remember.
    let ran =
        run_with_mounts(&desk, readable, &[&NOTHING[..], &["--grant", "fs:/docs=.:read,write"]].concat()).unwrap();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn without_a_place_to_keep_anything_a_run_says_so_and_goes_on() {
    let desk = prober();
    let mut command = command(&desk, "work", &[&NOTHING[..], &CREATE].concat());
    for variable in ["TOLLGATE_HOME", "HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    let ran = desk.ran(&command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.says(&[WARNING, "there is no place to keep where"]);
}

#[test]
fn a_folder_whose_path_is_no_text_is_refused_by_name() {
    let desk = prober();
    let folder = desk.path("").join(OsStr::from_bytes(b"no\xfftext"));
    fs::create_dir(&folder).unwrap();
    let args = [&NOTHING[..], &["--grant", "fs:/docs=.:read"]].concat();
    let output = desk.command(&args).env("TOLLGATE_LEDGER", desk.path("ledger")).current_dir(&folder).output().unwrap();
    desk.ran(&output)
        .fails(2, &["leads to the folder", "no\u{fffd}text`, whose path is not UTF-8", "rename the folder"]);
    nothing_was_called(&desk);
}

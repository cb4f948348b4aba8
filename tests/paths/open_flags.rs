//! Every combination of the flags of `open-at`, on every kind of target, under every set of rights that matters, against
//! a small model.

use std::fs;

use serde_json::{Value, json};

use tollgate_workspace::site::{Site, code};

const FLAGS: [&str; 6] = ["create", "exclusive", "truncate", "directory", "read", "write"];
const RIGHTS: [&str; 4] = ["read", "write", "create", "list"];
const CONTENT: &str = "content";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    File,
    Folder,
    Link,
}

const KINDS: [Kind; 4] = [Kind::Absent, Kind::File, Kind::Folder, Kind::Link];

/// Bits over [`FLAGS`] or [`RIGHTS`].
#[derive(Clone, Copy, Debug)]
struct Bits(u32);

impl Bits {
    fn has(self, names: &[&str], name: &str) -> bool {
        let place = names.iter().position(|known| *known == name).expect("a known name");
        self.0 & (1 << place) != 0
    }

    fn words<'n>(self, names: &[&'n str]) -> Vec<&'n str> {
        names.iter().filter(|name| self.has(names, name)).copied().collect()
    }
}

/// What `open-at` answers, by the rules: the flags say which rights are needed, then the target says what happens.
fn model(flags: Bits, rights: Bits, kind: Kind) -> &'static str {
    let flag = |name| flags.has(&FLAGS, name);
    let right = |name| rights.has(&RIGHTS, name);
    let makes = flag("create") || flag("exclusive") || flag("truncate");
    if flag("directory") && makes {
        return "invalid";
    }
    let changes = flag("write") || flag("truncate");
    let folder = flag("directory") || kind == Kind::Folder;
    let new = flag("create") && (flag("exclusive") || matches!(kind, Kind::Absent | Kind::Link));
    let reads_file = !folder && !changes && !new;
    let needed = [
        ("list", folder),
        ("write", changes),
        ("create", new),
        ("read", reads_file || (flag("read") && (!folder || changes || flag("create")))),
        ("read", folder && flag("create") && !changes && !new),
    ];
    if needed.iter().any(|(name, needed)| *needed && !right(name)) {
        return "not-permitted";
    }
    match kind {
        Kind::Absent if flag("create") => "ok",
        Kind::Absent => "no-entry",
        Kind::File | Kind::Link if flag("directory") => "not-directory",
        Kind::File | Kind::Folder | Kind::Link if flag("create") && flag("exclusive") => "exist",
        Kind::Link => "loop",
        Kind::Folder if changes || flag("create") => "is-directory",
        Kind::File | Kind::Folder => "ok",
    }
}

/// What reading or writing the opened handle answers.
fn model_then(then: &str, flags: Bits, rights: Bits, kind: Kind) -> &'static str {
    let flag = |name| flags.has(&FLAGS, name);
    let right = |name| rights.has(&RIGHTS, name);
    let changes = flag("write") || flag("truncate");
    let opened_for_it = match then {
        // A file that is only made is not read.
        "read" => flag("read") || !(changes || flag("create") && matches!(kind, Kind::Absent)),
        "write" => flag("write"),
        _close => return "ok",
    };
    match kind {
        Kind::Folder => "bad-descriptor",
        Kind::Absent | Kind::File | Kind::Link if !right(then) => "not-permitted",
        Kind::Absent | Kind::File | Kind::Link if opened_for_it => "ok",
        Kind::Absent | Kind::File | Kind::Link => "bad-descriptor",
    }
}

fn step(flags: Bits, path: &str, then: &str) -> Value {
    let words = flags.words(&FLAGS);
    let (descriptor, open): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| ["read", "write"].contains(word));
    json!({
        "op": "open-at", "base": "/docs", "path": path, "open": open, "flags": descriptor, "then": then, "data": "new",
    })
}

fn make(site: &Site, kind: Kind, name: &str) {
    match kind {
        Kind::Absent => {}
        Kind::File => drop(site.lab.file(&format!("docs/{name}"), CONTENT)),
        Kind::Folder => drop(site.lab.folder(&format!("docs/{name}"))),
        Kind::Link => site.symlink("a.txt", &format!("docs/{name}")),
    }
}

/// What stands on the host afterwards, as text.
fn standing(site: &Site, name: &str) -> String {
    let path = site.lab.path("docs").join(name);
    match fs::symlink_metadata(&path) {
        Err(_) => "absent".to_owned(),
        Ok(metadata) if metadata.is_symlink() => "link".to_owned(),
        Ok(metadata) if metadata.is_dir() => "folder".to_owned(),
        Ok(_) => format!("file {}", fs::read_to_string(path).expect("a file")),
    }
}

fn expected_standing(flags: Bits, kind: Kind, opened: &str, then: (&str, &str)) -> String {
    let truncated = opened == "ok" && flags.has(&FLAGS, "truncate");
    let written = opened == "ok" && then == ("write", "ok");
    match kind {
        Kind::Folder => "folder".to_owned(),
        Kind::Link => "link".to_owned(),
        Kind::Absent if opened != "ok" => "absent".to_owned(),
        Kind::Absent if written => "file new".to_owned(),
        Kind::Absent => "file ".to_owned(),
        Kind::File if written && truncated => "file new".to_owned(),
        Kind::File if written => "file newtent".to_owned(),
        Kind::File if truncated => "file ".to_owned(),
        Kind::File => format!("file {CONTENT}"),
    }
}

fn every_combination(then: &str) {
    let mut site = Site::odd();
    for rights in (0..1 << RIGHTS.len()).map(Bits) {
        fs::remove_dir_all(site.lab.path("docs")).expect("a folder");
        site.lab.file("docs/a.txt", "alpha");
        let cases: Vec<_> = (0..1 << FLAGS.len()).flat_map(|flags| KINDS.map(|kind| (Bits(flags), kind))).collect();
        let name = |case: usize| format!("case-{case}");
        for (case, (_, kind)) in cases.iter().enumerate() {
            make(&site, *kind, &name(case));
        }
        let steps: Vec<_> =
            cases.iter().enumerate().map(|(case, (flags, _))| step(*flags, &name(case), then)).collect();
        let tool = site.lenient(site.set(&rights.words(&RIGHTS).join(",")));
        let taken = site.raw(&tool, &steps);
        for (case, (flags, kind)) in cases.iter().enumerate() {
            let what = format!("{:?} on {kind:?} with {:?}", flags.words(&FLAGS), rights.words(&RIGHTS));
            let opened = model(*flags, rights, *kind);
            let then_code = model_then(then, *flags, rights, *kind);
            let expected = if opened == "ok" { then_code } else { opened };
            assert_eq!(code(&taken.outcomes[case]), expected, "{what}, then {then}");
            let standing_expected = expected_standing(*flags, *kind, opened, (then, then_code));
            assert_eq!(standing(&site, &name(case)), standing_expected, "{what}, then {then}");
        }
        assert_eq!(site.text("docs/a.txt"), "alpha");
    }
    site.lab.verified();
}

#[test]
fn opening_does_what_flags_rights_and_target_say() {
    every_combination("close");
}

#[test]
fn reading_needs_a_handle_opened_for_it() {
    every_combination("read");
}

#[test]
fn writing_needs_a_handle_opened_for_it() {
    every_combination("write");
}

#[test]
fn synchronous_writes_are_unsupported_and_open_nothing() {
    let mut site = Site::odd();
    let tool = site.load(site.set("read,write,create"));
    let syncs = ["file-integrity-sync", "data-integrity-sync", "requested-write-sync"];
    let steps = syncs.map(
        |sync| json!({ "op": "open-at", "base": "/docs", "path": "new", "open": ["create"], "flags": ["write", sync] }),
    );
    let taken = site.raw(&tool, &steps);
    assert_eq!((taken.codes(), taken.record.len()), (vec!["unsupported"; 3], 0));
    assert_eq!(standing(&site, "new"), "absent");
}

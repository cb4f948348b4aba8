use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

const FIRST: New<'_> = New {
    version: "0.1.0",
    declared: "a-tool",
    component: b"one",
    manifest: "1",
    artifact: b"a",
    operations: b"o",
    from: Some("/src/a.wasm"),
    installed_s: 7,
};
const SECOND: New<'_> = New { version: "0.2.0", component: b"two", manifest: "2", artifact: b"b", ..FIRST };

/// A folder of tools that is not there yet.
fn registry() -> (tempfile::TempDir, Registry) {
    let around = tempfile::tempdir().unwrap();
    let registry = Registry::new(around.path().join("deep/tools"));
    (around, registry)
}

fn name(text: &str) -> ToolName {
    text.parse().unwrap()
}

fn install(registry: &Registry, tool: &str, new: New<'_>) -> Done {
    registry.write().unwrap().install(&name(tool), new).unwrap()
}

fn names(registry: &Registry) -> Vec<String> {
    registry.names().unwrap().iter().map(ToString::to_string).collect()
}

fn tool(registry: &Registry, text: &str) -> InstalledTool {
    registry.select(&text.parse().unwrap()).unwrap().unwrap()
}

/// All files below a folder, with their bytes, but for the lock.
fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if !path.ends_with(LOCK) {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn components(registry: &Registry) -> usize {
    fs::read_dir(registry.components()).unwrap().count()
}

#[test]
fn a_tool_is_installed_updated_rolled_back_and_removed() {
    let (_around, registry) = registry();
    assert!(names(&registry).is_empty() && registry.find(&name("a-tool")).unwrap().is_none());
    let done = install(&registry, "a-tool", FIRST);
    assert!(done.before.is_none() && done.gone.is_empty());
    let first = tool(&registry, "a-tool");
    assert_eq!(fs::read(first.component()).unwrap(), b"one");
    assert_eq!(fs::read_to_string(first.manifest()).unwrap(), "1");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(first.component()), mode(first.folder())), (0o600, 0o700));
    assert_eq!(mode(registry.record_file(&name("a-tool"))), 0o600);
    let done = install(&registry, "a-tool", SECOND);
    assert_eq!(done.before, Some(first.installed));
    assert_eq!(fs::read(tool(&registry, "a-tool").component()).unwrap(), b"two");
    assert_eq!(fs::read(tool(&registry, "a-tool@0.1.0").component()).unwrap(), b"one", "side by side");
    assert!(!tool(&registry, "a-tool@0.1.0").is_current());
    let back = |to: Digest| registry.write().unwrap().make_current(&name("a-tool"), to).unwrap();
    assert_eq!(back(Digest::of(b"three")), None);
    let record = back(Digest::of(b"one")).unwrap();
    assert_eq!((record.current().version.as_str(), record.before().unwrap().version.as_str()), ("0.1.0", "0.2.0"));
    let remove = |component: Option<Digest>| registry.write().unwrap().remove(&name("a-tool"), component);
    assert!(matches!(remove(Some(Digest::of(b"one"))), Err(RemoveError::Current(_))));
    remove(Some(Digest::of(b"two"))).unwrap();
    assert_eq!(components(&registry), 1);
    remove(None).unwrap();
    assert!(names(&registry).is_empty());
    assert_eq!(files_below(registry.folder()), BTreeMap::new(), "nothing is left over");
}

#[test]
fn a_component_is_stored_once_and_stays_while_a_tool_has_it() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    install(&registry, "b-tool", New { manifest: "b's", ..FIRST });
    assert_eq!(components(&registry), 1);
    let shared = tool(&registry, "a-tool").folder();
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 5, "one component, two manifests");
    registry.write().unwrap().remove(&name("a-tool"), None).unwrap();
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 4);
    assert_eq!(fs::read_to_string(tool(&registry, "b-tool").manifest()).unwrap(), "b's");
    registry.write().unwrap().remove(&name("b-tool"), None).unwrap();
    assert_eq!(components(&registry), 0);
}

/// By a second installation of the same component.
#[test]
fn what_was_damaged_is_written_again() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let whole = files_below(registry.folder());
    let installed = tool(&registry, "a-tool");
    let other_name = registry.folder().with_file_name("other");
    for damage in 0..5 {
        match damage {
            0 => fs::write(installed.component(), "two").unwrap(),
            1 => fs::remove_file(installed.manifest()).unwrap(),
            2 => fs::hard_link(installed.artifact_file(), &other_name).unwrap(),
            3 => fs::write(registry.record_file(&name("a-tool")), "{").unwrap(),
            _last => fs::hard_link(registry.record_file(&name("a-tool")), other_name.with_file_name("third")).unwrap(),
        }
        install(&registry, "a-tool", FIRST);
        assert_eq!(files_below(registry.folder()), whole, "{damage}");
        assert_eq!(tool(&registry, "a-tool").with_other_name().unwrap(), None);
    }
}

#[test]
fn what_a_killed_writer_left_is_swept_away_by_the_next_one() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let whole = files_below(registry.folder());
    let leave = || {
        let unreferred = registry.components().join("0a".repeat(32));
        fs::create_dir(&unreferred).unwrap();
        fs::write(unreferred.join(COMPONENT), "x").unwrap();
        fs::create_dir(registry.components().join(".new-0123")).unwrap();
        fs::write(registry.folder().join(".new-4567"), "{").unwrap();
        fs::write(tool(&registry, "a-tool").folder().join(".new-89ab"), "half").unwrap();
        fs::write(tool(&registry, "a-tool").folder().join(format!("{}.toml", "0b".repeat(32))), "").unwrap();
    };
    leave();
    fs::write(registry.folder().join(UNFINISHED), "").unwrap();
    // Whoever reads leaves it as it is.
    let before = files_below(registry.folder());
    assert_eq!(names(&registry), ["a-tool"]);
    assert!(registry.is_unfinished() && registry.foreign().unwrap().is_empty());
    assert_eq!(files_below(registry.folder()), before);
    drop(registry.write().unwrap());
    assert_eq!(files_below(registry.folder()), whole);
    // What a record refers to that cannot be read is not known.
    leave();
    fs::write(registry.record_file(&name("b-tool")), "{").unwrap();
    registry.write().unwrap().sweep().unwrap();
    assert!(registry.components().join("0a".repeat(32)).exists());
    fs::remove_file(registry.record_file(&name("b-tool"))).unwrap();
    registry.write().unwrap().sweep().unwrap();
    assert_eq!(files_below(registry.folder()), whole);
}

/// A change that is made is told as made, whatever stays behind; the next writer tries again, and is not held up.
#[test]
fn what_cannot_be_taken_away_is_told_and_in_nobodys_way() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    install(&registry, "b-tool", SECOND);
    let stuck = tool(&registry, "a-tool").folder();
    fs::set_permissions(&stuck, fs::Permissions::from_mode(0o500)).unwrap();
    let left = registry.write().unwrap().remove(&name("a-tool"), None).unwrap();
    assert!(left.as_ref().is_some_and(|why| why.contains(".new-")), "{left:?}");
    assert_eq!(names(&registry), ["b-tool"]);
    assert!(registry.is_unfinished());
    install(&registry, "b-tool", New { manifest: "3", ..SECOND });
    for entry in fs::read_dir(registry.components()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
    drop(registry.write().unwrap());
    assert_eq!(components(&registry), 1);
    assert!(!registry.is_unfinished());
}

#[test]
fn an_installation_that_fails_leaves_no_half_component() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    // A file has the name that the component's folder would get.
    fs::write(folder_of(registry.folder(), Digest::of(b"two")), "").unwrap();
    registry.write().unwrap().install(&name("a-tool"), SECOND).unwrap_err();
    let hidden = fs::read_dir(registry.components()).unwrap();
    assert_eq!(hidden.filter(|entry| is_hidden(&entry.as_ref().unwrap().file_name())).count(), 0);
    assert_eq!(tool(&registry, "a-tool").installed.version, "0.1.0");
}

#[test]
fn a_record_of_another_format_is_not_replaced() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let path = registry.record_file(&name("a-tool"));
    let newer = fs::read_to_string(&path).unwrap().replace("\"format\":1", "\"format\":2");
    fs::write(&path, &newer).unwrap();
    let refused = registry.write().unwrap().install(&name("a-tool"), SECOND).unwrap_err();
    assert!(
        matches!(refused, RemoveError::Find(FindError::NoRecord { source: RecordError::Format { found: 2 }, .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

/// Whatever a version of before has called its tools: those of this one are named otherwise than what it keeps beside them.
#[test]
fn a_tool_of_before_may_be_called_as_a_lock() {
    let (_around, registry) = registry();
    for of_before in ["lock", "unfinished"] {
        let folder = registry.folder().join(of_before);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(COMPONENT), "one").unwrap();
    }
    install(&registry, "a-tool", FIRST);
    assert_eq!(names(&registry), ["a-tool", "lock", "unfinished"]);
    registry.write().unwrap().move_here(&name("lock"), SECOND).unwrap();
    registry.write().unwrap().remove(&name("unfinished"), None).unwrap();
    assert_eq!(names(&registry), ["a-tool", "lock"]);
    assert!(registry.foreign().unwrap().is_empty());
}

#[test]
fn what_is_none_of_ours_is_named_and_stays() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    fs::create_dir(registry.folder().join("notes")).unwrap();
    fs::create_dir(registry.folder().join("No Tool")).unwrap();
    for path in ["file", "No Tool.json", "notes/component", "components.sha256/file"] {
        fs::write(registry.folder().join(path), "").unwrap();
    }
    let own = tool(&registry, "a-tool").folder().join("README");
    fs::write(&own, "").unwrap();
    let foreign = ["No Tool", "No Tool.json", "components.sha256/file", "file", "notes"];
    let foreign = foreign.iter().map(|path| registry.folder().join(path)).chain([own]);
    let mut foreign: Vec<Foreign> = foreign.map(|path| Foreign { path, is_in_the_way: false }).collect();
    foreign.sort_unstable();
    assert_eq!(registry.foreign().unwrap(), foreign);
    registry.write().unwrap().sweep().unwrap();
    assert_eq!(registry.foreign().unwrap(), foreign);
    assert_eq!(names(&registry), ["a-tool"]);
}

#[test]
fn a_tool_of_a_version_of_before_is_named_moved_and_removed() {
    let (_around, registry) = registry();
    let make = || {
        let folder = registry.folder().join("a-tool");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(COMPONENT), "one").unwrap();
        folder
    };
    let folder = make();
    assert_eq!(names(&registry), ["a-tool"]);
    assert!(matches!(registry.find(&name("a-tool")), Err(FindError::Older { folder: found }) if found == folder));
    assert_eq!(registry.stamp(&name("a-tool")).unwrap(), None);
    let before = files_below(registry.folder());
    let refused = registry.write().unwrap().install(&name("a-tool"), FIRST).unwrap_err();
    assert!(matches!(refused, RemoveError::Find(FindError::Older { .. })), "{refused:?}");
    assert_eq!(files_below(registry.folder()), before, "it is not replaced unasked");
    registry.write().unwrap().move_here(&name("a-tool"), FIRST).unwrap();
    assert!(!folder.exists());
    registry.write().unwrap().remove(&name("a-tool"), None).unwrap();
    make();
    registry.write().unwrap().remove(&name("a-tool"), None).unwrap();
    assert_eq!(files_below(registry.folder()), BTreeMap::new());
}

#[test]
fn a_record_that_was_replaced_has_another_stamp() {
    let (_around, registry) = registry();
    assert_eq!(registry.stamp(&name("a-tool")).unwrap(), None);
    install(&registry, "a-tool", FIRST);
    let first = tool(&registry, "a-tool");
    assert_eq!(registry.stamp(&name("a-tool")).unwrap(), Some(first.stamp()));
    install(&registry, "b-tool", FIRST);
    assert_eq!(registry.stamp(&name("a-tool")).unwrap(), Some(first.stamp()));
    install(&registry, "a-tool", SECOND);
    assert_ne!(registry.stamp(&name("a-tool")).unwrap(), Some(first.stamp()));
}

/// A component is read by nobody who only looks for a tool: whoever opened this one to read it would wait for ever.
#[test]
fn a_tool_is_found_by_its_record_alone() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let component = tool(&registry, "a-tool").component();
    fs::remove_file(&component).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &component, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let found = tool(&registry, "a-tool");
    assert_eq!((found.installed.component, found.installed.bytes), (Digest::of(b"one"), 3));
    assert_eq!(found.with_other_name().unwrap(), None);
}

#[test]
fn writers_wait_for_each_other_and_readers_for_nobody() {
    let (_around, registry) = registry();
    let writer = registry.write().unwrap();
    let other = registry.clone();
    let second = std::thread::spawn(move || install(&other, "a-tool", SECOND));
    writer.install(&name("a-tool"), FIRST).unwrap();
    assert_eq!(tool(&registry, "a-tool").installed.version, "0.1.0");
    drop(writer);
    assert_eq!(second.join().unwrap().before.unwrap().version, "0.1.0");
    assert_eq!(tool(&registry, "a-tool").installed.version, "0.2.0");
}

/// It is told by the tool's name, nobody takes it away, and the others are as they were.
#[test]
fn what_is_no_file_in_the_place_of_a_record_is_told_by_its_tool() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let path = registry.record_file(&name("b-tool"));
    for kind in ["folder", "link", "fifo"] {
        match kind {
            "folder" => fs::create_dir(&path).unwrap(),
            "link" => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
            _fifo => {
                let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
                rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
            }
        }
        assert_eq!(names(&registry), ["a-tool", "b-tool"], "{kind}");
        let found = registry.find(&name("b-tool"));
        assert!(matches!(&found, Err(FindError::NoFile { path: found }) if *found == path), "{kind}: {found:?}");
        assert!(registry.foreign().unwrap().is_empty(), "{kind}");
        let refused = registry.write().unwrap().install(&name("b-tool"), SECOND).unwrap_err();
        assert!(matches!(refused, RemoveError::Find(FindError::NoFile { .. })), "{kind}: {refused:?}");
        assert!(path.symlink_metadata().is_ok(), "{kind}");
        install(&registry, "a-tool", FIRST);
        assert_eq!(fs::read(tool(&registry, "a-tool").component()).unwrap(), b"one");
        if kind == "folder" {
            let kept = path.join("of-somebody");
            fs::write(&kept, "").unwrap();
            let refused = registry.write().unwrap().remove(&name("b-tool"), None).unwrap_err();
            assert!(matches!(refused, RemoveError::Find(FindError::NoFile { .. })), "{refused:?}");
            assert!(kept.exists());
            fs::remove_dir_all(&path).unwrap();
        } else {
            registry.write().unwrap().remove(&name("b-tool"), None).unwrap();
            assert!(path.symlink_metadata().is_err(), "{kind}");
        }
    }
    assert_eq!(names(&registry), ["a-tool"]);
}

#[test]
fn what_has_a_name_of_ours_and_is_of_another_kind_is_in_the_way() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    for own in [UNFINISHED, COMPONENTS, "components.sha256/HEX", LOCK] {
        let path = registry.folder().join(own.replace("HEX", &hex_of(Digest::of(b"two"))));
        let aside = path.with_file_name("aside");
        fs::rename(&path, &aside).ok();
        if own.starts_with(COMPONENTS) {
            fs::write(&path, "").unwrap();
        } else {
            fs::create_dir(&path).unwrap();
        }
        let foreign: Vec<Foreign> =
            registry.foreign().unwrap().into_iter().filter(|foreign| foreign.path != aside).collect();
        assert_eq!(foreign, [Foreign { path: path.clone(), is_in_the_way: true }]);
        let refused = match registry.write() {
            Ok(writer) => writer.install(&name("a-tool"), SECOND).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(refused.starts_with(&format!("`{}` is in the way: ", path.display())), "{own}: {refused}");
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&aside, &path).ok();
        assert_eq!(tool(&registry, "a-tool").installed.version, "0.1.0");
    }
    install(&registry, "a-tool", SECOND);
}

#[test]
fn where_a_version_comes_from_is_written_into_its_record_alone() {
    let (_around, registry) = registry();
    install(&registry, "a-tool", FIRST);
    let whole = files_below(registry.folder());
    let set = |component: &[u8], from: &str| {
        registry.write().unwrap().set_from(&name("a-tool"), Digest::of(component), from).unwrap()
    };
    assert_eq!(set(b"two", "/new.wasm"), None);
    assert!(set(b"one", "/new.wasm").is_some());
    let mut changed = files_below(registry.folder());
    assert_eq!(tool(&registry, "a-tool").installed.from.as_deref(), Some("/new.wasm"));
    assert!(set(b"one", "/src/a.wasm").is_some());
    assert_eq!(files_below(registry.folder()), whole);
    let record = registry.record_file(&name("a-tool"));
    changed.insert(record.clone(), whole[&record].clone());
    assert_eq!(changed, whole, "nothing else was written");
}

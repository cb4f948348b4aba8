//! A proof is for one call: whoever performs another effect with it, or more than it allows, does nothing at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Timespec, Timestamps};
use rustix::io::Errno;
use tollgate_capability::{
    Access, AccessSet, Call, CapabilitySet, FsCall, FsCapability, FsPath, GrantIndex, HandleFacts, OnViolation,
    OpenFlags, Reason, Target,
};
use tollgate_notary::{CallTrail, Room};

use super::by_other_calls::{self, link_held, move_folder};
use super::exchange::Decided;
use super::place::Place;
use super::{
    Flush, Kind, Roots, change, open, open_preopen, read_at, read_link, set_open_times, set_size, set_times, sync,
    write,
};
use crate::gate::{Checked, Failed, Gate, Performed, Permit, Refused};
use crate::handle::{Handle, OnHandle, Origin};
use tollgate_testing::forgets::{Forgets, start};

const GRANT: GrantIndex = GrantIndex(0);
const QUOTA: u64 = 1 << 20;
const TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
};

/// A granted folder with `a.txt` (5 bytes), `link` to it, and an empty folder `sub`, open behind a gate.
struct Scene {
    folder: tempfile::TempDir,
    gate: Gate,
    roots: Roots,
    set: Arc<CapabilitySet>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "alpha").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("a.txt", folder.path().join("link")).unwrap();
        let all: AccessSet = Access::ALL.into_iter().collect();
        let fs = FsCapability {
            write_quota: QUOTA,
            ..FsCapability::new("/docs", folder.path().canonicalize().unwrap(), all)
        };
        let set = Arc::new(CapabilitySet { fs: vec![fs], on_violation: OnViolation::Deny, ..CapabilitySet::default() });
        let mut gate = Gate::new(Arc::clone(&set), CallTrail::begin(Arc::new(Forgets), start(ROOM)));
        let permit = gate.admit(Call::Fs(FsCall::Preopen { grant: GRANT })).unwrap();
        let root = open_preopen(permit, &set).result.unwrap();
        let mut roots = Roots::new(&set, Instant::now() + Duration::from_secs(600));
        roots.opened(GRANT, &Arc::new(root));
        Self { folder, gate, roots, set }
    }

    /// Every call by path, each allowed, as it would be decided on what stands there.
    fn path_calls(&self) -> Vec<Call> {
        let path = |asked: &str| FsPath::new(GRANT, "", asked.to_owned());
        let target = |asked: &str| self.roots.look(&path(asked), false).unwrap().target;
        let flags = OpenFlags { write: true, truncate: true, ..OpenFlags::default() };
        vec![
            Call::Fs(FsCall::Preopen { grant: GRANT }),
            Call::Fs(FsCall::OpenAt {
                path: path("a.txt"),
                flags,
                target: target("a.txt"),
                handles_open: 0,
                quota_left: 0,
            }),
            Call::Fs(FsCall::StatAt { path: path("a.txt"), target: target("a.txt") }),
            Call::Fs(FsCall::ReadlinkAt { path: path("link"), target: target("link") }),
            Call::Fs(FsCall::SetTimesAt { path: path("a.txt"), target: target("a.txt") }),
            Call::Fs(FsCall::CreateDirectoryAt { path: path("new"), target: Target::Absent, quota_left: QUOTA }),
            Call::Fs(FsCall::RemoveDirectoryAt { path: path("sub"), linked: false, target: target("sub") }),
            Call::Fs(FsCall::UnlinkFileAt { path: path("a.txt"), target: target("a.txt") }),
            Call::Fs(FsCall::RenameAt {
                from: path("a.txt"),
                from_linked: false,
                source: target("a.txt"),
                reach: None,
                carries: None,
                to: path("b.txt"),
                to_linked: false,
                target: Target::Absent,
                quota_left: QUOTA,
            }),
            Call::Fs(FsCall::LinkAt {
                from: path("a.txt"),
                source: target("a.txt"),
                reach: None,
                to: path("b.txt"),
                to_linked: false,
                quota_left: QUOTA,
            }),
            Call::Fs(FsCall::SymlinkAt {
                content: "a.txt".to_owned(),
                path: path("new"),
                linked: false,
                quota_left: QUOTA,
            }),
        ]
    }

    fn handle(&self) -> Handle {
        let file = fs::OpenOptions::new().read(true).write(true).open(self.folder.path().join("a.txt")).unwrap();
        let rights = [Access::Read, Access::Write].into_iter().collect();
        Handle::new(Origin { grant: GRANT, below: "a.txt".to_owned(), rights }, Arc::new(file), None)
    }

    fn permit(&mut self, call: Call) -> Permit {
        self.gate.admit(call).unwrap()
    }

    fn checked(&mut self, call: fn(HandleFacts, u64) -> Call) -> OnHandle<Checked> {
        let handle = self.handle();
        handle.checked(&mut self.gate, call).unwrap()
    }

    fn admitted(&mut self, call: fn(HandleFacts, u64) -> Call) -> OnHandle<Permit> {
        let handle = self.handle();
        handle.admit(&mut self.gate, call).unwrap()
    }

    /// All names with what would show a change.
    fn snapshot(&self) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap);
        let seen = |entry: fs::DirEntry| {
            let metadata = entry.metadata().unwrap();
            (entry.path(), (metadata.len(), metadata.modified().unwrap()))
        };
        entries.map(seen).collect()
    }
}

/// More than any effect here takes.
const ROOM: Room = Room { entries: 200_000, bytes: 64 << 20 };

fn broken<T>(Performed { result, .. }: Performed<T>) -> bool {
    matches!(result, Err(Failed::Broken))
}

/// The effects by path; each must refuse a permit that is not its own.
fn effects(scene: &mut Scene, call: &Call) -> Vec<&'static str> {
    let probed = || -> OwnedFd { fs::File::open(scene.folder.path().join("a.txt")).unwrap().into() };
    let probed = probed();
    let permit = |scene: &mut Scene| scene.permit(call.clone());
    let mut refused = Vec::new();
    let mut tell = |name, broken: bool| refused.extend(broken.then_some(name));
    if !matches!(call, Call::Fs(FsCall::Preopen { .. })) {
        let permit = permit(scene);
        tell("open_preopen", broken(open_preopen(permit, &scene.set)));
    }
    if !matches!(call, Call::Fs(FsCall::OpenAt { .. })) {
        let permit = permit(scene);
        tell("open", broken(open(permit, &scene.roots)));
    }
    if !matches!(call, Call::Fs(FsCall::ReadlinkAt { .. })) {
        let permit = permit(scene);
        tell("read_link", broken(read_link(permit, &scene.roots)));
    }
    if !matches!(call, Call::Fs(FsCall::SetTimesAt { .. })) {
        let permit = permit(scene);
        tell("set_times", broken(set_times(permit, Ok(probed), &TIMES)));
    }
    if matches!(call, Call::Fs(FsCall::Preopen { .. } | FsCall::OpenAt { .. } | FsCall::StatAt { .. }))
        || matches!(call, Call::Fs(FsCall::ReadlinkAt { .. } | FsCall::SetTimesAt { .. }))
    {
        let permit = permit(scene);
        tell("change", broken(change(permit, &scene.roots)));
    }
    refused
}

#[test]
fn a_permit_for_another_call_performs_nothing() {
    let mut scene = Scene::new();
    let before = scene.snapshot();
    for call in scene.path_calls() {
        let refused = effects(&mut scene, &call);
        // To stat is not one of these effects: every one of them refuses its permit.
        let own = usize::from(!matches!(call, Call::Fs(FsCall::StatAt { .. })));
        assert_eq!(refused.len() + own, 5, "{call:?} was refused by {refused:?} alone");
        assert_eq!(scene.snapshot(), before, "{call:?}");
    }
}

#[test]
fn a_permit_performs_its_own_call_on_its_own_path() {
    let mut scene = Scene::new();
    let path = |asked: &str| FsPath::new(GRANT, "", asked.to_owned());
    let call = Call::Fs(FsCall::CreateDirectoryAt { path: path("sub/new"), target: Target::Absent, quota_left: QUOTA });
    let permit = scene.permit(call);
    assert_eq!(change(permit, &scene.roots).result, Ok(()));
    assert!(scene.folder.path().join("sub/new").is_dir());
    let resized =
        scene.admitted(|handle, quota_left| Call::Fs(FsCall::SetSize { handle, size: 2, growth: 0, quota_left }));
    assert_eq!(set_size(resized).result, Ok(()));
    assert_eq!(fs::read_to_string(scene.folder.path().join("a.txt")).unwrap(), "al");
}

#[test]
fn the_proof_of_a_read_neither_writes_nor_flushes() {
    let mut scene = Scene::new();
    let before = scene.snapshot();
    let read = |handle, _quota| Call::Fs(FsCall::Read { handle });
    for offset in [Some(0), None] {
        assert_eq!(write(scene.checked(read), b"xx", offset), Err(Failed::Broken));
    }
    assert_eq!(sync(scene.checked(read), Flush::All), Err(Failed::Broken));
    let flushed = |handle, _quota| Call::Fs(FsCall::Sync { handle });
    assert_eq!(read_at(scene.checked(flushed), 9, 0), Err(Failed::Broken));
    let times = |handle, _quota| Call::Fs(FsCall::SetTimes { handle });
    assert!(broken(set_size(scene.admitted(times))));
    let cut = |handle, quota_left| Call::Fs(FsCall::SetSize { handle, size: 0, growth: 0, quota_left });
    assert!(broken(set_open_times(scene.admitted(cut), Kind::File, &TIMES)));
    assert_eq!(scene.snapshot(), before);
    assert_eq!(read_at(scene.checked(read), 9, 1), Ok(b"lpha".to_vec()));
}

#[test]
fn a_write_is_of_no_more_bytes_than_were_allowed() {
    let mut scene = Scene::new();
    let two = |handle, quota_left| Call::Fs(FsCall::Write { handle, bytes: 2, quota_left });
    assert_eq!(write(scene.checked(two), b"xyz", Some(0)), Err(Failed::Broken));
    assert_eq!(fs::read_to_string(scene.folder.path().join("a.txt")).unwrap(), "alpha");
    assert_eq!(write(scene.checked(two), b"xy", Some(0)), Ok(2));
    assert_eq!(fs::read_to_string(scene.folder.path().join("a.txt")).unwrap(), "xypha");
}

fn path(asked: &str) -> FsPath {
    FsPath::new(GRANT, "", asked.to_owned())
}

/// What was decided on is exchanged before the effect: nothing is done, and the call is decided again.
#[test]
fn what_stands_at_a_name_by_now_is_left_alone() {
    let mut scene = Scene::new();
    let at = |name: &str| scene.folder.path().join(name);
    let (file, folder) = (at("a.txt"), at("sub"));
    let calls: Vec<_> = scene.path_calls().into_iter().filter(changes_what_stands_there).collect();
    assert_eq!(calls.len(), 4, "{calls:?}");
    let permits: Vec<_> = calls.into_iter().map(|call| scene.permit(call)).collect();
    // A folder for the file, and another folder for the folder.
    fs::rename(&file, scene.folder.path().join("old.txt")).unwrap();
    fs::rename(&folder, &file).unwrap();
    fs::create_dir(&folder).unwrap();
    let before = scene.snapshot();
    for permit in permits {
        let call = format!("{:?}", permit.call());
        assert_eq!(change(permit, &scene.roots).result, Err(Failed::Raced), "{call}");
        assert_eq!(scene.snapshot(), before, "{call}");
    }
}

fn changes_what_stands_there(call: &Call) -> bool {
    matches!(call, Call::Fs(FsCall::RemoveDirectoryAt { .. } | FsCall::UnlinkFileAt { .. }))
        || matches!(call, Call::Fs(FsCall::RenameAt { .. } | FsCall::LinkAt { .. }))
}

/// Another file is moved than the one that was decided on, right before the kernel acts: it is noticed by what stands at the
/// new name. What was replaced or removed there since is no exchange.
#[test]
fn another_file_that_was_moved_in_its_place_is_noticed() {
    let scene = Scene::new();
    let at = |name: &str| scene.folder.path().join(name);
    let (old, new) = (path("a.txt"), path("b.txt"));
    let place = |path| Place::of(scene.roots.of(path).unwrap(), path, false).unwrap();
    let target = scene.roots.look(&old, false).unwrap().target;
    let decided = Decided::at(&place(&old), target).unwrap();
    fs::create_dir(at("b.txt")).unwrap();
    assert_eq!(decided.moved_to(&place(&new)), Err(Failed::Exchanged));
    fs::remove_dir(at("b.txt")).unwrap();
    fs::rename(at("a.txt"), at("b.txt")).unwrap();
    assert_eq!(decided.moved_to(&place(&new)), Ok(()));
    fs::write(at("c.txt"), "c").unwrap();
    fs::rename(at("c.txt"), at("b.txt")).unwrap();
    assert_eq!(decided.moved_to(&place(&new)), Ok(()), "it was replaced after it was moved");
}

#[test]
fn another_name_that_was_removed_in_its_place_is_noticed() {
    let scene = Scene::new();
    for (name, is_folder) in [("a.txt", false), ("link", false), ("sub", true)] {
        let at = scene.folder.path().join(name);
        let path = path(name);
        let place = Place::of(scene.roots.of(&path).unwrap(), &path, false).unwrap();
        let decided = Decided::at(&place, scene.roots.look(&path, false).unwrap().target).unwrap();
        assert_eq!(decided.was_removed_from(&place), Err(Failed::Exchanged), "{name} is still there");
        let removed = if is_folder { fs::remove_dir(&at) } else { fs::remove_file(&at) };
        removed.unwrap();
        assert_eq!(decided.was_removed_from(&place), Ok(()), "{name}");
    }
}

/// The violation ends the instance, whatever the policy says of denials.
#[test]
fn an_exchange_ends_the_call() {
    let mut scene = Scene::new();
    let unlink =
        scene.path_calls().into_iter().find(|call| matches!(call, Call::Fs(FsCall::UnlinkFileAt { .. }))).unwrap();
    let spent = scene.permit(unlink).spend();
    let refused = scene.gate.exchanged(spent);
    let Refused::Killed(violation) = refused else { panic!("{refused:?}") };
    assert_eq!((violation.rule.as_str(), violation.reason), ("fs:/docs:same", Reason::Exchanged));
}

/// A rename without `RENAME_NOREPLACE` of what stood at `old` before `meanwhile`, and what it came to.
fn renamed_meanwhile(scene: &Scene, old: &str, new: &str, meanwhile: impl FnOnce(&Path)) -> Result<(), Failed> {
    let (old, new) = (path(old), path(new));
    let place = |path| Place::of(scene.roots.of(path).unwrap(), path, false).unwrap();
    let (old_place, new_place) = (place(&old), place(&new));
    let target = scene.roots.look(&old, false).unwrap().target;
    let decided = Decided::at(&old_place, target).unwrap();
    meanwhile(scene.folder.path());
    by_other_calls::rename(&scene.roots, (&old_place, target), &new_place, &decided)
}

#[test]
fn by_other_calls_each_kind_gets_a_new_name() {
    for old in ["a.txt", "link", "sub"] {
        let scene = Scene::new();
        let before = fs::symlink_metadata(scene.folder.path().join(old)).unwrap().ino();
        assert_eq!(renamed_meanwhile(&scene, old, "new", |_| {}), Ok(()), "{old}");
        assert_eq!(fs::symlink_metadata(scene.folder.path().join("new")).unwrap().ino(), before, "{old}");
        assert!(fs::symlink_metadata(scene.folder.path().join(old)).is_err(), "{old}");
    }
}

#[test]
fn a_new_name_by_other_calls_replaces_nothing() {
    for old in ["a.txt", "link", "sub"] {
        let refused = if old == "sub" { Failed::Raced } else { Errno::EXIST.into() };
        for make in [|new: &Path| fs::write(new, "new").unwrap(), |new: &Path| fs::create_dir(new).unwrap()] {
            let scene = Scene::new();
            let mut before = BTreeMap::new();
            let said = renamed_meanwhile(&scene, old, "new", |folder| {
                make(&folder.join("new"));
                before = scene.snapshot();
            });
            assert_eq!(said, Err(refused), "{old}");
            assert_eq!(scene.snapshot(), before, "{old}");
        }
    }
}

/// What stands at the old name by then is not what was linked, and is not removed.
#[test]
fn a_file_that_takes_the_old_name_meanwhile_is_not_removed() {
    let scene = Scene::new();
    let at = |name: &str| scene.folder.path().join(name);
    let said = renamed_meanwhile(&scene, "a.txt", "new", |_| {
        fs::rename(at("a.txt"), at("kept")).unwrap();
        fs::write(at("a.txt"), "another").unwrap();
    });
    assert_eq!(said, Err(Failed::Exchanged));
    for (name, text) in [("a.txt", "another"), ("kept", "alpha"), ("new", "alpha")] {
        assert_eq!(fs::read_to_string(at(name)).unwrap(), text, "{name}");
    }
}

/// The new name is made, and the old one is never removed: as a process that dies there leaves it.
#[test]
fn a_rename_by_other_calls_that_ends_in_between_leaves_both_names() {
    for old in ["a.txt", "link"] {
        let scene = Scene::new();
        let at = |name: &str| fs::symlink_metadata(scene.folder.path().join(name)).unwrap().ino();
        let (old_path, new_path) = (path(old), path("new"));
        let place = |path| Place::of(scene.roots.of(path).unwrap(), path, false).unwrap();
        let decided = Decided::at(&place(&old_path), scene.roots.look(&old_path, false).unwrap().target).unwrap();
        assert_eq!(link_held(&decided, &place(&new_path)), Ok(()));
        assert_eq!(at(old), at("new"), "one file with two names");
        // Tried again, it replaces and removes nothing.
        assert_eq!(renamed_meanwhile(&scene, old, "new", |_| {}), Err(Errno::EXIST.into()), "{old}");
        assert_eq!(at(old), at("new"));
    }
}

/// What appears at the new name after it was looked whether it is free.
#[test]
fn a_folder_by_other_calls_replaces_an_empty_one_alone() {
    let (old, new) = (path("sub"), path("new"));
    let make = |at: &Path, kind: &str| match kind {
        "nothing" => {}
        "an empty folder" => fs::create_dir(at).unwrap(),
        "a folder" => fs::create_dir_all(at.join("in")).unwrap(),
        "a file" => fs::write(at, "new").unwrap(),
        other => panic!("{other}"),
    };
    for (kind, refused) in [
        ("nothing", None),
        ("an empty folder", None),
        ("a folder", Some(Errno::NOTEMPTY)),
        ("a file", Some(Errno::NOTDIR)),
    ] {
        let scene = Scene::new();
        let place = |path| Place::of(scene.roots.of(path).unwrap(), path, false).unwrap();
        let decided = Decided::at(&place(&old), scene.roots.look(&old, false).unwrap().target).unwrap();
        make(&scene.folder.path().join("new"), kind);
        let before = scene.snapshot();
        let said = move_folder(&place(&old), &place(&new), &decided);
        assert_eq!(said, refused.map_or(Ok(()), |errno| Err(errno.into())), "{kind}");
        assert_eq!(scene.snapshot() == before, refused.is_some(), "{kind}");
        assert_eq!(scene.folder.path().join("sub").exists(), refused.is_some(), "{kind}");
    }
}

//! Every word of the vocabulary denies something, and each rule about links, renames and patterns does what it says.

use tollgate_capability::{
    Access, AccessSet, Call, CapabilitySet, Carries, ClockCall, ClockMode, ContextCall, Decision, EnvCall, FileId,
    FsCall, FsCapability, FsPath, GrantIndex, HandleFacts, INODE_CHARGE_BYTES, NAME_CHARGE_BYTES, OpenFlags, Patterns,
    RandomCall, RandomMode, Reach, Reason, SocketCall, Stdio, StdioCall, StdioSet, Target, check,
};

const READ: OpenFlags = OpenFlags {
    read: true,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    write: false,
    follow: false,
};
const WRITE: OpenFlags = OpenFlags { read: false, write: true, ..READ };
const CREATE: OpenFlags = OpenFlags { create: true, ..WRITE };
const FILE: Target = Target::File { id: FileId { device: 1, inode: 2 }, links: 1 };
const LINKED: Target = Target::File { id: FileId { device: 1, inode: 2 }, links: 2 };
const LINK: Target = Target::Link { id: FileId { device: 1, inode: 4 } };
const SPECIAL: Target = Target::Special { id: FileId { device: 1, inode: 5 } };
const FOLDER: Target = Target::Folder { id: FileId { device: 1, inode: 3 } };

/// Everything granted: `/docs` (0) and `/out` (1) with every right.
fn everything() -> CapabilitySet {
    CapabilitySet {
        fs: vec![granted("/docs"), granted("/out")],
        env: [("LANG".to_owned(), "C".to_owned())].into(),
        args: vec!["--fast".to_owned()],
        stdio: StdioSet { stdin: true, stdout: true, stderr: true },
        wall_clock: Some(ClockMode::Real),
        monotonic_clock: Some(ClockMode::Real),
        random: Some(RandomMode::Secure),
        context: true,
        ..CapabilitySet::default()
    }
}

fn granted(guest: &str) -> FsCapability {
    FsCapability { write_quota: 100, ..FsCapability::new(guest, "/srv", Access::ALL.into_iter().collect()) }
}

/// What is left of a quota that does not matter.
const ROOM: u64 = 1 << 20;

fn at(grant: u16, asked: &str) -> FsPath {
    FsPath::new(GrantIndex(grant), "", asked.to_owned())
}

fn open(asked: &str, flags: OpenFlags, target: Target) -> Call {
    Call::Fs(FsCall::OpenAt { path: at(0, asked), flags, target, handles_open: 0, quota_left: ROOM })
}

fn rename(from: FsPath, source: Target, to: FsPath, target: Target) -> Call {
    let reach = matches!(source, Target::Link { .. }).then_some(Reach::Up(0));
    let carries = matches!(source, Target::Folder { .. }).then_some(Carries::NoPolicy);
    Call::Fs(FsCall::RenameAt {
        from,
        from_linked: false,
        source,
        reach,
        carries,
        to,
        to_linked: false,
        target,
        quota_left: ROOM,
    })
}

fn link(from: FsPath, source: Target, to: FsPath) -> Call {
    let reach = matches!(source, Target::Link { .. }).then_some(Reach::Up(0));
    Call::Fs(FsCall::LinkAt { from, source, reach, to, to_linked: false, quota_left: ROOM })
}

fn symlink(content: &str, path: FsPath) -> Call {
    Call::Fs(FsCall::SymlinkAt { content: content.to_owned(), path, linked: false, quota_left: ROOM })
}

fn handle() -> HandleFacts {
    HandleFacts { grant: GrantIndex(0), rights: Access::ALL.into_iter().collect() }
}

/// `None` if allowed, else the missing rule and the reason.
fn denied(set: &CapabilitySet, call: &Call) -> Option<(String, Reason)> {
    match check(set, call) {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some((denial.missing.to_string(), denial.reason)),
    }
}

fn with_patterns(include: &[&str], exclude: &[&str]) -> CapabilitySet {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let mut set = everything();
    if let Some(fs) = set.fs.first_mut() {
        fs.patterns = Patterns::new(owned(include), owned(exclude)).unwrap_or_default();
        assert!(!fs.patterns.is_empty(), "the patterns of this test must parse");
    }
    set
}

/// Takes one word away from `everything` and names the rule that is then missing.
fn assert_needed(word: &str, call: &Call, take: impl FnOnce(&mut CapabilitySet), rule: &str) {
    let mut set = everything();
    assert_eq!(denied(&set, call), None, "{word}: allowed while it is there");
    take(&mut set);
    assert_eq!(denied(&set, call).map(|(rule, _)| rule).as_deref(), Some(rule), "{word}: denied once it is gone");
}

#[test]
fn each_right_below_a_folder_denies_what_it_stands_for() {
    let calls = [
        (Access::Read, open("a", READ, FILE)),
        (Access::Read, Call::Fs(FsCall::Read { handle: handle() })),
        (Access::Read, link(at(0, "a"), FILE, at(0, "b"))),
        (Access::Write, link(at(0, "a"), FILE, at(0, "b"))),
        (Access::Write, open("a", WRITE, FILE)),
        (Access::Write, open("a", OpenFlags { truncate: true, ..READ }, FILE)),
        (Access::Write, Call::Fs(FsCall::Write { handle: handle(), bytes: 1, quota_left: 1 })),
        (Access::Write, Call::Fs(FsCall::Append { handle: handle(), quota_left: 0 })),
        (Access::Write, Call::Fs(FsCall::SetSize { handle: handle(), size: 1, growth: 0, quota_left: 0 })),
        (Access::Write, Call::Fs(FsCall::SetTimes { handle: handle() })),
        (Access::Write, Call::Fs(FsCall::SetTimesAt { path: at(0, "a"), target: FILE })),
        (Access::Create, open("a", CREATE, Target::Absent)),
        (Access::Create, open("a", CREATE, Target::Unknown)),
        (
            Access::Create,
            Call::Fs(FsCall::CreateDirectoryAt { path: at(0, "a"), target: Target::Absent, quota_left: ROOM }),
        ),
        (Access::Create, symlink("b", at(0, "a"))),
        (Access::Create, link(at(0, "a"), FILE, at(0, "b"))),
        (Access::Create, rename(at(0, "a"), FILE, at(0, "b"), Target::Absent)),
        (Access::Delete, Call::Fs(FsCall::UnlinkFileAt { path: at(0, "a"), target: FILE })),
        (Access::Delete, Call::Fs(FsCall::RemoveDirectoryAt { path: at(0, "a"), linked: false, target: FOLDER })),
        (Access::Delete, rename(at(0, "a"), FILE, at(0, "b"), Target::Absent)),
        (Access::List, open("a", OpenFlags { directory: true, ..READ }, FOLDER)),
        (Access::List, Call::Fs(FsCall::ReadDirectory { handle: handle() })),
        (Access::Metadata, Call::Fs(FsCall::Stat { handle: HandleFacts { rights: AccessSet::EMPTY, ..handle() } })),
        (
            Access::Metadata,
            Call::Fs(FsCall::MetadataHash { handle: HandleFacts { rights: AccessSet::EMPTY, ..handle() } }),
        ),
        (Access::Metadata, Call::Fs(FsCall::StatAt { path: at(0, "a"), target: FILE })),
        (Access::Metadata, Call::Fs(FsCall::ReadlinkAt { path: at(0, "a"), target: FILE })),
    ];
    for (access, call) in calls {
        let take = |set: &mut CapabilitySet| {
            set.fs[0].access = set.fs[0].access.difference(AccessSet::EMPTY.with(access));
        };
        assert_needed(call.function(), &call, take, &format!("fs:/docs:{access}"));
    }
}

#[test]
fn a_durable_right_wants_the_intents_that_use_it_on_disk() {
    let both = OpenFlags { read: true, ..WRITE };
    let calls = [
        (Access::Read, open("a", READ, FILE)),
        (Access::Read, open("a", both, FILE)),
        (Access::Read, link(at(0, "a"), FILE, at(1, "b"))),
        (Access::Write, link(at(0, "a"), FILE, at(1, "b"))),
        (Access::Write, open("a", both, FILE)),
        (Access::Write, open("a", CREATE, Target::Absent)),
        (Access::Write, Call::Fs(FsCall::SetSize { handle: handle(), size: 1, growth: 0, quota_left: 0 })),
        (Access::Write, Call::Fs(FsCall::Write { handle: handle(), bytes: 1, quota_left: 1 })),
        (Access::Create, open("a", CREATE, Target::Absent)),
        (Access::Create, rename(at(1, "a"), FILE, at(0, "b"), Target::Absent)),
        (Access::Delete, Call::Fs(FsCall::UnlinkFileAt { path: at(0, "a"), target: FILE })),
        (Access::Delete, rename(at(0, "a"), FILE, at(1, "b"), Target::Absent)),
        (Access::Delete, rename(at(1, "a"), FILE, at(0, "b"), FILE)),
        (Access::List, open("a", OpenFlags { directory: true, ..READ }, FOLDER)),
        (Access::List, Call::Fs(FsCall::MetadataHashAt { path: at(0, "a"), target: FILE })),
        (Access::Metadata, Call::Fs(FsCall::StatAt { path: at(0, "a"), target: FILE })),
    ];
    for (access, call) in calls {
        let mut set = everything();
        assert!(!set.is_durable(&call), "{call:?}");
        set.fs[0].durable = AccessSet::EMPTY.with(access);
        assert!(set.is_durable(&call), "{call:?}");
    }
}

#[test]
fn what_needs_no_durable_right_waits_for_no_disk() {
    let mut set = everything();
    set.fs[0].durable = set.fs[0].access;
    let denied = open("../a", WRITE, FILE);
    let other = Call::Fs(FsCall::UnlinkFileAt { path: at(1, "a"), target: FILE });
    let no_right = [Call::Fs(FsCall::Preopen { grant: GrantIndex(0) }), Call::Fs(FsCall::Sync { handle: handle() })];
    let beside = [
        Call::Env(EnvCall::GetEnvironment),
        Call::Clock(ClockCall::WallClock),
        Call::Random(RandomCall::RandomBytes { bytes: 1 }),
    ];
    for call in [denied, other].into_iter().chain(no_right).chain(beside) {
        assert!(!set.is_durable(&call), "{call:?}");
    }
}

#[test]
fn a_metadata_hash_needs_the_right_to_list_or_to_ask() {
    let hash = Call::Fs(FsCall::MetadataHashAt { path: at(0, "a"), target: FILE });
    let mut set = everything();
    for access in [Access::List, Access::Metadata] {
        set.fs[0].access = AccessSet::EMPTY.with(access);
        assert_eq!(denied(&set, &hash), None, "{access}");
    }
    set.fs[0].access = AccessSet::EMPTY.with(Access::Read);
    assert_eq!(denied(&set, &hash), Some(("fs:/docs:metadata".to_owned(), Reason::NotGranted)));
}

/// To ask is never denied: without the word there is nothing to see.
#[test]
fn what_is_empty_without_its_word_is_allowed_under_the_rule_empty() {
    let allowed = |set: &CapabilitySet, call: &Call| match check(set, call) {
        Decision::Allow(rule) => rule.to_string(),
        Decision::Deny(denial) => panic!("{denial:?}"),
    };
    let stdio = |stream| Call::Stdio(StdioCall::get(stream));
    let calls = [
        (Call::Env(EnvCall::GetEnvironment), "env"),
        (Call::Env(EnvCall::GetArguments), "args"),
        (stdio(Stdio::Stdin), "stdio:stdin"),
        (stdio(Stdio::Stdout), "stdio:stdout"),
        (stdio(Stdio::Stderr), "stdio:stderr"),
    ];
    for (call, rule) in calls {
        assert_eq!(allowed(&everything(), &call), rule);
        assert_eq!(allowed(&CapabilitySet::default(), &call), "empty", "{call:?}");
    }
}

#[test]
fn each_word_beside_folders_denies_what_it_stands_for() {
    let bytes = 4;
    assert_needed("fs", &Call::Fs(FsCall::Preopen { grant: GrantIndex(1) }), |set| drop(set.fs.pop()), "fs");
    assert_needed("fs", &Call::Fs(FsCall::Sync { handle: handle() }), |set| set.fs.clear(), "fs");
    let print = Call::Stdio(StdioCall::WriteStdio { stream: Stdio::Stdout, bytes, left: bytes });
    assert_needed("stdout", &print, |set| set.stdio.stdout = false, "stdio:stdout");
    assert_needed("clocks.wall", &Call::Clock(ClockCall::WallClock), |set| set.wall_clock = None, "clocks.wall");
    let monotonic = Call::Clock(ClockCall::MonotonicClock);
    assert_needed("clocks.monotonic", &monotonic, |set| set.monotonic_clock = None, "clocks.monotonic");
    assert_needed("random", &Call::Random(RandomCall::RandomBytes { bytes }), |set| set.random = None, "random");
    assert_needed(
        "random",
        &Call::Random(RandomCall::InsecureRandomBytes { bytes }),
        |set| set.random = None,
        "random",
    );
    assert_needed("context", &Call::Context(ContextCall::GetContext), |set| set.context = false, "context");
    assert_needed(
        "limits.random",
        &Call::Random(RandomCall::RandomBytes { bytes }),
        |set| set.limits.random = 3,
        "limits.random",
    );
    assert_needed("limits.handles", &open("a", READ, FILE), |set| set.limits.handles = 0, "limits.handles");
}

#[test]
fn what_was_opened_for_something_may_be_asked_about() {
    let mut set = everything();
    set.fs[0].access = set.fs[0].access.difference(AccessSet::EMPTY.with(Access::Metadata));
    let metadata = Some(("fs:/docs:metadata".to_owned(), Reason::NotGranted));
    for (right, stat) in [(Access::Read, None), (Access::Write, None), (Access::List, metadata)] {
        let handle = || HandleFacts { grant: GrantIndex(0), rights: AccessSet::EMPTY.with(right) };
        assert_eq!(denied(&set, &Call::Fs(FsCall::Stat { handle: handle() })), stat, "{right}");
        assert_eq!(denied(&set, &Call::Fs(FsCall::MetadataHash { handle: handle() })), None, "{right}");
    }
}

#[test]
fn a_quota_and_a_cap_deny_the_byte_after_the_last() {
    let print = |bytes| Call::Stdio(StdioCall::WriteStdio { stream: Stdio::Stderr, bytes, left: 10 });
    assert_eq!(denied(&everything(), &print(10)), None);
    assert_eq!(denied(&everything(), &print(11)).map(|(rule, _)| rule).as_deref(), Some("limits.stdio"));
    let write = |bytes| Call::Fs(FsCall::Write { handle: handle(), bytes, quota_left: 10 });
    assert_eq!(denied(&everything(), &write(10)), None);
    let over = Reason::OverLimit { asked: 11, left: 10 };
    assert_eq!(denied(&everything(), &write(11)), Some(("fs:/docs:quota".to_owned(), over)));
    let grow = Call::Fs(FsCall::SetSize { handle: handle(), size: 1, growth: 11, quota_left: 10 });
    assert_eq!(denied(&everything(), &grow), Some(("fs:/docs:quota".to_owned(), over)));
}

#[test]
fn a_quota_denies_all_that_takes_room_on_the_disk() {
    let cost = NAME_CHARGE_BYTES + 3;
    let path = || at(0, "sub/new");
    let create = |quota_left| {
        Call::Fs(FsCall::OpenAt { path: path(), flags: CREATE, target: Target::Absent, handles_open: 0, quota_left })
    };
    let link = |quota_left| {
        Call::Fs(FsCall::LinkAt {
            from: at(0, "a"),
            source: FILE,
            reach: None,
            to: path(),
            to_linked: false,
            quota_left,
        })
    };
    let renamed = |quota_left| {
        Call::Fs(FsCall::RenameAt {
            from: at(0, "a"),
            from_linked: false,
            source: FILE,
            reach: None,
            carries: None,
            to: path(),
            to_linked: false,
            target: FILE,
            quota_left,
        })
    };
    let folder = |quota_left| Call::Fs(FsCall::CreateDirectoryAt { path: path(), target: Target::Absent, quota_left });
    let symlink = |quota_left| {
        Call::Fs(FsCall::SymlinkAt { content: "text".to_owned(), path: path(), linked: false, quota_left })
    };
    let calls: [(u64, &dyn Fn(u64) -> Call); 5] = [
        (cost + INODE_CHARGE_BYTES, &create),
        (cost + INODE_CHARGE_BYTES, &folder),
        (cost + INODE_CHARGE_BYTES + 4, &symlink),
        (cost, &link),
        (cost, &renamed),
    ];
    for (asked, call) in calls {
        assert_eq!(denied(&everything(), &call(asked)), None, "{:?}", call(asked));
        for left in [0, asked - 1] {
            let over = Reason::OverLimit { asked, left };
            assert_eq!(denied(&everything(), &call(left)), Some(("fs:/docs:quota".to_owned(), over)));
        }
    }
    // Without the right, it is the right that is missing, whatever room there is.
    let mut set = everything();
    set.fs[0].access = set.fs[0].access.difference(AccessSet::EMPTY.with(Access::Create));
    assert_eq!(denied(&set, &folder(0)), Some(("fs:/docs:create".to_owned(), Reason::NotGranted)));
}

#[test]
fn include_and_exclude_patterns_deny_what_they_leave_out() {
    let set = with_patterns(&["*.txt"], &["private/**"]);
    let left_out = |asked: &str, target| denied(&set, &open(asked, READ, target));
    let excluded = Some(("fs:/docs:patterns".to_owned(), Reason::Excluded));
    assert_eq!(left_out("a.txt", FILE), None);
    assert_eq!(left_out("sub", FOLDER), None);
    assert_eq!(left_out("a.pem", FILE), excluded);
    assert_eq!(left_out("private", FOLDER), excluded);
    assert_eq!(left_out("private/a.txt", FILE), excluded);
    assert_eq!(left_out("sub/../private/a.txt", FILE), excluded);
    assert_eq!(denied(&set, &open("a.pem", CREATE, Target::Absent)), excluded);
}

#[test]
fn the_network_is_never_granted() {
    let lookup = Call::Socket(SocketCall::ResolveAddresses { name: "localhost".to_owned() });
    assert_eq!(denied(&everything(), &lookup), Some(("net".to_owned(), Reason::NotGranted)));
}

#[test]
fn renaming_onto_something_needs_the_right_to_delete_it() {
    let call = |target| rename(at(0, "a"), FILE, at(1, "b"), target);
    let mut set = everything();
    set.fs[1].access = set.fs[1].access.difference(AccessSet::EMPTY.with(Access::Delete));
    assert_eq!(denied(&set, &call(Target::Absent)), None);
    for target in [FILE, FOLDER, LINK, Target::Unknown] {
        assert_eq!(denied(&set, &call(target)), Some(("fs:/out:delete".to_owned(), Reason::NotGranted)));
    }
}

#[test]
fn a_link_text_that_leads_out_is_refused() {
    let refused = Some(("fs:/docs:beneath".to_owned(), Reason::LinkText));
    for (path, content) in [
        ("a", "/etc"),
        ("a", ".."),
        ("a", "../x"),
        ("d/a", "../../x"),
        ("a", "x/../../y"),
        ("a", "p/p/../../x"),
        ("a", "./x/../y"),
        ("d/e/a", "../x/../b"),
    ] {
        assert_eq!(denied(&everything(), &symlink(content, at(0, path))), refused, "{path} -> {content}");
    }
    for (path, content) in [("a", "b"), ("d/a", "../b"), ("a", "./x/y"), ("d/e/a", "./../../b")] {
        assert_eq!(denied(&everything(), &symlink(content, at(0, path))), None, "{path} -> {content}");
    }
}

#[test]
fn a_link_is_judged_where_it_will_stand() {
    let text = Some(("fs:/docs:beneath".to_owned(), Reason::LinkText));
    let moved = |reach, to: &str| {
        Call::Fs(FsCall::RenameAt {
            from: at(0, "d/e/a"),
            from_linked: false,
            source: LINK,
            reach,
            carries: None,
            to: at(0, to),
            to_linked: false,
            target: Target::Absent,
            quota_left: ROOM,
        })
    };
    let linked = |reach, to: &str| {
        Call::Fs(FsCall::LinkAt {
            from: at(0, "d/e/a"),
            source: LINK,
            reach,
            to: at(0, to),
            to_linked: false,
            quota_left: ROOM,
        })
    };
    for call in [&moved as &dyn Fn(_, &str) -> _, &linked] {
        assert_eq!(denied(&everything(), &call(Some(Reach::Up(2)), "d/f/a")), None);
        assert_eq!(denied(&everything(), &call(Some(Reach::Up(0)), "a")), None);
        assert_eq!(denied(&everything(), &call(Some(Reach::Up(2)), "d/a")), text);
        assert_eq!(denied(&everything(), &call(Some(Reach::Anywhere), "d/e/f/g/a")), text);
        assert_eq!(denied(&everything(), &call(None, "a")), text, "nobody looked");
    }
}

#[test]
fn a_link_that_climbs_stands_only_where_no_link_is_on_the_way() {
    let refused = Some(("fs:/docs:beneath".to_owned(), Reason::LinkPlace));
    let made = |content: &str| {
        Call::Fs(FsCall::SymlinkAt { content: content.to_owned(), path: at(0, "s/a"), linked: true, quota_left: ROOM })
    };
    assert_eq!(denied(&everything(), &made("../x")), refused);
    assert_eq!(denied(&everything(), &made("x")), None);
    let moved = |reach| {
        Call::Fs(FsCall::RenameAt {
            from: at(0, "d/a"),
            from_linked: false,
            source: LINK,
            reach: Some(reach),
            carries: None,
            to: at(0, "s/a"),
            to_linked: true,
            target: Target::Absent,
            quota_left: ROOM,
        })
    };
    assert_eq!(denied(&everything(), &moved(Reach::Up(1))), refused);
    assert_eq!(denied(&everything(), &moved(Reach::Up(0))), None);
}

#[test]
fn a_folder_comes_nearer_only_with_links_that_stay() {
    let refused = Some(("fs:/docs:beneath".to_owned(), Reason::LinksInFolder));
    let moved = |reach, to: &str, to_linked| {
        Call::Fs(FsCall::RenameAt {
            from: at(0, "d/e/a"),
            from_linked: false,
            source: FOLDER,
            reach,
            carries: Some(Carries::NoPolicy),
            to: at(0, to),
            to_linked,
            target: Target::Absent,
            quota_left: ROOM,
        })
    };
    assert_eq!(denied(&everything(), &moved(None, "d/f/a", false)), None, "as deep as before");
    assert_eq!(denied(&everything(), &moved(None, "d/a", false)), refused, "nobody looked");
    assert_eq!(denied(&everything(), &moved(Some(Reach::Up(1)), "d/a", false)), None);
    assert_eq!(denied(&everything(), &moved(Some(Reach::Up(1)), "a", false)), refused);
    assert_eq!(denied(&everything(), &moved(Some(Reach::Up(1)), "d/s/a", true)), refused);
    assert_eq!(denied(&everything(), &moved(Some(Reach::Up(0)), "s", true)), None);
    assert_eq!(denied(&everything(), &moved(Some(Reach::Anywhere), "d/a", false)), refused);
}

#[test]
fn a_folder_takes_no_policy_along() {
    let moved = |carries| {
        let (from, to) = (at(0, "a"), at(0, "b"));
        Call::Fs(FsCall::RenameAt {
            from,
            from_linked: false,
            source: FOLDER,
            reach: None,
            carries,
            to,
            to_linked: false,
            target: Target::Absent,
            quota_left: ROOM,
        })
    };
    let refused = |reason| Some(("fs:/docs:policy".to_owned(), reason));
    assert_eq!(denied(&everything(), &moved(Some(Carries::NoPolicy))), None);
    assert_eq!(denied(&everything(), &moved(Some(Carries::Policy))), refused(Reason::PolicyInFolder));
    assert_eq!(denied(&everything(), &moved(Some(Carries::Unseen))), refused(Reason::FolderUnseen));
    assert_eq!(denied(&everything(), &moved(None)), refused(Reason::FolderUnseen), "nobody looked");
}

/// `/docs` is `/srv/w`, and `/out` lies in it as `/srv/w/in/out`.
fn nested_places() -> CapabilitySet {
    let mut set = everything();
    for (fs, host) in set.fs.iter_mut().zip(["/srv/w", "/srv/w/in/out"]) {
        fs.host = host.into();
    }
    set
}

#[test]
fn the_place_of_a_granted_folder_is_not_changed() {
    let set = nested_places();
    let kept = Some(("fs:/docs:place".to_owned(), Reason::GrantedPlace));
    for place in ["in", "in/out"] {
        let away = rename(at(0, place), FOLDER, at(0, "x"), Target::Absent);
        let over = rename(at(0, "x"), FOLDER, at(0, place), FOLDER);
        let file = rename(at(0, "x"), FILE, at(0, place), Target::Absent);
        let removed = Call::Fs(FsCall::RemoveDirectoryAt { path: at(0, place), linked: false, target: FOLDER });
        let unlinked = Call::Fs(FsCall::UnlinkFileAt { path: at(0, place), target: LINK });
        let made = Call::Fs(FsCall::CreateDirectoryAt { path: at(0, place), target: Target::Absent, quota_left: ROOM });
        let shadow =
            [symlink("x", at(0, place)), link(at(0, "x"), FILE, at(0, place)), open(place, CREATE, Target::Absent)];
        for call in [away, over, file, removed, unlinked, made].iter().chain(&shadow) {
            assert_eq!(denied(&set, call), kept, "{call:?}");
        }
        let there = Call::Fs(FsCall::CreateDirectoryAt { path: at(0, place), target: FOLDER, quota_left: ROOM });
        assert_eq!(denied(&set, &there), None, "it stands there already, and stays");
    }
    for beside in ["x", "in/x", "in/outer", "in/out/x"] {
        assert_eq!(denied(&set, &symlink("y", at(0, beside))), None, "{beside}");
    }
}

/// Another mount gives a folder another name: what was opened for a grant is known by device and inode.
#[test]
fn a_granted_folder_is_known_by_what_it_is() {
    let mut set = everything();
    let kept = Some(("fs:/docs:place".to_owned(), Reason::GrantedPlace));
    let away = rename(at(0, "alias"), FOLDER, at(0, "x"), Target::Absent);
    let removed = Call::Fs(FsCall::RemoveDirectoryAt { path: at(0, "alias"), linked: false, target: FOLDER });
    assert_eq!([denied(&set, &away), denied(&set, &removed)], [None, None]);
    for fs in &mut set.fs {
        fs.opened = FOLDER.id();
    }
    assert_eq!([denied(&set, &away), denied(&set, &removed)], [kept.clone(), kept]);
}

#[test]
fn where_a_granted_folder_lies_in_another_no_link_leads_to_a_changed_name() {
    let by_link = Some(("fs:/docs:place".to_owned(), Reason::PlaceByLink));
    let calls = [
        Call::Fs(FsCall::SymlinkAt { content: "x".to_owned(), path: at(0, "s/out"), linked: true, quota_left: ROOM }),
        Call::Fs(FsCall::RemoveDirectoryAt { path: at(0, "s/out"), linked: true, target: FOLDER }),
        Call::Fs(FsCall::LinkAt {
            from: at(0, "a"),
            source: FILE,
            reach: None,
            to: at(0, "s/out"),
            to_linked: true,
            quota_left: ROOM,
        }),
        Call::Fs(FsCall::RenameAt {
            from: at(0, "s/out"),
            from_linked: true,
            source: FOLDER,
            reach: Some(Reach::Up(0)),
            carries: Some(Carries::NoPolicy),
            to: at(0, "x"),
            to_linked: false,
            target: Target::Absent,
            quota_left: ROOM,
        }),
    ];
    for call in &calls {
        assert_eq!(denied(&nested_places(), call), by_link, "{call:?}");
        assert_eq!(denied(&everything(), call), None, "{call:?}");
    }
}

#[test]
fn nothing_gains_rights_in_another_folder() {
    let gains = Some(("fs:/out:no-gain".to_owned(), Reason::GainsRights));
    let link = link(at(0, "a"), FILE, at(1, "a"));
    let moved = rename(at(0, "a"), FILE, at(1, "a"), Target::Absent);
    let folder = rename(at(0, "a"), FOLDER, at(1, "a"), Target::Absent);
    let without = |access: Access| {
        let mut set = everything();
        set.fs[0].access = set.fs[0].access.difference(AccessSet::EMPTY.with(access));
        set
    };
    for call in [&link, &moved, &folder] {
        assert_eq!(denied(&everything(), call), None);
        assert_eq!(denied(&without(Access::Write), call), gains);
        assert_eq!(denied(&without(Access::Metadata), call), gains);
    }
    assert_eq!(denied(&without(Access::Read), &moved), gains);
    assert_eq!(denied(&without(Access::List), &moved), None);
    assert_eq!(denied(&without(Access::List), &folder), gains);
    assert_eq!(denied(&without(Access::Create), &folder), gains);
}

#[test]
fn nothing_gains_rights_by_a_folder_in_or_around_another() {
    let gains = Some(("fs:/out:no-gain".to_owned(), Reason::GainsRights));
    let nested = |third: &str, rights: &[Access]| {
        let mut set = everything();
        let moves: AccessSet = [Access::Read, Access::Write, Access::Create, Access::Delete].into_iter().collect();
        (set.fs[0].host, set.fs[0].access) = ("/srv/a/docs".into(), moves);
        (set.fs[1].host, set.fs[1].access) = ("/srv/b/out".into(), moves);
        set.fs.truncate(2);
        let access = rights.iter().copied().collect();
        set.fs.push(FsCapability { guest: "/more".to_owned(), host: third.into(), access, ..set.fs[0].clone() });
        set
    };
    let file = [link(at(0, "x/a"), FILE, at(1, "y/a")), rename(at(0, "x/a"), FILE, at(1, "y/a"), Target::Absent)];
    let folder = rename(at(0, "x"), FOLDER, at(1, "y"), Target::Absent);
    for call in &file {
        for around in ["/srv/b", "/srv/b/out", "/srv/b/out/y"] {
            assert_eq!(denied(&nested(around, &[Access::Metadata]), call), gains, "{around}");
            assert_eq!(denied(&nested(around, &[Access::List]), call), None, "{around}: a file cannot be listed");
        }
        for beside in ["/srv/a", "/srv/a/docs/x", "/srv/b/out/z", "/srv/b/outer", "/srv/c"] {
            assert_eq!(denied(&nested(beside, &[Access::Metadata]), call), None, "{beside}");
        }
    }
    for met in ["/srv/b", "/srv/b/out/y", "/srv/b/out/y/deep"] {
        assert_eq!(denied(&nested(met, &[Access::List]), &folder), gains, "{met}");
    }
    let kept = Some(("fs:/docs:place".to_owned(), Reason::GrantedPlace));
    assert_eq!(denied(&nested("/srv/a/docs/x/deep", &[Access::List]), &folder), kept);
}

#[test]
fn special_files_are_neither_linked_nor_renamed() {
    let refused = Some(("fs:/docs:regular".to_owned(), Reason::NotRegular));
    let link = link(at(0, "a"), SPECIAL, at(0, "b"));
    let moved = |target| rename(at(0, "a"), SPECIAL, at(1, "b"), target);
    for call in [link, moved(Target::Absent), moved(FILE)] {
        assert_eq!(denied(&everything(), &call), refused);
    }
    assert_eq!(denied(&everything(), &rename(at(0, "a"), FILE, at(1, "b"), SPECIAL)), None);
}

#[test]
fn hard_links_do_not_carry_a_file_past_patterns() {
    let set = with_patterns(&[], &["secret"]);
    let hard = Some(("fs:/docs:patterns".to_owned(), Reason::HardLinksUnderPatterns));
    assert_eq!(denied(&set, &open("a", READ, LINKED)), hard);
    assert_eq!(denied(&everything(), &open("a", READ, LINKED)), None);
    let link = |from, to| link(from, FILE, to);
    assert_eq!(denied(&set, &link(at(0, "a"), at(0, "b"))), hard);
    assert_eq!(denied(&set, &link(at(0, "a"), at(1, "b"))), Some(("fs:/out:patterns".to_owned(), hard_reason())));
    // Moved to a folder without patterns, it could be read there under its new name.
    assert_eq!(denied(&set, &rename(at(0, "a"), LINKED, at(1, "a"), Target::Absent)), hard);
    assert_eq!(denied(&set, &rename(at(0, "a"), FILE, at(1, "a"), Target::Absent)), None);
    assert_eq!(denied(&set, &rename(at(0, "a"), LINKED, at(0, "b"), Target::Absent)), None);
}

fn hard_reason() -> Reason {
    Reason::HardLinksUnderPatterns
}

#[test]
fn under_patterns_names_are_what_they_seem() {
    let set = with_patterns(&[], &["secret"]);
    let links = Some(("fs:/docs:patterns".to_owned(), Reason::SymlinkUnderPatterns));
    assert_eq!(denied(&set, &open("a", READ, Target::Symlink)), links);
    assert_eq!(denied(&set, &symlink("b", at(0, "a"))), links);
    let renamed = rename(at(0, "a"), FOLDER, at(0, "b"), Target::Absent);
    let folder = Some(("fs:/docs:patterns".to_owned(), Reason::FolderRenameUnderPatterns));
    assert_eq!(denied(&set, &renamed), folder);
    let unlink = |asked| Call::Fs(FsCall::UnlinkFileAt { path: at(0, asked), target: LINK });
    assert_eq!(denied(&set, &unlink("a")), None);
    let on_the_way = Call::Fs(FsCall::UnlinkFileAt { path: at(0, "a/b"), target: Target::Symlink });
    assert_eq!(denied(&set, &on_the_way), links);
    let excluded = Some(("fs:/docs:patterns".to_owned(), Reason::Excluded));
    assert_eq!(denied(&set, &unlink("secret")), excluded);
    assert_eq!(denied(&set, &rename(at(0, "a"), FILE, at(0, "secret"), FILE)), excluded);
}

#[test]
fn a_slash_at_the_end_makes_no_file_past_the_include_patterns() {
    let set = with_patterns(&["*.txt"], &[]);
    let excluded = Some(("fs:/docs:patterns".to_owned(), Reason::Excluded));
    assert_eq!(denied(&set, &open("a.bin/", CREATE, Target::Absent)), excluded);
    assert_eq!(denied(&set, &open("a/", READ, Target::Absent)), None);
}

#[test]
fn a_slash_at_the_end_makes_no_file_for_the_right_to_list() {
    let mut set = everything();
    set.fs[0].access = AccessSet::EMPTY.with(Access::List);
    let directory = OpenFlags { directory: true, ..READ };
    assert_eq!(denied(&set, &open("a/", directory, FOLDER)), None);
    for (asked, flags, target) in [
        ("a/", CREATE, Target::Absent),
        ("a/", OpenFlags { truncate: true, ..READ }, FILE),
        ("a", OpenFlags { create: true, ..directory }, Target::Absent),
        ("a/", WRITE, FILE),
    ] {
        assert!(denied(&set, &open(asked, flags, target)).is_some(), "{asked} {flags:?}");
    }
}

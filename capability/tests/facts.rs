//! The function and the facts of every call, byte for byte as ledgers have them. Without a golden, a new table of calls could
//! change the records and its own inverse alike.

use std::fmt::Write as _;

use tollgate_capability::{
    Access, AccessSet, AddressFamily, Call, Carries, ClockCall, ContextCall, EnvCall, Fact, FileId, FsCall, FsPath,
    GrantIndex, HTTP_FUNCTIONS, HandleFacts, OpenFlags, RandomCall, Reach, RefusedCall, SOCKET_METHODS, SocketCall,
    Stdio, StdioCall, Target,
};

#[test]
fn every_call_has_the_facts_of_the_golden() {
    let written = calls().iter().map(record).collect::<String>();
    expect_test::expect_file!["golden/facts.txt"].assert_eq(&written);
}

#[test]
fn every_call_of_the_golden_is_made_again_out_of_its_facts() {
    for call in calls() {
        assert_eq!(Call::from_facts(call.function(), &call.facts().0).as_ref(), Ok(&call));
    }
}

/// The call's line, then one line for each fact in its order.
fn record(call: &Call) -> String {
    let mut text = format!("{} {}\n", call.function(), if call.acquires() { "acquires" } else { "counted" });
    for (name, fact) in call.facts().0 {
        let value = match fact {
            Fact::Text(text) => format!("text {text:?}"),
            Fact::Uint(number) => format!("uint {number}"),
            Fact::Bool(flag) => format!("bool {flag}"),
        };
        writeln!(text, "    {name}: {value}").unwrap_or_default();
    }
    text
}

fn calls() -> Vec<Call> {
    [fs_by_path(), fs_by_two_paths(), fs_by_handle(), others()].concat()
}

/// A path below the folder itself, and one below a handle.
fn paths() -> [FsPath; 2] {
    [path(0, "", "a/b.txt"), path(65_535, "docs/deep", "ü \"x\"\n")]
}

fn path(grant: u16, dir: &str, asked: &str) -> FsPath {
    FsPath::new(GrantIndex(grant), dir, asked.to_owned())
}

fn targets() -> [Target; 11] {
    let id = FileId { device: 3, inode: u64::MAX };
    [
        Target::Absent,
        Target::File { id, links: 2 },
        Target::Folder { id },
        Target::Link { id },
        Target::Symlink,
        Target::Special { id },
        Target::Outside,
        Target::Mount,
        Target::Pseudo,
        Target::Policy,
        Target::Unknown,
    ]
}

/// No flag, each flag alone, and all of them.
fn flags() -> Vec<OpenFlags> {
    let of = |on: [bool; 7]| {
        let [create, exclusive, truncate, directory, read, write, follow] = on;
        OpenFlags { create, exclusive, truncate, directory, read, write, follow }
    };
    let alone = (0..7).map(|flag| of(std::array::from_fn(|each| each == flag)));
    [of([false; 7]), of([true; 7])].into_iter().chain(alone).collect()
}

fn fs_by_path() -> Vec<Call> {
    let mut calls = vec![Call::Fs(FsCall::Preopen { grant: GrantIndex(7) })];
    for path in paths() {
        for flags in flags() {
            let quota_left = if flags.create { 90 } else { 0 };
            let target = Target::Absent;
            calls.push(Call::Fs(FsCall::OpenAt {
                path: path.clone(),
                flags,
                target,
                handles_open: u32::MAX,
                quota_left,
            }));
        }
        for target in targets() {
            let path = || path.clone();
            calls.extend([
                Call::Fs(FsCall::StatAt { path: path(), target }),
                Call::Fs(FsCall::MetadataHashAt { path: path(), target }),
                Call::Fs(FsCall::ReadlinkAt { path: path(), target }),
                Call::Fs(FsCall::SetTimesAt { path: path(), target }),
                Call::Fs(FsCall::CreateDirectoryAt { path: path(), target, quota_left: 91 }),
                Call::Fs(FsCall::RemoveDirectoryAt { path: path(), linked: true, target }),
                Call::Fs(FsCall::UnlinkFileAt { path: path(), target }),
                Call::Fs(FsCall::OpenAt {
                    path: path(),
                    flags: OpenFlags::default(),
                    target,
                    handles_open: 1,
                    quota_left: 0,
                }),
            ]);
        }
        calls.push(Call::Fs(FsCall::SymlinkAt { content: "../x".to_owned(), path, linked: false, quota_left: 92 }));
    }
    calls
}

fn fs_by_two_paths() -> Vec<Call> {
    let [from, to] = paths();
    let carried = Carries::ALL.into_iter().map(Some).chain([None]);
    let reached = [None, Some(Reach::Up(0)), Some(Reach::Up(u32::MAX)), Some(Reach::Anywhere)];
    let looked = carried.flat_map(|carries| reached.map(|reach| (carries, reach)));
    let looked = looked.zip(targets().into_iter().cycle());
    looked
        .flat_map(|((carries, reach), source)| {
            let ends = || (from.clone(), to.clone());
            let ((from, to), (old, new)) = (ends(), ends());
            let target = Target::Absent;
            [
                Call::Fs(FsCall::RenameAt {
                    from,
                    from_linked: true,
                    source,
                    reach,
                    carries,
                    to,
                    to_linked: false,
                    target,
                    quota_left: 93,
                }),
                Call::Fs(FsCall::LinkAt { from: old, source, reach, to: new, to_linked: true, quota_left: 94 }),
            ]
        })
        .collect()
}

fn fs_by_handle() -> Vec<Call> {
    let all: AccessSet = Access::ALL.into_iter().collect();
    let handles = [AccessSet::EMPTY, all].map(|rights| HandleFacts { grant: GrantIndex(2), rights });
    handles
        .into_iter()
        .flat_map(|handle| {
            let handle = || handle.clone();
            [
                Call::Fs(FsCall::Read { handle: handle() }),
                Call::Fs(FsCall::Write { handle: handle(), bytes: 5, quota_left: 95 }),
                Call::Fs(FsCall::Append { handle: handle(), quota_left: 96 }),
                Call::Fs(FsCall::SetSize { handle: handle(), size: 6, growth: 7, quota_left: 97 }),
                Call::Fs(FsCall::SetTimes { handle: handle() }),
                Call::Fs(FsCall::Sync { handle: handle() }),
                Call::Fs(FsCall::ReadDirectory { handle: handle() }),
                Call::Fs(FsCall::Stat { handle: handle() }),
                Call::Fs(FsCall::MetadataHash { handle: handle() }),
            ]
        })
        .collect()
}

fn others() -> Vec<Call> {
    let mut calls = vec![Call::Env(EnvCall::GetEnvironment), Call::Env(EnvCall::GetArguments)];
    for stream in [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr] {
        calls.push(Call::Stdio(StdioCall::get(stream)));
        calls.push(Call::Stdio(StdioCall::WriteStdio { stream, bytes: 8, left: 9 }));
    }
    calls.extend([Call::Clock(ClockCall::WallClock), Call::Clock(ClockCall::MonotonicClock)]);
    calls.extend([
        Call::Random(RandomCall::RandomBytes { bytes: 10 }),
        Call::Random(RandomCall::InsecureRandomBytes { bytes: 11 }),
    ]);
    calls.push(Call::Context(ContextCall::GetContext));
    for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
        calls.push(Call::Socket(SocketCall::CreateTcpSocket { family }));
        calls.push(Call::Socket(SocketCall::CreateUdpSocket { family }));
    }
    calls.push(Call::Socket(SocketCall::ResolveAddresses { name: "a.example\0".to_owned() }));
    for function in SOCKET_METHODS.into_iter().chain(HTTP_FUNCTIONS) {
        calls.push(Call::Refused(RefusedCall { function }));
    }
    calls
}

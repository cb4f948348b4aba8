//! Generated capability sets and calls: few names and few patterns, so that they meet often.
#![allow(dead_code, reason = "each test file uses a part")]

use std::ops::Range;

use proptest::prelude::*;
use tollgate_capability::{
    Access, AccessSet, AddressFamily, Call, CapabilitySet, Carries, ClockCall, ClockMode, ContextCall, EnvCall, FileId,
    FsCall, FsCapability, FsPath, GrantIndex, HandleFacts, OpenFlags, Patterns, RandomCall, RandomMode, Reach,
    RefusedCall, SOCKET_METHODS, SocketCall, Stdio, StdioCall, StdioSet, Target,
};

pub(crate) fn set() -> impl Strategy<Value = CapabilitySet> {
    let streams = any::<[bool; 3]>().prop_map(|[stdin, stdout, stderr]| StdioSet { stdin, stdout, stderr });
    let clock = || proptest::option::of(Just(ClockMode::Real));
    let rest = (any::<[bool; 3]>(), clock(), clock(), proptest::option::of(Just(RandomMode::Secure)));
    (proptest::collection::vec(folder(), 0..3), streams, rest, 0_u32..64, 0_u64..64).prop_map(
        |(fs, stdio, ([env, args, context], wall_clock, monotonic_clock, random), handles, random_bytes)| {
            let mut set =
                CapabilitySet { fs, stdio, wall_clock, monotonic_clock, random, context, ..CapabilitySet::default() };
            set.env.extend(env.then(|| ("TOKEN".to_owned(), String::from("secret"))));
            set.args.extend(args.then(|| "--fast".to_owned()));
            set.limits.handles = handles;
            set.limits.random = random_bytes;
            set
        },
    )
}

pub(crate) fn folder() -> impl Strategy<Value = FsCapability> {
    let all: AccessSet = Access::ALL.into_iter().collect();
    (prop_oneof![3 => Just(all), 5 => access()], access(), patterns()).prop_map(|(access, durable, patterns)| {
        FsCapability {
            durable: access.intersection(durable),
            patterns,
            write_quota: 1 << 20,
            ..FsCapability::new("/docs", "/srv/docs", access)
        }
    })
}

pub(crate) fn access() -> impl Strategy<Value = AccessSet> {
    proptest::collection::vec(one_access(), 0..6).prop_map(|rights| rights.into_iter().collect())
}

pub(crate) fn one_access() -> impl Strategy<Value = Access> {
    proptest::sample::select(Access::ALL.to_vec())
}

pub(crate) fn patterns() -> impl Strategy<Value = Patterns> {
    let list = || proptest::collection::vec(pattern(), 0..3);
    let some = (list(), list()).prop_map(|(include, exclude)| Patterns::new(include, exclude).unwrap());
    prop_oneof![2 => Just(Patterns::default()), 3 => some]
}

/// Few names and few patterns, so that they meet often.
pub(crate) fn pattern() -> impl Strategy<Value = String> {
    let name =
        proptest::sample::select(vec!["a", "b", "a.txt", "*.txt", "*", "?", "**", "a*", "*b*", ".git", "secret"]);
    (any::<bool>(), proptest::collection::vec(name, 1..4))
        .prop_map(|(rooted, names)| format!("{}{}", if rooted { "/" } else { "" }, names.join("/")))
}

pub(crate) fn below() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(vec!["a", "b", "a.txt", "b.txt", "ab", ".git", "secret", "a.", "x.txt."]);
    proptest::collection::vec(name, 1..4).prop_map(|names| names.join("/"))
}

pub(crate) fn fs_path() -> impl Strategy<Value = FsPath> {
    let dir = proptest::sample::select(vec!["", "a", "a/b", "secret"]);
    let odd = proptest::sample::select(vec!["", ".", "..", "../a", "/etc", "a/../../b", "a\0", "a/", "a/..", "./b"]);
    let asked = prop_oneof![4 => below(), 1 => odd.prop_map(str::to_owned), 1 => ".{0,8}"];
    (grant(), dir, asked).prop_map(|(grant, dir, asked)| FsPath::new(grant, dir, asked))
}

pub(crate) fn grant() -> impl Strategy<Value = GrantIndex> {
    prop_oneof![20 => 0_u16..3, 1 => any::<u16>()].prop_map(GrantIndex)
}

pub(crate) fn target() -> impl Strategy<Value = Target> {
    let id = (any::<u64>(), any::<u64>()).prop_map(|(device, inode)| FileId { device, inode });
    let links = prop_oneof![3 => Just(1), 2 => Just(2), 1 => any::<u64>()];
    (0_u8..12, id, links).prop_map(|(kind, id, links)| match kind {
        0 => Target::Absent,
        1 => Target::Folder { id },
        2 => Target::Symlink,
        3 => Target::Special { id },
        4 => Target::Outside,
        5 => Target::Unknown,
        6 => Target::Link { id },
        7 => Target::Mount,
        8 => Target::Pseudo,
        9 => Target::Policy,
        _often => Target::File { id, links },
    })
}

pub(crate) fn flags() -> impl Strategy<Value = OpenFlags> {
    any::<[bool; 7]>().prop_map(|[create, exclusive, truncate, directory, read, write, follow]| OpenFlags {
        create,
        exclusive,
        truncate,
        directory,
        read,
        write,
        follow,
    })
}

pub(crate) fn handle() -> impl Strategy<Value = HandleFacts> {
    (grant(), access()).prop_map(|(grant, rights)| HandleFacts { grant, rights })
}

pub(crate) fn call() -> impl Strategy<Value = Call> {
    prop_oneof![4 => path_call(), 3 => two_path_call(), 3 => handle_call(), 2 => other_call()]
}

pub(crate) fn path_call() -> impl Strategy<Value = Call> {
    (0_u8..9, fs_path(), target(), flags(), small_or_any(0..80), quota_left()).prop_map(
        |(kind, path, target, flags, handles_open, quota_left)| match kind {
            0 => Call::Fs(FsCall::StatAt { path, target }),
            1 => Call::Fs(FsCall::MetadataHashAt { path, target }),
            2 => Call::Fs(FsCall::ReadlinkAt { path, target }),
            3 => Call::Fs(FsCall::SetTimesAt { path, target }),
            4 => Call::Fs(FsCall::CreateDirectoryAt { path, target, quota_left }),
            5 => Call::Fs(FsCall::RemoveDirectoryAt { path, linked: flags.follow, target }),
            6 => Call::Fs(FsCall::UnlinkFileAt { path, target }),
            _often => {
                let quota_left = if flags.create { quota_left } else { 0 };
                Call::Fs(FsCall::OpenAt { path, flags, target, handles_open, quota_left })
            }
        },
    )
}

pub(crate) fn two_path_call() -> impl Strategy<Value = Call> {
    let old = (fs_path(), seldom(), target(), reach(), carries());
    (0_u8..3, old, fs_path(), seldom(), target(), quota_left()).prop_map(
        |(kind, (from, from_linked, source, reach, carries), to, to_linked, target, quota_left)| match kind {
            0 => Call::Fs(FsCall::LinkAt { from, source, reach, to, to_linked, quota_left }),
            1 => Call::Fs(FsCall::SymlinkAt { content: from.asked, path: to, linked: to_linked, quota_left }),
            _often => Call::Fs(FsCall::RenameAt {
                from,
                from_linked,
                source,
                reach,
                carries,
                to,
                to_linked,
                target,
                quota_left,
            }),
        },
    )
}

fn seldom() -> impl Strategy<Value = bool> {
    prop_oneof![4 => Just(false), 1 => Just(true)]
}

pub(crate) fn reach() -> impl Strategy<Value = Option<Reach>> {
    prop_oneof![
        2 => Just(None),
        4 => small_or_any(0_u32..3).prop_map(|up| Some(Reach::Up(up))),
        1 => Just(Some(Reach::Anywhere)),
    ]
}

/// Mostly that there is no policy.
fn carries() -> impl Strategy<Value = Option<Carries>> {
    prop_oneof![4 => Just(Some(Carries::NoPolicy)), 1 => prop::option::of(prop::sample::select(&Carries::ALL[..]))]
}

/// Mostly enough for what takes little room, often nothing, now and then about what a file costs.
fn quota_left() -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(1 << 20), 2 => Just(0), 2 => 4_000_u64..5_000]
}

pub(crate) fn handle_call() -> impl Strategy<Value = Call> {
    (0_u8..10, handle(), small_or_any(0..9), small_or_any(0..9)).prop_map(
        |(kind, handle, bytes, quota_left)| match kind {
            0 => Call::Fs(FsCall::Read { handle }),
            1 => Call::Fs(FsCall::Write { handle, bytes, quota_left }),
            2 => Call::Fs(FsCall::Append { handle, quota_left }),
            3 => Call::Fs(FsCall::SetSize { handle, size: 1, growth: bytes, quota_left }),
            4 => Call::Fs(FsCall::SetTimes { handle }),
            5 => Call::Fs(FsCall::Sync { handle }),
            6 => Call::Fs(FsCall::ReadDirectory { handle }),
            7 => Call::Fs(FsCall::Stat { handle }),
            8 => Call::Fs(FsCall::MetadataHash { handle }),
            _last => Call::Fs(FsCall::Preopen { grant: handle.grant }),
        },
    )
}

pub(crate) fn other_call() -> impl Strategy<Value = Call> {
    let streams = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr];
    let family = proptest::sample::select(vec![AddressFamily::Ipv4, AddressFamily::Ipv6]);
    let method = proptest::sample::select(SOCKET_METHODS.to_vec());
    let drawn = (0_u8..16, small_or_any(0..128), proptest::sample::select(streams.to_vec()), family, method, ".{0,8}");
    drawn.prop_map(|(kind, bytes, stream, family, function, name)| match kind {
        0 => Call::Env(EnvCall::GetEnvironment),
        1 => Call::Env(EnvCall::GetArguments),
        2 | 3 => Call::Stdio(StdioCall::get(stream)),
        4 => Call::Clock(ClockCall::WallClock),
        5 => Call::Clock(ClockCall::MonotonicClock),
        6 | 7 => Call::Random(RandomCall::RandomBytes { bytes }),
        8 => Call::Random(RandomCall::InsecureRandomBytes { bytes }),
        9 => Call::Socket(SocketCall::CreateTcpSocket { family }),
        10 => Call::Socket(SocketCall::CreateUdpSocket { family }),
        11 => Call::Socket(SocketCall::ResolveAddresses { name }),
        12 => Call::Context(ContextCall::GetContext),
        13 => Call::Stdio(StdioCall::WriteStdio { stream, bytes, left: 64 }),
        _last => Call::Refused(RefusedCall { function }),
    })
}

/// Mostly a number that meets caps and quotas, now and then one of all there are.
fn small_or_any<T>(small: Range<T>) -> impl Strategy<Value = T>
where
    T: Arbitrary + 'static,
    Range<T>: Strategy<Value = T> + 'static,
{
    prop_oneof![7 => small, 1 => any::<T>()]
}

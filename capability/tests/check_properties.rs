//! What `check` promises, held over generated capability sets and calls.
#![allow(clippy::unwrap_used, reason = "a generator that fails is a test that fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a property that speaks of some calls skips the others")]

mod generators;

use generators::{
    access, below, call, flags, fs_path, grant, one_access, path_call, pattern, patterns, set, target, two_path_call,
};
use proptest::prelude::*;
use tollgate_capability::{
    Access, AccessSet, Call, CapabilitySet, Carries, Decision, EnvCall, FileId, FsCall, FsPath, GrantIndex,
    HandleFacts, Patterns, Reach, Reason, RecordedSet, Rule, StdioCall, StdioSet, Target, check,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_empty_set_denies_every_call_or_has_nothing_to_show(call in call()) {
        let shows_nothing =
            matches!(call, Call::Env(EnvCall::GetEnvironment | EnvCall::GetArguments) | Call::Stdio(StdioCall::GetStdin | StdioCall::GetStdout | StdioCall::GetStderr));
        match check(&CapabilitySet::default(), &call) {
            Decision::Allow(rule) => prop_assert!(shows_nothing && rule == Rule::Empty, "{call:?}"),
            Decision::Deny(_) => prop_assert!(!shows_nothing, "{call:?}"),
        }
    }

    #[test]
    fn a_decision_can_be_repeated_from_the_canonical_text(set in set(), call in call()) {
        let text = set.to_canonical_json().unwrap();
        let recorded = RecordedSet::parse(&text).unwrap();
        prop_assert_eq!(check(&set, &call), check(&set, &call.clone()));
        prop_assert_eq!(check(&set, &call), recorded.check(&call));
    }

    /// The one exception is in the nature of the rule: a folder that loses a right is one where less can be gained.
    #[test]
    fn taking_a_right_away_never_allows_more(set in set(), call in call(), removal in removal()) {
        let less = removal.from(set.clone());
        if allowed(&less, &call) && !allowed(&set, &call) {
            prop_assert_eq!(reason(&set, &call), Some(Reason::GainsRights), "{:?} after {:?}", call, removal);
        }
    }

    #[test]
    fn a_path_that_cannot_be_used_is_never_allowed(set in set(), call in call()) {
        if paths(&call).iter().any(|(path, _)| path.resolved().is_err()) {
            prop_assert!(!allowed(&set, &call), "{call:?}");
        }
    }

    #[test]
    fn what_a_link_leads_out_to_is_never_allowed(set in set(), call in call()) {
        if paths(&call).iter().any(|(_, target)| *target == Some(Target::Outside)) {
            prop_assert!(!allowed(&set, &call), "{call:?}");
        }
    }

    #[test]
    fn devices_fifos_and_sockets_never_open(set in set(), path in fs_path(), flags in flags(), handles_open in 0_u32..99) {
        let id = FileId { device: 1, inode: 2 };
        let call = Call::Fs(FsCall::OpenAt { path, flags, target: Target::Special { id }, handles_open, quota_left: 0 });
        prop_assert!(!allowed(&set, &call), "{call:?}");
    }

    /// Wherever a link comes to stand, its text alone leads to nothing but what is below the granted folder.
    #[test]
    fn no_link_that_is_made_or_moved_leads_out(set in set(), call in call()) {
        let (to, linked, reach) = match &call {
            Call::Fs(FsCall::SymlinkAt { content, path, linked, .. }) => (path, *linked, Some(Reach::of_text(content.as_bytes()))),
            Call::Fs(FsCall::LinkAt { source: Target::Link { .. }, reach, to, to_linked, .. } | FsCall::RenameAt { source: Target::Link { .. }, reach, to, to_linked, .. }) => (to, *to_linked, *reach),
            _other => return Ok(()),
        };
        if allowed(&set, &call) {
            let Some(Reach::Up(up)) = reach else { return Err(TestCaseError::fail(format!("{call:?}"))) };
            let depth = if linked { 0 } else { to.resolved().unwrap().matches('/').count() };
            prop_assert!(up as usize <= depth, "{call:?}");
        }
    }

    /// A folder takes the links in it along: it comes no nearer to the granted folder unless they are known to stay below it.
    #[test]
    fn no_folder_takes_links_out(set in set(), call in call()) {
        let Call::Fs(FsCall::RenameAt { from, from_linked, source: Target::Folder { .. }, reach, to, to_linked, .. }) = &call else {
            return Ok(());
        };
        if allowed(&set, &call) {
            let depth = |path: &FsPath| path.resolved().unwrap().matches('/').count();
            let is_level = !from_linked && !to_linked && depth(to) >= depth(from);
            let links_stay = match reach {
                Some(Reach::Up(0)) => true,
                Some(Reach::Up(up)) => !to_linked && *up as usize <= depth(to),
                Some(Reach::Anywhere) | None => false,
            };
            prop_assert!(is_level || links_stay, "{call:?}");
        }
    }

    /// A policy stays where it is: no folder moves unless it was seen whole, and has none in it.
    #[test]
    fn no_folder_takes_a_policy_along(set in set(), call in call()) {
        if let Call::Fs(FsCall::RenameAt { source: Target::Folder { .. }, carries, .. }) = &call {
            prop_assert!(*carries == Some(Carries::NoPolicy) || !allowed(&set, &call), "{call:?}");
        }
    }

    #[test]
    fn patterns_hold_for_every_path_of_an_allowed_call(set in set(), call in call()) {
        if !allowed(&set, &call) {
            return Ok(());
        }
        for (path, target) in paths(&call) {
            let fs = &set.fs[usize::from(path.grant.0)];
            let below = path.resolved().unwrap();
            let hidden = fs.patterns.exclude().iter().any(|pattern| excludes(pattern, below));
            prop_assert!(!hidden, "{below:?} is hidden by {:?}", fs.patterns);
            let may_be_folder = matches!(target, Some(Target::Folder { .. })) || names_folder(&call, path);
            let include = fs.patterns.include();
            if !may_be_folder && !include.is_empty() {
                prop_assert!(include.iter().any(|pattern| matches(pattern, below)), "{below:?} by {include:?}");
            }
        }
    }

    #[test]
    fn nothing_gains_rights_by_going_elsewhere(set in set(), call in call()) {
        let (from, source, to) = match &call {
            Call::Fs(FsCall::RenameAt { from, source, to, .. } | FsCall::LinkAt { from, source, to, .. }) => (from, *source, to),
            _other => return Ok(()),
        };
        if allowed(&set, &call) {
            let [old, new] = [from, to].map(|path| &set.fs[usize::from(path.grant.0)]);
            let counted: AccessSet = match source {
                Target::Folder { .. } => Access::ALL.into_iter().collect(),
                _file => [Access::Read, Access::Write, Access::Metadata].into_iter().collect(),
            };
            prop_assert!(old.access.contains_all(new.access.intersection(counted)), "{old:?} to {new:?}");
            // What keeps its old name is the other tools' too, whose sets are not seen here.
            let stays = matches!(call, Call::Fs(FsCall::LinkAt { .. }));
            prop_assert!(!stays || old.access.contains(Access::Write), "{old:?} to {new:?}");
        }
    }

    #[test]
    fn a_quota_is_never_exceeded(set in set(), call in call()) {
        let grows = match &call {
            Call::Stdio(StdioCall::WriteStdio { bytes, left, .. }) => *bytes > *left,
            _other => call.disk_cost().is_some_and(|cost| cost.bytes > cost.quota_left),
        };
        prop_assert!(!(grows && allowed(&set, &call)), "{call:?}");
    }

    #[test]
    fn with_a_quota_of_nothing_no_name_comes_into_being(set in set(), call in prop_oneof![path_call(), two_path_call()]) {
        let makes = match &call {
            Call::Fs(FsCall::OpenAt { flags, target, .. }) => flags.create && *target == Target::Absent,
            Call::Fs(FsCall::CreateDirectoryAt { .. } | FsCall::SymlinkAt { .. }) => true,
            Call::Fs(FsCall::LinkAt { .. } | FsCall::RenameAt { .. }) => true,
            _other => false,
        };
        let left = call.disk_cost().map(|cost| cost.quota_left);
        prop_assert_eq!(makes, left.is_some(), "{:?}", &call);
        prop_assert!(!(left == Some(0) && allowed(&set, &call)), "{:?}", &call);
    }

    #[test]
    fn nothing_is_made_or_cut_without_the_right_to(set in set(), path in fs_path(), flags in flags(), target in target()) {
        let call = Call::Fs(FsCall::OpenAt { path: path.clone(), flags, target, handles_open: 0, quota_left: u64::MAX });
        if allowed(&set, &call) {
            let access = set.fs[usize::from(path.grant.0)].access;
            let made = flags.create && !matches!(target, Target::File { .. } | Target::Folder { .. });
            prop_assert!(!made || access.contains(Access::Create), "{call:?} with {access}");
            prop_assert!(!(flags.truncate || flags.write) || access.contains(Access::Write), "{call:?} with {access}");
        }
    }

    #[test]
    fn a_handle_never_does_more_than_it_was_opened_for(set in set(), grant in grant(), rights in access()) {
        let handle = HandleFacts { grant, rights };
        let needs = [
            (Call::Fs(FsCall::Read { handle: handle.clone() }), Access::Read),
            (Call::Fs(FsCall::Write { handle: handle.clone(), bytes: 1, quota_left: 9 }), Access::Write),
            (Call::Fs(FsCall::Append { handle: handle.clone(), quota_left: 9 }), Access::Write),
            (Call::Fs(FsCall::SetSize { handle: handle.clone(), size: 1, growth: 0, quota_left: 9 }), Access::Write),
            (Call::Fs(FsCall::ReadDirectory { handle }), Access::List),
        ];
        for (call, access) in needs {
            prop_assert!(!allowed(&set, &call) || rights.contains(access), "{call:?}");
        }
    }

    /// A right is needed if, taken away everywhere, it is missing. The metadata hash needs one of two, so it goes by the
    /// right that it is allowed by.
    #[test]
    fn a_call_is_durable_where_it_needs_a_durable_right(set in set(), call in call(), access in one_access()) {
        let (mut durable, mut without) = (set.clone(), set);
        for fs in &mut durable.fs {
            fs.durable = fs.access.intersection(AccessSet::EMPTY.with(access));
        }
        for fs in &mut without.fs {
            fs.access = fs.access.difference(AccessSet::EMPTY.with(access));
        }
        let needed = match (&call, check(&durable, &call)) {
            (Call::Fs(FsCall::MetadataHashAt { .. }), Decision::Allow(rule)) => rule == Rule::Fs { guest: "/docs", access },
            (_, Decision::Allow(_)) => !allowed(&without, &call),
            (_, Decision::Deny(_)) => false,
        };
        prop_assert_eq!(durable.is_durable(&call), needed, "{:?}", call);
    }

    #[test]
    fn what_is_excluded_hides_everything_below(patterns in patterns(), path in below(), deeper in below()) {
        if !patterns.allow_folder(&path) {
            let deep = format!("{path}/{deeper}");
            prop_assert!(!patterns.allow_folder(&deep) && !patterns.allow_file(&deep), "{deep:?} by {patterns:?}");
        }
    }

    #[test]
    fn every_folder_above_an_allowed_file_is_allowed(patterns in patterns(), path in below()) {
        if patterns.allow_file(&path) {
            for (slash, _) in path.match_indices('/') {
                prop_assert!(patterns.allow_folder(&path[..slash]), "{:?} by {patterns:?}", &path[..slash]);
            }
        }
    }

    #[test]
    fn patterns_match_as_the_plain_reading_of_them(pattern in pattern(), path in below()) {
        let one = |include: &[&String], exclude: &[&String]| {
            let owned = |list: &[&String]| list.iter().map(ToString::to_string).collect();
            Patterns::new(owned(include), owned(exclude)).unwrap()
        };
        prop_assert_eq!(one(&[&pattern], &[]).allow_file(&path), matches(&pattern, &path), "{} at {}", pattern, path);
        prop_assert_eq!(one(&[], &[&pattern]).allow_file(&path), !excludes(&pattern, &path), "{} at {}", pattern, path);
    }

    #[test]
    fn arbitrary_patterns_and_paths_never_panic(include in ".*", exclude in ".*", dir in "[a-z/]*", asked in ".*") {
        if let Ok(patterns) = Patterns::new(vec![include], vec![exclude]) {
            let path = FsPath::new(GrantIndex(0), dir.trim_matches('/'), asked);
            let _either = path.resolved().is_ok_and(|below| patterns.allow_file(below));
        }
    }
}

fn allowed(set: &CapabilitySet, call: &Call) -> bool {
    matches!(check(set, call), Decision::Allow(_))
}

fn reason(set: &CapabilitySet, call: &Call) -> Option<Reason> {
    match check(set, call) {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial.reason),
    }
}

/// Every path of a call with what stands there, where the call says it.
fn paths(call: &Call) -> Vec<(&FsPath, Option<Target>)> {
    match call {
        Call::Fs(
            FsCall::OpenAt { path, target, .. }
            | FsCall::StatAt { path, target }
            | FsCall::MetadataHashAt { path, target }
            | FsCall::ReadlinkAt { path, target }
            | FsCall::SetTimesAt { path, target }
            | FsCall::CreateDirectoryAt { path, target, .. }
            | FsCall::RemoveDirectoryAt { path, target, .. }
            | FsCall::UnlinkFileAt { path, target },
        ) => vec![(path, Some(*target))],
        Call::Fs(FsCall::SymlinkAt { path, .. }) => vec![(path, None)],
        Call::Fs(FsCall::RenameAt { from, source, to, target, .. }) => vec![(from, Some(*source)), (to, Some(*target))],
        Call::Fs(FsCall::LinkAt { from, source, to, .. }) => vec![(from, Some(*source)), (to, None)],
        _no_path => Vec::new(),
    }
}

/// Whether the call itself says that the path is, or will be, a folder.
fn names_folder(call: &Call, path: &FsPath) -> bool {
    match call {
        Call::Fs(FsCall::CreateDirectoryAt { .. } | FsCall::RemoveDirectoryAt { .. }) => true,
        Call::Fs(FsCall::OpenAt { flags, target, .. }) => {
            let makes = flags.create || flags.write || flags.truncate;
            *target == Target::Absent && !makes && (flags.directory || path.folder_only())
        }
        Call::Fs(FsCall::RenameAt { source, target, .. }) => {
            matches!(source, Target::Folder { .. }) || matches!(target, Target::Folder { .. })
        }
        _other => false,
    }
}

/// The documented meaning of an exclude pattern, by names.
fn excludes(pattern: &str, path: &str) -> bool {
    let plain = pattern.trim_start_matches('/');
    let pattern = plain.strip_suffix("/**").map_or_else(|| pattern.to_owned(), |folder| format!("/{folder}"));
    let ends = path.match_indices('/').map(|(slash, _)| slash).chain([path.len()]);
    !path.is_empty() && ends.into_iter().any(|end| matches(&pattern, &path[..end]))
}

/// The documented meaning of an include pattern, by names.
fn matches(pattern: &str, path: &str) -> bool {
    let mut names = pattern.trim_start_matches('/').split('/').collect::<Vec<_>>();
    if !pattern.contains('/') {
        names.insert(0, "**");
    }
    !path.is_empty() && names_match(&names, &path.split('/').collect::<Vec<_>>())
}

fn names_match(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some((&"**", [])), rest) => rest.is_some(),
        (Some((&"**", later)), rest) => {
            names_match(later, path) || rest.is_some_and(|(_, below)| names_match(pattern, below))
        }
        (Some(_), None) => false,
        (Some((glob, later)), Some((name, below))) => {
            name_matches(glob.as_bytes(), name.as_bytes()) && names_match(later, below)
        }
    }
}

fn name_matches(glob: &[u8], name: &[u8]) -> bool {
    match (glob.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', later)), rest) => {
            name_matches(later, name) || rest.is_some_and(|(_, below)| name_matches(glob, below))
        }
        (Some((b'?', later)), Some((_, below))) => name_matches(later, below),
        (Some((byte, later)), Some((other, below))) => byte == other && name_matches(later, below),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Something taken away from a set.
#[derive(Debug, Clone)]
enum Removal {
    Access(usize, Access),
    Env,
    Args,
    Stdio,
    WallClock,
    MonotonicClock,
    Random,
    Context,
    Handles,
    RandomBytes,
    LastFolder,
}

impl Removal {
    fn from(&self, mut set: CapabilitySet) -> CapabilitySet {
        match self {
            Self::Access(index, access) => {
                if let Some(fs) = set.fs.get_mut(*index) {
                    fs.access = fs.access.difference(AccessSet::EMPTY.with(*access));
                }
            }
            Self::Env => set.env.clear(),
            Self::Args => set.args.clear(),
            Self::Stdio => set.stdio = StdioSet::EMPTY,
            Self::WallClock => set.wall_clock = None,
            Self::MonotonicClock => set.monotonic_clock = None,
            Self::Random => set.random = None,
            Self::Context => set.context = false,
            Self::Handles => set.limits.handles /= 2,
            Self::RandomBytes => set.limits.random /= 2,
            Self::LastFolder => {
                set.fs.pop();
            }
        }
        set
    }
}

fn removal() -> impl Strategy<Value = Removal> {
    prop_oneof![
        8 => (0_usize..3, one_access()).prop_map(|(index, access)| Removal::Access(index, access)),
        8 => proptest::sample::select(vec![
            Removal::Env,
            Removal::Args,
            Removal::Stdio,
            Removal::WallClock,
            Removal::MonotonicClock,
            Removal::Random,
            Removal::Context,
            Removal::Handles,
            Removal::RandomBytes,
            Removal::LastFolder,
        ]),
    ]
}

//! The decision: one pure, total function over a capability set and a call. No I/O, no clock, no arm that allows by
//! default; an empty set denies everything that carries authority.

use std::path::Path;

use crate::access::{Access, AccessSet};
use crate::call::{
    Call, ClockCall, ContextCall, EnvCall, FsCall, HandleFacts, OpenFlags, RandomCall, RefusedCall, SocketCall, Stdio,
    StdioCall, Target,
};
use crate::disk::DiskCost;
use crate::path::{FsPath, GrantIndex};
use crate::policy_name::Carries;
use crate::reach::Reach;
use crate::reason::Reason;
use crate::rule::{Denial, Rule};
use crate::set::{Cap, CapabilitySet, FsCapability};
use crate::standing::{Name, link_stays, links_in_folder_stay, no_policy_moves, place_is_free, place_is_kept};

/// Decides whether `set` allows `call`.
///
/// Anyone who has both can repeat the decision: the facts it rests on are in the call.
#[must_use]
pub fn check<'s>(set: &'s CapabilitySet, call: &Call) -> Decision<'s> {
    match decide(set, call) {
        Ok(held) => Decision::Allow(held.rule),
        Err(denial) => Decision::Deny(denial),
    }
}

impl CapabilitySet {
    /// Whether the intent of `call` must be on disk before its effect: if it needs a right that its folder, or either of its two
    /// folders, lists as [`durable`](crate::FsCapability::durable). The rights are those that [`check`](crate::check) asks for.
    /// What touches no folder, or is denied and so has no effect, is not: its intent is in the notary's pipe, as in any case. Pure,
    /// as the decision is.
    ///
    /// A call that is only counted ([`Call::acquires`]) has no intent unless every call is recorded: for it the answer
    /// matters only then.
    #[must_use]
    pub fn is_durable(&self, call: &Call) -> bool {
        self.fs.iter().any(|fs| !fs.durable.is_empty()) && decide(self, call).is_ok_and(|held| held.is_durable)
    }
}

/// What `check` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'s> {
    /// The rule that allows the call.
    Allow(Rule<'s>),
    /// The rule that is missing, and why.
    Deny(Denial<'s>),
}

type Verdict<'s> = Result<Held<'s>, Denial<'s>>;

/// A rule that holds.
#[must_use = "what it asks of the record would be lost: join it with `and`"]
pub(crate) struct Held<'s> {
    rule: Rule<'s>,
    /// Whether the intent of what it allows must be on disk before the effect.
    pub(crate) is_durable: bool,
}

impl<'s> Held<'s> {
    const fn plain(rule: Rule<'s>) -> Self {
        Self { rule, is_durable: false }
    }

    /// Both hold: the second rule is recorded, and the intent is durable if either asks for it.
    fn and(self, second: Self) -> Self {
        Self { rule: second.rule, is_durable: self.is_durable || second.is_durable }
    }
}

/// [`check`], with what the rights that the call needs ask of the record.
pub(crate) fn decide<'s>(set: &'s CapabilitySet, call: &Call) -> Verdict<'s> {
    match call {
        Call::Fs(call) => {
            let held = on_files(set, call)?;
            within_quota(set, call)?;
            Ok(held)
        }
        Call::Env(EnvCall::GetEnvironment) => Ok(or_empty(!set.env.is_empty(), Rule::Env)),
        Call::Env(EnvCall::GetArguments) => Ok(or_empty(!set.args.is_empty(), Rule::Args)),
        Call::Stdio(StdioCall::WriteStdio { stream, bytes, left }) => write_stdio(set, *stream, *bytes, *left),
        Call::Stdio(call @ (StdioCall::GetStdin | StdioCall::GetStdout | StdioCall::GetStderr)) => {
            Ok(or_empty(set.stdio.contains(call.stream()), Rule::Stdio(call.stream())))
        }
        Call::Clock(ClockCall::WallClock) => granted(set.wall_clock.is_some(), Rule::WallClock),
        Call::Clock(ClockCall::MonotonicClock) => granted(set.monotonic_clock.is_some(), Rule::MonotonicClock),
        Call::Random(RandomCall::RandomBytes { bytes } | RandomCall::InsecureRandomBytes { bytes }) => {
            random(set, *bytes)
        }
        Call::Context(ContextCall::GetContext) => granted(set.context, Rule::Context),
        Call::Socket(
            SocketCall::CreateTcpSocket { .. }
            | SocketCall::CreateUdpSocket { .. }
            | SocketCall::ResolveAddresses { .. },
        )
        | Call::Refused(RefusedCall { .. }) => granted(false, Rule::Network),
    }
}

/// The decision on files but for write quotas: who may not do a thing is told that, whatever room there is.
fn on_files<'s>(set: &'s CapabilitySet, call: &FsCall) -> Verdict<'s> {
    match call {
        FsCall::Preopen { grant } => preopened(set, *grant),
        FsCall::OpenAt { path, flags, target, handles_open, .. } => open(set, path, *flags, *target, *handles_open),
        FsCall::StatAt { path, target } => at_path(set, path, *target, Access::Metadata),
        FsCall::MetadataHashAt { path, target } => metadata_hash(set, path, *target),
        FsCall::ReadlinkAt { path, target } => at_path(set, path, *target, Access::Metadata),
        FsCall::SetTimesAt { path, target } => set_times(set, path, *target),
        FsCall::CreateDirectoryAt { path, target, .. } => create_directory(set, path, *target),
        FsCall::RemoveDirectoryAt { path, linked, target } => remove_directory(set, path, *linked, *target),
        FsCall::UnlinkFileAt { path, target } => unlink(set, path, *target),
        FsCall::RenameAt { from, from_linked, source, reach, carries, to, to_linked, target, .. } => {
            rename(set, (from, *from_linked, *source), (*reach, *carries), (to, *to_linked, *target))
        }
        FsCall::LinkAt { from, source, reach, to, to_linked, .. } => {
            link(set, (from, *source), *reach, (to, *to_linked))
        }
        FsCall::SymlinkAt { content, path, linked, .. } => symlink(set, content, path, *linked),
        FsCall::Read { handle } => on_handle(set, handle, Access::Read),
        FsCall::Write { handle, .. } | FsCall::Append { handle, .. } | FsCall::SetSize { handle, .. } => {
            on_handle(set, handle, Access::Write)
        }
        // As POSIX has it, times are set by any handle: who may write below the folder may set them by the path too.
        FsCall::SetTimes { handle } => right(folder(set, handle.grant)?, Access::Write),
        // Any handle may be flushed; what matters is that it is one.
        FsCall::Sync { handle } => preopened(set, handle.grant),
        FsCall::ReadDirectory { handle } => on_handle(set, handle, Access::List),
        FsCall::Stat { handle } => asked_about(set, handle, &[Access::Read, Access::Write]),
        FsCall::MetadataHash { handle } => asked_about(set, handle, &[Access::Read, Access::Write, Access::List]),
    }
}

/// Stands for "a folder is or will be here" where the call itself says so.
const FOLDER: Target = Target::Folder { id: crate::call::FileId { device: 0, inode: 0 } };

fn granted(held: bool, rule: Rule<'_>) -> Verdict<'_> {
    if held { Ok(Held::plain(rule)) } else { deny(rule, Reason::NotGranted) }
}

/// Of stdin, environment and arguments whoever asks gets what is granted, and nothing where nothing is: languages' runtimes
/// look at all three before they run a line of the tool. Of an output stream only a write is judged.
fn or_empty(held: bool, rule: Rule<'_>) -> Held<'_> {
    Held::plain(if held { rule } else { Rule::Empty })
}

fn deny(missing: Rule<'_>, reason: Reason) -> Verdict<'_> {
    Err(Denial { missing, reason })
}

fn folder(set: &CapabilitySet, grant: GrantIndex) -> Result<&FsCapability, Denial<'_>> {
    set.fs.get(usize::from(grant.0)).ok_or(Denial { missing: Rule::FsAny, reason: Reason::NotGranted })
}

fn right(fs: &FsCapability, access: Access) -> Verdict<'_> {
    let held = granted(fs.access.contains(access), Rule::Fs { guest: &fs.guest, access })?;
    Ok(Held { is_durable: fs.durable.contains(access), ..held })
}

/// A name that is to come into being is not that of a policy, which the next run in that folder would obey. What has that
/// name already is not there for the tool, so nothing else of it needs to be decided.
fn no_policy<'s>(set: &'s CapabilitySet, path: &FsPath) -> Result<(), Denial<'s>> {
    let (fs, below) = located(set, path)?;
    if fs.hides(below) { Err(policy_name(fs)) } else { Ok(()) }
}

/// A policy is not changed by another name either, and gets none. To look at it is no matter: the effect finds nothing.
fn no_policy_file(fs: &FsCapability, target: Target) -> Result<(), Denial<'_>> {
    if target == Target::Policy {
        return Err(Denial { missing: Rule::FsPolicy { guest: &fs.guest }, reason: Reason::PolicyByLink });
    }
    Ok(())
}

fn policy_name(fs: &FsCapability) -> Denial<'_> {
    Denial { missing: Rule::FsPolicy { guest: &fs.guest }, reason: Reason::PolicyName }
}

/// The folder itself, without any right.
fn preopened(set: &CapabilitySet, grant: GrantIndex) -> Verdict<'_> {
    folder(set, grant).map(|fs| Held::plain(Rule::FsPreopen { guest: &fs.guest }))
}

/// The folder and the normalised path below it, if the text stays inside.
fn located<'s, 'p>(set: &'s CapabilitySet, path: &'p FsPath) -> Result<(&'s FsCapability, &'p str), Denial<'s>> {
    let fs = folder(set, path.grant)?;
    match path.resolved() {
        Ok(below) => Ok((fs, below)),
        Err(fault) => Err(Denial { missing: Rule::FsBeneath { guest: &fs.guest }, reason: Reason::Path(fault) }),
    }
}

/// What holds for every path call: it stays beneath, and the patterns speak for what is there.
fn placed<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target) -> Result<&'s FsCapability, Denial<'s>> {
    let (fs, below) = located(set, path)?;
    let guest = &fs.guest;
    if let Some(denial) = elsewhere(guest, target) {
        return Err(denial);
    }
    if fs.patterns.is_empty() {
        return Ok(fs);
    }
    let fault = match target {
        Target::Symlink | Target::Link { .. } => Some(Reason::SymlinkUnderPatterns),
        Target::File { links, .. } if links > 1 => Some(Reason::HardLinksUnderPatterns),
        Target::Folder { .. } => (!fs.patterns.allow_folder(below)).then_some(Reason::Excluded),
        Target::Absent
        | Target::File { .. }
        | Target::Special { .. }
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => (!fs.patterns.allow_file(below)).then_some(Reason::Excluded),
    };
    match fault {
        Some(reason) => Err(Denial { missing: Rule::FsPatterns { guest }, reason }),
        None => Ok(fs),
    }
}

/// Why what stands there is not the granted folder's, if it is not.
fn elsewhere(guest: &str, target: Target) -> Option<Denial<'_>> {
    let (missing, reason) = match target {
        Target::Outside => (Rule::FsBeneath { guest }, Reason::LinkOutside),
        Target::Mount => (Rule::FsMounts { guest }, Reason::Mount),
        Target::Pseudo => (Rule::FsMounts { guest }, Reason::Pseudo),
        Target::Absent
        | Target::File { .. }
        | Target::Folder { .. }
        | Target::Link { .. }
        | Target::Symlink
        | Target::Special { .. }
        | Target::Policy
        | Target::Unknown => return None,
    };
    Some(Denial { missing, reason })
}

fn at_path<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target, access: Access) -> Verdict<'s> {
    right(placed(set, path, target)?, access)
}

fn set_times<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target) -> Verdict<'s> {
    let held = at_path(set, path, target, Access::Write)?;
    no_policy_file(folder(set, path.grant)?, target)?;
    Ok(held)
}

/// A call on the name itself, whatever it names: nothing is followed, so a symbolic link is no danger here.
fn at_name<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target, access: Access) -> Verdict<'s> {
    at_path(set, path, named(target), access)
}

/// A name's own target: a link or a further hard link under a name is the name's, not what it leads to.
fn named(target: Target) -> Target {
    match target {
        Target::Link { .. } | Target::File { .. } => Target::Absent,
        Target::Absent
        | Target::Folder { .. }
        | Target::Symlink
        | Target::Special { .. }
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => target,
    }
}

fn open<'s>(set: &'s CapabilitySet, path: &FsPath, flags: OpenFlags, target: Target, handles_open: u32) -> Verdict<'s> {
    if flags.create {
        no_policy(set, path)?;
    }
    let asks_folder = flags.directory || path.folder_only();
    let makes_or_changes = flags.write || flags.truncate || flags.create;
    let seen = if asks_folder && !makes_or_changes && target == Target::Absent { FOLDER } else { target };
    let fs = placed(set, path, seen)?;
    regular(fs, target)?;
    if makes_or_changes {
        no_policy_file(fs, target)?;
    }
    if flags.create {
        place_is_free(set, fs, path, target)?;
    }
    let held = if asks_folder || matches!(target, Target::Folder { .. }) {
        opened_folder(fs, flags, target, makes_or_changes)?
    } else {
        opened_file(fs, flags, target)?
    };
    under_cap(Cap::Handles, u64::from(handles_open) + 1, u64::from(set.limits.handles))?;
    Ok(held)
}

/// The rights to open a folder. Some kernels make the file before they say that it is no folder, and a normalised path has
/// lost the slash: who may make or change something needs the rights for a file too.
fn opened_folder(fs: &FsCapability, flags: OpenFlags, target: Target, makes_or_changes: bool) -> Verdict<'_> {
    if makes_or_changes {
        return Ok(opened_file(fs, flags, target)?.and(right(fs, Access::List)?));
    }
    right(fs, Access::List)
}

/// The rights to open a file; the strongest of them is the rule that is recorded.
fn opened_file(fs: &FsCapability, flags: OpenFlags, target: Target) -> Verdict<'_> {
    let changes = flags.write || flags.truncate;
    let needed = [
        (Access::Read, flags.read || !(changes || flags.create)),
        (Access::Write, changes),
        (Access::Create, flags.create && (flags.exclusive || !stands(target))),
    ];
    let mut rights = needed.into_iter().filter(|(_, needed)| *needed).map(|(access, _)| right(fs, access));
    // To open with `create` alone what stands there is to read it.
    let first = rights.next().unwrap_or_else(|| right(fs, Access::Read))?;
    rights.try_fold(first, |held, next| Ok(held.and(next?)))
}

/// Whether a file or folder is known to stand there, so that opening it with `create` brings nothing into being.
fn stands(target: Target) -> bool {
    match target {
        Target::File { .. } | Target::Folder { .. } => true,
        Target::Absent
        | Target::Link { .. }
        | Target::Symlink
        | Target::Special { .. }
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => false,
    }
}

fn create_directory<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target) -> Verdict<'s> {
    no_policy(set, path)?;
    let held = at_path(set, path, reached(target), Access::Create)?;
    place_is_free(set, folder(set, path.grant)?, path, target)?;
    Ok(held)
}

fn remove_directory<'s>(set: &'s CapabilitySet, path: &FsPath, linked: bool, target: Target) -> Verdict<'s> {
    let held = at_path(set, path, reached(target), Access::Delete)?;
    place_is_kept(set, Name { fs: folder(set, path.grant)?, path, linked, found: target })?;
    Ok(held)
}

/// A folder, as the call says, unless no folder can be reached by the path.
fn reached(target: Target) -> Target {
    match target {
        Target::Outside | Target::Mount | Target::Pseudo | Target::Symlink => target,
        Target::Absent
        | Target::File { .. }
        | Target::Folder { .. }
        | Target::Link { .. }
        | Target::Special { .. }
        | Target::Policy
        | Target::Unknown => FOLDER,
    }
}

fn unlink<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target) -> Verdict<'s> {
    let held = at_name(set, path, target, Access::Delete)?;
    no_policy_file(folder(set, path.grant)?, target)?;
    // A folder is not unlinked: the kernel says so.
    if !matches!(target, Target::Folder { .. }) {
        place_is_kept(set, Name { fs: folder(set, path.grant)?, path, linked: false, found: target })?;
    }
    Ok(held)
}

/// Listing in libc asks for the hash of each entry, and the hash says no more than that an entry is the same as another:
/// `list` is enough, and so is `metadata`.
fn metadata_hash<'s>(set: &'s CapabilitySet, path: &FsPath, target: Target) -> Verdict<'s> {
    let fs = placed(set, path, target)?;
    if fs.access.contains(Access::List) { right(fs, Access::List) } else { right(fs, Access::Metadata) }
}

fn rename<'s>(
    set: &'s CapabilitySet,
    (from, from_linked, source): (&FsPath, bool, Target),
    (reach, carries): (Option<Reach>, Option<Carries>),
    (to, to_linked, target): (&FsPath, bool, Target),
) -> Verdict<'s> {
    no_policy(set, to)?;
    let taken = at_name(set, from, source, Access::Delete)?;
    let old = folder(set, from.grant)?;
    let new = placed(set, to, named(destination(source, target)))?;
    if matches!(source, Target::Folder { .. }) && !(old.patterns.is_empty() && new.patterns.is_empty()) {
        return deny(Rule::FsPatterns { guest: &new.guest }, Reason::FolderRenameUnderPatterns);
    }
    if matches!(source, Target::File { links, .. } if links > 1) && !old.patterns.is_empty() && new.patterns.is_empty()
    {
        return deny(Rule::FsPatterns { guest: &old.guest }, Reason::HardLinksUnderPatterns);
    }
    let taken = if target == Target::Absent { taken } else { taken.and(right(new, Access::Delete)?) };
    regular(old, source)?;
    no_policy_file(old, source)?;
    no_policy_file(new, target)?;
    no_gain(set, (old, from), (new, to), source)?;
    let taken = taken.and(right(new, Access::Create)?);
    let old = Name { fs: old, path: from, linked: from_linked, found: source };
    let new = Name { fs: new, path: to, linked: to_linked, found: target };
    place_is_kept(set, old)?;
    place_is_kept(set, new)?;
    match source {
        Target::Link { .. } => link_stays(new, reach)?,
        Target::Folder { .. } => {
            links_in_folder_stay(old, new, reach)?;
            no_policy_moves(old, carries)?;
        }
        Target::Absent
        | Target::File { .. }
        | Target::Symlink
        | Target::Special { .. }
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => {}
    }
    Ok(taken)
}

/// What will stand at the new name.
fn destination(source: Target, target: Target) -> Target {
    let is_elsewhere = matches!(target, Target::Outside | Target::Mount | Target::Pseudo | Target::Symlink);
    if is_elsewhere || matches!(source, Target::Absent) { target } else { source }
}

fn link<'s>(
    set: &'s CapabilitySet,
    (from, source): (&FsPath, Target),
    reach: Option<Reach>,
    (to, to_linked): (&FsPath, bool),
) -> Verdict<'s> {
    no_policy(set, to)?;
    let read = at_path(set, from, source, Access::Read)?;
    let old = folder(set, from.grant)?;
    let new = placed(set, to, Target::Absent)?;
    if !(old.patterns.is_empty() && new.patterns.is_empty()) {
        return deny(Rule::FsPatterns { guest: &new.guest }, Reason::HardLinksUnderPatterns);
    }
    regular(old, source)?;
    no_policy_file(old, source)?;
    no_gain(set, (old, from), (new, to), source)?;
    // The file lives on under both names: another tool, or this one under another grant, may write where the new name stands.
    let held = read.and(right(old, Access::Write)?).and(right(new, Access::Create)?);
    let name = Name { fs: new, path: to, linked: to_linked, found: Target::Absent };
    place_is_kept(set, name)?;
    if matches!(source, Target::Link { .. }) {
        link_stays(name, reach)?;
    }
    Ok(held)
}

/// Devices, FIFOs and sockets are not opened, and get no new name: to the kernel that is to make one, which no right below
/// a folder stands for.
fn regular(fs: &FsCapability, source: Target) -> Result<(), Denial<'_>> {
    if matches!(source, Target::Special { .. }) {
        return Err(Denial { missing: Rule::FsRegular { guest: &fs.guest }, reason: Reason::NotRegular });
    }
    Ok(())
}

/// What goes elsewhere must not gain rights: a file that of being read, written or asked about, and what may be a folder
/// any right at all, since all that is in it goes with it. Folders of the host may lie in one another: what counts is
/// what the set gives at either place, by whichever folder.
fn no_gain<'s>(
    set: &'s CapabilitySet,
    (old, from): (&FsCapability, &FsPath),
    (new, to): (&'s FsCapability, &FsPath),
    source: Target,
) -> Result<(), Denial<'s>> {
    let counted: AccessSet = match source {
        Target::File { .. } | Target::Link { .. } | Target::Special { .. } => {
            [Access::Read, Access::Write, Access::Metadata].into_iter().collect()
        }
        Target::Folder { .. }
        | Target::Absent
        | Target::Symlink
        | Target::Outside
        | Target::Mount
        | Target::Pseudo
        | Target::Policy
        | Target::Unknown => Access::ALL.into_iter().collect(),
    };
    let place = |fs: &FsCapability, path: &FsPath| fs.host.join(path.resolved().unwrap_or_default());
    let (old_place, new_place) = (place(old, from), place(new, to));
    let held = rights(set, |host| old_place.starts_with(host));
    // A folder that is granted below the new place is met there by its path, from the next call on.
    let gained = rights(set, |host| new_place.starts_with(host) || host.starts_with(&new_place));
    if old.access.contains_all(new.access.intersection(counted)) && held.contains_all(gained.intersection(counted)) {
        return Ok(());
    }
    Err(Denial { missing: Rule::FsNoGain { guest: &new.guest }, reason: Reason::GainsRights })
}

/// The rights of all folders whose place on the host is one of these.
fn rights(set: &CapabilitySet, among: impl Fn(&Path) -> bool) -> AccessSet {
    set.fs.iter().filter(|fs| among(&fs.host)).fold(AccessSet::EMPTY, |rights, fs| rights.union(fs.access))
}

fn symlink<'s>(set: &'s CapabilitySet, content: &str, path: &FsPath, linked: bool) -> Verdict<'s> {
    let (fs, below) = located(set, path)?;
    if !fs.patterns.is_empty() {
        return deny(Rule::FsPatterns { guest: &fs.guest }, Reason::SymlinkUnderPatterns);
    }
    // A link to a policy is another name for it.
    if fs.hides(below) || fs.hides(content) {
        return Err(policy_name(fs));
    }
    let name = Name { fs, path, linked, found: Target::Absent };
    link_stays(name, Some(Reach::of_text(content.as_bytes())))?;
    let held = right(fs, Access::Create)?;
    place_is_kept(set, name)?;
    Ok(held)
}

fn on_handle<'s>(set: &'s CapabilitySet, handle: &HandleFacts, access: Access) -> Verdict<'s> {
    let fs = folder(set, handle.grant)?;
    let held = right(fs, access)?;
    if handle.rights.contains(access) { Ok(held) } else { deny(held.rule, Reason::NotGranted) }
}

/// A file that was opened to be read or written may be asked about, as POSIX has it: standard libraries do so before they read
/// one. Who lists may compare hashes, as by path. Any other handle, such as that of a granted folder, tells no more than its
/// path would.
fn asked_about<'s>(set: &'s CapabilitySet, handle: &HandleFacts, enough: &[Access]) -> Verdict<'s> {
    if enough.iter().any(|access| handle.rights.contains(*access)) {
        return preopened(set, handle.grant);
    }
    right(folder(set, handle.grant)?, Access::Metadata)
}

/// Whether there is room for what the call takes of the disk.
fn within_quota<'s>(set: &'s CapabilitySet, call: &FsCall) -> Result<(), Denial<'s>> {
    let Some(DiskCost { grant, bytes, quota_left }) = call.disk_cost() else { return Ok(()) };
    if bytes <= quota_left {
        return Ok(());
    }
    let guest = &folder(set, grant)?.guest;
    Err(Denial { missing: Rule::FsQuota { guest }, reason: Reason::OverLimit { asked: bytes, left: quota_left } })
}

fn write_stdio(set: &CapabilitySet, stream: Stdio, bytes: u64, left: u64) -> Verdict<'_> {
    let held = granted(set.stdio.contains(stream), Rule::Stdio(stream))?;
    under_cap(Cap::Stdio, bytes, left)?;
    Ok(held)
}

fn random(set: &CapabilitySet, bytes: u64) -> Verdict<'_> {
    let held = granted(set.random.is_some(), Rule::Random)?;
    under_cap(Cap::Random, bytes, set.limits.random)?;
    Ok(held)
}

fn under_cap(cap: Cap, asked: u64, left: u64) -> Result<(), Denial<'static>> {
    if asked <= left {
        return Ok(());
    }
    Err(Denial { missing: Rule::Limit(cap), reason: Reason::OverLimit { asked, left } })
}

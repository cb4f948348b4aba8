//! The facts of a call, as they go into the ledger. They must hold all that `check` looks at: `from_facts` makes the call
//! out of them again, and nothing else.

use std::borrow::Cow;

use crate::call::{HandleFacts, HostCall, OpenFlags, Target};
use crate::path::FsPath;
use crate::policy_name::Carries;
use crate::reach::Reach;

impl HostCall {
    /// The facts of the call for the record, by name. Order is fixed for a variant; texts are the guest's own, uncut.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let mut facts = Facts(Vec::with_capacity(FACTS_USUAL));
        self.tell(&mut facts);
        if let Some(left) = self.quota_left() {
            facts.uint(QUOTA_LEFT, left);
        }
        facts
    }

    fn tell<'a>(&'a self, facts: &mut Facts<'a>) {
        match self {
            Self::Preopen { grant } => facts.uint("grant", u64::from(grant.0)),
            Self::OpenAt { path, flags, target, handles_open, .. } => {
                facts.path(&PATH, path);
                facts.0.push(("flags", Fact::Text(flag_words(*flags).into())));
                facts.target(&TARGET, *target);
                facts.uint("handles_open", u64::from(*handles_open));
            }
            Self::StatAt { path, target }
            | Self::MetadataHashAt { path, target }
            | Self::ReadlinkAt { path, target }
            | Self::SetTimesAt { path, target }
            | Self::CreateDirectoryAt { path, target, .. }
            | Self::UnlinkFileAt { path, target } => {
                facts.path(&PATH, path);
                facts.target(&TARGET, *target);
            }
            Self::RemoveDirectoryAt { path, linked, target } => {
                facts.linked_path(&PATH, path, *linked);
                facts.target(&TARGET, *target);
            }
            Self::RenameAt { from, from_linked, source, reach, carries, to, to_linked, target, .. } => {
                facts.linked_path(&FROM, from, *from_linked);
                facts.moved(*source, *reach, *carries);
                facts.linked_path(&TO, to, *to_linked);
                facts.target(&TARGET, *target);
            }
            Self::LinkAt { from, source, reach, to, to_linked, .. } => {
                facts.path(&FROM, from);
                facts.moved(*source, *reach, None);
                facts.linked_path(&TO, to, *to_linked);
            }
            Self::SymlinkAt { content, path, linked, .. } => {
                facts.text("content", content);
                facts.linked_path(&PATH, path, *linked);
            }
            Self::Read { handle }
            | Self::Append { handle, .. }
            | Self::SetTimes { handle }
            | Self::Sync { handle }
            | Self::ReadDirectory { handle }
            | Self::Stat { handle }
            | Self::MetadataHash { handle } => facts.handle(handle),
            Self::Write { handle, bytes, .. } => {
                facts.handle(handle);
                facts.uint("bytes", *bytes);
            }
            Self::SetSize { handle, size, growth, .. } => {
                facts.handle(handle);
                facts.uint("size", *size);
                facts.uint("growth", *growth);
            }
            Self::WriteStdio { stream, bytes, left } => {
                facts.text("stream", stream.as_str());
                facts.uint("bytes", *bytes);
                facts.uint("left", *left);
            }
            Self::RandomBytes { bytes } | Self::InsecureRandomBytes { bytes } => facts.uint("bytes", *bytes),
            Self::CreateTcpSocket { family } | Self::CreateUdpSocket { family } => {
                facts.text("family", family.as_str());
            }
            Self::ResolveAddresses { name } => facts.text("name", name),
            Self::GetEnvironment
            | Self::GetArguments
            | Self::GetStdio { .. }
            | Self::WallClock
            | Self::MonotonicClock
            | Self::GetContext
            | Self::SocketMethod { .. } => {}
        }
    }
}

/// The name of the fact that tells what is left of a write quota.
pub(crate) const QUOTA_LEFT: &str = "quota_left";

/// Named facts of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts<'a>(pub Vec<(&'static str, Fact<'a>)>);

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// A text: the guest's own, or a fixed word.
    Text(Cow<'a, str>),
    /// A count, an index or a size in bytes.
    Uint(u64),
    /// A flag.
    Bool(bool),
}

/// Room for the facts of the most frequent call, `open-at`.
const FACTS_USUAL: usize = 11;

impl<'a> Facts<'a> {
    fn text(&mut self, name: &'static str, text: &'a str) {
        self.0.push((name, Fact::Text(text.into())));
    }

    fn uint(&mut self, name: &'static str, value: u64) {
        self.0.push((name, Fact::Uint(value)));
    }

    /// The text asked for; with a handle below the granted folder, that handle's directory too.
    fn path(&mut self, keys: &PathKeys, path: &'a FsPath) {
        self.text(keys.asked, &path.asked);
        if !path.dir.is_empty() {
            self.text(keys.dir, &path.dir);
        }
        self.uint(keys.grant, u64::from(path.grant.0));
    }

    fn target(&mut self, keys: &TargetKeys, target: Target) {
        self.text(keys.kind, target.as_str());
        match target {
            Target::File { id, links } => {
                self.uint(keys.links, links);
                self.uint(keys.device, id.device);
                self.uint(keys.inode, id.inode);
            }
            Target::Folder { id } | Target::Link { id } | Target::Special { id } => {
                self.uint(keys.device, id.device);
                self.uint(keys.inode, id.inode);
            }
            Target::Absent
            | Target::Symlink
            | Target::Outside
            | Target::Mount
            | Target::Pseudo
            | Target::Policy
            | Target::Unknown => {}
        }
    }

    /// A path, and whether a symbolic link is on the way to it.
    fn linked_path(&mut self, keys: &PathKeys, path: &'a FsPath, linked: bool) {
        self.path(keys, path);
        self.0.push((keys.linked, Fact::Bool(linked)));
    }

    /// What gets another name, where the links lead that get another place with it, and whether a policy does, if that was
    /// looked at.
    fn moved(&mut self, source: Target, reach: Option<Reach>, carries: Option<Carries>) {
        self.target(&SOURCE, source);
        match reach {
            Some(Reach::Up(folders)) => self.uint(CLIMBS, u64::from(folders)),
            Some(Reach::Anywhere) => self.text(CLIMBS, ANYWHERE),
            None => {}
        }
        if let Some(carries) = carries {
            self.text(CARRIES, carries.as_str());
        }
    }

    fn handle(&mut self, handle: &HandleFacts) {
        self.uint("grant", u64::from(handle.grant.0));
        self.0.push(("rights", Fact::Text(handle.rights.to_string().into())));
    }
}

/// The names that the facts of a path have.
pub(crate) struct PathKeys {
    pub(crate) asked: &'static str,
    pub(crate) dir: &'static str,
    pub(crate) grant: &'static str,
    pub(crate) linked: &'static str,
}

/// How many folders up links lead, or [`ANYWHERE`].
pub(crate) const CLIMBS: &str = "climbs";
/// Whether a policy is in a folder that moves.
pub(crate) const CARRIES: &str = "carries";
/// The word for links that nothing bounds.
pub(crate) const ANYWHERE: &str = "anywhere";

/// The only path of a call.
pub(crate) const PATH: PathKeys = PathKeys { asked: "path", dir: "dir", grant: "grant", linked: "linked" };
/// The old name.
pub(crate) const FROM: PathKeys =
    PathKeys { asked: "from", dir: "from_dir", grant: "from_grant", linked: "from_linked" };
/// The new name.
pub(crate) const TO: PathKeys = PathKeys { asked: "to", dir: "to_dir", grant: "to_grant", linked: "to_linked" };

/// The names that the facts of what stands at a path have.
pub(crate) struct TargetKeys {
    pub(crate) kind: &'static str,
    pub(crate) links: &'static str,
    pub(crate) device: &'static str,
    pub(crate) inode: &'static str,
}

/// What stands at the only path, or at the new name.
pub(crate) const TARGET: TargetKeys = TargetKeys { kind: "target", links: "links", device: "device", inode: "inode" };
/// What stands at the old name.
pub(crate) const SOURCE: TargetKeys =
    TargetKeys { kind: "source", links: "source_links", device: "source_device", inode: "source_inode" };

/// The flags that are set, comma-separated, in a fixed order.
pub(crate) fn flag_words(flags: OpenFlags) -> String {
    let named = [
        ("create", flags.create),
        ("exclusive", flags.exclusive),
        ("truncate", flags.truncate),
        ("directory", flags.directory),
        ("read", flags.read),
        ("write", flags.write),
        ("follow", flags.follow),
    ];
    let set = named.iter().filter(|(_, on)| *on).map(|(word, _)| *word);
    set.collect::<Vec<_>>().join(",")
}

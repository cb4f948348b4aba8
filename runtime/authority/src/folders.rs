//! Opens the host folders that a grant names: resolves them without a link that a tool may have made, binds them to device and
//! inode, and holds them as long as they are in use.
//!
//! A folder inside another one that a tool may change can be renamed away, and a link or another folder put in its place. So such
//! a grant is refused, unless it says `nested = true`: then only the folder of the first use is ever taken.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use rustix::fs::FileType;
use tollgate_capability::{Access, CapabilitySet, FileId, FsCapability};
use tollgate_config::{FsGrant, Grant, Grants, HostPathError, refuse_host};
use tollgate_system::is_pseudo;

use super::file_id;
use super::mounts::Mounts;
use super::places::{DecidingPlaces, FoundPlaces, PlaceError};
use super::policy_file::Bounds;
use super::trust::{Bound, TrustError, TrustStore};
use super::walk::{End, Walk, absolute, open_real, walk};
use crate::cause::{Place, advice};

/// The granted folders of a tool, held open: while this lives, no other folder gets their device and inode.
#[derive(Debug)]
pub struct HeldFolders {
    _folders: Vec<OwnedFd>,
    unremembered: Option<String>,
}

impl HeldFolders {
    /// Why links that the tool makes will not be remembered, if they cannot be: grants of later runs may then follow them.
    #[must_use]
    pub fn unremembered(&self) -> Option<&str> {
        self.unremembered.as_deref()
    }
}

/// Why a granted folder is not opened.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum FolderError {
    /// The folder is not there, or out of reach.
    #[error("the grant for `{guest}` names the folder `{}`, which cannot be used", host.display())]
    #[diagnostic(help("{}", unusable_help(guest, source)))]
    Unusable {
        /// Where the guest sees it.
        guest: String,
        /// As the grant names it.
        host: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The list of mounts cannot be read.
    #[error("which folders the grants reach cannot be told: the mounts of this process cannot be read")]
    #[diagnostic(help("mount procfs at /proc, which has them in `/proc/self/mountinfo`"))]
    Mounts {
        /// Why.
        source: io::Error,
    },
    /// It is a file.
    #[error("the grant for `{guest}` names `{}`, which is not a folder", host.display())]
    #[diagnostic(help("grant the folder that the file is in, and name the file in `include`"))]
    NotAFolder {
        /// Where the guest sees it.
        guest: String,
        /// As resolved.
        host: PathBuf,
    },
    /// Its path is not UTF-8 text, so that neither the ledger nor a message could name it.
    #[error("the grant for `{guest}` leads to the folder `{}`, whose path is not UTF-8 text", host.display())]
    #[diagnostic(help(
        "rename the folder, or the one above it that has such a name: the ledger names folders by text"
    ))]
    NotText {
        /// Where the guest sees it.
        guest: String,
        /// As resolved.
        host: PathBuf,
    },
    /// It is in a file system of the kernel's own, or in an overlay of one.
    #[error("the grant for `{guest}` names `{}`, which is in a file system of the kernel's own, such as procfs", host.display())]
    #[diagnostic(help("grant a folder of files: through that one a tool could reach devices or other processes"))]
    Pseudo {
        /// Where the guest sees it.
        guest: String,
        /// As resolved.
        host: PathBuf,
    },
    /// The folder is one that is never granted.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Host(#[from] HostPathError),
    /// It reaches what decides over tools.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Place(#[from] PlaceError),
    /// A tool may put another folder in its place.
    #[error(
        "the grant for `{guest}` names `{}`, which lies in `{}`: {changer} may change that folder, and so put another in its \
         place", host.display(), inside.display()
    )]
    #[diagnostic(help(
        "keep the two folders side by side; or write `nested = true` in fs.\"{guest}\": the folder that stands there at its \
         first use is then the only one that is taken"
    ))]
    Nested {
        /// Where the guest sees it.
        guest: String,
        /// As the grant names it.
        host: PathBuf,
        /// The folder that may be changed.
        inside: PathBuf,
        /// Which tool may.
        changer: String,
    },
    /// A policy that was found, not given, grants it, and it is neither in that policy's folder nor what was accepted.
    #[error(
        "the grant for `{guest}` leads to `{}`, which is neither below the folder of the policy that was found, `{}`, nor what \
         was accepted", host.display(), folder.display()
    )]
    #[diagnostic(help("look where it leads; then run `tollgate trust` again, or give the policy with --policy"))]
    Outside {
        /// Where the guest sees it.
        guest: String,
        /// As resolved.
        host: PathBuf,
        /// The policy's folder.
        folder: PathBuf,
    },
    /// A tool may have made a symbolic link on the way.
    #[error(
        "the grant for `{guest}` names `{}`: the way there leads through a symbolic link in `{}`, where {changer} may make \
         links", host.display(), inside.display()
    )]
    #[diagnostic(help("name the folder without the link, in `fs.\"{guest}\".host`"))]
    Link {
        /// Where the guest sees it.
        guest: String,
        /// As the grant names it.
        host: PathBuf,
        /// The folder that may be changed.
        inside: PathBuf,
        /// Which tool may.
        changer: String,
    },
    /// Another folder stands there than at the first use.
    #[error(
        "the grant for `{guest}` names `{}`, where another folder stands than the one that was bound: {} was, {} is there now \
         (device:inode)", host.display(), shown(*bound), shown(*found)
    )]
    #[diagnostic(help(
        "look who exchanged it; if that was you, `tollgate trust {}` binds the folder that stands there now", host.display()
    ))]
    Exchanged {
        /// Where the guest sees it.
        guest: String,
        /// As the grant names it.
        host: PathBuf,
        /// Which was bound.
        bound: FileId,
        /// Which is there.
        found: FileId,
    },
    /// The grant says `nested = true`, and there is no store to remember the folder in.
    #[error("the grant for `{guest}` says `nested = true`, and there is no place to keep which folder that is")]
    #[diagnostic(help("set TOLLGATE_HOME, XDG_STATE_HOME or HOME"))]
    NoStore {
        /// Where the guest sees it.
        guest: String,
    },
    /// The store of bound folders, and of folders where tools could make links, cannot be used.
    #[error("what is kept of the folders of the grant for `{guest}` cannot be used")]
    #[diagnostic(help("{}", source.advice()))]
    Trust {
        /// Where the guest sees it.
        guest: String,
        /// Why.
        source: TrustError,
    },
}

/// Advice on a folder that cannot be used. A missing one must be made or named rightly; all else lies in what is there.
fn unusable_help(guest: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return format!("create the folder, or name one that is there in `fs.\"{guest}\".host`");
    }
    advice(error, Place::GRANTED)
}

fn shown(id: FileId) -> String {
    format!("{}:{}", id.device, id.inode)
}

/// A folder in which some tool may change names.
#[derive(Debug)]
struct Changeable {
    id: FileId,
    host: PathBuf,
    /// Which tool, and where it sees the folder.
    by: String,
}

/// Folders in which tools may change names.
#[derive(Debug, Default)]
struct Changeables {
    all: Vec<Changeable>,
    // The first of each folder.
    places: BTreeMap<FileId, usize>,
}

/// What the folders of many tools are judged by, where they are opened one after the other to be looked at: the mounts, the folders in which
/// the tools of the policy may change names, and the deciding places. Each is looked for once, when a tool first needs it.
///
/// It is of one policy, and as old as its first use: whoever starts a tool takes a new one.
#[derive(Debug, Default)]
pub struct Seen {
    mounts: OnceCell<Mounts>,
    changeable: OnceCell<Changeables>,
    places: FoundPlaces,
}

/// All other grants: folders that lie in one another are judged by them.
#[derive(Debug, Clone, Copy)]
pub struct Nesting<'a> {
    /// The tool's own grant, with what the command line adds.
    pub grant: &'a Grant,
    /// The grants of all tools.
    pub grants: &'a Grants,
    /// The store of bound nested folders, and of folders in which tools could make links. Without it only the links that tools of
    /// this policy can make are known.
    pub store: Option<&'a TrustStore>,
    /// Whether a tool is started with the folders. If not, the store is only read.
    pub starts: bool,
    /// The places that no grant may reach.
    pub places: &'a DecidingPlaces,
    /// Where a policy that was found, not given, may grant folders.
    pub bounds: Option<&'a Bounds>,
}

/// Opens the granted folders of `set`. Their host paths become the resolved ones, bound to device and inode. A folder that
/// reaches a deciding place is refused.
///
/// # Errors
///
/// [`FolderError`] for the first that cannot be used. Nothing is opened then.
pub fn open_folders(set: &mut CapabilitySet, nesting: Nesting<'_>) -> Result<HeldFolders, FolderError> {
    open_folders_by(set, nesting, &Seen::default())
}

/// As [`open_folders`], by what was seen for the tools before.
///
/// # Errors
///
/// As for [`open_folders`].
pub fn open_folders_by(set: &mut CapabilitySet, nesting: Nesting<'_>, seen: &Seen) -> Result<HeldFolders, FolderError> {
    if set.fs.is_empty() {
        return Ok(HeldFolders { _folders: Vec::new(), unremembered: None });
    }
    let mounts = seen.mounts().map_err(|source| FolderError::Mounts { source })?;
    let changeable = [seen.changeable.get_or_init(|| nesting.changeable()), &nesting.own_changeable()];
    let mut folders = Vec::with_capacity(set.fs.len());
    for fs in &mut set.fs {
        let unusable = |source| FolderError::Unusable { guest: fs.guest.clone(), host: fs.host.clone(), source };
        let walked = absolute(&fs.host).and_then(|host| walk(&host)).map_err(unusable)?;
        let found = match &walked.end {
            Some(End { file, kind: FileType::Directory }) => file_id(file).map_err(|errno| unusable(errno.into()))?,
            Some(_) => return Err(FolderError::NotAFolder { guest: fs.guest.clone(), host: walked.resolved }),
            None => return Err(unusable(why_unreached(&fs.host))),
        };
        if walked.resolved.to_str().is_none() {
            return Err(FolderError::NotText { guest: fs.guest.clone(), host: walked.resolved });
        }
        refuse_host(&walked.resolved)?;
        if is_kernels(&walked, fs.mounts, mounts).map_err(unusable)? {
            return Err(FolderError::Pseudo { guest: fs.guest.clone(), host: walked.resolved });
        }
        nesting.stays(fs, &walked)?;
        nesting.judge(fs, &walked, found, (mounts, changeable))?;
        let Walk { resolved, end, .. } = walked;
        (fs.host, fs.opened) = (resolved, Some(found));
        folders.extend(end.map(|end| end.file));
    }
    nesting.places.judge_by(set, mounts, &seen.places)?;
    let unremembered = if nesting.starts { nesting.remember(set)? } else { None };
    Ok(HeldFolders { _folders: folders, unremembered })
}

/// Why a walk ended before the folder; only for the message.
fn why_unreached(host: &Path) -> io::Error {
    std::fs::metadata(host).err().unwrap_or_else(|| io::ErrorKind::NotFound.into())
}

/// Whether the folder, or a layer of its overlay, is in a file system of the kernel's own.
fn is_kernels(walked: &Walk, with_mounts: bool, mounts: &Mounts) -> io::Result<bool> {
    let itself = walked.end.as_ref().map_or(Ok(false), |end| is_pseudo(&end.file))?;
    Ok(itself || mounts.shows_pseudo(&walked.resolved, with_mounts)?)
}

/// Holds folders that were resolved before. Each must be the folder that the set says; where the set says none, it is bound to
/// the folder that is there now.
///
/// # Errors
///
/// Another folder is there, or none, or a link on the way; or it cannot be opened.
pub fn hold(set: &mut CapabilitySet) -> io::Result<HeldFolders> {
    let mut folders = Vec::with_capacity(set.fs.len());
    for fs in &mut set.fs {
        let folder = open_real(&fs.host)?;
        let found = file_id(&folder)?;
        if *fs.opened.get_or_insert(found) != found {
            return Err(io::Error::other("another folder stands there than when the policy was loaded"));
        }
        folders.push(folder);
    }
    Ok(HeldFolders { _folders: folders, unremembered: None })
}

impl Seen {
    fn mounts(&self) -> io::Result<&Mounts> {
        if let Some(mounts) = self.mounts.get() {
            return Ok(mounts);
        }
        let mounts = Mounts::here()?;
        Ok(self.mounts.get_or_init(|| mounts))
    }
}

impl Changeables {
    fn of(folders: impl Iterator<Item = Changeable>) -> Self {
        let all: Vec<Changeable> = folders.collect();
        let mut places = BTreeMap::new();
        all.iter().enumerate().for_each(|(place, one)| {
            places.entry(one.id).or_insert(place);
        });
        Self { all, places }
    }

    /// The first of them that is among these folders.
    fn among(&self, folders: &BTreeSet<FileId>) -> Option<&Changeable> {
        let place = folders.iter().filter_map(|id| self.places.get(id)).min()?;
        self.all.get(*place)
    }
}

impl Nesting<'_> {
    /// By the policy's entries, this tool's among them.
    fn changeable(&self) -> Changeables {
        let all = self.grants.tools.iter().flat_map(|(tool, grant)| {
            grant.fs.iter().map(move |(guest, fs)| (format!("the tool `{tool}` (as `{guest}`)"), fs))
        });
        Changeables::of(all.filter_map(|(by, fs)| Changeable::of(by, fs)))
    }

    /// By the grant of this tool, to which the command line may have added.
    fn own_changeable(&self) -> Changeables {
        let own = self.grant.fs.iter().map(|(guest, fs)| (format!("this tool (as `{guest}`)"), fs));
        Changeables::of(own.filter_map(|(by, fs)| Changeable::of(by, fs)))
    }

    /// Judges the folder that was opened, not the one that was there when the policy was read.
    fn stays(&self, fs: &FsCapability, walked: &Walk) -> Result<(), FolderError> {
        let Some(bounds) = self.bounds else { return Ok(()) };
        let own = self.grant.fs.iter().find(|(guest, _)| guest.to_string() == fs.guest);
        // The command line may add rights to a folder of the policy's.
        let is_host = |policys: Option<&FsGrant>, own: &FsGrant| policys.is_some_and(|fs| fs.host == own.host);
        let is_policys =
            own.is_some_and(|(guest, own)| self.grants.tools.values().any(|grant| is_host(grant.fs.get(guest), own)));
        let (guest, host) = (|| fs.guest.clone(), || walked.resolved.clone());
        let unusable = |source| FolderError::Unusable { guest: guest(), host: host(), source };
        if !is_policys || bounds.hold(&fs.guest, &walked.resolved).map_err(unusable)? {
            return Ok(());
        }
        Err(FolderError::Outside { guest: guest(), host: host(), folder: bounds.folder.clone() })
    }

    fn judge(
        &self,
        fs: &FsCapability,
        walked: &Walk,
        found: FileId,
        (mounts, changeable): (&Mounts, [&Changeables; 2]),
    ) -> Result<(), FolderError> {
        let (guest, host) = (|| fs.guest.clone(), || fs.host.clone());
        let above = |paths: &[PathBuf]| {
            let above = mounts.above(paths.iter().map(PathBuf::as_path));
            above.map_err(|source| FolderError::Unusable { guest: guest(), host: host(), source })
        };
        let links = above(&walked.links)?;
        if let Some(Changeable { host: inside, by, .. }) = changeable.iter().find_map(|all| all.among(&links)) {
            let (inside, changer) = (inside.clone(), by.clone());
            return Err(FolderError::Link { guest: guest(), host: host(), inside, changer });
        }
        self.made_by_no_earlier_tool(fs, walked, &links)?;
        // Names on the way as written, and those of the folder itself under each name that mounts give it.
        let mut on_the_way = above(&walked.holders)?;
        let mut own = above(std::slice::from_ref(&walked.resolved))?;
        own.remove(&found);
        on_the_way.append(&mut own);
        let Some(Changeable { host: inside, by, .. }) = changeable.iter().find_map(|all| all.among(&on_the_way)) else {
            return Ok(());
        };
        let says_nested = self.grant.fs.iter().any(|(granted, fs)| fs.nested && granted.to_string() == guest());
        if !says_nested {
            let (inside, changer) = (inside.clone(), by.clone());
            return Err(FolderError::Nested { guest: guest(), host: host(), inside, changer });
        }
        self.same_as_before(fs, found)
    }

    fn same_as_before(&self, fs: &FsCapability, found: FileId) -> Result<(), FolderError> {
        let (guest, host) = (|| fs.guest.clone(), || fs.host.clone());
        let trust = |source| FolderError::Trust { guest: guest(), source };
        let store = self.store.ok_or_else(|| FolderError::NoStore { guest: guest() })?;
        match store.bound(&fs.host).map_err(trust)? {
            Bound::New if !self.starts => Ok(()),
            Bound::New => store.bind(&fs.host, found).map_err(trust),
            Bound::To(bound) if bound == found => Ok(()),
            Bound::To(bound) => Err(FolderError::Exchanged { guest: guest(), host: host(), bound, found }),
        }
    }
}

impl Changeable {
    /// The folder of a grant, if names in it can be made or removed. `None` if it does not exist: then no other folder is inside
    /// it.
    fn of(by: String, fs: &FsGrant) -> Option<Self> {
        let changes = [Access::Create, Access::Delete].iter().any(|right| fs.access.contains(*right));
        let walked = changes.then(|| walk(&fs.host).ok()).flatten()?;
        let id = file_id(&walked.end?.file).ok()?;
        Some(Self { id, host: walked.resolved, by })
    }
}

/// The folder at `path`, to be bound anew.
///
/// # Errors
///
/// It is not there, is no folder, or cannot be opened.
pub fn folder_at(path: &Path) -> io::Result<(PathBuf, FileId)> {
    let path = absolute(path)?;
    match walk(&path)?.end {
        Some(End { file, kind: FileType::Directory }) => Ok((path, file_id(file)?)),
        Some(_) => Err(io::ErrorKind::NotADirectory.into()),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tollgate_config::Policy;

    use super::super::remembered::born_ns;
    use super::*;

    struct Ground {
        folder: tempfile::TempDir,
        at: PathBuf,
        // The policy is found there, and never accepted.
        found: bool,
        // A tool runs with the folders.
        starts: bool,
    }

    impl Ground {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().canonicalize().unwrap();
            for name in ["work/docs", "work/other", "apart"] {
                fs::create_dir_all(at.join(name)).unwrap();
            }
            Self { folder, at, found: false, starts: true }
        }

        /// Opens the folders of the tool `reader` under this policy.
        fn open(&self, policy: &str) -> Result<CapabilitySet, FolderError> {
            let policy = Policy::parse(policy, "tollgate.toml", &self.at).unwrap();
            let grant = policy.grants.grant(&"reader".parse().unwrap());
            let needs: String = grant
                .fs
                .iter()
                .map(|(guest, fs)| format!("[[needs.fs]]\nguest = \"{guest}\"\naccess = [{}]\n", quoted(fs)))
                .collect();
            let manifest =
                format!("[tool]\nname = \"reader\"\nversion = \"1.0.0\"\n[[operations]]\nname = \"run\"\n{needs}");
            let manifest = tollgate_config::Manifest::parse(&manifest, "tool.toml").unwrap();
            let mut set = tollgate_config::intersect(&manifest, &grant, |_| None).unwrap().set;
            let store = TrustStore::new(self.folder.path().join("trust"));
            let bounds = self.found.then(|| Bounds::of_folder(&self.at));
            let places = DecidingPlaces::none();
            let (store, starts, bounds) = (Some(&store), self.starts, bounds.as_ref());
            let nesting = Nesting { grant: &grant, grants: &policy.grants, store, starts, places: &places, bounds };
            open_folders(&mut set, nesting)?;
            Ok(set)
        }
    }

    fn quoted(fs: &FsGrant) -> String {
        fs.access.iter().map(|right| format!("\"{right}\"")).collect::<Vec<_>>().join(", ")
    }

    const WRITER: &str = "[tools.writer]\nfs.\"/w\" = { host = \"work\", access = [\"create\", \"delete\"] }\n";

    #[test]
    fn a_folder_is_resolved_and_bound_to_what_stands_there() {
        let ground = Ground::new();
        symlink("work", ground.at.join("link")).unwrap();
        let mut set = ground.open("[tools.reader]\nfs.\"/d\" = { host = \"link/docs\", access = [\"read\"] }").unwrap();
        assert_eq!(set.fs[0].host, ground.at.join("work/docs"));
        assert_eq!(set.fs[0].opened, Some(folder_at(&ground.at.join("work/docs")).unwrap().1));
        assert!(hold(&mut set).is_ok());
        fs::rename(ground.at.join("work/docs"), ground.at.join("work/docs-2")).unwrap();
        fs::create_dir(ground.at.join("work/docs")).unwrap();
        assert!(hold(&mut set).unwrap_err().to_string().contains("another folder"));
    }

    /// As where the program behind a FUSE mount has ended.
    #[test]
    fn a_folder_that_is_there_and_fails_is_not_to_be_created() {
        let help = unusable_help("/docs", &rustix::io::Errno::NOTCONN.into());
        assert!(help.starts_with("look at the device or server of the folder that is granted, which fails"), "{help}");
        let help = unusable_help("/docs", &io::ErrorKind::NotFound.into());
        assert_eq!(help, "create the folder, or name one that is there in `fs.\"/docs\".host`");
    }

    #[test]
    fn what_a_found_policy_grants_is_judged_as_it_is_opened() {
        let ground = Ground { found: true, ..Ground::new() };
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), ground.at.join("out")).unwrap();
        let grant = |host: &str| format!("[tools.reader]\nfs.\"/d\" = {{ host = \"{host}\", access = [\"read\"] }}");
        ground.open(&grant("work/docs")).unwrap();
        ground.open(&grant(".")).unwrap();
        let error = ground.open(&grant("out")).unwrap_err();
        assert!(matches!(error, FolderError::Outside { .. }), "{error}");
        Ground { found: false, ..ground }.open(&grant("out")).unwrap();
    }

    #[test]
    fn a_folder_that_another_tool_may_exchange_is_refused() {
        let ground = Ground::new();
        for host in ["work/docs", "work/other/../docs", "work/other/../../apart"] {
            let policy = format!("{WRITER}[tools.reader]\nfs.\"/d\" = {{ host = \"{host}\", access = [\"read\"] }}");
            let error = ground.open(&policy).unwrap_err();
            assert!(
                matches!(&error, FolderError::Nested { inside, .. } if *inside == ground.at.join("work")),
                "{error}"
            );
            assert!(error.to_string().contains("the tool `writer` (as `/w`)"), "{error}");
        }
        // The folder itself, one beside it, and one above it are nobody's to exchange.
        for host in ["work", "apart", "."] {
            let policy = format!("{WRITER}[tools.reader]\nfs.\"/d\" = {{ host = \"{host}\", access = [\"read\"] }}");
            ground.open(&policy).unwrap();
        }
    }

    #[test]
    fn the_tools_own_folders_are_judged_too() {
        let ground = Ground::new();
        let error = ground
            .open(
                "[tools.reader]\nfs.\"/w\" = { host = \"work\", access = [\"delete\"] }\nfs.\"/d\" = { host = \"work/docs\", \
                 access = [\"read\"] }",
            )
            .unwrap_err();
        assert!(matches!(error, FolderError::Nested { .. }), "{error}");
    }

    #[test]
    fn a_link_that_a_tool_may_have_made_is_not_followed() {
        let ground = Ground::new();
        symlink("../../apart", ground.at.join("work/docs/link")).unwrap();
        for nested in ["", ", nested = true"] {
            let policy = format!(
                "{WRITER}[tools.reader]\nfs.\"/d\" = {{ host = \"work/docs/link\", access = [\"read\"]{nested} }}"
            );
            let error = ground.open(&policy).unwrap_err();
            assert!(matches!(error, FolderError::Link { .. }), "{error}");
        }
    }

    #[test]
    fn a_link_that_a_tool_of_another_policy_may_have_made_is_not_followed() {
        let ground = Ground::new();
        symlink("../apart", ground.at.join("work/link")).unwrap();
        let reader = |host: &str| format!("[tools.reader]\nfs.\"/d\" = {{ host = \"{host}\", access = [\"read\"] }}");
        let earlier = |right: &str| {
            ground.open(&format!("[tools.reader]\nfs.\"/w\" = {{ host = \"work\", access = [\"{right}\"] }}")).unwrap();
        };
        // Who can only take names away makes no link.
        earlier("delete");
        assert_eq!(ground.open(&reader("work/link")).unwrap().fs[0].host, ground.at.join("apart"));
        earlier("create");
        let error = ground.open(&reader("work/link")).unwrap_err();
        assert!(matches!(&error, FolderError::Link { inside, .. } if *inside == ground.at.join("work")), "{error}");
        // Also deeper, where the folder has got another name, and not beside it.
        fs::rename(ground.at.join("work"), ground.at.join("renamed")).unwrap();
        symlink("../../apart", ground.at.join("renamed/docs/link")).unwrap();
        symlink("apart", ground.at.join("link")).unwrap();
        assert!(matches!(ground.open(&reader("renamed/docs/link")).unwrap_err(), FolderError::Link { .. }));
        ground.open(&reader("renamed/docs")).unwrap();
        ground.open(&reader("link")).unwrap();
    }

    #[test]
    fn what_no_tool_runs_with_is_neither_bound_nor_remembered() {
        let ground = Ground { starts: false, ..Ground::new() };
        symlink("../apart", ground.at.join("work/link")).unwrap();
        ground.open("[tools.reader]\nfs.\"/w\" = { host = \"work\", access = [\"create\"] }").unwrap();
        let nested = format!(
            "{WRITER}[tools.reader]\nfs.\"/d\" = {{ host = \"work/docs\", access = [\"read\"], nested = true }}"
        );
        ground.open(&nested).unwrap();
        assert!(!ground.at.join("trust").exists());
        ground.open("[tools.reader]\nfs.\"/d\" = { host = \"work/link\", access = [\"read\"] }").unwrap();
    }

    #[test]
    fn a_folder_that_got_the_number_of_a_remembered_one_is_another() {
        let ground = Ground::new();
        let id = folder_at(&ground.at.join("work")).unwrap().1;
        let Some(born) = born_ns(&ground.at.join("work"), id) else { return };
        assert_eq!(born_ns(&ground.at.join("apart"), id), None, "it is not there");
        symlink("../apart", ground.at.join("work/link")).unwrap();
        let store = TrustStore::new(ground.at.join("trust"));
        let policy = "[tools.reader]\nfs.\"/d\" = { host = \"work/link\", access = [\"read\"] }";
        store.creates_in(id, Path::new("/gone"), Some(born - 1)).unwrap();
        ground.open(policy).unwrap();
        store.creates_in(id, &ground.at.join("work"), Some(born)).unwrap();
        assert!(matches!(ground.open(policy).unwrap_err(), FolderError::Link { .. }));
    }

    #[test]
    fn a_nested_folder_is_the_one_that_stood_there_first() {
        let ground = Ground::new();
        let policy = format!(
            "{WRITER}[tools.reader]\nfs.\"/d\" = {{ host = \"work/docs\", access = [\"read\"], nested = true }}"
        );
        ground.open(&policy).unwrap();
        ground.open(&policy).unwrap();
        fs::rename(ground.at.join("work/docs"), ground.at.join("work/away")).unwrap();
        fs::create_dir(ground.at.join("work/docs")).unwrap();
        let error = ground.open(&policy).unwrap_err();
        assert!(matches!(error, FolderError::Exchanged { .. }), "{error}");
        fs::remove_dir(ground.at.join("work/docs")).unwrap();
        symlink("away", ground.at.join("work/docs")).unwrap();
        assert!(matches!(ground.open(&policy).unwrap_err(), FolderError::Link { .. }));
        fs::remove_file(ground.at.join("work/docs")).unwrap();
        fs::rename(ground.at.join("work/away"), ground.at.join("work/docs")).unwrap();
        ground.open(&policy).unwrap();
    }
}

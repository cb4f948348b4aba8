//! The table of deciding places: files and folders that decide over tools, and what no tool may do there. A grant that reaches
//! one is refused before anything runs, whether the place exists yet or not.
//!
//! | place | no tool may |
//! |---|---|
//! | the ledger, its key, its state, its side store | have any right there |
//! | the key of compiled tools, the tokens of agents | read or change it |
//! | the policy, the sockets of daemons, accepted policies, installed tools, the cache, the component, its manifest, this program, that of the drill | change it |
//! | the project that the component is built from over and over | change it |
//! | the receipt that a call will get | change it |
//!
//! A place counts by its path as written, by its path as resolved, and by every link on the way. A grant reaches it from above,
//! by a folder that holds one of those names, and from inside, by a folder in it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use miette::Diagnostic;
use rustix::fs::FileType;
use rustix::io::Errno;
use tollgate_capability::{Access, AccessSet, CapabilitySet, FileId, FsCapability};
use tollgate_config::{ComponentPin, Deployment, Grants, ToolName};

use super::cause::of_process;
use super::file_id;
use super::mounts::Mounts;
use super::policy_file::POLICY_NAME;
use super::walk::{End, Walk, absolute, walk};

/// The kinds of deciding places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Deciding {
    /// The ledger's folder, its key, its state or its side store.
    Ledger,
    /// The key that compiled tools are sealed with.
    ArtifactKey,
    /// The policy that is obeyed.
    Policy,
    /// Where a policy would be found. The gate forbids to make or change that name in a granted folder, so only links on the way
    /// to it count.
    PolicyFound,
    /// The store of accepted policies and bound folders.
    TrustStore,
    /// What is kept of the tokens of agents.
    Tokens,
    /// The sockets of daemons.
    Sockets,
    /// The installed tools.
    Tools,
    /// Compiled tools that are not installed.
    Cache,
    /// The component that runs.
    Component,
    /// Its manifest.
    Manifest,
    /// The project that the component was built from, and will be again: what is built runs unsealed.
    Project,
    /// The receipt that a call will get: its reader takes it for what the call did.
    Receipt,
    /// This program.
    Program,
    /// The program of the drill, which the operator runs unsealed.
    Drill,
}

impl Deciding {
    /// The rights among `access` that no tool may have there.
    #[must_use]
    pub fn forbids(self, access: AccessSet) -> AccessSet {
        let changes: AccessSet = [Access::Write, Access::Create, Access::Delete].into_iter().collect();
        match self {
            Self::Ledger => access,
            Self::ArtifactKey | Self::Tokens => access.intersection(changes.with(Access::Read)),
            Self::Policy
            | Self::PolicyFound
            | Self::TrustStore
            | Self::Sockets
            | Self::Tools
            | Self::Cache
            | Self::Component
            | Self::Manifest
            | Self::Project
            | Self::Receipt
            | Self::Program
            | Self::Drill => access.intersection(changes),
        }
    }

    /// What to do about a grant that reaches it with these forbidden rights.
    #[must_use]
    pub fn advice(self, rights: AccessSet) -> &'static str {
        match self {
            Self::Ledger => {
                "a tool with it would decide over its own record: grant a folder that does not hold it, or keep the ledger \
                 elsewhere with --ledger or TOLLGATE_LEDGER"
            }
            Self::Project => {
                "what a tool writes there is built and run unsealed the next time: grant a folder outside the project, or use \
                 `tollgate build` and `tollgate run` instead of `tollgate dev`"
            }
            Self::Receipt => {
                "a tool with it could exchange the receipt of its own call: name a file outside the folders that it may change"
            }
            // For the other places reading is not forbidden.
            Self::ArtifactKey if rights.contains(Access::Read) => {
                "a tool that reads it could forge compiled tools: move TOLLGATE_HOME out of the folder, or grant a folder \
                 beside it"
            }
            Self::ArtifactKey | Self::Tokens | Self::Sockets | Self::TrustStore | Self::Tools | Self::Cache => {
                "a tool with it would decide over its own rights: move TOLLGATE_HOME out of the folder, or grant a folder \
                 beside it"
            }
            Self::Policy | Self::PolicyFound | Self::Component | Self::Manifest | Self::Program | Self::Drill => {
                "a tool with it would decide over its own rights: grant a folder that does not hold it, or only `read`, \
                 `list` and `metadata` where it may be seen"
            }
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "the ledger or its key",
            Self::ArtifactKey => "the key of compiled tools",
            Self::Policy => "the policy",
            Self::PolicyFound => "the place where a policy is found",
            Self::TrustStore => "the store of accepted policies",
            Self::Tokens => "the tokens of agents",
            Self::Sockets => "the sockets of daemons",
            Self::Tools => "the installed tools",
            Self::Cache => "the cache of compiled tools",
            Self::Component => "the component",
            Self::Manifest => "the manifest",
            Self::Project => "the project that is built",
            Self::Receipt => "the place of the receipt",
            Self::Program => "the program `tollgate`",
            Self::Drill => "the program of `tollgate drill`",
        }
    }
}

impl fmt::Display for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The deciding places of one program. A `Supervisor` and an `InProcess` add those of their ledger. The program that embeds them
/// adds what else it decides by.
#[derive(Debug, Clone, Default)]
pub struct DecidingPlaces(Vec<(Deciding, PathBuf)>);

/// Why a grant is refused, or cannot be judged.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PlaceError {
    /// The grant reaches a deciding place.
    #[error("the grant for `{guest}` hands over {what}: `{}`", path.display())]
    #[diagnostic(help("{}", self.advice()))]
    Reached {
        /// The folder, as the guest sees it.
        guest: String,
        /// The kind of the place.
        what: Deciding,
        /// The place.
        path: PathBuf,
        /// The forbidden rights.
        rights: AccessSet,
    },
    /// A component gets the policy's entry of its file's name, and another tool may exchange that file.
    #[error(
        "`{}` gets the entry `{name}` of the policy by the name of its file, and the tool `{changer}` may exchange it (as \
         `{guest}`)", component.display()
    )]
    #[diagnostic(help("{}", self.advice()))]
    Exchangeable {
        /// The component's file.
        component: PathBuf,
        /// The entry.
        name: ToolName,
        /// The tool that may change the folder of the file.
        changer: ToolName,
        /// The folder, as that tool sees it.
        guest: String,
    },
    /// The list of mounts cannot be read.
    #[error(
        "whether the grants reach what decides over tools cannot be told: the mounts of this process cannot be read"
    )]
    #[diagnostic(help("{}", self.advice()))]
    Mounts {
        /// Why.
        source: io::Error,
    },
    /// Whether the grant reaches a deciding place cannot be told.
    #[error("whether the grant for `{guest}` reaches {what} cannot be told: `{}`", path.display())]
    #[diagnostic(help("{}", self.advice()))]
    Unknown {
        /// The folder, as the guest sees it.
        guest: String,
        /// What it may reach.
        what: Deciding,
        /// The place that cannot be looked at.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PlaceError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Reached { what, rights, .. } => what.advice(*rights),
            Self::Exchangeable { .. } => {
                "a tool with it would take the other's grant: install the component with `tollgate install`, write its digest \
                 into `component` of its entry, or move it to a folder that no tool may change"
            }
            Self::Mounts { .. } => "mount procfs at /proc, which has them in `/proc/self/mountinfo`",
            Self::Unknown { source, .. } => Errno::from_io_error(source)
                .and_then(of_process)
                .unwrap_or("look at the folder of the grant and at that place: this user must be able to see both"),
        }
    }
}

impl DecidingPlaces {
    /// No places.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// These places, and the file or folder `path`, which may exist or not. A relative path starts at the working folder at the
    /// time when a grant is judged.
    #[must_use]
    pub fn with(mut self, what: Deciding, path: &Path) -> Self {
        self.0.push((what, path.to_owned()));
        self
    }

    /// These places, and those of the ledger in the folder `ledger`, whose key, state and side store are beside it.
    #[must_use]
    pub fn with_ledger(self, ledger: &Path) -> Self {
        // The files beside the ledger are found from its resolved folder, so their places start there too.
        let real = ledger.canonicalize().unwrap_or_else(|_not_there| ledger.to_owned());
        let beside = [".key", ".state", ".private"].map(|extension| {
            let mut name = real.clone().into_os_string();
            name.push(extension);
            PathBuf::from(name)
        });
        beside.iter().fold(self.with(Deciding::Ledger, ledger), |places, path| places.with(Deciding::Ledger, path))
    }

    /// These places, and the components of the entries of `grants`: a tool that exchanges a component takes its grant.
    #[must_use]
    pub fn with_components_of(self, grants: &Grants) -> Self {
        grants.tools.values().fold(self, |places, grant| match &grant.component {
            Some(ComponentPin::Path(path)) => places.with(Deciding::Component, path),
            Some(ComponentPin::Digest(_)) | None => places,
        })
    }

    /// These places, and those where agents have their sockets (`listen`): whoever exchanges one is asked in its place.
    #[must_use]
    pub fn with_sockets_of(self, deployment: &Deployment) -> Self {
        let sockets = deployment.agents.values().filter_map(|agent| agent.listen.as_deref());
        sockets.fold(self, |places, socket| places.with(Deciding::Sockets, socket))
    }

    /// The kind of the deciding place that writing to `path` would write to or into, whether it exists yet or not. A receipt's
    /// place and a project do not count: a receipt is written once, and what a project makes is its own.
    pub fn holding(&self, path: &Path) -> Option<Deciding> {
        // A path that cannot be looked at counts as written.
        let real = |path: &Path| walk(&absolute(path).ok()?).ok().map(|walked| walked.resolved);
        let path = real(path).unwrap_or_else(|| path.to_owned());
        let places = self.0.iter().filter(|(what, _)| !matches!(what, Deciding::Receipt | Deciding::Project));
        let held = |place: &Path| path.starts_with(real(place).as_deref().unwrap_or(place));
        places.into_iter().find(|(_, place)| held(place)).map(|(what, _)| *what)
    }

    /// Refuses a component that gets the entry `name` of `grants` by the name of its file, if another entry lets a tool change
    /// that file or the way to it: that tool would take the grant.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] for the first such entry.
    pub fn judge_name(component: &Path, name: &ToolName, grants: &Grants) -> Result<(), PlaceError> {
        let others = grants.tools.iter().filter(|(tool, _)| *tool != name);
        let mut changes = others
            .flat_map(|(tool, grant)| grant.fs.iter().map(move |(guest, fs)| (tool, guest, fs)))
            .filter(|(_, _, fs)| !Deciding::Component.forbids(fs.access).is_empty())
            .peekable();
        if !grants.tools.contains_key(name) || changes.peek().is_none() {
            return Ok(());
        }
        let mounts = Mounts::here().map_err(|source| PlaceError::Mounts { source })?;
        for (changer, guest, fs) in changes {
            let guest = guest.to_string();
            let judged = Place::find(Deciding::Component, component, &mounts).and_then(|place| {
                Ok(Granted::at(&fs.host, &mounts)?.is_some_and(|granted| place.is_reached_by(&granted)))
            });
            let component = component.to_owned();
            match judged {
                Ok(false) => {}
                Ok(true) => {
                    let (name, changer) = (name.clone(), changer.clone());
                    return Err(PlaceError::Exchangeable { component, name, changer, guest });
                }
                Err(source) => {
                    return Err(PlaceError::Unknown { guest, what: Deciding::Component, path: component, source });
                }
            }
        }
        Ok(())
    }

    /// Refuses a capability set by which a tool would reach one of these places. Call it after the places were made.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] for the first that is reached.
    pub fn judge(&self, set: &CapabilitySet) -> Result<(), PlaceError> {
        if set.fs.is_empty() {
            return Ok(());
        }
        let mounts = Mounts::here().map_err(|source| PlaceError::Mounts { source })?;
        self.judge_by(set, &mounts, &FoundPlaces::default())
    }

    /// As [`DecidingPlaces::judge`], by mounts that were just read, and places that were found by them.
    pub(super) fn judge_by(&self, set: &CapabilitySet, mounts: &Mounts, found: &FoundPlaces) -> Result<(), PlaceError> {
        let granted: Vec<_> = set.fs.iter().map(|fs| (fs, Granted::find(fs, mounts))).collect();
        for (what, path) in &self.0 {
            let mut place = None;
            for (fs, granted) in granted.iter().filter(|(fs, _)| !what.forbids(fs.access).is_empty()) {
                let unknown =
                    |source| PlaceError::Unknown { guest: fs.guest.clone(), what: *what, path: path.clone(), source };
                let granted = granted.as_ref().map_err(|error| unknown(again(error)))?;
                let place = match &place {
                    Some(place) => place,
                    None => place.insert(found.find(*what, path, mounts).map_err(unknown)?),
                };
                if place.is_reached_by(granted) {
                    let rights = what.forbids(fs.access);
                    return Err(PlaceError::Reached {
                        guest: fs.guest.clone(),
                        what: *what,
                        path: path.clone(),
                        rights,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Deciding places that were found.
#[derive(Debug, Default)]
pub(super) struct FoundPlaces(RefCell<BTreeMap<(Deciding, PathBuf), Rc<Place>>>);

impl FoundPlaces {
    fn find(&self, what: Deciding, path: &Path, mounts: &Mounts) -> io::Result<Rc<Place>> {
        let key = (what, path.to_owned());
        if let Some(found) = self.0.borrow().get(&key) {
            return Ok(Rc::clone(found));
        }
        let place = Rc::new(Place::find(what, path, mounts)?);
        let mut found = self.0.borrow_mut();
        if found.len() < FOUND_MAX {
            found.insert(key, Rc::clone(&place));
        }
        Ok(place)
    }
}

/// Most places that are kept. Those of a policy come before those of each tool.
const FOUND_MAX: usize = 1_024;

/// Where one deciding place is now.
#[derive(Debug)]
struct Place {
    /// Every folder that holds one of the names that lead there.
    holders: BTreeSet<FileId>,
    /// The folder that is there, if it is one.
    folder: Option<FileId>,
}

impl Place {
    fn find(what: Deciding, path: &Path, mounts: &Mounts) -> io::Result<Self> {
        let walked = walk(&absolute(path)?)?;
        let guarded =
            what == Deciding::PolicyFound && walked.resolved.file_name().is_some_and(|name| name == POLICY_NAME);
        // The names on the way to a link count as those on the way to its target: the holders have both. They also have those of a
        // file that is mounted there from elsewhere.
        let mut holders = if guarded && walked.links.is_empty() { Vec::new() } else { walked.holders };
        if walked.end.as_ref().is_some_and(|end| end.kind != FileType::Directory) {
            if guarded {
                // The gate protects the name of a policy, but not another name that a mount gives that file.
                let others = mounts.other_names_of(&walked.resolved)?.into_iter();
                let unkept = others.filter(|name| name.file_name().is_some_and(|name| name != POLICY_NAME));
                holders.extend(unkept.filter_map(|name| name.parent().map(Path::to_owned)));
            } else {
                holders.push(walked.resolved);
            }
        }
        let holders = mounts.above(holders.iter().map(PathBuf::as_path))?;
        let folder = match walked.end {
            Some(End { file, kind: FileType::Directory }) => Some(file_id(&file)?),
            Some(_) | None => None,
        };
        Ok(Self { holders, folder })
    }

    fn is_reached_by(&self, granted: &Granted) -> bool {
        self.holders.contains(&granted.id)
            || self.folder.is_some_and(|folder| folder == granted.id || granted.above.contains(&folder))
    }
}

/// A granted folder as it is now.
struct Granted {
    id: FileId,
    /// The folder itself, and every folder that holds it.
    above: BTreeSet<FileId>,
}

impl Granted {
    fn find(fs: &FsCapability, mounts: &Mounts) -> io::Result<Self> {
        Ok(Self::at(&fs.host, mounts)?.ok_or(io::ErrorKind::NotFound)?)
    }

    /// The folder at `host`, if there is one.
    fn at(host: &Path, mounts: &Mounts) -> io::Result<Option<Self>> {
        let Walk { resolved, end, .. } = walk(&absolute(host)?)?;
        let Some(End { file, .. }) = end else { return Ok(None) };
        Ok(Some(Self { id: file_id(file)?, above: mounts.above([resolved.as_path()])? }))
    }
}

/// The same error, for another place that it hinders.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Ground {
        _folder: tempfile::TempDir,
        at: PathBuf,
    }

    impl Ground {
        fn new(folders: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().canonicalize().unwrap();
            for name in folders {
                fs::create_dir_all(at.join(name)).unwrap();
            }
            Self { _folder: folder, at }
        }

        fn set(&self, host: &str, access: &[Access]) -> CapabilitySet {
            let fs = FsCapability::new("/w", self.at.join(host), access.iter().copied().collect());
            CapabilitySet { fs: vec![fs], ..CapabilitySet::default() }
        }

        fn is_refused(&self, what: Deciding, place: &str, host: &str, access: &[Access]) -> bool {
            let places = DecidingPlaces::none().with(what, &self.at.join(place));
            match places.judge(&self.set(host, access)) {
                Ok(()) => false,
                Err(PlaceError::Reached { what: reached, .. }) => {
                    assert_eq!(reached, what);
                    true
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    const ALL: [Deciding; 15] = [
        Deciding::Ledger,
        Deciding::ArtifactKey,
        Deciding::Tokens,
        Deciding::Sockets,
        Deciding::Policy,
        Deciding::PolicyFound,
        Deciding::TrustStore,
        Deciding::Tools,
        Deciding::Cache,
        Deciding::Component,
        Deciding::Manifest,
        Deciding::Project,
        Deciding::Receipt,
        Deciding::Program,
        Deciding::Drill,
    ];

    #[test]
    fn each_place_forbids_what_the_table_says() {
        let ground = Ground::new(&["w"]);
        for what in ALL {
            for access in Access::ALL {
                let changes = matches!(access, Access::Write | Access::Create | Access::Delete);
                let forbidden = match what {
                    Deciding::Ledger => true,
                    Deciding::ArtifactKey | Deciding::Tokens => changes || access == Access::Read,
                    // The gate protects this name; a link to it is judged below.
                    Deciding::PolicyFound => false,
                    Deciding::Policy
                    | Deciding::Sockets
                    | Deciding::TrustStore
                    | Deciding::Tools
                    | Deciding::Cache
                    | Deciding::Component
                    | Deciding::Manifest
                    | Deciding::Project
                    | Deciding::Receipt
                    | Deciding::Program
                    | Deciding::Drill => changes,
                };
                let place = if what == Deciding::PolicyFound { "w/tollgate.toml" } else { "w/place" };
                assert_eq!(ground.is_refused(what, place, "w", &[access]), forbidden, "{what}: {access}");
            }
        }
    }

    #[test]
    fn a_place_counts_before_it_is_there_and_from_above_and_inside() {
        let ground = Ground::new(&["home/tools/echo", "other", "home/tools-2"]);
        let change = [Access::Create];
        for reaching in ["home", "home/tools", "home/tools/echo", ""] {
            assert!(ground.is_refused(Deciding::Tools, "home/tools", reaching, &change), "{reaching}");
        }
        for apart in ["other", "home/tools-2"] {
            assert!(!ground.is_refused(Deciding::Tools, "home/tools", apart, &change), "{apart}");
        }
        assert!(ground.is_refused(Deciding::TrustStore, "other/not/there/yet", "other", &change));
        assert!(!ground.is_refused(Deciding::TrustStore, "home/not/there/yet", "other", &change));
    }

    #[test]
    fn each_link_on_the_way_counts_and_what_it_leads_to() {
        let ground = Ground::new(&["links", "real", "far"]);
        symlink("../real/tollgate.toml", ground.at.join("links/tollgate.toml")).unwrap();
        symlink(ground.at.join("far"), ground.at.join("real/deep")).unwrap();
        fs::write(ground.at.join("far/key"), "").unwrap();
        let change = [Access::Write];
        for what in [Deciding::Policy, Deciding::PolicyFound] {
            assert!(ground.is_refused(what, "links/tollgate.toml", "links", &change), "{what}");
            assert!(ground.is_refused(what, "links/tollgate.toml", "real", &change), "{what}");
            assert!(!ground.is_refused(what, "links/tollgate.toml", "far", &change), "{what}");
        }
        for reaching in ["real", "far"] {
            assert!(ground.is_refused(Deciding::ArtifactKey, "real/deep/key", reaching, &[Access::Read]), "{reaching}");
        }
        assert!(ground.is_refused(Deciding::ArtifactKey, "links/../real/deep/key", "real", &[Access::Read]));
    }

    #[test]
    fn a_ledger_is_reached_by_its_key_and_its_side_store_too() {
        let ground = Ground::new(&["state/ledger/tile", "docs", "state-2"]);
        symlink(ground.at.join("state"), ground.at.join("link")).unwrap();
        let places = DecidingPlaces::none().with_ledger(&ground.at.join("link/ledger"));
        let refused = |host: &str| places.judge(&ground.set(host, &[Access::Metadata])).is_err();
        for reaching in ["", "state", "state/ledger", "state/ledger/tile", "link", "link/ledger", "docs/../state"] {
            assert!(refused(reaching), "{reaching}");
        }
        for apart in ["docs", "state-2"] {
            assert!(!refused(apart), "{apart}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_judged() {
        let ground = Ground::new(&["w"]);
        let places = DecidingPlaces::none().with(Deciding::Tools, &ground.at.join("tools"));
        let judged = places.judge(&ground.set("missing", &[Access::Write]));
        assert!(matches!(judged, Err(PlaceError::Unknown { .. })), "{judged:?}");
    }
}

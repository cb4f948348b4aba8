//! The policy that is obeyed: given by name, or found in the working folder. Whoever can put a file into a folder writes what
//! is found there, so a found policy must be the user's own, grants what lies below its own folder, and reaches farther only
//! once it was accepted as it is ([`TrustStore`], as direnv does).

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, LabeledSpan};
use rustix::fs::{Mode, OFlags, Stat, fgetxattr_query, fstat, openat};
use rustix::io::Errno;
pub use tollgate_capability::POLICY_NAME;
use tollgate_capability::{
    EnvValue, Grant, POLICY_BYTES_MAX, Policy, PolicyError, SandboxSettings, SourceText, ToolName, key_span,
    source_text,
};

use super::private_group::is_private_group;
use super::trust::{TrustError, TrustStore};
use super::walk::{Step, walk, walk_by};
use crate::files;

/// A policy, and where it is from.
#[derive(Debug)]
pub struct PolicyFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What it says.
    pub policy: Policy,
    /// Whether it was found, not given, and never accepted.
    pub bounded: bool,
    shown: String,
}

/// Why a policy is not obeyed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It cannot be read.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(help("give the policy with --policy"))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not text.
    #[error("`{}` is not UTF-8 text", path.display())]
    #[diagnostic(help("save it as UTF-8"))]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// What is found is no file.
    #[error("`{}` is found here as the policy, and is not a file", path.display())]
    #[diagnostic(help("rename it, or give the policy with --policy"))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else wrote it, or may.
    #[error(
        "`{}` is found here as the policy, and others may have written it: its owner is the user {owner}, its mode {mode:03o}",
        path.display()
    )]
    #[diagnostic(help("read it; then make it yours alone (`chown $(id -u)`, `chmod go-w`), or give it with --policy"))]
    OfOthers {
        /// The file, or the link that stands there.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The permission bits.
        mode: u32,
    },
    /// Somebody else may put another file in its place.
    #[error(
        "`{}` is found here as the policy, and others may put another file in its place: the owner of the folder `{}` is the \
         user {owner}, its group {group}, its mode {mode:03o}", path.display(), folder.display()
    )]
    #[diagnostic(help(
        "read it, and give it with --policy; or make that folder yours alone (`chown $(id -u)`, `chmod go-w`)"
    ))]
    InFolderOfOthers {
        /// The file.
        path: PathBuf,
        /// The folder that a name on the way to the file is in.
        folder: PathBuf,
        /// The group of the folder.
        group: u32,
        /// The user id of the folder's owner.
        owner: u32,
        /// The permission bits of the folder.
        mode: u32,
    },
    /// It does not parse.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Policy(#[from] PolicyError),
    /// It was found, and reaches farther than its own folder.
    #[error("`{file}` is found here, not given, and reaches farther than its own folder: {reach}")]
    #[diagnostic(help(
        "read the lines; then `tollgate trust {file}` accepts the policy as it is now, or give it with --policy {file}"
    ))]
    ReachesFarther {
        /// The file, as errors show it.
        file: String,
        /// What it reaches for.
        reach: String,
        /// Its text.
        #[source_code]
        text: SourceText,
        /// The lines.
        #[label(collection)]
        lines: Vec<LabeledSpan>,
    },
    /// Whether it was accepted cannot be told.
    #[error("whether the policy `{}` was accepted cannot be told", path.display())]
    #[diagnostic(help(
        "mend the rights of the store; if others could change it, remove it and accept the policies anew"
    ))]
    Trust {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TrustError,
    },
}

/// A line by which a policy reaches farther than its own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What it reaches for.
    pub what: String,
    /// The keys that lead to the line.
    keys: Vec<String>,
}

impl PolicyFile {
    /// Reads a policy that the user names; `shown` is how.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`].
    pub fn given(shown: &Path, folder: &Path) -> Result<Self, PolicyFileError> {
        let path = folder.join(shown);
        let failed = |source| PolicyFileError::Read { path: shown.to_owned(), source };
        let text = text_of(files::open(&path).map_err(failed)?, shown)?;
        Self::parse(shown.display().to_string(), path, text, false)
    }

    /// The policy that is found in `folder`, if there is one.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`]: what stands there is not used, and nothing else is in its place.
    pub fn found(folder: &Path, store: Option<&TrustStore>) -> Result<Option<Self>, PolicyFileError> {
        let path = folder.join(POLICY_NAME);
        let Some(file) = open_found(&path)? else { return Ok(None) };
        let text = text_of(file, Path::new(POLICY_NAME))?;
        let accepted = store.map_or(Ok(false), |store| store.accepts(&path, &text));
        let accepted = accepted.map_err(|source| PolicyFileError::Trust { path: path.clone(), source })?;
        Self::parse(POLICY_NAME.to_owned(), path, text, !accepted).map(Some)
    }

    fn parse(shown: String, path: PathBuf, text: String, bounded: bool) -> Result<Self, PolicyFileError> {
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        let policy = Policy::parse(&text, &shown, folder)?;
        Ok(Self { path, text, policy, bounded, shown })
    }

    /// Whether `tool` may have its grant from here: what was found reaches no farther than its own folder.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError::ReachesFarther`] names each line that does.
    pub fn allows(&self, tool: &ToolName) -> Result<(), PolicyFileError> {
        let reaches = if self.bounded { self.reaches(Some(tool)) } else { Vec::new() };
        self.refuse(&reaches)
    }

    /// Whether what it says of all tools may hold: the level that `sandbox.require` asks for.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError::ReachesFarther`].
    pub fn allows_settings(&self) -> Result<(), PolicyFileError> {
        let reaches = if self.bounded { self.settings_reach() } else { Vec::new() };
        self.refuse(&reaches)
    }

    /// The lines that reach farther than its own folder: in the grant of `tool`, or of every tool.
    #[must_use]
    pub fn reaches(&self, tool: Option<&ToolName>) -> Vec<Reach> {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("/"));
        let grants = self.policy.tools.iter().filter(|(name, _)| tool.is_none_or(|tool| tool == *name));
        let of_tools = grants.flat_map(|(name, grant)| grant_reaches(folder, name, grant));
        self.settings_reach().into_iter().chain(of_tools).collect()
    }

    fn settings_reach(&self) -> Vec<Reach> {
        let (asked, default) = (self.policy.sandbox.require, SandboxSettings::default().require);
        let keys = ["sandbox", "require"].map(str::to_owned).to_vec();
        let reach = Reach { what: format!("less of the kernel's seal than `{default}`"), keys };
        (asked < default).then_some(reach).into_iter().collect()
    }

    fn refuse(&self, reaches: &[Reach]) -> Result<(), PolicyFileError> {
        if reaches.is_empty() {
            return Ok(());
        }
        let text = source_text(&self.shown, &self.text);
        let line = |reach: &Reach| {
            let keys: Vec<&str> = reach.keys.iter().map(String::as_str).collect();
            key_span(&self.text, &keys).map(|span| LabeledSpan::new_with_span(Some("reaches farther".to_owned()), span))
        };
        Err(PolicyFileError::ReachesFarther {
            file: self.shown.clone(),
            reach: reaches.iter().map(|reach| reach.what.as_str()).collect::<Vec<_>>().join("; "),
            lines: reaches.iter().filter_map(line).collect(),
            text,
        })
    }
}

fn grant_reaches(folder: &Path, tool: &ToolName, grant: &Grant) -> Vec<Reach> {
    let keys = |rest: [&str; 3]| {
        let head = ["tools".to_owned(), tool.to_string()];
        head.into_iter().chain(rest.map(str::to_owned)).filter(|key| !key.is_empty()).collect()
    };
    let mut reaches = Vec::new();
    for (guest, fs) in &grant.fs {
        if !is_below(&fs.host, folder) {
            let what = format!("`{}`, a folder outside, for `{tool}`", fs.host.display());
            reaches.push(Reach { what, keys: keys(["fs", &guest.to_string(), "host"]) });
        }
        if fs.mounts {
            let what = format!("what is mounted below `{}`, for `{tool}`", fs.host.display());
            reaches.push(Reach { what, keys: keys(["fs", &guest.to_string(), "mounts"]) });
        }
    }
    for (name, value) in &grant.env {
        if let EnvValue::FromHost(host) = value {
            let what = format!("the variable `{host}` of your environment, for `{tool}`");
            reaches.push(Reach { what, keys: keys(["env", &name.to_string(), ""]) });
        }
    }
    reaches
}

/// Whether `path` leads to `folder` or into it. What cannot be told does not.
fn is_below(path: &Path, folder: &Path) -> bool {
    let resolved = |path: &Path| walk(path).map(|walked| walked.resolved);
    match (resolved(path), resolved(folder)) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Opens what is found, if it is the user's own: the link that may stand there, and the file.
fn open_found(path: &Path) -> Result<Option<File>, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let name = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed)?,
    };
    let of_others = |metadata: &fs::Metadata| PolicyFileError::OfOthers {
        path: path.to_owned(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    };
    if name.uid() != user() {
        return Err(of_others(&name));
    }
    let file = files::open_at_once(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PolicyFileError::NotAFile { path: path.to_owned() });
    }
    let found = fstat(&file).map_err(|errno| failed(errno.into()))?;
    if found.st_uid != user() || others_may_write(&file, &found) {
        return Err(of_others(&metadata));
    }
    judge_way(path, &found)?;
    Ok(Some(file))
}

/// Whoever may rename on the way to the policy puts any file of the user's in its place, such as one that was obeyed before. So
/// each folder counts that a name on the way is in, up to `/`, and those behind each link.
fn judge_way(path: &Path, opened: &Stat) -> Result<(), PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: path.to_owned(), source };
    let mut fault = Ok(());
    let walked = walk_by(path, |step| {
        if fault.is_ok() {
            fault = judge_step(path, step);
        }
    });
    let walked = walked.map_err(failed)?;
    fault?;
    // The way was opened before it was judged, and once more as it was.
    let same = walked.end.is_some_and(|end| {
        fstat(&end.file).is_ok_and(|end| (end.st_dev, end.st_ino) == (opened.st_dev, opened.st_ino))
    });
    if same { Ok(()) } else { Err(failed(io::Error::other("another file stands there now"))) }
}

/// In a sticky folder a name is renamed by the owner of what it names, and by the folder's owner.
fn judge_step(path: &Path, step: Step<'_>) -> Result<(), PolicyFileError> {
    let failed = |errno: Errno| PolicyFileError::Read { path: path.to_owned(), source: errno.into() };
    let folder = fstat(step.folder).map_err(failed)?;
    let (owner, group, mode) = (folder.st_uid, folder.st_gid, folder.st_mode & 0o7777);
    let is_kept = mode & STICKY != 0 && is_trusted(step.named.st_uid);
    if is_trusted(owner) && (is_kept || !others_may_write(step.folder, &folder)) {
        return Ok(());
    }
    let (path, folder) = (path.to_owned(), step.path.to_owned());
    Err(PolicyFileError::InFolderOfOthers { path, folder, owner, group, mode })
}

/// The user, and root, who may do everything anyway.
fn is_trusted(owner: u32) -> bool {
    owner == user() || owner == ROOT
}

/// `S_ISVTX` (`inode(7)`).
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

/// Whether others than the owner may write there. The bits of the group say what an access list allows at most.
fn others_may_write(file: &impl AsFd, stat: &Stat) -> bool {
    let (others, group) = (stat.st_mode & 0o002 != 0, stat.st_mode & 0o020 != 0);
    others || (group && !(is_private_group(stat.st_gid, stat.st_uid) && has_no_list(file)))
}

/// Whether there surely is no access list. A place (`O_PATH`) has no attributes to ask for, so a folder is opened for that.
fn has_no_list(file: &impl AsFd) -> bool {
    let list = |file: BorrowedFd<'_>| fgetxattr_query(file, "system.posix_acl_access");
    let found = match list(file.as_fd()) {
        Err(Errno::BADF) => openat(file, ".", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|folder| list(folder.as_fd())),
        found => found,
    };
    matches!(found, Ok(0) | Err(Errno::NODATA | Errno::OPNOTSUPP))
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn text_of(file: File, shown: &Path) -> Result<String, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: shown.to_owned(), source };
    let mut bytes = Vec::new();
    // One more than a policy may have: the parser says so.
    file.take(POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_not_utf8| PolicyFileError::NotText { path: shown.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    struct Ground {
        _folder: tempfile::TempDir,
        at: PathBuf,
    }

    impl Ground {
        fn new(policy: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().canonicalize().unwrap();
            fs::create_dir_all(at.join("p/docs")).unwrap();
            fs::create_dir_all(at.join("q")).unwrap();
            fs::write(at.join("p/tollgate.toml"), policy).unwrap();
            Self { _folder: folder, at }
        }

        fn found(&self) -> Result<Option<PolicyFile>, PolicyFileError> {
            PolicyFile::found(&self.at.join("p"), Some(&TrustStore::new(self.at.join("trust"))))
        }

        fn allows(&self) -> Result<(), PolicyFileError> {
            self.found()?.unwrap().allows(&"echo".parse().unwrap())
        }
    }

    #[test]
    fn what_lies_below_its_own_folder_needs_no_ceremony() {
        let ground = Ground::new(
            "[tools.echo]\nfs.\"/d\" = { host = \"docs\", access = [\"read\"] }\nfs.\"/all\" = { host = \".\", access = \
             [\"read\"] }\nenv.LANG = \"C\"\nrandom = \"secure\"\nlimits.memory = \"1GiB\"",
        );
        ground.allows().unwrap();
    }

    #[test]
    fn what_reaches_farther_is_named_with_its_line() {
        let lines = [
            ("fs.\"/d\" = { host = \"../q\", access = [\"read\"] }", "../q\""),
            ("fs.\"/d\" = { host = \"/srv\", access = [\"read\"] }", "/srv\""),
            ("fs.\"/d\" = { host = \"out\", access = [\"read\"] }", "out\""),
            ("fs.\"/d\" = { host = \"docs\", access = [\"read\"], mounts = true }", "true"),
            ("env.TOKEN = { host = \"TOKEN\" }", "{ host = \"TOKEN\" }"),
        ];
        for (line, marked) in lines {
            let text = format!("[tools.echo]\n{line}\n");
            let ground = Ground::new(&text);
            symlink("../q", ground.at.join("p/out")).unwrap();
            let Err(PolicyFileError::ReachesFarther { lines, .. }) = ground.allows() else { panic!("{line}") };
            assert_eq!(lines.len(), 1, "{line}");
            let at = lines[0].offset()..lines[0].offset() + lines[0].len();
            assert!(text[at].contains(marked), "{line}");
        }
        let lowered = Ground::new("[sandbox]\nrequire = \"none\"");
        assert!(matches!(lowered.allows(), Err(PolicyFileError::ReachesFarther { lines, .. }) if lines.len() == 1));
        assert!(lowered.found().unwrap().unwrap().allows_settings().is_err());
    }

    #[test]
    fn only_the_lines_of_the_tool_at_hand_are_judged() {
        let ground = Ground::new("[tools.other]\nfs.\"/d\" = { host = \"/srv\", access = [\"read\"] }");
        ground.allows().unwrap();
        assert_eq!(ground.found().unwrap().unwrap().reaches(None).len(), 1);
    }

    #[test]
    fn a_policy_that_is_given_or_was_accepted_may_reach_farther() {
        let text = "[tools.echo]\nfs.\"/d\" = { host = \"../q\", access = [\"read\"] }";
        let ground = Ground::new(text);
        let given = PolicyFile::given(Path::new("tollgate.toml"), &ground.at.join("p")).unwrap();
        given.allows(&"echo".parse().unwrap()).unwrap();
        let store = TrustStore::new(ground.at.join("trust"));
        let path = ground.at.join("p/tollgate.toml");
        store.accept(&path, text).unwrap();
        ground.allows().unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
        assert!(ground.allows().is_err(), "its text is another");
    }

    #[test]
    fn what_others_may_have_written_is_not_obeyed() {
        let ground = Ground::new("");
        let path = ground.at.join("p/tollgate.toml");
        for (mode, refused) in [(0o600, false), (0o644, false), (0o646, true), (0o666, true), (0o602, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = ground.found();
            assert_eq!(matches!(found, Err(PolicyFileError::OfOthers { .. })), refused, "{mode:o}: {found:?}");
        }
    }

    /// In which folder others may put another file in the policy's place.
    fn exposed(found: Result<Option<PolicyFile>, PolicyFileError>) -> Option<PathBuf> {
        match found {
            Ok(_) => None,
            Err(PolicyFileError::InFolderOfOthers { folder, .. }) => Some(folder),
            Err(error) => panic!("{error}"),
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_folder_above_a_found_policy_is_its_owners_alone_to_rename_in() {
        let ground = Ground::new("");
        for (bits, refused) in [(0o777, true), (0o757, true), (0o1777, false), (0o711, false), (0o700, false)] {
            mode(&ground.at, bits);
            assert_eq!(exposed(ground.found()), refused.then(|| ground.at.clone()), "{bits:o}");
        }
        let stat = fs::metadata(&ground.at).unwrap();
        mode(&ground.at, 0o775);
        assert_eq!(exposed(ground.found()).is_none(), is_private_group(stat.gid(), stat.uid()));
    }

    #[test]
    fn the_folders_behind_each_link_to_a_found_policy_are_judged_too() {
        let ground = Ground::new("");
        let (open, link) = (ground.at.join("open"), ground.at.join("p/tollgate.toml"));
        fs::create_dir_all(open.join("deep")).unwrap();
        fs::rename(&link, open.join("deep/policy.toml")).unwrap();
        symlink("../open/deep/policy.toml", &link).unwrap();
        symlink("open", ground.at.join("way")).unwrap();
        fs::write(open.join("tollgate.toml"), "").unwrap();
        let by_a_link = || PolicyFile::found(&ground.at.join("way"), None);
        assert_eq!((exposed(ground.found()), exposed(by_a_link())), (None, None));
        mode(&open, 0o777);
        assert_eq!((exposed(ground.found()), exposed(by_a_link())), (Some(open.clone()), Some(open.clone())));
        mode(&open, 0o755);
        // In a sticky folder a link of another user's can still be exchanged by that user.
        if rustix::process::geteuid().is_root() {
            mode(&ground.at, 0o1777);
            assert_eq!(exposed(by_a_link()), None);
            std::os::unix::fs::lchown(ground.at.join("way"), Some(65534), None).unwrap();
            assert_eq!(exposed(by_a_link()), Some(ground.at.clone()));
        }
    }

    #[test]
    fn an_access_list_lets_others_in_whatever_the_group() {
        let ground = Ground::new("");
        let entry = |tag: u16, rights: u16, id: u32| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let no = u32::MAX;
        // Version 2; the owner, a user, the group, the mask, and others (`posix_acl_xattr.h`).
        let list = [entry(1, 7, no), entry(2, 7, 65534), entry(4, 5, no), entry(16, 7, no), entry(32, 5, no)].concat();
        let list = [&2_u32.to_le_bytes()[..], &list].concat();
        let flags = rustix::fs::XattrFlags::empty();
        if rustix::fs::setxattr(&ground.at, "system.posix_acl_access", &list, flags).is_err() {
            return println!("SKIPPED: this file system keeps no access lists");
        }
        assert_eq!(exposed(ground.found()).as_deref(), Some(ground.at.as_path()));
    }

    #[test]
    fn what_is_no_file_is_not_passed_over() {
        let ground = Ground::new("");
        let path = ground.at.join("p/tollgate.toml");
        fs::remove_file(&path).unwrap();
        assert!(ground.found().unwrap().is_none());
        fs::create_dir(&path).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::NotAFile { .. })));
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::NotAFile { .. })), "nor waited for");
        fs::remove_file(&path).unwrap();
        symlink("nowhere", &path).unwrap();
        assert!(matches!(ground.found(), Err(PolicyFileError::Read { .. })));
    }
}

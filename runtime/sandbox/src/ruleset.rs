//! Confines a process's files, network and signals by Landlock. Must never grant another folder than the one that its path named
//! when the policy was loaded.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};
use tollgate_audit::Digest;
use tollgate_system::is_pseudo;

use super::plan::{FolderId, FolderRule};

/// Why the rules of Landlock are not in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The kernel refuses the rules.
    #[error(
        "the kernel, or a filter around this process, refuses the rules of Landlock (landlock_create_ruleset, \
         landlock_add_rule, landlock_restrict_self, prctl); `tollgate doctor` says more"
    )]
    Ruleset(#[from] RulesetError),
    /// A folder of Tollgate's own is not there.
    #[error("a folder that must stay in reach cannot be opened")]
    Own(#[from] landlock::PathFdError),
    /// A granted folder is not there, or not what it was when the policy was loaded.
    #[error("the granted folder `{}` cannot be opened without following symbolic links", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A granted folder is in a file system of the kernel's own.
    #[error("the granted folder `{}` is in a file system of the kernel's own, such as procfs, which is never granted", folder.display())]
    Pseudo {
        /// The folder.
        folder: PathBuf,
    },
    /// The kernel took the rules, and they are not in force.
    #[error("the kernel has Landlock, but did not enforce the rules")]
    NotEnforced,
}

/// What of Landlock is in force, as the bits of `linux/landlock.h`; all zero without Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*` that are denied but where a rule allows them.
    pub files: u64,
    /// `LANDLOCK_ACCESS_NET_*` likewise.
    pub network: u64,
    /// `LANDLOCK_SCOPE_*`.
    pub scopes: u64,
}

impl Handled {
    /// All that a kernel with this ABI of Landlock can deny, as far as this program knows.
    #[must_use]
    pub fn by(abi: u32) -> Self {
        let abi = ABI::from(i32::try_from(abi).unwrap_or(i32::MAX));
        let (files, network, scopes) = (AccessFs::from_all(abi), AccessNet::from_all(abi), Scope::from_all(abi));
        Self { files: files.bits(), network: network.bits(), scopes: scopes.bits() }
    }
}

/// Denies this thread, and the threads and processes it starts, all that the kernel can deny but what the rules allow.
pub(super) fn restrict(abi: u32, folders: &[FolderRule]) -> Result<Handled, FilesError> {
    if abi == 0 {
        return Ok(Handled::default());
    }
    let handled = Handled::by(abi);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(BitFlags::<AccessFs>::from_bits_truncate(handled.files))?;
    if handled.network != 0 {
        ruleset = ruleset.handle_access(BitFlags::<AccessNet>::from_bits_truncate(handled.network))?;
    }
    if handled.scopes != 0 {
        ruleset = ruleset.scope(BitFlags::<Scope>::from_bits_truncate(handled.scopes))?;
    }
    let mut created = ruleset.create()?;
    for rule in folders {
        // What this kernel cannot deny, it cannot be asked to allow.
        let rights = rule.rights.flags() & BitFlags::from_bits_truncate(handled.files);
        if !rights.is_empty() {
            created = created.add_rule(PathBeneath::new(granted(rule)?, rights))?;
        }
    }
    let status = created.restrict_self()?;
    if status.ruleset == RulesetStatus::FullyEnforced { Ok(handled) } else { Err(FilesError::NotEnforced) }
}

/// Opens the folder of a rule. Its path was resolved when the policy was loaded: a symbolic link in it, or another folder at its
/// end, was put there since, and is refused.
fn granted(rule: &FolderRule) -> Result<OwnedFd, FilesError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |source| FilesError::Folder { folder: rule.host.clone(), source };
    let folder = openat2(CWD, &rule.host, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .map_err(|errno| failed(errno.into()))?;
    let stat = fstat(&folder).map_err(|errno| failed(errno.into()))?;
    let found = FolderId { device: stat.st_dev, inode: stat.st_ino };
    if rule.opened.is_some_and(|opened| opened != found) {
        return Err(failed(io::Error::other("another folder stands there than when the policy was loaded")));
    }
    if is_pseudo(&folder).map_err(|errno| failed(errno.into()))? {
        return Err(FilesError::Pseudo { folder: rule.host.clone() });
    }
    Ok(folder)
}

/// SHA-256 over the masks of what is handled and the rules, one line each.
pub(super) fn digest(handled: Handled, folders: &[FolderRule]) -> Digest {
    let Handled { files, network, scopes } = handled;
    let mut text = format!("handled fs={files:#x} net={network:#x} scope={scopes:#x}\n").into_bytes();
    for FolderRule { host, rights, .. } in folders {
        text.extend(format!("allow fs={:#x} ", rights.bits() & files).into_bytes());
        text.extend(host.as_os_str().as_encoded_bytes());
        text.push(b'\n');
    }
    Digest::of(&text)
}

/// Confines to these folders as far as this kernel's Landlock can; not at all without Landlock. For Tollgate's own processes.
pub(super) fn restrict_to_folders(folders: &[&Path]) -> Result<(), FilesError> {
    // Opened before: a missing folder would leave the process without rights, and fail only later.
    let folders: Vec<PathFd> = folders.iter().map(PathFd::new).collect::<Result<_, _>>()?;
    let rules =
        folders.into_iter().map(|folder| Ok::<_, RulesetError>(PathBeneath::new(folder, AccessFs::from_all(ABI::V6))));
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(rules)?
        .restrict_self()?;
    if is_enforced(&status) { Ok(()) } else { Err(FilesError::NotEnforced) }
}

fn is_enforced(status: &RestrictionStatus) -> bool {
    match (&status.ruleset, &status.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, _) => true,
        (RulesetStatus::NotEnforced, LandlockStatus::Available { .. }) => false,
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => true,
    }
}

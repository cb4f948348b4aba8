//! Files, network and signals, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("Landlock refuses the rules")]
    Ruleset(#[from] RulesetError),
    #[error("a folder that must stay in reach cannot be opened")]
    Folder(#[from] landlock::PathFdError),
    #[error("the kernel has Landlock, but did not enforce the rules")]
    NotEnforced,
}

/// As much as this kernel's Landlock can do; nothing where there is none.
pub(super) fn restrict(folders: &[&Path]) -> Result<(), FilesError> {
    // Opened here: a folder that is not there would leave the process with no rights at all, and only fail later.
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

//! Files, network and signals, by Landlock.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, LandlockStatus, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};

#[derive(Debug, thiserror::Error)]
pub(super) enum FilesError {
    #[error("Landlock refuses the rules")]
    Ruleset(#[from] landlock::RulesetError),
    #[error("the kernel has Landlock, but did not enforce the rules")]
    NotEnforced,
}

/// As much as this kernel's Landlock can do; nothing where there is none.
pub(super) fn restrict(folders: &[&Path]) -> Result<(), FilesError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(folders, AccessFs::from_all(ABI::V6)))?
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

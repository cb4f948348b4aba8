//! Three things that must hold wherever a tool changes names: links lead nowhere out of their granted folder, policies stay
//! where they are, and the place of a granted folder stays that folder's.

use crate::call::Target;
use crate::path::{FsPath, moves_up};
use crate::policy_name::Carries;
use crate::reach::Reach;
use crate::reason::Reason;
use crate::rule::{Denial, Rule};
use crate::set::{CapabilitySet, FsCapability};

/// A name that is made, moved or taken away.
#[derive(Clone, Copy)]
pub(crate) struct Name<'a, 's> {
    pub(crate) fs: &'s FsCapability,
    pub(crate) path: &'a FsPath,
    /// Whether a symbolic link is on the way to it, so that its place is another one than its text says.
    pub(crate) linked: bool,
    /// What stands there.
    pub(crate) found: Target,
}

impl Name<'_, '_> {
    fn below(&self) -> &str {
        self.path.resolved().unwrap_or_default()
    }

    /// How many folders below the granted folder the one is that holds the name.
    fn depth(&self) -> u32 {
        u32::try_from(self.below().matches('/').count()).unwrap_or(u32::MAX)
    }
}

/// A new link, or one that gets a new name, leads nowhere out of the granted folder from there.
pub(crate) fn link_stays<'s>(new: Name<'_, 's>, reach: Option<Reach>) -> Result<(), Denial<'s>> {
    let missing = Rule::FsBeneath { guest: &new.fs.guest };
    match reach {
        Some(reach) if reach.only_down() => Ok(()),
        Some(reach) if !reach.stays_at(new.depth()) => Err(Denial { missing, reason: Reason::LinkText }),
        None => Err(Denial { missing, reason: Reason::LinkText }),
        Some(_) if new.linked => Err(Denial { missing, reason: Reason::LinkPlace }),
        Some(_) => Ok(()),
    }
}

/// As [`link_stays`], for the links in a folder that moves. One that does not come nearer to the granted folder takes its
/// links nowhere out, and need not be looked at.
pub(crate) fn links_in_folder_stay<'s>(
    old: Name<'_, 's>,
    new: Name<'_, 's>,
    reach: Option<Reach>,
) -> Result<(), Denial<'s>> {
    if !moves_up((old.path, old.linked), (new.path, new.linked)) {
        return Ok(());
    }
    let stays = reach.is_some_and(|reach| reach.only_down() || (!new.linked && reach.stays_at(new.depth())));
    if stays {
        return Ok(());
    }
    Err(Denial { missing: Rule::FsBeneath { guest: &new.fs.guest }, reason: Reason::LinksInFolder })
}

/// A folder that moves takes no policy along: a later run that starts in the folder's new place would find it there. What
/// nobody looked at may have one.
pub(crate) fn no_policy_moves<'s>(folder: Name<'_, 's>, carries: Option<Carries>) -> Result<(), Denial<'s>> {
    let reason = match carries {
        Some(Carries::NoPolicy) => return Ok(()),
        Some(Carries::Policy) => Reason::PolicyInFolder,
        Some(Carries::Unseen) | None => Reason::FolderUnseen,
    };
    Err(Denial { missing: Rule::FsPolicy { guest: &folder.fs.guest }, reason })
}

/// The place of a granted folder, and of every folder that it is in, stays what it is: another folder in its place would be
/// granted by the next load.
pub(crate) fn place_is_kept<'s>(set: &CapabilitySet, name: Name<'_, 's>) -> Result<(), Denial<'s>> {
    if name.below().is_empty() {
        // The granted folder itself, by itself: no call can name its place.
        return Ok(());
    }
    let place = name.fs.host.join(name.below());
    let missing = Rule::FsPlace { guest: &name.fs.guest };
    if set.fs.iter().any(|granted| granted.host.starts_with(&place)) {
        return Err(Denial { missing, reason: Reason::GrantedPlace });
    }
    let is_in_this = |granted: &FsCapability| granted.host != name.fs.host && granted.host.starts_with(&name.fs.host);
    if name.linked && set.fs.iter().any(is_in_this) {
        return Err(Denial { missing, reason: Reason::PlaceByLink });
    }
    // By a name that no path shows, such as that of another mount.
    let is_this = |granted: &FsCapability| granted.opened.is_some() && granted.opened == name.found.id();
    if set.fs.iter().any(is_this) {
        return Err(Denial { missing, reason: Reason::GrantedPlace });
    }
    Ok(())
}

/// As [`place_is_kept`], where nothing but a new name can come of the call: what stands there already stays.
pub(crate) fn place_is_free<'s>(
    set: &CapabilitySet,
    fs: &'s FsCapability,
    path: &FsPath,
    target: Target,
) -> Result<(), Denial<'s>> {
    if target == Target::Absent { place_is_kept(set, Name { fs, path, linked: false, found: target }) } else { Ok(()) }
}

//! How the processes of a command are run.

use std::path::Path;

use tollgate_config::Deployment;

use tollgate_authority::{Deciding, DecidingPlaces};

/// How workers are run: what a policy says of them, and what none of their tools may reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    pub(crate) deployment: Deployment,
    pub(crate) places: DecidingPlaces,
}

impl Running {
    /// As this, where no tool reaches `path` either.
    pub(crate) fn with(self, what: Deciding, path: &Path) -> Self {
        Self { places: self.places.with(what, path), ..self }
    }

    /// As this, where no tool reaches the ledger in `folder`, which may not be there yet.
    pub(crate) fn with_ledger(self, folder: &Path) -> Self {
        Self { places: self.places.with_ledger(folder), ..self }
    }
}

//! Processes that are all sealed alike, in which attacks are made.

use tollgate::error::LoadError;
use tollgate::worker::ThreadKind;

use super::scene::Scene;
use super::verdict::{Drilled, Verdict, judge};
use super::{Attack, Stop};

/// A kind of process that attacks are made in, one process for each.
pub trait Target {
    /// What must stop an attack here; none where it has no meaning.
    fn stop(&self, attack: &Attack) -> Option<Stop>;

    /// The kinds of thread that such a process has.
    fn threads(&self) -> &'static [ThreadKind];

    /// Has a process make the attack, which `stop` must stop, and looks what came of it.
    ///
    /// # Errors
    ///
    /// [`DrillError`]: it was not made.
    fn make(&self, scene: &mut Scene, attack: &Attack, stop: Stop, thread: ThreadKind) -> Result<Verdict, DrillError>;
}

/// What is to be said of an attack that was made: nothing outside may have changed, and only `stop` counts.
pub(crate) fn judged(scene: &mut Scene, stop: Stop, thread: ThreadKind, drilled: &Drilled) -> Verdict {
    match scene.unharmed() {
        Ok(()) => judge(stop, thread, drilled),
        Err(harm) => Verdict::Escaped(tollgate::error::with_causes(&harm)),
    }
}

/// Why an attack could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// A worker does not start.
    #[error("a worker does not start")]
    Worker(#[from] LoadError),
    /// A gateway does not start, or does not end.
    #[error("a gateway cannot be drilled")]
    Gateway(#[source] std::io::Error),
    /// The order for an attack cannot be written.
    #[error("an order for the drill cannot be written")]
    Order(#[from] serde_json::Error),
    /// The place for attacks cannot be made.
    #[error("files for the drill cannot be made")]
    Scene(#[from] std::io::Error),
}

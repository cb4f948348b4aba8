//! Withdrawing a call, from any thread and at any time: before it begins, while it waits, while its guest runs.
//!
//! ```text
//! Cancel::cancel ─▶ the call waits for its turn, its worker or a thread ─▶ it is woken, and waits no longer
//!                ├▶ its worker runs it ─▶ the worker is told; it ends the guest ─▶ the call's end is on record
//!                │                    └▶ a host call of the guest hangs: the worker is killed after the grace
//!                └▶ this process runs it ─▶ its guest is ended, unless a host call hangs
//! ```

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tollgate_system::lock;

/// Withdraws one call; cheap to clone. Once used, it withdraws each later call that is made with it as well.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_cancelled: AtomicBool,
    // How the call is told where it is now.
    tell: Mutex<Option<Tell>>,
}

/// Tells a call that it is withdrawn. May be called more than once, and late, when the call is over.
pub(crate) type Tell = Arc<dyn Fn() + Send + Sync>;

/// Where a call is now. Dropping it says that the call is there no longer.
pub(crate) struct At<'c>(&'c Cancel);

impl Cancel {
    /// For a call that is to be made.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Withdraws the call. It fails as [`CallError::Cancelled`](tollgate_engine::error::CallError::Cancelled), unless it ended
    /// before, and is on record under the class `cancelled`. Returns at once: the call's own thread returns when the call is over.
    pub fn cancel(&self) {
        if self.0.is_cancelled.swap(true, Ordering::SeqCst) {
            return;
        }
        let tell = lock(&self.0.tell).clone();
        if let Some(tell) = tell {
            tell();
        }
    }

    /// Whether [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::SeqCst)
    }

    /// Notes that `tell` reaches the call until the returned value is dropped. A call that is withdrawn already is told at once.
    pub(crate) fn at(&self, tell: Tell) -> At<'_> {
        *lock(&self.0.tell) = Some(Arc::clone(&tell));
        // `cancel` in between tells it too.
        if self.is_cancelled() {
            tell();
        }
        At(self)
    }
}

impl Drop for At<'_> {
    fn drop(&mut self) {
        let before = lock(&self.0.0.tell).take();
        drop(before);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("is_cancelled", &self.is_cancelled).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn a_call_is_told_where_it_is_and_no_longer() {
        let (cancel, told) = (Cancel::new(), Arc::new(AtomicU32::new(0)));
        let tell = || -> Tell {
            let told = Arc::clone(&told);
            Arc::new(move || {
                told.fetch_add(1, Ordering::SeqCst);
            })
        };
        drop(cancel.at(tell()));
        let at = cancel.at(tell());
        assert!(!cancel.is_cancelled());
        cancel.clone().cancel();
        cancel.cancel();
        assert_eq!((cancel.is_cancelled(), told.load(Ordering::SeqCst)), (true, 1), "once");
        drop(at);
        drop(cancel.at(tell()));
        assert_eq!(told.load(Ordering::SeqCst), 2, "wherever it comes afterwards");
    }
}

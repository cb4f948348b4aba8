//! The locks and waits that [`Slot`](super::slot::Slot) is built from: the standard library's in the program, loom's in its
//! tests, which try every order of their threads.

use std::ops::DerefMut;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A mutex, a condition and a clock.
pub(crate) trait Primitives: 'static {
    /// Guards a value.
    type Mutex<T>;
    /// The lock of such a mutex, while it is held.
    type Guard<'m, T: 'm>: DerefMut<Target = T>;
    /// Where threads wait for a change.
    type Condvar;
    /// A moment.
    type Instant: Copy;

    fn mutex<T>(value: T) -> Self::Mutex<T>;
    fn condvar() -> Self::Condvar;
    fn lock<'m, T: 'm>(mutex: &'m Self::Mutex<T>) -> Self::Guard<'m, T>;
    /// Waits until [`Primitives::notify_all`], or `until`, or for no reason.
    fn wait<'m, T: 'm>(condvar: &Self::Condvar, guard: Self::Guard<'m, T>, until: Self::Instant) -> Self::Guard<'m, T>;
    fn notify_all(condvar: &Self::Condvar);
    fn now() -> Self::Instant;
    /// Whether this moment has come.
    fn is_past(moment: Self::Instant) -> bool;
}

/// Those of the standard library.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Std;

impl Primitives for Std {
    type Mutex<T> = Mutex<T>;
    type Guard<'m, T: 'm> = MutexGuard<'m, T>;
    type Condvar = Condvar;
    type Instant = Instant;

    fn mutex<T>(value: T) -> Mutex<T> {
        Mutex::new(value)
    }

    fn condvar() -> Condvar {
        Condvar::new()
    }

    fn lock<'m, T: 'm>(mutex: &'m Mutex<T>) -> MutexGuard<'m, T> {
        lock(mutex)
    }

    fn wait<'m, T: 'm>(condvar: &Condvar, guard: MutexGuard<'m, T>, until: Instant) -> MutexGuard<'m, T> {
        let left = until.saturating_duration_since(Instant::now());
        condvar.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0
    }

    fn notify_all(condvar: &Condvar) {
        condvar.notify_all();
    }

    fn now() -> Instant {
        Instant::now()
    }

    fn is_past(moment: Instant) -> bool {
        moment <= Instant::now()
    }
}

/// Takes a lock, also after a panic under it: every state under these locks is whole at any time.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

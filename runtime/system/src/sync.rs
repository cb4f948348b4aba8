//! Locks that outlive a panic.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Takes a lock. A thread that panicked while it held the lock is no reason to stop the others: every state under our locks is whole
/// at each moment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    held(mutex.lock())
}

/// The lock that a wait gives back (`Condvar`), whether or not another thread panicked over it.
pub fn held<T>(waited: LockResult<T>) -> T {
    waited.unwrap_or_else(PoisonError::into_inner)
}

//! Calls of one tool at the same time: the cap on them.

use std::sync::atomic::{AtomicU32, Ordering};

use tollgate_capability::Cap;

use crate::error::CapHit;

/// A place taken by a running call.
#[derive(Debug)]
pub struct Running<'t>(&'t AtomicU32);

impl<'t> Running<'t> {
    /// Takes a place, if one of `limit` is left.
    ///
    /// # Errors
    ///
    /// [`CapHit`] on [`Cap::Calls`]: so many run already.
    pub fn enter(running: &'t AtomicU32, limit: u32) -> Result<Self, CapHit> {
        let before = running.fetch_add(1, Ordering::SeqCst);
        let entered = Self(running);
        if before >= limit {
            return Err(CapHit { cap: Cap::Calls, asked: Some(u64::from(before) + 1), limit: limit.into() });
        }
        Ok(entered)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

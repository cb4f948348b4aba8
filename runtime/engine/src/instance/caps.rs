//! The cap on memory: the sum over all linear memories and tables of an instance. Growth beyond it ends the call.

use tollgate_capability::Cap;
use wasmtime::ResourceLimiter;

use crate::error::CapHit;

/// Counts what the instance has grown to.
#[derive(Debug)]
pub(crate) struct Caps {
    cap_bytes: u64,
    used_bytes: u64,
}

/// Bytes that a table element counts as: a pointer and what it keeps alive.
const TABLE_ELEMENT_BYTES: u64 = 16;

impl Caps {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self { cap_bytes: memory_bytes, used_bytes: 0 }
    }

    /// Bytes in use; memories never shrink, so this is the peak too.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.used_bytes
    }

    fn grow(&mut self, by: u64) -> wasmtime::Result<bool> {
        let asked = self.used_bytes.saturating_add(by);
        if asked > self.cap_bytes {
            return Err(self.hit(asked).into());
        }
        self.used_bytes = asked;
        Ok(true)
    }

    fn hit(&self, asked: u64) -> CapHit {
        CapHit { cap: Cap::Memory, asked: Some(asked), limit: self.cap_bytes }
    }
}

impl ResourceLimiter for Caps {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(desired.saturating_sub(current) as u64)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES))
    }

    /// The pool has less room than the cap. For the caller both are the cap.
    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.hit(self.used_bytes).into())
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.hit(self.used_bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_share_one_cap() {
        let mut caps = Caps::new(1000);
        assert!(caps.memory_growing(0, 400, None).unwrap());
        assert!(caps.memory_growing(0, 200, None).unwrap());
        assert!(caps.table_growing(0, 25, None).unwrap());
        assert_eq!(caps.peak_bytes(), 1000);
        let error = caps.memory_growing(400, 401, None).unwrap_err();
        let hit = CapHit { cap: Cap::Memory, asked: Some(1001), limit: 1000 };
        assert_eq!(error.downcast_ref(), Some(&hit));
        assert_eq!(caps.peak_bytes(), 1000, "what was refused is not counted");
    }
}

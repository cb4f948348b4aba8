//! Memory that is free and that this process still holds.

/// Gives it back to the kernel, where the C library can: a process that many threads worked in keeps several MiB otherwise. Takes a
/// millisecond or so, in which other threads may wait for memory.
#[allow(unsafe_code, reason = "rustix allocates nothing")]
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes a number of bytes to keep, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

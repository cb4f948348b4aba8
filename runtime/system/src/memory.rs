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

/// Has the C library serve all threads from few heaps, where it would make as many as eight for each processor: what short-lived
/// threads leave free in each is lost to all others. Before threads are started.
#[allow(unsafe_code, reason = "rustix allocates nothing")]
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number, and may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// One beside the main one: threads that allocate at once seldom wait for each other.
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

//! An allocator that counts, and its counts as they are read in another process of this program, which need not know of it.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Pid, getpid};

/// How often memory was asked for, anew or for a longer or shorter piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allocations {
    /// By threads that said [`count_me_apart`].
    pub(crate) apart: u64,
    /// By all other threads.
    pub(crate) others: u64,
}

impl Allocations {
    /// Those of this process.
    pub(crate) fn here() -> Self {
        let [apart, others] = COUNTS.each_ref().map(|count| count.load(Ordering::SeqCst));
        Self { apart, others }
    }

    /// Those of another process of this program, by its memory: the counts stand as far from where the program is mapped as
    /// here. A sealed process may be looked into by root alone.
    pub(crate) fn of(process: Pid) -> Self {
        let here = COUNTS.as_ptr().addr() - mapped_at(getpid());
        let there = u64::try_from(mapped_at(process) + here).expect("an address");
        let memory = File::open(format!("/proc/{}/mem", process.as_raw_pid())).expect("the memory of a process");
        let [apart, others] = [0, 8].map(|place| {
            let mut count = [0; 8];
            memory.read_exact_at(&mut count, there + place).expect("memory that is there");
            u64::from_ne_bytes(count)
        });
        Self { apart, others }
    }
}

/// Counts what this thread asks for from now on apart.
pub(crate) fn count_me_apart() {
    IS_APART.set(true);
}

/// The lowest address at which a process of this program has the program's file.
fn mapped_at(process: Pid) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", process.as_raw_pid())).expect("the maps of a process");
    let program = std::env::current_exe().expect("this program");
    let is_of_program =
        |line: &&str| line.split_once('/').is_some_and(|(_, path)| Path::new("/").join(path) == program);
    let line = maps.lines().find(is_of_program).expect("a process of this program");
    let (start, _) = line.split_once('-').expect("a range");
    usize::from_str_radix(start, 16).expect("an address")
}

/// The system's allocator, counted.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Apart, others.
static COUNTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

thread_local! {
    // Neither made nor dropped by code, so that an allocator may look at it at any time.
    static IS_APART: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let [apart, others] = &COUNTS;
    let count = if IS_APART.get() { apart } else { others };
    count.fetch_add(1, Ordering::SeqCst);
}

// SAFETY: each method hands its arguments on to the system's allocator, whose result it returns.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the promise of this method, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as for `alloc`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

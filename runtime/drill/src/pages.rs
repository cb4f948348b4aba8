//! Memory that can be executed: what turns a wrong write into code.

use libc::{EACCES, MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE};

use super::machine;
#[cfg(target_arch = "x86_64")]
use super::raw::Miss;
use super::raw::{Reply, descriptor, open2, raw};
use super::{Alone, Attack, Stop};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::blocked("mmap-executable", "map memory that can be executed", libc::SYS_mmap, |_| {
        raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    }),
    Attack::blocked("mmap-all-rights", "map memory that can be written and executed", libc::SYS_mmap, |_| {
        raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    }),
    Attack::blocked("mprotect-executable", "make written memory executable", libc::SYS_mprotect, |_| {
        let page = writable()?;
        raw!(libc::SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC)
    }),
    Attack::blocked("pkey-mprotect-executable", "the same by pkey_mprotect(2)", libc::SYS_pkey_mprotect, |_| {
        let page = writable()?;
        raw!(libc::SYS_pkey_mprotect, page, PAGE, PROT_READ | PROT_EXEC, -1)
    }),
    Attack::blocked(
        "rewrite-code",
        "make code writable, change it, make it executable again",
        libc::SYS_mprotect,
        |_| {
            let code = machine::spare_code();
            raw!(libc::SYS_mprotect, code, PAGE, PROT_READ | PROT_WRITE)?;
            raw!(libc::SYS_mprotect, code, PAGE, PROT_READ | PROT_EXEC)
        },
    ),
    Attack::blocked(
        "grow-executable",
        "extend executable memory by mprotect(PROT_GROWSDOWN)",
        libc::SYS_mprotect,
        |_| {
            let page = writable()?;
            raw!(libc::SYS_mprotect, page, PAGE, PROT_READ | PROT_EXEC | libc::PROT_GROWSUP)
        },
    )
    .alone(Alone::Depends("such memory grows on few architectures")),
    Attack::blocked(
        "memfd-executable",
        "map a file in memory so that it can be executed",
        libc::SYS_memfd_create,
        |_| {
            let file = descriptor(raw!(libc::SYS_memfd_create, c"drill", libc::MFD_CLOEXEC)?)?;
            raw!(libc::SYS_ftruncate, file, PAGE)?;
            raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0)
        },
    ),
    Attack::blocked("file-executable", "map a granted file so that it can be executed", libc::SYS_openat2, |ground| {
        let file = descriptor(open2(&ground.inside("inside")?, libc::O_RDONLY)?)?;
        raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0)
    })
    .with_folder(Stop::Filter(libc::SYS_mmap)),
    Attack::blocked("shared-memory", "make System V shared memory", libc::SYS_shmget, |_| {
        raw!(libc::SYS_shmget, libc::IPC_PRIVATE, PAGE, 0o600)
            .and_then(|id| raw!(libc::SYS_shmctl, id, libc::IPC_RMID, 0))
    }),
    Attack::blocked("shmat-executable", "attach shared memory with SHM_EXEC", libc::SYS_shmat, |_| {
        raw!(libc::SYS_shmat, -1, 0, libc::SHM_EXEC)
    })
    .alone(Alone::Depends("there is no such segment")),
    Attack::blocked(
        "personality",
        "make all that can be read executable (READ_IMPLIES_EXEC)",
        libc::SYS_personality,
        |_| raw!(libc::SYS_personality, libc::READ_IMPLIES_EXEC),
    ),
    Attack::blocked("remap-pages", "move pages of a shared mapping", libc::SYS_remap_file_pages, |_| {
        let page = writable()?;
        raw!(libc::SYS_remap_file_pages, page, PAGE, 0, 0, 0)
    })
    .alone(Alone::Depends("the mapping is private: a shared one is not to be had")),
    Attack::blocked(
        "own-memory-write",
        "write over its own code by process_vm_writev(2)",
        libc::SYS_process_vm_writev,
        |_| {
            let byte = [0xc3_u8; 1];
            let from = [byte.as_ptr().expose_provenance() as u64, 1];
            let page = writable()?;
            let to = [page.cast_unsigned(), 1];
            raw!(libc::SYS_process_vm_writev, std::process::id(), &from, 1, &to, 1, 0)
        },
    ),
    Attack::blocked("map-library", "open a shared library to map its code", libc::SYS_openat2, |_| {
        let file = descriptor(open2(c"/proc/self/exe", libc::O_RDONLY)?)?;
        raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0)
    })
    .with_folder(Stop::Landlock(EACCES)),
    #[cfg(target_arch = "x86_64")]
    Attack::blocked("load-library", "load a library by uselib(2)", libc::SYS_uselib, |ground| {
        raw!(libc::SYS_uselib, &ground.inside("inside")?)
    })
    .alone(Alone::Depends("newer kernels have lost it")),
    Attack::blocked("shadow-stack", "map a stack of return addresses", SYS_MAP_SHADOW_STACK, |_| {
        raw!(SYS_MAP_SHADOW_STACK, 0, PAGE, 1)
    })
    .alone(Alone::Depends("few processors and kernels have it")),
    Attack::blocked("protection-key", "make a memory protection key", libc::SYS_pkey_alloc, |_| {
        raw!(libc::SYS_pkey_alloc, 0, 0)
    })
    .alone(Alone::Depends("not every processor has them")),
    #[cfg(target_arch = "x86_64")]
    Attack::new(
        "old-table-executable",
        "make memory executable through the 32-bit table (int 0x80)",
        Stop::Killed(libc::SIGSYS),
        |_| {
            let flags = MAP_PRIVATE | MAP_ANONYMOUS;
            let page = raw!(libc::SYS_mmap, LOW, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0)?;
            let page = u32::try_from(page).map_err(|_high| Miss::Unable("memory below 4 GiB"))?;
            machine::int_0x80([machine::OLD_MPROTECT, page, 4096, 5])
        },
    )
    .alone(Alone::Depends("the kernel may not run 32-bit programs")),
];

/// A page that can be written.
fn writable() -> Reply {
    raw!(libc::SYS_mmap, 0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
}

const PAGE: u64 = 4096;

/// Where nothing is, below 4 GiB.
#[cfg(target_arch = "x86_64")]
const LOW: u64 = 1 << 30;

/// Linux 6.6, the same on every architecture.
const SYS_MAP_SHADOW_STACK: i64 = 453;

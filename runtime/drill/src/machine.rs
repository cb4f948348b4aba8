//! What no system call function can do: instructions.
//!
//! Only for a process that was started for an attack.

#[cfg(target_arch = "x86_64")]
use super::raw::{Miss, Reply};

/// Code that nothing runs, on pages of its own.
#[repr(C, align(16384))]
struct SpareCode([u8; 16384]);

#[allow(unsafe_code, reason = "a place in the program's code, which only a section's name can give")]
// SAFETY: the section holds nothing else: `.text` with a suffix of our own. Its bytes are never run.
#[unsafe(link_section = ".text.tollgate_drill_spare")]
static SPARE_CODE: SpareCode = SpareCode([0xcc; 16384]);

/// Where there is code that nothing runs.
pub(super) fn spare_code() -> u64 {
    std::hint::black_box(&SPARE_CODE.0).as_ptr().expose_provenance() as u64
}

/// `getpid` in the 32-bit table.
#[cfg(target_arch = "x86_64")]
pub(super) const OLD_GETPID: u32 = 20;

/// `mprotect` in the 32-bit table.
#[cfg(target_arch = "x86_64")]
pub(super) const OLD_MPROTECT: u32 = 125;

/// `socket` in the 32-bit table.
#[cfg(target_arch = "x86_64")]
pub(super) const OLD_SOCKET: u32 = 359;

/// A system call through the kernel's door for 32-bit programs, which has numbers of its own: number, three arguments.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the one instruction that enters the kernel by its 32-bit door")]
pub(super) fn int_0x80([number, first, second, third]: [u32; 4]) -> Reply {
    let answer: u32;
    // SAFETY: the kernel saves every register but `eax`, and r8 to r11, which it clears on this way in. `rbx` cannot be
    // named for an operand, so it is swapped in and back out. The calls made here take numbers, and addresses of memory that
    // the attack mapped for itself.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first:r}",
            "int 0x80",
            "xchg rbx, {first:r}",
            first = inout(reg) u64::from(first) => _,
            inout("eax") number => answer,
            in("ecx") second,
            in("edx") third,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match answer.cast_signed() {
        errno @ -4095..=-1 => Err(Miss::Refused(-errno)),
        value => Ok(i64::from(value)),
    }
}

/// Starts a process that ends at once, by a system call of `fork`'s kind: its number and its flags. What `vfork` and
/// `CLONE_VM` share is this function's stack, so the new process must not leave the instructions below.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a new process on this one's stack may not run any compiled code")]
pub(super) fn split(number: i64, flags: u64) -> Reply {
    let answer: i64;
    // SAFETY: the new process runs two instructions, touches no memory and ends. The kernel changes rax, rcx and r11. The
    // other arguments are zero: no stack of its own, nothing to write.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "2:",
            exit = const libc::SYS_exit,
            inout("rax") number => answer,
            inout("rdi") flags => _,
            in("rsi") 0_u64, in("rdx") 0_u64, in("r10") 0_u64, in("r8") 0_u64,
            out("rcx") _, out("r11") _,
        );
    }
    match i32::try_from(answer) {
        Ok(errno @ -4095..=-1) => Err(Miss::Refused(-errno)),
        Ok(_) | Err(_) => Ok(answer),
    }
}

//! System calls by number, past the standard library: what code that broke out of wasm would make.
//!
//! Nothing here checks or softens a call, and nothing here may be used outside a process that was started for an attack.

use std::ffi::{CStr, CString};
use std::io;
use std::marker::PhantomData;

/// What an attack comes to that did not get its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// The kernel answered with this errno.
    Refused(i32),
    /// Something that the attack needs is not there, so it was not made.
    Unable(&'static str),
}

/// What the last call of an attack gave.
pub(crate) type Reply = Result<i64, Miss>;

/// One argument of a system call. What it points to is borrowed until the call has returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'b> {
    value: i64,
    borrowed: PhantomData<&'b [u8]>,
}

impl Word<'_> {
    const ZERO: Self = Word::of(0);

    const fn of(value: i64) -> Self {
        Self { value, borrowed: PhantomData }
    }

    fn address(address: usize) -> Self {
        Self::of(i64::from_ne_bytes(address.to_ne_bytes()))
    }
}

impl From<i32> for Word<'_> {
    fn from(value: i32) -> Self {
        Self::of(i64::from(value))
    }
}

impl From<u32> for Word<'_> {
    fn from(value: u32) -> Self {
        Self::of(i64::from(value))
    }
}

impl From<i64> for Word<'_> {
    fn from(value: i64) -> Self {
        Self::of(value)
    }
}

impl From<u64> for Word<'_> {
    fn from(value: u64) -> Self {
        Self::of(value.cast_signed())
    }
}

impl<'b> From<&'b CStr> for Word<'b> {
    fn from(text: &'b CStr) -> Self {
        Self::address(text.as_ptr().expose_provenance())
    }
}

impl<'b> From<&'b CString> for Word<'b> {
    fn from(text: &'b CString) -> Self {
        text.as_c_str().into()
    }
}

impl<'b, T> From<&'b [T]> for Word<'b> {
    fn from(values: &'b [T]) -> Self {
        Self::address(values.as_ptr().expose_provenance())
    }
}

impl<'b, T, const N: usize> From<&'b [T; N]> for Word<'b> {
    fn from(values: &'b [T; N]) -> Self {
        values.as_slice().into()
    }
}

impl<'b, T, const N: usize> From<&'b mut [T; N]> for Word<'b> {
    fn from(values: &'b mut [T; N]) -> Self {
        Self::address(values.as_mut_ptr().expose_provenance())
    }
}

/// Makes system call `number` with up to six arguments, as they are.
#[allow(unsafe_code, reason = "the one door of the attacks to the kernel")]
pub(super) fn call(number: i64, arguments: &[Word<'_>]) -> Reply {
    let at = |place: usize| arguments.get(place).unwrap_or(&Word::ZERO).value;
    let [a, b, c, d, e, f] = std::array::from_fn(at);
    // SAFETY: a `Word` that is an address was made from a borrow that lives until this returns, so the kernel reads and
    // writes memory that is there, or is told an address that it checks itself (the others are plain numbers). A call that
    // takes memory or threads away from this process is an attack that worked: the process ends with it.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 { Err(last_error()) } else { Ok(answer) }
}

fn last_error() -> Miss {
    Miss::Refused(io::Error::last_os_error().raw_os_error().unwrap_or_default())
}

/// `raw!(number, arguments…)`: a system call, with arguments of whatever type they have.
macro_rules! raw {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::raw::call($number, &[$($crate::raw::Word::from($argument)),*])
    };
}
pub(super) use raw;

/// A descriptor that a call gave.
pub(super) fn descriptor(answer: i64) -> Result<i32, Miss> {
    i32::try_from(answer).map_err(|_too_large| Miss::Unable("no descriptor"))
}

/// `openat2(2)` of a path as it is, resolved as the kernel likes.
pub(super) fn open2(path: &CStr, flags: i32) -> Reply {
    open2_at(libc::AT_FDCWD, path, flags)
}

/// The same, from a folder's descriptor.
pub(super) fn open2_at(folder: i32, path: &CStr, flags: i32) -> Reply {
    let mode = if flags & libc::O_CREAT == 0 { 0 } else { 0o600 };
    let how = [u64::from(flags.unsigned_abs()), mode, 0];
    raw!(libc::SYS_openat2, folder, path, &how, size_of_val(&how) as u64)
}

//! What a guest learns of a file. Times are a clock: they must never be told finer than the guest's wall clock shows them.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Stat, fstat};
use rustix::io::Errno;
use tollgate_capability::{COARSE_CLOCK_NS, Call, ClockMode, FsCall};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorStat, DescriptorType};

use super::probe::names_of;
use crate::gate::{Checked, Failed, Performed, Permit};
use crate::handle::OnHandle;

/// `fstat` of what stands at a path, found by looking before the call was allowed.
pub(crate) fn stat_at(
    permit: Permit,
    probed: Result<OwnedFd, Errno>,
    clock: Option<ClockMode>,
) -> Performed<DescriptorStat> {
    permit.perform(|call| {
        let Call::Fs(FsCall::StatAt { .. }) = call else { return Err(Failed::Broken) };
        told(probed?, clock)
    })
}

/// `fstat` of a handle.
pub(crate) fn stat(on: OnHandle<Checked>, clock: Option<ClockMode>) -> Result<DescriptorStat, Failed> {
    let (proof, file) = on.into_parts();
    let Call::Fs(FsCall::Stat { .. }) = proof.call() else { return Err(Failed::Broken) };
    told(&*file, clock)
}

fn told(file: impl AsFd, clock: Option<ClockMode>) -> Result<DescriptorStat, Failed> {
    let found: Stat = fstat(file)?;
    Ok(DescriptorStat {
        type_: kind(FileType::from_raw_mode(found.st_mode)),
        link_count: names_of(&found),
        size: u64::try_from(found.st_size).unwrap_or(0),
        data_access_timestamp: shown(clock, found.st_atime, found.st_atime_nsec),
        data_modification_timestamp: shown(clock, found.st_mtime, found.st_mtime_nsec),
        status_change_timestamp: shown(clock, found.st_ctime, found.st_ctime_nsec),
    })
}

/// A time as the wall clock of the guest shows times. Without a clock, and with one that stands still, there is none: a
/// file that the guest writes by itself would tell it the present. Nor is there one before 1970, where WASI's begin.
fn shown(clock: Option<ClockMode>, seconds: i64, nanoseconds: u64) -> Option<Datetime> {
    let step = match clock {
        Some(ClockMode::Real) => 1,
        Some(ClockMode::Coarse) => COARSE_CLOCK_NS,
        Some(ClockMode::Frozen) | None => return None,
    };
    let seconds = u64::try_from(seconds).ok()?;
    // A second is a whole number of steps, so that a step never begins in one second and ends in another.
    let nanoseconds = u32::try_from(nanoseconds - nanoseconds % step).ok()?;
    Some(Datetime { seconds, nanoseconds })
}

/// WASI's word for a kind of file.
pub(super) fn kind(kind: FileType) -> DescriptorType {
    match kind {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_fine_as_the_wall_clock_and_absent_without_one() {
        let told = |clock| shown(clock, 1_000, 987_654_321).map(|time| (time.seconds, time.nanoseconds));
        assert_eq!(told(Some(ClockMode::Real)), Some((1_000, 987_654_321)));
        assert_eq!(told(Some(ClockMode::Coarse)), Some((1_000, 900_000_000)));
        assert_eq!((told(Some(ClockMode::Frozen)), told(None)), (None, None));
        assert!(shown(Some(ClockMode::Real), -1, 5).is_none(), "before 1970");
        assert_eq!(1_000_000_000 % COARSE_CLOCK_NS, 0);
    }
}

//! How a refusal reaches the guest: WASI's error code where the policy says `deny`, a trap everywhere else.

use rustix::io::Errno;
use tollgate_capability::{PathFault, Reason};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode as FsCode;
use wasmtime_wasi::p2::bindings::sockets::network::ErrorCode as SocketCode;
use wasmtime_wasi::p2::{FsError, SocketError, StreamError};

use crate::gate::Refused;
use crate::handle::Unfit;

impl From<Refused> for FsError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(violation) => fs_code(violation.reason).into(),
            Refused::Killed(_) | Refused::Unrecorded { .. } | Refused::RecordsFull { .. } => Self::trap(refused),
        }
    }
}

impl From<Unfit> for FsError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Refused(refused) => refused.into(),
            Unfit::Handle(errno) => FsCode::from(std::io::Error::from(errno)).into(),
        }
    }
}

impl From<Refused> for SocketError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(_) => SocketCode::AccessDenied.into(),
            Refused::Killed(_) | Refused::Unrecorded { .. } | Refused::RecordsFull { .. } => Self::trap(refused),
        }
    }
}

impl From<Refused> for StreamError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Denied(violation) => {
                let code = fs_errno(violation.reason);
                Self::LastOperationFailed(wasmtime::Error::from(std::io::Error::from(code)))
            }
            Refused::Killed(_) | Refused::Unrecorded { .. } | Refused::RecordsFull { .. } => Self::Trap(refused.into()),
        }
    }
}

fn fs_code(reason: Reason) -> FsCode {
    std::io::Error::from(fs_errno(reason)).into()
}

fn fs_errno(reason: Reason) -> Errno {
    match reason {
        Reason::Path(PathFault::Empty) => Errno::NOENT,
        Reason::Path(PathFault::TooLong) => Errno::NAMETOOLONG,
        Reason::Path(PathFault::Nul) => Errno::INVAL,
        Reason::OverLimit { .. } => Errno::NOSPC,
        Reason::Path(PathFault::Absolute | PathFault::Escapes)
        | Reason::NotGranted
        | Reason::LinkOutside
        | Reason::Excluded
        | Reason::SymlinkUnderPatterns
        | Reason::HardLinksUnderPatterns
        | Reason::FolderRenameUnderPatterns
        | Reason::NotRegular
        | Reason::Mount
        | Reason::Pseudo
        | Reason::LinkText
        | Reason::LinkPlace
        | Reason::LinksInFolder
        | Reason::GrantedPlace
        | Reason::PlaceByLink
        | Reason::Exchanged
        | Reason::GainsRights
        | Reason::PolicyName
        | Reason::PolicyByLink
        | Reason::PolicyInFolder
        | Reason::FolderUnseen => Errno::PERM,
    }
}

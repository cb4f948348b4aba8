//! Why a rule does not hold: for the caller, the record, and whoever asks before. Must never tell an address that the guest did not
//! give, nor a secret.

use thiserror::Error;

use crate::addresses::AddressFault;
use crate::budget::OverBudget;
use crate::header::FieldFault;
use crate::method::MethodFault;
use crate::query::QueryFault;
use crate::rate::TooSoon;
use crate::request::{NameFault, OriginFault};
use crate::scheme::Scheme;
use crate::shown::Shown;
use crate::target::TargetFault;

/// Why a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// It was not granted.
    #[error("it is not granted")]
    NotGranted,
    /// The host is granted by another scheme.
    #[error("the host is granted for `{scheme}`, and not for this scheme")]
    OtherScheme {
        /// The scheme that is granted.
        scheme: Scheme,
    },
    /// The host is granted at another port.
    #[error("the host is granted at port {port}, and not at this one")]
    OtherPort {
        /// The port that is granted.
        port: u16,
    },
    /// Scheme or authority cannot be used.
    #[error(transparent)]
    Origin(#[from] OriginFault),
    /// The method cannot be used.
    #[error(transparent)]
    Method(#[from] MethodFault),
    /// Path or query cannot be used.
    #[error(transparent)]
    Target(#[from] TargetFault),
    /// Header fields may not be sent.
    #[error(transparent)]
    Field(#[from] FieldFault),
    /// The name or the literal address cannot be used.
    #[error(transparent)]
    Name(#[from] NameFault),
    /// The path is excluded.
    #[error("the path is excluded")]
    Excluded,
    /// The grant speaks of query names, and they are not certain.
    #[error("the grant speaks of the names in a query: {0}")]
    Query(#[from] QueryFault),
    /// The grant speaks of query names, and not of this one.
    #[error("the grant does not name `{name}` among those that a query may have")]
    QueryName {
        /// The name.
        name: Shown,
    },
    /// The grant's credential is sent as this parameter.
    #[error("the query parameter `{name}` is where the grant's credential is sent")]
    QueryCredential {
        /// The name.
        name: Shown,
    },
    /// The name is of this machine or this network, and the grant that fits lists no network.
    #[error("it is a name of this machine or this network, and the grant lists no network that it may be in")]
    SpecialName,
    /// The host's address is none that it may have.
    #[error("an address of the host may not be reached: {0}")]
    Address(#[from] AddressFault),
    /// A literal address is dialled as another one.
    #[error("the host is a literal address, and another one was to be dialled")]
    OtherAddress,
    /// More is asked for than is left.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// It comes too soon.
    #[error("the rate of the grant is used up: {0}")]
    TooSoon(#[from] TooSoon),
}

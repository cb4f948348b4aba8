//! Decisions on the network: the grammar of what is asked, the rule on addresses, and the pure check over both.
//!
//! ```text
//! texts of a guest ─▶ HttpRequest, … ─┐
//!                                     ├─ check ─▶ Allowed: what to send, byte for byte
//! words of a policy ─▶ NetworkGrants ─┘           Denied: the missing rule, and why
//! ```
//!
//! - [`HttpRequest`], [`ResolveName`], [`ConnectTcp`], [`DialAddress`]: what is asked for, with what was found in its texts. A text is
//!   **canonical or refused**: nothing is normalised and then sent on, and what two servers could read in two ways is not sent at all.
//! - [`NetworkGrants`]: what is granted; empty grants allow nothing.
//! - [`check`]: the decision. Pure and total, so that several processes can make it, one behind the other, and an auditor repeat it.
//! - [`Addresses`]: which addresses a host may have, whatever its name is.
//! - [`Meters`] and [`RateMeter`]: counters for what is limited, without a clock of their own.
//!
//! Sizes are bytes, times nanoseconds.
//!
//! # Deliberately absent
//!
//! - Sockets, name lookup, TLS, HTTP on the wire, clocks, the environment.
//! - Secrets: a [`Credential`] is a name and a place.
//! - Redirects: each is a request of its own, made by the guest.
//! - UDP, listening, and every word that would grant them.
//! - The list of public suffixes, which who reads a policy brings along ([`NetworkGrants::load`]).
#![forbid(unsafe_code)]

mod address;
mod addresses;
mod authority;
mod budget;
mod check;
mod credential;
mod fold;
mod grant;
mod grants;
mod header;
mod host;
mod method;
mod origin;
mod origin_pattern;
mod paths;
mod percent;
mod query;
mod rate;
mod reason;
mod request;
mod rule;
mod scheme;
mod shown;
mod target;

pub use address::{Special, never_granted, special, stands_for};
pub use addresses::{AddressFault, Addresses, AddressesError, NETWORKS_MAX};
pub use authority::{Authority, AuthorityFault, PortFault};
pub use budget::{
    Budget, CONNECTS_MAX, Meter, Meters, NAMES_MAX, NetworkCap, OPEN_MAX, OverBudget, REQUESTS_MAX, TRAFFIC_BYTES_MAX,
};
pub use check::{
    Allowed, AllowedAddress, AllowedHttp, AllowedName, AllowedTcp, check, check_answers, check_connect, check_dial,
    check_http, check_resolve,
};
pub use credential::{Credential, CredentialError, Place, SECRET_NAME_BYTES_MAX};
pub use grant::{
    GRANTED_QUERY_NAMES_MAX, GrantError, HttpGrant, METHODS_MAX, RawCredential, RawHttpGrant, RawTcpGrant, TcpGrant,
};
pub use grants::{GRANTS_MAX, GrantsError, NetworkGrants, RawNetworkGrants};
pub use header::{FIELD_NAME_BYTES_MAX, FIELDS_MAX, Field, FieldFault, FieldName, Fields, Forbidden, HEAD_BYTES_MAX};
pub use host::{HOST_BYTES_MAX, Host, HostFault, HostName, LABEL_BYTES_MAX};
pub use method::{METHOD_BYTES_MAX, Method, MethodFault};
pub use origin::{Endpoint, Origin};
pub use origin_pattern::{Hosts, KeyError, OriginPattern};
pub use paths::{PATH_PATTERN_BYTES_MAX, PATH_PATTERNS_MAX, Paths, PathsError};
pub use percent::PercentFault;
pub use query::{QUERY_NAMES_MAX, Query, QueryFault};
pub use rate::{RATE_COUNT_MAX, Rate, RateError, RateMeter, TooSoon};
pub use reason::Reason;
pub use request::{
    ConnectTcp, DialAddress, DialFor, HttpRequest, HttpTexts, NameFault, OriginFault, Request, ResolveName,
};
pub use rule::{Denied, HttpPart, Rule, Way};
pub use scheme::{Scheme, SchemeFault};
pub use shown::{SHOWN_BYTES_MAX, Shown};
pub use target::{REQUEST_PATH_BYTES_MAX, TARGET_BYTES_MAX, Target, TargetFault};

/// The example of the README, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

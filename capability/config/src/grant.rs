//! The grant: what an operator gives one tool. It binds the guest's names to things of the host and sets ceilings; it must
//! never give what it does not name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tollgate_capability::{
    AccessSet, AuditSettings, ClockMode, OnViolation, Patterns, RandomMode, RecordScope, StdioSet,
};

use crate::limits::PartialLimits;
use crate::names::{EnvName, GuestPath, OfferedName, OperationName};
use crate::pin::ComponentPin;
use crate::texts::TextError;
use crate::units::ByteSize;

/// Most of a write quota, in bytes: 1 TiB. Who means "no quota" should look at the disk first.
pub const QUOTA_BYTES_MAX: u64 = 1 << 40;

/// What a call may take of the disk below a folder where the grant gives no quota, in bytes: 64 MiB.
pub const WRITE_QUOTA_DEFAULT: u64 = 64 << 20;

/// What an operator gives one tool. The default gives nothing but stdout and stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The one component that it is for; `None`: whichever has its name.
    pub component: Option<ComponentPin>,
    /// Folders, by where the guest sees them.
    pub fs: BTreeMap<GuestPath, FsGrant>,
    /// Environment variables.
    pub env: BTreeMap<EnvName, EnvValue>,
    /// The argument vector.
    pub args: Option<Vec<String>>,
    /// Standard streams; `None`: stdout and stderr.
    pub stdio: Option<StdioSet>,
    /// Random bytes.
    pub random: Option<RandomMode>,
    /// The finest wall clock.
    pub wall_clock: Option<ClockMode>,
    /// The finest monotonic clock.
    pub monotonic_clock: Option<ClockMode>,
    /// The call's context.
    pub context: bool,
    /// Ceilings.
    pub limits: PartialLimits,
    /// What happens when a call is denied.
    pub on_violation: OnViolation,
    /// Which calls are recorded by themselves; the manifest can only ask for more.
    pub record: RecordScope,
    /// What is kept of arguments and results, and when a result may be handed out; the manifest has no say.
    pub audit: AuditSettings,
    /// By what operations are offered to models, where it is not `TOOL_OPERATION`. No other operation of the policy has the same.
    pub aliases: BTreeMap<OperationName, OfferedName>,
}

/// Durable rights, all of them granted.
pub(crate) fn granted(durable: AccessSet, access: AccessSet) -> Result<AccessSet, TextError> {
    let left_out = durable.difference(access);
    if left_out.is_empty() { Ok(durable) } else { Err(TextError::DurableNotGranted { left_out }) }
}

/// A folder of the host for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsGrant {
    /// The host folder: joined to the policy's folder, not yet resolved. Who opens it resolves it, sees that it is there,
    /// and asks [`refuse_host`](crate::refuse_host) again.
    pub host: PathBuf,
    /// What may be done there; never empty.
    pub access: AccessSet,
    /// Which of these rights are used only once the intent is on disk; a part of `access`.
    pub durable: AccessSet,
    /// Which files.
    pub patterns: Patterns,
    /// Bytes of the disk that one call may take; [`WRITE_QUOTA_DEFAULT`] if `None`.
    pub quota: Option<ByteSize>,
    /// Whether it may lie in a folder that a tool may change; then it is bound to its device and inode.
    pub nested: bool,
    /// Whether what is mounted below it is granted too.
    pub mounts: bool,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// As written in the grant.
    Literal(String),
    /// Taken from the operator's environment when the policy is loaded, by name.
    FromHost(EnvName),
}

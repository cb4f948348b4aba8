//! The grant: what an operator gives one tool. It binds the guest's names to things of the host and sets ceilings; it must
//! never give what it does not name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::access::AccessSet;
use crate::adhoc::AdhocGrant;
use crate::audit::AuditSettings;
use crate::binding::ComponentPin;
use crate::limits::PartialLimits;
use crate::names::{EnvName, GuestPath};
use crate::patterns::Patterns;
use crate::set::{ClockMode, OnViolation, RandomMode, Record, StdioSet};
use crate::texts::TextError;
use crate::units::ByteSize;

/// Most of a write quota, in bytes: 1 TiB. Who means "no quota" should look at the disk first.
pub const QUOTA_BYTES_MAX: u64 = 1 << 40;

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
    pub record: Record,
    /// What is kept of arguments and results, and when a result may be handed out; the manifest has no say.
    pub audit: AuditSettings,
}

impl Grant {
    /// Adds what the command line gives. For the same folder, variable, clock, limit or audit setting it replaces what was there; a
    /// folder that is given anew has no durable rights until they are given anew too.
    ///
    /// # Errors
    ///
    /// A [`MergeError`] if it makes a right durable that is not granted by then. The grant is as it was.
    pub fn merge_adhoc(&mut self, adhoc: AdhocGrant) -> Result<(), MergeError> {
        match adhoc {
            AdhocGrant::Fs { guest, fs } => {
                self.fs.insert(guest, fs);
            }
            AdhocGrant::Durable { guest, durable } => self.make_durable(guest, durable)?,
            AdhocGrant::Env { name, value } => {
                self.env.insert(name, value);
            }
            AdhocGrant::Args(args) => self.args = Some(args),
            AdhocGrant::Stdio(stdio) => self.stdio = Some(stdio),
            AdhocGrant::Random(random) => self.random = Some(random),
            AdhocGrant::WallClock(clock) => self.wall_clock = Some(clock),
            AdhocGrant::MonotonicClock(clock) => self.monotonic_clock = Some(clock),
            AdhocGrant::Context => self.context = true,
            AdhocGrant::Arguments(arguments) => self.audit.arguments = arguments,
            AdhocGrant::Acknowledge(acknowledge) => self.audit.acknowledge = acknowledge,
            AdhocGrant::Limits(limits) => self.limits.replace_with(&limits),
        }
        Ok(())
    }

    fn make_durable(&mut self, guest: GuestPath, durable: AccessSet) -> Result<(), MergeError> {
        let Some(fs) = self.fs.get_mut(&guest) else { return Err(MergeError::NoFolder { guest }) };
        fs.durable = granted(durable, fs.access).map_err(|fault| MergeError::Durable { guest, fault })?;
        Ok(())
    }
}

/// Why what the command line gives does not fit what is granted already.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum MergeError {
    /// Rights are durable below a folder that is not granted.
    #[error("the rights below `{guest}` cannot be durable: no such folder is granted")]
    #[diagnostic(help(
        "grant the folder first, such as --grant 'fs:{guest}=PATH:write' --grant 'durable:{guest}=write'"
    ))]
    NoFolder {
        /// The folder.
        guest: GuestPath,
    },
    /// Rights are durable that are not granted.
    #[error("below `{guest}`: {fault}")]
    #[diagnostic(help("grant them in `fs:{guest}=…` before `durable:{guest}=…`, or take them out there"))]
    Durable {
        /// The folder.
        guest: GuestPath,
        /// Which rights.
        fault: TextError,
    },
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
    /// Bytes of the disk that one call may take; [`WRITE_QUOTA_DEFAULT`](crate::WRITE_QUOTA_DEFAULT) if `None`.
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

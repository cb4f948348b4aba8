//! Why a home cannot be opened, a tool cannot be called, or a call has no answer.

use tollgate_authority::{FolderError, PolicyFileError};
use tollgate_config::{BindError, ManifestError, MissingGrants, NameError, ToolName};
use tollgate_engine::artifact::KeyError;
use tollgate_engine::engine::StartError;
use tollgate_engine::error::{CallFailure, LoadError};
use tollgate_supervisor::SupervisorError;

use crate::registry::{FindError, StoredError};

/// Why a home cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The policy cannot be used.
    #[error(transparent)]
    Policy(#[from] Box<PolicyFileError>),
    /// The key of compiled tools cannot be used.
    #[error("the key of compiled tools cannot be used")]
    Key(#[from] KeyError),
    /// No process can be started, or the ledger not be opened.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] StartError),
}

/// Why a tool cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No tool has the name.
    #[error("no tool `{}` is installed", name.escape_debug())]
    Unknown {
        /// The name, as it was given.
        name: String,
    },
    /// What was given can be no name of a tool.
    #[error("`{}` is no name of a tool: {source}", name.escape_debug())]
    NoName {
        /// As it was given.
        name: String,
        /// Why.
        source: NameError,
    },
    /// What is called is a version of a tool, and not the tool.
    #[error(
        "`{}` names a version of a tool: here the current version of a tool is called, by its name alone",
        given.escape_debug()
    )]
    Version {
        /// As it was given.
        given: String,
    },
    /// Its record cannot be used.
    #[error("the installed tool `{name}` cannot be used, {}: {source}", help_of(source))]
    Record {
        /// The tool.
        name: ToolName,
        /// Why.
        source: FindError,
    },
    /// One of its files is gone, cannot be read, or has a second name by which it could be changed.
    #[error("the installed tool `{name}` cannot be used, `tollgate doctor` says more: {what}")]
    Damaged {
        /// The tool.
        name: ToolName,
        /// What is wrong.
        what: String,
    },
    /// The manifest cannot be used.
    #[error("the manifest of the installed tool `{name}` cannot be used: {source}")]
    Manifest {
        /// The tool.
        name: ToolName,
        /// Why.
        source: Box<ManifestError>,
    },
    /// The policy's entry is for another component.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It needs what it is not granted.
    #[error(transparent)]
    Ungranted(Box<MissingGrants>),
    /// A granted folder cannot be opened.
    #[error(transparent)]
    Folder(Box<FolderError>),
    /// Its compiled code is refused.
    #[error(
        "what was compiled of the installed tool `{name}` is refused, `tollgate doctor --fix` compiles it again: {source}"
    )]
    Stored {
        /// The tool.
        name: ToolName,
        /// Why.
        source: StoredError,
    },
    /// The supervisor does not take it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl ToolError {
    /// What an agent is told that is not the operator, where the error itself names folders of this machine, or what the policy says.
    #[must_use]
    pub fn for_agents(&self) -> Option<&'static str> {
        match self {
            Self::Unknown { .. } | Self::NoName { .. } | Self::Version { .. } | Self::Ungranted(_) => None,
            Self::Record { .. }
            | Self::Damaged { .. }
            | Self::Manifest { .. }
            | Self::Bind(_)
            | Self::Folder(_)
            | Self::Stored { .. }
            | Self::Load(_) => Some("the tool cannot be used now, and the operator was told why"),
        }
    }
}

fn help_of(error: &FindError) -> &'static str {
    match error {
        FindError::Older { .. } => "`tollgate doctor --fix` moves it",
        FindError::Unreadable { .. }
        | FindError::NoRecord { .. }
        | FindError::OtherName { .. }
        | FindError::NoFile { .. }
        | FindError::Choice(_) => "`tollgate doctor` says more",
    }
}

impl ToolError {
    /// Whether what is installed is to blame, which `tollgate doctor` finds, and not what the policy says.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Record { .. } | Self::Damaged { .. } | Self::Manifest { .. } | Self::Stored { .. } => true,
            Self::Unknown { .. }
            | Self::NoName { .. }
            | Self::Version { .. }
            | Self::Bind(_)
            | Self::Ungranted(_)
            | Self::Folder(_)
            | Self::Load(_) => false,
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The tool cannot be called at all. The call has no id, and is not on record.
    #[error(transparent)]
    Tool(#[from] Box<ToolError>),
    /// The call failed.
    #[error("{}", .0.error)]
    Call(Box<CallFailure>),
}

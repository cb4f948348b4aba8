//! Why what a policy says of an agent cannot be.

use miette::Diagnostic;
use thiserror::Error;

use crate::names::AgentName;

/// Why an agent cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum AgentError {
    /// The table of agents is empty.
    #[error("`[agents]` names no agent, so that nobody could ask")]
    #[diagnostic(help(
        "name one, such as `[agents.reader]`, or take the table out: then your own user is the agent `local`"
    ))]
    NoAgent,
    /// Its name stands for the operator.
    #[error("the name `{name}` is the operator's own, where a policy has no `[agents]`")]
    #[diagnostic(help("give the agent another name"))]
    Reserved {
        /// The name.
        name: AgentName,
    },
    /// Nothing proves who it is, or more than one thing does.
    #[error("{given} in `is`, and exactly one of `uid`, `token` and `socket` proves who asks")]
    #[diagnostic(help("write one of `{{ uid = 1001 }}`, `{{ token = true }}` and `{{ socket = true }}`"))]
    NotOneProof {
        /// What is there.
        given: String,
    },
    /// A proof that is turned off.
    #[error("`{key} = false` proves nothing")]
    #[diagnostic(help("write `{key} = true`, or one of the others: `uid`, `token`, `socket`"))]
    NoProof {
        /// `token` or `socket`.
        key: &'static str,
    },
    /// An empty list of users.
    #[error("no uid is named")]
    #[diagnostic(help("name at least one user by number, such as `uid = 1001`, or take the agent out"))]
    NoUid,
    /// Not the number of a user or a group.
    #[error("{given} is not a {key}: `{key}` takes a whole number from 0 to 4294967294")]
    #[diagnostic(help("write the number, not the name: {} prints it", id_command(key)))]
    NotAnId {
        /// `uid` or `group`.
        key: &'static str,
        /// What was given, as it would be written.
        given: String,
    },
    /// Not a path for a socket.
    #[error("{given:?} is not the path of a socket")]
    #[diagnostic(help(
        "write an absolute path without `.`, `..`, `//`, control characters or a slash at the end, such as \
         \"/run/tollgate-reader/socket\"; variables are not replaced in it"
    ))]
    NotASocket {
        /// The text.
        given: String,
    },
    /// Not the mode of a socket.
    #[error("{given:?} is not the mode of a socket")]
    #[diagnostic(help(
        "write three octal digits, for owner, group and others, with a `0` before them or without, such as \"0660\""
    ))]
    NotAMode {
        /// The text.
        given: String,
    },
    /// A socket that everybody could open, and that nothing else guards.
    #[error("the mode {given:?} lets every user of this machine open the socket, and the socket is the only proof")]
    #[diagnostic(help("write \"0660\" with a `group`, or let something else prove who asks: `is = {{ uid = 1001 }}`"))]
    OpenToAll {
        /// The mode, as it is written.
        given: String,
    },
    /// A group that the mode keeps out.
    #[error("`group` is given, and the mode \"{mode:04o}\" does not let a group open the socket")]
    #[diagnostic(help("add `mode = \"0660\"`, or take `group` out"))]
    GroupKeptOut {
        /// The mode.
        mode: u32,
    },
    /// TCP without a token.
    #[error(
        "`port` is given, and `is` does not ask for a token: the kernel does not say who is at the other end of TCP"
    )]
    #[diagnostic(help("write `is = {{ token = true }}`, or take `port` out"))]
    PortWithoutToken,
    /// An empty list of operations.
    #[error("no operation is named")]
    #[diagnostic(help("leave the tool out, or name its operations; without `operations` it has all of the tool's"))]
    NoOperation,
}

/// The command that tells a number by a name.
fn id_command(key: &str) -> &'static str {
    if key == "uid" { "`id -u NAME`" } else { "`getent group NAME`" }
}

//! Needs without a grant, and the exact lines that would grant them. It must never grant: it only prints.

use std::fmt;

use miette::Diagnostic;
use thiserror::Error;
use tollgate_capability::{AccessSet, ClockMode, Stdio, StdioSet};

use crate::names::{EnvName, GuestPath, ToolName};

/// A tool cannot start: it needs what nothing grants.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the tool `{tool}` needs what nothing grants: {}", listed(missing))]
pub struct MissingGrants {
    /// The tool.
    pub tool: ToolName,
    /// Every need without a grant; never empty.
    pub missing: Vec<Missing>,
}

impl MissingGrants {
    /// The lines to add to `tollgate.toml`; `PATH` and `VALUE` stand for what only the operator knows.
    #[must_use]
    pub fn toml_lines(&self) -> String {
        let lines = self.missing.iter().map(Missing::toml_line);
        std::iter::once(format!("[tools.{}]", self.tool)).chain(lines).collect::<Vec<_>>().join("\n")
    }

    /// The same as values of `--grant`, but for what they cannot say: more rights of a folder that is granted already, since
    /// a `--grant` of it would drop its patterns and its quota; and what is not set in the operator's environment.
    #[must_use]
    pub fn grant_texts(&self) -> Vec<String> {
        self.missing.iter().filter_map(Missing::grant_text).collect()
    }

    /// What to set where nothing is missing but variables of the operator's environment: the policy needs no other line, and
    /// what is in such a variable may be a secret that should not stand there.
    fn exports(&self) -> Option<String> {
        let export = |missing: &Missing| {
            if let Missing::HostEnv { host, .. } = missing { Some(format!("export {host}=…")) } else { None }
        };
        let exports = self.missing.iter().map(export).collect::<Option<Vec<_>>>()?;
        Some(format!("it is granted from your environment, so set it before `tollgate` runs: `{}`", exports.join("; ")))
    }
}

impl Diagnostic for MissingGrants {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if let Some(exports) = self.exports() {
            return Some(Box::new(exports));
        }
        let texts = self.grant_texts().into_iter().map(|text| format!("--grant '{text}'")).collect::<Vec<_>>();
        let lines = format!("add to tollgate.toml, in the tables that are there already:\n\n{}", self.toml_lines());
        if texts.len() < self.missing.len() {
            return Some(Box::new(lines));
        }
        Some(Box::new(format!("{lines}\n\nor on the command line:\n\n{}", texts.join(" "))))
    }
}

/// A need without a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// A folder, or a right below it: what is granted and what is needed have nothing in common.
    Folder {
        /// The folder.
        guest: GuestPath,
        /// The rights needed.
        access: AccessSet,
        /// The rights granted; empty if the folder is not granted at all.
        granted: AccessSet,
    },
    /// An environment variable.
    Env(EnvName),
    /// The grant takes a variable from the operator's environment, where it is not set, or not to a usable text.
    HostEnv {
        /// The guest's variable.
        name: EnvName,
        /// The operator's.
        host: EnvName,
    },
    /// The argument vector.
    Args,
    /// The bytes that the caller hands in.
    Stdin {
        /// The streams that are granted.
        granted: StdioSet,
    },
    /// Random bytes.
    Random,
    /// The time of day.
    WallClock(ClockMode),
    /// The time since some instant.
    MonotonicClock(ClockMode),
    /// Which call it answers.
    Context,
}

impl Missing {
    fn toml_line(&self) -> String {
        match self {
            Self::Folder { guest, access, granted } if !granted.is_empty() => {
                format!("# fs.\"{guest}\" is there: add {access} to its `access`, and keep the rest of it")
            }
            Self::Folder { guest, access, .. } => {
                let access = access.iter().map(|right| format!("\"{right}\"")).collect::<Vec<_>>().join(", ");
                format!("fs.\"{guest}\" = {{ host = \"PATH\", access = [{access}] }}")
            }
            Self::Env(name) => format!("env.{name} = \"VALUE\"  # a secret: env.{name} = {{ host = \"{name}\" }}"),
            Self::HostEnv { name, host } => {
                format!("# env.{name} is there, and takes {host} from your environment: `export {host}=…`")
            }
            Self::Args => "args = [\"VALUE\"]".to_owned(),
            Self::Stdin { granted } => {
                let streams = with_stdin(*granted).map(|stream| format!("\"{}\"", stream.as_str())).collect::<Vec<_>>();
                format!("stdio = [{}]", streams.join(", "))
            }
            Self::Random => "random = \"secure\"".to_owned(),
            Self::WallClock(mode) => format!("clocks.wall = \"{}\"", mode.as_str()),
            Self::MonotonicClock(mode) => format!("clocks.monotonic = \"{}\"", mode.as_str()),
            Self::Context => "context = true".to_owned(),
        }
    }

    fn grant_text(&self) -> Option<String> {
        Some(match self {
            Self::Folder { granted, .. } if !granted.is_empty() => return None,
            Self::HostEnv { .. } => return None,
            Self::Folder { guest, access, .. } => format!("fs:{guest}=PATH:{access}"),
            Self::Env(name) => format!("env:{name}=VALUE"),
            Self::Args => "args=VALUE".to_owned(),
            Self::Stdin { granted } => {
                let streams = with_stdin(*granted).map(Stdio::as_str).collect::<Vec<_>>();
                format!("stdio={}", streams.join(","))
            }
            Self::Random => "random=secure".to_owned(),
            Self::WallClock(mode) => format!("clock:wall={}", mode.as_str()),
            Self::MonotonicClock(mode) => format!("clock:monotonic={}", mode.as_str()),
            Self::Context => "context".to_owned(),
        })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { guest, access, granted } if granted.is_empty() => write!(f, "the folder {guest} ({access})"),
            Self::Folder { guest, access, granted } => {
                write!(f, "{access} in the folder {guest} (granted there: {granted})")
            }
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::HostEnv { name, host } => {
                write!(f, "the environment variable {name}, taken from {host}, which is not set to a usable text")
            }
            Self::Args => f.write_str("arguments"),
            Self::Stdin { .. } => f.write_str("stdin"),
            Self::Random => f.write_str("random bytes"),
            Self::WallClock(mode) => write!(f, "the wall clock ({})", mode.as_str()),
            Self::MonotonicClock(mode) => write!(f, "the monotonic clock ({})", mode.as_str()),
            Self::Context => f.write_str("the context of the call"),
        }
    }
}

fn with_stdin(granted: StdioSet) -> impl Iterator<Item = Stdio> {
    let all = StdioSet { stdin: true, ..granted };
    [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr].into_iter().filter(move |stream| all.contains(*stream))
}

fn listed(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("; ")
}

//! Tokens by which agents are proven: made for the operator, shown once, and kept as SHA-256 in a file that only the operator's user
//! reads. They are random and long, so that a plain hash is enough: there is nothing to guess.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tollgate_authority::files;
use tollgate_config::AgentName;

/// The file of tokens.
#[derive(Debug, Clone)]
pub struct Tokens {
    path: PathBuf,
}

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("the file of tokens, `{}`, cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("the file of tokens, `{}`, is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Others may write it.
    #[error(
        "the file of tokens, `{}`, can be written by others: its owner is the user {owner}, its mode {mode:04o}",
        path.display()
    )]
    OfOthers {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// An agent has as many as it may.
    #[error("the agent `{agent}` has {TOKENS_MAX} tokens, the most that it may have: remove one first")]
    TooMany {
        /// The agent.
        agent: AgentName,
    },
    /// There is no randomness.
    #[error("there is no randomness for a token")]
    Random,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    /// SHA-256 of each token, in hex, by agent.
    agents: BTreeMap<String, Vec<String>>,
}

impl Tokens {
    /// Those of this file, which need not be there.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes a token for an agent; it cannot be shown again.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn add(&self, agent: &AgentName) -> Result<String, TokenError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_none| TokenError::Random)?;
        let token = format!("{PREFIX}{}", hex::encode(bytes));
        let mut stored = self.stored()?;
        let own = stored.agents.entry(agent.to_string()).or_default();
        if own.len() >= TOKENS_MAX {
            return Err(TokenError::TooMany { agent: agent.clone() });
        }
        own.push(hex::encode(hash(token.as_bytes())));
        self.store(&stored)?;
        Ok(token)
    }

    /// Removes the tokens of an agent whose SHA-256 begins with `start`; all of them where that is empty. How many they were.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn remove(&self, agent: &AgentName, start: &str) -> Result<usize, TokenError> {
        let mut stored = self.stored()?;
        let Some(own) = stored.agents.get_mut(agent.as_str()) else { return Ok(0) };
        let before = own.len();
        own.retain(|hash| !hash.starts_with(start));
        let removed = before - own.len();
        if own.is_empty() {
            stored.agents.remove(agent.as_str());
        }
        if removed > 0 {
            self.store(&stored)?;
        }
        Ok(removed)
    }

    /// The SHA-256 of each token, in hex, by agent.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn hashes(&self) -> Result<BTreeMap<String, Vec<String>>, TokenError> {
        Ok(self.stored()?.agents)
    }

    /// Whether a token is one of this agent's. How long it takes does not tell how much of a wrong one is right.
    ///
    /// # Errors
    ///
    /// [`TokenError`]: then nobody knows, and nobody is let in.
    pub fn is_right(&self, agent: &str, token: &[u8]) -> Result<bool, TokenError> {
        Ok(self.hash_of(agent, token)?.is_some())
    }

    /// As [`Tokens::is_right`], with the SHA-256 of a token that is right, as [`Tokens::hashes`] has it.
    pub(crate) fn hash_of(&self, agent: &str, token: &[u8]) -> Result<Option<String>, TokenError> {
        let given = hash(token);
        let stored = self.stored()?;
        let own = stored.agents.get(agent).map(Vec::as_slice);
        let mut is_right = Choice::from(0);
        for kept in own.unwrap_or_default() {
            let mut bytes = [0; 32];
            if hex::decode_to_slice(kept, &mut bytes).is_ok() {
                is_right |= bytes.ct_eq(&given);
            }
        }
        Ok(bool::from(is_right).then(|| hex::encode(given)))
    }

    /// Tells a file from the one before: each is written anew.
    pub(crate) fn stamp(&self) -> Option<(u64, i64, i64)> {
        let found = std::fs::metadata(&self.path).ok()?;
        Some((found.ino(), found.ctime(), found.ctime_nsec()))
    }

    /// Whoever else may write it makes tokens of their own, for any agent.
    fn must_be_ones_own(&self) -> Result<(), TokenError> {
        let failed = |source| TokenError::File { path: self.path.clone(), source };
        let found = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found.map_err(failed)?,
        };
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        let is_own = [rustix::process::geteuid().as_raw(), ROOT].contains(&owner) && mode & WRITTEN_BY_OTHERS == 0;
        if is_own { Ok(()) } else { Err(TokenError::OfOthers { path: self.path.clone(), owner, mode }) }
    }

    fn stored(&self) -> Result<Stored, TokenError> {
        self.must_be_ones_own()?;
        let bytes = match files::read(&self.path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Stored::default()),
            read => read.map_err(|source| TokenError::File { path: self.path.clone(), source })?,
        };
        let damaged = |what: String| TokenError::Damaged { path: self.path.clone(), what };
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match stored.version {
            VERSION => Ok(stored),
            other => Err(damaged(format!("version {other}; this program reads version {VERSION}"))),
        }
    }

    fn store(&self, stored: &Stored) -> Result<(), TokenError> {
        let failed = |source| TokenError::File { path: self.path.clone(), source };
        let stored = Stored { version: VERSION, agents: stored.agents.clone() };
        let text = serde_json::to_vec(&stored).map_err(|error| failed(error.into()))?;
        let folder = self.path.parent().unwrap_or_else(|| Path::new("/"));
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or(TOKENS_FILE);
        files::make_folder(folder).map_err(failed)?;
        files::write(folder, name, &text).map_err(failed)
    }
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// How the file is called in a home.
pub const TOKENS_FILE: &str = "tokens";

/// Tokens of one agent at the same time: enough to change them one after the other.
pub const TOKENS_MAX: usize = 16;

/// By which people, and scanners for secrets, know one.
const PREFIX: &str = "tollgate_";

const ROOT: u32 = 0;
const WRITTEN_BY_OTHERS: u32 = 0o022;

const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_token_is_right_for_its_agent_alone_and_is_nowhere_in_plain() {
        let around = tempfile::tempdir().unwrap();
        let tokens = Tokens::at(around.path().join("home/tokens"));
        let [web, other]: [AgentName; 2] = ["web", "other"].map(|name| name.parse().unwrap());
        assert!(!tokens.is_right("web", b"").unwrap(), "there is no file");
        let [one, two] = [tokens.add(&web).unwrap(), tokens.add(&web).unwrap()];
        assert!(one != two && one.len() == PREFIX.len() + 64);
        let file = fs::read_to_string(around.path().join("home/tokens")).unwrap();
        assert!(!file.contains(&one[PREFIX.len()..]));
        assert_eq!(fs::metadata(around.path().join("home/tokens")).unwrap().mode() & 0o777, 0o600);
        assert!(tokens.is_right("web", one.as_bytes()).unwrap() && tokens.is_right("web", two.as_bytes()).unwrap());
        assert!(!tokens.is_right("other", one.as_bytes()).unwrap());
        for wrong in [&one.as_bytes()[1..], &one.as_bytes()[..one.len() - 1], b"", b"tollgate_"] {
            assert!(!tokens.is_right("web", wrong).unwrap());
        }
        let first = tokens.hashes().unwrap()["web"][0].clone();
        assert_eq!((tokens.remove(&web, &first[..12]).unwrap(), tokens.remove(&other, "").unwrap()), (1, 0));
        assert!(!tokens.is_right("web", one.as_bytes()).unwrap() && tokens.is_right("web", two.as_bytes()).unwrap());
        assert_eq!(tokens.remove(&web, "").unwrap(), 1);
        assert!(tokens.hashes().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_others_may_write_lets_nobody_in() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("tokens");
        let tokens = Tokens::at(path.clone());
        let token = tokens.add(&"web".parse().unwrap()).unwrap();
        for (mode, is_refused) in [(0o600, false), (0o640, false), (0o620, true), (0o602, true), (0o666, true)] {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            let shown = tokens.is_right("web", token.as_bytes());
            assert_eq!(matches!(shown, Err(TokenError::OfOthers { .. })), is_refused, "{mode:o}: {shown:?}");
        }
    }

    #[test]
    fn a_file_that_is_damaged_lets_nobody_in() {
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("tokens");
        let tokens = Tokens::at(path.clone());
        let token = tokens.add(&"web".parse().unwrap()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for damaged in
            ["", "{}", "nonsense", &text.replace("\"version\":1", "\"version\":2"), &text.replace("agents", "agent")]
        {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(tokens.is_right("web", token.as_bytes()), Err(TokenError::Damaged { .. })), "{damaged}");
        }
    }
}

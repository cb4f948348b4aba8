//! A call made again out of its recorded facts, so that its decision can be repeated. The exact inverse of
//! [`HostCall::function`] and [`HostCall::facts`]: what they cannot have written must never become a call.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::access::{Access, AccessSet};
use crate::call::{AddressFamily, FileId, HandleFacts, HostCall, OpenFlags, Stdio, Target};
use crate::facts::{
    ANYWHERE, CARRIES, CLIMBS, FROM, Fact, PATH, PathKeys, QUOTA_LEFT, SOURCE, TARGET, TO, TargetKeys, flag_words,
};
use crate::functions;
use crate::path::{FsPath, GrantIndex};
use crate::policy_name::Carries;
use crate::reach::Reach;

impl HostCall {
    /// The call that `function` and `facts` stand for. The order of the facts does not matter. A text that the ledger cut
    /// must not be given: it would stand for another call.
    ///
    /// # Errors
    ///
    /// A [`FactsError`] that names the function or the fact which no call has.
    pub fn from_facts(function: &str, facts: &[(&str, Fact<'_>)]) -> Result<Self, FactsError> {
        let mut left = Left::new(facts)?;
        let call = left.call(function)?;
        match left.0.into_keys().next() {
            Some(fact) => Err(FactsError::Extra { fact: fact.to_owned() }),
            None => Ok(call),
        }
    }
}

/// Why facts stand for no call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FactsError {
    /// No call has this function.
    #[error("no host call has the function {function:?}")]
    UnknownFunction {
        /// Its name.
        function: String,
    },
    /// A fact of the call is not there.
    #[error("the fact `{fact}` is missing")]
    Missing {
        /// Its name.
        fact: &'static str,
    },
    /// A fact is there more than once.
    #[error("the fact {fact:?} is there twice")]
    Duplicate {
        /// Its name.
        fact: String,
    },
    /// A fact that the call does not have.
    #[error("the call has no fact {fact:?}")]
    Extra {
        /// Its name.
        fact: String,
    },
    /// A fact is of another type, or has a value that the call cannot have.
    #[error("the fact `{fact}` is not {expected}")]
    Value {
        /// Its name.
        fact: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The facts that nothing has asked for yet.
struct Left<'f>(BTreeMap<&'f str, &'f Fact<'f>>);

impl<'f> Left<'f> {
    fn new(facts: &'f [(&str, Fact<'f>)]) -> Result<Self, FactsError> {
        let mut left = BTreeMap::new();
        for (name, fact) in facts {
            if left.insert(*name, fact).is_some() {
                return Err(FactsError::Duplicate { fact: (*name).to_owned() });
            }
        }
        Ok(Self(left))
    }

    fn call(&mut self, function: &str) -> Result<HostCall, FactsError> {
        use HostCall as Call;
        Ok(match function {
            functions::PREOPEN => Call::Preopen { grant: self.grant("grant")? },
            functions::OPEN_AT => self.open_at()?,
            functions::STAT_AT => Call::StatAt { path: self.path(&PATH)?, target: self.target(&TARGET)? },
            functions::METADATA_HASH_AT => {
                Call::MetadataHashAt { path: self.path(&PATH)?, target: self.target(&TARGET)? }
            }
            functions::READLINK_AT => Call::ReadlinkAt { path: self.path(&PATH)?, target: self.target(&TARGET)? },
            functions::SET_TIMES_AT => Call::SetTimesAt { path: self.path(&PATH)?, target: self.target(&TARGET)? },
            functions::CREATE_DIRECTORY_AT => {
                let (path, target) = (self.path(&PATH)?, self.target(&TARGET)?);
                Call::CreateDirectoryAt { path, target, quota_left: self.quota_left()? }
            }
            functions::REMOVE_DIRECTORY_AT => self.remove_directory_at()?,
            functions::UNLINK_FILE_AT => Call::UnlinkFileAt { path: self.path(&PATH)?, target: self.target(&TARGET)? },
            functions::RENAME_AT => self.rename_at()?,
            functions::LINK_AT => self.link_at()?,
            functions::SYMLINK_AT => self.symlink_at()?,
            functions::READ => Call::Read { handle: self.handle()? },
            functions::WRITE => self.write()?,
            functions::APPEND => Call::Append { handle: self.handle()?, quota_left: self.quota_left()? },
            functions::SET_SIZE => self.set_size()?,
            functions::SET_TIMES => Call::SetTimes { handle: self.handle()? },
            functions::SYNC => Call::Sync { handle: self.handle()? },
            functions::READ_DIRECTORY => Call::ReadDirectory { handle: self.handle()? },
            functions::STAT => Call::Stat { handle: self.handle()? },
            functions::METADATA_HASH => Call::MetadataHash { handle: self.handle()? },
            functions::GET_ENVIRONMENT => Call::GetEnvironment,
            functions::GET_ARGUMENTS => Call::GetArguments,
            functions::GET_STDIN => Call::GetStdio { stream: Stdio::Stdin },
            functions::GET_STDOUT => Call::GetStdio { stream: Stdio::Stdout },
            functions::GET_STDERR => Call::GetStdio { stream: Stdio::Stderr },
            functions::WRITE_STDIO => self.write_stdio()?,
            functions::WALL_CLOCK => Call::WallClock,
            functions::MONOTONIC_CLOCK => Call::MonotonicClock,
            functions::RANDOM_BYTES => Call::RandomBytes { bytes: self.uint("bytes")? },
            functions::INSECURE_RANDOM_BYTES => Call::InsecureRandomBytes { bytes: self.uint("bytes")? },
            functions::GET_CONTEXT => Call::GetContext,
            functions::CREATE_TCP_SOCKET => Call::CreateTcpSocket { family: self.family()? },
            functions::CREATE_UDP_SOCKET => Call::CreateUdpSocket { family: self.family()? },
            functions::RESOLVE_ADDRESSES => Call::ResolveAddresses { name: self.text("name")?.to_owned() },
            other => match functions::socket_method(other) {
                Some(function) => Call::SocketMethod { function },
                None => return Err(FactsError::UnknownFunction { function: other.to_owned() }),
            },
        })
    }

    fn open_at(&mut self) -> Result<HostCall, FactsError> {
        let (path, target) = (self.path(&PATH)?, self.target(&TARGET)?);
        let handles_open = self.uint("handles_open")?;
        let expected = "a number of at most 32 bits";
        let handles_open = handles_open.try_into().map_err(|_large| wrong("handles_open", expected))?;
        let flags = self.flags()?;
        let quota_left = if flags.create { self.quota_left()? } else { 0 };
        Ok(HostCall::OpenAt { path, flags, target, handles_open, quota_left })
    }

    fn rename_at(&mut self) -> Result<HostCall, FactsError> {
        Ok(HostCall::RenameAt {
            from: self.path(&FROM)?,
            from_linked: self.bool(FROM.linked)?,
            source: self.target(&SOURCE)?,
            reach: self.reach()?,
            carries: self.carries()?,
            to: self.path(&TO)?,
            to_linked: self.bool(TO.linked)?,
            target: self.target(&TARGET)?,
            quota_left: self.quota_left()?,
        })
    }

    fn remove_directory_at(&mut self) -> Result<HostCall, FactsError> {
        let (path, linked) = (self.path(&PATH)?, self.bool(PATH.linked)?);
        Ok(HostCall::RemoveDirectoryAt { path, linked, target: self.target(&TARGET)? })
    }

    fn link_at(&mut self) -> Result<HostCall, FactsError> {
        let (from, source, reach) = (self.path(&FROM)?, self.target(&SOURCE)?, self.reach()?);
        let (to, to_linked) = (self.path(&TO)?, self.bool(TO.linked)?);
        Ok(HostCall::LinkAt { from, source, reach, to, to_linked, quota_left: self.quota_left()? })
    }

    fn symlink_at(&mut self) -> Result<HostCall, FactsError> {
        let (content, path) = (self.text("content")?.to_owned(), self.path(&PATH)?);
        Ok(HostCall::SymlinkAt { content, path, linked: self.bool(PATH.linked)?, quota_left: self.quota_left()? })
    }

    fn write(&mut self) -> Result<HostCall, FactsError> {
        let (handle, bytes) = (self.handle()?, self.uint("bytes")?);
        Ok(HostCall::Write { handle, bytes, quota_left: self.quota_left()? })
    }

    fn set_size(&mut self) -> Result<HostCall, FactsError> {
        let (handle, size) = (self.handle()?, self.uint("size")?);
        Ok(HostCall::SetSize { handle, size, growth: self.uint("growth")?, quota_left: self.quota_left()? })
    }

    fn write_stdio(&mut self) -> Result<HostCall, FactsError> {
        let stream = match self.text("stream")? {
            "stdin" => Stdio::Stdin,
            "stdout" => Stdio::Stdout,
            "stderr" => Stdio::Stderr,
            _other => return Err(wrong("stream", "a standard stream")),
        };
        Ok(HostCall::WriteStdio { stream, bytes: self.uint("bytes")?, left: self.uint("left")? })
    }

    fn family(&mut self) -> Result<AddressFamily, FactsError> {
        match self.text("family")? {
            "ipv4" => Ok(AddressFamily::Ipv4),
            "ipv6" => Ok(AddressFamily::Ipv6),
            _other => Err(wrong("family", "an address family")),
        }
    }

    fn path(&mut self, keys: &PathKeys) -> Result<FsPath, FactsError> {
        let dir = if self.0.contains_key(keys.dir) { folder(keys.dir, self.text(keys.dir)?)? } else { "" };
        Ok(FsPath::new(self.grant(keys.grant)?, dir, self.text(keys.asked)?.to_owned()))
    }

    fn target(&mut self, keys: &TargetKeys) -> Result<Target, FactsError> {
        match self.text(keys.kind)? {
            "absent" => Ok(Target::Absent),
            "file" => Ok(Target::File { id: self.id(keys)?, links: self.uint(keys.links)? }),
            "folder" => Ok(Target::Folder { id: self.id(keys)? }),
            "link" => Ok(Target::Link { id: self.id(keys)? }),
            "symlink" => Ok(Target::Symlink),
            "special" => Ok(Target::Special { id: self.id(keys)? }),
            "outside" => Ok(Target::Outside),
            "mount" => Ok(Target::Mount),
            "pseudo" => Ok(Target::Pseudo),
            "policy" => Ok(Target::Policy),
            "unknown" => Ok(Target::Unknown),
            _other => Err(wrong(keys.kind, "a kind of target")),
        }
    }

    fn id(&mut self, keys: &TargetKeys) -> Result<FileId, FactsError> {
        Ok(FileId { device: self.uint(keys.device)?, inode: self.uint(keys.inode)? })
    }

    fn flags(&mut self) -> Result<OpenFlags, FactsError> {
        let text = self.text("flags")?;
        let has = |word: &str| text.split(',').any(|each| each == word);
        let flags = OpenFlags {
            create: has("create"),
            exclusive: has("exclusive"),
            truncate: has("truncate"),
            directory: has("directory"),
            read: has("read"),
            write: has("write"),
            follow: has("follow"),
        };
        if flag_words(flags) == text { Ok(flags) } else { Err(wrong("flags", "a list of open flags in their order")) }
    }

    fn handle(&mut self) -> Result<HandleFacts, FactsError> {
        let text = self.text("rights")?;
        let has = |right: &Access| text.split(',').any(|each| each == right.as_str());
        let rights: AccessSet = Access::ALL.into_iter().filter(has).collect();
        if rights.to_string() != text {
            return Err(wrong("rights", "a list of rights in their order"));
        }
        Ok(HandleFacts { grant: self.grant("grant")?, rights })
    }

    fn grant(&mut self, name: &'static str) -> Result<GrantIndex, FactsError> {
        let index = self.uint(name)?;
        index.try_into().map(GrantIndex).map_err(|_large| wrong(name, "a number of at most 16 bits"))
    }

    fn quota_left(&mut self) -> Result<u64, FactsError> {
        self.uint(QUOTA_LEFT)
    }

    fn text(&mut self, name: &'static str) -> Result<&'f str, FactsError> {
        match self.take(name)? {
            Fact::Text(text) => Ok(text),
            Fact::Uint(_) | Fact::Bool(_) => Err(wrong(name, "a text")),
        }
    }

    fn uint(&mut self, name: &'static str) -> Result<u64, FactsError> {
        match self.take(name)? {
            Fact::Uint(value) => Ok(*value),
            Fact::Text(_) | Fact::Bool(_) => Err(wrong(name, "a number")),
        }
    }

    fn bool(&mut self, name: &'static str) -> Result<bool, FactsError> {
        match self.take(name)? {
            Fact::Bool(value) => Ok(*value),
            Fact::Text(_) | Fact::Uint(_) => Err(wrong(name, "true or false")),
        }
    }

    /// Where links lead; without the fact, nobody looked.
    fn reach(&mut self) -> Result<Option<Reach>, FactsError> {
        let expected = "a number of at most 32 bits, or `anywhere`";
        match self.0.remove(CLIMBS) {
            None => Ok(None),
            Some(Fact::Uint(folders)) => match u32::try_from(*folders) {
                Ok(folders) => Ok(Some(Reach::Up(folders))),
                Err(_large) => Err(wrong(CLIMBS, expected)),
            },
            Some(Fact::Text(word)) if word == ANYWHERE => Ok(Some(Reach::Anywhere)),
            Some(Fact::Text(_) | Fact::Bool(_)) => Err(wrong(CLIMBS, expected)),
        }
    }

    /// What a folder takes along; without the fact, nobody looked.
    fn carries(&mut self) -> Result<Option<Carries>, FactsError> {
        if !self.0.contains_key(CARRIES) {
            return Ok(None);
        }
        let word = self.text(CARRIES)?;
        let known = Carries::ALL.into_iter().find(|carries| carries.as_str() == word);
        known.map(Some).ok_or_else(|| wrong(CARRIES, "`no-policy`, `policy` or `unseen`"))
    }

    fn take(&mut self, name: &'static str) -> Result<&'f Fact<'f>, FactsError> {
        self.0.remove(name).ok_or(FactsError::Missing { fact: name })
    }
}

/// The directory of a handle: it was opened, so it is normalised and below the granted folder.
fn folder<'f>(fact: &'static str, dir: &'f str) -> Result<&'f str, FactsError> {
    let below = FsPath::new(GrantIndex(0), "", dir.to_owned());
    if below.resolved() == Ok(dir) { Ok(dir) } else { Err(wrong(fact, "a normalised path below the granted folder")) }
}

fn wrong(fact: &'static str, expected: &'static str) -> FactsError {
    FactsError::Value { fact, expected }
}

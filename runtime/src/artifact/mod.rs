//! Compiled components as they are stored: bound to the component, to the engine's settings and this machine's CPU, and
//! to a key that only this user's Tollgate has. Must never hand out code whose binding does not hold.
//!
//! ```text
//! offset  bytes
//!      0      8  magic and version, "TGARTFC1"
//!      8     32  SHA-256 of the component
//!     40     32  SHA-256 of what the engine's settings and the CPU's features are to the compiler
//!     72      8  bytes of code, little-endian
//!     80     32  HMAC-SHA256 with the local key over all the rest
//!    112      …  code, as wasmtime serializes it
//! ```

mod cache;
mod hmac;
mod key;

use std::fmt;
use std::hash::{Hash as _, Hasher};

use sha2::{Digest as _, Sha256};
use tollgate_audit::Digest;

pub(crate) use self::cache::{ArtifactCache, CacheLimits};
use self::hmac::{hmac_sha256, same};
pub use self::key::{ArtifactKey, KeyError};
use crate::compiler::CompileLimits;
use crate::runtime::Engine;

/// A compiled component. There are two ways to one: [`Compiler::compile`](crate::compiler::Compiler::compile), and
/// [`Artifact::open`] of what was sealed with the local key.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    component: Digest,
    engine: EngineHash,
    code: Vec<u8>,
}

impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("component", &self.component)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// Why an artifact is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// It is no artifact of this version.
    #[error("it is no artifact of this version of Tollgate")]
    Format,
    /// It belongs to another component.
    #[error("it was compiled from another component")]
    Component,
    /// It was compiled for other settings, another version of the engine, or another CPU.
    #[error("it was compiled by another version of Tollgate or for another CPU")]
    Engine,
    /// It was changed, cut, or sealed with another key.
    #[error("it was changed after it was compiled, or sealed with another key")]
    Tag,
}

impl Artifact {
    /// What the compiler's process made of a component.
    pub(crate) fn compiled(component: Digest, engine: &Engine, code: Vec<u8>) -> Self {
        Self { component, engine: EngineHash::of(engine), code }
    }

    /// SHA-256 of the component that it was compiled from.
    #[must_use]
    pub fn component(&self) -> Digest {
        self.component
    }

    /// What it was compiled for.
    #[must_use]
    pub fn engine(&self) -> EngineHash {
        self.engine
    }

    /// The code, which came from the compiler's process or through [`Artifact::open`].
    pub(crate) fn code(&self) -> &[u8] {
        &self.code
    }

    /// The artifact as it is stored.
    #[must_use]
    pub fn seal(&self, key: &ArtifactKey) -> Vec<u8> {
        let head = self.head();
        let tag = hmac_sha256(&key.0, &[&head, &self.code]);
        [&head[..], &tag, &self.code].concat()
    }

    /// The artifact that was stored as `bytes`, if it was sealed with `key`, was compiled from this component, and fits
    /// this engine on this machine.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`].
    pub fn open(bytes: &[u8], key: &ArtifactKey, component: Digest, engine: &Engine) -> Result<Self, ArtifactError> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(ArtifactError::Format)?;
        let (tag, code) = rest.split_first_chunk::<32>().ok_or(ArtifactError::Format)?;
        if !head.starts_with(MAGIC) {
            return Err(ArtifactError::Format);
        }
        if !same(tag, &hmac_sha256(&key.0, &[head, code])) {
            return Err(ArtifactError::Tag);
        }
        let opened = Self { component, engine: EngineHash::of(engine), code: code.to_vec() };
        match opened.head() {
            expected if expected == *head => Ok(opened),
            expected if expected.get(8..40) != head.get(8..40) => Err(ArtifactError::Component),
            _engine => Err(ArtifactError::Engine),
        }
    }

    fn head(&self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        let length = (self.code.len() as u64).to_le_bytes();
        let fields = MAGIC.iter().chain(&self.component.0).chain(&self.engine.0).chain(&length);
        head.iter_mut().zip(fields).for_each(|(byte, field)| *byte = *field);
        head
    }
}

const MAGIC: &[u8; 8] = b"TGARTFC1";
/// Largest file that is read: what the compiler gives at most, and what stands before it.
pub(crate) const STORED_BYTES_MAX: u64 = CompileLimits::DEFAULT.artifact_bytes + 112;
/// All before the tag.
const HEAD_BYTES: usize = 80;

/// Everything about an engine and its machine that compiled code depends on: version of wasmtime, settings, instruction
/// set and the CPU's features ([`wasmtime::Engine::precompile_compatibility_hash`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EngineHash([u8; 32]);

impl EngineHash {
    /// That of `engine`.
    #[must_use]
    pub fn of(engine: &Engine) -> Self {
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.0.precompile_compatibility_hash().hash(&mut hasher);
        Self(hasher.0.finalize().into())
    }
}

impl fmt::Display for EngineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EngineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineHash({self})")
    }
}

/// All that is hashed, into SHA-256.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first bytes of the digest; [`EngineHash::of`] takes all of them.
    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ArtifactKey = ArtifactKey([7; 32]);

    fn artifact(engine: &Engine) -> Artifact {
        Artifact::compiled(Digest([1; 32]), engine, b"some code".to_vec())
    }

    #[test]
    fn the_stored_form_has_golden_bytes() {
        let artifact =
            Artifact { component: Digest([1; 32]), engine: EngineHash([2; 32]), code: b"some code".to_vec() };
        let stored = artifact.seal(&KEY);
        let expected = [
            "5447415254464331".to_owned(),
            "01".repeat(32),
            "02".repeat(32),
            "0900000000000000".to_owned(),
            "d05a993d6e45868b47bb862d795f024111dc16725d9b7b84d718c6ed1320d8f5".to_owned(),
            hex::encode("some code"),
        ];
        assert_eq!(hex::encode(stored), expected.concat());
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let engine = Engine::new(1).unwrap();
        let artifact = artifact(&engine);
        assert_eq!(Artifact::open(&artifact.seal(&KEY), &KEY, artifact.component, &engine), Ok(artifact));
    }

    #[test]
    fn each_bit_that_is_flipped_is_refused() {
        let engine = Engine::new(1).unwrap();
        let artifact = artifact(&engine);
        let stored = artifact.seal(&KEY);
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Artifact::open(&flipped, &KEY, artifact.component, &engine).unwrap_err();
            let expected = if bit < 64 { ArtifactError::Format } else { ArtifactError::Tag };
            assert_eq!(error, expected, "bit {bit}");
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_refused() {
        let engine = Engine::new(1).unwrap();
        let artifact = artifact(&engine);
        let stored = artifact.seal(&KEY);
        let open = |bytes: &[u8]| Artifact::open(bytes, &KEY, artifact.component, &engine);
        for length in 0..stored.len() {
            open(&stored[..length]).unwrap_err();
        }
        assert_eq!(open(&[&stored[..], b"x"].concat()), Err(ArtifactError::Tag));
    }

    #[test]
    fn another_key_component_or_engine_is_told_apart() {
        let engine = Engine::new(1).unwrap();
        let artifact = artifact(&engine);
        let stored = artifact.seal(&KEY);
        let open = |stored: &[u8], key: u8, component: u8| {
            Artifact::open(stored, &ArtifactKey([key; 32]), Digest([component; 32]), &engine)
        };
        assert_eq!(open(&stored, 8, 1), Err(ArtifactError::Tag));
        assert_eq!(open(&stored, 7, 2), Err(ArtifactError::Component));
        let foreign = Artifact { engine: EngineHash([9; 32]), ..artifact };
        assert_eq!(open(&foreign.seal(&KEY), 7, 1), Err(ArtifactError::Engine));
    }

    #[test]
    fn the_engine_hash_is_of_settings_not_of_room() {
        let hash = |calls| EngineHash::of(&Engine::new(calls).unwrap());
        assert_eq!(hash(1), hash(4));
        let mut config = crate::engine_config(1);
        config.consume_fuel(false);
        let other = Engine(wasmtime::Engine::new(&config).unwrap());
        assert_ne!(EngineHash::of(&other), hash(1));
    }
}

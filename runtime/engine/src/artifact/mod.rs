//! Compiled components as they are stored: bound to the component, to the engine's settings and this machine's CPU, and
//! to a key that only this user's Tollgate has. With the machine code goes what was told of the component, so that nobody has to
//! load that code to know. Must never hand out code whose binding does not hold.
//!
//! ```text
//! offset  bytes
//!      0      8  magic and version, "TGARTFC2"
//!      8     32  SHA-256 of the component
//!     40     32  SHA-256 of what the engine's settings and the CPU's features are to the compiler
//!     72      4  bytes of imports and exports, little-endian
//!     76      4  bytes of operations; 0 where the component was not asked for them yet
//!     80      8  bytes of code
//!     88     32  HMAC-SHA256 with the local key over all the rest
//!    120      …  imports and exports, JSON, as the compiler told them
//!             …  operations, JSON, as a sealed worker told them
//!             …  code, as wasmtime serializes it
//! ```

mod cache;
mod hmac;
mod key;
mod told;

use std::fmt;
use std::hash::{Hash as _, Hasher};

use sha2::{Digest as _, Sha256};
use tollgate_audit::Digest;

pub use self::cache::{ArtifactCache, CacheLimits};
use self::hmac::{hmac_sha256, same};
pub use self::key::{ArtifactKey, KeyError};
pub use self::told::{TOLD_BYTES_MAX, open_operations, seal_operations};
use crate::compile_limits::CompileLimits;
use crate::engine::Engine;
use crate::error::LoadError;
use crate::interfaces::{INTERFACES_BYTES_MAX, Import, Interfaces, refuse_what_is_no_component};
use crate::operations::{OPERATIONS_BYTES_MAX, OperationTexts};

/// A compiled component. [`Compiler::compile`](crate::compiler::Compiler::compile) makes one in a sealed process,
/// [`Artifact::open`] opens one that was sealed with the local key, and [`Artifact::compile_unsealed`] is for trusted components.
///
/// A component may have broken into its compiler. Its code is therefore for sealed processes, and what the artifact says of the
/// component is text.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    component: Digest,
    engine: EngineHash,
    interfaces: Interfaces,
    // Once the component was asked.
    operations: Option<OperationTexts>,
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
    /// It is no artifact.
    #[error("it is no artifact of Tollgate")]
    Format,
    /// It is stored in the form of another version.
    #[error("it was stored by another version of Tollgate")]
    Version,
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
    /// Compiles a component in this process; a few hundred milliseconds for a usual tool. For trusted components: others are
    /// compiled by a [`Compiler`](crate::compiler::Compiler), whose process is sealed and capped.
    ///
    /// # Errors
    ///
    /// [`LoadError::NotWasm`], [`LoadError::CoreModule`], [`LoadError::Malformed`].
    pub fn compile_unsealed(engine: &Engine, component: &[u8]) -> Result<Self, LoadError> {
        refuse_what_is_no_component(component)?;
        let malformed = |message: String| LoadError::Malformed { message };
        let code = engine.0.precompile_component(component).map_err(|error| malformed(format!("{error:#}")))?;
        let interfaces = Interfaces::read(component).map_err(|error| malformed(error.to_string()))?;
        Ok(Self::compiled(Digest::of(component), engine, interfaces, code))
    }

    /// What the compiler's process made of a component.
    pub(crate) fn compiled(component: Digest, engine: &Engine, interfaces: Interfaces, code: Vec<u8>) -> Self {
        Self { component, engine: EngineHash::of(engine), interfaces, operations: None, code }
    }

    /// The same, with what the component says of its operations: it must say so again wherever it is loaded.
    #[must_use]
    pub fn with_operations(self, operations: OperationTexts) -> Self {
        Self { operations: Some(operations), ..self }
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

    /// All that the component imports, as the compiler told it.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.interfaces.imports
    }

    /// The same, and what it exports.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// What the component says of its operations, if it was asked.
    pub fn operations(&self) -> Option<&OperationTexts> {
        self.operations.as_ref()
    }

    /// The code, which came from the compiler's process or through [`Artifact::open`].
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// The artifact as it is stored.
    #[must_use]
    pub fn seal(&self, key: &ArtifactKey) -> Vec<u8> {
        let interfaces = self.interfaces.to_bytes();
        let operations = self.operations.as_ref().map(OperationTexts::to_bytes).unwrap_or_default();
        let told = [interfaces.len(), operations.len()];
        let head = head(self.component, self.engine, told, self.code.len());
        let tag = hmac_sha256(&key.0, &[&head, &interfaces, &operations, &self.code]);
        [&head[..], &tag, &interfaces, &operations, &self.code].concat()
    }

    /// The artifact that was stored as `bytes`, if it was sealed with `key`, was compiled from this component, and fits
    /// this engine on this machine.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`].
    pub fn open(bytes: &[u8], key: &ArtifactKey, component: Digest, engine: &Engine) -> Result<Self, ArtifactError> {
        if !bytes.starts_with(MAGIC) {
            let is_other = bytes.starts_with(MAGIC_OF_ANY_VERSION);
            return Err(if is_other { ArtifactError::Version } else { ArtifactError::Format });
        }
        let (stored_head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(ArtifactError::Format)?;
        let (tag, rest) = rest.split_first_chunk::<32>().ok_or(ArtifactError::Format)?;
        if !same(tag, &hmac_sha256(&key.0, &[stored_head, rest])) {
            return Err(ArtifactError::Tag);
        }
        let length = |at: usize| stored_head.get(at..).and_then(|bytes| bytes.first_chunk().copied());
        let told = [72, 76].map(|at| length(at).map_or(0, |bytes| u32::from_le_bytes(bytes) as usize));
        let (interfaces, rest) = rest.split_at_checked(told[0]).ok_or(ArtifactError::Format)?;
        let (operations, code) = rest.split_at_checked(told[1]).ok_or(ArtifactError::Format)?;
        let engine = EngineHash::of(engine);
        match head(component, engine, told, code.len()) {
            expected if expected == *stored_head => {}
            expected if expected.get(8..40) != stored_head.get(8..40) => return Err(ArtifactError::Component),
            expected if expected.get(40..72) != stored_head.get(40..72) => return Err(ArtifactError::Engine),
            _length => return Err(ArtifactError::Format),
        }
        let interfaces = Interfaces::parse(interfaces).map_err(|_unfit| ArtifactError::Format)?;
        let operations = match operations {
            [] => None,
            stored => Some(OperationTexts::parse(stored).ok_or(ArtifactError::Format)?),
        };
        Ok(Self { component, engine, interfaces, operations, code: code.to_vec() })
    }
}

impl Artifact {
    /// Whether stored code of `length` bytes, of which `start` is the first [`START_BYTES`], says that it was compiled of this component for
    /// this engine; whether it says the component's operations, too. For lists: neither tag nor code is looked at, so that
    /// [`Artifact::open`] may still refuse it.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`], but for [`ArtifactError::Tag`].
    pub fn begins_as(start: &[u8], length: u64, component: Digest, engine: EngineHash) -> Result<bool, ArtifactError> {
        if !start.starts_with(MAGIC) {
            let is_other = start.starts_with(MAGIC_OF_ANY_VERSION);
            return Err(if is_other { ArtifactError::Version } else { ArtifactError::Format });
        }
        let at = |from: usize| start.get(from..);
        let (of, by) = (at(8).and_then(<[u8]>::first_chunk), at(40).and_then(<[u8]>::first_chunk));
        let told = [72, 76].map(|from| at(from).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes));
        let code = at(80).and_then(<[u8]>::first_chunk).copied().map(u64::from_le_bytes);
        let ([Some(interfaces), Some(operations)], Some(code)) = (told, code) else {
            return Err(ArtifactError::Format);
        };
        if of != Some(&component.0) {
            return Err(ArtifactError::Component);
        }
        if by != Some(&engine.0) {
            return Err(ArtifactError::Engine);
        }
        let before_code = HEAD_BYTES as u64 + 32 + u64::from(interfaces) + u64::from(operations);
        if code.checked_add(before_code) != Some(length) {
            return Err(ArtifactError::Format);
        }
        Ok(operations > 0)
    }
}

/// All before the tag.
fn head(component: Digest, engine: EngineHash, told: [usize; 2], code: usize) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    // Their bounds are far below: a length that does not fit is one that cannot be opened again.
    let told = told.map(|length| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()).concat();
    let code = (code as u64).to_le_bytes();
    let fields = MAGIC.iter().chain(&component.0).chain(&engine.0).chain(&told).chain(&code);
    head.iter_mut().zip(fields).for_each(|(byte, field)| *byte = *field);
    head
}

const MAGIC: &[u8; 8] = b"TGARTFC2";
const MAGIC_OF_ANY_VERSION: &[u8; 7] = b"TGARTFC";
/// Largest file that is read: what the compiler gives at most, and what stands before it.
pub const STORED_BYTES_MAX: u64 =
    CompileLimits::DEFAULT.artifact_bytes + 120 + (INTERFACES_BYTES_MAX + OPERATIONS_BYTES_MAX) as u64;
/// What stands before the tag.
const HEAD_BYTES: usize = 88;
/// What [`Artifact::begins_as`] looks at.
pub const START_BYTES: usize = HEAD_BYTES;

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

    fn interfaces() -> Interfaces {
        let import = Import { interface: "wasi:io/poll@0.2.6".to_owned(), functions: vec!["poll".to_owned()] };
        Interfaces { imports: vec![import], exports: vec!["out".to_owned()] }
    }

    fn operations() -> OperationTexts {
        let text = [r#"[{"name":"count","description":"","input_schema":"{}","output_schema":"{}"}]"#];
        OperationTexts::parse(text.concat().as_bytes()).unwrap()
    }

    fn artifact(engine: &Engine) -> Artifact {
        let artifact = Artifact::compiled(Digest([1; 32]), engine, interfaces(), b"some code".to_vec());
        artifact.with_operations(operations())
    }

    #[test]
    fn the_stored_form_has_golden_bytes() {
        let artifact = Artifact {
            component: Digest([1; 32]),
            engine: EngineHash([2; 32]),
            interfaces: interfaces(),
            operations: Some(operations()),
            code: b"some code".to_vec(),
        };
        let stored = artifact.seal(&KEY);
        let expected = [
            "5447415254464332".to_owned(),
            "01".repeat(32),
            "02".repeat(32),
            "57000000".to_owned(),
            "4c000000".to_owned(),
            "0900000000000000".to_owned(),
            "7167ab288b9c4614299411be16862573a073855ed3a70ce8b5c0c67f121c5b55".to_owned(),
            hex::encode(r#"{"imports":[{"interface":"wasi:io/poll@0.2.6","functions":["poll"]}],"exports":["out"]}"#),
            hex::encode(r#"[{"name":"count","description":"","input_schema":"{}","output_schema":"{}"}]"#),
            hex::encode("some code"),
        ];
        assert_eq!(hex::encode(stored), expected.concat());
    }

    #[test]
    fn one_whose_component_was_not_asked_has_no_operations() {
        let engine = Engine::new(1).unwrap();
        let untold = Artifact::compiled(Digest([1; 32]), &engine, interfaces(), b"some code".to_vec());
        assert_eq!(Artifact::open(&untold.seal(&KEY), &KEY, untold.component, &engine), Ok(untold));
    }

    /// Sealed with the right key, and still no names, no operations, or lengths that do not meet.
    #[test]
    fn what_is_told_is_parsed_strictly_whoever_sealed_it() {
        let engine = Engine::new(1).unwrap();
        let sealed = |interfaces: &str, operations: &str, told: [usize; 2]| {
            let head = head(Digest([1; 32]), EngineHash::of(&engine), told, 9);
            let rest = [interfaces.as_bytes(), operations.as_bytes(), b"some code"].concat();
            let tag = hmac_sha256(&KEY.0, &[&head, &rest]);
            Artifact::open(&[&head[..], &tag, &rest].concat(), &KEY, Digest([1; 32]), &engine)
        };
        let names = r#"{"imports":[],"exports":[]}"#;
        assert!(sealed(names, "[]", [27, 2]).is_ok());
        for (interfaces, operations, told) in [
            ("", "[]", [0, 2]),
            ("{}", "[]", [2, 2]),
            (r#"{"imports":[],"exports":["a b"]}"#, "[]", [32, 2]),
            (names, "{}", [27, 2]),
            (names, "[1]", [27, 3]),
            (names, "[]", [26, 2]),
            (names, "[]", [27, 3]),
            (names, "[]", [usize::MAX, 2]),
            (names, "[]", [27, usize::MAX]),
        ] {
            assert_eq!(sealed(interfaces, operations, told), Err(ArtifactError::Format), "{interfaces} {operations}");
        }
    }

    #[test]
    fn one_of_another_version_is_told_apart() {
        let engine = Engine::new(1).unwrap();
        let mut stored = artifact(&engine).seal(&KEY);
        stored[7] = b'1';
        assert_eq!(Artifact::open(&stored, &KEY, Digest([1; 32]), &engine), Err(ArtifactError::Version));
        let old = [&b"TGARTFC1"[..], &[0; 104]].concat();
        assert_eq!(Artifact::open(&old, &KEY, Digest([1; 32]), &engine), Err(ArtifactError::Version));
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let engine = Engine::new(1).unwrap();
        let artifact = artifact(&engine);
        assert_eq!(Artifact::open(&artifact.seal(&KEY), &KEY, artifact.component, &engine), Ok(artifact));
    }

    #[test]
    fn its_start_alone_says_whether_it_fits() {
        let engine = Engine::new(1).unwrap();
        let (artifact, of) = (artifact(&engine), EngineHash::of(&engine));
        let stored = artifact.seal(&KEY);
        let length = stored.len() as u64;
        let begins = |start: &[u8], length| Artifact::begins_as(start, length, artifact.component, of);
        let start = &stored[..START_BYTES];
        assert_eq!(begins(start, length), Ok(true));
        let untold = Artifact { operations: None, ..artifact.clone() }.seal(&KEY);
        assert_eq!(begins(&untold[..START_BYTES], untold.len() as u64), Ok(false));
        for wrong in [length - 1, length + 1, 0, u64::MAX] {
            assert_eq!(begins(start, wrong), Err(ArtifactError::Format), "{wrong}");
        }
        (0..START_BYTES).for_each(|cut| assert!(begins(&stored[..cut], length).is_err(), "{cut}"));
        // Where the whole is refused by its start, it is for the same reason.
        for (byte, expected) in [
            (0, ArtifactError::Format),
            (7, ArtifactError::Version),
            (8, ArtifactError::Component),
            (39, ArtifactError::Component),
            (40, ArtifactError::Engine),
            (71, ArtifactError::Engine),
            (72, ArtifactError::Format),
            (80, ArtifactError::Format),
            (87, ArtifactError::Format),
        ] {
            let mut flipped = stored.clone();
            flipped[byte] ^= 1;
            assert_eq!(begins(&flipped[..START_BYTES], length), Err(expected), "{byte}");
        }
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
            let expected = match bit {
                0..56 => ArtifactError::Format,
                56..64 => ArtifactError::Version,
                _rest => ArtifactError::Tag,
            };
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

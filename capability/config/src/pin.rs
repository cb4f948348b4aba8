//! The component that a policy's entry is for. A digest must never be guessed from a text that only looks like one.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

/// The component that an entry of the policy is for, `component = …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComponentPin {
    /// By the SHA-256 of its bytes.
    Digest([u8; 32]),
    /// By its file, as an absolute path that is not resolved.
    Path(PathBuf),
}

impl ComponentPin {
    /// `sha256:` and 64 hex digits is a digest, all else a path, which is joined to `folder`.
    pub(crate) fn parse(text: &str, folder: &Path) -> Result<Self, PinFault> {
        let Some(hex) = text.strip_prefix("sha256:") else {
            if text.is_empty() || text.contains('\0') {
                return Err(PinFault { given: text.to_owned() });
            }
            return Ok(Self::Path(folder.join(text)));
        };
        let mut digest = [0; 32];
        let is_plain = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        match hex::decode_to_slice(hex, &mut digest) {
            Ok(()) if is_plain => Ok(Self::Digest(digest)),
            Ok(()) | Err(_) => Err(PinFault { given: text.to_owned() }),
        }
    }
}

/// Why a `component` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("{given:?} names no component")]
#[diagnostic(help("write \"sha256:\" and the 64 digits that `tollgate inspect` prints, in lower case, or a path"))]
pub struct PinFault {
    /// The text.
    pub given: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_lower_case_hex_of_the_right_length() {
        let parse = |text: &str| ComponentPin::parse(text, Path::new("/p"));
        assert_eq!(parse(&format!("sha256:{}", "0a".repeat(32))), Ok(ComponentPin::Digest([10; 32])));
        assert_eq!(parse("x.wasm"), Ok(ComponentPin::Path("/p/x.wasm".into())));
        for bad in ["", "a\0b", "sha256:", "sha256:0a", &format!("sha256:{}", "0A".repeat(32))] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}

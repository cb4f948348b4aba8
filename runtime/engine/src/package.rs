//! The manifest inside a component: the text of `tool.toml` in the custom section `tollgate:manifest`, at the top level of the
//! component. A manifest only asks for rights, so embedding one gains nothing.

use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::{Chunk, Parser, Payload};

/// Name of the section.
pub const MANIFEST_SECTION: &str = "tollgate:manifest";

pub use tollgate_config::MANIFEST_BYTES_MAX;

/// Why a component's manifest cannot be read or embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The bytes are not a sound binary.
    #[error("it is no sound component: {reason}")]
    Malformed {
        /// The parser's words, with the place.
        reason: String,
    },
    /// There are several sections: which one holds cannot be told.
    #[error("it has several sections `{MANIFEST_SECTION}`")]
    Several,
    /// It has one already.
    #[error("it has a section `{MANIFEST_SECTION}` already")]
    Present,
    /// The section is no text.
    #[error("its section `{MANIFEST_SECTION}` is not UTF-8 text")]
    NotText,
    /// The manifest is too long.
    #[error("the manifest has {bytes} bytes, and the most is {MANIFEST_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

/// The manifest inside a component, if it has one.
///
/// # Errors
///
/// [`PackageError`]. Nothing is guessed.
pub fn embedded_manifest(component: &[u8]) -> Result<Option<&str>, PackageError> {
    let malformed = |reason: String| PackageError::Malformed { reason };
    let (mut parser, mut rest, mut found) = (Parser::new(0), component, None);
    loop {
        let Chunk::Parsed { consumed, payload } =
            parser.parse(rest, true).map_err(|error| malformed(error.to_string()))?
        else {
            return Err(malformed("it is cut off".to_owned()));
        };
        let mut next = component.len() - rest.len() + consumed;
        if let Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } =
            &payload
        {
            // Sections of inner components and modules are not this component's; an interpreter's code is long.
            next = unchecked_range.end;
        } else if matches!(payload, Payload::End(_)) {
            break;
        } else if let Payload::CustomSection(section) = payload
            && section.name() == MANIFEST_SECTION
            && found.replace(section.data()).is_some()
        {
            return Err(PackageError::Several);
        }
        rest = component.get(next..).ok_or_else(|| malformed("it is cut off".to_owned()))?;
    }
    let Some(bytes) = found else { return Ok(None) };
    within_limit(bytes.len())?;
    str::from_utf8(bytes).map(Some).map_err(|_not_utf8| PackageError::NotText)
}

/// `component` with a manifest. The manifest's text is not looked at.
///
/// # Errors
///
/// [`PackageError`]; a component that has a manifest keeps it.
pub fn embed_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>, PackageError> {
    within_limit(manifest.len())?;
    if embedded_manifest(component)?.is_some() {
        return Err(PackageError::Present);
    }
    let mut bytes = component.to_vec();
    CustomSection { name: MANIFEST_SECTION.into(), data: manifest.as_bytes().into() }.append_to_component(&mut bytes);
    Ok(bytes)
}

fn within_limit(bytes: usize) -> Result<(), PackageError> {
    if bytes > MANIFEST_BYTES_MAX { Err(PackageError::TooLong { bytes }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is embedded can be read again: there is one maximum.
    #[test]
    fn a_manifest_that_is_embedded_is_not_too_long_to_be_read() {
        let text = format!("# {}", "x".repeat(MANIFEST_BYTES_MAX - 1));
        let read = tollgate_config::Manifest::parse(&text, "tool.toml").unwrap_err().to_string();
        let embedded = embed_manifest(EMPTY, &text).unwrap_err();
        assert!(matches!(embedded, PackageError::TooLong { bytes } if bytes == text.len()), "{embedded}");
        assert!(read.contains(&MANIFEST_BYTES_MAX.to_string()), "{read}");
    }

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    /// A component within a component that has the section.
    fn nested(inner: &[u8]) -> Vec<u8> {
        let mut bytes = EMPTY.to_vec();
        bytes.extend([4, u8::try_from(inner.len()).unwrap()]);
        bytes.extend(inner);
        bytes
    }

    #[test]
    fn what_is_embedded_is_found_again() {
        let with = embed_manifest(EMPTY, "[tool]\n").unwrap();
        let golden = [EMPTY, b"\x00\x19\x11tollgate:manifest[tool]\n"].concat();
        assert_eq!(with, golden);
        assert_eq!(embedded_manifest(&with).unwrap(), Some("[tool]\n"));
        assert_eq!(embedded_manifest(EMPTY).unwrap(), None);
    }

    #[test]
    fn a_component_has_one_manifest_or_none() {
        let with = embed_manifest(EMPTY, "one").unwrap();
        assert!(matches!(embed_manifest(&with, "two"), Err(PackageError::Present)));
        let twice = [&with[..], &with[EMPTY.len()..]].concat();
        assert!(matches!(embedded_manifest(&twice), Err(PackageError::Several)));
        assert!(matches!(embed_manifest(&twice, "x"), Err(PackageError::Several)));
    }

    #[test]
    fn what_an_inner_component_brings_is_not_the_tools() {
        let inner = embed_manifest(EMPTY, "inner").unwrap();
        let outer = nested(&inner);
        assert_eq!(embedded_manifest(&outer).unwrap(), None);
        assert_eq!(embedded_manifest(&embed_manifest(&outer, "outer").unwrap()).unwrap(), Some("outer"));
    }

    #[test]
    fn what_is_no_text_too_long_or_cut_off_is_refused() {
        let with = embed_manifest(EMPTY, "manifest").unwrap();
        for end in 0..with.len() {
            let cut = embedded_manifest(&with[..end]);
            assert!(end == EMPTY.len() || matches!(cut, Err(PackageError::Malformed { .. })), "{end}: {cut:?}");
        }
        let mut no_text = with;
        *no_text.last_mut().unwrap() = 0xff;
        assert!(matches!(embedded_manifest(&no_text), Err(PackageError::NotText)));
        let long = "x".repeat(MANIFEST_BYTES_MAX + 1);
        assert!(matches!(embed_manifest(EMPTY, &long), Err(PackageError::TooLong { bytes }) if bytes == long.len()));
    }

    /// Sound components with any of their bytes changed.
    #[test]
    fn changed_bytes_are_read_or_refused_and_never_more() {
        let with = embed_manifest(&nested(&embed_manifest(EMPTY, "inner").unwrap()), "outer").unwrap();
        for at in 0..with.len() {
            for byte in 0..=255 {
                let mut changed = with.clone();
                changed[at] = byte;
                if let Ok(Some(text)) = embedded_manifest(&changed) {
                    assert!(text.len() <= with.len());
                }
            }
        }
    }
}

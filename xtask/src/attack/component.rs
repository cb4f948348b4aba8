//! Components that no build tool makes: with a manifest inside, with another schema, with odd imports.

use std::fs;

use super::scene::Scene;
use crate::Result;

/// A component with a custom section `tollgate:manifest`.
pub(super) fn with_manifest(component: &[u8], manifest: &str) -> Vec<u8> {
    const NAME: &[u8] = b"tollgate:manifest";
    let mut section = number(NAME.len());
    section.extend_from_slice(NAME);
    section.extend_from_slice(manifest.as_bytes());
    let mut bytes = component.to_vec();
    bytes.push(0);
    bytes.extend(number(section.len()));
    bytes.extend(section);
    bytes
}

/// The hostile tool with another input schema, as `tools/NAME.wasm`.
pub(super) fn with_schema(scene: &Scene<'_>, name: &str, schema: &str) -> Result<String> {
    const ROOM: &[u8] = br#"{"type": "object", "$comment": "the room for a schema begins here"}"#;
    let mut bytes = fs::read(&scene.stage.hostile)?;
    let at = bytes.windows(ROOM.len()).position(|window| window == ROOM);
    let at = at.ok_or("the hostile tool has no room for a schema")?;
    let room = bytes.get_mut(at..at + schema.len().max(ROOM.len())).ok_or("the schema has no room")?;
    room.fill(b' ');
    room.get_mut(..schema.len()).ok_or("the schema has no room")?.copy_from_slice(schema.as_bytes());
    scene.file(&format!("tools/{name}.wasm"), bytes)?;
    Ok(format!("../tools/{name}.wasm"))
}

/// A component that imports one function by `name`, and exports nothing.
pub(super) fn importing(name: &str) -> Vec<u8> {
    // A function type without parameters and results.
    let types = [1, 0x40, 0, 1, 0];
    let mut imports = vec![1, 0];
    imports.extend(number(name.len()));
    imports.extend_from_slice(name.as_bytes());
    imports.extend([1, 0]);
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    for (id, section) in [(7, types.to_vec()), (10, imports)] {
        bytes.push(id);
        bytes.extend(number(section.len()));
        bytes.extend(section);
    }
    bytes
}

/// LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

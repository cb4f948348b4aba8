//! The names of what a component imports and exports. The compiler's process reads them from the component and sends them beside
//! the machine code, so that the code need not be loaded to know them. Must take no more than bounded plain names from that
//! process: a component may have broken into it.

use std::collections::BTreeSet;
use std::iter::once;

use serde::{Deserialize, Serialize};
use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::TypesRef;
use wasmparser::{Parser, Payload, ValidPayload, Validator, WasmFeatures};

use crate::error::LoadError;

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// Its name, such as `wasi:filesystem/types@0.2.6`.
    pub interface: String,
    /// The functions of it that the component imports; none where it only needs the types.
    pub functions: Vec<String>,
}

/// All that a component imports, and the names of what it exports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interfaces {
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<String>,
}

/// Why the names of imports and exports are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InterfacesError {
    #[error("its imports and exports take {bytes} bytes; the maximum is {INTERFACES_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("it has {names} names of imports and exports; the maximum is {NAMES_MAX}")]
    TooMany { names: usize },
    #[error("`{name}` is no name of an import or export")]
    Name { name: String },
    #[error("`{name}` is there twice")]
    Twice { name: String },
    #[error("its imports and exports cannot be read: {reason}")]
    Unreadable { reason: String },
}

impl Interfaces {
    /// Reads the names from a component's bytes. Checks its types; compiles and runs nothing.
    pub(crate) fn read(component: &[u8]) -> Result<Self, InterfacesError> {
        let unreadable =
            |error: wasmparser::BinaryReaderError| InterfacesError::Unreadable { reason: error.to_string() };
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        let (mut depth, mut imports, mut exports) = (0_usize, Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.map_err(unreadable)?;
            let valid = validator.payload(&payload).map_err(unreadable)?;
            match (&payload, valid) {
                (Payload::ModuleSection { .. } | Payload::ComponentSection { .. }, _) => depth += 1,
                (Payload::ComponentImportSection(section), _) if depth == 0 => {
                    for import in section.clone() {
                        imports.push(import.map_err(unreadable)?.name.name);
                    }
                }
                (Payload::ComponentExportSection(section), _) if depth == 0 => {
                    for export in section.clone() {
                        exports.push(export.map_err(unreadable)?.name.name.to_owned());
                    }
                }
                (Payload::End(_), ValidPayload::End(types)) if depth == 0 => {
                    let types = types.as_ref();
                    let import =
                        |name: &&str| Import { interface: (*name).to_owned(), functions: functions(types, name) };
                    return Self { imports: imports.iter().map(import).collect(), exports }.checked();
                }
                (Payload::End(_), _) => depth = depth.saturating_sub(1),
                (_other, _) => {}
            }
        }
        Err(InterfacesError::Unreadable { reason: "it is cut off".to_owned() })
    }

    /// Parses names that were sent or stored, and refuses any beyond the bounds.
    pub(crate) fn parse(told: &[u8]) -> Result<Self, InterfacesError> {
        if told.len() > INTERFACES_BYTES_MAX {
            return Err(InterfacesError::TooLong { bytes: told.len() });
        }
        let unreadable = |error: serde_json::Error| InterfacesError::Unreadable { reason: error.to_string() };
        serde_json::from_slice::<Self>(told).map_err(unreadable)?.checked()
    }

    /// The JSON that [`Interfaces::parse`] takes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Texts in lists: there is nothing here that JSON cannot hold.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Imports that Tollgate does not have.
    pub fn unknown_imports(&self) -> Vec<String> {
        unknown(&self.imports)
    }

    /// Checks by the names that Tollgate has all imports, and that a tool of a compatible version is exported. Whether the types
    /// fit is found when the component is loaded.
    ///
    /// # Errors
    ///
    /// It is no tool; the error names what is wrong.
    pub fn must_be_of_a_tool(&self) -> Result<(), LoadError> {
        let imports = self.unknown_imports();
        if !imports.is_empty() {
            return Err(LoadError::UnknownImports { imports });
        }
        if self.exports.iter().any(|export| export.starts_with(TOOL_INTERFACE)) {
            return Ok(());
        }
        let message = if self.exports.is_empty() { "nothing".to_owned() } else { self.exports.join(", ") };
        Err(LoadError::NotATool { message: format!("it exports {message}") })
    }

    fn checked(self) -> Result<Self, InterfacesError> {
        let of_imports = self.imports.iter().flat_map(|import| once(&import.interface).chain(&import.functions));
        let names = of_imports.clone().chain(&self.exports).count();
        if names > NAMES_MAX {
            return Err(InterfacesError::TooMany { names });
        }
        if let Some(name) = of_imports.chain(&self.exports).find(|name| !is_name(name)) {
            return Err(InterfacesError::Name { name: shown(name) });
        }
        once_each(self.imports.iter().map(|import| &import.interface))?;
        once_each(&self.exports)?;
        self.imports.iter().try_for_each(|import| once_each(&import.functions))?;
        match self.to_bytes().len() {
            bytes if bytes > INTERFACES_BYTES_MAX => Err(InterfacesError::TooLong { bytes }),
            _bytes => Ok(self),
        }
    }
}

/// The functions of an imported instance.
fn functions(types: TypesRef<'_>, import: &str) -> Vec<String> {
    let instance = match types.component_item_for_import(import) {
        Some(ComponentItem { ty: ComponentEntityType::Instance(instance), .. }) => types.get(*instance),
        Some(_) | None => None,
    };
    let exports = instance.into_iter().flat_map(|instance| instance.exports.iter());
    let functions = exports.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
    functions.map(|(name, _)| name.clone()).collect()
}

/// Whether a text may be a name of the component model: words, dots, dashes and versions, in printable ASCII without spaces.
fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX).flat_map(char::escape_debug).collect()
}

fn once_each<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), InterfacesError> {
    let mut seen = BTreeSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(InterfacesError::Twice { name: name.clone() }),
        None => Ok(()),
    }
}

/// The interface that a tool exports; all versions 0.1 are compatible.
const TOOL_INTERFACE: &str = "tollgate:tool/tool@0.1.";

/// Most bytes of all names of a component, as JSON: ten times what an interpreter imports.
pub(crate) const INTERFACES_BYTES_MAX: usize = 256 << 10;
/// Most names; WASI 0.2 has some 250.
const NAMES_MAX: usize = 4096;
/// Longest name; those of WASI have up to 60 bytes.
const NAME_BYTES_MAX: usize = 256;

/// Interfaces among these that Tollgate does not have.
pub(crate) fn unknown(imports: &[Import]) -> Vec<String> {
    let unknown = imports.iter().filter(|import| !tollgate_wasi_proxy::links(&import.interface));
    unknown.map(|import| import.interface.clone()).collect()
}

/// Refuses bytes that do not begin as a component does.
pub(crate) fn refuse_what_is_no_component(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
        Some([b'\0', b'a', b's', b'm', version @ ..]) => {
            Err(LoadError::Malformed { message: format!("unknown version {version:02x?}") })
        }
        _no_header => Err(LoadError::NotWasm),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_testing::chance::Chance;

    use super::*;
    use crate::{Artifact, Component, Engine};

    fn read(text: &str) -> Result<Interfaces, InterfacesError> {
        Interfaces::read(&wat::parse_str(text).unwrap())
    }

    fn sound() -> Interfaces {
        let import = |interface: &str, functions: &[&str]| Import {
            interface: interface.to_owned(),
            functions: functions.iter().map(|name| (*name).to_owned()).collect(),
        };
        Interfaces {
            imports: vec![
                import("wasi:cli/environment@0.2.6", &["get-environment", "get-arguments"]),
                import("wasi:io/error@0.2.6", &[]),
            ],
            exports: vec!["tollgate:tool/tool@0.1.0".to_owned()],
        }
    }

    #[test]
    fn imports_and_exports_are_read_from_the_outermost_component_alone() {
        let interfaces = read(
            r#"(component
                 (import "acme:a/b@1.0.0" (instance (export "go" (func)) (export "t" (type (sub resource)))))
                 (import "alone" (func))
                 (component (import "inner" (func)) (export "inner-too" (func 0)))
                 (core module (import "m" "f" (func)) (func (export "e")))
                 (export "out" (func 0)))"#,
        );
        let import = |interface: &str, functions: &[&str]| Import {
            interface: interface.to_owned(),
            functions: functions.iter().map(|name| (*name).to_owned()).collect(),
        };
        let expected = Interfaces {
            imports: vec![import("acme:a/b@1.0.0", &["go"]), import("alone", &[])],
            exports: vec!["out".to_owned()],
        };
        assert_eq!(interfaces, Ok(expected));
    }

    /// The same as the engine finds, for every guest there is.
    #[test]
    fn what_is_read_is_what_the_engine_knows_of_every_guest() {
        let engine = Engine::new(1).unwrap();
        for guest in tollgate_example_tools::ALL {
            let bytes = std::fs::read(guest.component).unwrap();
            let read = Interfaces::read(&bytes).unwrap();
            let loaded = Component::from_artifact(&engine, &Artifact::compile_unsealed(&engine, &bytes).unwrap());
            assert_eq!(read.imports, loaded.unwrap().imports, "{}", guest.name);
            read.must_be_of_a_tool().unwrap();
        }
    }

    #[test]
    fn what_is_told_is_taken_within_its_bounds_alone() {
        assert_eq!(Interfaces::parse(&sound().to_bytes()), Ok(sound()));
        let refused = |interfaces: &Interfaces| Interfaces::parse(&interfaces.to_bytes()).unwrap_err();
        let with = |name: &str| {
            let mut interfaces = sound();
            interfaces.imports[0].interface = name.to_owned();
            refused(&interfaces)
        };
        for name in ["", "a b", "a\u{1b}[31m", "a\u{202e}b", "a\nb", "\u{e4}", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(matches!(with(name), InterfacesError::Name { name } if name.is_ascii() || name == "\u{e4}"));
        }
        assert!(matches!(with("wasi:io/error@0.2.6"), InterfacesError::Twice { .. }));
        let mut many = sound();
        many.exports = (0..NAMES_MAX).map(|number| number.to_string()).collect();
        assert!(matches!(refused(&many), InterfacesError::TooMany { .. }));
        let long = [b"{".to_vec(), vec![b' '; INTERFACES_BYTES_MAX]].concat();
        assert!(matches!(Interfaces::parse(&long), Err(InterfacesError::TooLong { .. })));
        for told in ["", "{}", "[]", "{\"imports\":[],\"exports\":[],\"more\":1}", "{\"imports\":[],\"exports\":[]}x"] {
            assert!(matches!(Interfaces::parse(told.as_bytes()), Err(InterfacesError::Unreadable { .. })), "{told}");
        }
    }

    /// Sound bytes with any of them changed, doubled or left out.
    #[test]
    fn whatever_bytes_are_told_are_names_within_their_bounds_or_refused() {
        let mut chance = Chance::of(1, 1);
        let mut random = move |below: usize| usize::try_from(chance.below(below as u64)).unwrap();
        let (bytes, mut taken) = (sound().to_bytes(), 0);
        for _case in 0..20_000 {
            let mut changed = bytes.clone();
            for _change in 0..=random(3) {
                let (at, byte) = (random(changed.len()), u8::try_from(random(256)).unwrap());
                match random(3) {
                    0 => changed[at] = byte,
                    1 => changed.insert(at, byte),
                    _ => drop(changed.remove(at)),
                }
            }
            let Ok(interfaces) = Interfaces::parse(&changed) else { continue };
            taken += 1;
            let names = interfaces.imports.iter().flat_map(|import| once(&import.interface).chain(&import.functions));
            assert!(names.chain(&interfaces.exports).all(|name| is_name(name)), "{interfaces:?}");
        }
        assert!(taken > 100, "{taken}");
    }
}

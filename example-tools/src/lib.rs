//! Where the components of the example tools and hostile guests lie, built for `wasm32-wasip2` by the build script.
//!
//! For each guest there is a constant with its component's path ([`WORD_COUNT`]), an entry in [`ALL`] and in the list
//! of its kind ([`TOOLS`], [`HOSTILE`], [`PROBES`]), and a line in the macro of its kind. A test file that says
//!
//! ```ignore
//! use tollgate_example_tools::{assert_test_exists, foreach_hostile};
//!
//! foreach_hostile!(assert_test_exists);
//!
//! #[test]
//! fn climb_dotdot() { /* … */ }
//! ```
//!
//! compiles only if it has a function for every hostile guest.

include!(concat!(env!("OUT_DIR"), "/gen.rs"));

/// A guest that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// The tool's name, such as `word-count`.
    pub name: &'static str,
    /// Absolute path of the component.
    pub component: &'static str,
    /// Absolute path of the manifest, `tool.toml`.
    pub manifest: &'static str,
}

/// The guest of this name.
///
/// # Panics
///
/// If there is none.
#[must_use]
#[allow(clippy::panic, reason = "for tests, which name guests that there are")]
pub fn guest(name: &str) -> &'static Guest {
    ALL.iter().find(|guest| guest.name == name).unwrap_or_else(|| panic!("no guest {name}"))
}

/// Fails to compile where the module has no function of this name: for the `foreach_*` macros.
#[macro_export]
macro_rules! assert_test_exists {
    ($name:ident) => {
        #[allow(unused_imports, reason = "naming the test is all")]
        use self::$name as _;
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// Guests are small: what a host maps and compiles for a test.
    const COMPONENT_BYTES_MAX: usize = 256 * 1024;

    /// JMESPath, a language with its library of functions, is more than half of it.
    const JSON_QUERY_BYTES_MAX: usize = 320 * 1024;

    /// The smallest tool there is: what the SDK and the standard library take.
    const ECHO_BYTES_MAX: usize = 120 * 1024;

    #[test]
    fn a_tool_that_does_next_to_nothing_is_next_to_nothing() {
        let bytes = fs::read(ECHO).unwrap().len();
        assert!(bytes <= ECHO_BYTES_MAX, "{bytes} bytes");
    }

    /// Where the SDK has the bindings that this package's build script makes of its WIT.
    const BINDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/src/bindings/generated.rs");

    #[test]
    #[allow(clippy::disallowed_methods, reason = "writes them when it is told to, as expect-test does")]
    fn the_bindings_of_the_sdk_are_those_of_its_wit() {
        let made = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(BINDINGS, made).unwrap();
        }
        let kept = fs::read_to_string(BINDINGS).unwrap();
        assert!(kept == made, "run `UPDATE_EXPECT=1 cargo test --release --workspace -- the_bindings_of_the_sdk`");
    }

    #[test]
    fn every_guest_is_a_small_component() {
        for guest in ALL {
            let component = fs::read(guest.component).unwrap();
            assert!(component.starts_with(b"\0asm\x0d\0\x01\0"), "{} is no component", guest.name);
            let most = if guest.name == "json-query" { JSON_QUERY_BYTES_MAX } else { COMPONENT_BYTES_MAX };
            assert!(component.len() <= most, "{}: {} bytes", guest.name, component.len());
        }
    }

    #[test]
    fn every_manifest_names_its_guest() {
        for guest in ALL {
            let manifest = fs::read_to_string(guest.manifest).unwrap();
            assert!(manifest.contains(&format!("name = {:?}\n", guest.name)), "{}", guest.manifest);
        }
    }

    #[test]
    fn every_guest_is_of_one_kind() {
        let names: BTreeSet<_> = ALL.iter().map(|guest| guest.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!([TOOLS, HOSTILE, PROBES].concat().len(), ALL.len());
    }

    #[test]
    fn the_macros_go_through_all_guests_of_their_kind() {
        let mut names = Vec::new();
        macro_rules! collect {
            ($name:ident) => {
                names.push(stringify!($name).replace('_', "-"))
            };
        }
        foreach_tool!(collect);
        foreach_hostile!(collect);
        foreach_probe!(collect);
        assert_eq!(names, ALL.iter().map(|guest| guest.name).collect::<Vec<_>>());
    }
}

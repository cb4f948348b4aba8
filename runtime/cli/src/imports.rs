//! What a component imports against what its manifest declares.

use tollgate_config::Manifest;

use tollgate::interfaces::Import;

/// What functions of the host need, in the manifest's words.
struct Use {
    /// Key of `[needs]`.
    need: &'static str,
    /// Functions that only work with it, as `interface.function`; an interface alone stands for all of its functions.
    functions: &'static [&'static str],
    /// Whether the manifest declares it.
    declared: fn(&Manifest) -> bool,
    /// Whether it is empty without the need, and not denied.
    or_empty: bool,
}

const USES: [Use; 9] = [
    Use {
        need: "fs",
        functions: &["wasi:filesystem/types", "wasi:filesystem/preopens"],
        declared: |manifest| !manifest.needs.fs.is_empty(),
        or_empty: false,
    },
    Use {
        need: "env",
        functions: &["wasi:cli/environment.get-environment"],
        declared: |manifest| !manifest.needs.env.is_empty(),
        or_empty: true,
    },
    Use {
        need: "args",
        functions: &["wasi:cli/environment.get-arguments"],
        declared: |manifest| manifest.needs.args,
        or_empty: true,
    },
    Use {
        need: "stdio.stdin",
        functions: &["wasi:cli/stdin"],
        declared: |manifest| manifest.needs.stdio.stdin,
        or_empty: true,
    },
    Use {
        need: "random",
        functions: &["wasi:random/random", "wasi:random/insecure"],
        declared: |manifest| manifest.needs.random.is_some(),
        or_empty: false,
    },
    Use {
        need: "clocks.wall",
        functions: &["wasi:clocks/wall-clock"],
        declared: |manifest| manifest.needs.wall_clock.is_some(),
        or_empty: false,
    },
    Use {
        need: "clocks.monotonic",
        functions: &["wasi:clocks/monotonic-clock"],
        declared: |manifest| manifest.needs.monotonic_clock.is_some(),
        or_empty: false,
    },
    Use {
        need: "context",
        functions: &["tollgate:tool/call.get-context"],
        declared: |manifest| manifest.needs.context,
        or_empty: false,
    },
    Use {
        need: "net (not grantable)",
        functions: &["wasi:sockets/tcp-create-socket", "wasi:sockets/udp-create-socket", "wasi:sockets/ip-name-lookup"],
        declared: |_manifest| false,
        or_empty: false,
    },
];

/// Where manifest and imports differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NeedsCompared {
    /// Imported, not declared: denied if it is called.
    pub(crate) undeclared: Vec<&'static str>,
    /// Declared, not imported: nothing in the component can use it.
    pub(crate) unused: Vec<&'static str>,
}

/// Compares what is imported with what is declared.
pub(crate) fn compare(imports: &[Import], manifest: &Manifest) -> NeedsCompared {
    let differing = |declared: bool| {
        let some = USES.iter().filter(move |usage| (usage.declared)(manifest) == declared);
        some.filter(move |usage| is_imported(imports, usage) != declared)
    };
    let undeclared = differing(false).filter(|usage| !usage.or_empty).map(|usage| usage.need).collect();
    NeedsCompared { undeclared, unused: differing(true).map(|usage| usage.need).collect() }
}

fn is_imported(imports: &[Import], usage: &Use) -> bool {
    imports.iter().any(|import| {
        // `wasi:cli/stdin@0.2.6`, whatever its version.
        let interface = import.interface.split('@').next().unwrap_or_default();
        import.functions.iter().any(|function| {
            let is_of =
                |name: &&str| *name == interface || name.strip_prefix(interface) == Some(&format!(".{function}"));
            usage.functions.iter().any(is_of)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(interface: &str, functions: &[&str]) -> Import {
        let functions = functions.iter().map(|name| (*name).to_owned()).collect();
        Import { interface: interface.to_owned(), functions }
    }

    fn manifest(needs: &str) -> Manifest {
        let text = format!("{needs}\n[tool]\nname = \"x\"\nversion = \"0.1.0\"\n[[operations]]\nname = \"x\"\n");
        Manifest::parse(&text, "tool.toml").unwrap()
    }

    #[test]
    fn imports_and_needs_are_compared_function_by_function() {
        let imports = [
            import("wasi:cli/environment@0.2.6", &["get-environment"]),
            import("wasi:cli/stdin@0.2.6", &["get-stdin"]),
            import("wasi:random/random@0.2.6", &["get-random-u64"]),
            import("wasi:clocks/wall-clock@0.2.3", &["now"]),
            import("wasi:filesystem/types@0.2.6", &[]),
            import("tollgate:tool/call@0.1.0", &["fail"]),
        ];
        let compared =
            compare(&imports, &manifest("needs.clocks.wall = \"real\"\nneeds.args = true\nneeds.context = true"));
        assert_eq!(compared, NeedsCompared { undeclared: vec!["random"], unused: vec!["args", "context"] });
        let nothing = compare(&[], &manifest(""));
        assert_eq!(nothing, NeedsCompared { undeclared: vec![], unused: vec![] });
    }

    /// Else a word is asked for, and never found.
    #[test]
    fn every_function_is_one_that_tollgate_has() {
        for name in USES.iter().flat_map(|usage| usage.functions) {
            let interface = name.split('.').next().unwrap();
            let known = tollgate_wasi_proxy::INTERFACES.contains(&interface);
            assert!(known || interface == tollgate_wasi_proxy::OWN_INTERFACE, "{name}");
        }
    }
}

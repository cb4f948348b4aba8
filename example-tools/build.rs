//! Builds every guest as a component and generates `gen.rs`: a constant per guest, the lists, and the `foreach_*`
//! macros. Must never write outside the host's target folder.
#![allow(
    clippy::disallowed_methods,
    reason = "a build script is told what to do by its environment, and this one starts cargo"
)]
#![allow(clippy::print_stdout, reason = "cargo reads what a build script prints")]

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_bindgen_core::WorldGenerator as _;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const TARGET: &str = "wasm32-wasip2";

/// The workspace's profile for components.
const PROFILE: &str = "guest";

/// The package of the hostile guests: an example for each.
const HOSTILE_PACKAGE: &str = "hostile-guests";

/// The packages of the useful tools, by folder.
const TOOLS: [(&str, &str); 9] = [
    ("word-count", "word-count"),
    ("echo", "echo"),
    ("json-query", "json-query"),
    ("csv-stats", "csv-stats"),
    ("note-book", "note-book"),
    ("dice", "dice"),
    ("clock", "clock"),
    ("text-diff", "text-diff"),
    ("bench", "echo-read"),
];

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let dirs = Dirs::from_env()?;
    dirs.rerun_if_changed();
    fs::write(dirs.out.join("bindings.rs"), bindings(&dirs)?)?;
    assert_target_installed()?;
    run_cargo(&dirs)?;

    let tools = tools(&dirs);
    let (probes, hostile): (Vec<_>, Vec<_>) =
        hostile(&dirs)?.into_iter().partition(|guest| guest.name.starts_with("probe-"));
    for guest in tools.iter().chain(&hostile).chain(&probes) {
        guest.assert_complete()?;
    }
    fs::write(dirs.out.join("gen.rs"), generate(&tools, &hostile, &probes)?)?;
    Ok(())
}

struct Dirs {
    /// `example-tools`
    here: PathBuf,
    workspace: PathBuf,
    out: PathBuf,
    /// The target folder of the guests, one for tests, clippy and documentation, which have an `OUT_DIR` each.
    target: PathBuf,
}

impl Dirs {
    fn from_env() -> Result<Self> {
        let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let workspace = here.parent().ok_or("the package is not in a workspace")?.to_owned();
        let target = shared(&out).join("guests");
        Ok(Self { here, workspace, out, target })
    }

    fn rerun_if_changed(&self) {
        let folders = TOOLS.map(|(folder, _)| folder);
        let here = ["build.rs", "hostile"].iter().chain(&folders).map(|path| self.here.join(path));
        let workspace =
            [".cargo/config.toml", "Cargo.toml", "Cargo.lock", "guest-sdk"].map(|path| self.workspace.join(path));
        for path in here.chain(workspace) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }

    /// Where cargo puts components.
    fn built(&self) -> PathBuf {
        self.target.join(TARGET).join(PROFILE)
    }
}

/// The folder of the host's profile, such as `target/release`: the parent of the `build` that `OUT_DIR` is in.
fn shared(out: &Path) -> &Path {
    let build = out.ancestors().find(|path| path.file_name() == Some(OsStr::new("build")));
    build.and_then(Path::parent).unwrap_or(out)
}

fn assert_target_installed() -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if printed.status.success() && Path::new(str::from_utf8(&printed.stdout)?.trim()).is_dir() {
        return Ok(());
    }
    Err(format!("the guests need the target {TARGET}: run `rustup target add {TARGET}` or `cargo xtask setup`").into())
}

/// Builds all guests but those written in WebAssembly text.
fn run_cargo(dirs: &Dirs) -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&dirs.workspace)
        .args(["build", "--locked", "--lib", "--examples", "--profile", PROFILE, "--target", TARGET])
        .arg("--target-dir")
        .arg(&dirs.target)
        .args(["--package", HOSTILE_PACKAGE]);
    for (_, package) in TOOLS {
        cargo.args(["--package", package]);
    }
    for (name, _) in env::vars_os() {
        if is_of_outer_build(&name) {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status()?;
    if status.success() { Ok(()) } else { Err(format!("building the guests failed ({status}): see above").into()) }
}

/// Whether a variable tells how the host's crates are built, such as clippy's wrapper or the flags of a sanitizer.
fn is_of_outer_build(name: &OsStr) -> bool {
    /// The job server keeps both builds within one number of jobs.
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_REGISTR", "CARGO_TERM_"];
    const DROPPED: [&str; 5] = ["CARGO_", "CLIPPY_", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOCFLAGS", "RUSTFLAGS"];
    let starts_with_one_of =
        |prefixes: &[&str]| name.to_str().is_some_and(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    starts_with_one_of(&DROPPED) && !starts_with_one_of(&KEPT)
}

/// A guest that was built.
struct Guest {
    /// The tool's name, such as `word-count`.
    name: String,
    component: PathBuf,
    manifest: PathBuf,
}

impl Guest {
    /// The name of the test: `word_count`.
    fn snake(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The name of the constant: `WORD_COUNT`.
    fn shouty(&self) -> String {
        self.snake().to_uppercase()
    }

    fn assert_complete(&self) -> Result<()> {
        for path in [&self.component, &self.manifest] {
            if !path.is_file() {
                return Err(format!("guest {}: {} is missing", self.name, path.display()).into());
            }
        }
        Ok(())
    }
}

fn tools(dirs: &Dirs) -> Vec<Guest> {
    let tool = |(folder, package): (&str, &str)| Guest {
        name: package.to_owned(),
        component: dirs.built().join(package.replace('-', "_")).with_extension("wasm"),
        manifest: dirs.here.join(folder).join("tool.toml"),
    };
    TOOLS.map(tool).into()
}

/// One guest for each file in `hostile/examples` and `hostile/wat`, by name.
fn hostile(dirs: &Dirs) -> Result<Vec<Guest>> {
    let root = dirs.here.join("hostile");
    let manifest = |stem: &str| root.join("manifests").join(stem.replace('_', "-")).with_extension("toml");
    let mut guests = Vec::new();
    for stem in stems(&root.join("examples"))? {
        let component = dirs.built().join("examples").join(&stem).with_extension("wasm");
        guests.push(Guest { name: stem.replace('_', "-"), component, manifest: manifest(&stem) });
    }
    for stem in stems(&root.join("wat"))? {
        let component = dirs.out.join(&stem).with_extension("wasm");
        fs::write(&component, componentise(dirs, &root.join("wat").join(&stem).with_extension("wat"))?)?;
        guests.push(Guest { name: stem.replace('_', "-"), component, manifest: manifest(&stem) });
    }
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(guests)
}

/// The names of the files and folders in `folder`, without their extensions.
fn stems(folder: &Path) -> Result<Vec<String>> {
    let stem = |entry: std::io::Result<fs::DirEntry>| -> Result<String> {
        let path = entry?.path();
        let stem = path.file_stem().and_then(OsStr::to_str);
        Ok(stem.ok_or_else(|| format!("{} is no name of a guest", path.display()))?.to_owned())
    };
    fs::read_dir(folder)?.map(stem).collect()
}

/// The SDK's bindings of its world, as `guest-sdk/src/bindings/generated.rs` must have them.
fn bindings(dirs: &Dirs) -> Result<String> {
    let mut resolve = wit_bindgen_core::wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(dirs.workspace.join("guest-sdk/wit"))?;
    let world = resolve.select_world(&[package], Some("tool-provider"))?;
    let options = wit_bindgen_rust::Opts { format: true, ..Default::default() };
    let mut files = wit_bindgen_core::Files::default();
    options.build().generate(&mut resolve, world, &mut files)?;
    let (_, source) = files.iter().next().ok_or("wit-bindgen made no file")?;
    Ok(str::from_utf8(source)?.to_owned())
}

/// Makes a component of a core module in text that exports what the world of a tool asks for. One that imports WASI preview 1
/// gets it from the adapter with which other languages' tools make such components.
fn componentise(dirs: &Dirs, wat: &Path) -> Result<Vec<u8>> {
    let mut module = wat::parse_file(wat)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(dirs.workspace.join("guest-sdk/wit"))?;
    let world = resolve.select_world(&[package], Some("tool-provider"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let (name, adapter) = (WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
    Ok(ComponentEncoder::default().module(&module)?.adapter(name, adapter)?.validate(true).encode()?)
}

fn generate(tools: &[Guest], hostile: &[Guest], probes: &[Guest]) -> Result<String> {
    let mut code = String::new();
    for guest in tools.iter().chain(hostile).chain(probes) {
        writeln!(code, "/// Path of the component `{}`.", guest.name)?;
        writeln!(code, "pub const {}: &str = {:?};", guest.shouty(), guest.component)?;
    }
    let all: Vec<_> = tools.iter().chain(hostile).chain(probes).collect();
    list(&mut code, "ALL", "All guests: tools, hostile guests and probes.", &all)?;
    for (kind, about, guests) in [
        ("tool", "The useful tools.", tools),
        ("hostile", "The hostile guests: each attacks by itself.", hostile),
        ("probe", "The guests that do what a test tells them to.", probes),
    ] {
        let list_name = if kind == "hostile" { "HOSTILE".to_owned() } else { format!("{}S", kind.to_uppercase()) };
        list(&mut code, &list_name, about, &guests.iter().collect::<Vec<_>>())?;
        foreach(&mut code, kind, guests)?;
    }
    Ok(code)
}

fn list(code: &mut String, name: &str, about: &str, guests: &[&Guest]) -> Result<()> {
    writeln!(code, "/// {about}\npub const {name}: &[Guest] = &[")?;
    for guest in guests {
        let (name, component, manifest) = (&guest.name, guest.shouty(), &guest.manifest);
        writeln!(code, "    Guest {{ name: {name:?}, component: {component}, manifest: {manifest:?} }},")?;
    }
    Ok(writeln!(code, "];")?)
}

fn foreach(code: &mut String, kind: &str, guests: &[Guest]) -> Result<()> {
    writeln!(code, "/// Calls a macro with the name of each guest of the kind `{kind}`, as an identifier.")?;
    writeln!(code, "#[macro_export]\nmacro_rules! foreach_{kind} {{\n    ($mac:ident) => {{")?;
    for guest in guests {
        writeln!(code, "        $mac!({});", guest.snake())?;
    }
    Ok(writeln!(code, "    }};\n}}")?)
}

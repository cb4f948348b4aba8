//! From files and arguments to a manifest, a grant and a capability set whose folders exist.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_capability::{
    Access, AdhocGrant, CapabilitySet, FsCapability, Grant, HostSettings, Intersection, Manifest, Needs, OnViolation,
    Policy, SandboxSettings, ToolName, refuse_host,
};

use super::args::{GrantArgs, ToolArgs};
use super::config;
use super::exit::Failure;
use crate::package::{MANIFEST_SECTION, PackageError, embedded_manifest};

/// Largest component that is read: 256 MiB, several times what a Python interpreter takes.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;
/// Largest text file that is read.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// A manifest and the grant that it meets.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) manifest_text: String,
    pub(crate) manifest_from: ManifestFrom,
    pub(crate) grant: Grant,
    pub(crate) grant_text: String,
    pub(crate) running: Running,
    /// The policy's file, if there is one.
    pub(crate) policy: Option<PathBuf>,
}

/// A grant, and what it was read from.
struct Granted {
    grant: Grant,
    text: String,
    running: Running,
    policy: Option<PathBuf>,
}

impl Loaded {
    fn new((manifest, manifest_text, manifest_from): FoundManifest, granted: Granted) -> Self {
        let Granted { grant, text: grant_text, running, policy } = granted;
        Self { manifest, manifest_text, manifest_from, grant, grant_text, running, policy }
    }
}

/// Where a manifest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ManifestFrom {
    /// A file.
    File(PathBuf),
    /// The component at this path, which brings it.
    Component(PathBuf),
    /// There is none, and it was made from the grant.
    Grant,
}

/// What a policy says of hosts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Running {
    pub(crate) sandbox: SandboxSettings,
    pub(crate) hosts: HostSettings,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum FileError {
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(help("{help}"))]
    Read { path: PathBuf, help: &'static str, source: std::io::Error },
    #[error("`{}` is larger than {max_bytes} bytes", path.display())]
    #[diagnostic(help("give the right file; nothing of this size is expected here"))]
    TooLarge { path: PathBuf, max_bytes: u64 },
    #[error("`{}` is not UTF-8 text", path.display())]
    #[diagnostic(help("save it as UTF-8"))]
    NotText { path: PathBuf },
    #[error("cannot tell the working folder")]
    #[diagnostic(help("go to a folder that exists"))]
    WorkingFolder { source: std::io::Error },
    #[error("the grant for `{guest}` names the folder `{}`, which cannot be used", host.display())]
    #[diagnostic(help("create the folder, or name one that is there in `fs.\"{guest}\".host`"))]
    Folder { guest: String, host: PathBuf, source: std::io::Error },
    #[error("the grant for `{guest}` names `{}`, which is not a folder", host.display())]
    #[diagnostic(help("grant the folder that the file is in, and name the file in `include`"))]
    NotAFolder { guest: String, host: PathBuf },
    #[error("the manifest that `{}` brings cannot be used: {fault}", component.display())]
    #[diagnostic(help("build it again with `tollgate build`, or give a manifest with --manifest"))]
    Embedded { component: PathBuf, fault: PackageError },
    #[error("`{}` brings a manifest, and `{}` beside it says something else", component.display(), beside.display())]
    #[diagnostic(help(
        "`tollgate build` puts the file's manifest into the component; or say with --manifest which one holds"
    ))]
    TwoManifests { component: PathBuf, beside: PathBuf },
    #[error("the grant for `{guest}` hands over {what}: `{}`", path.display())]
    #[diagnostic(help("a tool with it would decide over its own rights: grant a folder that does not hold it"))]
    Decides { guest: String, what: &'static str, path: PathBuf },
    #[error("`{}` gives no name for a tool: {reason}", component.display())]
    #[diagnostic(help("write a manifest, and give it with --manifest"))]
    NoName { component: PathBuf, reason: String },
}

/// Reads the manifest and the grant of a tool; `component` is what stands at its path.
pub(crate) fn load(args: &ToolArgs, component: &[u8]) -> Result<Loaded, Failure> {
    match manifest_of(&args.component, component, args.manifest.as_deref())? {
        Some(found) => with_manifest(found, &args.grants),
        None => adhoc(args),
    }
}

/// A manifest, its text, and where it comes from.
pub(crate) type FoundManifest = (Manifest, String, ManifestFrom);

/// The manifest of a component: the one that is given, or else the one that it brings, or else the one beside it.
pub(crate) fn manifest_of(
    path: &Path,
    component: &[u8],
    given: Option<&Path>,
) -> Result<Option<FoundManifest>, Failure> {
    if let Some(given) = given {
        return manifest_file(given).map(Some);
    }
    // What is no component at all is told by whoever compiles it.
    let embedded = match embedded_manifest(component) {
        Ok(embedded) => embedded,
        Err(PackageError::Malformed { .. }) => None,
        Err(fault) => return Err(Failure::usage(FileError::Embedded { component: path.to_owned(), fault })),
    };
    let beside = manifest_beside(path);
    let Some(text) = embedded else { return beside.map(|beside| manifest_file(&beside)).transpose() };
    let found = parse_manifest(text, ManifestFrom::Component(path.to_owned()))?;
    match beside {
        Some(beside) if differs(&found, &beside) => {
            Err(Failure::usage(FileError::TwoManifests { component: path.to_owned(), beside }))
        }
        Some(_) | None => Ok(Some(found)),
    }
}

/// Whether a file has another manifest for the same tool. One of another tool is none of its business.
fn differs((manifest, text, _): &FoundManifest, beside: &Path) -> bool {
    manifest_file(beside).is_ok_and(|(other, other_text, _)| other.name == manifest.name && other_text != *text)
}

/// Reads the grant of a tool whose manifest is read.
pub(crate) fn with_manifest(found: FoundManifest, grants: &GrantArgs) -> Result<Loaded, Failure> {
    let granted = grant(grants, &found.0.name)?;
    Ok(Loaded::new(found, granted))
}

/// Reads a manifest from a file.
pub(crate) fn manifest_file(path: &Path) -> Result<FoundManifest, Failure> {
    let text = read_text(path, "give the tool's manifest with --manifest")?;
    parse_manifest(&text, ManifestFrom::File(path.to_owned()))
}

fn parse_manifest(text: &str, from: ManifestFrom) -> Result<FoundManifest, Failure> {
    let shown = match &from {
        ManifestFrom::File(path) => path.display().to_string(),
        ManifestFrom::Component(path) => format!("{} ({MANIFEST_SECTION})", path.display()),
        ManifestFrom::Grant => String::new(),
    };
    let manifest = Manifest::parse(text, &shown).map_err(Failure::usage)?;
    Ok((manifest, text.to_owned(), from))
}

/// The grant of a tool: what the policy says of it, and what the command line adds.
fn grant(args: &GrantArgs, tool: &ToolName) -> Result<Granted, Failure> {
    let folder = working_folder()?;
    let path = policy_path(args.policy.as_deref(), &folder);
    let (policy, mut text) = match &path {
        Some(path) => parse_policy(path, &folder)?,
        None => Default::default(),
    };
    let mut grant = policy.grant(tool);
    for given in &args.grant {
        grant.merge_adhoc(AdhocGrant::parse(given, &folder).map_err(Failure::usage)?).map_err(Failure::usage)?;
        text.push_str("\n--grant ");
        text.push_str(given);
    }
    if let Some(on_violation) = &args.on_violation {
        grant.on_violation = if on_violation == "deny" { OnViolation::Deny } else { OnViolation::Kill };
        text.push_str("\n--on-violation ");
        text.push_str(on_violation);
    }
    let running = Running { sandbox: policy.sandbox, hosts: policy.hosts };
    Ok(Granted { grant, text, running, policy: path })
}

/// The policy at `path`, or the one in the working folder, if there is one.
pub(crate) fn policy(path: Option<&Path>) -> Result<Option<(PathBuf, Policy)>, Failure> {
    let folder = working_folder()?;
    let Some(path) = policy_path(path, &folder) else { return Ok(None) };
    let (policy, _text) = parse_policy(&path, &folder)?;
    Ok(Some((path, policy)))
}

fn parse_policy(path: &Path, folder: &Path) -> Result<(Policy, String), Failure> {
    let text = read_text(path, "give the policy with --policy")?;
    let absolute = folder.join(path);
    let home = absolute.parent().unwrap_or(folder);
    let policy = Policy::parse(&text, &path.display().to_string(), home).map_err(Failure::usage)?;
    Ok((policy, text))
}

/// Manifest ∩ grant, with host folders resolved; each must be there, and none may hand the tool what decides over tools.
pub(crate) fn intersect(loaded: &Loaded) -> Result<Intersection, Failure> {
    let mut intersection =
        CapabilitySet::intersect(&loaded.manifest, &loaded.grant, config::host_variable).map_err(Failure::usage)?;
    for fs in &mut intersection.set.fs {
        fs.host = existing_folder(&fs.guest, &fs.host)?;
        refuse_what_decides(fs, loaded.policy.as_deref())?;
    }
    Ok(intersection)
}

/// Whoever changes the policy grants itself more; whoever has the key passes machine code off as a tool.
fn refuse_what_decides(fs: &FsCapability, policy: Option<&Path>) -> Result<(), Failure> {
    let changes = [Access::Write, Access::Create, Access::Delete].iter().any(|right| fs.access.contains(*right));
    let reads = fs.access.contains(Access::Read);
    let deciding = [
        ("the policy", policy.map(Path::to_owned), changes),
        ("the key of compiled tools", config::artifact_key(), changes || reads),
        ("the installed tools", config::tools_folder(), changes),
    ];
    for (what, path, harms) in deciding {
        // What is not there holds nothing yet.
        let path = path.and_then(|path| fs::canonicalize(path).ok());
        if let Some(path) = path.filter(|path| harms && path.starts_with(&fs.host)) {
            return Err(Failure::usage(FileError::Decides { guest: fs.guest.clone(), what, path }));
        }
    }
    Ok(())
}

fn existing_folder(guest: &str, host: &Path) -> Result<PathBuf, Failure> {
    let guest = guest.to_owned();
    let resolved = match fs::canonicalize(host) {
        Ok(resolved) => resolved,
        Err(source) => return Err(Failure::usage(FileError::Folder { guest, host: host.to_owned(), source })),
    };
    refuse_host(&resolved).map_err(Failure::usage)?;
    if !resolved.is_dir() {
        return Err(Failure::usage(FileError::NotAFolder { guest, host: resolved }));
    }
    Ok(resolved)
}

/// The manifest in a component's folder.
pub(crate) fn manifest_beside(component: &Path) -> Option<PathBuf> {
    let beside = [component.with_extension("toml"), component.with_file_name("tool.toml")];
    beside.into_iter().find(|path| path.is_file())
}

fn policy_path(given: Option<&Path>, folder: &Path) -> Option<PathBuf> {
    if let Some(path) = given {
        return Some(path.to_owned());
    }
    folder.join("tollgate.toml").is_file().then(|| PathBuf::from("tollgate.toml"))
}

/// Without a manifest the operator vouches for the tool: it needs exactly what is granted.
fn adhoc(args: &ToolArgs) -> Result<Loaded, Failure> {
    let no_name = |reason: String| Failure::usage(FileError::NoName { component: args.component.clone(), reason });
    let stem = args.component.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let name: ToolName = name.parse().map_err(|error| no_name(format!("{error}")))?;
    let version = "0.0.0".parse().map_err(|error| no_name(format!("{error}")))?;
    let granted = grant(&args.grants, &name)?;
    let manifest = Manifest {
        name,
        version,
        description: String::new(),
        operations: Vec::new(),
        needs: Needs::of_grant(&granted.grant),
        limits: granted.grant.limits.clone(),
        record: granted.grant.record,
    };
    Ok(Loaded::new((manifest, String::new(), ManifestFrom::Grant), granted))
}

/// Reads the component.
pub(crate) fn component(path: &Path) -> Result<Vec<u8>, Failure> {
    read(path, COMPONENT_BYTES_MAX, "give the path of a component built for wasm32-wasip2")
}

/// Reads a text file.
pub(crate) fn read_text(path: &Path, help: &'static str) -> Result<String, Failure> {
    let bytes = read(path, TEXT_BYTES_MAX, help)?;
    String::from_utf8(bytes).map_err(|_not_utf8| Failure::usage(FileError::NotText { path: path.to_owned() }))
}

/// Reads a file of at most `max_bytes`.
pub(crate) fn read(path: &Path, max_bytes: u64, help: &'static str) -> Result<Vec<u8>, Failure> {
    let failed = |source| Failure::usage(FileError::Read { path: path.to_owned(), help, source });
    let mut bytes = Vec::new();
    let mut file = fs::File::open(path).map_err(failed)?.take(max_bytes + 1);
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max_bytes {
        return Err(Failure::usage(FileError::TooLarge { path: path.to_owned(), max_bytes }));
    }
    Ok(bytes)
}

fn working_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|source| Failure::usage(FileError::WorkingFolder { source }))
}

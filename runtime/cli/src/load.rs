//! From files and arguments to a manifest, a grant and a capability set whose folders exist.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tollgate_audit::Digest;
use tollgate_capability::OnViolation;
use tollgate_config::{
    AdhocGrant, BindError, Binding, Grant, Grants, Intersection, Manifest, Needs, Policy, Subject, ToolName,
};

use super::args::GrantArgs;
use super::exit::Failure;
use super::input::{read, read_text};
use super::running::Running;
use super::unbuilt::how_to_run;
use super::ungranted::{Ungranted, astray};
use super::which::Which;
use super::{config, given, output, progress};
use tollgate::package::{MANIFEST_SECTION, PackageError, embedded_manifest};
use tollgate::registry::COMPONENT_BYTES_MAX;
use tollgate_authority::{
    Bounds, Deciding, DecidingPlaces, HeldFolders, Nesting, PolicyFile, open_folders, same_file_as,
};

/// A manifest and the grant that it meets.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// With the tool's name in the policy and in the ledger: that of the entry that the component is bound to.
    pub(crate) manifest: Manifest,
    /// The name that the manifest itself gives.
    pub(crate) declared: ToolName,
    pub(crate) manifest_text: String,
    pub(crate) manifest_from: ManifestFrom,
    pub(crate) grant: Grant,
    pub(crate) grant_text: String,
    pub(crate) running: Running,
    /// What all tools get.
    grants: Grants,
    /// Its file.
    policy_path: Option<PathBuf>,
    /// Where the policy may grant folders, if it was found.
    bounds: Option<Bounds>,
}

/// A grant, and what it was read from.
struct Granted {
    name: ToolName,
    grant: Grant,
    text: String,
    running: Running,
    grants: Grants,
    policy_path: Option<PathBuf>,
    bounds: Option<Bounds>,
}

impl Loaded {
    fn new((manifest, manifest_text, manifest_from): FoundManifest, granted: Granted) -> Self {
        let Granted { name, grant, text: grant_text, running, grants, policy_path, bounds } = granted;
        let running = match &manifest_from {
            ManifestFrom::File(path) => running.with(Deciding::Manifest, path),
            ManifestFrom::Component(_) | ManifestFrom::Grant => running,
        };
        let declared = manifest.name.clone();
        let manifest = Manifest { name, ..manifest };
        Self {
            manifest,
            declared,
            manifest_text,
            manifest_from,
            grant,
            grant_text,
            running,
            grants,
            policy_path,
            bounds,
        }
    }

    /// Why the policy would refuse a component that is installed under this name: its entry is for another one.
    pub(crate) fn refused(&self, name: &ToolName, component: Digest) -> Option<BindError> {
        let subject = Subject { name, digest: component.0, installed: true };
        self.grants.bind(subject, |_path| false).err()
    }

    /// The same by the policy of the home, which a daemon obeys: with its path.
    pub(crate) fn refused_at_home(&self, name: &ToolName, component: Digest) -> Option<(PathBuf, BindError)> {
        let home = config::home_policy().filter(|home| self.policy_path.as_ref() != Some(home))?;
        // What else is wrong with it is told where it is obeyed.
        let grants = PolicyFile::given(&home, Path::new("/")).ok()?.policy.grants;
        let subject = Subject { name, digest: component.0, installed: true };
        grants.bind(subject, |_path| false).err().map(|error| (home, error))
    }

    /// Why the policy may grant the tool nothing though somebody wrote that it should.
    pub(crate) fn astray(&self) -> Option<String> {
        astray(self.policy_path.as_deref(), &self.grants, &self.manifest.name)
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

#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum FileError {
    #[error("cannot tell the working folder")]
    #[diagnostic(help("go to a folder that exists"))]
    WorkingFolder { source: io::Error },
    #[error("the manifest that `{}` brings cannot be used: {fault}", component.display())]
    #[diagnostic(help("build it again with `tollgate build`, or give a manifest with --manifest"))]
    Embedded { component: PathBuf, fault: PackageError },
    #[error("`{}` brings a manifest, and `{}` beside it says something else", component.display(), beside.display())]
    #[diagnostic(help(
        "`tollgate build` puts the file's manifest into the component; or say with --manifest which one holds"
    ))]
    TwoManifests { component: PathBuf, beside: PathBuf },
    #[error(
        "`{}` brings the manifest of a tool `{brought}`, and `{}` beside it is that of a tool `{lies}`",
        component.display(), beside.display()
    )]
    #[diagnostic(help("say with --manifest which one holds, or move the file that does not belong to it"))]
    OtherManifest { component: PathBuf, beside: PathBuf, brought: ToolName, lies: ToolName },
    #[error("`{}` gives no name for a tool: {reason}", component.display())]
    #[diagnostic(help("rename the file, or install it with `tollgate install PATH --name NAME`"))]
    NoName { component: PathBuf, reason: String },
    #[error("{why}")]
    #[diagnostic(help(
        "nothing was run; if this component is the one that is meant, `tollgate policy pin {name}` writes that into the policy of this \
         folder; `tollgate show {name}` prints the versions that are installed, and `tollgate rollback {name}@VERSION` makes one \
         of them current"
    ))]
    Pinned { name: ToolName, why: BindError },
    #[error("`{}` is a folder, and no component", folder.display())]
    #[diagnostic(help("{help}"))]
    AProject { folder: PathBuf, help: String },
}

/// Reads the manifest and the grant of a tool; `component` is what stands at its path.
pub(crate) fn load(which: &Which, component: &[u8]) -> Result<Loaded, Failure> {
    let args = &which.args;
    let name = which.installed.as_ref().map_or_else(|| name_of_file(&args.component), |tool| Ok(tool.name.clone()))?;
    let digest = Digest::of(component).0;
    let subject = Subject { name: &name, digest, installed: which.installed.is_some() };
    let found = manifest_of(&args.component, component, args.manifest.as_deref())?;
    let granted = grant(&args.grants, |grants| bind(grants, subject, &args.component))?;
    let granted = Granted { running: granted.running.with(Deciding::Component, &args.component), ..granted };
    // By a path or a digest in `component` no other file gets the entry.
    if which.installed.is_none() && granted.grant.component.is_none() {
        DecidingPlaces::judge_name(&args.component, &granted.name, &granted.grants).map_err(Failure::usage)?;
    }
    match found {
        Some(found) => Ok(Loaded::new(found, granted)),
        None => adhoc(&args.component, granted),
    }
}

/// The entry of the policy that is for this component.
fn bind(grants: &Grants, subject: Subject<'_>, component: &Path) -> Result<Binding, Failure> {
    grants.bind(subject, same_file_as(component)).map_err(|why| {
        if subject.installed && matches!(why, BindError::Pinned { .. }) {
            Failure::usage(FileError::Pinned { name: subject.name.clone(), why })
        } else {
            Failure::usage(why)
        }
    })
}

/// What a component that is run by its path is called: the name of its file, which the operator typed. `_` is as `-`, since build
/// tools make the one of the other; a name that only becomes a tool's by other changes is none.
pub(crate) fn name_of_file(path: &Path) -> Result<ToolName, Failure> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('_', "-");
    let no_name = |error| FileError::NoName { component: path.to_owned(), reason: format!("{error}") };
    name.parse().map_err(|error: tollgate_config::NameError| Failure::usage(no_name(error)))
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
        Some(beside) => agrees(path, found, beside).map(Some),
        None => Ok(Some(found)),
    }
}

/// The manifest that a component brings, if the file beside it is no other.
fn agrees(component: &Path, found: FoundManifest, beside: PathBuf) -> Result<FoundManifest, Failure> {
    // A file of another kind is none of its business.
    let Ok((other, other_text, _)) = manifest_file(&beside) else { return Ok(found) };
    let component = || component.to_owned();
    if other.name != found.0.name {
        let (brought, lies) = (found.0.name, other.name);
        return Err(Failure::usage(FileError::OtherManifest { component: component(), beside, brought, lies }));
    }
    if other_text != found.1 {
        return Err(Failure::usage(FileError::TwoManifests { component: component(), beside }));
    }
    Ok(found)
}

/// Reads the grant of a tool whose manifest is read.
pub(crate) fn with_manifest(found: FoundManifest, grants: &GrantArgs) -> Result<Loaded, Failure> {
    let name = found.0.name.clone();
    let granted = grant(grants, |all| Ok(Binding { grant: all.grant(&name), name }))?;
    Ok(Loaded::new(found, granted))
}

/// Reads a manifest from a file.
pub(crate) fn manifest_file(path: &Path) -> Result<FoundManifest, Failure> {
    given::must_be_a_file("--manifest", Some(path))?;
    let text = read_text(path, "give a file that is there with --manifest: the tool's manifest, such as `tool.toml`")?;
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
fn grant(args: &GrantArgs, bind: impl FnOnce(&Grants) -> Result<Binding, Failure>) -> Result<Granted, Failure> {
    let folder = working_folder()?;
    let file = policy_file(args.policy.as_deref(), &folder)?;
    let (policy, mut text, path) = match &file {
        Some(file) => (file.policy.clone(), file.text.clone(), Some(file.path.as_path())),
        None => Default::default(),
    };
    let Policy { grants, deployment } = policy;
    let Binding { name, mut grant } = bind(&grants)?;
    if let Some(file) = &file {
        file.allows(&name).map_err(Failure::usage)?;
    }
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
    let places = config::deciding_places(path, &folder).with_sockets_of(&deployment).with_components_of(&grants);
    let running = Running { deployment, places };
    let policy_path = path.map(Path::to_owned);
    let bounds = file.and_then(|file| file.bounds(&name));
    Ok(Granted { name, grant, text, running, grants, policy_path, bounds })
}

/// The policy at `path`, or the one that is found in the working folder, whose settings hold for all tools.
pub(crate) fn policy(path: Option<&Path>) -> Result<Option<(PathBuf, Policy)>, Failure> {
    let Some(file) = policy_file(path, &working_folder()?)? else { return Ok(None) };
    file.allows_settings().map_err(Failure::usage)?;
    Ok(Some((path.map_or_else(|| PathBuf::from(tollgate_authority::POLICY_NAME), Path::to_owned), file.policy)))
}

/// The policy that is given, or the one that is found in `folder`, which is named then: it may be somebody else's idea.
fn policy_file(given: Option<&Path>, folder: &Path) -> Result<Option<PolicyFile>, Failure> {
    if let Some(given) = given {
        given::must_be_a_file("--policy", Some(given))?;
        return PolicyFile::given(given, folder).map(Some).map_err(Failure::usage);
    }
    let found = PolicyFile::found(folder, config::trust_store().as_ref()).map_err(Failure::usage)?;
    if let Some(file) = &found {
        let path = output::one_line(&file.path.display().to_string());
        output::eprint(&format!("policy: {path} (found in this folder)\n"));
    }
    Ok(found)
}

/// Manifest ∩ grant, with host folders resolved and open; none may hand the tool what decides over tools. Nothing is kept.
pub(crate) fn intersect(loaded: &Loaded) -> Result<(Intersection, HeldFolders), Failure> {
    opened(loaded, false)
}

/// As [`intersect`], for a tool that will run: in which folders it could make links is kept, or said that it is not.
pub(crate) fn intersect_to_run(loaded: &Loaded) -> Result<(Intersection, HeldFolders), Failure> {
    let (intersection, held) = opened(loaded, true)?;
    if let Some(why) = held.unremembered() {
        let why = output::one_line(why);
        output::eprint(&format!(
            "warning: links that this tool makes will not be remembered, so later runs may follow them ({why}); set \
             TOLLGATE_HOME to a folder that this user can write\n"
        ));
    }
    Ok((intersection, held))
}

fn opened(loaded: &Loaded, starts: bool) -> Result<(Intersection, HeldFolders), Failure> {
    let mut intersection = tollgate_config::intersect(&loaded.manifest, &loaded.grant, config::host_variable)
        .map_err(|missing| Failure::usage(Ungranted { missing, astray: loaded.astray() }))?;
    let store = config::trust_store();
    let (grant, grants, bounds) = (&loaded.grant, &loaded.grants, loaded.bounds.as_ref());
    let nesting = Nesting { grant, grants, store: store.as_ref(), starts, places: &loaded.running.places, bounds };
    // A file system that stands still keeps it waiting.
    let open = || open_folders(&mut intersection.set, nesting);
    let held = progress::during("looking at the granted folders", open).map_err(Failure::usage)?;
    Ok((intersection, held))
}

/// The manifest in a component's folder.
pub(crate) fn manifest_beside(component: &Path) -> Option<PathBuf> {
    let beside = [component.with_extension("toml"), component.with_file_name("tool.toml")];
    beside.into_iter().find(|path| path.is_file())
}

/// Without a manifest the operator vouches for the tool: it needs exactly what is granted.
fn adhoc(component: &Path, granted: Granted) -> Result<Loaded, Failure> {
    let no_name = |error| FileError::NoName { component: component.to_owned(), reason: format!("{error}") };
    let version = "0.0.0".parse().map_err(|error: tollgate_config::NameError| Failure::usage(no_name(error)))?;
    let manifest = Manifest {
        name: granted.name.clone(),
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
    if let Some(help) = path.is_dir().then(|| how_to_run(path)).flatten() {
        return Err(Failure::usage(FileError::AProject { folder: path.to_owned(), help }));
    }
    let project = path.parent().filter(|_| !path.exists()).and_then(how_to_run);
    read(
        path,
        COMPONENT_BYTES_MAX,
        project.as_deref().unwrap_or("give the path of a component built for wasm32-wasip2"),
    )
}

pub(crate) fn working_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|source| Failure::usage(FileError::WorkingFolder { source }))
}

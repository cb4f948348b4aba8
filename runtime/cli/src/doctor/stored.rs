//! The installed tools, as `tollgate doctor` finds them: what is wrong with each, while the others work; and what `--fix` mends.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::{Value, json};
use tollgate_config::ToolName;

use super::super::args::DoctorArgs;
use super::super::candidate::{Candidate, Store, not_written, say_left};
use super::super::exit::Failure;
use super::super::{compiled, config, load, operator, output, progress, which};
use tollgate::artifact::{Artifact, ArtifactError, ArtifactKey, STORED_BYTES_MAX, seal_operations};
use tollgate::engine::Engine;
use tollgate::error::with_causes;
use tollgate::registry::{Damage, FindError, Foreign, InstalledTool, RecordError, Registry, Writer, files_of_before};
use tollgate_audit::Digest;
use tollgate_authority::{files, has_other_name};

/// Why a tool of a version of before is not moved.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum MoveError {
    #[error(
        "`{}` does not say that `{}` is what was installed: {why}; look who could change them, then install the tool again: \
         tollgate install PATH --name {name}", artifact.display(), component.display()
    )]
    Exchanged { name: ToolName, artifact: PathBuf, component: PathBuf, why: String },
    #[error("`{}` has another name (a hard link), by which somebody could change it", path.display())]
    OtherName { path: PathBuf },
    #[error("`{}` cannot be looked at", path.display())]
    Unseen { path: PathBuf, source: std::io::Error },
    #[error("it was installed or removed meanwhile")]
    Changed,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Stored {
    whole: usize,
    damaged: Vec<Damaged>,
    /// What Tollgate put nowhere.
    foreign: Vec<Foreign>,
    /// Why nothing more is known.
    unknown: Option<String>,
    /// Whether a command was killed that changed what is installed.
    is_unfinished: bool,
}

#[derive(Debug)]
struct Damaged {
    name: String,
    version: Option<String>,
    what: Vec<String>,
    help: String,
}

impl Stored {
    /// Looks at every file of every tool. Changes nothing.
    pub(super) fn look() -> Self {
        progress::during("looking at the installed tools", look)
    }

    /// Whether all that is installed can be called.
    pub(super) fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.unknown.is_none() && !self.foreign.iter().any(|foreign| foreign.is_in_the_way)
    }

    fn foreign(&self, is_in_the_way: bool) -> Vec<&Path> {
        let those = self.foreign.iter().filter(|foreign| foreign.is_in_the_way == is_in_the_way);
        those.map(|foreign| &*foreign.path).collect()
    }

    pub(super) fn json(&self) -> Value {
        let damaged = self.damaged.iter().map(|damaged| {
            let Damaged { name, version, what, help } = damaged;
            json!({ "name": name, "version": version, "what": what, "help": help })
        });
        json!({
            "whole": self.whole,
            "damaged": damaged.collect::<Vec<_>>(),
            "foreign": self.foreign(false),
            "in_the_way": self.foreign(true),
            "unknown": self.unknown,
            "unfinished": self.is_unfinished,
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |mark: &str, what: &str| text.push_str(&format!("  {mark:<5}{}\n", output::one_line(what)));
        if let Some(why) = &self.unknown {
            line("no", why);
        }
        for Damaged { name, version, what, help } in &self.damaged {
            let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            line("no", &format!("{name}{version}: {}", what.join("; ")));
            line("", help);
        }
        for path in self.foreign(true) {
            line(
                "no",
                &format!("`{}` has the name of something of Tollgate's, and is of another kind", path.display()),
            );
            line("", &which::move_away(path, "tollgate doctor --fix"));
        }
        for path in self.foreign(false) {
            line("note", &format!("`{}` is nothing of Tollgate's", path.display()));
        }
        if self.is_unfinished {
            line(
                "note",
                "a command was killed that changed them; the next one, or `tollgate doctor --fix`, takes away what it left",
            );
        }
        match self.whole {
            0 if text.is_empty() => String::new(),
            0 => format!("installed tools:\n{text}"),
            whole => format!("installed tools:\n  yes  {whole} whole\n{text}"),
        }
    }
}

fn look() -> Stored {
    let Some(folder) = config::tools_folder() else { return Stored::default() };
    let registry = Registry::new(folder);
    let unknown = |why: String| Stored { unknown: Some(why), ..Stored::default() };
    let names = match registry.names() {
        Ok(names) => names,
        Err(error) => return unknown(format!("they cannot be listed: {error}")),
    };
    let foreign = registry.foreign().unwrap_or_default();
    let mut stored = Stored { foreign, is_unfinished: registry.is_unfinished(), ..Stored::default() };
    if names.is_empty() {
        return stored;
    }
    let key = config::artifact_key().ok_or_else(|| "there is no place for the key of compiled tools".to_owned());
    // None is made here.
    let key = key.and_then(|path| ArtifactKey::open(&path).map_err(|error| with_causes(&error)));
    let engine = Engine::new(1).map_err(|error| with_causes(&error));
    let (key, engine) = match key.and_then(|key| Ok((key, engine?))) {
        Ok(both) => both,
        Err(why) => return Stored { unknown: Some(why), ..stored },
    };
    for name in names {
        match registry.find(&name) {
            Ok(tool) => tool.iter().flat_map(InstalledTool::versions).for_each(|tool| stored.add(&tool, &key, &engine)),
            Err(error) => stored.damaged.push(Damaged::unfound(&name, &error)),
        }
    }
    stored
}

impl Stored {
    fn add(&mut self, tool: &InstalledTool, key: &ArtifactKey, engine: &Engine) {
        let damage = tool.damage(key, engine);
        if damage.is_empty() {
            self.whole += 1;
            return;
        }
        let in_the_way = damage.iter().find_map(Damage::in_the_way);
        let is_compiled = |damage: &Damage| {
            damage.is_mended_by_compiling() || damage.in_the_way().is_some_and(|(_, is_made)| is_made)
        };
        let help = if let Some((path, _)) = in_the_way {
            let again = format!("tollgate install PATH --name {}", tool.name);
            which::move_away(path, if damage.iter().all(is_compiled) { "tollgate doctor --fix" } else { &again })
        } else if damage.iter().all(is_compiled) {
            "`tollgate doctor --fix` compiles it again".to_owned()
        } else {
            let from = tool
                .installed
                .from
                .as_deref()
                .map_or_else(|| "PATH".into(), |from| output::shell_word(Path::new(from)));
            format!("look who could change it, then: tollgate install {from} --name {}", tool.name)
        };
        let what = damage.iter().map(ToString::to_string).collect();
        self.damaged.push(Damaged { name: tool.name.to_string(), version: Some(tool.installed.shown()), what, help });
    }
}

impl Damaged {
    fn unfound(name: &ToolName, error: &FindError) -> Self {
        let help = match error {
            FindError::Older { .. } => "`tollgate doctor --fix` moves it".to_owned(),
            FindError::NoRecord { source: RecordError::Format { .. }, .. } => which::of_newer(name),
            FindError::NoFile { path } => which::move_away(path, &format!("tollgate install PATH --name {name}")),
            FindError::Unreadable { .. }
            | FindError::NoRecord { .. }
            | FindError::OtherName { .. }
            | FindError::Choice(_) => format!("look who could change it, then: tollgate install PATH --name {name}"),
        };
        Self { name: name.to_string(), version: None, what: vec![with_causes(error)], help }
    }
}

/// Mends what can be mended, one tool after the other; what cannot be is said, and is found again by [`Stored::look`].
pub(super) fn fix(args: &DoctorArgs) -> Result<(), Failure> {
    let store = Store::open()?;
    let registry = &store.registry;
    say_left(store.write()?.clean().as_deref());
    let names = registry.names().map_err(|source| not_written(registry, source))?;
    let mut is_changed = false;
    for name in names {
        match registry.find(&name) {
            Ok(tool) => {
                for tool in tool.iter().flat_map(InstalledTool::versions) {
                    let damage = tool.damage(&store.key, &store.engine);
                    if !damage.is_empty() && damage.iter().all(Damage::is_mended_by_compiling) {
                        let shown = format!("{name} {}", tool.installed.shown());
                        is_changed |= say(&shown, "compiled again", compile_again(&tool, &store, args));
                    }
                }
            }
            Err(FindError::Older { folder }) => {
                is_changed |= say(name.as_str(), "moved", move_here(&name, &folder, &store, args));
            }
            // What is read by nobody is told by whoever looks.
            Err(_) => {}
        }
    }
    if is_changed {
        operator::tools_changed(args.ledger.there.folder().ok());
    }
    Ok(())
}

/// Says what was done, or why not; whether it was.
fn say(name: &str, what: &str, done: Result<(), Failure>) -> bool {
    let line = match &done {
        Ok(()) => format!("{what}: {name}"),
        Err(why) => format!("not {what}: {name}: {}", why.causes()),
    };
    output::eprint(&format!("{}\n", output::one_line(&line)));
    done.is_ok()
}

fn compile_again(tool: &InstalledTool, store: &Store, args: &DoctorArgs) -> Result<(), Failure> {
    let (path, found) = (tool.component(), load::manifest_file(&tool.manifest())?);
    let candidate = Candidate { name: tool.name.clone(), bytes: load::component(&path)?, path, found };
    let loaded = candidate.loaded(args.policy.as_deref())?;
    // What it said before it says again wherever it is loaded.
    let artifact = match tool.operations(&store.key) {
        Ok(operations) => {
            let cached = compiled::cached(&store.engine, candidate.component())?;
            let compiled = cached.map_or_else(|| candidate.compiled(&store.engine, &loaded), Ok)?;
            compiled.with_operations(operations)
        }
        Err(_none) => candidate.ready(store, &loaded, &args.ledger)?,
    };
    let operations = artifact.operations().cloned().unwrap_or_default();
    let operations = seal_operations(&store.key, artifact.component(), &operations);
    let mended = store.write()?.mend(artifact.component(), &artifact.seal(&store.key), &operations);
    mended.map_err(|source| not_written(&store.registry, source))
}

fn move_here(name: &ToolName, folder: &Path, store: &Store, args: &DoctorArgs) -> Result<(), Failure> {
    let files = files_of_before(folder);
    must_have_one_name(&files)?;
    let [path, manifest, stored] = files;
    let found = load::manifest_file(&manifest)?;
    let candidate = Candidate { name: name.clone(), bytes: load::component(&path)?, path, found };
    let loaded = candidate.loaded(args.policy.as_deref())?;
    let compiled = as_compiled_before(&stored, candidate.component(), store).map_err(|why| {
        let (name, component) = (name.clone(), candidate.path.clone());
        Failure::usage(MoveError::Exchanged { name, artifact: stored, component, why })
    })?;
    let artifact = match compiled.filter(|artifact| artifact.operations().is_some()) {
        Some(artifact) => artifact,
        None => candidate.ready(store, &loaded, &args.ledger)?,
    };
    let writer = store.write()?;
    // Somebody else may have installed or removed it until now.
    if !matches!(store.registry.find(name), Err(FindError::Older { .. })) {
        return Err(Failure::usage(MoveError::Changed));
    }
    candidate.put(&writer, store, &artifact, None, Writer::move_here).map(drop)
}

/// They were made with one name each.
fn must_have_one_name(files: &[PathBuf]) -> Result<(), Failure> {
    for path in files {
        match std::fs::metadata(path) {
            Ok(metadata) if !has_other_name(&metadata) => {}
            Ok(_other) => return Err(Failure::usage(MoveError::OtherName { path: path.clone() })),
            Err(source) => return Err(Failure::usage(MoveError::Unseen { path: path.clone(), source })),
        }
    }
    Ok(())
}

/// What a version of before compiled of a component, if this one can use it. In that version the compiled code alone said which component
/// was installed, so it is an error if it does not say that it was this one.
fn as_compiled_before(path: &Path, component: Digest, store: &Store) -> Result<Option<Artifact>, String> {
    let stored = files::read(path, STORED_BYTES_MAX).map_err(|error| error.to_string())?;
    match Artifact::open(&stored, &store.key, component, &store.engine) {
        Ok(artifact) => Ok(Some(artifact)),
        // Its tag is of this key.
        Err(ArtifactError::Engine) => Ok(None),
        // Nobody can tell who wrote it; the digest stands in its head as it does now.
        Err(ArtifactError::Version) if stored.get(DIGEST_IN_HEAD) == Some(&component.0[..]) => Ok(None),
        Err(ArtifactError::Version) => Err(ArtifactError::Component.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Where the component's SHA-256 is in stored code, in each form that there was.
const DIGEST_IN_HEAD: std::ops::Range<usize> = 8..40;

//! `tollgate update`: installs a new version of a tool, once it was shown what changes. Nothing is changed before that.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::{Value, json};
use tollgate_capability::{Cap, RecordScope};
use tollgate_config::{Grant, Manifest, RandomNeed, ToolName, intersect, show_limit};

use super::args::UpdateArgs;
use super::candidate::{Candidate, Store, not_changed};
use super::exit::{Exit, Failure};
use super::install::Refused;
use super::load::{FoundManifest, Loaded};
use super::which::{find, selector};
use super::{install, load, operator, output, report, tools};
use tollgate::artifact::Artifact;
use tollgate::described::OperationChanges;
use tollgate::error::with_causes;
use tollgate::interfaces::Import;
use tollgate::registry::{Done, InstalledTool, Writer};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum UpdateError {
    #[error("`{given}` names a version, and an update is of the tool")]
    #[diagnostic(help("give the name alone; `tollgate rollback {given}` makes an installed version current"))]
    Version { given: String },
    #[error("where `{name}` came from is not known")]
    #[diagnostic(help("give the new component: `tollgate update {name} PATH`"))]
    FromNowhere { name: ToolName },
    #[error("`{}` brings no manifest, and none is beside it", component.display())]
    #[diagnostic(help("a tool is installed with its manifest: give it with --manifest"))]
    NoManifest { component: PathBuf },
    #[error("nothing was changed: nobody is there to be asked")]
    #[diagnostic(help("look at what changes, then give --yes"))]
    NotAsked,
    #[error("nothing was changed")]
    #[diagnostic(help("the answer was not `y`"))]
    Refused,
    #[error("nothing was changed: what is installed as `{name}` became another while this was shown")]
    #[diagnostic(help("look again: `tollgate update {name}`"))]
    Changed { name: ToolName },
}

pub(crate) fn update(args: &UpdateArgs) -> Result<Exit, Failure> {
    if selector(&args.name)?.version.is_some() {
        return Err(Failure::usage(UpdateError::Version { given: output::one_line(&args.name) }));
    }
    let tool = find(&args.name)?;
    let store = Store::open()?;
    let candidate = candidate(args, &tool)?;
    let loaded = candidate.loaded(args.policy.as_deref())?;
    if candidate.is(&tool) && tool.damage(&store.key, &store.engine).is_empty() {
        return say_from(args, &tool, &store);
    }
    let artifact = candidate.ready(&store, &loaded, &args.ledger)?;
    let changes = Changes::of(&tool, &candidate, &store, &artifact, &loaded);
    if !args.json {
        output::print(&changes.text(&tool, &candidate))?;
    }
    if !is_wanted(args)? {
        return print_refused(&tool, &changes);
    }
    let writer = store.write()?;
    let is_as_shown = store.registry.find(&tool.name).is_ok_and(|now| now.is_some_and(|now| now.record == tool.record));
    if !is_as_shown {
        return Err(Failure::usage(UpdateError::Changed { name: tool.name }));
    }
    let done = candidate.put(&writer, &store, &artifact, Some(&candidate.path), Writer::install)?;
    drop(writer);
    operator::tools_changed(args.ledger.there.folder().ok());
    install::say_not_offered(tool.name.as_str(), &artifact, &loaded.grant.aliases);
    print(args, &tool, &done, &changes)
}

fn candidate(args: &UpdateArgs, tool: &InstalledTool) -> Result<Candidate, Failure> {
    let from = || tool.installed.from.as_ref().map(PathBuf::from);
    let path = args.component.clone().or_else(from);
    let path = path.ok_or_else(|| Failure::usage(UpdateError::FromNowhere { name: tool.name.clone() }))?;
    let bytes = load::component(&path)?;
    let found: Option<FoundManifest> = load::manifest_of(&path, &bytes, args.manifest.as_deref())?;
    let found = match found {
        Some(found) => found,
        None => {
            let no_manifest = || Failure::usage(UpdateError::NoManifest { component: path.clone() });
            let installed = install::installed_manifest(tool).ok_or_else(no_manifest)?;
            let shown = output::one_line(&path.display().to_string());
            output::eprint(&format!(
                "note: `{shown}` brings no manifest, and none is beside it: the one that is installed stays; --manifest gives another\n"
            ));
            installed
        }
    };
    Ok(Candidate { name: tool.name.clone(), path, bytes, found })
}

/// Whether the operator says yes. With `--json` nobody is asked.
fn is_wanted(args: &UpdateArgs) -> Result<bool, Failure> {
    if args.yes || args.json {
        return Ok(args.yes);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(UpdateError::NotAsked));
    }
    output::eprint("update it? [y/N] ");
    let mut answer = String::new();
    // An answer that cannot be read is none.
    stdin.lock().read_line(&mut answer).unwrap_or_default();
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(true) } else { Err(Failure::usage(UpdateError::Refused)) }
}

/// What differs between the current version and the new one.
struct Changes {
    imports: Lines,
    needs: Lines,
    /// What else the manifests say.
    settings: Lines,
    /// Or why the operations of the current version are not known.
    operations: Result<OperationChanges, String>,
    /// The name in the manifest, of the one and of the other.
    declared: Option<[String; 2]>,
    /// Why the policy will refuse the new version.
    refused: Option<Refused>,
}

/// What the one has and the other has not.
struct Lines {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Lines {
    fn between(before: &BTreeSet<String>, now: &BTreeSet<String>) -> Self {
        Self { added: now.difference(before).cloned().collect(), removed: before.difference(now).cloned().collect() }
    }

    fn text(&self, what: &str) -> String {
        let added = self.added.iter().map(|line| ("+", line));
        let lines = added.chain(self.removed.iter().map(|line| ("-", line)));
        lines.map(|(sign, line)| format!("  {what:<11}{sign} {}\n", output::one_line(line))).collect()
    }

    fn json(&self) -> Value {
        json!({ "added": self.added, "removed": self.removed })
    }
}

impl Changes {
    fn of(tool: &InstalledTool, candidate: &Candidate, store: &Store, artifact: &Artifact, loaded: &Loaded) -> Self {
        // What of the current version cannot be read counts as nothing, so that all of the new one is shown as new.
        let before = tool.artifact(&store.key, &store.engine).ok();
        let imported = |imports: &[Import]| imports.iter().map(|import| import.interface.clone()).collect();
        let imports_before = before.map(|before| imported(before.imports())).unwrap_or_default();
        let manifest_before = load::manifest_file(&tool.manifest()).ok().map(|(manifest, ..)| manifest);
        let of_before =
            |lines: fn(&Manifest) -> BTreeSet<String>| manifest_before.as_ref().map(lines).unwrap_or_default();
        let told = artifact.operations().cloned().unwrap_or_default();
        let operations = tool.operations(&store.key).map(|before| OperationChanges::between(&before, &told));
        let declared = [tool.installed.declared.clone(), candidate.manifest().name.to_string()];
        Self {
            imports: Lines::between(&imports_before, &imported(artifact.imports())),
            needs: Lines::between(&of_before(needs), &needs(candidate.manifest())),
            settings: Lines::between(&of_before(settings), &settings(candidate.manifest())),
            operations: operations.map_err(|error| with_causes(&error)),
            declared: (declared[0] != declared[1]).then_some(declared),
            refused: install::refused(loaded, &tool.name, candidate.component()),
        }
    }

    fn text(&self, tool: &InstalledTool, candidate: &Candidate) -> String {
        let new = format!("{} {}", candidate.manifest().version, candidate.component());
        let [was, new] = [tool.installed.whole(), new].map(|version| output::one_line(&version));
        let mut text = format!("{}: {was} becomes {new}\n", tool.name);
        if let Some([before, now]) = &self.declared {
            let [before, now] = [before, now].map(|name| output::one_line(name));
            text.push_str(&format!("  declared   {now}, was {before}\n"));
        }
        text.push_str(&self.imports.text("imports"));
        text.push_str(&self.needs.text("needs"));
        text.push_str(&self.settings.text("manifest"));
        match &self.operations {
            Ok(OperationChanges { added, removed, changed }) => {
                for (sign, names) in [("+", added), ("-", removed), ("~", changed)] {
                    for name in names {
                        text.push_str(&format!("  operations {sign} {}\n", output::one_line(name)));
                    }
                }
            }
            Err(why) => text.push_str(&format!("  operations of before cannot be told: {}\n", output::one_line(why))),
        }
        if let Some(Refused { why, pin }) = &self.refused {
            text.push_str(&format!("  policy     {}; pin the new one with  {pin}\n", output::one_line(why)));
        }
        text
    }

    fn json(&self) -> Value {
        let operations = self.operations.as_ref().ok().map(|operations| {
            let OperationChanges { added, removed, changed } = operations;
            json!({ "added": added, "removed": removed, "changed": changed })
        });
        json!({
            "imports": self.imports.json(),
            "needs": self.needs.json(),
            "manifest": self.settings.json(),
            "operations": operations,
            "declared": self.declared,
            "refused_by_policy": self.refused.as_ref().map(|refused| &refused.why),
        })
    }
}

/// What a manifest needs, in the words of grants.
fn needs(manifest: &Manifest) -> BTreeSet<String> {
    let missing = intersect(manifest, &Grant::default(), |_variable| None).err();
    missing.map(|missing| missing.grant_texts().into_iter().collect()).unwrap_or_default()
}

/// What else a manifest says: each a key and its value, as the file has them.
fn settings(manifest: &Manifest) -> BTreeSet<String> {
    let Manifest { name: _, version: _, description, operations, needs, limits, record } = manifest;
    let limit = |cap: Cap| Some(format!("limits.{} = {}", cap.as_str(), show_limit(cap, limits.get(cap)?)));
    let described = operations.iter().filter(|operation| !operation.description.is_empty());
    let random = needs.random.map(|need| match need {
        RandomNeed::Secure => "needs.random = secure",
        RandomNeed::Seeded => "needs.random = seeded",
    });
    let record = match record {
        RecordScope::Acquire => "record = acquire",
        RecordScope::Every => "record = every",
    };
    Cap::ALL
        .into_iter()
        .filter_map(limit)
        .chain(
            described.map(|operation| format!("operations.{}.description = {}", operation.name, operation.description)),
        )
        .chain((!description.is_empty()).then(|| format!("tool.description = {description}")))
        .chain(random.map(str::to_owned))
        .chain([record.to_owned()])
        .collect()
}

/// Nobody was asked, and the answer was not given before.
fn print_refused(tool: &InstalledTool, changes: &Changes) -> Result<Exit, Failure> {
    let failure = Failure::usage(UpdateError::NotAsked);
    let mut report = report::failure_json(&failure);
    for (key, value) in [("updated", json!(false)), ("name", json!(tool.name.as_str())), ("changes", changes.json())] {
        if let Some(report) = report.as_object_mut() {
            report.insert(key.to_owned(), value);
        }
    }
    output::print(&format!("{report}\n"))?;
    Ok(failure.exit())
}

/// The component is installed as it is. Where it comes from may be elsewhere from now on, if that is given.
fn say_from(args: &UpdateArgs, tool: &InstalledTool, store: &Store) -> Result<Exit, Failure> {
    let given = args.component.as_ref().and_then(|path| std::path::absolute(path).ok());
    let given = given.as_deref().and_then(Path::to_str).filter(|given| tool.installed.from.as_deref() != Some(given));
    if let Some(from) = given {
        let set = store.write()?.set_from(&tool.name, tool.installed.component, from);
        set.map_err(|source| not_changed(&store.registry, &tool.name, source))?;
    }
    output::print(&if args.json {
        let from = given.or(tool.installed.from.as_deref());
        let report = json!({ "ok": true, "updated": false, "name": tool.name.as_str(), "changes": null, "from": from });
        format!("{report}\n")
    } else {
        let mut text = format!("{} is {} already\n", tool.name, output::one_line(&tool.installed.whole()));
        if let Some(from) = given {
            let was = tool.installed.from.as_deref().unwrap_or("-");
            let [from, was] = [from, was].map(output::one_line);
            text.push_str(&format!("  from       {from}, was {was}: an update comes from there\n"));
        }
        text
    })?;
    Ok(Exit::Success)
}

fn print(args: &UpdateArgs, tool: &InstalledTool, done: &Done, changes: &Changes) -> Result<Exit, Failure> {
    let current = done.record.current();
    output::print(&if args.json {
        let report = json!({
            "ok": true,
            "updated": true,
            "name": tool.name.as_str(),
            "current": tools::version_json(current),
            // The same component under another manifest has taken its place.
            "before": done.before.as_ref().map(tools::version_json),
            "gone": done.gone.iter().map(tools::version_json).collect::<Vec<_>>(),
            "changes": changes.json(),
        });
        format!("{report}\n")
    } else {
        let name = &tool.name;
        let current = output::one_line(&current.whole());
        let back = done.before.as_ref().map(|_| format!("; go back with  tollgate rollback {name}"));
        format!("{name} is {current} now{}\n{}", back.unwrap_or_default(), install::gone(done))
    })?;
    Ok(Exit::Success)
}

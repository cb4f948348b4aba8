//! What an operator would change so that a denied call is allowed, or a cap is higher, as people read it at a terminal: with the file of
//! the manifest, and with what allows it for one run. What it is, is the library's to say (`tollgate::help`).

use std::path::Path;

use tollgate::error::CallError;
use tollgate::help::{self, Granted, Place, Step};
use tollgate_plain::one_line;

use super::config;
use super::load::{Loaded, ManifestFrom};

/// The lines that would allow what `rule` denies; each a place and what to write there.
pub(crate) fn to_allow(loaded: &Loaded, rule: &str) -> Vec<String> {
    lines(loaded, &help::to_allow(granted(loaded), rule))
}

/// The lines that would let a call through that failed so.
pub(crate) fn of(loaded: &Loaded, error: &CallError) -> Vec<String> {
    lines(loaded, &help::of(granted(loaded), error))
}

/// Where the tool sees its folders, if an argument is a path of the host in the place of one of the tool's.
pub(crate) fn seen_elsewhere(loaded: &Loaded, arguments: &str) -> Vec<String> {
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
    let given = arguments.as_object().into_iter().flat_map(|object| object.values()).filter_map(|value| value.as_str());
    let folders = &loaded.grant.fs;
    let is_seen = |path: &str| folders.keys().any(|guest| Path::new(path).starts_with(guest.to_string()));
    let is_of_host = |path: &str| !path.is_empty() && !is_seen(path) && Path::new(path).exists();
    if !given.into_iter().any(is_of_host) {
        return Vec::new();
    }
    folders.iter().map(|(guest, fs)| format!("the tool sees `{}` as `{guest}`", fs.host.display())).collect()
}

/// What a line begins with that says the same as the one before, for a single run.
pub(crate) const ONCE: &str = "or for one run: --grant ";

fn granted(loaded: &Loaded) -> Granted<'_> {
    // Somebody else than the operator says what the tool needs, if anybody does.
    let has_author = loaded.manifest_from != ManifestFrom::Grant;
    Granted { manifest: &loaded.manifest, grant: &loaded.grant, has_author }
}

fn lines(loaded: &Loaded, steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| {
        let for_one_run = step.once.as_ref().map(|once| format!("{ONCE}{once}"));
        std::iter::once(placed(loaded, step)).chain(for_one_run)
    };
    steps.iter().flat_map(line).collect()
}

fn placed(loaded: &Loaded, step: &Step) -> String {
    let what = one_line(&step.what);
    match (step.place, &loaded.manifest_from) {
        // What is installed is not edited: it would be refused.
        (Place::Manifest, ManifestFrom::File(path)) if is_installed(path) => format!(
            "in the tool's manifest, or a copy of it, then `tollgate install PATH --name {} --manifest FILE`: {what}",
            loaded.manifest.name
        ),
        (Place::Manifest, ManifestFrom::File(path)) => format!("in {}: {what}", path.display()),
        (Place::Manifest, ManifestFrom::Component(_)) => format!("in tool.toml, then `tollgate build`: {what}"),
        (Place::Manifest, ManifestFrom::Grant) | (Place::Policy | Place::Nowhere, _) => step.to_string(),
    }
}

fn is_installed(manifest: &Path) -> bool {
    config::tools_folder().is_some_and(|tools| manifest.starts_with(tools))
}

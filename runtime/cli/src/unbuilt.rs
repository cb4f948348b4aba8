//! A tool's project where a component was expected.

use std::path::Path;

use tollgate_config::{MANIFEST_BYTES_MAX, Manifest};

use super::language::Language;
use super::output;
use tollgate_authority::files;

/// The manifest's name in a project's folder.
pub(crate) const MANIFEST: &str = "tool.toml";

/// How to run the tool whose project is in `folder`; `None` if that is no project.
pub(crate) fn how_to_run(folder: &Path) -> Option<String> {
    if !folder.join(MANIFEST).is_file() || Language::marked(folder).len() != 1 {
        return None;
    }
    // A component in this folder has no folder before its name.
    let here = folder.as_os_str().is_empty() || folder == Path::new(".");
    let (this, build) = if here {
        ("this folder".to_owned(), "tollgate build".to_owned())
    } else {
        let shown = output::one_line(&folder.display().to_string());
        (format!("the folder `{shown}`"), format!("tollgate build {}", output::shell_word(folder)))
    };
    // What is wrong with a manifest is said when it is built.
    let text = files::read(&folder.join(MANIFEST), MANIFEST_BYTES_MAX as u64)
        .ok()
        .and_then(|text| String::from_utf8(text).ok());
    let Some(manifest) = text.and_then(|text| Manifest::parse(&text, MANIFEST).ok()) else {
        return Some(format!("{this} is a tool's project: build it with `{build}`"));
    };
    let component = folder.join(format!("{}.wasm", manifest.name));
    let is_built = component.is_file();
    let component = output::one_line(&component.display().to_string());
    Some(if is_built {
        format!("{this} is a tool's project: what is built of it is `{component}`")
    } else {
        format!("{this} is a tool's project, and not built: `{build}`, then run `{component}`")
    })
}

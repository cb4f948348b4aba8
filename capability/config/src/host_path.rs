//! Host folders as a policy names them: variables replaced, joined to the policy's folder. All of it is text; the disk is
//! never touched here. Whoever opens the folder resolves it first and asks [`refuse_host`] again about what it found.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;
use tollgate_capability::PATH_BYTES_MAX;

use crate::nearest::nearest;

/// Why a host path cannot be granted.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum HostPathError {
    /// It is empty, too long or has a NUL.
    #[error("{given:?} is not a path")]
    #[diagnostic(help(
        "write the path of a folder, such as \"./reports\", without NUL and of at most {PATH_BYTES_MAX} bytes"
    ))]
    NotAPath {
        /// The text.
        given: String,
    },
    /// It is relative, and the folder to join it to is relative too.
    #[error("{given:?} is relative, and so is the folder it was to be joined to")]
    #[diagnostic(help("write an absolute path, or resolve the folder of the policy before reading it"))]
    Relative {
        /// The text.
        given: String,
    },
    /// It is the root of the host.
    #[error("{given:?} is the root of the host, and granting it would grant everything")]
    #[diagnostic(help("grant the folder that the tool needs, such as \"./reports\""))]
    Root {
        /// The path.
        given: String,
    },
    /// It is a file system of the kernel.
    #[error("{given:?} is in `{system}`, which is the kernel's and not a folder of files")]
    #[diagnostic(help("grant a folder of files: through `{system}` a tool could reach devices or other processes"))]
    System {
        /// The path.
        given: String,
        /// `/proc`, `/sys` or `/dev`.
        system: &'static str,
    },
    /// It starts with `~`.
    #[error("{given:?} starts with `~`, which only a shell replaces")]
    #[diagnostic(help("write the path in full, or \"./~\" for a folder of that name"))]
    Home {
        /// The text.
        given: String,
    },
    /// It uses a variable that does not exist.
    #[error("unknown variable `{name}`")]
    UnknownVariable {
        /// The name.
        name: String,
        /// The nearest known variable and all known variables.
        #[help]
        help: String,
    },
    /// It has a dollar sign that begins no variable.
    #[error("the `$` in {given:?} begins no variable")]
    #[diagnostic(help("write `${{name}}` for a variable of [variables], or `$$` for a dollar sign"))]
    Dollar {
        /// The text.
        given: String,
    },
}

/// Whether a host path may be granted at all: not the root, nothing in `/proc`, `/sys` or `/dev`.
///
/// It looks at the text only. A policy's paths have passed it; ask again after resolving symbolic links.
///
/// # Errors
///
/// [`HostPathError::Root`] or [`HostPathError::System`].
pub fn refuse_host(path: &Path) -> Result<(), HostPathError> {
    let given = path.display().to_string();
    let plain = lexically_normal(path);
    if plain == Path::new("/") {
        return Err(HostPathError::Root { given });
    }
    match ["/proc", "/sys", "/dev"].into_iter().find(|system| plain.starts_with(system)) {
        Some(system) => Err(HostPathError::System { given, system }),
        None => Ok(()),
    }
}

/// The host path that `text` means, without variables.
pub(crate) fn host_path(text: &str, folder: &Path) -> Result<PathBuf, HostPathError> {
    if text.is_empty() || text.len() > PATH_BYTES_MAX || text.contains('\0') {
        return Err(HostPathError::NotAPath { given: text.to_owned() });
    }
    if text == "~" || text.starts_with("~/") {
        return Err(HostPathError::Home { given: text.to_owned() });
    }
    // Components leave out `.` and doubled slashes; `..` stays, since only the disk knows what it means.
    let path = folder.join(text).components().collect::<PathBuf>();
    if !path.is_absolute() {
        return Err(HostPathError::Relative { given: text.to_owned() });
    }
    refuse_host(&path)?;
    Ok(path)
}

/// `text` with each `${name}` replaced and `$$` as a dollar sign. What a variable holds is not looked at again.
pub(crate) fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, HostPathError> {
    let dollar = || HostPathError::Dollar { given: text.to_owned() };
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
            continue;
        }
        let (name, after) = after.strip_prefix('{').and_then(|after| after.split_once('}')).ok_or_else(dollar)?;
        expanded.push_str(variables.get(name).ok_or_else(|| unknown_variable(name, variables))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn unknown_variable(name: &str, variables: &BTreeMap<String, String>) -> HostPathError {
    let known = variables.keys().map(String::as_str).collect::<Vec<_>>();
    let help = format!("{}. New ones go into [variables] of this file", nearest(name, &known, "variables"));
    HostPathError::UnknownVariable { name: name.to_owned(), help }
}

/// The path without `.` and `..`, as if nothing in it were a symbolic link.
fn lexically_normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        BTreeMap::from([("workspace".to_owned(), "./work".to_owned()), ("price".to_owned(), "${x}$".to_owned())])
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expand("${workspace}/a", &variables()).as_deref(), Ok("./work/a"));
        assert_eq!(expand("a$$b${price}", &variables()).as_deref(), Ok("a$b${x}$"));
        assert!(matches!(expand("${workspac}", &variables()), Err(HostPathError::UnknownVariable { help, .. })
            if help.contains("did you mean `workspace`?")));
        for text in ["$", "$HOME", "${", "${workspace", "a$ b"] {
            assert!(matches!(expand(text, &variables()), Err(HostPathError::Dollar { .. })), "{text}");
        }
    }

    #[test]
    fn relative_paths_are_joined_and_dots_left_to_the_disk() {
        let joined = |text: &str| host_path(text, Path::new("/etc/tollgate"));
        assert_eq!(joined("./work//x/."), Ok(PathBuf::from("/etc/tollgate/work/x")));
        assert_eq!(joined("../work"), Ok(PathBuf::from("/etc/tollgate/../work")));
        assert_eq!(joined("/srv/data"), Ok(PathBuf::from("/srv/data")));
    }

    #[test]
    fn the_root_and_the_kernels_folders_are_refused() {
        for text in ["/", "//", "/.", "/..", "/a/..", "../..", "../../..", "/a/../../b/.."] {
            let refused = host_path(text, Path::new("/etc/tollgate"));
            assert!(matches!(refused, Err(HostPathError::Root { .. })), "{text}: {refused:?}");
        }
        for text in ["/proc", "/proc/self", "/sys/x", "/dev", "../../proc/1", "/a/../dev/null"] {
            let refused = host_path(text, Path::new("/etc/tollgate"));
            assert!(matches!(refused, Err(HostPathError::System { .. })), "{text}: {refused:?}");
        }
        assert!(["", "~", "~/x", "a\0b"].into_iter().all(|text| host_path(text, Path::new("/x")).is_err()));
        assert!(host_path("/process", Path::new("/x")).is_ok() && host_path("./~", Path::new("/x")).is_ok());
    }
}

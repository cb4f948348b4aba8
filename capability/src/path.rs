//! Guest paths made plain. Everything here is text: containment is the kernel's work (`openat2`), this is what is
//! decided on, recorded, and then handed to it. A path that leaves this module has no `..`, no `.` and no empty part.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest path a guest may ask for, in bytes: the kernel's `PATH_MAX` less its NUL.
pub const PATH_BYTES_MAX: usize = 4095;
/// Longest single name, in bytes: `NAME_MAX` on Linux.
pub const NAME_BYTES_MAX: usize = 255;

/// A path a guest asks for, relative to a directory handle that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsPath {
    /// Which filesystem capability the handle came from.
    pub grant: GrantIndex,
    /// The handle's own directory, below the granted folder; empty for the granted folder itself.
    pub dir: String,
    /// The text the guest gave.
    pub asked: String,
    resolved: Result<String, PathFault>,
    ending: Ending,
}

/// How a path's text ends, which is lost when it is made plain and still counts: the kernel makes, moves and removes no entry
/// that is named by a text which can only mean a folder that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In a name.
    Name,
    /// In a name and a slash.
    Slash,
    /// In `.` or `..`, with a slash or without.
    Dot,
}

impl FsPath {
    /// Resolves `asked` against `dir` without looking at the disk.
    #[must_use]
    pub fn new(grant: GrantIndex, dir: &str, asked: String) -> Self {
        let resolved = resolve(dir, &asked);
        let ending = match asked.rsplit('/').find(|name| !name.is_empty()) {
            Some("." | "..") => Ending::Dot,
            _name if asked.ends_with('/') => Ending::Slash,
            _name => Ending::Name,
        };
        Self { grant, dir: dir.to_owned(), asked, resolved, ending }
    }

    /// The path below the granted folder, normalised: `""` for the folder itself, `a/b` for what is in it.
    ///
    /// # Errors
    ///
    /// The [`PathFault`] that makes the text unusable.
    pub fn resolved(&self) -> Result<&str, PathFault> {
        match &self.resolved {
            Ok(path) => Ok(path),
            Err(fault) => Err(*fault),
        }
    }

    /// How the text ends.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether the text can only mean a folder, so that a file there is an error, and a link is followed.
    #[must_use]
    pub fn folder_only(&self) -> bool {
        self.ending != Ending::Name
    }
}

/// Whether a folder may come nearer to its granted folder by this move, so that the links in it have to be looked at.
pub(crate) fn moves_up(from: (&FsPath, bool), to: (&FsPath, bool)) -> bool {
    let depth = |path: &FsPath| path.resolved().unwrap_or_default().matches('/').count();
    from.1 || to.1 || depth(to.0) < depth(from.0)
}

/// Index of a filesystem capability in its [`CapabilitySet`](crate::CapabilitySet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantIndex(pub u16);

/// Why a guest's path text cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathFault {
    /// The empty string (POSIX: no such entry).
    Empty,
    /// It starts with `/`: WASI paths are relative to a handle.
    Absolute,
    /// `..` leads above the handle's directory.
    Escapes,
    /// It contains a NUL byte.
    Nul,
    /// The whole or one name is longer than the kernel takes.
    TooLong,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the path is empty",
            Self::Absolute => "the path is absolute",
            Self::Escapes => "the path leads out of the granted folder",
            Self::Nul => "the path contains a NUL byte",
            Self::TooLong => "the path or one of its names is too long",
        })
    }
}

fn resolve(dir: &str, asked: &str) -> Result<String, PathFault> {
    if asked.is_empty() {
        return Err(PathFault::Empty);
    }
    if asked.contains('\0') {
        return Err(PathFault::Nul);
    }
    if asked.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    let mut path = String::with_capacity(dir.len() + 1 + asked.len());
    path.push_str(dir);
    for name in asked.split('/') {
        match name {
            "" | "." => {}
            ".." => pop(&mut path, dir.len())?,
            name if name.len() > NAME_BYTES_MAX => return Err(PathFault::TooLong),
            name => push(&mut path, name),
        }
    }
    if path.len() > PATH_BYTES_MAX { Err(PathFault::TooLong) } else { Ok(path) }
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// Takes the last name off, never one of the handle's own directory.
fn pop(path: &mut String, floor: usize) -> Result<(), PathFault> {
    if path.len() <= floor {
        return Err(PathFault::Escapes);
    }
    let cut = path.rfind('/').map_or(0, |slash| slash.max(floor));
    path.truncate(cut);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(dir: &str, asked: &str) -> Result<String, PathFault> {
        FsPath::new(GrantIndex(0), dir, asked.to_owned()).resolved().map(str::to_owned)
    }

    #[test]
    fn dots_and_slashes_change_nothing() {
        for asked in ["a/b", "./a/b", "a//b", "a/./b", "a/b/", "a/c/../b", "x/../a/b/."] {
            assert_eq!(resolved("", asked).as_deref(), Ok("a/b"), "{asked}");
        }
        assert_eq!(resolved("sub", "a/../b").as_deref(), Ok("sub/b"));
        assert_eq!(resolved("sub", ".").as_deref(), Ok("sub"));
        assert_eq!(resolved("", ".").as_deref(), Ok(""));
        assert_eq!(resolved("sub", "a/..").as_deref(), Ok("sub"));
    }

    #[test]
    fn nothing_leads_above_the_handle() {
        for asked in ["..", "../x", "a/../../x", "./..", "a/b/../../.."] {
            assert_eq!(resolved("", asked), Err(PathFault::Escapes), "{asked}");
            assert_eq!(resolved("sub/dir", asked), Err(PathFault::Escapes), "{asked} below sub/dir");
        }
    }

    #[test]
    fn unusable_text_is_named() {
        assert_eq!(resolved("", ""), Err(PathFault::Empty));
        assert_eq!(resolved("", "/etc/passwd"), Err(PathFault::Absolute));
        assert_eq!(resolved("", "a\0b"), Err(PathFault::Nul));
        assert_eq!(resolved("", &"n".repeat(256)), Err(PathFault::TooLong));
        assert_eq!(resolved("", &"n/".repeat(3000)), Err(PathFault::TooLong));
    }
}

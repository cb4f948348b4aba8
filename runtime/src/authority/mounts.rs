//! The names that one folder has by way of several mounts (`mount(8)`, bind mounts), from `/proc/self/mountinfo`. Where that
//! file cannot be read there is one name for each folder: a container without `/proc` makes no bind mounts unseen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tollgate_capability::FileId;

/// Names that are followed for one folder. Above that something is made to be endless.
const NAMES_MAX: usize = 4096;

/// A mount, as `proc_pid_mountinfo(5)` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// `major:minor` of its file system.
    device: String,
    /// What of the file system is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

/// All mounts that this process sees.
#[derive(Debug, Clone, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    pub(super) fn here() -> Self {
        fs::read("/proc/self/mountinfo").map_or_else(|_unreadable| Self::default(), |text| Self::parse(&text))
    }

    fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    /// Device and inode of the folders at these real paths, and of every folder that holds one of them, under each name that
    /// the mounts give it.
    ///
    /// # Errors
    ///
    /// A folder cannot be looked at, or there are more names than anybody makes.
    pub(super) fn above<'p>(&self, paths: impl IntoIterator<Item = &'p Path>) -> io::Result<BTreeSet<FileId>> {
        let mut waiting: Vec<PathBuf> = paths.into_iter().flat_map(Path::ancestors).map(Path::to_owned).collect();
        let (mut seen, mut ids) = (BTreeSet::new(), BTreeSet::new());
        while let Some(path) = waiting.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            if seen.len() > NAMES_MAX {
                return Err(io::Error::other("the mounts give a folder more names than can be followed"));
            }
            let id = id(&path)?;
            ids.insert(id);
            // A name that another mount covers leads elsewhere, and is no name of this folder.
            let same =
                self.other_names(&path).into_iter().filter(|other| self::id(other).is_ok_and(|found| found == id));
            waiting.extend(same.flat_map(|other| other.ancestors().map(Path::to_owned).collect::<Vec<_>>()));
        }
        Ok(ids)
    }

    /// What else the folder at this real path may be called.
    fn other_names(&self, path: &Path) -> Vec<PathBuf> {
        // Of mounts on one another the last one is seen.
        let holding = |mount: &&Mount| path.starts_with(&mount.point);
        let depth = |mount: &&Mount| mount.point.components().count();
        let Some(own) = self.0.iter().filter(holding).max_by_key(depth) else { return Vec::new() };
        let Ok(below) = path.strip_prefix(&own.point) else { return Vec::new() };
        let inside = own.root.join(below);
        let others = self.0.iter().filter(|other| other.device == own.device && **other != *own);
        others.filter_map(|other| Some(other.point.join(inside.strip_prefix(&other.root).ok()?))).collect()
    }
}

fn id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// One line: `ID PARENT MAJOR:MINOR ROOT POINT …`.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let device = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
    Some(Mount { device, root, point })
}

/// A path in which space, tab, newline and backslash are written as three octal digits.
fn unescaped(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            Some(_) | None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"20 1 8:1 / / rw - ext4 /dev/sda rw\n\
        21 20 8:1 /srv/data /home/u/bound rw - ext4 /dev/sda rw\n\
        22 20 8:2 / /mnt/with\\040space rw - ext4 /dev/sdb rw\nnonsense\n";

    #[test]
    fn a_bound_folder_has_its_name_on_either_side() {
        let mounts = Mounts::parse(TABLE);
        let names = |path: &str| mounts.other_names(Path::new(path));
        assert_eq!(names("/srv/data/x"), [PathBuf::from("/home/u/bound/x")]);
        assert_eq!(names("/home/u/bound/x"), [PathBuf::from("/srv/data/x")]);
        assert_eq!(names("/srv"), Vec::<PathBuf>::new());
        assert_eq!(names("/mnt/with space/x"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_folder_is_below_itself_and_all_that_hold_it() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().canonicalize().unwrap().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let above = Mounts::here().above([deep.as_path()]).unwrap();
        for folder in deep.ancestors() {
            assert!(above.contains(&id(folder).unwrap()), "{}", folder.display());
        }
        assert!(!above.contains(&id(Path::new("/proc")).unwrap()));
    }
}

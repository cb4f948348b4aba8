//! The names that one folder has through several mounts (`mount(8)`, bind mounts) and overlays, by `/proc/self/mountinfo`. That
//! file does not tell which other file systems show a folder, such as one over FUSE.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tollgate_capability::FileId;
use tollgate_system::is_pseudo;

use super::walk::open_real;

/// Most names that are followed for one folder. Only mounts that are made to be endless have more.
const NAMES_MAX: usize = 4096;

/// A mount, as `proc_pid_mountinfo(5)` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// `major:minor` of its file system.
    device: String,
    /// The part of the file system that is mounted.
    root: PathBuf,
    /// Where it is mounted.
    point: PathBuf,
    /// The folders that an overlay is made of, by their real paths.
    layers: Vec<PathBuf>,
}

/// All mounts that this process sees.
#[derive(Debug, Clone, Default)]
pub(super) struct Mounts(Vec<Mount>);

impl Mounts {
    /// # Errors
    ///
    /// They cannot be read, for example since `/proc` is not mounted.
    pub(super) fn here() -> io::Result<Self> {
        Ok(Self::parse(&fs::read(MOUNTS)?))
    }

    fn parse(text: &[u8]) -> Self {
        Self(text.split(|byte| *byte == b'\n').filter_map(mount).collect())
    }

    /// Device and inode of the folders at these real paths, and of every folder above them, under each name that mounts give them.
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
            // A name under another mount leads elsewhere, and is no name of this folder.
            let same = self.other_names(&path).into_iter().filter(|other| is_at(other, id));
            // A folder has other numbers in an overlay than in its layers.
            let layered = self.names_by_layers(&path).into_iter().filter(|other| fs::symlink_metadata(other).is_ok());
            waiting.extend(
                same.chain(layered).flat_map(|other| other.ancestors().map(Path::to_owned).collect::<Vec<_>>()),
            );
        }
        Ok(ids)
    }

    /// The other names of the thing at this real path, through mounts of itself or of a folder above it.
    ///
    /// # Errors
    ///
    /// It cannot be looked at.
    pub(super) fn other_names_of(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let id = id(path)?;
        Ok(self.other_names(path).into_iter().filter(|other| other != path && is_at(other, id)).collect())
    }

    /// Whether the folder at this real path is in an overlay with a layer in a file system of the kernel's own or, with `below`,
    /// has such an overlay mounted in it.
    ///
    /// # Errors
    ///
    /// The kernel cannot tell what a layer is.
    pub(super) fn shows_pseudo(&self, path: &Path, below: bool) -> io::Result<bool> {
        let (mut waiting, mut seen) = (vec![path.to_owned()], BTreeSet::new());
        while let Some(path) = waiting.pop() {
            let is_first = seen.is_empty();
            if !seen.insert(path.clone()) {
                continue;
            }
            let is_of = |mount: &&Mount| {
                path.starts_with(&mount.point) || (below && is_first && mount.point.starts_with(&path))
            };
            for layer in self.0.iter().filter(is_of).flat_map(|mount| &mount.layers) {
                if is_pseudo(open_real(layer)?)? {
                    return Ok(true);
                }
                waiting.push(layer.clone());
            }
        }
        Ok(false)
    }

    /// Names that the folder at this real path may have too.
    ///
    /// Some may be wrong: a name through a covered mount shows another folder. Which mount is on top cannot be told, since moving
    /// a mount changes that without changing their order.
    fn other_names(&self, path: &Path) -> Vec<PathBuf> {
        let by = |own: &Mount| {
            let inside = own.root.join(path.strip_prefix(&own.point).ok()?);
            let others = self.0.iter().filter(|other| other.device == own.device && *other != own);
            Some(
                others.filter_map(|other| Some(joined(&other.point, inside.strip_prefix(&other.root).ok()?))).collect(),
            )
        };
        self.0.iter().filter_map(by).flat_map(|names: Vec<PathBuf>| names).collect()
    }

    /// Names that the folder at this real path may have in the layers of its overlay, or in the overlay of which it is in a layer.
    fn names_by_layers(&self, path: &Path) -> Vec<PathBuf> {
        let mut names = Vec::new();
        for overlay in self.0.iter().filter(|mount| !mount.layers.is_empty()) {
            let inside = path.strip_prefix(&overlay.point).ok().map(|below| overlay.root.join(below));
            for layer in &overlay.layers {
                let below = inside.as_deref().and_then(|inside| inside.strip_prefix("/").ok());
                names.extend(below.map(|below| joined(layer, below)));
                let shown = path.strip_prefix(layer).ok().map(|below| Path::new("/").join(below));
                let shown = shown.as_deref().and_then(|shown| shown.strip_prefix(&overlay.root).ok());
                names.extend(shown.map(|below| joined(&overlay.point, below)));
            }
        }
        names
    }
}

const MOUNTS: &str = "/proc/self/mountinfo";

/// `below` in `folder`. If `below` is empty no slash is added, since a file may be mounted.
fn joined(folder: &Path, below: &Path) -> PathBuf {
    if below.as_os_str().is_empty() { folder.to_owned() } else { folder.join(below) }
}

fn is_at(path: &Path, expected: FileId) -> bool {
    id(path).is_ok_and(|found| found == expected)
}

fn id(path: &Path) -> io::Result<FileId> {
    let metadata = fs::symlink_metadata(path)?;
    Ok(FileId { device: metadata.dev(), inode: metadata.ino() })
}

/// One line: `ID PARENT MAJOR:MINOR ROOT POINT OPTIONS TAGS… - TYPE SOURCE OPTIONS`.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let device = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let mut of_kind = fields.skip_while(|field| *field != b"-").skip(1);
    let layers = match (of_kind.next(), of_kind.nth(1)) {
        (Some(b"overlay"), Some(options)) => layers(options),
        (Some(_), _) | (None, _) => Vec::new(),
    };
    Some(Mount { device, root, point, layers })
}

/// The folders in the options of an overlay (`Documentation/filesystems/overlayfs.rst`). Layers that were given by a relative
/// path cannot be told, and those outside this process's root are not there.
fn layers(options: &[u8]) -> Vec<PathBuf> {
    let values = options.split(|byte| *byte == b',').filter_map(|option| {
        let (key, value) = option.split_at(option.iter().position(|byte| *byte == b'=')?);
        let is_folder = [&b"lowerdir"[..], b"lowerdir+", b"datadir+", b"upperdir", b"workdir"].contains(&key);
        is_folder.then(|| (key == b"lowerdir", unescaped(value.get(1..).unwrap_or_default())))
    });
    let folders = values.flat_map(|(is_list, value)| if is_list { in_list(&value) } else { vec![value] });
    folders.filter(|folder| folder.is_absolute()).filter_map(|folder| folder.canonicalize().ok()).collect()
}

/// Paths with a colon between them, two before one with data alone. In a path `\:` is a colon.
fn in_list(list: &Path) -> Vec<PathBuf> {
    let mut folders = vec![Vec::new()];
    let mut bytes = list.as_os_str().as_bytes().iter().copied();
    while let Some(byte) = bytes.next() {
        let literal = if byte == b'\\' { bytes.next() } else { Some(byte).filter(|byte| *byte != b':') };
        match (literal, folders.last_mut()) {
            (Some(literal), Some(folder)) => folder.push(literal),
            (None, _) | (_, None) => folders.push(Vec::new()),
        }
    }
    folders.into_iter().map(|folder| PathBuf::from(OsString::from_vec(folder))).collect()
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
        // By the mount that is on top, and by the one below it.
        assert_eq!(names("/home/u/bound/x"), [PathBuf::from("/srv/data/x")]);
        assert_eq!(names("/srv"), Vec::<PathBuf>::new());
        assert_eq!(names("/mnt/with space/x"), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_mount_that_was_moved_onto_a_newer_one_hides_no_name() {
        let moved = b"20 1 8:1 / / rw - ext4 a rw\n21 22 8:2 /in /m rw - ext4 b rw\n22 20 8:1 /srv /m rw - ext4 a rw\n\
            23 20 8:2 / /b rw - ext4 b rw\n";
        assert!(Mounts::parse(moved).other_names(Path::new("/m/x")).contains(&PathBuf::from("/b/in/x")));
    }

    #[test]
    fn an_overlay_and_its_layers_have_each_others_names() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().canonicalize().unwrap();
        for name in ["lower", "lo:wer", "upper/docs", "work", "merged"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        let shown = at.display();
        let text = format!(
            "30 20 0:40 / {shown}/merged rw - overlay o rw,lowerdir={shown}/lower:{shown}/lo\\134:wer:relative,upperdir=\
             {shown}/upper,workdir={shown}/work\n31 20 0:40 /docs {shown}/docs rw - overlay o rw,lowerdir+={shown}/lower\n"
        );
        let mounts = Mounts::parse(text.as_bytes());
        assert_eq!(mounts.0[0].layers, ["lower", "lo:wer", "upper", "work"].map(|name| at.join(name)));
        let names = |path: &str| mounts.names_by_layers(&at.join(path));
        for layer in ["lower", "lo:wer", "upper"] {
            assert!(names("merged/docs/x").contains(&at.join(layer).join("docs/x")), "{layer}");
            assert!(names(&format!("{layer}/docs/x")).contains(&at.join("merged/docs/x")), "{layer}");
        }
        assert!(names("docs/x").contains(&at.join("lower/docs/x")));
        assert!(names("lower/docs/x").contains(&at.join("docs/x")));
        assert!(!names("lower/other").contains(&at.join("docs")));
    }

    #[test]
    fn an_overlay_of_a_file_system_of_the_kernel_shows_it() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path().canonicalize().unwrap();
        for name in ["files", "over", "again", "plain"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        let shown = at.display();
        let line =
            |point: &str, lower: &str| format!("30 20 0:40 / {shown}/{point} ro - overlay o ro,lowerdir={lower}\n");
        let over = line("over", &format!("{shown}/files:/proc"));
        let text =
            format!("{over}{}{}", line("again", &format!("{shown}/over")), line("plain", &format!("{shown}/files")));
        let mounts = Mounts::parse(text.as_bytes());
        for (path, below, pseudo) in [
            ("over", false, true),
            ("over/deep", false, true),
            ("again", false, true),
            ("plain", false, false),
            ("files", true, false),
            (".", false, false),
            (".", true, true),
        ] {
            let path = at.join(path).components().collect::<PathBuf>();
            assert_eq!(mounts.shows_pseudo(&path, below).unwrap(), pseudo, "{}", path.display());
        }
    }

    #[test]
    fn a_folder_is_below_itself_and_all_that_hold_it() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().canonicalize().unwrap().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let above = Mounts::here().unwrap().above([deep.as_path()]).unwrap();
        for folder in deep.ancestors() {
            assert!(above.contains(&id(folder).unwrap()), "{}", folder.display());
        }
        assert!(!above.contains(&id(Path::new("/proc")).unwrap()));
    }
}

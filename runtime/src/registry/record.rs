//! What is installed under one name: its versions, which one is current, and which one was before. Pure: a record is read, changed
//! and written as a whole.
//!
//! ```json
//! {"format":1,"current":"sha256:…","before":"sha256:…","versions":[{"version":"0.1.0","declared":"word-count",
//!  "component":"sha256:…","bytes":172032,"manifest":"sha256:…","from":"/src/word-count.wasm","installed_s":1760000000}]}
//! ```

use serde::{Deserialize, Serialize};
use tollgate_audit::Digest;

use super::selector::DIGITS_MIN;

/// One installed version of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// By its manifest.
    pub version: String,
    /// The tool's name in its manifest.
    pub declared: String,
    /// SHA-256 of its component. No two versions of a tool have the same.
    pub component: Digest,
    /// The component's length.
    pub bytes: u64,
    /// SHA-256 of its manifest's text.
    pub manifest: Digest,
    /// The component's file when it was installed, as an absolute path, if that is text.
    pub from: Option<String>,
    /// When it was installed, in seconds since 1970.
    pub installed_s: u64,
}

impl Installed {
    /// Version and the component's digest, to be copied into a selector.
    #[must_use]
    pub fn whole(&self) -> String {
        format!("{} {}", self.version, self.component)
    }

    /// Version and the start of the component's digest, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.version, short(self.component))
    }
}

/// What is installed under one name. There is a current version; the one before it, if any, is another one that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    // At least one, the one that was installed last behind the others.
    versions: Vec<Installed>,
    current: usize,
    before: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord {
    format: u32,
    current: Digest,
    before: Option<Digest>,
    versions: Vec<Installed>,
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is no JSON of a record.
    #[error("it is no record of an installed tool: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another format.
    #[error("it is a record of format {found}, and this program reads format {FORMAT}")]
    Format {
        /// Which.
        found: u32,
    },
    /// Its parts do not fit each other.
    #[error("it is no record of an installed tool: {0}")]
    Senseless(&'static str),
}

/// Why a version stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{version}` is the current version, and others are installed")]
pub struct IsCurrent {
    /// Which.
    pub version: String,
}

impl Record {
    /// From what [`Record::to_text`] gave.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn parse(text: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Any {
            format: u32,
        }
        let raw: RawRecord = match serde_json::from_slice(text) {
            Ok(raw) => raw,
            Err(error) => {
                let any: Any = serde_json::from_slice(text)?;
                return Err(if any.format == FORMAT {
                    error.into()
                } else {
                    RecordError::Format { found: any.format }
                });
            }
        };
        let RawRecord { format, current, before, versions } = raw;
        if format != FORMAT {
            return Err(RecordError::Format { found: format });
        }
        if versions.len() > VERSIONS_MAX {
            return Err(RecordError::Senseless("it has too many versions"));
        }
        let is_twice = |(place, one): (usize, &Installed)| {
            versions.iter().take(place).any(|other| other.component == one.component)
        };
        if versions.iter().enumerate().any(is_twice) {
            return Err(RecordError::Senseless("it has a component twice"));
        }
        let place = |wanted: Digest| {
            let found = versions.iter().position(|installed| installed.component == wanted);
            found.ok_or(RecordError::Senseless("it names a component that it does not have"))
        };
        let (current, before) = (place(current)?, before.map(place).transpose()?);
        if before == Some(current) {
            return Err(RecordError::Senseless("its current version is also the one before"));
        }
        Ok(Self { versions, current, before })
    }

    /// The record as it is stored.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let raw = RawRecord {
            format: FORMAT,
            current: self.current().component,
            before: self.before().map(|before| before.component),
            versions: self.versions.clone(),
        };
        // Texts and numbers: there is nothing here that JSON cannot hold.
        let mut text = serde_json::to_vec(&raw).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Every version, the one that was installed last at the end.
    #[must_use]
    pub fn versions(&self) -> &[Installed] {
        &self.versions
    }

    /// The version that is called.
    #[must_use]
    #[allow(clippy::indexing_slicing, reason = "both constructors look")]
    pub fn current(&self) -> &Installed {
        &self.versions[self.current]
    }

    /// The version that was called before, to which a rollback leads.
    #[must_use]
    pub fn before(&self) -> Option<&Installed> {
        self.versions.get(self.before?)
    }

    /// The version of this component.
    #[must_use]
    pub fn of(&self, component: Digest) -> Option<&Installed> {
        self.versions.iter().find(|installed| installed.component == component)
    }

    /// The record where `new` was installed and is current, and what of the old one is not in it any more: the same component under
    /// another manifest, and the oldest version beyond [`VERSIONS_MAX`] that is neither current nor before.
    #[must_use]
    pub fn with(old: Option<Self>, new: Installed) -> (Self, Vec<Installed>) {
        let before = old.as_ref().map(|old| {
            let was = old.current().component;
            if was == new.component { old.before().map(|before| before.component) } else { Some(was) }
        });
        let before = before.flatten();
        let (mut gone, mut versions): (Vec<_>, Vec<_>) = old
            .map(|old| old.versions)
            .unwrap_or_default()
            .into_iter()
            .partition(|installed| installed.component == new.component);
        if versions.len() >= VERSIONS_MAX {
            let oldest = versions.iter().position(|installed| Some(installed.component) != before);
            gone.extend(oldest.map(|place| versions.remove(place)));
        }
        versions.push(new);
        let current = versions.len() - 1;
        let before = versions.iter().position(|installed| Some(installed.component) == before);
        (Self { versions, current, before }, gone)
    }

    /// The record where the version of `component` is current. None if that is not there.
    #[must_use]
    pub fn rolled_back(&self, component: Digest) -> Option<Self> {
        let current = self.versions.iter().position(|installed| installed.component == component)?;
        let before = if current == self.current { self.before } else { Some(self.current) };
        Some(Self { versions: self.versions.clone(), current, before })
    }

    /// The record where the version of `component` came from elsewhere. None if that is not there.
    #[must_use]
    pub fn with_from(&self, component: Digest, from: &str) -> Option<Self> {
        let mut record = self.clone();
        let version = record.versions.iter_mut().find(|installed| installed.component == component)?;
        version.from = Some(from.to_owned());
        Some(record)
    }

    /// The record without the version of `component`; `None` if it has no other.
    ///
    /// # Errors
    ///
    /// [`IsCurrent`].
    pub fn without(&self, component: Digest) -> Result<Option<Self>, IsCurrent> {
        let left: Vec<Installed> =
            self.versions.iter().filter(|installed| installed.component != component).cloned().collect();
        if left.is_empty() {
            return Ok(None);
        }
        let place = |wanted: &Installed| left.iter().position(|installed| installed.component == wanted.component);
        let current = place(self.current()).ok_or_else(|| IsCurrent { version: self.current().shown() })?;
        let before = self.before().and_then(place);
        Ok(Some(Self { versions: left, current, before }))
    }
}

/// The digits of a digest, without what stands before them.
pub(super) fn hex_of(digest: Digest) -> String {
    digest.to_string().trim_start_matches(DIGEST_PREFIX).to_owned()
}

/// What stands before a digest's digits.
pub(super) const DIGEST_PREFIX: &str = "sha256:";

const FORMAT: u32 = 1;

/// Most versions of a tool that are kept.
pub const VERSIONS_MAX: usize = 32;

/// Largest record that is read: paths have at most 4,096 bytes, and JSON may need six for one.
pub(super) const RECORD_BYTES_MAX: u64 = VERSIONS_MAX as u64 * (6 * 4096 + 1024);

/// The start of a digest, for people: as much of it as selects a version.
#[must_use]
pub fn short(digest: Digest) -> String {
    digest.to_string().chars().take(DIGEST_PREFIX.len() + DIGITS_MIN).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::registry) fn installed(version: &str, component: u8) -> Installed {
        Installed {
            version: version.to_owned(),
            declared: "a".to_owned(),
            component: Digest([component; 32]),
            bytes: 3,
            manifest: Digest([component + 100; 32]),
            from: Some("/src/a.wasm".to_owned()),
            installed_s: 1_760_000_000,
        }
    }

    fn numbers(record: &Record) -> (Vec<u8>, u8, Option<u8>) {
        let number = |installed: &Installed| installed.component.0[0];
        (record.versions().iter().map(number).collect(), number(record.current()), record.before().map(number))
    }

    #[test]
    fn the_stored_form_has_golden_bytes_and_is_read_again() {
        let one = Record::with(None, installed("0.1.0", 1)).0;
        let two = Record::with(Some(one), installed("0.2.0", 2)).0;
        let version = |version: &str, component: &str, manifest: &str| {
            format!(
                r#"{{"version":"{version}","declared":"a","component":"sha256:{}","bytes":3,"manifest":"sha256:{}","from":"/src/a.wasm","installed_s":1760000000}}"#,
                component.repeat(32),
                manifest.repeat(32)
            )
        };
        let expected = format!(
            "{{\"format\":1,\"current\":\"sha256:{}\",\"before\":\"sha256:{}\",\"versions\":[{},{}]}}\n",
            "02".repeat(32),
            "01".repeat(32),
            version("0.1.0", "01", "65"),
            version("0.2.0", "02", "66"),
        );
        assert_eq!(String::from_utf8(two.to_text()).unwrap(), expected);
        assert_eq!(Record::parse(&two.to_text()).unwrap(), two);
        assert!(two.to_text().len() as u64 <= RECORD_BYTES_MAX);
    }

    #[test]
    fn what_is_installed_is_current_and_the_one_before_is_known() {
        let one = Record::with(None, installed("0.1.0", 1)).0;
        assert_eq!(numbers(&one), (vec![1], 1, None));
        let two = Record::with(Some(one.clone()), installed("0.2.0", 2)).0;
        assert_eq!(numbers(&two), (vec![1, 2], 2, Some(1)));
        let (again, gone) = Record::with(Some(two.clone()), installed("0.2.1", 2));
        assert_eq!((numbers(&again), gone), ((vec![1, 2], 2, Some(1)), vec![installed("0.2.0", 2)]));
        let (old_one, gone) = Record::with(Some(two.clone()), installed("0.1.0", 1));
        assert_eq!((numbers(&old_one), gone.len()), ((vec![2, 1], 1, Some(2)), 1));
        let back = two.rolled_back(Digest([1; 32])).unwrap();
        assert_eq!(numbers(&back), (vec![1, 2], 1, Some(2)));
        assert_eq!(numbers(&back.rolled_back(Digest([2; 32])).unwrap()), (vec![1, 2], 2, Some(1)));
        assert_eq!(two.rolled_back(Digest([2; 32])), Some(two.clone()));
        assert_eq!(two.rolled_back(Digest([3; 32])), None);
        assert_eq!(one.without(Digest([1; 32])), Ok(None));
        assert_eq!(
            two.without(Digest([2; 32])),
            Err(IsCurrent { version: "0.2.0 sha256:0202020202020202".to_owned() })
        );
        assert_eq!(numbers(&two.without(Digest([1; 32])).unwrap().unwrap()), (vec![2], 2, None));
    }

    #[test]
    fn where_a_version_came_from_is_said_anew() {
        let one = Record::with(None, installed("0.1.0", 1)).0;
        let two = Record::with(Some(one), installed("0.2.0", 2)).0;
        let moved = two.with_from(Digest([1; 32]), "/new/a.wasm").unwrap();
        let from = |record: &Record| -> Vec<String> {
            record.versions().iter().map(|version| version.from.clone().unwrap()).collect()
        };
        assert_eq!(from(&moved), ["/new/a.wasm", "/src/a.wasm"]);
        assert_eq!(moved.with_from(Digest([1; 32]), "/src/a.wasm"), Some(two.clone()), "and nothing else");
        assert_eq!(two.with_from(Digest([3; 32]), "/new/a.wasm"), None);
    }

    #[test]
    fn the_oldest_go_beyond_the_most() {
        let many = u8::try_from(VERSIONS_MAX).unwrap();
        let full = (1..=many).fold(None, |old, number| Some(Record::with(old, installed("1.0.0", number)).0)).unwrap();
        // The oldest is the one before.
        let full = full.rolled_back(Digest([1; 32])).unwrap();
        let (next, gone) = Record::with(Some(full), installed("1.0.1", many + 1));
        assert_eq!(gone.iter().map(|gone| gone.component.0[0]).collect::<Vec<_>>(), [2]);
        assert_eq!((next.versions().len(), numbers(&next).1, numbers(&next).2), (VERSIONS_MAX, many + 1, Some(1)));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let text = String::from_utf8(Record::with(None, installed("0.1.0", 1)).0.to_text()).unwrap();
        let said = |text: &str| Record::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(said("").starts_with("it is no record of an installed tool: "));
        assert_eq!(
            said(&text.replace("\"format\":1", "\"format\":2")),
            "it is a record of format 2, and this program reads format 1"
        );
        assert_eq!(said(r#"{"format":7,"x":[]}"#), "it is a record of format 7, and this program reads format 1");
        let other = format!("\"current\":\"sha256:{}\"", "02".repeat(32));
        let own = format!("\"current\":\"sha256:{}\"", "01".repeat(32));
        assert!(said(&text.replace(&own, &other)).ends_with("it names a component that it does not have"));
        let before = format!("\"before\":\"sha256:{}\"", "01".repeat(32));
        assert!(
            said(&text.replace("\"before\":null", &before)).ends_with("its current version is also the one before")
        );
        for length in 0..text.len() - 1 {
            assert!(Record::parse(&text.as_bytes()[..length]).is_err(), "{length}");
        }
    }
}

//! Manifests (`tool.toml`).

use std::path::Path;

use tollgate_audit::Digest;
use tollgate_capability::{
    Call, CapabilitySet, ClockCall, ContextCall, EnvCall, FsCall, GrantIndex, RandomCall, RecordedSet, Stdio,
    StdioCall, check,
};
use tollgate_config::{
    AdhocGrant, Grant, MANIFEST_BYTES_MAX, Manifest, MissingGrants, OPERATIONS_MAX, Policy, intersect,
};

use crate::diagnostics::shown;
use crate::text;
use crate::toml_text::manifest_toml;

/// A manifest that is read holds what its type promises, and is read back the same when written anew. The lines and
/// the `--grant` texts that a refused tool is told to add are accepted and let it start, with the same capability
/// set; that set has one canonical text. An error can be shown.
pub fn manifest(bytes: &[u8]) {
    let Some(text) = text(bytes) else {
        return;
    };
    match Manifest::parse(text, "tool.toml") {
        Err(error) => shown(&error),
        Ok(manifest) => {
            assert!(text.len() <= MANIFEST_BYTES_MAX);
            bounded(&manifest);
            let again = manifest_toml(&manifest);
            // Escapes may be longer than what they stand for.
            if again.len() <= MANIFEST_BYTES_MAX {
                assert_eq!(Manifest::parse(&again, "tool.toml").as_ref().ok(), Some(&manifest), "{again}");
            }
            grantable(&manifest);
        }
    }
}

fn bounded(manifest: &Manifest) {
    let (operations, folders) = (&manifest.operations, &manifest.needs.fs);
    assert!((1..=OPERATIONS_MAX).contains(&operations.len()));
    for (place, operation) in operations.iter().enumerate() {
        assert!(operations[..place].iter().all(|earlier| earlier.name != operation.name), "{}", operation.name);
    }
    for (place, folder) in folders.iter().enumerate() {
        assert!(!folder.access.is_empty(), "{}", folder.guest);
        assert!(folders[..place].iter().all(|earlier| !earlier.guest.overlaps(&folder.guest)), "{}", folder.guest);
    }
    for cap in tollgate_capability::Cap::ALL {
        let (min, max) = cap.bounds();
        assert!(manifest.limits.get(cap).is_none_or(|value| (min..=max).contains(&value)), "{cap:?}");
    }
}

fn grantable(manifest: &Manifest) {
    let set = match meet(manifest, &Grant::default()) {
        Ok(set) => set,
        Err(missing) => {
            shown(&missing);
            let lines = missing.toml_lines();
            let policy = Policy::parse(&lines, "tollgate.toml", Path::new(FOLDER));
            let policy = policy.unwrap_or_else(|error| panic!("{error}:\n{lines}"));
            let by_policy = meet(manifest, &policy.grants.grant(&manifest.name)).expect("the lines to add");
            let mut grant = Grant::default();
            for text in missing.grant_texts() {
                let adhoc = AdhocGrant::parse(&text, Path::new(FOLDER));
                grant.merge_adhoc(adhoc.unwrap_or_else(|error| panic!("{error}: {text}"))).expect("what is granted");
            }
            let by_texts = meet(manifest, &grant).expect("the texts to add");
            assert_eq!(by_texts, by_policy, "both ways to grant");
            by_policy
        }
    };
    canonical(&set);
}

/// The set's canonical text is read back as a set that decides alike.
pub(crate) fn canonical(set: &CapabilitySet) {
    let text = set.to_canonical_json().expect("paths that were text");
    let read = RecordedSet::parse(&text).expect("a canonical text");
    assert_eq!(read.digest(), Digest::of(text.as_bytes()).0);
    assert_eq!((read.folders(), read.on_violation()), (&set.fs[..], set.on_violation));
    let folders = (0..).take(set.fs.len() + 1).map(|grant| Call::Fs(FsCall::Preopen { grant: GrantIndex(grant) }));
    let streams = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr].map(|stream| Call::Stdio(StdioCall::get(stream)));
    let others = [
        Call::Env(EnvCall::GetEnvironment),
        Call::Env(EnvCall::GetArguments),
        Call::Clock(ClockCall::WallClock),
        Call::Clock(ClockCall::MonotonicClock),
    ];
    let random = Call::Random(RandomCall::RandomBytes { bytes: 1 });
    for call in folders.chain(streams).chain(others).chain([random, Call::Context(ContextCall::GetContext)]) {
        assert_eq!(read.check(&call), check(set, &call), "{call:?}");
    }
}

fn meet(manifest: &Manifest, grant: &Grant) -> Result<CapabilitySet, MissingGrants> {
    intersect(manifest, grant, |_| None).map(|met| met.set)
}

/// The folder that policies and working directories are in.
pub(crate) const FOLDER: &str = "/etc/tollgate";

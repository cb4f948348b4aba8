//! What operators grant: policies (`tollgate.toml`) and `--grant` texts.

use std::collections::BTreeSet;
use std::path::Path;

use tollgate_capability::{Access, AccessSet, PATH_BYTES_MAX, RandomMode, StdioSet};
use tollgate_config::{
    AdhocGrant, AgentName, EnvValue, FsGrant, Grant, Manifest, Needs, POLICY_BYTES_MAX, Policy, Proof, QUOTA_BYTES_MAX,
    WORKER_GRACE_MS_MAX, WORKER_GRACE_MS_MIN, WORKER_IDLE_MS_MAX, WORKER_IDLE_MS_MIN, intersect, refuse_host,
    show_limit,
};

use crate::diagnostics::shown;
use crate::manifest::{FOLDER, canonical};
use crate::text;
use crate::toml_text::policy_toml;

/// The bytes as a policy, and each of their lines as a `--grant`. What is read holds what its type promises and is
/// read back the same when written anew; a tool that needs all that is granted gets that and nothing else. An error
/// can be shown.
pub fn grant(bytes: &[u8]) {
    let Some(text) = text(bytes) else {
        return;
    };
    policy(text);
    text.lines().take(LINES_MAX).for_each(adhoc);
}

fn policy(text: &str) {
    let policy = match Policy::parse(text, "tollgate.toml", Path::new(FOLDER)) {
        Ok(policy) => policy,
        Err(error) => return shown(&error),
    };
    assert!(text.len() <= POLICY_BYTES_MAX);
    assert_eq!(policy.grants.grant(&"not-granted-anything".parse().expect("a name")), Grant::default());
    let mut short = true;
    for grant in policy.grants.tools.values() {
        grant.fs.values().for_each(folder);
        short &= grant.fs.values().all(|fs| fs.host.as_os_str().len() <= PATH_BYTES_MAX);
        whole(grant);
    }
    workers(&policy);
    agents(&policy);
    let again = policy_toml(&policy);
    // Escapes may be longer than what they stand for, and so may paths once they are joined.
    if short && again.len() <= POLICY_BYTES_MAX {
        let read = Policy::parse(&again, "tollgate.toml", Path::new(FOLDER));
        let read = read.unwrap_or_else(|error| panic!("{error}:\n{again}"));
        assert_eq!(read, policy, "{again}");
    }
}

/// No two agents are proven alike or listened for at one place, and nothing that proves nothing is a proof.
fn agents(policy: &Policy) {
    let (mut uids, mut sockets, mut ports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (name, agent) in &policy.deployment.agents {
        assert!(*name != AgentName::local() && agent.mode <= 0o777, "{name}");
        match &agent.is {
            Proof::Uid(these) => assert!(!these.is_empty() && these.iter().all(|uid| uids.insert(*uid)), "{name}"),
            Proof::Token => {}
            Proof::Socket => assert_eq!(agent.mode & 0o002, 0, "{name}"),
        }
        assert!(agent.listen.iter().all(|path| path.is_absolute() && sockets.insert(path)), "{name}");
        assert!(agent.port.iter().all(|port| *port > 0 && agent.is == Proof::Token && ports.insert(*port)), "{name}");
        for (tool, has) in &agent.tools {
            assert!(has.operations.as_ref().is_none_or(|operations| !operations.is_empty()), "{name} {tool}");
            assert_eq!(agent.may(tool, "no_operation"), has.operations.is_none(), "{name} {tool}");
        }
        assert!(!agent.may(&"not-granted-anything".parse().expect("a name"), "run"), "{name}");
    }
    for (bound, value) in policy.deployment.serve.bounds() {
        assert!((bound.min..=bound.max).contains(&value), "{}", bound.key());
    }
}

/// The times of workers are inside their bounds; a tool has one home at most, and that is where it is found.
fn workers(policy: &Policy) {
    assert!((WORKER_IDLE_MS_MIN..=WORKER_IDLE_MS_MAX).contains(&policy.deployment.workers.idle_ms));
    assert!((WORKER_GRACE_MS_MIN..=WORKER_GRACE_MS_MAX).contains(&policy.deployment.workers.grace_ms));
    let mut seen = BTreeSet::new();
    for (name, tools) in &policy.deployment.compartments {
        assert!(!tools.is_empty(), "{name}");
        for tool in tools {
            assert!(seen.insert(tool), "{tool}");
            assert_eq!(policy.deployment.compartment_of(tool), Some(name));
        }
    }
}

fn folder(fs: &FsGrant) {
    assert!(fs.host.is_absolute(), "{fs:?}");
    assert!(refuse_host(&fs.host).is_ok(), "{fs:?}");
    assert!(!fs.access.is_empty(), "{fs:?}");
    assert!(fs.access.contains_all(fs.durable), "{fs:?}");
    assert!(fs.quota.is_none_or(|quota| quota.bytes() <= QUOTA_BYTES_MAX), "{fs:?}");
    assert!(fs.patterns.allow_folder(""), "the granted folder itself: {fs:?}");
}

/// A tool that needs what the grant gives gets it as it stands there.
fn whole(grant: &Grant) {
    let met = intersect(&manifest_of(grant), grant, |_| Some("value".to_owned()));
    let met = met.unwrap_or_else(|missing| panic!("{missing}"));
    assert!(met.unused.is_empty(), "{:?}", met.unused);
    let set = met.set;
    assert_eq!(set.fs.len(), grant.fs.len());
    for (had, (guest, given)) in set.fs.iter().zip(&grant.fs) {
        assert_eq!((had.guest.as_str(), &had.host, had.access), (guest.as_str(), &given.host, given.access));
        assert_eq!((had.durable, &had.patterns), (given.durable, &given.patterns));
    }
    assert_eq!(set.args, grant.args.clone().unwrap_or_default());
    assert_eq!(set.stdio, grant.stdio.unwrap_or(StdioSet::OUTPUT));
    assert_eq!((set.wall_clock, set.monotonic_clock), (grant.wall_clock, grant.monotonic_clock));
    assert_eq!((set.random, set.audit), (grant.random, grant.audit));
    canonical(&set);
}

fn manifest_of(grant: &Grant) -> Manifest {
    Manifest {
        name: "tool".parse().expect("a name"),
        version: "1.0.0".parse().expect("a version"),
        description: String::new(),
        operations: Vec::new(),
        needs: Needs::of_grant(grant),
        limits: grant.limits.clone(),
        record: grant.record,
    }
}

fn adhoc(line: &str) {
    let adhoc = match AdhocGrant::parse(line, Path::new(FOLDER)) {
        Ok(adhoc) => adhoc,
        Err(error) => return shown(&error),
    };
    if let AdhocGrant::Fs { fs, .. } = &adhoc {
        folder(fs);
        if fs.host.as_os_str().len() > PATH_BYTES_MAX {
            return;
        }
    }
    let again = adhoc_text(&adhoc);
    assert_eq!(AdhocGrant::parse(&again, Path::new(FOLDER)).as_ref(), Ok(&adhoc), "{again}");
    let mut grant = Grant::default();
    if let AdhocGrant::Durable { guest, .. } = &adhoc {
        shown(&grant.merge_adhoc(adhoc.clone()).expect_err("no folder is granted"));
        assert_eq!(grant, Grant::default());
        let text = format!("fs:{guest}=/srv:{}", Access::ALL.into_iter().collect::<AccessSet>());
        let folder = AdhocGrant::parse(&text, Path::new(FOLDER)).expect("a folder with all rights");
        grant.merge_adhoc(folder).expect("a folder");
    }
    grant.merge_adhoc(adhoc.clone()).expect("what is granted");
    whole(&grant);
    let once = grant.clone();
    grant.merge_adhoc(adhoc).expect("what is granted");
    assert_eq!(grant, once, "given twice");
}

fn adhoc_text(adhoc: &AdhocGrant) -> String {
    match adhoc {
        AdhocGrant::Fs { guest, fs } => format!("fs:{guest}={}:{}", fs.host.display(), fs.access),
        AdhocGrant::Durable { guest, durable } => format!("durable:{guest}={durable}"),
        AdhocGrant::Env { name, value: EnvValue::Literal(value) } => format!("env:{name}={value}"),
        AdhocGrant::Env { value: EnvValue::FromHost(host), .. } => format!("env:{host}"),
        AdhocGrant::Args(args) => format!("args={}", args.join(",")),
        AdhocGrant::Stdio(streams) => {
            let all = [(streams.stdin, "stdin"), (streams.stdout, "stdout"), (streams.stderr, "stderr")];
            let named: Vec<_> = all.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect();
            format!("stdio={}", named.join(","))
        }
        AdhocGrant::Random(RandomMode::Secure) => "random=secure".to_owned(),
        AdhocGrant::Random(RandomMode::Seeded(seed)) => format!("random=seed:{seed}"),
        AdhocGrant::WallClock(mode) => format!("clock:wall={}", mode.as_str()),
        AdhocGrant::MonotonicClock(mode) => format!("clock:monotonic={}", mode.as_str()),
        AdhocGrant::Context => "context".to_owned(),
        AdhocGrant::Arguments(how) => format!("audit:arguments={}", how.as_str()),
        AdhocGrant::Acknowledge(when) => format!("audit:acknowledge={}", when.as_str()),
        AdhocGrant::Limits(limits) => {
            let given = |cap: tollgate_capability::Cap| limits.get(cap).map(|value| (cap, value));
            let (cap, value) = tollgate_capability::Cap::ALL.into_iter().find_map(given).expect("one limit");
            format!("limit:{}={}", cap.as_str(), show_limit(cap, value))
        }
    }
}

/// More lines than this say nothing new, and each is shown with its error.
const LINES_MAX: usize = 16;

//! Manifest ∩ grant: what the set holds, what stops the start, and the lines that would let it start.
#![allow(clippy::unwrap_used, reason = "a text of this file that does not parse is a test that fails")]

use std::path::Path;

use expect_test::expect;
use miette::{Diagnostic, NarratableReportHandler};
use sha2::{Digest, Sha256};
use tollgate_capability::{
    Access, Acknowledge, ArgumentsRecord, AuditSettings, CANONICAL_BYTES_MAX, CapabilitySet, ClockMode, Limits,
    OnViolation, RandomMode, RecordScope, RecordedSet, StdioSet,
};
use tollgate_config::{
    AdhocGrant, Grant, Intersection, Manifest, MissingGrants, Policy, WRITE_QUOTA_DEFAULT, intersect,
};

fn manifest(rest: &str) -> Manifest {
    let (top, tables) = rest.split_once("---").unwrap_or(("", rest));
    let head = "[tool]\nname = \"word-count\"\nversion = \"0.1.0\"\n[[operations]]\nname = \"count\"\n";
    Manifest::parse(&format!("{top}\n{head}\n{tables}"), "tool.toml").unwrap()
}

fn grant(lines: &str) -> Grant {
    let text = format!("[tools.word-count]\n{lines}");
    let policy = Policy::parse(&text, "tollgate.toml", Path::new("/etc/tollgate")).unwrap();
    policy.grants.grant(&"word-count".parse().unwrap())
}

fn met(needs: &str, lines: &str) -> Intersection {
    intersect(&manifest(needs), &grant(lines), |_| None).unwrap()
}

fn unmet(needs: &str, lines: &str) -> MissingGrants {
    intersect(&manifest(needs), &grant(lines), |_| None).unwrap_err()
}

fn shown(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

const ALL_NEEDS: &str = r#"
[needs]
env = ["LANG", "TOKEN"]
args = true
stdio = ["stdin", "stdout"]
random = "secure"
clocks = { wall = "real", monotonic = "coarse" }
[[needs.fs]]
guest = "/docs"
access = ["read", "list"]
[[needs.fs]]
guest = "/out"
access = ["write", "create"]
"#;

#[test]
fn nothing_needed_and_nothing_granted_gives_output_and_the_default_caps() {
    let met = met("", "");
    let expected = CapabilitySet { stdio: StdioSet::OUTPUT, ..CapabilitySet::default() };
    assert_eq!((met.set, met.narrowed, met.unused), (expected, vec![], vec![]));
}

#[test]
fn what_is_granted_and_not_needed_is_not_given() {
    let lines = r#"
fs."/docs" = { host = "x", access = ["read"] }
env = { LANG = "C" }
args = []
stdio = ["stdin", "stdout", "stderr"]
random = "secure"
clocks = { wall = "real", monotonic = "real" }
"#;
    let met = met("", lines);
    assert_eq!(met.set, CapabilitySet { stdio: StdioSet::OUTPUT, ..CapabilitySet::default() });
    let unused = ["fs:/docs", "env:LANG", "args", "stdio:stdin", "clocks.wall", "clocks.monotonic", "random"];
    assert_eq!(shown(&met.unused), unused);
}

#[test]
fn rights_are_those_needed_and_granted() {
    let needs = "[[needs.fs]]\nguest = \"/docs\"\naccess = [\"read\", \"list\"]";
    let met = met(needs, r#"fs."/docs" = { host = "x", access = ["read", "write"], quota = 7 }"#);
    let fs = &met.set.fs[0];
    assert_eq!((fs.access.to_string().as_str(), fs.write_quota), ("read", 0));
    assert_eq!((fs.guest.as_str(), fs.host.as_path()), ("/docs", Path::new("/etc/tollgate/x")));
    assert_eq!(shown(&met.narrowed), ["fs:/docs: needed and not granted: list"]);
    assert_eq!(shown(&met.unused), ["fs:/docs:write"]);
    let none = unmet(needs, r#"fs."/docs" = { host = "x", access = ["write"] }"#);
    assert_eq!(none.missing.len(), 1);
}

#[test]
fn durable_rights_are_those_that_the_tool_has() {
    let needs = "[[needs.fs]]\nguest = \"/out\"\naccess = [\"write\", \"create\"]";
    let lines = r#"fs."/out" = { host = "x", access = ["write", "delete"], durable = ["write", "delete"] }"#;
    assert_eq!(met(needs, lines).set.fs[0].durable.to_string(), "write");
    assert!(met(needs, r#"fs."/out" = { host = "x", access = ["write"] }"#).set.fs[0].durable.is_empty());
}

#[test]
fn a_quota_holds_where_a_right_that_takes_room_is_granted() {
    let needs = "[[needs.fs]]\nguest = \"/out\"\naccess = [\"write\", \"create\", \"delete\"]";
    let quota = |lines: &str| met(needs, lines).set.fs[0].write_quota;
    assert_eq!(quota(r#"fs."/out" = { host = "x", access = ["write"] }"#), WRITE_QUOTA_DEFAULT);
    assert_eq!(quota(r#"fs."/out" = { host = "x", access = ["write"], quota = "1KiB" }"#), 1024);
    assert_eq!(quota(r#"fs."/out" = { host = "x", access = ["create"], quota = "2KiB" }"#), 2048);
    assert_eq!(quota(r#"fs."/out" = { host = "x", access = ["delete"], quota = "2KiB" }"#), 0);
}

#[test]
fn the_host_environment_is_asked_only_for_what_is_needed_and_taken_from_it() {
    let lines = r#"env = { LANG = "C", TOKEN = { host = "API_TOKEN" }, OTHER = { host = "SECRET" } }"#;
    let needs = manifest("[needs]\nenv = [\"LANG\", \"TOKEN\"]");
    let mut asked = Vec::new();
    let met = intersect(&needs, &grant(lines), |name| {
        asked.push(name.to_owned());
        Some("t0ken".to_owned())
    });
    let set = met.unwrap().set;
    assert_eq!(asked, ["API_TOKEN"]);
    assert_eq!(set.env["TOKEN"], "t0ken");
    assert!(!set.to_canonical_json().unwrap().contains("t0ken"));
    let unset = intersect(&needs, &grant(lines), |_| None).unwrap_err();
    assert!(unset.to_string().contains("API_TOKEN"), "{unset}");
    assert!(intersect(&needs, &grant(lines), |_| Some("a\0b".to_owned())).is_err());
}

#[test]
fn empty_arguments_need_no_grant_and_get_none() {
    for needs in ["", "[needs]\nargs = []", "[needs]\nargs = false"] {
        assert!(met(needs, "").set.args.is_empty());
        let granted = met(needs, "args = [\"--fast\"]");
        assert_eq!((granted.set.args, shown(&granted.unused)), (vec![], vec!["args".to_owned()]));
    }
}

#[test]
fn an_empty_environment_needs_no_grant() {
    for needs in ["", "[needs]\nenv = []"] {
        assert!(met(needs, "").set.env.is_empty());
        assert!(met(needs, "env = { LANG = \"C\" }").set.env.is_empty());
    }
}

#[test]
fn the_grants_stdio_replaces_the_default() {
    let silent = met("", "stdio = []");
    assert_eq!(silent.set.stdio, StdioSet::EMPTY);
    assert_eq!(
        shown(&silent.narrowed),
        ["stdio: needed and not granted: stdout", "stdio: needed and not granted: stderr"]
    );
    let stdin = unmet("[needs]\nstdio = [\"stdin\"]", "stdio = [\"stderr\"]");
    assert!(stdin.toml_lines().ends_with("stdio = [\"stdin\", \"stderr\"]"), "{}", stdin.toml_lines());
}

#[test]
fn the_coarser_clock_holds() {
    use ClockMode::{Coarse, Frozen, Real};
    for (needed, granted, holds) in [
        (Real, Real, Real),
        (Real, Coarse, Coarse),
        (Coarse, Real, Coarse),
        (Frozen, Real, Frozen),
        (Coarse, Frozen, Frozen),
    ] {
        let clocks = |mode: ClockMode| format!("clocks = {{ wall = \"{0}\", monotonic = \"{0}\" }}", mode.as_str());
        let met = met(&format!("[needs]\n{}", clocks(needed)), &clocks(granted));
        assert_eq!((met.set.wall_clock, met.set.monotonic_clock), (Some(holds), Some(holds)));
        assert_eq!(met.narrowed.len(), if holds == needed { 0 } else { 2 });
    }
}

#[test]
fn the_operator_decides_where_random_bytes_come_from() {
    let random = |need: &str, lines: &str| met(&format!("[needs]\nrandom = \"{need}\""), lines);
    assert_eq!(random("secure", "random = \"secure\"").set.random, Some(RandomMode::Secure));
    assert_eq!(random("seeded", "random = \"secure\"").set.random, Some(RandomMode::Secure));
    let seeded = random("secure", "random = { seed = 7 }");
    assert_eq!(seeded.set.random, Some(RandomMode::Seeded(7)));
    assert_eq!(shown(&seeded.narrowed), ["random: secure needed, seeded granted"]);
    assert!(random("seeded", "random = { seed = 7 }").narrowed.is_empty());
}

#[test]
fn a_manifest_lowers_a_cap_and_only_a_grant_raises_it() {
    let memory = |needs: &str, lines: &str| {
        let met = met(needs, lines);
        (met.set.limits.memory >> 20, shown(&met.narrowed))
    };
    let plain = Vec::<String>::new();
    assert_eq!(memory("", ""), (Limits::DEFAULT.memory >> 20, plain.clone()));
    assert_eq!(memory("[limits]\nmemory = \"32MiB\"", ""), (32, plain.clone()));
    assert_eq!(memory("", "limits.memory = \"128MiB\""), (128, plain.clone()));
    assert_eq!(memory("[limits]\nmemory = \"128MiB\"", "limits.memory = \"1GiB\""), (128, plain));
    let capped = |holds: &str| vec![format!("limits.memory: 1GiB expected, {holds} holds")];
    assert_eq!(memory("[limits]\nmemory = \"1GiB\"", "limits.memory = \"16MiB\""), (16, capped("16MiB")));
    assert_eq!(memory("[limits]\nmemory = \"1GiB\"", ""), (64, capped("64MiB")));
}

#[test]
fn the_stricter_record_and_the_grants_violation_hold() {
    let set = met("record = \"every\"---", "on_violation = \"deny\"").set;
    assert_eq!((set.record, set.on_violation), (RecordScope::Every, OnViolation::Deny));
    assert_eq!(met("", "record = \"every\"").set.record, RecordScope::Every);
    assert_eq!(met("", "").set.record, RecordScope::Acquire);
}

#[test]
fn the_grants_audit_settings_hold() {
    let defaults = AuditSettings { arguments: ArgumentsRecord::Digest, acknowledge: Acknowledge::Pipe };
    assert_eq!((met("", "").set.audit, CapabilitySet::default().audit), (defaults, defaults));
    let asked = AuditSettings { arguments: ArgumentsRecord::None, acknowledge: Acknowledge::Disk };
    assert_eq!(met("", "audit = { arguments = \"none\", acknowledge = \"disk\" }").set.audit, asked);
    assert_eq!(
        met("", "audit.acknowledge = \"disk\"").set.audit,
        AuditSettings { acknowledge: Acknowledge::Disk, ..defaults }
    );
    assert!(Acknowledge::ALL.is_sorted());
}

#[test]
fn missing_grants_print_the_lines_to_add() {
    let missing = unmet(ALL_NEEDS, "env.TOKEN = { host = \"TOKEN\" }");
    let mut text = String::new();
    NarratableReportHandler::new().render_report(&mut text, &missing as &dyn Diagnostic).unwrap();
    expect![[r#"
        the tool `word-count` needs what nothing grants: the folder /docs (read,list); the folder /out (write,create); the environment variable LANG; the environment variable TOKEN, taken from TOKEN, which is not set to a usable text; arguments; stdin; the wall clock (real); the monotonic clock (coarse); random bytes
            Diagnostic severity: error
        diagnostic help: add to tollgate.toml, in the tables that are there already:

        [tools.word-count]
        fs."/docs" = { host = "PATH", access = ["read", "list"] }
        fs."/out" = { host = "PATH", access = ["write", "create"] }
        env.LANG = "VALUE"  # a secret: env.LANG = { host = "LANG" }
        # env.TOKEN is there, and takes TOKEN from your environment: `export TOKEN=…`
        args = ["VALUE"]
        stdio = ["stdin", "stdout", "stderr"]
        clocks.wall = "real"
        clocks.monotonic = "coarse"
        random = "secure"
    "#]].assert_eq(&text);
}

#[test]
fn a_variable_that_is_granted_and_not_set_is_exported_and_not_written_down() {
    let missing = unmet("[needs]\nenv = [\"TOKEN\"]", "env.TOKEN = { host = \"MY_TOKEN\" }");
    let help = missing.help().unwrap().to_string();
    assert_eq!(help, "it is granted from your environment, so set it before `tollgate` runs: `export MY_TOKEN=…`");
    assert!(missing.grant_texts().is_empty(), "{missing:?}");
}

#[test]
fn the_lines_and_the_texts_that_are_printed_are_enough() {
    let missing = unmet(ALL_NEEDS, "");
    let policy = Policy::parse(&missing.toml_lines(), "tollgate.toml", Path::new("/etc/tollgate")).unwrap();
    let mut adhoc = Grant::default();
    for text in missing.grant_texts() {
        adhoc.merge_adhoc(AdhocGrant::parse(&text, Path::new("/etc/tollgate")).unwrap()).unwrap();
    }
    let lines = policy.grants.grant(&"word-count".parse().unwrap());
    assert_eq!(lines, adhoc);
    let met = intersect(&manifest(ALL_NEEDS), &lines, |_| None).unwrap();
    assert!(met.narrowed.is_empty(), "{:?}", met.narrowed);
    assert!(met.set.fs[1].access.contains(Access::Create));
}

const ALL_LINES: &str = r#"
fs."/docs" = { host = "/srv/docs", access = ["list", "read"], include = ["*.txt"], exclude = ["private"] }
fs."/out" = { host = "out", access = ["write", "create"], durable = ["create"], quota = "1MiB" }
env = { TOKEN = "t0ken", LANG = "C" }
args = ["--fast"]
stdio = ["stdin", "stdout"]
random = { seed = 42 }
clocks = { wall = "coarse", monotonic = "real" }
"#;

/// `printf %s t0ken | sha256sum`.
const TOKEN_DIGEST: &str = "b46c09677343261f0b439a472422225e3a230c9c094d6ab16762e2036b597053";

#[test]
fn the_canonical_text_is_golden() {
    let json = met(ALL_NEEDS, ALL_LINES).set.to_canonical_json().unwrap();
    expect![[r#"{"args":["cd66d98816ff075497685284c55ea2212eca8e4c425ea60c212f1dfb6ba936e6"],"audit":{"acknowledge":"pipe","arguments":"digest"},"env":{"LANG":"6b23c0d5f35d1b11f9b683f0b0a617355deb11277d91ae091d399c655b87940d","TOKEN":"b46c09677343261f0b439a472422225e3a230c9c094d6ab16762e2036b597053"},"fs":[{"access":["read","list"],"durable":[],"guest":"/docs","host":"/srv/docs","patterns":{"exclude":["private"],"include":["*.txt"]},"write_quota":0},{"access":["write","create"],"durable":["create"],"guest":"/out","host":"/etc/tollgate/out","patterns":{"exclude":[],"include":[]},"write_quota":1048576}],"limits":{"calls":16,"deadline_ms":5000,"fuel":1000000000,"handles":64,"host_memory":8388608,"input":1048576,"memory":67108864,"output":1048576,"random":65536,"record_bytes":67108864,"records":200000,"stdio":65536},"monotonic_clock":"coarse","on_violation":"kill","random":{"seeded":42},"record":"acquire","stdio":{"stderr":false,"stdin":true,"stdout":true},"wall_clock":"coarse"}"#]].assert_eq(&json);
}

#[test]
fn no_value_of_a_variable_and_no_argument_is_in_the_canonical_text() {
    let mut set = met(ALL_NEEDS, &ALL_LINES.replace("--fast", "s3cret-arg")).set;
    let json = set.to_canonical_json().unwrap();
    assert!(!json.contains("t0ken") && !json.contains("s3cret-arg"), "{json}");
    assert!(json.contains(&format!(r#""TOKEN":"{TOKEN_DIGEST}""#)), "{json}");
    set.env.insert("TOKEN".to_owned(), "other".to_owned());
    assert_ne!(set.to_canonical_json().unwrap(), json, "another value is another set");
}

#[test]
fn a_recorded_set_is_read_from_its_one_text_only() {
    let json = met(ALL_NEEDS, ALL_LINES).set.to_canonical_json().unwrap();
    let recorded = RecordedSet::parse(&json).unwrap();
    assert_eq!(recorded.digest()[..], Sha256::digest(&json)[..]);
    assert_eq!((recorded.folders().len(), recorded.on_violation()), (2, OnViolation::Kill));
    let others = [
        json.replacen('{', "{\"more\":1,", 1),
        json.replacen('{', "{ ", 1),
        json.replacen("\"env\":{", "\"env\":{\"LANG\":\"\",", 1),
        json.replacen("[\"read\",\"list\"]", "[\"list\",\"read\"]", 1),
        json.replacen(",\"wall_clock\":\"coarse\"", "", 1),
        json.replacen(TOKEN_DIGEST, &TOKEN_DIGEST.to_ascii_uppercase(), 1),
        json.replacen(TOKEN_DIGEST, "t0ken", 1),
        CapabilitySet::default().to_canonical_json().unwrap().replacen(",\"wall_clock\":null", "", 1),
        " ".repeat(CANONICAL_BYTES_MAX + 1),
        String::new(),
    ];
    for other in others {
        assert_ne!(other, json);
        assert!(RecordedSet::parse(&other).is_err(), "{}", &other[..other.len().min(900)]);
    }
}

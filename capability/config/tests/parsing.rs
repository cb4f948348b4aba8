//! What the parsers accept, and that nothing makes them panic.
#![allow(clippy::unwrap_used, reason = "a text of this file that does not parse is a test that fails")]

mod texts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use texts::{FOLDER, MANIFEST, POLICY, rendered};
use tollgate_capability::{
    Access, AccessSet, Acknowledge, ArgumentsRecord, AuditSettings, Cap, ClockMode, OnViolation, RandomMode,
    RecordScope, Stdio, StdioSet,
};
use tollgate_config::{
    AGENT_TOOLS_MAX, AGENT_UIDS_MAX, AGENTS_MAX, AdhocGrant, Agent, AgentName, AgentTool, COMPILE_CPU_MS_MAX,
    COMPILE_MS_MIN, COMPILE_TIME_MS_MAX, CompartmentName, CompileSettings, EnvValue, Grant, LISTEN_BYTES_MAX, Manifest,
    Policy, Proof, RandomNeed, SOCKET_MODE_DEFAULT, SandboxLevel, SandboxSettings, ServeBound, ServeSettings, ToolList,
    WORKER_GRACE_MS_MAX, WORKER_GRACE_MS_MIN, WORKER_IDLE_MS_MAX, WORKER_IDLE_MS_MIN, WorkerSettings,
};

#[test]
fn every_key_of_a_manifest_is_read() {
    let manifest = Manifest::parse(MANIFEST, "tool.toml").unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("word-count", "0.1.0"));
    assert_eq!(manifest.description, "Counts words.");
    let operations = manifest.operations.iter().map(|operation| operation.name.as_str()).collect::<Vec<_>>();
    assert_eq!(operations, ["count", "total"]);
    let needs = &manifest.needs;
    let folders = needs.fs.iter().map(|need| format!("{}:{}", need.guest, need.access)).collect::<Vec<_>>();
    assert_eq!(folders, ["/docs:read,list", "/out:write"]);
    assert_eq!(needs.env.len(), 1);
    assert!(needs.args);
    assert_eq!(needs.stdio, [Stdio::Stdin, Stdio::Stdout].into_iter().collect());
    assert_eq!(needs.random, Some(RandomNeed::Seeded));
    assert_eq!((needs.wall_clock, needs.monotonic_clock), (Some(ClockMode::Real), Some(ClockMode::Coarse)));
    let limits = Cap::ALL.map(|cap| manifest.limits.get(cap).unwrap());
    assert_eq!(limits, [32 << 20, 500_000_000, 2_000, 4096, 64 << 10, 8_000, 8, 0, 1 << 20, 4, 500, 96 << 10]);
    assert_eq!(manifest.record, RecordScope::Every);
}

#[test]
fn a_manifest_that_needs_nothing_gets_the_defaults() {
    let text = "[tool]\nname = \"a\"\nversion = \"1.0.0\"\n[[operations]]\nname = \"run\"\n";
    let manifest = Manifest::parse(text, "tool.toml").unwrap();
    assert_eq!(manifest.needs.stdio, StdioSet { stdin: false, stdout: true, stderr: true });
    assert!(manifest.needs.fs.is_empty() && manifest.needs.env.is_empty() && !manifest.needs.args);
    assert!(manifest.limits.is_empty() && manifest.record == RecordScope::Acquire && manifest.description.is_empty());
}

#[test]
fn every_key_of_a_policy_is_read() {
    let policy = Policy::parse(POLICY, "tollgate.toml", Path::new(FOLDER)).unwrap();
    let grant = policy.grants.grant(&"word-count".parse().unwrap());
    let docs = &grant.fs[&"/docs".parse().unwrap()];
    assert_eq!(docs.host, PathBuf::from("/etc/tollgate/work/reports"));
    assert_eq!(docs.access.to_string(), "read,list");
    assert_eq!((docs.patterns.include(), docs.patterns.exclude()), (&["*.txt".into()][..], &["private/**".into()][..]));
    assert_eq!(docs.quota.map(tollgate_config::ByteSize::bytes), Some(1 << 20));
    let out = &grant.fs[&"/out".parse().unwrap()];
    assert_eq!((out.host.as_path(), out.quota), (Path::new("/srv/$out"), None));
    assert_eq!((out.durable.to_string().as_str(), docs.durable.is_empty()), ("delete", true));
    assert_eq!(grant.env[&"LANG".parse().unwrap()], EnvValue::Literal("C".to_owned()));
    assert_eq!(grant.env[&"TOKEN".parse().unwrap()], EnvValue::FromHost("API_TOKEN".parse().unwrap()));
    assert_eq!(grant.args, Some(vec!["--fast".to_owned()]));
    assert_eq!(grant.stdio, Some([Stdio::Stdin, Stdio::Stdout].into_iter().collect()));
    assert_eq!(grant.random, Some(RandomMode::Seeded(42)));
    assert_eq!((grant.wall_clock, grant.monotonic_clock), (Some(ClockMode::Coarse), Some(ClockMode::Frozen)));
    assert_eq!(grant.limits.get(Cap::Memory), Some(16 << 20));
    assert_eq!((grant.on_violation, grant.record), (OnViolation::Deny, RecordScope::Every));
    let audit = AuditSettings { arguments: ArgumentsRecord::Full, acknowledge: Acknowledge::Journal };
    assert_eq!(grant.audit, audit);
    assert_eq!(policy.grants.grant(&"other".parse().unwrap()), Grant::default());
    assert_eq!(policy.deployment.sandbox, SandboxSettings { require: SandboxLevel::Partial });
    assert_eq!(policy.deployment.workers, WorkerSettings { idle_ms: 90_000, grace_ms: 250 });
    let home = |tool: &str| policy.deployment.compartment_of(&tool.parse().unwrap()).map(CompartmentName::as_str);
    let homes = ["word-count", "text-diff", "dice", "other"].map(home);
    assert_eq!(homes, [Some("texts"), Some("texts"), Some("dice"), None]);
}

#[test]
fn an_alias_is_one_operations_and_a_name_that_models_take() {
    let of = |text: &str| policy(text).map(|policy| policy.grants.grant(&"a".parse().unwrap()).aliases);
    let aliases = of("[tools.a]\naliases = { count = \"count_words\", other = \"a-b_3\" }").unwrap();
    let expected = [("count", "count_words"), ("other", "a-b_3")];
    let expected = expected.map(|(operation, name)| (operation.parse().unwrap(), name.parse().unwrap()));
    assert_eq!(aliases, BTreeMap::from(expected));
    let longest = "x".repeat(48);
    assert!(of(&format!("[tools.a]\naliases.count = \"{longest}\"")).is_ok());
    for name in ["", "_a", "1a", "A", "a.b", "a b", &format!("{longest}x"), "a\u{e9}"] {
        assert!(of(&format!("[tools.a]\naliases.count = \"{name}\"")).is_err(), "{name}");
    }
    assert!(of("[tools.a]\naliases = { count = \"x\", other = \"x\" }").is_err());
    assert!(of("[tools.a]\naliases.count = \"x\"\n[tools.b]\naliases.count = \"x\"").is_err());
    assert!(of("[tools.a]\naliases.Count = \"x\"").is_err());
}

fn policy(text: &str) -> Result<Policy, Box<tollgate_config::PolicyError>> {
    Policy::parse(text, "tollgate.toml", Path::new(FOLDER)).map_err(Box::new)
}

#[test]
fn every_key_of_an_agent_and_of_a_daemon_is_read() {
    let deployment = policy(POLICY).unwrap().deployment;
    let operations = ["count", "search"].map(|name| name.parse().unwrap()).into();
    let tools = BTreeMap::from([
        ("echo".parse().unwrap(), AgentTool { operations: None }),
        ("grep".parse().unwrap(), AgentTool { operations: Some(operations) }),
    ]);
    let listen = Some(PathBuf::from("/run/tollgate-reader/socket"));
    let is = Proof::Uid(vec![1001, 1002]);
    let reader = Agent { is, listen, group: Some(2001), mode: 0o660, port: None, tools };
    let shared = Agent {
        is: Proof::Socket,
        listen: None,
        group: None,
        mode: SOCKET_MODE_DEFAULT,
        port: None,
        tools: BTreeMap::new(),
    };
    let web = Agent { is: Proof::Token, mode: 0o666, port: Some(7411), ..shared.clone() };
    let expected = [("reader", reader), ("shared", shared), ("web", web)];
    assert_eq!(deployment.agents, expected.map(|(name, agent)| (name.parse().unwrap(), agent)).into());
    let serve = ServeSettings {
        connections: 10,
        calls: 4,
        queue: 0,
        header_bytes: 8 << 10,
        body_bytes: 1 << 20,
        idle_ms: 30_000,
        handshake_ms: 2_000,
        drain_ms: 0,
        reserve_bytes: 1 << 30,
        list: ToolList::Search,
    };
    assert_eq!(deployment.serve, serve);
}

#[test]
fn a_policy_without_agents_has_none_and_the_operators_name_is_no_agents() {
    let said = policy("[serve]\nqueue = 128").unwrap();
    assert_eq!((said.deployment.agents.len(), said), (0, Policy::default()));
    assert_eq!(AgentName::local().as_str().parse(), Ok(AgentName::local()));
    assert!(policy("[agents.local]\nis = { token = true }").is_err());
    assert!(policy("[agents]").is_err(), "nobody could ask, and the operator's own user is not meant either");
}

#[test]
fn the_bounds_of_a_daemon_are_inside() {
    for bound in ServeBound::ALL {
        let parse = |value: u64| policy(&format!("{} = \"{}\"", bound.key(), bound.show(value)));
        for value in [bound.min, bound.default, bound.max] {
            let serve = parse(value).unwrap().deployment.serve;
            let expected = ServeBound::ALL.map(|other| (other, if other == bound { value } else { other.default }));
            assert_eq!(serve.bounds(), expected, "{}", bound.key());
        }
        assert!(parse(bound.max + 1).is_err(), "{}", bound.key());
        assert!(bound.min == 0 || parse(bound.min - 1).is_err(), "{}", bound.key());
    }
}

/// Lines of `[agents.a]` that are taken.
const TAKEN: &[&str] = &[
    "is.uid = 0",
    "is.uid = [4294967294]",
    "is.uid = 1\nmode = \"0666\"",
    "is.uid = 1\nmode = \"660\"\ngroup = 0",
    "is.token = true\nmode = \"0777\"\nport = 1",
    "is.token = true\nport = 65535",
    "is.socket = true\nmode = \"0600\"",
    "is.socket = true\nmode = \"0664\"",
    "is.socket = true\ntools.no-such-tool = {}",
];

/// Lines of `[agents.a]` by which it would prove nothing, be another agent or say nothing that is known.
const REFUSED: &[&str] = &[
    "",
    "is = {}",
    "is = true",
    "is = \"token\"",
    "is = [1]",
    "is = { token = false }",
    "is = { socket = false }",
    "is = { uid = 1, token = true }",
    "is = { uid = 1, socket = false }",
    "is = { token = true, socket = true }",
    "is = { uid = 1, token = true, socket = true }",
    "is = { gid = 1 }",
    "is.uid = []",
    "is.uid = [1, 1]",
    "is.uid = -1",
    "is.uid = 1.0",
    "is.uid = 4294967295",
    "is.uid = 4294967296",
    "is.uid = \"1\"",
    "is.uid = \"builder\"",
    "is.uid = [1, \"builder\"]",
    "is.uid = [[1]]",
    "is.uid = true",
    "is.socket = true\nlisten = \"run/socket\"",
    "is.socket = true\nlisten = \"/run/../socket\"",
    "is.socket = true\nlisten = \"\"",
    "is.socket = true\nlisten = 1",
    "is.socket = true\nmode = \"0660\"\ngroup = \"users\"",
    "is.socket = true\nmode = \"0660\"\ngroup = 4294967295",
    "is.socket = true\nmode = \"0600\"\ngroup = 1",
    "is.socket = true\ngroup = 1",
    "is.socket = true\nmode = \"0602\"",
    "is.socket = true\nmode = \"0666\"",
    "is.socket = true\nmode = \"1600\"",
    "is.token = true\nmode = \"4777\"",
    "is.socket = true\nmode = \"0800\"",
    "is.socket = true\nmode = 600",
    "is.socket = true\nmode = 0o600",
    "is.token = true\nport = 0",
    "is.token = true\nport = 65536",
    "is.token = true\nport = -1",
    "is.socket = true\nport = 7411",
    "is.uid = 1\nport = 7411",
    "is.socket = true\ntools = []",
    "is.socket = true\ntools.grep = true",
    "is.socket = true\ntools.grep = []",
    "is.socket = true\ntools.grep = [\"search\"]",
    "is.socket = true\ntools.grep = [[\"search\"]]",
    "is.socket = true\ntools = { grep = \"search\" }",
    "is.socket = true\ntools.grep.operations = []",
    "is.socket = true\ntools.grep.operations = \"search\"",
    "is.socket = true\ntools.grep.operations = [\"Search\"]",
    "is.socket = true\ntools.Grep = {}",
    "is.socket = true\ntools.grep.limits = {}",
    "is.socket = true\ntool.grep = {}",
];

#[test]
fn an_agent_that_would_prove_nothing_or_be_another_one_is_refused() {
    let parse = |lines: &str| policy(&format!("[agents.a]\n{lines}\n"));
    let not_taken: Vec<_> = TAKEN.iter().filter(|lines| parse(lines).is_err()).collect();
    let not_refused: Vec<_> = REFUSED.iter().filter(|lines| parse(lines).is_ok()).collect();
    assert!(not_taken.is_empty() && not_refused.is_empty(), "{not_taken:#?} {not_refused:#?}");
    let socket = |bytes: usize| parse(&format!("is.socket = true\nlisten = \"/{}\"", "a".repeat(bytes - 1)));
    assert!(socket(LISTEN_BYTES_MAX).is_ok() && socket(LISTEN_BYTES_MAX + 1).is_err());
}

#[test]
fn what_two_agents_may_not_share_and_what_they_may() {
    let two = |one: &str, other: &str| policy(&format!("[agents.b]\n{one}\n[agents.a]\n{other}\n"));
    let shared = [
        ("is.uid = 1", "is.uid = 1"),
        ("is.uid = [1, 2]", "is.uid = [3, 2]"),
        ("is.token = true\nport = 7411", "is.token = true\nport = 7411"),
        ("is.token = true\nlisten = \"/run/a\"", "is.uid = 1\nlisten = \"/run/a\""),
    ];
    for (one, other) in shared {
        let said = rendered(&*two(one, other).unwrap_err());
        assert!(said.contains("is given twice: to the agent `b` and to `a`"), "{said}");
    }
    let apart = [
        ("is.uid = 1", "is.uid = 2"),
        ("is.token = true", "is.token = true"),
        ("is.socket = true", "is.socket = true"),
        ("is.token = true\nport = 1\nlisten = \"/run/a\"", "is.token = true\nport = 2\nlisten = \"/run/b\""),
        ("is.socket = true\nmode = \"0660\"\ngroup = 1", "is.socket = true\nmode = \"0660\"\ngroup = 1"),
    ];
    for (one, other) in apart {
        assert_eq!(two(one, other).unwrap().deployment.agents.len(), 2, "{one} {other}");
    }
}

#[test]
fn agents_their_tools_operations_and_uids_are_counted() {
    let listed = |many: usize, each: &dyn Fn(usize) -> String| (0..many).map(each).collect::<Vec<_>>().join(",");
    let agents = |many| listed(many, &|number| format!("a{number} = {{ is = {{ token = true }} }}"));
    let one = |rest: String| policy(&format!("[agents.a]\nis.socket = true\n{rest}"));
    let tools = |many| one(format!("tools = {{ {} }}", listed(many, &|number| format!("t{number} = {{}}"))));
    let operations = |many| one(format!("tools.t.operations = [{}]", listed(many, &|number| format!("\"o{number}\""))));
    let uids = |many| policy(&format!("[agents.a]\nis.uid = [{}]", listed(many, &|number| number.to_string())));
    let agents = |many| policy(&format!("agents = {{ {} }}", agents(many)));
    assert!(agents(AGENTS_MAX).is_ok() && agents(AGENTS_MAX + 1).is_err());
    assert!(tools(AGENT_TOOLS_MAX).is_ok() && tools(AGENT_TOOLS_MAX + 1).is_err());
    assert!(operations(64).is_ok() && operations(65).is_err());
    assert!(uids(AGENT_UIDS_MAX).is_ok() && uids(AGENT_UIDS_MAX + 1).is_err());
}

#[test]
fn a_policy_that_says_nothing_asks_for_the_full_sandbox_and_a_host_for_each_tool() {
    let policy = Policy::parse("", "tollgate.toml", Path::new(FOLDER)).unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.deployment.sandbox.require, SandboxLevel::Full);
    assert_eq!(policy.deployment.workers, WorkerSettings { idle_ms: 300_000, grace_ms: 1_000 });
    assert_eq!(policy.deployment.compartment_of(&"word-count".parse().unwrap()), None);
    let said = Policy::parse("[workers]\nidle = \"5m\"\ngrace = \"1s\"", "tollgate.toml", Path::new(FOLDER)).unwrap();
    assert_eq!(said, policy);
}

#[test]
fn each_level_of_the_sandbox_is_read_and_they_are_ordered() {
    let levels = SandboxLevel::ALL.map(|level| {
        let text = format!("sandbox.require = \"{level}\"");
        Policy::parse(&text, "tollgate.toml", Path::new(FOLDER)).unwrap().deployment.sandbox.require
    });
    assert_eq!(levels, SandboxLevel::ALL);
    assert!(SandboxLevel::None < SandboxLevel::Partial && SandboxLevel::Partial < SandboxLevel::Full);
}

#[test]
fn the_bounds_of_host_times_are_inside() {
    for (key, bounds) in
        [("idle", [WORKER_IDLE_MS_MIN, WORKER_IDLE_MS_MAX]), ("grace", [WORKER_GRACE_MS_MIN, WORKER_GRACE_MS_MAX])]
    {
        let parse =
            |millis: u64| Policy::parse(&format!("workers.{key} = \"{millis}ms\""), "tollgate.toml", Path::new(FOLDER));
        let [min, max] = bounds;
        assert!(parse(min).is_ok() && parse(max).is_ok(), "{key}");
        assert!(parse(min - 1).is_err() && parse(max + 1).is_err(), "{key}");
    }
}

#[test]
fn what_compiling_may_cost_is_read_and_its_bounds_are_inside() {
    let parse = |text: &str| Policy::parse(text, "tollgate.toml", Path::new(FOLDER));
    let said = parse("[compile]\ncpu = \"90s\"\ntime = \"2h\"").unwrap().deployment.compile;
    assert_eq!(said, CompileSettings { cpu_ms: 90_000, time_ms: 7_200_000 });
    assert_eq!(parse("").unwrap().deployment.compile, CompileSettings { cpu_ms: 300_000, time_ms: 3_600_000 });
    for (key, max) in [("cpu", COMPILE_CPU_MS_MAX), ("time", COMPILE_TIME_MS_MAX)] {
        let one = |millis: u64| parse(&format!("compile.{key} = \"{millis}ms\""));
        assert!(one(COMPILE_MS_MIN).is_ok() && one(max).is_ok(), "{key}");
        assert!(one(COMPILE_MS_MIN - 1).is_err() && one(max + 1).is_err(), "{key}");
    }
}

#[test]
fn each_kind_of_grant_text_is_read_and_merged() {
    let texts = [
        "fs:/docs=./re:ports:read,list",
        "durable:/docs=list",
        "env:LANG=a=b,c",
        "env:TOKEN",
        "args=a,b",
        "stdio=stdin",
        "random=seed:42",
        "clock:wall=real",
        "clock:monotonic=coarse",
        "limit:memory=16MiB",
        "limit:fuel=500_000",
        "audit:arguments=full",
        "audit:acknowledge=disk",
    ];
    let mut grant = Grant::default();
    for text in texts {
        grant.merge_adhoc(AdhocGrant::parse(text, Path::new("/home/me")).unwrap()).unwrap();
    }
    let docs = &grant.fs[&"/docs".parse().unwrap()];
    assert_eq!(docs.host, PathBuf::from("/home/me/re:ports"));
    assert!(docs.access.contains(Access::Read) && docs.access.contains(Access::List));
    assert_eq!(docs.durable, AccessSet::EMPTY.with(Access::List));
    assert_eq!(grant.env[&"LANG".parse().unwrap()], EnvValue::Literal("a=b,c".to_owned()));
    assert_eq!(grant.env[&"TOKEN".parse().unwrap()], EnvValue::FromHost("TOKEN".parse().unwrap()));
    assert_eq!(grant.args, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(grant.stdio, Some(StdioSet { stdin: true, ..StdioSet::EMPTY }));
    assert_eq!(grant.random, Some(RandomMode::Seeded(42)));
    assert_eq!((grant.wall_clock, grant.monotonic_clock), (Some(ClockMode::Real), Some(ClockMode::Coarse)));
    assert_eq!((grant.limits.get(Cap::Memory), grant.limits.get(Cap::Fuel)), (Some(16 << 20), Some(500_000)));
    let audit = AuditSettings { arguments: ArgumentsRecord::Full, acknowledge: Acknowledge::Disk };
    assert_eq!(grant.audit, audit);
}

#[test]
fn a_grant_text_that_fits_in_part_is_refused() {
    let texts = [
        "",
        "fs",
        "fs:",
        "fs:/docs",
        "fs:/docs=x",
        "fs:/docs=:read",
        "fs:/docs=x:",
        "fs:/docs=x:read,",
        "fs:docs=x:read",
        "fs:/docs=/:read",
        "fs:/docs=/proc/1:read",
        "fs:/docs=x:raed",
        "durable",
        "durable:/docs",
        "durable:/docs=",
        "durable:/docs=raed",
        "durable:docs=read",
        "durable=/docs:read",
        "env:",
        "env:1=2",
        "env=LANG",
        "args:a",
        "stdio=stdin,",
        "stdio=tty",
        "random=",
        "random=seed:",
        "random=seed:-1",
        "random=seed:+5",
        "clock:wall",
        "clock:sun=real",
        "clock:wall=fine",
        "limit:memory",
        "limit:memory=16M",
        "limit:memory=0",
        "limit:disk=1",
        "audit",
        "audit:",
        "audit:arguments",
        "audit:arguments=",
        "audit:arguments=all",
        "audit:acknowledge=full",
        "audit:keep=full",
        "audit=full",
        "net:localhost",
    ];
    for text in texts {
        assert!(AdhocGrant::parse(text, Path::new("/home/me")).is_err(), "{text}");
    }
}

#[test]
fn words_of_audit_settings_are_the_same_everywhere() {
    for arguments in ArgumentsRecord::ALL {
        let text = format!("audit:arguments={}", arguments.as_str());
        assert_eq!(AdhocGrant::parse(&text, Path::new(FOLDER)), Ok(AdhocGrant::Arguments(arguments)));
        let policy = POLICY.replacen("\"full\"", &format!("\"{}\"", arguments.as_str()), 1);
        let policy = Policy::parse(&policy, "tollgate.toml", Path::new(FOLDER)).unwrap();
        assert_eq!(policy.grants.grant(&"word-count".parse().unwrap()).audit.arguments, arguments);
    }
    for acknowledge in Acknowledge::ALL {
        let text = format!("audit:acknowledge={}", acknowledge.as_str());
        assert_eq!(AdhocGrant::parse(&text, Path::new(FOLDER)), Ok(AdhocGrant::Acknowledge(acknowledge)));
        let policy = POLICY.replacen("\"journal\"", &format!("\"{}\"", acknowledge.as_str()), 1);
        let policy = Policy::parse(&policy, "tollgate.toml", Path::new(FOLDER)).unwrap();
        assert_eq!(policy.grants.grant(&"word-count".parse().unwrap()).audit.acknowledge, acknowledge);
    }
}

#[test]
fn text_of_a_manifest_never_steers_a_terminal() {
    let text = MANIFEST.replacen("version =", "\"\\u001b[31mversion\" =", 1).replacen("Counts words", "\u{1b}[2J", 1);
    let shown = rendered(&Manifest::parse(&text, "tool\u{1b}.toml").unwrap_err());
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let described = MANIFEST.replacen("Counts words.", "\\u001b[2J", 1);
    assert!(Manifest::parse(&described, "tool.toml").is_err());
}

#[test]
fn files_longer_than_their_maximum_are_refused_unread() {
    let long = "#".repeat(2 << 20);
    assert!(rendered(&Manifest::parse(&long, "tool.toml").unwrap_err()).contains("262144"));
    assert!(rendered(&Policy::parse(&long, "tollgate.toml", Path::new(FOLDER)).unwrap_err()).contains("1048576"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC*", folder in "/[a-z/.]*") {
        exercise(&text, Path::new(&folder));
    }

    #[test]
    fn damaged_files_never_panic(cut in 0_usize..1_800, insert in "[\\PC\n\"\\[\\]{}=.]{0,4}", length in 0_usize..9) {
        for text in [MANIFEST, POLICY] {
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let damaged = [head, insert.as_bytes(), tail.get(length..).unwrap_or_default()].concat();
            exercise(&String::from_utf8_lossy(&damaged), Path::new(FOLDER));
        }
    }

    /// An agent has the operations that are written, by whatever names, and no others.
    #[test]
    fn an_agent_has_what_is_written_and_nothing_else(
        written in proptest::collection::btree_map(
            "[a-c]{1,2}", proptest::option::of(proptest::collection::btree_set("[a-c]{1,2}", 1..4)), 0..5,
        ),
        tool in "[a-c]{1,2}",
        operation in "[a-c]{0,3}",
    ) {
        let line = |(tool, operations): (&String, &Option<std::collections::BTreeSet<String>>)| match operations {
            Some(operations) => format!("tools.{tool}.operations = {operations:?}\n").replace(['{', '}'], "")
                .replace("= ", "= [").replace('\n', "]\n"),
            None => format!("tools.{tool} = {{}}\n"),
        };
        let lines: String = written.iter().map(line).collect();
        let deployment = policy(&format!("[agents.a]\nis.socket = true\n{lines}")).unwrap().deployment;
        let agent = deployment.agents.into_values().next().unwrap();
        let expected = match written.get(&tool) {
            Some(Some(operations)) => operations.contains(&operation),
            Some(None) => true,
            None => false,
        };
        prop_assert_eq!(agent.may(&tool.parse().unwrap(), &operation), expected);
    }

    /// No mode of a socket that is the only proof lets others open it.
    #[test]
    fn a_socket_that_is_the_only_proof_is_not_open_to_all(mode in 0_u32..0o10000, prove in 0_usize..3) {
        let is = ["socket = true", "token = true", "uid = 1"].get(prove).unwrap();
        let read = policy(&format!("[agents.a]\nis = {{ {is} }}\nmode = \"{mode:04o}\""));
        let may_be = mode <= 0o777 && (prove > 0 || mode & 0o002 == 0);
        prop_assert_eq!(read.is_ok(), may_be);
        if let Ok(read) = read {
            prop_assert!(read.deployment.agents.values().all(|agent| agent.mode == mode));
        }
    }

    #[test]
    fn damaged_grant_texts_never_panic(
        kind in "(fs|durable|env|args|stdio|random|clock|audit|limit)[:=]", rest in "[\\PC:=,/]*",
    ) {
        exercise(&format!("{kind}{rest}"), Path::new(FOLDER));
    }
}

/// Every parser on one text; what is refused must also be shown.
fn exercise(text: &str, folder: &Path) {
    if let Err(error) = Manifest::parse(text, "tool.toml") {
        assert!(!rendered(&error).is_empty());
    }
    if let Err(error) = Policy::parse(text, "tollgate.toml", folder) {
        assert!(!rendered(&error).is_empty());
    }
    if let Err(error) = AdhocGrant::parse(text, folder) {
        assert!(!rendered(&error).is_empty());
    }
}

//! The words for every rule and every cap, as an agent is shown them.

use std::path::Path;

use tollgate_capability::{Access, Cap, Rule, Stdio};
use tollgate_config::{Manifest, Policy};

use super::*;

/// The folder of the host, which no line may name.
const HOST: &str = "/srv/secret-place";

const MANIFEST: &str = r#"
[tool]
name = "notes"
version = "1.0.0"
[[operations]]
name = "run"
[[needs.fs]]
guest = "/docs"
access = ["read", "list"]
[needs]
stdio = []
[limits]
memory = "32MiB"
"#;

fn with<T>(more: &str, asks: impl FnOnce(Granted<'_>) -> T) -> T {
    let policy =
        format!("[tools.notes]\nfs.\"/docs\" = {{ host = \"{HOST}\", access = [\"read\"], quota = \"1MiB\" }}\n{more}");
    let manifest = Manifest::parse(MANIFEST, "tool.toml").unwrap();
    let policy = Policy::parse(&policy, "tollgate.toml", Path::new("/")).unwrap();
    let grant = policy.grants.grant(&manifest.name);
    asks(Granted { manifest: &manifest, grant: &grant, has_author: true })
}

fn lines(steps: &[Step]) -> String {
    steps.iter().map(|step| format!("{step}\n")).collect()
}

/// Every rule, each once.
fn rules() -> Vec<String> {
    let guest = "/docs";
    let rights = Access::ALL.map(|access| Rule::Fs { guest, access });
    let folders = [
        Rule::FsPreopen { guest },
        Rule::FsBeneath { guest },
        Rule::FsPatterns { guest },
        Rule::FsRegular { guest },
        Rule::FsQuota { guest },
        Rule::FsNoGain { guest },
        Rule::FsPolicy { guest },
        Rule::FsMounts { guest },
        Rule::FsPlace { guest },
        Rule::FsSame { guest },
    ];
    let others = [Rule::FsAny, Rule::Empty, Rule::Env, Rule::Args, Rule::WallClock, Rule::MonotonicClock, Rule::Random];
    let streams = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr].map(Rule::Stdio);
    let all = rights.into_iter().chain(folders).chain(others).chain(streams).chain([Rule::Context, Rule::Network]);
    let caps = Cap::ALL.map(Rule::Limit);
    let known = |rule: &Rule<'_>| match rule {
        // A rule that is new here has no line above, and none below.
        Rule::Fs { .. }
        | Rule::FsPreopen { .. }
        | Rule::FsBeneath { .. }
        | Rule::FsPatterns { .. }
        | Rule::FsRegular { .. }
        | Rule::FsQuota { .. }
        | Rule::FsNoGain { .. }
        | Rule::FsPolicy { .. }
        | Rule::FsMounts { .. }
        | Rule::FsPlace { .. }
        | Rule::FsSame { .. }
        | Rule::FsAny
        | Rule::Empty
        | Rule::Env
        | Rule::Args
        | Rule::Stdio(_)
        | Rule::WallClock
        | Rule::MonotonicClock
        | Rule::Random
        | Rule::Context
        | Rule::Limit(_)
        | Rule::Network => rule.to_string(),
    };
    all.chain(caps).map(|rule| known(&rule)).collect()
}

#[test]
fn every_rule_says_what_would_allow_it() {
    let told: String =
        rules().iter().map(|rule| with("", |granted| format!("{rule}\n{}", lines(&to_allow(granted, rule))))).collect();
    assert_eq!(told, GOLDEN, "{told}");
    assert!(!told.contains(HOST));
}

/// Nothing lacks where a preopened folder is looked at, and where what is not granted is empty.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn a_cap_is_raised_as_far_as_it_goes() {
    let raised = |more: &str, cap, asked| with(more, |granted| lines(&to_raise(granted, cap, asked)));
    assert_eq!(
        raised("limits.memory = \"16MiB\"", Cap::Memory, None),
        "in tollgate.toml: limits.memory = \"32MiB\" under [tools.notes]\n"
    );
    assert_eq!(
        raised("limits.memory = \"16MiB\"", Cap::Memory, Some(100 << 20)),
        "in tollgate.toml: limits.memory = \"128MiB\" under [tools.notes]\nin the tool's manifest: memory = \"128MiB\" under [limits]\n"
    );
    assert_eq!(
        raised("limits.memory = \"1GiB\"", Cap::Memory, None),
        "in the tool's manifest: memory = \"64MiB\" under [limits]\n"
    );
    assert_eq!(
        raised("limits.fuel = 7", Cap::Fuel, Some(8)),
        "in tollgate.toml: limits.fuel = 14 under [tools.notes]\n"
    );
    assert_eq!(
        raised("limits.handles = 0", Cap::Handles, None),
        "in tollgate.toml: limits.handles = 2 under [tools.notes]\n"
    );
    for (more, asked) in [("limits.calls = 1024", None), ("", Some(2_000))] {
        assert_eq!(raised(more, Cap::Calls, asked), "nothing grants it: the most that `limits.calls` can be is 1024\n");
    }
}

#[test]
fn what_is_said_for_one_run_names_the_folder_and_is_for_no_agent() {
    let narrowed = with("", |granted| to_allow(granted, "fs:/docs:list"));
    assert_eq!(narrowed[0].once, None, "the quota would be dropped");
    let clock = with("", |granted| to_allow(granted, "clocks.wall"));
    assert_eq!(clock[0].once.as_deref(), Some("clock:wall=coarse"));
    let raised = with("", |granted| to_raise(granted, Cap::Deadline, None));
    assert!(raised[0].once.as_deref().unwrap().starts_with("limit:deadline="), "{raised:?}");
}

#[test]
fn a_folder_of_any_name_stays_on_its_line() {
    let step = in_policy("fs.\"/a\nb\u{202e}\"".to_owned(), None);
    assert_eq!(step.to_string(), "in tollgate.toml: fs.\"/a\\nb\\u{202e}\"");
}

#[test]
fn errors_that_no_policy_made_have_no_help() {
    let of = |error: CallError| with("", |granted| lines(&of(granted, &error)));
    for error in [
        CallError::Cancelled,
        CallError::Tool { code: "x".to_owned(), message: "in tollgate.toml".to_owned() },
        CallError::Trap { message: "unreachable".to_owned() },
        CallError::Internal("broken".to_owned()),
    ] {
        assert_eq!(of(error), "");
    }
    assert_eq!(
        of(CallError::Overran { deadline_ms: 10_000, grace_ms: 1 }),
        of(CallError::Cap(CapHit { cap: Cap::Deadline, asked: None, limit: 10_000 })),
    );
    assert_eq!(
        of(CallError::Blocked { call: "ptrace".to_owned() }),
        "nothing grants it: no tool can do this through WASI, whatever it is granted\n"
    );
    let not_theirs =
        RejectError::NotTheAgents { agent: "web".to_owned(), tool: "notes".to_owned(), operation: "run".to_owned() };
    assert_eq!(of(not_theirs.into()), "in tollgate.toml: tools.notes.operations = [ …, \"run\" ] under [agents.web]\n");
}

//! Manifests and policies as TOML: the way back, which the project itself does not need.

use std::fmt::Write as _;

use tollgate_capability::{Access, AccessSet, Cap, ClockMode, OnViolation, RandomMode, RecordScope, Stdio, StdioSet};
use tollgate_config::{
    Agent, Deployment, EnvValue, FsGrant, Grant, Grants, Manifest, OperationName, PartialLimits, Policy, Proof,
    RandomNeed, TimeSpan, ToolName, show_limit,
};

pub(crate) fn manifest_toml(manifest: &Manifest) -> String {
    let needs = &manifest.needs;
    let mut out = format!("record = \"{}\"\n[tool]\n", record(manifest.record));
    let Manifest { name, version, description, .. } = manifest;
    writeln!(out, "name = \"{name}\"\nversion = \"{version}\"\ndescription = {}", quoted(description)).unwrap();
    for operation in &manifest.operations {
        let (name, description) = (&operation.name, quoted(&operation.description));
        writeln!(out, "[[operations]]\nname = \"{name}\"\ndescription = {description}").unwrap();
    }
    writeln!(out, "[needs]\nargs = {}\nstdio = {}", needs.args, stdio(needs.stdio)).unwrap();
    writeln!(out, "env = {}", list(needs.env.iter().map(|name| name.as_str()))).unwrap();
    if let Some(random) = needs.random {
        let word = match random {
            RandomNeed::Secure => "secure",
            RandomNeed::Seeded => "seeded",
        };
        writeln!(out, "random = \"{word}\"").unwrap();
    }
    clocks(&mut out, needs.wall_clock, needs.monotonic_clock);
    for folder in &needs.fs {
        writeln!(out, "[[needs.fs]]\nguest = \"{}\"\naccess = {}", folder.guest, access(folder.access)).unwrap();
    }
    out.push_str("[limits]\n");
    limits(&mut out, "", &manifest.limits);
    out
}

pub(crate) fn policy_toml(policy: &Policy) -> String {
    let Policy { grants, deployment } = policy;
    let Grants { variables, tools } = grants;
    let Deployment { sandbox, workers, compile, compartments, agents, serve } = deployment;
    let [idle, grace] = [workers.idle_ms, workers.grace_ms].map(TimeSpan::from_millis);
    let mut out =
        format!("sandbox.require = \"{}\"\n[workers]\nidle = \"{idle}\"\ngrace = \"{grace}\"\n", sandbox.require);
    let [cpu, time] = [compile.cpu_ms, compile.time_ms].map(TimeSpan::from_millis);
    writeln!(out, "[compile]\ncpu = \"{cpu}\"\ntime = \"{time}\"").unwrap();
    out.push_str("[compartments]\n");
    for (name, tools) in compartments {
        writeln!(out, "{name} = {}", list(tools.iter().map(ToolName::as_str))).unwrap();
    }
    out.push_str("[serve]\n");
    for (bound, value) in serve.bounds() {
        let key = bound.key().trim_start_matches("serve.");
        writeln!(out, "{key} = \"{}\"", bound.show(value)).unwrap();
    }
    for (name, agent) in agents {
        writeln!(out, "[agents.{name}]").unwrap();
        agent_toml(&mut out, agent);
    }
    out.push_str("[variables]\n");
    for (name, value) in variables {
        writeln!(out, "{name} = {}", quoted(value)).unwrap();
    }
    for (tool, grant) in tools {
        writeln!(out, "[tools.{tool}]").unwrap();
        grant_toml(&mut out, grant);
    }
    out
}

fn agent_toml(out: &mut String, agent: &Agent) {
    let Agent { is, listen, group, mode, port, tools } = agent;
    let is = match is {
        Proof::Uid(uids) => format!("uid = {uids:?}"),
        Proof::Token => "token = true".to_owned(),
        Proof::Socket => "socket = true".to_owned(),
    };
    writeln!(out, "is = {{ {is} }}\nmode = \"{mode:04o}\"").unwrap();
    if let Some(listen) = listen {
        writeln!(out, "listen = {}", quoted(listen.to_str().expect("a path that was text"))).unwrap();
    }
    if let Some(group) = group {
        writeln!(out, "group = {group}").unwrap();
    }
    if let Some(port) = port {
        writeln!(out, "port = {port}").unwrap();
    }
    for (name, tool) in tools {
        match &tool.operations {
            Some(operations) => {
                writeln!(out, "tools.{name}.operations = {}", list(operations.iter().map(OperationName::as_str)))
            }
            None => writeln!(out, "tools.{name} = {{}}"),
        }
        .unwrap();
    }
}

fn grant_toml(out: &mut String, grant: &Grant) {
    for (guest, folder) in &grant.fs {
        writeln!(out, "fs.\"{guest}\" = {{ {} }}", fs_toml(folder)).unwrap();
    }
    for (name, value) in &grant.env {
        match value {
            EnvValue::Literal(text) => writeln!(out, "env.{name} = {}", quoted(text)),
            EnvValue::FromHost(host) => writeln!(out, "env.{name} = {{ host = \"{host}\" }}"),
        }
        .unwrap();
    }
    if let Some(args) = &grant.args {
        writeln!(out, "args = {}", list(args.iter().map(String::as_str))).unwrap();
    }
    if let Some(streams) = grant.stdio {
        writeln!(out, "stdio = {}", stdio(streams)).unwrap();
    }
    match grant.random {
        Some(RandomMode::Secure) => out.push_str("random = \"secure\"\n"),
        Some(RandomMode::Seeded(seed)) => writeln!(out, "random = {{ seed = {seed} }}").unwrap(),
        None => {}
    }
    clocks(out, grant.wall_clock, grant.monotonic_clock);
    limits(out, "limits.", &grant.limits);
    let on_violation = match grant.on_violation {
        OnViolation::Kill => "kill",
        OnViolation::Deny => "deny",
    };
    writeln!(out, "on_violation = \"{on_violation}\"\nrecord = \"{}\"", record(grant.record)).unwrap();
    let (arguments, acknowledge) = (grant.audit.arguments.as_str(), grant.audit.acknowledge.as_str());
    writeln!(out, "audit = {{ arguments = \"{arguments}\", acknowledge = \"{acknowledge}\" }}").unwrap();
}

fn fs_toml(folder: &FsGrant) -> String {
    let host = folder.host.to_str().expect("a path that was text").replace('$', "$$");
    let [include, exclude] =
        [folder.patterns.include(), folder.patterns.exclude()].map(|texts| list(texts.iter().map(String::as_str)));
    let quota = folder.quota.map(|quota| format!(", quota = \"{quota}\"")).unwrap_or_default();
    let (host, durable, access) = (quoted(&host), access(folder.durable), access(folder.access));
    format!("host = {host}, access = {access}, durable = {durable}, include = {include}, exclude = {exclude}{quota}")
}

fn clocks(out: &mut String, wall: Option<ClockMode>, monotonic: Option<ClockMode>) {
    for (name, mode) in [("wall", wall), ("monotonic", monotonic)] {
        if let Some(mode) = mode {
            writeln!(out, "clocks.{name} = \"{}\"", mode.as_str()).unwrap();
        }
    }
}

fn limits(out: &mut String, prefix: &str, limits: &PartialLimits) {
    for cap in Cap::ALL {
        if let Some(value) = limits.get(cap) {
            writeln!(out, "{prefix}{} = \"{}\"", cap.as_str(), show_limit(cap, value)).unwrap();
        }
    }
}

fn access(access: AccessSet) -> String {
    list(access.iter().map(Access::as_str))
}

fn stdio(streams: StdioSet) -> String {
    let all = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr];
    list(all.into_iter().filter(|stream| streams.contains(*stream)).map(Stdio::as_str))
}

fn record(record: RecordScope) -> &'static str {
    match record {
        RecordScope::Acquire => "acquire",
        RecordScope::Every => "every",
    }
}

fn list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    format!("[{}]", texts.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML 1.0.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

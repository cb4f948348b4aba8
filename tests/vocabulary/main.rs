//! Every word of `tool.toml` and `tollgate.toml` does something at run time, most of them deny something. The tables at
//! the end hold the words of both JSON Schemas: a new word without a test fails.

mod audit;
mod folders;
mod limits;
mod process;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tollgate::{Artifact, LoadError, Tool};

use tollgate_config::{Manifest, MissingGrants, Policy, intersect, manifest_schema, policy_schema};
use tollgate_workspace::{Lab, WORDS_OF_A_DAEMON, WORDS_OF_MOUNTS, WORDS_OF_WORKERS, guest, manifest};

/// A lab whose tools are loaded under texts, as their authors and operators write them.
struct Texts {
    lab: Lab,
    components: BTreeMap<&'static str, Artifact>,
}

/// What is not granted, or a component that its manifest does not fit.
#[derive(Debug)]
enum NoTool {
    Missing(MissingGrants),
    Load(LoadError),
}

impl Texts {
    fn new() -> Self {
        Self::of(Lab::new())
    }

    fn of(lab: Lab) -> Self {
        Self { lab, components: BTreeMap::new() }
    }

    /// A guest that needs something and is granted something: lines of `tool.toml` before its first table, and of
    /// `[tools.NAME]`.
    fn tool(&mut self, name: &'static str, needs: &str, grant: &str) -> Tool {
        let policy = format!("[tools.{name}]\n{grant}");
        self.load(name, &manifest_text(name, needs), &policy).unwrap()
    }

    /// A guest under a whole manifest and a whole policy.
    fn load(&mut self, name: &'static str, manifest: &str, policy: &str) -> Result<Tool, NoTool> {
        let lab = &mut self.lab;
        let component = self.components.entry(name).or_insert_with(|| lab.component(guest(name)).unwrap()).clone();
        let manifest = Manifest::parse(manifest, "tool.toml").unwrap_or_else(|error| panic!("{error:?}"));
        let policy = Policy::parse(policy, "tollgate.toml", &lab.path("")).unwrap_or_else(|error| panic!("{error:?}"));
        let host = |name: &str| (name == "OPERATORS_TOKEN").then(|| "from the host".to_owned());
        let met = intersect(&manifest, &policy.grants.grant(&manifest.name), host).map_err(NoTool::Missing)?;
        let mut set = met.set;
        for fs in &mut set.fs {
            fs.host = std::fs::canonicalize(&fs.host).unwrap();
        }
        lab.load_as(&manifest, &component, set).map_err(NoTool::Load)
    }
}

/// A manifest of a guest with its own operations and other needs.
fn manifest_text(name: &str, needs: &str) -> String {
    let operations = manifest(guest(name)).operations;
    let operations = operations.iter().map(|operation| format!("[[operations]]\nname = \"{}\"\n", operation.name));
    let operations: String = operations.collect();
    format!("{needs}\n[tool]\nname = \"{name}\"\nversion = \"1.2.3\"\n\n{operations}")
}

/// Words that nobody enforces, since they only tell people something.
const FOR_PEOPLE: [&str; 2] = ["manifest.tool.description", "manifest.operations[].description"];

/// Every other word of `tool.toml`, and a test in which it does something.
const MANIFEST: &[(&str, fn())] = &[
    ("limits.calls", limits::calls),
    ("limits.deadline", limits::deadline),
    ("limits.fuel", limits::fuel),
    ("limits.handles", limits::handles),
    ("limits.host_memory", limits::host_memory),
    ("limits.input", limits::input),
    ("limits.memory", limits::memory),
    ("limits.output", limits::output),
    ("limits.random", limits::random),
    ("limits.record_bytes", limits::record_bytes),
    ("limits.records", limits::records),
    ("limits.stdio", limits::stdio),
    ("needs.args", process::args),
    ("needs.args[]", process::args_empty),
    ("needs.clocks.monotonic=coarse", process::monotonic_clock_coarse),
    ("needs.clocks.monotonic=frozen", process::monotonic_clock_frozen),
    ("needs.clocks.monotonic=real", process::monotonic_clock_real),
    ("needs.clocks.wall=coarse", process::wall_clock_coarse),
    ("needs.clocks.wall=frozen", process::wall_clock_frozen),
    ("needs.clocks.wall=real", process::wall_clock_real),
    ("needs.context", process::context),
    ("needs.env[]", process::env),
    ("needs.fs[].access[]=create", folders::create),
    ("needs.fs[].access[]=delete", folders::delete),
    ("needs.fs[].access[]=list", folders::list),
    ("needs.fs[].access[]=metadata", folders::metadata),
    ("needs.fs[].access[]=read", folders::read),
    ("needs.fs[].access[]=write", folders::write),
    ("needs.fs[].guest", folders::guest_and_host),
    ("needs.random=secure", process::random_secure),
    ("needs.random=seeded", process::random_seeded),
    ("needs.stdio[]=stderr", process::stderr),
    ("needs.stdio[]=stdin", process::stdin),
    ("needs.stdio[]=stdout", process::stdout),
    ("operations[].name", process::operations_name),
    ("record=acquire", process::record_acquire),
    ("record=every", process::record_every),
    ("tool.name", process::tool_name),
    ("tool.version", process::tool_version),
];

/// Every other word of `tollgate.toml`, and a test in which it does something.
const POLICY: &[(&str, fn())] = &[
    ("tools.*.args[]", process::args),
    ("tools.*.audit.acknowledge=disk", audit::acknowledge_disk),
    ("tools.*.audit.acknowledge=journal", audit::acknowledge_journal),
    ("tools.*.audit.acknowledge=pipe", audit::acknowledge_pipe),
    ("tools.*.audit.arguments=digest", audit::arguments_digest),
    ("tools.*.audit.arguments=full", audit::arguments_full),
    ("tools.*.audit.arguments=none", audit::arguments_none),
    ("tools.*.clocks.monotonic=coarse", process::monotonic_clock_coarse),
    ("tools.*.clocks.monotonic=frozen", process::monotonic_clock_frozen),
    ("tools.*.clocks.monotonic=real", process::monotonic_clock_real),
    ("tools.*.clocks.wall=coarse", process::wall_clock_coarse),
    ("tools.*.clocks.wall=frozen", process::wall_clock_frozen),
    ("tools.*.clocks.wall=real", process::wall_clock_real),
    ("tools.*.component", folders::component),
    ("tools.*.context", process::context),
    ("tools.*.env.*", process::env),
    ("tools.*.env.*.host", process::env_of_the_host),
    ("tools.*.fs.*.access[]=create", folders::create),
    ("tools.*.fs.*.access[]=delete", folders::delete),
    ("tools.*.fs.*.access[]=list", folders::list),
    ("tools.*.fs.*.access[]=metadata", folders::metadata),
    ("tools.*.fs.*.access[]=read", folders::read),
    ("tools.*.fs.*.access[]=write", folders::write),
    ("tools.*.fs.*.durable[]=create", audit::durable_create),
    ("tools.*.fs.*.durable[]=delete", audit::durable_delete),
    ("tools.*.fs.*.durable[]=list", audit::durable_list),
    ("tools.*.fs.*.durable[]=metadata", audit::durable_metadata),
    ("tools.*.fs.*.durable[]=read", audit::durable_read),
    ("tools.*.fs.*.durable[]=write", audit::durable_write),
    ("tools.*.fs.*.exclude[]", folders::exclude),
    ("tools.*.fs.*.host", folders::guest_and_host),
    ("tools.*.fs.*.include[]", folders::include),
    ("tools.*.fs.*.nested", folders::nested),
    ("tools.*.fs.*.quota", folders::quota),
    ("tools.*.limits.calls", limits::calls),
    ("tools.*.limits.deadline", limits::deadline),
    ("tools.*.limits.fuel", limits::fuel),
    ("tools.*.limits.handles", limits::handles),
    ("tools.*.limits.host_memory", limits::host_memory),
    ("tools.*.limits.input", limits::input),
    ("tools.*.limits.memory", limits::memory),
    ("tools.*.limits.output", limits::output),
    ("tools.*.limits.random", limits::random),
    ("tools.*.limits.record_bytes", limits::record_bytes),
    ("tools.*.limits.records", limits::records),
    ("tools.*.limits.stdio", limits::stdio),
    ("tools.*.on_violation=deny", process::on_violation_deny),
    ("tools.*.on_violation=kill", process::on_violation_kill),
    ("tools.*.random.seed", process::random_seeded),
    ("tools.*.random=secure", process::random_secure),
    ("tools.*.record=acquire", process::record_acquire),
    ("tools.*.record=every", process::record_every),
    ("tools.*.stdio[]=stderr", process::stderr),
    ("tools.*.stdio[]=stdin", process::stdin),
    ("tools.*.stdio[]=stdout", process::stdout),
    ("variables.*", folders::variables),
];

#[test]
fn every_word_of_the_schemas_has_a_test() {
    let tested = |prefix: &str, table: &[(&str, fn())]| -> Vec<String> {
        table.iter().map(|(word, _test)| format!("{prefix}.{word}")).collect()
    };
    let mut known = tested("manifest", MANIFEST);
    known.extend(tested("policy", POLICY));
    known.extend(FOR_PEOPLE.map(str::to_owned));
    known.extend(WORDS_OF_WORKERS.iter().chain(&WORDS_OF_MOUNTS).map(|(word, _test)| (*word).to_owned()));
    known.extend(WORDS_OF_A_DAEMON.map(str::to_owned));
    let once: BTreeSet<String> = known.iter().cloned().collect();
    assert_eq!(once.len(), known.len(), "a word is there twice");
    let mut words = BTreeSet::new();
    for (prefix, schema) in [("manifest", manifest_schema()), ("policy", policy_schema())] {
        collect(&schema, &schema, prefix.to_owned(), &mut words);
    }
    assert_eq!(words, once);
}

/// The words of a schema: keys that take a value, and the values where they are words of their own.
fn collect(schema: &Value, root: &Value, path: String, words: &mut BTreeSet<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return collect(root.pointer(reference.trim_start_matches('#')).unwrap(), root, path, words);
    }
    let choices = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
    for choice in choices {
        collect(choice, root, path.clone(), words);
    }
    let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    words.extend(values.map(|value| format!("{path}={}", word(value))));
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        collect(value, root, format!("{path}.{key}"), words);
    }
    match (&schema["additionalProperties"], &schema["items"]) {
        (any @ Value::Object(_), _) => collect(any, root, format!("{path}.*"), words),
        (_, item @ Value::Object(_)) => collect(item, root, format!("{path}[]"), words),
        (_, _) => {}
    }
    let takes_any_value = schema.get("enum").or(schema.get("const")).is_none();
    if takes_any_value && ["string", "integer", "boolean"].iter().any(|kind| schema["type"] == *kind) {
        words.insert(path);
    }
}

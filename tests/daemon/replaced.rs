//! Calls while a tool is replaced again and again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tollgate_audit::{CallId, Digest, Entry};

use tollgate_workspace::processes::{await_that, children_in};

use crate::lab::DaemonLab;

/// Each call is answered by one version, and the ledger names it.
pub(crate) fn each_call_is_answered_by_one_version_while_a_tool_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let versions: Vec<Version> = (0..VERSIONS).map(|number| Version::write(folder.path(), number)).collect();
    let lab = DaemonLab::new(&[], &format!("[tools.{TOOL}]\nlimits = {{ calls = 16 }}\n"));
    lab.install(TOOL, &versions[0].component, &versions[0].manifest);
    let (is_done, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let answers: Vec<(CallId, String)> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_client| {
                scope.spawn(|| {
                    let mut client = lab.connect();
                    let mut answers = Vec::new();
                    while !is_done.load(Ordering::SeqCst) || made.load(Ordering::SeqCst) < CALLS {
                        answers.push(answer(&client.call(TOOL, "run", &json!({}))));
                        made.fetch_add(1, Ordering::SeqCst);
                    }
                    answers
                })
            })
            .collect();
        for number in 1..=REPLACED {
            let version = &versions[number % VERSIONS];
            lab.install(TOOL, &version.component, &version.manifest);
        }
        is_done.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    // The next call has the last one.
    assert_eq!(answer(&lab.connect().call(TOOL, "run", &json!({}))).1, versions[REPLACED % VERSIONS].answer);
    let said = lab.said();
    let entries = lab.end();
    let component_of: BTreeMap<CallId, Digest> = entries
        .iter()
        .filter_map(|entry| if let Entry::Call(call) = entry { Some((call.call, call.component)) } else { None })
        .collect();
    assert!(answers.len() >= CALLS, "{}", answers.len());
    let mut answered: BTreeMap<&str, u64> = BTreeMap::new();
    for (call, text) in &answers {
        let version = versions.iter().find(|version| version.answer == *text).expect("an answer of a version");
        assert_eq!(component_of[call], version.digest, "{call} was answered {text}");
        *answered.entry(&version.answer).or_default() += 1;
    }
    println!("{} calls: {answered:?}", answers.len());
    assert!(answered.len() > 1, "none was replaced while it was called");
    // Every other version describes its operation in another way.
    let is_change =
        |line: &&String| line.starts_with(&format!("the tool `{TOOL}` is ")) && line.ends_with("changed run");
    assert!(said.iter().any(|line| is_change(&line)), "{said:?}");
}

/// Its calls are on record under the new manifest.
pub(crate) fn a_manifest_that_was_replaced_alone_is_on_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = Version::write(folder.path(), 0);
    let lab = DaemonLab::new(&[], "");
    lab.install(TOOL, &version.component, &version.manifest);
    let mut client = lab.connect();
    answer(&client.call(TOOL, "run", &json!({})));
    let text = fs::read_to_string(&version.manifest).expect("a file");
    let manifests = [text.clone(), text.replace("0.1.0", "0.1.1")];
    fs::write(&version.manifest, &manifests[1]).expect("a file");
    lab.install(TOOL, &version.component, &version.manifest);
    answer(&client.call(TOOL, "run", &json!({})));
    answer(&client.call(TOOL, "run", &json!({})));
    let entries = lab.end();
    let on_record: Vec<Digest> = entries
        .iter()
        .filter_map(|entry| if let Entry::Policy(policy) = entry { Some(policy.manifest) } else { None })
        .collect();
    // One more for the component's being asked for its operations.
    let [first, second] = manifests.map(|text| Digest::of(text.as_bytes()));
    assert_eq!(on_record, [first, first, second]);
}

/// One that is damaged is refused, and those that share its worker are called all the same.
pub(crate) fn a_damaged_tool_is_alone_refused_in_its_compartment() {
    let folder = tempfile::tempdir().expect("a folder");
    let versions = [0, 1].map(|number| Version::write(folder.path(), number));
    let lab = DaemonLab::new(&[], "[compartments]\nboth = [\"versions\", \"broken\"]\n");
    lab.install(TOOL, &versions[0].component, &versions[0].manifest);
    lab.install("broken", &versions[1].component, &versions[1].manifest);
    let artifact = lab.artifact("broken");
    let whole = fs::read(&artifact).expect("a file");
    fs::write(&artifact, &whole[..50]).expect("a file");
    let mut client = lab.connect();
    for _again in 0..2 {
        assert_eq!(answer(&client.call(TOOL, "run", &json!({}))).1, versions[0].answer);
        let refused = client.call("broken", "run", &json!({}));
        assert!(
            refused["error"].to_string().contains("what was compiled of the installed tool `broken` is refused"),
            "{refused}"
        );
    }
    // It is back as soon as it is mended.
    fs::write(&artifact, &whole).expect("a file");
    assert_eq!(answer(&client.call("broken", "run", &json!({}))).1, versions[1].answer);
    assert_eq!(answer(&client.call(TOOL, "run", &json!({}))).1, versions[0].answer);
    lab.end();
}

/// More tools are called than are kept: those that were not called for longest go, with their workers, and come again.
pub(crate) fn workers_are_of_tools_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let version = Version::write(folder.path(), 0);
    let lab = DaemonLab::new(&[], "");
    lab.install(TOOL, &version.component, &version.manifest);
    let names: Vec<String> = (0..KEPT_MAX + 10).map(|number| format!("tool-{number}")).collect();
    names.iter().for_each(|name| lab.install_again(TOOL, name));
    let mut client = lab.connect();
    for name in names.iter().chain([&names[0], &names[KEPT_MAX + 9]]) {
        assert_eq!(answer(&client.call(name, "run", &json!({}))).1, version.answer, "{name}");
        await_that("workers of tools in use alone", || children_in("worker").len() <= KEPT_MAX);
    }
    let entries = lab.end();
    let loads = |name: &str| {
        let is_of = |entry: &&Entry<'_>| matches!(entry, Entry::Policy(policy) if policy.tool == name);
        entries.iter().filter(is_of).count()
    };
    assert_eq!([&names[0], &names[1], &names[KEPT_MAX + 9]].map(|name| loads(name)), [2, 1, 1]);
}

/// What was told last is compared with what is, whatever has come between.
pub(crate) fn changed_operations_are_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let versions: Vec<Version> = (0..3).map(|number| Version::write(folder.path(), number)).collect();
    let lab = DaemonLab::new(&[], "");
    let install = |tool: &str, number: usize| {
        let Version { component, manifest, .. } = &versions[number];
        lab.install(tool, component, manifest);
    };
    let told = || -> Vec<String> {
        let said = lab.said();
        said.into_iter().filter(|line| line.starts_with(&format!("the tool `{TOOL}` is 0"))).collect()
    };
    install(TOOL, 0);
    let mut client = lab.connect();
    client.ask("tools", &json!({}));
    // It cannot be read while something else is installed, and a client asks for it.
    let record = lab.artifact(TOOL).ancestors().nth(3).expect("a folder").join(format!("{TOOL}.json"));
    fs::write(record, "{").expect("a file");
    install("other", 2);
    let listed = client.ask("tools", &json!({}));
    assert_eq!(listed["result"]["unavailable"][0]["tool"], TOOL, "{listed}");
    assert!(told().is_empty(), "{:?}", told());
    install(TOOL, 1);
    let line = |now: usize, was: usize| {
        let shown = |number: usize| {
            let digest = versions[number].digest.to_string();
            format!("0.1.{number} {}", &digest[..7 + 16])
        };
        format!("the tool `{TOOL}` is {} now, and was {}; its operations: changed run", shown(now), shown(was))
    };
    assert_eq!(told(), [line(1, 0)]);
    // Nothing more is told where something else changes.
    install("other", 0);
    assert_eq!(told(), [line(1, 0)]);
    install(TOOL, 0);
    install(TOOL, 0);
    assert_eq!(told(), [line(1, 0), line(0, 1)]);
    lab.end();
}

/// Tools that a daemon keeps loaded.
const KEPT_MAX: usize = 128;

/// A component that answers with its number.
pub(crate) struct Version {
    pub(crate) component: PathBuf,
    pub(crate) manifest: PathBuf,
    digest: Digest,
    answer: String,
}

impl Version {
    pub(crate) fn write(folder: &Path, number: usize) -> Self {
        let answer = format!("\"v{number:02}\"");
        let data = format!("(data (memory $memory) (i32.const 1060) \"{}\")", answer.replace('"', "\\\""));
        // The answer is at 1060 and has five bytes; what an operation is for is its name, whole or cut.
        let text = include_str!("../caps.wat")
            .replace(";;MODULE", &format!(";;MODULE\n    {data}"))
            .replace(r"\00\00\00\00\10\04\00\00\02\00\00\00", r"\00\00\00\00\24\04\00\00\05\00\00\00");
        let name_of = r#""\00\04\00\00\03\00\00\00"  ;; description"#;
        let cut = r#""\00\04\00\00\02\00\00\00"  ;; description"#;
        let text = if number.is_multiple_of(2) { text } else { text.replace(name_of, cut) };
        let bytes = wat::parse_str(text).expect("a component");
        let [component, manifest] = ["wasm", "toml"].map(|end| folder.join(format!("{number}.{end}")));
        let head = format!("[tool]\nname = \"{TOOL}\"\nversion = \"0.1.{number}\"\n\n[[operations]]\nname = \"run\"\n");
        fs::write(&component, &bytes).expect("a file");
        fs::write(&manifest, head).expect("a file");
        Self { component, manifest, digest: Digest::of(&bytes), answer }
    }
}

/// The call, and what it was answered.
fn answer(told: &Value) -> (CallId, String) {
    let result = &told["result"];
    assert_eq!(result["ok"], true, "{told}");
    (result["call"].as_str().expect("a call").parse().expect("an id"), result["output"].to_string())
}

pub(crate) const TOOL: &str = "versions";
/// Fewer than are kept of a tool, so that each is installed several times.
const VERSIONS: usize = 20;
const REPLACED: usize = 50;
const CALLS: usize = 1_000;
const CLIENTS: usize = 4;

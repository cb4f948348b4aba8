//! A laboratory with a granted folder, a folder beside it that nothing grants, and the prober to act on them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::expect::Denied;
use crate::{Lab, guest};
use rustix::fs::{CWD, FileType, Mode};
use serde_json::{Value, json};
use tollgate::{Artifact, CallError, CallFailure, Tool};
use tollgate_audit::{Action, CallId, Entry, Layer, Verdict};
use tollgate_capability::{Access, AccessSet, CapabilitySet, FsCapability, OnViolation, Patterns, Reason};
use tollgate_example_tools::Guest;

/// What is in the folder that nothing grants; no answer may hold it.
pub const SECRET: &str = "OUTSIDE";

/// `docs/` (granted as `/docs`) with `a.txt`, `sub/` and `sub/b.txt`, and `outside/` with `secret.txt`.
pub struct Site {
    pub lab: Lab,
    component: Artifact,
}

impl Site {
    #[allow(clippy::new_without_default, reason = "it makes files")]
    pub fn new() -> Self {
        let lab = Lab::new();
        lab.file("docs/a.txt", "alpha");
        lab.file("docs/sub/b.txt", "beta");
        lab.file("outside/secret.txt", SECRET);
        let component = lab.component(prober()).expect("a component");
        Self { lab, component }
    }

    /// For tests whose guests make requests that mean nothing, or race with changes of the folder.
    pub fn odd() -> Self {
        let mut site = Self::new();
        site.lab.odd_requests = true;
        site
    }

    /// A capability set that grants `docs/` as `/docs` with these rights, and kills.
    pub fn set(&self, access: &str) -> CapabilitySet {
        let all = "fs:/docs=docs:read,write,create,delete,list,metadata";
        let mut set = self.lab.set(prober(), &[all]);
        set.fs[0].access = rights(access);
        set.limits.handles = 600;
        set
    }

    /// As [`Self::set`], with patterns.
    pub fn patterned(&self, access: &str, include: &[&str], exclude: &[&str]) -> CapabilitySet {
        let mut set = self.set(access);
        let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        set.fs[0].patterns = Patterns::new(owned(include), owned(exclude)).expect("patterns");
        set
    }

    /// As [`Self::set`], with `other/` as a second folder `/other`.
    pub fn two(&self, access: &str, other: &str) -> CapabilitySet {
        let mut set = self.set(access);
        let host = fs::canonicalize(self.lab.folder("other")).expect("a folder");
        let first = set.fs[0].clone();
        set.fs.push(FsCapability { guest: "/other".into(), host, access: rights(other), ..first });
        set
    }

    pub fn load(&mut self, set: CapabilitySet) -> Tool {
        self.lab.load(prober(), &self.component, set).expect("a tool that loads")
    }

    /// Loads the prober with denied calls answered by error codes.
    pub fn lenient(&mut self, set: CapabilitySet) -> Tool {
        self.load(CapabilitySet { on_violation: OnViolation::Deny, ..set })
    }

    /// Takes steps that the guest lives through: an outcome for each.
    pub fn steps(&mut self, tool: &Tool, operation: &str, steps: &[Value]) -> Taken {
        let arguments = json!({ "steps": steps }).to_string();
        let answer =
            self.lab.call(tool, operation, &arguments).unwrap_or_else(|failure| panic!("{steps:?}: {failure}"));
        let outcomes = serde_json::from_str(&answer.output).expect("JSON");
        Taken { outcomes, record: self.record(answer.call) }
    }

    /// Takes steps that the guest may live through or not; gives the record.
    pub fn ended(&mut self, tool: &Tool, operation: &str, steps: &[Value]) -> Vec<Line> {
        let arguments = json!({ "steps": steps }).to_string();
        let call = match self.lab.call(tool, operation, &arguments) {
            Ok(answer) => answer.call,
            Err(failure) => failure.call.expect("a call that ran"),
        };
        self.record(call)
    }

    /// As [`Self::steps`], on descriptors.
    pub fn raw(&mut self, tool: &Tool, steps: &[Value]) -> Taken {
        self.steps(tool, "raw", steps)
    }

    /// Takes steps that end the guest.
    pub fn fails(&mut self, tool: &Tool, operation: &str, steps: &[Value]) -> Box<CallFailure> {
        self.lab.failure(tool, operation, &json!({ "steps": steps }).to_string())
    }

    /// Asserts that each step is refused by the gate in both modes, as described, and changes nothing on the host.
    pub fn refused(&mut self, set: &CapabilitySet, refusals: &[Refusal]) {
        let before = self.snapshot();
        let lenient = self.lenient(set.clone());
        let steps: Vec<_> = refusals.iter().map(|refusal| refusal.step.clone()).collect();
        let denied: Vec<_> = refusals.iter().map(Refusal::denied).collect();
        let arguments = json!({ "steps": steps }).to_string();
        let outcomes = self.lab.denied(&lenient, "raw", &arguments, &denied);
        for (refusal, outcome) in refusals.iter().zip(outcomes.as_array().expect("an outcome for each step")) {
            assert_eq!(outcome["err"]["kind"], refusal.code, "{} gave {outcome}", refusal.step);
        }
        assert_eq!(self.snapshot(), before);
        let strict = self.load(CapabilitySet { on_violation: OnViolation::Kill, ..set.clone() });
        for refusal in refusals {
            let arguments = json!({ "steps": [refusal.step] }).to_string();
            if refusal.is_a_look_out() {
                self.lab.denied(&strict, "raw", &arguments, &[refusal.denied()]);
            } else {
                self.lab.killed(&strict, "raw", &arguments, refusal.denied());
            }
            assert_eq!(self.snapshot(), before, "{}", refusal.step);
        }
    }

    /// As [`Self::refused`], where it is the kernel that refuses what the gate let pass.
    pub fn stopped_by_kernel(&mut self, set: &CapabilitySet, steps: &[Value]) {
        let before = self.snapshot();
        let message = Reason::LinkOutside.to_string();
        let lenient = self.lenient(set.clone());
        let taken = self.raw(&lenient, steps);
        let stopped: Vec<_> = taken.record.iter().filter(|line| line.end.starts_with("kernel")).collect();
        assert_eq!(stopped.len(), steps.len(), "{:?}", taken.record);
        for (outcome, line) in taken.outcomes.iter().zip(stopped) {
            assert_eq!(outcome["err"]["kind"], "not-permitted");
            assert_eq!(line.end, format!("kernel deny fs:/docs:beneath: {message}"));
        }
        let strict = self.load(CapabilitySet { on_violation: OnViolation::Kill, ..set.clone() });
        for step in steps {
            let failure = self.fails(&strict, "raw", std::slice::from_ref(step));
            let CallError::Violation(violation) = &failure.error else { panic!("{step}: {:?}", failure.error) };
            assert_eq!(
                (violation.rule.as_str(), violation.reason),
                ("fs:/docs:beneath", Reason::LinkOutside),
                "{step}"
            );
            let record = self.record(failure.call.expect("a call that ran"));
            let last = record.last().expect("a record");
            assert_eq!(last.end, format!("kernel kill fs:/docs:beneath: {message}"), "{step}");
        }
        assert_eq!(self.snapshot(), before);
        self.lab.verified();
    }

    /// Every intent of a call and what came of it, in order, without those of the preopens.
    pub fn record(&self, call: CallId) -> Vec<Line> {
        let entries = self.lab.entries_of(call);
        let intents = entries.iter().filter_map(|entry| match entry {
            Entry::Intent(intent) if !intent.function.as_str().ends_with("get-directories") => Some(intent),
            _ => None,
        });
        let line = |intent: &tollgate_audit::Intent<'_>| {
            let (end, totals) = end_of(&entries, intent.seq);
            assert_eq!(intent.verdict == Verdict::Deny, end.starts_with("gate"), "{intent:?}: {end}");
            let function = intent.function.as_str().rsplit('.').next().expect("a name");
            Line { function: function.to_owned(), rule: intent.rule.as_str().to_owned(), end, totals }
        };
        intents.map(line).collect()
    }

    /// All that stands on the host, granted or not, without the ledger.
    pub fn snapshot(&self) -> Snapshot {
        let mut found = BTreeMap::new();
        for name in ["docs", "outside", "other"] {
            walk(&self.lab.path(name), Path::new(name), &mut found);
        }
        Snapshot(found)
    }

    /// The text of a file in the temporary folder.
    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.lab.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn symlink(&self, text: &str, name: &str) {
        std::os::unix::fs::symlink(text, self.lab.path(name)).expect("a new link");
    }

    pub fn fifo(&self, name: &str) {
        rustix::fs::mknodat(CWD, self.lab.path(name), FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a FIFO");
    }
}

/// One outcome for each step, and what is on the record.
#[derive(Debug)]
pub struct Taken {
    pub outcomes: Vec<Value>,
    pub record: Vec<Line>,
}

impl Taken {
    /// `ok` or the error's kind, for each step.
    pub fn codes(&self) -> Vec<&str> {
        self.outcomes.iter().map(code).collect()
    }

    /// The record, a line for each intent.
    pub fn lines(&self) -> Vec<String> {
        self.record.iter().map(ToString::to_string).collect()
    }
}

/// An intent and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub function: String,
    pub rule: String,
    /// The result, or which layer refused it, what that did, which rule is missing and why.
    pub end: String,
    /// Bytes read, bytes written, calls.
    pub totals: (u64, u64, u64),
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} -> {}", self.function, self.rule, self.end)
    }
}

/// A step that the gate refuses.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub step: Value,
    function: String,
    rule: String,
    reason: Reason,
    code: &'static str,
}

impl Refusal {
    pub fn new(step: Value, rule: &str, reason: Reason) -> Self {
        let function = function_of(&step);
        Self { step, function, rule: rule.to_owned(), reason, code: "not-permitted" }
    }

    /// The code that the guest gets, if it is not `not-permitted`.
    pub fn with_code(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// The same refusal of a changed step.
    pub fn changed(self, change: impl FnOnce(Value) -> Value) -> Self {
        Self { step: change(self.step), ..self }
    }

    /// Whether it only looks at what a link leads to that leads out: denied, and never killed.
    fn is_a_look_out(&self) -> bool {
        let looks = ["stat-at", "metadata-hash-at"].iter().any(|method| self.function.ends_with(method));
        looks && self.reason == Reason::LinkOutside
    }

    fn denied(&self) -> Denied<'_> {
        Denied { function: &self.function, rule: &self.rule, reason: self.reason }
    }
}

/// All files, folders and links with what would show a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<PathBuf, Found>);

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub content: Content,
    inode: u64,
    links: u64,
    mode: u32,
    modified: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    File(Vec<u8>),
    Folder,
    Link(PathBuf),
    Special,
}

/// The guest that takes the steps.
pub fn prober() -> &'static Guest {
    guest("probe-fs")
}

/// `ok` or the error's kind.
pub fn code(outcome: &Value) -> &str {
    match outcome.get("err") {
        Some(error) => error["kind"].as_str().expect("a kind"),
        None => "ok",
    }
}

/// A step on descriptors, relative to `/docs`.
pub fn step(op: &str, path: &str) -> Value {
    json!({ "op": op, "base": "/docs", "path": path })
}

/// A step with a second path, both relative to `/docs`.
pub fn step_to(op: &str, path: &str, to: &str) -> Value {
    json!({ "op": op, "base": "/docs", "path": path, "to": to })
}

/// Opens a file of `/docs` and reads it; a link at the end is followed.
pub fn read(path: &str) -> Value {
    json!({ "op": "open-at", "base": "/docs", "path": path, "flags": ["read"], "follow": true, "then": "read" })
}

/// Opens what is there of `/docs` or makes it, to write `data`.
pub fn write(path: &str, data: &str) -> Value {
    json!({
        "op": "open-at", "base": "/docs", "path": path, "open": ["create"], "flags": ["write"], "follow": true,
        "then": "write", "data": data,
    })
}

/// Rights by their words, comma-separated; no word is no right.
pub fn rights(words: &str) -> AccessSet {
    let named = |word: &&str| !word.is_empty();
    let right = |word: &str| {
        Access::ALL.into_iter().find(|access| access.as_str() == word).unwrap_or_else(|| panic!("no right {word}"))
    };
    words.split(',').filter(named).map(right).collect()
}

/// Every right.
pub const ALL: &str = "read,write,create,delete,list,metadata";

fn function_of(step: &Value) -> String {
    let op = step["op"].as_str().expect("an op");
    let then = step["then"].as_str();
    let name = match (op, then) {
        ("open-at" | "preopen", Some("read-via-stream")) => "read",
        ("open-at" | "preopen", Some("write-via-stream")) => "write",
        ("preopen", Some(then)) => then,
        (op, _) => op,
    };
    format!("wasi:filesystem/types.[method]descriptor.{name}")
}

fn end_of(entries: &[Entry<'_>], intent: tollgate_audit::Sequence) -> (String, (u64, u64, u64)) {
    let mut ends = entries.iter().filter_map(|entry| match entry {
        Entry::Outcome(outcome) if outcome.of == intent => {
            let totals = (outcome.bytes_read, outcome.bytes_written, outcome.calls);
            Some((outcome.result.as_str().to_owned(), totals))
        }
        Entry::Violation(violation) if violation.of == intent => {
            let layer = match violation.layer {
                Layer::Gate => "gate",
                Layer::Kernel => "kernel",
            };
            let action = match violation.action {
                Action::Kill => "kill",
                Action::Deny => "deny",
            };
            let (rule, message) = (violation.rule.as_str(), violation.message.as_str());
            Some((format!("{layer} {action} {rule}: {message}"), (0, 0, 0)))
        }
        _ => None,
    });
    let end = ends.next().expect("an end for each intent");
    assert_eq!(ends.next(), None, "an intent ends once");
    end
}

fn walk(host: &Path, name: &Path, found: &mut BTreeMap<PathBuf, Found>) {
    let Ok(metadata) = fs::symlink_metadata(host) else { return };
    let kind = metadata.file_type();
    let content = if kind.is_dir() {
        for entry in fs::read_dir(host).expect("a folder") {
            let below = entry.expect("an entry").file_name();
            walk(&host.join(&below), &name.join(&below), found);
        }
        Content::Folder
    } else if kind.is_file() {
        Content::File(fs::read(host).expect("a file"))
    } else if kind.is_symlink() {
        Content::Link(fs::read_link(host).expect("a link"))
    } else {
        Content::Special
    };
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let (inode, links, mode) = (metadata.ino(), metadata.nlink(), metadata.mode());
    found.insert(name.to_owned(), Found { content, inode, links, mode, modified });
}

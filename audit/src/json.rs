//! Entries as JSON, for people and `jq`. One way only: the ledger is never read from JSON.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::confinement::{BlockedCall, Enforcement, KernelRecord};
use crate::entry::{
    Call, CallEnd, Claims, Closer, Entry, Erasure, Fact, Intent, LedgerOpened, Outcome, Policy, Recorded, Reload,
    Usage, Violation,
};
use crate::ids::PublicKey;
use crate::key::VerifierKey;
use crate::pairs::Pairs;
use crate::takeover::{Adoption, Takeover};
use crate::text::Text;

impl Entry<'_> {
    /// The entry as a JSON object: `kind` first, human names, hashes and ids in hex, times and sizes with their unit
    /// in the name, bit masks, addresses and arguments of system calls in hex. A cut text is an object of `start`, `bytes` and `sha256`; absent options are absent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut fields = Fields(Map::new());
        fields.put("kind", self.kind());
        match self {
            Self::LedgerOpened(entry) => ledger_opened(&mut fields, entry),
            Self::Policy(entry) => policy(&mut fields, entry),
            Self::Call(entry) => call(&mut fields, entry),
            Self::Intent(entry) => intent(&mut fields, entry),
            Self::Outcome(entry) => outcome(&mut fields, entry),
            Self::Violation(entry) => violation(&mut fields, entry),
            Self::CallEnd(entry) => call_end(&mut fields, entry),
            Self::Closer(entry) => closer(&mut fields, entry),
            Self::Erasure(entry) => erasure(&mut fields, entry),
            Self::Enforcement(entry) => enforcement(&mut fields, entry),
            Self::BlockedCall(entry) => blocked_call(&mut fields, entry),
            Self::KernelRecord(entry) => kernel_record(&mut fields, entry),
            Self::Takeover(entry) => takeover(&mut fields, entry),
            Self::Adoption(entry) => adoption(&mut fields, entry),
            Self::Reload(entry) => reload(&mut fields, entry),
        }
        Value::Object(fields.0)
    }
}

struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Serialize) {
        // Numbers, names and texts always have a JSON form.
        self.0.insert(name.to_owned(), json!(value));
    }

    fn put_option(&mut self, name: &str, value: Option<&Text<'_>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn put_left_out(&mut self, left_out: u64) {
        if left_out > 0 {
            self.put("left_out", left_out);
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.cut() {
            None => serializer.serialize_str(self.as_str()),
            Some(cut) => {
                let parts = json!({ "start": self.as_str(), "bytes": cut.bytes, "sha256": cut.digest });
                parts.serialize(serializer)
            }
        }
    }
}

/// Those that were made.
impl Serialize for Claims<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { agent, session, decision, reason, trace } = self;
        let all =
            [("agent", agent), ("session", session), ("decision", decision), ("reason", reason), ("trace", trace)];
        serializer.collect_map(all.into_iter().filter_map(|(name, claim)| Some((name, claim.as_ref()?))))
    }
}

impl Serialize for Fact<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Bool(switch) => serializer.serialize_bool(*switch),
        }
    }
}

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

fn ledger_opened(fields: &mut Fields, entry: &LedgerOpened<'_>) {
    fields.put("origin", &entry.origin);
    fields.put("software", &entry.software);
    fields.put("time_ns", entry.time_ns);
    let key = &entry.key;
    fields.put("key", key_text(&entry.origin, key.public));
    if let Some(rotation) = &key.rotated {
        fields.put("old_key", key_text(&entry.origin, rotation.old_key));
        fields.put("signature", rotation.signature);
        fields.put("old_signature", rotation.old_signature);
    }
}

/// The form that verifiers are given; in hex what cannot be a key.
fn key_text(origin: &Text<'_>, key: PublicKey) -> String {
    VerifierKey::new(origin.as_str(), key).map_or_else(|_no_key| key.to_string(), |key| key.to_string())
}

fn policy(fields: &mut Fields, entry: &Policy<'_>) {
    fields.put("tool", &entry.tool);
    fields.put("capability_set", entry.digest);
    fields.put("manifest", entry.manifest);
    fields.put("grant", entry.grant);
    fields.put("by", &entry.by);
    fields.put_left_out(entry.folders.left_out());
    if !entry.folders.is_empty() {
        fields.put("folders", &entry.folders);
    }
    fields.put_option("declared", entry.declared.as_ref());
}

fn call(fields: &mut Fields, entry: &Call<'_>) {
    fields.put("call", entry.call);
    fields.put("time_ns", entry.time_ns);
    fields.put("tool", &entry.tool);
    fields.put("version", &entry.version);
    fields.put("component", entry.component);
    fields.put("operation", &entry.operation);
    fields.put_option("agent", entry.agent.as_ref());
    fields.put_option("session", entry.session.as_ref());
    if entry.claims != Claims::default() {
        fields.put("claims", &entry.claims);
    }
    if let Recorded::Salted(digest) = entry.arguments {
        fields.put("arguments", digest);
    }
    fields.put("arguments_bytes", entry.arguments_bytes);
    fields.put("capability_set", entry.capability_set);
    if entry.writer != entry.call.issuer() {
        fields.put("writer", entry.writer);
    }
}

fn intent(fields: &mut Fields, entry: &Intent<'_>) {
    fields.put("call", entry.call);
    fields.put("seq", entry.seq);
    fields.put("at_us", entry.at_us);
    fields.put("function", &entry.function);
    fields.put("facts", &entry.facts);
    fields.put_left_out(entry.facts.left_out());
    fields.put("verdict", entry.verdict);
    fields.put("rule", &entry.rule);
    fields.put("durability", entry.durability);
}

fn outcome(fields: &mut Fields, entry: &Outcome<'_>) {
    fields.put("call", entry.call);
    fields.put("seq", entry.seq);
    fields.put("of", entry.of);
    fields.put("at_us", entry.at_us);
    fields.put("result", &entry.result);
    fields.put("bytes_read", entry.bytes_read);
    fields.put("bytes_written", entry.bytes_written);
    fields.put("calls", entry.calls);
}

fn violation(fields: &mut Fields, entry: &Violation<'_>) {
    fields.put("call", entry.call);
    fields.put("seq", entry.seq);
    fields.put("of", entry.of);
    fields.put("at_us", entry.at_us);
    fields.put("function", &entry.function);
    fields.put("rule", &entry.rule);
    fields.put("layer", entry.layer);
    fields.put("action", entry.action);
    fields.put("message", &entry.message);
}

fn call_end(fields: &mut Fields, entry: &CallEnd<'_>) {
    fields.put("call", entry.call);
    fields.put("seq", entry.seq);
    fields.put("at_us", entry.at_us);
    fields.put("class", entry.class);
    fields.put("detail", &entry.detail);
    fields.put_option("cap", entry.cap.as_ref());
    if let Some(digest) = entry.result {
        fields.put("result", digest);
    }
    fields.put("usage", usage(&entry.usage));
    fields.put("counters", &entry.counters);
    fields.put_left_out(entry.counters.left_out());
    fields.put("entries", entry.entries);
    fields.put("root", entry.root);
}

fn usage(usage: &Usage) -> Value {
    json!({
        "fuel_used": usage.fuel_used,
        "fuel_cap": usage.fuel_cap,
        "memory_peak_bytes": usage.memory_peak_bytes,
        "memory_cap_bytes": usage.memory_cap_bytes,
        "wall_us": usage.wall_us,
        "deadline_us": usage.deadline_us,
        "output_bytes": usage.output_bytes,
        "stdio_bytes": usage.stdio_bytes,
    })
}

fn closer(fields: &mut Fields, entry: &Closer<'_>) {
    fields.put("call", entry.call);
    fields.put("of", &entry.of);
    fields.put_left_out(entry.left_out);
    fields.put("reason", &entry.reason);
}

fn erasure(fields: &mut Fields, entry: &Erasure<'_>) {
    fields.put("call", entry.call);
    fields.put("time_ns", entry.time_ns);
    fields.put("by", &entry.by);
    fields.put_option("reason", entry.reason.as_ref());
}

fn enforcement(fields: &mut Fields, entry: &Enforcement<'_>) {
    fields.put("writer", entry.writer);
    fields.put("time_ns", entry.time_ns);
    fields.put("level", entry.level);
    fields.put("required", entry.required);
    fields.put("landlock_abi", entry.landlock_abi);
    fields.put("handled_fs", hex(entry.handled_fs));
    fields.put("handled_net", hex(entry.handled_net));
    fields.put("scoped", hex(entry.scoped));
    fields.put("threads", entry.threads);
    fields.put("ruleset", entry.ruleset);
    fields.put("filter", entry.filter);
    fields.put("plan", entry.plan);
    fields.put("capability_sets", &entry.policies);
    fields.put_left_out(entry.policies_left_out);
    fields.put("self_test", &entry.self_test);
}

fn blocked_call(fields: &mut Fields, entry: &BlockedCall) {
    fields.put("writer", entry.writer);
    if let Some(call) = entry.call {
        fields.put("call", call);
    }
    fields.put("thread", entry.thread);
    fields.put("number", entry.number);
    if let Some(name) = entry.name() {
        fields.put("name", name);
    }
    fields.put("arch", hex(entry.arch));
    fields.put("arguments", entry.arguments.map(hex));
    fields.put("instruction", hex(entry.instruction));
}

fn kernel_record(fields: &mut Fields, entry: &KernelRecord<'_>) {
    fields.put("writer", entry.writer);
    fields.put("process", entry.process);
    fields.put("record", &entry.text);
}

fn takeover(fields: &mut Fields, entry: &Takeover) {
    fields.put("time_ns", entry.time_ns);
    fields.put("first", entry.first);
    fields.put("count", entry.count);
}

fn adoption(fields: &mut Fields, entry: &Adoption<'_>) {
    fields.put("time_ns", entry.time_ns);
    fields.put("reason", &entry.reason);
    fields.put("by", &entry.by);
    fields.put("first", entry.first);
    fields.put("count", entry.count);
    if let Some((size, root)) = entry.known {
        fields.put("known_size", size);
        fields.put("known_root", root);
    }
}

fn reload(fields: &mut Fields, entry: &Reload<'_>) {
    fields.put("time_ns", entry.time_ns);
    fields.put("by", &entry.by);
    fields.put("policy", entry.policy);
    fields.put_option("reason", entry.refused.as_ref());
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

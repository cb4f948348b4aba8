//! A second witness of what a guest asked for: the spans that wasmtime's generated bindings open for each import a guest
//! calls, before the gate hears of it. Every call of a lab is compared with its record: nothing may be missing from it,
//! nothing may stand there that the guest did not ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use tollgate_audit::{Entry, Verdict};
use tollgate_capability::{CapabilitySet, RecordScope};
use tollgate_wasi_proxy::{INTERFACES, OWN_INTERFACE, UNNAMEABLE};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};

use crate::wasi::gate_names;

/// Calls of imports by their WIT names.
pub(crate) type Calls = BTreeMap<String, u64>;

/// Runs `guest` on this thread; what it gives, and which imports were called meanwhile.
pub(crate) fn traced<T>(guest: impl FnOnce() -> T) -> (T, Calls) {
    let witness = Witness::default();
    let seen = Arc::clone(&witness.seen);
    let given = tracing::subscriber::with_default(witness, guest);
    let calls = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    (given, calls)
}

/// Asserts that the record of a call holds what the guest asked for, and nothing else.
pub(crate) fn assert_recorded(asked: &Calls, entries: &[Entry<'_>], set: &CapabilitySet, odd_requests: bool) {
    let recorded = intents(entries);
    let counted = counters(entries);
    // The call that there was no more room for ended the guest, and is on the record as that end alone.
    let mut ended_by_it = u64::from(ended_for_want_of_room(entries));
    for function in EACH_RECORDED.iter().filter(|_function| !odd_requests) {
        let asked = asked.get(*function).copied().unwrap_or(0);
        let found = recorded.get(*function).map_or(0, |intents| intents.all);
        assert!((found..=found + ended_by_it).contains(&asked), "{function}: {found} intents recorded, {asked} asked");
        ended_by_it -= asked - found;
        assert_eq!(counted.get(*function).copied().unwrap_or(0), asked, "{function}: calls counted");
    }
    let preopens = asked.get(PREOPENS).copied().unwrap_or(0) * set.fs.len() as u64;
    assert_eq!(recorded.get(PREOPENS).map_or(0, |intents| intents.all), preopens, "folders opened");
    for (function, intents) in &recorded {
        let is_each = EACH_RECORDED.contains(&function.as_str()) || function == PREOPENS;
        let is_wanted = set.record == RecordScope::Every || intents.all == intents.denied;
        assert!(is_each || is_wanted, "{function} is recorded {} times", intents.all);
    }
    let passed: BTreeSet<String> = asked.keys().flat_map(|function| gate_names(function)).collect();
    for function in counted.keys().chain(recorded.keys()) {
        let is_asked = function == UNNAMEABLE || passed.contains(function) || asked.contains_key(function);
        assert!(is_asked, "{function} is on the record, and nobody asked for it");
    }
    for function in asked.keys() {
        let names = gate_names(function);
        let is_on_record = names.iter().any(|name| counted.contains_key(name));
        // Standard input is the caller's bytes; only opening it passes the gate.
        let of_stdin = function.contains("input-stream") && asked.contains_key("wasi:cli/stdin.get-stdin");
        assert!(names.is_empty() || is_on_record || of_stdin || odd_requests, "{function} is not on the record");
    }
}

/// Whether the call ended because it might add no more to the ledger.
fn ended_for_want_of_room(entries: &[Entry<'_>]) -> bool {
    let Some(Entry::CallEnd(end)) = entries.last() else { return false };
    end.cap.as_ref().is_some_and(|cap| ["records", "record_bytes"].contains(&cap.as_str()))
}

#[derive(Debug, Default)]
struct Intents {
    all: u64,
    denied: u64,
}

fn intents(entries: &[Entry<'_>]) -> BTreeMap<String, Intents> {
    let mut found: BTreeMap<String, Intents> = BTreeMap::new();
    for entry in entries {
        if let Entry::Intent(intent) = entry {
            let intents = found.entry(intent.function.to_string()).or_default();
            intents.all += 1;
            intents.denied += u64::from(intent.verdict == Verdict::Deny);
        }
    }
    found
}

fn counters(entries: &[Entry<'_>]) -> Calls {
    let Some(Entry::CallEnd(end)) = entries.last() else { panic!("no end: {entries:?}") };
    end.counters.iter().map(|(function, calls)| (function.to_string(), *calls)).collect()
}

/// Functions of which each call is an intent of its own.
const EACH_RECORDED: &[&str] = &[
    "wasi:filesystem/types.[method]descriptor.open-at",
    "wasi:filesystem/types.[method]descriptor.stat-at",
    "wasi:filesystem/types.[method]descriptor.readlink-at",
    "wasi:filesystem/types.[method]descriptor.set-times-at",
    "wasi:filesystem/types.[method]descriptor.create-directory-at",
    "wasi:filesystem/types.[method]descriptor.remove-directory-at",
    "wasi:filesystem/types.[method]descriptor.unlink-file-at",
    "wasi:filesystem/types.[method]descriptor.rename-at",
    "wasi:filesystem/types.[method]descriptor.link-at",
    "wasi:filesystem/types.[method]descriptor.symlink-at",
    "wasi:filesystem/types.[method]descriptor.set-size",
    "wasi:filesystem/types.[method]descriptor.set-times",
    "tollgate:tool/call.get-context",
    "wasi:cli/environment.get-environment",
    "wasi:cli/environment.get-arguments",
    "wasi:sockets/tcp-create-socket.create-tcp-socket",
    "wasi:sockets/udp-create-socket.create-udp-socket",
    "wasi:sockets/ip-name-lookup.resolve-addresses",
];

const PREOPENS: &str = "wasi:filesystem/preopens.get-directories";

#[derive(Debug, Default)]
struct Witness {
    seen: Arc<Mutex<Calls>>,
}

impl Subscriber for Witness {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() == "wit-bindgen import"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut import = Import::default();
        span.record(&mut import);
        let mut interfaces = INTERFACES.iter().chain([&OWN_INTERFACE]);
        let interface = interfaces.find(|interface| interface.ends_with(&format!("/{}", import.module)));
        let interface = interface.unwrap_or_else(|| panic!("an import of `{}`", import.module));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.entry(format!("{interface}.{}", import.function)).or_default() += 1;
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, _event: &Event<'_>) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

/// The fields of a span.
#[derive(Default)]
struct Import {
    module: String,
    function: String,
}

impl Visit for Import {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => self.module = value.to_owned(),
            "function" => self.function = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}

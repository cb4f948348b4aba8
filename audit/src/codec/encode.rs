//! Writes each kind of entry, its keys rising.
//!
//! No field may be left out for its value: only absent options are.

use crate::codec::writer::Writer;
use crate::codec::{ENTRY_VERSION, Limits, key};
use crate::confinement::{BlockedCall, ENFORCEMENT_POLICIES_MAX, Enforcement, KernelRecord};
use crate::entry::{
    CLOSER_SEQUENCES_MAX, Call, CallEnd, Closer, Durability, Entry, Erasure, Fact, Intent, LedgerKey, LedgerOpened,
    Outcome, Policy, Recorded, Reload, Usage, Violation,
};
use crate::ids::Sequence;
use crate::takeover::{Adoption, Takeover};

/// Writes `entry` in place of what `out` holds.
pub(super) fn entry(entry: &Entry<'_>, limits: Limits, out: &mut Vec<u8>) {
    let mut w = Writer::start(out, limits);
    w.uint(key::VERSION, ENTRY_VERSION).uint(key::KIND, entry.kind().number());
    match entry {
        Entry::LedgerOpened(entry) => ledger_opened(&mut w, entry),
        Entry::Policy(entry) => policy(&mut w, entry),
        Entry::Call(entry) => call(&mut w, entry),
        Entry::Intent(entry) => intent(&mut w, entry),
        Entry::Outcome(entry) => outcome(&mut w, entry),
        Entry::Violation(entry) => violation(&mut w, entry),
        Entry::CallEnd(entry) => call_end(&mut w, entry),
        Entry::Closer(entry) => closer(&mut w, entry),
        Entry::Erasure(entry) => erasure(&mut w, entry),
        Entry::Enforcement(entry) => enforcement(&mut w, entry),
        Entry::BlockedCall(entry) => blocked_call(&mut w, entry),
        Entry::KernelRecord(entry) => kernel_record(&mut w, entry),
        Entry::Takeover(entry) => takeover(&mut w, entry),
        Entry::Adoption(entry) => adoption(&mut w, entry),
        Entry::Reload(entry) => reload(&mut w, entry),
    }
    w.end();
}

fn ledger_opened(w: &mut Writer<'_>, entry: &LedgerOpened<'_>) {
    w.uint(key::TIME_NS, entry.time_ns).text(key::ORIGIN, &entry.origin).text(key::SOFTWARE, &entry.software);
    let LedgerKey { public, rotated } = &entry.key;
    w.bytes(key::PUBLIC_KEY, &public.0);
    if let Some(rotation) = rotated {
        w.bytes(key::OLD_PUBLIC_KEY, &rotation.old_key.0)
            .bytes(key::SIGNATURE, &rotation.signature.0)
            .bytes(key::OLD_SIGNATURE, &rotation.old_signature.0);
    }
}

fn policy(w: &mut Writer<'_>, entry: &Policy<'_>) {
    left_out(w, entry.folders.left_out_at(w.limits().pairs));
    w.text(key::TOOL, &entry.tool)
        .bytes(key::CAPABILITY_SET, &entry.digest.0)
        .bytes(key::MANIFEST, &entry.manifest.0)
        .bytes(key::GRANT, &entry.grant.0)
        .text(key::BY, &entry.by)
        .pairs(key::FOLDERS, &entry.folders, |w, folder| w.item_text(folder))
        .optional_text(key::DECLARED, entry.declared.as_ref());
}

fn call(w: &mut Writer<'_>, entry: &Call<'_>) {
    let claims = &entry.claims;
    w.bytes(key::CALL, &entry.call.0)
        .uint(key::TIME_NS, entry.time_ns)
        .text(key::TOOL, &entry.tool)
        .text(key::TOOL_VERSION, &entry.version)
        .bytes(key::COMPONENT, &entry.component.0)
        .text(key::OPERATION, &entry.operation)
        .optional_text(key::CLAIMED_AGENT, claims.agent.as_ref())
        .optional_text(key::CLAIMED_SESSION, claims.session.as_ref())
        .optional_text(key::DECISION, claims.decision.as_ref())
        .optional_text(key::REASON, claims.reason.as_ref());
    if let Recorded::Salted(digest) = &entry.arguments {
        w.bytes(key::ARGUMENTS, &digest.0);
    }
    w.uint(key::ARGUMENTS_BYTES, entry.arguments_bytes).bytes(key::CAPABILITY_SET, &entry.capability_set.0);
    if entry.writer != entry.call.issuer() {
        w.bytes(key::WRITER, &entry.writer.0);
    }
    w.optional_text(key::AGENT, entry.agent.as_ref())
        .optional_text(key::SESSION, entry.session.as_ref())
        .optional_text(key::TRACE, claims.trace.as_ref());
}

fn intent(w: &mut Writer<'_>, entry: &Intent<'_>) {
    w.bytes(key::CALL, &entry.call.0)
        .uint(key::SEQ, sequence(entry.seq))
        .uint(key::AT_US, entry.at_us)
        .text(key::FUNCTION, &entry.function)
        .pairs(key::FACTS, &entry.facts, fact)
        .uint(key::VERDICT, entry.verdict.number())
        .text(key::RULE, &entry.rule);
    left_out(w, entry.facts.left_out_at(w.limits().pairs));
    if entry.durability == Durability::Disk {
        w.uint(key::DURABILITY, entry.durability.number());
    }
}

fn fact(w: &mut Writer<'_>, fact: &Fact<'_>) {
    match fact {
        Fact::Text(text) => w.item_text(text),
        Fact::Uint(number) => w.item_uint(*number),
        Fact::Bool(switch) => w.item_bool(*switch),
    }
}

fn outcome(w: &mut Writer<'_>, entry: &Outcome<'_>) {
    w.bytes(key::CALL, &entry.call.0)
        .uint(key::SEQ, sequence(entry.seq))
        .uint(key::OF, sequence(entry.of))
        .uint(key::AT_US, entry.at_us)
        .text(key::RESULT, &entry.result)
        .uint(key::BYTES_READ, entry.bytes_read)
        .uint(key::BYTES_WRITTEN, entry.bytes_written)
        .uint(key::CALLS, entry.calls);
}

fn violation(w: &mut Writer<'_>, entry: &Violation<'_>) {
    w.bytes(key::CALL, &entry.call.0)
        .uint(key::SEQ, sequence(entry.seq))
        .uint(key::OF, sequence(entry.of))
        .uint(key::AT_US, entry.at_us)
        .text(key::FUNCTION, &entry.function)
        .text(key::RULE, &entry.rule)
        .uint(key::LAYER, entry.layer.number())
        .uint(key::ACTION, entry.action.number())
        .text(key::MESSAGE, &entry.message);
}

fn call_end(w: &mut Writer<'_>, entry: &CallEnd<'_>) {
    w.bytes(key::CALL, &entry.call.0).uint(key::SEQ, sequence(entry.seq)).uint(key::AT_US, entry.at_us);
    left_out(w, entry.counters.left_out_at(w.limits().pairs));
    w.uint(key::CLASS, entry.class.number())
        .text(key::DETAIL, &entry.detail)
        .uints(key::USAGE, usage(&entry.usage).into_iter())
        .pairs(key::COUNTERS, &entry.counters, |w, count| w.item_uint(*count))
        .uint(key::ENTRIES, u64::from(entry.entries))
        .bytes(key::ROOT, &entry.root.0);
    if let Some(result) = &entry.result {
        w.bytes(key::RESULT_DIGEST, &result.0);
    }
    w.optional_text(key::CAP, entry.cap.as_ref());
}

fn usage(usage: &Usage) -> [u64; 8] {
    [
        usage.fuel_used,
        usage.fuel_cap,
        usage.memory_peak_bytes,
        usage.memory_cap_bytes,
        usage.wall_us,
        usage.deadline_us,
        usage.output_bytes,
        usage.stdio_bytes,
    ]
}

fn closer(w: &mut Writer<'_>, entry: &Closer<'_>) {
    let mut of: Vec<_> = entry.of.iter().copied().map(sequence).collect();
    of.sort_unstable();
    of.dedup();
    let unlisted = of.len().saturating_sub(CLOSER_SEQUENCES_MAX);
    of.truncate(CLOSER_SEQUENCES_MAX);
    w.bytes(key::CALL, &entry.call.0).uints(key::OF, of.into_iter());
    left_out(w, entry.left_out.saturating_add(unlisted as u64));
    w.text(key::REASON, &entry.reason);
}

fn erasure(w: &mut Writer<'_>, entry: &Erasure<'_>) {
    w.bytes(key::CALL, &entry.call.0)
        .uint(key::TIME_NS, entry.time_ns)
        .optional_text(key::REASON, entry.reason.as_ref())
        .text(key::BY, &entry.by);
}

fn enforcement(w: &mut Writer<'_>, entry: &Enforcement<'_>) {
    let mut policies = entry.policies.clone();
    policies.sort_unstable();
    policies.dedup();
    let unlisted = policies.len().saturating_sub(ENFORCEMENT_POLICIES_MAX);
    policies.truncate(ENFORCEMENT_POLICIES_MAX);
    w.uint(key::TIME_NS, entry.time_ns);
    left_out(w, entry.policies_left_out.saturating_add(unlisted as u64));
    w.bytes(key::WRITER, &entry.writer.0)
        .uint(key::LEVEL, entry.level.number())
        .uint(key::REQUIRED, entry.required.number())
        .uint(key::LANDLOCK_ABI, entry.landlock_abi)
        .uint(key::HANDLED_FS, entry.handled_fs)
        .uint(key::HANDLED_NET, entry.handled_net)
        .uint(key::SCOPED, entry.scoped)
        .uint(key::THREADS, entry.threads)
        .bytes(key::RULESET, &entry.ruleset.0)
        .bytes(key::FILTER, &entry.filter.0)
        .bytes(key::PLAN, &entry.plan.0)
        .byte_strings(key::POLICIES, policies.iter().map(|policy| policy.0.as_slice()))
        .text(key::SELF_TEST, &entry.self_test);
}

/// [`blocked_frame`](super::blocked_frame) writes the same within a signal handler.
fn blocked_call(w: &mut Writer<'_>, entry: &BlockedCall) {
    if let Some(call) = entry.call {
        w.bytes(key::CALL, &call.0);
    }
    w.bytes(key::WRITER, &entry.writer.0)
        .str(key::THREAD, entry.thread.as_str())
        .uint(key::NUMBER, entry.number)
        .uint(key::ARCH, entry.arch)
        .uints(key::REGISTERS, entry.arguments.into_iter())
        .uint(key::INSTRUCTION, entry.instruction);
}

fn kernel_record(w: &mut Writer<'_>, entry: &KernelRecord<'_>) {
    w.bytes(key::WRITER, &entry.writer.0).uint(key::PROCESS, entry.process).text(key::RECORD, &entry.text);
}

fn takeover(w: &mut Writer<'_>, entry: &Takeover) {
    w.uint(key::TIME_NS, entry.time_ns).uint(key::FIRST, entry.first.0).uint(key::COUNT, entry.count);
}

fn adoption(w: &mut Writer<'_>, entry: &Adoption<'_>) {
    w.uint(key::TIME_NS, entry.time_ns)
        .text(key::REASON, &entry.reason)
        .text(key::BY, &entry.by)
        .uint(key::FIRST, entry.first.0)
        .uint(key::COUNT, entry.count);
    if let Some((size, root)) = entry.known {
        w.uint(key::KNOWN_SIZE, size.0).bytes(key::KNOWN_ROOT, &root.0);
    }
}

fn reload(w: &mut Writer<'_>, entry: &Reload<'_>) {
    w.uint(key::TIME_NS, entry.time_ns)
        .optional_text(key::REASON, entry.refused.as_ref())
        .text(key::BY, &entry.by)
        .bytes(key::POLICY_TEXT, &entry.policy.0);
}

/// Absent when nothing was left out.
fn left_out(w: &mut Writer<'_>, items: u64) {
    if items > 0 {
        w.uint(key::LEFT_OUT, items);
    }
}

fn sequence(sequence: Sequence) -> u64 {
    u64::from(sequence.0)
}

//! One entry as one line: for people, or as JSON for `jq`. Texts of guests and agents must never steer a terminal.

use serde_json::Value;
use tollgate_audit::{Adoption, Call, CallEnd, CallId, Claims, Entry, LeafIndex, Reload};
use tollgate_report::Context;
use tollgate_wasi_proxy::UNNAMEABLE;

use super::reading::context_json;
use crate::output::one_line;

/// The entry's JSON with its index, and whose call it is of as `context`.
pub(super) fn json_line(index: LeafIndex, entry: &Entry<'_>, context: Option<&Context>) -> String {
    let mut value = entry.to_json();
    if let Value::Object(object) = &mut value {
        object.insert("index".into(), index.0.into());
        if let Some(context) = context {
            object.insert("context".into(), context_json(context));
        }
    }
    format!("{value}\n")
}

/// One line for people: who, what, which rule, what became of it.
pub(super) fn text_line(index: LeafIndex, entry: &Entry<'_>, context: Option<&Context>) -> String {
    let said = match entry {
        Entry::LedgerOpened(opened) => format!("opened     {} by {}", opened.origin.as_str(), opened.software.as_str()),
        Entry::Policy(policy) => {
            format!("policy     {} set {} by {}", policy.tool.as_str(), policy.digest, policy.by.as_str())
        }
        Entry::Call(call) => format!(
            "call       {} {}@{} {}{}",
            short(call.call),
            call.tool.as_str(),
            call.version.as_str(),
            word(call.operation.as_str()),
            asked_by(call)
        ),
        Entry::Intent(intent) => {
            format!(
                "intent     {} #{} {} {}{} [{}]{}",
                short(intent.call),
                intent.seq,
                intent.verdict.as_str(),
                function(intent.function.as_str()),
                facts(entry),
                intent.rule.as_str(),
                decided_by(context)
            )
        }
        Entry::Outcome(outcome) => format!(
            "outcome    {} #{} of #{}: {} ({} bytes read, {} written)",
            short(outcome.call),
            outcome.seq,
            outcome.of,
            outcome.result.as_str(),
            outcome.bytes_read,
            outcome.bytes_written
        ),
        Entry::Violation(violation) => format!(
            "violation  {} #{} of #{}: {} by {}: [{}] {}{}",
            short(violation.call),
            violation.seq,
            violation.of,
            violation.action.as_str(),
            violation.layer.as_str(),
            violation.rule.as_str(),
            violation.message.as_str(),
            decided_by(context)
        ),
        Entry::CallEnd(end) => format!(
            "call-end   {} {} in {} µs, {} fuel, {} bytes of memory{}; {}",
            short(end.call),
            end.class.as_str(),
            end.usage.wall_us,
            end.usage.fuel_used,
            end.usage.memory_peak_bytes,
            left_out(end),
            end.detail.as_str()
        ),
        Entry::Closer(closer) => format!("closer     {} {}", short(closer.call), closer.reason.as_str()),
        Entry::Erasure(erasure) => {
            let reason = erasure.reason.as_ref().map_or("", |reason| reason.as_str());
            format!("erasure    {} by {}; {reason}", short(erasure.call), erasure.by.as_str())
        }
        Entry::Takeover(takeover) => format!(
            "takeover   {} entries from {} on, taken over unproven: a crash had left them, and nobody had signed them",
            takeover.count, takeover.first
        ),
        Entry::Adoption(adoption) => adopted(adoption),
        Entry::Reload(reload) => reloaded(reload),
        Entry::Enforcement(_) | Entry::BlockedCall(_) | Entry::KernelRecord(_) => kernel_layer(entry),
    };
    format!("{:>6}  {}\n", index.0, one_line(said.trim_end_matches([' ', ';'])))
}

/// What a tool could not see of the folders that it listed.
fn left_out(end: &CallEnd<'_>) -> String {
    let counted = end.counters.get(UNNAMEABLE);
    counted.map(|count| format!("; {count} {UNNAMEABLE}")).unwrap_or_default()
}

fn adopted(adoption: &Adoption<'_>) -> String {
    let known = match adoption.known {
        Some((size, _root)) => format!("known to have had {size} entries"),
        None => "remembered nothing".to_owned(),
    };
    let Adoption { by, reason, first, count, .. } = adoption;
    let unproven = match count {
        0 => String::new(),
        count => format!("; {count} entries from {first} on are not proven"),
    };
    format!("adoption   by {}: {known}{unproven}; {}", by.as_str(), reason.as_str())
}

fn reloaded(reload: &Reload<'_>) -> String {
    let Reload { by, policy, refused, .. } = reload;
    match refused {
        None => format!("reload     {policy} by {}", by.as_str()),
        Some(reason) => {
            format!("reload     {policy} by {} refused, the old policy stays: {}", by.as_str(), reason.as_str())
        }
    }
}

/// What an entry says of the kernel layer; nothing of the others.
fn kernel_layer(entry: &Entry<'_>) -> String {
    if let Entry::Enforcement(enforcement) = entry {
        format!(
            "enforced   worker {} {} ({} required), Landlock {}, {} threads; {}",
            enforcement.writer,
            enforcement.level,
            enforcement.required,
            enforcement.landlock_abi,
            enforcement.threads,
            enforcement.self_test.as_str()
        )
    } else if let Entry::BlockedCall(blocked) = entry {
        let call = blocked.call.map_or_else(|| "no call".to_owned(), short);
        format!("blocked    {call} worker {} {blocked}", blocked.writer)
    } else if let Entry::KernelRecord(record) = entry {
        format!("kernel     worker {} {}", record.writer, record.text.as_str())
    } else {
        String::new()
    }
}

/// The decision that an action followed, so that one leads to the other.
fn decided_by(context: Option<&Context>) -> String {
    let decision = context.and_then(|context| context.claims.decision.as_ref());
    decision.map(|decision| format!(" decision={}", word(decision.as_str()))).unwrap_or_default()
}

/// Who asks, what was proven first. Only a request says which decision or trace a call is for: no mark tells that.
fn asked_by(call: &Call<'_>) -> String {
    let Call { agent: proven, session: issued, claims, .. } = call;
    let Claims { agent, session, decision, reason: _long, trace } = claims;
    let named = [
        ("agent", proven, ""),
        ("session", issued, ""),
        ("agent", agent, " (claimed)"),
        ("session", session, " (claimed)"),
        ("decision", decision, ""),
        ("trace", trace, ""),
    ];
    named.iter().filter_map(|(name, id, mark)| Some(format!(" {name}={}{mark}", word(id.as_ref()?.as_str())))).collect()
}

/// A text of somebody else as one word, in quotes where it could be taken for more than that: for another field, or for a mark.
fn word(text: &str) -> String {
    let is_word = !text.is_empty() && !text.contains(|char: char| char.is_whitespace() || "\"()=".contains(char));
    if is_word { text.to_owned() } else { Value::from(text).to_string() }
}

/// Enough of a call id to tell calls apart by eye; `--call` takes the whole one.
pub(super) fn short(call: CallId) -> String {
    let id = call.to_string();
    id.get(..4).zip(id.get(20..)).map_or_else(|| id.clone(), |(head, tail)| format!("{head}…{tail}"))
}

/// `wasi:filesystem/types.[method]descriptor.open-at` as `open-at`.
fn function(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The texts among the facts of an intent, which say what it is about.
fn facts(entry: &Entry<'_>) -> String {
    let json = entry.to_json();
    let Some(Value::Object(facts)) = json.get("facts") else { return String::new() };
    let texts = facts.iter().filter_map(|(name, value)| Some(format!(" {name}={}", word(value.as_str()?))));
    texts.collect()
}

#[cfg(test)]
mod tests {
    use tollgate_audit::{
        AUDIT_ARCH_X86_64, BlockedCall, Digest, Enforcement, KernelRecord, Level, Recorded, ThreadName, WriterId,
    };

    use super::*;

    /// What an agent or a tool makes up stands in quotes: no part of it reads as another part of the line.
    #[test]
    fn no_word_of_somebody_elses_is_two() {
        let spoofed = "echo agent=bb session=7-00ff decision=\"approved\"";
        assert_eq!(word(spoofed), r#""echo agent=bb session=7-00ff decision=\"approved\"""#);
        for quoted in ["", "a b", "a=b", "a\"b", "x (claimed)", "a\tb"] {
            assert!(word(quoted).starts_with('"') && word(quoted).ends_with('"'), "{quoted}");
        }
        for plain in ["count", "json.keys", "/docs/a.txt", "7-00ff", "wasi:cli/run"] {
            assert_eq!(word(plain), plain);
        }
    }

    #[test]
    fn the_kernel_layer_is_told_in_lines() {
        let writer = WriterId([7; 6]);
        let digest = Digest::of(b"");
        let enforcement = Enforcement {
            writer,
            time_ns: 1,
            level: Level::Full,
            required: Level::Partial,
            landlock_abi: 7,
            handled_fs: 0xffff,
            handled_net: 3,
            scoped: 3,
            threads: 6,
            ruleset: digest,
            filter: digest,
            plan: digest,
            policies: Vec::new(),
            policies_left_out: 0,
            self_test: "12 of 12\nas expected".into(),
        };
        let blocked = BlockedCall {
            writer,
            call: Some(CallId([0xab; 16])),
            thread: ThreadName::new("executor-1"),
            number: 257,
            arch: AUDIT_ARCH_X86_64,
            arguments: [0; 6],
            instruction: 0,
        };
        let record = KernelRecord { writer, process: 42, text: "audit(1.2:3): pid=42\u{1b}[2J".into() };
        let line = |entry: Entry<'_>| text_line(LeafIndex(5), &entry, None);
        assert_eq!(
            line(Entry::Enforcement(enforcement)),
            "     5  enforced   worker 070707070707 full (partial required), Landlock 7, 6 threads; 12 of 12\\nas expected\n"
        );
        assert_eq!(
            line(Entry::BlockedCall(blocked)),
            "     5  blocked    abab…abababababab worker 070707070707 system call openat (257) on thread executor-1\n"
        );
        let record = line(Entry::KernelRecord(record));
        assert!(record.starts_with("     5  kernel     worker 070707070707 audit(1.2:3): pid=42"), "{record}");
        assert!(!record.contains('\u{1b}'), "{record:?}");
    }

    fn call(agent: Option<&'static str>, claims: Claims<'static>) -> Entry<'static> {
        let digest = Digest::of(b"");
        Entry::Call(Call {
            call: CallId([0xab; 16]),
            writer: CallId([0xab; 16]).issuer(),
            time_ns: 1,
            tool: "word-count".into(),
            version: "1.0.0".into(),
            component: digest,
            operation: "count".into(),
            agent: agent.map(Into::into),
            session: agent.map(|_proven| "5f0c-1".into()),
            claims,
            arguments: Recorded::Nothing,
            arguments_bytes: 0,
            capability_set: digest,
        })
    }

    #[test]
    fn what_was_proven_is_told_from_what_is_claimed() {
        let line = |agent, claims| {
            let line = text_line(LeafIndex(5), &call(agent, claims), None);
            line.strip_prefix("     5  call       abab…abababababab word-count@1.0.0 count").unwrap().to_owned()
        };
        let builder = || Claims { agent: Some("builder".into()), ..Claims::default() };
        assert_eq!(line(Some("builder"), Claims::default()), " agent=builder session=5f0c-1\n");
        assert_eq!(line(None, builder()), " agent=builder (claimed)\n");
        assert_eq!(line(Some("intern"), builder()), " agent=intern session=5f0c-1 agent=builder (claimed)\n");
        let all = Claims {
            session: Some("s-1".into()),
            decision: Some("d-1".into()),
            trace: Some("00-4b-01".into()),
            ..builder()
        };
        assert_eq!(line(None, all), " agent=builder (claimed) session=s-1 (claimed) decision=d-1 trace=00-4b-01\n");
    }

    #[test]
    fn a_claim_cannot_look_like_another_field_or_mark() {
        let line = |agent: &'static str| {
            let claims = Claims { agent: Some(agent.into()), ..Claims::default() };
            text_line(LeafIndex(5), &call(None, claims), None)
        };
        assert!(line("a agent=builder").ends_with(" count agent=\"a agent=builder\" (claimed)\n"));
        assert!(line("a (claimed)").ends_with(" count agent=\"a (claimed)\" (claimed)\n"));
        assert!(
            line("a\" agent=\"b").ends_with(" count agent=\"a\\\" agent=\\\"b\" (claimed)\n"),
            "{}",
            line("a\" agent=\"b")
        );
        assert!(line("").ends_with(" count agent=\"\" (claimed)\n"));
    }

    #[test]
    fn a_policy_that_was_read_again_is_told() {
        let policy = Digest::of(b"policy");
        let reload = |refused: Option<&'static str>| {
            let (by, refused) = ("uid:1000".into(), refused.map(Into::into));
            text_line(LeafIndex(5), &Entry::Reload(Reload { time_ns: 1, by, policy, refused }), None)
        };
        assert_eq!(reload(None), format!("     5  reload     {policy} by uid:1000\n"));
        let refused = format!("     5  reload     {policy} by uid:1000 refused, the old policy stays: line 1\\nno\n");
        assert_eq!(reload(Some("line 1\nno")), refused);
    }
}

//! What tests expect of calls that are refused: the caller's error, what stands in the ledger, and that both agree.

use tollgate::{CallError, CallFailure, CapHit, Tool, Usage};
use tollgate_audit::{Action, CallClass, CallEnd, Entry, Intent, Layer, Verdict, Violation};
use tollgate_capability::Reason;

use crate::Lab;

/// A denial of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied<'a> {
    /// WIT name of the function.
    pub function: &'a str,
    /// The rule that is missing.
    pub rule: &'a str,
    /// Why it does not hold.
    pub reason: Reason,
}

impl<'a> Denied<'a> {
    /// A denial since nothing is granted.
    pub fn not_granted(function: &'a str, rule: &'a str) -> Self {
        Self { function, rule, reason: Reason::NotGranted }
    }
}

impl Lab {
    /// Calls a tool that the gate kills, and asserts what the caller is told and what is on the record: the intent, its
    /// violation, and nothing asked for after it.
    pub fn killed(&mut self, tool: &Tool, operation: &str, arguments: &str, denied: Denied<'_>) -> Box<CallFailure> {
        let failure = self.failure(tool, operation, arguments);
        let CallError::Violation(violation) = &failure.error else { panic!("{operation}: {:?}", failure.error) };
        assert_eq!(
            (&*violation.function, violation.rule.as_str(), violation.reason),
            (denied.function, denied.rule, denied.reason)
        );
        assert_eq!(violation.cap, None);
        self.assert_ended(&failure, CallClass::Violation);
        self.assert_killed_on_record(&failure, denied.function, denied.rule, denied.reason);
        failure
    }

    /// Calls a tool that is denied something and goes on: asserts each denial on the record, in order, and gives its
    /// answer.
    pub fn denied(
        &mut self,
        tool: &Tool,
        operation: &str,
        arguments: &str,
        expected: &[Denied<'_>],
    ) -> serde_json::Value {
        let answer = self.call(tool, operation, arguments).unwrap_or_else(|failure| panic!("{operation}: {failure}"));
        let entries = self.entries_of(answer.call);
        let denials = denials(&entries);
        assert_eq!(denials.len(), expected.len(), "{denials:?}");
        for ((intent, violation), expected) in denials.iter().zip(expected) {
            assert_denial(intent, violation, *expected, Action::Deny);
        }
        assert_eq!(end(&entries).class, CallClass::Success);
        assert_eq!(end(&entries).usage, answer.usage);
        self.verified();
        serde_json::from_str(&answer.output).expect("JSON")
    }

    /// Calls a tool that asks for what nothing grants it and gets nothing: asserts that this is allowed, under the rule
    /// `empty`, once, and gives its answer.
    pub fn empty(&mut self, tool: &Tool, operation: &str, arguments: &str, function: &str) -> serde_json::Value {
        let answer = self.call(tool, operation, arguments).unwrap_or_else(|failure| panic!("{operation}: {failure}"));
        let entries = self.entries_of(answer.call);
        let intents: Vec<_> = entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Intent(intent) if intent.function.as_str() == function => Some(intent),
                _ => None,
            })
            .collect();
        let [intent] = intents.as_slice() else { panic!("{intents:?}") };
        assert_eq!((intent.rule.as_str(), intent.verdict), ("empty", Verdict::Allow));
        assert!(denials(&entries).is_empty(), "{entries:?}");
        self.verified();
        serde_json::from_str(&answer.output).expect("JSON")
    }

    /// Calls a tool that hits a cap which the runtime counts: no intent is denied for it.
    pub fn capped(&mut self, tool: &Tool, operation: &str, arguments: &str, hit: CapHit) -> Box<CallFailure> {
        let failure = self.cap_failure(tool, operation, arguments, hit);
        let entries = self.entries_of(failure.call.expect("a call that ran"));
        assert!(denials(&entries).is_empty(), "{entries:?}");
        failure
    }

    /// Calls a tool that hits a cap which the gate checks: the denied intent is on the record, and it kills in every
    /// mode.
    pub fn capped_by_gate(
        &mut self,
        tool: &Tool,
        (operation, arguments): (&str, &str),
        hit: CapHit,
        function: &str,
        left: u64,
    ) -> Box<CallFailure> {
        let failure = self.cap_failure(tool, operation, arguments, hit);
        let reason = Reason::OverLimit { asked: hit.asked.expect("what was asked for"), left };
        let rule = format!("limits.{}", hit.cap.as_str());
        self.assert_killed_on_record(&failure, function, &rule, reason);
        failure
    }

    /// Calls a tool whose guest ends by itself: a trap or an exit.
    pub fn crashed(&mut self, tool: &Tool, operation: &str, arguments: &str) -> Box<CallFailure> {
        let failure = self.failure(tool, operation, arguments);
        self.assert_ended(&failure, CallClass::Trap);
        let entries = self.entries_of(failure.call.expect("a call that ran"));
        assert!(denials(&entries).is_empty(), "{entries:?}");
        failure
    }

    /// Calls a tool that ends with an error of its own, after nothing that is denied.
    pub fn told_by_tool(&mut self, tool: &Tool, operation: &str, arguments: &str, code: &str) -> Box<CallFailure> {
        let failure = self.failure(tool, operation, arguments);
        let CallError::Tool { code: found, .. } = &failure.error else { panic!("{operation}: {:?}", failure.error) };
        assert_eq!(found, code);
        self.assert_ended(&failure, CallClass::ToolError);
        let entries = self.entries_of(failure.call.expect("a call that ran"));
        assert!(denials(&entries).is_empty(), "{entries:?}");
        failure
    }

    /// Calls a tool that fails.
    pub fn failure(&mut self, tool: &Tool, operation: &str, arguments: &str) -> Box<CallFailure> {
        match self.call(tool, operation, arguments) {
            Ok(answer) => panic!("{operation} {arguments} answers {}", answer.output),
            Err(failure) => failure,
        }
    }

    fn cap_failure(&mut self, tool: &Tool, operation: &str, arguments: &str, hit: CapHit) -> Box<CallFailure> {
        let failure = self.failure(tool, operation, arguments);
        let CallError::Cap(found) = &failure.error else { panic!("{operation}: {:?}", failure.error) };
        assert_eq!(*found, hit);
        self.assert_ended(&failure, CallClass::Cap);
        failure
    }

    fn assert_ended(&self, failure: &CallFailure, class: CallClass) {
        let entries = self.entries_of(failure.call.expect("a call that ran"));
        let end = end(&entries);
        assert_eq!(end.class, class);
        match &failure.error {
            // What a guest wrote before it crashed is its caller's affair.
            CallError::Trap { message } => {
                let detail = end.detail.as_str().strip_prefix("the tool crashed: ").expect("how it ended");
                assert!(message.contains(detail), "{detail}");
            }
            // So are the words of its error.
            CallError::Tool { code, .. } => assert_eq!(end.detail.as_str(), format!("the tool's own error [{code}]")),
            _ => assert_eq!(end.detail.as_str(), failure.to_string()),
        }
        let cap = if let CallError::Cap(hit) = &failure.error { Some(hit.cap.as_str()) } else { None };
        assert_eq!(end.cap.as_ref().map(|cap| cap.as_str()), cap);
        assert_eq!(end.usage, failure.usage);
        assert_within_caps(&failure.usage);
        self.verified();
    }

    fn assert_killed_on_record(&self, failure: &CallFailure, function: &str, rule: &str, reason: Reason) {
        let entries = self.entries_of(failure.call.expect("a call that ran"));
        let denials = denials(&entries);
        let [(intent, violation)] = denials.as_slice() else { panic!("{denials:?}") };
        assert_denial(intent, violation, Denied { function, rule, reason }, Action::Kill);
        let last = entries.iter().rev().find_map(|entry| match entry {
            Entry::Intent(intent) => Some(intent.seq),
            _ => None,
        });
        assert_eq!(last, Some(intent.seq), "a killed guest asks for nothing more");
    }
}

/// Every denied intent with its violation.
pub fn denials<'e>(entries: &'e [Entry<'static>]) -> Vec<(&'e Intent<'static>, &'e Violation<'static>)> {
    let violations = entries.iter().filter_map(|entry| match entry {
        Entry::Violation(violation) => Some(violation),
        _ => None,
    });
    let intent_of = |violation: &Violation<'_>| {
        entries.iter().find_map(|entry| match entry {
            Entry::Intent(intent) if intent.seq == violation.of => Some(intent),
            _ => None,
        })
    };
    violations.map(|violation| (intent_of(violation).expect("an intent for each violation"), violation)).collect()
}

/// How a call ended.
pub fn end<'e>(entries: &'e [Entry<'static>]) -> &'e CallEnd<'static> {
    match entries.last() {
        Some(Entry::CallEnd(end)) => end,
        other => panic!("the last entry of a call is its end, not {other:?}"),
    }
}

fn assert_denial(intent: &Intent<'_>, violation: &Violation<'_>, denied: Denied<'_>, action: Action) {
    let Denied { function, rule, reason } = denied;
    assert_eq!((intent.function.as_str(), intent.rule.as_str()), (function, rule));
    assert_eq!(intent.verdict, Verdict::Deny);
    assert_eq!((violation.function.as_str(), violation.rule.as_str()), (function, rule));
    assert_eq!((violation.layer, violation.action), (Layer::Gate, action));
    assert_eq!(violation.message.as_str(), reason.to_string());
}

/// A call may hit its caps and never goes over those on fuel and memory.
pub fn assert_within_caps(usage: &Usage) {
    assert!(usage.fuel_used <= usage.fuel_cap, "{usage:?}");
    assert!(usage.memory_peak_bytes <= usage.memory_cap_bytes, "{usage:?}");
}

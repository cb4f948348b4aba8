//! What an auditor repeats decisions from: the text of a recorded set, and the function and facts of host calls.

use tollgate_audit::Digest;
use tollgate_capability::{CANONICAL_BYTES_MAX, Call, Decision, Fact, RecordedSet};

use crate::text;

/// The first line as a set, the second as a function, the others as facts (`name text …`, `name uint …`, `name bool`).
/// A set that is read has the digest of its text. A call that is made has this function and these facts, in whatever
/// order, and is made again out of its own. It is decided the same each time, and why can be shown.
pub fn replay(bytes: &[u8]) {
    let Some(text) = text(bytes) else {
        return;
    };
    let mut lines = text.lines();
    let set = lines.next().unwrap_or_default();
    let function = lines.next().unwrap_or_default();
    let facts: Vec<_> = lines.filter_map(fact).collect();
    let set_read = RecordedSet::parse(set).ok();
    if let Some(read) = &set_read {
        assert!(set.len() <= CANONICAL_BYTES_MAX);
        assert_eq!(read.digest(), Digest::of(set.as_bytes()).0);
    }
    let Ok(call) = Call::from_facts(function, &facts) else {
        return;
    };
    assert_eq!(call.function(), function);
    let own = call.facts().0;
    assert_eq!(sorted(&own), sorted(&facts));
    assert_eq!(Call::from_facts(call.function(), &own).as_ref(), Ok(&call));
    if let Some(read) = &set_read {
        let decision = read.check(&call);
        assert_eq!(decision, read.check(&call));
        let shown = match decision {
            Decision::Allow(rule) => rule.to_string(),
            Decision::Deny(denial) => format!("{}: {}", denial.missing, denial.reason),
        };
        assert!(!shown.is_empty());
    }
}

fn fact(line: &str) -> Option<(&str, Fact<'_>)> {
    let (name, rest) = line.split_once(' ')?;
    let (of, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let fact = match of {
        "text" => Fact::Text(value.into()),
        "uint" => Fact::Uint(value.parse().ok()?),
        "bool" => Fact::Bool(value == "true"),
        _other => return None,
    };
    Some((name, fact))
}

fn sorted(facts: &[(&str, Fact<'_>)]) -> Vec<String> {
    let mut facts: Vec<_> = facts.iter().map(|fact| format!("{fact:?}")).collect();
    facts.sort_unstable();
    facts
}

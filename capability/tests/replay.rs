//! A call is made again out of its recorded function and facts, and out of nothing else.
#![allow(clippy::unwrap_used, reason = "a set or a call of this file that cannot be read is a test that fails")]

mod generators;

use std::collections::BTreeMap;

use generators::{call, set};
use proptest::prelude::*;
use tollgate_capability::{
    AccessSet, Call, Decision, Fact, FactsError, FsCall, GrantIndex, HTTP_FUNCTIONS, HandleFacts, RecordedSet,
    RefusedCall, SOCKET_METHODS, check,
};

type Named<'f> = Vec<(&'f str, Fact<'f>)>;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn a_call_is_made_again_out_of_its_facts(call in call(), turn in 0_usize..16) {
        let mut facts = call.facts().0;
        let places = facts.len().max(1);
        facts.rotate_left(turn % places);
        prop_assert_eq!(Call::from_facts(call.function(), &facts), Ok(call.clone()));
    }

    #[test]
    fn a_recorded_call_under_a_recorded_set_is_decided_as_it_was(call in call(), set in set()) {
        let again = Call::from_facts(call.function(), &call.facts().0).unwrap();
        let recorded = RecordedSet::parse(&set.to_canonical_json().unwrap()).unwrap();
        prop_assert_eq!(shown(&check(&set, &call)), shown(&recorded.check(&again)));
        prop_assert_eq!(check(&set, &call), recorded.check(&again));
    }

    #[test]
    fn what_becomes_a_call_is_what_that_call_records(
        call in call(), other in call(), damage in 0_u8..6, at in any::<prop::sample::Index>(),
    ) {
        let (mut facts, function) = (call.facts().0, if damage == 0 { other.function() } else { call.function() });
        match (facts.is_empty(), damage) {
            (false, 1) => drop(facts.remove(at.index(facts.len()))),
            (false, 2) => facts.push(facts[at.index(facts.len())].clone()),
            (false, 3) => facts[at.index(call.facts().0.len())].1 = Fact::Bool(true),
            (false, 4) => facts[at.index(call.facts().0.len())].1 = Fact::Text("read,".into()),
            (_, 5) => facts.extend(other.facts().0),
            (_, _) => {}
        }
        if let Ok(made) = Call::from_facts(function, &facts) {
            prop_assert_eq!(made.function(), function);
            let recorded = made.facts();
            prop_assert_eq!(sorted(&recorded.0), sorted(&facts));
        }
    }

    #[test]
    fn arbitrary_facts_never_panic(facts in proptest::collection::vec(("[a-z_]{0,9}", ".*", any::<u64>()), 0..9)) {
        let facts: Named<'_> = facts.iter().map(|(name, text, number)| match number % 2 {
            0 => (name.as_str(), Fact::Text(text.into())),
            _odd => (name.as_str(), Fact::Uint(*number)),
        }).collect();
        for function in SOCKET_METHODS.into_iter().chain([OPEN_AT, "", "wasi:io/poll.poll"]) {
            drop(Call::from_facts(function, &facts));
        }
    }
}

const OPEN_AT: &str = "wasi:filesystem/types.[method]descriptor.open-at";

/// Rule and reason, as they are recorded.
fn shown(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allow(rule) => rule.to_string(),
        Decision::Deny(denial) => format!("{}: {}", denial.missing, denial.reason),
    }
}

fn sorted<'f>(facts: &'f [(&'f str, Fact<'f>)]) -> BTreeMap<&'f str, &'f Fact<'f>> {
    let sorted: BTreeMap<_, _> = facts.iter().map(|(name, fact)| (*name, fact)).collect();
    assert_eq!(sorted.len(), facts.len(), "a fact is there twice");
    sorted
}

/// The facts of an `open-at` of `a` below the handle of `dir`.
fn open_at() -> Named<'static> {
    vec![
        ("path", Fact::Text("a".into())),
        ("dir", Fact::Text("dir".into())),
        ("grant", Fact::Uint(0)),
        ("flags", Fact::Text("read,follow".into())),
        ("target", Fact::Text("absent".into())),
        ("handles_open", Fact::Uint(1)),
    ]
}

fn refused(facts: &[(&str, Fact<'_>)]) -> FactsError {
    Call::from_facts(OPEN_AT, facts).unwrap_err()
}

#[test]
fn a_fact_too_few_or_too_many_is_named() {
    assert!(Call::from_facts(OPEN_AT, &open_at()).is_ok());
    let with = |name| open_at().into_iter().chain([(name, Fact::Uint(0))]).collect::<Named<'_>>();
    assert_eq!(refused(&open_at()[1..]), FactsError::Missing { fact: "path" });
    assert_eq!(refused(&with("grant")), FactsError::Duplicate { fact: "grant".to_owned() });
    assert_eq!(refused(&with("inode")), FactsError::Extra { fact: "inode".to_owned() });
}

#[test]
fn a_value_that_a_fact_cannot_have_is_named() {
    let text = |text: &'static str| Fact::Text(text.into());
    let below = "a normalised path below the granted folder";
    let wrong = [
        ("path", Fact::Uint(1), "a text"),
        ("grant", text("0"), "a number"),
        ("grant", Fact::Uint(1 << 16), "a number of at most 16 bits"),
        ("handles_open", Fact::Bool(true), "a number"),
        ("handles_open", Fact::Uint(1 << 32), "a number of at most 32 bits"),
        ("flags", text("follow,read"), "a list of open flags in their order"),
        ("flags", text("read,"), "a list of open flags in their order"),
        ("target", text("device"), "a kind of target"),
        ("dir", text(""), below),
        ("dir", text("../etc"), below),
        ("dir", text("/etc"), below),
        ("dir", text("dir/"), below),
        ("dir", text("."), below),
    ];
    for (fact, value, expected) in wrong {
        let mut facts = open_at();
        facts.iter_mut().filter(|(name, _)| *name == fact).for_each(|(_, old)| *old = value.clone());
        assert_eq!(refused(&facts), FactsError::Value { fact, expected });
    }
}

#[test]
fn rights_streams_and_families_are_known_words() {
    let read =
        Call::Fs(FsCall::Read { handle: HandleFacts { grant: GrantIndex(0), rights: AccessSet::EMPTY } }).function();
    let says = |function: &str, facts: &[(&str, Fact<'_>)]| Call::from_facts(function, facts).unwrap_err().to_string();
    let rights = |text: &'static str| says(read, &[("grant", Fact::Uint(0)), ("rights", Fact::Text(text.into()))]);
    for text in ["raed", "list,read", "read,read", " read", ","] {
        assert_eq!(rights(text), "the fact `rights` is not a list of rights in their order", "{text}");
    }
    let udp = "wasi:sockets/udp-create-socket.create-udp-socket";
    assert_eq!(says(udp, &[("family", Fact::Text("ipv5".into()))]), "the fact `family` is not an address family");
    let write = "wasi:io/streams.[method]output-stream.write";
    assert_eq!(says(write, &[("stream", Fact::Text("tty".into()))]), "the fact `stream` is not a standard stream");
}

#[test]
fn a_function_that_no_call_has_is_named() {
    for function in ["", "wasi:io/poll.poll", "wasi:sockets/tcp.[method]tcp-socket.connect"] {
        let unknown = FactsError::UnknownFunction { function: function.to_owned() };
        assert_eq!(Call::from_facts(function, &[]), Err(unknown), "{function}");
    }
    for function in SOCKET_METHODS.into_iter().chain(HTTP_FUNCTIONS) {
        assert_eq!(Call::from_facts(function, &[]), Ok(Call::Refused(RefusedCall { function })));
    }
}

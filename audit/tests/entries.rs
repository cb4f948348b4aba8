//! The entry format: golden bytes, the published CDDL, and both directions of the codec.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::expect_file;
use minicbor::Decoder;
use minicbor::data::Type;
use proptest::prelude::*;
use tollgate_audit::{
    Action, Adoption, BlockedCall, CLOSER_SEQUENCES_MAX, Call, CallClass, CallEnd, CallId, Claims, Closer, DecodeError,
    Digest, Durability, ENTRY_BYTES_MAX, ENTRY_VERSION, Enforcement, Entry, Erasure, Fact, Intent, KernelRecord,
    KeyRotation, Kind, Layer, LeafIndex, LedgerKey, LedgerOpened, Level, Outcome, PAIRS_MAX, Pairs, Policy, PublicKey,
    Recorded, Reload, RootHash, Sequence, Signature, TEXT_BYTES_MAX, Takeover, Text, ThreadName, TreeSize, Usage,
    Verdict, Violation, WriterId,
};
use tollgate_testing::entries;

#[test]
fn golden_bytes() {
    let mut golden = String::new();
    for entry in all_samples() {
        let bytes = entry.encode();
        let json = serde_json::to_string_pretty(&entry.to_json()).unwrap();
        writeln!(golden, "{} {}", entry.kind(), hex::encode(bytes.as_bytes())).unwrap();
        writeln!(golden, "leaf {}\n{json}\n", bytes.leaf()).unwrap();
    }
    expect_file!["golden/entries.txt"].assert_eq(&golden);
}

#[test]
fn samples_are_read_back() {
    for entry in all_samples() {
        let bytes = entry.encode();
        assert_eq!(Entry::decode(bytes.as_bytes()).unwrap(), entry);
        assert_eq!(Entry::decode_owned(bytes.as_bytes()).unwrap(), entry);
    }
}

#[test]
fn no_proper_start_of_an_entry_is_an_entry() {
    for entry in all_samples() {
        let bytes = entry.encode();
        for length in 0..bytes.as_bytes().len() {
            assert!(Entry::decode(&bytes.as_bytes()[..length]).is_err());
        }
    }
}

#[test]
fn an_over_long_text_is_cut_with_length_and_digest() {
    let path = "é".repeat(5000);
    let mut entry = entries::samples().swap_remove(3);
    let Entry::Intent(intent) = &mut entry else { panic!("not an intent") };
    intent.facts = Pairs::new([("path", Fact::Text(path.as_str().into()))]);
    let bytes = entry.encode();
    let Ok(Entry::Intent(read)) = Entry::decode(bytes.as_bytes()) else { panic!("not an intent") };
    let Some(Fact::Text(text)) = read.facts.get("path") else { panic!("no path") };
    assert_eq!(text.as_str(), "é".repeat(TEXT_BYTES_MAX / 2));
    assert_eq!(text.cut().unwrap().bytes, 10_000);
    assert_eq!(text.cut().unwrap().digest, Digest::of(path.as_bytes()));
}

#[test]
fn the_largest_intent_fits() {
    let intent = entries::intent();
    let facts = (0..100).map(|n| (format!("{n:064}"), Fact::Text(long())));
    let intent = Intent { facts: Pairs::new(facts), function: long(), rule: long(), ..intent };
    let bytes = fitting(&Entry::Intent(intent));
    let Ok(Entry::Intent(read)) = Entry::decode(&bytes) else { panic!("not an intent") };
    assert_eq!(read.facts.len() as u64 + read.facts.left_out(), 100);
    assert_eq!(read.function.cut().unwrap().bytes, 100_000);
}

#[test]
fn the_largest_end_fits() {
    let end = entries::call_ended();
    let counters = (0..100).map(|n| (format!("{n:064}"), u64::MAX));
    let (counters, result, cap) = (Pairs::new(counters), Some(Digest([0xff; 32])), Some(long()));
    let bytes = fitting(&Entry::CallEnd(CallEnd { counters, detail: long(), result, cap, ..end }));
    let Ok(Entry::CallEnd(read)) = Entry::decode(&bytes) else { panic!("not an end") };
    assert_eq!(read.counters.len() as u64 + read.counters.left_out(), 100);
}

#[test]
fn the_largest_closer_fits() {
    let of = (0..10_000).map(|n| Sequence(u32::MAX - n)).collect();
    let closer = Closer { call: entries::SAMPLE_CALL, of, left_out: u64::MAX - 10_000, reason: long() };
    let bytes = fitting(&Entry::Closer(closer));
    let Ok(Entry::Closer(read)) = Entry::decode(&bytes) else { panic!("not a closer") };
    assert_eq!(read.of.len() as u64 + read.left_out, u64::MAX);
}

#[test]
fn the_largest_texts_fit() {
    let call = entries::call(entries::SAMPLE_CALL);
    let option = Some(long());
    let (tool, version, operation) = (long(), long(), long());
    let (agent, session) = (option.clone(), option.clone());
    let (decision, reason, trace) = (option.clone(), option.clone(), option.clone());
    let claims = Claims { agent: agent.clone(), session: session.clone(), decision, reason, trace };
    let Entry::Reload(reload) = entries::daemon_samples().swap_remove(2) else { panic!("no reload") };
    fitting(&Entry::Reload(Reload { by: long(), refused: option.clone(), ..reload }));
    fitting(&Entry::Erasure(Erasure { call: call.call, time_ns: u64::MAX, by: long(), reason: option }));
    let Entry::Adoption(adoption) = entries::break_samples().swap_remove(2) else { panic!("no adoption") };
    fitting(&Entry::Adoption(Adoption { reason: long(), by: long(), ..adoption }));
    fitting(&Entry::Call(Call { tool, version, operation, agent, session, claims, ..call }));
    let violation = entries::violation();
    let (function, rule, message) = (long(), long(), long());
    fitting(&Entry::Violation(Violation { function, rule, message, ..violation }));
}

fn all_samples() -> Vec<Entry<'static>> {
    [
        entries::samples(),
        entries::key_samples(),
        entries::private_samples(),
        entries::writer_samples(),
        entries::break_samples(),
        entries::daemon_samples(),
    ]
    .concat()
}

fn long() -> Text<'static> {
    "x".repeat(100_000).into()
}

fn fitting(entry: &Entry<'_>) -> Vec<u8> {
    let bytes = entry.encode().as_bytes().to_vec();
    assert!(bytes.len() <= ENTRY_BYTES_MAX, "{}", entry.kind());
    bytes
}

/// Each change keeps the bytes CBOR but makes them another encoding, or another entry.
#[test]
fn only_the_one_encoding_is_read() {
    let bytes = entries::samples()[0].encode().as_bytes().to_vec();
    let changed = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    assert_eq!(bytes[..5], [0xa6, 0x00, 0x05, 0x01, 0x01], "map of 6, version 5, kind 1");

    let error = |bytes: &[u8]| Entry::decode(bytes).unwrap_err();
    let trailing = [&bytes[..], &[0]].concat();
    assert!(matches!(error(&trailing), DecodeError::Trailing { .. }));
    let long_number = changed(&[0xa6, 0x00, 0x05], &[0xa6, 0x18, 0x00, 0x05]);
    assert!(matches!(error(&long_number), DecodeError::NotDeterministic { offset: 1 }));
    let long_text = changed(&[0x18, 0x28, 0x6e], &[0x18, 0x28, 0x78, 0x0e]);
    assert!(matches!(error(&long_text), DecodeError::NotDeterministic { .. }));
    let kind = changed(&[0x05, 0x01, 0x01], &[0x05, 0x01, 0x11]);
    assert!(matches!(error(&kind), DecodeError::Value { field: "kind", .. }));
    let order = changed(&[0x00, 0x05, 0x01, 0x01], &[0x01, 0x01, 0x00, 0x05]);
    assert!(matches!(error(&order), DecodeError::Key { expected: 0, found: Some(1), .. }));
    let unknown = [&changed(&[0xa6], &[0xa7])[..], &[0x18, 0x2a, 0x00]].concat();
    assert!(matches!(error(&unknown), DecodeError::UnexpectedKey { found: 42, .. }));
    let missing = changed(&[0xa6], &[0xa5]);
    assert!(matches!(error(&missing), DecodeError::Key { expected: 41, found: None, .. }));
    let indefinite = [&changed(&[0xa6], &[0xbf])[..], &[0xff]].concat();
    assert!(matches!(error(&indefinite), DecodeError::NotDeterministic { offset: 0 }));
    assert!(matches!(error(&[0; ENTRY_BYTES_MAX + 1]), DecodeError::TooLong { .. }));
}

#[test]
fn no_other_version_is_read() {
    for entry in all_samples() {
        let mut bytes = entry.encode().as_bytes().to_vec();
        assert_eq!(u64::from(bytes[2]), ENTRY_VERSION);
        for other in (0..=23_u8).filter(|other| u64::from(*other) != ENTRY_VERSION) {
            bytes[2] = other;
            assert_eq!(Entry::decode(&bytes), Err(DecodeError::Version { found: other.into() }), "{}", entry.kind());
        }
    }
}

/// A class or a kind that nobody has defined is none.
#[test]
fn what_comes_after_the_last_class_is_no_class() {
    let bytes = entries::daemon_samples()[1].encode().as_bytes().to_vec();
    let class = bytes.windows(2).position(|window| window == [0x13, 0x07]).unwrap() + 1;
    let with_class = |number: u8| {
        let mut bytes = bytes.clone();
        bytes[class] = number;
        Entry::decode_owned(&bytes)
    };
    assert!(matches!(with_class(7), Ok(Entry::CallEnd(CallEnd { class: CallClass::Cancelled, .. }))));
    for number in 8..=23 {
        assert!(matches!(with_class(number), Err(DecodeError::Value { field: "class", .. })), "{number}");
    }
}

/// What was proven and what is claimed have keys of their own, so that one never becomes the other.
#[test]
fn the_same_name_proven_and_claimed_are_two_entries() {
    let call = entries::call(entries::SAMPLE_CALL);
    let name = || Some("builder".into());
    let claimed = Call { claims: Claims { agent: name(), session: name(), ..Claims::default() }, ..call.clone() };
    let proven = Call { agent: name(), session: name(), claims: Claims::default(), ..call };
    let [claimed, proven] = [claimed, proven].map(Entry::Call);
    let text = "builder";
    let has = |entry: &Entry<'_>, key: &[u8]| {
        let wanted = [key, &[0x60 | 7], text.as_bytes()].concat();
        entry.encode().as_bytes().windows(wanted.len()).any(|window| window == wanted)
    };
    let keys = [&[0x18, 29][..], &[0x18, 30], &[0x18, 75], &[0x18, 76]];
    assert_eq!(keys.map(|key| has(&claimed, key)), [true, true, false, false]);
    assert_eq!(keys.map(|key| has(&proven, key)), [false, false, true, true]);
    let json = |entry: &Entry<'_>| {
        let json = entry.to_json();
        [&json["agent"], &json["session"], &json["claims"]["agent"], &json["claims"]["session"]]
            .map(|name| name == text)
    };
    assert_eq!(json(&claimed), [false, false, true, true]);
    assert_eq!(json(&proven), [true, true, false, false]);
    assert_eq!(proven.to_json().get("claims"), None);
}

/// An absent key is the one form of an intent that is not on disk.
#[test]
fn durability_has_one_form() {
    let bytes = entries::private_samples()[2].encode().as_bytes().to_vec();
    let last = |to: &[u8]| {
        let place = bytes.len() - to.len();
        Entry::decode(&[&bytes[..place], to].concat()).map(|entry| entry.kind())
    };
    assert_eq!(last(&[0x18, 45, 0x01]), Ok(Kind::Intent));
    assert!(matches!(last(&[0x18, 45, 0x00]), Err(DecodeError::Value { field: "durability", .. })));
    assert!(matches!(last(&[0x18, 45, 0x02]), Err(DecodeError::Value { field: "durability", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn encoding_fits_and_is_read_back(entry in entries()) {
        let bytes = entry.encode();
        prop_assert!(bytes.as_bytes().len() <= ENTRY_BYTES_MAX);
        let read = Entry::decode(bytes.as_bytes()).unwrap();
        prop_assert_eq!(read.encode(), bytes.clone());
        // Then no text was long enough to be cut.
        if bytes.as_bytes().len() < TEXT_BYTES_MAX {
            prop_assert_eq!(read, entry);
        }
        conforms(&cddl(), bytes.as_bytes());
    }

    #[test]
    fn what_is_read_would_be_written_the_same(
        entry in entries(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut bytes = entry.encode().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(read) = Entry::decode(&bytes) {
            let again = read.encode();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(read) = Entry::decode(&bytes) {
            let again = read.encode();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }
}

#[test]
fn samples_conform_to_the_cddl() {
    let rules = cddl();
    for entry in all_samples() {
        conforms(&rules, entry.encode().as_bytes());
    }
    let kinds: BTreeSet<_> = Kind::ALL.iter().map(ToString::to_string).collect();
    assert!(rules.keys().eq(&kinds), "one rule per kind");
    let named: BTreeSet<_> = all_samples().iter().map(|entry| entry.kind().to_string()).collect();
    assert_eq!(named, kinds, "each has a sample");
}

/// One line of a map in the CDDL: `? 29: words, ; agent`.
struct Field {
    key: u64,
    optional: bool,
    form: String,
}

/// The maps of `entry.cddl` that describe kinds of entries, by name.
fn cddl() -> BTreeMap<String, Vec<Field>> {
    let mut rules = BTreeMap::new();
    for block in include_str!("../entry.cddl").split("\n\n") {
        let Some((name, rest)) = block.split_once(" = {\n") else { continue };
        let fields = rest.lines().take_while(|line| *line != "}").map(field).collect();
        // Comments may stand before it.
        rules.insert(name.lines().last().unwrap().to_owned(), fields);
    }
    rules
}

fn field(line: &str) -> Field {
    let line = line.split(';').next().unwrap().trim().trim_end_matches(',');
    let (optional, line) = line.strip_prefix("? ").map_or((false, line), |line| (true, line));
    let (key, form) = line.split_once(": ").unwrap();
    Field { key: key.parse().unwrap(), optional, form: form.to_owned() }
}

/// Checks an entry against the CDDL by means that share nothing with the codec but `minicbor`.
fn conforms(rules: &BTreeMap<String, Vec<Field>>, bytes: &[u8]) {
    let name = &Entry::decode(bytes).unwrap().kind().to_string();
    let mut decoder = Decoder::new(bytes);
    let mut left = decoder.map().unwrap().unwrap();
    for field in &rules[name] {
        let mut ahead = decoder.clone();
        if left == 0 || ahead.u64().unwrap() != field.key {
            assert!(field.optional, "{name} lacks key {}", field.key);
            continue;
        }
        decoder = ahead;
        left -= 1;
        value(&mut decoder, &field.form);
    }
    assert_eq!((left, decoder.position()), (0, bytes.len()), "{name} has unknown keys");
}

fn value(decoder: &mut Decoder<'_>, form: &str) {
    match form {
        "uint" => drop(decoder.u64().unwrap()),
        "seq" => drop(decoder.u32().unwrap()),
        "id" => assert_eq!(decoder.bytes().unwrap().len(), 16),
        "hash" => assert_eq!(decoder.bytes().unwrap().len(), 32),
        "signature" => assert_eq!(decoder.bytes().unwrap().len(), 64),
        "words" => words(decoder),
        "writer" => assert_eq!(decoder.bytes().unwrap().len(), 6),
        "thread" => assert!(decoder.str().unwrap().len() <= 15),
        "registers" => {
            assert_eq!(decoder.array().unwrap(), Some(6));
            (0..6).for_each(|_| value(decoder, "uint"));
        }
        "hashes" => {
            let length = decoder.array().unwrap().unwrap();
            assert!(length <= 64);
            (0..length).for_each(|_| value(decoder, "hash"));
        }
        "facts" | "counters" | "folders" => pairs(decoder, form),
        "usage" => {
            assert_eq!(decoder.array().unwrap(), Some(8));
            (0..8).for_each(|_| value(decoder, "uint"));
        }
        "seqs" => {
            let length = decoder.array().unwrap().unwrap();
            assert!(length <= CLOSER_SEQUENCES_MAX as u64);
            (0..length).for_each(|_| value(decoder, "seq"));
        }
        range => {
            let (low, high) = range.split_once("..").unwrap_or((range, range));
            let range = low.parse().unwrap()..=high.parse().unwrap();
            assert!(range.contains(&decoder.u64().unwrap()));
        }
    }
}

fn words(decoder: &mut Decoder<'_>) {
    if decoder.datatype().unwrap() == Type::Array {
        assert_eq!(decoder.array().unwrap(), Some(3));
        assert!(decoder.str().unwrap().len() <= 896);
        decoder.u64().unwrap();
        value(decoder, "hash");
    } else {
        assert!(decoder.str().unwrap().len() <= 896);
    }
}

fn pairs(decoder: &mut Decoder<'_>, form: &str) {
    let length = decoder.map().unwrap().unwrap();
    assert!(length <= PAIRS_MAX as u64);
    for _ in 0..length {
        assert!(decoder.str().unwrap().len() <= 64);
        let next = decoder.datatype().unwrap();
        if form == "counters" || !matches!(next, Type::Bool | Type::String | Type::Array) {
            value(decoder, "uint");
        } else if next == Type::Bool {
            decoder.bool().unwrap();
        } else {
            words(decoder);
        }
    }
}

/// A policy as it is recorded for a tool with a folder and another name than its manifest's.
#[test]
fn a_policy_with_folders_is_written_byte_for_byte() {
    let bytes = entries::break_samples()[0].encode();
    let text = hex::encode(bytes.as_bytes());
    let [set, manifest, grant] =
        [&b"capability set"[..], b"manifest", b"grant"].map(|text| hex::encode(Digest::of(text).0));
    let words = |text: &str| hex::encode(text);
    let expected = format!(
        "a9000501021819\
         6a{}18235820{set}18245820{manifest}18255820{grant}182668{}1849a165{}73{}184a67{}",
        words("word-count"),
        words("operator"),
        words("/docs"),
        words("65024:131 /srv/docs"),
        words("counter"),
    );
    assert_eq!(text, expected);
}

fn policies() -> impl Strategy<Value = Entry<'static>> {
    let folders = prop::collection::btree_map("/[a-z]{0,70}", text(), 0..5).prop_map(Pairs::new);
    let declared = prop::option::of(text());
    (digest(), digest(), digest(), text(), text(), folders, declared).prop_map(
        |(digest, manifest, grant, tool, by, folders, declared)| {
            Entry::Policy(Policy { digest, manifest, grant, tool, by, folders, declared })
        },
    )
}

/// Size and root come together.
#[test]
fn what_an_adoption_knew_is_whole_or_absent() {
    let whole = entries::break_samples().swap_remove(2).encode();
    let bytes = whole.as_bytes();
    let without_root = [&[bytes[0] - 1][..], &bytes[1..bytes.len() - 36]].concat();
    assert!(Entry::decode(&without_root).is_err());
    let size = [0x18, 71, 0x19, 0x01, 0x2c];
    let at = bytes.windows(size.len()).position(|window| window == size).unwrap();
    let without_size = [&[bytes[0] - 1][..], &bytes[1..at], &bytes[at + size.len()..]].concat();
    assert!(Entry::decode(&without_size).is_err());
    let without_both = [&[bytes[0] - 2][..], &bytes[1..at]].concat();
    assert!(matches!(Entry::decode(&without_both), Ok(Entry::Adoption(Adoption { known: None, .. }))));
}

fn breaks() -> impl Strategy<Value = Entry<'static>> {
    let known = prop::option::of((any::<u64>(), any::<[u8; 32]>()));
    let adoption = (any::<u64>(), text(), text(), any::<(u64, u64)>(), known).prop_map(
        |(time_ns, reason, by, (first, count), known)| {
            let known = known.map(|(size, root)| (TreeSize(size), RootHash(root)));
            Entry::Adoption(Adoption { time_ns, reason, by, first: LeafIndex(first), count, known })
        },
    );
    let reload = (any::<u64>(), text(), digest(), prop::option::of(text()))
        .prop_map(|(time_ns, by, policy, refused)| Entry::Reload(Reload { time_ns, by, policy, refused }));
    prop_oneof![
        reload,
        (any::<u64>(), any::<u64>(), 1..=u64::MAX).prop_map(|(time_ns, first, count)| Entry::Takeover(Takeover {
            time_ns,
            first: LeafIndex(first),
            count
        })),
        adoption,
    ]
}

fn entries() -> impl Strategy<Value = Entry<'static>> {
    prop_oneof![
        breaks(),
        (text(), text(), any::<u64>(), keys()).prop_map(|(origin, software, time_ns, key)| {
            Entry::LedgerOpened(LedgerOpened { origin, software, time_ns, key })
        }),
        policies(),
        calls(),
        intents(),
        outcomes(),
        violations(),
        call_ends(),
        (call(), prop::collection::btree_set(any::<u32>(), 0..20), any::<u64>(), text()).prop_map(
            |(call, of, left_out, reason)| {
                let of = of.into_iter().map(Sequence).collect();
                Entry::Closer(Closer { call, of, left_out, reason })
            }
        ),
        (call(), any::<u64>(), text(), prop::option::of(text()))
            .prop_map(|(call, time_ns, by, reason)| { Entry::Erasure(Erasure { call, time_ns, by, reason }) }),
        enforcements(),
        (writer(), prop::option::of(call()), "\\PC{0,20}", any::<[u64; 9]>()).prop_map(|(writer, call, thread, n)| {
            let [number, arch, instruction, arguments @ ..] = n;
            let thread = ThreadName::new(&thread);
            Entry::BlockedCall(BlockedCall { writer, call, thread, number, arch, arguments, instruction })
        }),
        (writer(), any::<u64>(), text()).prop_map(|(writer, process, text)| Entry::KernelRecord(KernelRecord {
            writer,
            process,
            text
        })),
    ]
}

fn enforcements() -> impl Strategy<Value = Entry<'static>> {
    let level = || prop_oneof![Just(Level::None), Just(Level::Partial), Just(Level::Full)];
    let policies = prop::collection::btree_set(any::<[u8; 32]>(), 0..4);
    (writer(), any::<[u64; 7]>(), level(), level(), (digest(), digest(), digest()), policies, text()).prop_map(
        |(writer, n, level, required, (ruleset, filter, plan), policies, self_test)| {
            Entry::Enforcement(Enforcement {
                writer,
                time_ns: n[0],
                level,
                required,
                landlock_abi: n[1],
                handled_fs: n[2],
                handled_net: n[3],
                scoped: n[4],
                threads: n[5],
                ruleset,
                filter,
                plan,
                policies: policies.into_iter().map(Digest).collect(),
                policies_left_out: n[6],
                self_test,
            })
        },
    )
}

fn writer() -> impl Strategy<Value = WriterId> {
    any::<[u8; 6]>().prop_map(WriterId)
}

fn calls() -> impl Strategy<Value = Entry<'static>> {
    let texts = (text(), text(), text());
    let options = prop::array::uniform7(prop::option::of(text()));
    let arguments = prop_oneof![digest().prop_map(Recorded::Salted), Just(Recorded::Nothing),];
    let digests = (digest(), arguments, digest());
    (call(), proptest::option::of(any::<[u8; 6]>()), any::<u64>(), texts, options, digests, any::<u64>()).prop_map(
        |(call, writer, time_ns, texts, options, digests, arguments_bytes)| {
            let [agent, session, claims @ ..] = options;
            let [claimed_agent, claimed_session, decision, reason, trace] = claims;
            Entry::Call(Call {
                call,
                writer: writer.map_or_else(|| call.issuer(), WriterId),
                time_ns,
                tool: texts.0,
                version: texts.1,
                component: digests.0,
                operation: texts.2,
                agent,
                session,
                claims: Claims { agent: claimed_agent, session: claimed_session, decision, reason, trace },
                arguments: digests.1,
                arguments_bytes,
                capability_set: digests.2,
            })
        },
    )
}

fn intents() -> impl Strategy<Value = Entry<'static>> {
    let fact = prop_oneof![
        text().prop_map(Fact::Text),
        any::<u64>().prop_map(Fact::Uint),
        any::<bool>().prop_map(Fact::Bool),
    ];
    let facts = prop::collection::vec(("[a-z-]{1,30}", fact), 0..8);
    let verdict = prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny)];
    let durability = prop_oneof![Just(Durability::Pipe), Just(Durability::Disk)];
    (call(), seq(), any::<u64>(), text(), facts, verdict, text(), durability).prop_map(
        |(call, seq, at_us, function, facts, verdict, rule, durability)| {
            let facts = Pairs::new(facts);
            Entry::Intent(Intent { call, seq, at_us, function, facts, verdict, rule, durability })
        },
    )
}

fn outcomes() -> impl Strategy<Value = Entry<'static>> {
    (call(), seq(), seq(), any::<u64>(), text(), any::<[u64; 3]>()).prop_map(
        |(call, seq, of, at_us, result, [bytes_read, bytes_written, calls])| {
            Entry::Outcome(Outcome { call, seq, of, at_us, result, bytes_read, bytes_written, calls })
        },
    )
}

fn violations() -> impl Strategy<Value = Entry<'static>> {
    let layer = prop_oneof![Just(Layer::Gate), Just(Layer::Kernel)];
    let action = prop_oneof![Just(Action::Kill), Just(Action::Deny)];
    (call(), seq(), seq(), any::<u64>(), (text(), text(), text()), layer, action).prop_map(
        |(call, seq, of, at_us, (function, rule, message), layer, action)| {
            Entry::Violation(Violation { call, seq, of, at_us, function, rule, layer, action, message })
        },
    )
}

fn call_ends() -> impl Strategy<Value = Entry<'static>> {
    let counters = prop::collection::vec(("[a-z/:.-]{1,60}", any::<u64>()), 0..12);
    let newer = (prop::option::of(digest()), prop::option::of(text()));
    let class = prop::sample::select(CallClass::ALL);
    let ending = (text(), class);
    (call(), seq(), any::<u64>(), ending, any::<[u64; 8]>(), counters, any::<u32>(), digest(), newer).prop_map(
        |(call, seq, at_us, (detail, class), n, counters, entries, root, (result, cap))| {
            Entry::CallEnd(CallEnd {
                call,
                seq,
                at_us,
                class,
                detail,
                usage: Usage {
                    fuel_used: n[0],
                    fuel_cap: n[1],
                    memory_peak_bytes: n[2],
                    memory_cap_bytes: n[3],
                    wall_us: n[4],
                    deadline_us: n[5],
                    output_bytes: n[6],
                    stdio_bytes: n[7],
                },
                counters: Pairs::new(counters),
                entries,
                root: RootHash(root.0),
                result,
                cap,
            })
        },
    )
}

fn keys() -> impl Strategy<Value = LedgerKey> {
    let rotation = (digest(), digest(), digest()).prop_map(|(old, first, second)| {
        let signature = |parts: [Digest; 2]| Signature(parts.map(|part| part.0).concat().try_into().unwrap());
        let (signature, old_signature) = (signature([first, second]), signature([second, first]));
        Box::new(KeyRotation { old_key: PublicKey(old.0), signature, old_signature })
    });
    (digest(), prop::option::of(rotation)).prop_map(|(key, rotated)| LedgerKey { public: PublicKey(key.0), rotated })
}

/// Mostly short, sometimes longer than an entry.
fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![8 => "\\PC{0,24}", 1 => "[a-zé]{700,1000}", 1 => "[xü]{3000,4000}"].prop_map(Text::from)
}

fn call() -> impl Strategy<Value = CallId> {
    any::<[u8; 16]>().prop_map(CallId)
}

fn seq() -> impl Strategy<Value = Sequence> {
    any::<u32>().prop_map(Sequence)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

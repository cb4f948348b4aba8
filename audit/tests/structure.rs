//! Ledgers whose frames and hashes are right but whose story is not: each flaw has its own finding.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use tollgate_audit::{
    CallClass, CallEnd, CallId, Closer, Digest, Entry, Intent, LeafIndex, Outcome, Problem, Sequence, Verdict,
    Violation, WriterId, call_root,
};
use tollgate_testing::calls::open;
use tollgate_testing::entries;
use tollgate_testing::entries::{private_samples, samples};
use tollgate_testing::ledgers::{report, tempdir};

const CALL: CallId = CallId([0xca; 16]);

#[test]
fn a_sound_call_has_no_finding() {
    let entries = [call(), intent(1, Verdict::Allow), outcome(2, 1), intent(3, Verdict::Deny), violation(4, 3)];
    assert_eq!(problems(ended(&entries)), []);
}

#[test]
fn entries_outside_a_call() {
    let call_id = CALL;
    assert_eq!(problems(vec![intent(1, Verdict::Allow)]), [Problem::CallUnknown { call: call_id }]);
    let mut after = ended(&[call()]);
    after.push(intent(2, Verdict::Allow));
    assert_eq!(problems(after), [Problem::CallEnded { call: call_id }]);
    assert_eq!(problems(vec![call(), call()]), [Problem::CallRepeated { call: call_id }]);
    assert_eq!(problems(vec![closer(&[])]), [Problem::CallUnknown { call: call_id }]);
}

#[test]
fn a_gap_in_a_call() {
    let (expected, found) = (Sequence(1), Sequence(2));
    let entries = [call(), intent(2, Verdict::Allow), outcome(3, 2)];
    assert_eq!(problems(ended(&entries)[..3].to_vec()), [Problem::SequenceBroken { call: CALL, expected, found }]);
}

#[test]
fn intents_have_exactly_one_terminal_entry() {
    let of = Sequence(1);
    let left = [call(), intent(1, Verdict::Allow)];
    assert_eq!(problems(ended(&left)), [Problem::IntentLeftOpen { call: CALL, of }]);
    let twice = [call(), intent(1, Verdict::Allow), outcome(2, 1), violation(3, 1)];
    assert_eq!(problems(ended(&twice)), [Problem::IntentNotOpen { call: CALL, of }]);
    let none = [call(), outcome(1, 7)];
    assert_eq!(problems(ended(&none)), [Problem::IntentNotOpen { call: CALL, of: Sequence(7) }]);
    let denied = [call(), intent(1, Verdict::Deny), outcome(2, 1)];
    assert_eq!(problems(ended(&denied)), [Problem::DeniedButDone { call: CALL, of }]);
}

#[test]
fn the_end_names_count_and_root() {
    let mut entries = ended(&[call(), intent(1, Verdict::Allow), outcome(2, 1)]);
    let Some(Entry::CallEnd(end)) = entries.last_mut() else { panic!("no end") };
    end.entries = 2;
    end.root.0[0] ^= 1;
    let (named, found) = (end.root, call_root(&leaves(&entries[..3])));
    assert_eq!(
        problems(entries),
        [Problem::CallCount { call: CALL, named: 2, found: 3 }, Problem::CallRoot { call: CALL, named, found },]
    );
}

#[test]
fn a_call_that_was_turned_down_has_its_first_entry_and_its_end_alone() {
    let rejected = |entries: &[Entry<'static>], result| {
        let mut entries = ended(entries);
        let Some(Entry::CallEnd(end)) = entries.last_mut() else { panic!("no end") };
        (end.class, end.result) = (CallClass::Rejected, result);
        problems(entries)
    };
    assert_eq!(rejected(&[call()], None), []);
    let did = |entries| Problem::RejectedButRan { call: CALL, entries };
    assert_eq!(rejected(&[call()], Some(Digest::of(b"a result"))), [did(1)]);
    assert_eq!(rejected(&[call(), intent(1, Verdict::Deny), violation(2, 1)], None), [did(3)]);
}

#[test]
fn a_call_that_was_cancelled_may_have_run_or_not() {
    let cancelled = |entries: &[Entry<'static>], result| {
        let mut entries = ended(entries);
        let Some(Entry::CallEnd(end)) = entries.last_mut() else { panic!("no end") };
        (end.class, end.result) = (CallClass::Cancelled, result);
        problems(entries)
    };
    assert_eq!(cancelled(&[call()], None), []);
    let ran = [call(), intent(1, Verdict::Allow), outcome(2, 1)];
    assert_eq!(cancelled(&ran, None), []);
    assert_eq!(cancelled(&ran, Some(Digest::of(b"a result"))), []);
    let left = Problem::IntentLeftOpen { call: CALL, of: Sequence(1) };
    assert_eq!(cancelled(&ran[..2], None), [left], "it is closed in order");
}

#[test]
fn a_policy_is_read_again_whenever_the_daemon_does() {
    let [_, _, reload, refused] = entries::daemon_samples().try_into().unwrap();
    let within = [call(), reload.clone(), intent(1, Verdict::Allow), refused.clone(), outcome(2, 1)];
    let sound = ended(&[call(), intent(1, Verdict::Allow), outcome(2, 1)]);
    let all = [&within[..], &sound[3..], &[refused, reload]].concat();
    assert_eq!(problems(all), [], "it stands outside the sequence and the tree of any call");
}

#[test]
fn a_closer_names_the_open_intents() {
    let open = [call(), intent(1, Verdict::Allow), intent(2, Verdict::Allow)];
    assert_eq!(problems([&open[..], &[closer(&[1, 2])]].concat()), []);
    assert_eq!(problems([&open[..], &[closer(&[1])]].concat()), [Problem::CloserList { call: CALL }]);
}

/// A number that came twice, and numbers that fall: what was wrong is found, and the closer that follows is not.
#[test]
fn the_closer_of_a_senseless_call_fits() {
    let dir = tempdir().unwrap();
    append(dir.path(), &[call(), intent(2, Verdict::Allow), intent(1, Verdict::Allow), intent(1, Verdict::Allow)]);
    assert_eq!(open(dir.path()).recovery().closed_calls, [CALL]);
    let report = report(dir.path());
    let broken = |problem: &Problem| matches!(problem, Problem::SequenceBroken { .. });
    assert!(report.findings.iter().all(|finding| broken(&finding.problem)), "{:?}", report.findings);
    assert_eq!((report.findings.len(), report.open_calls.len()), (3, 0));
}

#[test]
fn texts_of_any_call_are_erased_at_any_time() {
    let erasure = private_samples().swap_remove(4);
    assert_eq!(problems(vec![erasure.clone()]), [], "its worker died before its first entry");
    let mut entries = vec![call(), intent(1, Verdict::Allow), outcome(2, 1)];
    entries = ended(&entries);
    entries.insert(2, erasure.clone());
    assert_eq!(problems([&entries[..], &[erasure.clone(), erasure.clone()]].concat()), [], "as often as anybody asks");
    assert_eq!(problems(vec![call(), closer(&[]), erasure]), []);
}

#[test]
fn a_writer_says_once_and_first_what_confines_it() {
    let writer = CALL.issuer();
    let confined = || Entry::Enforcement(entries::enforcement(writer));
    let calls = ended(&[call()]);
    assert_eq!(problems([&[confined()][..], &calls].concat()), []);
    assert_eq!(problems([&[confined(), confined()][..], &calls].concat()), [Problem::EnforcementRepeated { writer }]);
    assert_eq!(problems([&calls[..], &[confined()]].concat()), [Problem::EnforcementLate { writer }]);
    let other = Entry::Enforcement(entries::enforcement(WriterId([1; 6])));
    assert_eq!(problems([&calls[..], &[other]].concat()), [], "of another writer");
}

#[test]
fn a_blocked_call_is_of_an_open_call_or_of_none() {
    let writer = CALL.issuer();
    let blocked = |writer, call| Entry::BlockedCall(entries::blocked(writer, call));
    let record = entries::writer_samples().swap_remove(2);
    let while_open =
        [call(), intent(1, Verdict::Allow), blocked(writer, Some(CALL)), outcome(2, 1), blocked(writer, None)];
    let with_closer = [&while_open[..], &[record, closer(&[])]].concat();
    assert_eq!(problems(with_closer), [], "outside the call's own sequence");
    assert_eq!(problems(vec![blocked(writer, Some(CALL))]), [Problem::CallUnknown { call: CALL }]);
    let after = [&ended(&[call()])[..], &[blocked(writer, Some(CALL))]].concat();
    assert_eq!(problems(after), [Problem::CallEnded { call: CALL }]);
    let other = WriterId([1; 6]);
    let named = [call(), blocked(other, Some(CALL)), closer(&[])];
    assert_eq!(problems(named.to_vec()), [Problem::BlockedCallOfAnother { writer: other, call: CALL }]);
}

#[test]
fn the_ledger_keeps_its_origin() {
    let mut opened = samples().swap_remove(0);
    let Entry::LedgerOpened(entry) = &mut opened else { panic!("not opened") };
    entry.origin = "example.com/other".into();
    let signature = Problem::CheckpointSignature { reason: "no signature by a known key".to_owned() };
    assert_eq!(problems(vec![opened]), [Problem::OriginChanged, Problem::KeyChanged, signature]);
}

#[test]
fn a_finding_says_where() {
    let dir = tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.append(&[intent(1, Verdict::Allow).encode()]).unwrap();
    let report = report(dir.path());
    let finding = &report.findings[0];
    assert_eq!(finding.index, LeafIndex(1));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["problem"], "call-unknown");
    assert_eq!(json["findings"][0]["call"], CALL.to_string());
    assert_eq!(json["findings"][0]["offset"], finding.offset);
}

#[test]
fn many_findings_are_counted() {
    let entries = vec![intent(1, Verdict::Allow); 1005];
    let dir = tempdir().unwrap();
    append(dir.path(), &entries);
    let report = report(dir.path());
    assert_eq!((report.findings.len(), report.findings_left_out), (1000, 5));
}

fn problems(entries: Vec<Entry<'static>>) -> Vec<Problem> {
    let dir = tempdir().unwrap();
    append(dir.path(), &entries);
    report(dir.path()).findings.into_iter().map(|finding| finding.problem).collect()
}

fn append(dir: &std::path::Path, entries: &[Entry<'_>]) {
    let encoded: Vec<_> = entries.iter().map(Entry::encode).collect();
    open(dir).append(&encoded).unwrap();
}

fn leaves(entries: &[Entry<'_>]) -> Vec<tollgate_audit::LeafHash> {
    entries.iter().map(|entry| entry.encode().leaf()).collect()
}

/// `entries` and the end that fits them.
fn ended(entries: &[Entry<'static>]) -> Vec<Entry<'static>> {
    let end = entries::call_ended();
    let count = u32::try_from(entries.len()).unwrap();
    let root = call_root(&leaves(entries));
    let end = CallEnd { seq: Sequence(count), entries: count, root, ..end };
    [entries, &[Entry::CallEnd(end)]].concat()
}

fn call() -> Entry<'static> {
    samples().swap_remove(2)
}

fn intent(seq: u32, verdict: Verdict) -> Entry<'static> {
    let intent = entries::intent();
    Entry::Intent(Intent { seq: Sequence(seq), verdict, ..intent })
}

fn outcome(seq: u32, of: u32) -> Entry<'static> {
    let outcome = entries::outcome();
    Entry::Outcome(Outcome { seq: Sequence(seq), of: Sequence(of), ..outcome })
}

fn violation(seq: u32, of: u32) -> Entry<'static> {
    let violation = entries::violation();
    Entry::Violation(Violation { seq: Sequence(seq), of: Sequence(of), ..violation })
}

fn closer(of: &[u32]) -> Entry<'static> {
    let of = of.iter().copied().map(Sequence).collect();
    Entry::Closer(Closer { call: CALL, of, left_out: 0, reason: "test".into() })
}

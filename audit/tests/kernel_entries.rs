//! The entries about writers: each has one form, and fits.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use tollgate_audit::{
    DecodeError, Digest, ENFORCEMENT_POLICIES_MAX, ENTRY_BYTES_MAX, Enforcement, Entry, KernelRecord, Text,
};
use tollgate_testing::entries;

/// Nothing but its one form is read of the kinds that writers write.
#[test]
fn the_kinds_of_writers_have_one_form() {
    let [enforcement, blocked, _record] = entries::writer_samples().try_into().unwrap();
    let Entry::Enforcement(enforcement) = enforcement else { panic!("no enforcement") };
    let bytes = Entry::Enforcement(enforcement.clone()).encode().as_bytes().to_vec();
    let [low, high] = [enforcement.policies[0].0, enforcement.policies[1].0];
    let place = bytes.windows(32).position(|window| window == low).unwrap();
    let mut swapped = bytes.clone();
    swapped[place..place + 32].copy_from_slice(&high);
    let error = Entry::decode(&swapped).unwrap_err();
    assert!(matches!(error, DecodeError::Value { field: "order of capability sets", .. }), "{error}");
    let level = bytes.windows(3).position(|window| window == [0x18, 50, 1]).unwrap();
    let mut unknown = bytes;
    unknown[level + 2] = 3;
    assert!(matches!(Entry::decode(&unknown), Err(DecodeError::Value { field: "level", .. })));

    let Entry::BlockedCall(blocked) = blocked else { panic!("no blocked call") };
    let bytes = Entry::BlockedCall(blocked).encode().as_bytes().to_vec();
    let place = bytes.windows(8).position(|window| window == b"worker-1").unwrap();
    let long = [&bytes[..place - 1], &[0x70], &b"worker-123456789"[..], &bytes[place + 8..]].concat();
    assert!(matches!(Entry::decode(&long), Err(DecodeError::Value { field: "thread", .. })));
}

#[test]
fn the_largest_enforcement_fits() {
    let policies = (0..1000_u32).rev().map(|n| Digest::of(&n.to_be_bytes())).collect();
    let enforcement = entries::enforcement(entries::SAMPLE_CALL.issuer());
    let enforcement = Enforcement {
        policies,
        policies_left_out: 5,
        time_ns: u64::MAX,
        landlock_abi: u64::MAX,
        handled_fs: u64::MAX,
        handled_net: u64::MAX,
        scoped: u64::MAX,
        threads: u64::MAX,
        self_test: long(),
        ..enforcement
    };
    let bytes = fitting(&Entry::Enforcement(enforcement));
    let Ok(Entry::Enforcement(read)) = Entry::decode(&bytes) else { panic!("not an enforcement") };
    assert_eq!((read.policies.len(), read.policies_left_out), (ENFORCEMENT_POLICIES_MAX, 5 + 1000 - 64));
    assert!(read.policies.is_sorted());
    let record = KernelRecord { writer: entries::SAMPLE_CALL.issuer(), process: u64::MAX, text: long() };
    fitting(&Entry::KernelRecord(record));
}

fn long() -> Text<'static> {
    "x".repeat(100_000).into()
}

fn fitting(entry: &Entry<'_>) -> Vec<u8> {
    let bytes = entry.encode().as_bytes().to_vec();
    assert!(bytes.len() <= ENTRY_BYTES_MAX, "{}", entry.kind());
    bytes
}

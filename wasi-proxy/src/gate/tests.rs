//! What a call may add to the ledger, and what it takes off a write quota.

use std::path::Path;
use std::sync::Arc;

use tollgate_capability::{
    Access, Call, Cap, CapabilitySet, FileId, FsCall, FsCapability, FsPath, GrantIndex, INODE_CHARGE_BYTES, Limits,
    NAME_CHARGE_BYTES, Target,
};
use tollgate_notary::{CallTrail, Room};

use super::{Gate, Refused};
use tollgate_testing::forgets::{Forgets, start};

fn gate(limits: Limits, write_quota: u64) -> Gate {
    gate_over(Path::new("/srv/docs"), limits, write_quota)
}

/// A gate over a folder of the host with all rights, under these limits.
pub(crate) fn gate_over(host: &Path, limits: Limits, write_quota: u64) -> Gate {
    let fs = FsCapability { write_quota, ..FsCapability::new("/docs", host, Access::ALL.into_iter().collect()) };
    let set = CapabilitySet { fs: vec![fs], limits, ..CapabilitySet::default() };
    let start = start(Room { entries: limits.records, bytes: limits.record_bytes });
    Gate::new(Arc::new(set), CallTrail::begin(Arc::new(Forgets), start))
}

fn at(asked: &str) -> FsPath {
    FsPath::new(GrantIndex(0), "", asked.to_owned())
}

fn allowed(gate: &mut Gate, call: Call, result: &str) {
    let spent = gate.admit(call).unwrap().spend();
    gate.settle(spent, result);
}

/// What a tool may record that nobody gives another cap: a hundred thousand calls on long paths.
#[test]
fn a_hundred_thousand_host_calls_fit_the_defaults_and_not_one_more() {
    let mut gate = gate(Limits::DEFAULT, 0);
    let id = FileId { device: u64::MAX, inode: u64::MAX };
    let path = at(&("a-folder/".repeat(25) + "file.txt"));
    let call = Call::Fs(FsCall::StatAt { path, target: Target::File { id, links: 1 } });
    for _call in 0..100_000 {
        allowed(&mut gate, call.clone(), "ok");
    }
    let refused = gate.admit(call).unwrap_err();
    assert!(matches!(refused, Refused::RecordsFull { cap: Cap::Records, asked: 200_002, limit: 200_000, .. }));
}

#[test]
fn what_is_not_recorded_takes_no_room_in_the_ledger() {
    let mut gate = gate(Limits { records: 0, record_bytes: 0, ..Limits::DEFAULT }, 0);
    let hash = Call::Fs(FsCall::MetadataHashAt { path: at("a"), target: Target::Absent });
    allowed(&mut gate, hash, "ok");
    let full = gate.admit(Call::Fs(FsCall::ReadlinkAt { path: at("a"), target: Target::Absent })).unwrap_err();
    assert!(matches!(full, Refused::RecordsFull { cap: Cap::Records, asked: 2, limit: 0, .. }));
}

#[test]
fn a_quota_is_charged_for_a_name_before_its_effect_and_given_back_if_there_was_none() {
    let cost = INODE_CHARGE_BYTES + NAME_CHARGE_BYTES + 3;
    let mut gate = gate(Limits::DEFAULT, 2 * cost);
    let folder = |gate: &Gate| {
        Call::Fs(FsCall::CreateDirectoryAt {
            path: at("new"),
            target: Target::Absent,
            quota_left: gate.quota_left(GrantIndex(0)),
        })
    };
    let call = folder(&gate);
    let spent = gate.admit(call).unwrap().spend();
    assert_eq!(gate.quota_left(GrantIndex(0)), cost);
    gate.give_back(&spent);
    gate.settle(spent, "exist");
    assert_eq!(gate.quota_left(GrantIndex(0)), 2 * cost);
    for left in [cost, 0] {
        let call = folder(&gate);
        allowed(&mut gate, call, "ok");
        assert_eq!(gate.quota_left(GrantIndex(0)), left);
    }
    let call = folder(&gate);
    let Refused::Killed(violation) = gate.admit(call).unwrap_err() else { panic!("a denial") };
    assert_eq!(violation.rule, "fs:/docs:quota");
}

//! What a writer writes into its pipe, as the notary takes it.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_audit::{
    CallClass, CallId, Entry, LeafHash, Sequence, Verdict, VerifyOptions, WriterId, call_root, leaf_hash, verify_with,
};
use tollgate_ledger::Ledger;
use tollgate_notary::{Intake, Lease, WriterFault, WriterKind};
use tollgate_testing::ledgers::key_file;

use crate::folder::Folder;
use crate::frames::{first, frame, frames, with_checks_mended};
use crate::sample::{KEY_SEED, ORIGIN};

/// The writer that the bytes come from.
pub const WRITER: WriterId = WriterId([7; 6]);

/// What is taken are the first whole frames, each with an entry that this writer may write and that goes on with what it
/// wrote before; the frame after them is refused for what is wrong with it. In two pieces, cut anywhere, the same is
/// taken. Behind the opening of a ledger it verifies, but for calls that are left open, and these are closed when the
/// ledger is opened again.
///
/// Once with the bytes as they are, and once with checks that fit, which no mutation would find.
pub fn writer_frames(bytes: &[u8]) {
    stream(bytes);
    let mended = with_checks_mended(bytes);
    if mended != bytes {
        stream(&mended);
    }
}

fn stream(bytes: &[u8]) {
    let taken = Taken::whole(bytes);
    let (whole, end) = frames(bytes);
    let entries = &whole[..taken.entries.len()];
    assert_eq!(taken.entries, entries, "the first whole frames");
    assert_eq!(taken.used, entries.iter().map(|entry| frame(entry).len()).sum::<usize>());
    let mut writer = Writer::default();
    for (entry, end) in entries.iter().zip(&taken.ends) {
        let entry = Entry::decode(entry).expect("an entry");
        assert_eq!(writer.refuses(&entry), None, "{entry:?}");
        assert_eq!(*end, if let Entry::CallEnd(end) = &entry { Some(end.call) } else { None });
        writer.write(&entry);
    }
    match (whole.get(entries.len()), &taken.fault) {
        (None, None) => assert!(may_go_on(&bytes[end..]), "bytes that are no frame"),
        (None, Some(WriterFault::BadFrame)) => assert!(!may_go_on(&bytes[end..]), "a frame that has not all come"),
        (Some(entry), Some(fault)) => match Entry::decode(entry) {
            Err(_) => assert!(matches!(fault, WriterFault::NotAnEntry(_)), "{fault}"),
            Ok(entry) => assert_eq!(writer.refuses(&entry), Some(kind(fault)), "{entry:?}"),
        },
        (next, fault) => panic!("{fault:?} at {next:?}"),
    }
    cuts(bytes).for_each(|cut| in_two_pieces(bytes, cut, &taken));
    if !entries.is_empty() {
        in_a_ledger(entries, &writer);
    }
}

#[derive(Debug)]
struct Taken<'b> {
    used: usize,
    entries: Vec<&'b [u8]>,
    leaves: Vec<LeafHash>,
    ends: Vec<Option<CallId>>,
    fault: Option<WriterFault>,
}

impl<'b> Taken<'b> {
    fn whole(bytes: &'b [u8]) -> Self {
        let mut taken = Self { used: 0, entries: Vec::new(), leaves: Vec::new(), ends: Vec::new(), fault: None };
        taken.take(&mut Intake::new(WRITER, WriterKind::Worker, &[Lease::own(WRITER)]), bytes);
        taken
    }

    fn take(&mut self, intake: &mut Intake, bytes: &'b [u8]) {
        let (used, fault) = intake.take(bytes, |taken| {
            assert_eq!(taken.leaf, leaf_hash(taken.entry));
            self.entries.push(taken.entry);
            self.leaves.push(taken.leaf);
            self.ends.push(taken.ends);
        });
        self.used += used;
        self.fault = fault;
    }
}

fn in_two_pieces(bytes: &[u8], cut: usize, whole: &Taken<'_>) {
    let mut intake = Intake::new(WRITER, WriterKind::Worker, &[Lease::own(WRITER)]);
    let mut pieces = Taken { used: 0, entries: Vec::new(), leaves: Vec::new(), ends: Vec::new(), fault: None };
    pieces.take(&mut intake, &bytes[..cut]);
    if pieces.fault.is_none() {
        // What is not used stays in the pipe.
        pieces.take(&mut intake, &bytes[pieces.used..]);
    }
    assert_eq!(format!("{pieces:?}"), format!("{whole:?}"), "cut at {cut}");
}

/// Every place in few bytes, some places in many: others with every change of them.
fn cuts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let all = if bytes.len() <= 64 { bytes.len() } else { 0 };
    let seed = leaf_hash(bytes).0;
    let some = seed.as_chunks::<2>().0.iter().map(|pair| usize::from(u16::from_be_bytes(*pair)) % (bytes.len() + 1));
    (0..=all).chain(some.take(CUTS).collect::<Vec<_>>())
}

/// Whether more bytes can make a frame of these, which are none yet.
fn may_go_on(bytes: &[u8]) -> bool {
    match bytes.split_first_chunk() {
        None => true,
        Some((length, _)) => u16::from_be_bytes(*length) > 0 && !is_too_long(*length) && first(bytes).is_none(),
    }
}

fn is_too_long(length: [u8; 2]) -> bool {
    usize::from(u16::from_be_bytes(length)) > tollgate_audit::ENTRY_BYTES_MAX
}

fn in_a_ledger(entries: &[&[u8]], writer: &Writer) {
    let key = key_file(ORIGIN, KEY_SEED).into_bytes();
    let folder = Folder::with(&[("ledger.key".to_owned(), key)].into());
    let key = folder.ledger().with_extension("key");
    // A new ledger gets the key that is there.
    let open = |now_ns| {
        Ledger::open_with_key(&folder.ledger(), &key, ORIGIN, "tollgate-fuzz", now_ns).expect("a sound ledger")
    };
    let ledger = open(1);
    let encoded: Vec<_> = entries.iter().map(|entry| Entry::decode(entry).expect("an entry").encode()).collect();
    ledger.append(&encoded).expect("room");
    let options = VerifyOptions { expected: None, key: Some(ledger.verifier_key()) };
    drop(ledger);
    let report = verify_with(&folder.ledger(), &options).expect("a ledger to read");
    assert!(report.is_clean(), "{:?}", report.findings);
    let left: BTreeSet<_> = writer.open.keys().copied().collect();
    assert_eq!(report.open_calls.iter().copied().collect::<BTreeSet<_>>(), left);

    let closed = open(2).recovery().closed_calls.clone();
    assert_eq!(closed, report.open_calls);
    let after = verify_with(&folder.ledger(), &options).expect("a ledger to read");
    assert!(after.is_clean() && after.open_calls.is_empty(), "{:?}", after.findings);
}

/// What a writer has written so far, followed a second time and on its own.
#[derive(Default)]
struct Writer {
    open: BTreeMap<CallId, OpenCall>,
    counts: BTreeSet<u32>,
    has_begun: bool,
}

#[derive(Default)]
struct OpenCall {
    leaves: Vec<LeafHash>,
    intents: BTreeMap<Sequence, Verdict>,
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Kind,
    OtherWriter,
    OtherCall,
    Repeated,
    Senseless,
}

impl Writer {
    /// Why it may not write `entry` now.
    fn refuses(&self, entry: &Entry<'_>) -> Option<Refused> {
        if let Entry::LedgerOpened(_)
        | Entry::Closer(_)
        | Entry::Erasure(_)
        | Entry::KernelRecord(_)
        | Entry::Takeover(_)
        | Entry::Adoption(_)
        | Entry::Reload(_) = entry
        {
            return Some(Refused::Kind);
        }
        if entry.writer().is_some_and(|writer| writer != WRITER) {
            return Some(Refused::OtherWriter);
        }
        // An embedder's own process may name every call with its id but the last.
        let is_own = |call: CallId| call.0[6..12] == WRITER.0 && call.0[12..] != [0xff; 4];
        if entry.call().is_some_and(|call| !is_own(call)) {
            return Some(Refused::OtherCall);
        }
        let fits = |call: &CallId, seq: Sequence, fits: &dyn Fn(&OpenCall) -> bool| {
            let state = self.open.get(call).filter(|state| state.leaves.len() == seq.0 as usize);
            if state.is_some_and(fits) { None } else { Some(Refused::Senseless) }
        };
        match entry {
            Entry::LedgerOpened(_)
            | Entry::Closer(_)
            | Entry::Erasure(_)
            | Entry::KernelRecord(_)
            | Entry::Takeover(_)
            | Entry::Adoption(_)
            | Entry::Reload(_) => Some(Refused::Kind),
            Entry::Policy(_) => None,
            Entry::Enforcement(_) => self.has_begun.then_some(Refused::Senseless),
            Entry::BlockedCall(entry) => {
                entry.call.is_some_and(|call| !self.open.contains_key(&call)).then_some(Refused::Senseless)
            }
            Entry::Call(entry) => {
                let (count, highest) = (entry.call.count(), self.counts.last());
                let too_late = highest.is_some_and(|highest| u64::from(count) + COUNTS_KNOWN <= u64::from(*highest));
                (too_late || self.counts.contains(&count)).then_some(Refused::Repeated)
            }
            Entry::Intent(entry) => fits(&entry.call, entry.seq, &|_| true),
            Entry::Outcome(entry) => {
                fits(&entry.call, entry.seq, &|call| call.intents.get(&entry.of) == Some(&Verdict::Allow))
            }
            Entry::Violation(entry) => fits(&entry.call, entry.seq, &|call| call.intents.contains_key(&entry.of)),
            Entry::CallEnd(entry) => fits(&entry.call, entry.seq, &|call| {
                let is_bare = call.leaves.len() == 1 && entry.result.is_none() && entry.cap.is_none();
                entry.entries == entry.seq.0
                    && call.intents.is_empty()
                    && entry.root == call_root(&call.leaves)
                    && (entry.class != CallClass::Rejected || is_bare)
            }),
        }
    }

    fn write(&mut self, entry: &Entry<'_>) {
        self.has_begun |= matches!(entry, Entry::Enforcement(_) | Entry::Call(_));
        let Some(call) = entry.call() else { return };
        // It stands outside the call's sequence and tree.
        if let Entry::BlockedCall(_) = entry {
            return;
        }
        if let Entry::CallEnd(_) = entry {
            self.open.remove(&call);
            return;
        }
        self.counts.insert(call.count());
        let state = self.open.entry(call).or_default();
        state.leaves.push(entry.encode().leaf());
        match entry {
            Entry::Intent(entry) => drop(state.intents.insert(entry.seq, entry.verdict)),
            Entry::Outcome(entry) => drop(state.intents.remove(&entry.of)),
            Entry::Violation(entry) => drop(state.intents.remove(&entry.of)),
            Entry::LedgerOpened(_)
            | Entry::Policy(_)
            | Entry::Call(_)
            | Entry::CallEnd(_)
            | Entry::Closer(_)
            | Entry::Erasure(_)
            | Entry::Enforcement(_)
            | Entry::BlockedCall(_)
            | Entry::KernelRecord(_)
            | Entry::Takeover(_)
            | Entry::Adoption(_)
            | Entry::Reload(_) => {}
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum may grow")]
fn kind(fault: &WriterFault) -> Refused {
    match fault {
        WriterFault::NotItsKind { .. } => Refused::Kind,
        WriterFault::OtherWriter { .. } => Refused::OtherWriter,
        WriterFault::OtherCall { .. } => Refused::OtherCall,
        WriterFault::Repeated { .. } => Refused::Repeated,
        WriterFault::Senseless(_) => Refused::Senseless,
        other => panic!("{other} within so few bytes"),
    }
}

const CUTS: usize = 8;

/// So many numbers up to the highest may come out of order.
const COUNTS_KNOWN: u64 = 1 << 14;

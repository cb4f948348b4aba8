//! Bytes as the journal of a ledger whose writer died before it signed anything: reading, verifying, recovering.

use tollgate_audit::{
    Entry, Finding, Frontier, LedgerOpened, PublicKey, ReadError, SigningKey, TreeSize, VerifyOptions, leaf_hash, read,
    verify, verify_with,
};
use tollgate_ledger::{Ledger, Recovery};
use tollgate_testing::ledgers::{key_file, state_file};

use crate::folder::Folder;
use crate::frames::{frames, is_older, with_checks_mended};
use crate::sample::{ORIGIN, seed_of};

/// Reading, verifying and opening agree on what the journal holds. It opens exactly if every frame before its end can
/// be read, it makes sense, and it says whose it is; then it loses nothing but an unfinished frame, says what it took
/// over, has no open calls, opens again, and verifies. If it does not open, no byte of it has changed. One of an older format is
/// neither read, verified nor opened.
///
/// Once with the bytes as they are, and once with checks that fit, which no mutation would find.
pub fn journal(bytes: &[u8]) {
    ledger_of(bytes);
    let mended = with_checks_mended(bytes);
    if mended != bytes {
        ledger_of(&mended);
    }
}

fn ledger_of(journal: &[u8]) {
    let folder = Folder::with(&[(JOURNAL.to_owned(), journal.to_vec())].into());
    let (entries, end) = frames(journal);
    if is_older(&entries) {
        return refused(&folder, journal);
    }
    let decoded: Vec<_> = entries.iter().map(|entry| Entry::decode(entry).ok()).collect();
    let before = verify(&folder.ledger(), None).expect("a journal to read");
    let corrupt = read_alike(&folder, &decoded);
    assert_eq!((before.size.0, before.journal_bytes), (entries.len() as u64, end as u64));
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.append(leaf_hash(entry)));
    assert_eq!(before.root, tree.root());
    let torn = before.findings.iter().any(|finding| is(finding, "TornTail"));
    if before.findings_left_out == 0 {
        assert_eq!(corrupt, before.findings.iter().any(|finding| is(finding, "CorruptFrame")));
        assert_eq!(end < journal.len(), corrupt || torn, "what is left is named");
        assert!(!(corrupt && torn), "once");
    }

    let origin = before.origin.clone().unwrap_or_else(|| ORIGIN.to_owned());
    let named = decoded.iter().flatten().filter_map(named_key).next_back();
    let seed = named.and_then(seed_of);
    let names_a_ledger = SigningKey::from_seed(&origin, &[0; 32]).is_ok();
    if let Some(seed) = seed.filter(|_| names_a_ledger) {
        folder.write("ledger.key", key_file(&origin, seed).as_bytes());
        folder.write("ledger.state", &state_file(&origin, TreeSize(0), Frontier::new().root(), "open"));
    }
    let whose = names_a_ledger && (entries.is_empty() || before.origin.is_some()) && seed.is_some() == named.is_some();
    // Of nothing at all, only that is wrong which opening mends.
    let senseless = before.size.0 > 0 && before.findings.iter().any(|finding| !is(finding, "TornTail"));
    let sound = whose && !corrupt && !senseless && decoded.iter().all(Option::is_some);
    match Ledger::open(&folder.ledger(), &origin, "tollgate-fuzz", 1) {
        Err(error) => {
            assert!(!sound, "{error:?}");
            assert_eq!(folder.files()[JOURNAL], journal, "{error:?}");
        }
        Ok(ledger) => {
            assert!(sound);
            let lost = (journal.len() - end) as u64;
            assert_eq!((ledger.recovery().torn_bytes, &ledger.recovery().closed_calls), (lost, &before.open_calls));
            assert_eq!(ledger.recovery().taken_over, entries.len() as u64);
            let takeover = usize::from(!entries.is_empty());
            assert_eq!(ledger.size().0, (entries.len() + takeover + 1 + before.open_calls.len()) as u64);
            opened(ledger, &folder, &journal[..end]);
        }
    }
}

/// A ledger of an older format is refused, and stays as it is.
fn refused(folder: &Folder, journal: &[u8]) {
    assert!(read(&folder.ledger()).is_err());
    assert!(verify(&folder.ledger(), None).is_err());
    assert!(Ledger::open(&folder.ledger(), ORIGIN, "tollgate-fuzz", 1).is_err());
    assert_eq!(folder.files(), [(JOURNAL.to_owned(), journal.to_vec())].into());
}

/// Reads the entries and compares them; whether there is a corrupt frame after them.
fn read_alike(folder: &Folder, decoded: &[Option<Entry<'_>>]) -> bool {
    let mut items = read(&folder.ledger()).expect("a journal to read");
    for (place, expected) in (0..).zip(decoded) {
        match (items.next().expect("as many entries"), expected) {
            (Ok((index, entry)), Some(expected)) => assert_eq!((index.0, &entry), (place, expected)),
            (Err(ReadError::NotAnEntry { index, .. }), None) => assert_eq!(index.0, place),
            (found, expected) => panic!("{found:?} where {expected:?} is"),
        }
    }
    match items.next() {
        None => false,
        Some(Err(ReadError::Corrupt(corrupt))) => {
            assert_eq!(corrupt.index.0, decoded.len() as u64);
            assert!(items.next().is_none(), "nothing after a corrupt frame");
            true
        }
        Some(other) => panic!("{other:?} after the last entry"),
    }
}

fn opened(ledger: Ledger, folder: &Folder, whole: &[u8]) {
    let (key, origin) = (ledger.verifier_key(), ledger.origin().to_owned());
    // Signs a checkpoint.
    drop(ledger);
    assert!(folder.files()[JOURNAL].starts_with(whole), "an entry is lost or changed");
    let options = VerifyOptions { expected: None, key: Some(key.clone()) };
    let after = verify_with(&folder.ledger(), &options).expect("a ledger to read");
    assert!(after.is_clean(), "{:?}", after.findings);
    assert_eq!(after.open_calls, []);
    assert_eq!(after.signed_by, Some(key));
    let signed = after.checkpoint.expect("a checkpoint");
    assert_eq!((signed.size, signed.root), (after.size, after.root));

    let again = Ledger::open(&folder.ledger(), &origin, "tollgate-fuzz", 2).expect("a ledger that was opened");
    assert_eq!(*again.recovery(), Recovery::default());
}

fn named_key(entry: &Entry<'_>) -> Option<PublicKey> {
    let Entry::LedgerOpened(LedgerOpened { key, .. }) = entry else { return None };
    Some(key.public)
}

fn is(finding: &Finding, problem: &str) -> bool {
    format!("{:?}", finding.problem).starts_with(problem)
}

const JOURNAL: &str = "ledger/journal";

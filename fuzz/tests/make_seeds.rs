//! Makes the seeds that come of ledgers: `cargo test -p tollgate-fuzz --test make_seeds -- --ignored`. Those of
//! manifests and policies are written by hand.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::path::Path;

use tollgate_audit::{
    CallId, Checkpoint, Disclosure, Entry, KeyId, LeafIndex, NoteSignature, Receipt, RootHash, Sequence, SignedNote,
    SigningKey, TileKind, TilePath, TreeSize, disclose, prove,
};
use tollgate_fuzz::{
    Folder, KEY_SEED, ORIGIN, STEP_BYTES, WRITER, adoption, blocked, call, cancelled, enforcement, erasure, frame,
    kernel_record, opened, policy, rejected, reload, rotated, sample, side_store_of, takeover,
};

const ODD: CallId = CallId([1; 16]);
const EVEN: CallId = CallId([2; 16]);

#[test]
#[ignore = "writes into the sources"]
fn make_seeds() {
    entries();
    journals();
    ledgers();
    writer_frames();
    side_stores();
    checkpoints_and_notes();
    receipts();
    names();
}

fn entries() {
    let mut all = vec![opened(KEY_SEED), rotated(KEY_SEED, [2; 32]), policy()];
    all.extend(call(ODD, 1, true));
    all.extend(call(EVEN, 1, true));
    all.push(erasure(EVEN));
    all.extend([enforcement(WRITER), blocked(WRITER, Some(EVEN)), kernel_record(WRITER)]);
    all.extend([takeover(5, 3), adoption(5, 3, Some(300))]);
    for entry in &all {
        let entry_read = Entry::decode(entry).unwrap();
        // The second call has more in each entry than the first.
        let more = if entry_read.call() == Some(EVEN) { "-full" } else { "" };
        write("entry", &format!("{}{more}", entry_read.kind()), entry);
    }
    write("entry", "call-end-rejected", &rejected(ODD, false)[1]);
    let [proven, end] = cancelled(ODD).try_into().unwrap();
    write("entry", "call-proven", &proven);
    write("entry", "call-end-cancelled", &end);
    write("entry", "reload", &reload(false));
    write("entry", "reload-refused", &reload(true));
    write("entry", "blocked-call-outside-calls", &blocked(WRITER, None));
    write("entry", "adoption-without-memory", &adoption(0, 0, None));
    let [intent, allowed] = [1, 3].map(|place| Entry::decode_owned(&all[3 + place]).unwrap());
    let (Entry::Intent(mut long), Entry::Intent(mut bare)) = (intent, allowed) else { panic!("intents") };
    long.rule = "r".repeat(5000).into();
    long.function = "é".repeat(700).into();
    write("entry", "intent-cut", Entry::Intent(long).encode().as_bytes());
    bare.facts = tollgate_audit::Pairs::new((0..70).map(|n| (format!("fact-{n}"), tollgate_audit::Fact::Uint(n))));
    write("entry", "intent-many-facts", Entry::Intent(bare).encode().as_bytes());
    let closer = |of: Vec<Sequence>, left_out| {
        let call = CallId([7; 16]);
        Entry::Closer(tollgate_audit::Closer { call, of, left_out, reason: "the host died".into() })
    };
    write("entry", "closer", closer(vec![Sequence(1), Sequence(300)], 0).encode().as_bytes());
    write("entry", "closer-empty", closer(Vec::new(), 0).encode().as_bytes());
    write("entry", "closer-full", closer((1..=512).map(Sequence).collect(), 9).encode().as_bytes());
}

fn journals() {
    let key = || opened(KEY_SEED);
    let one = |entries: &[Vec<u8>]| entries.iter().flat_map(|entry| frame(entry)).collect::<Vec<u8>>();
    let ended = call(ODD, 1, true);
    write("journal", "empty", b"");
    let mut older = key();
    older[2] = 2;
    write("journal", "older-format", &one(&[older.clone(), policy()]));
    write("journal", "older-entry", &one(&[key(), older, policy()]));
    write("journal", "opened", &one(&[key()]));
    write("journal", "opened-twice", &one(&[key(), key(), policy()]));
    write("journal", "call", &one(&[vec![key()], ended.clone()].concat()));
    write("journal", "call-open", &one(&[vec![key()], call(ODD, 2, false)].concat()));
    write("journal", "call-without-asking", &one(&[vec![key()], call(ODD, 0, true)].concat()));
    let mut between = call(ODD, 2, false);
    between.extend(call(EVEN, 1, false));
    write("journal", "calls-open", &one(&[vec![key()], between].concat()));
    write("journal", "call-rejected", &one(&[vec![key()], rejected(ODD, false)].concat()));
    write("journal", "call-rejected-but-ran", &one(&[vec![key()], rejected(ODD, true)].concat()));
    let daemon = [vec![key(), reload(false)], cancelled(ODD), vec![reload(true)]].concat();
    write("journal", "call-cancelled-between-reloads", &one(&daemon));
    write("journal", "key-rotated", &one(&[key(), rotated(KEY_SEED, [2; 32]), opened([2; 32])]));
    write("journal", "no-opening", &one(&[policy()]));
    write("journal", "taken-over", &one(&[key(), policy(), takeover(1, 1), key(), adoption(2, 2, Some(9))]));
    write("journal", "taken-over-what-is-not-there", &one(&[key(), policy(), takeover(0, 1)]));
    let mut twice = call(ODD, 1, false);
    twice.push(twice[1].clone());
    write("journal", "intent-twice", &one(&[vec![key()], twice].concat()));
    let whole = one(&[vec![key()], ended].concat());
    write("journal", "torn", &whole[..whole.len() - 3]);
    write("journal", "torn-in-length", &[&whole[..], &[0]].concat());
    let mut corrupt = whole;
    corrupt[20] ^= 1;
    write("journal", "corrupt", &corrupt);
}

fn ledgers() {
    let sample = sample();
    let number = |name: &str| u8::try_from(sample.files.keys().position(|file| file == name).unwrap()).unwrap();
    let step = |name: &str, what: u8, place: usize, value: u8| -> [u8; STEP_BYTES] {
        let [.., p0, p1, p2] = place.to_be_bytes();
        [number(name), what, p0, p1, p2, value]
    };
    let (journal, covered) = ("ledger/journal", sample.covered_bytes);
    let all = sample.files[journal].len();
    write("ledger", "unharmed", b"");
    write("ledger", "journal-torn", &step(journal, 1, all - 3, 0));
    write("ledger", "journal-cut-to-checkpoint", &step(journal, 1, covered, 0));
    write("ledger", "journal-cut-below-checkpoint", &step(journal, 1, covered - 1, 0));
    write("ledger", "journal-flipped", &step(journal, 0, 100, 1));
    let mended = [step(journal, 0, 100, 1), step(journal, 5, 0, 0)].concat();
    write("ledger", "journal-changed", &mended);
    write("ledger", "journal-gone", &step(journal, 6, 0, 0));
    write("ledger", "checkpoint-cut", &step("ledger/checkpoint", 1, 30, 0));
    write("ledger", "checkpoint-flipped", &step("ledger/checkpoint", 0, 20, 1));
    write("ledger", "state-flipped", &step("ledger.state", 0, 530, 1));
    write("ledger", "key-gone", &step("ledger.key", 6, 0, 0));
    write("ledger", "tile-flipped", &step("ledger/tile/0/000", 0, 40, 1));
    write("ledger", "bundle-cut", &step("ledger/tile/entries/000", 1, 40, 0));
    for name in ["0/001", "1/000", "entries/001"] {
        let folder = format!("ledger/tile/{name}.p/");
        let partial = sample.files.keys().find(|file| file.starts_with(&folder)).unwrap();
        let name = name.replace('/', "-");
        write("ledger", &format!("partial-{name}-flipped"), &step(partial, 0, 5, 1));
    }
    // Keys shift as files go.
    let gone = [step("ledger/checkpoint", 6, 0, 0), step("ledger.state", 6, 0, 0)].concat();
    write("ledger", "checkpoint-and-state-gone", &gone);
    write("ledger", "forgotten-and-cut", &[&gone[..], &[1, 1, 0, 20, 0, 0]].concat());
}

fn writer_frames() {
    let id = |count| CallId::new(1_700_000_000_000, WRITER, count);
    let stream = |name: &str, entries: &[Vec<u8>]| write("writer_frames", name, &framed(entries));
    let [first, second, open] = [call(id(0), 2, true), call(id(1), 1, true), call(id(2), 2, false)];
    stream("one-call", &first);
    stream("calls", &[vec![policy()], first.clone(), second.clone(), open.clone()].concat());
    let between = first.iter().zip(&second).flat_map(|(first, second)| [first.clone(), second.clone()]);
    stream("calls-interleaved", &[between.collect(), first[second.len()..].to_vec()].concat());
    stream("call-rejected", &[rejected(id(0), false), second.clone()].concat());
    stream("call-rejected-but-ran", &rejected(id(0), true));
    stream("call-cancelled", &[cancelled(id(0)), second.clone()].concat());
    stream("calls-open", &[open.clone(), call(id(3), 1, false)].concat());
    stream("calls-out-of-order", &[second, first.clone()].concat());
    let leaps = [0, u32::MAX / 2, u32::MAX - 1, 0].map(|count| call(id(count), 0, true));
    stream("numbers-go-round", &leaps.concat());
    stream("number-too-late", &[1 << 14, 1, 0].map(|count| call(id(count), 0, false)).concat());
    let whole = framed(&first);
    write("writer_frames", "unfinished", &whole[..whole.len() - 3]);
    write("writer_frames", "unfinished-length", &[&whole[..], &[0]].concat());
    write("writer_frames", "no-length", &[&whole[..], &[0, 0]].concat());
    write("writer_frames", "too-long", &[&whole[..], &[0x0c, 1]].concat());
    write("writer_frames", "no-entry", &[&whole[..], &frame(b"?")].concat());
    confined(&first, &open);
    host_faults(&first, &open);
}

/// One entry too many, each wrong in its own way.
fn confined(ended: &[Vec<u8>], open: &[Vec<u8>]) {
    let stream = |name: &str, entries: &[Vec<u8>]| write("writer_frames", name, &framed(entries));
    let id = |entries: &[Vec<u8>]| Entry::decode(&entries[0]).unwrap().call();
    let confined = || vec![enforcement(WRITER)];
    stream("confined", &[confined(), ended.to_vec()].concat());
    stream("confined-twice", &[confined(), confined(), ended.to_vec()].concat());
    stream("confined-too-late", &[ended.to_vec(), confined()].concat());
    stream("confined-as-another", &[enforcement(tollgate_audit::WriterId([8; 6]))]);
    stream("blocked", &[confined(), open.to_vec(), vec![blocked(WRITER, id(open)), blocked(WRITER, None)]].concat());
    let rest = open.iter().chain(ended).cloned().collect::<Vec<_>>();
    stream("blocked-while-others-write", &[&rest[..1], &[blocked(WRITER, id(open))], &rest[1..]].concat());
    stream("blocked-in-a-call-that-ended", &[ended.to_vec(), vec![blocked(WRITER, id(ended))]].concat());
    stream("blocked-in-no-call-of-its", &[blocked(WRITER, Some(ODD))]);
    stream("kernel-record", &[kernel_record(WRITER)]);
}

fn host_faults(ended: &[Vec<u8>], open: &[Vec<u8>]) {
    let call_id = Entry::decode(&open[0]).unwrap().call().unwrap();
    let write = |name: &str, entries: &[Vec<u8>], last: &[u8]| {
        write("writer_frames", name, &framed(&[entries, &[last.to_vec()]].concat()));
    };
    let closer = tollgate_audit::Closer { call: call_id, of: vec![Sequence(3)], left_out: 0, reason: "?".into() };
    write("closer", open, Entry::Closer(closer).encode().as_bytes());
    write("ledger-opened", open, &opened(KEY_SEED));
    write("erasure", open, &erasure(call_id));
    write("reload", open, &reload(false));
    write("other-writer", open, &call(ODD, 0, false)[0]);
    write("call-twice", open, &open[0]);
    write("call-again", ended, &ended[0]);
    write("intent-twice", open, &open[1]);
    write("no-such-call", open, &ended[1]);
    write("after-the-end", ended, &ended[1]);
    write("gap", &ended[..1], &ended[2]);
    write("end-too-early", &ended[..2], &ended[ended.len() - 1]);
    let Entry::Outcome(mut outcome) = Entry::decode(&ended[4]).unwrap() else { panic!("not an outcome") };
    (outcome.seq, outcome.of) = (Sequence(6), Sequence(5));
    write("denied-but-done", &ended[..6], Entry::Outcome(outcome).encode().as_bytes());
}

fn framed(entries: &[Vec<u8>]) -> Vec<u8> {
    entries.iter().flat_map(|entry| frame(entry)).collect()
}

fn side_stores() {
    let (salt, long) = ([9; 32], vec![b'x'; 300]);
    let records: [(u8, CallId, &[u8]); 5] =
        [(1, ODD, &salt), (2, ODD, b"{\"path\":\"/docs\"}"), (1, EVEN, &salt), (3, ODD, b"42"), (2, EVEN, &long)];
    let whole = side_store_of(&records);
    write("side_store", "whole", &whole);
    write("side_store", "empty", &side_store_of(&[]));
    write("side_store", "header-torn", &whole[..20]);
    write("side_store", "torn-in-content", &whole[..whole.len() - 7]);
    write("side_store", "torn-in-frame", &whole[..whole.len() - 310]);
    write("side_store", "zeros-at-end", &[&whole[..], &[0; 100]].concat());
    write("side_store", "no-salt", &side_store_of(&records[1..2]));
    write("side_store", "salt-too-short", &side_store_of(&[(1, ODD, &salt[1..])]));
    write("side_store", "salt-twice", &side_store_of(&[(1, ODD, &salt), (1, ODD, &[8; 32])]));
    let change = |name: &str, place: usize, byte: u8| {
        let mut changed = whole.clone();
        changed[place] = byte;
        write("side_store", name, &changed);
    };
    let header = side_store_of(&[]).len();
    let second = header + 37 + salt.len();
    change("no-magic", 3, b'?');
    change("header-changed", 20, 1);
    change("length-changed", header + 4, 33);
    change("content-changed", second + 40, b'?');
    change("last-content-changed", whole.len() - 1, b'?');
    change("kind-changed", second, 9);
}

fn checkpoints_and_notes() {
    let key = |seed: u8| SigningKey::from_seed(ORIGIN, &[seed; 32]).unwrap();
    let signed = String::from_utf8(sample().files["ledger/checkpoint"].clone()).unwrap();
    let bare = |origin: &str, size: u64| {
        Checkpoint { origin: origin.to_owned(), size: TreeSize(size), root: RootHash([7; 32]) }.to_string()
    };
    write("checkpoint", "signed", signed.as_bytes());
    write("checkpoint", "bare", bare(ORIGIN, 300).as_bytes());
    write("checkpoint", "bare-empty", bare("o", 0).as_bytes());
    write("checkpoint", "bare-most", bare(&"o".repeat(255), u64::MAX).as_bytes());
    let both = SignedNote::sign(&bare(ORIGIN, 9), &[&key(1), &key(2)]);
    write("checkpoint", "signed-by-two-keys", both.to_string().as_bytes());
    let other = SignedNote::sign(&bare("other.example", 9), &[&key(1)]);
    write("checkpoint", "of-another-origin", other.to_string().as_bytes());
    let mut wrong = SignedNote::sign(&bare(ORIGIN, 10), &[&key(1)]).to_string();
    wrong = wrong.replace("\n10\n", "\n11\n");
    write("checkpoint", "wrongly-signed", wrong.as_bytes());

    write("note", "checkpoint", signed.as_bytes());
    write("note", "two-signatures", both.to_string().as_bytes());
    write("note", "wrongly-signed", wrong.as_bytes());
    write("note", "lines", SignedNote::sign("one\n\ntwo\n\n", &[&key(1)]).to_string().as_bytes());
    write("note", "empty-text", SignedNote::sign("\n", &[&key(1)]).to_string().as_bytes());
    let mut witnessed = SignedNote::sign("text \u{2014} text\n", &[&key(1)]);
    witnessed.push(NoteSignature { name: "witness".to_owned(), id: KeyId([4; 4]), signature: vec![9; 72] });
    witnessed.push(NoteSignature { name: ORIGIN.to_owned(), id: key(1).verifier().id(), signature: vec![9] });
    write("note", "witnessed", witnessed.to_string().as_bytes());
    let bare = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    write("note", "of-go", bare.as_bytes());
}

fn receipts() {
    let sample = sample();
    let folder = Folder::with(&sample.files);
    let last = LeafIndex(sample.covered as u64 - 1);
    let receipt = |index| -> Receipt { prove(&folder.ledger(), index).unwrap() };
    for (name, index) in [("first", LeafIndex(0)), ("in-first-tile", LeafIndex(100)), ("last", last)] {
        write("receipt", name, receipt(index).to_string().as_bytes());
    }
    let shown = |call: u8, chosen: &[u32]| -> Disclosure {
        let chosen: Vec<_> = chosen.iter().copied().map(Sequence).collect();
        disclose(&folder.ledger(), CallId([call; 16]), &chosen).unwrap()
    };
    write("receipt", "disclosure-of-one", shown(2, &[1]).to_string().as_bytes());
    write("receipt", "disclosure-of-all", shown(2, &[0, 1, 2, 3, 4]).to_string().as_bytes());
    write("receipt", "disclosure-of-a-long-call", shown(1, &[0, 100, 249]).to_string().as_bytes());
    let end = receipt(LeafIndex(last.0 - 1)).to_string();
    write("receipt", "call-end", end.as_bytes());
    write("receipt", "wrong-index", end.replace("\nindex ", "\nindex 1").as_bytes());
}

fn names() {
    let max = TileKind::Hashes { level: 63 };
    let paths = [
        ("first", TileKind::Hashes { level: 0 }, 0, None),
        ("bundle", TileKind::Entries, 273_000, Some(255)),
        ("partial", TileKind::Hashes { level: 3 }, 7, Some(1)),
        ("deep", TileKind::Hashes { level: 0 }, 1_234_067, None),
        ("most", max, u64::MAX, Some(7)),
    ];
    for (name, kind, index, partial) in paths {
        write("tile_path", name, TilePath { kind, index, partial }.to_string().as_bytes());
    }
    for (name, text) in
        [("two-spellings", "tile/00/x000/001"), ("upwards", "tile/0/../001"), ("plus", "tile/+1/001.p/07")]
    {
        write("tile_path", name, text.as_bytes());
    }

    let key = |name: &str, seed: u8| SigningKey::from_seed(name, &[seed; 32]).unwrap().verifier().to_string();
    write("verifier_key", "sample", key(ORIGIN, 1).as_bytes());
    write("verifier_key", "other", key("o", 2).as_bytes());
    write("verifier_key", "long", key(&"é".repeat(127), 3).as_bytes());
    write("verifier_key", "of-go", b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    write("verifier_key", "other-hash", key(ORIGIN, 1).replacen('+', "+0", 1).as_bytes());
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), bytes).unwrap();
}

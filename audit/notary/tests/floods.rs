//! Writers that never stop writing: the notary answers after what was there when it was asked, and no writer holds up another.
//!
//! Everything here is counted in bytes, never timed: a busy machine changes no verdict.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::fcntl_getpipe_size;
use tollgate_audit::{Entry, Kept, TreeSize, read};
use tollgate_notary::{FromNotary, NotaryEnds, PIPE_SHARE_BYTES, Recorder, Status, ToNotary, WriterEnding, WriterEnds};
use tollgate_testing::entries;
use tollgate_testing::entries::policy;
use tollgate_testing::ledgers::{frame, tempdir};
use tollgate_testing::notary::{Running, record_call, tell_writer_in, verified};

/// The threads of a writer that write as fast as its pipe takes it, until they have written [`FLOOD_BYTES`] or nobody reads
/// any more.
struct Flood {
    // Bytes of writes that have returned.
    written: Arc<AtomicU64>,
    is_stopped: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(pipe: OwnedFd) -> Self {
        let (written, is_stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let pipe = Arc::new(pipe);
        let write = |_thread| {
            let (written, is_stopped, pipe) = (Arc::clone(&written), Arc::clone(&is_stopped), Arc::clone(&pipe));
            std::thread::spawn(move || {
                let chunk = chunk();
                while written.load(Ordering::SeqCst) < FLOOD_BYTES && !is_stopped.load(Ordering::SeqCst) {
                    // A write of at most `PIPE_BUF` bytes is taken whole, or fails.
                    let Ok(count) = rustix::io::write(&pipe, &chunk) else { return };
                    written.fetch_add(count as u64, Ordering::SeqCst);
                }
            })
        };
        let threads = (0..THREADS).map(write).collect();
        Self { written, is_stopped, threads }
    }

    fn bytes(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// The most that can have been written by now: one write of each thread more than have returned.
    fn bytes_at_most(&self) -> u64 {
        self.bytes() + THREADS * chunk().len() as u64
    }

    /// Waits until it has written more than its pipe holds, so that somebody reads.
    fn is_under_way(&self, notary: &Running) {
        while self.bytes() < CAPACITY + SHARE {
            assert!(!notary.thread.is_finished(), "the notary has ended");
            std::thread::yield_now();
        }
    }

    fn stop(self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A writer whose pipe the test writes into, and whose end the supervisor keeps.
fn writer() -> (NotaryEnds, OwnedFd) {
    let (WriterEnds { pipe, .. }, end) = WriterEnds::new().unwrap();
    assert!(fcntl_getpipe_size(&pipe).unwrap() as u64 <= CAPACITY);
    fcntl_setfl(&pipe, OFlags::empty()).unwrap();
    (end, pipe)
}

/// Whole frames, as many as one atomic write takes.
fn chunk() -> Vec<u8> {
    let frame = frame(policy().as_bytes());
    frame.repeat(rustix::pipe::PIPE_BUF / frame.len())
}

fn frame_bytes() -> u64 {
    frame(policy().as_bytes()).len() as u64
}

/// Bytes of a flood in a ledger of this size that has nothing else but the entry that opened it.
fn of_flood(size: TreeSize) -> u64 {
    (size.0 - 1) * frame_bytes()
}

#[test]
fn under_a_flood_a_checkpoint_is_answered_after_the_bytes_that_were_there_when_it_was_asked_for() {
    let dir = tempdir().unwrap();
    let (end, pipe) = writer();
    let notary = Running::ready(dir.path(), &[&end]);
    let flood = Flood::start(pipe);
    flood.is_under_way(&notary);

    let there = flood.bytes();
    notary.supervisor.send(&ToNotary::Checkpoint).unwrap();
    // It hears the question after at most one share more, then takes what the pipe holds, and looks at a share at a time.
    let most = flood.bytes_at_most() + SHARE + CAPACITY + SHARE;
    let FromNotary::Checkpoint { covers } = notary.hear() else { panic!("no checkpoint") };
    let covered = of_flood(covers.unwrap());
    assert!(covered >= there, "{covered} of {there} bytes that were there");
    assert!(covered <= most, "{covered} bytes, and {most} at most were due");
    drop(end);
    flood.stop();
    verified(&notary.ended());
}

#[test]
fn under_a_flood_a_call_is_located_after_the_bytes_that_were_there_when_it_was_asked_for() {
    let dir = tempdir().unwrap();
    let (end, pipe) = writer();
    let notary = Running::ready(dir.path(), &[&end]);
    let flood = Flood::start(pipe);
    flood.is_under_way(&notary);
    // The second question tells where the ledger was when the first one was answered.
    notary.supervisor.send(&ToNotary::Locate { call: entries::SAMPLE_CALL }).unwrap();
    notary.supervisor.send(&ToNotary::Checkpoint).unwrap();
    let most = flood.bytes_at_most() + 2 * (SHARE + CAPACITY + SHARE);
    assert_eq!(notary.hear(), FromNotary::Located { index: None, is_on_record: false });
    let FromNotary::Checkpoint { covers } = notary.hear() else { panic!("no checkpoint") };
    let covered = of_flood(covers.unwrap());
    assert!(covered <= most, "{covered} bytes, and {most} at most were due");
    drop(end);
    flood.stop();
    verified(&notary.ended());
}

#[test]
fn a_notary_gets_ready_though_a_writer_never_stops_writing() {
    let dir = tempdir().unwrap();
    let (end, pipe) = writer();
    let flood = Flood::start(pipe);
    while flood.bytes() == 0 {
        std::thread::yield_now();
    }
    let there = flood.bytes();
    let notary = Running::start(dir.path(), &[&end]);
    let FromNotary::Ready { size, .. } = notary.hear() else { panic!("not ready") };
    let covered = of_flood(size);
    // Nobody had taken anything before, so that the pipe held no more than it can.
    assert!(covered >= there && covered <= CAPACITY + SHARE, "{covered} bytes, {there} were there");
    drop(end);
    flood.stop();
    verified(&notary.ended());
}

#[test]
fn a_flood_from_some_writers_holds_up_no_other() {
    const FLOODS: u64 = 3;
    let dir = tempdir().unwrap();
    let (recorder, quiet) = Recorder::new().unwrap();
    recorder.set_status(Status::Ready);
    let recorder = Arc::new(recorder);
    let (ends, pipes): (Vec<_>, Vec<_>) = (0..FLOODS).map(|_| writer()).unzip();
    let writers: Vec<&NotaryEnds> = ends.iter().chain([&quiet]).collect();
    let notary = Running::ready(dir.path(), &writers);
    let floods: Vec<_> = pipes.into_iter().map(Flood::start).collect();
    floods.iter().for_each(|flood| flood.is_under_way(&notary));

    let call = record_call(&recorder, Kept::Pipe);
    // The round that is going on, and the next one.
    let most = floods.iter().map(Flood::bytes_at_most).sum::<u64>() + 2 * FLOODS * SHARE;
    drop((recorder, quiet, ends));
    floods.into_iter().for_each(Flood::stop);
    let folder = notary.ended();
    verified(&folder);
    let mut entries = read(&folder).unwrap().map(Result::unwrap);
    let is_end = |entry: &Entry<'_>| matches!(entry, Entry::CallEnd(end) if end.call == call);
    let (index, _) = entries.find(|(_, entry)| is_end(entry)).unwrap();
    // Beside them: the entry that opened the ledger, and three of the call.
    let before = (index.0 - 4) * frame_bytes();
    assert!(before <= most, "{before} bytes came before it, and {most} at most should have");
}

#[test]
fn a_process_that_ended_is_over_though_somebody_floods_its_pipe() {
    let dir = tempdir().unwrap();
    let (end, pipe) = writer();
    let notary = Running::ready(dir.path(), &[]);
    tell_writer_in(&notary.supervisor, &end, Some(4_000_000));
    let writer = end.writer;
    drop(end);
    let flood = Flood::start(pipe);
    flood.is_under_way(&notary);
    notary.supervisor.send(&ToNotary::Ended { writer, how: "exit code 1".to_owned() }).unwrap();
    let most = flood.bytes_at_most() + SHARE + CAPACITY + SHARE;
    let FromNotary::Over { writer: found, ending } = notary.hear() else { panic!("not over") };
    assert_eq!((found, ending), (writer, WriterEnding::Closed));
    flood.stop();
    let folder = notary.ended();
    let covered = of_flood(verified(&folder));
    assert!(covered <= most, "{covered} bytes, and {most} at most were of the process");
}

const SHARE: u64 = PIPE_SHARE_BYTES as u64;

/// Of the pipe of a writer.
const CAPACITY: u64 = 1 << 20;

const THREADS: u64 = 3;

/// Many times what may be taken before an answer, so that a notary that waits for the end of the flood is found.
const FLOOD_BYTES: u64 = 32 << 20;

//! A notary on a thread, as the tests of this folder drive one.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_audit::{CallId, Durability, Kept, Kind, Record as _, TreeSize, read};
use tollgate_ipc::Channel;
use tollgate_notary::{
    CallStart, CallTrail, FromNotary, Lease, Notary, NotaryEnds, NotaryError, NotaryOf, Recorder, ToNotary, WriterKind,
};

use crate::support::{OK, OPEN_AT, ORIGIN, ending, report, start};

/// A notary on a thread, and the supervisor's end of it.
pub(crate) struct Running {
    pub(crate) folder: PathBuf,
    pub(crate) supervisor: Channel,
    pub(crate) thread: JoinHandle<Result<(), NotaryError>>,
}

impl Running {
    /// Starts a notary for a writer's end, which the caller keeps as a supervisor does.
    pub(crate) fn start(folder: &Path, writers: &[&NotaryEnds]) -> Self {
        Self::start_after(folder, |supervisor| writers.iter().for_each(|writer| tell_writer(supervisor, writer)))
    }

    /// Starts a notary that is first told this.
    pub(crate) fn start_after(folder: &Path, tell: impl FnOnce(&Channel)) -> Self {
        let (supervisor, theirs) = Channel::pair().unwrap();
        supervisor.say_hello().unwrap();
        tell(&supervisor);
        supervisor.send(&ToNotary::Start { answers: None }).unwrap();
        let dir = folder.to_owned();
        let thread = std::thread::spawn(move || {
            let of =
                NotaryOf { folder: &dir, origin: Some(ORIGIN), software: "tollgate test", now_ns: 1, holder: None };
            Notary::open(of, theirs)?.serve()
        });
        Self { folder: folder.to_owned(), supervisor, thread }
    }

    pub(crate) fn hear(&self) -> FromNotary {
        self.supervisor.receive().unwrap().unwrap().0
    }

    pub(crate) fn ready(&self) {
        let said = self.hear();
        assert!(matches!(said, FromNotary::Ready { .. }), "{said:?}");
    }

    pub(crate) fn ask(&self, say: &ToNotary) -> FromNotary {
        self.supervisor.send(say).unwrap();
        self.hear()
    }

    /// Has it go round a few times: an answer to the supervisor comes once in a round. Whatever else it says meanwhile is a
    /// failure.
    pub(crate) fn says_nothing(&self) {
        for _round in 0..4 {
            let said = self.ask(&ToNotary::Locate { call: CallId([0xfe; 16]) });
            assert_eq!(said, FromNotary::Located { index: None, is_on_record: false });
        }
    }

    /// Waits until it has ended, which it does when its writers and its supervisor are gone.
    pub(crate) fn ended(self) -> PathBuf {
        drop(self.supervisor);
        self.thread.join().unwrap().unwrap();
        self.folder
    }
}

pub(crate) fn tell_writer(supervisor: &Channel, writer: &NotaryEnds) {
    tell_writer_in(supervisor, writer, None);
}

/// A writer in a process of its own.
pub(crate) fn tell_writer_in(supervisor: &Channel, writer: &NotaryEnds, process: Option<u32>) {
    tell_writer_of(supervisor, writer, WriterKind::Worker, process);
}

/// A writer of this kind.
pub(crate) fn tell_writer_of(supervisor: &Channel, writer: &NotaryEnds, kind: WriterKind, process: Option<u32>) {
    let calls = vec![Lease::own(writer.writer)];
    let say = ToNotary::Writer { writer: writer.writer, kind, calls, process };
    supervisor.send_with(&say, &[writer.pipe.as_fd(), writer.acks.as_fd()]).unwrap();
}

pub(crate) fn begin(recorder: &Arc<Recorder>) -> CallTrail {
    begin_until(recorder, Instant::now() + FAR)
}

pub(crate) fn begin_until(recorder: &Arc<Recorder>, deadline: Instant) -> CallTrail {
    let start = start(recorder.next_call(1_700_000_000_000));
    CallTrail::begin(recorder.clone(), CallStart { deadline, ..start })
}

/// Longer than any test takes on any machine.
pub(crate) const FAR: Duration = Duration::from_secs(3600);

pub(crate) fn record_call(recorder: &Arc<Recorder>, kept: Kept) -> CallId {
    let mut trail = begin(recorder);
    let intent = trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    trail.outcome(intent, OK);
    trail.end(ending(), kept).unwrap().call
}

pub(crate) fn kinds(folder: &Path) -> Vec<Kind> {
    read(folder).unwrap().map(|entry| entry.unwrap().1.kind()).collect()
}

pub(crate) fn verified(folder: &Path) -> TreeSize {
    let report = report(folder);
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.open_calls, []);
    report.size
}

pub(crate) fn frame(entry: &[u8]) -> Vec<u8> {
    let leaf = tollgate_audit::leaf_hash(entry);
    let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
    [&length[..], entry, &leaf.0[..4]].concat()
}

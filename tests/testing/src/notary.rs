//! A notary on a thread, its supervisor, and a writer of that supervisor's.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_audit::{
    BLOCKED_FRAME_BYTES_MAX, BlockedCall, CallId, Durability, Entry, Kept, Kind, Record as _, TreeSize, WriterId, read,
    write_blocked_frame,
};
use tollgate_ipc::Channel;
use tollgate_notary::{
    CallStart, CallTrail, FromNotary, Lease, Notary, NotaryEnds, NotaryError, NotaryOf, Recorder, Status, ToNotary,
    WriterEnds, WriterKind,
};

use crate::calls::{OK, ending, start};
use crate::entries::{OPEN_AT, ORIGIN, blocked};
use crate::judge;
use crate::ledgers::frame;

/// A notary on a thread, and the supervisor's end of it.
pub struct Running {
    pub folder: PathBuf,
    pub supervisor: Channel,
    pub thread: JoinHandle<Result<(), NotaryError>>,
}

impl Running {
    /// Starts a notary for a writer's end, which the caller keeps as a supervisor does.
    pub fn start(folder: &Path, writers: &[&NotaryEnds]) -> Self {
        Self::start_after(folder, |supervisor| writers.iter().for_each(|writer| tell_writer(supervisor, writer)))
    }

    /// The same, once it takes what they write.
    pub fn ready(folder: &Path, writers: &[&NotaryEnds]) -> Self {
        let running = Self::start(folder, writers);
        running.is_ready();
        running
    }

    /// Starts a notary that is first told this.
    pub fn start_after(folder: &Path, tell: impl FnOnce(&Channel)) -> Self {
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

    pub fn hear(&self) -> FromNotary {
        self.supervisor.receive().unwrap().unwrap().0
    }

    pub fn is_ready(&self) {
        let said = self.hear();
        assert!(matches!(said, FromNotary::Ready { .. }), "{said:?}");
    }

    pub fn ask(&self, say: &ToNotary) -> FromNotary {
        self.supervisor.send(say).unwrap();
        self.hear()
    }

    /// Has it go round a few times: an answer to the supervisor comes once in a round. Whatever else it says meanwhile is a
    /// failure.
    pub fn says_nothing(&self) {
        for _round in 0..4 {
            let said = self.ask(&ToNotary::Locate { call: CallId([0xfe; 16]) });
            assert_eq!(said, FromNotary::Located { index: None, is_on_record: false });
        }
    }

    /// Waits until it has ended, which it does when its writers and its supervisor are gone.
    pub fn ended(self) -> PathBuf {
        drop(self.supervisor);
        self.thread.join().unwrap().unwrap();
        self.folder
    }
}

/// A writer that a test writes for, and the supervisor's end of it.
pub struct Writer {
    pub recorder: Arc<Recorder>,
    pub pipe: Arc<OwnedFd>,
    pub end: NotaryEnds,
}

impl Writer {
    #[allow(clippy::new_without_default, reason = "it makes pipes")]
    pub fn new() -> Self {
        let (way, end) = WriterEnds::new().unwrap();
        assert_eq!(way.writer, end.writer);
        let recorder = Recorder::over(way);
        recorder.set_status(Status::Ready);
        let pipe = recorder.pipe().unwrap();
        Self { recorder: Arc::new(recorder), pipe, end }
    }

    pub fn id(&self) -> WriterId {
        self.end.writer
    }

    /// A call that is running.
    pub fn begin(&self) -> CallTrail {
        let mut trail = begin(&self.recorder);
        let intent = trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
        trail.outcome(intent, OK);
        trail.flush().unwrap();
        trail
    }

    /// As a handler of `SIGSYS` writes it.
    pub fn block(&self, call: Option<CallId>) -> BlockedCall {
        let blocked = blocked(self.id(), call);
        let mut bytes = [0; BLOCKED_FRAME_BYTES_MAX];
        let length = write_blocked_frame(&mut bytes, &blocked);
        assert_eq!(rustix::io::write(&*self.pipe, &bytes[..length]), Ok(length));
        blocked
    }

    pub fn write(&self, entry: &Entry<'_>) {
        rustix::io::write(&*self.pipe, &frame(entry.encode().as_bytes())).unwrap();
    }

    /// Its process ends: nobody is left to write.
    pub fn die(self) -> WriterId {
        self.end.writer
    }
}

pub fn tell_writer(supervisor: &Channel, writer: &NotaryEnds) {
    tell_writer_in(supervisor, writer, None);
}

/// A writer in a process of its own.
pub fn tell_writer_in(supervisor: &Channel, writer: &NotaryEnds, process: Option<u32>) {
    tell_writer_of(supervisor, writer, WriterKind::Worker, process);
}

/// A writer of this kind.
pub fn tell_writer_of(supervisor: &Channel, writer: &NotaryEnds, kind: WriterKind, process: Option<u32>) {
    let calls = vec![Lease::own(writer.writer)];
    let say = ToNotary::Writer { writer: writer.writer, kind, calls, process };
    supervisor.send_with(&say, &[writer.pipe.as_fd(), writer.acks.as_fd()]).unwrap();
}

pub fn begin(recorder: &Arc<Recorder>) -> CallTrail {
    begin_until(recorder, Instant::now() + FAR)
}

pub fn begin_until(recorder: &Arc<Recorder>, deadline: Instant) -> CallTrail {
    let start = start(recorder.next_call(1_700_000_000_000));
    CallTrail::begin(recorder.clone(), CallStart { deadline, ..start })
}

/// Longer than any test takes on any machine.
pub const FAR: Duration = Duration::from_secs(3600);

pub fn record_call(recorder: &Arc<Recorder>, kept: Kept) -> CallId {
    let mut trail = begin(recorder);
    let intent = trail.intent(OPEN_AT, &[], "fs:/docs:read", Durability::Pipe).unwrap();
    trail.outcome(intent, OK);
    trail.end(ending(), kept).unwrap().call
}

pub fn kinds(folder: &Path) -> Vec<Kind> {
    read(folder).unwrap().map(|entry| entry.unwrap().1.kind()).collect()
}

/// Why calls were closed that their writers did not end.
pub fn reasons(folder: &Path) -> BTreeMap<CallId, String> {
    let closers = read(folder).unwrap().filter_map(|entry| match entry.unwrap().1 {
        Entry::Closer(closer) => Some((closer.call, closer.reason.to_string())),
        _other => None,
    });
    closers.collect()
}

pub fn verified(folder: &Path) -> TreeSize {
    judge::verified(folder, None).size
}

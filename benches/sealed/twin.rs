//! A subject from the side of the process that measures.

use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tollgate_audit::WriterId;
use tollgate_ipc::Channel;
use tollgate_notary::WriterEnds;

use crate::furnished::{CALLS, Furnished};
use crate::notary::Notary;
use crate::subject::{Seal, Steps};

/// A process that waits for calls.
pub(crate) struct Twin {
    pub(crate) seal: Seal,
    /// From its start until it was ready.
    pub(crate) took: Duration,
    /// What of that it spent on being sealed.
    pub(crate) steps: Steps,
    process: Child,
    control: Channel,
    worker: WriterId,
}

impl Twin {
    pub(crate) fn start(seal: Seal, scene: &Furnished, notary: &mut Notary) -> Self {
        let (way, end) = WriterEnds::new().expect("a way to the notary");
        notary.meet(&end);
        let (control, stdin) = Channel::pair().expect("a socket pair");
        let worker = way.writer;
        let mut command = Command::new(scene.program());
        command.args(["subject", seal.as_str()]).arg(scene.path());
        command.env_clear().stdin(Stdio::from(stdin)).stdout(Stdio::null());
        let before = Instant::now();
        let process = command.spawn().expect("a subject");
        // With it goes the other end: a subject that dies is noticed.
        drop(command);
        control.send_with(&worker, &[way.pipe.as_fd(), way.acks.as_fd()]).expect("a subject that hears");
        let said = control.receive::<[u64; Steps::NAMES.len()]>().expect("an answer");
        let took = before.elapsed();
        let (steps, _none) = said.expect("a subject that is ready");
        Self { seal, took, steps: Steps::of(steps), process, control, worker }
    }

    /// The times of a batch of calls, as the subject measures them.
    pub(crate) fn batch(&self, call: usize) -> Vec<Duration> {
        self.control.send(&call).expect("a subject that hears");
        let said = self.control.receive::<Vec<u64>>().expect("times");
        let (times, _none) = said.expect("a subject that lives");
        assert_eq!(times.len(), CALLS[call].batch);
        times.into_iter().map(Duration::from_nanos).collect()
    }

    /// Ends it, and waits until its record is closed.
    pub(crate) fn end(mut self, notary: &mut Notary) {
        self.control.hang_up();
        let status = self.process.wait().expect("the end");
        assert!(status.success(), "{}: {status}", self.seal.as_str());
        notary.part(self.worker);
    }
}

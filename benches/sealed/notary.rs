//! A notary for processes that this program starts by itself: it is told of each, as a supervisor tells it.

use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use tollgate_audit::WriterId;
use tollgate_ipc::Channel;
use tollgate_notary::{FromNotary, Lease, NotaryEnds, ToNotary, WriterKind};

use crate::furnished::Furnished;

/// Must be ended: it is waited for then.
pub(crate) struct Notary {
    process: Child,
    channel: Channel,
}

impl Notary {
    pub(crate) fn start(scene: &Furnished) -> Self {
        let command = scene.notary(&scene.path().join("ledger"));
        let (channel, stdin) = Channel::pair().expect("a socket pair");
        let process = Command::new(command.program)
            .args(command.arguments)
            .env_clear()
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::null())
            .spawn()
            .expect("a notary");
        channel.say_hello().expect("a notary that hears");
        channel.send(&ToNotary::Start { answers: None }).expect("a notary that hears");
        let said = channel.receive::<FromNotary>().expect("an answer");
        assert!(matches!(said, Some((FromNotary::Ready { .. }, _))), "{said:?}");
        Self { process, channel }
    }

    /// Tells it of a new worker.
    pub(crate) fn meet(&mut self, end: &NotaryEnds) {
        let calls = vec![Lease::own(end.writer)];
        let say = ToNotary::Writer { writer: end.writer, kind: WriterKind::Worker, calls, process: None };
        self.channel.send_with(&say, &[end.pipe.as_fd(), end.acks.as_fd()]).expect("a notary that hears");
    }

    /// Waits until it has seen the last of a worker, which wrote nothing that it may not.
    pub(crate) fn part(&mut self, worker: WriterId) {
        loop {
            let said = self.channel.receive::<FromNotary>().expect("a notary that speaks");
            match said.expect("a notary that lives").0 {
                FromNotary::Over { writer: over, .. } if over == worker => return,
                FromNotary::Condemned { fault, .. } => panic!("the notary condemns a worker: {fault}"),
                _other => {}
            }
        }
    }

    pub(crate) fn end(mut self) {
        self.channel.hang_up();
        assert!(self.process.wait().expect("the end").success());
    }
}

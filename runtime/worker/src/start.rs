//! What a supervisor hands to a worker that it has started: descriptors, over the control socket, and the order of what to load,
//! in a sealed memory file. Both processes are still trusted then, since the worker has looked at nothing of a component.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use tollgate_audit::{CallId, Digest, WriterId};
use tollgate_capability::PrivateSet;
use tollgate_config::SandboxLevel;
use tollgate_engine::loading::LoadOrder;
use tollgate_engine::operations::OperationTexts;
use tollgate_ipc::{Channel, Connection, memory_file, read_memory_file};
use tollgate_notary::{Lease, Status, WriterEnds};

use super::after::SealedProcess;

/// What a supervisor says to a worker on the control socket, one packet each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ToWorker {
    /// The first message, with three descriptors: the worker's pipe, its socket to the notary, and the order.
    Hello {
        /// Its id.
        id: WriterId,
        /// The first calls that it may name. The supervisor gives calls their ids, so that a sound worker needs no more than those.
        calls: Lease,
    },
    /// Descriptors of compiled components, in the order of the tools.
    Code,
    /// Descriptors of connections.
    Connections,
    /// Everything is handed over.
    Start,
    /// A call was withdrawn, which the worker runs or will get.
    Cancel {
        /// The call.
        call: CallId,
    },
    /// Whether the notary takes new calls.
    Notary {
        /// Whether.
        status: Status,
    },
}

/// What a worker must load, and how well it must be sealed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartOrder {
    /// The least that must be enforced.
    pub required: SandboxLevel,
    /// What to load.
    pub tools: Vec<ToolOrder>,
}

/// One tool of a start order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolOrder {
    name: String,
    version: String,
    component: Digest,
    operations: Vec<String>,
    told: Option<OperationTexts>,
    // Has the secret values too: the order is never stored.
    set: PrivateSet,
    manifest: Digest,
    grant: Digest,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declared: Option<String>,
    /// The call in which it is asked for its operations.
    describing: CallId,
}

impl ToolOrder {
    /// The order of this tool, in the form that is handed over.
    #[must_use]
    pub fn new(order: &LoadOrder, describing: CallId) -> Self {
        let LoadOrder { name, version, component, operations, told, set, manifest, grant, by, declared } = order;
        Self {
            name: name.clone(),
            version: version.clone(),
            component: *component,
            operations: operations.iter().cloned().collect(),
            told: told.clone(),
            set: PrivateSet::new(set.clone()),
            manifest: *manifest,
            grant: *grant,
            by: by.clone(),
            declared: declared.clone(),
            describing,
        }
    }

    /// What is to be loaded, and the call in which it is asked for its operations.
    pub fn into_load(self) -> (LoadOrder, CallId) {
        let Self { name, version, component, operations, told, set, manifest, grant, by, declared, describing } = self;
        let (operations, set) = (operations.into_iter().collect(), set.into_set());
        (LoadOrder { name, version, component, operations, told, set, manifest, grant, by, declared }, describing)
    }
}

/// All that a worker is handed.
#[derive(Debug)]
pub struct Handed {
    /// Its pipe and its socket to the notary.
    pub channel: WriterEnds,
    /// The first calls that it may name.
    pub calls: Lease,
    /// Whether the notary takes new calls.
    pub status: Status,
    /// What it must load.
    pub order: StartOrder,
    /// Machine code, in the order of the tools.
    pub code: Vec<OwnedFd>,
    /// Connections to the supervisor, one for each thread that runs calls.
    pub connections: Vec<Connection>,
}

impl Handed {
    /// All descriptors that a worker may have open beside its standard streams.
    pub fn descriptors<'h>(&'h self, control: &'h Channel) -> Vec<BorrowedFd<'h>> {
        let own = [control.as_fd(), self.channel.pipe.as_fd(), self.channel.acks.as_fd()];
        let code = self.code.iter().map(|code| code.as_fd());
        own.into_iter().chain(code).chain(self.connections.iter().map(Connection::as_fd)).collect()
    }

    /// This process, as code inside it sees it.
    pub fn as_process(&self, control: &Channel) -> SealedProcess {
        let of = |fd: BorrowedFd<'_>| fd.as_raw_fd();
        // There is a connection: `take_over` has checked that.
        let connection = self.connections.first().map_or(-1, |connection| of(connection.as_fd()));
        let fds = [of(control.as_fd()), of(self.channel.pipe.as_fd()), of(self.channel.acks.as_fd()), connection];
        SealedProcess::new((self.channel.writer, self.calls), fds)
    }
}

/// Hands everything over, after the hello. Waits for the worker to read, as long as the socket's timeout says.
///
/// # Errors
///
/// The operating system's, or the worker is gone.
pub fn hand_over(
    control: &Channel,
    (channel, calls): (&WriterEnds, Lease),
    order: &StartOrder,
    code: &[BorrowedFd<'_>],
    connections: &[UnixStream],
) -> io::Result<()> {
    let order = memory_file("tollgate-order", &serde_json::to_vec(order)?)?;
    let fds = [channel.pipe.as_fd(), channel.acks.as_fd(), order.as_fd()];
    control.send_with(&ToWorker::Hello { id: channel.writer, calls }, &fds).map_err(io::Error::other)?;
    for code in code.chunks(FDS_AT_ONCE) {
        control.send_with(&ToWorker::Code, code).map_err(io::Error::other)?;
    }
    for connections in connections.chunks(FDS_AT_ONCE) {
        let fds: Vec<BorrowedFd<'_>> = connections.iter().map(|connection| connection.as_fd()).collect();
        control.send_with(&ToWorker::Connections, &fds).map_err(io::Error::other)?;
    }
    control.send(&ToWorker::Start).map_err(io::Error::other)
}

/// Takes everything over. Waits for the supervisor without a limit.
///
/// # Errors
///
/// The operating system's; the supervisor is gone, or says what it may not.
pub fn take_over(control: &Channel) -> io::Result<Handed> {
    if !control.hear_hello().map_err(io::Error::other)? {
        return Err(io::Error::other(SUPERVISOR_GONE));
    }
    let (mut worker, mut status, mut code, mut connections) = (None, Status::Away, Vec::new(), Vec::new());
    loop {
        let said = control.receive::<ToWorker>().map_err(io::Error::other)?;
        let (said, fds) = said.ok_or_else(|| io::Error::other(SUPERVISOR_GONE))?;
        match said {
            ToWorker::Hello { id, calls } => {
                let fds = <[OwnedFd; 3]>::try_from(fds);
                let [pipe, acks, order] = fds.map_err(|_other| io::Error::other("a worker without its descriptors"))?;
                let order = serde_json::from_slice(&read_memory_file(order)?)?;
                worker = Some((WriterEnds { writer: id, pipe, acks }, calls, order));
            }
            ToWorker::Code => code.extend(fds),
            ToWorker::Connections => {
                connections.extend(fds.into_iter().map(|fd| Connection::new(UnixStream::from(fd))));
            }
            ToWorker::Notary { status: now } => status = now,
            ToWorker::Cancel { .. } => return Err(io::Error::other("a call before the start")),
            ToWorker::Start => break,
        }
    }
    let (channel, calls, order): (WriterEnds, Lease, StartOrder) =
        worker.ok_or_else(|| io::Error::other("a start without an order"))?;
    if code.len() != order.tools.len() || connections.is_empty() {
        return Err(io::Error::other("an order whose descriptors are not complete"));
    }
    Ok(Handed { channel, calls, status, order, code, connections })
}

const SUPERVISOR_GONE: &str = "the supervisor is gone";

/// Descriptors of one packet: fewer than a channel takes.
const FDS_AT_ONCE: usize = 32;

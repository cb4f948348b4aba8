//! One connection to a daemon: requests go out from whichever thread makes them, answers come in on a thread of the connection's
//! own.
//!
//! Nothing here waits for the daemon but that thread, in `poll`. What the socket has no room for is kept, up to a bound, and sent
//! by the thread. Requests are sent under the lock, so that none mixes with another one: the socket is never waited for there.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::failure::{Failure, Kind};
use crate::lines::{Lines, TooLong};
use crate::slot::Place;
use crate::wire::{self, Heard};

/// Most calls of one connection that are under way, those included that were cancelled and not yet answered.
pub const CALLS_MAX: usize = 1 << 16;

/// What the clones of a client and its calls share.
pub(crate) struct Connection {
    socket: OwnedFd,
    // Wakes the thread when there is something to send that the socket had no room for.
    bell: OwnedFd,
    line_bytes_max: usize,
    last_id: AtomicU64,
    state: Mutex<State>,
}

/// Holds a connection open: the last one that is dropped closes it, and its thread ends.
pub(crate) struct Handle(Arc<Connection>);

#[derive(Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    unsent: VecDeque<u8>,
    // Bytes that were to be sent so far, and those that the kernel took.
    queued: u64,
    sent: u64,
    // An answer came: the daemon takes requests.
    is_greeted: bool,
    ended: Option<Ended>,
}

/// A request without an answer.
struct Waiting {
    place: Arc<dyn Place>,
    // `queued` behind its line: once so many bytes are sent, the daemon may have the whole of it.
    end: u64,
}

/// Why a connection is over.
#[derive(Clone)]
enum Ended {
    /// The daemon refused it before it took a request.
    Refused(Failure),
    /// It broke, or the daemon made no sense.
    Broken(String),
}

impl Ended {
    fn failure(&self, was_sent: bool) -> Failure {
        match self {
            Self::Refused(failure) => failure.clone(),
            Self::Broken(message) => Failure::disconnected(message, was_sent),
        }
    }
}

impl Handle {
    /// Starts the connection's thread on a connected socket.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub(crate) fn open(socket: OwnedFd, line_bytes_max: usize) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (last_id, state) = (AtomicU64::new(0), Mutex::default());
        let connection = Arc::new(Connection { socket, bell, line_bytes_max, last_id, state });
        let its = Arc::clone(&connection);
        thread::Builder::new().name("tollgate-client".to_owned()).spawn(move || its.run())?;
        Ok(Self(connection))
    }
}

impl std::ops::Deref for Handle {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The thread has the socket too. It hears the end of it, and closes the socket as it ends.
        shutdown(&self.0.socket, Shutdown::Both).unwrap_or_default();
    }
}

impl Connection {
    /// An id that was not used before.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends the line of a request. Its outcome is put in its place.
    pub(crate) fn ask(&self, id: u64, line: Result<Vec<u8>, Failure>, place: &Arc<impl Place + 'static>) {
        let asked = line.and_then(|line| {
            self.must_fit(&line)?;
            let mut state = self.lock();
            self.must_have_room(&state, &line)?;
            let end = state.queued + line.len() as u64;
            let its: Arc<dyn Place> = place.clone();
            // Before it is sent: the answer may come at once.
            state.waiting.insert(id, Waiting { place: its, end });
            self.send(&mut state, &line);
            Ok(())
        });
        if let Err(failure) = asked {
            place.fail(failure);
        }
    }

    /// Tells the daemon to cancel a request, if it is not answered yet.
    pub(crate) fn cancel(&self, id: u64) {
        let mut state = self.lock();
        if state.waiting.contains_key(&id) {
            self.send(&mut state, &wire::cancel_line(id));
        }
    }

    /// Whether calls are sent.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().ended.is_none()
    }

    fn must_fit(&self, line: &[u8]) -> Result<(), Failure> {
        // A line's end is not counted.
        let (bytes, max) = (line.len().saturating_sub(1), self.line_bytes_max);
        if bytes > max {
            let message = format!("the request has {bytes} bytes; the maximum is {max} (`line_bytes_max`)");
            return Err(Failure::new(Kind::Rejected, message));
        }
        Ok(())
    }

    fn must_have_room(&self, state: &State, line: &[u8]) -> Result<(), Failure> {
        if let Some(ended) = &state.ended {
            return Err(ended.failure(false));
        }
        if state.waiting.len() >= CALLS_MAX {
            let message = format!("this connection has {CALLS_MAX} calls under way, the maximum");
            return Err(Failure::new(Kind::Busy, message));
        }
        if !state.unsent.is_empty() && state.unsent.len() + line.len() > self.line_bytes_max {
            let message = format!(
                "the daemon does not read: {} bytes wait to be sent, and the maximum is {} (`line_bytes_max`)",
                state.unsent.len(),
                self.line_bytes_max
            );
            return Err(Failure::new(Kind::Busy, message));
        }
        Ok(())
    }

    /// Sends what the socket has room for; the thread sends the rest.
    fn send(&self, state: &mut State, line: &[u8]) {
        state.queued += line.len() as u64;
        // That the connection is broken is for the thread to find: what the daemon said last is read first.
        let taken = if state.unsent.is_empty() { self.send_now(line).unwrap_or(0) } else { 0 };
        state.sent += taken as u64;
        let rest = line.get(taken..).unwrap_or_default();
        if !rest.is_empty() {
            state.unsent.extend(rest);
            // It cannot be full: the thread empties it.
            rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).unwrap_or_default();
        }
    }

    /// The bytes that the kernel took without waiting.
    fn send_now(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(some) => taken += some,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) if taken == 0 => return Err(error),
                Err(_told_the_next_time) => break,
            }
        }
        Ok(taken)
    }

    fn run(self: Arc<Self>) {
        // Whatever happens in a waker of somebody else's, no call is left without an outcome.
        let _ends = EndsWith(&self);
        let ended = self.serve().err();
        self.end(&ended.unwrap_or_else(|| Ended::Broken("the daemon closed the connection".to_owned())));
    }

    /// Sends and hears until the daemon closes the connection, or something is wrong.
    fn serve(&self) -> Result<(), Ended> {
        let mut lines = Lines::new(self.line_bytes_max);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let (is_readable, is_writable) = self.until_ready().map_err(|errno| broken("waiting for it", errno))?;
            if is_readable && !self.hear(&mut lines, &mut buffer)? {
                return if lines.is_inside_a_line() {
                    Err(Ended::Broken("the daemon closed the connection in the middle of a line".to_owned()))
                } else {
                    Ok(())
                };
            }
            if is_writable {
                match self.send_unsent() {
                    // What is left to hear says more.
                    Err(errno) if !is_readable => return Err(broken("writing to it", errno)),
                    Ok(()) | Err(_) => {}
                }
            }
        }
    }

    /// Waits until the socket can be read, or written if there is something to send.
    fn until_ready(&self) -> Result<(bool, bool), Errno> {
        let wants_out = !self.lock().unsent.is_empty();
        let wanted = if wants_out { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [PollFd::new(&self.socket, wanted), PollFd::new(&self.bell, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_some) => {}
            Err(Errno::INTR) => return Ok((false, false)),
            Err(errno) => return Err(errno),
        }
        let [socket, bell] = fds.map(|fd| fd.revents());
        if bell.contains(PollFlags::IN) {
            rustix::io::read(&self.bell, &mut [0_u8; 8]).unwrap_or_default();
        }
        let is_readable = socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR);
        Ok((is_readable, socket.contains(PollFlags::OUT)))
    }

    fn send_unsent(&self) -> Result<(), Errno> {
        let mut state = self.lock();
        let taken = self.send_now(state.unsent.as_slices().0)?;
        state.unsent.drain(..taken);
        state.sent += taken as u64;
        if state.unsent.is_empty() {
            state.unsent = VecDeque::new();
        }
        Ok(())
    }

    /// Hears what is there; false at the end.
    fn hear(&self, lines: &mut Lines, buffer: &mut [u8]) -> Result<bool, Ended> {
        let some = match recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Ok(false),
            Ok((some, _)) => some,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            // The daemon closed it with something unread.
            Err(Errno::CONNRESET) => return Ok(false),
            Err(errno) => return Err(broken("reading from it", errno)),
        };
        lines.take(buffer.get(..some).unwrap_or_default(), |line| self.take(line))?;
        Ok(true)
    }

    fn take(&self, line: &[u8]) -> Result<(), Ended> {
        match wire::parse(line).map_err(nonsense)? {
            Heard::Unknown => Ok(()),
            Heard::Log { id, text } => {
                let place = self.lock().waiting.get(&id).map(|waiting| Arc::clone(&waiting.place));
                place.ok_or_else(|| unasked(id))?.log(text);
                Ok(())
            }
            Heard::Result { id, result } => {
                let waiting = self.answered(id)?;
                let put = waiting.place.answer(result);
                put.map_err(|what| {
                    // It is still a request without an answer.
                    self.lock().waiting.insert(id, waiting);
                    nonsense(what)
                })
            }
            Heard::Failed { id, failure } => {
                self.answered(id)?.place.fail(failure);
                Ok(())
            }
            Heard::Refused(failure) => Err(self.refused(failure)),
        }
    }

    /// A request is not under way any more, before anybody can see its outcome.
    fn answered(&self, id: u64) -> Result<Waiting, Ended> {
        let mut state = self.lock();
        let waiting = state.waiting.remove(&id).ok_or_else(|| unasked(id))?;
        state.is_greeted = true;
        Ok(waiting)
    }

    /// The daemon refuses something that it does not name: what is under way may have run, unless nothing was answered yet.
    fn refused(&self, failure: Failure) -> Ended {
        let Failure { kind, mut message, .. } = failure;
        // Each request under way gets a copy.
        message.truncate(message.floor_char_boundary(REFUSAL_BYTES_MAX));
        if self.lock().is_greeted {
            return Ended::Broken(format!("the daemon ends the connection: {message}"));
        }
        Ended::Refused(Failure::new(kind, message))
    }

    /// Nothing is sent or heard any more. Only the first reason counts.
    fn end(&self, ended: &Ended) {
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(ended.clone());
        state.unsent = VecDeque::new();
        let (waiting, sent) = (std::mem::take(&mut state.waiting), state.sent);
        drop(state);
        shutdown(&self.socket, Shutdown::Both).unwrap_or_default();
        for Waiting { place, end } in waiting.into_values() {
            place.fail(ended.failure(end <= sent));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a connection with the thread that serves it.
struct EndsWith<'a>(&'a Connection);

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        self.0.end(&Ended::Broken("the connection's thread ended".to_owned()));
    }
}

impl From<TooLong> for Ended {
    fn from(line: TooLong) -> Self {
        nonsense(line.to_string())
    }
}

fn nonsense(what: impl fmt::Display) -> Ended {
    Ended::Broken(format!("the connection was closed, because the daemon sent {what}"))
}

fn unasked(id: u64) -> Ended {
    nonsense(format!("something for the request {id}, which is not under way"))
}

fn broken(doing: &str, errno: Errno) -> Ended {
    Ended::Broken(format!("the connection to the daemon broke, {doing}: {}", io::Error::from(errno)))
}

const READ_BYTES: usize = 64 << 10;

/// Most bytes that are kept of a daemon's words when it refuses a connection.
const REFUSAL_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Weak;

    use super::*;

    #[test]
    fn the_thread_ends_with_the_last_handle() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let handle = Arc::new(Handle::open(ours.into(), 1000).unwrap());
        let (other, connection) = (Arc::clone(&handle), Arc::downgrade(&handle.0));
        drop(handle);
        assert!(other.is_open());
        drop(other);
        // Only its thread holds the connection now.
        while Weak::strong_count(&connection) > 0 {
            thread::yield_now();
        }
    }
}

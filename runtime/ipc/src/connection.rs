//! A connection: the socket between one thread of a worker and the supervisor. One question and one answer at a time, each a
//! [message](crate::message).
//!
//! Each side waits in `poll` until there is something to read, and not in the read itself: a thread that waits in a read of a Unix
//! stream socket is woken also when the other end takes what it said (`unix_write_space` in the kernel), for nothing, and the other
//! end pays for that.
//!
//! A worker is not trusted: nothing is read beyond the reader's limits, nor after its deadline.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use crate::message::{Blobs, HEAD_BYTES, Lengths, MessageLimits, NoMessage, decode, encode};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    // Kept between messages for its memory.
    buffer: Vec<u8>,
    // Bytes after the last message: the start of the next.
    ahead: Vec<u8>,
    // What the other end has not taken yet of a message that took too long.
    behind: Vec<u8>,
}

/// Why nothing came through.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The other end is gone.
    #[error("the other end is gone")]
    Gone,
    /// Nothing came in time.
    #[error("it took too long")]
    Late,
    /// The other end sends what it may not.
    #[error("what came makes no sense: {0}")]
    Senseless(#[from] NoMessage),
    /// The operating system refuses.
    #[error(transparent)]
    Io(io::Error),
}

impl Connection {
    /// A connection over one end of a socket.
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, buffer: Vec::new(), ahead: Vec::new(), behind: Vec::new() }
    }

    /// Sends a message. Waits until `until` for the other end to take it; without a limit if `None`. What it has not taken by then of a
    /// message that it has begun to take goes before the next one.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`].
    pub fn send(
        &mut self,
        header: &impl Serialize,
        blobs: [&[u8]; 3],
        until: Option<Instant>,
    ) -> Result<(), ConnectionError> {
        let mut behind = std::mem::take(&mut self.behind);
        let gone = self.write(&behind, until);
        if let Err((sent, error)) = gone {
            behind.drain(..sent);
            self.behind = behind;
            return Err(error);
        }
        encode(&mut self.buffer, header, blobs)?;
        if let Err((sent, error)) = self.write(&self.buffer, until) {
            if sent > 0 {
                self.behind = self.buffer.get(sent..).unwrap_or_default().to_owned();
            }
            return Err(error);
        }
        self.trim();
        Ok(())
    }

    /// Writes all of it; the error has how much was written before.
    fn write(&self, bytes: &[u8], until: Option<Instant>) -> Result<(), (usize, ConnectionError)> {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match send(&self.socket, rest, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(some) => sent += some,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => self.wait(PollFlags::OUT, until).map_err(|error| (sent, error))?,
                Err(errno) => return Err((sent, errno.into())),
            }
        }
        Ok(())
    }

    /// Waits for a message until `until`; without a limit if `None`.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`].
    pub fn receive<H: DeserializeOwned>(
        &mut self,
        limits: MessageLimits,
        until: Option<Instant>,
    ) -> Result<(H, Blobs), ConnectionError> {
        self.buffer.clear();
        self.buffer.append(&mut self.ahead);
        self.read_until(HEAD_BYTES, until)?;
        let whole = Lengths::read(&self.buffer, limits)?.whole();
        self.read_until(whole, until)?;
        self.ahead.extend_from_slice(self.buffer.get(whole..).unwrap_or_default());
        let message = decode(self.buffer.get(..whole).unwrap_or_default(), limits)?;
        self.trim();
        Ok(message)
    }

    /// Whether the other end has sent more than was received. For one that answers one question at a time: more than it was asked.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Reads until there are so many bytes, and whatever came with them.
    fn read_until(&mut self, wanted: usize, until: Option<Instant>) -> Result<(), ConnectionError> {
        while self.buffer.len() < wanted {
            self.buffer.reserve_exact(AT_ONCE_BYTES.max(wanted).saturating_sub(self.buffer.len()));
            self.wait(PollFlags::IN, until)?;
            match recv(&self.socket, spare_capacity(&mut self.buffer), RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err(ConnectionError::Gone),
                Ok(_some) => {}
                Err(Errno::INTR | Errno::WOULDBLOCK) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Waits until the socket is ready. What the other end did in time counts also where this process was stopped meanwhile: there
    /// is a last look.
    fn wait(&self, ready: PollFlags, until: Option<Instant>) -> Result<(), ConnectionError> {
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.map(Timespec::try_from).transpose().unwrap_or_default();
            match poll(&mut [PollFd::new(&self.socket, ready)], left.as_ref()) {
                Ok(0) => return Err(ConnectionError::Late),
                Ok(_ready) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Gives memory back after a large message.
    fn trim(&mut self) {
        if self.buffer.capacity() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Errno> for ConnectionError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Gone,
            errno => Self::Io(errno.into()),
        }
    }
}

/// Bytes of one read: a usual message comes whole.
const AT_ONCE_BYTES: usize = 16 << 10;

/// Memory that a connection keeps between messages.
const KEPT_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::thread;
    use std::time::Duration;

    use tollgate_testing::processes::sleeps;

    use tollgate_testing::chance::Chance;

    use super::*;

    const LIMITS: MessageLimits = MessageLimits { header: 100, values: 20, blobs: [1 << 20, 10, 0] };

    fn pair() -> (Connection, Connection) {
        let (here, there) = UnixStream::pair().unwrap();
        (Connection::new(here), Connection::new(there))
    }

    #[test]
    fn messages_come_through_whole() {
        let (mut here, mut there) = pair();
        let large = vec![7; 1 << 20];
        let sent = large.clone();
        let sender = thread::spawn(move || {
            here.send(&"small", [b"", b"", b""], None).unwrap();
            here.receive::<String>(LIMITS, None).unwrap();
            here.send(&"large", [&sent, b"0123456789", b""], None).unwrap();
        });
        let (header, blobs) = there.receive::<String>(LIMITS, None).unwrap();
        assert_eq!((header.as_str(), blobs), ("small", [vec![], vec![], vec![]]));
        there.send(&"next", [b"", b"", b""], None).unwrap();
        let (header, blobs) = there.receive::<String>(LIMITS, None).unwrap();
        assert_eq!((header.as_str(), blobs), ("large", [large, b"0123456789".to_vec(), vec![]]));
        sender.join().unwrap();
        assert!(matches!(there.receive::<String>(LIMITS, None), Err(ConnectionError::Gone)));
    }

    #[test]
    fn what_may_not_be_said_is_refused() {
        let senseless = |bytes: &[u8], expected: &str| {
            let (mut here, mut there) = pair();
            here.socket.write_all(bytes).unwrap();
            let error = there.receive::<String>(LIMITS, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let head = |lengths: [u32; 4]| lengths.map(u32::to_le_bytes).concat();
        senseless(&head([101, 0, 0, 0]), "101 bytes where at most 100 may come");
    }

    /// As where a worker tells what its guest writes, faster than it is heard.
    #[test]
    fn messages_that_come_at_once_are_told_apart() {
        let (mut here, mut there) = pair();
        let head = |lengths: [u32; 4]| lengths.map(u32::to_le_bytes).concat();
        let of =
            |text: &str| [head([2, u32::try_from(text.len()).unwrap(), 0, 0]), b"\"\"".to_vec(), text.into()].concat();
        let all: Vec<u8> = ["one", "", "three"].iter().flat_map(|text| of(text)).collect();
        let cut = all.len() - 2;
        here.socket.write_all(&all[..cut]).unwrap();
        for expected in ["one", ""] {
            let (_empty, [text, ..]) = there.receive::<String>(LIMITS, None).unwrap();
            assert_eq!(text, expected.as_bytes());
            assert!(there.is_ahead());
        }
        here.socket.write_all(&all[cut..]).unwrap();
        let (_empty, [text, ..]) = there.receive::<String>(LIMITS, None).unwrap();
        assert_eq!((text.as_slice(), there.is_ahead()), (&b"three"[..], false));
    }

    /// Any bytes, and sound messages with any of their bytes changed.
    #[test]
    fn whatever_comes_is_a_message_within_its_limits_or_refused() {
        let mut chance = Chance::of(1, 1);
        let mut random = move |below: usize| usize::try_from(chance.below(below as u64)).unwrap();
        let mut taken = 0;
        for _case in 0..2_000 {
            let (mut here, mut there) = pair();
            let texts: Vec<u8> = (0..random(40)).map(|_| u8::try_from(random(256)).unwrap()).collect();
            let header = serde_json::to_vec(&"x".repeat(random(20))).unwrap();
            let lengths = [header.len(), texts.len(), 0, 0].map(|length| u32::try_from(length).unwrap().to_le_bytes());
            let mut bytes = [&lengths.concat()[..], &header, &texts].concat();
            for _change in 0..random(3) {
                let (at, byte) = (random(bytes.len()), u8::try_from(random(256)).unwrap());
                bytes[at] = byte;
            }
            bytes.truncate(random(bytes.len() + 20).max(1).min(bytes.len()));
            here.socket.write_all(&bytes).unwrap();
            drop(here);
            if let Ok((header, [first, second, third])) = there.receive::<String>(LIMITS, None) {
                assert!(header.len() <= LIMITS.header && first.len() <= LIMITS.blobs[0]);
                assert!(second.len() <= LIMITS.blobs[1] && third.is_empty());
                taken += 1;
            }
        }
        assert!(taken > 100, "{taken}");
    }

    /// A thread that waits for an answer sleeps once. Each wake-up that brings nothing costs both ends.
    #[test]
    fn nobody_is_woken_because_the_other_end_reads() {
        let (mut here, mut there) = pair();
        let answers = thread::spawn(move || {
            while let Ok((header, _none)) = there.receive::<String>(LIMITS, None) {
                // Time to fall asleep again.
                thread::sleep(Duration::from_micros(50));
                there.send(&header, [b"", b"", b""], None).unwrap();
            }
        });
        const CALLS: u64 = 500;
        let before = sleeps();
        for _call in 0..CALLS {
            here.send(&"question", [b"", b"", b""], None).unwrap();
            here.receive::<String>(LIMITS, None).unwrap();
        }
        let slept = sleeps() - before;
        assert!(slept <= CALLS + CALLS / 10, "{slept} sleeps in {CALLS} calls");
        drop(here);
        answers.join().unwrap();
    }

    /// As where this process was stopped past the deadline of a call: its answer stands in the ledger, and must not be taken for
    /// none.
    #[test]
    fn what_was_sent_in_time_is_heard_late() {
        let (mut here, mut there) = pair();
        let large = vec![7; 100 << 10];
        here.send(&"answer", [&large, b"", b""], None).unwrap();
        let past = Some(Instant::now());
        let (header, [first, ..]) = there.receive::<String>(LIMITS, past).unwrap();
        assert_eq!((header.as_str(), first), ("answer", large));
        assert!(matches!(there.receive::<String>(LIMITS, past), Err(ConnectionError::Late)));
        here.socket.write_all(&[2, 0, 0]).unwrap();
        assert!(matches!(there.receive::<String>(LIMITS, past), Err(ConnectionError::Late)), "half a message is none");
    }

    /// As where a client does not read what its tool writes, and its answer then.
    #[test]
    fn half_a_message_that_took_too_long_is_ended_before_the_next() {
        let (mut here, mut there) = pair();
        let large = vec![7; 1 << 20];
        let past = Some(Instant::now());
        assert!(matches!(here.send(&"cut", [&large, b"", b""], past), Err(ConnectionError::Late)));
        assert!(matches!(here.send(&"late", [b"", b"", b""], past), Err(ConnectionError::Late)), "none before its end");
        let reader = thread::spawn(move || {
            [(); 2].map(|()| {
                there.receive::<String>(LIMITS, None).map(|(header, [blob, ..])| (header, blob.len())).unwrap()
            })
        });
        here.send(&"next", [b"", b"", b""], None).unwrap();
        assert_eq!(reader.join().unwrap(), [("cut".to_owned(), 1 << 20), ("next".to_owned(), 0)]);
    }

    #[test]
    fn nobody_is_waited_for_longer_than_asked() {
        let (_here, mut there) = pair();
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert!(matches!(there.receive::<String>(LIMITS, soon), Err(ConnectionError::Late)));
        assert!(matches!(there.send(&"", [&vec![0; 8 << 20], b"", b""], soon), Err(ConnectionError::Late)));
    }
}

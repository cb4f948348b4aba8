//! A channel: messages with descriptors, one packet each, over a `SOCK_SEQPACKET` socket. A supervisor talks over channels with
//! its notary, and with a worker before and beside its calls.
//!
//! Any thread may send. Sending waits until the other end has left room, and receiving until a packet comes, without a limit,
//! unless the method's name says otherwise.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate_system::of_call;

use crate::message::{MessageLimits, PROTOCOL, decode, encode};

/// Most descriptors that go with one packet.
pub const CHANNEL_FDS_MAX: usize = 64;

/// Most bytes of a packet.
pub const PACKET_BYTES_MAX: usize = 8192;

/// One end of a channel.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// Why a packet did not come through.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The socket is broken.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end is of another version of the program.
    #[error(
        "the other process speaks version {theirs} of Tollgate's protocol, and this one version {PROTOCOL}: the program was \
         exchanged while it ran; start again what started it"
    )]
    Version {
        /// What it speaks.
        theirs: u32,
    },
    /// The packet is not what it should be.
    #[error("a packet that makes no sense: {0}")]
    Malformed(String),
}

impl ChannelError {
    /// Whether the error means that the other end is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset};
        matches!(self, Self::Io(error) if matches!(error.kind(), BrokenPipe | ConnectionReset))
    }
}

impl Channel {
    /// A channel over a `SOCK_SEQPACKET` socket.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Both ends of a new channel; the second as a bare socket, to be handed to another process.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let made = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = made.map_err(|errno| of_call("socketpair", errno))?;
        Ok((Self(ours), theirs))
    }

    /// Sends a packet.
    ///
    /// # Errors
    ///
    /// Of the operating system, or that the packet is too long.
    pub fn send(&self, packet: &impl Serialize) -> Result<(), ChannelError> {
        self.send_with(packet, &[])
    }

    /// Sends a packet with at most [`CHANNEL_FDS_MAX`] descriptors.
    ///
    /// # Errors
    ///
    /// As [`Channel::send`].
    pub fn send_with(&self, packet: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.send_flagged(packet, fds, SendFlags::NOSIGNAL)
    }

    /// Sends a packet, if the other end has left room for it.
    ///
    /// # Errors
    ///
    /// As [`Channel::send`]; [`io::ErrorKind::WouldBlock`] if there is no room.
    pub fn send_at_once(&self, packet: &impl Serialize) -> Result<(), ChannelError> {
        self.send_at_once_with(packet, &[])
    }

    /// The same with at most [`CHANNEL_FDS_MAX`] descriptors.
    ///
    /// # Errors
    ///
    /// As [`Channel::send_at_once`].
    pub fn send_at_once_with(&self, packet: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.send_flagged(packet, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_flagged(
        &self,
        packet: &impl Serialize,
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), ChannelError> {
        let mut bytes = Vec::new();
        encode(&mut bytes, packet, [b"", b"", b""]).map_err(|error| ChannelError::Malformed(error.to_string()))?;
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(ChannelError::Malformed(format!("{} bytes", bytes.len())));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHANNEL_FDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The buffer may have room for more, by alignment, but no receiver takes more.
        let fits = fds.len() <= CHANNEL_FDS_MAX;
        if !fits || !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(ChannelError::Malformed(format!("{} descriptors", fds.len())));
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags) {
                Ok(_all) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
        }
    }

    /// Tells the other end that nothing more comes. Its packets can still be received.
    pub fn hang_up(&self) {
        // A broken socket tells it too.
        shutdown(&self.0, Shutdown::Write).ok();
    }

    /// Closes both directions, also for other holders of this end. The other end receives what was sent before, then learns that
    /// this one is gone.
    pub fn close(&self) {
        // As for `hang_up`.
        shutdown(&self.0, Shutdown::Both).ok();
        // Reads what is left. Else the kernel would report a broken connection to the other end, before the packets that it has
        // yet to read.
        while matches!(self.receive_bytes(RecvFlags::DONTWAIT), Ok(Received::Packet(..))) {}
    }

    /// Waits for a packet; `None` when the other end is gone.
    ///
    /// # Errors
    ///
    /// Of the operating system, or that the packet makes no sense.
    pub fn receive<P: DeserializeOwned>(&self) -> Result<Option<(P, Vec<OwnedFd>)>, ChannelError> {
        match self.receive_bytes(RecvFlags::empty())? {
            Received::Packet(bytes, fds) => of_bytes(&bytes).map(|packet| Some((packet, fds))),
            Received::Gone => Ok(None),
            Received::Late => Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
        }
    }

    /// Receives a packet that is there already; [`Received::Late`] if none is. For a caller that waits for the socket by other
    /// means, as an event loop does.
    ///
    /// # Errors
    ///
    /// As [`Channel::receive`].
    pub fn receive_at_once<P: DeserializeOwned>(&self) -> Result<Received<P>, ChannelError> {
        match self.receive_bytes(RecvFlags::DONTWAIT)? {
            Received::Packet(bytes, fds) => of_bytes(&bytes).map(|packet| Received::Packet(packet, fds)),
            Received::Gone => Ok(Received::Gone),
            Received::Late => Ok(Received::Late),
        }
    }

    /// As [`Channel::receive`], where the other end may begin anew: [`Greeted::Hello`] if it does.
    ///
    /// # Errors
    ///
    /// As [`Channel::receive`] and [`Channel::hear_hello`].
    pub fn receive_or_hello<P: DeserializeOwned>(&self) -> Result<Option<Greeted<P>>, ChannelError> {
        let (bytes, fds) = match self.receive_bytes(RecvFlags::empty())? {
            Received::Packet(bytes, fds) => (bytes, fds),
            Received::Gone => return Ok(None),
            Received::Late => return Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
        };
        match of_bytes(&bytes) {
            Ok(Hello { protocol: PROTOCOL }) => Ok(Some(Greeted::Hello)),
            Ok(Hello { protocol }) => Err(ChannelError::Version { theirs: protocol }),
            Err(_no_hello) => of_bytes(&bytes).map(|packet| Some(Greeted::Packet(packet, fds))),
        }
    }

    fn receive_bytes(&self, flags: RecvFlags) -> Result<Received<Vec<u8>>, ChannelError> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHANNEL_FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut iov = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut iov, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
                // Never go on without the part that was cut off.
                Ok(received) if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) => {
                    return Err(ChannelError::Malformed("more than a packet may have".to_owned()));
                }
                Ok(received) => break received.bytes,
                Err(Errno::INTR) => {}
                Err(Errno::CONNRESET) => return Ok(Received::Gone),
                Err(Errno::WOULDBLOCK) => return Ok(Received::Late),
                Err(error) => return Err(io::Error::from(error).into()),
            }
        };
        if received == 0 {
            return Ok(Received::Gone);
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        bytes.truncate(received);
        Ok(Received::Packet(bytes, fds))
    }

    /// Says which version of the [protocol](PROTOCOL) this process speaks, before anything else.
    ///
    /// # Errors
    ///
    /// As [`Channel::send`].
    pub fn say_hello(&self) -> Result<(), ChannelError> {
        self.send(&Hello { protocol: PROTOCOL })
    }

    /// Waits until the other end says its version; `false` when it is gone.
    ///
    /// # Errors
    ///
    /// As [`Channel::receive`]; [`ChannelError::Version`] where it speaks another.
    pub fn hear_hello(&self) -> Result<bool, ChannelError> {
        match self.receive::<Hello>()? {
            None => Ok(false),
            Some((Hello { protocol: PROTOCOL }, _)) => Ok(true),
            Some((Hello { protocol }, _)) => Err(ChannelError::Version { theirs: protocol }),
        }
    }

    /// Waits for a packet until `deadline`.
    ///
    /// # Errors
    ///
    /// As [`Channel::receive`].
    pub fn receive_until<P: DeserializeOwned>(&self, deadline: Instant) -> Result<Received<P>, ChannelError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.ready_within(Timespec::try_from(left).unwrap_or(FOR_EVER))? {
                return Ok(self.receive()?.map_or(Received::Gone, |(packet, fds)| Received::Packet(packet, fds)));
            }
            if left.is_zero() {
                return Ok(Received::Late);
            }
        }
    }

    /// Whether [`Channel::receive`] would return at once, within this time.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn has_something_within(&self, most: Duration) -> io::Result<bool> {
        self.ready_within(Timespec::try_from(most).unwrap_or(FOR_EVER))
    }

    /// Whether [`Channel::receive`] would return at once.
    ///
    /// # Errors
    ///
    /// Of the operating system.
    pub fn has_something(&self) -> io::Result<bool> {
        self.ready_within(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    fn ready_within(&self, timeout: Timespec) -> io::Result<bool> {
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn of_bytes<P: DeserializeOwned>(bytes: &[u8]) -> Result<P, ChannelError> {
    let packet = decode(bytes, PACKET_LIMITS);
    packet.map(|(packet, _none)| packet).map_err(|error| ChannelError::Malformed(error.to_string()))
}

/// The first message. Later versions of the protocol may add fields to it, and change nothing else.
#[derive(Serialize, Deserialize)]
struct Hello {
    protocol: u32,
}

const PACKET_LIMITS: MessageLimits =
    MessageLimits { header: PACKET_BYTES_MAX, values: PACKET_BYTES_MAX, blobs: [0; 3] };

/// What [`Channel::receive_or_hello`] found.
#[derive(Debug)]
pub enum Greeted<P> {
    /// The other end begins, or begins anew.
    Hello,
    /// A packet, with its descriptors.
    Packet(P, Vec<OwnedFd>),
}

/// What [`Channel::receive_until`] and [`Channel::receive_at_once`] found.
#[derive(Debug)]
pub enum Received<P> {
    /// A packet, with its descriptors.
    Packet(P, Vec<OwnedFd>),
    /// The other end is gone.
    Gone,
    /// Nothing by the deadline, or nothing yet.
    Late,
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Longer than any process lives: no timeout.
const FOR_EVER: Timespec = Timespec { tv_sec: i32::MAX as i64, tv_nsec: 0 };

#[cfg(test)]
mod tests {

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (ours, Channel::new(theirs))
    }

    #[test]
    fn descriptors_go_with_a_packet() {
        let (ours, theirs) = pair();
        let fds = vec![theirs.as_fd(); CHANNEL_FDS_MAX];
        ours.send_with(&"hello", &fds).unwrap();
        let (packet, received) = theirs.receive::<String>().unwrap().unwrap();
        assert_eq!((packet.as_str(), received.len()), ("hello", CHANNEL_FDS_MAX));
        let more = vec![theirs.as_fd(); CHANNEL_FDS_MAX + 1];
        assert!(matches!(ours.send_with(&"hello", &more), Err(ChannelError::Malformed(_))));
        assert!(!theirs.has_something().unwrap(), "nothing of it was sent");
    }

    #[test]
    fn a_packet_that_is_too_long_is_no_packet() {
        let (ours, theirs) = pair();
        let mut long = Vec::new();
        encode(&mut long, &7, [b"", b"", b""]).unwrap();
        long.resize(PACKET_BYTES_MAX + 1, b' ');
        rustix::net::send(&ours, &long, SendFlags::empty()).unwrap();
        assert!(matches!(theirs.receive::<u64>(), Err(ChannelError::Malformed(_))), "its start would be a number");
    }

    #[test]
    fn who_speaks_another_version_is_not_talked_to() {
        let (ours, theirs) = pair();
        ours.say_hello().unwrap();
        assert!(theirs.hear_hello().unwrap());
        ours.send(&serde_json::json!({ "protocol": PROTOCOL + 1, "of": "later" })).unwrap();
        let error = theirs.hear_hello().unwrap_err();
        assert!(matches!(error, ChannelError::Version { theirs } if theirs == PROTOCOL + 1), "{error}");
        assert!(error.to_string().contains("the program was exchanged while it ran"), "{error}");
        ours.send(&serde_json::json!({ "say": "start" })).unwrap();
        assert!(matches!(theirs.hear_hello(), Err(ChannelError::Malformed(_))), "from before there was a hello");
        drop(ours);
        assert!(!theirs.hear_hello().unwrap());
    }

    #[test]
    fn who_begins_anew_is_told_from_who_goes_on() {
        let (ours, theirs) = pair();
        ours.send(&7).unwrap();
        ours.say_hello().unwrap();
        ours.send(&serde_json::json!({ "protocol": PROTOCOL + 1 })).unwrap();
        assert!(matches!(theirs.receive_or_hello::<u64>(), Ok(Some(Greeted::Packet(7, _)))));
        assert!(matches!(theirs.receive_or_hello::<u64>(), Ok(Some(Greeted::Hello))));
        let other = theirs.receive_or_hello::<u64>();
        assert!(matches!(other, Err(ChannelError::Version { theirs }) if theirs == PROTOCOL + 1), "{other:?}");
        ours.send(&"no number").unwrap();
        assert!(matches!(theirs.receive_or_hello::<u64>(), Err(ChannelError::Malformed(_))));
        drop(ours);
        assert!(matches!(theirs.receive_or_hello::<u64>(), Ok(None)));
    }

    #[test]
    fn what_is_closed_is_so_for_all_who_hold_that_end() {
        let (ours, theirs) = pair();
        let copy = Channel::new(ours.as_fd().try_clone_to_owned().unwrap());
        ours.send(&7).unwrap();
        ours.close();
        assert!(copy.send(&8).is_err_and(|error| error.is_gone()));
        assert!(matches!(theirs.receive::<u64>(), Ok(Some((7, _)))));
        assert!(matches!(theirs.receive::<u64>(), Ok(None)));
    }

    #[test]
    fn what_is_there_is_taken_at_once_and_nothing_is_waited_for() {
        let (ours, theirs) = pair();
        assert!(matches!(theirs.receive_at_once::<u64>(), Ok(Received::Late)));
        ours.send_with(&7, &[theirs.as_fd()]).unwrap();
        let Ok(Received::Packet(7, fds)) = theirs.receive_at_once::<u64>() else { panic!("a packet") };
        assert_eq!(fds.len(), 1);
        assert!(matches!(theirs.receive_at_once::<u64>(), Ok(Received::Late)));
        drop((ours, fds));
        assert!(matches!(theirs.receive_at_once::<u64>(), Ok(Received::Gone)));
    }

    #[test]
    fn a_wait_ends() {
        let (ours, theirs) = pair();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(matches!(theirs.receive_until::<u64>(soon()), Ok(Received::Late)));
        assert!(matches!(theirs.receive_until::<u64>(Instant::now()), Ok(Received::Late)));
        ours.send(&7).unwrap();
        assert!(matches!(theirs.receive_until::<u64>(Instant::now()), Ok(Received::Packet(7, _))));
        drop(ours);
        assert!(matches!(theirs.receive_until::<u64>(soon()), Ok(Received::Gone)));
    }
}

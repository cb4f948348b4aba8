//! The observer: the kernel's own audit, as far as this process may hear it. `NETLINK_AUDIT`, multicast group
//! `AUDIT_NLGRP_READLOG` (`linux/audit.h`); it needs `CAP_AUDIT_READ`, and no audit daemon.
//!
//! It must never be needed, never block, and never let a flood of records keep the notary from its work: what comes
//! too fast is lost.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};

/// Records that the kernel sends to all who listen.
#[derive(Debug)]
pub(super) struct Observer {
    socket: OwnedFd,
    // How many came in the period that began then.
    heard: u32,
    since: Instant,
    is_deaf: bool,
    datagram: Box<[u8]>,
}

impl Observer {
    /// `None` where this process may not hear the kernel's audit, or would not know whom it is about.
    pub(super) fn open() -> Option<Self> {
        // Records name processes as the first namespace numbers them.
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        if namespace.to_str() != Some(FIRST_PID_NAMESPACE) {
            return None;
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::AUDIT)).ok()?;
        bind(&socket, &SocketAddrNetlink::new(0, READLOG)).ok()?;
        Some(Self {
            socket,
            heard: 0,
            since: Instant::now(),
            is_deaf: false,
            datagram: vec![0; DATAGRAM_BYTES_MAX].into(),
        })
    }

    /// What tells that there is something to hear, unless too much came lately.
    pub(super) fn wakes(&self) -> Option<BorrowedFd<'_>> {
        (!self.is_deaf && !self.is_tired()).then(|| self.socket.as_fd())
    }

    /// Whether it listens again only after a while.
    pub(super) fn is_tired(&self) -> bool {
        self.heard >= RECORDS_MAX && self.since.elapsed() < PERIOD
    }

    /// Drops what is of before: numbers of processes come again.
    pub(super) fn forget(&mut self) {
        for _ in 0..FORGOTTEN_MAX {
            if !matches!(self.next(), Next::Record(_) | Next::Other) {
                return;
            }
        }
    }

    /// What came since; `about` gets the process and the text of each record.
    pub(super) fn hear(&mut self, mut about: impl FnMut(u32, String)) {
        if self.since.elapsed() >= PERIOD {
            (self.heard, self.since) = (0, Instant::now());
        }
        while self.heard < RECORDS_MAX {
            match self.next() {
                Next::Record(bytes) => {
                    let datagram = self.datagram.get(..bytes).unwrap_or_default();
                    if let Some((process, text)) = record(datagram) {
                        about(process, text);
                    }
                }
                Next::Other => {}
                Next::Nothing => return,
            }
            self.heard += 1;
        }
    }

    fn next(&mut self) -> Next {
        match recvfrom(&self.socket, &mut *self.datagram, RecvFlags::DONTWAIT) {
            Ok((_, bytes, from)) => {
                let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                if from.is_some_and(|from| from.pid() == KERNEL) { Next::Record(bytes) } else { Next::Other }
            }
            // Records were lost, or the wait was.
            Err(Errno::NOBUFS | Errno::INTR) => Next::Other,
            Err(Errno::AGAIN) => Next::Nothing,
            Err(_broken) => {
                self.is_deaf = true;
                Next::Nothing
            }
        }
    }
}

enum Next {
    /// So many bytes, in the buffer.
    Record(usize),
    Other,
    Nothing,
}

/// Process and text of a record on a blocked system call or a Landlock domain (`struct nlmsghdr`, then text).
fn record(datagram: &[u8]) -> Option<(u32, String)> {
    let (header, text) = datagram.split_first_chunk::<HEADER_BYTES>()?;
    let [_, _, _, _, t0, t1, ..] = header;
    if !TYPES.contains(&u16::from_ne_bytes([*t0, *t1])) {
        return None;
    }
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches(['\0', '\n']);
    // What a process can choose (comm, exe) comes later, and without spaces.
    let process = text.split_ascii_whitespace().find_map(|word| word.strip_prefix("pid="))?;
    Some((process.parse().ok()?, text.to_owned()))
}

/// `AUDIT_SECCOMP` and `AUDIT_LANDLOCK_DOMAIN`, which name the process.
const TYPES: [u16; 2] = [1326, 1424];

/// `AUDIT_NLGRP_READLOG` as a bit.
const READLOG: u32 = 1;

/// The sender of what the kernel says.
const KERNEL: u32 = 0;

/// `PROC_PID_INIT_INO`.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

const HEADER_BYTES: usize = 16;

/// `MAX_AUDIT_MESSAGE_LENGTH` and the header.
const DATAGRAM_BYTES_MAX: usize = 8970 + HEADER_BYTES;

/// So many records are heard in each period.
const RECORDS_MAX: u32 = 64;
const PERIOD: Duration = Duration::from_millis(100);

/// More than a socket's buffer holds.
const FORGOTTEN_MAX: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(kind: u16, text: &str) -> Vec<u8> {
        let [t0, t1] = kind.to_ne_bytes();
        [&[0, 0, 0, 0, t0, t1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], text.as_bytes(), &[0]].concat()
    }

    #[test]
    fn a_record_names_its_process() {
        let text = "audit(1.2:3): auid=0 uid=0 gid=0 ses=1 subj=unconfined pid=42 comm=\"a\" exe=\"/b\" sig=31";
        assert_eq!(record(&datagram(1326, text)), Some((42, text.to_owned())));
        assert_eq!(record(&datagram(1300, text)), None, "another kind");
        assert_eq!(record(&datagram(1326, "audit(1.2:3): ppid=7 xpid=7")), None);
        assert_eq!(record(&datagram(1326, "audit(1.2:3): pid=-1")), None);
        assert_eq!(record(&datagram(1326, "audit(1.2:3): pid=1 comm=x pid=2")).unwrap().0, 1);
        assert_eq!(record(&[0; 15]), None);
        assert_eq!(record(&[]), None);
    }
}

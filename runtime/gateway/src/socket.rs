//! A Unix stream socket for which the event loop wakes up once there is something to read.
//!
//! A socket of tokio's waits for both, room to write and something to read. The kernel says that there is room each time the other end
//! reads (`unix_write_space`), so that each answer would wake this process once more, and the other end pays for that before it
//! goes on. Here the event loop hears of room only from when there was none.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The socket.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    // None only if the event loop refused it when it was to hear of room.
    socket: Option<AsyncFd<StdUnixStream>>,
    hears_of_room: bool,
    // Who waits for something to read.
    reader: Option<Waker>,
}

impl UnixSocket {
    /// A socket whose reads and writes do not wait.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = StdUnixStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some(register(socket, Interest::READABLE)?), hears_of_room: false, reader: None })
    }

    fn socket(&self) -> io::Result<&AsyncFd<StdUnixStream>> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes by `write`, or waits for room.
    fn poll_write_by(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&StdUnixStream) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut room =
                if self.hears_of_room { Some(ready!(self.socket()?.poll_write_ready(context))?) } else { None };
            match (write(self.socket()?.get_ref()), &mut room) {
                (Ok(written), _) => return Poll::Ready(Ok(written)),
                (Err(Errno::INTR), _) => {}
                (Err(Errno::WOULDBLOCK), Some(room)) => room.clear_ready(),
                (Err(Errno::WOULDBLOCK), None) => self.hear_of_room()?,
                (Err(errno), _) => return Poll::Ready(Err(errno.into())),
            }
        }
    }

    fn hear_of_room(&mut self) -> io::Result<()> {
        let Some(socket) = self.socket.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        self.socket = Some(register(socket.into_inner(), Interest::READABLE | Interest::WRITABLE)?);
        self.hears_of_room = true;
        // It waits at what is gone.
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }
}

#[allow(unsafe_code, reason = "tokio takes its word that a descriptor stays what it is")]
fn register(socket: StdUnixStream, interest: Interest) -> io::Result<AsyncFd<StdUnixStream>> {
    // SAFETY: the socket owns its descriptor, and is owned by what is made here, which gives out no means to close or exchange it.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

impl AsyncRead for UnixSocket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let polled = this.socket()?.poll_read_ready(context);
            let Poll::Ready(ready) = polled else {
                this.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            let mut ready = ready?;
            let room = into.initialize_unfilled();
            let most = room.len();
            match recv(ready.get_inner(), room, RecvFlags::DONTWAIT) {
                Ok((_, read)) => {
                    // More would have come with it.
                    if read > 0 && read < most {
                        ready.clear_ready();
                    }
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => ready.clear_ready(),
                Err(errno) => return Poll::Ready(Err(errno.into())),
            }
        }
    }
}

impl AsyncWrite for UnixSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        self.get_mut().poll_write_by(context, |socket| send(socket, bytes, flags))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_by(context, |socket| rustix::io::writev(socket, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket().and_then(|socket| Ok(shutdown(socket.get_ref(), Shutdown::Write)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::thread;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::runtime::Builder;
    use tokio::task::{LocalSet, spawn_local};
    use tollgate_testing::processes::sleeps;

    use super::*;

    fn on_an_event_loop<T>(task: impl Future<Output = T>) -> T {
        Builder::new_current_thread().enable_io().build().unwrap().block_on(task)
    }

    /// The event loop sleeps once for each question. Each wake-up that brings nothing costs both ends.
    #[test]
    fn nobody_is_woken_because_the_other_end_reads() {
        const QUESTIONS: u64 = 500;
        let (mut client, socket) = StdUnixStream::pair().unwrap();
        let asks = thread::spawn(move || {
            for _question in 0..QUESTIONS {
                client.write_all(b"?").unwrap();
                client.read_exact(&mut [0]).unwrap();
                // Time to fall asleep again.
                thread::sleep(Duration::from_micros(50));
            }
        });
        let before = sleeps();
        on_an_event_loop(async {
            let mut socket = UnixSocket::new(socket.into()).unwrap();
            while socket.read_u8().await.is_ok() {
                socket.write_all(b"!").await.unwrap();
            }
        });
        let slept = sleeps() - before;
        asks.join().unwrap();
        assert!(slept <= QUESTIONS + QUESTIONS / 10, "{slept} sleeps for {QUESTIONS} questions");
    }

    /// Both halves wait at once: one for room, the other for something to read.
    #[test]
    fn a_full_socket_is_written_on_and_read_meanwhile() {
        const BYTES: usize = 4 << 20;
        let (mut client, socket) = StdUnixStream::pair().unwrap();
        let (read, written) = on_an_event_loop(LocalSet::new().run_until(async {
            let (mut read, mut write) = tokio::io::split(UnixSocket::new(socket.into()).unwrap());
            let reads = spawn_local(async move {
                let mut all = Vec::new();
                read.read_to_end(&mut all).await.unwrap();
                all.len()
            });
            let peer = thread::spawn(move || {
                // The other side is full by now, or will be: nothing of it has been read.
                client.write_all(&[1; 64 << 10]).unwrap();
                let mut all = vec![0; BYTES];
                client.read_exact(&mut all).unwrap();
                client.write_all(&[2; 64 << 10]).unwrap();
                all.iter().filter(|byte| **byte == 7).count()
            });
            write.write_all(&vec![7; BYTES]).await.unwrap();
            (reads.await.unwrap(), peer.join().unwrap())
        }));
        assert_eq!((read, written), (128 << 10, BYTES));
    }
}

//! A client's socket, of either kind, with the bytes that were looked at before it was known what it speaks.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::socket::UnixSocket;
use crate::watch::Watch;

/// The socket.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    // Came already, and is read first.
    ahead: BytesMut,
    watch: Rc<Watch>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixSocket),
    Tcp { socket: TcpStream, port: u16 },
}

impl Stream {
    pub(crate) fn new(socket: OwnedFd, watch: Rc<Watch>) -> io::Result<Self> {
        Ok(Self { socket: Socket::of(socket)?, ahead: BytesMut::new(), watch })
    }

    /// The port that the client came in by; none over a Unix socket.
    pub(crate) const fn port(&self) -> Option<u16> {
        match &self.socket {
            Socket::Unix(_) => None,
            Socket::Tcp { port, .. } => Some(*port),
        }
    }

    pub(crate) const fn watch(&self) -> &Rc<Watch> {
        &self.watch
    }

    /// What came and was not read.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Waits for more of it; false where nothing more comes.
    pub(crate) async fn look(&mut self) -> io::Result<bool> {
        let mut bytes = BytesMut::with_capacity(LOOK_BYTES);
        let ahead = std::mem::take(&mut self.ahead);
        let read = self.read_buf(&mut bytes).await;
        self.ahead = ahead;
        self.ahead.extend_from_slice(&bytes);
        Ok(read? > 0)
    }

    /// Reads this many bytes of what came.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.ahead.advance(bytes.min(self.ahead.len()));
    }

    /// Says a last word, and closes.
    pub(crate) async fn close_with(mut self, last: &[u8]) {
        if self.write_all(last).await.is_ok() && self.shutdown().await.is_ok() {
            let handshake = self.watch.handshake();
            discard(&mut self, handshake).await;
        }
    }
}

/// Reads what a client still sends, for a while: a socket that is closed over unread bytes takes the last word back (TCP).
pub(crate) async fn discard(from: &mut (impl AsyncRead + Unpin), at_most: Duration) {
    let all = async {
        let (mut bytes, mut left) = (BytesMut::with_capacity(LOOK_BYTES), DISCARDED_BYTES_MAX);
        while let Ok(read @ 1..) = from.read_buf(&mut bytes).await {
            bytes.clear();
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // Late or not, the socket is closed.
    timeout(at_most.min(LINGER), all).await.unwrap_or_default();
}

const LOOK_BYTES: usize = 16 << 10;

const DISCARDED_BYTES_MAX: usize = 16 << 20;

/// A client that has not read the last word by then does not read.
const LINGER: Duration = Duration::from_secs(1);

impl Socket {
    fn of(socket: OwnedFd) -> io::Result<Self> {
        let socket = StdUnixStream::from(socket);
        // It knows an address of its own kind alone.
        if socket.local_addr().is_ok() {
            return Ok(Self::Unix(UnixSocket::new(socket.into())?));
        }
        let socket = std::net::TcpStream::from(OwnedFd::from(socket));
        socket.set_nonblocking(true)?;
        let socket = TcpStream::from_std(socket)?;
        let port = socket.local_addr()?.port();
        // An answer that waits for the acknowledgement of the last one would cost 40 ms.
        socket.set_nodelay(true)?;
        Ok(Self::Tcp { socket, port })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(into.remaining());
            into.put_slice(&this.ahead.split_to(length));
            this.watch.has_read();
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        let read = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_read(context, into),
            Socket::Tcp { socket, .. } => Pin::new(socket).poll_read(context, into),
        };
        if into.filled().len() > before {
            this.watch.has_read();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tcp { socket, .. } => Pin::new(socket).poll_write(context, bytes),
        };
        this.told(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match &mut this.socket {
            Socket::Unix(socket) => Pin::new(socket).poll_write_vectored(context, bytes),
            Socket::Tcp { socket, .. } => Pin::new(socket).poll_write_vectored(context, bytes),
        };
        this.told(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().socket {
            Socket::Unix(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tcp { socket, .. } => Pin::new(socket).poll_shutdown(context),
        }
    }
}

impl Stream {
    fn told(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.watch.is_blocked(),
            Poll::Ready(Ok(1..)) => self.watch.has_written(),
            Poll::Ready(Ok(0) | Err(_)) => {}
        }
        written
    }
}

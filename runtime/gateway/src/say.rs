//! The gateway's own words on the control channel. Who says something does not wait: what the socket has no room for is kept, and
//! there are never more such words than connections, lanes and waiting calls.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::rc::Rc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tollgate_ipc::{Channel, ChannelError};

use crate::protocol::FromGateway;

/// The control channel, as the event loop waits for it.
#[derive(Debug)]
pub(crate) struct Polled(Channel);

impl Polled {
    /// The channel.
    pub(crate) const fn channel(&self) -> &Channel {
        &self.0
    }

    /// Has the event loop wait for it.
    ///
    /// # Errors
    ///
    /// Of the event loop.
    #[allow(unsafe_code, reason = "a descriptor of this type is owned, which tokio cannot know")]
    pub(crate) fn register(control: Channel) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the channel owns its socket: the number stays that socket's until this value is dropped, which only the
        // registration does.
        let registered = unsafe { AsyncFd::register(Self(control)) };
        Ok(registered?)
    }
}

impl AsRawFd for Polled {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Says things to the daemon.
#[derive(Debug, Clone)]
pub(crate) struct Say(Rc<Saying>);

#[derive(Debug)]
struct Saying {
    control: Rc<AsyncFd<Polled>>,
    unsaid: RefCell<VecDeque<FromGateway>>,
    more: Notify,
}

impl Say {
    pub(crate) fn new(control: Rc<AsyncFd<Polled>>) -> Self {
        Self(Rc::new(Saying { control, unsaid: RefCell::default(), more: Notify::new() }))
    }

    /// Says it at once, or as soon as there is room. A daemon that is gone needs to hear nothing.
    pub(crate) fn say(&self, what: FromGateway) {
        self.0.unsaid.borrow_mut().push_back(what);
        if self.say_unsaid().is_err() {
            self.0.more.notify_one();
        }
    }

    /// Says what was left, for as long as this process serves.
    ///
    /// # Errors
    ///
    /// Of the event loop.
    pub(crate) async fn work(&self) -> io::Result<()> {
        loop {
            self.0.more.notified().await;
            while self.say_unsaid().is_err() {
                self.0.control.ready(Interest::WRITABLE).await?.clear_ready();
            }
        }
    }

    /// An error where there is no room for all of it.
    fn say_unsaid(&self) -> Result<(), ()> {
        let mut unsaid = self.0.unsaid.borrow_mut();
        while let Some(next) = unsaid.front() {
            match self.0.control.get_ref().channel().send_at_once(next) {
                Err(ChannelError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Err(()),
                Ok(()) | Err(_) => unsaid.pop_front(),
            };
        }
        Ok(())
    }
}

//! The event loop's main task: hears the daemon, takes clients and lanes, and ends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use tokio::io::unix::AsyncFd;
use tokio::task::{AbortHandle, JoinSet};
use tollgate_ipc::{Channel, ChannelError, Received};

use crate::client;
use crate::lane::Lane;
use crate::lanes::Lanes;
use crate::protocol::{FromGateway, GatewayLimits, ToGateway};
use crate::race::{Either, race};
use crate::say::{Polled, Say};
use crate::service::Core;

/// Serves until the daemon is gone, or has asked to drain and nothing is left.
///
/// # Errors
///
/// The daemon cannot be understood, or the operating system refuses.
pub(crate) async fn serve(control: Channel, token: bool, limits: GatewayLimits) -> io::Result<()> {
    let control = Rc::new(Polled::register(control)?);
    let say = Say::new(Rc::clone(&control));
    let lanes = Lanes::new(limits.queue, limits.body_bytes, say.clone());
    let core = Rc::new(Core::new(Rc::clone(&lanes), limits, token));
    let mut gateway = Gateway {
        control,
        core,
        lanes,
        say: say.clone(),
        clients: Rc::default(),
        tasks: JoinSet::new(),
        drains: false,
    };
    say.say(FromGateway::Ready);
    match race(gateway.hear(), say.work()).await {
        Either::First(ended) | Either::Second(ended) => ended,
    }
}

/// What ends each client's connection.
type Clients = Rc<RefCell<HashMap<u64, Option<AbortHandle>>>>;

struct Gateway {
    control: Rc<AsyncFd<Polled>>,
    core: Rc<Core>,
    lanes: Rc<Lanes>,
    say: Say,
    clients: Clients,
    // A task for each client and each lane.
    tasks: JoinSet<()>,
    drains: bool,
}

impl Gateway {
    async fn hear(&mut self) -> io::Result<()> {
        while !(self.drains && self.clients.borrow().is_empty()) {
            let ended = async {
                // Without a task there is none to wait for.
                if self.tasks.join_next().await.is_none() {
                    std::future::pending::<()>().await;
                }
            };
            match race(next(&self.control), ended).await {
                Either::First(Ok(Some((said, fds)))) => self.take(said, fds)?,
                Either::First(Ok(None)) => return Ok(()),
                Either::First(Err(error)) => return Err(error),
                Either::Second(()) => {}
            }
        }
        Ok(())
    }

    fn take(&mut self, said: ToGateway, fds: Vec<OwnedFd>) -> io::Result<()> {
        let mut fds = fds.into_iter();
        match (said, fds.next(), fds.next()) {
            (ToGateway::Client { client, is_busy }, Some(socket), None) => self.client(client, socket, is_busy),
            (ToGateway::Lane, Some(socket), None) => {
                let lane = Lane::new(socket)?;
                if self.lanes.has_room() {
                    self.tasks.spawn_local(Rc::clone(&self.lanes).take(lane));
                }
            }
            (ToGateway::Drop { clients }, None, None) => {
                for client in clients {
                    let ends = self.clients.borrow_mut().remove(&client).flatten();
                    // What it has under way is withdrawn with it.
                    ends.inspect(AbortHandle::abort);
                }
            }
            (ToGateway::NoLane, None, None) => self.lanes.no_more(),
            (ToGateway::Count, None, None) => self.say.say(FromGateway::Count { waiting: self.lanes.waiting() }),
            (ToGateway::Changed, None, None) => self.core.changed(),
            (ToGateway::Drain, None, None) => {
                self.drains = true;
                self.core.drain();
            }
            (said, _, _) => return Err(io::Error::other(format!("the daemon said what it may not: {said:?}"))),
        }
        Ok(())
    }

    fn client(&mut self, client: u64, socket: OwnedFd, is_busy: bool) {
        let closing = Closing::new(Rc::clone(&self.clients), self.say.clone(), client);
        let (core, is_busy) = (Rc::clone(&self.core), is_busy || self.drains);
        let task = self.tasks.spawn_local(async move {
            client::serve(core, client, socket, is_busy).await;
            drop(closing);
        });
        self.clients.borrow_mut().insert(client, Some(task));
    }
}

/// Waits for the daemon's next word; none once it is gone.
async fn next(control: &AsyncFd<Polled>) -> io::Result<Option<(ToGateway, Vec<OwnedFd>)>> {
    loop {
        let mut ready = control.readable().await?;
        match control.get_ref().channel().receive_at_once() {
            Ok(Received::Packet(said, fds)) => return Ok(Some((said, fds))),
            Ok(Received::Gone) => return Ok(None),
            Ok(Received::Late) => ready.clear_ready(),
            Err(ChannelError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Counts a client, and tells the daemon when it is over, however that comes about.
#[derive(Debug)]
struct Closing {
    clients: Clients,
    say: Say,
    client: u64,
}

impl Closing {
    fn new(clients: Clients, say: Say, client: u64) -> Self {
        clients.borrow_mut().insert(client, None);
        Self { clients, say, client }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.clients.borrow_mut().remove(&self.client);
        self.say.say(FromGateway::Closed { client: self.client });
    }
}

//! What rmcp's handlers ask, done where the gateway's own state is. They may be on any thread for all that the compiler knows; the state
//! is not.

use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::held::Holding;
use crate::parse::CallRequest;
use crate::protocol::{Failure, Format};
use crate::race::{Either, race};
use crate::reply::Reply;
use crate::service::{Asker, Core};

/// Asks for a connection.
#[derive(Debug, Clone)]
pub(super) struct Asks(mpsc::Sender<Job>);

/// What is asked, and where the answer goes. Who drops that end wants none.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are calls")]
enum Job {
    Tools(oneshot::Sender<Result<(String, Holding), Failure>>),
    Call(CallRequest, oneshot::Sender<(Reply, Option<Holding>)>),
    Receipt(String, oneshot::Sender<Result<String, Failure>>),
}

/// Does what is asked. Dropping it ends all of it.
#[derive(Debug)]
pub(super) struct Jobs {
    core: Rc<Core>,
    asker: Asker,
    come: mpsc::Receiver<Job>,
}

pub(super) fn pair(core: &Rc<Core>, asker: &Asker) -> (Asks, Jobs) {
    let (give, come) = mpsc::channel(1);
    (Asks(give), Jobs { core: Rc::clone(core), asker: asker.clone(), come })
}

impl Asks {
    /// The list of tools in MCP's form.
    pub(super) async fn tools(&self) -> Result<(String, Holding), Failure> {
        let (give, answer) = oneshot::channel();
        self.0.send(Job::Tools(give)).await.map_err(|_gone| ended())?;
        answer.await.map_err(|_gone| ended())?
    }

    /// The receipt of a call.
    pub(super) async fn receipt(&self, call: String) -> Result<String, Failure> {
        let (give, answer) = oneshot::channel();
        self.0.send(Job::Receipt(call, give)).await.map_err(|_gone| ended())?;
        answer.await.map_err(|_gone| ended())?
    }

    /// Makes a call. Dropping this withdraws it.
    pub(super) async fn call(&self, call: CallRequest) -> (Reply, Option<Holding>) {
        let (give, answer) = oneshot::channel();
        if self.0.send(Job::Call(call, give)).await.is_err() {
            return (Reply::failed(ended()), None);
        }
        answer.await.unwrap_or_else(|_gone| (Reply::failed(ended()), None))
    }

    /// Waits for the end of the connection.
    pub(super) async fn ended(&self) {
        self.0.closed().await;
    }
}

fn ended() -> Failure {
    Failure::new("cancelled", "the connection has ended")
}

impl Jobs {
    /// Works until nobody asks any more.
    pub(super) async fn work(mut self) {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.try_join_next().is_some() {}
            let Some(job) = self.come.recv().await else { break };
            tasks.spawn_local(job.done(Rc::clone(&self.core), self.asker.clone()));
        }
    }
}

impl Job {
    async fn done(self, core: Rc<Core>, asker: Asker) {
        match self {
            Self::Tools(mut give) => {
                if let Either::First(list) = race(core.tools(&asker, Format::McpByPolicy), give.closed()).await {
                    give.send(list).unwrap_or_default();
                }
            }
            Self::Receipt(call, mut give) => {
                if let Either::First(receipt) = race(core.receipt(&asker, call), give.closed()).await {
                    give.send(receipt).unwrap_or_default();
                }
            }
            Self::Call(call, mut give) => {
                if let Either::First(reply) = race(core.reply(&asker, call), give.closed()).await {
                    // Nobody wants it any more.
                    give.send(reply).map_or_else(drop, drop);
                }
            }
        }
    }
}

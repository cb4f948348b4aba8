//! All lanes, and the questions that wait for one. A question takes the lane that was used last, so that the thread behind it is
//! warm; where none is free it waits in the order in which it came, and leaves when whoever asked is gone.
//!
//! A lane must never have two questions: it is free only once the end of the last one was read.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tollgate_ipc::Blobs;

use crate::held::{All, Held, Holding};
use crate::lane::{Broken, Lane};
use crate::protocol::{Asked, Failure, FromGateway, Told};
use crate::race::{Either, race};
use crate::say::Say;

/// The lanes of this gateway.
#[derive(Debug)]
pub(crate) struct Lanes {
    state: RefCell<State>,
    queue_max: usize,
    waiting_bytes_max: usize,
    held: Arc<All>,
    say: Say,
}

#[derive(Debug, Default)]
struct State {
    // The lane that was used last is the last.
    free: Vec<oneshot::Sender<Question>>,
    waiting: VecDeque<Question>,
    lanes: usize,
    wanted: usize,
    no_more: bool,
    numbers: u64,
}

#[derive(Debug)]
struct Question {
    number: u64,
    asked: Asked,
    blobs: [Vec<u8>; 2],
    held: Held,
    told: mpsc::Sender<Heard>,
}

/// What the daemon said, and what of it is held for the connection.
pub(crate) type Heard = (Told, Blobs, Holding);

impl State {
    /// How many wait until their connections have room.
    fn without_room(&self) -> usize {
        self.waiting.iter().filter(|question| !question.held.has_room()).count()
    }
}

impl Question {
    fn bytes(&self) -> usize {
        self.blobs.iter().map(Vec::len).sum()
    }
}

/// A question under way. Dropping it takes it back: from the queue, or by telling the daemon.
#[derive(Debug)]
pub(crate) struct Asking {
    number: u64,
    told: mpsc::Receiver<Heard>,
    lanes: Rc<Lanes>,
}

/// A question cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// As many wait as may.
    Busy,
    /// There is no lane, and none will come.
    NoLane,
}

impl Lanes {
    /// At most `queue_max` questions wait, of requests that together have no more bytes than [`WAITING_BODIES`] of the longest.
    pub(crate) fn new(queue_max: usize, body_bytes: usize, say: Say) -> Rc<Self> {
        let waiting_bytes_max = body_bytes.saturating_mul(WAITING_BODIES);
        Rc::new(Self { state: RefCell::default(), queue_max, waiting_bytes_max, held: Arc::default(), say })
    }

    /// What all connections hold.
    pub(crate) const fn held(&self) -> &Arc<All> {
        &self.held
    }

    /// Asks, with a number that no other question has, for a connection that holds so much.
    pub(crate) fn ask(
        self: &Rc<Self>,
        held: &Held,
        asked: impl FnOnce(u64) -> Asked,
        blobs: [Vec<u8>; 2],
    ) -> Result<Asking, Unasked> {
        let mut state = self.state.borrow_mut();
        state.numbers += 1;
        let number = state.numbers;
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let mut question = Question { number, asked: asked(number), blobs, held: held.clone(), told: tell };
        let asking = Asking { number, told, lanes: Rc::clone(self) };
        while let Some(free) = state.free.pop_if(|_free| held.has_room()) {
            match free.send(question) {
                Ok(()) => return Ok(asking),
                // That lane has just ended.
                Err(back) => question = back,
            }
        }
        let refused = if state.lanes == 0 && state.no_more {
            Some(Unasked::NoLane)
        } else {
            let bytes = state.waiting.iter().map(Question::bytes).sum::<usize>().saturating_add(question.bytes());
            let is_full = state.waiting.len() >= self.queue_max || bytes > self.waiting_bytes_max;
            // Those who do not read leave room for others.
            let is_its_share = !held.has_room() && state.without_room() >= self.queue_max.div_ceil(2);
            (is_full || is_its_share).then_some(Unasked::Busy)
        };
        if let Some(refused) = refused {
            // Its drop looks into the state.
            drop(state);
            return Err(refused);
        }
        if !held.has_room() {
            self.held.is_awaited();
        }
        state.waiting.push_back(question);
        self.want(&mut state);
        Ok(asking)
    }

    /// How many questions wait for a lane.
    pub(crate) fn waiting(&self) -> usize {
        self.state.borrow().waiting.len()
    }

    /// There will be no more lanes; where there is none at all, nobody waits any longer.
    pub(crate) fn no_more(&self) {
        let mut state = self.state.borrow_mut();
        (state.no_more, state.wanted) = (true, 0);
        if state.lanes > 0 {
            return;
        }
        for question in state.waiting.drain(..) {
            let error = Failure::from(Unasked::NoLane);
            // Whoever asked may be gone.
            let told = Told::Failed { call: None, usage: None, error };
            question.told.try_send((told, Blobs::default(), question.held.hold(0))).ok();
        }
    }

    /// Whether another lane is taken.
    pub(crate) fn has_room(&self) -> bool {
        self.state.borrow().lanes < LANES_MAX
    }

    /// Takes a lane. The result asks questions on it until it breaks.
    pub(crate) fn take(self: Rc<Self>, lane: Lane) -> impl Future<Output = ()> {
        // Counted here: the daemon's next word may be that there will be no more.
        {
            let mut state = self.state.borrow_mut();
            state.lanes += 1;
            state.wanted = state.wanted.saturating_sub(1);
        }
        self.work(lane)
    }

    async fn work(self: Rc<Self>, mut lane: Lane) {
        while let Some(question) = self.next(&mut lane).await {
            if self.answer(&mut lane, &question).await.is_err() {
                break;
            }
        }
        let mut state = self.state.borrow_mut();
        state.free.retain(|free| !free.is_closed());
        state.lanes -= 1;
        // There is one less than there was when the daemon said that there would be no more.
        state.no_more = false;
        self.want(&mut state);
    }

    /// The next question for a lane; none once the lane is of no use.
    async fn next(&self, lane: &mut Lane) -> Option<Question> {
        loop {
            let (give, mut given) = oneshot::channel();
            {
                let mut state = self.state.borrow_mut();
                if let Some(question) = self.first(&mut state) {
                    return Some(question);
                }
                state.free.push(give);
            }
            match race(&mut given, race(lane.useless(), self.held.room())).await {
                Either::First(question) => return question.ok(),
                // A question that was given meanwhile is dropped, so that whoever asked hears of it.
                Either::Second(Either::First(())) => return None,
                Either::Second(Either::Second(())) => {
                    if let Ok(question) = given.try_recv() {
                        return Some(question);
                    }
                    drop(given);
                    self.state.borrow_mut().free.retain(|free| !free.is_closed());
                }
            }
        }
    }

    /// The first question that waits, of those whose connections have room for an answer.
    fn first(&self, state: &mut State) -> Option<Question> {
        let at = state.waiting.iter().position(|question| question.held.has_room());
        if at.is_none() && !state.waiting.is_empty() {
            self.held.is_awaited();
        }
        state.waiting.remove(at?)
    }

    async fn answer(&self, lane: &mut Lane, question: &Question) -> Result<(), Broken> {
        let Question { number, asked, blobs: [first, second], told, held } = question;
        if told.is_closed() {
            return Ok(());
        }
        lane.ask(asked, [first, second]).await?;
        let mut is_wanted = true;
        loop {
            let (heard, blobs) = if is_wanted {
                match race(lane.hear(), told.closed()).await {
                    Either::First(heard) => heard?,
                    Either::Second(()) => {
                        is_wanted = false;
                        if matches!(asked, Asked::Call { .. }) {
                            self.say.say(FromGateway::Cancel { request: *number });
                        }
                        continue;
                    }
                }
            } else {
                lane.hear().await?
            };
            let is_end = !matches!(heard, Told::Log);
            // Held from here on: the next question of the connection is taken only where there is room behind it.
            let holding = held.hold(blobs.iter().map(Vec::len).sum());
            // Where nobody listens any more, the next turn finds out.
            told.send((heard, blobs, holding)).await.ok();
            if is_end {
                return Ok(());
            }
        }
    }

    fn leave(&self, number: u64) {
        let left = {
            let mut state = self.state.borrow_mut();
            let at = state.waiting.iter().position(|question| question.number == number);
            at.and_then(|at| state.waiting.remove(at))
        };
        drop(left);
    }

    /// One word for each question that no lane is on the way for.
    fn want(&self, state: &mut State) {
        // Where there is no lane at all, nobody else looks for who has room again.
        let unserved = if state.lanes == 0 { state.waiting.len() } else { state.waiting.len() - state.without_room() };
        while !state.no_more && state.wanted < unserved {
            state.wanted += 1;
            self.say.say(FromGateway::WantLane);
        }
    }
}

impl Asking {
    /// What the daemon says next; none if the lane broke.
    pub(crate) async fn hear(&mut self) -> Option<Heard> {
        self.told.recv().await
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.lanes.leave(self.number);
    }
}

impl From<Unasked> for Failure {
    fn from(unasked: Unasked) -> Self {
        match unasked {
            Unasked::Busy => Self::new(
                "busy",
                "as many calls wait as may (`serve.queue`, and four times `serve.body` of bytes); ask again later",
            ),
            Unasked::NoLane => {
                Self::new("busy", "the daemon gives this agent no connection for its calls; ask again later")
            }
        }
    }
}

/// Pieces of a log that wait for a client to take them; then the daemon waits.
const TOLD_MAX: usize = 4;

/// Requests of the longest sort that may wait: many small ones do, and few large ones.
const WAITING_BODIES: usize = 4;

/// Most lanes: a daemon that gives more is refused, before this process runs out of descriptors.
pub(crate) const LANES_MAX: usize = 256;

//! The host's own process: runs the calls of one tool, or of those of one compartment, sealed by the kernel. It is told
//! what to load before it is sealed, and answers calls afterwards; no guest runs before.
//!
//! ```text
//! take over ─▶ engine, code ─▶ confine ─▶ threads ─▶ filter ─▶ self-test on each ─▶ Enforced ─▶ load tools ─▶ serve
//! ```
//!
//! It must never serve without an [`Enforced`](crate::sandbox::Enforced), reach the ledger other than through its pipe, or start a thread once it
//! is sealed.

pub(crate) mod lane;
mod muster;
pub(crate) mod order;
mod serving;
pub(crate) mod words;

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::{io, panic, process, thread};

use rustix::process::setsid;
use tollgate_audit::{CallId, Channel, Recorder};
use tollgate_capability::CapabilitySet;

use self::lane::Lane;
use self::muster::Muster;
use self::order::{Handed, Order, ToHost, take_over};
use self::serving::Serving;
use self::words::{Started, no_start};
use crate::drill::{Held, Post, ThreadKind};
use crate::error::{HostError, with_causes};
use crate::instance::EventLoop;
use crate::machine::{Engine, Machine};
use crate::parent::die_with;
use crate::runtime::record_enforcement;
use crate::sandbox::{self, Confined, EnforceError, Stripped};
use crate::tool::{Component, Loading};

/// What a host's process is told by its arguments.
#[derive(Debug, Clone, Copy)]
pub struct HostRole {
    /// The process that started it, without which it must not live.
    pub front: u32,
}

/// Runs calls as the process that a [`Front`](crate::Front) started, which must have one thread and the control socket as
/// its standard input. Returns when the front is gone or has no more calls.
///
/// # Errors
///
/// The front cannot be understood. Whatever else goes wrong, it is told.
pub fn serve(role: &HostRole) -> io::Result<()> {
    belong_to(role)?;
    end_by_any_panic();
    let control = Channel::new(io::stdin().as_fd().try_clone_to_owned()?);
    let handed = take_over(&control)?;
    let stripped = sandbox::strip(&handed.descriptors(&control));
    let drill = post(&handed, &control);
    let Handed { way, status, order, code, mut lanes } = handed;
    sandbox::trap::set_evidence(way.pipe.as_raw_fd(), way.host);
    let recorder = Arc::new(Recorder::over(way));
    recorder.set_status(status);
    let count = lanes.len();
    let prepared =
        stripped.map_err(|error| unsealed(&error)).and_then(|stripped| prepare(stripped, order, code, count));
    match prepared {
        Ok(prepared) => prepared.serve(&recorder, lanes, drill.clone())?,
        Err(error) => {
            lanes.iter_mut().take(1).for_each(|lane| words::tell(lane, &error));
            return Ok(());
        }
    }
    if let Some(drill) = drill {
        drill.attend(ThreadKind::Main);
    }
    hear(&control, &recorder)
}

/// Where threads meet over an attack, in a host that was started for one.
fn post(handed: &Handed, control: &Channel) -> Option<Arc<Post>> {
    let order = handed.order.drill.clone()?;
    let held = Held {
        host: handed.way.host,
        control: control.as_fd().as_raw_fd(),
        pipe: handed.way.pipe.as_raw_fd(),
        acks: handed.way.acks.as_raw_fd(),
        lane: handed.lanes.first()?.as_fd().as_raw_fd(),
    };
    Some(Arc::new(Post::new(order, held)))
}

/// What a host will run, in a process that reaches no files but those granted.
struct Prepared {
    engine: Engine,
    tools: Vec<Unloaded>,
    confined: Confined,
}

/// A tool whose code is there.
#[derive(Debug)]
pub(crate) struct Unloaded {
    pub(crate) loading: Loading,
    pub(crate) component: Component,
    pub(crate) describing: CallId,
}

/// Makes the code of the tools ready to run: the last pages of this process that become executable. Then confines it.
fn prepare(stripped: Stripped, order: Order, code: Vec<OwnedFd>, lanes: usize) -> Result<Prepared, Started> {
    let engine = Engine::new(u32::try_from(lanes).unwrap_or(u32::MAX)).map_err(|error| no_start(&error))?;
    let Order { required, tools, drill } = order;
    let (mut plan, mut unloaded) =
        (drill.and_then(|drill| drill.set).map(|set| sandbox::plan(&set.into_set())), Vec::new());
    for (place, (order, code)) in tools.into_iter().zip(code).enumerate() {
        let describing = order.describing;
        let load = order.into_load();
        let its_plan = sandbox::plan(&load.set);
        plan = Some(match plan {
            Some(plan) => plan.and(its_plan),
            None => its_plan,
        });
        let unloadable = |error| Started::Unloadable { tool: place, error };
        let component = Component::from_memory_file(&engine, &code, load.component).map_err(unloadable)?;
        let loading = Loading::of(load).map_err(unloadable)?;
        unloaded.push(Unloaded { loading, component, describing });
    }
    let plan = plan.unwrap_or_else(|| sandbox::plan(&CapabilitySet::default()));
    let confined = stripped.confine(&plan, required).map_err(|error| unsealed(&error))?;
    Ok(Prepared { engine, tools: unloaded, confined })
}

impl Prepared {
    /// Starts every thread that this process will have, seals them, and lets them serve.
    fn serve(self, recorder: &Arc<Recorder>, lanes: Vec<Lane>, drill: Option<Arc<Post>>) -> io::Result<()> {
        let Self { engine, tools, confined } = self;
        let policies = tools.iter().map(|tool| tool.loading.policy()).collect();
        let muster = Muster::new(lanes.len() + 1);
        let first = {
            let (muster, drill) = (Arc::clone(&muster), drill.clone());
            move || {
                if muster.attend(EPOCH_THREAD).is_ok()
                    && let Some(drill) = drill
                {
                    drill.attend(ThreadKind::Epoch);
                }
            }
        };
        let machine = Machine::start(&engine, Arc::clone(recorder) as _, first).map_err(io::Error::other)?;
        let serving = Arc::new(Serving::new(machine, tools, drill));
        for (place, lane) in lanes.into_iter().enumerate() {
            let (muster, serving, event_loop) = (Arc::clone(&muster), Arc::clone(&serving), EventLoop::new()?);
            let name = format!("worker-{}", place + 1);
            let its_name = name.clone();
            let work = move || serving.work(place == 0, lane, event_loop, &muster.attend(&its_name));
            thread::Builder::new().name(name).spawn(work)?;
        }
        sandbox::trap::name_thread(MAIN_THREAD);
        let sealed = muster.seal(confined).map_err(|error| unsealed(&error)).and_then(|enforced| {
            record_enforcement(&**recorder, &enforced, policies).map_err(|error| no_start(&error))?;
            Ok(enforced)
        });
        muster.release(sealed);
        Ok(())
    }
}

/// A session of its own, and no life without the front.
fn belong_to(role: &HostRole) -> io::Result<()> {
    setsid()?;
    die_with(role.front)
}

/// A thread that panics leaves calls without an answer: the process ends, and the front starts another one.
fn end_by_any_panic() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panicked| {
        usual(panicked);
        process::abort();
    }));
}

fn unsealed(error: &EnforceError) -> Started {
    let reason = with_causes(error);
    let is_below = matches!(error, EnforceError::BelowFloor { .. });
    let error = if is_below { HostError::BelowFloor { reason } } else { HostError::NotSealed { reason } };
    Started::NoHost { error }
}

/// Hears the front until it has nothing more to say.
fn hear(control: &Channel, recorder: &Recorder) -> io::Result<()> {
    while let Some((said, _none)) = control.receive::<ToHost>().map_err(io::Error::other)? {
        match said {
            ToHost::Notary { status } => recorder.set_status(status),
            ToHost::Host { .. } | ToHost::Code | ToHost::Lanes | ToHost::Start => {
                return Err(io::Error::other("a second start"));
            }
        }
    }
    Ok(())
}

const MAIN_THREAD: &str = "main";
const EPOCH_THREAD: &str = "epoch";

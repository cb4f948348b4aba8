//! A process that does what a worker does before it serves and then serves calls, sealed, in part or not: the same code, so
//! that what lies between the ways is the seal. Other than a worker it loads its tool before it is sealed.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::SendFlags;
use tollgate::authority::hold;
use tollgate::sandbox::{self, Confined, Expected, Tested, trap};
use tollgate::{Caller, Engine, Provenance, Request, kernel_plan};
use tollgate_audit::{CallId, Level, Record as _, WriterId};
use tollgate_engine::Component;
use tollgate_engine::call::ExecutorThread;
use tollgate_engine::clock::now_ms;
use tollgate_engine::executor::Executor;
use tollgate_engine::instance::EventLoop;
use tollgate_engine::loading::{LoadOrder, Loading};
use tollgate_engine::private::Noted;
use tollgate_engine::tool::LoadedTool;
use tollgate_ipc::Channel;
use tollgate_ipc::message::encode;
use tollgate_notary::{Recorder, Status, WriterEnds};
use tollgate_workspace::forgets::Forgets;

use crate::furnished::{self, CALLS, Call};

/// Whether the process is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    Open,
    /// The same under another name.
    OpenAgain,
    /// Without the filter of system calls.
    Confined,
    Sealed,
}

impl Seal {
    pub(crate) const ALL: [Self; 4] = [Self::Open, Self::OpenAgain, Self::Confined, Self::Sealed];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::OpenAgain => "open-again",
            Self::Confined => "confined",
            Self::Sealed => "sealed",
        }
    }

    pub(crate) fn of(text: &str) -> Self {
        Self::ALL.into_iter().find(|seal| seal.as_str() == text).expect("a known way")
    }
}

/// What each step of sealing takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps([Duration; Self::NAMES.len()]);

impl Steps {
    pub(crate) const NAMES: [&str; 5] = ["strip", "plan and confine", "filter", "self-tests", "finish"];

    pub(crate) fn of(nanos: [u64; Self::NAMES.len()]) -> Self {
        Self(nanos.map(Duration::from_nanos))
    }

    pub(crate) fn each(&self) -> [Duration; Self::NAMES.len()] {
        self.0
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    fn nanos(self) -> [u64; Self::NAMES.len()] {
        self.0.map(nanos)
    }
}

/// Gets ready, says so, and serves until the other end hangs up.
pub(crate) fn serve(seal: Seal, scene: &Path) {
    let control = Channel::new(io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let way = way(&control);
    let mut steps = Steps::default();
    let stripped = matches!(seal, Seal::Confined | Seal::Sealed).then(|| {
        let keep = [control.as_fd(), way.pipe.as_fd(), way.acks.as_fd()];
        let stripped = timed(&mut steps.0[0], || {
            // SAFETY: this process has just started, and owns nothing but what it keeps.
            unsafe { sandbox::strip(&keep) }
        });
        // SAFETY: the recorder has the pipe until this process ends.
        unsafe { trap::set_evidence(way.pipe.as_raw_fd(), way.writer) };
        stripped.expect("stripped")
    });
    let recorder = Arc::new(Recorder::over(way));
    recorder.set_status(Status::Ready);
    let mut set = furnished::set(scene);
    let engine = Engine::new(set.limits.calls).expect("an engine");
    let artifact = furnished::artifact(scene, &engine);
    let component = Component::from_artifact(&engine, &artifact).expect("the component");
    // As a supervisor holds them for its workers.
    let _folders = hold(&mut set).expect("folders");
    // Recorded nowhere.
    let tool = {
        let executor = Executor::start(&engine, Arc::new(Forgets), || ()).expect("an engine");
        let provenance = Provenance { manifest: "", grant: "", by: "bench", declared: None };
        let order = LoadOrder::new(&furnished::tool_manifest(), artifact.component(), set.clone(), provenance);
        let describing = Noted::of(CallId([0; 16]), None, None);
        let loading = Loading::of(order).expect("a tool");
        loading.load(&mut thread_of(&executor), &component, &describing).expect("a tool")
    };
    let confined = stripped.map(|stripped| {
        let confine = || stripped.confine(&kernel_plan::plan(&set), Level::Full);
        timed(&mut steps.0[1], confine).expect("confined")
    });
    // Every thread for calls, the ticker, and this one.
    let threads = set.limits.calls;
    let meeting = Arc::new(Meeting::of(threads as usize + 2));
    let attend = |name: String| {
        let meeting = Arc::clone(&meeting);
        move || meeting.attend(&name)
    };
    let executor = Executor::start(&engine, Arc::clone(&recorder) as _, attend("epoch".to_owned())).expect("an engine");
    let first = {
        let (executor, meet, meeting) = (Arc::clone(&executor), attend("executor-1".to_owned()), Arc::clone(&meeting));
        thread::spawn(move || {
            let mut thread = thread_of(&executor);
            meet();
            work((&mut thread, &recorder), &tool, &control, meeting.steps.get().copied().unwrap_or_default());
        })
    };
    for number in 2..=threads {
        let (executor, meet) = (Arc::clone(&executor), attend(format!("executor-{number}")));
        thread::spawn(move || {
            let _thread = thread_of(&executor);
            meet();
            // As one that has no calls.
            loop {
                thread::park();
            }
        });
    }
    drop(executor);
    meeting.lead(confined.filter(|_| seal == Seal::Sealed), steps);
    first.join().expect("a thread that ends well");
}

fn way(control: &Channel) -> WriterEnds {
    let (worker, fds) = control.receive::<WriterId>().expect("a way").expect("somebody who starts this");
    let [pipe, acks] = <[OwnedFd; 2]>::try_from(fds).expect("two descriptors");
    WriterEnds { writer: worker, pipe, acks }
}

/// As an embedder has it: the seal, where there is one, is this bench's own.
fn thread_of(executor: &Arc<Executor>) -> ExecutorThread {
    ExecutorThread::new(executor, EventLoop::new().expect("an event loop"), &sandbox::Enforced::nothing_by_choice())
}

fn work(mut way: (&mut ExecutorThread, &Recorder), tool: &LoadedTool, control: &Channel, steps: Steps) {
    say(control, &steps.nanos());
    while let Some((call, _none)) = control.receive::<usize>().expect("a request") {
        let times: Vec<u64> = (0..CALLS[call].batch).map(|_| one(&mut way, tool, &CALLS[call])).collect();
        say(control, &times);
    }
}

/// By a system call that sealed processes have.
fn say(control: &Channel, nanos: &[u64]) {
    let mut packet = Vec::new();
    encode(&mut packet, &nanos, [b"", b"", b""]).expect("numbers");
    rustix::net::send(control.as_fd(), &packet, SendFlags::empty()).expect("somebody who hears");
}

fn one((thread, recorder): &mut (&mut ExecutorThread, &Recorder), tool: &LoadedTool, call: &Call) -> u64 {
    let Call { operation, arguments, .. } = *call;
    let request = Request { operation, arguments, stdin: Default::default(), caller: Caller::default() };
    let before = Instant::now();
    let call_id = recorder.next_call(now_ms());
    let answer = thread.call(tool, &request, (call_id, None), None, || Ok(())).expect("an answer");
    let took = before.elapsed();
    assert_eq!(answer.output, call.answer);
    nanos(took)
}

/// Where the threads meet, are sealed and test that.
struct Meeting {
    all: Barrier,
    expected: OnceLock<Option<Expected>>,
    tested: Mutex<Vec<Tested>>,
    steps: OnceLock<Steps>,
}

impl Meeting {
    fn of(threads: usize) -> Self {
        Self { all: Barrier::new(threads), expected: OnceLock::new(), tested: Mutex::default(), steps: OnceLock::new() }
    }

    fn attend(&self, name: &str) {
        trap::name_thread(name);
        self.all.wait();
        self.test();
        self.all.wait();
    }

    /// Waits for the filter, and then for all to have tested it; for nothing if there is none.
    fn test(&self) {
        self.all.wait();
        if let Some(expected) = self.expected.get().expect("what is to be tested") {
            let tested = sandbox::self_test(expected).expect("a seal that holds");
            self.tested.lock().expect("no panic").push(tested);
            self.all.wait();
        }
    }

    /// For the main thread.
    fn lead(&self, confined: Option<Confined>, mut steps: Steps) {
        self.all.wait();
        let filtered = confined.map(|confined| timed(&mut steps.0[2], || confined.filter()).expect("filtered"));
        self.expected.get_or_init(|| filtered.as_ref().map(sandbox::Filtered::expected));
        timed(&mut steps.0[3], || self.test());
        if let Some(filtered) = filtered {
            let tested = self.tested.lock().expect("no panic");
            let enforced = timed(&mut steps.0[4], || filtered.finish(&tested)).expect("a seal on every thread");
            assert_eq!(enforced.level(), Level::Full);
        }
        self.steps.get_or_init(|| steps);
        self.all.wait();
    }
}

fn timed<T>(took: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = Instant::now();
    let done = work();
    *took = before.elapsed();
    done
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("less than centuries")
}

//! The daemon: doors, their policy, and the threads that wait at them.
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `doors`, one | takes who knocks at any door, looks at the disk, at its descriptors and whether threads start | a knock, or 5 s |
//! | `operator`, for each connection of the operator | does what the operator asks | the operator's next word |
//! | those of each gateway | [`gateway`](crate::gateway) | |
//!
//! No lock is held over a call, nor while a tool is loaded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use tollgate::notary::{NotaryFailure, NotaryProcess};
use tollgate::service::{Config, OpenError, Tollgate};
use tollgate_audit::Digest;
use tollgate_config::{Deployment, POLICY_BYTES_MAX, Proof};
use tollgate_system::{ProcessCommand, give_back_memory, lock, of_call, of_thread, share_heaps};

use crate::door::{AGENTS, Door, Place};
use crate::fault::{Fault, ReloadError};
use crate::gateway::Gateway;
use crate::operator;
use crate::serving::{LOCAL, Serving};
use crate::sockets::{SocketError, listen_for_packets, make_folder};
use crate::status::{AgentStatus, Status};
use crate::tokens::Tokens;

/// What a daemon is started with.
pub struct DaemonConfig {
    /// The home whose tools it serves.
    pub tollgate: Config,
    /// The folder of its sockets ([`folder_of`](crate::sockets::folder_of)), which is made.
    pub folder: PathBuf,
    /// The file of tokens.
    pub tokens: PathBuf,
    /// How to start a gateway.
    pub gateway: ProcessCommand,
    /// Listeners that whoever started this process has opened (`sd_listen_fds(3)`), by their names: that of an agent, or of a unit
    /// `AGENT.socket`. One without a name of its own (none, `unknown`, `connection`, or that of another unit, which systemd gives where
    /// the unit says nothing) is `local`'s.
    pub given: Vec<(String, UnixListener)>,
    /// Hears what an operator should know of, a line each, from any thread.
    pub tell: Arc<dyn Fn(&str) + Send + Sync>,
    /// The operator has asked that the daemon ends: whoever has it calls [`Daemon::stop`].
    pub end: Arc<dyn Fn() + Send + Sync>,
}

/// A daemon that serves. Dropping it ends it at once, as [`Daemon::stop`] does without time.
pub struct Daemon {
    shared: Arc<Shared>,
    doors: Option<JoinHandle<()>>,
}

/// What all of its threads share.
struct Shared {
    serving: Arc<Serving>,
    folder: PathBuf,
    policy: Option<PathBuf>,
    end: Arc<dyn Fn() + Send + Sync>,
    doors: Mutex<Vec<Arc<Door>>>,
    // Gateways whose doors are gone, until their last calls are over.
    retired: Mutex<Vec<Arc<Gateway>>>,
    // One at a time reads the policy again.
    reloading: Mutex<()>,
    // Becomes readable when there are other doors, or the daemon ends.
    wakes: OwnedFd,
    is_over: AtomicBool,
    told: Mutex<ToldOf>,
    is_short_of_disk: AtomicBool,
    // Whether the operator has asked for its end.
    is_to_end: AtomicBool,
    is_short_of_descriptors: AtomicBool,
    is_short_of_threads: AtomicBool,
    operators: AtomicUsize,
    // The file of tokens that was looked at.
    tokens_seen: Mutex<Option<Option<(u64, i64, i64)>>>,
    // Kept open for the operator, where there are no descriptors left.
    spare: Mutex<Option<File>>,
    started: Instant,
}

/// Of which state of the folder of tools the clients were told.
struct ToldOf {
    state: Option<SystemTime>,
    // Another one, and since when it is.
    next: Option<(Option<SystemTime>, Instant)>,
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The home cannot be opened: another process may have the ledger.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A socket cannot be listened on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A listener that was handed over is nobody's: whoever is sent there would wait for ever.
    #[error(
        "a socket was handed over for `{name}`, which is no agent of the policy, or has a socket already; the agents are: {agents}"
    )]
    Given {
        /// The name of the listener.
        name: String,
        /// The agents of the policy.
        agents: String,
    },
    /// The operating system refuses.
    #[error("the daemon cannot be started")]
    Io(#[from] io::Error),
}

impl Daemon {
    /// Opens the ledger, then the doors. Waits at most 60 s for the notary.
    ///
    /// # Errors
    ///
    /// [`DaemonError`].
    pub fn start(config: DaemonConfig) -> Result<Self, DaemonError> {
        let DaemonConfig { tollgate, folder, tokens, gateway, given, tell, end } = config;
        share_heaps();
        make_folder(&folder)?;
        make_folder(&folder.join(AGENTS))?;
        let (ledger, policy) = (tollgate.ledger.clone(), tollgate.policy.clone());
        let place = folder.join(OPERATOR);
        let tollgate = Tollgate::open_as(tollgate, Some(place.clone()))?;
        let given = given_to_agents(given, &tollgate.deployment())?;
        let operator = listen_for_packets(&place)?;
        let told = Mutex::new(ToldOf { state: tollgate.tools_changed_at(), next: None });
        let wakes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let serving = Arc::new(Serving {
            tollgate,
            tokens: Tokens::at(tokens),
            gateway,
            ledger,
            tell,
            given: Mutex::new(given),
            is_draining: AtomicBool::new(false),
            clients: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            told: Mutex::default(),
        });
        let shared = Arc::new(Shared {
            serving,
            folder,
            policy,
            end,
            doors: Mutex::default(),
            retired: Mutex::default(),
            reloading: Mutex::default(),
            wakes: wakes.map_err(|errno| of_call("eventfd2", errno))?,
            is_over: AtomicBool::new(false),
            told,
            is_short_of_disk: AtomicBool::new(false),
            is_to_end: AtomicBool::new(false),
            is_short_of_descriptors: AtomicBool::new(false),
            is_short_of_threads: AtomicBool::new(false),
            operators: AtomicUsize::new(0),
            tokens_seen: Mutex::default(),
            spare: Mutex::new(File::open("/dev/null").ok()),
            started: Instant::now(),
        });
        let doors = shared.doors_of(&shared.serving.tollgate.deployment(), &[])?;
        tell_not_installed(&doors);
        *lock(&shared.doors) = doors;
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new().name("doors".to_owned());
        let thread = thread.spawn(move || its.wait_at_doors(&operator)).map_err(of_thread)?;
        Ok(Self { shared, doors: Some(thread) })
    }

    /// Reads the policy again, as [`Tollgate::reload`] does. Agents that are new get a door, those that are gone lose theirs, once
    /// their calls are over. It is on record who asked for it and what came of it: a policy does not hold before that is.
    ///
    /// # Errors
    ///
    /// [`ReloadError`]: the policy before stays.
    pub fn reload(&self, by: &str) -> Result<(), ReloadError> {
        self.shared.reload(by)
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// The sockets and ports of its agents, by name.
    #[must_use]
    pub fn places(&self) -> BTreeMap<String, (PathBuf, Option<u16>)> {
        let doors = lock(&self.shared.doors);
        doors.iter().map(|door| (door.agent.clone(), (door.path.clone(), door.place.port))).collect()
    }

    /// Ends it: nothing new is taken, and what is under way has the time of the policy (`serve.drain`); then it is cancelled. Waits
    /// for that, for gateways and workers, and until all that was recorded is on disk.
    ///
    /// # Errors
    ///
    /// [`NotaryFailure`]: something may not be on disk.
    pub fn stop(mut self) -> Result<(), NotaryFailure> {
        let most = Duration::from_millis(self.shared.serving.serve().drain_ms);
        self.end(most);
        let mut serving = Arc::clone(&self.shared.serving);
        drop(self);
        // Threads of the operator may hold it for a moment.
        let until = Instant::now() + OPERATORS_END;
        loop {
            match Arc::try_unwrap(serving) {
                Ok(only) => return only.tollgate.close(),
                Err(others) if Instant::now() >= until => {
                    return others.tollgate.supervisor().notary().checkpoint().map(drop);
                }
                Err(others) => {
                    serving = others;
                    thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    fn end(&mut self, most: Duration) {
        let Some(thread) = self.doors.take() else { return };
        let shared = &self.shared;
        shared.serving.is_draining.store(true, Ordering::SeqCst);
        let doors = std::mem::take(&mut *lock(&shared.doors));
        // Tokens that are removed meanwhile still close what they opened.
        let gateways = {
            let mut retired = lock(&shared.retired);
            retired.extend(doors.iter().filter_map(|door| door.running()));
            retired.clone()
        };
        gateways.iter().for_each(|gateway| gateway.drain());
        end_drained(&gateways, most);
        lock(&shared.retired).clear();
        doors.iter().for_each(|door| door.take_away(&[]));
        shared.is_over.store(true, Ordering::SeqCst);
        shared.wake();
        thread.join().ok();
        std::fs::remove_file(shared.folder.join(OPERATOR)).ok();
    }
}

/// Waits until gateways that take nothing new are over; then cancels their calls, and kills what is left.
fn end_drained(gateways: &[Arc<Gateway>], most: Duration) {
    let until = Instant::now() + most;
    if gateways.iter().all(|gateway| gateway.await_over(until)) {
        return;
    }
    gateways.iter().for_each(|gateway| gateway.cancel_all());
    let until = Instant::now() + CANCELLED_END;
    gateways.iter().filter(|gateway| !gateway.await_over(until)).for_each(|gateway| gateway.kill());
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

impl Shared {
    fn reload(self: &Arc<Self>, by: &str) -> Result<(), ReloadError> {
        let _one_at_a_time = lock(&self.reloading);
        let before = lock(&self.doors).clone();
        // Before any socket is another one.
        let read = self.lasting_trouble().map_or(Ok(()), |why| Err(ReloadError::Unrecorded { why }));
        let read = read.and_then(|()| self.serving.tollgate.read_policy().map_err(ReloadError::from));
        let doors = read.and_then(|next| {
            let doors = self.doors_of(next.deployment(), &before)?;
            self.record_adopted(by, next.digest()).inspect_err(|_| {
                let is_new = |door: &&Arc<Door>| !before.iter().any(|other| Arc::ptr_eq(door, other));
                doors.iter().filter(is_new).for_each(|door| door.take_away(&before));
            })?;
            Ok((next, doors))
        });
        let (next, doors) = match doors {
            Ok(doors) => doors,
            Err(error) => {
                let fault = Fault::of(&error);
                let why = fault.placed();
                let text = self
                    .policy
                    .as_deref()
                    .and_then(|path| tollgate_authority::files::read(path, POLICY_BYTES_MAX as u64).ok());
                self.record_refused(by, Digest::of(&text.unwrap_or_default()), &why);
                let help = fault.help.map(|help| format!(" ({help})")).unwrap_or_default();
                self.serving
                    .tell(&format!("the policy was read again and does not hold, the one before stays: {why}{help}"));
                return Err(error);
            }
        };
        self.serving.tollgate.adopt(next);
        *lock(&self.doors) = doors.clone();
        self.wake();
        let is_gone = |door: &&Arc<Door>| !doors.iter().any(|other| Arc::ptr_eq(door, other));
        let gone: Vec<_> = before.iter().filter(is_gone).collect();
        gone.iter().for_each(|door| door.take_away(&doors));
        self.retire(gone.into_iter());
        self.look_at_tokens();
        self.changed();
        tell_not_installed(&doors);
        self.serving.tell("the policy was read again, and holds from here on");
        Ok(())
    }

    /// Ends the gateways of doors that are gone: at once for new calls, within `serve.drain` for those under way.
    fn retire<'d>(&self, gone: impl Iterator<Item = &'d Arc<Door>>) {
        let gateways: Vec<_> = gone.filter_map(|door| door.running()).collect();
        gateways.iter().for_each(|gateway| gateway.retire());
        if gateways.is_empty() {
            return;
        }
        {
            let mut retired = lock(&self.retired);
            retired.retain(|gateway| !gateway.is_over());
            retired.extend(gateways.iter().cloned());
        }
        let most = Duration::from_millis(self.serving.serve().drain_ms);
        let work = move || end_drained(&gateways, most);
        // Without a thread for it they end with their last call, or with the daemon.
        thread::Builder::new().name("gateways-end".to_owned()).spawn(work).map(drop).unwrap_or_default();
    }

    /// Has every client that listens look again which tools there are, and tells whose operations are others.
    fn changed(&self) {
        *lock(&self.told) = ToldOf { state: self.serving.tollgate.tools_changed_at(), next: None };
        self.serving.tollgate.changed_operations().iter().for_each(|line| self.serving.tell(line));
        let doors = lock(&self.doors).clone();
        doors.iter().filter_map(|door| door.running()).for_each(|gateway| gateway.changed());
    }

    /// Why the ledger takes nothing, unless another notary is started soon.
    fn lasting_trouble(&self) -> Option<String> {
        let until = Instant::now() + NOTARY_PATIENCE;
        loop {
            let trouble = self.serving.tollgate.supervisor().notary().trouble()?;
            if Instant::now() >= until {
                return Some(trouble);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn record_adopted(&self, by: &str, policy: Digest) -> Result<(), ReloadError> {
        let recorded = self.serving.tollgate.supervisor().record_reload(by, policy, None);
        recorded.map_err(|error| ReloadError::Unrecorded { why: error.to_string() })
    }

    fn record_refused(&self, by: &str, policy: Digest, why: &str) {
        if let Err(error) = self.serving.tollgate.supervisor().record_reload(by, policy, Some(why)) {
            self.serving.tell(&format!("that the policy was read again is not on record: {error}"));
        }
    }

    /// The doors that a policy has. Those that are open already and stay as they are, are the same.
    fn doors_of(
        self: &Arc<Self>,
        deployment: &Deployment,
        before: &[Arc<Door>],
    ) -> Result<Vec<Arc<Door>>, SocketError> {
        let named = deployment
            .agents
            .iter()
            .map(|(name, agent)| (name.to_string(), Place::of(name.as_str(), agent, &self.folder)));
        let mut places: Vec<(String, Place)> = named.collect();
        if places.is_empty() {
            places.push((LOCAL.to_owned(), Place::of_operator(&self.folder)));
        }
        must_be_apart(&self.folder, &places)?;
        let mut doors = Vec::new();
        for (agent, place) in places {
            let same = before.iter().find(|door| door.agent == agent && door.place == place && door.is_there());
            doors.push(match same {
                Some(door) => Arc::clone(door),
                None => Door::open(&self.serving, &agent, place)?,
            });
        }
        Ok(doors)
    }

    /// The agent that the operator's own user is, and its socket.
    fn own_agent(&self, uid: u32) -> Option<(String, PathBuf)> {
        let doors = lock(&self.doors);
        let is_own = |door: &&Arc<Door>| matches!(door.place.is(), Proof::Uid(uids) if uids.contains(&uid));
        doors.iter().find(is_own).map(|door| (door.agent.clone(), door.path.clone()))
    }

    fn status(&self) -> Status {
        let doors = lock(&self.doors).clone();
        let agents = doors.iter().map(|door| {
            let gateway = door.running();
            let (connections, running, lanes) = gateway.as_ref().map(|gateway| gateway.counts()).unwrap_or_default();
            let waiting = gateway.as_ref().map_or(Some(0), |gateway| gateway.waiting());
            AgentStatus {
                agent: door.agent.clone(),
                socket: door.path.clone(),
                port: door.place.port,
                not_installed: door.not_installed(),
                to_move: door.to_move(),
                gateway: gateway.map(|gateway| gateway.pid()),
                connections,
                running,
                waiting,
                lanes,
            }
        });
        let why_not_ready = self.serving.not_ready();
        let descriptors = self.serving.descriptors();
        Status {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: tollgate_ipc::PROTOCOL,
            uptime_s: self.started.elapsed().as_secs(),
            ledger: self.serving.ledger.clone(),
            policy: self.policy.clone(),
            policy_digest: self.serving.tollgate.policy_digest().to_string(),
            ready: why_not_ready.is_empty(),
            why_not_ready,
            ending: self.serving.is_draining(),
            free_bytes: self.serving.free_bytes(),
            descriptors_open: descriptors.map(|descriptors| descriptors.open),
            descriptors_limit: descriptors.and_then(|descriptors| descriptors.limit),
            lag_ms: lag_ms(&self.serving.ledger),
            workers: self.serving.tollgate.supervisor().workers(),
            agents: agents.collect(),
        }
    }

    fn wake(&self) {
        rustix::io::write(&self.wakes, &1_u64.to_ne_bytes()).ok();
    }

    fn wait_at_doors(self: &Arc<Self>, operator: &OwnedFd) {
        let (mut looked, mut given_back) = (None, 0);
        while !self.is_over.load(Ordering::SeqCst) {
            let doors = lock(&self.doors).clone();
            let asked = self.serving.asked.load(Ordering::Relaxed);
            let knocked = {
                let listeners = doors.iter().flat_map(|door| door.listeners());
                let all = [self.wakes.as_fd(), operator.as_fd()].into_iter().chain(listeners);
                let mut polled: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
                match poll(&mut polled, Some(&LOOK_EVERY)) {
                    Ok(0) => {
                        // Once after all that was asked, and not while anything is: other threads wait for it.
                        if asked != given_back && asked == self.serving.asked.load(Ordering::Relaxed) {
                            give_back_memory();
                            given_back = asked;
                        }
                        Vec::new()
                    }
                    Ok(_) => polled.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>(),
                    Err(Errno::INTR) => Vec::new(),
                    Err(_no_memory) => {
                        thread::sleep(Duration::from_millis(10));
                        Vec::new()
                    }
                }
            };
            rustix::io::read(&self.wakes, &mut [0; 8]).ok();
            self.look_at_disk();
            self.look_at_tokens();
            self.look_at_tools();
            if looked.is_none_or(|looked: Instant| looked.elapsed() >= DESCRIPTORS_LOOK_EVERY) {
                looked = Some(Instant::now());
                self.look_at_descriptors();
                self.look_at_threads();
            }
            {
                let mut spare = lock(&self.spare);
                if spare.is_none() {
                    *spare = File::open("/dev/null").ok();
                }
            }
            let idle = Duration::from_millis(self.serving.serve().idle_ms);
            for door in &doors {
                door.end_idle_gateway(idle);
                door.close_turned_away();
                door.tell_knock(None);
                if let Some(gateway) = door.running() {
                    gateway.catch_up();
                }
            }
            if knocked.get(1).is_some_and(|knocked| *knocked) {
                self.admit_operator(operator);
            }
            let mut knocked = knocked.into_iter().skip(2);
            for door in &doors {
                let at_this = knocked.by_ref().take(door.listeners().count()).fold(false, |any, one| any | one);
                if at_this && !self.serving.is_draining() && !door.answer() {
                    // Others have what it takes; somebody may give it back.
                    thread::sleep(NO_ROOM_PAUSE);
                }
            }
        }
    }

    /// Says once that the disk runs short, and once that it does not any more.
    fn look_at_disk(&self) {
        let reserve = self.serving.serve().reserve_bytes;
        let Some(free) = self.serving.free_bytes() else { return };
        let is_short = free < reserve;
        if is_short != self.is_short_of_disk.swap(is_short, Ordering::SeqCst) {
            self.serving.tell(&if is_short {
                format!("the ledger's disk has {free} bytes left, and the reserve is {reserve} (`serve.reserve`)")
            } else {
                format!("the ledger's disk has {free} bytes left again")
            });
        }
    }

    /// Ends the connections of clients whose tokens were removed, where the file of tokens is another one than before.
    fn look_at_tokens(&self) {
        let tokens = &self.serving.tokens;
        // Whoever looks at the same time waits, and comes back when it is done.
        let mut seen = lock(&self.tokens_seen);
        let stamp = tokens.stamp();
        if *seen == Some(stamp) {
            return;
        }
        // A file that cannot be read opens nothing; what it opened before stays until it can.
        let Ok(hashes) = tokens.hashes() else { return };
        let running: Vec<_> = lock(&self.doors).iter().filter_map(|door| door.running()).collect();
        let retired = lock(&self.retired).clone();
        for gateway in running.iter().chain(&retired) {
            let dropped = gateway.drop_removed(&hashes);
            if dropped > 0 {
                let agent = gateway.agent();
                self.serving
                    .tell(&format!("a token of the agent `{agent}` was removed: {dropped} connections are closed"));
            }
        }
        *seen = Some(stamp);
    }

    /// Tells clients of a change of what is installed that no command has told: one that does not find this daemon, or none of Tollgate's.
    fn look_at_tools(&self) {
        let state = self.serving.tollgate.tools_changed_at();
        {
            let mut told = lock(&self.told);
            if told.state == state {
                told.next = None;
                return;
            }
            match told.next {
                // Whoever has made it may still be about to tell it.
                Some((next, since)) if next == state && since.elapsed() >= TOLD_WITHIN => {}
                Some((next, _since)) if next == state => return,
                Some(_) | None => {
                    told.next = Some((state, Instant::now()));
                    return;
                }
            }
        }
        self.changed();
    }

    /// The same for threads.
    fn look_at_threads(&self) {
        let short = Serving::short_of_threads();
        if short.is_some() != self.is_short_of_threads.swap(short.is_some(), Ordering::SeqCst) {
            self.serving.tell(&short.unwrap_or_else(|| "this process can start threads again".to_owned()));
        }
    }

    /// The same for descriptors.
    fn look_at_descriptors(&self) {
        let Some(descriptors) = self.serving.descriptors() else { return };
        let short = descriptors.short();
        if short.is_some() != self.is_short_of_descriptors.swap(short.is_some(), Ordering::SeqCst) {
            let again = || format!("this process has enough descriptors again: {} are open", descriptors.open);
            self.serving.tell(&short.unwrap_or_else(again));
        }
    }

    /// The socket lets this user in alone; the kernel says who it is, too.
    fn admit_operator(self: &Arc<Self>, listener: &OwnedFd) {
        let accepted = accept_with(listener, SocketFlags::CLOEXEC).or_else(|errno| {
            // Whatever else has the descriptors, the operator is heard.
            drop(lock(&self.spare).take());
            let again = accept_with(listener, SocketFlags::CLOEXEC);
            again.map_err(|_again| errno)
        });
        let Ok(socket) = accepted else {
            thread::sleep(NO_ROOM_PAUSE);
            return;
        };
        let is_own = socket_peercred(&socket).is_ok_and(|peer| peer.uid == rustix::process::geteuid());
        // This thread alone admits.
        if !is_own || self.operators.load(Ordering::SeqCst) >= OPERATORS_MAX {
            return;
        }
        self.operators.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(self);
        let work = move || {
            operator::serve(&Operated(Arc::clone(&shared)), socket);
            shared.operators.fetch_sub(1, Ordering::SeqCst);
        };
        if thread::Builder::new().name("operator".to_owned()).spawn(work).is_err() {
            self.operators.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What the operator may ask of it.
struct Operated(Arc<Shared>);

impl operator::Operated for Operated {
    fn status(&self) -> Status {
        self.0.status()
    }

    fn reload(&self, by: &str) -> Result<(), Box<Fault>> {
        self.0.reload(by).map_err(|error| Box::new(Fault::of(&error)))
    }

    fn changed(&self) {
        self.0.changed();
    }

    fn tokens(&self) {
        self.0.look_at_tokens();
    }

    fn end(&self) {
        // Whoever has the daemon ends it at once where it is told a second time, and calls under way with it.
        if !self.0.is_to_end.swap(true, Ordering::SeqCst) {
            (self.0.end)();
        }
    }

    fn agent_of(&self, uid: u32) -> Option<(String, PathBuf)> {
        self.0.own_agent(uid)
    }

    fn notary(&self) -> &NotaryProcess {
        self.0.serving.tollgate.supervisor().notary()
    }
}

impl std::fmt::Debug for DaemonConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DaemonConfig")
            .field("tollgate", &self.tollgate)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// No two agents have one socket, by whichever path, and none has one in the daemon's own folder that is not its own.
fn must_be_apart(folder: &Path, places: &[(String, Place)]) -> Result<(), SocketError> {
    let mut seen = Vec::new();
    for (_agent, place) in places {
        let parent = place.path.parent().unwrap_or_else(|| Path::new("/"));
        let real = parent.canonicalize().unwrap_or_else(|_not_there| parent.to_owned());
        let path = real.join(place.path.file_name().unwrap_or_default());
        let own = folder.canonicalize().unwrap_or_else(|_not_there| folder.to_owned());
        if path.starts_with(&own) && !place.is_default {
            return Err(SocketError::Own { path: place.path.clone() });
        }
        if seen.contains(&path) {
            return Err(SocketError::Twice { path: place.path.clone() });
        }
        seen.push(path);
    }
    Ok(())
}

/// Listeners by the agents that they are for.
fn given_to_agents(
    given: Vec<(String, UnixListener)>,
    deployment: &Deployment,
) -> Result<Vec<(String, UnixListener)>, DaemonError> {
    let mut agents: Vec<&str> = deployment.agents.keys().map(|agent| agent.as_str()).collect();
    if agents.is_empty() {
        agents.push(LOCAL);
    }
    let mut taken: Vec<(String, UnixListener)> = Vec::new();
    for (name, listener) in given {
        let agent = agent_of_given(&name, &agents).filter(|agent| taken.iter().all(|(other, _)| other != agent));
        let Some(agent) = agent else { return Err(DaemonError::Given { name, agents: agents.join(", ") }) };
        taken.push((agent.to_owned(), listener));
    }
    Ok(taken)
}

/// The agent that a listener is for, by its name.
fn agent_of_given<'a>(name: &str, agents: &[&'a str]) -> Option<&'a str> {
    let known = |name: &str| agents.iter().copied().find(|agent| *agent == name);
    let unit = name.strip_suffix(UNIT_OF_SOCKET);
    let is_nameless = unit.is_some() || matches!(name, "" | "unknown" | "connection");
    known(name).or_else(|| known(unit?)).or_else(|| known(LOCAL).filter(|_| is_nameless))
}

/// Says which tools agents may call and nobody can, once for each policy that holds.
fn tell_not_installed(doors: &[Arc<Door>]) {
    for door in doors {
        let missing = door.not_installed();
        if !missing.is_empty() {
            let (agent, missing) = (&door.agent, missing.join(", "));
            door.shared.tell(&format!("the agent `{agent}` may call tools that are not installed: {missing}"));
        }
        let older = door.to_move();
        if !older.is_empty() {
            let (agent, older) = (&door.agent, older.join(", "));
            door.shared.tell(&format!(
                "the agent `{agent}` may call tools that an older version of Tollgate installed, and `tollgate doctor --fix` moves: {older}"
            ));
        }
    }
}

/// For how long the last entries of a ledger have been without a checkpoint, by the times of its files.
fn lag_ms(ledger: &Path) -> u64 {
    let changed = |name: &str| std::fs::metadata(ledger.join(name)).and_then(|found| found.modified()).ok();
    let between = changed("journal").zip(changed("checkpoint"));
    let lag = between.and_then(|(journal, checkpoint)| journal.duration_since(checkpoint).ok()).unwrap_or_default();
    u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)
}

/// How the name of a socket's unit ends, by which systemd calls its listeners unless the unit says another name (systemd.socket(5)).
const UNIT_OF_SOCKET: &str = ".socket";

/// The name of the operator's socket.
pub const OPERATOR: &str = "operator.sock";

/// Descriptors are counted, and threads tried, no more often than this, however many knock: that takes a while where there are many.
const DESCRIPTORS_LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a policy that is read again waits for a notary that follows one that died.
const NOTARY_PATIENCE: Duration = Duration::from_secs(3);

/// Time in which a command that changes what is installed tells the daemon.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// How often the disk is looked at, and the folder of tools.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// How long calls have to end once they are cancelled: a worker that does not end one is killed within its grace.
const CANCELLED_END: Duration = Duration::from_secs(5);

/// How long the operator's connections may take to be closed.
const OPERATORS_END: Duration = Duration::from_secs(2);

/// Until a client is taken again, where there were no descriptors for one.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(50);

/// Connections of the operator at the same time.
const OPERATORS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_was_handed_over_is_of_the_agent_that_its_name_says() {
        for (name, agents, agent) in [
            ("reader", &["local", "reader"][..], Some("reader")),
            ("reader.socket", &["local", "reader"], Some("reader")),
            ("tollgate.socket", &["local", "reader"], Some("local")),
            ("tollgate.socket", &["reader"], None),
            ("", &["local"], Some("local")),
            ("unknown", &["local"], Some("local")),
            ("connection", &["local"], Some("local")),
            ("", &["reader"], None),
            ("writer", &["local", "reader"], None),
            ("READER.socket", &["reader"], None),
        ] {
            assert_eq!(agent_of_given(name, agents), agent, "{name} of {agents:?}");
        }
    }
}

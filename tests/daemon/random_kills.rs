//! Rounds of SIGKILL under load: the daemon, a gateway, the notary, a worker, or all of them, at a random moment.
//!
//! After each, callers have an answer or a typed error, the next ones are served, and once the daemon has ended as it should, the
//! ledger verifies and has each acknowledged call once, from its start to its end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::mem;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tollgate::CallId;
use tollgate_client::{Call, Client, Failure, Kind};
use tollgate_workspace::chance::Chance;
use tollgate_workspace::home::Home;
use tollgate_workspace::judge::{assert_once, verified};
use tollgate_workspace::own_main::{soak_rounds, soak_seed};
use tollgate_workspace::processes::{PATIENCE, await_that, children_of, children_of_in, kill, reap_all};

use crate::lab::READS;

pub(crate) fn daemons_are_killed_under_load() {
    let rounds = soak_rounds().map_or(ROUNDS, |rounds| rounds.div_ceil(SHARE_OF_A_SOAK).max(ROUNDS));
    let seed = soak_seed();
    println!("daemons_are_killed_under_load: {rounds} rounds; again with TOLLGATE_SOAK_SEED={seed}");
    let mut place = Place::new();
    let load = Load::start(&place);
    let mut killed: BTreeMap<Victim, u64> = BTreeMap::new();
    for round in 0..rounds {
        let mut chance = Chance::of(seed, round);
        // Each kind comes in a short run too.
        let victim = Victim::ALL.get(round as usize).copied().unwrap_or_else(|| chance.pick(&Victim::ALL));
        place.start();
        load.goes_on(1 + chance.below(60));
        thread::sleep(Duration::from_micros(chance.below(5_000)));
        place.strike(victim, &mut chance);
        load.goes_on(GOES_ON);
        place.stop();
        let acknowledged = load.acknowledged();
        verified(&place.ledger(), None);
        assert_once(&place.ledger(), &acknowledged);
        *killed.entry(victim).or_default() += 1;
    }
    let told = load.end();
    println!("daemons_are_killed_under_load: killed {killed:?}; told {told:?}");
    reap_all(None);
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Daemon,
    Gateway,
    Notary,
    Worker,
    All,
}

impl Victim {
    const ALL: [Self; 5] = [Self::Daemon, Self::Gateway, Self::Notary, Self::Worker, Self::All];
}

/// A home with a policy of two agents, and its daemon while there is one.
struct Place {
    home: Home,
    daemon: Option<Child>,
}

impl Place {
    fn new() -> Self {
        let home = Home::new(&["echo-read"], READS);
        let agent = |name: &str, is: &str| {
            let socket = socket(home.folder(), name);
            format!("[agents.{name}]\nis = {{ {is} }}\nlisten = {socket:?}\ntools.echo-read = {{}}\n")
        };
        let agents = [agent("one", &format!("uid = {}", geteuid().as_raw())), agent("two", "socket = true")].concat();
        // A call is acknowledged once it is past the notary's pipe: it outlives all processes.
        home.write_policy(&format!("{READS}audit.acknowledge = \"journal\"\n{agents}"));
        Self { home, daemon: None }
    }

    fn ledger(&self) -> PathBuf {
        self.home.ledger()
    }

    /// Starts a daemon, unless one serves; waits until it does.
    fn start(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        let said = File::options().create(true).append(true).open(self.home.folder().join("said")).expect("a file");
        let ready = self.home.folder().join("ready");
        let mut command = self.home.command(&crate::SERVE);
        command.stdin(Stdio::null()).stdout(File::create(&ready).expect("a file")).stderr(said);
        let daemon = self.daemon.insert(command.env_remove("XDG_RUNTIME_DIR").spawn().expect("this program"));
        await_that("it serves or has ended", || {
            let has_said = fs::read(&ready).expect("a file").ends_with(b"\n");
            has_said || daemon.try_wait().expect("its end").is_some()
        });
        let line = fs::read_to_string(&ready).expect("a line");
        assert!(line.contains("\"ok\":true"), "the next start does not go on: {line} {}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(self.home.folder().join("said")).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.daemon.as_ref().expect("a daemon"))
    }

    /// One of the daemon's processes in a role. The last one may have died a moment ago, and the next one not be there yet.
    fn one_of(&self, role: &str, chance: &mut Chance) -> Pid {
        let mut there = Vec::new();
        await_that("a victim", || {
            there = children_of_in(self.pid(), role);
            !there.is_empty()
        });
        chance.pick(&there)
    }

    /// Kills; where that takes the daemon, another one is started.
    fn strike(&mut self, victim: Victim, chance: &mut Chance) {
        match victim {
            Victim::Gateway => kill(self.one_of("gateway", chance)),
            Victim::Notary => kill(self.one_of("notary", chance)),
            Victim::Worker => kill(self.one_of("worker", chance)),
            Victim::Daemon => self.kill_daemon(&[]),
            Victim::All => self.kill_daemon(&children_of(self.pid())),
        }
        self.start();
    }

    fn kill_daemon(&mut self, others: &[Pid]) {
        let mut daemon = self.daemon.take().expect("a daemon");
        kill(Pid::from_child(&daemon));
        others.iter().copied().for_each(kill);
        daemon.wait().expect("its end");
        // Its notary closes the ledger before it goes.
        reap_all(None);
    }

    /// Ends the daemon as an operator does.
    fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).expect("a daemon");
        let daemon = self.daemon.as_mut().expect("a daemon");
        await_that("the daemon ends", || daemon.try_wait().expect("its end").is_some());
        let status = daemon.wait().expect("its end");
        self.daemon = None;
        assert!(status.success(), "{status}: {}", self.said());
        reap_all(None);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.kill().ok();
            daemon.wait().ok();
        }
    }
}

fn socket(folder: &Path, agent: &str) -> PathBuf {
    folder.join(format!("{agent}.sock"))
}

/// Clients of both agents that call again and again, and connect again where they must.
struct Load {
    heard: Arc<Heard>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Heard {
    acknowledged: Mutex<Vec<CallId>>,
    // By kind.
    told: Mutex<BTreeMap<String, u64>>,
    is_over: AtomicBool,
}

impl Load {
    fn start(place: &Place) -> Self {
        let heard: Arc<Heard> = Arc::default();
        let sockets = ["one", "two"].map(|agent| socket(place.home.folder(), agent));
        let clients = (0..CLIENTS).map(|number| {
            let (heard, socket) = (Arc::clone(&heard), sockets[number % 2].clone());
            thread::spawn(move || heard.call_on(&socket))
        });
        Self { clients: clients.collect(), heard }
    }

    fn acknowledged(&self) -> Vec<CallId> {
        self.heard.acknowledged.lock().expect("a lock").clone()
    }

    /// Waits until so many more calls are acknowledged.
    fn goes_on(&self, more: u64) {
        let count = || self.heard.acknowledged.lock().expect("a lock").len() as u64;
        let wanted = count() + more;
        await_that("callers are served", || {
            assert!(!self.clients.iter().any(JoinHandle::is_finished), "a caller got neither an answer nor an error");
            count() >= wanted
        });
    }

    /// What callers were told.
    fn end(mut self) -> BTreeMap<String, u64> {
        self.heard.is_over.store(true, Ordering::SeqCst);
        mem::take(&mut self.clients).into_iter().for_each(|client| client.join().expect("a caller"));
        let told = self.heard.told.lock().expect("a lock");
        told.clone()
    }
}

impl Drop for Load {
    /// A test that failed leaves no callers.
    fn drop(&mut self) {
        self.heard.is_over.store(true, Ordering::SeqCst);
    }
}

impl Heard {
    fn call_on(&self, socket: &Path) {
        while !self.is_over.load(Ordering::SeqCst) {
            match Client::connect(socket) {
                Ok(client) => self.call_while_connected(&client),
                Err(_no_daemon) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    fn call_while_connected(&self, client: &Client) {
        while !self.is_over.load(Ordering::SeqCst) {
            let call = Call::new("echo-read").operation("echo").arguments_text("{\"a\":1}");
            let answer = client.start(call).wait_timeout(PATIENCE);
            match answer.unwrap_or_else(|_waits| panic!("neither an answer nor an error within {PATIENCE:?}")) {
                Ok(reply) => {
                    let call = reply.call.parse().expect("a call's id");
                    self.acknowledged.lock().expect("a lock").push(call);
                }
                Err(failure) => {
                    self.is_told(&failure);
                    if failure.kind == Kind::Disconnected {
                        return;
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }

    fn is_told(&self, failure: &Failure) {
        let is_of_a_death =
            matches!(failure.kind, Kind::Disconnected | Kind::Worker | Kind::Internal | Kind::Busy | Kind::Cancelled);
        assert!(is_of_a_death, "{failure:?}");
        *self.told.lock().expect("a lock").entry(failure.kind.to_string()).or_default() += 1;
    }
}

/// Rounds where nobody asks for more: each of the five kinds of victims at least once.
const ROUNDS: u64 = 6;

/// A round is as long as so many of the other kill tests.
const SHARE_OF_A_SOAK: u64 = 20;

const CLIENTS: usize = 6;

/// Calls that are acknowledged after a kill: of each client some.
const GOES_ON: u64 = 30;

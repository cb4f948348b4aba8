//! Attacks from inside a gateway: a process that serves an agent's clients, sealed as any other one, which attacks before it hears
//! a client.

use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tollgate::ProcessCommand;
use tollgate::supervisor::WorkerEnd;
use tollgate::worker::ThreadKind;
use tollgate_gateway::protocol::{GatewayLimits, ToGateway};
use tollgate_ipc::Channel;

use super::order::{DrillOrder, outcome_in};
use super::scene::Scene;
use super::target::{DrillError, Target, judged};
use super::verdict::{Drilled, Verdict};
use super::{Attack, Stop};

/// Gateways, each sealed as the daemon has them with the limits that a policy gives by default.
#[derive(Debug)]
pub struct Gateways {
    // The program that attacks, and how it is told that it is a gateway.
    command: ProcessCommand,
}

impl Gateways {
    /// Gateways that this command starts.
    #[must_use]
    pub fn new(command: &ProcessCommand) -> Self {
        Self { command: command.clone() }
    }
}

impl Target for Gateways {
    fn stop(&self, attack: &Attack) -> Option<Stop> {
        attack.stopped_in_gateway()
    }

    /// It has one.
    fn threads(&self) -> &'static [ThreadKind] {
        &[ThreadKind::Main]
    }

    fn make(&self, scene: &mut Scene, attack: &Attack, stop: Stop, thread: ThreadKind) -> Result<Verdict, DrillError> {
        let order =
            DrillOrder { attack: attack.name.to_owned(), thread, aim: scene.aim(false)?, set: None, is_judged: false };
        let command = order.command(&self.command)?;
        let (status, said) = run(&command).map_err(DrillError::Gateway)?;
        let how = format!("{status}; it said: {}", said.trim());
        let outcome = outcome_in(&said);
        let drilled = Drilled { outcome, end: WorkerEnd { status: Some(status), said, how, ending: None } };
        Ok(judged(scene, stop, thread, &drilled))
    }
}

/// Runs a gateway to its end: how it ended, and what it said on its standard error.
fn run(command: &ProcessCommand) -> io::Result<(ExitStatus, String)> {
    let (control, stdin) = Channel::pair()?;
    let mut child = spawn(command, stdin)?;
    let until = Instant::now() + PATIENCE;
    let begin = ToGateway::Begin { agent: "drill".to_owned(), token: true, limits: LIMITS };
    // One that is dead already is noticed below.
    control.say_hello().and_then(|()| control.send(&begin)).ok();
    let said = hear(&mut child, until);
    // It may have closed its standard error and go on.
    let status = end(&mut child, until)?;
    said.map(|said| (status, said)).ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// How it ends; one that has not ended then is killed.
fn end(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            child.kill().ok();
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// All that it says until it closes its standard error; none if it does not by then.
fn hear(child: &mut Child, until: Instant) -> Option<String> {
    let stderr = child.stderr.take()?;
    let (send, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        stderr.take(SAID_BYTES_MAX).read_to_end(&mut said).ok();
        send.send(String::from_utf8_lossy(&said).into_owned())
    });
    heard.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

#[allow(clippy::disallowed_methods, reason = "this module owns the gateways that attack")]
fn spawn(command: &ProcessCommand, stdin: OwnedFd) -> io::Result<Child> {
    command.prepare_own(stdin).stderr(Stdio::piped()).spawn()
}

/// Those of a policy without `[serve]`.
const LIMITS: GatewayLimits = GatewayLimits {
    connections: 64 + 16,
    queue: 128,
    header_bytes: 16 << 10,
    body_bytes: 16 << 20,
    idle_ms: 60_000,
    handshake_ms: 5_000,
};

/// More than an outcome has.
const SAID_BYTES_MAX: u64 = 1 << 16;

/// How long a gateway may take from its start to the end of an attack.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a gateway that has said all is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

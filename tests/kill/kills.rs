//! Rounds of SIGKILL. In each, a driver calls with a notary of its own, some of the two are killed, and what is left is
//! judged, by itself first where a notary had the time to close it, then opened again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use tollgate_workspace::chance::Chance;
use tollgate_workspace::judge::verified;
use tollgate_workspace::processes::{Ended, children_of, kill, kill_group, reap_all};

use crate::Scale;
use crate::driver::{Driver, Said};
use crate::foreign::Foreign;
use crate::judge::Past;
use tollgate_workspace::program::data_in;

pub(crate) fn kills(scale: Scale) {
    let Scale { rounds, seed, is_soak } = scale;
    println!("kills: {rounds} rounds; again with TOLLGATE_SOAK_ROUNDS={rounds} TOLLGATE_SOAK_SEED={seed}");
    let around = tempfile::tempdir().expect("a folder");
    let data = data_in(around.path());
    let foreign = Foreign::build(around.path());
    let mut next = Driver::spawn(&data);
    let mut place = Place::new(&around, 0);
    let mut totals = Totals::default();
    for round in 0..rounds {
        let mut chance = Chance::of(seed, round);
        if chance.below(FRESH_EVERY) == 0 && round > 0 {
            foreign.verify(&place.ledger);
            place = Place::new(&around, round);
        }
        let plan = Plan::of(&mut chance);
        // The next one compiles its tool meanwhile.
        let driver = std::mem::replace(&mut next, Driver::spawn(&data));
        let done = std::panic::AssertUnwindSafe(|| plan.run(driver, &mut chance, &mut place, next.pid));
        let said = std::panic::catch_unwind(done).unwrap_or_else(|panic| {
            eprintln!("round {round} of seed {seed}: {plan:?} in {}", around.path().display());
            std::panic::resume_unwind(panic)
        });
        totals.add(&plan, &said);
        if is_soak && (round + 1) % 100 == 0 {
            eprintln!("kills: {} of {rounds} rounds, {totals:?}", round + 1);
        }
    }
    drop(next);
    reap_all(None);
    foreign.verify(&place.ledger);
    println!("kills: {totals:?}");
    // Too few rounds may have no kill of a notary at a moment in which somebody calls.
    assert!(rounds < ROUNDS_TELLING || totals.away > 0, "no call was refused while there was no notary");
}

/// A ledger, and what it must hold.
struct Place {
    ledger: PathBuf,
    past: Past,
}

impl Place {
    fn new(around: &TempDir, round: u64) -> Self {
        Self { ledger: around.path().join(format!("ledger-{round}")), past: Past::default() }
    }
}

/// Who is killed in a round.
#[derive(Debug, Clone)]
struct Plan {
    acknowledge: &'static str,
    strikes: Vec<Strike>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victims {
    Notary,
    Driver,
    NotaryThenDriver,
    DriverThenNotary,
    Groups,
}

/// A kill.
#[derive(Debug, Clone, Copy)]
struct Strike {
    victims: Victims,
    /// After so many acknowledged calls since the last one.
    calls: u64,
    /// And so many microseconds.
    delay_us: u64,
}

impl Plan {
    fn of(chance: &mut Chance) -> Self {
        use Victims::{Driver, DriverThenNotary, Groups, Notary, NotaryThenDriver};
        let notaries =
            |chance: &mut Chance, most| (0..chance.below(most)).map(|_| Strike::of(Notary, chance)).collect();
        let mut strikes: Vec<Strike>;
        let acknowledge;
        match chance.below(4) {
            0 => {
                acknowledge = chance.pick(&["pipe", "journal", "disk"]);
                strikes = notaries(chance, 4);
                strikes.push(Strike::of(Notary, chance));
            }
            1 => {
                acknowledge = chance.pick(&["pipe", "pipe", "journal"]);
                strikes = vec![Strike::of(Driver, chance)];
            }
            2 => {
                acknowledge = chance.pick(&["journal", "journal", "disk"]);
                strikes = vec![Strike::of(chance.pick(&BOTH), chance)];
            }
            _ => {
                acknowledge = chance.pick(&["pipe", "journal"]);
                strikes = notaries(chance, 4);
                let last =
                    if acknowledge == "pipe" { Driver } else { chance.pick(&[Driver, Groups, BOTH[0], BOTH[1]]) };
                strikes.push(Strike::of(last, chance));
            }
        }
        const BOTH: [Victims; 3] = [NotaryThenDriver, DriverThenNotary, Groups];
        Self { acknowledge, strikes }
    }

    fn last(&self) -> Victims {
        self.strikes.last().map_or(Victims::Driver, |strike| strike.victims)
    }

    fn run(&self, mut driver: Driver, chance: &mut Chance, place: &mut Place, next: Pid) -> Said {
        let Place { ledger, past } = place;
        driver.go(ledger, self.acknowledge);
        let mut killed = Vec::new();
        let mut count = 0;
        for strike in &self.strikes {
            let wanted = count + usize::try_from(strike.calls).expect("a small number");
            driver.await_said(|said| said.acknowledged.len() >= wanted);
            if self.acknowledge == "pipe" && strike.victims == Victims::Driver && !killed.is_empty() {
                // What is only in the pipe outlives one of the two: there must be a notary again.
                driver.await_said(|said| said.notary.is_some_and(|pid| !killed.contains(&pid)));
            }
            std::thread::sleep(Duration::from_micros(chance.below(strike.delay_us + 1)));
            killed.extend(strike.kill(driver.pid));
            count = driver.said().acknowledged.len();
        }
        if self.last() == Victims::Notary {
            // Calls go on with the next notary.
            driver.await_said(|said| said.acknowledged.len() > count + GOES_ON);
            driver.finish();
        }
        let ended = reap_all(Some(next));
        let pid = driver.pid;
        let said = driver.all_said();
        self.judge_driver(&said);
        past.acknowledged.extend(&said.acknowledged);
        let notary_closed = assert_ends(&ended, &killed, pid);
        if notary_closed && ledger.join("journal").exists() {
            let report = verified(ledger, None);
            assert_eq!(report.checkpoint.map(|checkpoint| checkpoint.size), Some(report.size), "closed by its notary");
        }
        past.judge(ledger);
        said
    }

    fn judge_driver(&self, said: &Said) {
        assert_eq!(said.wrong, [""; 0]);
        for reason in said.refused.keys() {
            let is_clear = CLEAR.iter().any(|clear| reason.contains(clear));
            assert!(is_clear, "refused, and not for the notary's death: {reason}");
        }
        if let Some(none) = &said.none {
            // Only one that was killed before it had opened the ledger.
            assert!(none.contains("signal: 9") || none.contains("did not get ready"), "{none}");
        } else if self.last() == Victims::Notary {
            let (before, after) = said.fds.expect("an end in good order");
            // Before, there may have been more, where a notary was killed just then.
            assert!(after <= before, "descriptors of the driver: {before}, then {after}");
            // One before, or none where the next one has not been started yet; and none afterwards.
            assert!(matches!(said.finished, Some((0 | 1, 0))), "children of the driver: {:?}", said.finished);
        }
    }
}

/// How a call may be refused when a notary is killed.
const CLEAR: [&str; 1] = ["is away"];

impl Strike {
    fn of(victims: Victims, chance: &mut Chance) -> Self {
        // One in four at once: within the start.
        let calls = if chance.below(4) == 0 { 0 } else { 1 + chance.below(60) };
        let delay_us = if calls == 0 { 20_000 } else { 2_000 };
        Self { victims, calls, delay_us }
    }

    /// Kills; whom.
    fn kill(&self, driver: Pid) -> Vec<Pid> {
        let notaries = children_of(driver);
        match self.victims {
            Victims::Notary => notaries.iter().copied().for_each(kill),
            Victims::Driver => kill(driver),
            Victims::NotaryThenDriver => {
                notaries.iter().copied().for_each(kill);
                kill(driver);
            }
            Victims::DriverThenNotary => {
                kill(driver);
                notaries.iter().copied().for_each(kill);
            }
            Victims::Groups => {
                kill_group(driver);
                notaries.iter().copied().for_each(kill_group);
            }
        }
        let notaries = notaries.into_iter().filter(|_| self.victims != Victims::Driver);
        notaries.chain((self.victims != Victims::Notary).then_some(driver)).collect()
    }
}

/// Whoever was not killed ended well. Whether a notary did.
fn assert_ends(ended: &[Ended], killed: &[Pid], driver: Pid) -> bool {
    let mut a_notary = false;
    for Ended { pid, status } in ended.iter().filter(|ended| !killed.contains(&ended.pid)) {
        assert_eq!(status.exit_status(), Some(0), "process {pid:?}, which nobody killed: {status:?}");
        a_notary |= *pid != driver;
    }
    a_notary
}

#[derive(Debug, Default)]
struct Totals {
    kills: BTreeMap<Victims, u64>,
    acknowledged: u64,
    away: u64,
    not_started: u64,
}

impl Totals {
    fn add(&mut self, plan: &Plan, said: &Said) {
        for strike in &plan.strikes {
            *self.kills.entry(strike.victims).or_default() += 1;
        }
        self.acknowledged += said.acknowledged.len() as u64;
        self.away += said.refused.values().sum::<u64>();
        self.not_started += u64::from(said.none.is_some());
    }
}

/// One ledger lasts about so many rounds.
const FRESH_EVERY: u64 = 20;

/// Calls after a notary's death that show that another one is there.
const GOES_ON: usize = 3;

const ROUNDS_TELLING: u64 = 50;

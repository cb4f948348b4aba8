//! What sealing costs: what it adds to the start of a worker and to a call, and what a call through another process costs.
//!
//! ```text
//! this program ─┬─ notary    (as the `tollgate` command; so are compiler and worker)
//!               ├─ subject   (does what a worker does, in one of the ways of `Seal`)
//!               └─ worker    (of a supervisor, for what a process of its own costs)
//! ```
//!
//! Ways are measured in turn in one run, so that they see the same machine. One of them is there twice under another name:
//! what lies between these two is noise. Absolute times say little; differences and ratios are the result.

#![allow(clippy::disallowed_methods, reason = "processes are what is measured")]

mod figures;
mod furnished;
mod hosted;
mod notary;
mod subject;
mod twin;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use figures::{Row, median, micros, percentile, table};
use furnished::{CALLS, Furnished};
use hosted::Hosted;
use notary::Notary;
use subject::{Seal, Steps};
use twin::Twin;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Starts of each way.
    starts: usize,
    /// Times that each way is started for calls: no process stays the better or worse one by its addresses.
    pairs: usize,
    /// Turns of each way, each time.
    rounds: usize,
}

const WHOLE: Scale = Scale { starts: 150, pairs: 6, rounds: 40 };
/// `cargo test --benches` runs this file too: it shows that it works.
const QUICK: Scale = Scale { starts: 2, pairs: 1, rounds: 2 };

const WAYS: usize = Seal::ALL.len();

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["notary" | "worker" | "compile", ..] => return tollgate_cli::main(),
        ["subject", seal, scene] => {
            subject::serve(Seal::of(seal), scene.as_ref());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let scale = if words.contains(&"--bench") && !words.contains(&"--quick") { WHOLE } else { QUICK };
    let scene = Furnished::new();
    let mut notary = Notary::start(&scene);
    starts(scale, &scene, &mut notary);
    calls(scale, &scene, &mut notary);
    notary.end();
    cold_starts(scale, &scene);
    ExitCode::SUCCESS
}

/// What sealing adds to the start of a worker.
fn starts(scale: Scale, scene: &Furnished, notary: &mut Notary) {
    let mut took: [Vec<Duration>; WAYS] = Default::default();
    let mut steps = Vec::new();
    for round in 0..scale.starts {
        for way in turns(round) {
            let twin = Twin::start(Seal::ALL[way], scene, notary);
            took[way].push(twin.took);
            if twin.seal == Seal::Sealed {
                steps.push(twin.steps);
            }
            twin.end(notary);
        }
    }
    println!("# Start of a worker, µs, {} of each\n", scale.starts);
    println!("From its start until it is ready to serve, with {} threads for calls.\n", scene.calls_at_once());
    let rows = Seal::ALL.iter().zip(&took).map(|(seal, took)| Row { name: seal.as_str().to_owned(), took });
    table(&rows.collect::<Vec<_>>());
    let all: Vec<Duration> = steps.iter().map(Steps::sum).collect();
    let each = Steps::NAMES.iter().enumerate().map(|(place, name)| {
        let step: Vec<Duration> = steps.iter().map(|steps| steps.each()[place]).collect();
        format!("{name} {:.0}", micros(median(&step)))
    });
    println!("\nThe steps alone: p50 {:.0}, p99 {:.0}", micros(median(&all)), micros(percentile(&all, 99)));
    println!("({}).", each.collect::<Vec<_>>().join(", "));
    let [open, again, _, sealed] = took.each_ref().map(|took| micros(median(took)));
    println!("Sealing adds {:.0} (goal: under 2,000); noise {:+.0}.\n", sealed - open, again - open);
}

/// What sealing adds to a call, and what a process of its own costs.
fn calls(scale: Scale, scene: &Furnished, notary: &mut Notary) {
    println!("# Calls, µs, {} times {} rounds\n", scale.pairs, scale.rounds);
    for (number, call) in CALLS.iter().enumerate() {
        let mut took: [Vec<Duration>; WAYS + 1] = Default::default();
        let mut ratios: [Vec<f64>; WAYS + 1] = Default::default();
        for pair in 0..scale.pairs {
            let mut twins = turns(pair).map(|way| (way, Twin::start(Seal::ALL[way], scene, notary)));
            twins.sort_unstable_by_key(|(way, _)| *way);
            let hosted = Hosted::start(scene);
            for round in 0..scale.rounds {
                let mut batches: [Vec<Duration>; WAYS + 1] = Default::default();
                for way in turns(round) {
                    batches[way] = twins[way].1.batch(number);
                }
                batches[WAYS] = hosted.batch(call);
                // The first turns warm up.
                if round < scale.rounds / 10 {
                    continue;
                }
                let open = micros(median(&batches[0]));
                for (way, batch) in batches.into_iter().enumerate() {
                    ratios[way].push(micros(median(&batch)) / open);
                    took[way].extend(batch);
                }
            }
            twins.into_iter().for_each(|(_, twin)| twin.end(notary));
            hosted.end();
        }
        let names = Seal::ALL.map(Seal::as_str).into_iter().chain(["through a supervisor"]);
        println!("## {}\n", call.name);
        table(&names.zip(&took).map(|(name, took)| Row { name: name.to_owned(), took }).collect::<Vec<_>>());
        let [_, noise, confined, sealed, hosted] = ratios.map(|mut ratios| {
            ratios.sort_unstable_by(f64::total_cmp);
            ratios[ratios.len() / 2]
        });
        println!("\nMedian of the rounds' ratios to the first: noise {noise:.3}, confined {confined:.3},");
        println!("sealed {sealed:.3}, through a supervisor {hosted:.2}.");
        println!("The filter adds {:+.1} % to confined (goal: under 3 %).\n", 100.0 * (sealed / confined - 1.0));
    }
}

/// What the first call costs where there is no process yet.
fn cold_starts(scale: Scale, scene: &Furnished) {
    let (mut first, mut all): (Vec<Duration>, Vec<Duration>) = Default::default();
    for _start in 0..scale.starts {
        let (of_worker, of_all) = Hosted::cold_start(scene);
        first.push(of_worker);
        all.push(of_all);
    }
    println!("# To the first answer, µs, {} of each\n", scale.starts);
    table(&[
        Row { name: "its worker".to_owned(), took: &first },
        Row { name: "its worker, and before it the supervisor and the notary".to_owned(), took: &all },
    ]);
}

/// The order changes from round to round, so that no way always follows the same one.
fn turns(round: usize) -> [usize; WAYS] {
    std::array::from_fn(|turn| (turn + round) % WAYS)
}

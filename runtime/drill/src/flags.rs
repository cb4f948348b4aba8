//! Attacks made from the table of system calls itself: each flag and command that the kernel knows and no row names, and each
//! compared argument with a bit above the lower 32. A new row brings its own attacks.

use std::sync::LazyLock;

use tollgate::kernel_plan::ROWS;
use tollgate::kernel_plan::signatures::{Flag, Takes, allowed, is_allowed, takes};
use tollgate::sandbox::Check;

use super::raw::{Reply, Word, call};
use super::{Alone, Attack, InGateway, Run, Stop};

/// All of them, in the order of the table.
pub(super) static ATTACKS: LazyLock<Vec<Attack>> = LazyLock::new(|| {
    let mut numbers: Vec<i64> = ROWS.iter().map(|row| row.call.number).collect();
    numbers.dedup();
    numbers.into_iter().flat_map(of_call).collect()
});

/// A system call whose arguments are allowed but for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrongFlag {
    number: i64,
    arguments: [u64; 6],
}

impl WrongFlag {
    pub(super) fn make(self) -> Reply {
        call(self.number, &self.arguments.map(Word::from))
    }
}

fn of_call(number: i64) -> Vec<Attack> {
    let Some(row) = ROWS.iter().map(|row| row.call).find(|row| row.number == number) else { return Vec::new() };
    let takes = takes(number).unwrap_or_default();
    let allowed = allowed(row.checks, takes);
    let mut attacks = Vec::new();
    for (place, argument) in takes.iter().enumerate() {
        let Takes::Flags(flags) = argument else { continue };
        let upper: Flag = ("upper-half", 1 << 32);
        for (name, value) in flags.iter().chain([&upper]) {
            let mut arguments = allowed;
            if let Some(argument) = arguments.get_mut(place) {
                *argument = with(row.checks, place, *argument, *value);
            }
            if !is_allowed(number, &arguments) {
                let place = place + 1;
                attacks.push(attack(
                    format!("flag-{}-{place}-{name}", row.name.replace('_', "-")),
                    row.name,
                    number,
                    arguments,
                ));
            }
        }
    }
    attacks
}

/// Flags come beside those that must be there; another command takes the place of the one that is allowed.
fn with(checks: &[Check], place: usize, allowed: u64, value: u64) -> u64 {
    let is_exact = checks.iter().any(|check| {
        let (argument, mask, expected) = check.compared();
        usize::from(argument) == place && expected != 0 && mask == u64::MAX
    });
    if is_exact && value < 1 << 32 { value } else { allowed | value }
}

fn attack(name: String, call: &str, number: i64, arguments: [u64; 6]) -> Attack {
    let stop = Stop::Filter(number);
    // Made once, for as long as the program runs.
    let name: &'static str = name.leak();
    let what: &'static str = format!("call {call} with what no row allows").leak();
    Attack {
        name,
        what,
        where_nothing: stop,
        then: None,
        where_folder: stop,
        alone: Alone::Never("it has no effect but on the filter"),
        in_gateway: InGateway::Not("it is made of the rows of a worker's filter"),
        run: Run::WrongFlag(WrongFlag { number, arguments }),
    }
}

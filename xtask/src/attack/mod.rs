//! Attacks on the built program as an outsider would make them: a hostile tool's call, then the next run that would obey what
//! it wrote, files changed between two runs, text that steers a terminal. Each attack says how it must be stopped, and is held
//! only if that stopped it and nothing of it is left; one that could not be played as it is meant fails too.
//!
//! Nothing here may know the program's inside: all goes through its command line and its files.

mod agents;
mod component;
mod daemon;
mod deaths;
mod disk;
mod erasure;
mod exchanged;
mod forged;
mod found_policy;
mod machine;
mod mounts;
mod names;
mod places;
mod ran;
mod requests;
mod scene;
mod sockets;
mod stage;
mod state;
mod text;
mod time;
mod work;

use std::time::Instant;

pub(crate) use self::daemon::client;
use self::ran::Verdict;
use self::scene::Scene;
use self::stage::Stage;
use crate::terminal::{Style, Terminal};
use crate::{Result, cargo, is_ci, setup};

/// One attack.
struct Attack {
    /// What is attacked, and how.
    name: &'static str,
    /// Whether it is another form of an attack that is known, made up to see whether the kind is closed.
    is_variant: bool,
    play: fn(&Scene<'_>) -> Result<Verdict>,
}

/// An attack that was made on an earlier version.
const fn known(name: &'static str, play: fn(&Scene<'_>) -> Result<Verdict>) -> Attack {
    Attack { name, is_variant: false, play }
}

/// Another form of a known attack.
const fn variant(name: &'static str, play: fn(&Scene<'_>) -> Result<Verdict>) -> Attack {
    Attack { name, is_variant: true, play }
}

/// Attacks of one kind.
struct Row {
    number: u8,
    title: &'static str,
    attacks: &'static [Attack],
}

const ROWS: [Row; 16] = [
    Row { number: 1, title: "places that decide", attacks: places::ATTACKS },
    Row { number: 2, title: "a policy that is found", attacks: found_policy::ATTACKS },
    Row { number: 3, title: "a granted folder, and links in it", attacks: exchanged::ATTACKS },
    Row { number: 4, title: "whose grant a component gets", attacks: names::ATTACKS },
    Row { number: 5, title: "mounts below a granted folder", attacks: mounts::ATTACKS },
    Row { number: 8, title: "what is put on the disk", attacks: disk::ATTACKS },
    Row { number: 9, title: "time without a clock", attacks: time::ATTACKS },
    Row { number: 10, title: "work outside the caps", attacks: work::ATTACKS },
    Row { number: 12, title: "text that steers", attacks: text::ATTACKS },
    Row { number: 13, title: "entries without the key", attacks: forged::ATTACKS },
    Row { number: 14, title: "a ledger's files that are others, or none", attacks: state::ATTACKS },
    Row { number: 15, title: "texts that must be forgotten", attacks: erasure::ATTACKS },
    Row { number: 16, title: "who asks a daemon", attacks: agents::ATTACKS },
    Row { number: 17, title: "a daemon's sockets", attacks: sockets::ATTACKS },
    Row { number: 18, title: "what a daemon's clients send", attacks: requests::ATTACKS },
    Row { number: 19, title: "processes of a daemon that die", attacks: deaths::ATTACKS },
];

/// Plays all attacks, or those of some rows; an error if one is not held.
pub(crate) fn attack(rows: &[&str]) -> Result<()> {
    let rows = chosen(rows)?;
    setup::setup()?;
    cargo::run(&["build", "--workspace"], &[])?;
    let stage = Stage::new()?;
    Scene::compile_once(&stage)?;
    let terminal = Terminal::of_stdout();
    let (started, mut tally) = (Instant::now(), Tally::default());
    for row in rows {
        println!();
        terminal.line(Style::Bold, &format!("{}. {}", row.number, row.title));
        for attack in row.attacks {
            let played = Scene::new(&stage).and_then(|scene| (attack.play)(&scene));
            tally.tell(terminal, row, attack, played);
        }
    }
    tally.end(terminal, started)
}

fn chosen(numbers: &[&str]) -> Result<Vec<&'static Row>> {
    let is = |row: &Row, number: &str| number == row.number.to_string();
    if let Some(unknown) = numbers.iter().find(|number| !ROWS.iter().any(|row| is(row, number))) {
        let known = ROWS.iter().map(|row| row.number.to_string()).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no row `{unknown}` of attacks; there are {known}").into());
    }
    Ok(ROWS.iter().filter(|row| numbers.is_empty() || numbers.iter().any(|number| is(row, number))).collect())
}

/// How the attacks went.
#[derive(Default)]
struct Tally {
    held: u32,
    skipped: u32,
    failed: Vec<String>,
}

impl Tally {
    fn tell(&mut self, terminal: Terminal, row: &Row, attack: &Attack, played: Result<Verdict>) {
        let name = if attack.is_variant { format!("variant: {}", attack.name) } else { attack.name.to_owned() };
        let (style, word, what) = match played {
            Ok(Verdict::Held(by)) => {
                self.held += 1;
                (Style::Good, "held", by)
            }
            Ok(Verdict::Skipped(why)) if is_ci() => {
                (Style::Bad, "SKIPPED", format!("{why}; in CI nothing is passed over"))
            }
            Ok(Verdict::Skipped(why)) => {
                self.skipped += 1;
                (Style::Faint, "skipped", why)
            }
            Ok(Verdict::Reached(what)) => (Style::Bad, "REACHED", what),
            Err(error) => (Style::Bad, "UNCLEAR", format!("not played as it is meant: {error}")),
        };
        let line = format!("{:>2}  {word:<7}  {name}\n               {what}", row.number);
        terminal.line(style, &line);
        if matches!(style, Style::Bad) {
            self.failed.push(format!("{word} {}. {name}", row.number));
        }
    }

    fn end(self, terminal: Terminal, started: Instant) -> Result<()> {
        let all = self.held as usize + self.skipped as usize + self.failed.len();
        let skipped = if self.skipped > 0 { format!(", {} skipped", self.skipped) } else { String::new() };
        let summary = format!("attack: {} of {all} held{skipped}; {} s", self.held, started.elapsed().as_secs());
        println!();
        if self.failed.is_empty() {
            terminal.line(Style::Good, &summary);
            return Ok(());
        }
        terminal.line(Style::Bad, &summary);
        Err(format!("these attacks were not held:\n{}", self.failed.join("\n")).into())
    }
}

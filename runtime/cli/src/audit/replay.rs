//! `tollgate audit replay`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tollgate_audit::{Verdict, read_set};

use super::args::ReplayArgs;
use super::fault::said;
use super::reading::Reading;
use crate::exit::{Exit, Failure};
use crate::output::{self, one_line};
use crate::progress;
use tollgate::replay::{Difference, Repeated, Replay, Ruling, Unrepeatable};

pub(super) fn replay(args: &ReplayArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, args.filter.filter()?)?;
    let (found, damage) = progress::during("repeating decisions", || Found::of(&mut reading, folder));
    output::print(&if args.json { found.json() } else { found.text(folder) })?;
    if let Some(damage) = damage {
        return Ok(said(&damage));
    }
    let fails = found.differences_count > 0 || (args.strict && !found.unrepeatable.is_empty());
    Ok(if fails { Exit::Internal } else { Exit::Success })
}

/// What came of repeating the decisions.
#[derive(Default)]
struct Found {
    same: u64,
    differences: Vec<Difference>,
    differences_count: u64,
    unrepeatable: BTreeMap<Unrepeatable, u64>,
    // Whether the ledger has more, which cannot be read.
    is_cut_off: bool,
}

impl Found {
    /// With why it is not all that the ledger has.
    fn of(reading: &mut Reading, folder: &Path) -> (Self, Option<Failure>) {
        let mut replay = Replay::new(|digest| read_set(folder, digest));
        let mut found = Self::default();
        let damage = loop {
            let (index, entry, is_chosen) = match reading.next() {
                Ok(Some(read)) => read,
                Ok(None) => break reading.whole().err(),
                Err(damage) => break Some(damage),
            };
            match replay.entry(index, &entry, is_chosen) {
                None => {}
                Some(Repeated::Same) => found.same += 1,
                Some(Repeated::Not(why)) => *found.unrepeatable.entry(why).or_default() += 1,
                Some(Repeated::Differs(difference)) => {
                    found.differences_count += 1;
                    if found.differences.len() < DIFFERENCES_LISTED_MAX {
                        found.differences.push(*difference);
                    }
                }
            }
        };
        found.is_cut_off = damage.is_some();
        (found, damage)
    }

    fn decisions(&self) -> u64 {
        self.same + self.differences_count + self.unrepeatable.values().sum::<u64>()
    }

    fn json(&self) -> String {
        let unrepeatable: BTreeMap<_, _> = self.unrepeatable.iter().map(|(why, count)| (why.as_str(), count)).collect();
        let value = json!({
            "ok": self.differences_count == 0 && !self.is_cut_off,
            "decisions": self.decisions(),
            "same": self.same,
            "different": self.differences_count,
            "differences": self.differences.iter().map(difference_json).collect::<Vec<_>>(),
            "not_repeatable": unrepeatable,
        });
        format!("{value}\n")
    }

    fn text(&self, folder: &Path) -> String {
        let verdict = match (self.differences_count, self.unrepeatable.is_empty() && !self.is_cut_off) {
            (0, true) => "repeated",
            (0, false) => "repeated in part",
            (1.., _) => "DIFFERENT DECISIONS",
        };
        let mut text =
            format!("{verdict}: {}\n  decisions  {}\n", one_line(&folder.display().to_string()), self.decisions());
        text.push_str(&format!("  same       {}\n  different  {}\n", self.same, self.differences_count));
        for (why, count) in &self.unrepeatable {
            text.push_str(&format!("  unknown    {count}: {why}\n"));
        }
        for difference in &self.differences {
            let Difference { index, call, function, recorded, right, reason } = difference;
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let (recorded, right) = (ruling_text(recorded), ruling_text(right));
            let said = format!(
                "entry {index} of call {call}: {function} is on record as {recorded}, right is {right}{reason}"
            );
            text.push_str(&format!("  problem    {}\n", one_line(&said)));
        }
        let more = self.differences_count - self.differences.len() as u64;
        if more > 0 {
            text.push_str(&format!("  problem    … and {more} more\n"));
        }
        text
    }
}

fn difference_json(difference: &Difference) -> Value {
    let Difference { index, call, function, recorded, right, reason } = difference;
    let ruling = |ruling: &Ruling| json!({ "verdict": ruling.verdict, "rule": ruling.rule });
    json!({
        "index": index,
        "call": call,
        "function": function,
        "recorded": ruling(recorded),
        "right": ruling(right),
        "reason": reason,
    })
}

fn ruling_text(Ruling { verdict, rule }: &Ruling) -> String {
    match verdict {
        Verdict::Allow => format!("allowed by [{rule}]"),
        Verdict::Deny => format!("denied for want of [{rule}]"),
    }
}

/// Further ones are counted: a set that was exchanged makes thousands.
const DIFFERENCES_LISTED_MAX: usize = 1000;

//! What came of repeating the decisions of a ledger, for people and for machines.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_audit::Verdict;
use tollgate_plain::one_line;

use crate::replay::{Difference, Repeated, Ruling, Unrepeatable};

/// What came of repeating the decisions of a ledger.
#[derive(Debug, Default)]
pub struct ReplayReport {
    same: u64,
    differences: Vec<Difference>,
    differences_count: u64,
    unrepeatable: BTreeMap<Unrepeatable, u64>,
    is_cut_off: bool,
}

impl ReplayReport {
    /// Counts one decision.
    pub fn add(&mut self, repeated: Repeated) {
        match repeated {
            Repeated::Same => self.same += 1,
            Repeated::Not(why) => *self.unrepeatable.entry(why).or_default() += 1,
            Repeated::Differs(difference) => {
                self.differences_count += 1;
                if self.differences.len() < DIFFERENCES_LISTED_MAX {
                    self.differences.push(*difference);
                }
            }
        }
    }

    /// Notes that the ledger has more entries, which cannot be read.
    pub fn cut_off(&mut self) {
        self.is_cut_off = true;
    }

    /// Whether a decision on record is another one than its capability set gives.
    #[must_use]
    pub fn has_differences(&self) -> bool {
        self.differences_count > 0
    }

    /// Whether each decision that was looked at could be repeated, and none is behind damage.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unrepeatable.is_empty() && !self.is_cut_off
    }

    /// How many decisions were looked at.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.same + self.differences_count + self.unrepeatable.values().sum::<u64>()
    }

    /// For machines.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let unrepeatable: BTreeMap<_, _> = self.unrepeatable.iter().map(|(why, count)| (why.as_str(), count)).collect();
        json!({
            "ok": self.differences_count == 0 && !self.is_cut_off,
            "decisions": self.decisions(),
            "same": self.same,
            "different": self.differences_count,
            "differences": self.differences.iter().map(difference_json).collect::<Vec<_>>(),
            "not_repeatable": unrepeatable,
        })
    }

    /// For people, as lines; `name` is the ledger's.
    #[must_use]
    pub fn to_text(&self, name: &str) -> String {
        let verdict = match (self.differences_count, self.unrepeatable.is_empty() && !self.is_cut_off) {
            (0, true) => "repeated",
            (0, false) => "repeated in part",
            (1.., _) => "DIFFERENT DECISIONS",
        };
        let mut text = format!("{verdict}: {}\n  decisions  {}\n", one_line(name), self.decisions());
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

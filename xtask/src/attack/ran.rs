//! What a command did, and what follows for an attack.

use serde_json::Value;

use crate::Result;

/// How an attack went.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It was stopped by what should stop it, and nothing of it is left.
    Held(String),
    /// It had its effect.
    Reached(String),
    /// This machine does not let it be played.
    Skipped(String),
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// None if a signal ended it.
    pub(super) exit: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
    /// The most memory that one of its processes had, in bytes, as far as was seen.
    pub(super) peak_bytes: u64,
}

/// What must stop an attack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    exit: i32,
    /// Words that stand in what is printed, all of them.
    says: &'static [&'static str],
}

impl Stop {
    pub(super) const fn new(exit: i32, says: &'static [&'static str]) -> Self {
        Self { exit, says }
    }

    /// Nothing runs: what is asked for cannot be used.
    pub(super) const fn refused(says: &'static [&'static str]) -> Self {
        Self::new(2, says)
    }

    /// The gate denies a call.
    pub(super) const fn denied(says: &'static [&'static str]) -> Self {
        Self::new(3, says)
    }

    /// A cap ends the call.
    pub(super) const fn capped(says: &'static [&'static str]) -> Self {
        Self::new(4, says)
    }

    /// A ledger, or a proof, does not hold.
    pub(super) const fn unsound(says: &'static [&'static str]) -> Self {
        Self::new(5, says)
    }
}

impl Ran {
    /// All that was printed, with one space for each run of white space: errors are wrapped for people.
    pub(super) fn text(&self) -> String {
        let both = format!("{} {}", self.out, self.err);
        both.split(|c: char| c.is_whitespace() || c == '│')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub(super) fn says(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// One line that says how it ended, for people.
    pub(super) fn brief(&self) -> String {
        let text = self.text();
        let shown: String = text.chars().take(BRIEF_CHARS_MAX).collect();
        let more = if text.len() > shown.len() { " …" } else { "" };
        match self.exit {
            Some(exit) => format!("exit {exit}: {}{more}", shown.escape_debug()),
            None => format!("ended by a signal: {}{more}", shown.escape_debug()),
        }
    }

    /// What came of each step of the hostile tool.
    pub(super) fn steps(&self) -> Result<Vec<Value>> {
        if self.exit != Some(0) {
            return Err(format!("the hostile tool gave no answer: {}", self.brief()).into());
        }
        Ok(serde_json::from_str(self.out.trim()).map_err(|error| format!("{error}: {}", self.brief()))?)
    }

    /// That every step was taken: what must work, works.
    pub(super) fn all_done(&self) -> Result<Vec<Value>> {
        let steps = self.steps()?;
        match steps.iter().find(|step| step.get("ok").is_none()) {
            None => Ok(steps),
            Some(step) => Err(format!("a step that is allowed failed: {step}").into()),
        }
    }

    /// That the command succeeded.
    pub(super) fn done(self) -> Result<Self> {
        if self.exit == Some(0) { Ok(self) } else { Err(format!("what is allowed failed: {}", self.brief()).into()) }
    }

    /// Judges: an effect is an attack that reached; without one, only the right cause holds.
    pub(super) fn judge(&self, effect: Option<String>, stops: &[Stop]) -> Result<Verdict> {
        if let Some(effect) = effect {
            return Ok(Verdict::Reached(format!("{effect}; {}", self.brief())));
        }
        let text = self.text();
        let stopped = |stop: &&Stop| self.exit == Some(stop.exit) && stop.says.iter().all(|words| text.contains(words));
        match stops.iter().find(stopped) {
            Some(stop) => Ok(Verdict::Held(format!("exit {}: {}", stop.exit, stop.says.join(", ")))),
            None => {
                Err(format!("nothing happened, but not for the reason that is wanted ({stops:?}): {}", self.brief())
                    .into())
            }
        }
    }
}

/// How much of an output is shown.
const BRIEF_CHARS_MAX: usize = 240;

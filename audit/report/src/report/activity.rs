//! What calls did, as sums.

use serde::Serialize;

use tollgate_audit::entry::CallClass;

/// What a number of calls did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Activity {
    /// Calls that started.
    pub calls: u64,
    /// How they ended; adds up to `calls`.
    pub results: Results,
    /// Share of the calls that ended which a cap ended (`results.cap`), from 0 to 1; `None` if none ended.
    pub resource_exhaustion_ratio: Option<f64>,
    /// Violations per 1,000 calls; `None` without calls.
    pub violations_per_1000_calls: Option<f64>,
    /// Share of the calls whose trail is complete: they have a `call-end`; from 0 to 1, `None` without calls.
    pub coverage_ratio: Option<f64>,
    /// Intents, allowed and denied.
    pub intents: u64,
    /// Intents that were denied when they were recorded.
    pub intents_denied: u64,
    /// Violations: denied intents, and allowed ones that the kernel refused.
    pub violations: u64,
    /// Violations by the kernel.
    pub violations_by_kernel: u64,
    /// Bytes read through what intents acquired.
    pub bytes_read: u64,
    /// Bytes written through what intents acquired.
    pub bytes_written: u64,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Results {
    /// With a result.
    pub success: u64,
    /// With an error of the tool's own.
    pub tool_error: u64,
    /// Killed for a violation.
    pub violation: u64,
    /// Ended by a cap.
    pub cap: u64,
    /// The guest trapped.
    pub trap: u64,
    /// Tollgate itself failed.
    pub internal: u64,
    /// Turned down before the guest ran.
    pub rejected: u64,
    /// Withdrawn by whoever asked, before the guest ran or while it did.
    pub cancelled: u64,
    /// Not by themselves: their worker died, and a closer stands for their end.
    pub closed: u64,
    /// Not yet, or not seen to the end.
    pub open: u64,
}

impl Activity {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.results.add(&other.results);
        self.intents += other.intents;
        self.intents_denied += other.intents_denied;
        self.violations += other.violations;
        self.violations_by_kernel += other.violations_by_kernel;
        self.bytes_read = self.bytes_read.saturating_add(other.bytes_read);
        self.bytes_written = self.bytes_written.saturating_add(other.bytes_written);
    }

    /// With the open calls and the ratios, which follow from the rest.
    pub(super) fn finish(self) -> Self {
        let results = self.results.with_open(self.calls);
        Self {
            results,
            resource_exhaustion_ratio: ratio(results.cap, results.ended()),
            violations_per_1000_calls: ratio(self.violations, self.calls).map(|ratio| ratio * 1000.0),
            coverage_ratio: ratio(results.ended(), self.calls),
            ..self
        }
    }
}

impl Results {
    /// Calls that have a `call-end`.
    #[must_use]
    pub fn ended(&self) -> u64 {
        let answered = self.success + self.tool_error;
        answered + self.violation + self.cap + self.trap + self.internal + self.rejected + self.cancelled
    }

    /// Every number with its name for people, in the order in which they are shown.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, u64); 10] {
        [
            ("success", self.success),
            ("tool error", self.tool_error),
            ("cap", self.cap),
            ("violation", self.violation),
            ("trap", self.trap),
            ("internal", self.internal),
            ("rejected", self.rejected),
            ("cancelled", self.cancelled),
            ("closed", self.closed),
            ("open", self.open),
        ]
    }

    pub(super) fn of(&mut self, class: CallClass) -> &mut u64 {
        match class {
            CallClass::Success => &mut self.success,
            CallClass::ToolError => &mut self.tool_error,
            CallClass::Violation => &mut self.violation,
            CallClass::Cap => &mut self.cap,
            CallClass::Trap => &mut self.trap,
            CallClass::Internal => &mut self.internal,
            CallClass::Rejected => &mut self.rejected,
            CallClass::Cancelled => &mut self.cancelled,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.success += other.success;
        self.tool_error += other.tool_error;
        self.violation += other.violation;
        self.cap += other.cap;
        self.trap += other.trap;
        self.internal += other.internal;
        self.rejected += other.rejected;
        self.cancelled += other.cancelled;
        self.closed += other.closed;
    }

    /// The open calls are those of `calls` that have no end.
    pub(super) fn with_open(self, calls: u64) -> Self {
        Self { open: calls.saturating_sub(self.ended() + self.closed), ..self }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

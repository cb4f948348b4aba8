//! Calls that ask a clock.

use super::table::calls;

calls! {
    /// A call of `wasi:clocks`.
    pub enum ClockCall {
        /// `wasi:clocks/wall-clock.now` and `resolution`.
        WallClock "wasi:clocks/wall-clock.now" counted,
        /// `wasi:clocks/monotonic-clock.now`, `resolution` and `subscribe-instant`.
        MonotonicClock "wasi:clocks/monotonic-clock.now" counted,
    }
}

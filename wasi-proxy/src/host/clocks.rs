//! `wasi:clocks`: real, coarse or frozen time where granted. Without a grant there is no harmless answer, so the
//! instance ends even under `deny`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate_capability::{COARSE_CLOCK_NS, Call, ClockCall, ClockMode};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};

use crate::ctx::GateCtx;
use crate::gate::Checked;
use crate::host::filesystem::Untracked;
use crate::view::GateView;

impl wall_clock::Host for GateView<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let proof = self.ctx.gate.checked(Call::Clock(ClockCall::WallClock))?;
        Ok(datetime(wall_now(proof, self.ctx)?))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let _proof = self.ctx.gate.checked(Call::Clock(ClockCall::WallClock))?;
        Ok(datetime(Duration::from_nanos(resolution_ns(self.ctx.gate.set().wall_clock))))
    }
}

impl monotonic_clock::Host for GateView<'_> {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        let proof = self.ctx.gate.checked(Call::Clock(ClockCall::MonotonicClock))?;
        Ok(monotonic_now(&proof, self.ctx)?)
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        let _proof = self.ctx.gate.checked(Call::Clock(ClockCall::MonotonicClock))?;
        Ok(resolution_ns(self.ctx.gate.set().monotonic_clock))
    }

    fn subscribe_instant(&mut self, when: monotonic_clock::Instant) -> wasmtime::Result<Resource<DynPollable>> {
        let proof = self.ctx.gate.checked(Call::Clock(ClockCall::MonotonicClock))?;
        let wait = when.saturating_sub(monotonic_now(&proof, self.ctx)?);
        self.wait(proof, wait)
    }

    fn subscribe_duration(&mut self, wait: monotonic_clock::Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let proof = self.ctx.gate.checked(Call::Clock(ClockCall::MonotonicClock))?;
        self.wait(proof, wait)
    }
}

impl GateView<'_> {
    /// A pollable that is ready after `wait_ns` by the guest's own clock; the call's deadline ends whoever waits longer.
    fn wait(&mut self, proof: Checked, wait_ns: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let Call::Clock(ClockCall::MonotonicClock) = proof.call() else { return Err(Untracked.into()) };
        let elapsed_ns = u64::try_from(self.ctx.input.monotonic_start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let wait_ns = real_wait_ns(self.ctx.gate.set().monotonic_clock, elapsed_ns, wait_ns);
        let pollable = monotonic_clock::Host::subscribe_duration(&mut self.wasi_clocks(), wait_ns)?;
        self.hold_pollable(pollable)
    }
}

fn wall_now(proof: Checked, ctx: &GateCtx) -> Result<Duration, Untracked> {
    let Call::Clock(ClockCall::WallClock) = proof.call() else { return Err(Untracked) };
    Ok(match ctx.gate.set().wall_clock {
        Some(ClockMode::Real) => system_time(),
        Some(ClockMode::Coarse) => coarse(system_time()),
        Some(ClockMode::Frozen) | None => ctx.input.wall_start,
    })
}

fn monotonic_now(proof: &Checked, ctx: &GateCtx) -> Result<u64, Untracked> {
    let Call::Clock(ClockCall::MonotonicClock) = proof.call() else { return Err(Untracked) };
    let elapsed = || ctx.input.monotonic_start.elapsed();
    let shown = match ctx.gate.set().monotonic_clock {
        Some(ClockMode::Real) => elapsed(),
        Some(ClockMode::Coarse) => coarse(elapsed()),
        Some(ClockMode::Frozen) | None => Duration::ZERO,
    };
    Ok(u64::try_from(shown.as_nanos()).unwrap_or(u64::MAX))
}

/// How long a wait really takes. Whoever waits and looks whether it is over has a clock, so a wait must not tell more than
/// the clock itself: it ends when a coarse clock takes a step, and at once where the clock stands still.
fn real_wait_ns(mode: Option<ClockMode>, elapsed_ns: u64, wait_ns: u64) -> u64 {
    match mode {
        Some(ClockMode::Real) => wait_ns,
        Some(ClockMode::Coarse) if wait_ns > 0 => {
            let shown = elapsed_ns - elapsed_ns % COARSE_CLOCK_NS;
            let steps = shown.saturating_add(wait_ns).div_ceil(COARSE_CLOCK_NS);
            steps.saturating_mul(COARSE_CLOCK_NS).saturating_sub(elapsed_ns)
        }
        Some(ClockMode::Coarse | ClockMode::Frozen) | None => 0,
    }
}

#[allow(clippy::disallowed_methods, reason = "this module owns the guest's wall clock")]
fn system_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

fn coarse(time: Duration) -> Duration {
    let step = u128::from(COARSE_CLOCK_NS);
    let floor = time.as_nanos() / step * step;
    Duration::from_nanos(u64::try_from(floor).unwrap_or(u64::MAX))
}

fn resolution_ns(mode: Option<ClockMode>) -> u64 {
    match mode {
        Some(ClockMode::Real) => 1,
        Some(ClockMode::Coarse) => COARSE_CLOCK_NS,
        Some(ClockMode::Frozen) | None => u64::MAX,
    }
}

fn datetime(time: Duration) -> wall_clock::Datetime {
    wall_clock::Datetime { seconds: time.as_secs(), nanoseconds: time.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_wait_tells_no_more_than_the_clock() {
        let coarse = |elapsed, wait| real_wait_ns(Some(ClockMode::Coarse), elapsed, wait);
        // Whatever the moment within a step and however short the wait, it ends with the step.
        for elapsed in [0, 1, 42 * MS, 100 * MS - 1] {
            for wait in [1, 5 * MS, 100 * MS] {
                assert_eq!(elapsed + coarse(elapsed, wait), 100 * MS, "{wait} after {elapsed}");
            }
            assert_eq!(elapsed + coarse(elapsed, 101 * MS), 200 * MS);
            assert_eq!(coarse(elapsed, 0), 0);
        }
        assert_eq!(coarse(250 * MS, 60 * MS), 50 * MS);
        assert!(coarse(42, u64::MAX) > u64::MAX / 2);
        assert_eq!(real_wait_ns(Some(ClockMode::Real), 42 * MS, 7), 7);
        assert_eq!(real_wait_ns(Some(ClockMode::Frozen), 42 * MS, 7 * MS), 0, "a wait in which no time passes");
    }
}

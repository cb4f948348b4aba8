//! How much of their caps calls used, as histograms of fixed size.
//!
//! It must never show a median or a ninth decile as lower than it is.

use serde::Serialize;

use tollgate_audit::entry::Usage;

/// Shares of a cap at which the bands of a chart begin, in percent.
pub const BAND_STARTS_PERCENT: [u64; 6] = [0, 1, 10, 50, 75, 90];

/// How much of their caps the calls used that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UsageShares {
    /// Of `limits.fuel`, in units of fuel.
    pub fuel: Share,
    /// Of `limits.memory`, in bytes: the peak of linear memory.
    pub memory: Share,
    /// Of `limits.deadline`, in microseconds of wall time.
    pub wall: Share,
}

/// How much of one cap the calls used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// Calls that had this cap.
    pub calls: u64,
    /// Half of them used at most so much of the cap; up to a sixteenth too high.
    pub median_percent: Option<f64>,
    /// Nine of ten used at most so much; up to a sixteenth too high.
    pub p90_percent: Option<f64>,
    /// The most that one used.
    pub max_percent: Option<f64>,
    /// The most that one used, in the cap's unit.
    pub max_used: u64,
    /// Calls by their share: from each of [`BAND_STARTS_PERCENT`] to below the next.
    pub bands: [u64; 6],
}

#[derive(Debug, Default)]
pub(super) struct ShareCounters {
    fuel: Histogram,
    memory: Histogram,
    wall: Histogram,
}

/// Shares in millionths, in classes that are at most a sixteenth wide.
#[derive(Debug)]
struct Histogram {
    classes: Box<[u64; CLASSES]>,
    share: Share,
    max_ppm: u64,
}

impl ShareCounters {
    pub(super) fn add(&mut self, usage: &Usage) {
        self.fuel.add(usage.fuel_used, usage.fuel_cap);
        self.memory.add(usage.memory_peak_bytes, usage.memory_cap_bytes);
        self.wall.add(usage.wall_us, usage.deadline_us);
    }

    pub(super) fn finish(self) -> UsageShares {
        UsageShares { fuel: self.fuel.finish(), memory: self.memory.finish(), wall: self.wall.finish() }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { classes: Box::new([0; CLASSES]), share: Share::default(), max_ppm: 0 }
    }
}

impl Histogram {
    fn add(&mut self, used: u64, cap: u64) {
        if cap == 0 {
            return;
        }
        let ppm = (u128::from(used) * u128::from(PPM)).div_ceil(u128::from(cap));
        let ppm = u64::try_from(ppm).unwrap_or(u64::MAX);
        if let Some(class) = self.classes.get_mut(class_of(ppm)) {
            *class += 1;
        }
        let band = BAND_STARTS_PERCENT.iter().rposition(|start| start * (PPM / 100) <= ppm).unwrap_or_default();
        if let Some(band) = self.share.bands.get_mut(band) {
            *band += 1;
        }
        self.share.calls += 1;
        self.share.max_used = self.share.max_used.max(used);
        self.max_ppm = self.max_ppm.max(ppm);
    }

    fn finish(self) -> Share {
        let percent = |ppm: u64| Some(ppm as f64 / (PPM / 100) as f64).filter(|_| self.share.calls > 0);
        Share {
            median_percent: percent(self.quantile(50)),
            p90_percent: percent(self.quantile(90)),
            max_percent: percent(self.max_ppm),
            ..self.share
        }
    }

    /// The end of the class in which the share stands that `percent` of the calls do not exceed.
    fn quantile(&self, percent: u64) -> u64 {
        let rank = (u128::from(self.share.calls) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        for (class, calls) in self.classes.iter().enumerate() {
            seen += u128::from(*calls);
            if seen >= rank && seen > 0 {
                return end_of(class).min(self.max_ppm);
            }
        }
        self.max_ppm
    }
}

/// Below 32 each value is a class of its own; above, each power of two is sixteen classes.
fn class_of(ppm: u64) -> usize {
    if ppm < 2 * STEPS {
        return usize::try_from(ppm).unwrap_or_default();
    }
    let shift = ppm.ilog2() - STEPS.ilog2();
    let class = u64::from(shift) * STEPS + (ppm >> shift);
    usize::try_from(class).unwrap_or(CLASSES - 1)
}

/// The largest value of a class.
fn end_of(class: usize) -> u64 {
    let class = class as u64;
    if class < 2 * STEPS {
        return class;
    }
    let (shift, step) = (class / STEPS - 1, class % STEPS + STEPS);
    let end = (u128::from(step) + 1) << shift;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

const PPM: u64 = 1_000_000;
const STEPS: u64 = 16;
const CLASSES: usize = 61 * 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn classes_follow_each_other() {
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
        for class in 0..CLASSES {
            assert_eq!(class_of(end_of(class)), class);
            assert!(class + 1 == CLASSES || class_of(end_of(class) + 1) == class + 1);
        }
    }

    #[test]
    fn without_a_cap_there_is_no_share() {
        let mut shares = ShareCounters::default();
        shares.add(&Usage { fuel_used: 7, ..Usage::default() });
        assert_eq!(shares.finish(), UsageShares::default());
    }

    proptest! {
        #[test]
        fn quantiles_are_close_and_never_low(used in prop::collection::vec(0_u64..2_000_000, 1..200)) {
            let mut histogram = Histogram::default();
            used.iter().for_each(|used| histogram.add(*used, PPM));
            let mut sorted = used.clone();
            sorted.sort_unstable();
            let share = histogram.finish();
            for (found, percent) in [(share.median_percent, 50), (share.p90_percent, 90), (share.max_percent, 100)] {
                let exact = sorted[(sorted.len() * percent).div_ceil(100) - 1] as f64 / 10_000.0;
                let found = found.unwrap();
                prop_assert!(found >= exact && found <= exact * 17.0 / 16.0 + 1e-9, "{found} for {exact}");
            }
            prop_assert_eq!(share.bands.iter().sum::<u64>(), used.len() as u64);
        }
    }
}

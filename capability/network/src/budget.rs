//! How much one call may use of the network, as counters without a clock. Must never let a counter pass its limit, whatever the
//! amounts are.

use std::fmt;

/// A thing that is counted, by its key in `[limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkCap {
    /// Requests.
    Requests,
    /// Requests and connections that are open at the same time.
    Open,
    /// Bytes that are sent, heads included.
    Up,
    /// Bytes that are received, heads included.
    Down,
    /// Different names that are resolved.
    Names,
    /// Connections that are made.
    Connects,
}

impl NetworkCap {
    /// Every one, in the order in which they are printed.
    pub const ALL: [Self; 6] = [Self::Requests, Self::Open, Self::Up, Self::Down, Self::Names, Self::Connects];

    /// The key in `[limits]`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Open => "open",
            Self::Up => "up",
            Self::Down => "down",
            Self::Names => "names",
            Self::Connects => "connects",
        }
    }

    /// The least and the most it can be set to.
    #[must_use]
    pub const fn bounds(self) -> (u64, u64) {
        match self {
            Self::Requests => (0, REQUESTS_MAX),
            Self::Open => (0, OPEN_MAX),
            Self::Up | Self::Down => (0, TRAFFIC_BYTES_MAX),
            Self::Names => (0, NAMES_MAX),
            Self::Connects => (0, CONNECTS_MAX),
        }
    }
}

impl fmt::Display for NetworkCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Most requests of one call: each adds entries to the ledger.
pub const REQUESTS_MAX: u64 = 100_000;
/// Most requests and connections of one call that are open at the same time: each holds descriptors in two processes.
pub const OPEN_MAX: u64 = 256;
/// Most bytes of one call in one direction: 64 GiB.
pub const TRAFFIC_BYTES_MAX: u64 = 64 << 30;
/// Most names of one call: each is a question to a name server, and tells it something.
pub const NAMES_MAX: u64 = 1_024;
/// Most connections of one call.
pub const CONNECTS_MAX: u64 = 100_000;

/// The limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    requests: u64,
    open: u64,
    up: u64,
    down: u64,
    names: u64,
    connects: u64,
}

impl Budget {
    /// What holds where nobody says otherwise: 100 requests, 8 open at once, 1 MiB up, 16 MiB down, 16 names, 32 connections.
    pub const DEFAULT: Self = Self { requests: 100, open: 8, up: 1 << 20, down: 16 << 20, names: 16, connects: 32 };

    /// One of the limits, in its unit: a count, or bytes.
    #[must_use]
    pub const fn get(&self, cap: NetworkCap) -> u64 {
        match cap {
            NetworkCap::Requests => self.requests,
            NetworkCap::Open => self.open,
            NetworkCap::Up => self.up,
            NetworkCap::Down => self.down,
            NetworkCap::Names => self.names,
            NetworkCap::Connects => self.connects,
        }
    }

    /// The same with another value for one limit, which is held inside [`NetworkCap::bounds`].
    #[must_use]
    pub fn with(mut self, cap: NetworkCap, value: u64) -> Self {
        let (min, max) = cap.bounds();
        let field = match cap {
            NetworkCap::Requests => &mut self.requests,
            NetworkCap::Open => &mut self.open,
            NetworkCap::Up => &mut self.up,
            NetworkCap::Down => &mut self.down,
            NetworkCap::Names => &mut self.names,
            NetworkCap::Connects => &mut self.connects,
        };
        *field = value.clamp(min, max);
        self
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A counter with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    limit: u64,
    used: u64,
}

impl Meter {
    /// A counter that nothing was taken from.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes `amount`, or nothing.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] if less is left; then the counter stays as it was.
    pub fn take(&mut self, amount: u64) -> Result<(), OverBudget> {
        self.could_take(amount)?;
        self.used = self.used.saturating_add(amount);
        Ok(())
    }

    /// Whether `amount` is left.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] if less is left.
    pub const fn could_take(&self, amount: u64) -> Result<(), OverBudget> {
        let left = self.left();
        if amount > left { Err(OverBudget { asked: amount, left }) } else { Ok(()) }
    }

    /// Gives back what was taken and is no longer in use. More than was taken is not given back.
    pub const fn give_back(&mut self, amount: u64) {
        self.used = self.used.saturating_sub(amount);
    }

    /// How much is left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// How much was taken.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }
}

/// More is asked for than is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} asked for, {left} left")]
pub struct OverBudget {
    /// What was asked for.
    pub asked: u64,
    /// What is left.
    pub left: u64,
}

/// What one call has used of its budget. Whoever holds it must ask for each amount before its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meters {
    requests: Meter,
    open: Meter,
    up: Meter,
    down: Meter,
    names: Meter,
    connects: Meter,
}

impl Meters {
    /// Those of a call that has used nothing.
    #[must_use]
    pub const fn new(budget: &Budget) -> Self {
        Self {
            requests: Meter::new(budget.requests),
            open: Meter::new(budget.open),
            up: Meter::new(budget.up),
            down: Meter::new(budget.down),
            names: Meter::new(budget.names),
            connects: Meter::new(budget.connects),
        }
    }

    /// One of the counters.
    #[must_use]
    pub const fn get(&self, cap: NetworkCap) -> &Meter {
        match cap {
            NetworkCap::Requests => &self.requests,
            NetworkCap::Open => &self.open,
            NetworkCap::Up => &self.up,
            NetworkCap::Down => &self.down,
            NetworkCap::Names => &self.names,
            NetworkCap::Connects => &self.connects,
        }
    }

    /// One of the counters, to take from.
    pub const fn get_mut(&mut self, cap: NetworkCap) -> &mut Meter {
        match cap {
            NetworkCap::Requests => &mut self.requests,
            NetworkCap::Open => &mut self.open,
            NetworkCap::Up => &mut self.up,
            NetworkCap::Down => &mut self.down,
            NetworkCap::Names => &mut self.names,
            NetworkCap::Connects => &mut self.connects,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_passes_its_limit() {
        let mut meter = Meter::new(10);
        assert_eq!(meter.take(7), Ok(()));
        assert_eq!(meter.take(4), Err(OverBudget { asked: 4, left: 3 }));
        assert_eq!(meter.take(u64::MAX), Err(OverBudget { asked: u64::MAX, left: 3 }));
        assert_eq!((meter.take(3), meter.left(), meter.used()), (Ok(()), 0, 10));
        assert_eq!(meter.take(0), Ok(()));
        meter.give_back(u64::MAX);
        assert_eq!((meter.left(), meter.used()), (10, 0));
    }

    #[test]
    fn every_limit_is_set_read_and_counted_by_its_own_name() {
        for cap in NetworkCap::ALL {
            let (min, max) = cap.bounds();
            assert!((min..=max).contains(&Budget::DEFAULT.get(cap)), "{cap}");
            let budget = Budget::DEFAULT.with(cap, 7);
            let mut meters = Meters::new(&budget);
            assert_eq!(meters.get_mut(cap).take(8), Err(OverBudget { asked: 8, left: 7 }), "{cap}");
            for other in NetworkCap::ALL {
                let expected = if other == cap { 7 } else { Budget::DEFAULT.get(other) };
                assert_eq!((budget.get(other), meters.get(other).left()), (expected, expected), "{other} after {cap}");
            }
            assert_eq!(Budget::DEFAULT.with(cap, u64::MAX).get(cap), max);
        }
    }
}

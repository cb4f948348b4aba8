//! What compiling one component may cost (`[compile]`): CPU time is the cap, so that a slow or shared machine takes longer and
//! compiles the same; the clock only ends what no longer moves.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError};
use crate::schema::{DurationSchema, quantity};
use crate::units::{Quantity, Unit};

/// Least CPU time, and least time by the clock, in milliseconds: the kernel counts CPU time in whole seconds
/// (`RLIMIT_CPU`, `setrlimit(2)`).
pub const COMPILE_MS_MIN: u64 = 1_000;
/// Most CPU time, in milliseconds: one hour, over a hundred times what a Python interpreter takes.
pub const COMPILE_CPU_MS_MAX: u64 = 3_600_000;
/// Most time by the clock, in milliseconds: one day.
pub const COMPILE_TIME_MS_MAX: u64 = 86_400_000;

/// What compiling one component may cost (`[compile]` of a policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileSettings {
    /// Milliseconds of CPU time over all threads. Default: 5 minutes.
    pub cpu_ms: u64,
    /// Milliseconds by the clock. Default: 1 hour, so that a tenth of a CPU is enough to use up the default of `cpu_ms`.
    pub time_ms: u64,
}

impl CompileSettings {
    /// What holds where a policy says nothing.
    pub const DEFAULT: Self = Self { cpu_ms: 300_000, time_ms: 3_600_000 };
}

const _: () = assert!(CompileSettings::DEFAULT.time_ms >= 10 * CompileSettings::DEFAULT.cpu_ms);

impl Default for CompileSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What compiling one component may cost. A manifest has no say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Compile")]
pub(crate) struct RawCompile {
    /// CPU time, over all threads that compile. It is the cap: a machine with little CPU takes longer, and compiles the same.
    /// Whole seconds; what is between them is rounded up.
    #[schemars(
        with = "Option<DurationSchema>",
        transform = quantity(Unit::Time, CompileSettings::DEFAULT.cpu_ms, (COMPILE_MS_MIN, COMPILE_CPU_MS_MAX))
    )]
    cpu: Option<Spanned<Quantity>>,
    /// Time by the clock, after which a compiler is stopped that does not come to its end.
    #[schemars(
        with = "Option<DurationSchema>",
        transform = quantity(Unit::Time, CompileSettings::DEFAULT.time_ms, (COMPILE_MS_MIN, COMPILE_TIME_MS_MAX))
    )]
    time: Option<Spanned<Quantity>>,
}

impl RawCompile {
    pub(crate) fn resolve(self, document: &Document) -> Result<CompileSettings, DocumentError> {
        let CompileSettings { cpu_ms, time_ms } = CompileSettings::DEFAULT;
        let cpu = (self.cpu, "compile.cpu", COMPILE_MS_MIN..=COMPILE_CPU_MS_MAX, cpu_ms);
        let time = (self.time, "compile.time", COMPILE_MS_MIN..=COMPILE_TIME_MS_MAX, time_ms);
        let [cpu_ms, time_ms] = [cpu, time].map(|(raw, key, bounds, default)| match raw {
            Some(raw) => {
                Unit::Time.read_within(raw.get_ref(), key, &bounds).map_err(|fault| document.value(raw.span(), fault))
            }
            None => Ok(default),
        });
        Ok(CompileSettings { cpu_ms: cpu_ms?, time_ms: time_ms? })
    }
}

//! What compiling one component may cost.

use std::time::Duration;

use tollgate_config::CompileSettings;

/// What compiling one component may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Time by the clock, from start to end; 1 hour by default. It ends a compiler that no longer moves. It is far above the time
    /// that `cpu_seconds` take in a process with a part of a CPU.
    pub time: Duration,
    /// CPU time over all threads, in whole seconds; 5 minutes by default.
    pub cpu_seconds: u64,
    /// Memory of the process, in bytes; 2 GiB by default.
    pub memory_bytes: u64,
    /// The machine code, in bytes; 512 MiB by default.
    pub artifact_bytes: u64,
    /// Threads that compile at the same time; as many as there are processors by default, and at most 8.
    pub threads: u32,
}

impl CompileLimits {
    /// The CPU time is ten times what compiling a Python interpreter takes.
    pub const DEFAULT: Self = Self {
        time: Duration::from_millis(CompileSettings::DEFAULT.time_ms),
        cpu_seconds: CompileSettings::DEFAULT.cpu_ms.div_ceil(1_000),
        memory_bytes: 2 << 30,
        artifact_bytes: 512 << 20,
        threads: 8,
    };

    /// The limits of a policy: `compile.cpu` and `compile.time`; the others by default.
    #[must_use]
    pub const fn of(settings: CompileSettings) -> Self {
        let CompileSettings { cpu_ms, time_ms } = settings;
        Self { time: Duration::from_millis(time_ms), cpu_seconds: cpu_ms.div_ceil(1_000), ..Self::DEFAULT }
    }
}

//! Runs one call of a tool, in whichever process: each in a fresh instance, behind the gate, under caps, on the record. And
//! compiles components, apart and sealed, to [`Artifact`]s.
//!
//! ```text
//! Request ─▶ LoadedTool::accept ─▶ instance ─▶ [ gate: check ▶ record ▶ effect ▶ outcome ]* ─▶ Answer | CallFailure
//! ```
//!
//! It knows no worker and no supervisor. [`LoadedTool`](tool::LoadedTool) and [`ExecutorThread`](call::ExecutorThread) are for
//! the process that runs a guest; embedders hold a `Tool` of `tollgate-supervisor`.
#![deny(unsafe_code)]

pub mod artifact;
pub mod call;
pub mod clock;
pub mod compile_limits;
pub mod compiler;
mod component;
pub mod engine;
pub mod error;
pub mod executor;
pub mod instance;
pub mod interfaces;
pub mod loading;
pub mod log;
pub mod operations;
pub mod package;
pub mod private;
pub mod request;
pub mod surroundings;
pub mod tool;
mod withdrawn;

pub use artifact::{Artifact, ArtifactError, ArtifactKey, EngineHash, KeyError};
pub use component::Component;
pub use engine::{Engine, StartError};
pub use error::{CallError, CallErrorKind, CallFailure, CapHit, LoadError, RejectError, WorkerError};
pub use instance::{EPOCH_TICK, engine_config};
pub use interfaces::Import;
pub use loading::Provenance;
pub use log::{LogLevel, LogLine, log_lines};
pub use request::{Answer, Caller, Claims, Proven, Request, STDIN_BYTES_MAX};

//! Runs the tools of AI agents: each call in a fresh instance, behind the gate, under caps, on the record.
//!
//! ```text
//! Request ─▶ LoadedTool::accept ─▶ instance ─▶ [ gate: check ▶ record ▶ effect ▶ outcome ]* ─▶ Answer | CallFailure
//! ```
//!
//! A [`Supervisor`] runs tools in sealed worker processes, each behind a [`Tool`]. [`InProcess`] runs them in the embedder's own
//! process, each as a [`LoadedTool`]. A [`Compiler`](compiler::Compiler) compiles components apart, to [`Artifact`]s. The
//! command line is a crate of its own, `tollgate-cli`, and nothing here reads the environment.
#![deny(unsafe_code)]

pub mod artifact;
mod call;
mod clock;
pub mod compile_limits;
pub mod compiler;
mod component;
pub mod engine;
pub mod error;
mod executor;
mod in_process;
mod instance;
pub mod interfaces;
pub mod loading;
pub mod log;
mod memory_file;
pub mod notary;
pub mod operations;
pub mod package;
mod parent;
mod private;
pub mod registry;
pub mod request;
mod running;
pub mod sandbox;
pub mod supervisor;
pub mod surroundings;
pub mod tool;
pub mod worker;

use tollgate_authority::files;

pub use artifact::{Artifact, ArtifactError, ArtifactKey, EngineHash, KeyError};
pub use component::Component;
pub use engine::{Engine, StartError};
pub use error::{CallError, CallErrorKind, CallFailure, CapHit, LoadError, RejectError, WorkerError};
pub use in_process::{AuditSink, InProcess, InProcessThread};
pub use instance::{EPOCH_TICK, engine_config};
pub use interfaces::Import;
pub use loading::Provenance;
pub use log::{LogLevel, LogLine, log_lines};
pub use request::{Answer, Caller, Request, STDIN_BYTES_MAX};
pub use supervisor::{
    Supervisor, SupervisorError, SupervisorSettings, Tool, ToolSpec, Trial, WorkerCommand, WorkerEnd,
};
pub use tollgate_audit::{CallId, Usage};
pub use tollgate_authority as authority;
pub use tool::{LoadedTool, Operation};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

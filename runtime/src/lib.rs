//! Runs the tools of AI agents: each call in a fresh instance, behind the gate, under caps, on the record.
//!
//! ```text
//! Request ─▶ LoadedTool::accept ─▶ instance ─▶ [ gate: check ▶ record ▶ effect ▶ outcome ]* ─▶ Answer | CallFailure
//! ```
//!
//! A [`Supervisor`] runs tools in sealed worker processes, each behind a [`Tool`]. [`InProcess`] runs them in the embedder's own
//! process, each as a [`LoadedTool`]. A [`Compiler`](compiler::Compiler) compiles components apart, to [`Artifact`]s. The
//! command line is in `cli`, and nothing here reads the environment but `cli`.
#![deny(unsafe_code)]

mod artifact;
mod call;
pub mod cli;
mod clock;
mod compile_limits;
pub mod compiler;
mod component;
mod drill;
mod engine;
mod error;
mod executor;
mod in_process;
mod instance;
mod interfaces;
mod loading;
mod log;
mod memory_file;
pub mod notary;
mod operations;
pub mod package;
mod parent;
mod private;
mod registry;
mod request;
mod running;
pub mod sandbox;
mod supervisor;
mod surroundings;
mod tool;
pub mod worker;

use tollgate_authority::{cause, files};

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

//! Runs the tools of AI agents: each call in a fresh instance, behind the gate, under caps, on the record.
//!
//! ```text
//! Tool::call ─▶ accept ─▶ instance ─▶ [ gate: check ▶ record ▶ effect ▶ outcome ]* ─▶ Answer | CallFailure
//! ```
//!
//! [`Tollgate`] calls the installed tools of a home by name: take it first. Below it, a [`Tool`] is made from a [`ToolSpec`]: by
//! a [`Supervisor`], which runs it in a sealed worker process, or by an [`InProcess`], which runs it in the embedder's own process
//! without the kernel layer, for tools that the embedder trusts. Both are called, withdrawn and answered alike. A
//! [`Compiler`](compiler::Compiler) compiles components apart, to [`Artifact`]s. Nothing here reads the environment.
//!
//! This crate is what embedders use: its rooms are `tollgate-engine`, `tollgate-worker`, `tollgate-supervisor`,
//! `tollgate-sandbox` and `tollgate-authority`, under the names below.
#![forbid(unsafe_code)]

pub mod described;
pub mod help;
mod invoke;
pub mod offers;
pub mod receipts;
pub mod registry;
pub mod service;
pub mod told;

pub use described::Described;
pub use service::{Config, Tollgate};
pub use tollgate_audit::{CallId, Receipt, Usage};
pub use tollgate_authority as authority;
pub use tollgate_client as client;
pub use tollgate_engine::{
    Answer, Artifact, ArtifactError, ArtifactKey, CallError, CallErrorKind, CallFailure, Caller, CapHit, Claims,
    EPOCH_TICK, Engine, EngineHash, Import, KeyError, LoadError, LogLevel, LogLine, Proven, Provenance, RejectError,
    Request, STDIN_BYTES_MAX, StartError, WorkerError, artifact, compile_limits, compiler, engine, engine_config,
    error, interfaces, loading, log, log_lines, operations, package, request, surroundings,
};
pub use tollgate_sandbox as sandbox;
pub use tollgate_supervisor as supervisor;
pub use tollgate_supervisor::{
    Cancel, Control, InProcess, Supervisor, SupervisorError, SupervisorSettings, Tool, ToolSpec, Trial, WorkerEnd,
    notary,
};
pub use tollgate_system::ProcessCommand;
pub use tollgate_worker as worker;
pub use tollgate_worker::kernel_plan;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

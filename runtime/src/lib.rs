//! Runs the tools of AI agents: each call in a fresh instance, behind the gate, under caps, on the record.
//!
//! ```text
//! Request ─▶ LoadedTool::accept ─▶ instance ─▶ [ gate: check ▶ record ▶ effect ▶ outcome ]* ─▶ Answer | CallFailure
//! ```
//!
//! A [`Supervisor`] runs tools in sealed worker processes, each behind a [`Tool`]. [`InProcess`] runs them in the embedder's own
//! process, each as a [`LoadedTool`]. A [`Compiler`](compiler::Compiler) compiles components apart, to [`Artifact`]s. The
//! command line is a crate of its own, `tollgate-cli`, and nothing here reads the environment.
//!
//! This crate is what embedders use: its rooms are `tollgate-engine`, `tollgate-worker`, `tollgate-supervisor`,
//! `tollgate-sandbox` and `tollgate-authority`, under the names below.
#![forbid(unsafe_code)]

mod invoke;
pub mod offers;
pub mod registry;
pub mod service;
pub mod told;

pub use service::{Config, Tollgate};
pub use tollgate_audit::{CallId, Usage};
pub use tollgate_authority as authority;
pub use tollgate_client as client;
pub use tollgate_engine::{
    Answer, Artifact, ArtifactError, ArtifactKey, AuditSink, CallError, CallErrorKind, CallFailure, Caller, CapHit,
    Claims, Component, EPOCH_TICK, Engine, EngineHash, Import, InProcess, InProcessThread, KeyError, LoadError,
    LoadedTool, LogLevel, LogLine, Operation, Proven, Provenance, RejectError, Request, STDIN_BYTES_MAX, StartError,
    WorkerError, artifact, compile_limits, compiler, engine, engine_config, error, interfaces, loading, log, log_lines,
    operations, package, request, surroundings, tool,
};
pub use tollgate_sandbox as sandbox;
pub use tollgate_supervisor as supervisor;
pub use tollgate_supervisor::{
    Supervisor, SupervisorError, SupervisorSettings, Tool, ToolSpec, Trial, WorkerCommand, WorkerEnd, notary,
};
pub use tollgate_worker as worker;
pub use tollgate_worker::kernel_plan;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

//! `wasi:cli`: the guest sees the environment, arguments and streams it was granted, never the host's own.

use serde::{Deserialize, Serialize};
use tollgate_capability::{Call, CapabilitySet, EnvCall, Stdio, StdioCall};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::fs::GatedStream;
use crate::gate::Checked;
use crate::handle::Held;
use crate::host::filesystem::Untracked;
use crate::view::GateView;

impl environment::Host for GateView<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let proof = self.ctx.gate.checked(Call::Env(EnvCall::GetEnvironment))?;
        Ok(environment(proof, self.ctx.gate.set())?)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        let proof = self.ctx.gate.checked(Call::Env(EnvCall::GetArguments))?;
        Ok(arguments(proof, self.ctx.gate.set())?)
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl exit::Host for GateView<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        self.ctx.gate.count("wasi:cli/exit.exit");
        Err(if status.is_ok() { Exited::Success } else { Exited::Failure }.into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> wasmtime::Result<()> {
        self.ctx.gate.count("wasi:cli/exit.exit-with-code");
        Err(Exited::Code(status_code).into())
    }
}

/// The guest ended itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Exited {
    /// `exit` with success.
    #[error("exit(0)")]
    Success,
    /// `exit` with a failure: which number the program gave is lost in its C library, since the function takes none.
    #[error("exit with a failure (WASI 0.2 does not tell the number)")]
    Failure,
    /// `exit-with-code`.
    #[error("exit({0})")]
    Code(u8),
}

impl stdin::Host for GateView<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let _having = self.ctx.gate.checked(Call::Stdio(StdioCall::get(Stdio::Stdin)))?;
        let stream: DynInputStream = Box::new(GatedStream);
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Stdin)?;
        Ok(stream)
    }
}

impl stdout::Host for GateView<'_> {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Stdio::Stdout)
    }
}

impl stderr::Host for GateView<'_> {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output(Stdio::Stderr)
    }
}

impl terminal_input::Host for GateView<'_> {}
impl terminal_output::Host for GateView<'_> {}

impl terminal_input::HostTerminalInput for GateView<'_> {
    fn drop(&mut self, terminal: Resource<terminal_input::TerminalInput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::HostTerminalOutput for GateView<'_> {
    fn drop(&mut self, terminal: Resource<terminal_output::TerminalOutput>) -> wasmtime::Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for GateView<'_> {
    fn get_terminal_stdin(&mut self) -> wasmtime::Result<Option<Resource<terminal_input::TerminalInput>>> {
        Ok(None)
    }
}

impl terminal_stdout::Host for GateView<'_> {
    fn get_terminal_stdout(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl terminal_stderr::Host for GateView<'_> {
    fn get_terminal_stderr(&mut self) -> wasmtime::Result<Option<Resource<terminal_output::TerminalOutput>>> {
        Ok(None)
    }
}

impl GateView<'_> {
    /// Any guest may have the stream, as languages' runtimes do before they print: each write to it is judged.
    fn output(&mut self, stream: Stdio) -> wasmtime::Result<Resource<DynOutputStream>> {
        let _having = self.ctx.gate.checked(Call::Stdio(StdioCall::get(stream)))?;
        let captured: DynOutputStream = Box::new(GatedStream);
        let captured = self.table.push(captured)?;
        self.ctx.handles.hold(captured.rep(), Held::Captured(stream))?;
        Ok(captured)
    }
}

fn environment(proof: Checked, set: &CapabilitySet) -> Result<Vec<(String, String)>, Untracked> {
    let Call::Env(EnvCall::GetEnvironment) = proof.call() else { return Err(Untracked) };
    Ok(set.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn arguments(proof: Checked, set: &CapabilitySet) -> Result<Vec<String>, Untracked> {
    let Call::Env(EnvCall::GetArguments) = proof.call() else { return Err(Untracked) };
    Ok(set.args.clone())
}

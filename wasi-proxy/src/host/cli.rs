//! `wasi:cli`: the guest sees the environment, arguments and streams it was granted, never the host's own.

use tollgate_capability::{CapabilitySet, HostCall, Stdio};
use wasmtime::component::Resource;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::ctx::GateInput;
use crate::fs::GatedStream;
use crate::gate::{Checked, Refused};
use crate::handle::Held;
use crate::host::filesystem::Untracked;
use crate::stdio::BytesStream;
use crate::view::GateView;

impl environment::Host for GateView<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        match self.checked_or_empty(HostCall::GetEnvironment)? {
            Some(proof) => Ok(environment(proof, self.ctx.gate.set())?),
            None => Ok(Vec::new()),
        }
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        match self.checked_or_empty(HostCall::GetArguments)? {
            Some(proof) => Ok(arguments(proof, self.ctx.gate.set())?),
            None => Ok(Vec::new()),
        }
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl exit::Host for GateView<'_> {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        self.ctx.gate.count("wasi:cli/exit.exit");
        Err(I32Exit(i32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> wasmtime::Result<()> {
        self.ctx.gate.count("wasi:cli/exit.exit-with-code");
        Err(I32Exit(status_code.into()).into())
    }
}

impl stdin::Host for GateView<'_> {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<DynInputStream>> {
        let bytes = match self.checked_or_empty(HostCall::GetStdio { stream: Stdio::Stdin })? {
            Some(proof) => stdin_bytes(proof, &self.ctx.input)?,
            None => bytes::Bytes::new(),
        };
        let stream: DynInputStream = Box::new(BytesStream(bytes));
        let stream = self.table.push(stream)?;
        self.ctx.handles.hold(stream.rep(), Held::Other)?;
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
    /// Checks a call that has no error to give: under `deny` the guest gets an empty answer.
    fn checked_or_empty(&mut self, call: HostCall) -> wasmtime::Result<Option<Checked>> {
        match self.ctx.gate.checked(call) {
            Ok(proof) => Ok(Some(proof)),
            Err(Refused::Denied(_)) => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    fn output(&mut self, stream: Stdio) -> wasmtime::Result<Resource<DynOutputStream>> {
        // Under `deny` the stream exists, and each write to it is denied.
        self.checked_or_empty(HostCall::GetStdio { stream })?;
        let captured: DynOutputStream = Box::new(GatedStream);
        let captured = self.table.push(captured)?;
        self.ctx.handles.hold(captured.rep(), Held::Captured(stream))?;
        Ok(captured)
    }
}

fn environment(proof: Checked, set: &CapabilitySet) -> Result<Vec<(String, String)>, Untracked> {
    let HostCall::GetEnvironment = proof.call() else { return Err(Untracked) };
    Ok(set.env.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn arguments(proof: Checked, set: &CapabilitySet) -> Result<Vec<String>, Untracked> {
    let HostCall::GetArguments = proof.call() else { return Err(Untracked) };
    Ok(set.args.clone().unwrap_or_default())
}

fn stdin_bytes(proof: Checked, input: &GateInput) -> Result<bytes::Bytes, Untracked> {
    let HostCall::GetStdio { stream: Stdio::Stdin } = proof.call() else { return Err(Untracked) };
    Ok(input.stdin.clone())
}

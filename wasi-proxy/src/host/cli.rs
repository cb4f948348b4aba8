//! `wasi:cli`: the guest sees the environment, arguments and streams it was granted, never the host's own.

use std::sync::Arc;

use tollgate_capability::{HostCall, Stdio};
use wasmtime::component::Resource;
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr, terminal_stdin,
    terminal_stdout,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

use crate::ctx::Held;
use crate::gate::Refused;
use crate::stdio::BytesStream;
use crate::view::GateView;

impl environment::Host for GateView<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        if !self.admit_or_empty(HostCall::GetEnvironment)? {
            return Ok(Vec::new());
        }
        let set = Arc::clone(self.ctx.gate.set());
        Ok(set.env.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        if !self.admit_or_empty(HostCall::GetArguments)? {
            return Ok(Vec::new());
        }
        Ok(self.ctx.gate.set().args.clone().unwrap_or_default())
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
        let granted = self.admit_or_empty(HostCall::GetStdio { stream: Stdio::Stdin })?;
        let bytes = if granted { self.ctx.input.stdin.clone() } else { bytes::Bytes::new() };
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
    /// Admits a call that has no error to give: under `deny` the guest gets an empty answer.
    pub(crate) fn admit_or_empty(&mut self, call: HostCall) -> wasmtime::Result<bool> {
        match self.ctx.gate.admit(call) {
            Ok(permit) => {
                self.ctx.gate.settle(permit, "ok");
                Ok(true)
            }
            Err(Refused::Denied(_)) => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Admits a call for which there is no harmless answer: a denial ends the instance.
    pub(crate) fn admit_or_trap(&mut self, call: HostCall) -> wasmtime::Result<()> {
        let permit = self.ctx.gate.admit(call)?;
        self.ctx.gate.settle(permit, "ok");
        Ok(())
    }

    fn output(&mut self, stream: Stdio) -> wasmtime::Result<Resource<DynOutputStream>> {
        // Under `deny` the stream exists, and each write to it is denied.
        self.admit_or_empty(HostCall::GetStdio { stream })?;
        let captured: DynOutputStream = Box::new(self.ctx.captured.stream(stream));
        let captured = self.table.push(captured)?;
        self.ctx.handles.hold(captured.rep(), Held::Output(stream))?;
        Ok(captured)
    }
}

//! The commands, and the raw arguments of each.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueHint};

use super::args::{
    BuildArgs, CheckArgs, CompileArgs, ConnectArgs, DevArgs, DoctorArgs, DrillArgs, GatewayArgs, InspectArgs,
    InstallArgs, ListArgs, McpArgs, NewArgs, NotaryArgs, PolicyArgs, PolicyCommand, RemoveArgs, RollbackArgs, RunArgs,
    ServeArgs, ServiceArgs, ShowArgs, StatusArgs, TrustArgs, UpdateArgs, WorkerArgs,
};
use super::audit::AuditArgs;

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the tool refused, crashed or answered nonsense
  2  arguments, files or a request that cannot be used; nothing was called
  3  denied by policy
  4  a cap was hit
  5  tollgate itself failed, or a ledger, a proof or a decision on record does not hold
  75 too much is asked at once; the same may succeed later
  130 the call was cancelled";

/// Run the tools of AI agents behind a gate: every host call checked, recorded, capped.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one operation of a tool and print its result.
    Run(RunArgs),
    /// Make a project for a new tool.
    New(NewArgs),
    /// Build a project's component, put its manifest into it, and compare what it imports with what it declares.
    Build(BuildArgs),
    /// Build a project and run its tool, again whenever a file of it changes.
    Dev(DevArgs),
    /// Show what a tool could do under a manifest and a grant, and what is missing.
    Inspect(InspectArgs),
    /// Show what this machine's kernel enforces around tools, and whether the policy lets them run here.
    Doctor(DoctorArgs),
    /// Compile a tool and put it under its name, to `tollgate run NAME`.
    Install(InstallArgs),
    /// List the tools that are installed.
    List(ListArgs),
    /// Show an installed tool: its versions, where each came from, what it can be called for.
    Show(ShowArgs),
    /// Install a new version of a tool, once it was shown what changes.
    Update(UpdateArgs),
    /// Make the version of a tool current again that was so before.
    Rollback(RollbackArgs),
    /// Remove a tool that is installed, or one of its versions.
    Remove(RemoveArgs),
    /// Write a pin into the policy: which component an installed tool must be.
    Policy(PolicyArgs),
    /// Accept the policy that is found in a folder as it is now, though it reaches farther than that folder.
    Trust(TrustArgs),
    /// Say whether a host call would be allowed, and by which rule.
    Check(CheckArgs),
    /// Serve the installed tools to several programs at once, under one policy, on one ledger; tell the daemon that does.
    Serve(ServeArgs),
    /// Serve MCP on standard input and output, as a client's server: a bridge to the daemon.
    Mcp(McpArgs),
    /// Print the entry by which a client of MCP has the tools, or write it into the client's configuration.
    Connect(ConnectArgs),
    /// Have the user's systemd start the daemon, or restart it.
    Service(ServiceArgs),
    /// Show how the daemon of a ledger stands.
    Status(StatusArgs),
    /// Show, verify, prove, report: all that concerns the ledger.
    Audit(AuditArgs),
    /// Make native attacks from inside sealed workers, as code that broke out of WebAssembly would, and show what stops each.
    Drill(DrillArgs),
    /// Keep a ledger for the process at the other end of standard input.
    #[command(hide = true)]
    Notary(NotaryArgs),
    /// Run the calls of tools, sealed, for the process at the other end of standard input.
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// Parse what the clients of an agent send, sealed, for the process at the other end of standard input.
    #[command(hide = true)]
    Gateway(GatewayArgs),
    /// Compile the component on standard input to standard output, in a sandbox.
    #[command(hide = true)]
    Compile(CompileArgs),
    /// Print shell completions.
    Completions {
        /// For which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of this command, for man(1); or write those of all commands.
    Man {
        /// Write a page for each command into this folder, such as `man1` of a place in `MANPATH`.
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

impl Args {
    /// Whether machine output is wanted.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Run(args) => args.json,
            Command::Build(args) => args.json,
            Command::Inspect(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Check(args) => args.json,
            Command::Audit(args) => args.json(),
            Command::Install(args) => args.json,
            Command::List(args) => args.json,
            Command::Drill(args) => args.json,
            Command::New(args) => args.json,
            Command::Remove(args) => args.json,
            Command::Policy(PolicyArgs { what: PolicyCommand::Pin(args) }) => args.json,
            Command::Show(args) => args.json,
            Command::Update(args) => args.json,
            Command::Rollback(args) => args.json,
            Command::Trust(args) => args.json,
            Command::Serve(args) => args.json,
            Command::Status(args) => args.json,
            Command::Dev(_)
            | Command::Notary(_)
            | Command::Worker(_)
            | Command::Gateway(_)
            | Command::Service(_)
            | Command::Mcp(_)
            | Command::Connect(_)
            | Command::Compile(_)
            | Command::Completions { .. }
            | Command::Man { .. } => false,
        }
    }
}

//! Raw arguments of the commands.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Subcommand, ValueHint};
use tollgate_config::TimeSpan;

use super::language::Language;
use super::output::one_line;
use tollgate::log::LogLevel;
use tollgate::worker::ThreadKind;

/// Which tool, under which manifest and grant.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ToolArgs {
    /// The tool: a path of a component (`./tool`, `tool.wasm`), or what is installed as NAME, NAME@VERSION or NAME@sha256:DIGITS.
    #[arg(value_name = "TOOL", value_hint = ValueHint::FilePath)]
    pub(crate) component: PathBuf,
    /// The tool's manifest [default: as installed; for a path the one that `tollgate build` put into the component, or the
    /// component's name with `.toml`, or `tool.toml`, in its folder; without one, the tool needs what is granted].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
}

/// What the operator grants.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct GrantArgs {
    /// The operator's policy [default: `tollgate.toml` in this folder, if it is there].
    #[arg(long, value_name = "FILE", global = true, value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    /// Grant something on top of the policy, such as `fs:/docs=./reports:read,list`, `env:LANG=C`,
    /// `clock:wall=coarse`, `random=secure`, `context`, `limit:memory=16MiB`. May be given several times.
    #[arg(long = "grant", value_name = "GRANT", global = true)]
    pub(crate) grant: Vec<String>,
    /// What happens when a call is denied: end the tool, or give it WASI's error code [default: as the policy says, or
    /// kill].
    #[arg(long, value_name = "kill|deny", global = true, value_parser = ["kill", "deny"])]
    pub(crate) on_violation: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) tool: ToolArgs,
    /// Which operation [default: the only one].
    #[arg(long, value_name = "NAME")]
    pub(crate) op: Option<String>,
    /// Arguments as JSON, `@FILE` to read them from a file, or `-` from standard input: at most `limits.input`, however they
    /// are given, of which the kernel takes 128 KiB here. A byte-order mark before them is ignored.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) input: String,
    /// A file for the tool's standard input, if it is granted, or `-` to pass this program's on: at most 64 MiB.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) stdin: Option<PathBuf>,
    /// Who asks, for the ledger: a claim, as are the next four.
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// In which session, for the ledger.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Following which decision, for the ledger.
    #[arg(long, value_name = "ID")]
    pub(crate) decision: Option<String>,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// As part of which trace, such as a W3C `traceparent`, for the ledger.
    #[arg(long, value_name = "ID")]
    pub(crate) trace: Option<String>,
    #[command(flatten)]
    pub(crate) ledger: NewLedgerArgs,
    /// Write a receipt of the call's end to this file, which must not be there yet, or be empty: whoever has it and the ledger's key
    /// can verify it without the ledger.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) receipt: Option<PathBuf>,
    /// A folder that the component was built from, and will be again: no tool may change it.
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub(crate) built_from: Option<PathBuf>,
    /// Show what the tool logs from this level on; `--json` has all of it.
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Least::Info)]
    pub(crate) log: Least,
    /// Print one JSON object: result or error, usage, streams, log, call id.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The least level of which lines are shown.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Least {
    /// `<0>` to `<3>`.
    Error,
    /// `<4>`.
    Warn,
    /// `<5>` and `<6>`.
    Info,
    /// `<7>`.
    Debug,
}

impl From<Least> for LogLevel {
    fn from(least: Least) -> Self {
        match least {
            Least::Error => Self::Error,
            Least::Warn => Self::Warn,
            Least::Info => Self::Info,
            Least::Debug => Self::Debug,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The tool's name: lower-case letters, digits and dashes; the project goes into a new folder of this name.
    pub(crate) name: String,
    /// What it is written in.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    pub(crate) lang: Language,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BuildArgs {
    /// The project's folder, with `tool.toml` in it [default: this one].
    #[arg(value_name = "FOLDER", default_value = ".", hide_default_value = true, value_hint = ValueHint::DirPath)]
    pub(crate) project: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// The project's folder, with `tool.toml` in it [default: this one].
    #[arg(long, value_name = "FOLDER", default_value = ".", hide_default_value = true, value_hint = ValueHint::DirPath)]
    pub(crate) project: PathBuf,
    /// Build and run once, and end as the run ends.
    #[arg(long)]
    pub(crate) once: bool,
    /// The project's folder, if it is not given with `--project`; then what `tollgate run` takes after the component, such as `--op greet --input '{}' --grant …`.
    #[arg(value_name = "RUN OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) run: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LedgerArgs {
    /// Folder of the ledger [default: `$TOLLGATE_LEDGER`, or `$TOLLGATE_HOME/ledger`, or `tollgate/ledger` below
    /// `$XDG_STATE_HOME` or `~/.local/state`].
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) ledger: Option<PathBuf>,
}

/// A ledger to write to: one process at a time can.
#[derive(Debug, clap::Args)]
pub(crate) struct WritableLedgerArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// How long to wait while another process writes to the ledger; `0s` not at all.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_time_span)]
    pub(crate) wait: TimeSpan,
}

/// A ledger that is made if it is not there.
#[derive(Debug, clap::Args)]
pub(crate) struct NewLedgerArgs {
    #[command(flatten)]
    pub(crate) there: WritableLedgerArgs,
    /// The name of a ledger that this makes, by which witnesses tell it from others: a URL of yours without its scheme,
    /// such as `example.org/tollgate`. A ledger keeps its name [default for a new one: `tollgate.local/ledger/` and 16
    /// random digits].
    #[arg(long, value_name = "NAME", value_parser = parse_origin)]
    pub(crate) origin: Option<String>,
}

/// As checkpoints have it (C2SP tlog-checkpoint).
fn parse_origin(text: &str) -> Result<String, String> {
    if let Some((_scheme, rest)) = text.split_once("://") {
        return Err(format!("a ledger's name is a URL without its scheme: `{}`", one_line(rest)));
    }
    if !(1..=255).contains(&text.len()) || text.contains(|char: char| char.is_whitespace() || char == '+') {
        return Err("write 1 to 255 bytes without spaces and plus signs, such as `example.org/tollgate`".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_time_span(text: &str) -> Result<TimeSpan, String> {
    text.parse().map_err(|error| format!("{error}: write a number and a unit, such as `30s` or `1m`"))
}

#[derive(Debug, clap::Args)]
pub(crate) struct NotaryArgs {
    /// Folder of the ledger.
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// Its name [default: the one that it has, or a new one].
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Who writes.
    #[arg(long)]
    pub(crate) software: String,
    /// The socket of the daemon that starts it.
    #[arg(long)]
    pub(crate) daemon: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    /// The process that starts it.
    #[arg(long)]
    pub(crate) supervisor: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// The process that starts it.
    #[arg(long)]
    pub(crate) supervisor: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompileArgs {
    /// The process that started this one.
    #[arg(long)]
    pub(crate) supervisor: u32,
    /// CPU time over all threads, in seconds.
    #[arg(long)]
    pub(crate) cpu_seconds: u64,
    /// Memory, in bytes.
    #[arg(long)]
    pub(crate) memory_bytes: u64,
    /// Threads that compile.
    #[arg(long)]
    pub(crate) threads: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// The component (`.wasm`).
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) component: PathBuf,
    /// The tool's manifest [default: the one that the component brings, or its name with `.toml`, or `tool.toml`, in its
    /// folder].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: Option<PathBuf>,
    /// What it is called: what to run it by, and its name in the policy and in the ledger [default: the manifest's name,
    /// if the file is called so too, or the manifest is given].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The operator's policy: how well the process must be sealed in which the component is asked for its operations, and the
    /// limits on that [default: `tollgate.toml` in this folder, if it is there].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ledger: NewLedgerArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print one JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The tool: NAME, or NAME@VERSION or NAME@sha256:DIGITS for a version that is not the current one.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UpdateArgs {
    /// The tool's name.
    pub(crate) name: String,
    /// The new component (`.wasm`) [default: the file that the tool was installed from].
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) component: Option<PathBuf>,
    /// The new manifest [default: as for `install`].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) manifest: Option<PathBuf>,
    /// Do it without asking, once what changes is shown.
    #[arg(long)]
    pub(crate) yes: bool,
    /// The operator's policy, as for `install`; also whether it pins the tool to another component.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ledger: NewLedgerArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The tool: NAME for the version before the current one; or the version that is to be current, as NAME@VERSION or
    /// NAME@sha256:DIGITS.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The tool: NAME for all its versions; or one that is not the current one, as NAME@VERSION or NAME@sha256:DIGITS.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) what: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Write into the policy which component an installed tool must be: another one is refused from then on.
    Pin(PinArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PinArgs {
    /// The tool: NAME for its current version, or NAME@VERSION or NAME@sha256:DIGITS.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The policy [default: `tollgate.toml` in this folder if it is there, else that of the home, which a daemon has].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// The policy, or the folder of a grant with `nested = true`, which is bound to what stands there now.
    #[arg(value_name = "PATH", default_value = "tollgate.toml", value_hint = ValueHint::AnyPath)]
    pub(crate) path: PathBuf,
    /// Accept the policy no longer.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DrillArgs {
    /// The tool: a path of a component (`./tool`, `tool.wasm`), or what is installed as NAME, NAME@VERSION or NAME@sha256:DIGITS
    /// [default: workers without a tool, with nothing granted, and with one folder granted; and gateways of a daemon].
    #[arg(value_name = "TOOL", value_hint = ValueHint::FilePath)]
    pub(crate) component: Option<PathBuf>,
    /// The tool's manifest, as for `run`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "component")]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    /// Make this attack alone. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) attack: Vec<String>,
    /// Attack from this kind of thread alone. May be given several times.
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(ThreadKind::ALL.map(ThreadKind::as_str)))]
    pub(crate) thread: Vec<String>,
    /// Print the attacks, and make none.
    #[arg(long, conflicts_with = "json")]
    pub(crate) list: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) tool: ToolArgs,
    /// Show what the kernel leaves the process that runs the tool: folders, system calls, limits, each with what brings it.
    #[arg(long)]
    pub(crate) kernel: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Mend what can be mended of the installed tools: compile again what this version of Tollgate or this processor refuses, move tools
    /// that an older version installed, and take away what was left of a command that was killed.
    #[arg(long)]
    pub(crate) fix: bool,
    /// The operator's policy [default: `tollgate.toml` in this folder, if it is there].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ledger: NewLedgerArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The tool: a path of a component (`./tool`, `tool.wasm`) or of a manifest (`tool.toml`), or what is installed as NAME,
    /// NAME@VERSION or NAME@sha256:DIGITS.
    #[arg(value_name = "TOOL", value_hint = ValueHint::FilePath)]
    pub(crate) tool: PathBuf,
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    #[command(subcommand)]
    pub(crate) call: CheckCall,
    /// Print one JSON object.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// A host call to decide on. Paths are the guest's, such as `/docs/a.txt`.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckCall {
    /// Open a file to read it.
    Read { path: String },
    /// Open a file to write it.
    Write { path: String },
    /// Create a file.
    Create { path: String },
    /// Unlink a file.
    Delete { path: String },
    /// Open a folder to list it.
    List { path: String },
    /// Ask about a name without opening it.
    Stat { path: String },
    /// Read the environment.
    Env,
    /// Read the argument vector.
    Args,
    /// Get random bytes.
    Random { bytes: u64 },
    /// Read the wall clock.
    WallClock,
    /// Read the monotonic clock.
    MonotonicClock,
    /// Open a standard stream.
    Stdio {
        #[arg(value_parser = ["stdin", "stdout", "stderr"])]
        stream: String,
    },
    /// Ask which call it is.
    Context,
    /// Make a TCP socket.
    Tcp,
    /// Make a UDP socket.
    Udp,
    /// Resolve a name.
    Resolve { name: String },
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    pub(crate) what: Option<ServeCommand>,
    /// The policy [default: `tollgate.toml` in `$TOLLGATE_HOME`, else in `$XDG_CONFIG_HOME/tollgate` or `~/.config/tollgate`]. One
    /// in the working folder is not looked for.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Name of the ledger, if it is new.
    #[arg(long, value_name = "NAME")]
    pub(crate) origin: Option<String>,
    /// Print one line of JSON once it serves: its process, its agents with their sockets and ports.
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave session, terminal and masks of whoever started this process.
    #[arg(long, hide = true)]
    pub(crate) detached: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServeCommand {
    /// Have the daemon read its policy again. One that does not hold changes nothing.
    Reload(LedgerArgs),
    /// Have the daemon end, once the calls under way are over.
    Stop(LedgerArgs),
    /// Tokens by which agents are proven (`is = { token = true }`).
    #[command(subcommand)]
    Token(TokenCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for an agent, and print it, this once.
    Add {
        /// The agent, as the policy names it.
        agent: String,
    },
    /// List the agents that have tokens, with the start of each one's SHA-256.
    List,
    /// Remove an agent's tokens.
    Remove {
        /// The agent.
        agent: String,
        /// Only those whose SHA-256 starts so.
        #[arg(long, value_name = "START")]
        start: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct McpArgs {
    /// As which agent [default: the one that this user is].
    #[arg(long, value_name = "NAME", conflicts_with = "socket")]
    pub(crate) agent: Option<String>,
    /// The socket of the agent, as where this user cannot ask the daemon for it.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, conflicts_with_all = ["start", "ledger"])]
    pub(crate) socket: Option<PathBuf>,
    /// A file with the agent's token, if it has one [default: `$TOLLGATE_TOKEN`].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// Start a daemon if none has the ledger. It gets the places of home, ledger and sockets, and nothing else of this environment or
    /// folder.
    #[arg(long)]
    pub(crate) start: bool,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

/// A client whose configuration is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum McpClient {
    /// Claude Code, of the project in this folder.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// Visual Studio Code, of the project in this folder.
    Vscode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    GeminiCli,
    /// opencode.
    Opencode,
    /// Zed.
    Zed,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConnectArgs {
    /// Which client.
    #[arg(value_enum)]
    pub(crate) client: McpClient,
    /// As which agent [default: the one that this user is].
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// A file with the agent's token, if it has one: the entry names it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) token_file: Option<PathBuf>,
    /// Write the entry into the client's configuration, and keep what else is there.
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Print the path of the socket of the agent that this user is, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub(crate) socket: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs {
    #[command(subcommand)]
    pub(crate) what: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceCommand {
    /// Write a unit for this program with the home and the ledger of this environment, and have it started.
    Install {
        /// Replace a unit that says something else.
        #[arg(long)]
        force: bool,
        /// Print the unit, and do nothing.
        #[arg(long)]
        print: bool,
    },
    /// End the daemon once the calls under way are over, and start it again, such as after this program was upgraded.
    Restart,
}

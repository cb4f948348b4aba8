//! Raw arguments of `tollgate audit`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

use super::choose::FilterArgs;
use crate::args::{LedgerArgs, WritableLedgerArgs};

#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Recompute every hash and check the structure.
    Verify(VerifyArgs),
    /// Print the entries.
    Show(ShowArgs),
    /// Print the ledger's keys, as `--key` takes them, the one in force last.
    ///
    /// Note them where the ledger's owner cannot change them: later, the ledger's own word proves nothing.
    Key(KeyArgs),
    /// Make a receipt of a call's end, or disclose chosen entries of the call.
    ///
    /// Whoever has it and the ledger's key can verify it without the ledger.
    Prove(ProveArgs),
    /// Verify a receipt or a disclosure.
    Receipt(ReceiptArgs),
    /// Verify that a ledger goes on from a checkpoint noted earlier, with nothing before it changed.
    Consistency(ConsistencyArgs),
    /// Repeat every decision on record and name those that the capability set does not give.
    Replay(ReplayArgs),
    /// Sum up what tools and agents did.
    Report(ReportArgs),
    /// Print the entries as JSON lines with stable field names, for other systems.
    ///
    /// Each line has `index`, `leaf_hash`, `time_ns` (since the Unix epoch, null if unknown), `context` (`call`, `tool`,
    /// `operation`, `agent` and `session` if they were proven, and what the request claims of them in `claims`: `agent`, `session`,
    /// `decision`, `trace`; null outside calls) and `entry`, which is as in `audit show --json`.
    Export(ExportArgs),
    /// Go on with a ledger that was restored from a copy, or has lost the file `.state` beside it.
    ///
    /// Nothing of it is changed: an entry records the break, with what the ledger remembered and which entries nobody signed.
    /// Whoever noted a later checkpoint will see that the ledger does not continue it.
    Adopt(AdoptArgs),
    /// Erase the arguments and the result of a call from the side store.
    ///
    /// Digests, entries and proofs stay as they are. The erasure is recorded.
    Erase(EraseArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[arg(long, value_name = "KEY", help = KEY_HELP)]
    pub(crate) key: Option<String>,
    /// Only up to this checkpoint, a copy of the ledger's file `checkpoint` noted earlier, or `-` for standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "root")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// A root noted earlier (hex), as `audit verify` prints it; needs `--size`.
    #[arg(long, value_name = "HEX", requires = "size")]
    pub(crate) root: Option<String>,
    /// The size that belongs to `--root`.
    #[arg(long, value_name = "ENTRIES", requires = "root")]
    pub(crate) size: Option<u64>,
    /// Fail also if there are entries that nobody signed yet, of which nothing is proven.
    #[arg(long, conflicts_with = "checkpoint")]
    pub(crate) complete: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Only the last so many of them.
    #[arg(long, value_name = "N")]
    pub(crate) last: Option<usize>,
    /// At most so many; with `--follow`, end after them.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Go on as entries come, until Ctrl-C. Starts with `--last N` of those that are there [default: all].
    #[arg(long)]
    pub(crate) follow: bool,
    /// Also print the arguments and the result of `--call` that the side store keeps, and whether they are those on
    /// record.
    #[arg(long, requires = "call", conflicts_with = "follow")]
    pub(crate) private: bool,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) ledger: WritableLedgerArgs,
    #[arg(long, value_name = "ID", help = ONE_CALL_HELP)]
    pub(crate) call: String,
    /// Disclose the entry with this number in the call (`#N` in `audit show`; 0 is the call itself). May be given several
    /// times.
    #[arg(long = "intent", value_name = "N")]
    pub(crate) intents: Vec<u32>,
    /// A file for it, which must not be there yet, or be empty, or `-` [default: standard output].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReceiptArgs {
    #[command(subcommand)]
    pub(crate) command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptCommand {
    /// Say what a receipt or a disclosure proves.
    Verify {
        /// The receipt, as `tollgate run --receipt` or `audit prove` wrote it, or `-` for standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[arg(long, value_name = "KEY", help = KEY_HELP)]
        key: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConsistencyArgs {
    /// The earlier checkpoint, or `-` for standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) old: PathBuf,
    /// The ledger's folder, or the file `checkpoint` in it.
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) new: PathBuf,
    #[arg(long, value_name = "KEY", help = KEY_HELP)]
    pub(crate) key: String,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// Fail also if a decision cannot be repeated.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    /// What calls are grouped by.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// A file for it, or `-` [default: standard output].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    #[default]
    Tool,
    Agent,
    Session,
    Decision,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Markdown,
    Json,
    Html,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AdoptArgs {
    #[command(flatten)]
    pub(crate) ledger: WritableLedgerArgs,
    /// Why it is not what it remembers to be, for the ledger.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Who lets it go on, for the ledger [default: the user's id].
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) ledger: WritableLedgerArgs,
    #[arg(long, value_name = "ID", help = ONE_CALL_HELP)]
    pub(crate) call: String,
    /// Why, for the ledger.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Who wants it, for the ledger [default: the user's id].
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

impl AuditArgs {
    /// Whether machine output is wanted.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            AuditCommand::Verify(args) => args.json,
            AuditCommand::Show(args) => args.json,
            AuditCommand::Key(args) => args.json,
            AuditCommand::Receipt(ReceiptArgs { command: ReceiptCommand::Verify { json, .. } }) => *json,
            AuditCommand::Consistency(args) => args.json,
            AuditCommand::Replay(args) => args.json,
            AuditCommand::Adopt(args) => args.json,
            AuditCommand::Erase(args) => args.json,
            AuditCommand::Report(args) => args.format == Format::Json && args.out.is_none(),
            AuditCommand::Prove(_) | AuditCommand::Export(_) => false,
        }
    }
}

const KEY_HELP: &str = "The ledger's verifier key, `name+hash+key`, or @FILE or @- (standard input) with it: from somebody whom you trust, not from the ledger";
const ONE_CALL_HELP: &str = "The call: its id, the first digits of it, or the short form that `audit show` prints";

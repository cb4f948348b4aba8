//! `tollgate audit`: one file per subcommand.

mod adopt;
mod args;
mod choose;
mod consistency;
mod erase;
mod export;
mod fault;
mod key;
mod line;
mod one_call;
mod private;
mod prove;
mod reading;
mod receipt;
mod replay;
mod report;
mod show;
mod verify;
mod when;

pub(super) use args::AuditArgs;
pub(super) use prove::SavedReceipt;

use args::AuditCommand;
use fault::argument;

use super::exit::{Exit, Failure};
use super::run::ledger_folder;

pub(super) fn audit(args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.command {
        AuditCommand::Verify(args) => verify::verify(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Show(args) => show::show(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Key(args) => key::key(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Prove(args) => prove::prove(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Receipt(args) => receipt::receipt(args),
        AuditCommand::Consistency(args) => consistency::consistency(args),
        AuditCommand::Replay(args) => replay::replay(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Report(args) => report::report(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Export(args) => export::export(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Adopt(args) => adopt::adopt(args, &ledger_folder(&args.ledger)?),
        AuditCommand::Erase(args) => erase::erase(args, &ledger_folder(&args.ledger)?),
    }
}

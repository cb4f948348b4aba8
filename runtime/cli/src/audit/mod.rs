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
pub(super) use prove::{SavedReceipt, no_receipt};

use std::path::Path;

use args::AuditCommand;
use fault::argument;
use tollgate_config::TimeSpan;
use tollgate_ledger::{Ledger, OpenError};

use super::exit::{Exit, Failure};
use super::ledger::{Patience, folder};

pub(super) fn audit(args: &AuditArgs) -> Result<Exit, Failure> {
    match &args.command {
        AuditCommand::Verify(args) => verify::verify(args, &folder(&args.ledger)?),
        AuditCommand::Show(args) => show::show(args, &folder(&args.ledger)?),
        AuditCommand::Key(args) => key::key(args, &folder(&args.ledger)?),
        AuditCommand::Prove(args) => prove::prove(args, &args.ledger.folder()?),
        AuditCommand::Receipt(args) => receipt::receipt(args),
        AuditCommand::Consistency(args) => consistency::consistency(args),
        AuditCommand::Replay(args) => replay::replay(args, &folder(&args.ledger)?),
        AuditCommand::Report(args) => report::report(args, &folder(&args.ledger)?),
        AuditCommand::Export(args) => export::export(args, &folder(&args.ledger)?),
        AuditCommand::Adopt(args) => adopt::adopt(args, &args.ledger.folder()?),
        AuditCommand::Erase(args) => erase::erase(args, &args.ledger.folder()?),
    }
}

/// Opens a ledger for writing, and waits for whoever has it.
fn once_free(folder: &Path, wait: TimeSpan, open: impl Fn() -> Result<Ledger, OpenError>) -> Result<Ledger, OpenError> {
    let mut patience = Patience::new(wait);
    loop {
        let opened = open();
        let in_use = opened.as_ref().err().filter(|error| matches!(error, OpenError::InUse { .. }));
        if !in_use.is_some_and(|error| patience.allows_another_try(folder, &error.to_string())) {
            return opened;
        }
    }
}

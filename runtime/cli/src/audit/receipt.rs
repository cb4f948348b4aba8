//! `tollgate audit receipt verify`, and answers of a verification.

use tollgate_audit::{Answer, UntriedError};

use super::args::{ReceiptArgs, ReceiptCommand};
use super::key::parse_key;
use crate::exit::{Exit, Failure};
use crate::output;

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("there is nothing to verify")]
#[diagnostic(help("give a receipt as `tollgate run --receipt` writes it, a checkpoint, or the folder of a ledger"))]
struct Untried {
    source: UntriedError,
}

pub(super) fn receipt(args: &ReceiptArgs) -> Result<Exit, Failure> {
    let ReceiptCommand::Verify { file, key, json } = &args.command;
    said(Answer::of_receipt(file, &parse_key(key)?), *json)
}

/// Prints what is proven, in the words of `tollgate-verify`.
pub(super) fn said(answer: Result<Answer, UntriedError>, json: bool) -> Result<Exit, Failure> {
    let answer = answer.map_err(untried)?;
    output::print(&if json { format!("{}\n", answer.to_json()) } else { answer.to_string() })?;
    Ok(if answer.is_proven() { Exit::Success } else { Exit::Internal })
}

pub(super) fn untried(source: UntriedError) -> Failure {
    Failure::usage(Untried { source })
}

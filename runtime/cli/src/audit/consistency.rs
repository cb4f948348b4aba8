//! `tollgate audit consistency`.

use tollgate_audit::Answer;

use super::args::ConsistencyArgs;
use super::key::parse_key;
use super::receipt::said;
use crate::exit::{Exit, Failure};

pub(super) fn consistency(args: &ConsistencyArgs) -> Result<Exit, Failure> {
    said(Answer::of_consistency(&args.old, &args.new, &parse_key(&args.key)?), args.json)
}

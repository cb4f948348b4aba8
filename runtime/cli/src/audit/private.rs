//! What the side store keeps of a call, beside what the ledger says of it.

use std::path::Path;

use serde_json::json;
use tollgate_audit::{Compared, Private};
use tollgate_ledger::SideStore;

use super::fault::SideStoreUnreadable;
use super::line::short;
use super::one_call::{OneCall, is_erased};
use crate::exit::Failure;
use crate::output::one_line;
use crate::progress;

/// Arguments and result as lines for people, or one JSON object.
pub(super) fn shown(folder: &Path, call: &OneCall, as_json: bool) -> Result<String, Failure> {
    let kept = progress::during("looking for the texts", || SideStore::find(folder, call.id))
        .map_err(|source| Failure::usage(SideStoreUnreadable { source }))?;
    let is_erased = is_erased(folder, call.id)?;
    let arguments = kept.as_ref().map_or(Compared::NotKept, |kept| kept.check_arguments(&call.call));
    let result = match (&kept, &call.end) {
        (Some(kept), Some((_, end))) => kept.check_result(end),
        (Some(kept), None) if kept.result.is_some() => Compared::NotRecorded,
        (Some(_), None) | (None, _) => Compared::NotKept,
    };
    let texts = [
        ("arguments", text(&kept, |kept| &kept.arguments), arguments),
        ("result", text(&kept, |kept| &kept.result), result),
    ];
    if as_json {
        let [(_, arguments, compared), (_, result, result_compared)] = texts;
        let private = json!({
            "call": call.id,
            "erased": is_erased,
            "arguments": arguments,
            "arguments_are": word(compared),
            "result": result,
            "result_is": word(result_compared),
        });
        return Ok(format!("{}\n", json!({ "private": private })));
    }
    let line = |(name, text, compared): (&str, Option<String>, Compared)| {
        let text = text.map(|text| format!(": {}", one_line(&text))).unwrap_or_default();
        let said = said(compared, is_erased);
        format!("        private    {} {name}, {said}{text}\n", short(call.id))
    };
    Ok(texts.into_iter().map(line).collect())
}

fn text(kept: &Option<Private>, of: impl Fn(&Private) -> &Option<Vec<u8>>) -> Option<String> {
    kept.as_ref().and_then(|kept| of(kept).as_ref()).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn word(compared: Compared) -> &'static str {
    match compared {
        Compared::Same => "as-recorded",
        Compared::Different => "different",
        Compared::NotKept => "not-kept",
        Compared::NotRecorded => "not-recorded",
    }
}

fn said(compared: Compared, is_erased: bool) -> &'static str {
    match compared {
        Compared::Same => "as recorded",
        Compared::Different => "NOT what was recorded",
        Compared::NotKept if is_erased => "erased",
        Compared::NotKept => "not kept",
        Compared::NotRecorded => "kept, and nothing recorded to compare it with",
    }
}

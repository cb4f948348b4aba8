//! `tollgate audit replay`.

use std::path::Path;

use tollgate_audit::read_set;
use tollgate_verify::{Replay, ReplayReport};

use super::args::ReplayArgs;
use super::fault::said;
use super::reading::Reading;
use crate::exit::{Exit, Failure};
use crate::{output, progress};

pub(super) fn replay(args: &ReplayArgs, folder: &Path) -> Result<Exit, Failure> {
    let mut reading = Reading::start(folder, args.filter.filter()?)?;
    let (report, damage) = progress::during("repeating decisions", || repeated(&mut reading, folder));
    let name = folder.display().to_string();
    output::print(&if args.json { format!("{}\n", report.to_json()) } else { report.to_text(&name) })?;
    if let Some(damage) = damage {
        return Ok(said(&damage));
    }
    let fails = report.has_differences() || (args.strict && !report.is_complete());
    Ok(if fails { Exit::Internal } else { Exit::Success })
}

/// With why it is not all that the ledger has.
fn repeated(reading: &mut Reading, folder: &Path) -> (ReplayReport, Option<Failure>) {
    let mut replay = Replay::new(|digest| read_set(folder, digest));
    let mut report = ReplayReport::default();
    let damage = loop {
        let (index, entry, is_chosen) = match reading.next() {
            Ok(Some(read)) => read,
            Ok(None) => break reading.whole().err(),
            Err(damage) => break Some(damage),
        };
        if let Some(repeated) = replay.entry(index, &entry, is_chosen) {
            report.add(repeated);
        }
    };
    if damage.is_some() {
        report.cut_off();
    }
    (report, damage)
}

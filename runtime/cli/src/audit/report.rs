//! `tollgate audit report`.

use std::path::Path;

use tollgate_audit::{VerifyOptions, read};
use tollgate_report::{ActivityReport, GroupBy};

use super::args::{By, Format, ReportArgs};
use super::fault::{AuditError, not_read};
use super::verify::checked;
use crate::cause::{Place, advice};
use crate::exit::{Exit, Failure};
use crate::given::is_dash;
use crate::{output, progress};

pub(super) fn report(args: &ReportArgs, folder: &Path) -> Result<Exit, Failure> {
    let filter = args.filter.filter()?;
    let verified = checked(folder, &VerifyOptions::default())?;
    let entries = read(folder).map_err(|error| not_read(folder, error))?;
    let by = match args.by {
        By::Tool => GroupBy::Tool,
        By::Agent => GroupBy::Agent,
        By::Session => GroupBy::Session,
        By::Decision => GroupBy::Decision,
    };
    let report =
        progress::during("adding up the calls", || ActivityReport::build(entries, &filter, by, Some(&verified)));
    let text = match args.format {
        Format::Markdown => report.to_markdown(),
        Format::Json => tollgate_plain::output(&format!("{}\n", report.to_json())).into_owned(),
        Format::Html => report.to_html(),
    };
    match args.out.as_deref().filter(|path| !is_dash(path)) {
        None => output::print(&text).map(|_reader| ())?,
        Some(path) => std::fs::write(path, text).map_err(|source| {
            let help = advice(&source, Place::OUTPUT);
            Failure::usage(AuditError::File { path: path.to_owned(), help, source })
        })?,
    }
    // What the report says of a ledger that does not verify need not be true.
    Ok(if verified.is_clean() { Exit::Success } else { Exit::Internal })
}

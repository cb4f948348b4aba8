//! `tollgate audit verify`.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_audit::{
    Answer, Expected, Finding, Kind, Newer, Problem, Report, RootHash, SignedCheckpoint, TreeSize, VerifierKey,
    VerifyOptions, read_checkpoint, verify_with,
};

use super::args::VerifyArgs;
use super::argument;
use super::fault::not_verified;
use super::key::parse_key;
use super::receipt::untried;
use crate::exit::{Exit, Failure};
use crate::output::{self, one_line};
use crate::progress;

pub(super) fn verify(args: &VerifyArgs, folder: &Path) -> Result<Exit, Failure> {
    let key = args.key.as_deref().map(parse_key).transpose()?;
    let noted = args.checkpoint.as_deref().map(read_checkpoint).transpose().map_err(untried)?;
    let expected = match (&noted, args.root.as_deref()) {
        (Some(noted), _) => Some(Expected { root: noted.unverified().root, size: Some(noted.unverified().size) }),
        (None, Some(root)) => {
            let parsed = root.parse().map_err(|_not_hex| argument(root, "root: 64 hex digits"))?;
            Some(Expected { root: parsed, size: args.size.map(TreeSize) })
        }
        (None, None) => None,
    };
    let report = checked(folder, &VerifyOptions { expected, key: key.clone() })?;
    let verdict = match &noted {
        Some(noted) => Verdict::up_to(noted, &report, key.as_ref()),
        None => Verdict::of_all(&report, key.as_ref()),
    };
    let verdict = Verdict { help: another_ledger(folder, &report), ..verdict };
    output::print(&if args.json { verdict.json(&report) } else { verdict.text(folder, &report) })?;
    let is_complete = verdict.newer.is_none() || !args.complete;
    Ok(if verdict.problems.is_empty() && is_complete { Exit::Success } else { Exit::Internal })
}

/// What verification finds.
pub(super) fn checked(folder: &Path, options: &VerifyOptions) -> Result<Report, Failure> {
    let verified = progress::during("verifying the ledger", || verify_with(folder, options));
    verified.map_err(|error| not_verified(folder, error))
}

/// What is said of a ledger, or of its entries up to a checkpoint.
struct Verdict {
    size: TreeSize,
    root: RootHash,
    is_whole: bool,
    // Whether there is nothing in the ledger that was not judged.
    is_all: bool,
    // Entries that nobody signed.
    newer: Option<Newer>,
    proven: Vec<String>,
    problems: Vec<String>,
    // What may have been meant.
    help: Option<String>,
}

/// Where the key that was given is none of the ledger's: another ledger may have been meant.
fn another_ledger(folder: &Path, report: &Report) -> Option<String> {
    let is_unknown = report.findings.iter().any(|finding| matches!(finding.problem, Problem::KeyUnknown { .. }));
    let own = report.keys.last().filter(|_| is_unknown)?;
    Some(format!(
        "the ledger in {} has the key {own}; if another one is meant, give its folder with --ledger, or set TOLLGATE_LEDGER or \
         TOLLGATE_HOME as where it was made",
        folder.display()
    ))
}

impl Verdict {
    fn of_all(report: &Report, key: Option<&VerifierKey>) -> Self {
        let (proven, problems) = match Answer::of_ledger(report, key) {
            Answer::Proven { proven, .. } => (proven, Vec::new()),
            Answer::NotProven { failed, .. } => (Vec::new(), failed),
        };
        Self {
            size: report.size,
            root: report.root,
            is_whole: true,
            is_all: true,
            newer: Newer::of(report),
            proven,
            problems,
            help: None,
        }
    }

    /// Judges by what stands before the checkpoint alone.
    fn up_to(noted: &SignedCheckpoint, report: &Report, key: Option<&VerifierKey>) -> Self {
        let checkpoint = noted.unverified();
        let (size, root) = (checkpoint.size, checkpoint.root);
        let (within, behind): (Vec<_>, Vec<_>) = report.findings.iter().partition(|finding| concerns(finding, size));
        let mut problems: Vec<_> = within.into_iter().map(ToString::to_string).collect();
        let signer = report.keys.iter().chain(key).find(|candidate| noted.verify(candidate).is_ok());
        let signer = signer.filter(|signer| key.is_none_or(|key| key == *signer));
        if signer.is_none() {
            problems.push("the checkpoint given is not signed by this ledger's key".to_owned());
        }
        let Some(signer) = signer.filter(|_| problems.is_empty()) else {
            let proven = Vec::new();
            return Self { size, root, is_whole: false, is_all: false, newer: None, proven, problems, help: None };
        };
        let all_here = "They are all here, none changed, missing or out of order";
        let mut proven = vec![
            format!("{signer} signed the first {size} entries of {}.", checkpoint.origin),
            if behind.is_empty() {
                format!("{all_here}: the ledger was only added to.")
            } else {
                format!("{all_here}. What stood behind them does not verify.")
            },
        ];
        let more = report.size.0.saturating_sub(size.0);
        let is_all = more == 0 && behind.is_empty();
        if more > 0 {
            proven.push(format!("{UNPROVEN}the {more} entries behind them; leave out --checkpoint for these."));
        }
        proven.extend(behind.into_iter().map(|finding| format!("{UNPROVEN}anything that this concerns: {finding}")));
        if key.is_none() {
            proven.push(format!("{UNPROVEN}that this key is the one you trust. Give it with --key."));
        }
        Self { size, root, is_whole: false, is_all, newer: None, proven, problems, help: None }
    }

    fn json(&self, report: &Report) -> String {
        // Numbers, names and texts always have a JSON form.
        let mut value = json!(report);
        if let Value::Object(object) = &mut value {
            object.insert("ok".into(), self.problems.is_empty().into());
            object.insert("complete".into(), (self.is_all && self.newer.is_none()).into());
            object.insert("judged_up_to".into(), json!(self.size));
            object.insert("proven".into(), json!(self.proven));
            object.insert("problems".into(), json!(self.problems));
            object.extend(self.help.as_ref().map(|help| ("help".into(), json!(help))));
        }
        format!("{value}\n")
    }

    fn text(&self, folder: &Path, report: &Report) -> String {
        let verdict = match &self.newer {
            _ if !self.problems.is_empty() => "DOES NOT VERIFY".to_owned(),
            Some(newer) => newer.to_string(),
            None if !self.is_all => format!("verified to {}; what is newer is not judged", self.size),
            None => "verified".to_owned(),
        };
        let folder = one_line(&folder.display().to_string());
        let mut text = format!("{verdict}: {folder}\n  entries  {}\n", self.size);
        if self.is_whole {
            text.push_str(&format!("  calls    {}\n", report.count(Kind::Call)));
        }
        text.push_str(&format!("  root     {}\n", self.root));
        let problems = self.problems.iter().map(|line| ("problem", line.as_str()));
        let proven = self.proven.iter().map(|line| match line.strip_prefix(UNPROVEN) {
            Some(what) => ("unproven", what),
            None => ("proven", line.as_str()),
        });
        for (label, line) in problems.chain(proven) {
            text.push_str(&format!("  {label:<8} {}\n", one_line(line)));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  help     {}\n", one_line(help)));
        }
        text
    }
}

/// How a statement begins that says what is not known.
const UNPROVEN: &str = "NOT proven: ";

/// Whether a finding says something against the first `size` entries.
#[allow(clippy::wildcard_enum_match_arm, reason = "of all other problems, the place decides")]
fn concerns(finding: &Finding, size: TreeSize) -> bool {
    match finding.problem {
        Problem::KeyUnknown { .. } => true,
        Problem::EntriesChanged { size: at, .. } | Problem::EntriesLost { size: at } => at <= size,
        _ => finding.index.0 < size.0,
    }
}

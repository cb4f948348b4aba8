//! Which entries: the filters that all commands over entries have.

use clap::builder::PossibleValuesParser;
use tollgate_audit::{Kind, Verdict};
use tollgate_report::Filter;

use super::argument;
use super::when::parse_time;
use crate::config;
use crate::exit::Failure;

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct FilterArgs {
    /// From this time on: `2026-11-03T14:05:00Z` (RFC 3339), `2026-11-03`, or so long ago (`90s`, `30m`, `2h`, `7d`).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of calls of this tool.
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Of calls by this agent, proven or claimed.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Of calls in this session, issued or claimed.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Of calls that followed this decision.
    #[arg(long, value_name = "ID")]
    decision: Option<String>,
    /// Of calls of this operation.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Of this call: its id, the first digits of it, or the short form that `audit show` prints.
    #[arg(long, value_name = "ID")]
    pub(super) call: Option<String>,
    /// Intents on this guest path or below it, with what became of them.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Intents that were allowed, or refused, with what became of them.
    #[arg(long, visible_alias = "decision-kind", value_name = "allow|deny", value_parser = ["allow", "deny"])]
    verdict: Option<String>,
    /// Intents under this rule, such as `fs:/docs:read`, with what became of them.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Entries of this kind. May be given several times.
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Kind::ALL.iter().map(|kind| kind.as_str())))]
    kind: Vec<String>,
}

impl FilterArgs {
    pub(super) fn filter(&self) -> Result<Filter, Failure> {
        let time = |given: &Option<String>| {
            let parse = |given: &String| parse_time(given, config::now_ns()).ok_or_else(|| argument(given, TIME));
            given.as_ref().map(parse).transpose()
        };
        let call = self.call.as_ref().map(|given| given.parse().map_err(|_no_call| argument(given, CALL)));
        let path = self.path.as_ref().map(|given| given.parse().map_err(|_no_path| argument(given, PATH)));
        let verdict = |word: &String| if word == "allow" { Verdict::Allow } else { Verdict::Deny };
        Ok(Filter {
            from_ns: time(&self.from)?,
            until_ns: time(&self.until)?,
            from_index: None,
            until_index: None,
            kinds: Kind::ALL
                .iter()
                .copied()
                .filter(|kind| self.kind.iter().any(|word| word == kind.as_str()))
                .collect(),
            tool: self.tool.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
            decision: self.decision.clone(),
            operation: self.operation.clone(),
            call: call.transpose()?,
            path: path.transpose()?,
            verdict: self.verdict.as_ref().map(verdict),
            rule: self.rule.clone(),
        })
    }
}

pub(super) const CALL: &str = "call id: up to 32 digits of 0 to 9 and a to f";
const TIME: &str = "time: `2026-11-03T14:05:00Z`, `2026-11-03`, or so long ago as in `90s`, `30m`, `2h`, `7d`";
const PATH: &str = "guest path: it starts with `/` and has no `..`";

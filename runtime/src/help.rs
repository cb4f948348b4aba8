//! What an operator would change so that a denied call is allowed, or a cap is higher. Only text: nothing is granted here.
//!
//! A step must never give more than what was denied, and never drop what narrows the grant that is there. What an agent is shown of it
//! (`Display`) must never name a folder of the host: an agent knows its tool's folders by the guest's names alone.

use std::fmt;
use std::path::Path;

use tollgate_capability::{Access, AccessSet, Cap, ClockMode, Limits, RandomMode, Stdio, StdioSet};
use tollgate_config::{AdhocGrant, FsGrant, Grant, GuestPath, Manifest, show_limit};
use tollgate_engine::error::{CallError, CapHit, RejectError};
use tollgate_plain::one_line;

/// A tool, and what of its authority somebody could change.
#[derive(Debug, Clone, Copy)]
pub struct Granted<'g> {
    /// What it needs, by its author; under the name that the policy has for it.
    pub manifest: &'g Manifest,
    /// What it is granted.
    pub grant: &'g Grant,
    /// Whether somebody else than the operator says what it needs.
    pub has_author: bool,
}

/// One step of what would allow something: all of them have to be taken. Its text (`Display`) is one line that an agent may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// What to write there, or why there is nothing to write.
    pub what: String,
    /// The same as a `--grant` of one run, where it can be said so. It may name folders of the host.
    pub once: Option<String>,
}

/// Where a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the operator's policy.
    Policy,
    /// In the author's manifest.
    Manifest,
    /// Nowhere.
    Nowhere,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = one_line(&self.what);
        match self.place {
            Place::Policy => write!(f, "in tollgate.toml: {what}"),
            Place::Manifest => write!(f, "in the tool's manifest: {what}"),
            Place::Nowhere => write!(f, "nothing grants it: {what}"),
        }
    }
}

/// What would let a call through that failed so; nothing where the policy has no part in it.
#[must_use]
pub fn of(granted: Granted<'_>, error: &CallError) -> Vec<Step> {
    match error {
        CallError::Violation(violation) => to_allow(granted, &violation.rule),
        CallError::Blocked { .. } => vec![nowhere("no tool can do this through WASI, whatever it is granted")],
        CallError::Cap(CapHit { cap, asked, .. }) => to_raise(granted, *cap, *asked),
        CallError::Overran { .. } => to_raise(granted, Cap::Deadline, None),
        CallError::Rejected(RejectError::NotTheAgents { agent, tool, operation }) => {
            vec![to_name(agent, tool, operation)]
        }
        CallError::Rejected(
            RejectError::NotJson { .. }
            | RejectError::Schema { .. }
            | RejectError::UnknownOperation { .. }
            | RejectError::WhichOperation { .. }
            | RejectError::TooLong { .. }
            | RejectError::TooManyValues { .. }
            | RejectError::TooMuchWork { .. },
        )
        | CallError::Tool { .. }
        | CallError::Cancelled
        | CallError::Busy { .. }
        | CallError::Trap { .. }
        | CallError::Exit { .. }
        | CallError::OutputNotJson { .. }
        | CallError::WorkerEnded { .. }
        | CallError::NoWorker(_)
        | CallError::Unrecorded(_)
        | CallError::Internal(_) => Vec::new(),
    }
}

/// What would let an agent call an operation that its entry does not name.
pub(crate) fn to_name(agent: &str, tool: &str, operation: &str) -> Step {
    in_policy(format!("tools.{tool}.operations = [ …, \"{operation}\" ] under [agents.{agent}]"), None)
}

/// What would allow what `rule` denies.
#[must_use]
pub fn to_allow(granted: Granted<'_>, rule: &str) -> Vec<Step> {
    let Granted { manifest, grant, .. } = granted;
    let (tool, needs) = (&manifest.name, &manifest.needs);
    let under = |line: &str| format!("{line} under [tools.{tool}]");
    if let Some(cap) = rule.strip_prefix("limits.").and_then(|key| Cap::ALL.into_iter().find(|cap| cap.as_str() == key))
    {
        return to_raise(granted, cap, None);
    }
    match rule.split_once(':') {
        Some(("fs", rest)) => {
            return rest.rsplit_once(':').map_or_else(Vec::new, |(guest, what)| below(granted, guest, what));
        }
        Some(("stdio", stream)) => return standard_stream(granted, stream),
        Some(_) | None => {}
    }
    match rule {
        "fs" => {
            let folder = "fs.\"/FOLDER\" = { host = \"…\", access = [ … ] }";
            vec![in_policy(under(folder), None)]
        }
        "env" => vec![in_policy(under("env.NAME = \"…\""), None)],
        "args" => vec![in_policy(under("args = [ … ]"), None)],
        "random" => {
            let needed = if grant.random == Some(RandomMode::Secure) { "secure" } else { "seeded" };
            let policy = (under("random = \"secure\""), Some("random=secure"));
            both(granted, (needs.random.is_some(), &format!("random = \"{needed}\"")), (grant.random.is_some(), policy))
        }
        "context" => {
            let policy = (under("context = true"), Some("context"));
            both(granted, (needs.context, "context = true"), (grant.context, policy))
        }
        "clocks.wall" => clock(granted, "wall", needs.wall_clock, grant.wall_clock),
        "clocks.monotonic" => clock(granted, "monotonic", needs.monotonic_clock, grant.monotonic_clock),
        "net" => vec![nowhere("this version gives no tool the network")],
        _unknown => Vec::new(),
    }
}

/// What would raise a cap, beyond what was `asked` for where that is known: the lower of manifest and grant holds.
#[must_use]
pub fn to_raise(granted: Granted<'_>, cap: Cap, asked: Option<u64>) -> Vec<Step> {
    let Granted { manifest, grant, .. } = granted;
    let ceiling = grant.limits.get(cap).unwrap_or_else(|| Limits::DEFAULT.get(cap));
    let expected = manifest.limits.get(cap).filter(|_| granted.has_author);
    let limit = expected.map_or(ceiling, |expected| expected.min(ceiling));
    let Some(value) = higher(cap, limit, asked) else {
        let most = show_limit(cap, cap.bounds().1);
        return vec![nowhere(&format!("the most that `limits.{}` can be is {most}", cap.as_str()))];
    };
    let (key, shown) = (cap.as_str(), written(cap, value));
    let mut steps = Vec::new();
    if value > ceiling {
        let once = format!("limit:{key}={}", show_limit(cap, value));
        steps.push(in_policy(format!("limits.{key} = {shown} under [tools.{}]", manifest.name), Some(once)));
    }
    if expected.is_some_and(|expected| value > expected) {
        steps.push(in_manifest(format!("{key} = {shown} under [limits]")));
    }
    steps
}

/// Twice the limit, as often as it takes for what was asked for, as far as a limit goes; none where it is that far already.
fn higher(cap: Cap, limit: u64, asked: Option<u64>) -> Option<u64> {
    let most = cap.bounds().1;
    let asked = asked.unwrap_or_default();
    if limit >= most || asked > most {
        return None;
    }
    let mut value = limit.max(1).saturating_mul(2);
    while value < asked {
        value = value.saturating_mul(2);
    }
    Some(value.min(most))
}

/// A value of a cap as TOML has it.
fn written(cap: Cap, value: u64) -> String {
    let shown = show_limit(cap, value);
    if shown.bytes().all(|byte| byte.is_ascii_digit()) { shown } else { format!("\"{shown}\"") }
}

fn below(granted: Granted<'_>, guest: &str, what: &str) -> Vec<Step> {
    if let Some(access) = Access::ALL.into_iter().find(|access| access.as_str() == what) {
        return right_below(granted, guest, access);
    }
    let tool = &granted.manifest.name;
    let key = |key: &str| vec![in_policy(format!("{key} of fs.\"{guest}\" under [tools.{tool}]"), None)];
    match what {
        "beneath" => {
            let folder = "fs.\"/FOLDER\" = { host = \"…\", access = [ … ] }";
            vec![
                in_policy(
                    format!("{folder} under [tools.{tool}]: what is outside `{guest}` needs a folder of its own"),
                    None,
                ),
                in_manifest("[[needs.fs]] of that folder".to_owned()),
            ]
        }
        "patterns" => key("`include` and `exclude`"),
        "quota" => key("a higher `quota`"),
        "mounts" => key("`mounts = true`"),
        "no-gain" => vec![nowhere("a file that is moved or linked to another folder would gain rights there")],
        "policy" => vec![nowhere("a tool would write the policy of the next run; only people write it")],
        "place" => vec![nowhere("where a granted folder stands, it stays")],
        "same" => vec![nowhere("the folder was changed by something else while the call was made")],
        "regular" => vec![nowhere("devices, FIFOs and sockets are never opened")],
        _unknown => Vec::new(),
    }
}

fn right_below(granted: Granted<'_>, guest: &str, access: Access) -> Vec<Step> {
    let Granted { manifest, grant, .. } = granted;
    let mut steps = Vec::new();
    let folder = grant.fs.iter().find(|(path, _)| path.to_string() == guest);
    if let Some((path, fs)) = folder.filter(|(_, fs)| !fs.access.contains(access)) {
        let wanted = fs.access.with(access);
        let what = format!("fs.\"{guest}\" = {{ …, access = [{}] }} under [tools.{}]", quoted(wanted), manifest.name);
        steps.push(in_policy(what, for_one_run(path, &FsGrant { access: wanted, ..fs.clone() })));
    }
    let needed = manifest.needs.fs.iter().find(|need| need.guest.to_string() == guest);
    if let Some(need) = needed.filter(|need| !need.access.contains(access) && granted.has_author) {
        let wanted = quoted(need.access.with(access));
        steps.push(in_manifest(format!("[[needs.fs]] of {guest}: access = [{wanted}]")));
    }
    steps
}

/// The same grant as a `--grant`, if it can be said so: patterns, a quota and whatever else it has no word for would be
/// dropped. That it says the very same is seen by reading it.
fn for_one_run(guest: &GuestPath, wanted: &FsGrant) -> Option<String> {
    let text = format!("fs:{guest}={}:{}", wanted.host.to_str()?, wanted.access);
    let read = AdhocGrant::parse(&text, Path::new("/")).ok()?;
    let same = AdhocGrant::Fs { guest: guest.clone(), fs: wanted.clone() };
    // In quotes of the shell, and on one line: a manifest's author chose the guest's path.
    let plain = !text.contains(|letter: char| letter == '\'' || letter.is_control());
    (read == same && plain).then(|| format!("'{text}'"))
}

fn standard_stream(granted: Granted<'_>, stream: &str) -> Vec<Step> {
    let Granted { manifest, grant, .. } = granted;
    let all = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr];
    let Some(wanted) = all.into_iter().find(|one| one.as_str() == stream) else { return Vec::new() };
    let names = |streams: StdioSet| {
        let named = all.into_iter().filter(|one| streams.contains(*one) || *one == wanted);
        named.map(Stdio::as_str).collect::<Vec<_>>()
    };
    let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let (needs, has) = (manifest.needs.stdio, grant.stdio.unwrap_or(StdioSet::OUTPUT));
    let once = format!("stdio={}", names(has).join(","));
    let policy = (format!("stdio = [{}] under [tools.{}]", list(&names(has)), manifest.name), Some(&*once));
    let need = format!("stdio = [{}]", list(&names(needs)));
    both(granted, (needs.contains(wanted), &need), (has.contains(wanted), policy))
}

fn clock(granted: Granted<'_>, which: &str, needed: Option<ClockMode>, has: Option<ClockMode>) -> Vec<Step> {
    let tool = &granted.manifest.name;
    let mode = has.unwrap_or(ClockMode::Coarse).as_str();
    let once = format!("clock:{which}=coarse");
    let policy = (format!("clocks.{which} = \"coarse\" under [tools.{tool}]"), Some(&*once));
    both(granted, (needed.is_some(), &format!("clocks.{which} = \"{mode}\"")), (has.is_some(), policy))
}

/// The operator's line if the grant lacks it, and the author's if the manifest does not ask for it yet. What is granted
/// already is not offered again in another measure.
fn both(
    granted: Granted<'_>,
    (is_needed, need): (bool, &str),
    (is_granted, (line, once)): (bool, (String, Option<&str>)),
) -> Vec<Step> {
    let mut steps = Vec::new();
    if !is_granted {
        steps.push(in_policy(line, once.map(str::to_owned)));
    }
    if !is_needed && granted.has_author {
        steps.push(in_manifest(format!("{need} under [needs]")));
    }
    steps
}

fn in_policy(what: String, once: Option<String>) -> Step {
    Step { place: Place::Policy, what, once }
}

fn in_manifest(what: String) -> Step {
    Step { place: Place::Manifest, what, once: None }
}

fn nowhere(why: &str) -> Step {
    Step { place: Place::Nowhere, what: why.to_owned(), once: None }
}

fn quoted(access: AccessSet) -> String {
    access.iter().map(|right| format!("\"{right}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;

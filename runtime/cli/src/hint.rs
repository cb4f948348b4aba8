//! What an operator would change so that a denied call is allowed, or a cap is higher. Only text: nothing is granted here.
//! A line must never give more than what was denied, and never drop what narrows the grant that is there.

use std::path::Path;

use tollgate_capability::{Access, AccessSet, Cap, ClockMode, Limits, RandomMode, Stdio, StdioSet};
use tollgate_config::{AdhocGrant, FsGrant, GuestPath, show_limit};

use super::load::{Loaded, ManifestFrom};

/// The lines that would allow what `rule` denies; each a place and what to write there.
pub(crate) fn to_allow(loaded: &Loaded, rule: &str) -> Vec<String> {
    let tool = &loaded.manifest.name;
    let (needs, grant) = (&loaded.manifest.needs, &loaded.grant);
    match rule.split_once(':') {
        Some(("fs", rest)) => rest.rsplit_once(':').map_or_else(Vec::new, |(guest, what)| below(loaded, guest, what)),
        Some(("stdio", stream)) => standard_stream(loaded, stream),
        _ => match rule {
            "random" => both(
                needs.random.is_some(),
                if grant.random == Some(RandomMode::Secure) { "random = \"secure\"" } else { "random = \"seeded\"" },
                grant.random.is_none(),
                &format!("random = \"secure\" under [tools.{tool}], or --grant random=secure"),
                loaded,
            ),
            "context" => both(
                needs.context,
                "context = true",
                !grant.context,
                &format!("context = true under [tools.{tool}], or --grant context"),
                loaded,
            ),
            "clocks.wall" => clock(loaded, "wall", needs.wall_clock, grant.wall_clock),
            "clocks.monotonic" => clock(loaded, "monotonic", needs.monotonic_clock, grant.monotonic_clock),
            "net" => vec!["nothing grants it: this version gives no tool the network".to_owned()],
            _ => Vec::new(),
        },
    }
}

/// The lines that would raise a cap: the lower of manifest and grant holds.
pub(crate) fn to_raise(loaded: &Loaded, cap: Cap) -> Vec<String> {
    let (tool, key) = (&loaded.manifest.name, cap.as_str());
    let ceiling = loaded.grant.limits.get(cap).unwrap_or_else(|| Limits::DEFAULT.get(cap));
    let expected = loaded.manifest.limits.get(cap).filter(|_| has_author(loaded));
    let mut lines = Vec::new();
    if expected.is_none_or(|expected| ceiling <= expected) {
        lines.push(in_policy(&format!("limits.{key} = … under [tools.{tool}], or --grant limit:{key}=…")));
    }
    if let Some(expected) = expected.filter(|expected| *expected <= ceiling) {
        lines.push(in_manifest(loaded, &format!("{key} under [limits], which is {} there", show_limit(cap, expected))));
    }
    lines
}

/// Where the tool sees its folders, if an argument is a path of the host in the place of one of the tool's.
pub(crate) fn seen_elsewhere(loaded: &Loaded, arguments: &str) -> Vec<String> {
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap_or_default();
    let given = arguments.as_object().into_iter().flat_map(|object| object.values()).filter_map(|value| value.as_str());
    let folders = &loaded.grant.fs;
    let is_seen = |path: &str| folders.keys().any(|guest| Path::new(path).starts_with(guest.to_string()));
    let is_of_host = |path: &str| !path.is_empty() && !is_seen(path) && Path::new(path).exists();
    if !given.into_iter().any(is_of_host) {
        return Vec::new();
    }
    folders.iter().map(|(guest, fs)| format!("the tool sees `{}` as `{guest}`", fs.host.display())).collect()
}

fn below(loaded: &Loaded, guest: &str, what: &str) -> Vec<String> {
    let tool = &loaded.manifest.name;
    if let Some(access) = Access::ALL.into_iter().find(|access| access.as_str() == what) {
        return right_below(loaded, guest, access);
    }
    match what {
        "beneath" => vec!["what is outside this folder needs a folder, a need and a grant of its own".to_owned()],
        "patterns" => vec![in_policy(&format!("`include` and `exclude` of fs.\"{guest}\" under [tools.{tool}]"))],
        "quota" => vec![in_policy(&format!("`quota` of fs.\"{guest}\" under [tools.{tool}]"))],
        "policy" => {
            vec!["nothing grants it: a tool would write the policy of the next run; only people write it".to_owned()]
        }
        "place" => vec!["nothing grants it: where a granted folder stands, it stays".to_owned()],
        "same" => {
            vec!["nothing grants it: the folder was changed by something else while the call was made".to_owned()]
        }
        "mounts" => vec![in_policy(&format!("`mounts = true` for fs.\"{guest}\" under [tools.{tool}]"))],
        "regular" => vec!["nothing grants it: devices, FIFOs and sockets are never opened".to_owned()],
        _ => Vec::new(),
    }
}

fn right_below(loaded: &Loaded, guest: &str, access: Access) -> Vec<String> {
    let tool = &loaded.manifest.name;
    let mut lines = Vec::new();
    let granted = loaded.grant.fs.iter().find(|(path, _)| path.to_string() == guest);
    if let Some((path, fs)) = granted.filter(|(_, fs)| !fs.access.contains(access)) {
        let wanted = fs.access.with(access);
        lines.push(in_policy(&format!("fs.\"{guest}\" under [tools.{tool}]: access = [{}]", quoted(wanted))));
        lines.extend(for_one_run(path, &FsGrant { access: wanted, ..fs.clone() }));
    }
    let needed = loaded.manifest.needs.fs.iter().find(|need| need.guest.to_string() == guest);
    if let Some(need) = needed.filter(|need| !need.access.contains(access) && has_author(loaded)) {
        let wanted = quoted(need.access.with(access));
        lines.push(in_manifest(loaded, &format!("[[needs.fs]] of {guest}: access = [{wanted}]")));
    }
    lines
}

/// The same grant as a `--grant`, if it can be said so: patterns, a quota and whatever else it has no word for would be
/// dropped. That it says the very same is seen by reading it.
fn for_one_run(guest: &GuestPath, wanted: &FsGrant) -> Option<String> {
    let text = format!("fs:{guest}={}:{}", wanted.host.to_str()?, wanted.access);
    let read = AdhocGrant::parse(&text, Path::new("/")).ok()?;
    let same = AdhocGrant::Fs { guest: guest.clone(), fs: wanted.clone() };
    // In quotes of the shell, and on one line: a manifest's author chose the guest's path.
    let plain = !text.contains(|letter: char| letter == '\'' || letter.is_control());
    (read == same && plain).then(|| format!("or for one run: --grant '{text}'"))
}

fn standard_stream(loaded: &Loaded, stream: &str) -> Vec<String> {
    let names = |streams: StdioSet| {
        let all = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr];
        let named = all.into_iter().filter(|one| streams.contains(*one) || one.as_str() == stream);
        named.map(Stdio::as_str).collect::<Vec<_>>()
    };
    let needed = names(loaded.manifest.needs.stdio);
    let granted = names(loaded.grant.stdio.unwrap_or(StdioSet::OUTPUT));
    let is_granted = loaded.grant.stdio.unwrap_or(StdioSet::OUTPUT);
    let lacks = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr]
        .into_iter()
        .any(|one| one.as_str() == stream && !is_granted.contains(one));
    let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let needs = loaded.manifest.needs.stdio;
    both(
        [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr]
            .into_iter()
            .any(|one| one.as_str() == stream && needs.contains(one)),
        &format!("stdio = [{}]", list(&needed)),
        lacks,
        &format!(
            "stdio = [{}] under [tools.{}], or --grant stdio={}",
            list(&granted),
            loaded.manifest.name,
            granted.join(",")
        ),
        loaded,
    )
}

fn clock(loaded: &Loaded, which: &str, needed: Option<ClockMode>, granted: Option<ClockMode>) -> Vec<String> {
    let tool = &loaded.manifest.name;
    let mode = granted.unwrap_or(ClockMode::Coarse).as_str();
    both(
        needed.is_some(),
        &format!("clocks.{which} = \"{mode}\""),
        granted.is_none(),
        &format!("clocks.{which} = \"coarse\" under [tools.{tool}], or --grant clock:{which}=coarse"),
        loaded,
    )
}

/// The operator's line if the grant lacks it, and the author's if the manifest does not ask for it yet. What is granted
/// already is not offered again in another measure.
fn both(needed: bool, manifest: &str, lacks: bool, policy: &str, loaded: &Loaded) -> Vec<String> {
    let mut lines = Vec::new();
    if lacks {
        lines.push(in_policy(policy));
    }
    if !needed && has_author(loaded) {
        lines.push(in_manifest(loaded, &format!("{manifest} under [needs]")));
    }
    lines
}

fn in_policy(what: &str) -> String {
    format!("in tollgate.toml: {what}")
}

/// Whether somebody else than the operator says what the tool needs.
fn has_author(loaded: &Loaded) -> bool {
    loaded.manifest_from != ManifestFrom::Grant
}

fn in_manifest(loaded: &Loaded, what: &str) -> String {
    match &loaded.manifest_from {
        ManifestFrom::File(path) => format!("in {}: {what}", path.display()),
        ManifestFrom::Component(_) => format!("in tool.toml, then `tollgate build`: {what}"),
        ManifestFrom::Grant => format!("in the manifest: {what}"),
    }
}

fn quoted(access: AccessSet) -> String {
    access.iter().map(|right| format!("\"{right}\"")).collect::<Vec<_>>().join(", ")
}

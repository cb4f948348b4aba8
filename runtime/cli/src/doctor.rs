//! `tollgate doctor`: what this machine's kernel enforces around tools, what that means, and whether the policy here lets
//! tools run on it: each thing that Tollgate needs is tried, each of its processes is started, and each installed tool is looked at.
//! Without `--fix` it must never change anything.

mod stored;
mod trial;

use std::mem::MaybeUninit;

use rustix::fs::statvfs;
use serde_json::json;
use tollgate::kernel_plan::level;
use tollgate::sandbox::{Feature, FeatureGroup, KernelOffer, features};
use tollgate::surroundings::{ControlGroup, LowLimit, low_limits};
use tollgate_audit::Level;
use tollgate_config::SandboxSettings;

use self::stored::Stored;
use self::trial::Trial;
use super::args::{DoctorArgs, WritableLedgerArgs};
use super::exit::{Exit, Failure};
use super::{load, output};

struct Findings {
    kernel: String,
    offer: KernelOffer,
    features: Vec<Feature>,
    trials: Vec<Trial>,
    low: Vec<LowLimit>,
    group: ControlGroup,
    /// The file that says what is required, unless that is the default.
    policy: Option<String>,
    required: Level,
    tools: Stored,
    /// What the ledger of this environment lacks, and why.
    no_ledger: Option<(&'static str, String)>,
}

impl Findings {
    fn lacks(&self) -> Vec<&'static str> {
        let needed = self.features.iter().filter(|feature| feature.group == FeatureGroup::Needed && !feature.there);
        let lacks = self.offer.lacks(self.required).into_iter().chain(needed.map(|feature| feature.name));
        let ledger = self.no_ledger.iter().map(|(lacking, _why)| *lacking);
        lacks.chain(self.trials.iter().filter_map(Trial::lacks)).chain(ledger).collect()
    }
}

pub(crate) fn doctor(args: &DoctorArgs) -> Result<Exit, Failure> {
    let policy = load::policy(args.policy.as_deref())?;
    if args.fix {
        stored::fix(args)?;
    }
    let findings = Findings {
        kernel: kernel_release(),
        offer: KernelOffer::here(),
        features: features(),
        trials: trial::all(),
        low: low_limits(),
        group: ControlGroup::here(),
        required: level(
            policy.as_ref().map_or_else(SandboxSettings::default, |(_, policy)| policy.deployment.sandbox).require,
        ),
        policy: policy.map(|(path, _)| path.display().to_string()),
        tools: Stored::look(),
        no_ledger: no_ledger(&args.ledger.there),
    };
    let text = if args.json { json_text(&findings) } else { text(&findings) };
    output::print(&format!("{}\n", text.trim_end()))?;
    let is_well = findings.lacks().is_empty() && findings.tools.is_whole();
    Ok(if is_well { Exit::Success } else { Exit::Usage })
}

/// Why no entry could be written where a run would write it, as far as that is seen without writing.
fn no_ledger(args: &WritableLedgerArgs) -> Option<(&'static str, String)> {
    let folder = match args.folder() {
        Ok(folder) => folder,
        Err(failure) => return Some(("a place for the ledger", failure.causes())),
    };
    // One that is not there yet is made on this disk.
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let disk = statvfs(there).ok()?;
    let shown = output::one_line(&folder.display().to_string());
    (disk.f_bavail == 0 && disk.f_blocks > 0)
        .then(|| ("room on the ledger's disk", format!("the disk of the ledger's folder, `{shown}`, is full")))
}

/// Without `/proc` too (`uname(2)`).
#[allow(unsafe_code, reason = "no crate here asks for it")]
fn kernel_release() -> String {
    let mut names = MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: `names` is a whole `utsname` to write to.
    if unsafe { libc::uname(names.as_mut_ptr()) } != 0 {
        return "of unknown release".to_owned();
    }
    // SAFETY: the call succeeded, so all of it is written.
    let names = unsafe { names.assume_init() };
    let bytes = names.release.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0);
    String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
}

fn json_text(findings: &Findings) -> String {
    let lacks = findings.lacks();
    json!({
        "kernel": findings.kernel,
        "landlock_abi": findings.offer.landlock_abi,
        "seccomp": findings.offer.seccomp,
        "level": findings.offer.level().as_str(),
        "required": findings.required.as_str(),
        "policy": findings.policy,
        "tools_run": lacks.is_empty(),
        "lacks": lacks,
        "lacks_for_full": findings.offer.lacks(Level::Full),
        "features": findings.features,
        "processes": findings.trials.iter().map(Trial::json).collect::<Vec<_>>(),
        "low_limits": findings.low,
        "control_group": findings.group,
        "installed": findings.tools.json(),
    })
    .to_string()
}

fn text(findings: &Findings) -> String {
    let Findings { kernel, offer, features, trials, low, group, policy, required, tools, no_ledger } = findings;
    let reached = offer.level();
    let mut text =
        format!("kernel {kernel}, Landlock ABI {}: level `{reached}`\n  {}\n", offer.landlock_abi, meaning(reached));
    for (group, title) in [
        (FeatureGroup::Level, "what a worker is sealed with (level `full` has all of it)"),
        (FeatureGroup::Needed, "what Tollgate does not run without"),
        (FeatureGroup::Extra, "what makes it better"),
    ] {
        text.push_str(&format!("{title}:\n"));
        for Feature { name, there, without, .. } in features.iter().filter(|feature| feature.group == group) {
            text.push_str(&if *there { format!("  yes  {name}\n") } else { format!("  no   {name}: {without}\n") });
        }
    }
    text.push_str("the processes of a call, each started and sealed here as for a tool:\n");
    text.extend(trials.iter().map(Trial::text));
    let given: Vec<String> = low.iter().map(ToString::to_string).chain(group.lines()).collect();
    if !given.is_empty() {
        text.push_str(
            "what the shell and the container leave (raise it with `ulimit`, or in the container's settings):\n",
        );
        text.extend(given.iter().map(|line| format!("  low  {line}\n")));
    }
    text.push_str(&tools.text());
    if let Some((_lacking, why)) = no_ledger {
        text.push_str(&format!("the ledger: no: {}\n", output::one_line(why)));
    }
    let whose = policy.as_ref().map_or_else(|| "by default".to_owned(), |path| format!("by {path}"));
    let lacks = findings.lacks();
    if lacks.is_empty() {
        text.push_str(&format!("tools run here: `{required}` is required, {whose}\n"));
        if reached > *required {
            text.push_str("all that the kernel can enforce is enforced, beyond what is required\n");
        }
    } else {
        text.push_str(&format!(
            "no tool runs here: `{required}` is required, {whose}; missing: {}\n",
            lacks.join(", ")
        ));
        if reached < *required {
            text.push_str(&format!(
                "run on a newer kernel, or accept less and set in tollgate.toml:\n  [sandbox]\n  require = \"{reached}\"\n"
            ));
        }
    }
    text
}

fn meaning(level: Level) -> &'static str {
    match level {
        Level::Full => {
            "code that broke out of a tool reaches the tool's granted folders, with the granted rights, and nothing else"
        }
        Level::Partial => {
            "code that broke out of a tool makes a worker's own system calls alone; where this kernel's Landlock is too old to \
             judge one, it may reach beyond the granted folders"
        }
        Level::None => {
            "code that broke out of a tool may do what this user may, but for what little is enforced: the gate alone stands"
        }
    }
}

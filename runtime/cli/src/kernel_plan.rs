//! `tollgate inspect TOOL --kernel`: what the kernel leaves the process that runs a tool, and what it does not.

use serde_json::{Value, json};
use tollgate::kernel_plan::{BroughtBy, ROWS, plan};
use tollgate::sandbox::{CallRow, FolderRule, KernelPlan, LimitRow};
use tollgate_config::Manifest;

use super::args::InspectArgs;
use super::exit::{Exit, Failure};
use super::which::which;
use super::{load, output};

pub(crate) fn inspect(args: &InspectArgs) -> Result<Exit, Failure> {
    let which = which(&args.tool)?;
    let bytes = load::component(&which.args.component)?;
    let loaded = load::load(&which, &bytes)?;
    let set = load::intersect(&loaded)?.0.set;
    let plan = plan(&set);
    let text = if args.json { json_text(&loaded.manifest, &plan) } else { text(&loaded.manifest, &plan) };
    output::print(&format!("{}\n", text.trim_end()))?;
    Ok(Exit::Success)
}

fn json_text(manifest: &Manifest, plan: &KernelPlan) -> String {
    let absent = BroughtBy::ALL.into_iter().map(|group| (group.as_str().to_owned(), json!(names(absent(plan, group)))));
    json!({
        "tool": manifest.name.to_string(),
        "version": manifest.version.to_string(),
        "plan": plan,
        "digest": plan.digest().to_string(),
        "absent": Value::Object(absent.filter(|(_, names)| names.as_array().is_some_and(|names| !names.is_empty())).collect()),
    })
    .to_string()
}

fn text(manifest: &Manifest, plan: &KernelPlan) -> String {
    let mut text =
        format!("{} {}: what the kernel leaves its worker; all else is denied\n", manifest.name, manifest.version);
    text.push_str("folders (Landlock):\n");
    if plan.folders.is_empty() {
        text.push_str("  none\n");
    }
    for FolderRule { host, rights, why, opened: _ } in &plan.folders {
        let rights = if rights.is_empty() { "looking at names".to_owned() } else { rights.to_string() };
        let host = output::one_line(&host.display().to_string());
        text.push_str(&format!("  {host}  {rights}  ({})\n", output::one_line(&why.join("; "))));
    }
    text.push_str("network: none; signals to other processes: none; abstract unix sockets: none (Landlock)\n");
    text.push_str("system calls (seccomp), by what brings them; any other ends the worker and is recorded:\n");
    for group in BroughtBy::ALL {
        let rows: Vec<&CallRow> = plan.calls.iter().filter(|row| row.brought_by == group.as_str()).collect();
        if !rows.is_empty() {
            text.push_str(&format!("  {}\n", group.as_str()));
        }
        for row in rows {
            text.push_str(&format!("    {:<36}  {}\n", called(row), row.why));
        }
    }
    text.push_str("limits:\n");
    for LimitRow { resource, most, why } in &plan.limits {
        text.push_str(&format!("  {:<9} {most:>12}  {why}\n", resource.as_str()));
    }
    text.push_str("absent, since nothing that is granted brings it:\n");
    for group in BroughtBy::ALL {
        let absent: Vec<&CallRow> = absent(plan, group).collect();
        if !absent.is_empty() {
            text.push_str(&format!("  {:<20}  {}\n", group.as_str(), names(absent).join(" ")));
        }
    }
    text.push_str(NEVER);
    text
}

/// What no capability brings.
const NEVER: &str = "absent for every tool:
  threads, processes, programs; sockets; executable pages; devices, FIFOs, unix sockets by path; modes, owners and
  extended attributes of files; other processes' memory; seccomp, Landlock, prctl and limits, once they are set
";

/// The rows of a group that the plan does not have.
fn absent(plan: &KernelPlan, group: BroughtBy) -> impl Iterator<Item = &'static CallRow> {
    let of_group = ROWS.iter().filter(move |row| row.brought_by == group).map(|row| &row.call);
    of_group.filter(|call| !plan.calls.contains(call))
}

fn names<'r>(rows: impl IntoIterator<Item = &'r CallRow>) -> Vec<&'static str> {
    rows.into_iter().map(|row| row.name).collect()
}

fn called(row: &CallRow) -> String {
    if row.arguments.is_empty() { row.name.to_owned() } else { format!("{} ({})", row.name, row.arguments) }
}

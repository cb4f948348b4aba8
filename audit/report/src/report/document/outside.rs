//! What a report says of that which stands outside of calls: the kernel layer, and the policy.

use super::super::units::{count, counted};
use super::super::{ActivityReport, BlockedNote, Reloads, WorkerLevels};
use super::{Cell, Section, Table, columns, foreign, foreign_or_none, none, number, own};

/// Of what the ledger says something.
pub(super) fn sections(report: &ActivityReport) -> impl Iterator<Item = Section> {
    let kernel = (!report.kernel.is_empty()).then(|| kernel_layer(report));
    let policy = (report.reloads != Reloads::default()).then(|| reloads(report.reloads));
    kernel.into_iter().chain(policy)
}

fn kernel_layer(report: &ActivityReport) -> Section {
    let kernel = &report.kernel;
    let WorkerLevels { full, partial, none, .. } = kernel.workers;
    let mut section = Section::new("Kernel layer");
    section.say(format!(
        "Workers that said what confines them: {} by the whole kernel layer, {} by a part of it, {} by nothing of it.",
        count(full),
        count(partial),
        count(none),
    ));
    if kernel.blocked_calls == 0 {
        section.say("No system call was blocked.");
    } else {
        let listed = kernel.blocked.len() as u64;
        if listed < kernel.blocked_calls {
            section.say(format!("{} of {} blocked system calls are listed.", listed, count(kernel.blocked_calls)));
        }
        let head = columns(&["Call", "Tool", "Thread", "System call"], &["Number", "Entry"]);
        let rows = kernel.blocked.iter().map(blocked_row);
        section.show(Table::new("System calls that a filter stopped, and the worker with them", head, rows));
    }
    if kernel.kernel_records > 0 {
        let records = counted(kernel.kernel_records, "record", "records");
        section.say(format!("The kernel’s own audit adds {records}."));
    }
    section
}

fn blocked_row(note: &BlockedNote) -> Vec<Cell> {
    let (call, tool) = (foreign_or_none(note.call.as_ref()), foreign_or_none(note.tool.as_ref()));
    // A number, not a quantity.
    let number_of = own(note.number.to_string());
    let name = own(note.name.map_or_else(none, str::to_owned));
    vec![call, tool, foreign(&note.thread), name, number_of, number(note.index.0)]
}

fn reloads(reloads: Reloads) -> Section {
    let mut section = Section::new("Policy");
    let times = counted(reloads.taken + reloads.refused, "time", "times");
    let [taken, refused] = [reloads.taken, reloads.refused].map(|number| counted(number, "time", "times"));
    section.say(format!(
        "The daemon read its policy again {times}: {taken} the new one held from then on, {refused} it was refused and the old one \
         stayed."
    ));
    section
}

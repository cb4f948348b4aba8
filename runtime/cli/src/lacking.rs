//! What the machine will not give a tool's process, though the policy grants it: said before anything runs. Must never decide:
//! the kernel does.

use tollgate::kernel_plan::{out_of_reach, plan};
use tollgate::surroundings::lower_than;
use tollgate_capability::CapabilitySet;

use super::output;

/// A line for each folder that is out of the process's reach, and for each limit from the shell that is lower than its own.
pub(crate) fn lines(set: &CapabilitySet) -> Vec<String> {
    let folders = out_of_reach(set).into_iter().map(|lacking| lacking.to_string());
    let limits = lower_than(&plan(set).limits).into_iter().map(|low| format!("{low}; the lower limit holds"));
    folders.chain(limits).collect()
}

/// Says it on stderr.
pub(crate) fn warn(set: &CapabilitySet) {
    for line in lines(set) {
        output::eprint(&format!("warning: {}\n", output::one_line(&line)));
    }
}

//! The supervisor whose calls are counted: calls as often as it is told, and says when it has.

use std::io::BufRead as _;
use std::path::Path;
use std::process::ExitCode;

use tollgate::{Caller, Provenance, Request, Supervisor, SupervisorSettings, Tool, ToolSpec};
use tollgate_workspace::program::{compiled, data_in, notary_command, worker_command};
use tollgate_workspace::{ORIGIN, guest, manifest, set_in};

use crate::allocations::count_me_apart;

/// The first argument of this role.
pub(crate) const ROLE: &str = "role-driver";

/// A call that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) operation: &'static str,
    arguments: &'static str,
    answer: &'static str,
}

pub(crate) const CALLS: [Counted; 2] = [
    Counted { operation: "echo", arguments: r#"{"a":1}"#, answer: r#"{"a":1}"# },
    Counted { operation: "read", arguments: r#"{"path":"/data/file"}"#, answer: r#"{"bytes":4096}"# },
];

/// Serves lines `OPERATION TIMES` until there are no more. What the line itself costs is the same for each.
pub(crate) fn drive(folder: &Path) -> ExitCode {
    data_in(folder);
    let ledger = folder.join("ledger");
    let settings = SupervisorSettings::new(worker_command());
    let supervisor = Supervisor::start(notary_command(&ledger, ORIGIN), &ledger, settings).expect("a supervisor");
    let set = set_in(folder, guest(TOOL), &["fs:/data=data:read"]);
    let provenance = Provenance { manifest: "", grant: "", by: "tests", declared: None };
    let spec = ToolSpec::new(compiled(TOOL), &manifest(guest(TOOL)), set, provenance);
    let tool = supervisor.add(spec).expect("a tool");
    tool.operations().expect("a worker");
    count_me_apart();
    say("ready\n");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input");
        let (operation, times) = line.split_once(' ').expect("an operation and a number");
        let call = CALLS.into_iter().find(|call| call.operation == operation).expect("a call");
        let times: u64 = times.parse().expect("a number");
        (0..times).for_each(|_| one(&tool, &call));
        say("done\n");
    }
    drop(tool);
    supervisor.finish().expect("a whole record");
    ExitCode::SUCCESS
}

fn one(tool: &Tool, call: &Counted) {
    let Counted { operation, arguments, answer } = *call;
    let request = Request { operation, arguments, stdin: Default::default(), caller: Caller::default() };
    assert_eq!(tool.call(&request).expect("an answer").output, answer);
}

/// By one system call, without a buffer.
fn say(line: &str) {
    assert_eq!(rustix::io::write(std::io::stdout(), line.as_bytes()), Ok(line.len()));
}

const TOOL: &str = "echo-read";

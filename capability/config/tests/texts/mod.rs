//! A manifest and a policy that use every key, and how their errors are shown.

use miette::{Diagnostic, NarratableReportHandler};

pub(crate) const FOLDER: &str = "/etc/tollgate";

pub(crate) const MANIFEST: &str = r#"
record = "every"

[tool]
name = "word-count"
version = "0.1.0"
description = "Counts words."

[[operations]]
name = "count"
description = "Counts the words of a file."

[[operations]]
name = "total"

[needs]
env = ["LANG"]
args = true
stdio = ["stdin", "stdout"]
random = "seeded"
clocks = { wall = "real", monotonic = "coarse" }

[[needs.fs]]
guest = "/docs"
access = ["list", "read"]

[[needs.fs]]
guest = "/out"
access = ["write"]

[limits]
memory = "32MiB"
fuel = 500_000_000
deadline = "2s"
input = 4096
output = "64KiB"
stdio = "8KB"
handles = 8
random = 0
host_memory = "1MiB"
calls = 4
records = 500
record_bytes = "96KiB"
"#;

pub(crate) const POLICY: &str = r#"
[variables]
workspace = "./work"

[tools.word-count]
fs."/docs" = { host = "${workspace}/reports", access = ["read", "list"], include = ["*.txt"], exclude = ["private/**"], quota = "1MiB" }
fs."/out" = { host = "/srv/$$out", access = ["write", "delete"], durable = ["delete"] }
env = { LANG = "C", TOKEN = { host = "API_TOKEN" } }
args = ["--fast"]
stdio = ["stdin", "stdout"]
random = { seed = 42 }
clocks = { wall = "coarse", monotonic = "frozen" }
limits.memory = "16MiB"
on_violation = "deny"
record = "every"

[tools.word-count.audit]
arguments = "full"
acknowledge = "journal"

[sandbox]
require = "partial"

[workers]
idle = "90s"
grace = "250ms"

[compartments]
texts = ["word-count", "text-diff"]
dice = ["dice"]

[agents.reader]
is = { uid = [1002, 1001] }
listen = "/run/tollgate-reader/socket"
group = 2001
mode = "0660"
tools.grep.operations = ["search", "count"]
tools.echo = {}

[agents.web]
is = { token = true }
mode = "0666"
port = 7411

[agents.shared]
is = { socket = true }
tools = {}

[serve]
connections = 10
calls = 4
queue = 0
header = "8KiB"
body = "1MiB"
handshake = "2s"
drain = "0s"
reserve = "1GiB"
list = "search"
idle = "30s"
"#;

/// What a reader without colours sees.
pub(crate) fn rendered(error: &dyn Diagnostic) -> String {
    let mut text = String::new();
    NarratableReportHandler::new().render_report(&mut text, error).unwrap();
    text
}

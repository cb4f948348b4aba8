//! The same requests under plain wasmtime, of a folder of its own that is like the judged one before each of them. What is
//! answered or left behind otherwise has one reason, which docs/wasi.md tells.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate_workspace::documented::assert_documented;
use tollgate_workspace::stock::Stock;

use crate::linux::Judged;
use crate::requests::{Request, told, tree};
use tollgate_workspace::site::{ALL, Site, prober};

/// A row of docs/wasi.md, and the requests that it speaks of.
struct Reason {
    row: &'static str,
    explains: fn(&Met<'_>) -> bool,
}

/// A request that plain wasmtime takes otherwise.
struct Met<'a> {
    request: &'a Request,
    gate: Result<&'a Value, &'a str>,
    plain: Result<&'a Value, &'a str>,
    /// What stood at the path before, a slash at its end left out.
    old: Old,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Nothing,
    Link,
    Other,
}

const REASONS: [Reason; 8] = [
    Reason {
        row: "`stat-at`, `metadata-hash-at` of `x/`, not following",
        explains: |met| {
            let tells_of_no_folder = met.plain.is_ok_and(|told| told != "directory");
            met.is(&["stat-at", "metadata-hash-at"]) && !met.request.follow && met.ends() && tells_of_no_folder
        },
    },
    Reason {
        row: "`remove-directory-at` of `folder/`",
        explains: |met| {
            let right = met.gate.is_ok() || met.gate == Err("not-empty");
            met.is(&["remove-directory-at"]) && met.ends() && right && met.plain == Err("invalid")
        },
    },
    Reason {
        row: "`remove-directory-at`, `unlink-file-at` of `link/`",
        explains: |met| {
            let follows = met.fails_with(&["is-directory", "invalid", "loop", "no-entry"]);
            let of_link = met.ends() && met.old == Old::Link;
            met.is(&["remove-directory-at", "unlink-file-at"]) && of_link && met.gate == Err("not-directory") && follows
        },
    },
    Reason {
        row: "`symlink-at`, `link-at` to `x/`, where something stands",
        explains: |met| {
            let enters = met.fails_with(&["not-directory", "loop", "no-entry"]);
            let slash = met.request.to.ends_with(['/', '.']);
            met.is(&["symlink-at", "link-at"]) && slash && met.gate == Err("exist") && enters
        },
    },
    Reason {
        row: "`link-at` with two faulty names",
        explains: |met| {
            let of_new = met.fails_with(&["not-directory", "loop"]);
            met.is(&["link-at"]) && met.old == Old::Nothing && met.gate == Err("no-entry") && of_new
        },
    },
    Reason {
        row: "`open-at` of a link with `directory`, not following",
        explains: |met| {
            let Request { open, follow, .. } = met.request;
            let differs = met.gate == Err("not-directory") && met.plain == Err("loop");
            met.is(&["open-at"]) && open.contains(&"directory") && !follow && met.old == Old::Link && differs
        },
    },
    Reason {
        row: "writing through a handle of `create` without `write`",
        explains: |met| {
            let Request { open, flags, then, .. } = met.request;
            let refused = if *then == "set-size" { "invalid" } else { "bad-descriptor" };
            let made = met.is(&["open-at"]) && open.contains(&"create") && !flags.contains(&"write");
            let writes = ["write", "append-via-stream", "set-size"].contains(then);
            made && writes && met.gate == Err(refused) && met.plain.is_ok()
        },
    },
    Reason {
        row: "`append-via-stream` of a file that was opened to read",
        explains: |met| {
            let Request { flags, then, .. } = met.request;
            let appends = met.is(&["open-at"]) && *then == "append-via-stream" && !flags.contains(&"write");
            appends && met.gate == Err("bad-descriptor") && met.plain == Err("stream")
        },
    },
];

impl Met<'_> {
    fn is(&self, ops: &[&str]) -> bool {
        ops.contains(&self.request.op)
    }

    fn ends(&self) -> bool {
        self.request.path.ends_with(['/', '.'])
    }

    fn fails_with(&self, codes: &[&str]) -> bool {
        self.plain.is_err_and(|code| codes.contains(&code))
    }
}

/// The twin under plain wasmtime.
pub(crate) struct Plain {
    stock: Stock,
    folder: PathBuf,
    used: BTreeSet<&'static str>,
}

impl Plain {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { stock: Stock::new(prober()), folder, used: BTreeSet::new() }
    }

    /// Makes a request here and has it judged in `judged`; tells a difference that no row explains.
    pub(crate) fn differs(
        &mut self,
        judged: &Path,
        request: &Request,
        judge: impl FnOnce() -> Judged,
    ) -> (Judged, Option<String>) {
        self.become_like(judged);
        let path = judged.join(request.dir.unwrap_or_default()).join(request.path.trim_end_matches(['/', '.']));
        let old = match fs::symlink_metadata(path) {
            Ok(stat) if stat.is_symlink() => Old::Link,
            Ok(_) => Old::Other,
            Err(_) => Old::Nothing,
        };
        let arguments = json!({ "steps": [request.step()] }).to_string();
        let plain = told(request, &self.stock.answer(&self.folder, "raw", &arguments)[0]);
        let said = judge();
        let (gate, plain) = (said.said.as_ref().map_err(|code| *code), plain.as_ref().map_err(String::as_str));
        let leaves_the_same = tree(&self.folder) == tree(judged);
        if (gate == plain && leaves_the_same) || said.row.is_some() {
            return (said, None);
        }
        let met = Met { request, gate, plain, old };
        let difference = match REASONS.iter().find(|reason| (reason.explains)(&met)) {
            Some(reason) => {
                self.used.insert(reason.row);
                None
            }
            None => Some(format!(
                "{}\n  gate  {gate:?}\n  plain {plain:?}{}",
                request.step(),
                if leaves_the_same { "" } else { ", and leaves something else behind" },
            )),
        };
        (said, difference)
    }

    #[allow(clippy::disallowed_methods, reason = "cp keeps times, and files that have several names")]
    fn become_like(&self, judged: &Path) {
        if self.folder.exists() {
            if tree(&self.folder) == tree(judged) {
                return;
            }
            fs::remove_dir_all(&self.folder).expect("an old folder");
        }
        let copied = Command::new("cp").arg("-a").args([judged, &self.folder]).status().expect("cp");
        assert!(copied.success(), "{copied}");
    }

    /// Asserts that every reason was met, and that a row tells it.
    pub(crate) fn assert_reasons(&self) {
        for Reason { row, .. } in REASONS {
            assert_documented(row);
            assert!(self.used.contains(row), "no request shows: {row}");
        }
    }
}

#[test]
fn a_read_of_nothing_ends_no_stream() {
    let row = "a read of 0 bytes from a stream";
    assert_documented(row);
    let mut site = Site::new();
    let tool = site.load(site.set(ALL));
    let read = |len: u64| json!({ "op": "read", "of": "s", "len": len });
    let steps = [
        json!({ "op": "open", "of": "/docs", "path": "a.txt", "flags": ["read"], "name": "a" }),
        json!({ "op": "input", "of": "a", "name": "s" }),
        read(0),
        read(5),
    ];
    let gate = site.steps(&tool, "handles", &steps).outcomes;
    let arguments = json!({ "steps": steps }).to_string();
    let plain = Stock::new(prober()).answer(&site.lab.path("docs"), "handles", &arguments);
    assert_eq!((&gate[2]["ok"], &gate[3]["ok"]), (&json!(""), &json!("alpha")));
    assert_eq!((&plain[2]["ok"], &plain[3]["ok"]), (&json!(""), &json!("")), "else there is no difference: {row}");
}

//! A hundred uses of Python's library and sixty of JavaScript's, behind the gate and in the twin: the same component under plain
//! wasmtime (`library/twin.py`). Both give what the uses say, and end alike; what the gate ends otherwise stands in a table.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tollgate_audit::Entry;
use tollgate_wasi_proxy::UNNAMEABLE;

use crate::project::{Project, Said, copy, installed_or_missing, repository, scratch, text};

/// How a call ends that gives no answer: by the tool's own refusal, its code and the beginning of its message; by a trap, and
/// words of the message; or because a rule does not hold.
#[derive(Debug)]
enum Ending {
    Refused(&'static str, &'static str),
    Trapped(&'static str),
    Denied(&'static str),
}

use Ending::{Denied, Refused, Trapped};

/// What the gate ends otherwise than plain wasmtime, and why.
const DIFFERENCES: [(&str, Ending, Ending, &str); 2] = [
    (
        "socket",
        Denied("net"),
        Refused("not-permitted", "Permission denied"),
        "an attempt to reach the network is a violation",
    ),
    (
        "connect",
        Denied("net"),
        Refused("not-permitted", "Permission denied"),
        "an attempt to reach the network is a violation",
    ),
];

const NO_THREAD: &str = "RuntimeError: can't start new thread: a component has one thread: call the function itself";

const PYTHON_ENDINGS: [(&str, Ending); 20] = [
    ("thread", Refused("exception", NO_THREAD)),
    ("pool", Refused("exception", NO_THREAD)),
    ("hang", Refused("exception", "RuntimeError: every coroutine waits for another, or for what never happens")),
    (
        "late-import",
        Refused(
            "exception",
            "ModuleNotFoundError: No module named 'yaml': a component has the modules that were imported",
        ),
    ),
    ("no-module", Refused("exception", "ModuleNotFoundError: No module named 'ssl': Python has none in a component")),
    ("sys-exit", Refused("exception", "SystemExit: 3 (at tool.py:")),
    (
        "half",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at names[1]: a text with '\\udcff', which is half a character",
        ),
    ),
    ("half-error", Refused("exception", "ValueError: \\udcff (at tool.py:")),
    ("untold", Refused("exception", "Untold: (Untold has no text: ZeroDivisionError) (at tool.py:")),
    (
        "date",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at days[0]: a value of the type date: write .isoformat()",
        ),
    ),
    (
        "decimal",
        Refused("invalid-answer", "the answer cannot be JSON: at [0]: a value of the type Decimal: write str(…)"),
    ),
    ("enum", Refused("invalid-answer", "the answer cannot be JSON: a value of the type Colour: write .value")),
    (
        "path",
        Refused("invalid-answer", "the answer cannot be JSON: at file: a value of the type PosixPath: write str(…)"),
    ),
    ("set", Refused("invalid-answer", "the answer cannot be JSON: at tags: a value of the type set: write sorted(…)")),
    (
        "bytes",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at [0]: a value of the type bytes: write .decode() of a text",
        ),
    ),
    ("circle", Refused("invalid-answer", "the answer cannot be JSON: at inner: the Node holds itself")),
    ("lock", Trapped("unreachable")),
    ("exit", Trapped("exit")),
    ("abort", Trapped("unreachable")),
    ("deep", Trapped("stack")),
];

const JAVASCRIPT_ENDINGS: [(&str, Ending); 20] = [
    ("never", Refused("never-settles", "the promise that the operation returned never settles")),
    ("timer", Refused("exception", "Error: late (at tool.js:")),
    ("Intl", Refused("exception", "ReferenceError: Intl is not defined: this engine has no Intl")),
    (
        "normalize",
        Refused("exception", "TypeError: \"a\".normalize is not a function: this engine has no tables of Unicode"),
    ),
    (
        "property",
        Refused("exception", "SyntaxError: invalid property name in regular expression: this engine has no tables"),
    ),
    (
        "import",
        Refused(
            "exception",
            "TypeError: import(name): a component has the modules that were imported when it was built",
        ),
    ),
    (
        "rounded",
        Refused("invalid-answer", "the answer cannot be JSON: at total[0].bytes: 1152921504606847000 is beyond 2^53"),
    ),
    ("nan", Refused("invalid-answer", "the answer cannot be JSON: at [0]: NaN is no number in JSON: write null")),
    (
        "map",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at tags: a Map is no value in JSON: write Object.fromEntries(…)",
        ),
    ),
    ("set", Refused("invalid-answer", "the answer cannot be JSON: at tags: a Set is no value in JSON: write [...…]")),
    (
        "bytes",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at data: a Uint8Array is no value in JSON: write Array.from(…)",
        ),
    ),
    (
        "promise",
        Refused("invalid-answer", "the answer cannot be JSON: at later: a Promise is no value in JSON: write await"),
    ),
    (
        "function",
        Refused("invalid-answer", "the answer cannot be JSON: at call: a function is no value in JSON: leave it out"),
    ),
    (
        "iterator",
        Refused("invalid-answer", "the answer cannot be JSON: at tags: an iterator is no value in JSON: write [...…]"),
    ),
    (
        "opaque",
        Refused(
            "invalid-answer",
            "the answer cannot be JSON: at [0]: a Headers is no value in JSON: write what it holds",
        ),
    ),
    ("untold", Refused("exception", "(a value that cannot be shown)")),
    ("half", Refused("invalid-answer", "the answer cannot be JSON: at [0]: a text with half a character, \"\\ud800\"")),
    ("half-error", Refused("exception", "Error: \u{fffd} (at tool.js:")),
    ("circle", Refused("invalid-answer", "the answer cannot be JSON: at inner.all: the object holds itself")),
    ("deep", Refused("invalid-answer", "the answer cannot be JSON: at [0][0][0]")),
];

/// The recipe of the guide for folders with secrets in them.
const EXCLUDES: &str = r#"
[tools.python-library]
random = "secure"
clocks = { wall = "real", monotonic = "real" }
stdio = ["stdin", "stdout", "stderr"]
fs."/d" = { host = "d", access = ["read", "list", "metadata", "create", "write", "delete"], exclude = [".*"] }
limits = { fuel = 10_000_000_000, memory = "128MiB", deadline = "60s" }
"#;

/// The methods of the console.
const CONSOLE: [&str; 19] = [
    "assert",
    "clear",
    "count",
    "countReset",
    "debug",
    "dir",
    "dirxml",
    "error",
    "group",
    "groupCollapsed",
    "groupEnd",
    "info",
    "log",
    "table",
    "time",
    "timeEnd",
    "timeLog",
    "trace",
    "warn",
];

/// What they write, in the order in which the tool calls them.
const CONSOLE_LINES: [(&str, &str); 26] = [
    ("info", r#"log 1 {"a":["2n"]} TypeError: why undefined"#),
    ("info", "two"),
    ("info", "lines"),
    ("info", "%s as it is"),
    ("info", "shown [object Object]"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
    ("debug", "debug"),
    ("debug", "Trace: here 1 "),
    ("debug", "AT"),
    ("info", r#"{"a":1}"#),
    ("info", "a b"),
    ("info", r#"[{"a":1},{"a":2}]"#),
    ("error", "Assertion failed so 1"),
    ("info", "default: 1"),
    ("info", "own: 1"),
    ("info", "default: 2"),
    ("info", "default: 1"),
    ("info", "outer"),
    ("info", "  in"),
    ("info", "  inner"),
    ("warn", "    deep"),
    ("info", "out"),
    ("info", "span: N ms so far"),
    ("info", "span: N ms"),
];

const CLOCKS: [&str; 3] = ["random=secure", "clock:wall=real", "clock:monotonic=real"];
const LIMITS: [&str; 3] = ["limit:fuel=10000000000", "limit:memory=128MiB", "limit:deadline=60s"];

pub(crate) fn of_python((): ()) {
    let Some(library) = Library::build("python", "python-library", ".venv", "venv") else { return };
    library.gives_what_its_uses_say(100);
    for (how, ending) in &PYTHON_ENDINGS {
        library.ends(how, ending, ending);
    }
    for (how, here, in_the_twin, why) in &DIFFERENCES {
        println!("{how} differs: {why}");
        library.ends(how, here, in_the_twin);
    }
    library.walks_to_the_end();
}

pub(crate) fn of_javascript((): ()) {
    let Some(library) = Library::build("javascript", "javascript-library", "node_modules", "js/node_modules") else {
        return;
    };
    library.gives_what_its_uses_say(60);
    for (how, ending) in &JAVASCRIPT_ENDINGS {
        library.ends(how, ending, ending);
    }
    library.keeps_integers_whole();
    library.tells_each_line_of_the_console();
}

/// A tool of many uses.
struct Library {
    project: Project,
    python: PathBuf,
    grants: Vec<&'static str>,
}

impl Library {
    /// Builds it with the SDK of its language, if all is installed.
    fn build(language: &str, name: &'static str, link: &str, linked: &str) -> Option<Self> {
        let modules = installed_or_missing(linked)?;
        let python = installed_or_missing("venv/bin/python")?;
        // The last that `.ci/run` installs there.
        installed_or_missing("twin")?;
        let source = scratch().join("library-source").join(language);
        fs::remove_dir_all(&source).ok();
        copy(&repository().join("tests/languages/library").join(language), &source);
        copy(&repository().join("guest-sdk").join(language), &source.join("vendor"));
        let project = Project::build_from(&source, name, (link, &modules));
        let own: &[_] = if language == "python" {
            &["fs:/d=d:read,list,metadata,create,write,delete", "stdio=stdin,stdout,stderr"]
        } else {
            &["stdio=stderr"]
        };
        let grants = CLOCKS.into_iter().chain(LIMITS).chain(own.iter().copied()).collect();
        Some(Self { project, python, grants })
    }

    /// Each use gives what it says, here and in the twin.
    fn gives_what_its_uses_say(&self, least: usize) {
        let here = self.here("use", &json!({ "folder": "/d" })).answer().clone();
        let twin = self.twin("use", &json!({ "folder": "/d" }));
        for (side, answer) in [("behind the gate", &here), ("in the twin", &twin["answer"])] {
            let uses = answer.as_object().unwrap_or_else(|| panic!("{side}: {twin}"));
            assert!(uses.len() >= least, "{} uses", uses.len());
            for (name, found) in uses {
                assert_eq!(found[0], found[1], "{name}, {side}");
            }
        }
    }

    /// The operation `end` ends so, here and in the twin.
    fn ends(&self, how: &str, here: &Ending, in_the_twin: &Ending) {
        let arguments = json!({ "how": how });
        let said = self.here("end", &arguments);
        let error = &said.json["error"];
        match here {
            Refused(code, start) => assert_refusal(how, (&error["code"], &error["message"]), (code, start)),
            Trapped(words) => {
                assert_eq!(error["kind"], "trap", "{how}: {}", said.json);
                assert!(error["message"].to_string().contains(words), "{how}: {}", said.json);
            }
            Denied(rule) => assert_eq!((said.exit, error["rule"].as_str()), (3, Some(*rule)), "{how}: {}", said.json),
        }
        let twin = self.twin("end", &arguments);
        match in_the_twin {
            Refused(code, start) => assert_refusal(how, (&twin["refusal"][0], &twin["refusal"][1]), (code, start)),
            Trapped(words) => assert!(twin["trap"].to_string().contains(words), "{how}: {twin}"),
            Denied(rule) => panic!("{how}: nothing is denied by {rule} in the twin"),
        }
    }

    /// Integers beyond 2^53 are refused with their place, or answered as they are.
    fn keeps_integers_whole(&self) {
        let large = json!({ "value": [{ "n": 9_007_199_254_740_993_u64 }] });
        let said = self.here("echo", &large);
        let (code, message) = said.refusal();
        assert_refusal(
            "echo",
            (&code.into(), &message.into()),
            ("invalid-arguments", "at value[0].n: 9007199254740993 is beyond"),
        );
        assert_eq!(self.twin("echo", &large)["refusal"], json!([code, message]));

        let whole = json!(["9007199254740993", 9_007_199_254_740_991_u64, -5, 1.5e300, "a \"12345678901234567890\" b"]);
        assert_eq!(self.here("echo", &json!({ "value": whole })).answer(), &whole);
        assert_eq!(self.twin("echo", &json!({ "value": whole }))["answer"], whole);

        let exact = json!({ "total": [1_152_921_504_606_846_976_u64, 1e300, 0.1, -9_007_199_254_740_991_i64] });
        assert_eq!(self.here("end", &json!({ "how": "exact" })).answer(), &exact);
        assert_eq!(self.twin("end", &json!({ "how": "exact" }))["answer"], exact);
    }

    /// `os.walk` over folders that other tools left: what the tool cannot have is hidden or a name, and stops nothing.
    fn walks_to_the_end(&self) {
        let folder = self.empty_folder();
        fs::create_dir_all(folder.join("sub")).expect("a folder");
        for file in ["a.txt", "sub/b.txt", ".env", "sub/.key"] {
            fs::write(folder.join(file), "x").expect("a file");
        }
        symlink("sub", folder.join("within")).expect("a link");
        let policy = self.project.folder().join("tollgate.toml");
        fs::write(&policy, EXCLUDES).expect("a policy");
        let said = self.project.run("walk", &json!({ "folder": "/d" }), &[]);
        fs::remove_file(policy).expect("the policy");
        assert_eq!(said.answer(), &json!([["/d", ["sub"], ["a.txt"]], ["/d/sub", [], ["b.txt"]]]), "with patterns");

        // As a virtual environment has them: to a file and to a folder.
        symlink("/usr/bin/env", folder.join("python")).expect("a link");
        symlink("/usr", folder.join("sub/lib64")).expect("a link");
        let said = self.project.run("walk", &json!({ "folder": "/d" }), &self.grants);
        let sub = json!(["/d/sub", [], [".key", "b.txt", "lib64"]]);
        let all = json!([["/d", ["sub", "within"], [".env", "a.txt", "python"]], sub]);
        assert_eq!(said.answer(), &all, "with links that lead out");
        let denied = said.entries.iter().filter(|entry| matches!(entry, Entry::Violation(_))).count();
        assert_eq!(denied, 2, "each is on record: {:?}", said.entries);

        let odd = folder.join(OsStr::from_bytes(b"caf\xe9"));
        fs::create_dir(&odd).expect("a file system that takes any bytes");
        fs::write(odd.join("c.txt"), "x").expect("a file");
        let said = self.project.run("walk", &json!({ "folder": "/d" }), &self.grants);
        assert_eq!(said.answer(), &all, "with a name that WASI cannot say");
        let counted = said.entries.iter().filter_map(|entry| match entry {
            Entry::CallEnd(end) => end.counters.get(UNNAMEABLE).copied(),
            _ => None,
        });
        assert_eq!(counted.collect::<Vec<_>>(), [1]);
    }

    /// By method, level and text.
    fn tells_each_line_of_the_console(&self) {
        let said = self.here("console", &json!({}));
        assert_eq!(said.answer(), &json!(CONSOLE));
        let lines = said.json["log"].as_array().expect("a log").iter().map(|line| {
            let text = line["text"].as_str().expect("a text");
            // How long it took, and where it stood, is another matter each time.
            let text = match text.strip_prefix("span: ").and_then(|rest| rest.split_once(' ')) {
                Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => format!("span: N {rest}"),
                _ if line["level"] == "debug" && text.contains(".js:") => "AT".to_owned(),
                _ => text.to_owned(),
            };
            (line["level"].as_str().expect("a level").to_owned(), text)
        });
        let mut lines: Vec<_> = lines.collect();
        lines.dedup_by(|line, before| line.1 == "AT" && before.1 == "AT");
        let lines: Vec<_> = lines.iter().map(|(level, text)| (level.as_str(), text.as_str())).collect();
        assert_eq!(lines, CONSOLE_LINES);
    }

    fn here(&self, operation: &str, arguments: &Value) -> Said {
        self.empty_folder();
        self.project.run(operation, arguments, &self.grants)
    }

    /// A call in the twin, which sees the same folder.
    fn twin(&self, operation: &str, arguments: &Value) -> Value {
        let folder = self.empty_folder();
        let twin = repository().join("tests/languages/library/twin.py");
        let mut command = Command::new(&self.python);
        command.arg(twin).arg(self.project.component()).arg(folder).env("XDG_CACHE_HOME", scratch());
        let call = tempfile::NamedTempFile::new().expect("a file");
        fs::write(call.path(), json!([operation, arguments]).to_string()).expect("a file");
        let ran = command.stdin(Stdio::from(call.reopen().expect("a file"))).output().expect("Python");
        serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&ran.stdout), text(&ran.stderr)))
    }

    fn empty_folder(&self) -> PathBuf {
        let folder = self.project.folder().join("d");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir(&folder).expect("a folder");
        folder
    }
}

fn assert_refusal(how: &str, (code, message): (&Value, &Value), (expected, start): (&str, &str)) {
    assert_eq!(code.as_str(), Some(expected), "{how}: {message}");
    let message = message.as_str().unwrap_or_default();
    assert!(message.starts_with(start), "{how}: {message:?} does not begin with {start:?}");
}

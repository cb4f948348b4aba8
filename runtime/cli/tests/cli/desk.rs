//! A fresh folder to run the program in: texts in `docs`, tools in `tools`, a ledger in `ledger`, what is installed and
//! compiled in `tollgate-home`.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
pub(crate) use tollgate_example_tools::guest;

/// How the line ends that names a policy that was found.
pub(crate) const POLICY_FOUND: &str = "/tollgate.toml (found in this folder)";

/// What is said where compiling takes long, as it may on a machine that does much else.
pub(crate) const COMPILING: &str = "compiling, which is kept for the next time …";
/// The same of building in Python or JavaScript.
pub(crate) const BUILDING: &str = "building …";

/// Has word-count count `docs`, for which it needs [`DOCS`].
pub(crate) const COUNT: [&str; 6] =
    ["run", "tools/word-count.wasm", "--op", "count", "--input", r#"{"folder": "/docs"}"#];

/// The rights that word-count needs, granted.
pub(crate) const DOCS: [&str; 2] = ["--grant", "fs:/docs=docs:read,list"];

pub(crate) struct Desk {
    folder: TempDir,
    /// Where what is installed and compiled lies, if not in the folder.
    home: Option<PathBuf>,
}

/// The files of the current version of an installed tool.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) record: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) component: PathBuf,
    pub(crate) manifest: PathBuf,
    pub(crate) artifact: PathBuf,
    pub(crate) operations: PathBuf,
}

impl Stored {
    /// By what its record says below the folder of tools.
    pub(crate) fn of(tools: &Path, name: &str) -> Self {
        let record = tools.join(format!("{name}.json"));
        let text: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        let mut versions = text["versions"].as_array().unwrap().iter();
        let current = versions.find(|version| version["component"] == text["current"]).unwrap();
        let hex = |digest: &Value| digest.as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        let folder = tools.join("components.sha256").join(hex(&current["component"]));
        Self {
            record,
            component: folder.join("component.wasm"),
            manifest: folder.join(format!("{}.toml", hex(&current["manifest"]))),
            artifact: folder.join("component.artifact"),
            operations: folder.join("operations"),
            folder,
        }
    }

    pub(crate) fn all(&self) -> [&PathBuf; 5] {
        [&self.record, &self.component, &self.manifest, &self.artifact, &self.operations]
    }
}

impl Desk {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), home: None }
    }

    pub(crate) fn new() -> Self {
        let desk = Self::empty();
        desk.file("docs/a.txt", "to be or not to be\n");
        desk.file("docs/b.txt", "that is\nthe question\n");
        desk.file("secret.txt", "swordfish\n");
        desk
    }

    /// A desk with a tool in `tools`, its manifest beside it.
    pub(crate) fn with(name: &str) -> Self {
        let desk = Self::new();
        desk.place(name);
        desk
    }

    /// A desk that shares with others what is compiled.
    pub(crate) fn at_home(home: &Path) -> Self {
        Self { home: Some(home.to_owned()), ..Self::new() }
    }

    /// Where what is installed and compiled lies.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(|| self.path("tollgate-home"))
    }

    /// Puts a tool into `tools`, its manifest beside it.
    pub(crate) fn place(&self, name: &str) {
        let guest = guest(name);
        fs::create_dir_all(self.path("tools")).unwrap();
        fs::copy(guest.component, self.path(&format!("tools/{name}.wasm"))).unwrap();
        fs::copy(guest.manifest, self.path(&format!("tools/{name}.toml"))).unwrap();
    }

    /// The files of a tool that is installed in its home.
    pub(crate) fn stored(&self, name: &str) -> Stored {
        Stored::of(&self.home().join("tools"), name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Replaces text in a file that is there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        fs::write(self.path(name), text.replace(from, to)).unwrap();
    }

    /// The program, in the folder, with its ledger there.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("TOLLGATE_LEDGER", "ledger").env_remove("XDG_STATE_HOME");
        command.env("TOLLGATE_HOME", self.home());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.ran(&self.command(args).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that needs no input may end before it has read any.
        let given = child.stdin.take().unwrap().write_all(input);
        assert!(given.is_ok() || given.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe));
        self.ran(&child.wait_with_output().unwrap())
    }

    /// Runs word-count over `docs`, with more arguments.
    pub(crate) fn count(&self, more: &[&str]) -> Ran {
        self.run(&[&COUNT[..], &DOCS, more].concat())
    }

    /// The entries of the ledger, as `audit show --json` prints them; none where there is no ledger.
    pub(crate) fn entries(&self) -> Vec<Value> {
        if !self.path("ledger").exists() {
            return Vec::new();
        }
        let shown = self.run(&["audit", "show", "--json"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The id of the last call of this operation.
    pub(crate) fn call_of(&self, operation: &str) -> String {
        let entries = self.entries();
        let call = entries.iter().rfind(|entry| entry["operation"] == operation);
        call.unwrap_or_else(|| panic!("no call of {operation}"))["call"].as_str().unwrap().to_owned()
    }

    /// The id of the last call of any operation.
    pub(crate) fn last_call(&self) -> String {
        let entries = self.entries();
        let is_call = |entry: &&Value| entry["operation"].as_str().is_some_and(|name| name != "tollgate:describe");
        entries.iter().rfind(is_call).expect("a call")["call"].as_str().unwrap().to_owned()
    }

    /// The ledger's key, as `--key` takes it.
    pub(crate) fn key(&self) -> String {
        self.run(&["audit", "key"]).stdout.trim().to_owned()
    }

    /// Starts a call that never ends by itself, and waits until its ledger is in use.
    pub(crate) fn sleeper(&self) -> Sleeper<'_> {
        self.place("sleep-forever");
        fs::remove_file(self.path("tools/sleep-forever.toml")).unwrap();
        fs::remove_file(self.path("ledger/lock")).ok();
        let grants = ["--grant", "clock:monotonic=real", "--grant", "limit:deadline=1h"];
        let sleep = [&["run", "tools/sleep-forever.wasm"][..], &grants].concat();
        let run = Background(self.command(&sleep).spawn().unwrap());
        wait_for(&self.path("ledger/lock"), |bytes| bytes.ends_with(b"\n"));
        let lock = fs::read_to_string(self.path("ledger/lock")).unwrap();
        Sleeper { run: Some(run), notary: lock.split(' ').next().unwrap().to_owned(), desk: self }
    }

    /// Waits until no process has the ledger.
    fn wait_until_free(&self) {
        let start = std::time::Instant::now();
        while fs::File::open(self.path("ledger/lock")).unwrap().try_lock().is_err() {
            assert!(start.elapsed().as_secs() < 30, "the notary does not end");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Operations that were called, by the ledger.
    pub(crate) fn called(&self) -> Vec<String> {
        let operations = self.entries().into_iter().filter_map(|entry| Some(entry["operation"].as_str()?.to_owned()));
        operations.filter(|operation| operation != "tollgate:describe").collect()
    }

    pub(crate) fn ran(&self, output: &Output) -> Ran {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
            let folder = fs::canonicalize(self.folder.path()).unwrap();
            text.replace(folder.to_str().unwrap(), "FOLDER")
        };
        let said = text(&output.stderr).replace(&format!("{COMPILING}\n"), "");
        let (policy, stderr) = match said.split_once('\n') {
            Some((policy, rest)) if policy.ends_with(POLICY_FOUND) => (Some(policy.to_owned()), rest.to_owned()),
            Some(_) | None => (None, said),
        };
        let code = output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"));
        let ran = Ran { code, stdout: text(&output.stdout), policy, stderr };
        assert!(!ran.stderr.contains("thread '"), "the program panicked: {ran:?}");
        assert!((0..=5).contains(&ran.code) || [75, 130].contains(&ran.code), "{ran:?}");
        ran
    }
}

/// How the program ended and what it printed, the desk's folder written as `FOLDER`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    /// The line that names the policy that was found, which comes first on stderr.
    pub(crate) policy: Option<String>,
    /// What else is on stderr.
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts success and silence on stderr, and returns the one line of JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{self:?}");
        self.report()
    }

    /// The one line of JSON on stdout, however it ended.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts an exit code, an empty stdout and the words of an error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{self:?}");
        self.says(words);
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in:\n{}", self.stderr);
        }
    }

    /// What it printed to stderr, with ids of calls written as `CALL`.
    pub(crate) fn golden(&self) -> String {
        let mark = "  call      ";
        let line = |line: &str| if line.starts_with(mark) { format!("{mark}CALL\n") } else { format!("{line}\n") };
        self.stderr.lines().map(line).collect()
    }
}

/// A process that is ended with the test.
pub(crate) struct Background(pub(crate) Child);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A call that never ends by itself. Its worker is killed with the test; the notary, which outlives it for a moment, is
/// waited for.
pub(crate) struct Sleeper<'d> {
    pub(crate) run: Option<Background>,
    /// The process that has the ledger.
    pub(crate) notary: String,
    desk: &'d Desk,
}

impl Sleeper<'_> {
    /// Ends the call as soon as `waiter`, whose stderr is a pipe, says that it waits for it; how that one ended.
    pub(crate) fn end_once_waited_for(self, mut waiter: Child) -> Ran {
        let mut said = String::new();
        let mut stderr = BufReader::new(waiter.stderr.take().unwrap());
        stderr.read_line(&mut said).unwrap();
        let why = format!("the ledger is in use by process {}\n", self.notary);
        assert!(said.starts_with("waiting up to ") && said.ends_with(&why), "{said}");
        let desk = self.desk;
        drop(self);
        // It says so once.
        stderr.read_to_string(&mut said).unwrap();
        let output = waiter.wait_with_output().unwrap();
        desk.ran(&Output { stderr: said.into_bytes(), ..output })
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        drop(self.run.take());
        self.desk.wait_until_free();
    }
}

/// Waits until `path` is there.
pub(crate) fn wait_for(path: &Path, ready: impl Fn(&[u8]) -> bool) {
    let start = std::time::Instant::now();
    while !fs::read(path).is_ok_and(|bytes| ready(&bytes)) {
        assert!(start.elapsed().as_secs() < 30, "{} does not become ready", path.display());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

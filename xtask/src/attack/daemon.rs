//! A daemon that is attacked, with the hostile tool under two names, and clients of any kind: whatever bytes they send, whoever they
//! run as. Must never leave the daemon behind.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine::{children, is_root, run};
use super::ran::{Ran, Verdict};
use super::scene::Scene;
use crate::Result;

/// Where the policy of a scene's home stands.
pub(super) const POLICY: &str = "home/config/tollgate/tollgate.toml";

/// Both tools may wait, and nothing else.
pub(super) const TOOLS: &str = "[tools.hostile]\nclocks = { monotonic = \"real\" }\nlimits = { deadline = \"1h\", calls = 16 }\n\n\
     [tools.second]\n";

/// A user that nobody is.
pub(super) const STRANGER: u32 = 65533;

/// A daemon that serves.
pub(super) struct Daemon<'s> {
    pub(super) scene: &'s Scene<'s>,
    child: Child,
}

impl<'s> Daemon<'s> {
    /// Installs the hostile tool as `hostile` and as `second`, and starts a daemon in the project's folder.
    pub(super) fn start(scene: &'s Scene<'s>, policy: &str) -> Result<Self> {
        Self::with_needs(scene, policy, "")
    }

    /// The same, where `second` needs something too.
    pub(super) fn with_needs(scene: &'s Scene<'s>, policy: &str, needs: &str) -> Result<Self> {
        let waits = "[needs]\nclocks = { monotonic = \"real\" }\n\n[limits]\ndeadline = \"1h\"\n";
        for (name, needs) in [("hostile", waits), ("second", needs)] {
            let manifest =
                format!("[tool]\nname = \"{name}\"\nversion = \"1.0.0\"\n\n[[operations]]\nname = \"play\"\n{needs}");
            scene.file("tools/manifest.toml", manifest)?;
            let args = ["install", "../tools/hostile.wasm", "--name", name, "--manifest", "../tools/manifest.toml"];
            scene.tollgate(&args)?.done()?;
        }
        Self::again(scene, policy)
    }

    /// The same, with the tools that are installed.
    pub(super) fn again(scene: &'s Scene<'s>, policy: &str) -> Result<Self> {
        scene.file(POLICY, policy)?;
        scene.mode(POLICY, 0o600)?;
        scene.dir("sockets")?;
        scene.mode("sockets", 0o755)?;
        let mut command = scene.command(&scene.stage.tollgate, &["serve", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(scene.path("said"))?);
        let mut child = command.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let daemon = Self { scene, child };
        if line.contains("\"ok\":true") {
            Ok(daemon)
        } else {
            Err(format!("no daemon: {line}{}", daemon.said()).into())
        }
    }

    /// What it told its operator.
    pub(super) fn said(&self) -> String {
        self.scene.text("said").unwrap_or_default()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it stands; an error where it does not say so.
    pub(super) fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.scene.tollgate(&["status", "--json"])?.done()?.out)?)
    }

    /// The socket of an agent.
    pub(super) fn socket(&self, agent: &str) -> Result<PathBuf> {
        let status = self.status()?;
        let agents = status.get("agents").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_it = |found: &&Value| found.get("agent").is_some_and(|name| name == agent);
        let socket = agents.iter().find(is_it).and_then(|found| found.get("socket")).and_then(Value::as_str);
        Ok(socket.ok_or_else(|| format!("there is no agent {agent}: {status}"))?.into())
    }

    /// A client of an agent.
    pub(super) fn client(&self, agent: &str) -> Result<Client> {
        Client::connect(&self.socket(agent)?)
    }

    /// The process of a role, such as `gateway`, if there is just one.
    pub(super) fn process(&self, role: &str) -> Result<u32> {
        match self.processes(role).as_slice() {
            [only] => Ok(*only),
            others => Err(format!("not one {role}, but {others:?}").into()),
        }
    }

    pub(super) fn processes(&self, role: &str) -> Vec<u32> {
        let is_it = |pid: &u32| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split('\0').nth(1) == Some(role)
        };
        children(self.pid()).into_iter().filter(is_it).collect()
    }

    /// Kills it, as nothing but the kernel can.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it; then the ledger must verify.
    pub(super) fn end(mut self) -> Result<Vec<Value>> {
        self.scene.tollgate(&["serve", "stop"])?.done()?;
        self.child.wait()?;
        self.scene.tollgate(&["audit", "verify"])?.done()?;
        entries(self.scene)
    }

    /// That it serves as ever.
    pub(super) fn must_serve(&self, agent: &str, token: Option<&str>) -> Result<()> {
        let mut client = self.client(agent)?;
        if let Some(token) = token {
            client.say(format!("token {token}\n").as_bytes())?;
        }
        let answer = client.call("hostile", &json!([]), json!({}))?;
        if is_answered(&answer) { Ok(()) } else { Err(format!("nobody is served any more: {answer}").into()) }
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // It is gone where the attack has ended it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The entries of the scene's ledger.
pub(super) fn entries(scene: &Scene<'_>) -> Result<Vec<Value>> {
    let shown = scene.tollgate(&["audit", "show", "--json"])?.done()?.out;
    Ok(shown.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?)
}

/// The calls of tools among entries.
pub(super) fn calls(entries: &[Value]) -> Vec<&Value> {
    let is_call = |entry: &&Value| of(entry, "kind") == "call" && of(entry, "operation") == "play";
    entries.iter().filter(is_call).collect()
}

/// A text in a JSON object; empty if there is none.
pub(super) fn of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A client that speaks JSON-RPC by lines, or whatever it likes.
pub(super) struct Client(BufReader<UnixStream>);

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(super) fn say(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// As [`say`](Self::say), with less patience.
    pub(super) fn say_within(&mut self, bytes: &[u8], patience: Duration) -> std::io::Result<()> {
        self.0.get_ref().set_write_timeout(Some(patience))?;
        self.say(bytes)
    }

    /// Nothing more comes of this client.
    pub(super) fn ends(&self) -> std::io::Result<()> {
        self.0.get_ref().shutdown(std::net::Shutdown::Write)
    }

    /// The next line; none once the connection is closed. One that stays open in silence is an error.
    pub(super) fn hear(&mut self) -> Result<Option<Value>> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?)),
            Err(error) if is_closed(error.kind()) => Ok(None),
            Err(error) => Err(format!("neither an answer nor the end: {error}").into()),
        }
    }

    /// All that comes until the end, as far as it is text.
    pub(super) fn rest(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        match self.0.by_ref().take(REST_BYTES_MAX).read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if is_closed(error.kind()) => {}
            Err(error) => return Err(format!("neither an answer nor the end: {error}").into()),
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Asks, and hears the answer: null where the connection is closed instead.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        if self.say(format!("{line}\n").as_bytes()).is_err() {
            return Ok(Value::Null);
        }
        Ok(self.hear()?.unwrap_or(Value::Null))
    }

    /// Calls a tool with steps; `more` are other parameters, such as claims.
    pub(super) fn call(&mut self, tool: &str, steps: &Value, more: Value) -> Result<Value> {
        self.ask("call", &params(tool, steps, more))
    }

    /// Begins a call that lasts, under this id.
    pub(super) fn begin_waiting(&mut self, id: &Value) -> Result<()> {
        let params = params("hostile", &json!([{"do": "wait", "len": 3_600_000_000_000_u64}]), json!({}));
        let line = json!({ "jsonrpc": "2.0", "id": id, "method": "call", "params": params });
        Ok(self.say(format!("{line}\n").as_bytes())?)
    }
}

fn params(tool: &str, steps: &Value, more: Value) -> Value {
    let mut params = json!({ "tool": tool, "operation": "play", "arguments": { "steps": steps } });
    if let (Some(params), Value::Object(more)) = (params.as_object_mut(), more) {
        params.extend(more);
    }
    params
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Whether a call has its answer.
pub(super) fn is_answered(answer: &Value) -> bool {
    answer.pointer("/result/ok") == Some(&Value::Bool(true))
}

/// Whether an answer is this kind of error, and says so.
pub(super) fn is_refused(answer: &Value, kind: &str, words: &str) -> bool {
    answer.pointer("/error/data/error/kind").and_then(Value::as_str) == Some(kind)
        && answer.pointer("/error/message").and_then(Value::as_str).is_some_and(|said| said.contains(words))
}

/// A request over HTTP with a body, to be the connection's last one.
pub(super) fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /v1/call HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: \
         {length}\r\n\r\n{body}"
    )
}

/// An effect is an attack that reached; what must be so beside it, and is not, leaves the attack unclear.
pub(super) fn verdict(effects: &[(bool, &str)], musts: &[(bool, &str)], held_by: &str) -> Result<Verdict> {
    if let Some((_, effect)) = effects.iter().find(|(has, _)| *has) {
        return Ok(Verdict::Reached((*effect).to_owned()));
    }
    match musts.iter().find(|(is_so, _)| !is_so) {
        Some((_, must)) => Err(format!("nothing happened, but this is not so: {must}").into()),
        None => Ok(Verdict::Held(held_by.to_owned())),
    }
}

/// Waits until it is so.
pub(super) fn await_that(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        if started.elapsed() > PATIENCE {
            return Err(format!("it does not come to that: {what}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The most memory that a process has had, in bytes.
pub(super) fn peak_bytes(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    let kib: u64 = peak.and_then(|peak| peak.trim().parse().ok()).ok_or("no peak of memory in /proc")?;
    Ok(kib << 10)
}

/// Has another user connect to a socket, send bytes, and print the first line that comes. None where this process is not root's.
pub(super) fn as_user(scene: &Scene<'_>, uid: u32, socket: &Path, bytes: &[u8]) -> Result<Option<Ran>> {
    fs::write(scene.path("sent"), bytes)?;
    let mut command = Command::new(scene.stage.client()?);
    command.arg("client").arg(socket).arg(scene.path("sent"));
    run_as(command, uid)
}

/// Runs a command as another user, who is in no group of ours. None where this process is not root's.
pub(super) fn run_as(mut command: Command, uid: u32) -> Result<Option<Ran>> {
    if !is_root() {
        return Ok(None);
    }
    command.uid(uid).gid(uid);
    run(command).map(Some)
}

/// What is said of an attack that takes another user.
pub(super) fn needs_root() -> Verdict {
    Verdict::Skipped("needs root, to be another user".to_owned())
}

/// What the other user's process does: this program, as [`as_user`] starts it.
pub(crate) fn client(socket: &str, sent: &str) -> Result<()> {
    let mut client = Client::connect(Path::new(socket))?;
    // It may be closed already.
    client.say(&fs::read(sent)?).ok();
    match client.hear()? {
        Some(answer) => println!("{answer}"),
        None => println!("closed without a word"),
    }
    Ok(())
}

/// Device and inode of what stands there.
pub(super) fn id_of(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most that is heard of a connection.
const REST_BYTES_MAX: u64 = 4 << 20;

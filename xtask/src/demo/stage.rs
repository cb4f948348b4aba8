//! The folder in which the demo plays, and one command with what it promises. Must never leave the folder behind.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs, process};

use crate::terminal::{Style, Terminal};
use crate::{Result, cargo};

/// One command of `tollgate`, and what it promises.
pub(super) struct Promise<'a> {
    /// What it shows.
    pub(super) title: &'a str,
    /// What to look at in the output.
    pub(super) look: &'a str,
    pub(super) args: &'a [&'a str],
    pub(super) exit: i32,
    /// What stdout and stderr together must hold.
    pub(super) says: &'a [&'a str],
}

/// A new folder with texts, tools and a ledger, and the count of promises.
pub(super) struct Stage {
    folder: PathBuf,
    tollgate: PathBuf,
    terminal: Terminal,
    kept: u32,
    broken: Vec<String>,
}

impl Stage {
    pub(super) fn new() -> Result<Self> {
        let folder = env::temp_dir().join(format!("tollgate-demo-{}", process::id()));
        fs::create_dir(&folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        let tollgate = cargo::built()?.join("tollgate");
        Ok(Self { folder, tollgate, terminal: Terminal::of_stdout(), kept: 0, broken: Vec::new() })
    }

    /// Where the demo plays.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says what happens between commands.
    pub(super) fn tell(&self, text: &str) {
        println!();
        for line in text.lines() {
            println!("{line}");
        }
    }

    /// Runs a command, prints it and its output, and compares both with the promise. Returns the output.
    pub(super) fn show(&mut self, promise: &Promise<'_>) -> Result<String> {
        let number = self.kept as usize + self.broken.len() + 1;
        println!();
        self.terminal.line(Style::Bold, &format!("{number}. {}", promise.title));
        println!("   {}", promise.look);
        self.terminal.line(Style::Bold, &format!("   $ tollgate {}", shell(promise.args)));
        let output = self.run(promise.args)?;
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        for line in text.lines() {
            println!("   {line}");
        }
        self.judge(number, promise, &output, &text);
        Ok(text)
    }

    fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.tollgate);
        command
            .args(args)
            .current_dir(&self.folder)
            .env("TOLLGATE_LEDGER", "ledger")
            .env("TOLLGATE_HOME", self.folder.join("home"))
            .stdin(Stdio::null());
        let output = command.output();
        output.map_err(|error| format!("cannot start {}: {error}", self.tollgate.display()).into())
    }

    fn judge(&mut self, number: usize, promise: &Promise<'_>, output: &Output, text: &str) {
        let mut faults = String::new();
        if output.status.code() != Some(promise.exit) {
            write!(faults, "; exit {} was promised, this is {}", promise.exit, output.status).unwrap_or_default();
        }
        for word in promise.says.iter().filter(|word| !text.contains(**word)) {
            write!(faults, "; `{word}` was promised and is not there").unwrap_or_default();
        }
        if faults.is_empty() {
            self.kept += 1;
            self.terminal.line(Style::Good, &format!("   [exit {}, as promised]", promise.exit));
        } else {
            let fault = format!("{number}. {}{faults}", promise.title);
            self.terminal.line(Style::Bad, &format!("   NOT AS PROMISED: {fault}"));
            self.broken.push(fault);
        }
    }

    /// Sums up; an error if a promise was not kept.
    pub(super) fn end(self) -> Result<()> {
        let all = self.kept as usize + self.broken.len();
        let summary = format!("demo: {} of {all} as promised", self.kept);
        println!();
        if self.broken.is_empty() {
            self.terminal.line(Style::Good, &summary);
            return Ok(());
        }
        self.terminal.line(Style::Bad, &summary);
        Err(format!("the demo broke promises:\n{}", self.broken.join("\n")).into())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            self.terminal.line(Style::Faint, &format!("{} stays behind: {error}", self.folder.display()));
        }
    }
}

/// The arguments as a shell takes them.
fn shell(args: &[&str]) -> String {
    let plain = |arg: &str| {
        !arg.is_empty() && arg.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:=,@".contains(&byte))
    };
    let quoted = |arg: &&str| if plain(arg) { (*arg).to_owned() } else { format!("'{}'", arg.replace('\'', r"'\''")) };
    args.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

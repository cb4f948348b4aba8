//! libFuzzer over the targets of `fuzz/`: builds them with coverage, shares the time among them, keeps what they
//! find.
//!
//! All of it is below `target/fuzz`: `build`, `corpus/TARGET` (grows from run to run), `crashes`. It must never write
//! into the checked-in seeds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use crate::terminal::{Style, Terminal};
use crate::{Result, cargo};

/// Runs all targets, or the one named, for `minutes` in all.
pub(crate) fn fuzz(minutes: &str, target: Option<&str>) -> Result<()> {
    let time = minutes.parse().ok().filter(|minutes: &f64| *minutes > 0.0).map(|minutes| minutes * 60.0);
    let time = time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = time.ok_or_else(|| format!("`{minutes}` is no number of minutes, such as 10 or 0.5"))?;
    let folders = Folders::new()?;
    let mut targets = folders.targets()?;
    if let Some(target) = target {
        let known = targets.join(", ");
        targets.retain(|name| name == target);
        if targets.is_empty() {
            return Err(format!("there is no target `{target}`, but {known}").into());
        }
    }
    folders.build()?;
    let each = time.as_secs().div_ceil(targets.len() as u64).max(1);
    let terminal = Terminal::of_stdout();
    terminal.line(Style::Bold, &format!("targets: {}, {each} s each", targets.len()));
    let mut failed = Vec::new();
    for target in &targets {
        eprintln!("xtask: {target}, {each} s");
        match folders.run(target, each)? {
            Ok(progress) => terminal.line(Style::Good, &format!("  {target:<14} {progress}")),
            Err(found) => {
                terminal.line(Style::Bad, &format!("  {target:<14} FAILED\n{found}"));
                failed.push(target.as_str());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("found something: {}; see above", failed.join(", ")).into()) }
}

struct Folders {
    sources: PathBuf,
    /// `target/fuzz`.
    work: PathBuf,
    /// What this machine is called by rustc.
    host: String,
}

impl Folders {
    fn new() -> Result<Self> {
        let built = cargo::built()?;
        let work = built.parent().ok_or("this program is not in a target folder")?.join("fuzz");
        let said = Command::new("rustc").arg("-vV").current_dir(cargo::workspace()?).output()?.stdout;
        let said = String::from_utf8(said)?;
        let host = said.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc does not name its host")?;
        Ok(Self { sources: cargo::workspace()?.join("fuzz"), work, host: host.to_owned() })
    }

    /// The names of the targets, sorted: of the files in `fuzz_targets`.
    fn targets(&self) -> Result<Vec<String>> {
        let files = fs::read_dir(self.sources.join("fuzz_targets"))?.collect::<Result<Vec<_>, _>>()?;
        let stem = |file: fs::DirEntry| Some(file.path().file_stem()?.to_str()?.to_owned());
        let mut names: Vec<_> = files.into_iter().filter_map(stem).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn build(&self) -> Result<()> {
        let flags = FLAGS.join("\u{1f}");
        // A target given by name, even if it is this machine's own: else build scripts and macros get the flags too.
        let args = ["build", "--package", "tollgate-fuzz", "--bins", "--features", "libfuzzer", "--profile", "fuzz"];
        eprintln!("xtask: cargo {} --target {} (with coverage)", args.join(" "), self.host);
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.current_dir(cargo::workspace()?).args(args).args(["--target", &self.host, "--target-dir"]);
        let status = build.arg(self.work.join("build")).env("CARGO_ENCODED_RUSTFLAGS", flags).status()?;
        if status.success() { Ok(()) } else { Err(format!("the targets cannot be built ({status}): see above").into()) }
    }

    /// Runs one target for `seconds`: its last line of progress, or what it found and how to repeat that.
    fn run(&self, target: &str, seconds: u64) -> Result<Result<String, String>> {
        let (corpus, crashes) = (self.work.join("corpus").join(target), self.work.join("crashes"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&crashes)?;
        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(crashes.join(format!("{target}-")));
        let log_path = self.work.join(format!("{target}.log"));
        let log = fs::File::create(&log_path)?;
        let mut run = Command::new(self.program(target));
        run.arg(prefix).args(OPTIONS).arg(format!("-max_total_time={seconds}"));
        // New inputs go to the first folder, the seeds are only read.
        run.arg(corpus).arg(self.sources.join("seeds").join(target));
        let status = run.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).status()?;
        let said = String::from_utf8_lossy(&fs::read(&log_path)?).into_owned();
        if status.success() {
            let done = said.lines().rev().find(|line| line.contains("DONE")).unwrap_or("did nothing");
            return Ok(Ok(done.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        Ok(Err(self.found(target, &said, &log_path)))
    }

    fn found(&self, target: &str, said: &str, log: &Path) -> String {
        let telling =
            said.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR: libFuzzer"));
        let telling = telling.take_while(|line| *line != "stack backtrace:").take(TELLING_LINES);
        let mut text: String = telling.map(|line| format!("    {line}\n")).collect();
        let input = said.lines().find_map(|line| line.rsplit_once("Test unit written to ")).map(|(_, input)| input);
        if let Some(input) = input {
            text.push_str(&format!("    repeat: {} {input}\n", self.program(target).display()));
            text.push_str(&format!("    keep:   cp {input} fuzz/seeds/{target}/NAME, once it is mended\n"));
        }
        text + &format!("    log:    {}", log.display())
    }

    fn program(&self, target: &str) -> PathBuf {
        let name = format!("fuzz-{}", target.replace('_', "-"));
        [&self.work, Path::new("build"), Path::new(&self.host), Path::new("fuzz"), Path::new(&name)].iter().collect()
    }
}

/// Coverage as libFuzzer reads it, from LLVM's own pass: these are stable rustc's flags, as cargo-fuzz sets them but
/// for its sanitizers, which need a nightly one and would find nothing in safe Rust.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    // One unit for each crate, as cargo-fuzz has it.
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Ten seconds and a gigabyte are far more than any input may take.
const OPTIONS: &[&str] =
    &["-timeout=10", "-rss_limit_mb=1024", "-max_len=16384", "-print_final_stats=0", "-verbosity=1"];

/// Lines of a failure to show; the log has all.
const TELLING_LINES: usize = 12;

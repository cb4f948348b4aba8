//! The command line: arguments to files to a tool, results to stdout, everything else to stderr.

mod args;
mod audit;
mod candidate;
mod check;
mod command_line;
mod compiled;
mod config;
mod connect;
mod doctor;
pub mod drill;
mod exit;
mod given;
mod hint;
mod imports;
mod input;
mod inspect;
mod install;
mod interrupt;
mod kernel_plan;
mod lacking;
mod language;
mod ledger;
mod load;
mod manual;
mod mcp;
mod operator;
mod output;
mod policy;
mod progress;
mod project;
mod report;
mod run;
mod running;
mod serve;
mod service;
mod systemd;
mod through;
mod tools;
mod trust;
mod unbuilt;
mod ungranted;
mod update;
mod which;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use command_line::{Args, Command};
use exit::{Exit, Failure};

use tollgate::surroundings::{small_stack, survive_size_limit};
use tollgate_authority::cause;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // This process writes files in memory and on disk, and those that it starts do.
    survive_size_limit();
    if let Some(small) = small_stack() {
        if small.value < STACK_BYTES_MIN {
            output::eprint(&format!("error: {small}\n  help: nothing was done; raise it with `ulimit -s`\n"));
            return Exit::Usage.into();
        }
        output::eprint(&format!("warning: {small}\n"));
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let json = args.json();
    match dispatch(args) {
        Ok(exit) => exit.into(),
        Err(failure) => report::failure(&failure, json).into(),
    }
}

fn dispatch(args: Args) -> Result<Exit, Failure> {
    config::must_be_usable()?;
    name_process(&args.command);
    match args.command {
        Command::Run(args) => run::run(&args),
        Command::New(args) => project::new(&args),
        Command::Build(args) => project::build(&args),
        Command::Dev(args) => project::dev(&args),
        Command::Inspect(args) if args.kernel => kernel_plan::inspect(&args),
        Command::Inspect(args) => inspect::inspect(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Install(args) => install::install(&args),
        Command::List(args) => tools::list(&args),
        Command::Show(args) => tools::show(&args),
        Command::Update(args) => update::update(&args),
        Command::Rollback(args) => tools::rollback(&args),
        Command::Remove(args) => tools::remove(&args),
        Command::Policy(args) => policy::policy(&args),
        Command::Trust(args) => trust::trust(&args),
        Command::Check(args) => check::check(&args),
        Command::Drill(_) => Err(drill::become_drill()),
        Command::Audit(args) => audit::audit(&args),
        Command::Notary(args) => run::notary(&args),
        Command::Worker(args) => run::worker(&args),
        Command::Gateway(args) => run::gateway(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Mcp(args) => mcp::mcp(&args),
        Command::Connect(args) => connect::connect(&args),
        Command::Status(args) => serve::status(&args),
        Command::Service(args) => service::service(&args),
        Command::Compile(args) => compiled::compile(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "tollgate", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Success)
        }
        Command::Man { dir } => manual::print(dir.as_deref()),
    }
}

/// Has the kernel call a process of ours by its role (`comm`, proc(5)): a daemon starts it from an open file, whose name is a number.
fn name_process(command: &Command) {
    let role = match command {
        Command::Notary(_) => "tollgate-notary",
        Command::Worker(_) => "tollgate-worker",
        Command::Gateway(_) => "tollgate-gate",
        Command::Compile(_) => "tollgate-comp",
        Command::Run(_)
        | Command::New(_)
        | Command::Build(_)
        | Command::Dev(_)
        | Command::Inspect(_)
        | Command::Doctor(_)
        | Command::Install(_)
        | Command::List(_)
        | Command::Show(_)
        | Command::Update(_)
        | Command::Rollback(_)
        | Command::Remove(_)
        | Command::Policy(_)
        | Command::Trust(_)
        | Command::Check(_)
        | Command::Serve(_)
        | Command::Mcp(_)
        | Command::Connect(_)
        | Command::Service(_)
        | Command::Status(_)
        | Command::Audit(_)
        | Command::Drill(_)
        | Command::Completions { .. }
        | Command::Man { .. } => return,
    };
    // Only people look at it.
    std::fs::write("/proc/self/comm", role).ok();
}

/// `--help` and `--version` are results; what is wrong with the arguments is not.
fn usage(error: &clap::Error) -> ExitCode {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
    // What was given is in it. Its colours are for those who gave nothing that could pass for one.
    let rendered = error.render().to_string();
    let text = std::env::args_os().fold(rendered.clone(), |text, arg| on_one_line(text, &arg.to_string_lossy()));
    // Known before the arguments are: a program that gave it reads JSON, also where they are wrong.
    if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
        report::wrong_arguments(&text);
        return exit.into();
    }
    if text == rendered && tollgate_plain::is_plain(&text) {
        // Nobody is left to tell if the terminal is gone.
        error.print().unwrap_or_default();
    } else {
        output::eprint(&text);
    }
    match output::print("") {
        Err(lost) if !error.use_stderr() => report::failure(&lost, false).into(),
        Ok(_) | Err(_) => exit.into(),
    }
}

/// What clap says, where the argument `arg` or the value in it starts no line.
fn on_one_line(text: String, arg: &str) -> String {
    let value = arg.split_once('=').map(|(_option, value)| value);
    let given = std::iter::once(arg).chain(value).filter(|given| given.contains('\n'));
    given.fold(text, |text, given| text.replace(given, &given.replace('\n', "\\n")))
}

/// With less, the arguments alone run out of it.
const STACK_BYTES_MIN: u64 = 128 << 10;

//! `tollgate dev`: builds a project and runs its tool, again whenever a file of it changes.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use miette::Diagnostic;

use super::Project;
use super::watch::Snapshot;
use crate::args::DevArgs;
use crate::exit::{Exit, Failure};
use crate::{config, output, report};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error, Diagnostic)]
enum DevError {
    #[error("this program cannot be started again, to run the tool")]
    NotStarted { source: std::io::Error },
}

/// Never returns, but with `--once` or where there is no project.
pub(crate) fn dev(args: &DevArgs) -> Result<Exit, Failure> {
    // Options of a run begin with a dash; a folder may stand before them, as `tollgate build` takes it.
    let (project, run) = match args.run.split_first() {
        Some((folder, run)) if !folder.starts_with('-') && args.project == Path::new(".") => (Path::new(folder), run),
        Some(_) | None => (args.project.as_path(), args.run.as_slice()),
    };
    let mut language = Project::open(project)?.language;
    loop {
        // What changes while it is built shows afterwards.
        let seen = Snapshot::of(project, language);
        let ended = round(project, run);
        if args.once {
            return ended;
        }
        match ended {
            Ok(_exit) => {}
            Err(failure) => report::aside(&failure),
        }
        output::eprint("[dev] waits for a change; Ctrl-C ends\n");
        while Snapshot::of(project, language) == seen {
            thread::sleep(LOOK_EVERY);
        }
        // Until the manifest is mended, the language is the one that it was.
        language = Project::open(project).map_or(language, |project| project.language);
    }
}

fn round(project: &Path, options: &[String]) -> Result<Exit, Failure> {
    let project = Project::open(project)?;
    let built = project.build()?;
    output::eprint(&format!("[dev] {}", built.text(&project)));
    run(&project.folder, &built.component, options)
}

#[allow(clippy::disallowed_methods, reason = "runs this program again: each run is a supervisor of its own")]
fn run(project: &Path, component: &Path, args: &[String]) -> Result<Exit, Failure> {
    let not_started = |source| Failure::internal_as(DevError::NotStarted { source });
    let program = config::this_program().map_err(not_started)?;
    // The next round builds the project's files, with all that its user may do.
    let mut run = Command::new(program);
    run.arg("run").arg(component).arg("--built-from").arg(project).args(args);
    let status = run.status().map_err(not_started)?;
    Ok(Exit::of_status(status))
}

//! `tollgate service`: the daemon as a service of the user's systemd. Every other service manager starts `tollgate serve` itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use miette::Diagnostic;

use super::args::{ServiceArgs, ServiceCommand};
use super::exit::{Exit, Failure};
use super::{config, output};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ServiceError {
    #[error("there is no place for the unit: {}", config::no_place("XDG_CONFIG_HOME"))]
    #[diagnostic(help("set HOME to the folder of the user whose service it is to be, and be that user"))]
    NoPlace,
    #[error("`{}` is there already, and says something else", path.display())]
    #[diagnostic(help("look at it; `--force` replaces it"))]
    Present { path: PathBuf },
    #[error("`{}` cannot be written", path.display())]
    Unwritten { path: PathBuf, source: io::Error },
    #[error("a path has a character that a unit cannot hold: `{path}`")]
    #[diagnostic(help(
        "move it where the path has no line break, no double quote and no backslash, and is UTF-8 text"
    ))]
    Odd { path: String },
    #[error("`systemctl --user {what}` does not work: {how}")]
    #[diagnostic(help(
        "no user manager may run here; without one, start `tollgate serve` by hand or by your own service manager"
    ))]
    NoSystemd { what: String, how: String },
    #[error("the unit does not start: `systemctl --user {what}` says: {how}")]
    #[diagnostic(help(
        "`{}` stays: look at `journalctl --user --unit {UNIT}`, then `systemctl --user restart {UNIT}`; or disable the unit and remove the file",
        path.display()
    ))]
    NotStarted { path: PathBuf, what: String, how: String },
}

pub(crate) fn service(args: &ServiceArgs) -> Result<Exit, Failure> {
    match &args.what {
        ServiceCommand::Install { force, print } => install(*force, *print),
        ServiceCommand::Restart => {
            // It is ended by SIGTERM, so that calls under way are over first.
            systemctl(&["restart", UNIT]).map_err(NotDone::without_systemd)?;
            output::print("the daemon was ended once its calls were over, and started again\n")?;
            Ok(Exit::Success)
        }
    }
}

fn install(force: bool, print: bool) -> Result<Exit, Failure> {
    let program = config::this_program().map_err(Failure::internal)?;
    let odd = |path: &Path| Failure::usage(ServiceError::Odd { path: output::one_line(&path.display().to_string()) });
    let variables = config::own_variables().map_err(|(_name, path)| odd(&path))?;
    let text = unit(program.to_str().ok_or_else(|| odd(&program))?, &variables)?;
    if print {
        output::print(&text)?;
        return Ok(Exit::Success);
    }
    let path = config::unit_file(UNIT).ok_or_else(|| Failure::usage(ServiceError::NoPlace))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let before = fs::read_to_string(&path).ok();
    if before.as_ref().is_some_and(|before| *before != text && !force) {
        return Err(Failure::usage(ServiceError::Present { path }));
    }
    let made: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, &text));
    written.map_err(|source| Failure::usage(ServiceError::Unwritten { path: path.clone(), source }))?;
    if let Err(not_done) = systemctl(&["daemon-reload"]) {
        // Nobody has read it.
        let undone = before.map_or_else(|| fs::remove_file(&path), |before| fs::write(&path, before));
        undone.map_err(|source| Failure::usage(ServiceError::Unwritten { path: path.clone(), source }))?;
        // The innermost comes first; one that somebody else has put something into stays.
        made.iter().for_each(|folder| fs::remove_dir(folder).unwrap_or_default());
        return Err(not_done.without_systemd());
    }
    let started = systemctl(&["enable", "--now", UNIT]);
    started
        .map_err(|NotDone { what, how }| Failure::usage(ServiceError::NotStarted { path: path.clone(), what, how }))?;
    let path = output::one_line(&path.display().to_string());
    output::print(&format!("wrote {path}\nthe daemon runs, and starts with the user's session\n"))?;
    Ok(Exit::Success)
}

/// What systemd's program did not do, and what it says.
#[derive(Debug)]
struct NotDone {
    what: String,
    how: String,
}

impl NotDone {
    fn without_systemd(self) -> Failure {
        Failure::usage(ServiceError::NoSystemd { what: self.what, how: self.how })
    }
}

#[allow(clippy::disallowed_methods, reason = "systemd is told by its own program")]
fn systemctl(args: &[&str]) -> Result<(), NotDone> {
    let failed = |how: &str| NotDone { what: args.join(" "), how: output::one_line(how) };
    let output =
        Command::new("systemctl").arg("--user").args(args).output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim()))
}

/// The unit. The daemon alone is told to end (`KillMode=mixed`): it ends its own processes, the record last. It bounds by itself how long
/// calls under way may take (`serve.drain`, at most an hour): systemd is not to kill them before.
fn unit(program: &str, variables: &[(&str, String)]) -> Result<String, Failure> {
    let quoted = |text: &str| {
        let is_odd = text.contains(['\n', '"', '\\']);
        let odd = || Failure::usage(ServiceError::Odd { path: output::one_line(text) });
        // `%` begins a specifier (systemd.unit(5)).
        if is_odd { Err(odd()) } else { Ok(format!("\"{}\"", text.replace('%', "%%"))) }
    };
    let environment =
        variables.iter().map(|(name, value)| Ok(format!("Environment={}\n", quoted(&format!("{name}={value}"))?)));
    let environment = environment.collect::<Result<String, Failure>>()?;
    // In a command line alone `$` begins a variable (systemd.service(5)).
    let program = quoted(program)?.replace('$', "$$");
    Ok(format!(
        "[Unit]
Description=Tollgate: the tools of AI agents, behind a gate

[Service]
Type=notify
ExecStart={program} serve
ExecReload=/bin/kill -HUP $MAINPID
{environment}WatchdogSec=30
Restart=on-failure
KillMode=mixed
TimeoutStopSec=65min

[Install]
WantedBy=default.target
"
    ))
}

/// The unit's name.
const UNIT: &str = "tollgate.service";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_holds_paths_as_they_are_or_none() {
        let text = unit("/opt/50% off/$x/tollgate", &[("TOLLGATE_HOME", "/srv/a $b %c".to_owned())]).unwrap();
        assert!(text.contains("ExecStart=\"/opt/50%% off/$$x/tollgate\" serve\n"), "{text}");
        assert!(text.contains("Environment=\"TOLLGATE_HOME=/srv/a $b %%c\"\n"), "{text}");
        for odd in ["/a\nExecStartPre=/bin/true", "/a\"b", "/a\\b"] {
            assert!(unit(odd, &[]).is_err());
        }
    }
}

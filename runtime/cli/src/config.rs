//! The one module that reads the environment.
#![allow(clippy::disallowed_methods, reason = "this module owns the process's environment and clock")]

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use miette::Diagnostic;

use super::exit::Failure;
use tollgate_audit::journal::JOURNAL_FILE;
use tollgate_authority::{Deciding, DecidingPlaces, POLICY_NAME, TrustStore, files};
use tollgate_config::{Deployment, POLICY_BYTES_MAX, Policy};
use tollgate_daemon::tokens::TOKENS_FILE;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum ConfigError {
    #[error("TOLLGATE_HOME is the relative path `{}`: which tools and accepted policies hold would depend on the folder you are in",
        path.display())]
    #[diagnostic(help("give it as an absolute path"))]
    RelativeHome { path: PathBuf },
    #[error(
        "TOLLGATE_HOME is a path of {bytes} bytes, and the most is {HOME_BYTES_MAX}: what stands below it would have no path"
    )]
    #[diagnostic(help("give a shorter one"))]
    LongHome { bytes: usize },
}

/// Refuses an environment that leaves it to the working folder what decides over tools: a cloned repository could bring its own. And one
/// below whose home no file could be named.
pub(crate) fn must_be_usable() -> Result<(), Failure> {
    match path("TOLLGATE_HOME") {
        Some(path) if path.is_relative() => Err(Failure::usage(ConfigError::RelativeHome { path })),
        Some(path) if path.as_os_str().len() > HOME_BYTES_MAX => {
            Err(Failure::usage(ConfigError::LongHome { bytes: path.as_os_str().len() }))
        }
        Some(_) | None => Ok(()),
    }
}

/// A path has at most 4,095 bytes (`PATH_MAX`); those below the home have up to 250 of their own.
const HOME_BYTES_MAX: usize = 3_840;

/// Where the ledger is if `--ledger` does not say: `$TOLLGATE_LEDGER`, else `$TOLLGATE_HOME/ledger`, else
/// `$XDG_STATE_HOME/tollgate/ledger`, else `~/.local/state/tollgate/ledger` (XDG Base Directory Specification 0.8).
pub(crate) fn ledger_folder() -> Option<PathBuf> {
    in_a_home(ledger_place())
}

fn ledger_place() -> Option<PathBuf> {
    if let Some(folder) = path("TOLLGATE_LEDGER").or_else(|| in_home("ledger")) {
        return Some(folder);
    }
    xdg_ledger()
}

fn xdg_ledger() -> Option<PathBuf> {
    Some(xdg("XDG_STATE_HOME", ".local/state")?.join("tollgate/ledger"))
}

/// The ledger that was used without `TOLLGATE_HOME`, where `new` is that of this home and is not there yet.
pub(crate) fn ledger_of_before(new: &Path) -> Option<PathBuf> {
    if path("TOLLGATE_LEDGER").is_some() || in_home("ledger")? != new || new.exists() {
        return None;
    }
    let before = xdg_ledger()?;
    before.join(JOURNAL_FILE).exists().then_some(before)
}

/// Where installed tools are: `$TOLLGATE_HOME/tools`, else `$XDG_DATA_HOME/tollgate/tools`, else
/// `~/.local/share/tollgate/tools`.
pub(crate) fn tools_folder() -> Option<PathBuf> {
    in_a_home(tools_place())
}

fn tools_place() -> Option<PathBuf> {
    in_home("tools").or_else(|| Some(xdg("XDG_DATA_HOME", ".local/share")?.join("tollgate/tools")))
}

/// Where artifacts of tools that are run by their path are kept: `$TOLLGATE_HOME/cache`, else
/// `$XDG_CACHE_HOME/tollgate`, else `~/.cache/tollgate`.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    in_a_home(cache_place())
}

fn cache_place() -> Option<PathBuf> {
    in_home("cache").or_else(|| Some(xdg("XDG_CACHE_HOME", ".cache")?.join("tollgate")))
}

/// The key that artifacts are sealed with: `$TOLLGATE_HOME/artifact.key`, else
/// `$XDG_STATE_HOME/tollgate/artifact.key`, else `~/.local/state/tollgate/artifact.key`.
pub(crate) fn artifact_key() -> Option<PathBuf> {
    in_a_home(key_place())
}

fn key_place() -> Option<PathBuf> {
    in_home("artifact.key").or_else(|| Some(xdg("XDG_STATE_HOME", ".local/state")?.join("tollgate/artifact.key")))
}

/// The policy of a daemon: `tollgate.toml` in `$TOLLGATE_HOME`, else in `$XDG_CONFIG_HOME/tollgate`, else in `~/.config/tollgate`.
pub(crate) fn home_policy() -> Option<PathBuf> {
    in_home(POLICY_NAME).or_else(|| Some(settings_folder()?.join("tollgate").join(POLICY_NAME)))
}

/// Where a daemon keeps tokens, and its sockets where there is no [`runtime_folder`]: `$TOLLGATE_HOME`, else `$XDG_STATE_HOME/tollgate`,
/// else `~/.local/state/tollgate`.
pub(crate) fn state_folder() -> Option<PathBuf> {
    in_a_home(state_place())
}

fn state_place() -> Option<PathBuf> {
    absolute("TOLLGATE_HOME").or_else(|| Some(xdg("XDG_STATE_HOME", ".local/state")?.join("tollgate")))
}

/// Where programs of the user have their settings: `$XDG_CONFIG_HOME`, else `~/.config`.
fn settings_folder() -> Option<PathBuf> {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// The file `name` among the settings of the user's programs.
pub(crate) fn in_settings(name: &str) -> Option<PathBuf> {
    in_a_home(Some(settings_folder()?.join(name)))
}

/// The file `name` in the user's home folder.
pub(crate) fn below_home(name: &str) -> Option<PathBuf> {
    in_a_home(Some(home()?.join(name)))
}

/// The user's folder for sockets, `$XDG_RUNTIME_DIR`, if it is there.
pub(crate) fn runtime_folder() -> Option<PathBuf> {
    absolute("XDG_RUNTIME_DIR").filter(|folder| folder.is_dir())
}

/// The file of one of the user's own units of systemd (systemd.unit(5)).
pub(crate) fn unit_file(name: &str) -> Option<PathBuf> {
    in_settings(&format!("systemd/user/{name}"))
}

/// The variables of this environment that say where a daemon has its home and its ledger, with absolute paths, as text. The error is the
/// first that is no text.
pub(crate) fn own_variables() -> Result<Vec<(&'static str, String)>, (&'static str, PathBuf)> {
    let text = |(name, place): (&'static str, PathBuf)| {
        place.into_os_string().into_string().map(|text| (name, text)).map_err(|place| (name, place.into()))
    };
    own_places().map(text).collect()
}

/// The same for a daemon that this program starts, with its ledger and its sockets where this program looks for them.
pub(crate) fn daemon_variables(ledger: &Path) -> Vec<(&'static str, PathBuf)> {
    let own = own_places().filter(|(name, _)| *name != "TOLLGATE_LEDGER");
    let more = [
        ("TOLLGATE_LEDGER", Some(ledger.to_owned())),
        // Of what stands below it nothing is read where the home is given.
        ("HOME", home().filter(|_| absolute("TOLLGATE_HOME").is_none())),
        ("XDG_RUNTIME_DIR", runtime_folder()),
    ];
    own.chain(more.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
}

/// A ledger may be given by a relative path; of the others, one that is relative gives no place here either.
fn own_places() -> impl Iterator<Item = (&'static str, PathBuf)> {
    let names = ["TOLLGATE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"];
    let ledger = path("TOLLGATE_LEDGER").and_then(|path| std::path::absolute(path).ok());
    let ledger = ledger.map(|place| ("TOLLGATE_LEDGER", place));
    names.into_iter().filter_map(|name| Some((name, absolute(name)?))).chain(ledger)
}

/// The token of an agent, for `tollgate mcp`. What is no text is no token, and none at all is another thing.
pub(crate) fn token() -> Option<String> {
    path("TOLLGATE_TOKEN").map(|token| token.to_string_lossy().into_owned())
}

/// What the operator accepted: `$TOLLGATE_HOME/trust`, else `$XDG_STATE_HOME/tollgate/trust`, else
/// `~/.local/state/tollgate/trust`.
pub(crate) fn trust_store() -> Option<TrustStore> {
    in_a_home(trust_place()).map(TrustStore::new)
}

fn trust_place() -> Option<PathBuf> {
    in_home("trust").or_else(|| Some(xdg("XDG_STATE_HOME", ".local/state")?.join("tollgate/trust")))
}

/// A place, unless it is below a home that is not there, or is new in that of another user: this program makes its own folders,
/// nobody's home, and none that locks another user out of theirs.
fn in_a_home(place: Option<PathBuf>) -> Option<PathBuf> {
    let is_usable = |place: &PathBuf| {
        let Some(home) = home().filter(|home| place.starts_with(home)) else { return true };
        home.is_dir() && (place.exists() || owner_of_others(&home).is_none())
    };
    place.filter(is_usable)
}

/// The user that a folder belongs to, if that is another one than this process's.
fn owner_of_others(folder: &Path) -> Option<u32> {
    let owner = fs::metadata(folder).ok()?.uid();
    (owner != rustix::process::geteuid().as_raw()).then_some(owner)
}

/// Why there is no place: none of the variables `others` gives one, nor does HOME.
pub(crate) fn no_place(others: &str) -> String {
    match of_home() {
        None => format!("neither {others} nor HOME is set"),
        Some(home) => format!("none is given by {others}, and {home}"),
    }
}

/// The same where HOME alone gives one.
pub(crate) fn no_home() -> String {
    of_home().unwrap_or_else(|| "HOME is not set to an absolute path".to_owned())
}

/// Why HOME gives no place, if it is set.
fn of_home() -> Option<String> {
    let home = home()?;
    let shown = home.display();
    Some(match owner_of_others(&home) {
        Some(owner) => format!(
            "HOME is `{shown}`, which belongs to the user {owner}: a folder made there by this user would be closed to that one"
        ),
        None => format!("HOME is `{shown}`, where no folder is"),
    })
}

/// What no tool may change, with the policy in `policy`, or with the one that would be found in the folder `here`.
pub(crate) fn deciding_places(policy: Option<&Path>, here: &Path) -> DecidingPlaces {
    // Those below a home that is not there too: it may be there later, and what a tool has put there with it.
    let places = [
        (Deciding::Policy, policy.map(Path::to_owned)),
        (Deciding::PolicyFound, Some(here.join(POLICY_NAME))),
        (Deciding::ArtifactKey, key_place()),
        (Deciding::TrustStore, trust_place()),
        (Deciding::Policy, home_policy()),
        (Deciding::Tokens, state_place().map(|folder| folder.join(TOKENS_FILE))),
        (Deciding::Sockets, state_place().map(|folder| folder.join("run"))),
        (Deciding::Sockets, absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("tollgate"))),
        (Deciding::Tools, tools_place()),
        (Deciding::Cache, cache_place()),
        (Deciding::Program, this_program().ok()),
        (Deciding::Drill, drill_program().ok()),
        // There it has its other name in a folder that `cargo` builds to.
        (Deciding::Drill, drill_program().ok().map(|program| program.with_file_name(BUILT))),
    ];
    let there = places.into_iter().filter_map(|(what, path)| Some((what, path?)));
    let places = there.fold(DecidingPlaces::none(), |places, (what, path)| places.with(what, &path));
    let places = places.with_sockets_of(&deployment_of_home());
    // Without `--ledger` it is this one; with it, the supervisor adds the one that is used.
    ledger_place().map_or_else(|| places.clone(), |ledger| places.clone().with_ledger(&ledger))
}

/// How a daemon is run by the policy of the home, unless it is given another one. A policy that does not parse says nothing: no daemon
/// starts with it.
fn deployment_of_home() -> Deployment {
    let read = |path: PathBuf| {
        let text = String::from_utf8(files::read(&path, POLICY_BYTES_MAX as u64).ok()?).ok()?;
        Policy::parse(&text, POLICY_NAME, path.parent()?).ok()
    };
    home_policy().and_then(read).map(|policy| policy.deployment).unwrap_or_default()
}

fn in_home(name: &str) -> Option<PathBuf> {
    Some(absolute("TOLLGATE_HOME")?.join(name))
}

/// "All paths set in these environment variables must be absolute. If an implementation encounters a relative path in any of
/// these variables it should consider the path invalid and ignore it" (XDG Base Directory Specification 0.8).
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| Some(home()?.join(below_home)))
}

/// The user's home folder.
pub(crate) fn home() -> Option<PathBuf> {
    absolute("HOME")
}

/// The file of the `tollgate` program: this one, or the one beside it where this is the program of the drill.
pub(crate) fn this_program() -> std::io::Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(if own.ends_with(DRILL) { own.with_file_name("tollgate") } else { own })
}

/// The program of the drill, which stands beside `tollgate`.
pub(crate) fn drill_program() -> std::io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name(DRILL))
}

const DRILL: &str = "tollgate-drill";

/// The folder beside a program from which `cargo` has hard-linked it.
pub(crate) const BUILT: &str = "deps";

/// The wall clock, in nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A variable that a grant takes from the operator's environment.
pub(crate) fn host_variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Whether colour is unwanted (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    path("NO_COLOR").is_some()
}

fn absolute(name: &str) -> Option<PathBuf> {
    path(name).filter(|path| path.is_absolute())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

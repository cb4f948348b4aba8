//! `tollgate trust`: accepts a policy that is found in a folder as it is now, or binds a granted folder anew.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::{Value, json};

use super::args::TrustArgs;
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::{config, output};
use tollgate_authority::{POLICY_NAME, PolicyFile, TrustError, TrustStore, folder_at};

#[derive(Debug, thiserror::Error, Diagnostic)]
enum TrustFailure {
    #[error("there is no place to keep what is accepted: {}", config::no_place("TOLLGATE_HOME, XDG_STATE_HOME"))]
    #[diagnostic(help("set TOLLGATE_HOME to a folder"))]
    NoPlace,
    #[error("there is no `{}`", path.display())]
    #[diagnostic(help("give the policy, `tollgate.toml`, or the folder of a grant with `nested = true`"))]
    Nothing { path: PathBuf },
    #[error("`{}` is never found by itself", path.display())]
    #[diagnostic(help("a policy is found as `{POLICY_NAME}` in the working folder; give others with --policy"))]
    OtherName { path: PathBuf },
    #[error("`{}` was not accepted", path.display())]
    #[diagnostic(help("nothing was changed"))]
    NotAccepted { path: PathBuf },
    #[error("a bound folder is bound anew, not let go")]
    #[diagnostic(help("take `nested = true` out of its grant, or call `tollgate trust` without --remove"))]
    Folder,
    #[error("`{}` cannot be looked at", path.display())]
    #[diagnostic(help("{help}"))]
    Unseen { path: PathBuf, help: String, source: std::io::Error },
    #[error("the store of what is accepted cannot be used")]
    #[diagnostic(help("{}", source.advice()))]
    Store { source: TrustError },
}

pub(crate) fn trust(args: &TrustArgs) -> Result<Exit, Failure> {
    let store = config::trust_store().ok_or_else(|| Failure::usage(TrustFailure::NoPlace))?;
    if args.path.is_dir() {
        return if args.remove { Err(Failure::usage(TrustFailure::Folder)) } else { bind(&store, args) };
    }
    let file = found(&args.path)?;
    let shown = output::one_line(&file.path.display().to_string());
    if args.remove {
        let was = store.forget(&file.path).map_err(unusable)?;
        if !was {
            return Err(Failure::usage(TrustFailure::NotAccepted { path: file.path }));
        }
        return print(args, &json!({ "ok": true, "removed": shown }), &format!("no longer accepted: {shown}\n"));
    }
    let reaches = file.accept(&store).map_err(unusable)?;
    let reaches: Vec<String> = reaches.iter().map(|reach| output::one_line(&reach.what)).collect();
    let lines: String = reaches.iter().map(|reach| format!("  reaches  {reach}\n")).collect();
    let none = if reaches.is_empty() { "  reaches  nothing beyond its own folder\n" } else { "" };
    let text = format!("accepted as it is now: {shown}\n{lines}{none}");
    print(args, &json!({ "ok": true, "accepted": shown, "reaches": reaches }), &text)
}

/// Prints what was done.
fn print(args: &TrustArgs, done: &Value, text: &str) -> Result<Exit, Failure> {
    output::print(&if args.json { format!("{done}\n") } else { text.to_owned() })?;
    Ok(Exit::Success)
}

/// The policy at `path`, under the name by which it will be found.
fn found(path: &Path) -> Result<PolicyFile, Failure> {
    let nothing = || Failure::usage(TrustFailure::Nothing { path: path.to_owned() });
    if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(nothing());
    }
    if path.file_name().is_none_or(|name| name != POLICY_NAME) {
        return Err(Failure::usage(TrustFailure::OtherName { path: path.to_owned() }));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = folder.canonicalize().map_err(|source| unseen(folder, source))?;
    let file = PolicyFile::found(&folder, None).map_err(Failure::usage)?;
    file.ok_or_else(nothing)
}

fn bind(store: &TrustStore, args: &TrustArgs) -> Result<Exit, Failure> {
    let (path, id) = folder_at(&args.path).map_err(|source| unseen(&args.path, source))?;
    store.bind(&path, id).map_err(unusable)?;
    let shown = output::one_line(&path.display().to_string());
    let text = format!("bound: {shown} is the folder {}:{} (device:inode)\n", id.device, id.inode);
    print(args, &json!({ "ok": true, "bound": shown, "device": id.device, "inode": id.inode }), &text)
}

fn unseen(path: &Path, source: std::io::Error) -> Failure {
    let help = advice(&source, Place::POLICY);
    Failure::usage(TrustFailure::Unseen { path: path.to_owned(), help, source })
}

fn unusable(source: TrustError) -> Failure {
    Failure::usage(TrustFailure::Store { source })
}

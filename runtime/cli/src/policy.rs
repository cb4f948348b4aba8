//! `tollgate policy pin`: writes into the policy which component an installed tool must be. What else stands there stays as it is, and
//! a policy that would not hold afterwards is not written.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde_json::json;
use tollgate_authority::{POLICY_NAME, PolicyFile, files, is_own_file};
use tollgate_config::{ComponentPin, POLICY_BYTES_MAX, Policy, ToolName};
use toml_edit::{DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::args::{PinArgs, PolicyArgs, PolicyCommand};
use super::cause::{Place, advice};
use super::exit::{Exit, Failure};
use super::which::find;
use super::{config, load, output, progress};
use tollgate::registry::InstalledTool;

#[derive(Debug, thiserror::Error, Diagnostic)]
enum PolicyFailure {
    #[error("there is no policy to write the pin into")]
    #[diagnostic(help("make one, such as an empty `tollgate.toml` in this folder, or give one with --policy"))]
    Nowhere,
    #[error("there is no policy `{}`", path.display())]
    #[diagnostic(help("make it, such as an empty file, or give one that is there"))]
    NotThere { path: PathBuf },
    #[error("`{}` is not written: it is no regular file of this user, or a link", path.display())]
    #[diagnostic(help("put a copy in its place, as this user"))]
    NotOwn { path: PathBuf },
    #[error("`{}` is not written: {what}", path.display())]
    #[diagnostic(help("write `component = \"{pin}\"` into the entry of the tool by hand"))]
    NotPinned { path: PathBuf, what: String, pin: String },
    #[error("`{}` is not written: it became another text while it was pinned in", path.display())]
    #[diagnostic(help("give the command again"))]
    Changed { path: PathBuf },
    #[error("`{}` cannot be written", path.display())]
    #[diagnostic(help("{help}"))]
    NotWritten { path: PathBuf, help: String, source: io::Error },
}

pub(crate) fn policy(args: &PolicyArgs) -> Result<Exit, Failure> {
    match &args.what {
        PolicyCommand::Pin(args) => pin(args),
    }
}

fn pin(args: &PinArgs) -> Result<Exit, Failure> {
    let tool = find(&args.name)?;
    let here = load::working_folder()?;
    let path = place(args, &here)?;
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(Failure::usage(PolicyFailure::NotThere { path }));
    }
    if !is_own_file(&path) {
        return Err(Failure::usage(PolicyFailure::NotOwn { path }));
    }
    let not_written = |source: io::Error| {
        let help = advice(&source, Place::POLICY);
        Failure::usage(PolicyFailure::NotWritten { path: path.clone(), help, source })
    };
    let _lock = locked(&path).map_err(not_written)?;
    // It must hold before: what is wrong with it is not this command's doing.
    let before = PolicyFile::given(&path, Path::new("/")).map_err(Failure::usage)?;
    let text = pinned_in(&before, &tool)?;
    let is_new = text != before.text;
    if is_new {
        let is_written = write(&path, &before.text, &text).map_err(not_written)?;
        if !is_written {
            return Err(Failure::usage(PolicyFailure::Changed { path }));
        }
    }
    print(args, &tool, &path, is_new)
}

/// The policy that is given, or found in this folder, or that of the home.
fn place(args: &PinArgs, here: &Path) -> Result<PathBuf, Failure> {
    if let Some(given) = &args.policy {
        return Ok(here.join(given));
    }
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let places = std::iter::once(here.join(POLICY_NAME)).chain(config::home_policy());
    places.into_iter().find(is_there).ok_or_else(|| Failure::usage(PolicyFailure::Nowhere))
}

/// The policy's text where the tool is pinned to its component.
fn pinned_in(before: &PolicyFile, tool: &InstalledTool) -> Result<String, Failure> {
    let pin = tool.installed.component.to_string();
    let not_pinned =
        |what: String| Failure::usage(PolicyFailure::NotPinned { path: before.path.clone(), what, pin: pin.clone() });
    let text = with_pin(&before.text, &tool.name, &pin).map_err(not_pinned)?;
    let folder = before.path.parent().unwrap_or_else(|| Path::new("/"));
    let after = Policy::parse(&text, POLICY_NAME, folder).map_err(|error| not_pinned(error.to_string()))?;
    let entry = after.grants.tools.get(&tool.name).and_then(|grant| grant.component.as_ref());
    match entry {
        Some(ComponentPin::Digest(digest)) if *digest == tool.installed.component.0 => Ok(text),
        Some(_) | None => Err(not_pinned("the pin would not be read there".to_owned())),
    }
}

/// `text` with `[tools.NAME] component = "PIN"`; comments and order stay.
fn with_pin(text: &str, name: &ToolName, pin: &str) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let tools = document.entry("tools").or_insert_with(|| {
        let mut tools = Table::new();
        // Its own line would say nothing.
        tools.set_implicit(true);
        Item::Table(tools)
    });
    let is_inline = tools.is_value();
    let tools = tools.as_table_like_mut().ok_or("`tools` is no table")?;
    if !tools.contains_key(name.as_str()) {
        let new = if is_inline { Item::Value(InlineTable::new().into()) } else { Item::Table(Table::new()) };
        tools.insert(name.as_str(), new);
    }
    let entry = tools.get_mut(name.as_str()).and_then(Item::as_table_like_mut);
    set(entry.ok_or_else(|| format!("`tools.{name}` is no table"))?, pin);
    Ok(document.to_string())
}

fn set(entry: &mut dyn TableLike, pin: &str) {
    let mut value = Value::from(pin);
    if let Some(before) = entry.get_mut("component").and_then(Item::as_value_mut) {
        *value.decor_mut() = before.decor().clone();
        *before = value;
    } else {
        entry.insert("component", Item::Value(value));
    }
}

/// Waits until no other command pins something in this folder. It is the folder that is locked, since the file is another one afterwards.
fn locked(path: &Path) -> io::Result<File> {
    let folder = File::open(path.parent().unwrap_or_else(|| Path::new("/")))?;
    progress::soon("waiting for another command that writes the policy", || folder.lock())?;
    Ok(folder)
}

/// Replaces the file as a whole, with the owner and the rights that it had; not if its text is not `text_before` any more, such as by
/// an editor. Whether it was replaced.
fn write(path: &Path, text_before: &str, text: &str) -> io::Result<bool> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let before = fs::symlink_metadata(path)?;
    let new = files::write_hidden(folder, text.as_bytes())?;
    let placed = fs::metadata(&new).and_then(|made| {
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            chown(&new, Some(before.uid()), Some(before.gid()))?;
        }
        fs::set_permissions(&new, Permissions::from_mode(before.mode() & 0o7777))?;
        let is_as_before = files::read(path, POLICY_BYTES_MAX as u64)? == text_before.as_bytes();
        if is_as_before {
            fs::rename(&new, path)?;
        }
        Ok(is_as_before)
    });
    if !matches!(placed, Ok(true)) {
        fs::remove_file(&new).ok();
        return placed;
    }
    files::sync_folder(folder)?;
    Ok(true)
}

fn print(args: &PinArgs, tool: &InstalledTool, path: &Path, is_new: bool) -> Result<Exit, Failure> {
    let (name, pin) = (&tool.name, tool.installed.component);
    let shown = output::one_line(&path.display().to_string());
    if args.json {
        let report = json!({ "ok": true, "name": name.as_str(), "component": pin.to_string(), "policy": shown, "written": is_new });
        output::print(&format!("{report}\n"))?;
        return Ok(Exit::Success);
    }
    let verb = if is_new { "pinned" } else { "is pinned already:" };
    let mut text = format!("{verb} {name} to {pin}\n  policy  {shown}\n");
    // That of the home is given, and not found.
    let is_found = args.policy.is_none() && load::working_folder().is_ok_and(|here| here.join(POLICY_NAME) == path);
    let folder = path.parent().filter(|_| is_found && is_new);
    // A policy that was accepted was accepted as it was.
    let is_refused = folder.is_some_and(|folder| {
        let found = PolicyFile::found(folder, config::trust_store().as_ref()).ok().flatten();
        found.is_some_and(|file| file.allows(name).is_err())
    });
    if is_refused {
        text.push_str("  then    tollgate trust, since it reaches farther than its folder and is another text now\n");
    }
    if !tool.is_current() {
        let current = output::one_line(&tool.record.current().shown());
        text.push_str(&format!(
            "  note    {current} is current, and will be refused; make the pinned one current with  tollgate rollback {name}@{pin}\n"
        ));
    }
    text.push_str("  a daemon under this policy holds it after  tollgate serve reload\n");
    output::print(&text)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "sha256:0707070707070707070707070707070707070707070707070707070707070707";

    fn pinned(text: &str) -> String {
        with_pin(text, &"a-tool".parse().unwrap(), PIN).unwrap()
    }

    #[test]
    fn a_pin_is_written_where_the_tool_is_and_all_else_stays() {
        let line = format!("component = \"{PIN}\"");
        assert_eq!(pinned(""), format!("[tools.a-tool]\n{line}\n"));
        let text = "# of mine\n[sandbox]\nrequire = \"full\" # all\n\n[tools.b]\nrandom = \"secure\"\n";
        assert_eq!(pinned(text), format!("{text}\n[tools.a-tool]\n{line}\n"));
        let text = "[tools.a-tool] # this\nrandom = \"secure\"\n# behind\n[tools.b]\n";
        let expected = format!("[tools.a-tool] # this\nrandom = \"secure\"\n{line}\n# behind\n[tools.b]\n");
        assert_eq!(pinned(text), expected);
        let text = "[tools.a-tool]\ncomponent = \"x.wasm\" # as built\nrandom = \"secure\"\n";
        assert_eq!(pinned(text), text.replace("\"x.wasm\"", &format!("\"{PIN}\"")));
        assert_eq!(pinned(&pinned(text)), pinned(text));
        let inline = "tools = { b = { random = \"secure\" } }\n";
        assert_eq!(pinned(inline), format!("tools = {{ b = {{ random = \"secure\" }} , a-tool = {{ {line} }} }}\n"));
        let dotted = "tools.a-tool.random = \"secure\"\n";
        assert!(pinned(dotted).contains(&format!("tools.a-tool.{line}\n")), "{}", pinned(dotted));
        for text in ["", inline, dotted, "[tools.a-tool.fs]\n\"/d\" = { host = \"x\", access = [\"read\"] }\n"] {
            let policy = Policy::parse(&pinned(text), POLICY_NAME, Path::new("/p")).unwrap();
            let name: ToolName = "a-tool".parse().unwrap();
            assert_eq!(policy.grants.tools[&name].component, Some(ComponentPin::Digest([7; 32])), "{text}");
        }
        for wrong in ["tools = 3", "tools.a-tool = 3", "[tools"] {
            assert!(with_pin(wrong, &"a-tool".parse().unwrap(), PIN).is_err(), "{wrong}");
        }
    }
}

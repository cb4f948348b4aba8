//! The policy that is obeyed: given by name, or found in the working folder. Anybody who can put a file into a folder writes the
//! policy that is found there. So a found policy must be the user's own, and grants what lies below its own folder. It reaches
//! farther only in lines that were shown when it was accepted, and only to where they led then ([`TrustStore`], as direnv does).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use miette::LabeledSpan;
pub use tollgate_capability::POLICY_NAME;
use tollgate_config::{EnvValue, Grant, POLICY_BYTES_MAX, Policy, SandboxSettings, ToolName, key_span, source_text};

use super::found::{exposed_to, open_found};
use super::has_other_name;
use super::policy_file_error::PolicyFileError;
use super::trust::{AcceptedLine, TrustError, TrustStore};
use super::walk::walk;
use crate::files;

/// A policy, and where it comes from.
#[derive(Debug)]
pub struct PolicyFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The parsed policy.
    pub policy: Policy,
    shown: String,
    origin: Origin,
}

/// How a policy came to be obeyed.
#[derive(Debug)]
enum Origin {
    /// The user named it.
    Given,
    /// It was found, and never accepted.
    Found,
    /// It was found, and accepted with these lines, which reach farther than its folder.
    Accepted(Vec<AcceptedLine>),
}

/// The bounds of the folders that a found policy may grant one tool.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The policy's folder.
    pub(super) folder: PathBuf,
    /// Accepted folders outside, as resolved when they were accepted, by their guest paths.
    accepted: BTreeMap<String, PathBuf>,
}

/// A line by which a policy reaches farther than its own folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// What it reaches for, in words.
    pub what: String,
    /// The line, and where it leads.
    line: AcceptedLine,
}

impl PolicyFile {
    /// Reads a policy that the user names as `shown`.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`].
    pub fn given(shown: &Path, folder: &Path) -> Result<Self, PolicyFileError> {
        let path = folder.join(shown);
        let file = open_given(&path, shown)?;
        let text = text_of(file, shown)?;
        Self::parse(shown.display().to_string(), path, text, Origin::Given)
    }

    /// Reads the policy at the absolute `path`, which nobody but this user, and root, may have written.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`].
    pub fn of_operator(path: &Path) -> Result<Self, PolicyFileError> {
        let file = open_given(path, path)?;
        let exposed = exposed_to(&file).map_err(|source| PolicyFileError::Read { path: path.to_owned(), source })?;
        if exposed.is_some() {
            return Err(PolicyFileError::Exposed { path: path.to_owned() });
        }
        let text = text_of(file, path)?;
        Self::parse(path.display().to_string(), path.to_owned(), text, Origin::Given)
    }

    /// The policy that is found in `folder`, if there is one.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`]: the policy there cannot be used, and no other is used instead.
    pub fn found(folder: &Path, store: Option<&TrustStore>) -> Result<Option<Self>, PolicyFileError> {
        let path = folder.join(POLICY_NAME);
        let Some(file) = open_found(&path)? else { return Ok(None) };
        let text = text_of(file, Path::new(POLICY_NAME))?;
        let accepted = store.map_or(Ok(None), |store| store.accepted(&path, &text));
        let accepted = accepted.map_err(|source| PolicyFileError::Trust { path: path.clone(), source })?;
        let origin = accepted.map_or(Origin::Found, Origin::Accepted);
        Self::parse(POLICY_NAME.to_owned(), path, text, origin).map(Some)
    }

    fn parse(shown: String, path: PathBuf, text: String, origin: Origin) -> Result<Self, PolicyFileError> {
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        let policy = Policy::parse(&text, &shown, folder)?;
        Ok(Self { path, text, policy, shown, origin })
    }

    /// Accepts the policy as it is now. Returns the lines that reach farther than its own folder, each with where it leads, to be
    /// shown.
    ///
    /// # Errors
    ///
    /// [`TrustError`].
    pub fn accept(&self, store: &TrustStore) -> Result<Vec<Reach>, TrustError> {
        let reaches = self.reaches(None);
        store.accept(&self.path, &self.text, reaches.iter().map(|reach| reach.line.clone()).collect())?;
        Ok(reaches)
    }

    /// Refuses the grant of `tool` if this policy was found, and the grant reaches farther than the policy's folder and what was
    /// accepted.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError::ReachesFarther`] names each line that does.
    pub fn allows(&self, tool: &ToolName) -> Result<(), PolicyFileError> {
        self.judge(self.reaches(Some(tool)))
    }

    /// Refuses settings for all tools that a found policy may not make: the level of `sandbox.require`.
    ///
    /// The tables `[agents]` and `[serve]` are not judged: only a daemon reads them, and a daemon never obeys a policy that was
    /// found.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError::ReachesFarther`].
    pub fn allows_settings(&self) -> Result<(), PolicyFileError> {
        self.judge(self.settings_reach())
    }

    /// The bounds of the folders that it grants `tool`, for when they are opened; `None` if the policy was given.
    #[must_use]
    pub fn bounds(&self, tool: &ToolName) -> Option<Bounds> {
        let accepted = match &self.origin {
            Origin::Given => return None,
            Origin::Found => &[][..],
            Origin::Accepted(lines) => lines,
        };
        let host = |line: &AcceptedLine| match line.keys.as_slice() {
            [_tools, of, fs, guest, key] if *of == tool.to_string() && fs == "fs" && key == "host" => {
                Some((guest.clone(), line.leads_to.clone()?))
            }
            _ => None,
        };
        Some(Bounds { folder: self.folder().to_owned(), accepted: accepted.iter().filter_map(host).collect() })
    }

    /// The lines that reach farther than its own folder: in the grant of `tool`, or in all grants if `None`.
    fn reaches(&self, tool: Option<&ToolName>) -> Vec<Reach> {
        let grants = self.policy.grants.tools.iter().filter(|(name, _)| tool.is_none_or(|tool| tool == *name));
        let of_tools = grants.flat_map(|(name, grant)| grant_reaches(self.folder(), name, grant));
        self.settings_reach().into_iter().chain(of_tools).collect()
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("/"))
    }

    fn settings_reach(&self) -> Vec<Reach> {
        let (asked, default) = (self.policy.deployment.sandbox.require, SandboxSettings::default().require);
        let keys = ["sandbox", "require"].map(str::to_owned).to_vec();
        let line = AcceptedLine { keys, leads_to: None };
        let reach = Reach { what: format!("less of the kernel's seal than `{default}`"), line };
        (asked < default).then_some(reach).into_iter().collect()
    }

    /// Refuses lines that reach farther, unless they lead where they led when they were accepted.
    fn judge(&self, mut reaches: Vec<Reach>) -> Result<(), PolicyFileError> {
        let accepted = match &self.origin {
            Origin::Given => return Ok(()),
            Origin::Found => None,
            Origin::Accepted(lines) => Some(lines),
        };
        reaches.retain(|reach| accepted.is_none_or(|lines| !lines.contains(&reach.line)));
        if reaches.is_empty() {
            return Ok(());
        }
        let span = |reach: &Reach| {
            let keys: Vec<&str> = reach.line.keys.iter().map(String::as_str).collect();
            key_span(&self.text, &keys).map(|span| LabeledSpan::new_with_span(Some("reaches farther".to_owned()), span))
        };
        Err(PolicyFileError::ReachesFarther {
            file: self.shown.clone(),
            accepted: accepted.is_some(),
            reach: reaches.iter().map(|reach| reach.what.as_str()).collect::<Vec<_>>().join("; "),
            lines: reaches.iter().filter_map(span).collect(),
            text: source_text(&self.shown, &self.text),
        })
    }
}

impl Bounds {
    /// The bounds of a policy in `folder` that was never accepted.
    #[cfg(test)]
    pub(super) fn of_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), accepted: BTreeMap::new() }
    }

    /// Whether a folder at this real path may be what the guest sees as `guest`.
    pub(super) fn hold(&self, guest: &str, resolved: &Path) -> io::Result<bool> {
        let is_accepted = self.accepted.get(guest).is_some_and(|accepted| accepted == resolved);
        Ok(is_accepted || resolved.starts_with(&walk(&self.folder)?.resolved))
    }
}

fn grant_reaches(folder: &Path, tool: &ToolName, grant: &Grant) -> Vec<Reach> {
    let line = |rest: &[&str], leads_to: Option<PathBuf>| {
        let keys = ["tools", tool.as_str()].into_iter().chain(rest.iter().copied()).map(str::to_owned).collect();
        AcceptedLine { keys, leads_to }
    };
    let mut reaches = Vec::new();
    for (guest, fs) in &grant.fs {
        let guest = guest.to_string();
        let resolved = resolved(&fs.host);
        let is_below = resolved.as_ref().zip(self::resolved(folder)).is_some_and(|(path, of)| path.starts_with(of));
        // A path that cannot be resolved is not below, and leads where it is written.
        let leads_to = resolved.unwrap_or_else(|| fs.host.clone());
        let shown = leads_to.display().to_string();
        if !is_below {
            let what = format!("`{shown}` as `{guest}`, a folder outside, for `{tool}`");
            reaches.push(Reach { what, line: line(&["fs", &guest, "host"], Some(leads_to.clone())) });
        }
        if fs.mounts {
            let what = format!("what is mounted below `{shown}`, for `{tool}`");
            reaches.push(Reach { what, line: line(&["fs", &guest, "mounts"], Some(leads_to)) });
        }
    }
    for (name, value) in &grant.env {
        if let EnvValue::FromHost(host) = value {
            let what = format!("the variable `{host}` of your environment, for `{tool}`");
            reaches.push(Reach { what, line: line(&["env", &name.to_string()], None) });
        }
    }
    reaches
}

/// Where `path` leads.
fn resolved(path: &Path) -> Option<PathBuf> {
    walk(path).ok().map(|walked| walked.resolved)
}

/// Opens a policy that the user names.
fn open_given(path: &Path, shown: &Path) -> Result<File, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: shown.to_owned(), source };
    let file = files::open(path).map_err(failed)?;
    if has_other_name(&file.metadata().map_err(failed)?) {
        return Err(PolicyFileError::OtherName { path: shown.to_owned() });
    }
    Ok(file)
}

fn text_of(file: File, shown: &Path) -> Result<String, PolicyFileError> {
    let failed = |source| PolicyFileError::Read { path: shown.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than a policy may have: the parser then refuses it.
    file.take(POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_not_utf8| PolicyFileError::NotText { path: shown.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Ground {
        _folder: tempfile::TempDir,
        at: PathBuf,
    }

    impl Ground {
        fn new(policy: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let at = folder.path().canonicalize().unwrap();
            fs::create_dir_all(at.join("p/docs")).unwrap();
            fs::create_dir_all(at.join("q")).unwrap();
            fs::write(at.join("p/tollgate.toml"), policy).unwrap();
            Self { _folder: folder, at }
        }

        fn found(&self) -> Result<Option<PolicyFile>, PolicyFileError> {
            PolicyFile::found(&self.at.join("p"), Some(&TrustStore::new(self.at.join("trust"))))
        }

        fn allows(&self) -> Result<(), PolicyFileError> {
            self.found()?.unwrap().allows(&"echo".parse().unwrap())
        }
    }

    #[test]
    fn what_lies_below_its_own_folder_needs_no_ceremony() {
        let ground = Ground::new(
            "[tools.echo]\nfs.\"/d\" = { host = \"docs\", access = [\"read\"] }\nfs.\"/all\" = { host = \".\", access = \
             [\"read\"] }\nenv.LANG = \"C\"\nrandom = \"secure\"\nlimits.memory = \"1GiB\"",
        );
        ground.allows().unwrap();
    }

    #[test]
    fn what_reaches_farther_is_named_with_its_line() {
        let lines = [
            ("fs.\"/d\" = { host = \"../q\", access = [\"read\"] }", "../q\""),
            ("fs.\"/d\" = { host = \"/srv\", access = [\"read\"] }", "/srv\""),
            ("fs.\"/d\" = { host = \"out\", access = [\"read\"] }", "out\""),
            ("fs.\"/d\" = { host = \"docs\", access = [\"read\"], mounts = true }", "true"),
            ("env.TOKEN = { host = \"TOKEN\" }", "{ host = \"TOKEN\" }"),
        ];
        for (line, marked) in lines {
            let text = format!("[tools.echo]\n{line}\n");
            let ground = Ground::new(&text);
            symlink("../q", ground.at.join("p/out")).unwrap();
            let Err(PolicyFileError::ReachesFarther { lines, .. }) = ground.allows() else { panic!("{line}") };
            assert_eq!(lines.len(), 1, "{line}");
            let at = lines[0].offset()..lines[0].offset() + lines[0].len();
            assert!(text[at].contains(marked), "{line}");
        }
        let lowered = Ground::new("[sandbox]\nrequire = \"none\"");
        assert!(matches!(lowered.allows(), Err(PolicyFileError::ReachesFarther { lines, .. }) if lines.len() == 1));
        assert!(lowered.found().unwrap().unwrap().allows_settings().is_err());
    }

    /// A daemon's own policy may be the one that is found, by whoever runs a tool in its folder.
    #[test]
    fn who_may_ask_a_daemon_reaches_nowhere_and_changes_no_grant() {
        let grants = "[tools.echo]\nfs.\"/d\" = { host = \"docs\", access = [\"read\"] }\n";
        let daemons = "[agents.all]\nis = { uid = 1 }\nlisten = \"/run/x/socket\"\nmode = \"0666\"\ntools = { echo = {}, other = \
                       {} }\n[serve]\nconnections = 4096\n";
        let found = |text: &str| Ground::new(text).found().unwrap().unwrap();
        let (with, without) = (found(&format!("{grants}{daemons}")), found(grants));
        for tool in ["echo", "other"] {
            with.allows(&tool.parse().unwrap()).unwrap();
        }
        with.allows_settings().unwrap();
        assert_eq!(with.reaches(None), []);
        assert_eq!(
            with.policy.grants.tools.keys().collect::<Vec<_>>(),
            without.policy.grants.tools.keys().collect::<Vec<_>>()
        );
        assert_eq!(with.policy.grants.grant(&"other".parse().unwrap()), Grant::default());
        // What reaches farther is judged as ever.
        let farther = Ground::new(&format!("[tools.echo]\nenv.TOKEN = {{ host = \"TOKEN\" }}\n{daemons}"));
        assert!(matches!(farther.allows(), Err(PolicyFileError::ReachesFarther { lines, .. }) if lines.len() == 1));
        assert!(Ground::new("[agents.a]\nis = {}").found().is_err(), "a mistake in them is one in the policy");
    }

    #[test]
    fn only_the_lines_of_the_tool_at_hand_are_judged() {
        let ground = Ground::new("[tools.other]\nfs.\"/d\" = { host = \"/srv\", access = [\"read\"] }");
        ground.allows().unwrap();
        assert_eq!(ground.found().unwrap().unwrap().reaches(None).len(), 1);
    }

    #[test]
    fn a_policy_that_is_given_or_was_accepted_may_reach_farther() {
        let text = "[tools.echo]\nfs.\"/d\" = { host = \"../q\", access = [\"read\"] }";
        let ground = Ground::new(text);
        let given = PolicyFile::given(Path::new("tollgate.toml"), &ground.at.join("p")).unwrap();
        given.allows(&"echo".parse().unwrap()).unwrap();
        let store = TrustStore::new(ground.at.join("trust"));
        let path = ground.at.join("p/tollgate.toml");
        ground.found().unwrap().unwrap().accept(&store).unwrap();
        ground.allows().unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
        assert!(ground.allows().is_err(), "its text is another");
    }

    #[test]
    fn a_folder_is_opened_below_the_policy_or_where_it_was_when_it_was_accepted() {
        let ground = Ground::new(
            "[tools.echo]\nfs.\"/d\" = { host = \"docs\", access = [\"read\"] }\nfs.\"/q\" = { host = \"../q\", access = \
             [\"read\"] }\n[tools.other]\nfs.\"/o\" = { host = \"../q\", access = [\"read\"] }",
        );
        let holds = |guest: &str, path: &str| {
            let bounds = ground.found().unwrap().unwrap().bounds(&"echo".parse().unwrap()).unwrap();
            bounds.hold(guest, &ground.at.join(path)).unwrap()
        };
        assert!(holds("/d", "p/docs") && !holds("/q", "q"));
        ground.found().unwrap().unwrap().accept(&TrustStore::new(ground.at.join("trust"))).unwrap();
        assert!(holds("/d", "p/docs") && holds("/q", "q") && holds("/q", "p/docs"));
        for (guest, path) in [("/d", "q"), ("/q", "q/deeper"), ("/q", ""), ("/o", "q")] {
            assert!(!holds(guest, path), "{guest} {path}");
        }
        let given = PolicyFile::given(Path::new("tollgate.toml"), &ground.at.join("p")).unwrap();
        assert!(given.bounds(&"echo".parse().unwrap()).is_none());
    }
}

//! Grants in one line, as `--grant` takes them: the same vocabulary as a policy, for one run. A text must never be
//! understood in part: what does not fit its form is refused whole.
//!
//! | text | gives |
//! |---|---|
//! | `fs:GUEST=HOST:ACCESS[,ACCESS…]` | a folder; the last colon splits, so that HOST may have some of its own |
//! | `durable:GUEST=ACCESS[,ACCESS…]` | rights of a folder granted before it that are used only once the intent is on disk |
//! | `env:NAME=VALUE`, `env:NAME` | a variable; without a value, the operator's own |
//! | `args=A[,B…]` | the argument vector; no argument can have a comma |
//! | `stdio=STREAM[,STREAM…]` | `stdin`, `stdout`, `stderr`; what is not named is not given |
//! | `random=secure`, `random=seed:N` | random bytes |
//! | `clock:wall=MODE`, `clock:monotonic=MODE` | `real`, `coarse` or `frozen` |
//! | `audit:arguments=HOW` | whether arguments and results are recorded: `digest`, `full` or `none` |
//! | `audit:acknowledge=WHEN` | when a result may be handed out: `pipe`, `journal` or `disk` |
//! | `limit:CAP=VALUE` | a ceiling, such as `limit:memory=16MiB` |

use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;
use tollgate_capability::{
    Access, AccessSet, Acknowledge, ArgumentsRecord, Cap, ClockMode, Patterns, RandomMode, Stdio, StdioSet,
};
use tollgate_plain::one_line;

use crate::diagnostic::ValueError;
use crate::grant::{EnvValue, FsGrant, Grant, granted};
use crate::host_path::host_path;
use crate::limits::PartialLimits;
use crate::names::{EnvName, GuestPath};
use crate::nearest::nearest;
use crate::texts::{self, TextError, VALUES_MAX};

/// One `--grant`. [`Grant::merge_adhoc`] adds it to a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdhocGrant {
    /// A folder, without patterns, mounts or durable rights and with the default quota.
    Fs {
        /// Where the guest sees it.
        guest: GuestPath,
        /// What it is.
        fs: FsGrant,
    },
    /// Rights of a granted folder that are used only once the intent is on disk.
    Durable {
        /// The folder.
        guest: GuestPath,
        /// The rights; they replace those that were durable before.
        durable: AccessSet,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: EnvName,
        /// Its value.
        value: EnvValue,
    },
    /// The argument vector.
    Args(Vec<String>),
    /// Standard streams.
    Stdio(StdioSet),
    /// Random bytes.
    Random(RandomMode),
    /// The time of day.
    WallClock(ClockMode),
    /// The time since some instant.
    MonotonicClock(ClockMode),
    /// Which call the tool answers.
    Context,
    /// Whether arguments and results are recorded.
    Arguments(ArgumentsRecord),
    /// When a result may be handed out.
    Acknowledge(Acknowledge),
    /// A ceiling.
    Limits(PartialLimits),
}

impl AdhocGrant {
    /// Reads a `--grant`. Relative host paths are joined to `folder`, the absolute path of the working directory.
    ///
    /// # Errors
    ///
    /// A [`GrantTextError`] that shows the accepted form.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, GrantTextError> {
        let text = GrantText(text);
        let end = text.0.find([':', '=']).unwrap_or(text.0.len());
        let (kind, rest) = text.0.split_at_checked(end).unwrap_or((text.0, ""));
        let (colon, equals) = (rest.strip_prefix(':'), rest.strip_prefix('='));
        match (kind, colon, equals) {
            ("fs", Some(rest), _) => text.fs(rest, folder),
            ("durable", Some(rest), _) => text.durable(rest),
            ("env", Some(rest), _) => text.env(rest),
            ("clock", Some(rest), _) => text.clock(rest),
            ("audit", Some(rest), _) => text.audit(rest),
            ("limit", Some(rest), _) => text.limit(rest),
            ("args", _, Some(rest)) => text.args(rest),
            ("stdio", _, Some(rest)) => text.stdio(rest),
            ("random", _, Some(rest)) => text.random(rest),
            ("context", ..) => text.context(rest),
            _unknown => Err(text.unknown_kind(kind)),
        }
    }
}

impl Grant {
    /// Adds what the command line gives. For the same folder, variable, clock, limit or audit setting it replaces what was there; a
    /// folder that is given anew has no durable rights until they are given anew too.
    ///
    /// # Errors
    ///
    /// A [`MergeError`] if it makes a right durable that is not granted by then. The grant is as it was.
    pub fn merge_adhoc(&mut self, adhoc: AdhocGrant) -> Result<(), MergeError> {
        match adhoc {
            AdhocGrant::Fs { guest, fs } => {
                self.fs.insert(guest, fs);
            }
            AdhocGrant::Durable { guest, durable } => self.make_durable(guest, durable)?,
            AdhocGrant::Env { name, value } => {
                self.env.insert(name, value);
            }
            AdhocGrant::Args(args) => self.args = Some(args),
            AdhocGrant::Stdio(stdio) => self.stdio = Some(stdio),
            AdhocGrant::Random(random) => self.random = Some(random),
            AdhocGrant::WallClock(clock) => self.wall_clock = Some(clock),
            AdhocGrant::MonotonicClock(clock) => self.monotonic_clock = Some(clock),
            AdhocGrant::Context => self.context = true,
            AdhocGrant::Arguments(arguments) => self.audit.arguments = arguments,
            AdhocGrant::Acknowledge(acknowledge) => self.audit.acknowledge = acknowledge,
            AdhocGrant::Limits(limits) => self.limits.replace_with(&limits),
        }
        Ok(())
    }

    fn make_durable(&mut self, guest: GuestPath, durable: AccessSet) -> Result<(), MergeError> {
        let Some(fs) = self.fs.get_mut(&guest) else { return Err(MergeError::NoFolder { guest }) };
        fs.durable = granted(durable, fs.access).map_err(|fault| MergeError::Durable { guest, fault })?;
        Ok(())
    }
}

/// Why what the command line gives does not fit what is granted already.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum MergeError {
    /// Rights are durable below a folder that is not granted.
    #[error("the rights below `{guest}` cannot be durable: no such folder is granted")]
    #[diagnostic(help(
        "grant the folder first, such as --grant 'fs:{guest}=PATH:write' --grant 'durable:{guest}=write'"
    ))]
    NoFolder {
        /// The folder.
        guest: GuestPath,
    },
    /// Rights are durable that are not granted.
    #[error("below `{guest}`: {fault}")]
    #[diagnostic(help("grant them in `fs:{guest}=…` before `durable:{guest}=…`, or take them out there"))]
    Durable {
        /// The folder.
        guest: GuestPath,
        /// Which rights.
        fault: TextError,
    },
}

/// Why a `--grant` is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[non_exhaustive]
pub enum GrantTextError {
    /// It does not have the form of its kind, or is of no known kind.
    #[error("the grant `{given}` does not have an accepted form")]
    Form {
        /// The text.
        given: String,
        /// The accepted form.
        #[help]
        help: String,
    },
    /// One of its words is none of those that can stand there.
    #[error("unknown word `{word}` in the grant `{given}`")]
    UnknownWord {
        /// The text.
        given: String,
        /// The word.
        word: String,
        /// The nearest known word, all known words, and the accepted form.
        #[help]
        help: String,
    },
    /// One of its values cannot be used.
    #[error("in the grant `{given}`: {fault}")]
    Value {
        /// The text.
        given: String,
        /// What is wrong with it.
        fault: ValueError,
        /// What to do, and the accepted form.
        #[help]
        help: String,
    },
}

/// The whole text, for errors.
#[derive(Clone, Copy)]
struct GrantText<'t>(&'t str);

type Parsed = Result<AdhocGrant, GrantTextError>;

impl GrantText<'_> {
    fn fs(self, rest: &str, folder: &Path) -> Parsed {
        let form = || self.form(FS_FORM);
        let (guest, rest) = rest.split_once('=').ok_or_else(form)?;
        let (host, rights) = rest.rsplit_once(':').ok_or_else(form)?;
        let guest = self.guest(guest, FS_FORM)?;
        let host = host_path(host, folder).map_err(|fault| self.value(fault, FS_FORM))?;
        let (access, patterns) = (self.rights(rights, FS_FORM)?, Patterns::default());
        Ok(AdhocGrant::Fs {
            guest,
            fs: FsGrant {
                host,
                access,
                durable: AccessSet::EMPTY,
                patterns,
                quota: None,
                nested: false,
                mounts: false,
            },
        })
    }

    fn durable(self, rest: &str) -> Parsed {
        let (guest, rights) = rest.split_once('=').ok_or_else(|| self.form(DURABLE_FORM))?;
        let guest = self.guest(guest, DURABLE_FORM)?;
        Ok(AdhocGrant::Durable { guest, durable: self.rights(rights, DURABLE_FORM)? })
    }

    fn guest(self, text: &str, form: &str) -> Result<GuestPath, GrantTextError> {
        text.parse().map_err(|fault: crate::NameError| self.value(fault, form))
    }

    fn rights(self, words: &str, form: &str) -> Result<AccessSet, GrantTextError> {
        let known = Access::ALL.map(Access::as_str);
        let right = |word: &str| {
            let found = Access::ALL.into_iter().find(|access| access.as_str() == word);
            found.ok_or_else(|| self.word(word, &known, form))
        };
        words.split(',').map(right).collect()
    }

    fn env(self, rest: &str) -> Parsed {
        let (name, value) = rest.split_once('=').map_or((rest, None), |(name, value)| (name, Some(value)));
        let name: EnvName = name.parse().map_err(|fault: crate::NameError| self.value(fault, ENV_FORM))?;
        let value = match value {
            Some(value) => texts::value("the value", value.to_owned())
                .map(EnvValue::Literal)
                .map_err(|fault| self.value(fault, ENV_FORM))?,
            None => EnvValue::FromHost(name.clone()),
        };
        Ok(AdhocGrant::Env { name, value })
    }

    fn args(self, rest: &str) -> Parsed {
        let args = if rest.is_empty() { Vec::new() } else { rest.split(',').map(str::to_owned).collect() };
        texts::count("arguments", args.len(), VALUES_MAX).map_err(|fault| self.value(fault, ARGS_FORM))?;
        let checked = args.into_iter().map(|arg| texts::value("the argument", arg)).collect::<Result<_, _>>();
        checked.map(AdhocGrant::Args).map_err(|fault| self.value(fault, ARGS_FORM))
    }

    fn stdio(self, rest: &str) -> Parsed {
        let streams = [Stdio::Stdin, Stdio::Stdout, Stdio::Stderr];
        let stream = |word: &str| {
            let found = streams.into_iter().find(|stream| stream.as_str() == word);
            found.ok_or_else(|| self.word(word, &streams.map(Stdio::as_str), STDIO_FORM))
        };
        let words = if rest.is_empty() { None } else { Some(rest.split(',')) };
        words.into_iter().flatten().map(stream).collect::<Result<StdioSet, _>>().map(AdhocGrant::Stdio)
    }

    fn random(self, rest: &str) -> Parsed {
        let mode = match rest.strip_prefix("seed:") {
            // `u64` would take a plus sign.
            Some(seed) if seed.starts_with('+') => return Err(self.form(RANDOM_FORM)),
            Some(seed) => RandomMode::Seeded(seed.parse().map_err(|_not_a_number| self.form(RANDOM_FORM))?),
            None if rest == "secure" => RandomMode::Secure,
            None => return Err(self.word(rest, &["secure", "seed:N"], RANDOM_FORM)),
        };
        Ok(AdhocGrant::Random(mode))
    }

    fn context(self, rest: &str) -> Parsed {
        if rest.is_empty() { Ok(AdhocGrant::Context) } else { Err(self.form(CONTEXT_FORM)) }
    }

    fn clock(self, rest: &str) -> Parsed {
        let (which, word) = rest.split_once('=').ok_or_else(|| self.form(CLOCK_FORM))?;
        let modes = [ClockMode::Real, ClockMode::Coarse, ClockMode::Frozen];
        let mode = modes.into_iter().find(|mode| mode.as_str() == word);
        let mode = mode.ok_or_else(|| self.word(word, &modes.map(ClockMode::as_str), CLOCK_FORM))?;
        match which {
            "wall" => Ok(AdhocGrant::WallClock(mode)),
            "monotonic" => Ok(AdhocGrant::MonotonicClock(mode)),
            unknown => Err(self.word(unknown, &["wall", "monotonic"], CLOCK_FORM)),
        }
    }

    fn audit(self, rest: &str) -> Parsed {
        let (key, word) = rest.split_once('=').ok_or_else(|| self.form(AUDIT_FORM))?;
        match key {
            "arguments" => self.one_of(word, ArgumentsRecord::ALL, ArgumentsRecord::as_str).map(AdhocGrant::Arguments),
            "acknowledge" => self.one_of(word, Acknowledge::ALL, Acknowledge::as_str).map(AdhocGrant::Acknowledge),
            unknown => Err(self.word(unknown, &["arguments", "acknowledge"], AUDIT_FORM)),
        }
    }

    fn one_of<T: Copy>(self, word: &str, all: [T; 3], as_str: fn(T) -> &'static str) -> Result<T, GrantTextError> {
        let found = all.into_iter().find(|choice| as_str(*choice) == word);
        found.ok_or_else(|| self.word(word, &all.map(as_str), AUDIT_FORM))
    }

    fn limit(self, rest: &str) -> Parsed {
        let (key, value) = rest.split_once('=').ok_or_else(|| self.form(LIMIT_FORM))?;
        let known = Cap::ALL.map(Cap::as_str);
        let cap = Cap::ALL.into_iter().find(|cap| cap.as_str() == key);
        let cap = cap.ok_or_else(|| self.word(key, &known, LIMIT_FORM))?;
        let mut limits = PartialLimits::default();
        limits.set_text(cap, value).map_err(|fault| self.value(fault, LIMIT_FORM))?;
        Ok(AdhocGrant::Limits(limits))
    }

    fn unknown_kind(self, kind: &str) -> GrantTextError {
        if let Some((_kind, form)) = KINDS.iter().find(|(known, _form)| *known == kind) {
            return self.form(form);
        }
        let near = nearest(kind, &KINDS.map(|(kind, _form)| kind), "kinds");
        let forms = KINDS.map(|(_kind, form)| form).join("\n");
        GrantTextError::Form { given: one_line(self.0), help: format!("{near}\naccepted:\n{forms}") }
    }

    fn form(self, form: &str) -> GrantTextError {
        GrantTextError::Form { given: one_line(self.0), help: format!("accepted: {form}") }
    }

    fn word(self, word: &str, known: &[&str], form: &str) -> GrantTextError {
        let help = format!("{}\naccepted: {form}", nearest(word, known, "words"));
        GrantTextError::UnknownWord { given: one_line(self.0), word: one_line(word), help }
    }

    fn value(self, fault: impl Into<ValueError>, form: &str) -> GrantTextError {
        let fault = fault.into();
        let what_to_do = fault.help().map(|help| help.to_string()).unwrap_or_default();
        GrantTextError::Value { given: one_line(self.0), fault, help: format!("{what_to_do}\naccepted: {form}") }
    }
}

const FS_FORM: &str = "fs:GUEST=HOST:ACCESS[,ACCESS...], such as fs:/docs=./reports:read,list";
const DURABLE_FORM: &str = "durable:GUEST=ACCESS[,ACCESS...] after its fs:GUEST=..., such as durable:/out=write,delete";
const ENV_FORM: &str = "env:NAME=VALUE or env:NAME, such as env:LANG=C";
const ARGS_FORM: &str = "args=A[,B...], such as args=--fast";
const STDIO_FORM: &str = "stdio=STREAM[,STREAM...], such as stdio=stdin,stdout";
const RANDOM_FORM: &str = "random=secure or random=seed:42";
const CLOCK_FORM: &str = "clock:wall=MODE or clock:monotonic=MODE, such as clock:monotonic=coarse";
const CONTEXT_FORM: &str = "context";
const AUDIT_FORM: &str = "audit:arguments=HOW or audit:acknowledge=WHEN, such as audit:acknowledge=disk";
const LIMIT_FORM: &str = "limit:CAP=VALUE, such as limit:memory=16MiB";

/// Every kind, and its form.
const KINDS: [(&str, &str); 10] = [
    ("fs", FS_FORM),
    ("durable", DURABLE_FORM),
    ("env", ENV_FORM),
    ("args", ARGS_FORM),
    ("stdio", STDIO_FORM),
    ("random", RANDOM_FORM),
    ("clock", CLOCK_FORM),
    ("context", CONTEXT_FORM),
    ("audit", AUDIT_FORM),
    ("limit", LIMIT_FORM),
];

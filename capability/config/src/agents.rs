//! Who may ask a daemon for tools (`[agents]`): how each agent is proven, where it is listened for, and which operations it
//! has. No two agents can be proven alike: otherwise whoever asks could choose which of the two it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use miette::SourceSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_plain::one_line;
use toml::Spanned;

use crate::agent_error::AgentError;
use crate::diagnostic::{Document, DocumentError, PolicyError, ValueError};
use crate::names::{AgentName, OperationName, ToolName};
use crate::schema::key;
use crate::shared::parsed;
use crate::texts::{self, OPERATIONS_MAX, TextError};
use crate::units::{Quantity, Unit};

/// Most agents of one policy: each has a listener and a gateway process of its own.
pub const AGENTS_MAX: usize = 64;
/// Most tools of one agent: a list that a language model reads, and nobody checks a longer one by eye.
pub const AGENT_TOOLS_MAX: usize = 1_000;
/// Most uids of one agent: an agent is a program, and runs as few users.
pub const AGENT_UIDS_MAX: usize = 64;
/// Longest path of a socket, in bytes: `sun_path` has 108 of them, the last for a NUL (`unix(7)`).
pub const LISTEN_BYTES_MAX: usize = 107;
/// The mode of a socket where the policy says nothing: its owner alone opens it.
pub const SOCKET_MODE_DEFAULT: u32 = 0o600;

/// What tells who is at the other end of an agent's listener. What a request says of itself is never one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The kernel says that the peer runs as one of these users (`SO_PEERCRED`, `socket(7)`). Never empty; each once, in
    /// ascending order.
    Uid(Vec<u32>),
    /// The peer sends a token that the operator made for this agent.
    Token,
    /// The peer could open the agent's socket: owner, group and mode of the socket, and its folders, decide.
    Socket,
}

/// Somebody who may ask a daemon for tools (`[agents.NAME]` of a policy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// What proves that it is this agent.
    pub is: Proof,
    /// Its socket: absolute, normalised, at most [`LISTEN_BYTES_MAX`] bytes. `None`: a socket in the daemon's own folder.
    pub listen: Option<PathBuf>,
    /// The group of its socket. `None`: the daemon's. Only where [`mode`](Self::mode) lets a group write.
    pub group: Option<u32>,
    /// The mode of its socket, at most `0o777`. Default: [`SOCKET_MODE_DEFAULT`]. Others can write only where something
    /// besides the socket is the proof.
    pub mode: u32,
    /// The port on the loopback interface that it is listened for at, beside its socket; never 0, and only with
    /// [`Proof::Token`]. `None`: no TCP.
    pub port: Option<u16>,
    /// What it may call; nothing else. A tool that the policy grants nothing to may be named, and gets nothing by it.
    pub tools: BTreeMap<ToolName, AgentTool>,
}

/// What an agent may call of one tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentTool {
    /// The operations; never empty. `None`: all that the tool has.
    pub operations: Option<BTreeSet<OperationName>>,
}

impl Agent {
    /// Whether it may call this operation of this tool. A tool that is not named is denied, and so is an operation that is not
    /// where operations are named.
    #[must_use]
    pub fn may(&self, tool: &ToolName, operation: &str) -> bool {
        self.tools.get(tool).is_some_and(|tool| tool.has(operation))
    }
}

impl AgentTool {
    fn has(&self, operation: &str) -> bool {
        match &self.operations {
            Some(named) => named.iter().any(|name| name.as_str() == operation),
            None => true,
        }
    }
}

/// Agents by name.
pub(crate) type RawAgents = BTreeMap<Spanned<String>, RawAgent>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Agent")]
pub(crate) struct RawAgent {
    /// What proves that it is this agent who asks. Each agent says so, by exactly one of these keys: what a request says of itself
    /// proves nothing.
    #[schemars(with = "RawProof")]
    is: Spanned<RawProof>,
    /// The agent's socket: an absolute path, in a folder that is yours and that nobody else may change. Without it, the socket
    /// stands in the daemon's own folder, which other users cannot enter.
    #[schemars(with = "Option<String>", length(min = 2, max = 107))]
    listen: Option<Spanned<String>>,
    /// The group of the agent's socket, as a number; `mode` must let it write.
    #[schemars(with = "Option<u32>")]
    group: Option<Spanned<Quantity>>,
    /// The mode of the agent's socket, in octal digits and in quotes. Opening a socket takes the right to write. Others may have
    /// it only where a uid or a token is the proof.
    #[schemars(with = "Option<String>", regex(pattern = r"^0?[0-7]{3}$"), extend("default" = "0600"))]
    mode: Option<Spanned<RawMode>>,
    /// A port on the loopback interface, beside the socket. Any user of the machine can connect to it, so it is only for an agent
    /// that is proven by a token.
    #[schemars(with = "Option<u16>", range(min = 1, max = 65535))]
    port: Option<Spanned<Quantity>>,
    /// What the agent may call; it sees and calls nothing else. `grep = {}` is all operations of `grep`.
    #[serde(default)]
    #[schemars(
        with = "BTreeMap<String, RawOperations>",
        extend("propertyNames" = key("TOOL"), "maxProperties" = AGENT_TOOLS_MAX)
    )]
    tools: BTreeMap<Spanned<String>, RawAgentTool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Proof", extend("minProperties" = 1, "maxProperties" = 1))]
struct RawProof {
    /// The users that the agent's program runs as, as numbers: the kernel tells which user is at the other end of a socket. Two
    /// agents cannot have the same.
    #[schemars(with = "Option<UidsSchema>")]
    uid: Option<Spanned<RawUids>>,
    /// Whoever sends a token that the operator made for this agent is the agent. A token is shown once and kept as its SHA-256.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    token: Option<Spanned<bool>>,
    /// Whoever can open the agent's socket is the agent: `group` and `mode` of the socket decide, and the folders it stands in.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    socket: Option<Spanned<bool>>,
}

/// What an agent has of a tool.
#[derive(Debug)]
struct RawAgentTool(RawOperations);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AgentTool")]
struct RawOperations {
    /// The operations that the agent may call. Without it, all that the tool has, those of a later version too.
    #[schemars(with = "Option<Vec<String>>", length(min = 1, max = 64))]
    operations: Option<Spanned<Vec<Spanned<String>>>>,
}

/// One user or several.
#[derive(Debug)]
enum RawUids {
    One(Quantity),
    Several(Vec<Spanned<Quantity>>),
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Uids")]
#[allow(dead_code, reason = "only its schema is used")]
enum UidsSchema {
    /// One user.
    One(u32),
    /// Several.
    Several(#[schemars(length(min = 1, max = 64))] Vec<u32>),
}

/// A mode as it stands in a file: a text, since TOML takes `0660` for no number and `660` for a decimal one.
#[derive(Debug)]
struct RawMode(String);

/// From a table alone: serde takes a list for a struct too, and a list of operations is not one of tables.
impl<'de> Deserialize<'de> for RawAgentTool {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawAgentTool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, such as `{ operations = [\"search\"] }` or `{}`")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawAgentTool, A::Error> {
                RawOperations::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(RawAgentTool)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawUids {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawUids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a list of them")
            }

            fn visit_i64<E>(self, number: i64) -> Result<RawUids, E> {
                Ok(RawUids::One(Quantity::Integer(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<RawUids, E> {
                Ok(RawUids::One(Quantity::Text(text.to_owned())))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<RawUids, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(list);
                Vec::deserialize(list).map(RawUids::Several)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for RawMode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = RawMode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("octal digits in quotes, such as \"0660\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawMode, E> {
                Ok(RawMode(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The agents as they are meant: no two of them proven alike, or listened for at the same place.
pub(crate) fn agents(
    document: &Document,
    raw: Option<Spanned<RawAgents>>,
) -> Result<BTreeMap<AgentName, Agent>, PolicyError> {
    let Some(raw) = raw else { return Ok(BTreeMap::new()) };
    let (span, raw) = (raw.span(), raw.into_inner());
    if raw.is_empty() {
        return Err(document.value(span, AgentError::NoAgent).into());
    }
    texts::count("agents", raw.len(), AGENTS_MAX).map_err(|fault| document.value(span, fault))?;
    let mut agents = BTreeMap::new();
    let mut owners = Owners::new();
    for (name, agent) in raw {
        let span = name.span();
        let name: AgentName = parsed(document, &name)?;
        if name == AgentName::local() {
            return Err(document.value(span, AgentError::Reserved { name }).into());
        }
        let agent = agent.resolve(&mut Taking { document, owners: &mut owners, agent: &name })?;
        agents.insert(name, agent);
    }
    Ok(agents)
}

/// What belongs to one agent alone, by which it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Own {
    Uid(u32),
    Port(u16),
    Socket(PathBuf),
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Port(port) => write!(f, "port {port}"),
            Self::Socket(path) => write!(f, "socket `{}`", path.display()),
        }
    }
}

/// Whose each is, and where it says so.
type Owners = BTreeMap<Own, (AgentName, SourceSpan)>;

/// What one agent takes for itself.
struct Taking<'a> {
    document: &'a Document,
    owners: &'a mut Owners,
    agent: &'a AgentName,
}

impl Taking<'_> {
    fn take(&mut self, own: Own, at: Range<usize>) -> Result<(), PolicyError> {
        let mine = (self.agent.clone(), self.document.span(at));
        match self.owners.insert(own.clone(), mine.clone()) {
            Some(other) => Err(two_owners(self.document, &own, other, mine)),
            None => Ok(()),
        }
    }
}

/// The error for what two agents have, in the order of the file.
fn two_owners(
    document: &Document,
    own: &Own,
    one: (AgentName, SourceSpan),
    other: (AgentName, SourceSpan),
) -> PolicyError {
    let ((earlier, first), (later, second)) =
        if one.1.offset() < other.1.offset() { (one, other) } else { (other, one) };
    PolicyError::TwoAgents { own: own.to_string(), earlier, later, text: document.text(), first, second }
}

impl RawAgent {
    fn resolve(self, taking: &mut Taking<'_>) -> Result<Agent, PolicyError> {
        let document = taking.document;
        let is = proof(taking, &self.is)?;
        let mode = mode(document, &is, self.mode)?;
        let group = self.group.map(|group| socket_group(document, &group, mode)).transpose()?;
        let port = self.port.map(|port| loopback_port(taking, &is, &port)).transpose()?;
        let listen = self.listen.map(|listen| socket(taking, listen)).transpose()?;
        Ok(Agent { is, listen, group, mode, port, tools: tools(document, self.tools)? })
    }
}

fn proof(taking: &mut Taking<'_>, raw: &Spanned<RawProof>) -> Result<Proof, PolicyError> {
    let document = taking.document;
    let RawProof { uid, token, socket } = raw.get_ref();
    let said = |key: &'static str, said: &Spanned<bool>, proof: Proof| {
        let fault = AgentError::NoProof { key };
        if *said.get_ref() { Ok(proof) } else { Err(document.value(said.span(), fault).into()) }
    };
    match (uid, token, socket) {
        (Some(uids), None, None) => Ok(Proof::Uid(self::uids(taking, uids)?)),
        (None, Some(token), None) => said("token", token, Proof::Token),
        (None, None, Some(socket)) => said("socket", socket, Proof::Socket),
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), None, Some(_)) | (None, Some(_), Some(_)) => {
            let given = [("`uid`", uid.is_some()), ("`token`", token.is_some()), ("`socket`", socket.is_some())];
            let given: Vec<_> = given.into_iter().filter_map(|(key, is_there)| is_there.then_some(key)).collect();
            let given = if given.is_empty() { "nothing is".to_owned() } else { format!("{} are", given.join(" and ")) };
            Err(document.value(raw.span(), AgentError::NotOneProof { given }).into())
        }
    }
}

fn uids(taking: &mut Taking<'_>, raw: &Spanned<RawUids>) -> Result<Vec<u32>, PolicyError> {
    let document = taking.document;
    let given: Vec<(&Quantity, Range<usize>)> = match raw.get_ref() {
        RawUids::One(uid) => vec![(uid, raw.span())],
        RawUids::Several(uids) => uids.iter().map(|uid| (uid.get_ref(), uid.span())).collect(),
    };
    if given.is_empty() {
        return Err(document.value(raw.span(), AgentError::NoUid).into());
    }
    texts::count("uids", given.len(), AGENT_UIDS_MAX).map_err(|fault| document.value(raw.span(), fault))?;
    let mut uids = Vec::with_capacity(given.len());
    for (uid, span) in given {
        let uid = id("uid", uid).map_err(|fault| document.value(span.clone(), fault))?;
        taking.take(Own::Uid(uid), span)?;
        uids.push(uid);
    }
    uids.sort_unstable();
    Ok(uids)
}

/// The number of a user or a group. The highest is no id: for `chown(2)` it means to leave the id as it is.
fn id(key: &'static str, raw: &Quantity) -> Result<u32, AgentError> {
    let (number, given) = match raw {
        Quantity::Integer(number) => (u32::try_from(*number).ok(), number.to_string()),
        Quantity::Text(text) => (None, format!("{text:?}")),
    };
    number.filter(|id| *id != u32::MAX).ok_or(AgentError::NotAnId { key, given })
}

fn socket_group(document: &Document, raw: &Spanned<Quantity>, mode: u32) -> Result<u32, DocumentError> {
    let group = id("group", raw.get_ref());
    let let_in = |group| if mode & GROUP_WRITES == 0 { Err(AgentError::GroupKeptOut { mode }) } else { Ok(group) };
    group.and_then(let_in).map_err(|fault| document.value(raw.span(), fault))
}

/// Where the socket is the only proof, a socket that others can open would prove nothing. A uid is told by the kernel whoever
/// opens the socket, and a daemon that is not root can let in a user with whom it shares no group in no other way.
fn mode(document: &Document, is: &Proof, raw: Option<Spanned<RawMode>>) -> Result<u32, DocumentError> {
    let Some(raw) = raw else { return Ok(SOCKET_MODE_DEFAULT) };
    let (span, RawMode(given)) = (raw.span(), raw.into_inner());
    let Some(mode) = octal(&given) else { return Err(document.value(span, AgentError::NotAMode { given })) };
    let guarded = match is {
        Proof::Uid(_) | Proof::Token => true,
        Proof::Socket => mode & OTHERS_WRITE == 0,
    };
    if guarded { Ok(mode) } else { Err(document.value(span, AgentError::OpenToAll { given })) }
}

/// The bits of owner, group and others, and no others.
fn octal(text: &str) -> Option<u32> {
    let digits = if text.len() == 4 { text.strip_prefix('0')? } else { text };
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if is_octal { u32::from_str_radix(digits, 8).ok() } else { None }
}

fn loopback_port(taking: &mut Taking<'_>, is: &Proof, raw: &Spanned<Quantity>) -> Result<u16, PolicyError> {
    let document = taking.document;
    match is {
        Proof::Token => {}
        Proof::Uid(_) | Proof::Socket => return Err(document.value(raw.span(), AgentError::PortWithoutToken).into()),
    }
    let port = Unit::Count.read_within(raw.get_ref(), "port", &(1..=u64::from(u16::MAX)));
    let port = port.map_err(|fault| document.value(raw.span(), fault))?;
    let port = u16::try_from(port).unwrap_or(u16::MAX);
    taking.take(Own::Port(port), raw.span())?;
    Ok(port)
}

fn socket(taking: &mut Taking<'_>, raw: Spanned<String>) -> Result<PathBuf, PolicyError> {
    let (span, given) = (raw.span(), raw.into_inner());
    let path = socket_path(given).map_err(|fault| taking.document.value(span.clone(), fault))?;
    taking.take(Own::Socket(path.clone()), span)?;
    Ok(path)
}

/// Two paths of sockets are the same only if they are the same text, so there is one way to write each.
fn socket_path(given: String) -> Result<PathBuf, ValueError> {
    let is_plain = |path: &str| path.split('/').all(|name| !matches!(name, "" | "." | "..")) && one_line(path) == path;
    if given.len() > LISTEN_BYTES_MAX {
        let (what, bytes) = ("the path of the socket", given.len());
        return Err(TextError::TooLong { what, bytes, bytes_max: LISTEN_BYTES_MAX }.into());
    }
    if given.strip_prefix('/').is_some_and(is_plain) {
        return Ok(PathBuf::from(given));
    }
    Err(AgentError::NotASocket { given }.into())
}

fn tools(
    document: &Document,
    raw: BTreeMap<Spanned<String>, RawAgentTool>,
) -> Result<BTreeMap<ToolName, AgentTool>, DocumentError> {
    let many = raw.len();
    let mut tools = BTreeMap::new();
    for (name, tool) in raw {
        texts::count("tools of one agent", many, AGENT_TOOLS_MAX)
            .map_err(|fault: TextError| document.value(name.span(), fault))?;
        let operations = tool.0.operations.map(|operations| self::operations(document, &operations)).transpose()?;
        tools.insert(parsed(document, &name)?, AgentTool { operations });
    }
    Ok(tools)
}

fn operations(
    document: &Document,
    raw: &Spanned<Vec<Spanned<String>>>,
) -> Result<BTreeSet<OperationName>, DocumentError> {
    let names = raw.get_ref();
    if names.is_empty() {
        return Err(document.value(raw.span(), AgentError::NoOperation));
    }
    texts::count("operations", names.len(), OPERATIONS_MAX).map_err(|fault| document.value(raw.span(), fault))?;
    names.iter().map(|name| parsed(document, name)).collect()
}

/// The bit of a mode by which a socket's group can open it.
const GROUP_WRITES: u32 = 0o020;
/// The same of all other users.
const OTHERS_WRITE: u32 = 0o002;

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(tools: &[(&str, Option<&[&str]>)]) -> Agent {
        let tool = |(name, operations): &(&str, Option<&[&str]>)| {
            let operations = operations.map(|names| names.iter().map(|name| name.parse().unwrap()).collect());
            (name.parse().unwrap(), AgentTool { operations })
        };
        let tools = tools.iter().map(tool).collect();
        Agent { is: Proof::Socket, listen: None, group: None, mode: SOCKET_MODE_DEFAULT, port: None, tools }
    }

    #[test]
    fn an_agent_may_what_is_named_and_nothing_else() {
        let agent = agent(&[("grep", Some(&["search", "count"])), ("echo", None)]);
        let may = |tool: &str, operation: &str| agent.may(&tool.parse().unwrap(), operation);
        assert!(may("grep", "search") && may("grep", "count") && may("echo", "say") && may("echo", "anything"));
        for (tool, operation) in
            [("grep", "replace"), ("grep", ""), ("grep", "searc"), ("grep", "Search"), ("cat", "search")]
        {
            assert!(!may(tool, operation), "{tool} {operation}");
        }
        assert!(!self::agent(&[]).may(&"grep".parse().unwrap(), "search"));
    }

    #[test]
    fn a_mode_has_the_bits_of_owner_group_and_others() {
        for (text, mode) in [("0600", 0o600), ("660", 0o660), ("0777", 0o777), ("000", 0)] {
            assert_eq!(octal(text), Some(mode), "{text}");
        }
        for text in ["", "0", "60", "1777", "00660", "0o66", "668", "+66", "-66", "rw-", "６６０"] {
            assert_eq!(octal(text), None, "{text}");
        }
    }

    #[test]
    fn a_socket_has_one_way_to_be_written() {
        let longest = format!("/{}", "a".repeat(LISTEN_BYTES_MAX - 1));
        for text in ["/s", "/run/tollgate-reader/socket", "/run/..a/.b", longest.as_str()] {
            assert_eq!(socket_path(text.to_owned()), Ok(PathBuf::from(text)), "{text}");
        }
        let longer = format!("{longest}a");
        assert!(matches!(
            socket_path(longer),
            Err(ValueError::Text(TextError::TooLong { bytes: 108, bytes_max: 107, .. }))
        ));
        for text in [
            "",
            "/",
            "s",
            "./s",
            "~/s",
            "//s",
            "/run//s",
            "/run/./s",
            "/run/../s",
            "/run/s/",
            "/a\0",
            "/a\n",
            "/\u{1b}",
        ] {
            let refused = socket_path(text.to_owned());
            assert!(matches!(refused, Err(ValueError::Agent(AgentError::NotASocket { .. }))), "{text:?}");
        }
    }
}

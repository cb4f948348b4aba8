//! What a daemon holds for those who ask it (`[serve]`): connections, calls, bytes and times, each bounded. No bound can be
//! switched off: what a client may send, or leave unsaid, must never be the client's to decide.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tollgate_capability::{CALLS_MAX, JSON_BYTES_MAX};
use toml::Spanned;

use crate::diagnostic::{Document, DocumentError};
use crate::schema::{DurationSchema, SizeSchema, quantity};
use crate::units::{Quantity, Unit};

/// One bound of `[serve]`: its key, and its values in bytes, milliseconds or things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeBound {
    key: &'static str,
    unit: Unit,
    /// What holds where a policy says nothing.
    pub default: u64,
    /// The least that a policy can say.
    pub min: u64,
    /// The most that a policy can say.
    pub max: u64,
}

impl ServeBound {
    /// Connections of one agent. The most: each is a descriptor of its gateway.
    pub const CONNECTIONS: Self = Self::new("serve.connections", Unit::Count, 64, (1, 4_096));
    /// Calls of one agent that run at the same time. The most: as many as `limits.calls` gives one tool.
    pub const CALLS: Self = Self::new("serve.calls", Unit::Count, 32, (1, CALLS_MAX));
    /// Calls of one agent that wait. The most: a caller learns from `busy`, not from a longer queue.
    pub const QUEUE: Self = Self::new("serve.queue", Unit::Count, 128, (0, 4_096));
    /// Bytes of the header of one HTTP request. The least: a token and what common clients send fit.
    pub const HEADER: Self = Self::new("serve.header", Unit::Bytes, 16 << 10, (1 << 10, 1 << 20));
    /// Bytes of one request. The most: an input of the highest `limits.input`, and as much again for how it is written.
    pub const BODY: Self = Self::new("serve.body", Unit::Bytes, 16 << 20, (4 << 10, 2 * JSON_BYTES_MAX));
    /// Milliseconds that a connection may be silent without a call under way. The most: one day.
    pub const IDLE: Self = Self::new("serve.idle", Unit::Time, 60_000, (1_000, 86_400_000));
    /// Milliseconds until a connection has said its first whole request, or its token. The most: one minute, since a connection
    /// that has proven nothing takes the place of one that would.
    pub const HANDSHAKE: Self = Self::new("serve.handshake", Unit::Time, 5_000, (100, 60_000));
    /// Milliseconds that calls have to end when the daemon ends. The most: one hour, the highest `limits.deadline`.
    pub const DRAIN: Self = Self::new("serve.drain", Unit::Time, 30_000, (0, 3_600_000));
    /// Bytes of free disk below which the daemon warns. The least: below it, the ledger would be full before anybody looked.
    pub const RESERVE: Self = Self::new("serve.reserve", Unit::Bytes, 256 << 20, (16 << 20, 1 << 40));

    /// Every bound, in the order of the reference.
    pub const ALL: [Self; 9] = [
        Self::CONNECTIONS,
        Self::CALLS,
        Self::QUEUE,
        Self::HEADER,
        Self::BODY,
        Self::IDLE,
        Self::HANDSHAKE,
        Self::DRAIN,
        Self::RESERVE,
    ];

    const fn new(key: &'static str, unit: Unit, default: u64, (min, max): (u64, u64)) -> Self {
        Self { key, unit, default, min, max }
    }

    /// Its key, with its table: `serve.queue`.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key
    }

    /// A value of it as it would be written, with its unit.
    #[must_use]
    pub fn show(&self, value: u64) -> String {
        self.unit.show(value)
    }

    fn read(&self, document: &Document, raw: Option<Spanned<Quantity>>) -> Result<u64, DocumentError> {
        let Some(raw) = raw else { return Ok(self.default) };
        let value = self.unit.read_within(raw.get_ref(), self.key, &(self.min..=self.max));
        value.map_err(|fault| document.value(raw.span(), fault))
    }

    /// Default and bounds, for the schema.
    fn schema(self) -> impl FnMut(&mut schemars::Schema) {
        quantity(self.unit, self.default, (self.min, self.max))
    }
}

/// What clients of MCP are given as the list of tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolList {
    /// Every tool that the agent may call.
    #[default]
    All,
    /// Two tools in their place: one finds tools by words, the other calls one by its name.
    Search,
}

/// What a daemon holds for those who ask it (`[serve]` of a policy). All of it is for each agent by itself, but `drain` and
/// `reserve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeSettings {
    /// Connections at the same time. Default: 64.
    pub connections: u32,
    /// Calls that run at the same time. Default: 32.
    pub calls: u32,
    /// Calls that wait for one of those to end; one more is answered `busy`. Default: 128.
    pub queue: u32,
    /// Bytes of the header of one HTTP request. Default: 16 KiB.
    pub header_bytes: u64,
    /// Bytes of one request: a line, or the body of an HTTP request. Default: 16 MiB.
    pub body_bytes: u64,
    /// Milliseconds after which a connection is closed that says nothing and has no call under way. Default: 1 minute.
    pub idle_ms: u64,
    /// Milliseconds after which a connection is closed that has not said a whole request, or its token. Default: 5 seconds.
    pub handshake_ms: u64,
    /// Milliseconds that calls have to end when the daemon ends; those that have not are cancelled. Default: 30 seconds.
    pub drain_ms: u64,
    /// Bytes of free disk of the ledger below which the daemon warns. Default: 256 MiB.
    pub reserve_bytes: u64,
    /// What clients of MCP are given as the list of tools. Default: all.
    pub list: ToolList,
}

impl ServeSettings {
    /// Each bound with its value, in the order of [`ServeBound::ALL`].
    #[must_use]
    pub fn bounds(&self) -> [(ServeBound, u64); 9] {
        [
            (ServeBound::CONNECTIONS, u64::from(self.connections)),
            (ServeBound::CALLS, u64::from(self.calls)),
            (ServeBound::QUEUE, u64::from(self.queue)),
            (ServeBound::HEADER, self.header_bytes),
            (ServeBound::BODY, self.body_bytes),
            (ServeBound::IDLE, self.idle_ms),
            (ServeBound::HANDSHAKE, self.handshake_ms),
            (ServeBound::DRAIN, self.drain_ms),
            (ServeBound::RESERVE, self.reserve_bytes),
        ]
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            connections: count(ServeBound::CONNECTIONS.default),
            calls: count(ServeBound::CALLS.default),
            queue: count(ServeBound::QUEUE.default),
            header_bytes: ServeBound::HEADER.default,
            body_bytes: ServeBound::BODY.default,
            idle_ms: ServeBound::IDLE.default,
            handshake_ms: ServeBound::HANDSHAKE.default,
            drain_ms: ServeBound::DRAIN.default,
            reserve_bytes: ServeBound::RESERVE.default,
            list: ToolList::All,
        }
    }
}

/// What a daemon holds for those who ask it. A manifest has no say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Serve")]
pub(crate) struct RawServe {
    /// Connections of one agent at the same time. One more is closed at once, with `busy`.
    #[schemars(with = "Option<u64>", transform = ServeBound::CONNECTIONS.schema())]
    connections: Option<Spanned<Quantity>>,
    /// Calls of one agent that run at the same time, over all tools. Another one waits.
    #[schemars(with = "Option<u64>", transform = ServeBound::CALLS.schema())]
    calls: Option<Spanned<Quantity>>,
    /// Calls of one agent that wait. One more is answered `busy` and is not run; with 0 none waits.
    #[schemars(with = "Option<u64>", transform = ServeBound::QUEUE.schema())]
    queue: Option<Spanned<Quantity>>,
    /// The header of one HTTP request: its first line and all its fields.
    #[schemars(with = "Option<SizeSchema>", transform = ServeBound::HEADER.schema())]
    header: Option<Spanned<Quantity>>,
    /// One request: a whole line on a socket, or the body of an HTTP request. What a tool takes is bounded by `limits.input`.
    #[schemars(with = "Option<SizeSchema>", transform = ServeBound::BODY.schema())]
    body: Option<Spanned<Quantity>>,
    /// A connection that says nothing and has no call under way is closed after this time.
    #[schemars(with = "Option<DurationSchema>", transform = ServeBound::IDLE.schema())]
    idle: Option<Spanned<Quantity>>,
    /// A connection that has not said its first whole request, or its token, is closed after this time.
    #[schemars(with = "Option<DurationSchema>", transform = ServeBound::HANDSHAKE.schema())]
    handshake: Option<Spanned<Quantity>>,
    /// What calls have to end when the daemon ends; those that have not by then are cancelled. With 0 all are, at once.
    #[schemars(with = "Option<DurationSchema>", transform = ServeBound::DRAIN.schema())]
    drain: Option<Spanned<Quantity>>,
    /// Free disk of the ledger below which the daemon warns, on stderr and where its health is asked for.
    #[schemars(with = "Option<SizeSchema>", transform = ServeBound::RESERVE.schema())]
    reserve: Option<Spanned<Quantity>>,
    /// What clients of MCP are given as the list of tools: `all`, or `search` for two tools in their place, `find-tool` and `call-tool`,
    /// so that a model need not read hundreds. What an agent may call stays the same.
    #[serde(default)]
    list: ToolList,
}

impl RawServe {
    pub(crate) fn resolve(self, document: &Document) -> Result<ServeSettings, DocumentError> {
        Ok(ServeSettings {
            connections: count(ServeBound::CONNECTIONS.read(document, self.connections)?),
            calls: count(ServeBound::CALLS.read(document, self.calls)?),
            queue: count(ServeBound::QUEUE.read(document, self.queue)?),
            header_bytes: ServeBound::HEADER.read(document, self.header)?,
            body_bytes: ServeBound::BODY.read(document, self.body)?,
            idle_ms: ServeBound::IDLE.read(document, self.idle)?,
            handshake_ms: ServeBound::HANDSHAKE.read(document, self.handshake)?,
            drain_ms: ServeBound::DRAIN.read(document, self.drain)?,
            reserve_bytes: ServeBound::RESERVE.read(document, self.reserve)?,
            list: self.list,
        })
    }
}

/// A number of things, whose maxima all fit.
fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_inside_their_bounds_and_counts_fit() {
        let settings = ServeSettings::default();
        assert_eq!(settings.bounds().map(|(bound, _)| bound), ServeBound::ALL);
        for (bound, value) in settings.bounds() {
            assert_eq!(value, bound.default, "{}", bound.key());
            assert!((bound.min..=bound.max).contains(&value), "{}", bound.key());
            assert!(bound.unit != Unit::Count || bound.max <= u64::from(u32::MAX), "{}", bound.key());
        }
    }
}

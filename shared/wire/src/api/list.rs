//! Lists: sessions and hosts, a page at a time.

use super::usd;
use crate::{time, token};
use muster_domain::alert::Rule;
use muster_domain::fact::Usage;
use muster_domain::fleet::SessionKey;
use muster_domain::host::HostState;
use muster_domain::ids::InstanceId;
use muster_domain::names::{AgentName, HostName, Profile, SessionId};
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use muster_domain::view::{HostView, SessionView};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a page ended. It names the last row rather than counting rows, so that sessions that come and go in between
/// neither repeat nor hide others. Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(SessionKey);

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor; use `next_cursor` of the page before as it is")]
pub struct BadCursor(pub(super) String);

impl Cursor {
    /// The end of a page whose last row has this key.
    pub const fn after(key: SessionKey) -> Self {
        Self(key)
    }

    /// The key after which the next page begins.
    pub const fn key(&self) -> &SessionKey {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.host, token::encode(self.0.id.as_str()))
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let key = || {
            let (host, id) = text.split_once('.')?;
            Some(SessionKey {
                host: HostName::new(host).ok()?,
                id: SessionId::new(&token::decode(id)?).ok()?,
            })
        };
        key().map(Self).ok_or_else(|| BadCursor(text.to_owned()))
    }
}

impl TryFrom<String> for Cursor {
    type Error = BadCursor;

    fn try_from(text: String) -> Result<Self, BadCursor> {
        text.parse()
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

/// `sessions.list`: which sessions. What is not set matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsListRequest {
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only of this product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Only in this state.
    #[serde(alias = "status", skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// Only those heard of at or after this time.
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl SessionsListRequest {
    /// Whether a session belongs into the list.
    pub fn admits(&self, session: &SessionView) -> bool {
        self.host.as_ref().is_none_or(|host| *host == session.host)
            && self
                .agent
                .as_ref()
                .is_none_or(|agent| Some(agent) == session.agent.as_ref())
            && self.state.is_none_or(|state| state == session.state)
            && self.since.is_none_or(|since| session.last_seen >= since)
    }
}

/// A page of sessions, in the order of host and id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsList {
    /// The rows.
    pub sessions: Vec<SessionSummary>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<Cursor>,
}

/// A session, in one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionSummary {
    /// Its id, as its agent gave it.
    pub id: SessionId,
    /// The host it runs on.
    pub host: HostName,
    /// The product that runs it.
    pub agent: Option<AgentName>,
    /// The profile it runs under.
    pub profile: Option<Profile>,
    /// What it does.
    pub state: SessionState,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    #[serde(with = "time")]
    pub since: Timestamp,
    /// When it was first heard of.
    #[serde(with = "time")]
    pub started: Timestamp,
    /// When it was last heard of.
    #[serde(with = "time")]
    pub last_seen: Timestamp,
    /// Working directory.
    pub cwd: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Permission mode.
    pub permission_mode: Option<String>,
    /// Turns so far.
    pub turns: u32,
    /// Tool calls so far.
    pub tool_calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// What its agent says it has cost.
    pub cost_usd: Option<f64>,
    /// Tokens so far.
    pub tokens: Tokens,
    /// Tokens that its context holds.
    pub context_tokens: Option<u64>,
    /// Tokens that fit.
    pub window_tokens: Option<u64>,
    /// Subagents at work.
    pub subagents_running: u32,
    /// Delegations of it that are under way.
    #[serde(default)]
    pub active_delegations: u32,
    /// Rules whose alerts about it stand.
    #[serde(default)]
    pub alerts: Vec<Rule>,
    /// Its oldest turns are only counted.
    pub truncated: bool,
}

/// Tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Input that was not read from a cache.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache.
    pub cache_creation: u64,
    /// All of them.
    pub total: u64,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_creation: usage.cache_creation,
            total: usage.total(),
        }
    }
}

impl From<SessionView> for SessionSummary {
    fn from(view: SessionView) -> Self {
        Self {
            id: view.id,
            host: view.host,
            agent: view.agent,
            profile: view.profile,
            state: view.state,
            reason: view.reason,
            since: view.since,
            started: view.started,
            last_seen: view.last_seen,
            cwd: view.cwd,
            model: view.model,
            permission_mode: view.permission_mode,
            turns: view.turns,
            tool_calls: view.tool_calls,
            failures: view.failures,
            cost_usd: view.cost_micros.map(usd),
            tokens: view.tokens.into(),
            context_tokens: view.context.map(|context| context.used_tokens),
            window_tokens: view.context.and_then(|context| context.window_tokens),
            subagents_running: view.subagents_running,
            active_delegations: view.active_delegations,
            alerts: view.alerts.iter().collect(),
            truncated: view.truncated,
        }
    }
}

/// Which rows of what sessions have under way, the latest first; `I` names a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, bound(deserialize = "I: Deserialize<'de>"))]
pub struct UnderWayRequest<I> {
    /// Also those that are over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The last row of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<I>,
    /// Rows at most; the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl<I> Default for UnderWayRequest<I> {
    fn default() -> Self {
        Self {
            all: false,
            session: None,
            host: None,
            cursor: None,
            limit: None,
        }
    }
}

impl<I> UnderWayRequest<I> {
    /// Whether a row of this session belongs into the list.
    pub fn admits(&self, of: &SessionKey, is_open: bool) -> bool {
        (self.all || is_open)
            && self.host.as_ref().is_none_or(|host| *host == of.host)
            && self.session.as_ref().is_none_or(|session| *session == of.id)
    }
}

/// `hosts.list`: which hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostsListRequest {
    /// The last host of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<HostName>,
    /// Rows at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of hosts, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsList {
    /// The rows.
    pub hosts: Vec<HostSummary>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<HostName>,
}

/// A host, in one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSummary {
    /// Its name.
    pub name: HostName,
    /// `present`, `lost`, `stopping` or `removed`.
    pub state: String,
    /// Since when.
    #[serde(with = "time")]
    pub since: Timestamp,
    /// The version of its ingest.
    pub version: Option<String>,
    /// The start of its ingest.
    pub instance: Option<InstanceId>,
    /// What is wrong with it, while something is.
    pub degraded: Option<String>,
    /// CCD's word for its presence: `active`, `expired` (nobody renews it), `missing` (removed). Hosts renew it every few
    /// seconds, so it expires within seconds, and not after CCD's 8 h or 15 min.
    #[serde(default)]
    pub presence: String,
    /// CCD's word for its health: `ready` (sessions run), `idle` (none does), `degraded`. Null while nobody can tell.
    #[serde(default)]
    pub runtime_health: Option<String>,
    /// When it was last heard of.
    #[serde(with = "time")]
    pub last_seen: Timestamp,
    /// Sessions known on it.
    pub sessions: u32,
    /// Those that are not over.
    pub live: u32,
}

impl From<HostView> for HostSummary {
    fn from(view: HostView) -> Self {
        Self {
            presence: presence(view.state).to_owned(),
            runtime_health: health(&view).map(str::to_owned),
            name: view.name,
            state: view.state.as_str().to_owned(),
            since: view.since,
            version: view.version,
            instance: view.instance,
            degraded: view.degraded,
            last_seen: view.last_seen,
            sessions: view.sessions,
            live: view.live,
        }
    }
}

const fn presence(state: HostState) -> &'static str {
    match state {
        HostState::Present => "active",
        HostState::Lost | HostState::Stopping => "expired",
        HostState::Removed => "missing",
    }
}

const fn health(view: &HostView) -> Option<&'static str> {
    match (view.state, &view.degraded) {
        (HostState::Present, Some(_)) => Some("degraded"),
        (HostState::Present, None) if view.live > 0 => Some("ready"),
        (HostState::Present, None) => Some("idle"),
        (HostState::Lost | HostState::Stopping | HostState::Removed, _) => None,
    }
}

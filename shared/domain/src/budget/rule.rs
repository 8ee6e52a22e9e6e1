//! What a budget allows to whom.

use crate::fleet::SessionKey;
use crate::hold::Selector;
use crate::names::{AgentName, HostName, SessionId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whom a budget is for. Where nobody is named, each host, agent or session has one of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scope {
    /// All together.
    Fleet,
    /// The sessions of a host together.
    Host {
        /// Which; none for each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
    },
    /// The sessions that an agent runs, together.
    Agent {
        /// Which; none for each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentName>,
    },
    /// A session.
    Session {
        /// Its host; none for whatever host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// Which; none for each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Millionths of a US dollar.
    Usd,
    /// Tokens of every kind.
    Tokens,
    /// Tool calls.
    Calls,
}

/// After how long counting begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Each minute.
    Minute,
    /// Each hour.
    Hour,
    /// Each day, UTC.
    Day,
}

impl Window {
    const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// When the window that `at` lies in passes.
    pub(super) const fn end(self, at: Timestamp) -> Timestamp {
        let (ms, span) = (at.as_millis(), self.millis());
        Timestamp::from_millis(ms.saturating_sub(ms.rem_euclid(span)).saturating_add(span))
    }

    /// The name, as in `minute`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl Measure {
    /// The name, as in `usd`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Tokens => "tokens",
            Self::Calls => "calls",
        }
    }

    /// An amount for people: dollars and not their millionths.
    pub fn words(self, amount: u64) -> String {
        match self {
            Self::Usd => format!("{}.{:02} USD", amount / 1_000_000, amount % 1_000_000 / 10_000),
            Self::Tokens => format!("{amount} tokens"),
            Self::Calls => format!("{amount} tool calls"),
        }
    }
}

/// A limit for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// For whom.
    pub scope: Scope,
    /// Of what.
    pub measure: Measure,
    /// How much: millionths of a dollar, tokens, or calls.
    pub limit: u64,
    /// Per what; none for all in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

impl Rule {
    /// What it is known by: two rules that differ in nothing but the limit are the same budget.
    pub fn id(&self) -> String {
        let Self {
            scope, measure, window, ..
        } = self;
        let measure = measure.as_str();
        match window {
            Some(window) => format!("{scope}/{measure}-per-{}", window.as_str()),
            None => format!("{scope}/{measure}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |name: Option<&str>| name.unwrap_or("*").to_owned();
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Host { host } => write!(f, "host:{}", each(host.as_ref().map(HostName::as_str))),
            Self::Agent { agent } => write!(f, "agent:{}", each(agent.as_ref().map(AgentName::as_str))),
            Self::Session { host, session } => {
                let session = each(session.as_ref().map(SessionId::as_str));
                match host {
                    Some(host) => write!(f, "session:{session}@{host}"),
                    None => write!(f, "session:{session}"),
                }
            }
        }
    }
}

/// Whose spending is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Everybody's.
    Fleet,
    /// A host's.
    Host(HostName),
    /// An agent's.
    Agent(AgentName),
    /// A session's.
    Session(SessionKey),
}

impl Subject {
    /// Everybody whom a session's spending counts for.
    pub(super) fn all_of(key: &SessionKey, agent: Option<&AgentName>) -> impl Iterator<Item = Self> {
        let always = [Self::Fleet, Self::Host(key.host.clone()), Self::Session(key.clone())];
        always.into_iter().chain(agent.cloned().map(Self::Agent))
    }

    /// Whose spending it was that holds these sessions.
    pub(super) fn of(selector: &Selector) -> Option<Self> {
        match selector {
            Selector::All => Some(Self::Fleet),
            Selector::Host { host } => Some(Self::Host(host.clone())),
            Selector::Agent { agent } => Some(Self::Agent(agent.clone())),
            Selector::Session {
                host: Some(host),
                session,
            } => Some(Self::Session(SessionKey {
                host: host.clone(),
                id: session.clone(),
            })),
            Selector::Session { host: None, .. } | Selector::Label { .. } => None,
        }
    }

    /// The sessions whose calls are held when it has spent too much.
    pub fn selector(&self) -> Selector {
        match self {
            Self::Fleet => Selector::All,
            Self::Host(host) => Selector::Host { host: host.clone() },
            Self::Agent(agent) => Selector::Agent { agent: agent.clone() },
            Self::Session(key) => Selector::Session {
                host: Some(key.host.clone()),
                session: key.id.clone(),
            },
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("the fleet"),
            Self::Host(host) => write!(f, "host {host}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Session(key) => write!(f, "session {} on {}", key.id, key.host),
        }
    }
}

impl Scope {
    /// Whether a budget of this scope is one of this subject.
    pub fn covers(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Fleet, Subject::Fleet) => true,
            (Self::Host { host }, Subject::Host(name)) => host.as_ref().is_none_or(|host| host == name),
            (Self::Agent { agent }, Subject::Agent(name)) => agent.as_ref().is_none_or(|agent| agent == name),
            (Self::Session { host, session }, Subject::Session(key)) => {
                host.as_ref().is_none_or(|host| *host == key.host)
                    && session.as_ref().is_none_or(|session| *session == key.id)
            }
            _ => false,
        }
    }
}

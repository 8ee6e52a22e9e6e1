//! Whom an order is for.
//!
//! Matched where agents are, with what is known there: the hook's own labels and those its session brought earlier.

use crate::names::{AgentName, HostName, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Sessions, by what they have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Selector {
    /// Every session of the fleet.
    All,
    /// Every session on this host.
    Host {
        /// The host.
        host: HostName,
    },
    /// Every session that this agent runs.
    Agent {
        /// The agent.
        agent: AgentName,
    },
    /// Every session that carries this label.
    Label {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
    },
    /// One session.
    Session {
        /// Its host; without one, the session of this id on whatever host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<HostName>,
        /// Its id.
        session: SessionId,
    },
}

/// One session, as whoever enforces an order sees it.
#[derive(Debug, Clone, Copy)]
pub struct Whom<'a> {
    /// Where it runs.
    pub host: &'a HostName,
    /// Its id.
    pub session: Option<&'a SessionId>,
    /// The product that runs it.
    pub agent: Option<&'a AgentName>,
    /// The labels it carries now.
    pub labels: &'a BTreeMap<String, String>,
    /// The labels it carried before.
    pub remembered: Option<&'a BTreeMap<String, String>>,
}

impl Selector {
    /// Whether the order is for `whom`.
    pub fn matches(&self, whom: &Whom<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Host { host } => host == whom.host,
            Self::Agent { agent } => whom.agent == Some(agent),
            Self::Label { key, value } => {
                let carried = whom
                    .labels
                    .get(key)
                    .or_else(|| whom.remembered.and_then(|labels| labels.get(key)));
                carried == Some(value)
            }
            Self::Session { host, session } => {
                whom.session == Some(session) && host.as_ref().is_none_or(|host| host == whom.host)
            }
        }
    }

    /// Whether the order can be for a session on `host` at all, as far as that can be told without asking the host.
    pub fn reaches(&self, host: &HostName) -> bool {
        match self {
            Self::All | Self::Agent { .. } | Self::Label { .. } | Self::Session { host: None, .. } => true,
            Self::Host { host: only } | Self::Session { host: Some(only), .. } => only == host,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all sessions"),
            Self::Host { host } => write!(f, "host {host}"),
            Self::Agent { agent } => write!(f, "agent {agent}"),
            Self::Label { key, value } => write!(f, "label {key}={value}"),
            Self::Session { host: None, session } => write!(f, "session {session}"),
            Self::Session {
                host: Some(host),
                session,
            } => write!(f, "session {session} on {host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_label_the_session_carries_now_counts_before_one_it_carried() {
        let host = HostName::new("web-01").unwrap();
        let (now, before) = (labels(&[("team", "a")]), labels(&[("team", "b"), ("tier", "1")]));
        let whom = Whom {
            host: &host,
            session: None,
            agent: None,
            labels: &now,
            remembered: Some(&before),
        };
        let label = |key: &str, value: &str| Selector::Label {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        assert!(label("team", "a").matches(&whom));
        assert!(!label("team", "b").matches(&whom));
        assert!(label("tier", "1").matches(&whom));
    }

    #[test]
    fn a_session_is_one_of_its_host_where_a_host_is_named() {
        let (here, there) = (HostName::new("a").unwrap(), HostName::new("b").unwrap());
        let session = SessionId::new("s").unwrap();
        let none = BTreeMap::new();
        let whom = Whom {
            host: &here,
            session: Some(&session),
            agent: None,
            labels: &none,
            remembered: None,
        };
        let of = |host: Option<&HostName>| Selector::Session {
            host: host.cloned(),
            session: session.clone(),
        };
        assert!(of(None).matches(&whom) && of(Some(&here)).matches(&whom));
        assert!(!of(Some(&there)).matches(&whom));
        assert!(of(None).reaches(&there) && !of(Some(&here)).reaches(&there));
    }
}

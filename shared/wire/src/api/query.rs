//! Sessions that a query names, and what they add up to.

use super::list::{BadCursor, Cursor, SessionSummary, Tokens};
use super::stats::{Covered, ToolCalls, most};
use super::usd;
use crate::time;
use muster_domain::fleet::SessionKey;
use muster_domain::time::Timestamp;
use muster_domain::view;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// `sessions.query`: which sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsQueryRequest {
    /// A query, as in `agent=codex errors>2`; see [`muster_domain::query`]. As it was written: what is wrong with it is
    /// said of its text.
    pub expr: String,
    /// Only those heard of at or after this time.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Place>,
    /// Rows at most; 50 where nobody says, and the server has a cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A page of the sessions that were meant, those that began last first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsFound {
    /// The query, as it was understood.
    pub expr: String,
    /// The rows.
    pub sessions: Vec<SessionSummary>,
    /// Where to go on; none at the end.
    pub next_cursor: Option<Place>,
}

/// A place among sessions that come the latest first. It names the last row of a page rather than counting rows, so that
/// sessions that come and go in between neither repeat nor hide others. Opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    began_ms: Reverse<i64>,
    key: SessionKey,
}

impl Place {
    /// The place of a session that was first heard of then.
    pub const fn of(key: SessionKey, started: Timestamp) -> Self {
        Self {
            began_ms: Reverse(started.as_millis()),
            key,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.began_ms.0, Cursor::after(self.key.clone()))
    }
}

impl FromStr for Place {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let place = || {
            let (began_ms, key) = text.split_once('.')?;
            Some(Self {
                began_ms: Reverse(began_ms.parse().ok()?),
                key: key.parse::<Cursor>().ok()?.key().clone(),
            })
        };
        place().ok_or_else(|| BadCursor(text.to_owned()))
    }
}

impl TryFrom<String> for Place {
    type Error = BadCursor;

    fn try_from(text: String) -> Result<Self, BadCursor> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

/// `sessions.summary`: which sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsSummaryRequest {
    /// Only those that this query names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Only those heard of at or after this time.
    #[serde(with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Sessions, added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionsSummary {
    /// All of them.
    #[serde(flatten)]
    pub total: Sum,
    /// How many are in which state.
    pub states: BTreeMap<String, u64>,
    /// By the product that runs them, the most sessions first.
    pub agents: Vec<Share>,
    /// By the model that they used last.
    pub models: Vec<Share>,
    /// By host.
    pub hosts: Vec<Share>,
    /// Calls of their latest turns by tool, the most called first.
    pub tools: Vec<ToolCalls>,
    /// What is in the numbers.
    pub covered: Covered,
}

/// What some sessions add up to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sum {
    /// How many they are.
    pub sessions: u64,
    /// Their turns.
    pub turns: u64,
    /// Their tool calls.
    pub tool_calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Their tokens.
    pub tokens: Tokens,
    /// What their wrapped runs cost; none where that is known of none.
    pub cost_usd: Option<f64>,
}

/// Those of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The name.
    pub name: String,
    /// What they add up to.
    #[serde(flatten)]
    pub sum: Sum,
}

/// Groups of one kind, at most: names come from agents, and there may be any number.
const SHARES_MAX: usize = 50;

impl From<view::Sum> for Sum {
    fn from(sum: view::Sum) -> Self {
        Self {
            sessions: sum.sessions,
            turns: sum.turns,
            tool_calls: sum.tool_calls,
            failures: sum.failures,
            tokens: sum.tokens.into(),
            cost_usd: sum.cost_micros.map(usd),
        }
    }
}

fn shares(groups: BTreeMap<String, view::Sum>) -> Vec<Share> {
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, sum)| Reverse(sum.sessions));
    groups.truncate(SHARES_MAX);
    let share = |(name, sum): (String, view::Sum)| Share { name, sum: sum.into() };
    groups.into_iter().map(share).collect()
}

impl From<view::Summary> for SessionsSummary {
    fn from(summary: view::Summary) -> Self {
        let states = summary.states.into_iter();
        Self {
            total: summary.total.into(),
            states: states.map(|(state, n)| (state.as_str().to_owned(), n)).collect(),
            agents: shares(summary.agents),
            models: shares(summary.models),
            hosts: shares(summary.hosts),
            tools: most(summary.tools)
                .map(|(tool, calls)| ToolCalls { tool, calls })
                .collect(),
            covered: summary.covered.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::names::{HostName, SessionId};

    #[test]
    fn a_place_is_written_as_it_is_read_and_those_that_began_last_come_first() {
        let place = |began_ms, id: &str| {
            let key = SessionKey {
                host: HostName::new("web-01").unwrap(),
                id: SessionId::new(id).unwrap(),
            };
            Place::of(key, Timestamp::from_millis(began_ms))
        };
        let one = place(-7, "a.b c");
        assert_eq!(one.to_string().parse::<Place>().unwrap(), one);
        assert!(place(9, "z") < place(8, "a") && place(8, "a") < place(8, "b"));
        for bad in ["", "x", "1", "1.web-01", "x.web-01.s"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}

//! Turns, added up.

use super::list::Tokens;
use super::usd;
use crate::time;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_domain::view::{self, TurnFilter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `turns.stats`: which turns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnsStatsRequest {
    /// Only those that began since then.
    #[serde(skip_serializing_if = "Option::is_none", with = "time::optional")]
    pub since: Option<Timestamp>,
    /// Only on this host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Only of this product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Only of this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl From<TurnsStatsRequest> for TurnFilter {
    fn from(request: TurnsStatsRequest) -> Self {
        Self {
            since: request.since,
            host: request.host,
            agent: request.agent,
            session: request.session,
        }
    }
}

/// Turns, added up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnsStats {
    /// Sessions that they are of.
    pub sessions: u64,
    /// Turns.
    pub turns: u64,
    /// How they ended: `ok`, `failed`, `abandoned` (broken off), or `running`.
    pub outcomes: BTreeMap<String, u64>,
    /// The agents' own words for it, where they said any.
    pub results: BTreeMap<String, u64>,
    /// Milliseconds, of those that are over.
    pub duration_ms: Spread,
    /// Tokens, of those that print them.
    pub tokens: Tokens,
    /// The same, by turn.
    pub tokens_of_a_turn: Spread,
    /// Tokens that the sessions' contexts held when they were last measured.
    pub context_tokens: Spread,
    /// US dollars, of those that print it.
    pub cost_usd: Cost,
    /// Calls by tool, the most called first.
    pub tools: Vec<ToolCalls>,
    /// Turns by the model that their session had last, the most first.
    pub models: Vec<ModelTurns>,
    /// What is in the numbers.
    pub covered: Covered,
}

/// How a number spreads over those turns that it is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spread {
    /// Of how many it is known.
    pub count: u64,
    /// The mean.
    pub average: u64,
    /// Half of them have no more.
    pub p50: u64,
    /// 95 in a hundred have no more.
    pub p95: u64,
    /// The most.
    pub max: u64,
}

/// What turns cost, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Of how many it is known.
    pub count: u64,
    /// All together.
    pub total: f64,
    /// The mean.
    pub average: f64,
    /// 95 in a hundred cost no more.
    pub p95: f64,
    /// The most.
    pub max: f64,
}

/// A tool, and how often it was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCalls {
    /// The tool.
    pub tool: String,
    /// Calls.
    pub calls: u64,
}

/// A model, and how many turns it had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTurns {
    /// The model.
    pub model: String,
    /// Turns.
    pub turns: u64,
}

/// How much of what was asked for is in the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// When the first turn of them began.
    #[serde(with = "time::optional")]
    pub from: Option<Timestamp>,
    /// How many of its latest turns a session keeps.
    pub turns_of_a_session: u64,
    /// Turns that may have been meant and are no longer kept: the log has them still.
    pub left_out: u64,
    /// For how long the sessions that are over are known, in milliseconds.
    pub sessions_kept_ms: u64,
}

impl From<view::Spread> for Spread {
    fn from(spread: view::Spread) -> Self {
        Self {
            count: spread.count,
            average: spread.average,
            p50: spread.p50,
            p95: spread.p95,
            max: spread.max,
        }
    }
}

impl From<view::Covered> for Covered {
    fn from(covered: view::Covered) -> Self {
        Self {
            from: covered.from,
            turns_of_a_session: covered.turns_of_a_session,
            left_out: covered.left_out,
            sessions_kept_ms: covered.sessions_kept_ms,
        }
    }
}

impl From<view::TurnStats> for TurnsStats {
    fn from(stats: view::TurnStats) -> Self {
        let cost = stats.cost_micros;
        let tools = most(stats.tools).map(|(tool, calls)| ToolCalls { tool, calls });
        let models = most(stats.models).map(|(model, turns)| ModelTurns { model, turns });
        Self {
            sessions: stats.sessions,
            turns: stats.turns,
            outcomes: stats.outcomes.into_iter().map(|(how, n)| (how.to_owned(), n)).collect(),
            results: stats.results,
            duration_ms: stats.duration_ms.into(),
            tokens: stats.tokens.into(),
            tokens_of_a_turn: stats.tokens_of_a_turn.into(),
            context_tokens: stats.context.into(),
            cost_usd: Cost {
                count: cost.count,
                total: usd(cost.total),
                average: usd(cost.average),
                p95: usd(cost.p95),
                max: usd(cost.max),
            },
            tools: tools.collect(),
            models: models.collect(),
            covered: stats.covered.into(),
        }
    }
}

/// Rows of either list, at most: names come from agents, and there may be any number.
const ROWS_MAX: usize = 50;

pub(super) fn most(counts: BTreeMap<String, u64>) -> impl Iterator<Item = (String, u64)> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts.into_iter().take(ROWS_MAX)
}

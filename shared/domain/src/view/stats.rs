//! Turns added up: how long they take, how they end, what they use.
//!
//! Made of the turns that the fold keeps, which are the latest few of each session. What is older is counted and no more,
//! and every answer says how much of what was asked for it covers.

use super::turn::bare;
use super::{Outcome, TurnView};
use crate::fact::Usage;
use crate::fleet::{Fleet, SessionKey};
use crate::names::{AgentName, HostName, SessionId};
use crate::session::{Session, TURNS_MAX};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Which turns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnFilter {
    /// Only those that began since then.
    pub since: Option<Timestamp>,
    /// Only on this host.
    pub host: Option<HostName>,
    /// Only of this product.
    pub agent: Option<AgentName>,
    /// Only of this session.
    pub session: Option<SessionId>,
}

/// How a number spreads over those turns that it is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    /// Of how many it is known.
    pub count: u64,
    /// All together.
    pub total: u64,
    /// The mean.
    pub average: u64,
    /// Half of them have no more.
    pub p50: u64,
    /// 95 in a hundred have no more.
    pub p95: u64,
    /// The most.
    pub max: u64,
}

impl Spread {
    /// By nearest rank: every percentile is a number that there was.
    fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let Some(max) = values.last().copied() else {
            return Self::default();
        };
        let count = values.len() as u64;
        let total = values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
        let rank = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
        Self {
            count,
            total,
            average: total / count,
            p50: rank(50),
            p95: rank(95),
            max,
        }
    }
}

/// How much of what was asked for is in the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Covered {
    /// When the first turn of them began.
    pub from: Option<Timestamp>,
    /// How many of its latest turns a session keeps.
    pub turns_of_a_session: u64,
    /// Turns that may have been meant and are no longer kept.
    pub left_out: u64,
    /// For how long the sessions that are over are known.
    pub sessions_kept_ms: u64,
}

/// Turns, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TurnStats {
    /// Sessions that they are of.
    pub sessions: u64,
    /// Turns.
    pub turns: u64,
    /// How they ended.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The agents' own words for it, where they said any.
    pub results: BTreeMap<String, u64>,
    /// Milliseconds, of those that are over.
    pub duration_ms: Spread,
    /// Tokens, of those that print them.
    pub tokens: Usage,
    /// The same, by turn.
    pub tokens_of_a_turn: Spread,
    /// Tokens that the sessions' contexts held when they were last measured.
    pub context: Spread,
    /// Millionths of a US dollar, of those that print it.
    pub cost_micros: Spread,
    /// Calls, by tool.
    pub tools: BTreeMap<String, u64>,
    /// Turns, by the model that their session had last.
    pub models: BTreeMap<String, u64>,
    /// What is in the numbers.
    pub covered: Covered,
}

/// The turns that the filter admits, added up.
pub fn turn_stats(fleet: &Fleet, filter: &TurnFilter) -> TurnStats {
    let mut stats = TurnStats::default();
    let (mut durations, mut tokens, mut contexts, mut costs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, session) in fleet
        .sessions()
        .iter()
        .filter(|(key, session)| admits(filter, key, session))
    {
        let all = bare(session);
        let oldest = all.iter().filter_map(began).min();
        if filter
            .since
            .is_none_or(|since| oldest.is_none_or(|oldest| oldest >= since))
        {
            stats.covered.left_out += u64::from(session.forgotten.turns);
        }
        let mut turns = 0;
        let wanted = |turn: &&TurnView| {
            filter
                .since
                .is_none_or(|since| began(turn).is_some_and(|at| at >= since))
        };
        for turn in all.iter().filter(wanted) {
            turns += 1;
            *stats.outcomes.entry(outcome(turn)).or_default() += 1;
            if let Some(result) = &turn.result {
                *stats.results.entry(result.clone()).or_default() += 1;
            }
            durations.extend(turn.duration_ms.filter(|_| turn.state != Outcome::Running));
            if let Some(usage) = turn.usage {
                stats.tokens = stats.tokens.plus(usage);
                tokens.push(usage.total());
            }
            costs.extend(turn.cost_micros);
            for (tool, calls) in &turn.tools {
                *stats.tools.entry(tool.clone()).or_default() += calls;
            }
            stats.covered.from = stats.covered.from.into_iter().chain(began(turn)).min();
        }
        if turns == 0 {
            continue;
        }
        stats.sessions += 1;
        stats.turns += turns;
        contexts.extend(session.context().map(|context| context.used_tokens));
        if let Some(model) = session.model() {
            *stats.models.entry(model.to_owned()).or_default() += turns;
        }
    }
    stats.duration_ms = Spread::of(durations);
    stats.tokens_of_a_turn = Spread::of(tokens);
    stats.context = Spread::of(contexts);
    stats.cost_micros = Spread::of(costs);
    stats.covered.turns_of_a_session = TURNS_MAX as u64;
    stats.covered.sessions_kept_ms = u64::try_from(fleet.settings().retention.as_millis()).unwrap_or(u64::MAX);
    stats
}

fn admits(filter: &TurnFilter, key: &SessionKey, session: &Session) -> bool {
    filter.host.as_ref().is_none_or(|host| *host == key.host)
        && filter.session.as_ref().is_none_or(|id| *id == key.id)
        && filter.agent.as_ref().is_none_or(|agent| Some(agent) == session.agent())
        && filter.since.is_none_or(|since| session.last_seen() >= since)
}

/// When it began; of one whose beginning nobody saw, when it ended.
fn began(turn: &TurnView) -> Option<Timestamp> {
    turn.started.or(turn.ended)
}

const fn outcome(turn: &TurnView) -> &'static str {
    match turn.state {
        Outcome::Running => "running",
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Denied => "denied",
        Outcome::Abandoned => "abandoned",
    }
}

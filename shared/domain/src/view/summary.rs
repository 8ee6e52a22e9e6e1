//! Sessions added up: how many, in which states, whose, and what they used.

use super::stats::Covered;
use crate::fact::Usage;
use crate::fleet::{Fleet, SessionKey};
use crate::session::{Session, TURNS_MAX};
use crate::state::SessionState;
use std::collections::BTreeMap;

/// What some sessions add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    pub tokens: Usage,
    /// What their wrapped runs cost, in millionths of a US dollar; none where that is known of none.
    pub cost_micros: Option<u64>,
}

/// Sessions, added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// All of them.
    pub total: Sum,
    /// How many are in which state.
    pub states: BTreeMap<SessionState, u64>,
    /// By the product that runs them.
    pub agents: BTreeMap<String, Sum>,
    /// By the model they used last.
    pub models: BTreeMap<String, Sum>,
    /// By host.
    pub hosts: BTreeMap<String, Sum>,
    /// Calls of their latest turns, by tool.
    pub tools: BTreeMap<String, u64>,
    /// What is in the numbers.
    pub covered: Covered,
}

impl Sum {
    fn add(&mut self, one: &Self) {
        self.sessions += one.sessions;
        self.turns += one.turns;
        self.tool_calls += one.tool_calls;
        self.failures += one.failures;
        self.tokens = self.tokens.plus(one.tokens);
        self.cost_micros = match (self.cost_micros, one.cost_micros) {
            (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
            (sum, more) => sum.or(more),
        };
    }

    fn of(session: &Session) -> Self {
        let counts = session.counts();
        Self {
            sessions: 1,
            turns: counts.turns.into(),
            tool_calls: counts.calls,
            failures: counts.failures,
            tokens: session.usage(),
            cost_micros: session.cost_micros(),
        }
    }
}

/// The sessions that `admits` takes, added up.
pub fn summary(fleet: &Fleet, mut admits: impl FnMut(&SessionKey, &Session) -> bool) -> Summary {
    let mut summary = Summary::default();
    for (key, session) in fleet.sessions().iter().filter(|(key, session)| admits(key, session)) {
        let one = Sum::of(session);
        summary.total.add(&one);
        *summary.states.entry(session.standing().state).or_default() += 1;
        let groups = [
            (
                &mut summary.agents,
                session.agent().map(crate::names::AgentName::as_str),
            ),
            (&mut summary.models, session.model()),
            (&mut summary.hosts, Some(key.host.as_str())),
        ];
        for (group, name) in groups {
            if let Some(name) = name {
                group.entry(name.to_owned()).or_default().add(&one);
            }
        }
        for turn in super::turn::bare(session) {
            for (tool, calls) in turn.tools {
                *summary.tools.entry(tool).or_default() += calls;
            }
        }
        let covered = &mut summary.covered;
        covered.from = covered.from.into_iter().chain([session.first_seen]).min();
        covered.left_out += u64::from(session.forgotten.turns);
    }
    summary.covered.turns_of_a_session = TURNS_MAX as u64;
    summary.covered.sessions_kept_ms = u64::try_from(fleet.settings().retention.as_millis()).unwrap_or(u64::MAX);
    summary
}

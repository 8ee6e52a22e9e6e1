//! From when on something is an alert.

use super::{Rule, RuleSet};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When somebody is told. A number or a span of zero switches its part off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Rules that are not asked.
    pub off: RuleSet,
    /// How long a rule is quiet about a session after an alert of it was cleared.
    pub cooldown: Duration,
    /// How long what happened is news where nothing else happens.
    pub recent: Duration,
    /// Stuck: the same call with the same result so often in a row.
    pub same_call: u32,
    /// Stuck: the same error of the same tool so often in a row.
    pub same_error: u32,
    /// Stuck: one call runs for so long.
    pub tool: Duration,
    /// Stuck: so many tokens were read by the model, and no call brought anything new.
    pub flat_tokens: u64,
    /// Waiting: for a permission.
    pub approval: Duration,
    /// Waiting: for an answer to a question.
    pub input: Duration,
    /// Waiting: for the next prompt.
    pub idle: Duration,
    /// Error rate: of at least so many calls, at most [`crate::alert::Settings::CALLS_MAX`] …
    pub error_calls: u32,
    /// … so many in a hundred failed.
    pub error_percent: u8,
    /// Cost spike: a turn cost so many times the average of those before it.
    pub cost_factor: u32,
    /// Cost spike: and at least so much, in millionths of a US dollar.
    pub cost_floor_micros: u64,
    /// Cost spike: turns that an average is drawn from, at least.
    pub cost_turns: u32,
    /// Rate limits: turned away so often …
    pub retries: u32,
    /// … within this.
    pub retry_window: Duration,
}

impl Settings {
    /// How many of a session's latest calls are looked at.
    pub const CALLS_MAX: usize = 20;
    /// How many of the latest times that a session was turned away are looked at.
    pub const RETRIES_MAX: usize = 16;

    pub(crate) const fn asks(&self, rule: Rule) -> bool {
        !self.off.contains(rule)
    }
}

impl Default for Settings {
    /// kaizen: 4 times the average cost, 3 retries. Its 3 errors are too few for a long session that works well: here half
    /// of the latest calls have to fail.
    fn default() -> Self {
        Self {
            off: RuleSet::default(),
            cooldown: Duration::from_mins(15),
            recent: Duration::from_hours(1),
            same_call: 6,
            same_error: 4,
            tool: Duration::from_mins(30),
            flat_tokens: 500_000,
            approval: Duration::from_mins(10),
            input: Duration::from_mins(10),
            idle: Duration::from_hours(1),
            error_calls: 10,
            error_percent: 50,
            cost_factor: 4,
            cost_floor_micros: 500_000,
            cost_turns: 3,
            retries: 3,
            retry_window: Duration::from_mins(5),
        }
    }
}

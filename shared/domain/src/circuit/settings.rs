//! When circuits open, and for how long.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Thresholds and durations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Failures in a row that open a circuit.
    pub failure_threshold: u32,
    /// How long it stays open the first time; each further time in a row twice as long.
    pub cooldown: Duration,
    /// The longest cooldown.
    pub cooldown_max: Duration,
    /// How long the holder of a probe has until another one may try.
    pub probe: Duration,
    /// How long beyond its expiry an open circuit still denies where the orchestrator cannot be asked.
    pub grace: Duration,
    /// How deep delegations may nest.
    pub max_depth: u32,
}

impl Default for Settings {
    /// Three failures and a depth of five (trusty-mpm's numbers); 30 seconds doubling to 15 minutes; ten minutes for a probe; one of grace.
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            cooldown: Duration::from_secs(30),
            cooldown_max: Duration::from_secs(15 * 60),
            probe: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(60),
            max_depth: 5,
        }
    }
}

impl Settings {
    /// The cooldown of the `trips`th opening in a row, from 1.
    pub fn cooldown_of(&self, trips: u32) -> Duration {
        let doublings = trips.saturating_sub(1).min(31);
        self.cooldown.saturating_mul(1 << doublings).min(self.cooldown_max)
    }
}

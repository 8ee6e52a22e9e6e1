//! Time as the core knows it: moments of UTC, given by others in milliseconds.
//!
//! A moment has room below its millisecond. The log gives all messages of one batch the same time, and what came first
//! among them still matters; so the fold sets each a step after the one before ([`Timestamp::step`]). Steps order, and are
//! never shown.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Steps within a millisecond: one for each message of the largest batch the hub takes (ADR-50 of NATS: 1000).
const STEPS: i64 = 1000;

/// A moment since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64); // steps, a thousand a millisecond

impl Timestamp {
    /// The moment `ms` milliseconds after the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(STEPS))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(STEPS)
    }

    /// The moment `steps` steps later, but still in the same millisecond.
    #[must_use]
    pub const fn step(self, steps: u16) -> Self {
        let within = self.0.rem_euclid(STEPS);
        let room = STEPS - 1 - within;
        let steps = steps as i64;
        Self(self.0.saturating_add(if steps < room { steps } else { room }))
    }

    /// The moment `span` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let steps = i64::try_from(span.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_mul(STEPS);
        Self(self.0.saturating_add(steps))
    }

    /// How long ago `earlier` was; zero when it was not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.as_millis().saturating_sub(earlier.as_millis())).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_before_its_start_is_empty() {
        assert_eq!(
            Timestamp::from_millis(5).since(Timestamp::from_millis(9)),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_millis(9).since(Timestamp::from_millis(5)),
            Duration::from_millis(4)
        );
    }

    #[test]
    fn adding_a_span_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::from_secs(1)), end);
    }

    #[test]
    fn steps_order_within_a_millisecond_and_are_not_shown() {
        let at = Timestamp::from_millis(-7);
        assert!(at < at.step(1) && at.step(1) < at.step(2));
        assert_eq!(at.step(5000).as_millis(), -7);
        assert!(at.step(5000) < Timestamp::from_millis(-6));
        assert_eq!(at.step(2).since(at), Duration::ZERO);
    }
}

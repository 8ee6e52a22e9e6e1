//! The hub's clock, as far as it can be told from what the hub hands over.
//!
//! A host's own clock may be off by more than an order lives. What is handed over for the first time while we waited for it
//! was stored just now, so that its time is the hub's time; between two such moments the host's clock goes on from there.

use muster_domain::time::Timestamp;

#[derive(Debug, Default)]
pub(crate) struct HubClock {
    /// How far the hub's clock is ahead of ours, in milliseconds.
    ahead_ms: i64,
}

impl HubClock {
    /// Something was stored `at`, and has just come, for the first time, while we waited for it.
    pub(crate) const fn fresh(&mut self, at: Timestamp, here: Timestamp) {
        self.ahead_ms = at.as_millis().saturating_sub(here.as_millis());
    }

    /// The hub's time when it is `here` on this host.
    pub(crate) const fn now(&self, here: Timestamp) -> Timestamp {
        Timestamp::from_millis(here.as_millis().saturating_add(self.ahead_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_put_right_by_what_is_fresh() {
        let at = Timestamp::from_millis;
        let mut clock = HubClock::default();
        assert_eq!(clock.now(at(5_000)), at(5_000));
        clock.fresh(at(1_000), at(5_000));
        assert_eq!(clock.now(at(6_000)), at(2_000));
    }
}

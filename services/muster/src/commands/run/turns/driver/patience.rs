//! How long the loop waits for what.

use rustix::process::Signal;
use std::time::Duration;
use tokio::time::Instant;

/// How long the agent may take to answer an interruption or its end before it gets a signal, and then before it is killed.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long something is waited for.
#[derive(Debug)]
pub(in super::super) struct Patience {
    pub(super) rate_limit: Duration,
    /// When the agent that does not answer gets the next signal.
    pub(super) answer: Option<(Instant, Signal)>,
    /// When the next turn may begin.
    pub(super) turn: Option<Instant>,
}

impl Patience {
    pub(in super::super) const fn new(rate_limit: Duration) -> Self {
        Self {
            rate_limit,
            answer: None,
            turn: None,
        }
    }

    pub(super) fn expect_answer(&mut self) {
        if self.answer.is_none() {
            self.answer = Some((Instant::now() + ANSWER_WITHIN, Signal::INT));
        }
    }

    /// The next moment at which something is to be done.
    pub(super) fn until(&self) -> Option<Instant> {
        let answer = self.answer.map(|(at, _)| at);
        [answer, self.turn].into_iter().flatten().min()
    }
}

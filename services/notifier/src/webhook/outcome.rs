//! What follows from an answer: pure, so that every rule can be read and tested here.

use crate::config::Delivery;
use std::time::Duration;

const GONE: u16 = 410;

/// What came back from an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A status, and the pause it asks for.
    Status { status: u16, retry_after: Option<Duration> },
    /// None; why.
    Nothing { error: String },
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    RetryIn(Duration),
    Park(String),
    /// The endpoint wants nothing more.
    Gone,
}

/// The pauses between attempts.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pauses: Vec<Duration>,
    jitter: f64,
}

impl Schedule {
    pub(crate) fn new(config: &Delivery) -> Self {
        Self {
            pauses: config.retry.iter().map(|pause| pause.get()).collect(),
            jitter: config.jitter.clamp(0.0, 1.0),
        }
    }

    /// What follows from the answer to this attempt (from 1); `chance` is from 0 to 1.
    pub(crate) fn judge(&self, attempt: u32, answer: &Answer, chance: f64) -> Outcome {
        let (why, asked) = match answer {
            Answer::Status { status: 200..=299, .. } => return Outcome::Delivered,
            Answer::Status { status: GONE, .. } => return Outcome::Gone,
            Answer::Status { status, retry_after } => (format!("answered {status}"), *retry_after),
            Answer::Nothing { error } => (error.clone(), None),
        };
        let nth = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(pause) = self.pauses.get(nth) else {
            return Outcome::Park(format!("given up after {attempt} attempts; the last one: {why}"));
        };
        let pause = pause.mul_f64(1.0 + self.jitter * (2.0 * chance - 1.0));
        Outcome::RetryIn(pause.max(asked.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            pauses: vec![Duration::from_secs(5), Duration::from_secs(30)],
            jitter: 0.2,
        }
    }

    fn status(status: u16, retry_after: Option<u64>) -> Answer {
        Answer::Status {
            status,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn every_answer_has_one_consequence() {
        let after = |secs: u64| Outcome::RetryIn(Duration::from_secs(secs));
        let cases = [
            (1, status(200, None), Outcome::Delivered),
            (1, status(204, None), Outcome::Delivered),
            (1, status(301, None), after(5)),
            (1, status(400, None), after(5)),
            (2, status(500, None), after(30)),
            (1, status(503, Some(60)), after(60)),
            (2, status(429, Some(1)), after(30)),
            (1, status(410, None), Outcome::Gone),
            (
                3,
                status(500, None),
                Outcome::Park("given up after 3 attempts; the last one: answered 500".to_owned()),
            ),
            (
                1,
                Answer::Nothing {
                    error: "refused".to_owned(),
                },
                after(5),
            ),
        ];
        for (attempt, answer, expected) in cases {
            assert_eq!(
                schedule().judge(attempt, &answer, 0.5),
                expected,
                "{attempt} {answer:?}"
            );
        }
    }

    #[test]
    fn pauses_differ_within_their_share() {
        let pause = |chance| schedule().judge(1, &status(500, None), chance);
        assert_eq!(pause(0.0), Outcome::RetryIn(Duration::from_secs(4)));
        assert_eq!(pause(1.0), Outcome::RetryIn(Duration::from_secs(6)));
    }
}

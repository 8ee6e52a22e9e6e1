//! Waiting for a state, not for a time and not for a notification.

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Short enough not to slow a test, long enough not to slow what it waits for.
const POLL: Duration = Duration::from_millis(10);

/// What a probe can say: here it is, or not yet (and what was seen instead).
pub trait Answer {
    /// What is waited for.
    type Value;
    /// What is seen as long as it is not there.
    type Seen: Debug;
    /// Tells the two apart.
    ///
    /// # Errors
    /// What was seen instead.
    fn answer(self) -> Result<Self::Value, Self::Seen>;
}

impl<T> Answer for Option<T> {
    type Value = T;
    type Seen = &'static str;

    fn answer(self) -> Result<T, &'static str> {
        self.ok_or("nothing")
    }
}

impl<T, E: Debug> Answer for Result<T, E> {
    type Value = T;
    type Seen = E;

    fn answer(self) -> Result<T, E> {
        self
    }
}

/// Calls `probe` until it returns `Some` or `Ok`, and returns what is in it.
///
/// Prefer `Err(what_was_seen)` to `None`: the failure then shows it.
///
/// # Panics
/// When `within` has passed. The message names the caller, the number of tries and the last thing seen.
#[track_caller]
pub fn eventually<A, F>(within: Duration, mut probe: impl FnMut() -> F) -> impl Future<Output = A::Value>
where
    A: Answer,
    F: Future<Output = A>,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + within;
        let mut last_seen = None;
        let mut tries = 0;
        // A look that is ready at once would never be timed out: the deadline is checked between looks as well.
        while Instant::now() < deadline {
            tries += 1;
            match timeout_at(deadline, probe()).await.map(Answer::answer) {
                Ok(Ok(value)) => return value,
                Ok(Err(seen)) => last_seen = Some(seen),
                Err(_elapsed) => break,
            }
            sleep(POLL).await;
        }
        match last_seen {
            Some(seen) => {
                panic!("{caller}: not within {within:?} ({tries} tries); last seen: {seen:?}")
            }
            None => panic!("{caller}: not within {within:?}; the first look never returned"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_state_that_comes_is_returned() {
        let looks = AtomicU32::new(0);
        let found = eventually(Duration::from_secs(5), async || {
            let look = looks.fetch_add(1, Ordering::Relaxed);
            (look == 3).then_some(look)
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last seen: \"2 of 3\"")]
    async fn a_state_that_does_not_come_is_described() {
        eventually(Duration::from_millis(30), async || Err::<(), _>("2 of 3")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the first look never returned")]
    async fn a_look_that_hangs_is_given_up() {
        eventually(Duration::from_millis(30), std::future::pending::<Option<()>>).await;
    }
}

//! The one way a service ends.
//!
//! Everything a service does runs as a task of its drain. A signal, a failing part or the service itself requests the
//! drain; the parts see the token, finish what they have accepted and return; [`Drain::finish`] waits for them with a
//! deadline and says who did not make it. So a crash of one part and a SIGTERM take the same, tested path.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::HumanDuration;

/// The `[shutdown]` section of every service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long the parts may take to end after the drain was requested. Two seconds of flushing telemetry come on top:
    /// keep the sum within what the supervisor waits before it kills (docker: 10 s).
    pub grace: HumanDuration,
}

#[derive(Clone, Default)]
pub struct Drain {
    token: CancellationToken,
    tracker: TaskTracker,
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    running: BTreeMap<&'static str, usize>,
    first_failure: Option<anyhow::Error>,
}

#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    #[error("`{part}` ended although nobody asked it to")]
    EndedEarly { part: &'static str },
    #[error("`{part}` panicked")]
    Panicked { part: &'static str },
    #[error("not drained within {deadline:?}; still running: {}", running.join(", "))]
    Late {
        deadline: Duration,
        running: Vec<&'static str>,
    },
}

impl Drain {
    pub fn new() -> Self {
        Self::default()
    }

    /// A drain with parts of its own that is requested with this one, but not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            token: self.token.child_token(),
            ..Self::default()
        }
    }

    /// Runs what a service cannot be without: an error, a panic, or an end before the drain was requested drains it.
    pub fn part<E: Into<anyhow::Error>>(
        &self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let token = self.token.clone();
        self.watch(name, async move {
            part.await.map_err(Into::into)?;
            if token.is_cancelled() {
                Ok(())
            } else {
                Err(DrainError::EndedEarly { part: name }.into())
            }
        });
    }

    /// Runs work that may come to an end by itself; an error or a panic drains the service.
    pub fn spawn<E: Into<anyhow::Error>>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.watch(name, async move { work.await.map_err(Into::into) });
    }

    fn watch(&self, name: &'static str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        *self.ledger().running.entry(name).or_default() += 1;
        let task = self.tracker.spawn(work);
        let drain = self.clone();
        self.tracker.spawn(async move {
            let result = task
                .await
                .unwrap_or_else(|_| Err(DrainError::Panicked { part: name }.into()));
            drain.ended(name, result);
        });
    }

    fn ended(&self, name: &'static str, result: anyhow::Result<()>) {
        let mut ledger = self.ledger();
        if let Some(count) = ledger.running.get_mut(name) {
            *count -= 1;
        }
        if let Err(error) = result {
            if ledger.first_failure.is_none() {
                ledger.first_failure = Some(error.context(name));
            } else {
                // Most often a consequence of the first; only that one is reported at the end.
                tracing::warn!(part = name, error = format!("{error:#}"), "a further part failed");
            }
            drop(ledger);
            self.request();
        }
    }

    /// For short tasks that cannot fail: they are waited for, and nothing else.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }

    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    pub fn request(&self) {
        self.token.cancel();
    }

    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Waits until the drain is requested, and then for everything that runs, for at most `deadline`.
    ///
    /// # Errors
    ///
    /// The first failure of a part, else [`DrainError::Late`] with the parts that did not end.
    pub async fn finish(&self, deadline: Duration) -> anyhow::Result<()> {
        self.requested().await;
        self.tracker.close();
        let in_time = tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok();
        let mut ledger = self.ledger();
        if let Some(failure) = ledger.first_failure.take() {
            return Err(failure);
        }
        if in_time {
            return Ok(());
        }
        let running = ledger
            .running
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, _)| *name)
            .collect();
        Err(DrainError::Late { deadline, running }.into())
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;
    use std::io;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_request_ends_every_part_in_order() {
        let drain = Drain::new();
        let token = drain.token();
        drain.part("loop", async move {
            token.cancelled().await;
            Ok::<_, Infallible>(())
        });
        drain.spawn("short", async { Ok::<_, Infallible>(()) });
        drain.request();
        drain.finish(SOON).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_failing_part_takes_the_service_down() {
        let drain = Drain::new();
        let token = drain.token();
        drain.part("healthy", async move {
            token.cancelled().await;
            Ok::<_, Infallible>(())
        });
        drain.part("broken", async { Err(io::Error::other("disk gone")) });
        let error = drain.finish(SOON).await.unwrap_err();
        assert_eq!(format!("{error:#}"), "broken: disk gone");
    }

    #[tokio::test]
    async fn a_part_that_ends_or_panics_unasked_is_a_failure() {
        let ended = Drain::new();
        ended.part("consumer", async { Ok::<_, Infallible>(()) });
        let error = ended.finish(SOON).await.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(DrainError::EndedEarly { part: "consumer" })),
            "{error:?}"
        );

        let panicked = Drain::new();
        let explode = true;
        panicked.spawn("fold", async move {
            assert!(!explode, "on purpose");
            Ok::<_, Infallible>(())
        });
        let error = panicked.finish(SOON).await.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(DrainError::Panicked { part: "fold" })),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn the_deadline_names_who_is_late() {
        let drain = Drain::new();
        drain.part("stuck", pending::<Result<(), Infallible>>());
        drain.request();
        let error = drain.finish(Duration::from_millis(20)).await.unwrap_err();
        assert!(error.to_string().contains("still running: stuck"), "{error}");
    }

    #[tokio::test]
    async fn a_child_ends_with_its_parent_but_not_the_other_way_round() {
        let parent = Drain::new();
        let (first, second) = (parent.child(), parent.child());
        first.request();
        first.finish(SOON).await.unwrap();
        assert!(!parent.is_requested());
        parent.request();
        second.finish(SOON).await.unwrap();
    }
}

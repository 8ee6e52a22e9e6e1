//! How many bytes of requests are in memory at once, over all surfaces.
//!
//! Only large bodies are counted. A caller that announces a large body and sends it slowly can hold up other large ones,
//! until its deadline; the ordinary hook is small and never waits for anybody.

use crate::reject::Reject;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are not counted: 900 connections of them are what they cost at worst.
const SMALL_BYTES: usize = 64 * 1024;
const UNIT_BYTES: usize = 1024;
/// How long a large body waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let total = u32::try_from(bytes / UNIT_BYTES as u64).unwrap_or(u32::MAX >> 4).max(1);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Waits for room for a body of this size; it is given back with the permit.
    ///
    /// # Errors
    /// [`Reject::Busy`] when none came in time.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Reject> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(u32::MAX)
            .min(self.total);
        let permit = Arc::clone(&self.units).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, permit).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(Reject::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_take_turns_and_small_ones_do_not_wait() {
        let budget = Budget::new(100 * 1024);
        let large = budget.take(90 * 1024).await.unwrap();
        assert!(budget.take(SMALL_BYTES).await.unwrap().is_none());
        assert!(matches!(budget.take(90 * 1024).await, Err(Reject::Busy)));
        drop(large);
        assert!(budget.take(1 << 30).await.unwrap().is_some());
    }
}

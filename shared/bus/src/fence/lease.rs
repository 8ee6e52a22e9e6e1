//! The lease: a key that expires, taken and renewed by comparison.

use crate::ask::Unanswered;
use crate::connect::Bus;
use crate::kv::{Bucket, KvError, Watch};
use bytes::Bytes;
use muster_wire::limits::LEASE_TTL;
use muster_wire::topology::LEASE;

/// Why the lease is not ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody holds it.
    #[error("the lease is held by {by}")]
    Taken {
        /// The holder, as it named itself.
        by: String,
    },
    /// Somebody else wrote it: it expired and was taken, or was taken at the same moment.
    #[error("the lease was lost to somebody else")]
    Lost,
    /// It may be ours or not: without an answer, do not lead.
    #[error("it is not known whether the lease is ours: {0}")]
    Unknown(Unanswered),
    /// The hub cannot say.
    #[error(transparent)]
    Unavailable(KvError),
}

impl From<KvError> for LeaseError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Conflict { .. } => Self::Lost,
            KvError::Unknown(unanswered) => Self::Unknown(unanswered),
            error @ (KvError::Away(_) | KvError::Refused(_) | KvError::Read(_)) => Self::Unavailable(error),
        }
    }
}

/// A lease that may be taken.
#[derive(Debug, Clone)]
pub struct Lease {
    bucket: Bucket,
    key: String,
    holder: Bytes,
}

impl Lease {
    /// The lease under `key`, to be held in the name of `holder`.
    pub fn new(bus: &Bus, key: &str, holder: &str) -> Self {
        Self {
            bucket: bus.bucket(&LEASE),
            key: key.to_owned(),
            holder: Bytes::copy_from_slice(holder.as_bytes()),
        }
    }

    /// Takes the lease if nobody holds it. Our own name in it counts as somebody: it is another run of us.
    ///
    /// # Errors
    /// [`LeaseError::Taken`], and what else went wrong.
    pub async fn take(&self) -> Result<Held, LeaseError> {
        let last = self.bucket.last(&self.key).await?;
        let expected = last.as_ref().map_or(0, |entry| entry.revision);
        if let Some(value) = last.and_then(|entry| entry.value) {
            return Err(LeaseError::Taken {
                by: String::from_utf8_lossy(&value).into_owned(),
            });
        }
        let mut held = Held {
            lease: self.clone(),
            revision: expected,
        };
        held.renew().await?;
        Ok(held)
    }

    /// Follows the lease: its expiry or release is the moment to take it.
    pub fn watch(&self) -> Watch {
        self.bucket.watch(&self.key)
    }
}

/// A lease that is ours until [`LEASE_TTL`] after the last renewal.
#[derive(Debug)]
pub struct Held {
    lease: Lease,
    revision: u64,
}

impl Held {
    /// Holds it for another [`LEASE_TTL`]. Every renewal carries the time to live: a plain update would drop it, and the
    /// lease would never expire.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] when it is not ours any more.
    pub async fn renew(&mut self) -> Result<(), LeaseError> {
        let Lease { bucket, key, holder } = &self.lease;
        self.revision = bucket
            .put_with_ttl(key, holder.clone(), LEASE_TTL, Some(self.revision))
            .await?;
        Ok(())
    }

    /// Gives it up, so that the next one need not wait for its expiry.
    ///
    /// # Errors
    /// [`LeaseError`]; then it expires.
    pub async fn release(self) -> Result<(), LeaseError> {
        self.lease
            .bucket
            .delete_revision(&self.lease.key, self.revision)
            .await?;
        Ok(())
    }

    /// The revision of the last renewal.
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}

//! Creating and changing what the hub holds: one owner, and everybody else compares.
//!
//! [`migrate`] makes the hub what `muster-wire`'s topology says. [`verify`] only looks, and names every difference, so
//! that no service changes anyone's retention by being started. How much is kept is the operator's choice and never a
//! difference; lowering it discards events, so even [`migrate`] does that only when told to.
//!
//! Decided here and nowhere else:
//! - Events can be neither deleted nor purged (`deny_delete`, `deny_purge`): they leave the log oldest first by its limits
//!   or with the whole stream, and both are seen by readers. Printed lines can be purged: they may hold what somebody must
//!   not keep.
//! - No event carries a time to live of its own: it would leave a hole that looks like a loss.
//! - The secret of [`crate::msg_id`] is a key of the bucket `lease`, made here once, because orchestrators alone may read
//!   that bucket.

mod config;
mod drift;
mod hosts;

pub use drift::{Difference, VerifyError, verify};
pub use hosts::host_consumer;

use crate::connect::Bus;
use crate::kv::KvError;
use crate::msg_id::{SECRET_BYTES, Secret};
use crate::read::ReadError;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::Config;
use bytes::Bytes;
use muster_wire::topology::{CONSUMERS, Consumer, LEASE, Sizing};
use std::fmt;

const SECRET_KEY: &str = "decision-secret";

/// Whether limits may be lowered below what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrink {
    /// They stay, and are reported.
    Refuse,
    /// They are lowered; what is over them is discarded by the hub.
    Apply,
}

/// What was done, or was left alone, and should be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created {
        /// What it is.
        name: String,
    },
    /// It was another.
    Updated {
        /// What it is.
        name: String,
        /// What was changed about it.
        differences: Vec<Difference>,
    },
    /// A limit was kept, because the one asked for would discard what is stored.
    Kept {
        /// The limit.
        difference: Difference,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { name } => write!(f, "created {name}"),
            Self::Updated { name, differences } => {
                write!(f, "updated {name}:")?;
                differences
                    .iter()
                    .try_for_each(|d| write!(f, " {} {} -> {};", d.field, d.found, d.expected))
            }
            Self::Kept { difference: d } => write!(
                f,
                "kept {} of {} at {}: {} would discard what is stored",
                d.field, d.name, d.found, d.expected
            ),
        }
    }
}

/// Why the hub is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// The hub refused a configuration.
    #[error("the hub refuses {name}: {text}")]
    Refused {
        /// What it is.
        name: String,
        /// The hub's words.
        text: String,
    },
    /// The hub cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] ReadError),
    /// The secret cannot be kept.
    #[error("cannot keep the secret of decisions: {0}")]
    Secret(#[from] KvError),
}

/// Makes streams, buckets, stores, consumers and the secret what they should be; says what was changed. Doing it again
/// changes nothing.
///
/// # Errors
/// [`MigrateError`]; what was done before it stays.
pub async fn migrate(bus: &Bus, sizing: &Sizing, shrink: Shrink) -> Result<Vec<Change>, MigrateError> {
    let mut changes = Vec::new();
    for wanted in config::all(sizing) {
        stream(bus, wanted, shrink, &mut changes).await?;
    }
    for wanted in CONSUMERS {
        consumer(bus, wanted, &mut changes).await?;
    }
    if bus.bucket(&LEASE).get(SECRET_KEY).await?.is_none() {
        let secret = Bytes::copy_from_slice(Secret::random().as_bytes());
        match bus.bucket(&LEASE).create(SECRET_KEY, secret).await {
            Ok(_) => changes.push(Change::Created {
                name: "secret of decisions".to_owned(),
            }),
            // Somebody else migrates at the same time; one secret is as good as another.
            Err(KvError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(changes)
}

/// The secret that decisions' ids are derived with.
///
/// # Errors
/// [`ReadError::Missing`] in [`KvError::Read`] before the first [`migrate`].
pub async fn decision_secret(bus: &Bus) -> Result<Secret, KvError> {
    let stored = bus.bucket(&LEASE).get(SECRET_KEY).await?;
    stored
        .and_then(|(bytes, _)| <[u8; SECRET_BYTES]>::try_from(&*bytes).ok())
        .map(Secret::new)
        .ok_or_else(|| ReadError::Missing("secret of decisions".to_owned()).into())
}

async fn stream(bus: &Bus, mut wanted: Config, shrink: Shrink, changes: &mut Vec<Change>) -> Result<(), MigrateError> {
    let name = wanted.name.clone();
    let refused = |text: String| MigrateError::Refused {
        name: name.clone(),
        text,
    };
    let found = match bus.info(&name).await {
        Ok(info) => info.config,
        Err(ReadError::Missing(_)) => {
            bus.context
                .create_stream(wanted)
                .await
                .map_err(|error| refused(error.to_string()))?;
            changes.push(Change::Created { name });
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if shrink == Shrink::Refuse {
        let kept = config::keep_larger(&mut wanted, &found);
        changes.extend(kept.into_iter().map(|difference| Change::Kept { difference }));
    }
    let mut differences = drift::of_stream(&wanted, &found);
    differences.extend(drift::of_limits(&wanted, &found));
    if differences.is_empty() {
        return Ok(());
    }
    bus.context
        .update_stream(config::over(wanted, found))
        .await
        .map_err(|error| refused(error.to_string()))?;
    changes.push(Change::Updated { name, differences });
    Ok(())
}

async fn consumer(bus: &Bus, wanted: &Consumer, changes: &mut Vec<Change>) -> Result<(), MigrateError> {
    let name = drift::consumer_name(wanted);
    let differences = match drift::found_consumer(bus, wanted).await {
        Ok(found) => drift::of_consumer(wanted, &found),
        Err(ReadError::Missing(_)) => {
            changes.push(Change::Created { name: name.clone() });
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let created = matches!(changes.last(), Some(Change::Created { name: last }) if *last == name);
    if differences.is_empty() && !created {
        return Ok(());
    }
    let config: pull::Config = config::consumer(wanted);
    bus.context
        .create_consumer_on_stream(config, wanted.stream)
        .await
        .map_err(|error| MigrateError::Refused {
            name: name.clone(),
            text: error.to_string(),
        })?;
    if !created {
        changes.push(Change::Updated { name, differences });
    }
    Ok(())
}

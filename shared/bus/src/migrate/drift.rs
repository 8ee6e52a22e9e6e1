//! Where the hub differs from what it should be, field by field.

use super::config;
use crate::connect::Bus;
use crate::read::ReadError;
use async_nats::jetstream::consumer;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Config;
use muster_wire::topology::{CONSUMERS, Consumer, Sizing};
use std::fmt;

/// One field that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub name: String,
    /// Which field.
    pub field: &'static str,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Difference {
    pub(super) fn new(name: &str, field: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            field,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(super) fn debug(name: &str, field: &'static str, expected: &impl fmt::Debug, found: &impl fmt::Debug) -> Self {
        Self::new(name, field, format_args!("{expected:?}"), format_args!("{found:?}"))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} is {}, expected {}",
            self.field, self.name, self.found, self.expected
        )
    }
}

/// Why a service must not start against this hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not what it should be.
    #[error("the hub differs from what this version needs; run `muster migrate`: {}", list(.0))]
    Drift(Vec<Difference>),
    /// It cannot be asked.
    #[error(transparent)]
    Unavailable(ReadError),
}

fn list(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// Compares everything with what it should be, and changes nothing.
///
/// # Errors
/// [`VerifyError::Drift`] names every difference.
pub async fn verify(bus: &Bus) -> Result<(), VerifyError> {
    let mut differences = Vec::new();
    // Sizes and copies are the operator's: whatever stands here is not compared.
    for wanted in config::all(&Sizing::default()) {
        match bus.info(&wanted.name).await {
            Ok(info) => differences.extend(of_stream(&wanted, &info.config)),
            Err(ReadError::Missing(_)) => {
                differences.push(Difference::new(&wanted.name, "stream", "there", "missing"));
            }
            Err(error) => return Err(VerifyError::Unavailable(error)),
        }
    }
    for wanted in CONSUMERS {
        match found_consumer(bus, wanted).await {
            Ok(found) => differences.extend(of_consumer(wanted, &found)),
            Err(ReadError::Missing(name)) => {
                differences.push(Difference::new(&name, "consumer", "there", "missing"));
            }
            Err(error) => return Err(VerifyError::Unavailable(error)),
        }
    }
    if differences.is_empty() {
        Ok(())
    } else {
        Err(VerifyError::Drift(differences))
    }
}

macro_rules! compare {
    ($name:expr, $wanted:expr, $found:expr; $($field:ident),+ $(,)?) => {
        [$(($wanted.$field != $found.$field)
            .then(|| Difference::debug($name, stringify!($field), &$wanted.$field, &$found.$field))),+]
        .into_iter()
        .flatten()
        .collect()
    };
}

/// What must be as it is for muster to be right.
pub(super) fn of_stream(wanted: &Config, found: &Config) -> Vec<Difference> {
    compare!(&wanted.name, wanted, found;
        subjects, retention, discard, storage, no_ack, sealed, allow_rollup, deny_delete, deny_purge, republish, allow_direct,
        mirror, sources, subject_transform, persist_mode, allow_message_ttl, subject_delete_marker_ttl,
        allow_atomic_publish, max_messages_per_subject,
    )
}

/// What an operator chooses.
pub(super) fn of_limits(wanted: &Config, found: &Config) -> Vec<Difference> {
    compare!(&wanted.name, wanted, found;
        num_replicas, max_bytes, max_age, duplicate_window, compression, description)
}

pub(super) fn of_consumer(wanted: &Consumer, found: &consumer::Config) -> Vec<Difference> {
    let wanted_config = config::consumer(wanted);
    let mut differences: Vec<Difference> = compare!(&consumer_name(wanted), wanted_config, found;
        ack_policy, ack_wait, max_ack_pending, filter_subject, filter_subjects, headers_only, max_deliver);
    // A pull consumer has no subject to deliver to.
    if let Some(subject) = &found.deliver_subject {
        differences.push(Difference::new(
            &consumer_name(wanted),
            "deliver_subject",
            "none",
            subject,
        ));
    }
    differences
}

pub(super) fn consumer_name(consumer: &Consumer) -> String {
    format!("consumer {} on {}", consumer.name, consumer.stream)
}

pub(super) async fn found_consumer(bus: &Bus, wanted: &Consumer) -> Result<consumer::Config, ReadError> {
    let stream = bus
        .context
        .get_stream(wanted.stream)
        .await
        .map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(_) => ReadError::Missing(consumer_name(wanted)),
            GetStreamErrorKind::Request | GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
                ReadError::Unavailable(error.to_string())
            }
        })?;
    match stream.consumer_info(wanted.name).await {
        Ok(info) => Ok(info.config),
        Err(error) if error.kind() == async_nats::jetstream::context::ConsumerInfoErrorKind::NotFound => {
            Err(ReadError::Missing(consumer_name(wanted)))
        }
        Err(error) => Err(ReadError::Unavailable(error.to_string())),
    }
}

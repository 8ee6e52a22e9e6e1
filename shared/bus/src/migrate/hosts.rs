//! The consumer of one host: made when the host is added, or by its ingest where that may.

use super::MigrateError;
use crate::connect::Bus;
use crate::consume;
use crate::read::ReadError;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use muster_wire::topology::HostConsumer;

/// Makes the consumer unless it is there. One that is there stays as it is: it holds the host's place in the log.
///
/// # Errors
/// [`MigrateError`]. A hub that forbids asking or making looks like one that does not answer.
pub async fn host_consumer(bus: &Bus, wanted: &HostConsumer) -> Result<(), MigrateError> {
    let name = match consume::existing(bus, wanted.stream, &wanted.name).await {
        Ok(_) => return Ok(()),
        Err(ReadError::Missing(name)) => name,
        Err(error) => return Err(error.into()),
    };
    let config = pull::Config {
        durable_name: Some(wanted.name.clone()),
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ack_wait: wanted.ack_wait,
        max_ack_pending: wanted.ack_pending_max,
        max_deliver: -1,
        filter_subjects: wanted.filters.iter().map(ToString::to_string).collect(),
        inactive_threshold: wanted.inactive_max,
        ..pull::Config::default()
    };
    bus.context
        .create_consumer_on_stream(config, wanted.stream)
        .await
        .map_err(|error| MigrateError::Refused {
            name,
            text: error.to_string(),
        })?;
    Ok(())
}

//! Telling programs over HTTP, at least once each, one endpoint never waiting for another.
//!
//! The hub's bucket `ledger` is an outbox. [`intake`] takes every event from the durable consumer, writes one record for
//! each endpoint that wants it, and only then acknowledges; so the consumer never waits for a receiver, however slow, and a
//! notifier that is killed has lost nothing. [`feed`] watches the ledger and keeps each endpoint's queue: keys and times, no
//! payloads. [`worker`], one an endpoint, claims the record that is due by comparing its revision, calls, says in the log
//! what became of it, and closes the record or sets when it is due again.
//!
//! A claim is a due time in the future, so it lapses by itself when its holder dies: the call is then made again (a crash
//! after sending repeats it once; receivers recognise it by `webhook-id`). Retries are the worker's alone: neither the hub
//! nor the HTTP client retries anything.

mod endpoint;
mod feed;
mod intake;
mod notice;
mod outcome;
mod queue;
mod record;
mod send;
mod sign;
mod worker;

use crate::config::Config;
use endpoint::{Endpoint, EndpointError};
use feed::Feed;
use intake::Intake;
use muster_bus::Bus;
use muster_domain::time::Timestamp;
use muster_runtime::service::Context;
use muster_wire::time;
use muster_wire::topology::LEDGER;
use notice::Notices;
use send::Caller;
use std::sync::Arc;
use std::time::SystemTime;
use worker::Worker;

/// The configured endpoints.
///
/// # Errors
/// What is wrong with one of them, by name.
pub(crate) fn endpoints(config: &Config) -> Result<Vec<Arc<Endpoint>>, EndpointError> {
    let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(config.webhooks.len());
    for webhook in &config.webhooks {
        if endpoints.iter().any(|other| other.name == webhook.name) {
            return Err(EndpointError::Twice {
                name: webhook.name.clone(),
            });
        }
        endpoints.push(Arc::new(Endpoint::new(webhook)?));
    }
    Ok(endpoints)
}

/// Starts the parts. Without endpoints the consumer is followed all the same: whoever is configured later is told of what
/// happens from then on, not of everything since the hub was set up.
pub(crate) fn start(
    bus: &Bus,
    endpoints: Vec<Arc<Endpoint>>,
    config: &Config,
    context: &Context,
) -> anyhow::Result<()> {
    let drain = &context.drain;
    let notices = |endpoint: &Endpoint| Notices::new(bus, drain.clone(), endpoint, &context.metrics);
    let calls_https = endpoints
        .iter()
        .any(|endpoint| endpoint.url.scheme_str() == Some("https"));
    let caller = Caller::new(config.delivery.timeout.get(), calls_https)?;
    for endpoint in &endpoints {
        let worker = Worker::new(
            bus,
            endpoint,
            notices(endpoint),
            caller.clone(),
            &config.delivery,
            drain.clone(),
        );
        drain.part("webhook", worker.run());
    }
    if !endpoints.is_empty() {
        let feed = Feed {
            ledger: bus.bucket(&LEDGER),
            endpoints: endpoints.clone(),
        };
        drain.part("ledger", feed.run(drain.clone()));
    }
    let entries = endpoints
        .into_iter()
        .map(|endpoint| (Arc::clone(&endpoint), notices(&endpoint)))
        .collect();
    drain.part("intake", Intake::new(bus, entries, &config.delivery).run(drain.clone()));
    Ok(())
}

fn now() -> Timestamp {
    time::from_system(SystemTime::now())
}

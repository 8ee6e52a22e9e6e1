//! The ledger, followed into the endpoints' queues.

use super::endpoint::Endpoint;
use super::record::{Place, State};
use muster_bus::kv::{Bucket, Entry, Watched};
use muster_domain::ids::EventId;
use muster_runtime::drain::Drain;
use muster_wire::token;
use std::sync::Arc;
use std::time::Duration;

/// Between looks for a ledger that is missing: somebody has to migrate the hub first.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Keeps the queues.
pub(crate) struct Feed {
    pub(crate) ledger: Bucket,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

impl Feed {
    pub(crate) async fn run(self, drain: Drain) -> anyhow::Result<()> {
        let mut watch = self.ledger.watch(">");
        // Deliveries of endpoints that are no longer configured stay where they are: the endpoint may come back.
        let mut strangers = 0_u64;
        loop {
            let watched = tokio::select! {
                () = drain.requested() => return Ok(()),
                watched = watch.next() => watched,
            };
            let watched = match watched {
                Ok(watched) => watched,
                Err(error) => {
                    tracing::warn!(%error, "the ledger is not there; deliveries wait");
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            };
            match watched {
                Watched::Entry(entry) => strangers += u64::from(self.see(&entry).is_none()),
                Watched::Current if strangers > 0 => {
                    tracing::warn!(
                        strangers,
                        "the ledger holds deliveries of webhooks that are not configured"
                    );
                    strangers = 0;
                }
                Watched::Current => {}
            }
        }
    }

    /// `None` when it is about no endpoint of ours.
    fn see(&self, entry: &Entry) -> Option<()> {
        let (name, event) = entry.key.split_once('.')?;
        let name = token::decode(name)?;
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == name)?;
        let event: EventId = event.parse().ok()?;
        let place = entry
            .value
            .as_ref()
            .and_then(|value| serde_json::from_slice::<Place>(value).ok());
        match place {
            Some(Place {
                state: State::Open,
                due,
                seq,
            }) => endpoint.enqueue(event, due, seq),
            Some(Place {
                state: State::Delivered | State::Parked,
                ..
            })
            | None => endpoint.dequeue(event),
        }
        Some(())
    }
}

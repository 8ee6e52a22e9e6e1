//! A spool that is a copy: restored from a backup, or cloned with its machine.
//!
//! The hub holds observations under our producer that this spool never wrote, so going on with the count would put two
//! different events in one place. A new producer is minted, and what is owed counts from one. What both histories share
//! the hub has already under the old count; it must not be offered again, because the hub may recognise it as a repetition
//! and then leave a hole in the new count. So the log is searched for where they part.

use super::{Forward, stream_of};
use crate::observation::Observation;
use crate::spool::Lane;
use anyhow::bail;
use muster_bus::read::Start;
use muster_domain::fact;
use muster_domain::family::{EventType, Family, HostStatusKind};
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::time::Timestamp;
use muster_wire::{Envelope, Filter, time};
use serde_json::Map;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Held for reading while a lane publishes, for writing while the producer changes.
pub(super) type Renewal = tokio::sync::RwLock<()>;

/// How much earlier than written here something may stand in the log: the difference of two clocks.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

impl Forward {
    /// Becomes a new producer, unless the other lane did so meanwhile.
    pub(super) async fn renew(&self, mine: ProducerId) -> anyhow::Result<()> {
        let _alone = self.renewal.write().await;
        if self.spool.producer() != mine {
            return Ok(());
        }
        for lane in [Lane::Events, Lane::Transcript] {
            let shared = self.shared_until(lane, mine).await?;
            self.spool.mark_acked(lane, shared);
        }
        let minted = self
            .spool
            .remint_producer(|_, origin, bytes| {
                renumbered(
                    fact::Origin {
                        producer: origin.producer,
                        seq: origin.seq,
                    },
                    bytes,
                )
            })
            .await?;
        let reason = format!(
            "the spool is a copy of one that went on without it: counting on as producer {minted} instead of {mine}"
        );
        tracing::error!("{reason}");
        for (kind, data) in [
            (
                HostStatusKind::Degraded,
                Map::from_iter([("reason".to_owned(), reason.into())]),
            ),
            (HostStatusKind::Recovered, Map::new()),
        ] {
            if let Err(error) = self
                .intake
                .accept_one(Observation::of(EventType::HostStatus(kind), data))
                .await
            {
                tracing::warn!(%error, "the new producer was not reported");
            }
        }
        Ok(())
    }

    /// The last owed observation of the lane that the hub has, in an unbroken row from the first owed one.
    async fn shared_until(&self, lane: Lane, mine: ProducerId) -> anyhow::Result<u64> {
        let (acked, last) = (self.spool.acked(lane), self.spool.last_seq(lane));
        if acked == last {
            return Ok(acked);
        }
        let stored = self.stored(lane, mine, acked + 1, last).await?;
        let mut shared = acked;
        while shared < last {
            let records = self.spool.read_from(lane, shared + 1, 256, 1 << 20).await?;
            let Some(newest) = records.last().map(|record| record.seq) else {
                break;
            };
            for record in &records {
                let id = Envelope::decode(&record.bytes).map(|envelope| envelope.id).ok();
                if id.is_none() || stored.get(&record.seq) != id.as_ref() {
                    return Ok(shared);
                }
                shared = record.seq;
            }
            shared = newest;
        }
        Ok(shared)
    }

    /// Which of our places from `first` to `last` the hub has, and under which id.
    async fn stored(
        &self,
        lane: Lane,
        mine: ProducerId,
        first: u64,
        last: u64,
    ) -> anyhow::Result<HashMap<u64, EventId>> {
        let of = |filter: Filter| filter.host(self.host.clone());
        let family = |family| of(Filter::all().family(family));
        // A filter must lie within what its stream captures.
        let filters = match lane {
            Lane::Transcript => vec![family(Family::AgentOutput)],
            Lane::Events => vec![
                family(Family::AgentHook),
                family(Family::AgentTurn),
                family(Family::AgentEffect),
                of(Filter::all().area(Family::ProcessLifecycle)),
                of(Filter::all().area(Family::HostStatus)),
            ],
        };
        let mut reader = self
            .bus
            .read(stream_of(lane), &filters, Start::Time(self.oldest_owed(lane).await?));
        let mut stored = HashMap::new();
        reader.open().await?;
        while reader.pending() != Some(0) {
            if !self.bus.is_connected() {
                bail!("the hub went away");
            }
            let message = reader.next().await?;
            let Ok(envelope) = message.envelope() else {
                continue;
            };
            if let Some(origin) = envelope.origin
                && origin.producer == mine
                && (first..=last).contains(&origin.seq)
            {
                // The first of one place counts, as in the fold.
                stored.entry(origin.seq).or_insert(envelope.id);
            }
        }
        Ok(stored)
    }

    async fn oldest_owed(&self, lane: Lane) -> anyhow::Result<Timestamp> {
        let stats = self.spool.stats().await?;
        let age = match lane {
            Lane::Events => stats.events.oldest_owed,
            Lane::Transcript => stats.transcript.oldest_owed,
        };
        let since = SystemTime::now() - age.unwrap_or_default() - CLOCKS_DIFFER;
        Ok(time::from_system(since))
    }
}

fn renumbered(origin: fact::Origin, bytes: Vec<u8>) -> Vec<u8> {
    let Ok(mut envelope) = Envelope::decode(&bytes) else {
        return bytes;
    };
    envelope.origin = Some(origin);
    envelope.encode().unwrap_or(bytes)
}

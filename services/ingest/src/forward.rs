//! From the spool to the hub, in order, one publish or batch at a time a lane.
//!
//! On each new connection, and whenever an outcome is unknown, the hub is asked for the last of our observations that it
//! holds ([`resume`]); what comes after it is offered. So nothing is skipped, and what is offered twice is recognised by
//! its id and by its place in the count. Nothing is forwarded while the host's name is not ours.
//!
//! Both lanes count under one producer, and a copied spool needs another one ([`fork`]): then both stand still.

mod fork;
mod resume;

use crate::intake::Intake;
use crate::metrics::Counts;
use crate::presence::Standing;
use crate::spool::{Lane, Spool, Stored};
use crate::trace;
use fork::Renewal;
use muster_bus::publish::{Disposition, Outgoing, Producer, Stopped};
use muster_bus::{Bus, ConnectionState};
use muster_domain::family::{EventType, HookName, HostStatusKind};
use muster_domain::ids::{EventId, ProducerId};
use muster_domain::names::HostName;
use muster_runtime::health::Condition;
use muster_wire::Envelope;
use muster_wire::data::{Payload, Tombstone};
use muster_wire::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};
use muster_wire::topology;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Pause after the hub did not take something although it is connected.
const RETRY: Duration = Duration::from_millis(500);

/// What both lanes share.
#[derive(Clone)]
pub(crate) struct Forward {
    bus: Bus,
    spool: Spool,
    host: HostName,
    intake: Intake,
    counts: Counts,
    standing: watch::Receiver<Standing>,
    renewal: Arc<Renewal>,
}

/// Why a lane cannot simply go on.
enum Halt {
    /// The hub does not take anything now.
    Wait(String),
    /// It is not known what the hub has.
    Ask,
}

/// Records read ahead, ready to be published.
#[derive(Default)]
struct Ahead {
    messages: Vec<Outgoing>,
    first_seq: u64,
}

impl Forward {
    pub(crate) fn new(bus: &Bus, intake: &Intake, counts: &Counts, standing: watch::Receiver<Standing>) -> Self {
        Self {
            bus: bus.clone(),
            spool: intake.spool().clone(),
            host: intake.host().clone(),
            intake: intake.clone(),
            counts: counts.clone(),
            standing,
            renewal: Arc::default(),
        }
    }

    /// Forwards one lane until `stop`.
    pub(crate) async fn run(mut self, lane: Lane, condition: Condition, stop: CancellationToken) -> anyhow::Result<()> {
        let mut producer = Producer::new(&self.bus, stream_of(lane));
        while !stop.is_cancelled() {
            let halt = self.connected(lane, &condition, &mut producer, &stop).await?;
            if let Some(reason) = halt {
                condition.set_degraded(reason);
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
        Ok(())
    }

    /// One connection's worth of forwarding; the reason why it ended, unless by `stop`.
    async fn connected(
        &mut self,
        lane: Lane,
        condition: &Condition,
        producer: &mut Producer,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<String>> {
        let mut connection = self.bus.state();
        if !connection.borrow().connected {
            condition.set_degraded("the hub is away; observations wait in the spool");
        }
        let ready = async {
            // Both senders live as long as the service.
            let _ = connection.wait_for(|state| state.connected).await;
            let _ = self.standing.wait_for(|standing| *standing == Standing::Held).await;
        };
        tokio::select! {
            () = ready => {}
            () = stop.cancelled() => return Ok(None),
        }
        let epoch = connection.borrow().losses;
        let mine = match self.resume(lane).await {
            Ok(mine) => mine,
            Err(error) => return Ok(Some(format!("{}: {error:#}", stream_of(lane)))),
        };
        condition.set_ok();
        let mut ahead = Ahead::default();
        loop {
            let next = self.spool.acked(lane) + 1;
            let waited = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                // A new connection may be to a hub that lost its tail.
                () = lost(&mut connection, epoch) => return Ok(Some("the connection to the hub was lost".to_owned())),
                () = async { let _ = self.standing.wait_for(|standing| *standing == Standing::Refused).await; } => {
                    return Ok(Some("the host name is held by another ingest".to_owned()));
                }
                waited = self.spool.wait_for(lane, next - 1) => waited,
            };
            waited?;
            if ahead.first_seq != next || ahead.messages.is_empty() {
                ahead = self.next_batch(lane, next).await?;
            }
            match self.publish(lane, mine, producer, std::mem::take(&mut ahead)).await {
                Ok(read) => ahead = read,
                Err(Halt::Ask) => return Ok(Some("asking the hub what it has".to_owned())),
                Err(Halt::Wait(reason)) => return Ok(Some(reason)),
            }
        }
    }

    /// Publishes what was read, and reads on meanwhile.
    async fn publish(
        &mut self,
        lane: Lane,
        mine: ProducerId,
        producer: &mut Producer,
        now: Ahead,
    ) -> Result<Ahead, Halt> {
        let Ahead { messages, first_seq } = now;
        let after = first_seq + messages.len() as u64;
        let renewal = Arc::clone(&self.renewal);
        let _still = renewal.read().await;
        if self.spool.producer() != mine {
            return Err(Halt::Ask);
        }
        let began = Instant::now();
        let span = trace::publish(stream_of(lane), &messages);
        let (outcome, read) = tokio::join!(
            producer.publish(&messages).instrument(span.clone()),
            self.next_batch(lane, after)
        );
        trace::published(span, &outcome);
        self.counts.publish.observe(began.elapsed());
        self.counts.published.add(outcome.stored as u64);
        self.spool.mark_acked(lane, first_seq + outcome.stored as u64 - 1);
        let Some(stopped) = outcome.stopped else {
            return read.map_err(|error| Halt::Wait(error.to_string()));
        };
        match (stopped.disposition(), &stopped) {
            (Disposition::Park, Stopped::Refused { index, reason }) => {
                let refused = messages
                    .get(*index)
                    .map(|message| message.payload.as_ref())
                    .unwrap_or_default();
                let seq = first_seq + *index as u64;
                tracing::warn!(seq, %reason, "the hub refused an observation for good; a tombstone takes its place");
                let tombstone = tombstone(refused, &reason.to_string(), &self.host, mine, seq);
                let parked = self.spool.park(lane, seq, reason.to_string(), tombstone).await;
                parked.map_err(|error| Halt::Wait(error.to_string()))?;
                Ok(Ahead::default())
            }
            (Disposition::Ask, _) => Err(Halt::Ask),
            (Disposition::Wait | Disposition::Park, _) => Err(Halt::Wait(stopped.to_string())),
        }
    }

    /// The next records as one batch. A request for permission ends it: what comes after must not delay it.
    async fn next_batch(&self, lane: Lane, from: u64) -> Result<Ahead, crate::spool::StoreError> {
        let records = self
            .spool
            .read_from(lane, from, BATCH_MESSAGES_MAX, BATCH_BYTES_MAX)
            .await?;
        let first_seq = records.first().map_or(from, |record| record.seq);
        let mut messages = Vec::with_capacity(records.len());
        for record in records {
            let (message, closes) = outgoing(record, &self.host, self.spool.producer());
            messages.push(message);
            if closes {
                break;
            }
        }
        Ok(Ahead { messages, first_seq })
    }
}

async fn lost(connection: &mut watch::Receiver<ConnectionState>, epoch: u64) {
    // An error means that the bus is closed, which no more publish survives either.
    let _ = connection.wait_for(|state| state.losses != epoch).await;
}

const fn stream_of(lane: Lane) -> &'static str {
    match lane {
        Lane::Events => topology::EVENTS,
        Lane::Transcript => topology::TRANSCRIPT,
    }
}

/// The message of a record, and whether it closes its batch.
fn outgoing(record: Stored, host: &HostName, producer: ProducerId) -> (Outgoing, bool) {
    match Envelope::decode(&record.bytes) {
        Ok(envelope) => {
            let closes = envelope.event_type == EventType::AgentHook(HookName::PermissionRequest);
            let message = Outgoing {
                subject: envelope.subject(),
                id: envelope.id,
                traceparent: envelope.traceparent,
                payload: record.bytes.into(),
            };
            (message, closes)
        }
        Err(error) => {
            tracing::error!(seq = record.seq, %error, "a record cannot be read; a tombstone goes in its place");
            let bytes = tombstone(&record.bytes, &error.to_string(), host, producer, record.seq);
            let message = Outgoing {
                subject: degraded(host).0,
                payload: bytes.into(),
                id: id_in_place_of(producer, record.seq),
                traceparent: None,
            };
            (message, false)
        }
    }
}

/// What stands in the place of a record that the hub will never have: its type, its place, and why.
fn tombstone(record: &[u8], reason: &str, host: &HostName, producer: ProducerId, seq: u64) -> Vec<u8> {
    let id = id_in_place_of(producer, seq);
    let original = Envelope::decode(record).ok();
    let original_id = original.as_ref().map_or(id, |envelope| envelope.id);
    let data = Tombstone::new(original_id, reason.to_owned()).to_raw();
    let mut envelope = original.unwrap_or_else(|| Envelope {
        id,
        source: format!("/hosts/{host}/ingest"),
        event_type: degraded(host).1,
        host: Some(host.clone()),
        session: None,
        time: muster_wire::time::from_system(std::time::SystemTime::now()),
        time_exact: false,
        agent: None,
        profile: None,
        origin: None,
        causation: None,
        correlation: None,
        traceparent: None,
        data: data.clone(),
    });
    envelope.id = id;
    envelope.data = data;
    envelope.origin = Some(muster_domain::fact::Origin { producer, seq });
    envelope
        .encode()
        .expect("invariant: every field of an envelope serialises")
}

fn degraded(host: &HostName) -> (muster_wire::Subject, EventType) {
    let event_type = EventType::HostStatus(HostStatusKind::Degraded);
    (
        muster_wire::Subject::new(event_type.clone(), Some(host.clone()), None),
        event_type,
    )
}

/// The same id each time it is needed, so that a tombstone offered twice is stored once.
fn id_in_place_of(producer: ProducerId, seq: u64) -> EventId {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(producer.as_uuid().as_bytes());
    hash.update(seq.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    EventId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

//! `notice.delivery.*`: what became of telling somebody, said in the log.

use super::endpoint::Endpoint;
use muster_bus::publish::{Producer, Stopped};
use muster_bus::{Bus, Outgoing, msg_id};
use muster_domain::family::{DeliveryKind, EventType};
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_telemetry::Metrics;
use muster_telemetry::metrics::Counter;
use muster_wire::Envelope;
use muster_wire::data::Payload as _;
use muster_wire::data::notice::Delivery;
use muster_wire::topology::EVENTS;
use std::time::Duration;

const CHANNEL: &str = "webhook";
const SOURCE: &str = "/notifier";
/// Between attempts to say it while the hub is away: the notice is not given up, since the log is the only witness.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is to be said about one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) attempt: u32,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) next_at: Option<Timestamp>,
}

/// The service drains; whether it was said is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsaid;

/// Says what became of one endpoint's deliveries.
#[derive(Clone)]
pub(crate) struct Notices {
    bus: Bus,
    drain: Drain,
    target: String,
    secret: msg_id::Secret,
    outcomes: Counter,
}

impl Notices {
    pub(crate) fn new(bus: &Bus, drain: Drain, endpoint: &Endpoint, metrics: &Metrics) -> Self {
        Self {
            bus: bus.clone(),
            drain,
            target: endpoint.name.clone(),
            secret: endpoint.key.notice_secret(),
            outcomes: metrics.counter(
                "muster_notifier_deliveries_total",
                "What became of attempts to deliver",
                &[("channel", CHANNEL), ("target", &endpoint.name)],
            ),
        }
    }

    /// Says it, however long the hub is away. The id follows from what is said, so that saying it again after a crash or an
    /// unknown outcome adds nothing.
    pub(crate) async fn say(
        &self,
        kind: DeliveryKind,
        cause: &Envelope,
        cause_seq: u64,
        said: Said,
        now: Timestamp,
    ) -> Result<(), Unsaid> {
        self.outcomes.with(&[("outcome", kind.as_str())]).add(1);
        let cause_id = cause.id.to_string();
        let id = msg_id::keyed(&self.secret, &cause_id, &[&said.attempt.to_string(), kind.as_str()]);
        let payload = Delivery {
            channel: CHANNEL.to_owned(),
            target: self.target.clone(),
            webhook_id: cause_id,
            cause: cause.id,
            cause_seq,
            attempt: said.attempt,
            status: said.status,
            error: said.error,
            next_at: said.next_at,
        };
        let envelope = Envelope {
            id,
            source: SOURCE.to_owned(),
            event_type: EventType::NoticeDelivery(kind),
            host: cause.host.clone(),
            session: cause.session.clone(),
            time: now,
            time_exact: true,
            agent: cause.agent.clone(),
            profile: cause.profile.clone(),
            origin: None,
            causation: Some(cause.id),
            correlation: cause.correlation.clone(),
            traceparent: muster_telemetry::propagation::traceparent_of_current(),
            data: payload.to_raw(),
        };
        let outgoing = Outgoing::of(&envelope).expect("invariant: an envelope can be written");
        self.publish(outgoing).await
    }

    async fn publish(&self, outgoing: Outgoing) -> Result<(), Unsaid> {
        let mut producer = Producer::new(&self.bus, EVENTS);
        loop {
            let outcome = producer.publish(std::slice::from_ref(&outgoing)).await;
            match outcome.stopped {
                None => return Ok(()),
                Some(error @ Stopped::Refused { .. }) => {
                    tracing::error!(%error, target = self.target, "the hub will not store what became of a delivery");
                    return Ok(());
                }
                // The hub recognises the id, so that a second copy changes nothing.
                Some(error @ (Stopped::Away(_) | Stopped::Unknown(_))) => {
                    tracing::debug!(%error, "notice not stored yet")
                }
            }
            tokio::select! {
                () = self.drain.requested() => return Err(Unsaid),
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }
}

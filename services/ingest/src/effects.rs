//! What this host shall do: taken from the log, written down, handed to whoever carries it out, and told of.
//!
//! One task, the clerk, knows it all. An effect is first told as `accepted` and written into the journal, both on disk, and
//! only then handed on; so the same one is never begun twice, and after a crash in between nobody claims to know how it
//! ended, unless its carrier comes back with it. The hub's delivery is acknowledged last.

mod carriers;
mod claims;
mod clerk;
mod clock;
mod journal;
mod logs;
mod receipts;
mod sessions;
mod spawn;

pub(crate) use carriers::Link;
pub(crate) use claims::{Claims, NotCarrier};
pub(crate) use clerk::Clerk;
pub(crate) use journal::Journal;
pub(crate) use spawn::{Config as SpawnConfig, Spawner};

use crate::observation::Observation;
use crate::peer::Peer;
use muster_bus::consume::Delivery;
use muster_domain::family::{EffectKind, EventType, LifecycleKind};
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::data::effect::{EffectRequested, EffectWithdrawn};
use muster_wire::data::hook::ProcessId;
use muster_wire::data::process::Process;
use muster_wire::frame::{Carry, CarryReceipt, ServerFrame};
use muster_wire::{Envelope, time};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// How soon an order is handed out again that could not be written down.
const AGAIN: Duration = Duration::from_secs(5);

/// Something for the clerk.
enum Task {
    Requested(Box<Request>),
    Withdrawn(EffectId, Box<Delivery>),
    Told(Told, Option<Peer>, oneshot::Sender<Result<(), NotCarrier>>),
    Carry(
        Carry,
        Option<Peer>,
        mpsc::Sender<ServerFrame>,
        oneshot::Sender<Result<(), NotCarrier>>,
    ),
    Receipt(CarryReceipt, Option<Peer>, oneshot::Sender<Result<(), NotCarrier>>),
}

/// What somebody says of a run that carries.
enum Told {
    Began(SessionId, RunId, ProcessId),
    Ended(SessionId, ProcessId),
    /// Something was seen of its processes.
    Saw(SessionId),
}

/// What an event says.
enum Read {
    Requested(EffectRequested),
    Withdrawn(EffectWithdrawn),
}

/// An order that came from the hub.
struct Request {
    id: EffectId,
    session: Option<SessionId>,
    requested: EffectRequested,
    delivery: Delivery,
    /// When it came, where it was stored just then.
    fresh: Option<Timestamp>,
}

/// The clerk's other end.
#[derive(Clone)]
pub(crate) struct Effects(mpsc::Sender<Task>);

impl Effects {
    /// Takes what a host shall do, or shall not any more.
    pub(crate) async fn take(&self, kind: EffectKind, envelope: &Envelope, delivery: Delivery, fresh: bool) {
        let text = envelope.data.get();
        let read = match kind {
            EffectKind::Requested => serde_json::from_str(text).map(Read::Requested),
            EffectKind::Withdrawn => serde_json::from_str(text).map(Read::Withdrawn),
        };
        let task = match read {
            Ok(Read::Requested(requested)) => Task::Requested(Box::new(Request {
                id: EffectId::of(envelope.id),
                session: envelope.session.clone(),
                requested,
                fresh: fresh.then(now),
                delivery,
            })),
            Ok(Read::Withdrawn(withdrawn)) => Task::Withdrawn(withdrawn.effect_id, Box::new(delivery)),
            Err(error) => {
                // Newer than this service, most likely. It expires, and its asker hears that nobody said anything.
                tracing::warn!(id = %envelope.id, %error, "an order to this host cannot be read");
                return settle(delivery).await;
            }
        };
        // The clerk ends with the service only.
        let _ = self.0.send(task).await;
    }

    /// Whether a process may tell this: of a run that carries a session, nobody but its own does.
    ///
    /// # Errors
    /// When the run is another's.
    pub(crate) async fn may_tell(&self, observation: &Observation, by: Option<Peer>) -> Result<(), NotCarrier> {
        match told(observation) {
            Some(told) => self.ask(|answer| Task::Told(told, by, answer)).await,
            None => Ok(()),
        }
    }

    /// Connects a carrier.
    ///
    /// # Errors
    /// When its session is another's.
    pub(crate) async fn carry(&self, carry: Carry, by: Option<Peer>) -> Result<Link, NotCarrier> {
        let (sender, link) = carriers::link();
        self.ask(|answer| Task::Carry(carry, by, sender, answer)).await?;
        Ok(link)
    }

    /// Takes a carrier's receipt; it is on disk afterwards.
    ///
    /// # Errors
    /// When it could not be written, or when the order was not this process's.
    pub(crate) async fn receipt(&self, receipt: CarryReceipt, by: Option<Peer>) -> Result<(), NotCarrier> {
        self.ask(|answer| Task::Receipt(receipt, by, answer)).await
    }

    async fn ask(&self, task: impl FnOnce(oneshot::Sender<Result<(), NotCarrier>>) -> Task) -> Result<(), NotCarrier> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(task(answer)).await;
        sent.map_err(|_| NotCarrier::Ending)?;
        answered.await.map_err(|_| NotCarrier::Ending)?
    }
}

/// What an observation says of a run that carries, or may have.
fn told(observation: &Observation) -> Option<Told> {
    if observation.event_type.is_sampled() {
        return Some(Told::Saw(observation.session.clone()?));
    }
    let EventType::ProcessLifecycle(kind) = &observation.event_type else {
        return None;
    };
    let session = observation.session.clone()?;
    let data = Value::Object(observation.data.clone());
    let Process {
        pid,
        start_ticks,
        run,
        carries,
        ..
    } = serde_json::from_value(data).ok()?;
    let process = ProcessId { pid, start_ticks };
    match kind {
        LifecycleKind::Started => Some(Told::Began(session, run.filter(|_| !carries.is_empty())?, process)),
        LifecycleKind::Exited => Some(Told::Ended(session, process)),
        LifecycleKind::DescendantStarted | LifecycleKind::DescendantExited => None,
    }
}

/// Has an order handed out again, which could not be written down.
async fn again(delivery: Delivery) {
    if let Err(error) = delivery.retry_after(AGAIN).await {
        tracing::debug!(%error, "an order was not given back");
    }
}

async fn settle(delivery: Delivery) {
    // Handed out again otherwise, and then known.
    if let Err(error) = delivery.ack().await {
        tracing::debug!(%error, "an order was not acknowledged");
    }
}

fn now() -> Timestamp {
    time::from_system(SystemTime::now())
}

//! What this host shall do: taken from the log, written down, handed to whoever carries it out, and told of.
//!
//! One task knows it all. An effect is first told as `accepted` and written into the journal, both on disk, and only then
//! handed on; so the same one is never begun twice, and after a crash in between nobody claims to know how it ended, unless
//! its carrier comes back with it. The hub's delivery is acknowledged last.

mod carriers;
mod clock;
mod journal;
mod spawn;

pub(crate) use carriers::Link;
pub(crate) use journal::Journal;
pub(crate) use spawn::{Config as SpawnConfig, Spawner};

use crate::intake::Intake;
use crate::observation::Observation;
use crate::reject::Reject;
use carriers::{Carrier, Carriers};
use clock::HubClock;
use journal::Entry;
use muster_bus::consume::Delivery;
use muster_domain::effect::{Action, ActionKind};
use muster_domain::family::{EffectKind, EffectReceiptKind, EventType};
use muster_domain::ids::{EffectId, EventId};
use muster_domain::names::{RunId, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::data::effect::{EffectReceipt, EffectRequested, EffectWithdrawn};
use muster_wire::frame::{Carry, CarryOrder, CarryReceipt, ServerFrame};
use muster_wire::{Envelope, time};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Orders and receipts that wait for the task.
const WAITING_MAX: usize = 64;
/// How long an order waits for a carrier that is not there: one that connects again is back within a second.
const CARRIER_WITHIN: Duration = Duration::from_secs(5);
/// How long a carrier may be away with what it has begun.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// How soon an order is handed out again that could not be written down.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked what ran out.
const LOOK: Duration = Duration::from_millis(500);

/// Something for the task.
enum Task {
    Requested(Box<Request>),
    Withdrawn(EffectId, Box<Delivery>),
    Carry(Carry, mpsc::Sender<ServerFrame>, oneshot::Sender<()>),
    Receipt(CarryReceipt, oneshot::Sender<()>),
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
    /// It was stored just now.
    fresh: bool,
}

/// The task's other end.
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
                delivery,
                fresh,
            })),
            Ok(Read::Withdrawn(withdrawn)) => Task::Withdrawn(withdrawn.effect_id, Box::new(delivery)),
            Err(error) => {
                // Newer than this service, most likely. It expires, and its asker hears that nobody said anything.
                tracing::warn!(id = %envelope.id, %error, "an order to this host cannot be read");
                return settle(delivery).await;
            }
        };
        // The task ends with the service only.
        let _ = self.0.send(task).await;
    }

    /// Connects a carrier; nothing where a later run carries its session.
    pub(crate) async fn carry(&self, carry: Carry) -> Option<Link> {
        let (sender, link) = carriers::link();
        let (taken, answer) = oneshot::channel();
        self.0.send(Task::Carry(carry, sender, taken)).await.ok()?;
        answer.await.ok().map(|()| link)
    }

    /// Takes a carrier's receipt; it is on disk afterwards.
    pub(crate) async fn receipt(&self, receipt: CarryReceipt) -> bool {
        let (noted, done) = oneshot::channel();
        self.0.send(Task::Receipt(receipt, noted)).await.is_ok() && done.await.is_ok()
    }
}

/// The task.
pub(crate) struct Clerk {
    tasks: mpsc::Receiver<Task>,
    intake: Intake,
    journal: Journal,
    carriers: Carriers,
    clock: HubClock,
    spawner: Spawner,
    /// Orders whose carrier is not there, and until when they wait for it.
    waiting: BTreeMap<EffectId, (Instant, Box<Request>)>,
}

impl Clerk {
    pub(crate) fn new(intake: Intake, journal: Journal, spawner: Spawner) -> (Effects, Self) {
        let (sender, tasks) = mpsc::channel(WAITING_MAX);
        let began = Instant::now();
        let open = journal.open_entries().map(|(id, _)| id);
        let clerk = Self {
            tasks,
            intake,
            carriers: Carriers::with_lost(open, began),
            journal,
            clock: HubClock::default(),
            spawner,
            waiting: BTreeMap::new(),
        };
        (Effects(sender), clerk)
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                Some(task) = self.tasks.recv() => self.task(task).await,
                Some((session, why)) = self.spawner.ended() => self.spawn_failed(&session, &why).await,
                _ = look.tick() => self.look().await,
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn task(&mut self, task: Task) {
        match task {
            Task::Requested(request) => self.requested(request).await,
            Task::Withdrawn(id, delivery) => {
                self.withdrawn(id).await;
                settle(*delivery).await;
            }
            Task::Carry(carry, orders, taken) => {
                // Ids of runs are in the order of their beginnings. Were the later one sent away, two would take turns for ever.
                let later = |carrier: &Carrier| carrier.run.as_str() > carry.run.as_str();
                if !self.carriers.of(&carry.session).is_some_and(later) {
                    // One that went meanwhile is found to be gone.
                    let _ = taken.send(());
                    self.carry(carry, orders).await;
                }
            }
            Task::Receipt(receipt, noted) => {
                if self.receipt(receipt).await {
                    // A carrier that went meanwhile asks again.
                    let _ = noted.send(());
                }
            }
        }
    }

    async fn requested(&mut self, request: Box<Request>) {
        let here = now();
        if request.fresh {
            self.clock.fresh(request.delivery.stored.at, here);
        }
        if self.journal.get(request.id).is_some() {
            return settle(request.delivery).await;
        }
        if self.clock.now(here) > request.requested.expires_at {
            return self.refuse(*request, "late", "it came after its time").await;
        }
        if let Action::Spawn { .. } = request.requested.action {
            return self.spawn(*request).await;
        }
        match request.session.as_ref().and_then(|session| self.carriers.of(session)) {
            Some(carrier) if Some(&carrier.run) == request.requested.run.as_ref() => self.hand_on(*request).await,
            Some(_) => {
                self.refuse(*request, "mismatched", "another run carries this session now")
                    .await
            }
            None if self.waiting.contains_key(&request.id) => again(request.delivery).await,
            None => {
                let until = Instant::now() + CARRIER_WITHIN;
                self.waiting.insert(request.id, (until, request));
            }
        }
    }

    /// Begins an order: told and written down, then handed to its carrier.
    async fn hand_on(&mut self, request: Request) {
        if !self.begin(&request).await {
            return again(request.delivery).await;
        }
        let order = CarryOrder {
            effect_id: request.id,
            action: request.requested.action,
        };
        let given = request
            .session
            .as_ref()
            .is_some_and(|session| self.carriers.give(session, order));
        if !given {
            self.end(
                request.id,
                Some("no_carrier"),
                Some("its carrier went, or has too much to do".to_owned()),
            )
            .await;
        }
        settle(request.delivery).await;
    }

    /// Tells that an effect begins, and writes it down; false when neither can be done.
    async fn begin(&mut self, request: &Request) -> bool {
        let entry = Entry {
            session: request.session.clone(),
            run: request.requested.run.clone(),
            kind: Some(request.requested.action.kind()),
            begun: now(),
            over: false,
        };
        if !self
            .tell(EffectReceiptKind::Accepted, request.id, &entry, None, None)
            .await
        {
            return false;
        }
        match self.journal.write(request.id, entry).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "an order is not carried out, because it cannot be written down");
                false
            }
        }
    }

    /// Says that nothing comes of an order, which was not begun.
    async fn refuse(&mut self, request: Request, reason: &str, detail: &str) {
        let entry = Entry {
            session: request.session,
            run: request.requested.run,
            kind: Some(request.requested.action.kind()),
            begun: now(),
            over: true,
        };
        if !self
            .tell(
                EffectReceiptKind::Failed,
                request.id,
                &entry,
                Some(reason),
                Some(detail.to_owned()),
            )
            .await
        {
            return again(request.delivery).await;
        }
        if let Err(error) = self.journal.write(request.id, entry).await {
            tracing::warn!(%error, "a refused order is not written down");
        }
        settle(request.delivery).await;
    }

    async fn withdrawn(&mut self, id: EffectId) {
        if let Some((_, request)) = self.waiting.remove(&id) {
            settle(request.delivery).await;
        }
        match self.journal.get(id) {
            // It may still wait for the end of a turn. Where it does not, this comes too late.
            Some(entry) if !entry.over => self.carriers.withdraw(id),
            Some(_) => {}
            None => {
                let entry = Entry {
                    session: None,
                    run: None,
                    kind: None,
                    begun: now(),
                    over: true,
                };
                if let Err(error) = self.journal.write(id, entry).await {
                    tracing::warn!(%error, "a withdrawal is not written down");
                }
            }
        }
    }

    async fn carry(&mut self, carry: Carry, orders: mpsc::Sender<ServerFrame>) {
        let Carry { run, session, holds } = carry;
        tracing::info!(%run, %session, "a carrier is connected");
        self.carriers.connected(
            session.clone(),
            Carrier {
                run: run.clone(),
                orders,
            },
            &holds,
        );
        let of_run = |entry: &Entry| entry.run.as_ref() == Some(&run);
        let unheard: Vec<EffectId> = (self.journal.open_entries())
            .filter(|(id, entry)| of_run(entry) && !holds.contains(id))
            .map(|(id, _)| id)
            .collect();
        for id in unheard {
            self.unknown(id, "its carrier came back without it").await;
        }
        self.spawned(&session, &run).await;
        let ready = self
            .waiting
            .extract_if(.., |_, (_, request)| request.session.as_ref() == Some(&session));
        let ready: Vec<_> = ready.map(|(_, (_, request))| request).collect();
        for request in ready {
            self.requested(request).await;
        }
    }

    async fn receipt(&mut self, receipt: CarryReceipt) -> bool {
        if self.journal.get(receipt.effect_id).is_none_or(|entry| entry.over) {
            return true;
        }
        let reason = receipt.failed.as_deref();
        self.end(receipt.effect_id, reason, receipt.detail).await
    }

    /// Tells how an effect ended, and notes that it was told.
    async fn end(&mut self, id: EffectId, failed: Option<&str>, detail: Option<String>) -> bool {
        let Some(entry) = self.journal.get(id).cloned() else {
            return true;
        };
        let kind = if failed.is_some() {
            EffectReceiptKind::Failed
        } else {
            EffectReceiptKind::Done
        };
        if !self.tell(kind, id, &entry, failed, detail).await {
            return false;
        }
        self.carriers.over(id);
        if let Err(error) = self.journal.over(id).await {
            tracing::warn!(%error, "the end of an order is not written down");
        }
        true
    }

    async fn unknown(&mut self, id: EffectId, why: &str) {
        self.end(id, Some("unknown"), Some(format!("nobody knows how far it got: {why}")))
            .await;
    }

    /// Tells what ran out of time.
    async fn look(&mut self) {
        let now = Instant::now();
        let late = self.waiting.extract_if(.., |_, (until, _)| *until <= now);
        let late: Vec<_> = late.map(|(_, (_, request))| request).collect();
        for request in late {
            self.refuse(*request, "no_carrier", "no run that carries this session is connected")
                .await;
        }
        for id in self.carriers.lost_since(now, BACK_WITHIN) {
            self.unknown(id, "its carrier is gone").await;
        }
        for (id, why) in self.spawner.out_of_time(now) {
            self.end(id, Some("error"), Some(why)).await;
        }
    }

    async fn spawn(&mut self, request: Request) {
        let Action::Spawn {
            template,
            prompt,
            model,
            budget_usd_micros,
        } = &request.requested.action
        else {
            return;
        };
        let planned = self.spawner.plan(
            template,
            request.session.as_ref(),
            model.as_deref(),
            *budget_usd_micros,
            prompt,
        );
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => return self.refuse(request, "refused", &error.to_string()).await,
        };
        if !self.begin(&request).await {
            return again(request.delivery).await;
        }
        if let Err(error) = self.spawner.start(request.id, plan) {
            self.end(request.id, Some("error"), Some(format!("{error:#}"))).await;
        }
        settle(request.delivery).await;
    }

    /// A session that was to begin has a carrier.
    async fn spawned(&mut self, session: &SessionId, run: &RunId) {
        self.spawner.settled(session);
        if let Some(id) = self.ordered(session) {
            self.end(id, None, Some(format!("run {run}"))).await;
        }
    }

    async fn spawn_failed(&mut self, session: &SessionId, why: &str) {
        self.spawner.settled(session);
        if let Some(id) = self.ordered(session) {
            self.end(id, Some("error"), Some(why.to_owned())).await;
        }
    }

    /// The order that a session begins by, until it has.
    fn ordered(&self, session: &SessionId) -> Option<EffectId> {
        let is = |entry: &Entry| entry.kind == Some(ActionKind::Spawn) && entry.session.as_ref() == Some(session);
        let mut open = self.journal.open_entries();
        open.find(|(_, entry)| is(entry)).map(|(id, _)| id)
    }

    /// Makes a receipt durable; false when it could not be.
    async fn tell(
        &self,
        kind: EffectReceiptKind,
        id: EffectId,
        entry: &Entry,
        reason: Option<&str>,
        detail: Option<String>,
    ) -> bool {
        let receipt = EffectReceipt {
            effect_id: id,
            kind: entry.kind,
            run: entry.run.clone(),
            reason: reason.map(ToOwned::to_owned),
            detail,
        };
        let Ok(Value::Object(data)) = serde_json::to_value(receipt) else {
            return false;
        };
        let mut observation = Observation::of(EventType::AgentEffect(kind), data);
        observation.session = entry.session.clone();
        observation.id = Some(receipt_id(id, kind));
        match self.intake.accept_one(observation).await {
            Ok(_) => true,
            // Told before, in other words.
            Err(Reject::IdConflict(_)) => true,
            Err(error) => {
                tracing::error!(%error, "a receipt of an order was not written");
                false
            }
        }
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

/// A receipt's id: the same receipt twice is one event.
fn receipt_id(effect: EffectId, kind: EffectReceiptKind) -> EventId {
    let digest: [u8; 32] = Sha256::new_with_prefix(format!("{effect} {}", kind.as_str()))
        .finalize()
        .into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    EventId::from_uuid(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

fn now() -> Timestamp {
    time::from_system(SystemTime::now())
}

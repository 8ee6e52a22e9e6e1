//! The task that knows every order of this host, and who carries it out.

use super::carriers::{Carrier, Carriers};
use super::claims::{Claim, Claims, NotCarrier};
use super::clock::HubClock;
use super::journal::{Entry, Journal};
use super::{Effects, Request, Spawner, Task, Told, again, now, settle};
use crate::intake::Intake;
use crate::peer::Peer;
use muster_domain::effect::Action;
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_wire::frame::{Carry, CarryOrder, CarryReceipt, ServerFrame};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Orders and receipts that wait for the task.
const WAITING_MAX: usize = 64;
/// How long an order waits for a carrier that is not there: one that connects again is back within a second.
const CARRIER_WITHIN: Duration = Duration::from_secs(5);
/// How long a carrier may be away with what it has begun.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked what ran out.
const LOOK: Duration = Duration::from_millis(500);

/// The task.
pub(crate) struct Clerk {
    tasks: mpsc::Receiver<Task>,
    pub(super) intake: Intake,
    pub(super) journal: Journal,
    pub(super) carriers: Carriers,
    claims: Claims,
    /// Who was refused last.
    refused: Option<(RunId, Option<Peer>)>,
    clock: HubClock,
    pub(super) spawner: Spawner,
    /// Orders whose carrier is not there, and until when they wait for it.
    waiting: BTreeMap<EffectId, (Instant, Box<Request>)>,
}

impl Clerk {
    pub(crate) fn new(intake: Intake, journal: Journal, claims: Claims, spawner: Spawner) -> (Effects, Self) {
        let (sender, tasks) = mpsc::channel(WAITING_MAX);
        let began = Instant::now();
        let open = journal.open_entries().map(|(id, _)| id);
        let clerk = Self {
            tasks,
            intake,
            carriers: Carriers::with_lost(open, began),
            journal,
            claims,
            refused: None,
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
            Task::Requested(mut request) => {
                // Once: an order that waits for its carrier is not stored just now any more when it is looked at again.
                if let Some(came) = request.fresh.take() {
                    self.clock.fresh(request.delivery.stored.at, came);
                }
                self.requested(request).await;
            }
            Task::Withdrawn(id, delivery) => {
                self.withdrawn(id).await;
                settle(*delivery).await;
            }
            // Whoever asked and went meanwhile is found to be gone, or asks again.
            Task::Told(told, by, answer) => _ = answer.send(self.told(told, by)),
            Task::Carry(carry, by, orders, answer) => match self.may_carry(&carry, by) {
                Ok(()) => {
                    let _ = answer.send(Ok(()));
                    self.carry(carry, by, orders).await;
                }
                Err(not) => {
                    // It asks again and again.
                    if self.refused.replace((carry.run.clone(), by)) != Some((carry.run.clone(), by)) {
                        tracing::warn!(run = %carry.run, session = %carry.session, ?by, %not, "a carrier is refused");
                    }
                    let _ = answer.send(Err(not));
                }
            },
            Task::Receipt(receipt, by, answer) => {
                if let Some(noted) = self.receipt(receipt, by).await {
                    let _ = answer.send(noted);
                }
            }
        }
    }

    fn told(&mut self, told: Told, by: Option<Peer>) -> Result<(), NotCarrier> {
        match told {
            // Beside its own connection, where that names nobody.
            Told::Began(session, run, agent) => self.claim(&session, Claim::new(run, by, Some(agent)), false),
            Told::Ended(session, process) => self.claims.may_end(&session, process, by),
            Told::Saw(session) => self.claims.may_see(&session, by),
        }
    }

    fn may_carry(&mut self, Carry { run, session, .. }: &Carry, by: Option<Peer>) -> Result<(), NotCarrier> {
        // Ids of runs are in the order of their beginnings.
        let later = |carrier: &Carrier| carrier.by == by && carrier.run.as_str() > run.as_str();
        if self.carriers.of(session).is_some_and(later) {
            return Err(NotCarrier::Later);
        }
        let connected = self.carriers.of(session).is_some();
        self.claim(session, Claim::new(run.clone(), by, None), connected)
    }

    fn claim(&mut self, session: &SessionId, claim: Claim, connected: bool) -> Result<(), NotCarrier> {
        if let (Some(group), Some(peer)) = (self.spawner.group(session), claim.by)
            && !peer.is_in_group_of(group)
        {
            return Err(NotCarrier::Ordered);
        }
        self.claims.take(session, claim, connected)
    }

    async fn requested(&mut self, request: Box<Request>) {
        if self.journal.get(request.id).is_some() {
            return settle(request.delivery).await;
        }
        if self.clock.now(now()) > request.requested.expires_at {
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
        let by = request
            .session
            .as_ref()
            .and_then(|session| self.carriers.of(session)?.by);
        if !self.begin(&request, by).await {
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
                    by: None,
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

    async fn carry(&mut self, carry: Carry, by: Option<Peer>, orders: mpsc::Sender<ServerFrame>) {
        let Carry {
            run,
            session,
            mut holds,
        } = carry;
        // What it was never given it cannot have.
        holds.retain(|id| self.journal.get(*id).is_none_or(|entry| entry.is_with(by)));
        tracing::info!(%run, %session, "a carrier is connected");
        self.carriers.connected(
            session.clone(),
            Carrier {
                run: run.clone(),
                by,
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

    /// Takes a receipt; nothing where it could not be written, and is to be said again.
    async fn receipt(&mut self, receipt: CarryReceipt, by: Option<Peer>) -> Option<Result<(), NotCarrier>> {
        let open = self.journal.get(receipt.effect_id).filter(|entry| !entry.over);
        let Some(entry) = open else {
            return Some(Ok(()));
        };
        if !entry.is_with(by) {
            tracing::warn!(effect = %receipt.effect_id, ?by, "a receipt is refused: another process has the order");
            return Some(Err(NotCarrier::NotGiven));
        }
        let reason = receipt.failed.as_deref();
        let told = self.end(receipt.effect_id, reason, receipt.detail).await;
        told.then_some(Ok(()))
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
}

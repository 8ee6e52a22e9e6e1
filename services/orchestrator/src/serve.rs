//! The loop: one input after another, and what each leaves to be done.

use crate::VERSION;
use crate::answer::{self, After, Answer, Asked, InForce};
use crate::asking::{Answered, Door, Waiting};
use crate::control::{Control, TooLarge};
use crate::edge::Projector;
use crate::election::now;
use crate::inbox::{Event, Input, Landed};
use crate::index::Searcher;
use crate::meters::Meters;
use crate::parked::Parked;
use crate::snapshot::Keeper;
use anyhow::Context as _;
use muster_bus::service::{self, Incoming, Serving};
use muster_bus::{Bus, StreamState};
use muster_domain::asker::Asker;
use muster_domain::ids::InstanceId;
use muster_domain::message::{self, Party};
use muster_domain::time::Timestamp;
use muster_runtime::health::Condition;
use muster_runtime::service::Context;
use muster_telemetry::{fields, propagation, spans};
use muster_wire::api::Position;
use muster_wire::limits;
use muster_wire::subject::Operation;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// How often time is looked at. Nothing that is due by the clock is due to the second.
const TICK: Duration = Duration::from_secs(1);
/// A loop that has not turned for this long is dead. A tick is never further away, and a question to a hub that does not
/// answer is given up sooner.
const SILENCE: Duration = Duration::from_secs(30);

/// What the loop works with.
pub(crate) struct Parts {
    pub(crate) control: Control,
    pub(crate) keeper: Keeper,
    pub(crate) bus: Bus,
    pub(crate) context: Context,
    pub(crate) instance: InstanceId,
    /// Requests answered at the same time.
    pub(crate) at_once: usize,
    /// Who may ask for what.
    pub(crate) door: Door,
    /// Which log is folded to its end as it was found: leave to campaign.
    pub(crate) caught_up: watch::Sender<Option<Timestamp>>,
    /// What hosts shall enforce.
    pub(crate) projector: Projector,
    /// What can be searched.
    pub(crate) searcher: Searcher,
}

/// What the loop knows of the log.
struct Log {
    /// As it was found; none before it was, and while another one is looked for.
    found: Option<StreamState>,
    /// The last sequence read, also of events that could not be decoded.
    read: u64,
    /// How many events the log held beyond that, when it was read.
    behind: u64,
}

/// The loop.
struct Loop {
    parts: Parts,
    log: Log,
    ready: Condition,
    meters: Meters,
    started: Instant,
    last_error: Option<String>,
    /// Askers of what is being decided.
    waiting: Waiting,
    /// The rules in force, read.
    in_force: InForce,
}

/// Handles inputs until the service drains, then leaves a snapshot behind.
pub(crate) async fn run(parts: Parts, mut inbox: mpsc::Receiver<Input>) -> anyhow::Result<()> {
    let pulse = parts.context.health.pulse("loop", SILENCE);
    let drain = parts.context.drain.clone();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut serving: Option<Serving> = None;
    let mut state = Loop::new(parts);
    loop {
        let input = tokio::select! {
            () = drain.requested() => break,
            Some(asked) = next_request(serving.as_mut()) => Input::Request(Box::new(asked)),
            Some(input) = inbox.recv() => input,
            _ = ticks.tick() => Input::Tick,
        };
        pulse.beat();
        state.handle(input).await;
        state.project();
        state.follow_role(&mut serving).await?;
    }
    if let Some(serving) = serving {
        serving.stop().await.context("no longer taking requests")?;
    }
    let given_up = state.waiting.give_up();
    state.send(given_up);
    state.finish().await
}

impl Loop {
    fn new(parts: Parts) -> Self {
        Self {
            ready: parts.context.health.condition("log"),
            meters: Meters::new(&parts.context.metrics),
            log: Log {
                found: None,
                read: 0,
                behind: 0,
            },
            started: Instant::now(),
            last_error: None,
            waiting: Waiting::default(),
            in_force: InForce::default(),
            parts,
        }
    }

    async fn handle(&mut self, input: Input) {
        let control = &mut self.parts.control;
        match input {
            Input::Restored { fleet, log, behind } => {
                self.parts.keeper.restored(&fleet);
                self.log = Log {
                    found: Some(log),
                    read: fleet.watermark(),
                    behind,
                };
                control.restored(*fleet);
                self.look_whether_caught_up();
            }
            Input::Events { events, behind } => {
                self.log.behind = behind;
                let mut news = BTreeSet::new();
                for event in events {
                    news.extend(self.event(event));
                }
                self.look_whether_caught_up();
                self.wake(news);
            }
            Input::LogReplaced(why) => {
                self.parts.caught_up.send_replace(None);
                self.log.found = None;
                self.ready.set_failed(why.clone());
                control.deposed(&why);
                self.last_error = Some(why);
                let given_up = self.waiting.give_up();
                self.send(given_up);
            }
            Input::Presence(watched) => control.presence(watched),
            // A term on another log is given up by dropping it.
            Input::Elected(term) if Some(term.log) == self.log.found.map(|log| log.created) => {
                self.parts.door.begin();
                control.elected(term);
            }
            Input::Elected(_) => {}
            Input::Written(Ok(landed)) => {
                let over = control.written(landed);
                self.over(over);
            }
            Input::Written(Err(deposed)) => {
                control.deposed(&deposed.0);
                self.last_error = Some(deposed.0);
                let given_up = self.waiting.give_up();
                self.send(given_up);
            }
            Input::Request(incoming) => self.request(*incoming).await,
            Input::Tick => self.tick(),
        }
    }

    /// Whoever has folded what the log held when it was found may campaign, and is ready.
    fn look_whether_caught_up(&self) {
        let caught_up = &self.parts.caught_up;
        let Some(log) = self.log.found else {
            return;
        };
        // The last events may be deleted, and then nothing is behind although the last sequence is never read.
        let at_end = self.log.read >= log.last_seq || self.log.behind == 0;
        if at_end && caught_up.borrow().is_none() {
            tracing::info!(seq = self.log.read, "caught up with the log");
            caught_up.send_replace(Some(log.created));
            self.ready.set_ok();
        }
    }

    /// Hosts enforce what the state says, as soon as it says so.
    fn project(&mut self) {
        let Parts { control, projector, .. } = &mut self.parts;
        let log = self.log.found.filter(|_| control.is_leading());
        projector.project(control.fleet(), log.map(|log| log.created));
    }

    /// Answers only while leading: who does not decide has nothing to say about decisions under way.
    async fn follow_role(&self, serving: &mut Option<Serving>) -> anyhow::Result<()> {
        match (self.parts.control.is_leading(), serving.take()) {
            (true, None) => {
                let begun = service::serve(&self.parts.bus, VERSION, Operation::ALL, self.parts.at_once);
                *serving = Some(begun.await.context("taking requests")?);
            }
            (false, Some(over)) => over.stop().await.context("no longer taking requests")?,
            (_, as_before) => *serving = as_before,
        }
        Ok(())
    }

    /// Takes an event in; gives the inbox that somebody watches and in which something may wait since.
    fn event(&mut self, event: Event) -> Option<Party> {
        self.log.read = event.seq;
        let Some(recorded) = event.recorded else {
            self.meters.unreadable.add(1);
            return None;
        };
        self.meters.folded.add(1);
        // What is decided here belongs to the trace of what caused it.
        self.parts.control.event(&recorded, || {
            let span = spans::process(&recorded.event.event_type, service::NAME);
            propagation::follow(&span, |name| {
                event.traceparent.clone().filter(|_| name == "traceparent")
            });
            span.record(fields::MESSAGING_MESSAGE_ID, recorded.event.id.to_string());
            span.record(fields::NATS_SEQUENCE, event.seq);
            span
        });
        if !self.waiting.is_empty()
            && let Some(at) = self.position()
        {
            let fleet = self.parts.control.fleet();
            let answered = self.waiting.folded(recorded.event.id, fleet, at);
            self.send(answered);
        }
        let inbox = message::may_hold(self.parts.control.fleet(), &recorded)?;
        self.waiting.parked.watches(inbox).then(|| inbox.clone())
    }

    /// Whoever waits for one of these to be read waits in vain: it never will be, or was before.
    fn over(&mut self, over: Vec<Landed>) {
        let Some(at) = self.position().filter(|_| !self.waiting.is_empty()) else {
            return;
        };
        for Landed { id, at: place } in over {
            let answered = match place {
                Ok(_) => self.waiting.folded(id, self.parts.control.fleet(), at),
                Err(reason) => self.waiting.refused(id, &reason),
            };
            self.send(answered);
        }
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            seq: self.parts.control.fleet().watermark(),
            stream_created: self.log.found?.created,
        })
    }

    fn send(&self, answered: Vec<Answered>) {
        for (incoming, reply) in answered {
            self.parts.context.drain.tracker().spawn(respond(incoming, reply));
        }
    }

    async fn request(&mut self, incoming: Incoming) {
        // Serving ends with leading, and leading with the log; what was taken in between asks again.
        let Some(log) = self.log.found else {
            return;
        };
        let span = spans::process(incoming.request().operation, service::NAME);
        propagation::follow(&span, |name| incoming.header(name).map(str::to_owned));
        let asker = match self.parts.door.admit(&incoming) {
            Ok(asker) => asker,
            Err(error) => return respond(incoming, Err(answer::failure(&error))).await,
        };
        let answer = span.in_scope(|| self.answer(log.created, &asker, incoming.request().operation, incoming.body()));
        if let Answer::Ready(reply) = answer {
            respond(incoming, reply).await;
        } else {
            span.in_scope(|| self.follow_up(incoming, &asker, answer));
        }
    }

    fn answer(&self, log: Timestamp, asker: &Asker, operation: Operation, body: &[u8]) -> Answer {
        let asked = Asked {
            fleet: self.parts.control.fleet(),
            overlay: self.parts.control.overlay(),
            asker,
            now: now(),
            in_force: &self.in_force,
            stream_created: log,
            instance: self.parts.instance,
            leading: self.parts.control.is_leading(),
            uptime: self.started.elapsed(),
            queue_depth: self.log.behind,
            last_error: self.last_error.as_deref(),
        };
        answer::to(&asked, operation, body)
    }

    /// Gives an answer that is ready, and sees to it that the others come.
    fn follow_up(&mut self, mut incoming: Incoming, asker: &Asker, answer: Answer) {
        match answer {
            Answer::Ready(reply) => self.send(vec![(incoming, reply)]),
            Answer::Detail(wanted) => {
                let bus = self.parts.bus.clone();
                let answering = async move { respond(incoming, wanted.complete(&bus).await).await };
                self.parts.context.drain.tracker().spawn(answering);
            }
            Answer::Indexed(question) => {
                let searcher = self.parts.searcher.clone();
                let answering = async move { respond(incoming, searcher.answer(*question).await).await };
                self.parts.context.drain.tracker().spawn(answering);
            }
            Answer::After(after) => self.decide(incoming, after),
            Answer::Wait(waits) => {
                incoming.step_aside();
                let gone = self.waiting.parked.park(incoming, asker, waits);
                self.tell(gone, false);
            }
        }
    }

    /// Tells those who watch one of these inboxes, once something waits in it.
    fn wake(&mut self, inboxes: impl IntoIterator<Item = Party>) {
        let time = now();
        for inbox in inboxes {
            let control = &self.parts.control;
            if message::waits(control.fleet(), control.overlay(), &inbox, time) {
                let woken = self.waiting.parked.take(&inbox);
                self.tell(woken, true);
            }
        }
    }

    /// Answers those who wait no longer.
    fn tell(&self, over: Vec<Parked<Incoming>>, waiting: bool) {
        let Some(at) = self.position() else {
            return;
        };
        let (fleet, time) = (self.parts.control.fleet(), now());
        let told = over.into_iter().map(|parked| {
            let reply = answer::nothing(fleet, at, &parked.inbox, time, waiting);
            (parked.incoming, reply.map_err(|error| answer::failure(&error)))
        });
        self.send(told.collect());
    }

    /// Decides what was asked for, and keeps the asker until that is folded.
    fn decide(&mut self, incoming: Incoming, after: After) {
        let After { drafts, event, then } = after;
        let decided = match self.parts.control.command(drafts) {
            Ok(decided) => decided,
            Err(TooLarge(bytes)) => {
                let error = answer::too_large(bytes, limits::DECISION_BYTES_MAX);
                return self.send(vec![(incoming, Err(answer::failure(&error)))]);
            }
        };
        if let Some(event) = decided.or(event) {
            self.waiting.wait(event, incoming, then);
        } else if let Some(at) = self.position() {
            let reply = then(self.parts.control.fleet(), at).map_err(|error| answer::failure(&error));
            self.send(vec![(incoming, reply)]);
        }
    }

    fn tick(&mut self) {
        let overdue = self.waiting.overdue();
        self.send(overdue);
        let Parts { control, keeper, .. } = &mut self.parts;
        control.tick(now());
        self.meters.look(control, self.log.behind);
        if let Some(log) = &self.log.found {
            keeper.look(control.fleet(), log, control.is_leading());
        }
        if let (Some(log), None) = (self.log.found, *self.parts.caught_up.borrow()) {
            self.ready
                .set_failed(format!("catching up: {} of {}", self.log.read, log.last_seq));
        }
        // Time alone brings reminders, and what somebody took and did not say to have read.
        self.wake(self.waiting.parked.watched());
        let over = self.waiting.parked.over();
        self.tell(over, false);
    }

    async fn finish(self) -> anyhow::Result<()> {
        match &self.log.found {
            Some(log) => self.parts.keeper.finish(self.parts.control.fleet(), log).await,
            None => Ok(()),
        }
    }
}

async fn next_request(serving: Option<&mut Serving>) -> Option<Incoming> {
    match serving {
        Some(serving) => serving.next().await,
        None => std::future::pending().await,
    }
}

async fn respond(incoming: Incoming, reply: answer::Reply) {
    if let Err(error) = incoming.respond(reply).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "an answer could not be sent");
    }
}

//! The loop: one input after another, and what each leaves to be done.

use crate::answer::{Answer, Asked};
use crate::control::Control;
use crate::election::now;
use crate::inbox::Input;
use crate::snapshot::{Store, copy_to_hub};
use crate::{Config, VERSION, answer};
use anyhow::Context as _;
use muster_bus::service::{self, Incoming, Serving};
use muster_bus::{Bus, Stored};
use muster_domain::ids::InstanceId;
use muster_domain::time::Timestamp;
use muster_runtime::service::Context;
use muster_telemetry::metrics::{Counter, Gauge};
use muster_wire::subject::Operation;
use muster_wire::{decode, topology};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Nothing is due: look again after this, in case the clock was set.
const NOTHING_DUE: Duration = Duration::from_secs(60);

/// The loop and what it works with.
pub(crate) struct Loop {
    control: Control,
    store: Store,
    bus: Bus,
    config: Config,
    context: Context,
    instance: InstanceId,
    started: Instant,
    last_error: Option<String>,
    /// How many events the log held beyond the last one folded, when that was read.
    behind: u64,
    snapshot: LastSnapshot,
    meters: Meters,
    /// Where the log is to be read from.
    positions: mpsc::Sender<u64>,
}

/// What the last snapshot covered, and when it was written.
struct LastSnapshot {
    seq: u64,
    at: Instant,
    to_hub: Option<Instant>,
}

struct Meters {
    folded: Counter,
    unreadable: Counter,
    position: Gauge,
    leading: Gauge,
    sessions: Gauge,
    waiting: Gauge,
}

impl Meters {
    fn new(context: &Context) -> Self {
        let metrics = &context.metrics;
        Self {
            folded: metrics.counter("muster_orchestrator_events_folded_total", "Events folded", &[]),
            unreadable: metrics.counter(
                "muster_orchestrator_events_unreadable_total",
                "Events that could not be read",
                &[],
            ),
            position: metrics.gauge("muster_orchestrator_log_position", "Last log sequence folded", &[]),
            leading: metrics.gauge("muster_orchestrator_leading", "1 while this instance leads", &[]),
            sessions: metrics.gauge("muster_orchestrator_sessions", "Sessions in the state", &[]),
            waiting: metrics.gauge(
                "muster_orchestrator_decisions_waiting",
                "Decisions that wait to be written",
                &[],
            ),
        }
    }
}

impl Loop {
    pub(crate) fn new(
        control: Control,
        store: Store,
        bus: Bus,
        config: Config,
        context: Context,
        instance: InstanceId,
        positions: mpsc::Sender<u64>,
    ) -> Self {
        let snapshot = LastSnapshot {
            seq: control.fleet().watermark(),
            at: Instant::now(),
            to_hub: None,
        };
        let meters = Meters::new(&context);
        Self {
            control,
            store,
            bus,
            config,
            context,
            instance,
            started: Instant::now(),
            last_error: None,
            behind: 0,
            snapshot,
            meters,
            positions,
        }
    }

    /// Handles inputs until the service drains, then leaves a snapshot behind.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Input>) -> anyhow::Result<()> {
        let pulse = self.context.health.pulse("loop", Duration::from_secs(30));
        let ready = self.context.health.condition("log");
        let goal = self
            .bus
            .stream_state(topology::EVENTS)
            .await
            .context("looking at the log")?
            .last_seq;
        self.positions
            .send(self.control.fleet().watermark())
            .await
            .context("starting to read the log")?;
        let mut serving: Option<Serving> = None;
        let mut look = tokio::time::interval(Duration::from_secs(1));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let deadline = tokio::time::sleep(self.until_due());
            let input = tokio::select! {
                () = self.context.drain.requested() => Input::Drain,
                Some(asked) = next_request(serving.as_mut()) => Input::Request(asked),
                Some(input) = inbox.recv() => input,
                () = deadline => Input::Deadline,
                _ = look.tick() => Input::Snapshot,
            };
            pulse.beat();
            match input {
                Input::Drain => break,
                Input::LogReplaced(why) => self.fold_anew(&why).await?,
                other => self.handle(other).await,
            }
            if self.control.fleet().watermark() >= goal {
                ready.set_ok();
            } else {
                ready.set_failed(format!("catching up: {} of {goal}", self.control.fleet().watermark()));
            }
            self.follow_role(&mut serving).await?;
        }
        if let Some(serving) = serving {
            serving.stop().await.context("no longer taking requests")?;
        }
        self.leave_snapshot()
    }

    /// Answers only while leading: who does not decide has nothing to say about decisions under way.
    async fn follow_role(&self, serving: &mut Option<Serving>) -> anyhow::Result<()> {
        match (self.control.is_leading(), serving.take()) {
            (true, None) => {
                let at_once = self.config.requests.at_once;
                *serving = Some(
                    service::serve(&self.bus, VERSION, Operation::ALL, at_once)
                        .await
                        .context("taking requests")?,
                );
            }
            (false, Some(over)) => over.stop().await.context("no longer taking requests")?,
            (_, as_before) => *serving = as_before,
        }
        self.meters.leading.set(f64::from(u8::from(self.control.is_leading())));
        Ok(())
    }

    async fn handle(&mut self, input: Input) {
        match input {
            Input::Event { stored, behind } => {
                self.behind = behind;
                self.event(&stored);
            }
            Input::Presence(watched) => self.control.presence(watched),
            Input::Elected(term) => self.control.elected(term),
            Input::Written(Ok(())) => self.control.written(),
            Input::Written(Err(deposed)) => {
                self.last_error = Some(deposed.to_string());
                self.control.deposed(&deposed);
            }
            Input::Request(incoming) => self.request(incoming).await,
            Input::Deadline => self.control.deadline_passed(now()),
            Input::Snapshot => self.snapshot_when_due(),
            Input::LogReplaced(_) | Input::Drain => {}
        }
    }

    /// The hub was restored, wiped, or lost its tail: what was folded is not what the log says any more.
    async fn fold_anew(&mut self, why: &str) -> anyhow::Result<()> {
        tracing::error!("the log is not the one that was folded, and is folded anew: {why}");
        self.last_error = Some(why.to_owned());
        let fleet = self.store.restore(&self.bus, self.config.fleet()).await?;
        self.snapshot.seq = fleet.watermark();
        self.positions
            .send(fleet.watermark())
            .await
            .context("starting to read the log")?;
        self.control.fold_anew(fleet);
        Ok(())
    }

    fn event(&mut self, stored: &Stored) {
        match decode::recorded(stored.seq, stored.at, &stored.payload) {
            Ok(recorded) => {
                self.control.event(&recorded);
                self.meters.folded.add(1);
            }
            Err(error) => {
                // Folding must not stop for one foreign message; it stays in the log for whoever wants to look.
                self.meters.unreadable.add(1);
                tracing::warn!(
                    seq = stored.seq,
                    subject = stored.subject_text(),
                    error = &error as &dyn std::error::Error,
                    "an event cannot be read and is passed over"
                );
            }
        }
    }

    async fn request(&mut self, incoming: Incoming) {
        let asked = Asked {
            fleet: self.control.fleet(),
            stream_created: self.store.created(),
            instance: self.instance,
            leading: self.control.is_leading(),
            uptime: self.started.elapsed(),
            queue_depth: self.behind,
            last_error: self.last_error.as_deref(),
        };
        let responded = match answer::to(&asked, incoming.request().operation, incoming.body()) {
            Answer::Ready(reply) => incoming.respond(reply).await,
            Answer::WithEvents(wanted) => {
                let bus = self.bus.clone();
                self.context.drain.tracker().spawn(async move {
                    let reply = answer::with_events(&bus, *wanted).await;
                    if let Err(error) = incoming.respond(reply).await {
                        tracing::debug!(error = &error as &dyn std::error::Error, "an answer could not be sent");
                    }
                });
                Ok(())
            }
        };
        if let Err(error) = responded {
            tracing::debug!(error = &error as &dyn std::error::Error, "an answer could not be sent");
        }
    }

    fn until_due(&self) -> Duration {
        self.control
            .deadline()
            .map_or(NOTHING_DUE, |due: Timestamp| due.since(now()).min(NOTHING_DUE))
    }

    fn snapshot_when_due(&mut self) {
        let fleet = self.control.fleet();
        self.meters.position.set(fleet.watermark() as f64);
        self.meters.sessions.set(fleet.sessions().len() as f64);
        self.meters.waiting.set(self.control.waiting() as f64);
        let folded = fleet.watermark() - self.snapshot.seq;
        let settings = &self.config.state;
        if folded == 0
            || (folded < settings.snapshot_events && self.snapshot.at.elapsed() < settings.snapshot_every.get())
        {
            return;
        }
        self.snapshot.seq = fleet.watermark();
        self.snapshot.at = Instant::now();
        let to_hub = self.control.is_leading()
            && self
                .snapshot
                .to_hub
                .is_none_or(|at| at.elapsed() >= settings.hub_copy_every.get());
        if to_hub {
            self.snapshot.to_hub = Some(Instant::now());
        }
        self.write_snapshot(to_hub);
    }

    /// Encodes here, where the state is at rest, and writes elsewhere.
    fn write_snapshot(&self, to_hub: bool) {
        let bytes = match self.store.encode(self.control.fleet()) {
            Ok(bytes) => bytes,
            Err(error) => {
                return tracing::error!(error = format!("{error:#}"), "the state could not be encoded");
            }
        };
        let (file, objects, bus) = (self.store.file(), self.store.objects(), self.bus.clone());
        let last_seq = self.control.fleet().watermark();
        self.context.drain.tracker().spawn(async move {
            let write = tokio::task::spawn_blocking(move || Store::write(&file, &bytes).map(|()| bytes)).await;
            let outcome: anyhow::Result<()> = async {
                let bytes = write??;
                if to_hub {
                    let stream = bus.stream_state(topology::EVENTS).await?;
                    copy_to_hub(objects, stream, last_seq, bytes).await?;
                }
                Ok(())
            }
            .await;
            if let Err(error) = outcome {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "a snapshot was not written; the next one will be"
                );
            }
        });
    }

    fn leave_snapshot(&self) -> anyhow::Result<()> {
        let bytes = self.store.encode(self.control.fleet())?;
        Store::write(&self.store.file(), &bytes).context("leaving a snapshot behind")
    }
}

async fn next_request(serving: Option<&mut Serving>) -> Option<Incoming> {
    match serving {
        Some(serving) => serving.next().await,
        None => std::future::pending().await,
    }
}

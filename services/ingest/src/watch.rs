//! Watches the processes that sessions run in, because nothing tells of a `kill -9`.
//!
//! A hook names its agent's process by pid and start time, within one boot and one pid namespace: only then can it be
//! watched from here. The kernel says when it is gone (a pidfd becomes readable); where it has no pidfds, the process is
//! looked up every two seconds. What is watched is kept in a file, so that an ingest that was away learns at its start who
//! died meanwhile. A session that ends by itself is no longer watched, unless its run carries out what it is told: such a run
//! goes on after its agent said that the session ended, and is over only with its process.

mod process;
mod register;

pub(crate) use process::{Here, ancestors, is_alive, start_ticks};

use crate::observation::Observation;
use muster_domain::family::{EventType, HookName, LifecycleKind};
use muster_domain::names::{AgentName, SessionId};
use muster_wire::data::hook::ProcessId;
use register::Register;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Sightings that wait to be looked at. When there are more, the next hook of the session brings another.
const SIGHTINGS_MAX: usize = 256;

/// How long a run that carries gets to tell of its own end, and how: it knows the status, and the kernel does not say.
const TELLS_ITSELF: Duration = Duration::from_secs(3);

/// A session seen in a process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Watched {
    pub(crate) session: SessionId,
    pub(crate) agent: Option<AgentName>,
    pub(crate) pid: u32,
    pub(crate) start_ticks: u64,
    /// It carries out what its session is told.
    #[serde(default)]
    pub(crate) carries: bool,
}

impl Watched {
    const fn process(&self) -> ProcessId {
        ProcessId {
            pid: self.pid,
            start_ticks: self.start_ticks,
        }
    }
}

/// What a hook showed of its session's process.
#[derive(Debug)]
pub(crate) enum Sighting {
    Alive(Watched),
    Ended(SessionId),
    /// A run told of its own beginning, or end.
    Carries(Watched),
    Over(ProcessId),
}

/// Where hooks are shown. Cheap to clone; does nothing where watching is off.
#[derive(Clone)]
pub(crate) struct Watcher(Option<mpsc::Sender<Sighting>>);

/// What is to be said about a watched process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Started(Watched, Option<String>),
    Gone(Watched),
}

/// The part that watches.
pub(crate) struct Watch {
    sightings: mpsc::Receiver<Sighting>,
    register: Register,
    watched: BTreeMap<Watched, CancellationToken>,
}

impl Watcher {
    /// For a host where nothing is watched.
    pub(crate) const fn off() -> Self {
        Self(None)
    }

    /// Shows a sighting. When the queue is full the next hook brings the same.
    pub(crate) fn saw(&self, sighting: Sighting) {
        if let Some(sightings) = &self.0 {
            let _ = sightings.try_send(sighting);
        }
    }
}

/// What an observation shows of the process it came from.
pub(crate) fn sighting(observation: &Observation) -> Option<Sighting> {
    let session = observation.session.clone()?;
    let watched = |ProcessId { pid, start_ticks }, carries| Watched {
        session: session.clone(),
        agent: observation.agent.clone(),
        pid,
        start_ticks,
        carries,
    };
    if let EventType::AgentHook(hook) = &observation.event_type {
        return if *hook == HookName::SessionEnd {
            Some(Sighting::Ended(session))
        } else {
            Some(Sighting::Alive(watched(observation.process?, false)))
        };
    }
    let EventType::ProcessLifecycle(kind) = &observation.event_type else {
        return None;
    };
    let data = &observation.data;
    let carries = data.get("carries")?.as_array()?;
    let process = ProcessId {
        pid: data.get("pid")?.as_u64()?.try_into().ok()?,
        start_ticks: data.get("start_ticks")?.as_u64()?,
    };
    match kind {
        LifecycleKind::Started if !carries.is_empty() => Some(Sighting::Carries(watched(process, true))),
        LifecycleKind::Exited => Some(Sighting::Over(process)),
        LifecycleKind::Started | LifecycleKind::DescendantStarted | LifecycleKind::DescendantExited => None,
    }
}

impl Watch {
    /// Opens the register in `dir`; what was watched before is watched again by [`Watch::run`].
    pub(crate) fn open(dir: &Path, here: &Here) -> (Self, Watcher) {
        let (sender, sightings) = mpsc::channel(SIGHTINGS_MAX);
        let register = Register::open(dir, here);
        (
            Self {
                sightings,
                register,
                watched: BTreeMap::new(),
            },
            Watcher(Some(sender)),
        )
    }

    /// Watches until `stop`; `tell` makes the news durable.
    pub(crate) async fn run<F: Future<Output = bool>>(
        mut self,
        tracker: TaskTracker,
        stop: CancellationToken,
        counts: crate::metrics::Counts,
        tell: impl Fn(News) -> F,
    ) -> anyhow::Result<()> {
        // One place for every session on a host that can end at once.
        let (gone, mut ended) = mpsc::channel(SIGHTINGS_MAX);
        for watched in self.register.take_lost() {
            self.told_gone(&watched, &tell).await;
        }
        for watched in self.register.alive() {
            self.follow(watched, &tracker, &gone, &stop);
        }
        loop {
            counts.watched.set(self.watched.len() as f64);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some(watched) = ended.recv() => {
                    if self.watched.remove(&watched).is_some() {
                        self.told_gone(&watched, &tell).await;
                    }
                }
                Some(sighting) = self.sightings.recv() => match sighting {
                    Sighting::Ended(session) => self.forget(|watched| watched.session == session && !watched.carries),
                    Sighting::Over(process) => self.forget(|watched| watched.process() == process),
                    Sighting::Alive(watched) if self.knows(watched.process()) => {}
                    // One that is not this process's neighbour is not told from here.
                    Sighting::Carries(watched) if !process::is_alive(watched.process()) => {}
                    Sighting::Carries(watched) => {
                        self.forget(|other| other.process() == watched.process());
                        noted(self.register.add(watched.clone()));
                        self.follow(watched, &tracker, &gone, &stop);
                    }
                    Sighting::Alive(watched) => {
                        noted(self.register.add(watched.clone()));
                        tell(News::Started(watched.clone(), process::command(watched.pid))).await;
                        self.follow(watched, &tracker, &gone, &stop);
                    }
                },
            }
        }
    }

    /// Told first and struck off after: killed in between, it is told again, which changes nothing.
    async fn told_gone<F: Future<Output = bool>>(&mut self, watched: &Watched, tell: &impl Fn(News) -> F) {
        if tell(News::Gone(watched.clone())).await {
            noted(self.register.remove(watched));
        }
    }

    fn follow(
        &mut self,
        watched: Watched,
        tracker: &TaskTracker,
        gone: &mpsc::Sender<Watched>,
        stop: &CancellationToken,
    ) {
        let enough = stop.child_token();
        let (gone, told) = (gone.clone(), watched.clone());
        self.watched.insert(watched, enough.clone());
        tracker.spawn(async move {
            tokio::select! {
                () = process::gone(told.process()) => {}
                () = enough.cancelled() => return,
            }
            if told.carries
                && enough
                    .run_until_cancelled(tokio::time::sleep(TELLS_ITSELF))
                    .await
                    .is_none()
            {
                return;
            }
            // The receiver only ends with the service.
            let _ = gone.send(told).await;
        });
    }

    fn knows(&self, process: ProcessId) -> bool {
        self.watched.keys().any(|watched| watched.process() == process)
    }

    fn forget(&mut self, over: impl Fn(&Watched) -> bool) {
        let ended: Vec<Watched> = self.watched.keys().filter(|watched| over(watched)).cloned().collect();
        for watched in ended {
            if let Some(enough) = self.watched.remove(&watched) {
                enough.cancel();
            }
            noted(self.register.remove(&watched));
        }
    }
}

/// A register that cannot be written costs what it would have told after a restart, and nothing now.
fn noted(written: std::io::Result<()>) {
    if let Err(error) = written {
        tracing::warn!(%error, "which processes are watched was not written down");
    }
}

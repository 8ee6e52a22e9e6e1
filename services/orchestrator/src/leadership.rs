//! Leading: a lease says who campaigns, a fence in the log says who may write.
//!
//! The lease is a key that expires. Holding it is never proof: a process that was paused between looking and writing would
//! still believe in it. So the holder publishes its election into the log, and each write after that is accepted by the
//! hub only while that election is the last one. A paused leader's write fails; it does not land late.
//!
//! While a term lasts, one task renews the lease and one writes, one batch at a time. Anything unclear (a write whose
//! outcome is unknown, a lease that could not be renewed) ends the term: reading the log again is cheap, and guessing is not.

use crate::election;
use crate::inbox::{Deposed, Input};
use muster_bus::fence::{self, FencedWriter, Held, Lease, LeaseError, WriteError};
use muster_bus::{Bus, Outgoing};
use muster_domain::ids::InstanceId;
use muster_runtime::drain::Drain;
use muster_wire::limits;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The lease every orchestrator campaigns for.
const LEASE_KEY: &str = "orchestrator";
/// Batches that wait for the writer. The loop gives one and waits for its outcome, so one place is enough.
const WRITES_WAITING: usize = 1;
/// How often a leader repeats its election: the newest one must never age out of the log while its leader lives, and an
/// hour is far inside any sensible `max_age`.
const ELECTION_REPEATED: Duration = Duration::from_secs(3600);

/// A term that has begun.
pub(crate) struct Term {
    /// Position of this term's election: nothing may be decided before the log is folded up to here.
    pub(crate) fence: u64,
    /// Where decisions are given to the writer.
    pub(crate) writes: mpsc::Sender<Vec<Outgoing>>,
}

/// What a term is won and kept with.
pub(crate) struct Candidate {
    pub(crate) bus: Bus,
    pub(crate) instance: InstanceId,
    pub(crate) name: String,
    pub(crate) inputs: mpsc::Sender<Input>,
}

impl Candidate {
    /// Campaigns, leads, and campaigns again, until draining begins; then hands the lease back, so that a successor need
    /// not wait for it to expire.
    pub(crate) async fn run(self, drain: Drain) -> anyhow::Result<()> {
        let lease = Lease::new(&self.bus, LEASE_KEY, &self.name);
        let mut attempts = ticks(limits::LEASE_INTERVAL);
        loop {
            tokio::select! {
                () = drain.requested() => return Ok(()),
                _ = attempts.tick() => {}
            }
            let held = match lease.take().await {
                Ok(held) => held,
                Err(LeaseError::Taken { .. }) => continue,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the lease could not be taken");
                    continue;
                }
            };
            let ended = self.lead(held, &drain).await;
            if drain.is_requested() {
                return Ok(());
            }
            tracing::warn!(reason = %ended, "leadership ended");
            // The loop may already be gone when the process drains; nobody is left to tell then.
            let _ = self.inputs.send(Input::Written(Err(ended))).await;
        }
    }

    /// One term, from election to its end.
    async fn lead(&self, mut held: Held, drain: &Drain) -> Deposed {
        let term = held.revision();
        let elected = match election::announcement(&self.name, self.instance, term) {
            Ok(elected) => elected,
            Err(error) => {
                return Deposed(format!("the election could not be written down: {error}"));
            }
        };
        let mut writer = match fence::campaign(&self.bus, &elected).await {
            Ok(writer) => writer,
            Err(error) => return Deposed(format!("the election was not stored: {error}")),
        };
        tracing::info!(term, fence = writer.fence(), "elected");
        let (writes, mut waiting) = mpsc::channel(WRITES_WAITING);
        if self
            .inputs
            .send(Input::Elected(Term {
                fence: writer.fence(),
                writes,
            }))
            .await
            .is_err()
        {
            return Deposed("the service is shutting down".to_owned());
        }
        let ended = tokio::select! {
            ended = keep(&mut held) => ended,
            ended = self.write(&mut writer, &mut waiting) => ended,
            () = drain.requested() => Deposed("draining".to_owned()),
        };
        if let Err(error) = held.release().await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "the lease was not handed back; it expires by itself"
            );
        }
        ended
    }

    /// Writes what the loop decides, one batch at a time, until a write does not succeed.
    async fn write(&self, writer: &mut FencedWriter, waiting: &mut mpsc::Receiver<Vec<Outgoing>>) -> Deposed {
        let mut repeat = ticks(ELECTION_REPEATED);
        repeat.reset();
        loop {
            let written = tokio::select! {
                batch = waiting.recv() => match batch {
                    Some(batch) => writer.write(&batch).await.map(|_| ()),
                    None => return Deposed("the loop gave the term up".to_owned()),
                },
                _ = repeat.tick() => match election::announcement(&self.name, self.instance, writer.fence()) {
                    Ok(elected) => {
                        if let Err(error) = writer.renew(&elected).await {
                            return Deposed(error.to_string());
                        }
                        continue;
                    }
                    Err(error) => return Deposed(error.to_string()),
                },
            };
            match written {
                Ok(()) => {
                    if self.inputs.send(Input::Written(Ok(()))).await.is_err() {
                        return Deposed("the service is shutting down".to_owned());
                    }
                }
                Err(error @ WriteError::Fenced) => return Deposed(error.to_string()),
                Err(error) => return Deposed(format!("a write's outcome is not known: {error}")),
            }
        }
    }
}

/// Renews the lease until that fails.
async fn keep(held: &mut Held) -> Deposed {
    let mut renewals = ticks(limits::LEASE_INTERVAL);
    loop {
        renewals.tick().await;
        match tokio::time::timeout(limits::LEASE_TTL, held.renew()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Deposed(format!("the lease was not renewed: {error}")),
            Err(_) => return Deposed("the lease was not renewed in time".to_owned()),
        }
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

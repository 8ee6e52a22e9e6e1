//! Leading: a lease says who campaigns, a fence in the log says who may write.
//!
//! The lease is a key that expires. Holding it is never proof: a process that was paused between looking and writing would
//! still believe in it. So the holder publishes its election into the log, and each write after that is accepted by the
//! hub only while that election is the last one. A paused leader's write fails; it does not land late.
//!
//! While a term lasts, one task renews the lease and one writes, one batch at a time. Anything unclear (a write whose
//! outcome is unknown, a lease that could not be renewed) ends the term: reading the log again is cheap, and guessing is not.

use crate::election;
use crate::inbox::{Deposed, Input, Landed};
use muster_bus::fence::{self, FencedWriter, Held, Lease, LeaseError, WriteError};
use muster_bus::{Bus, Outgoing};
use muster_domain::ids::InstanceId;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_wire::{limits, topology};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

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
    /// The log it was won on, by its creation: a sequence of another log is another place.
    pub(crate) log: Timestamp,
    /// Where decisions are given to the writer. Dropping it gives the term up.
    pub(crate) writes: mpsc::Sender<Vec<Outgoing>>,
}

/// What a term is won and kept with.
pub(crate) struct Candidate {
    pub(crate) bus: Bus,
    pub(crate) instance: InstanceId,
    pub(crate) name: String,
    pub(crate) inputs: mpsc::Sender<Input>,
    /// The log that the loop has caught up with, by its creation. Whoever has not would hold the lease and answer nobody.
    pub(crate) caught_up: watch::Receiver<Option<Timestamp>>,
}

impl Candidate {
    /// Campaigns, leads, and campaigns again, until draining begins; then hands the lease back, so that a successor need
    /// not wait for it to expire.
    pub(crate) async fn run(mut self, drain: Drain) -> anyhow::Result<()> {
        let lease = Lease::new(&self.bus, LEASE_KEY, &self.name);
        let mut attempts = ticks(limits::LEASE_INTERVAL);
        loop {
            let log = tokio::select! {
                () = drain.requested() => return Ok(()),
                log = self.turn(&mut attempts) => log,
            };
            let held = match lease.take().await {
                Ok(held) => held,
                Err(LeaseError::Taken { .. }) => continue,
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the lease could not be taken");
                    continue;
                }
            };
            let ended = self.lead(held, log, &drain).await;
            if drain.is_requested() {
                return Ok(());
            }
            tracing::warn!(reason = %ended, "leadership ended");
            // The loop may already be gone when the process drains; nobody is left to tell then.
            let _ = self.inputs.send(Input::Written(Err(ended))).await;
        }
    }

    /// Waits for the next moment to campaign; gives the log to campaign on.
    async fn turn(&mut self, attempts: &mut Interval) -> Timestamp {
        loop {
            attempts.tick().await;
            if let Ok(log) = self.caught_up.wait_for(Option::is_some).await
                && let Some(log) = *log
            {
                return log;
            }
        }
    }

    /// One term, from election to its end.
    async fn lead(&self, mut held: Held, log: Timestamp, drain: &Drain) -> Deposed {
        // Kept from the election on, which may take longer than the lease lasts.
        let number = held.revision();
        let ended = tokio::select! {
            ended = keep(&mut held) => ended,
            ended = self.term(number, log) => ended,
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

    /// Is elected, and writes.
    async fn term(&self, number: u64, log: Timestamp) -> Deposed {
        let mut writer = match self.elect(number, log).await {
            Ok(writer) => writer,
            Err(error) => return Deposed(format!("not elected: {error:#}")),
        };
        let fence = writer.fence();
        tracing::info!(term = number, fence, "elected");
        let (writes, mut waiting) = mpsc::channel(WRITES_WAITING);
        if self
            .inputs
            .send(Input::Elected(Term { fence, log, writes }))
            .await
            .is_err()
        {
            return shutting_down();
        }
        self.write(number, &mut writer, &mut waiting).await
    }

    async fn elect(&self, number: u64, log: Timestamp) -> anyhow::Result<FencedWriter> {
        let elected = election::announcement(&self.name, self.instance, number)?;
        let writer = fence::campaign(&self.bus, &elected).await?;
        let created = self.bus.stream_state(topology::EVENTS).await?.created;
        anyhow::ensure!(created == log, "the log was replaced");
        Ok(writer)
    }

    /// Writes what the loop decides, one batch at a time, until a write does not succeed.
    async fn write(
        &self,
        number: u64,
        writer: &mut FencedWriter,
        waiting: &mut mpsc::Receiver<Vec<Outgoing>>,
    ) -> Deposed {
        let mut repeat = ticks(ELECTION_REPEATED);
        repeat.reset();
        loop {
            tokio::select! {
                batch = waiting.recv() => {
                    let Some(batch) = batch else {
                        return Deposed("the loop gave the term up".to_owned());
                    };
                    let landed = match write_batch(writer, &batch).await {
                        Ok(landed) => landed,
                        Err(error) => return Deposed(format!("a write did not succeed: {error}")),
                    };
                    if self.inputs.send(Input::Written(Ok(landed))).await.is_err() {
                        return shutting_down();
                    }
                }
                _ = repeat.tick() => {
                    let elected = election::announcement(&self.name, self.instance, number);
                    let renewed = match elected {
                        Ok(elected) => writer.renew(&elected).await.map_err(|error| error.to_string()),
                        Err(error) => Err(error.to_string()),
                    };
                    if let Err(error) = renewed {
                        return Deposed(format!("the election was not repeated: {error}"));
                    }
                }
            }
        }
    }
}

/// Writes a batch. What the hub will never take is left out: it would end every term in the same place.
async fn write_batch(writer: &mut FencedWriter, batch: &[Outgoing]) -> Result<Vec<Landed>, WriteError> {
    let mut rest = batch;
    let mut landed = Vec::with_capacity(batch.len());
    loop {
        match writer.write(rest).await {
            Ok(seqs) => {
                let stored = rest.iter().zip(seqs);
                landed.extend(stored.map(|(outgoing, seq)| Landed {
                    id: outgoing.id,
                    at: Ok(seq),
                }));
                return Ok(landed);
            }
            // Those before it are stored and will be read.
            Err(WriteError::Refused { index, reason }) => {
                if let Some(outgoing) = rest.get(index) {
                    tracing::error!(subject = %outgoing.subject, %reason, "a decision is not stored");
                    landed.push(Landed {
                        id: outgoing.id,
                        at: Err(reason),
                    });
                }
                rest = rest.get(index + 1..).unwrap_or_default();
            }
            Err(error) => return Err(error),
        }
    }
}

fn shutting_down() -> Deposed {
    Deposed("the service is shutting down".to_owned())
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

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now(), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

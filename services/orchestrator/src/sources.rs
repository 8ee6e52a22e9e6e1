//! What feeds the loop: the log and the hosts' presence. Both wait out a hub that is away, so that the loop never has to.

use crate::inbox::{Event, Input};
use crate::snapshot::Store;
use futures_util::FutureExt as _;
use muster_bus::read::{ReadError, Reader, Start};
use muster_bus::{Bus, Stored, StreamState};
use muster_domain::fleet::{Fleet, Settings};
use muster_runtime::drain::Drain;
use muster_runtime::health::Condition;
use muster_wire::{decode, topology};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two attempts at something that the hub did not do.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Events handed over at once: some hundred microseconds of folding, before questions are looked for again.
const TOGETHER: usize = 64;

/// Gives the loop a state to begin with and every event after it. When the log turns out not to be the one that was
/// folded, gives it another state, and goes on from there. `condition` says whether there is a log to read.
pub(crate) async fn follow_log(
    bus: Bus,
    store: Store,
    settings: Settings,
    inputs: mpsc::Sender<Input>,
    condition: Condition,
    drain: Drain,
) -> anyhow::Result<()> {
    let feed = async {
        loop {
            let (fleet, log, mut reader) = begin(&bus, &store, &settings, &condition).await;
            condition.set_ok();
            let behind = reader.pending().unwrap_or(0);
            let fleet = Box::new(fleet);
            inputs.send(Input::Restored { fleet, log, behind }).await?;
            let why = follow(&mut reader, &inputs, &condition).await?;
            tracing::error!("the log is not the one that was folded, and is folded anew: {why}");
            inputs.send(Input::LogReplaced(why)).await?;
        }
    };
    feed_until_drained(feed, &drain).await;
    Ok(())
}

/// A state, and the log opened where that state ends.
async fn begin(bus: &Bus, store: &Store, settings: &Settings, condition: &Condition) -> (Fleet, StreamState, Reader) {
    let mut connection = bus.state();
    loop {
        // The sender lives as long as the client does.
        let _ = connection.wait_for(|state| state.connected).await;
        let begun = async {
            let (fleet, log) = store.restore(bus, settings).await?;
            let start = Start::Seq(fleet.watermark() + 1);
            let mut reader = bus.read(topology::EVENTS, &[], start).expect_created(log.created);
            reader.open().await?;
            anyhow::Ok((fleet, log, reader))
        };
        match begun.await {
            Ok(begun) => return begun,
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(error, "cannot read the log yet");
                condition.set_failed(error);
            }
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Hands over events; returns why that cannot go on. What arrived together is handed over together: to wake the loop costs
/// more than to fold an event.
async fn follow(reader: &mut Reader, inputs: &mpsc::Sender<Input>, condition: &Condition) -> Result<String, Gone> {
    let mut events = Vec::new();
    let mut behind = reader.pending().unwrap_or(u64::MAX);
    loop {
        let arrived = if events.len() < TOGETHER {
            reader.next().now_or_never()
        } else {
            None
        };
        let next = match arrived {
            Some(next) => next,
            None if events.is_empty() => reader.next().await,
            None => {
                let events = std::mem::take(&mut events);
                inputs.send(Input::Events { events, behind }).await?;
                continue;
            }
        };
        match next {
            Ok(stored) => {
                // Known only while reading, which it is now; a lost connection later does not mean that nothing is behind.
                behind = reader.pending().unwrap_or(behind);
                events.push(read(&stored));
            }
            Err(error @ (ReadError::Incarnation { .. } | ReadError::Discarded { .. })) => {
                let events = std::mem::take(&mut events);
                inputs.send(Input::Events { events, behind }).await?;
                return Ok(error.to_string());
            }
            Err(error @ (ReadError::Missing(_) | ReadError::Unavailable(_))) => {
                lost(reader, error, condition).await;
            }
        }
    }
}

/// Waits until there is a log again: a stream that was deleted may be made anew.
async fn lost(reader: &mut Reader, mut error: ReadError, condition: &Condition) {
    loop {
        tracing::warn!(error = &error as &dyn std::error::Error, "the log cannot be read");
        condition.set_failed(error.to_string());
        // Asking again waits longer each time.
        match reader.open().await {
            Err(again @ (ReadError::Missing(_) | ReadError::Unavailable(_))) => error = again,
            // Whether it is the same one is told with the next event.
            Ok(_) | Err(ReadError::Incarnation { .. } | ReadError::Discarded { .. }) => break,
        }
    }
    condition.set_ok();
}

/// Reads an event. Folding must not stop for one foreign message; it stays in the log for whoever wants to look.
fn read(stored: &Stored) -> Event {
    let recorded =
        decode::recorded(stored.seq, stored.at, stored.subject_text(), &stored.payload).inspect_err(|error| {
            let (seq, subject) = (stored.seq, stored.subject_text());
            let error = error as &dyn std::error::Error;
            tracing::warn!(seq, subject, error, "an event cannot be read and is passed over");
        });
    Event {
        seq: stored.seq,
        recorded: recorded.ok(),
        traceparent: stored.traceparent().map(str::to_owned),
    }
}

/// Hands the loop every change of a host's presence.
pub(crate) async fn follow_presence(bus: Bus, inputs: mpsc::Sender<Input>, drain: Drain) -> anyhow::Result<()> {
    let mut watch = bus.bucket(&topology::PRESENCE).watch(">");
    let feed = async {
        loop {
            match watch.next().await {
                Ok(watched) => inputs.send(Input::Presence(watched)).await?,
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "presence cannot be watched"),
            }
        }
    };
    feed_until_drained(feed, &drain).await;
    Ok(())
}

/// The loop ended, which it does only when the service drains.
type Gone = mpsc::error::SendError<Input>;

async fn feed_until_drained(feed: impl Future<Output = Result<std::convert::Infallible, Gone>>, drain: &Drain) {
    tokio::select! {
        () = drain.requested() => {}
        Err(_) = feed => drain.requested().await,
    }
}

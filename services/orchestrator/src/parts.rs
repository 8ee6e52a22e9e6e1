//! What feeds the loop: the log, the hosts' presence, and the checks at start.

use crate::Config;
use crate::inbox::Input;
use anyhow::Context as _;
use muster_bus::read::{ReadError, Start};
use muster_bus::{Bus, server};
use muster_runtime::drain::Drain;
use muster_runtime::exit::Failure;
use muster_runtime::service::Context;
use muster_wire::topology;
use tokio::sync::mpsc;

/// Connects, and keeps the readiness condition true to the connection.
pub(crate) async fn connect(config: &Config, context: &Context) -> anyhow::Result<Bus> {
    let condition = context.health.condition("nats");
    let bus = Bus::connect(&config.bus(&context.instance))
        .await
        .with_context(|| format!("connecting to {}", config.nats.url))
        .map_err(|error| {
            error.context(Failure::Unavailable(format!(
                "the hub at {} is not there",
                config.nats.url
            )))
        })?;
    condition.set_ok();
    let (mut state, drain) = (bus.state(), context.drain.clone());
    context.drain.part("connection", async move {
        loop {
            let now = state.borrow_and_update().clone();
            if now.connected {
                condition.set_ok();
            } else {
                condition.set_failed(now.last_error.as_deref().unwrap_or("not connected to the hub"));
            }
            tokio::select! {
                () = drain.requested() => return Ok::<(), anyhow::Error>(()),
                changed = state.changed() => if changed.is_err() { drain.requested().await; },
            }
        }
    });
    Ok(bus)
}

/// Says so when the hub acknowledges before its disk holds what it acknowledged.
pub(crate) async fn check_sync(config: &Config, context: &Context) {
    if config.nats.monitor_url.is_empty() {
        return;
    }
    let condition = context.health.condition("hub_sync");
    match server::sync_always(&config.nats.monitor_url).await {
        Ok(true) => condition.set_ok(),
        Ok(false) => {
            let text = "the hub acknowledges before it syncs: set `sync_interval: always` in its jetstream block";
            tracing::warn!("{text}");
            condition.set_degraded(text);
        }
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the hub was not asked whether it syncs"
            );
            condition.set_degraded(format!("the hub's monitoring address does not answer: {error}"));
        }
    }
}

/// Hands the loop every event after the position it is given first. When the log turns out not to be the one that was
/// folded, it says so and goes on from the next position it is given.
pub(crate) async fn follow_log(
    bus: Bus,
    mut positions: mpsc::Receiver<u64>,
    inputs: mpsc::Sender<Input>,
    drain: Drain,
) -> anyhow::Result<()> {
    while let Some(watermark) = either(&drain, positions.recv()).await.flatten() {
        let mut reader = bus.read(topology::EVENTS, &[], Start::Seq(watermark + 1));
        while let Some(next) = either(&drain, reader.next()).await {
            let input = match next {
                Ok(stored) => Input::Event {
                    stored,
                    behind: reader.pending().unwrap_or(0),
                },
                Err(error @ (ReadError::Incarnation { .. } | ReadError::Discarded { .. })) => {
                    Input::LogReplaced(error.to_string())
                }
                Err(error) => return Err(error).context("reading the log"),
            };
            let over = matches!(input, Input::LogReplaced(_));
            // A loop that is gone is a service that drains.
            if inputs.send(input).await.is_err() || over {
                break;
            }
        }
    }
    drain.requested().await;
    Ok(())
}

async fn either<T>(drain: &Drain, next: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = drain.requested() => None,
        next = next => Some(next),
    }
}

/// Hands the loop every change of a host's presence.
pub(crate) async fn follow_presence(bus: Bus, inputs: mpsc::Sender<Input>, drain: Drain) -> anyhow::Result<()> {
    let mut watch = bus.bucket(&topology::PRESENCE).watch(">");
    loop {
        let watched = tokio::select! {
            () = drain.requested() => return Ok(()),
            watched = watch.next() => watched.context("watching the hosts' presence")?,
        };
        if inputs.send(Input::Presence(watched)).await.is_err() {
            return Ok(());
        }
    }
}

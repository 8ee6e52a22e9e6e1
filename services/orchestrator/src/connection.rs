//! The hub: reaching it at start, and saying how it is.

use crate::Config;
use anyhow::Context as _;
use muster_bus::connect::{ConnectError, ConnectionState};
use muster_bus::{Bus, server};
use muster_runtime::drain::Drain;
use muster_runtime::exit::Failure;
use muster_runtime::health::Condition;
use muster_runtime::service::Context;
use std::time::Duration;
use tokio::sync::watch;

/// How long the hub may take to come up beside this service. Longer is for whoever supervises both.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Connects, and keeps the readiness condition true to the connection.
pub(crate) async fn connect(config: &Config, context: &Context) -> anyhow::Result<Bus> {
    let condition = context.health.condition("nats");
    let bus = Bus::connect_within(&config.bus(&context.instance), CONNECT_WITHIN)
        .await
        .map_err(|error| failure(&error))?;
    condition.set_ok();
    let (state, drain) = (bus.state(), context.drain.clone());
    context.drain.part("connection", report(state, condition, drain));
    Ok(bus)
}

/// A connection to ask by, as a client does; it comes about when the hub does.
pub(crate) async fn for_questions(config: &Config, context: &Context) -> Result<Bus, Failure> {
    let mut options = config.bus(&context.instance);
    options.name.push_str("/mcp");
    Bus::connect_lazy(&options).await.map_err(|error| failure(&error))
}

fn failure(error: &ConnectError) -> Failure {
    if error.is_misconfigured() {
        Failure::Config(error.to_string())
    } else {
        Failure::Unavailable(error.to_string())
    }
}

async fn report(mut state: watch::Receiver<ConnectionState>, condition: Condition, drain: Drain) -> anyhow::Result<()> {
    loop {
        let now = state.borrow_and_update().clone();
        if now.connected {
            condition.set_ok();
        } else {
            condition.set_failed(reason(&now));
        }
        tokio::select! {
            () = drain.requested() => return Ok(()),
            changed = state.changed() => changed.context("the client ended")?,
        }
    }
}

fn reason(state: &ConnectionState) -> String {
    state.last_error.as_deref().unwrap_or("not connected").to_owned()
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
            let text = format!("the hub's monitoring address does not answer: {error}");
            tracing::warn!("{text}");
            condition.set_degraded(text);
        }
    }
}

//! The notifier: shows the log to programs as it grows, answers what is known of the fleet, and tells webhooks.
//!
//! It keeps no state of its own. What happened is in the log, what is known is asked of the orchestrator, and what was
//! delivered to whom stands in the hub's ledger and among its observers; so any number of notifiers may run, and each may be killed at any time.
//!
//! - `stream`: the log as server-sent events, from any place of it, at each client's pace.
//! - `observers`: registered wishes, told of what they missed and resumed where they left off.
//! - `fleet`, `api`: REST over the orchestrator's answers.
//! - `approvals`: what waits for an answer, and answers, signed with the token that their sender presents.
//! - `webhook`: an outbox in the ledger, and one worker an endpoint that empties it.
#![deny(missing_docs)]

mod api;
mod approvals;
mod config;
mod fleet;
mod observers;
mod select;
mod stream;
mod webhook;

pub use config::Config;

use anyhow::Context as _;
use fleet::Fleet;
use muster_bus::{Bus, migrate};
use muster_runtime::exit::Failure;
use muster_runtime::health;
use muster_runtime::http::{Guard, serve};
use muster_runtime::service::{Context, Service};
use muster_wire::subject::Caller;
use std::sync::Arc;
use std::time::Duration;
use stream::Streams;
use stream::tail::Tail;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Name, version and defaults, for `main`.
pub const SERVICE: Service = Service {
    name: "muster-notifier",
    version: env!("CARGO_PKG_VERSION"),
    env_prefix: "MUSTER_NOTIFIER__",
    defaults: include_str!("../config.default.toml"),
};

/// The notifier.
#[derive(Debug)]
pub struct App;

impl App {
    /// Runs until the context drains.
    ///
    /// # Errors
    /// When the configuration cannot be used, the hub cannot be reached at start, its topology has drifted, or a part fails
    /// for good.
    pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
        let listener = TcpListener::bind(config.http.listen)
            .await
            .with_context(|| Failure::Unavailable(format!("listening on {}", config.http.listen)))?;
        let invalid = |error: &dyn std::error::Error| Failure::Config(error.to_string());
        let guard = Guard::new(&config.http).map_err(|error| invalid(&error))?;
        let guard = guard.except(approvals::brings_operator_token);
        let caller = Caller::new(&config.requests.caller).map_err(|error| invalid(&error))?;
        let endpoints = webhook::endpoints(&config).map_err(|error| invalid(&error))?;
        let bus = connect(&config, &context).await?;
        migrate::verify(&bus)
            .await
            .context("the hub is not as this version expects; run `muster migrate`")?;

        let (epochs, epochs_seen) = watch::channel(None);
        let tail = Tail {
            bus: bus.clone(),
            ring: config.stream.ring_events,
            epochs,
            condition: context.health.condition("log"),
            frames: context
                .metrics
                .counter("muster_notifier_events_seen_total", "Events read at the log's end", &[]),
        };
        context.drain.part("tail", tail.run(context.drain.clone()));
        webhook::start(&bus, endpoints, &config, &context)?;

        let fleet = Fleet {
            bus: bus.clone(),
            caller,
            timeout: config.requests.timeout.get(),
        };
        let streams = Streams {
            bus: bus.clone(),
            fleet: fleet.clone(),
            epochs: epochs_seen,
            config: config.stream.clone(),
            places: Arc::new(Semaphore::new(config.stream.clients_max)),
            clients: context
                .metrics
                .gauge("muster_notifier_stream_clients", "Clients of the live stream", &[]),
            drain: context.drain.clone(),
        };
        let probes = health::router(context.health.clone(), context.metrics.clone());
        let desk = approvals::Desk {
            fleet: fleet.clone(),
            guard: guard.clone(),
            http: config.http.clone(),
        };
        let observers = observers::start(&streams, &config.observers, &config.http, &context);
        let routes = api::routes(streams, fleet)
            .merge(approvals::routes(desk))
            .merge(observers::routes(observers));
        let router = guard.protect(routes.merge(probes));
        stream::drop_stalled(&listener, config.stream.write_timeout.get());
        tracing::info!(address = %listener.local_addr()?, "listening");
        let (http, drain) = (config.http.clone(), context.drain.clone());
        context
            .drain
            .part("http", async move { serve(listener, router, &http, &drain).await });

        let finished = context.drain.finish(config.shutdown.grace.get()).await;
        bus.drain().await;
        finished
    }
}

/// How long the hub may take to come up beside this service. Longer is for whoever supervises both.
const HUB_WITHIN: Duration = Duration::from_secs(15);

/// Connects, and keeps the readiness condition true to the connection.
async fn connect(config: &Config, context: &Context) -> anyhow::Result<Bus> {
    let condition = context.health.condition("nats");
    let bus = Bus::connect_within(&config.bus(&context.instance), HUB_WITHIN)
        .await
        .map_err(|error| {
            if error.is_misconfigured() {
                Failure::Config(error.to_string())
            } else {
                Failure::Unavailable(error.to_string())
            }
        })?;
    let (mut state, drain) = (bus.state(), context.drain.clone());
    context.drain.part("connection", async move {
        loop {
            let now = state.borrow_and_update().clone();
            match (now.connected, now.last_error) {
                (true, _) => condition.set_ok(),
                (false, Some(why)) => condition.set_failed(&*why),
                (false, None) => condition.set_failed("not connected to the hub"),
            }
            tokio::select! {
                () = drain.requested() => return Ok::<(), anyhow::Error>(()),
                changed = state.changed() => if changed.is_err() { drain.requested().await; },
            }
        }
    });
    Ok(bus)
}

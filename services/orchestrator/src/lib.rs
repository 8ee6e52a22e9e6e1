//! The orchestrator: folds the log, decides, answers.
//!
//! Its parts hand everything they learn to one loop: the reader follows the log, presence follows the hosts' keys, the
//! candidate campaigns and writes, the service takes requests while this instance leads. The loop owns the state; nobody
//! else touches it. Beside it the log is drawn into an index, which search and metrics are answered from.
#![deny(missing_docs)]

mod answer;
mod asking;
mod config;
mod connection;
mod control;
mod edge;
mod election;
mod inbox;
mod index;
mod leadership;
mod mcp;
mod meters;
mod parked;
mod serve;
mod snapshot;
mod sources;

pub use config::Config;

use anyhow::Context as _;
use asking::Door;
use control::Control;
use edge::Projector;
use leadership::Candidate;
use muster_bus::operator::{Judge, Key};
use muster_bus::{Bus, migrate};
use muster_domain::fleet::Fleet;
use muster_domain::ids::InstanceId;
use muster_runtime::config::SecretFile;
use muster_runtime::exit::Failure;
use muster_runtime::health;
use muster_runtime::http::{Guard, serve as serve_http};
use muster_runtime::service::{Context, Service};
use muster_wire::topology;
use serve::Parts;
use snapshot::{Keeper, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// This version, as it is announced.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Name, version and defaults, for `main`.
pub const SERVICE: Service = Service {
    name: "muster-orchestrator",
    version: VERSION,
    env_prefix: "MUSTER_ORCHESTRATOR__",
    defaults: include_str!("../config.default.toml"),
};

/// Inputs that wait for the loop. Enough that reading and folding never wait for one another, and a few megabytes at most:
/// of an event only what is folded is kept.
const INPUTS_WAITING: usize = 32;

/// The orchestrator.
#[derive(Debug)]
pub struct App;

impl App {
    /// Runs until the context drains.
    ///
    /// # Errors
    /// When the hub cannot be reached at start, its topology has drifted, or a part fails for good.
    pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
        let drain = context.drain.clone();
        config.memory.check()?;
        config.alerts.check()?;
        let grace = config.shutdown.grace.get();
        let listener = TcpListener::bind(config.http.listen)
            .await
            .with_context(|| format!("listening on {}", config.http.listen))?;
        let guard = Guard::new(&config.http)?.except(mcp::brings_own);
        let token = config.operator_token()?;
        let unusable = |error: &dyn std::error::Error| {
            Failure::Config(format!("operator.token_file {}: {error}", token.display()))
        };
        let key = Key::read_or_make(&token).map_err(|error| unusable(&error))?;
        let operator = SecretFile::new(&token).read().map_err(|error| unusable(&error))?;
        // A connection of its own: its questions and this service's answers do not wait for one another.
        let asking = connection::for_questions(&config, &context).await?;
        let entrance = mcp::Entrance {
            http: config.http.clone(),
            guard: guard.clone(),
            operator,
        };
        let tools = mcp::routes(&config.mcp, entrance, &asking, &drain)?;
        let probes = health::router(context.health.clone(), context.metrics.clone());
        let routes = guard.protect(probes.merge(tools));
        let (http, draining) = (config.http.clone(), drain.clone());
        let health = async move { serve_http(listener, routes, &http, &draining).await };
        drain.part("http", health);

        let bus = tokio::select! {
            bus = start(config, key, &context) => Some(bus?),
            () = drain.requested() => None,
        };
        let finished = drain.finish(grace).await;
        asking.drain().await;
        if let Some(bus) = bus {
            bus.drain().await;
        }
        finished
    }
}

/// Reaches the hub, makes sure that it is as expected, and starts the parts.
async fn start(config: Config, key: Key, context: &Context) -> anyhow::Result<Bus> {
    let bus = connection::connect(&config, context).await?;
    let verified = migrate::verify(&bus).await;
    verified.context(Failure::Unavailable("the hub is not ready for this version".to_owned()))?;
    connection::check_sync(&config, context).await;
    let secret = migrate::decision_secret(&bus).await;
    let secret = secret.context("reading the secret of decision ids")?;
    let state_dir = config.state_dir()?;
    let store = Store::open(state_dir.clone(), &bus)?;

    let drain = &context.drain;
    let (inputs, inbox) = mpsc::channel(INPUTS_WAITING);
    let (caught_up, catching_up) = watch::channel(None);
    let instance = InstanceId::from_uuid(Uuid::now_v7());
    let (projector, writer) = Projector::new();
    let (searcher, drawer) = index::index(&state_dir, drain);
    let parts = Parts {
        control: Control::new(Fleet::new(config.fleet()), context.instance.clone(), secret),
        keeper: Keeper::new(
            store.clone(),
            bus.clone(),
            drain.clone(),
            config.state.clone(),
            context.health.condition("snapshots"),
        ),
        bus: bus.clone(),
        context: context.clone(),
        instance,
        at_once: config.requests.at_once,
        door: Door::new(Judge::new(key)),
        caught_up,
        projector,
        searcher,
    };
    let candidate = Candidate {
        bus: bus.clone(),
        instance,
        name: context.instance.clone(),
        inputs: inputs.clone(),
        caught_up: catching_up,
    };
    let log = sources::follow_log(
        bus.clone(),
        store,
        config.fleet(),
        inputs.clone(),
        context.health.condition("events"),
        drain.clone(),
    );
    let presence = sources::follow_presence(bus.clone(), inputs, drain.clone());
    drain.part("log", log);
    drain.part("presence", presence);
    let drawing = drawer.run(bus.clone(), context.health.condition("index"), context.metrics.clone());
    drain.part("index", drawing);
    drain.part("leadership", candidate.run(drain.clone()));
    let edge = writer.run(
        bus.bucket(&topology::EDGE),
        context.health.condition("edge"),
        drain.clone(),
    );
    drain.part("edge", edge);
    drain.part("loop", serve::run(parts, inbox));
    Ok(bus)
}

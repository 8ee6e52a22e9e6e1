//! The orchestrator: folds the log, decides, answers.
//!
//! Its parts hand everything they learn to one loop: the reader follows the log, presence follows the hosts' keys, the
//! candidate campaigns and writes, the service takes requests while this instance leads. The loop owns the state; nobody
//! else touches it.
#![deny(missing_docs)]

mod answer;
mod config;
mod control;
mod election;
mod inbox;
mod leadership;
mod parts;
mod serve;
mod snapshot;

pub use config::Config;

use anyhow::Context as _;
use control::Control;
use inbox::Input;
use leadership::Candidate;
use muster_bus::{Bus, migrate};
use muster_domain::ids::InstanceId;
use muster_runtime::health;
use muster_runtime::http::{Guard, serve as serve_http};
use muster_runtime::service::{Context, Service};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
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

/// Inputs that wait for the loop. Large enough that a replay keeps both reading and folding busy, small enough that it
/// costs a few megabytes at most.
const INPUTS_WAITING: usize = 1024;

/// The orchestrator.
#[derive(Debug)]
pub struct App;

impl App {
    /// Runs until the context drains.
    ///
    /// # Errors
    /// When the hub cannot be reached at start, its topology has drifted, or a part fails for good.
    pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
        let listener = TcpListener::bind(config.http.listen)
            .await
            .with_context(|| format!("listening on {}", config.http.listen))?;
        let guard = Guard::new(&config.http)?;
        let routes = guard.protect(health::router(context.health.clone(), context.metrics.clone()));
        let http = config.http.clone();
        let drain = context.drain.clone();
        context
            .drain
            .part("http", async move { serve_http(listener, routes, &http, &drain).await });

        let bus = parts::connect(&config, &context).await?;
        migrate::verify(&bus)
            .await
            .context("the hub's streams are not as this version expects; run `muster migrate`")?;
        parts::check_sync(&config, &context).await;
        let secret = migrate::decision_secret(&bus)
            .await
            .context("reading the secret of decision ids")?;

        let mut store = snapshot::Store::open(config.state_dir()?, &bus)?;
        let fleet = store.restore(&bus, config.fleet()).await?;
        let (inputs, inbox) = mpsc::channel(INPUTS_WAITING);
        let (positions, wanted) = mpsc::channel(1);
        let instance = InstanceId::from_uuid(Uuid::now_v7());
        Self::start_parts(&bus, &context, instance, inputs, wanted);
        let grace = config.shutdown.grace.get();
        let control = Control::new(fleet, context.instance.clone(), secret);
        let serving = serve::Loop::new(
            control,
            store,
            bus.clone(),
            config,
            context.clone(),
            instance,
            positions,
        );
        context.drain.part("loop", serving.run(inbox));

        let finished = context.drain.finish(grace).await;
        bus.drain().await;
        finished
    }

    fn start_parts(
        bus: &Bus,
        context: &Context,
        instance: InstanceId,
        inputs: mpsc::Sender<Input>,
        positions: mpsc::Receiver<u64>,
    ) {
        let drain = &context.drain;
        drain.part(
            "log",
            parts::follow_log(bus.clone(), positions, inputs.clone(), drain.clone()),
        );
        drain.part(
            "presence",
            parts::follow_presence(bus.clone(), inputs.clone(), drain.clone()),
        );
        let candidate = Candidate {
            bus: bus.clone(),
            instance,
            name: context.instance.clone(),
            inputs,
        };
        drain.part("leadership", candidate.run(drain.clone()));
    }
}

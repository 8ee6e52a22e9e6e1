//! The parts and how they hold together.
//!
//! Surfaces turn input into observations, the intake makes them durable, the lanes forward them. At the end it is the other
//! way round: the surfaces stop first, so that what they took last still goes out.

use crate::approvals::Approvals;
use crate::budget::Budget;
use crate::config::Config;
use crate::edge::{Edge, Follower};
use crate::effects::{Claims, Clerk, Journal, Spawner};
use crate::forward::Forward;
use crate::gate::{Gate, Labels};
use crate::hooks::Hooks;
use crate::http::Surface;
use crate::intake::Intake;
use crate::metrics::Counts;
use crate::observation::Observation;
use crate::optimize::Optimizer;
use crate::overflow::Waiting;
use crate::prepare::Rules;
use crate::presence::{Identity, Presence};
use crate::redact::Redactor;
use crate::resolutions::{Follow, Resolutions};
use crate::socket::Desk;
use crate::spool::{Lane, OpenError, Spool};
use crate::watch::{Here, News, Watch, Watcher};
use crate::{http, report, socket};
use anyhow::Context as _;
use muster_bus::Bus;
use muster_domain::family::{EventType, HostStatusKind, LifecycleKind};
use muster_domain::names::HostName;
use muster_runtime::drain::Drain;
use muster_runtime::exit::Failure;
use muster_runtime::health;
use muster_runtime::http::{Guard, serve};
use muster_runtime::service::Context;
use muster_wire::data::host::Reason;
use muster_wire::data::process::Process;
use muster_wire::topology;
use serde_json::Value;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the surfaces may take to end: as long as the HTTP surface gives its open requests by default.
const SURFACES_END: Duration = Duration::from_secs(5);
/// How long the end waits for the hub to take what the surfaces took last. The spool keeps what does not go out.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often it looks whether all is out.
const LOOK: Duration = Duration::from_millis(20);

/// A service that is ready to run: everything that can fail at the start has not.
pub struct App {
    config: Config,
    context: Context,
    bus: Bus,
    intake: Intake,
    waiting: Arc<Waiting>,
    counts: Counts,
    identity: Identity,
    here: Here,
    watch: Option<Watch>,
    edge: Edge,
    follower: Follower,
    journal: Journal,
    labels: Labels,
    dir: PathBuf,
    tcp: TcpListener,
    socket_path: PathBuf,
    unix: socket::Bound,
}

impl App {
    /// Opens the spool and the surfaces. A hub that is away is no error: observations wait for it.
    ///
    /// # Errors
    /// When a name, folder, port or socket cannot be had.
    pub async fn build(config: Config, context: Context) -> anyhow::Result<Self> {
        let host = config.host.resolved().map_err(misconfigured)?;
        let dir = config.spool.resolved().map_err(misconfigured)?;
        // For this user alone: what agents say is in it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("making {}", dir.display()))?;
        let spool = Spool::open(&dir, config.spool.options()).map_err(|error| {
            if matches!(error, OpenError::Reserve { .. }) {
                misconfigured(anyhow::Error::new(error).context("spool.max_bytes"))
            } else {
                unavailable(error)
            }
        })?;
        if let Some(aside) = spool.set_aside() {
            tracing::error!(
                aside = %aside.display(),
                "the spool's store was damaged and is set aside whole; a new one was begun under a new producer. \
                 What the hub did not have yet is only in the file set aside: rescue it with `sqlite3 … .recover`, then delete it"
            );
        }
        let here = Here::find();
        let identity = Identity::mint(&dir, &here)?;
        let (edge, follower) = Edge::open(&dir);
        let journal = Journal::open(&dir).context("opening the journal of effects")?;
        let labels = Labels::open(&dir).context("opening the labels of sessions")?;
        let waiting = Waiting::open(dir.join("payloads"), config.spool.overflow_max_bytes.as_u64())
            .context("opening the folder of large payloads")?;
        let counts = Counts::new(&context.metrics);
        let (watch, watcher) = if config.watch.enabled {
            let (watch, watcher) = Watch::open(&dir, &here);
            (Some(watch), watcher)
        } else {
            (None, Watcher::off())
        };
        let rules = Rules {
            host,
            redactor: Redactor::new()?,
            optimizer: Optimizer::new(config.optimizer.clone())?,
        };
        let profile = config.host.profile.clone();
        let intake = Intake::open(rules, profile, spool, Arc::clone(&waiting), counts.clone(), watcher)
            .await
            .with_context(|| format!("reading the spool in {}", dir.display()))
            .map_err(unavailable)?;
        let tcp = TcpListener::bind(config.http.listen).await;
        let tcp = tcp
            .with_context(|| format!("listening on {}", config.http.listen))
            .map_err(unavailable)?;
        let socket_path = config.socket.resolved().map_err(misconfigured)?;
        socket::check(&socket_path).map_err(misconfigured)?;
        let unix = socket::bind(&socket_path).await.map_err(unavailable)?;
        let bus = Bus::connect_lazy(&config.nats.options(&context.instance))
            .await
            .map_err(|error| Failure::Config(error.to_string()))?;
        Ok(Self {
            config,
            context,
            bus,
            intake,
            waiting,
            counts,
            identity,
            here,
            watch,
            edge,
            follower,
            journal,
            labels,
            dir,
            tcp,
            socket_path,
            unix,
        })
    }

    /// Where HTTP is served.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn http_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Where the socket is.
    pub fn socket_path(&self) -> &Path {
        &self.socket_path
    }

    /// The name of this host.
    pub fn host(&self) -> &HostName {
        self.intake.host()
    }

    /// Runs until the drain is requested, then ends part after part.
    ///
    /// # Errors
    /// The first failure of a part, or the parts that did not end in time.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            config,
            context,
            bus,
            intake,
            waiting,
            counts,
            identity,
            here,
            watch,
            edge,
            follower,
            journal,
            labels,
            dir,
            tcp,
            socket_path,
            unix,
        } = self;
        let Context {
            drain, metrics, health, ..
        } = context;
        report::started(&intake, identity.instance, watch.is_some()).await;
        let means = report::means();
        report::capability(&intake, means).await;
        drain.part(
            "spool",
            report::spool(intake.clone(), health.condition("spool"), drain.token()),
        );

        let surfaces = TaskTracker::new();
        let gate = Gate::new(intake.host().clone(), config.host.profile.clone(), edge.clone());
        let gate = gate.knowing(labels).asking(bus.clone());
        let resolutions = Arc::new(Resolutions::default());
        let hooks = Hooks {
            intake: intake.clone(),
            gate,
            approvals: Arc::new(Approvals {
                settings: config.approvals.settings(),
                bus: bus.clone(),
                intake: intake.clone(),
                resolutions: Arc::clone(&resolutions),
            }),
        };
        let budget = Budget::new(config.intake.in_flight_max_bytes.as_u64());
        let spawner = Spawner::new(config.spawn, &socket_path, &dir);
        let claims = Claims::open(&dir, here.boot.as_deref());
        let (effects, clerk) = Clerk::new(intake.clone(), journal, claims, spawner);
        let surface = Surface {
            hooks: hooks.clone(),
            effects: effects.clone(),
            budget: budget.clone(),
            config: config.http.clone(),
            tracker: drain.tracker().clone(),
            stop: drain.token(),
        };
        let routes = http::router(surface).merge(health::router(health.clone(), metrics));
        let routes = Guard::new(&config.http)?.protect(routes);
        // The surfaces ask it until they end.
        let late = CancellationToken::new();
        drain.part("effects", clerk.run(late.clone()));
        let desk = Desk {
            hooks,
            effects: effects.clone(),
            budget,
            bus: bus.clone(),
            here,
            started: Instant::now(),
            idle_timeout: config.socket.idle_timeout.get(),
            read_timeout: config.socket.read_timeout.get(),
        };
        drain.part(
            "socket",
            socket::serve(
                unix,
                Arc::new(desk),
                health.condition("socket"),
                config.socket.max_connections,
                surfaces.clone(),
                drain.token(),
            ),
        );

        let (presence, standing) = Presence::new(
            &bus,
            intake.host(),
            identity,
            intake.spool().clone(),
            edge.applied(),
            health.condition("presence"),
        );
        drain.part("presence", presence.run(late.clone()));
        drain.part(
            "edge",
            follower.run(bus.bucket(&topology::EDGE), health.condition("edge"), drain.token()),
        );
        let follow = Follow {
            bus: bus.clone(),
            consumer: topology::host_consumer(intake.host()),
            resolutions,
            effects,
            condition: health.condition("approvals"),
            standing: standing.clone(),
        };
        drain.part("approvals", follow.run(drain.token()));
        let forward = Forward::new(&bus, &intake, &counts, standing);
        drain.part(
            "forward",
            forward
                .clone()
                .run(Lane::Events, health.condition("events"), late.clone()),
        );
        drain.part(
            "forward-transcript",
            forward.run(Lane::Transcript, health.condition("transcript"), late.clone()),
        );
        drain.part(
            "payloads",
            waiting.upload(bus.clone(), intake.host().clone(), late.clone()),
        );

        drain.part(
            "report",
            report::run(intake.clone(), bus.clone(), counts.clone(), means, drain.token()),
        );
        if let Some(watch) = watch {
            let teller = intake.clone();
            let tell = move |news| tell(teller.clone(), news);
            drain.part("watch", watch.run(drain.tracker().clone(), drain.token(), counts, tell));
        }
        // Last: whoever asks whether it is ready hears of every part.
        let (open, token, http) = (surfaces.token(), drain.clone(), config.http.clone());
        drain.part("http", async move {
            let _open = open;
            serve(tcp, routes, &http, &token).await
        });
        drain.part(
            "last-words",
            last_words(drain.clone(), surfaces, intake.clone(), bus.clone(), late),
        );
        let ended = drain.finish(config.shutdown.grace.get()).await;
        intake.spool().close().await;
        bus.drain().await;
        ended
    }
}

/// Lets the surfaces end, says goodbye, and gives the hub a moment to take what is left.
async fn last_words(
    drain: Drain,
    surfaces: TaskTracker,
    intake: Intake,
    bus: Bus,
    late: CancellationToken,
) -> anyhow::Result<()> {
    drain.requested().await;
    surfaces.close();
    // Whoever is in the middle of a sentence then asks the next ingest again.
    let _ = tokio::time::timeout(SURFACES_END, surfaces.wait()).await;
    report::say(&intake, HostStatusKind::Stopping, Reason::default()).await;
    // Out of time is no failure: the spool goes on from there.
    if bus.is_connected() {
        let _ = tokio::time::timeout(LAST_WORDS, forwarded(intake.spool())).await;
    }
    late.cancel();
    Ok(())
}

/// Waits until the hub has everything.
async fn forwarded(spool: &Spool) {
    while [Lane::Events, Lane::Transcript]
        .iter()
        .any(|lane| spool.acked(*lane) < spool.last_seq(*lane))
    {
        tokio::time::sleep(LOOK).await;
    }
}

/// Makes the news of a watched process durable; false when it has to be told again.
async fn tell(intake: Intake, news: News) -> bool {
    let (kind, watched, command) = match news {
        News::Started(watched, command) => (LifecycleKind::Started, watched, command),
        News::Gone(watched) => (LifecycleKind::Exited, watched, None),
    };
    let process = Process {
        pid: watched.pid,
        start_ticks: watched.start_ticks,
        command,
        status: None,
        run: None,
        carries: Vec::new(),
        watched: None,
        session_process: true,
    };
    let Ok(Value::Object(data)) = serde_json::to_value(process) else {
        return false;
    };
    let mut observation = Observation::of(EventType::ProcessLifecycle(kind), data);
    observation.session = Some(watched.session);
    observation.agent = watched.agent;
    match intake.accept_one(observation).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "news of a process were not written");
            false
        }
    }
}

/// What a supervisor may try again. The failure says it all: in a chain with its cause it would be said twice.
fn unavailable(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Failure::Unavailable(format!("{:#}", error.into())).into()
}

/// What only another configuration helps against.
fn misconfigured(error: anyhow::Error) -> anyhow::Error {
    Failure::Config(format!("{error:#}")).into()
}

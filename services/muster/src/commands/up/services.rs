//! The three services in this process: configured as when they run alone, drained together.

use super::{Args, state::State};
use crate::commands::environment;
use crate::hub::Running;
use anyhow::Context as _;
use muster_runtime::config;
use muster_runtime::drain::Drain;
use muster_runtime::exit::Failure;
use muster_runtime::service::{Context, Flags, Service};
use muster_telemetry::Guard;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep};

/// How often readiness is looked at while starting.
const LOOK: Duration = Duration::from_millis(50);
/// For how long a host is given to have its name, its rules and its answers, before less than everything will do.
const SETTLE: Duration = Duration::from_secs(3);

/// Services, configured.
pub(super) struct Services {
    /// One a host: this machine, or those of a demo.
    ingests: Vec<Ingest>,
    orchestrator: (muster_orchestrator::Config, Context),
    notifier: (muster_notifier::Config, Context),
    /// Logs of all go one way; metrics are each service's own.
    _telemetry: Guard,
}

struct Ingest {
    host: Option<String>,
    socket: PathBuf,
    config: muster_ingest::Config,
    context: Context,
}

impl Services {
    /// Reads each service's configuration, with what `up` decides on top, and `--set` over all.
    pub(super) fn load(
        args: &Args,
        state: &State,
        running: &Running,
        hosts: Option<&BTreeSet<String>>,
    ) -> anyhow::Result<Self> {
        let given = Given { args, state, running };
        let mut orchestrator = vec![
            ("http.listen", address(&running.orchestrator)),
            ("nats.monitor_url", running.monitor.clone()),
            ("state.dir", state.dir.join("orchestrator").display().to_string()),
            ("operator.token_file", state.operator_token.display().to_string()),
        ];
        if args.demo {
            // Every round leaves sessions behind: they shall not bury the ones that play.
            orchestrator.push(("fold.retention", "10m".to_owned()));
        }
        let orchestrator = given.load(&muster_orchestrator::SERVICE, orchestrator)?;
        let notifier = given.load(
            &muster_notifier::SERVICE,
            vec![("http.listen", address(&running.notifier))],
        )?;
        let names: Vec<Option<&str>> =
            hosts.map_or_else(|| vec![None], |hosts| hosts.iter().map(|host| Some(&**host)).collect());
        let mut ingests = Vec::new();
        for host in names {
            // The first has the known port, the others any.
            let listen = if ingests.is_empty() {
                address(&running.ingest)
            } else {
                "127.0.0.1:0".to_owned()
            };
            let socket = state.socket(host);
            let mut decided = vec![
                ("http.listen", listen),
                ("spool.dir", state.spool(host).display().to_string()),
                ("socket.path", socket.display().to_string()),
            ];
            decided.extend(host.or(args.host.as_deref()).map(|name| ("host.name", name.to_owned())));
            let config = given.load(&muster_ingest::SERVICE, decided)?;
            ingests.push(Ingest {
                host: host.map(str::to_owned),
                socket,
                config,
                context: Context::new(muster_ingest::SERVICE.name),
            });
        }
        let orchestrator: muster_orchestrator::Config = orchestrator;
        let telemetry = muster_telemetry::init(&orchestrator.telemetry, "muster", env!("CARGO_PKG_VERSION"), "up");
        Ok(Self {
            ingests,
            orchestrator: (orchestrator, Context::new(muster_orchestrator::SERVICE.name)),
            notifier: (notifier, Context::new(muster_notifier::SERVICE.name)),
            _telemetry: telemetry,
        })
    }

    /// The file of the operator's token, as the orchestrator was told in the end.
    pub(super) fn operator_token(&self) -> anyhow::Result<PathBuf> {
        self.orchestrator.0.operator_token()
    }

    /// Starts all; the first that fails takes the others down in order.
    pub(super) fn start(&mut self, drain: &Drain) {
        for ingest in &mut self.ingests {
            ingest.context.drain = drain.child();
            let (config, context) = (ingest.config.clone(), ingest.context.clone());
            drain.part("ingest", async move {
                muster_ingest::App::build(config, context).await?.run().await
            });
        }
        self.orchestrator.1.drain = drain.child();
        self.notifier.1.drain = drain.child();
        let (config, context) = self.orchestrator.clone();
        drain.part("orchestrator", muster_orchestrator::App::run(config, context));
        let (config, context) = self.notifier.clone();
        drain.part("notifier", muster_notifier::App::run(config, context));
    }

    /// Waits until all are ready; names those that are not after `within`.
    pub(super) async fn ready(&self, running: &Running, within: Duration, drain: &Drain) -> Vec<&'static str> {
        let (until, whole) = (Instant::now() + within, Instant::now() + SETTLE);
        loop {
            let waiting = self.waiting(running, Instant::now() < whole).await;
            if waiting.is_empty() || Instant::now() >= until || drain.is_requested() {
                return waiting;
            }
            sleep(LOOK).await;
        }
    }

    /// A service that has not begun yet has nothing to complain of either: it must also be there to be asked.
    async fn waiting(&self, running: &Running, whole: bool) -> Vec<&'static str> {
        let mut waiting = Vec::new();
        for ingest in &self.ingests {
            // Its HTTP surface is opened before the socket.
            let health = &ingest.context.health;
            let is_there = if whole { health.is_whole() } else { health.is_ready() };
            if !(is_there && UnixStream::connect(&ingest.socket).await.is_ok()) {
                waiting.push("ingest");
            }
        }
        for (name, url, context) in [
            ("orchestrator", &running.orchestrator, &self.orchestrator.1),
            ("notifier", &running.notifier, &self.notifier.1),
        ] {
            if !(context.health.is_ready() && TcpStream::connect(address(url)).await.is_ok()) {
                waiting.push(name);
            }
        }
        waiting.dedup();
        waiting
    }

    /// Where the hosts of a demo listen.
    pub(super) fn sockets(&self) -> BTreeMap<String, PathBuf> {
        self.ingests
            .iter()
            .filter_map(|ingest| Some((ingest.host.clone()?, ingest.socket.clone())))
            .collect()
    }
}

/// What the command line and the environment say about each service.
struct Given<'a> {
    args: &'a Args,
    state: &'a State,
    running: &'a Running,
}

impl Given<'_> {
    fn load<C: DeserializeOwned>(&self, service: &Service, decided: Vec<(&str, String)>) -> anyhow::Result<C> {
        let short = service.name.trim_start_matches("muster-");
        let common = [
            ("nats.url", self.running.nats.clone()),
            ("nats.credentials_file", self.state.services_key.display().to_string()),
            ("telemetry.log", self.args.log.clone()),
        ];
        let decided = common
            .into_iter()
            .chain(decided)
            .map(|(key, value)| (key.to_owned(), value));
        let mut flags = Flags {
            config: None,
            set: decided.collect(),
        };
        for given in &self.args.config {
            let (name, file) = given.split_once('=').ok_or_else(|| usage(given, "service=FILE"))?;
            if known(given, name)? == short {
                flags.config = Some(file.into());
            }
        }
        for given in &self.args.set {
            let (key, value) = given
                .split_once('=')
                .ok_or_else(|| usage(given, "service.section.key=value"))?;
            let (name, key) = key
                .split_once('.')
                .ok_or_else(|| usage(given, "service.section.key=value"))?;
            if known(given, name)? == short {
                flags.set.push((key.to_owned(), value.to_owned()));
            }
        }
        let loaded = config::load(service.defaults, &service.sources(flags, environment()));
        loaded
            .map_err(anyhow::Error::from)
            .with_context(|| format!("configuring {}", service.name))
    }
}

fn address(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

fn known<'a>(given: &str, name: &'a str) -> Result<&'a str, Failure> {
    let services = [
        &muster_ingest::SERVICE,
        &muster_orchestrator::SERVICE,
        &muster_notifier::SERVICE,
    ];
    let known = services
        .iter()
        .any(|service| service.name.trim_start_matches("muster-") == name);
    known
        .then_some(name)
        .ok_or_else(|| usage(given, "ingest, orchestrator or notifier, and what follows"))
}

fn usage(given: &str, form: &str) -> Failure {
    Failure::Usage(format!("{given:?} is not of the form {form}"))
}

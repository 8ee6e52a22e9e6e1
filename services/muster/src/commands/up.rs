//! `muster up`: everything on this machine, in one process and a nats-server beside it.
//!
//! The services are the same as when they run alone; they still speak only over the hub. The hub is a child in a process
//! group of its own: it outlives a killed `up`, and the next `up` on the same state folder adopts it.

mod demo;
mod hub;
mod ports;
mod services;
mod state;

use crate::args::Global;
use crate::ask::ask;
use crate::hub::Running;
use crate::output;
use anyhow::Context as _;
use demo::Recording;
use muster_bus::migrate::{self, Shrink};
use muster_bus::server::Server;
use muster_bus::{Bus, Options};
use muster_runtime::drain::Drain;
use muster_runtime::{exit, signal};
use muster_wire::api::{Hello, HelloRequest};
use muster_wire::subject::Operation;
use muster_wire::topology::Sizing;
use ports::Ports;
use services::Services;
use state::State;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long the services may take to drain: their own grace, and a little for the last of them.
const GRACE: Duration = Duration::from_secs(10);
/// How long the services may take to be ready before what they wait for is said.
const READY: Duration = Duration::from_secs(20);
/// How long the hub may take to stop once nobody writes any more.
const HUB_GRACE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Play a recorded fleet, in a state folder and on ports of its own: the usual ones and 10000
    #[arg(long)]
    demo: bool,
    /// Port of the hub; 4222 without it
    #[arg(long, value_name = "PORT")]
    nats_port: Option<u16>,
    /// Port for hooks and events; 4180 without it
    #[arg(long, value_name = "PORT")]
    ingest_port: Option<u16>,
    /// Port of the orchestrator's health and metrics; 4181 without it
    #[arg(long, value_name = "PORT")]
    orchestrator_port: Option<u16>,
    /// Port of the stream, the snapshot and the REST API; 4182 without it
    #[arg(long, value_name = "PORT")]
    notifier_port: Option<u16>,
    /// The nats-server to run, instead of one that is found or fetched
    #[arg(long, value_name = "FILE")]
    nats_server: Option<PathBuf>,
    /// Where everything is kept; $XDG_STATE_HOME/muster/up without it
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// What this host is called; the machine's own name without it
    #[arg(long, value_name = "NAME", conflicts_with = "demo")]
    host: Option<String>,
    /// What the services say on standard error, as in info or muster_ingest=debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
    /// Read this TOML file over a service's defaults, as in ingest=FILE; may be repeated
    #[arg(long, value_name = "SERVICE=FILE")]
    config: Vec<String>,
    /// Set one key of a service, as in ingest.optimizer.level=off; may be repeated
    #[arg(long, value_name = "SERVICE.SECTION.KEY=VALUE")]
    set: Vec<String>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let recording = if args.demo { Some(Recording::load()?) } else { None };
    let hosts = recording.as_ref().map(Recording::hosts);
    let ports = Ports::of(&args);
    let mut state = State::claim(&args)?;
    if let Some(file) = &global.operator_token {
        state.operator_token = std::path::absolute(file)?;
    }
    ports.check(&state)?;
    let drain = Drain::new();
    signal::drain_on_shutdown(&drain)?;
    let mut server = hub::start(&args, &ports, &state).await?;
    let running = Running {
        pid: std::process::id(),
        nats: server.client_url(),
        monitor: server.monitor_url(),
        ingest: format!("http://127.0.0.1:{}", ports.ingest),
        socket: state.socket(hosts.iter().flatten().next().map(String::as_str)),
        orchestrator: format!("http://127.0.0.1:{}", ports.orchestrator),
        notifier: format!("http://127.0.0.1:{}", ports.notifier),
        operator_token: None,
        nats_credentials: Some(state.services_key.clone()),
    };
    let outcome = serve(&args, global, &state, &running, recording, &mut server, &drain).await;
    Running::remove(&state.dir);
    // Whatever failed, the hub that was started here does not stay behind.
    if let Err(error) = server.stop(HUB_GRACE).await {
        output::remark(&format!("the nats-server (pid {}) did not stop: {error}", server.pid()));
    }
    outcome
}

async fn serve(
    args: &Args,
    global: &Global,
    state: &State,
    running: &Running,
    recording: Option<Recording>,
    server: &mut Server,
    drain: &Drain,
) -> anyhow::Result<ExitCode> {
    let bus = prepare(running).await?;
    let hosts = recording.as_ref().map(Recording::hosts);
    let mut services = Services::load(args, state, running, hosts.as_ref())?;
    let running = &Running {
        operator_token: Some(services.operator_token()?),
        ..running.clone()
    };
    services.start(drain);
    running.write(&state.dir)?;
    let mut waiting = services.ready(running, READY, drain).await;
    // The orchestrator answers once it leads.
    if waiting.is_empty()
        && ask::<Hello>(&bus, Operation::Hello, &HelloRequest::default())
            .await
            .is_err()
    {
        waiting.push("orchestrator");
    }
    drop(bus);
    if let Some(recording) = recording {
        // Not before every host is connected: what waits in a spool arrives all at once, and a fleet shall be seen to move.
        drain.part("demo", recording.play(services.sockets(), drain.clone()));
    }
    if !drain.is_requested() {
        announce(running, args.demo, server.is_adopted(), &waiting, global)?;
    }
    let kept = tokio::select! {
        () = drain.requested() => Ok(()),
        kept = hub::keep(server) => kept,
    };
    drain.request();
    let drained = exit::report(drain.finish(GRACE).await);
    kept.map(|()| drained)
}

/// The hub's streams, as this version needs them.
async fn prepare(running: &Running) -> anyhow::Result<Bus> {
    let options = Options {
        credentials: running.nats_credentials.clone(),
        ..Options::new(running.nats.clone(), "muster/up")
    };
    let bus = Bus::connect(&options)
        .await
        .context("connecting to the hub just started")?;
    let changes = migrate::migrate(&bus, &Sizing::default(), Shrink::Refuse)
        .await
        .context("preparing the hub's streams")?;
    for change in changes {
        tracing::info!("{change}");
    }
    Ok(bus)
}

fn announce(running: &Running, demo: bool, adopted: bool, waiting: &[&str], global: &Global) -> anyhow::Result<()> {
    if global.json {
        return output::json(running);
    }
    output::line(&format!(
        "{state}

  hub           {nats}{adopted}
  hooks, events {ingest}
  stream, REST  {notifier}
  orchestrator  {orchestrator}
  tools (MCP)   {orchestrator}/mcp
  operator      {token}
  services' key {key}

next, in another terminal:
{next}

ctrl-c stops everything; nothing that was stored is lost.",
        state = if waiting.is_empty() {
            "muster is up".to_owned()
        } else {
            format!("not ready yet: {}", waiting.join(", "))
        },
        adopted = if adopted {
            "  (adopted: it was left running)"
        } else {
            ""
        },
        nats = running.nats,
        ingest = running.ingest,
        notifier = running.notifier,
        orchestrator = running.orchestrator,
        token = running.operator_token.as_ref().map_or_else(String::new, |file| format!(
            "{} (the file of the token that answering needs)",
            file.display()
        )),
        key = running
            .nats_credentials
            .as_ref()
            .map_or_else(String::new, |file| format!(
                "{} (whoever has it may publish; others listen and ask)",
                file.display()
            )),
        next = next(running, demo),
    ));
    Ok(())
}

/// Commands that work as they stand.
fn next(running: &Running, demo: bool) -> String {
    let me = super::me();
    let is_mine = |found: Option<Running>| found.is_some_and(|found| found.pid == running.pid);
    // The usual `up` is found by itself, a demo's key by its address; any other is named.
    let me = if is_mine(crate::hub::default_running()) {
        me
    } else if let Some(key) = running
        .nats_credentials
        .as_ref()
        .filter(|_| !is_mine(crate::hub::running_with(&running.nats)))
    {
        format!("{me} --nats {} --nats-credentials {}", running.nats, key.display())
    } else {
        format!("{me} --nats {}", running.nats)
    };
    let mut lines = vec![
        (format!("{me} sessions list"), "what runs, waits and costs"),
        (format!("{me} tail"), "every event as it is stored"),
        (
            format!("curl -N {}/api/v1/stream", running.notifier),
            "the same, for programs",
        ),
    ];
    if !demo {
        lines.insert(
            0,
            (
                format!("{} enroll claude-code", super::me()),
                "report this user's Claude Code sessions",
            ),
        );
        lines.push((format!("{me} doctor"), "what works and what does not"));
    }
    let width = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .max()
        .unwrap_or_default();
    let lines: Vec<String> = lines
        .iter()
        .map(|(line, why)| format!("  {line:width$}  # {why}"))
        .collect();
    lines.join("\n")
}

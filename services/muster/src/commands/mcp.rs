//! `muster mcp`: the tools of muster for an agent on this machine, over standard input and output.
//!
//! The agent starts it, once a session, and tells it by its environment which session that is. It asks the orchestrator
//! over the hub as this host, and this host's ingest over its socket. Standard output belongs to the protocol; what is
//! logged goes to standard error, which agents keep.

mod ingest;

use crate::args::Global;
use crate::{hub, socket};
use anyhow::Context as _;
use ingest::Ingest;
use muster_bus::operator::Key;
use muster_bus::service::Credentials;
use muster_bus::{Bus, Options};
use muster_domain::names::SessionId;
use muster_mcp::{Asker, Server};
use muster_runtime::drain::Drain;
use muster_runtime::exit::Failure;
use muster_runtime::signal;
use muster_wire::subject::Caller;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// By which Claude Code tells a server that it starts which session it is for.
const SESSION: &str = "CLAUDE_CODE_SESSION_ID";
/// How long what is under way may take once the agent has closed its end.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ingest's socket; $MUSTER_SOCKET without it, else where `muster up` listens
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// For how many seconds a permission that the agent's --permission-prompt-tool asks for may wait
    #[arg(long, value_name = "SECONDS", default_value_t = 595)]
    prompt_wait: u64,
    /// What is logged to standard error, as in info or muster_mcp=debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let telemetry = muster_telemetry::Config {
        log: args.log,
        ..muster_telemetry::Config::default()
    };
    let _telemetry = muster_telemetry::init(&telemetry, "muster-mcp", env!("CARGO_PKG_VERSION"), "stdio");
    let ingest = Ingest {
        socket: args.socket.or_else(socket::path),
        wait: Duration::from_secs(args.prompt_wait),
    };
    let session = std::env::var(SESSION).ok();
    let who = Credentials {
        operator: operator(global)?,
        session: session.and_then(|id| SessionId::new(&id).ok()),
    };
    let mut options = Options::new(hub::url(global), format!("mcp/{}", std::process::id()));
    options.credentials.clone_from(&global.nats_credentials);
    options.ca_file.clone_from(&global.nats_ca);
    // The key of `up`'s services is not looked for: an agent runs this, and its tools only ask, which every guest may.
    // An agent that starts while the hub is away keeps its tools; each call says what is wrong.
    let bus = Bus::connect_lazy(&options).await?;
    let caller = Caller::new(&ingest.host().await).context("naming this host as the caller")?;
    let drain = Drain::new();
    signal::drain_on_shutdown(&drain)?;
    let server = Server::on_host(Asker::new(bus.clone(), caller), who, ingest);
    let served = muster_mcp::serve(server, drain.token()).await;
    // Not longer than an agent waits for its servers to end.
    let _ = tokio::time::timeout(GRACE, bus.drain()).await;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// The operator's token, if the command line itself names its file: an agent's environment is not asked for one, so that no
/// agent becomes an operator by being started from an operator's terminal.
fn operator(global: &Global) -> anyhow::Result<Option<Key>> {
    const FLAG: &str = "--operator-token";
    let named = std::env::args().any(|word| word.split('=').next() == Some(FLAG));
    let Some(file) = global.operator_token.as_ref().filter(|_| named) else {
        return Ok(None);
    };
    let key = Key::read(file).map_err(|error| Failure::Usage(format!("{FLAG} {}: {error}", file.display())))?;
    Ok(Some(key))
}

//! `muster session`: what one session shall do. It is asked of the run that carries it (`muster run --agent …`) through the
//! log, so it is also seen there, with what became of it.

use crate::args::Global;
use crate::ask::{self, AskError, request_id};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_domain::effect::Status;
use muster_domain::names::{HostName, SessionId};
use muster_wire::api::{
    EffectAnswer, EffectRequest, EffectRow, MemoryCompactRequest, MemoryCompacting, SessionsControlRequest,
    SessionsModelRequest, SessionsSpawnRequest, StagedOutcome,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::sleep;

/// Between two looks at what became of an effect.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// End the running turn; what runs the session goes on. Needs the operator's token, as do all of these
    Interrupt(Whom),
    /// End what runs the session
    Stop(Whom),
    /// Have the next turn begin a new conversation, once
    New(Whom),
    /// Use another model from the next turn on
    Model {
        #[command(flatten)]
        whom: Whom,
        /// The model, as the agent names it
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Compact the session's context
    Compact {
        #[command(flatten)]
        whom: Whom,
        /// What shall be kept
        #[arg(long, value_name = "TEXT")]
        keep: Option<String>,
    },
    /// Begin a session on a host, of one of the templates in its ingest's configuration
    Spawn(Spawn),
}

/// A session, and whether to wait.
#[derive(Debug, clap::Args)]
struct Whom {
    /// The session: its id, or the beginning of it
    #[arg(value_name = "SESSION")]
    session: String,
    /// Its host, where the beginning names several
    #[arg(long)]
    host: Option<HostName>,
    /// Wait until it is done; exits 1 when it is not
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, clap::Args)]
struct Spawn {
    /// The host
    #[arg(value_name = "HOST")]
    host: HostName,
    /// The template
    #[arg(value_name = "TEMPLATE")]
    template: String,
    /// The first prompt
    #[arg(value_name = "PROMPT")]
    prompt: String,
    /// The model, instead of the template's
    #[arg(long)]
    model: Option<String>,
    /// What it may cost, in US dollars
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,
    /// Wait until it runs; exits 1 when it does not
    #[arg(long)]
    wait: bool,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let (effect, wait) = match args.command {
        Command::Interrupt(whom) => control(&bus, global, Operation::SessionsInterrupt, whom).await?,
        Command::Stop(whom) => control(&bus, global, Operation::SessionsStop, whom).await?,
        Command::New(whom) => control(&bus, global, Operation::SessionsReset, whom).await?,
        Command::Model { whom, model } => {
            let (host, id) = whom.find(&bus).await?;
            let question = SessionsModelRequest {
                id,
                host: Some(host),
                model,
                request_id: Some(request_id()),
            };
            let EffectAnswer { effect } = ask::command(&bus, global, Operation::SessionsModel, &question).await?;
            (effect, whom.wait)
        }
        Command::Compact { whom, keep } => {
            let (host, id) = whom.find(&bus).await?;
            let question = MemoryCompactRequest {
                id,
                host: Some(host),
                instructions: keep,
                request_id: Some(request_id()),
            };
            let asked: MemoryCompacting = ask::command(&bus, global, Operation::MemoryCompact, &question).await?;
            match asked.effect {
                Some(effect) if asked.staged_write.outcome == StagedOutcome::Applied || whom.wait => {
                    (effect, whom.wait)
                }
                _ => return noop(&asked, global),
            }
        }
        Command::Spawn(spawn) => {
            let question = SessionsSpawnRequest {
                host: spawn.host,
                template: spawn.template,
                prompt: spawn.prompt,
                model: spawn.model,
                budget_usd: spawn.budget,
                request_id: Some(request_id()),
            };
            let EffectAnswer { effect } = ask::command(&bus, global, Operation::SessionsSpawn, &question).await?;
            (effect, spawn.wait)
        }
    };
    let effect = if wait { end(&bus, effect).await? } else { effect };
    if global.json {
        output::json(&effect)?;
    } else {
        output::line(&said(&effect));
    }
    let failed = wait && effect.status != Status::Done;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Whom {
    async fn find(&self, bus: &Bus) -> anyhow::Result<(HostName, SessionId)> {
        let found = ask::session(bus, &self.session, self.host.as_ref()).await;
        found.map_err(AskError::fatal)
    }
}

async fn control(bus: &Bus, global: &Global, operation: Operation, whom: Whom) -> anyhow::Result<(EffectRow, bool)> {
    let (host, id) = whom.find(bus).await?;
    let question = SessionsControlRequest {
        id,
        host: Some(host),
        request_id: Some(request_id()),
    };
    let EffectAnswer { effect } = ask::command(bus, global, operation, &question).await?;
    Ok((effect, whom.wait))
}

/// Until it is over: at its deadline at the latest the orchestrator says so, unless it has begun.
async fn end(bus: &Bus, mut effect: EffectRow) -> anyhow::Result<EffectRow> {
    while effect.status.is_open() {
        sleep(LOOK).await;
        let question = EffectRequest { id: effect.id };
        let looked = ask::ask(bus, Operation::EffectsGet, &question).await;
        let (_, EffectAnswer { effect: now }) = looked.map_err(AskError::fatal)?;
        effect = now;
    }
    Ok(effect)
}

fn noop(asked: &MemoryCompacting, global: &Global) -> anyhow::Result<ExitCode> {
    if global.json {
        output::json(asked)?;
    } else if let Some(effect) = &asked.effect {
        output::line(&format!("a compaction is under way already: effect {}", effect.id));
    } else {
        output::line("nothing happened since the last compaction");
    }
    Ok(ExitCode::SUCCESS)
}

fn said(effect: &EffectRow) -> String {
    let whom = format!("session {} on {}", effect.session, effect.host);
    let why = [effect.reason.as_deref(), effect.detail.as_deref()];
    let why: Vec<String> = why
        .into_iter()
        .flatten()
        .map(|text| format::shorten(text, 200))
        .collect();
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({})", why.join(": "))
    };
    format!(
        "{} of {whom}: {}{why}, effect {}",
        effect.kind, effect.status, effect.id
    )
}

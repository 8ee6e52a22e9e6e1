//! `muster run` without a command: the turn loop. One conversation with the agent, turn after turn, of whatever prompts come:
//! the first from whoever starts it, the others as messages and orders from anywhere, by way of this host's ingest.
//!
//! The agent is one long-living process that is fed through its standard input. Turns are serial; what comes during one
//! waits for its end, but for an interruption and the end of it all. An agent that dies is started again where its
//! conversation stopped. Each start is a run of its own, and whoever orders something names the run it is for, so that
//! nothing meant for one reaches another.

mod agent;
mod carry;
mod driver;
mod frames;
mod queue;
mod shown;

use super::process::Signals;
use super::reporter::Reporter;
use crate::args::Global;
use crate::socket;
use agent::Launch;
use anyhow::Context as _;
use carry::Carrying;
use driver::{Driver, Patience};
use muster_domain::names::{AgentName, SessionId};
use muster_runtime::exit::Failure;
use muster_wire::data::watch::Categories;
use queue::{Queue, What, Work};
use shown::Shown;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// The one agent that takes turns over its standard input, as far as it is driven here.
const AGENT: &str = "claude-code";

/// Options of the turn loop.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Begin a conversation under this id, a UUID; one is minted without it
    #[arg(long, value_name = "ID", help_heading = "Turn loop", conflicts_with = "resume")]
    session: Option<Uuid>,
    /// Go on with the conversation of this id
    #[arg(long, value_name = "ID", help_heading = "Turn loop")]
    resume: Option<Uuid>,
    /// The model; the agent's own choice without it
    #[arg(long, help_heading = "Turn loop")]
    model: Option<String>,
    /// Where the agent works; here without it
    #[arg(long, value_name = "DIR", help_heading = "Turn loop")]
    cwd: Option<PathBuf>,
    /// The first turn; `-` reads it from standard input
    #[arg(long, value_name = "TEXT", help_heading = "Turn loop")]
    prompt: Option<String>,
    /// The agent's program; `claude`, as found on this machine, without it
    #[arg(long, value_name = "FILE", help_heading = "Turn loop")]
    program: Option<PathBuf>,
    /// How long to wait before a turn that met a rate limit is tried again
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::format::span_arg, help_heading = "Turn loop")]
    rate_limit_wait: Duration,
}

impl Options {
    /// The first option that was given, which a wrapped command has no use for.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.session.is_some(), "--session"),
            (self.resume.is_some(), "--resume"),
            (self.model.is_some(), "--model"),
            (self.cwd.is_some(), "--cwd"),
            (self.prompt.is_some(), "--prompt"),
            (self.program.is_some(), "--program"),
        ];
        given.into_iter().find_map(|(given, name)| given.then_some(name))
    }
}

pub(super) async fn run(
    args: Options,
    agent: Option<AgentName>,
    socket: Option<PathBuf>,
    extra: Vec<OsString>,
    watch: Categories,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let agent = agent.map_or_else(|| AgentName::new(AGENT), Ok)?;
    if agent.as_str() != AGENT {
        return Err(Failure::Usage(format!(
            "only {AGENT} can be driven turn by turn; name a command after -- to wrap it"
        ))
        .into());
    }
    let known = args.resume.is_some();
    let session = args.session.or(args.resume).unwrap_or_else(Uuid::new_v4);
    let mut queue = Queue::default();
    if let Some(prompt) = args.prompt {
        let text = if prompt == "-" { read_prompt()? } else { prompt };
        queue.push(Work::new(What::Prompt(text), None));
    }
    let cwd = match args.cwd {
        Some(cwd) => cwd,
        None => std::env::current_dir().context("finding the current folder")?,
    };
    let launch = Launch {
        program: args.program.unwrap_or_else(|| PathBuf::from("claude")),
        cwd,
        model: args.model,
        extra,
        watch,
    };
    let signals = Signals::all()?;
    let socket = socket.or_else(socket::path);
    let driver = Driver::start(
        launch,
        SessionId::new(&session.to_string())?,
        known,
        queue,
        Reporter::start(socket.clone(), agent),
        Carrying::start(socket),
        Shown::new(global.json),
        Patience::new(args.rate_limit_wait),
    )
    .await?;
    driver.run(signals).await
}

fn read_prompt() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("reading the prompt from standard input")?;
    if text.trim().is_empty() {
        return Err(Failure::Usage("the prompt on standard input is empty".to_owned()).into());
    }
    Ok(text)
}

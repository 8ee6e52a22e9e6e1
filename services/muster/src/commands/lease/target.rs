//! Which work a command is about, what its writer believes of it, and what became of the write.

use crate::args::Global;
use crate::ask::{AskError, order, request_id};
use crate::{hub, output};
use muster_bus::service::Credentials;
use muster_domain::lease::WriteOutcome;
use muster_domain::names::{HostName, NameError, Profile, SessionId, Workspace};
use muster_runtime::exit::Failure;
use muster_wire::api::LeaseTarget;
use muster_wire::subject::Operation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::process::ExitCode;

/// Which work, and what its writer believes.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::commands) struct Target {
    /// The workspace; without it, the current folder
    #[arg(long, value_name = "PATH")]
    pub(in crate::commands) workspace: Option<Workspace>,
    /// Whose work
    #[arg(long)]
    pub(in crate::commands) profile: Option<Profile>,
    /// Who writes
    #[arg(long)]
    actor: Option<String>,
    /// For which piece of work; another one is a conflict
    #[arg(long, value_name = "SESSION")]
    of: Option<SessionId>,
    /// At which revision; another one is a conflict
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    /// The host it is held from
    #[arg(long)]
    host: Option<HostName>,
}

impl Target {
    /// The work, by its name.
    pub(in crate::commands) fn place(&self) -> anyhow::Result<Workspace> {
        self.workspace.clone().map_or_else(here, Ok)
    }

    /// The work, and what is believed of it.
    pub(in crate::commands) fn lease(self) -> anyhow::Result<LeaseTarget> {
        Ok(LeaseTarget {
            workspace: self.place()?,
            profile: self.profile,
            actor_id: self.actor,
            session_id: self.of,
            expected_revision: self.revision,
            host: self.host,
            request_id: Some(request_id()),
        })
    }
}

/// The current folder.
pub(in crate::commands) fn here() -> anyhow::Result<Workspace> {
    let folder = std::env::current_dir()?;
    let named = |error: NameError| Failure::Usage(format!("the current folder cannot be a workspace: {error}"));
    Ok(Workspace::new(&folder.to_string_lossy()).map_err(named)?)
}

/// A word of the contract.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::commands) struct NoWord(String);

/// For clap: reads a word as the contract spells it.
pub(in crate::commands) fn word<T: DeserializeOwned>(text: &str) -> Result<T, NoWord> {
    serde_json::from_value(text.into()).map_err(|error| NoWord(error.to_string()))
}

/// Has something decided, once, whatever becomes of the first answer.
pub(in crate::commands) async fn decided<A: DeserializeOwned>(
    global: &Global,
    operation: Operation,
    question: &impl Serialize,
) -> anyhow::Result<A> {
    let bus = hub::connect(global).await?;
    let answered = order(&bus, &Credentials::default(), operation, question).await;
    answered.map(|(_, answer)| answer).map_err(AskError::fatal)
}

/// Says what became of a protected write; 1 where it was not done.
pub(in crate::commands) fn wrote(
    global: &Global,
    answer: &impl Serialize,
    (outcome, message): (WriteOutcome, Option<&str>),
    now: impl FnOnce() -> String,
) -> anyhow::Result<ExitCode> {
    let word = serde_json::to_value(outcome)?;
    let word = word.as_str().unwrap_or_default().replace('_', " ");
    if global.json {
        output::json(answer)?;
    } else if outcome.is_done() {
        output::line(&now());
        if let Some(message) = message {
            output::remark(message);
        }
    } else {
        output::remark(&format!("muster: {word}: {}", message.unwrap_or("it was not done")));
    }
    Ok(if outcome.is_done() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

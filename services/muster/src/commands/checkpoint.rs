//! `muster context check`, `muster checkpoint`, `muster closeout`: whether to go on, and whether work can be left.

mod git;

use super::lease::{decided, here, word};
use crate::args::Global;
use crate::ask::{self, AskError, request_id};
use crate::{format, hub, output};
use muster_domain::checkpoint::Decisions;
use muster_domain::context::{Boundary, Trigger};
use muster_domain::names::{HostName, Profile, SessionId, Workspace};
use muster_wire::api::{CheckpointAnswer, CheckpointRequest, ContextCheckRequest, ContextChecked};
use muster_wire::subject::Operation;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// What is evaluated.
#[derive(Debug, Clone, clap::Args)]
struct Matter {
    /// The session: the beginning of its id is enough
    session: Option<String>,
    /// Its host, where more than one has a session of that id
    #[arg(long)]
    host: Option<HostName>,
    /// The workspace it works on; without a session, the current folder
    #[arg(long, value_name = "PATH")]
    workspace: Option<Workspace>,
    /// Whose work
    #[arg(long)]
    profile: Option<Profile>,
}

/// A session, its host, and the workspace.
type Found = (Option<SessionId>, Option<HostName>, Option<Workspace>);

impl Matter {
    async fn find(&self, global: &Global) -> anyhow::Result<Found> {
        let Some(start) = &self.session else {
            let workspace = self.workspace.clone().map_or_else(here, Ok)?;
            return Ok((None, None, Some(workspace)));
        };
        let bus = hub::connect(global).await?;
        let found = ask::session(&bus, start, self.host.as_ref()).await;
        let (host, session) = found.map_err(AskError::fatal)?;
        Ok((Some(session), Some(host), self.workspace.clone()))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, clap::Subcommand)]
enum ContextCommand {
    /// Whether a session shall go on with the context it has
    Check(Box<Check>),
}

#[derive(Debug, clap::Args)]
struct Check {
    #[command(flatten)]
    matter: Matter,
    /// Why: manual, interval, pre_compaction, idle_reset, resume or supervisor_poll
    #[arg(long, default_value = "manual", value_parser = word::<Trigger>)]
    trigger: Trigger,
    /// A symptom that you see, as in "repeats itself"; the first three count
    #[arg(long = "symptom", value_name = "TEXT")]
    symptoms: Vec<String>,
    /// Attempts in a row that brought nothing
    #[arg(long, value_name = "N", default_value_t = 0)]
    no_progress: u32,
    /// What is wrong with the checkout
    #[arg(long, value_name = "TEXT")]
    checkout_advisory: Option<String>,
    /// What the agent does instead of what it should
    #[arg(long, value_name = "TEXT")]
    drift: Option<String>,
    /// What the session does at its next boundary: continue, refresh, wrap_up or stop
    #[arg(long, value_parser = word::<Boundary>)]
    boundary: Option<Boundary>,
    /// What is known of the work is to be looked at again
    #[arg(long)]
    review: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    matter: Matter,
    /// Do not look at the workspace's git checkout
    #[arg(long)]
    no_git: bool,
    /// Things learned that nobody admitted to memory yet
    #[arg(long, value_name = "N")]
    memory_candidates: Option<u32>,
}

pub(crate) async fn context(args: ContextArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let ContextCommand::Check(check) = args.command;
    let (session, host, workspace) = check.matter.find(global).await?;
    let question = ContextCheckRequest {
        session,
        host,
        workspace,
        profile: check.matter.profile,
        trigger: check.trigger,
        symptoms: check.symptoms,
        no_progress: check.no_progress,
        checkout_advisory: check.checkout_advisory,
        behavioural_drift: check.drift,
        boundary: check.boundary,
        review_required: check.review,
        source_fingerprint: None,
        request_id: Some(request_id()),
    };
    let checked: ContextChecked = decided(global, Operation::ContextCheck, &question).await?;
    if global.json {
        output::json(&checked)?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = &checked.evaluation;
    let (action, urgency) = (said(&found.action)?, said(&found.urgency)?);
    output::line(&format!("{action} (urgency {urgency}): {}", said(&found.reason)?));
    output::line(&format!(
        "context: {}; {}",
        format::shorten(&found.risk_summary, 200),
        said(&found.score.recommendation)?
    ));
    for line in &found.state_delta {
        output::line(&format!("  {}", format::shorten(line, 200)));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(args: Args, operation: Operation, global: &Global) -> anyhow::Result<ExitCode> {
    let (session, host, workspace) = args.matter.find(global).await?;
    let folder = workspace.as_ref().map(|workspace| Path::new(workspace.as_str()));
    let git = folder.filter(|_| !args.no_git).and_then(git::state);
    let question = CheckpointRequest {
        session,
        host,
        workspace,
        profile: args.matter.profile,
        git,
        memory_candidates: args.memory_candidates,
        memory_changed: None,
        request_id: Some(request_id()),
    };
    let answer: CheckpointAnswer = decided(global, operation, &question).await?;
    if global.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let found = &answer.evaluation;
    let verdicts = &found.evaluation;
    let sides = [
        ("next step", Some(verdicts.next_step)),
        ("memory", Some(verdicts.memory)),
        ("wrap-up", verdicts.wrap_up),
    ];
    for (side, verdict) in sides {
        if let Some(verdict) = verdict {
            output::line(&format!("{side}: {}", said(&verdict)?));
        }
    }
    if let Some(decisions) = &found.decisions {
        output::line(&follows(decisions));
    }
    Ok(ExitCode::SUCCESS)
}

fn follows(decisions: &Decisions) -> String {
    let end = if decisions.safe_clean_close {
        "it can be left as it is"
    } else if decisions.requires_human_choice {
        "somebody has to choose"
    } else if decisions.needs_full_handover {
        "whoever goes on has to be told"
    } else if decisions.can_clear_session {
        "it can be cleared"
    } else {
        "it cannot be left"
    };
    match &decisions.recommended_next_command {
        Some(command) => format!("{end}; now: {command}"),
        None => end.to_owned(),
    }
}

/// A word of the contract, for people.
fn said(word: &impl Serialize) -> anyhow::Result<String> {
    let word = serde_json::to_value(word)?;
    Ok(word.as_str().unwrap_or_default().replace('_', " "))
}

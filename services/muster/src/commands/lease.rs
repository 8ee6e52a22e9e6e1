//! `muster lease`: who works on which workspace. What is written under a lease (gates, escalations, what is left) names it
//! by the same flags.

mod target;

pub(super) use target::{Target, decided, here, word, wrote};

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::lease::{Mode, OwnerKind};
use muster_domain::names::Workspace;
use muster_domain::time::Timestamp;
use muster_wire::api::{
    LeaseAnswer, LeaseRow, LeasesList, LeasesListRequest, SessionsClearRequest, SessionsHeartbeatRequest,
    SessionsStartRequest, SessionsTakeoverRequest,
};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::Operation;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Who works on what
    List {
        /// Only this workspace
        #[arg(long, value_name = "PATH")]
        workspace: Option<Workspace>,
    },
    /// Begin work, or go on with it: a person keeps it for 8 h, a program (--actor) by heartbeats
    Start(Start),
    /// Keep a program's work
    Heartbeat {
        #[command(flatten)]
        target: Target,
        /// What is being done, in at most 280 characters
        #[arg(long)]
        activity: Option<String>,
    },
    /// End work: its owner, its supervisor, and where a person holds it anybody
    Clear {
        #[command(flatten)]
        target: Target,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take work over from a program that does not keep it
    Takeover {
        #[command(flatten)]
        target: Target,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct Start {
    #[command(flatten)]
    target: Target,
    /// What kind of work: general, research or implement
    #[arg(long, default_value = "general", value_parser = word::<Mode>)]
    mode: Mode,
    /// How long a program keeps it by one heartbeat, as in 10m
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    span: Option<Duration>,
    /// Who keeps it: interactive, runtime_worker or runtime_supervisor
    #[arg(long, value_parser = word::<OwnerKind>)]
    owner_kind: Option<OwnerKind>,
    /// Who supervises
    #[arg(long)]
    supervisor: Option<String>,
    /// Go on with one's own work although it went stale
    #[arg(long)]
    recover_stale: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("a duration is a number and a unit, as in 10m")]
struct NoSpan;

fn span(text: &str) -> Result<Duration, NoSpan> {
    format::span(text).ok_or(NoSpan)
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let answer: LeaseAnswer = match args.command {
        Command::List { workspace } => return list(workspace, global).await,
        Command::Start(start) => {
            let question = SessionsStartRequest {
                target: start.target.lease()?,
                mode: start.mode,
                owner_kind: start.owner_kind,
                supervisor_id: start.supervisor,
                lease_seconds: start.span.map(|span| span.as_secs()),
                recover_stale: start.recover_stale,
            };
            decided(global, Operation::SessionsStart, &question).await?
        }
        Command::Heartbeat { target, activity } => {
            let target = target.lease()?;
            let question = SessionsHeartbeatRequest { target, activity };
            decided(global, Operation::SessionsHeartbeat, &question).await?
        }
        Command::Clear { target, reason } => {
            let target = target.lease()?;
            let question = SessionsClearRequest { target, reason };
            decided(global, Operation::SessionsClear, &question).await?
        }
        Command::Takeover { target, reason } => {
            let target = target.lease()?;
            let question = SessionsTakeoverRequest { target, reason };
            decided(global, Operation::SessionsTakeover, &question).await?
        }
    };
    let left = answer.continuity.as_ref();
    if let Some(handoff) = left.and_then(|left| left.handoff.as_ref()).filter(|_| !global.json) {
        let title = format::shorten(&handoff.what.title, 80);
        output::remark(&format!("a handoff was left: {title} (muster handoff show)"));
    }
    let (outcome, message) = (answer.outcome, answer.message.as_deref());
    wrote(global, &answer, (outcome, message), || {
        let workspace = format::shorten(answer.workspace.as_str(), 80);
        match &answer.session {
            Some(work) => format!("{workspace}: {} at revision {}", work.session_id, answer.revision),
            None => format!("{workspace}: nobody works on it"),
        }
    })
}

async fn list(workspace: Option<Workspace>, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let mut question = LeasesListRequest {
        workspace,
        cursor: None,
        limit: Some(PAGE_ROWS_MAX),
    };
    let mut leases = Vec::new();
    loop {
        let listed = ask(&bus, Operation::SessionsLeases, &question).await;
        let (_, page): (_, LeasesList) = listed.map_err(AskError::fatal)?;
        leases.extend(page.leases);
        question.cursor = page.next_cursor;
        if question.cursor.is_none() {
            break;
        }
    }
    if global.json {
        output::json(&leases)?;
    } else if leases.is_empty() {
        output::line("nobody works on anything");
    } else {
        output::line(&table(&leases, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[LeaseRow], now: Timestamp) -> String {
    let text = |text: &Option<String>| {
        text.as_deref()
            .map_or_else(|| "-".to_owned(), |text| format::shorten(text, 40))
    };
    let cells: Vec<[String; 6]> = rows
        .iter()
        .map(|row| {
            let work = &row.session;
            let kept = work.last_heartbeat_at.unwrap_or(work.last_started_at);
            let kept = format::age(now, kept);
            [
                format::shorten(row.workspace.as_str(), 60),
                text(&work.actor_id),
                work.host.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                row.revision.to_string(),
                if row.stale { format!("stale, {kept}") } else { kept },
                text(&work.activity),
            ]
        })
        .collect();
    format::table(["WORKSPACE", "ACTOR", "HOST", "REVISION", "KEPT", "ACTIVITY"], &cells)
}

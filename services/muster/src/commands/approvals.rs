//! `muster approvals`, `approve`, `deny`: what waits for somebody's answer, and the answer.

mod answer;
mod input;
mod show;
mod watch;
mod which;

pub(crate) use answer::{ApproveArgs, DenyArgs, approve, deny};

use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_bus::Bus;
use muster_domain::approval::{By, Outcome};
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{ApprovalRow, ApprovalState, ApprovalsList, ApprovalsListRequest, Position, ResolutionRow};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show one whole: the command or the change, where, for whom, until when
    Show(show::Args),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Also those that ended lately
    #[arg(long)]
    all: bool,
    /// Only on this host
    #[arg(long)]
    host: Option<HostName>,
    /// Only of this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Go on with every change as it happens
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Show(args)) => show::run(args, global).await,
        None => list(args.list, global).await,
    }
}

async fn list(args: ListArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let session = match &args.session {
        None => None,
        Some(given) => Some(match ask::session(&bus, given, args.host.as_ref()).await {
            Ok((_, session)) => session,
            Err(_) => SessionId::new(given)?,
        }),
    };
    let filter = ApprovalsListRequest {
        state: if args.all {
            ApprovalState::All
        } else {
            ApprovalState::Open
        },
        session,
        host: args.host,
        ..ApprovalsListRequest::default()
    };
    let (at, rows) = fetch(&bus, filter.clone()).await.map_err(AskError::fatal)?;
    if args.watch {
        return watch::run(&bus, &filter, at, rows, global.json).await;
    }
    if global.json {
        output::json(&rows)?;
    } else if rows.is_empty() {
        output::line("nothing waits for an answer");
    } else {
        output::line(&table(&rows, args.all, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// All that the filter admits, oldest ask first, and the place of the log after which more may have come.
async fn fetch(bus: &Bus, mut filter: ApprovalsListRequest) -> Result<(Position, Vec<ApprovalRow>), AskError> {
    filter.limit = Some(PAGE_ROWS_MAX);
    let (mut first, mut all) = (None, Vec::new());
    loop {
        let (at, page): (Position, ApprovalsList) = ask(bus, Operation::ApprovalsList, &filter).await?;
        all.extend(page.approvals);
        let first = *first.get_or_insert(at);
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return Ok((first, all)),
        }
    }
}

fn table(rows: &[ApprovalRow], ended: bool, now: Timestamp) -> String {
    let chars = which::distinct(rows);
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            [
                which::short(row.id, chars),
                format::age(now, row.at),
                row.resolution
                    .as_ref()
                    .map_or_else(|| left(row, now), |resolution| format::shorten(&how(resolution), 40)),
                host(row),
                session(row).chars().take(8).collect(),
                format::shorten(row.asked.tool_name.as_str(), 24),
                format::shorten(row.asked.summary.as_deref().unwrap_or("-"), 80),
            ]
        })
        .collect();
    let left = if ended { "LEFT, OR HOW IT ENDED" } else { "LEFT" };
    format::table(["ID", "AGE", left, "HOST", "SESSION", "TOOL", "WHAT"], &cells)
}

fn host(row: &ApprovalRow) -> String {
    row.host.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn session(row: &ApprovalRow) -> String {
    row.session
        .as_ref()
        .map_or_else(|| "-".to_owned(), |session| format::shorten(session.as_str(), 64))
}

/// Time until the deadline.
fn left(row: &ApprovalRow, now: Timestamp) -> String {
    format::age(row.deadline, now)
}

/// All of a text of others, in one line: it cannot pretend to be a line of ours.
fn line(text: &str) -> String {
    format::shorten(text, usize::MAX)
}

/// What it is about, in a few words.
fn about(row: &ApprovalRow) -> String {
    let summary = row.asked.summary.as_deref().unwrap_or_default();
    let what = format!("{} {summary}", row.asked.tool_name);
    format!("{} ({} {})", format::shorten(&what, 100), host(row), session(row))
}

/// How it ended: `approved by anna`.
fn how(resolution: &ResolutionRow) -> String {
    let answer = &resolution.answer;
    let by = match &answer.by {
        By::Operator(name) => format!("by {}", name.strip_prefix("op-").unwrap_or(name)),
        By::Policy(rule) => format!("by the policy {rule}"),
        By::Terminal => "at the agent's own dialog".to_owned(),
        By::Deadline => "nobody answered in time".to_owned(),
        By::Host => "nobody waits for it any more".to_owned(),
        By::SessionOver => "the session is over".to_owned(),
    };
    let text = match answer.outcome {
        Outcome::Approved => format!("approved {by}"),
        Outcome::Denied => format!("denied {by}"),
        Outcome::Expired => format!("expired: {by}"),
        Outcome::AnsweredElsewhere => format!("answered {by}"),
        Outcome::Withdrawn => format!("withdrawn: {by}"),
    };
    line(&text)
}

/// How it ended, when, and why: `approved by anna 3s ago: looks safe`.
fn ended(resolution: &ResolutionRow, now: Timestamp) -> String {
    let reason = resolution.answer.reason.as_deref();
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", line(reason)));
    format!("{}, {} ago{reason}", how(resolution), format::age(now, resolution.at))
}

#[cfg(test)]
mod tests;

//! `muster case`: sessions that are kept, and those that deserve it.

use super::feedback::{self, more};
use super::lease::word;
use crate::args::Global;
use crate::ask::{self, AskError, ask, order};
use crate::{format, hub, output};
use muster_bus::service::Credentials;
use muster_domain::names::HostName;
use muster_domain::review::{How, Label};
use muster_domain::time::Timestamp;
use muster_wire::api::{
    CaseAnswer, CaseWritten, CasesCreateRequest, CasesList, CasesMineRequest, CasesMined, CloseRequest, FeedbackRow,
    FileOutcome, FileRequest, FileRow, FilesListRequest, ProposalRow, SessionSummary,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Sessions that deserve a case and have none, and why
    Mine {
        /// Only what happened since then: an age, as in 7d, or a time
        #[arg(long, value_parser = format::moment_arg)]
        since: Option<Timestamp>,
        /// Rows at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Keep a session
    Create {
        /// Its id, or the beginning of it
        session: String,
        /// Why, in at most 1 KiB
        reason: String,
        /// good, bad, interesting, bug or regression
        #[arg(long, value_parser = word::<Label>)]
        label: Option<Label>,
        /// Its host, where others have a session of this id
        #[arg(long)]
        host: Option<HostName>,
    },
    /// Cases, the latest first
    List(Listed),
    /// One case, with its session and what was said of it
    Show {
        /// Its number
        id: u64,
    },
    /// Put a case away; needs the operator's token
    Archive {
        /// Its number
        id: u64,
        /// What there is to say
        note: Option<String>,
    },
}

/// Which of those that are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Listed {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// Only of this session: its id
    #[arg(long, value_name = "ID")]
    session: Option<muster_domain::names::SessionId>,
    /// Only of sessions on this host
    #[arg(long)]
    host: Option<HostName>,
    /// The last number of the page before
    #[arg(long, value_name = "NUMBER")]
    cursor: Option<u64>,
    /// Rows at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Listed {
    pub(super) fn question(self) -> FilesListRequest {
        FilesListRequest {
            all: self.all,
            session_id: self.session,
            host: self.host,
            cursor: self.cursor,
            limit: self.limit,
        }
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    match args.verb {
        Verb::Mine { since, limit } => {
            let question = CasesMineRequest {
                since,
                limit: Some(limit),
            };
            let mined = ask(&bus, Operation::CasesMine, &question).await;
            let (_, mined): (_, CasesMined) = mined.map_err(AskError::fatal)?;
            if global.json {
                output::json(&mined)?;
            } else {
                output::line(&proposals(&mined, format::now()));
            }
        }
        Verb::Create {
            session,
            reason,
            label,
            host,
        } => {
            let meant = ask::session(&bus, &session, host.as_ref()).await;
            let (host, session_id) = meant.map_err(AskError::fatal)?;
            let question = CasesCreateRequest {
                session_id,
                host: Some(host),
                reason,
                label,
                request_id: Some(ask::request_id()),
            };
            let nobody = Credentials::default();
            let answered = order(&bus, &nobody, Operation::CasesCreate, &question).await;
            let (_, written): (_, CaseWritten) = answered.map_err(AskError::fatal)?;
            show_written(global, &written, written.outcome, &written.case)?;
        }
        Verb::List(listed) => {
            let listed = ask(&bus, Operation::CasesList, &listed.question()).await;
            let (_, list): (_, CasesList) = listed.map_err(AskError::fatal)?;
            if global.json {
                output::json(&list)?;
            } else if list.cases.is_empty() {
                output::line("no cases");
            } else {
                output::line(&table("CASE", &list.cases, format::now()));
                more(list.next_cursor);
            }
        }
        Verb::Show { id } => {
            let answered = ask(&bus, Operation::CasesGet, &FileRequest { id }).await;
            let (_, answer): (_, CaseAnswer) = answered.map_err(AskError::fatal)?;
            if global.json {
                output::json(&answer)?;
            } else {
                let CaseAnswer {
                    case,
                    session,
                    feedback,
                } = answer;
                show("CASE", &case, session.as_ref(), &feedback);
            }
        }
        Verb::Archive { id, note } => {
            let question = close(id, note);
            let written: CaseWritten = ask::command(&bus, global, Operation::CasesArchive, &question).await?;
            show_written(global, &written, written.outcome, &written.case)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The end of this one.
pub(super) fn close(id: u64, note: Option<String>) -> CloseRequest {
    CloseRequest {
        id,
        note,
        request_id: Some(ask::request_id()),
    }
}

/// What became of one, and who was faster.
pub(super) fn show_written(
    global: &Global,
    whole: &impl serde::Serialize,
    outcome: FileOutcome,
    row: &FileRow,
) -> anyhow::Result<()> {
    if global.json {
        return output::json(whole);
    }
    let before = match outcome {
        FileOutcome::Applied => "",
        FileOutcome::AlreadyClosed => "already ",
    };
    output::line(&format!("{}: {before}{}", row.id, state(row)));
    Ok(())
}

/// One, with its session and what was said of it.
pub(super) fn show(what: &str, row: &FileRow, session: Option<&SessionSummary>, feedback: &[FeedbackRow]) {
    let now = format::now();
    output::line(&table(what, std::slice::from_ref(row), now));
    let stands = session.map_or_else(
        || "its session is no longer known".to_owned(),
        |session| {
            format!(
                "its session is {}, last heard of {} ago",
                session.state.as_str(),
                format::age(now, session.last_seen)
            )
        },
    );
    output::line(&stands);
    if let Some(note) = row.closed.as_ref().and_then(|closed| closed.note.as_deref()) {
        output::line(note);
    }
    if !feedback.is_empty() {
        output::line(&feedback::table(feedback, now));
    }
}

pub(super) fn table(what: &str, rows: &[FileRow], now: Timestamp) -> String {
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                row.session_id.as_str().chars().take(8).collect(),
                row.host.to_string(),
                format::age(now, row.at),
                state(row),
                row.label.map_or_else(|| "-".to_owned(), |label| label.to_string()),
                format::shorten(&row.reason, 100),
            ]
        })
        .collect();
    format::table([what, "SESSION", "HOST", "AGE", "STATE", "LABEL", "WHY"], &cells)
}

fn state(row: &FileRow) -> String {
    let how = |how| match how {
        How::Archived => "archived",
        How::Resolved => "resolved",
        How::Dismissed => "dismissed",
    };
    match &row.closed {
        None => "open".to_owned(),
        Some(closed) => format!("{} by {}", how(closed.how), closed.by),
    }
}

fn proposals(mined: &CasesMined, now: Timestamp) -> String {
    if mined.proposals.is_empty() {
        return "no session deserves a case that has none".to_owned();
    }
    let cells: Vec<[String; 4]> = mined
        .proposals
        .iter()
        .map(|row| {
            [
                row.session_id.to_string(),
                row.host.to_string(),
                format::age(now, row.at),
                why(row),
            ]
        })
        .collect();
    format::table(["SESSION", "HOST", "AGE", "WHY"], &cells)
}

fn why(row: &ProposalRow) -> String {
    let counted = |count: u32, what: &str| (count > 0).then(|| format!("{count} {what}"));
    let counts = [
        counted(row.bad_feedback, "said that it went wrong"),
        counted(row.failed_turns, "turns failed"),
    ];
    let alerts = row.alerts.iter().map(|rule| format!("alert {rule}"));
    let all: Vec<String> = counts.into_iter().flatten().chain(alerts).collect();
    all.join(", ")
}

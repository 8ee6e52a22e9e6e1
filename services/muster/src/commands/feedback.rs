//! `muster feedback`: what people and agents say of sessions.

use super::lease::word;
use crate::args::Global;
use crate::ask::{self, AskError, ask, order};
use crate::{format, hub, output};
use muster_bus::service::Credentials;
use muster_domain::names::HostName;
use muster_domain::review::{Label, Score};
use muster_domain::time::Timestamp;
use muster_wire::api::{FeedbackAnnotateRequest, FeedbackAnswer, FeedbackList, FeedbackListRequest, FeedbackRow};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Say what you think of a session, in place of what you said of it before
    Add {
        /// Its id, or the beginning of it
        session: String,
        /// In words, at most 4 KiB
        note: Option<String>,
        /// How good it was: 1, which is worst, to 5
        #[arg(long, value_parser = score)]
        score: Option<Score>,
        /// good, bad, interesting, bug or regression
        #[arg(long, value_parser = word::<Label>)]
        label: Option<Label>,
        /// Its host, where others have a session of this id
        #[arg(long)]
        host: Option<HostName>,
    },
    /// What was said, the latest first
    List {
        /// Only of this session: its id, or the beginning of it
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Only of this kind
        #[arg(long, value_parser = word::<Label>)]
        label: Option<Label>,
        /// Also what was replaced by later words
        #[arg(long)]
        all: bool,
        /// The last number of the page before
        #[arg(long, value_name = "NUMBER")]
        cursor: Option<u64>,
        /// Rows at most
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
}

#[derive(Debug, thiserror::Error)]
#[error("a score is 1, which is worst, to 5")]
struct NotOneToFive;

fn score(text: &str) -> Result<Score, NotOneToFive> {
    let number: u8 = text.parse().map_err(|_| NotOneToFive)?;
    Score::try_from(number).map_err(|_| NotOneToFive)
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    match args.verb {
        Verb::Add {
            session,
            note,
            score,
            label,
            host,
        } => {
            let meant = ask::session(&bus, &session, host.as_ref()).await;
            let (host, session_id) = meant.map_err(AskError::fatal)?;
            let question = FeedbackAnnotateRequest {
                session_id,
                host: Some(host),
                score,
                label,
                note,
                request_id: Some(ask::request_id()),
            };
            let nobody = Credentials::default();
            let answered = order(&bus, &nobody, Operation::FeedbackAnnotate, &question).await;
            let (_, FeedbackAnswer { feedback }) = answered.map_err(AskError::fatal)?;
            if global.json {
                output::json(&feedback)?;
            } else {
                output::line(&format!("{}: {}", feedback.id, said(&feedback)));
            }
        }
        Verb::List {
            session,
            label,
            all,
            cursor,
            limit,
        } => {
            let meant = match &session {
                None => None,
                Some(start) => Some(ask::session(&bus, start, None).await.map_err(AskError::fatal)?),
            };
            let (host, session_id) = meant.unzip();
            let question = FeedbackListRequest {
                session_id,
                host,
                label,
                all,
                cursor,
                limit,
            };
            let listed = ask(&bus, Operation::FeedbackList, &question).await;
            let (_, list): (_, FeedbackList) = listed.map_err(AskError::fatal)?;
            if global.json {
                output::json(&list)?;
            } else {
                output::line(&table(&list.feedback, format::now()));
                more(list.next_cursor);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that a page is not the last.
pub(super) fn more(next_cursor: Option<u64>) {
    if let Some(cursor) = next_cursor {
        output::remark(&format!("there are more: --cursor {cursor}"));
    }
}

pub(super) fn table(rows: &[FeedbackRow], now: Timestamp) -> String {
    if rows.is_empty() {
        return "nothing was said".to_owned();
    }
    let cells: Vec<[String; 6]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                row.session_id.as_str().chars().take(8).collect(),
                row.host.to_string(),
                format::age(now, row.at),
                row.by.to_string(),
                format!("{}{}", said(row), if row.counts { "" } else { " (replaced)" }),
            ]
        })
        .collect();
    format::table(["NUMBER", "SESSION", "HOST", "AGE", "BY", "WHAT"], &cells)
}

fn said(row: &FeedbackRow) -> String {
    let score = row.score.map(|score| format!("{} of 5", u8::from(score)));
    let label = row.label.map(|label| label.to_string());
    let note = row.note.as_deref().map(|note| format::shorten(note, 100));
    let parts: Vec<String> = score.into_iter().chain(label).chain(note).collect();
    parts.join(", ")
}

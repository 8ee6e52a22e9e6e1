//! `muster review`: sessions that wait for somebody to look at them.

use super::case::{Listed, close, show, show_written, table};
use super::feedback::more;
use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_wire::api::{FileRequest, ReviewAnswer, ReviewWritten, ReviewsList};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// What waits, the latest first
    List(Listed),
    /// One of it, with its session and what was said of that
    Show {
        /// Its number
        id: u64,
    },
    /// Say that you looked at it; needs the operator's token
    Resolve(End),
    /// Say that nobody need look at it; needs the operator's token
    Dismiss(End),
}

#[derive(Debug, clap::Args)]
struct End {
    /// Its number
    id: u64,
    /// What there is to say
    note: Option<String>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let (operation, End { id, note }) = match args.verb {
        Verb::List(listed) => {
            let listed = ask(&bus, Operation::ReviewsList, &listed.question()).await;
            let (_, list): (_, ReviewsList) = listed.map_err(AskError::fatal)?;
            if global.json {
                output::json(&list)?;
            } else if list.reviews.is_empty() {
                output::line("nothing waits for review");
            } else {
                output::line(&table("REVIEW", &list.reviews, format::now()));
                more(list.next_cursor);
            }
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Show { id } => {
            let answered = ask(&bus, Operation::ReviewsGet, &FileRequest { id }).await;
            let (_, answer): (_, ReviewAnswer) = answered.map_err(AskError::fatal)?;
            if global.json {
                output::json(&answer)?;
            } else {
                show("REVIEW", &answer.review, answer.session.as_ref(), &answer.feedback);
            }
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Resolve(end) => (Operation::ReviewsResolve, end),
        Verb::Dismiss(end) => (Operation::ReviewsDismiss, end),
    };
    let written: ReviewWritten = ask::command(&bus, global, operation, &close(id, note)).await?;
    show_written(global, &written, written.outcome, &written.review)?;
    Ok(ExitCode::SUCCESS)
}

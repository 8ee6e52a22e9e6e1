//! `muster sessions query`.

use super::list::table;
use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::query::Field;
use muster_domain::time::Timestamp;
use muster_wire::api::{SessionsFound, SessionsQueryRequest};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = fields())]
pub(crate) struct Args {
    /// Terms, all of which have to hold: FIELD OPERATOR VALUE without spaces between
    #[arg(required = true, value_name = "EXPR")]
    expr: Vec<String>,
    /// Only those heard of since then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// Rows at most; 50 without it
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Where the page before ended: its `next_cursor`
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<muster_wire::api::Place>,
}

/// The fields, with what each is.
fn fields() -> String {
    let rows = Field::ALL.iter().map(|field| {
        let about = field.about();
        format!("  {:<15} {about}", field.as_str())
    });
    let rows: Vec<String> = rows.collect();
    format!(
        "Fields:\n{}\n\nOperators: = != ~ (contains) for texts, = != > >= < <= for numbers; a,b means either.\n\
         Spans as in 24h or 7d are counted back from now: last_seen>=24h is within the last day.",
        rows.join("\n")
    )
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request = SessionsQueryRequest {
        expr: args.expr.join(" "),
        since: args.since,
        cursor: args.cursor,
        limit: args.limit,
    };
    let asked = ask(&bus, Operation::SessionsQuery, &request).await;
    let (_, found): (_, SessionsFound) = asked.map_err(AskError::fatal)?;
    if global.json {
        output::json(&found)?;
    } else if found.sessions.is_empty() {
        output::line("no sessions");
    } else {
        output::line(&table(&found.sessions, format::now()));
        if let Some(cursor) = found.next_cursor {
            output::remark(&format!("there are more; --cursor {cursor} goes on"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

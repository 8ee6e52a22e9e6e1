//! `muster effects`: what hosts are told to do, and what became of it.

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::ids::EffectId;
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{EffectRow, EffectsList, EffectsListRequest};
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also those that are over
    #[arg(long)]
    all: bool,
    /// Only of this session
    #[arg(long)]
    session: Option<SessionId>,
    /// Only on this host
    #[arg(long)]
    host: Option<HostName>,
    /// The last effect of the page before
    #[arg(long, value_name = "EFFECT")]
    cursor: Option<EffectId>,
    /// Rows at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let question = EffectsListRequest {
        all: args.all,
        session: args.session,
        host: args.host,
        cursor: args.cursor,
        limit: args.limit,
    };
    let listed = ask(&bus, Operation::EffectsList, &question).await;
    let (_, list): (_, EffectsList) = listed.map_err(AskError::fatal)?;
    if global.json {
        output::json(&list)?;
    } else if list.effects.is_empty() {
        output::line("nothing is under way");
    } else {
        output::line(&table(&list.effects, format::now()));
        if let Some(cursor) = list.next_cursor {
            output::remark(&format!("there are more: --cursor {cursor}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[EffectRow], now: Timestamp) -> String {
    let cells: Vec<[String; 7]> = rows
        .iter()
        .map(|row| {
            [
                row.id.to_string(),
                row.host.to_string(),
                row.session.as_str().chars().take(8).collect(),
                row.kind.to_string(),
                row.status.to_string(),
                format::age(now, row.since),
                row.reason.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    format::table(["EFFECT", "HOST", "SESSION", "WHAT", "STATUS", "SINCE", "WHY"], &cells)
}

//! `muster circuit`: agents that keep failing, and an operator's word that they may be run again.

use crate::args::Global;
use crate::ask::{AskError, ask, order};
use crate::{format, hub, output};
use muster_domain::names::SubagentName;
use muster_domain::time::Timestamp;
use muster_wire::api::{
    Circuit, CircuitsReset, CircuitsResetRequest, CircuitsStatus, CircuitsStatusRequest, ResetOutcome,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;
use uuid::Uuid;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this agent's: the name under which it is called, as in code-reviewer
    #[arg(value_name = "NAME")]
    agent: Option<SubagentName>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Close a circuit and forget the failures; needs the operator's token
    Reset {
        /// The agent
        #[arg(value_name = "NAME")]
        agent: SubagentName,
    },
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(Command::Reset { agent }) => reset(agent, global).await,
        None => show(args.agent, global).await,
    }
}

async fn show(agent: Option<SubagentName>, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let question = CircuitsStatusRequest { agent };
    let (_, status): (_, CircuitsStatus) = ask(&bus, Operation::CircuitsStatus, &question)
        .await
        .map_err(AskError::fatal)?;
    if global.json {
        output::json(&status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = match status {
        CircuitsStatus::All { breakers, .. } => breakers,
        CircuitsStatus::One(circuit) => vec![*circuit],
    };
    if rows.is_empty() {
        output::line("no agent was heard of yet");
    } else {
        output::line(&table(&rows, format::now()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn reset(agent: SubagentName, global: &Global) -> anyhow::Result<ExitCode> {
    let operator = hub::operator(global)?;
    let bus = hub::connect(global).await?;
    let question = CircuitsResetRequest {
        agent,
        request_id: Some(Uuid::now_v7().to_string()),
    };
    let (_, done): (_, CircuitsReset) = order(&bus, &operator, Operation::CircuitsReset, &question)
        .await
        .map_err(AskError::fatal)?;
    if global.json {
        output::json(&done)?;
    } else {
        let agent = format::shorten(done.circuit.agent.as_str(), 100);
        output::line(&match done.outcome {
            ResetOutcome::Applied => format!("{agent} may be run again"),
            ResetOutcome::Unchanged => format!("{agent}: nothing to reset"),
        });
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[Circuit], now: Timestamp) -> String {
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            [
                format::shorten(row.agent.as_str(), 40),
                row.breaker.state.clone(),
                row.breaker.consecutive_failures.to_string(),
                next(row, now),
                row.error
                    .as_deref()
                    .map_or_else(|| "-".to_owned(), |error| format::shorten(error, 80)),
            ]
        })
        .collect();
    format::table(["AGENT", "STATE", "FAILURES", "NEXT", "LAST ERROR"], &cells)
}

/// What it waits for.
fn next(row: &Circuit, now: Timestamp) -> String {
    if let Some(probe) = &row.probe {
        let session: String = probe.holder.session.as_str().chars().take(8).collect();
        let left = format::age(probe.expires, now);
        return format!("probe of {session} on {}, {left} left", probe.holder.host);
    }
    match row.until {
        Some(until) if until > now => format!("probe in {}", format::age(until, now)),
        Some(_) => "probe by whoever asks".to_owned(),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(more: &serde_json::Value) -> Circuit {
        let mut row = json!({"agent": "reviewer", "trips": 1, "since": null, "until": null, "probe": null, "error": null,
            "breaker": {"state": "open", "consecutive_failures": 3, "config": {"failure_threshold": 3, "max_depth": 5}}});
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_row_says_what_the_circuit_waits_for() {
        let now = muster_wire::time::parse("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(next(&row(&json!({})), now), "-");
        assert_eq!(
            next(&row(&json!({"until": "2026-11-21T12:00:30Z"})), now),
            "probe in 30s"
        );
        assert_eq!(
            next(&row(&json!({"until": "2026-11-21T11:00:00Z"})), now),
            "probe by whoever asks"
        );
        let holder = json!({"host": "web-01", "session": "78e6edba-fbb9"});
        let probe = json!({"probe": {"holder": holder, "expires": "2026-11-21T12:05:00Z"}});
        assert_eq!(next(&row(&probe), now), "probe of 78e6edba on web-01, 5m00s left");
    }
}

//! `muster stats`: how long turns take, how they end, what they use.

use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{format, hub, output};
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{Position, TurnsStats, TurnsStatsRequest};
use muster_wire::subject::Operation;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Tools and models that are shown; `--json` has more.
const SHOWN: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only turns that began since then: a moment, or a span back from now
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// Only on this host
    #[arg(long)]
    host: Option<HostName>,
    /// Only of this agent
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only of this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let (mut host, mut session) = (args.host, None::<SessionId>);
    if let Some(given) = &args.session {
        let (on, id) = ask::session(&bus, given, host.as_ref())
            .await
            .map_err(AskError::fatal)?;
        (host, session) = (Some(on), Some(id));
    }
    let request = TurnsStatsRequest {
        since: args.since,
        host,
        agent: args.agent,
        session,
    };
    let answer = ask(&bus, Operation::TurnsStats, &request).await;
    let (_, stats): (Position, TurnsStats) = answer.map_err(AskError::fatal)?;
    if global.json {
        output::json(&stats)?;
    } else {
        output::line(&shown(&stats));
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(stats: &TurnsStats) -> String {
    let duration = stats.duration_ms;
    let (tokens, context, cost) = (stats.tokens_of_a_turn, stats.context_tokens, stats.cost_usd);
    let mut lines = vec![
        format!(
            "turns     {} of {} sessions: {}",
            stats.turns,
            stats.sessions,
            counts(&stats.outcomes)
        ),
        format!(
            "duration  p50 {}, p95 {}, average {}, longest {} ({} turns)",
            format::duration(duration.p50),
            format::duration(duration.p95),
            format::duration(duration.average),
            format::duration(duration.max),
            duration.count
        ),
        format!(
            "tokens    {} in all; a turn {} on average, {} at most ({} turns)",
            format::count(stats.tokens.total),
            format::count(tokens.average),
            format::count(tokens.max),
            tokens.count
        ),
        format!(
            "context   {} on average, {} at most ({} sessions)",
            format::count(context.average),
            format::count(context.max),
            context.count
        ),
        format!(
            "cost      {} in all; a turn {} on average, {} at most ({} turns)",
            format::usd(Some(cost.total)),
            format::usd(Some(cost.average)),
            format::usd(Some(cost.max)),
            cost.count
        ),
    ];
    let tools: Vec<String> = stats
        .tools
        .iter()
        .map(|row| row_of(&row.tool, row.calls))
        .take(SHOWN)
        .collect();
    let models: Vec<String> = stats
        .models
        .iter()
        .map(|row| row_of(&row.model, row.turns))
        .take(SHOWN)
        .collect();
    if !tools.is_empty() {
        lines.push(format!("tools     {}", tools.join(", ")));
    }
    if !models.is_empty() {
        lines.push(format!("models    {}", models.join(", ")));
    }
    if !stats.results.is_empty() {
        lines.push(format!("results   {}", counts(&stats.results)));
    }
    lines.push(covered(stats));
    lines.join("\n")
}

fn row_of(name: &str, n: u64) -> String {
    format!("{} {n}", format::shorten(name, 40))
}

fn counts(of: &BTreeMap<String, u64>) -> String {
    let rows: Vec<String> = of
        .iter()
        .map(|(name, n)| format!("{n} {}", format::shorten(name, 40)))
        .collect();
    rows.join(", ")
}

/// What the numbers are of.
fn covered(stats: &TurnsStats) -> String {
    let covered = stats.covered;
    let from = covered.from.map_or_else(
        || "no turn".to_owned(),
        |at| format!("turns since {}", muster_wire::time::format(at)),
    );
    let mut line = format!(
        "covers    {from}; the latest {} of each session",
        covered.turns_of_a_session
    );
    if covered.left_out > 0 {
        line.push_str(&format!("; {} older ones are in the log only", covered.left_out));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_say_of_how_many_they_are_and_what_is_left_out() {
        let stats: TurnsStats = serde_json::from_value(serde_json::json!({
            "sessions": 2, "turns": 40, "outcomes": {"ok": 38, "failed": 2}, "results": {"success": 38},
            "duration_ms": {"count": 40, "average": 61_000, "p50": 42_000, "p95": 190_000, "max": 200_000},
            "tokens": {"input": 1, "output": 2, "cache_read": 1200, "cache_creation": 0, "total": 1203},
            "tokens_of_a_turn": {"count": 12, "average": 100, "p50": 90, "p95": 200, "max": 300},
            "context_tokens": {"count": 1, "average": 80_000, "p50": 80_000, "p95": 80_000, "max": 80_000},
            "cost_usd": {"count": 12, "total": 1.5, "average": 0.125, "p95": 0.5, "max": 0.6},
            "tools": [{"tool": "Bash", "calls": 90}], "models": [{"model": "opus", "turns": 40}],
            "covered": {"from": "2026-11-21T11:00:00Z", "turns_of_a_session": 32, "left_out": 7, "sessions_kept_ms": 1}
        }))
        .unwrap();
        let text = shown(&stats);
        for part in [
            "40 of 2 sessions: 2 failed, 38 ok",
            "p50 42.0s",
            "p95 3m10s",
            "(12 turns)",
            "Bash 90",
            "7 older ones",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

//! `muster summary` and `muster metrics`: sessions added up, and where time, tokens and failures go.

use crate::args::Global;
use crate::ask::{AskError, ask};
use crate::{format, hub, output};
use muster_domain::time::Timestamp;
use muster_wire::api::{
    SessionsMetrics, SessionsMetricsRequest, SessionsSummary, SessionsSummaryRequest, Share, ToolCalls,
};
use muster_wire::subject::Operation;
use std::process::ExitCode;

/// Rows of a list that are shown; `--json` has more.
const SHOWN: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only sessions that this query names; `muster sessions query --help` lists its fields
    #[arg(value_name = "EXPR")]
    expr: Vec<String>,
    /// Only those heard of since then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArgs {
    /// How many days back
    #[arg(long, value_name = "N", default_value_t = 7)]
    days: u32,
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request = SessionsSummaryRequest {
        expr: Some(args.expr.join(" ")),
        since: args.since,
    };
    let asked = ask(&bus, Operation::SessionsSummary, &request).await;
    let (_, summary): (_, SessionsSummary) = asked.map_err(AskError::fatal)?;
    if global.json {
        output::json(&summary)?;
    } else {
        output::line(&summed(&summary));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn metrics(args: MetricsArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let request = SessionsMetricsRequest { days: Some(args.days) };
    let asked = ask(&bus, Operation::SessionsMetrics, &request).await;
    let (_, metrics): (_, SessionsMetrics) = asked.map_err(AskError::fatal)?;
    if global.json {
        output::json(&metrics)?;
    } else {
        output::line(&measured(&metrics));
    }
    Ok(ExitCode::SUCCESS)
}

fn summed(summary: &SessionsSummary) -> String {
    let total = summary.total;
    let states = summary.states.iter().map(|(state, n)| format!("{n} {state}"));
    let mut lines = vec![
        format!("sessions  {}: {}", total.sessions, joined(states)),
        format!(
            "work      {} turns, {} tool calls, {} of them failed",
            total.turns, total.tool_calls, total.failures
        ),
        format!(
            "use       {} tokens, {}",
            format::count(total.tokens.total),
            format::usd(total.cost_usd)
        ),
    ];
    for (name, shares) in [
        ("agents", &summary.agents),
        ("models", &summary.models),
        ("hosts", &summary.hosts),
    ] {
        lines.push(format!("{name:<9} {}", joined(shares.iter().map(share))));
    }
    let tool = |row: &ToolCalls| format!("{} {}", format::shorten(&row.tool, 40), row.calls);
    lines.push(format!("tools     {}", joined(summary.tools.iter().map(tool))));
    let from = summary.covered.from.map_or_else(
        || "nothing".to_owned(),
        |at| format!("sessions since {}", muster_wire::time::format(at)),
    );
    let latest = summary.covered.turns_of_a_session;
    lines.push(format!("covers    {from}; tools of the latest {latest} turns of each"));
    lines.join("\n")
}

fn share(share: &Share) -> String {
    let (name, cost) = (format::shorten(&share.name, 40), share.sum.cost_usd);
    let cost = cost.map_or_else(String::new, |cost| format!(" ({})", format::usd(Some(cost))));
    format!("{name} {}{cost}", share.sum.sessions)
}

fn joined(rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<String> = rows.take(SHOWN).collect();
    if rows.is_empty() {
        "-".to_owned()
    } else {
        rows.join(", ")
    }
}

fn measured(metrics: &SessionsMetrics) -> String {
    let files = metrics.files.iter().take(SHOWN).map(|file| {
        let path = format::shorten(&file.path, 80);
        [path, file.calls.to_string(), file.sessions.to_string()]
    });
    let tools = metrics.tools.iter().take(SHOWN).map(|tool| {
        [
            format::shorten(&tool.tool, 40),
            tool.calls.to_string(),
            tool.failures.to_string(),
            format::duration(tool.duration_ms.p50),
            format::duration(tool.duration_ms.p95),
        ]
    });
    let tokens = metrics.tokens.iter().take(SHOWN).map(|sink| {
        [
            sink.session.to_string(),
            sink.host.to_string(),
            sink.turns.to_string(),
            format::count(sink.input),
            format::count(sink.output),
        ]
    });
    let agents = metrics.agents.iter().take(SHOWN).map(|agent| {
        [
            format::shorten(&agent.agent, 40),
            agent.sessions.to_string(),
            agent.calls.to_string(),
            agent.failures.to_string(),
            agent.failed_turns.to_string(),
        ]
    });
    let oldest = metrics.oldest.map_or_else(
        || "nothing".to_owned(),
        |at| format!("calls and turns since {}", muster_wire::time::format(at)),
    );
    [
        format::table(["FILE", "CALLS", "SESSIONS"], &files.collect::<Vec<_>>()),
        format::table(["TOOL", "CALLS", "FAILED", "P50", "P95"], &tools.collect::<Vec<_>>()),
        format::table(["SESSION", "HOST", "TURNS", "IN", "OUT"], &tokens.collect::<Vec<_>>()),
        format::table(
            ["AGENT", "SESSIONS", "CALLS", "FAILED", "FAILED TURNS"],
            &agents.collect::<Vec<_>>(),
        ),
        format!("covers {oldest}, up to event {}", metrics.indexed.indexed_seq),
    ]
    .join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_summary_says_what_it_is_of() {
        let sum = json!({
            "sessions": 3, "turns": 9, "tool_calls": 40, "failures": 2, "cost_usd": 1.5,
            "tokens": {"input": 1, "output": 2, "cache_read": 1200, "cache_creation": 0, "total": 1203}
        });
        let mut summary = sum.clone();
        let mut share = sum;
        share["name"] = json!("codex");
        summary["states"] = json!({"idle": 2, "working": 1});
        summary["agents"] = json!([share]);
        summary["models"] = json!([]);
        summary["hosts"] = json!([]);
        summary["tools"] = json!([{"tool": "Bash", "calls": 31}]);
        summary["covered"] =
            json!({"from": "2026-11-21T11:00:00Z", "turns_of_a_session": 32, "left_out": 0, "sessions_kept_ms": 1});
        let text = summed(&serde_json::from_value(summary).unwrap());
        for part in [
            "3: 2 idle, 1 working",
            "40 tool calls, 2 of them",
            "1.2k tokens, $1.50",
            "codex 3 ($1.50)",
            "Bash 31",
            "since 2026",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn metrics_say_where_time_goes_and_what_they_cover() {
        let metrics: SessionsMetrics = serde_json::from_value(json!({
            "from": "2026-11-14T11:00:00Z", "oldest": "2026-11-20T11:00:00Z",
            "files": [{"path": "/src/a.rs", "calls": 9, "sessions": 2}],
            "tools": [{"tool": "Bash", "calls": 9, "failures": 1,
                "duration_ms": {"count": 9, "average": 5, "p50": 4, "p95": 61_000, "max": 70_000}}],
            "tokens": [], "agents": [], "indexed_seq": 12, "indexed_from": 1
        }))
        .unwrap();
        let text = measured(&metrics);
        for part in ["/src/a.rs", "1m01s", "since 2026-11-20", "event 12"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

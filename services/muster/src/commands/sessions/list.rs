//! `muster sessions list`.

use crate::args::Global;
use crate::ask::{self, AskError};
use crate::{format, hub, output};
use muster_domain::names::{AgentName, HostName};
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use muster_wire::api::{SessionSummary, SessionsListRequest};
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Rows shown to people unless they ask for more: a screen.
const ROWS: usize = 50;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only on this host
    #[arg(long)]
    host: Option<HostName>,
    /// Only of this agent, as in claude-code
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only in this state, as in waiting_approval
    #[arg(long, value_parser = state)]
    state: Option<SessionState>,
    /// Only those heard of since then: an age as in 15m, or a time
    #[arg(long, value_name = "WHEN", value_parser = format::moment_arg)]
    since: Option<Timestamp>,
    /// Rows at most; 50 without it, and with --json as many as there are
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// However many there are
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("states are {0}")]
struct NoState(String);

fn state(text: &str) -> Result<SessionState, NoState> {
    let names = || {
        SessionState::ALL
            .iter()
            .map(|state| state.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    SessionState::parse(text).ok_or_else(|| NoState(names()))
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let filter = SessionsListRequest {
        host: args.host,
        agent: args.agent,
        state: args.state,
        since: args.since,
        ..SessionsListRequest::default()
    };
    let mut rows = ask::sessions(&bus, filter).await.map_err(AskError::fatal)?;
    rows.sort_by_key(order);
    let found = rows.len();
    let unasked = if args.all || global.json { usize::MAX } else { ROWS };
    rows.truncate(args.limit.unwrap_or(unasked));
    if global.json {
        output::json(&rows)?;
    } else if rows.is_empty() {
        output::line("no sessions");
    } else {
        output::line(&table(&rows, format::now()));
        if found > rows.len() {
            output::remark(&format!("{} more; --all shows them", found - rows.len()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who waits comes first, and the longest wait first of all; then the most recent, and last those that are over.
fn order(row: &SessionSummary) -> (u8, Reverse<i64>) {
    match row.state {
        SessionState::WaitingApproval => (0, Reverse(-row.since.as_millis())),
        SessionState::WaitingInput => (1, Reverse(-row.since.as_millis())),
        SessionState::Starting
        | SessionState::Working
        | SessionState::Idle
        | SessionState::Compacting
        | SessionState::Failed
        | SessionState::Unknown => (2, Reverse(row.last_seen.as_millis())),
        SessionState::Stopped | SessionState::Lost => (3, Reverse(row.last_seen.as_millis())),
    }
}

pub(super) fn table(rows: &[SessionSummary], now: Timestamp) -> String {
    let chars = distinct(rows);
    let cells: Vec<[String; 9]> = rows
        .iter()
        .map(|row| {
            [
                stated(row),
                format::age(now, row.since),
                row.host.to_string(),
                row.agent.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                row.id.as_str().chars().take(chars).collect(),
                row.turns.to_string(),
                format::usd(row.cost_usd),
                format::count(row.tokens.total),
                format::shorten(row.cwd.as_deref().unwrap_or("-"), 60),
            ]
        })
        .collect();
    format::table(
        [
            "STATE", "AGE", "HOST", "AGENT", "SESSION", "TURNS", "COST", "TOKENS", "CWD",
        ],
        &cells,
    )
}

/// The state, with why.
pub(super) fn stated(row: &SessionSummary) -> String {
    let reason = row.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map_or_else(String::new, |reason| format!(" ({})", format::shorten(reason, 40)));
    let subagents = match row.subagents_running {
        0 => String::new(),
        running => format!(" +{running}"),
    };
    format!("{}{subagents}{reason}", row.state)
}

/// How much of an id tells the rows apart, and is found again when it is typed.
fn distinct(rows: &[SessionSummary]) -> usize {
    let whole: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let cut = |chars| {
        whole
            .iter()
            .map(|id| id.chars().take(chars).collect::<String>())
            .collect::<BTreeSet<_>>()
    };
    (8..36).find(|chars| cut(*chars).len() == whole.len()).unwrap_or(36)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, state: &str, since: &str, seen: &str) -> SessionSummary {
        let day = |time: &str| format!("2026-11-21T{time}:00Z");
        serde_json::from_value(serde_json::json!({
            "id": id, "host": "web-01", "agent": "claude-code", "profile": null, "state": state, "reason": "Bash",
            "since": day(since), "started": day(since), "last_seen": day(seen), "cwd": "/home/dev/app", "model": null,
            "permission_mode": null, "turns": 2, "tool_calls": 3, "failures": 0, "cost_usd": 0.25,
            "tokens": {"input": 1, "output": 2, "cache_read": 1200, "cache_creation": 0, "total": 1203},
            "context_tokens": null, "window_tokens": null, "subagents_running": 1, "truncated": false
        }))
        .unwrap()
    }

    #[test]
    fn who_waits_longest_comes_first_and_then_the_newest() {
        let mut rows = [
            row("over", "stopped", "11:40", "11:40"),
            row("old", "idle", "10:00", "10:00"),
            row("new", "working", "11:00", "11:30"),
            row("asks", "waiting_input", "11:20", "11:20"),
            row("waits", "waiting_approval", "11:10", "11:10"),
            row("waits-long", "waiting_approval", "11:00", "11:00"),
        ];
        rows.sort_by_key(order);
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["waits-long", "waits", "asks", "new", "old", "over"]);
    }

    #[test]
    fn a_row_says_what_matters() {
        let now = muster_wire::time::parse("2026-11-21T11:12:05Z").unwrap();
        let shown = table(&[row("78e6edba-fbb9", "waiting_approval", "11:10", "11:10")], now);
        let line = shown.lines().nth(1).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = [
            "waiting_approval",
            "+1",
            "(Bash)",
            "2m05s",
            "web-01",
            "claude-code",
            "78e6edba",
            "2",
            "$0.25",
            "1.2k",
            "/home/dev/app",
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn ids_are_shown_as_long_as_they_must_be() {
        let rows = [
            row("0198f3c2-aaaa", "idle", "10:00", "10:00"),
            row("0198f3c2-aabb", "idle", "10:00", "10:00"),
        ];
        assert_eq!(distinct(&rows), 12);
        assert_eq!(distinct(&rows[..1]), 8);
    }
}

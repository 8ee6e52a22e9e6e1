//! `muster alerts`: what somebody should look at.

mod watch;

use crate::args::Global;
use crate::ask::{self, AskError, ask};
use crate::{escape, format, hub, output};
use muster_domain::alert::{Rule, Severity};
use muster_domain::names::{HostName, SessionId};
use muster_domain::time::Timestamp;
use muster_wire::api::{AlertRow, AlertState, AlertsList, AlertsListRequest, Position};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::Operation;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also the latest that are over
    #[arg(long)]
    all: bool,
    /// Only of this rule, as in stuck
    #[arg(long, value_parser = rule)]
    rule: Option<Rule>,
    /// Only of at least this severity: info, warning or critical
    #[arg(long, value_parser = severity)]
    severity: Option<Severity>,
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

#[derive(Debug, thiserror::Error)]
#[error("{what} are {}", .known.join(", "))]
struct Unknown {
    what: &'static str,
    known: Vec<&'static str>,
}

fn rule(name: &str) -> Result<Rule, Unknown> {
    Rule::parse(name).ok_or_else(|| Unknown {
        what: "rules",
        known: Rule::ALL.iter().map(|rule| rule.as_str()).collect(),
    })
}

fn severity(name: &str) -> Result<Severity, Unknown> {
    let all = Severity::ALL.iter().copied();
    all.clone()
        .find(|severity| severity.as_str() == name)
        .ok_or_else(|| Unknown {
            what: "severities",
            known: all.map(Severity::as_str).collect(),
        })
}

pub(crate) async fn run(args: Args, global: &Global) -> anyhow::Result<ExitCode> {
    let bus = hub::connect(global).await?;
    let session = match &args.session {
        None => None,
        Some(given) => Some(match ask::session(&bus, given, args.host.as_ref()).await {
            Ok((_, session)) => session,
            Err(_) => SessionId::new(given)?,
        }),
    };
    let request = AlertsListRequest {
        state: if args.all { AlertState::All } else { AlertState::Open },
        rule: args.rule,
        severity: args.severity,
        session,
        host: args.host,
        since: None,
        limit: Some(PAGE_ROWS_MAX),
    };
    let answer = ask(&bus, Operation::AlertsList, &request).await;
    let (at, AlertsList { alerts, more }): (Position, _) = answer.map_err(AskError::fatal)?;
    if args.watch {
        return watch::run(&bus, &request, at, alerts, global.json).await;
    }
    if global.json {
        output::json(&alerts)?;
        return Ok(ExitCode::SUCCESS);
    }
    if alerts.is_empty() {
        output::line("nothing needs looking at");
    } else {
        output::line(&table(&alerts, args.all, format::now()));
    }
    if more {
        output::line("there are more: name a rule, a host or a severity");
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[AlertRow], ended: bool, now: Timestamp) -> String {
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let state = row.cleared_at.map_or_else(
                || "stands".to_owned(),
                |at| format!("over for {}", format::age(now, at)),
            );
            [
                row.severity.as_str().to_owned(),
                if ended { state } else { format::age(now, row.raised_at) },
                name(row),
                row.host.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                format::shorten(&row.summary, 160),
            ]
        })
        .collect();
    let state = if ended { "STATE" } else { "AGE" };
    format::table(["SEVERITY", state, "RULE", "HOST", "WHAT"], &cells)
}

/// The rule, and which form of it.
fn name(row: &AlertRow) -> String {
    let rule = row.rule.map_or_else(
        || row.key.split(':').next().unwrap_or_default().to_owned(),
        |rule| rule.to_string(),
    );
    let name = match &row.kind {
        Some(kind) => format!("{rule}/{kind}"),
        None => rule,
    };
    escape::unsafe_characters(&name).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cleared: Option<&str>) -> AlertRow {
        serde_json::from_value(serde_json::json!({
            "key": "stuck:web-01/s1", "rule": "stuck", "kind": "same_call", "severity": "warning", "host": "web-01",
            "session": "s1", "agent": "claude-code", "summary": "session s1 on web-01 made the same call 6 times in a row",
            "evidence": {"times": 6}, "since": "2026-11-21T11:00:00Z", "raised_at": "2026-11-21T11:05:00Z",
            "cleared_at": cleared, "because": cleared.map(|_| "over")
        }))
        .unwrap()
    }

    #[test]
    fn a_row_says_how_much_it_matters_since_when_and_what() {
        let now = muster_wire::time::parse("2026-11-21T11:15:00Z").unwrap();
        let shown = table(&[row(None)], false, now);
        let line = shown.lines().nth(1).unwrap();
        for part in ["warning", "10m", "stuck/same_call", "web-01", "6 times in a row"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        let shown = table(&[row(Some("2026-11-21T11:10:00Z"))], true, now);
        assert!(shown.contains("over for 5m"), "{shown}");
    }

    #[test]
    fn an_unknown_rule_is_told_those_there_are() {
        assert_eq!(rule("cost_spike").unwrap(), Rule::CostSpike);
        assert!(
            rule("sloth")
                .unwrap_err()
                .to_string()
                .contains("stuck, waiting, error_rate")
        );
        assert_eq!(
            severity("loud").unwrap_err().to_string(),
            "severities are info, warning, critical"
        );
    }
}

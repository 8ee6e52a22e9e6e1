//! trusty-mpm's tools, with its names, parameters and shapes of results.
//!
//! Its session is a smaller thing than ours, so what it has no word for stands beside: `host`, `agent`, `state`, `reason`.
//! A status of its own vocabulary is given for each of our states; `Paused` is one that no agent we know has.

use crate::arguments::Arguments;
use crate::asker::{Asker, Refused};
use muster_bus::service::Credentials;
use muster_domain::memory::{self, Thresholds};
use muster_domain::names::SessionId;
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use muster_wire::api::{Session, SessionRequest, SessionSummary, SessionsList, SessionsListRequest};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::Operation;
use serde::Deserialize;
use serde_json::{Value, json};

/// `session_list`: an array of sessions, all of them.
pub(crate) async fn session_list(asker: &Asker, who: &Credentials, arguments: Arguments) -> Result<Value, Refused> {
    let Nothing {} = arguments.read()?;
    let mut filter = SessionsListRequest {
        limit: Some(PAGE_ROWS_MAX),
        ..SessionsListRequest::default()
    };
    let mut all = Vec::new();
    loop {
        let page: SessionsList = asker.ask(who, Operation::SessionsList, &filter).await?;
        all.extend(page.sessions.iter().map(session));
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return Ok(Value::Array(all)),
        }
    }
}

/// `session_status`: `{session, memory, delegation_count, delegations}`.
pub(crate) async fn session_status(asker: &Asker, who: &Credentials, arguments: Arguments) -> Result<Value, Refused> {
    let OfSession { session_id } = arguments.read()?;
    let request = SessionRequest {
        id: session_id,
        host: None,
    };
    let found: Session = asker.ask(who, Operation::SessionsStatus, &request).await?;
    Ok(json!({
        "session": session(&found.session),
        "memory": fill(&found.session),
        "delegation_count": 0,
        "delegations": [],
    }))
}

/// `memory_protect`: `{fraction, pressure, config}`. Pure: the session need not be known.
pub(crate) fn memory_protect(arguments: Arguments) -> Result<Value, Refused> {
    let fill: Fill = arguments.read()?;
    let thresholds = Thresholds::default();
    let fraction =
        memory::fraction(fill.used_tokens, fill.window_tokens).map_err(|error| Refused(error.to_string()))?;
    Ok(json!({
        "fraction": fraction,
        "pressure": thresholds.pressure(fraction),
        "config": thresholds,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSession {
    session_id: SessionId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    #[serde(rename = "session_id")]
    _session: SessionId,
    used_tokens: u64,
    window_tokens: u64,
}

fn session(row: &SessionSummary) -> Value {
    json!({
        "id": row.id,
        "workdir": row.cwd.as_deref().unwrap_or_default(),
        "status": status(row.state),
        "control": "Pty",
        "active_delegations": row.active_delegations,
        "tmux_name": "",
        "created_at": system_time(row.started),
        "last_seen": system_time(row.last_seen),
        "project_path": row.cwd,
        "host": row.host,
        "agent": row.agent,
        "state": row.state,
        "reason": row.reason,
    })
}

const fn status(state: SessionState) -> &'static str {
    match state {
        SessionState::Starting => "Starting",
        SessionState::Working | SessionState::Idle | SessionState::Compacting | SessionState::Failed => "Active",
        SessionState::WaitingApproval | SessionState::WaitingInput => "AwaitingApproval",
        SessionState::Unknown => "Detached",
        SessionState::Stopped | SessionState::Lost => "Stopped",
    }
}

/// As Rust's own `SystemTime` is written.
fn system_time(at: Timestamp) -> Value {
    let ms = at.as_millis();
    json!({
        "secs_since_epoch": ms.div_euclid(1000),
        "nanos_since_epoch": ms.rem_euclid(1000) * 1_000_000,
    })
}

fn fill(row: &SessionSummary) -> Value {
    let (Some(used), Some(window)) = (row.context_tokens, row.window_tokens) else {
        return Value::Null;
    };
    memory::fraction(used, window).map_or(Value::Null, |fraction| {
        json!({
            "used_tokens": used,
            "window_tokens": window,
            "fraction": fraction,
            "pressure": Thresholds::default().pressure(fraction),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protect(arguments: Value) -> Result<Value, String> {
        memory_protect(Arguments::new(arguments.as_object().cloned())).map_err(|refused| refused.to_string())
    }

    #[test]
    fn memory_protect_tells_fraction_pressure_and_thresholds() {
        let answer = protect(json!({"session_id": "s", "used_tokens": 900, "window_tokens": 1000})).unwrap();
        assert_eq!(
            answer,
            json!({
                "fraction": 0.9, "pressure": "Compact",
                "config": {"warn_at": 0.7, "alert_at": 0.85, "compact_at": 0.9},
            })
        );
        assert_eq!(
            protect(json!({"session_id": "s", "used_tokens": 1, "window_tokens": 0})).unwrap_err(),
            "window_tokens must be greater than 0"
        );
        let missing = protect(json!({"session_id": "s"})).unwrap_err();
        assert!(missing.contains("used_tokens"), "{missing}");
    }

    #[test]
    fn times_are_written_as_the_systems_own() {
        assert_eq!(
            system_time(Timestamp::from_millis(1_700_000_000_250)),
            json!({"secs_since_epoch": 1_700_000_000, "nanos_since_epoch": 250_000_000})
        );
    }
}

//! This host's ingest, as the tools need it: hooks told by name, and permissions that are waited for.

use crate::socket::{Connection, SocketError};
use muster_domain::names::HostName;
use muster_mcp::{Ask, Hook, Host, HostError, Pending, Verdict};
use muster_wire::frame::{ClientFrame, HookAnswer, IngestHook, ServerFrame};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// The product whose permissions are asked for: the one that starts this command.
const AGENT: &str = "claude-code";
/// How long ingest may take beyond the wait it was asked for.
const LATENESS: Duration = Duration::from_secs(5);
/// Between two attempts to reach an ingest that is being restarted.
const AGAIN: Duration = Duration::from_millis(200);

/// Ingest at its socket.
pub(super) struct Ingest {
    pub(super) socket: Option<PathBuf>,
    /// How long a permission may wait.
    pub(super) wait: Duration,
}

impl Ingest {
    /// What this host is called: as ingest says, else by the machine's own name.
    pub(super) async fn host(&self) -> String {
        if let Ok(connection) = self.connect().await {
            return connection.hello.host;
        }
        let own = rustix::system::uname();
        HostName::from_hostname(&own.nodename().to_string_lossy())
            .map_or_else(|_| "host".to_owned(), |name| name.as_str().to_owned())
    }

    async fn connect(&self) -> Result<Connection, SocketError> {
        let socket = self.socket.as_deref().ok_or(SocketError::Unexpected)?;
        Connection::open(socket, "mcp").await
    }

    /// Tells a hook, and waits for its answer as long as it said that it would.
    ///
    /// It is told again under the same key when the connection breaks: to ingest that is the same hook, and the same wait.
    async fn tell(
        &self,
        agent: &str,
        payload: &Map<String, Value>,
        wait: Option<Duration>,
    ) -> Result<HookAnswer, HostError> {
        let failed = |error: &dyn std::error::Error| HostError(error.to_string());
        let hook = IngestHook {
            agent: agent.to_owned(),
            key: Some(Uuid::new_v4().to_string()),
            event_hint: None,
            payload: Some(to_raw_value(payload).map_err(|error| failed(&error))?),
            payload_follows: false,
            truncated: false,
            env: BTreeMap::new(),
            pid: None,
            pid_start: None,
            boot_id: None,
            pid_ns: None,
            wait_ms: wait.and_then(|wait| u64::try_from(wait.as_millis()).ok()),
        };
        let frame = ClientFrame::IngestHook(Box::new(hook));
        let until = Instant::now() + wait.unwrap_or_default() + LATENESS;
        loop {
            match self.attempt(&frame, until).await {
                Ok(ServerFrame::HookAnswer(answer)) => return Ok(answer),
                Ok(_) => return Err(failed(&SocketError::Unexpected)),
                Err(SocketError::Broken(_) | SocketError::Absent { .. }) if Instant::now() + AGAIN < until => {
                    sleep(AGAIN).await;
                }
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    async fn attempt(&self, frame: &ClientFrame, until: Instant) -> Result<ServerFrame, SocketError> {
        let mut connection = self.connect().await?;
        let answer = connection.ask(frame).await?;
        if matches!(answer, ServerFrame::Hold(_)) {
            return connection.later(until.saturating_duration_since(Instant::now())).await;
        }
        Ok(answer)
    }
}

impl Host for Ingest {
    fn hook(&self, hook: Hook) -> Pending<'_, ()> {
        Box::pin(async move { self.tell(&hook.agent, &hook.payload, None).await.map(drop) })
    }

    fn permission(&self, ask: Ask) -> Pending<'_, Verdict> {
        Box::pin(async move {
            let mut payload = Map::new();
            payload.insert("session_id".to_owned(), ask.session.as_str().into());
            payload.insert("hook_event_name".to_owned(), "PermissionRequest".into());
            payload.insert("tool_name".to_owned(), ask.tool_name.into());
            payload.insert("tool_input".to_owned(), ask.input.into());
            if let Ok(cwd) = std::env::current_dir() {
                payload.insert("cwd".to_owned(), cwd.to_string_lossy().into_owned().into());
            }
            if let Some(call) = ask.tool_use_id {
                payload.insert("tool_use_id".to_owned(), call.into());
            }
            let answer = self.tell(AGENT, &payload, Some(self.wait)).await?;
            Ok(verdict(&answer))
        })
    }
}

/// What Claude Code's own hook would have been told to print.
fn verdict(answer: &HookAnswer) -> Verdict {
    let printed: Value = answer
        .answer
        .as_ref()
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let decision = &printed["hookSpecificOutput"]["decision"];
    match decision["behavior"].as_str() {
        Some("allow") => Verdict::Allow {
            updated_input: decision.get("updatedInput").cloned(),
        },
        Some("deny") => Verdict::Deny {
            message: decision["message"].as_str().unwrap_or("not allowed").to_owned(),
        },
        Some(_) | None => Verdict::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(answer: Option<Value>) -> Verdict {
        verdict(&HookAnswer {
            event_id: None,
            exit_code: 0,
            answer: answer.map(|value| to_raw_value(&value).unwrap()),
        })
    }

    #[test]
    fn what_a_hook_would_print_is_the_verdict() {
        let decided = |decision: Value| {
            read(Some(
                json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}),
            ))
        };
        assert_eq!(
            decided(json!({"behavior": "allow"})),
            Verdict::Allow { updated_input: None }
        );
        let changed = Some(json!({"command": "ls"}));
        assert_eq!(
            decided(json!({"behavior": "allow", "updatedInput": {"command": "ls"}})),
            Verdict::Allow { updated_input: changed }
        );
        let message = "not on a Friday".to_owned();
        assert_eq!(
            decided(json!({"behavior": "deny", "message": message})),
            Verdict::Deny { message }
        );
        assert_eq!(read(None), Verdict::Unanswered);
        assert_eq!(read(Some(json!({}))), Verdict::Unanswered);
    }
}

//! One call of a tool, from its arguments to the text that the model reads.

use crate::arguments::Arguments;
use crate::asker::{Asker, Refused};
use crate::host::{Ask, Hook, Host, HostError, Verdict};
use crate::six;
use crate::tools::Does;
use muster_bus::service::Credentials;
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use muster_wire::api::{
    AlertState, AlertsList, AlertsListRequest, MessagesReceiveRequest, MessagesReceived, SessionDetail,
    SessionDetailRequest, WAIT_SECONDS_MAX,
};
use muster_wire::limits::PAGE_ROWS_MAX;
use muster_wire::subject::Operation;
use muster_wire::time;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RoleServer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

/// Between two words of progress: well below the silence after which clients give a call up (60 s over HTTP).
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Where a call is made.
pub(crate) struct Call<'a> {
    pub(crate) asker: &'a Asker,
    pub(crate) who: &'a Credentials,
    pub(crate) host: Option<&'a dyn Host>,
    pub(crate) progress: Progress,
}

/// The way back to a client that waits.
pub(crate) struct Progress {
    pub(crate) peer: Peer<RoleServer>,
    /// None when the client does not want to hear.
    pub(crate) token: Option<ProgressToken>,
    pub(crate) cancelled: CancellationToken,
}

impl Call<'_> {
    /// Does what the tool does.
    pub(crate) async fn run(&self, does: Does, arguments: Arguments) -> Result<String, Refused> {
        let answer = match does {
            Does::Operation(operation) => {
                let body = Value::from(arguments).to_string().into_bytes();
                let asked = self.asker.patiently(self.who, operation, body, Duration::ZERO);
                let answer = self.progress.while_waiting(asked).await??;
                return String::from_utf8(answer).map_err(|error| Refused(error.to_string()));
            }
            Does::Receive => return self.receive(arguments.read()?).await,
            Does::SessionList => six::session_list(self.asker, self.who, arguments).await?,
            Does::SessionStatus => six::session_status(self.asker, self.who, arguments).await?,
            Does::SpanTree => self.span_tree(arguments.read()?).await?,
            Does::Ccd(group) => group.run(self.asker, self.who, arguments).await?,
            Does::AlertsCheck => self.alerts_check(&arguments.read()?).await?,
            Does::MemoryProtect => six::memory_protect(arguments)?,
            Does::HookEvent => self.hook_event(arguments.read()?).await?,
            Does::IngestHook => self.ingest_hook(arguments.read()?).await?,
            Does::PermissionPrompt => self.permission_prompt(arguments.read()?).await?,
        };
        Ok(answer.to_string())
    }

    /// `recv`: what waits; where nothing does, it is waited for. Waiting takes nothing, so who is woken asks again.
    async fn receive(&self, mut request: MessagesReceiveRequest) -> Result<String, Refused> {
        let unread = |error: String| Refused(format!("the answer cannot be read: {error}"));
        let wait = Duration::from_secs(request.wait_seconds.unwrap_or(0).min(WAIT_SECONDS_MAX));
        let until = Instant::now() + wait;
        loop {
            let kept = until.saturating_duration_since(Instant::now());
            request.wait_seconds = Some(kept.as_secs());
            let body = json!(request).to_string().into_bytes();
            let asked = self.asker.patiently(self.who, Operation::MessagesReceive, body, kept);
            let answer = self.progress.while_waiting(asked).await??;
            let received: MessagesReceived =
                serde_json::from_slice(&answer).map_err(|error| unread(error.to_string()))?;
            if !received.waiting {
                return String::from_utf8(answer).map_err(|error| unread(error.to_string()));
            }
        }
    }

    fn host(&self, tool: &str) -> Result<&dyn Host, Refused> {
        self.host.ok_or_else(|| {
            Refused(format!(
                "{tool} needs the agent's own host: register `muster mcp` (stdio) instead of this address"
            ))
        })
    }

    /// kaizen's `get_session_span_tree`: the turns without any events.
    async fn span_tree(&self, given: SpanTree) -> Result<Value, Refused> {
        let request = SessionDetailRequest {
            id: given.id,
            host: None,
            after_seq: None,
            limit: Some(0),
        };
        let detail: SessionDetail = self.asker.ask(self.who, Operation::SessionsDetail, &request).await?;
        Ok(json!({"id": detail.session.id, "host": detail.session.host, "turns": detail.turns}))
    }

    /// kaizen's `kaizen_alerts_check`: what stands, and what was cleared in the last days.
    async fn alerts_check(&self, given: &AlertsCheck) -> Result<Value, Refused> {
        let back = Duration::from_hours(24).saturating_mul(given.days.unwrap_or(DAYS));
        let now = time::from_system(SystemTime::now());
        let request = AlertsListRequest {
            state: AlertState::All,
            since: Some(Timestamp::from_millis(
                now.as_millis().saturating_sub_unsigned(millis(back)),
            )),
            limit: Some(PAGE_ROWS_MAX),
            ..AlertsListRequest::default()
        };
        let list: AlertsList = self.asker.ask(self.who, Operation::AlertsList, &request).await?;
        Ok(json!(list))
    }

    /// `hook_event`: `{received, session_id}`. The session need not be known, nor the event's name.
    async fn hook_event(&self, given: HookEvent) -> Result<Value, Refused> {
        let host = self.host("hook_event")?;
        let mut payload = match given.payload {
            Some(Value::Object(members)) => members,
            Some(Value::Null) | None => Map::new(),
            Some(other) => Map::from_iter([("payload".to_owned(), other)]),
        };
        payload.insert("session_id".to_owned(), given.session_id.as_str().into());
        payload.insert("hook_event_name".to_owned(), given.event.as_str().into());
        let hook = Hook {
            agent: NAMING_AGENT.to_owned(),
            payload,
        };
        host.hook(hook).await?;
        Ok(json!({"received": given.event, "session_id": given.session_id}))
    }

    /// kaizen's `kaizen_ingest_hook`: what a hook was given, as its agent wrote it. Ingest says what is wrong with it.
    async fn ingest_hook(&self, given: IngestHook) -> Result<Value, Refused> {
        let host = self.host("kaizen_ingest_hook")?;
        let object = match &given.payload {
            // No JSON is no object either.
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => given.payload,
        };
        let Value::Object(mut payload) = object else {
            return Err(Refused(
                "payload is no JSON object, nor a text that holds one".to_owned(),
            ));
        };
        if let Some(workspace) = given.workspace {
            payload.entry("cwd").or_insert_with(|| workspace.into());
        }
        let hook = Hook {
            agent: given.source,
            payload,
        };
        host.hook(hook).await?;
        Ok(json!({"type": "ack", "message": "taken"}))
    }

    /// Claude Code reads one text block that holds JSON, and takes anything else for a refusal.
    async fn permission_prompt(&self, given: PermissionPrompt) -> Result<Value, Refused> {
        let host = self.host("permission_prompt")?;
        let session = self.who.session.clone().ok_or_else(|| {
            Refused("no session is known; permission_prompt is for `muster mcp` as Claude Code starts it".to_owned())
        })?;
        let ask = Ask {
            session,
            tool_name: given.tool_name,
            input: given.input.clone(),
            tool_use_id: given.tool_use_id,
        };
        let verdict = self.progress.while_waiting(host.permission(ask)).await?;
        Ok(match verdict {
            Ok(Verdict::Allow { updated_input }) => {
                json!({"behavior": "allow", "updatedInput": updated_input.unwrap_or(Value::Object(given.input))})
            }
            Ok(Verdict::Deny { message }) => deny(&message),
            Ok(Verdict::Unanswered) => {
                deny("nobody answered in time, so this was not allowed; an operator can answer with `muster approvals`")
            }
            Err(error) => deny(&format!("nobody could be asked, so this was not allowed: {error}")),
        })
    }
}

fn deny(message: &str) -> Value {
    json!({"behavior": "deny", "message": message})
}

impl Progress {
    /// Waits, and says now and then that it does: clients give silent calls up.
    async fn while_waiting<T>(&self, answer: impl Future<Output = T>) -> Result<T, Refused> {
        let started = Instant::now();
        let mut ticks = interval_at(started + PROGRESS_EVERY, PROGRESS_EVERY);
        tokio::pin!(answer);
        loop {
            tokio::select! {
                answer = &mut answer => return Ok(answer),
                () = self.cancelled.cancelled() => return Err(Refused("the call was cancelled".to_owned())),
                _ = ticks.tick() => self.tell(started.elapsed()).await,
            }
        }
    }

    async fn tell(&self, waited: Duration) {
        let Some(token) = self.token.clone() else {
            return;
        };
        let seconds = waited.as_secs();
        let told = ProgressNotificationParam::new(token, seconds as f64)
            .with_message(format!("waiting for an answer for {seconds} s"));
        if let Err(error) = self.peer.notify_progress(told).await {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "a client cannot be told of progress"
            );
        }
    }
}

impl From<HostError> for Refused {
    fn from(error: HostError) -> Self {
        Self(error.0)
    }
}

/// Whose hooks `hook_event` tells by name.
const NAMING_AGENT: &str = "claude-code";

/// How many days kaizen looks back where nobody says.
const DAYS: u32 = 7;

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertsCheck {
    days: Option<u32>,
}

#[derive(Deserialize)]
struct SpanTree {
    id: SessionId,
}

#[derive(Deserialize)]
struct HookEvent {
    session_id: SessionId,
    event: String,
    #[serde(default)]
    payload: Option<Value>,
}

#[derive(Deserialize)]
struct IngestHook {
    source: String,
    payload: Value,
    #[serde(default)]
    workspace: Option<String>,
}

#[derive(Deserialize)]
struct PermissionPrompt {
    tool_name: String,
    #[serde(default)]
    input: Map<String, Value>,
    #[serde(default)]
    tool_use_id: Option<String>,
}

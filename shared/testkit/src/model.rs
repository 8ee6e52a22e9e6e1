//! A language model that follows a script, so that a real agent does the same thing on every run, free and offline.
//!
//! It answers on loopback as the Messages API does. A conversation is recognized by the text its user began it with,
//! and the place in the script by how many answers the conversation already holds. So nothing is remembered between
//! requests, retries get the same answer, and a subagent, whose conversation begins with a prompt of its own, follows
//! a rule of its own.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use regex::Regex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the model does in the conversations whose first user text matches.
#[derive(Debug)]
pub struct Rule {
    begins_with: Regex,
    steps: Vec<Step>,
}

impl Rule {
    /// The steps are taken in order, one for each answer; after the last the model says that it is done.
    ///
    /// # Panics
    /// When `pattern` is no regular expression.
    #[must_use]
    pub fn new(pattern: &str, steps: impl IntoIterator<Item = Step>) -> Self {
        let begins_with = Regex::new(pattern).expect("a rule has a regular expression");
        Self {
            begins_with,
            steps: steps.into_iter().collect(),
        }
    }
}

/// One answer.
#[derive(Debug)]
pub struct Step {
    content: Content,
    after: Duration,
    refusals: AtomicU32,
    refusal: Refusal,
    quotes: Option<Regex>,
}

/// What stands for a quotation in a tool's input.
pub const QUOTED: &str = "<quoted>";

/// Why a request is refused.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Status(u16),
    TooLong,
}

impl Refusal {
    fn answer(self) -> (StatusCode, String) {
        let (status, kind, message) = match self {
            Self::Status(429) => (429, "rate_limit_error", "refused by script"),
            Self::Status(status) => (status, "overloaded_error", "refused by script"),
            Self::TooLong => (
                400,
                "invalid_request_error",
                "prompt is too long: 208310 tokens > 200000 maximum",
            ),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = json!({ "type": "error", "error": { "type": kind, "message": message } });
        (status, error.to_string())
    }
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Tool { name: String, input: Value },
}

impl Step {
    /// Says something, which ends the turn.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Content::Text(text.to_owned()))
    }

    /// Calls a tool.
    #[must_use]
    pub fn tool(name: &str, input: Value) -> Self {
        Self::new(Content::Tool {
            name: name.to_owned(),
            input,
        })
    }

    /// Thinks for a while first.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        Self { after: pause, ..self }
    }

    /// Fails `times` times with `status` first, for example 529 for an overloaded model.
    #[must_use]
    pub fn refused_first(self, times: u32, status: u16) -> Self {
        Self {
            refusals: AtomicU32::new(times),
            refusal: Refusal::Status(status),
            ..self
        }
    }

    /// Finds the conversation too long for its window first, so often.
    #[must_use]
    pub fn too_long_first(self, times: u32) -> Self {
        Self {
            refusals: AtomicU32::new(times),
            refusal: Refusal::TooLong,
            ..self
        }
    }

    /// Puts what it read last of this pattern, anywhere in the conversation, in the place of [`QUOTED`] in its tool's input.
    ///
    /// # Panics
    /// When `pattern` is no regular expression.
    #[must_use]
    pub fn quoting(self, pattern: &str) -> Self {
        let quotes = Regex::new(pattern).expect("a quotation has a regular expression");
        Self {
            quotes: Some(quotes),
            ..self
        }
    }

    fn content(&self, request: &Value) -> Content {
        let Some(quotes) = &self.quotes else {
            return self.content.clone();
        };
        let read = request["messages"].to_string();
        let quoted = quotes.find_iter(&read).last().map_or("", |found| found.as_str());
        self.content.quoting(quoted)
    }

    fn new(content: Content) -> Self {
        Self {
            content,
            after: Duration::ZERO,
            refusals: AtomicU32::new(0),
            refusal: Refusal::Status(529),
            quotes: None,
        }
    }

    fn refuses(&self) -> bool {
        self.refusals
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// A model on loopback; gone when dropped.
#[derive(Debug)]
pub struct ScriptedModel {
    url: String,
    script: Arc<Script>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct Script {
    rules: Vec<Rule>,
    answers: AtomicU32,
    asked: Mutex<Vec<Value>>,
}

impl ScriptedModel {
    /// Starts a model. The first rule that fits a conversation is used; where none does, the model says that it is done.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(rules: impl IntoIterator<Item = Rule>) -> Self {
        let script = Script {
            rules: rules.into_iter().collect(),
            answers: AtomicU32::new(0),
            asked: Mutex::default(),
        };
        let script = Arc::new(script);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback can be listened on");
        let addr = listener.local_addr().expect("invariant: a bound socket has an address");
        let app = Router::new()
            .route("/v1/messages", post(answer))
            .route(
                "/v1/messages/count_tokens",
                post(async || axum::Json(json!({ "input_tokens": 100 }))),
            )
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&script));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, app)
                .await
                .expect("invariant: axum serves until dropped")
        });
        Self {
            url: format!("http://{addr}"),
            script,
            _server: server,
        }
    }

    /// For `ANTHROPIC_BASE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bodies of all requests for an answer so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Value> {
        self.script.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (status, kind, reply) = script.reply(&request).await;
    script
        .asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request);
    (status, [(header::CONTENT_TYPE, kind)], reply).into_response()
}

impl Script {
    async fn reply(&self, request: &Value) -> (StatusCode, &'static str, String) {
        let done = Step::text("All done.");
        // Requests without tools are the agent's own, for a title and the like.
        let has_tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let step = if has_tools { self.step(request) } else { None }.unwrap_or(&done);
        tokio::time::sleep(step.after).await;
        if step.refuses() {
            let (status, error) = step.refusal.answer();
            return (status, "application/json", error);
        }
        let content = step.content(request);
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        if request["stream"] == true {
            (StatusCode::OK, "text/event-stream", content.as_events(request, number))
        } else {
            (
                StatusCode::OK,
                "application/json",
                content.as_message(request, number).to_string(),
            )
        }
    }

    fn step(&self, request: &Value) -> Option<&Step> {
        let messages = request["messages"].as_array()?;
        let first = text(messages.first()?);
        let rule = self.rules.iter().find(|rule| rule.begins_with.is_match(&first))?;
        let answered = messages.iter().filter(|message| message["role"] == "assistant").count();
        rule.steps.get(answered)
    }
}

/// Text of a message, whose content is a string or a list of blocks.
fn text(message: &Value) -> String {
    match message["content"].as_array() {
        Some(blocks) => blocks
            .iter()
            .filter_map(|block| block["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        None => message["content"].as_str().unwrap_or_default().to_owned(),
    }
}

impl Content {
    fn quoting(&self, quoted: &str) -> Self {
        match self {
            Self::Text(_) => self.clone(),
            Self::Tool { name, input } => {
                let input = input.to_string().replace(QUOTED, quoted);
                Self::Tool {
                    name: name.clone(),
                    input: serde_json::from_str(&input).expect("a quotation needs no escaping"),
                }
            }
        }
    }

    fn stop_reason(&self) -> &'static str {
        match self {
            Self::Text(_) => "end_turn",
            Self::Tool { .. } => "tool_use",
        }
    }

    fn block(&self, number: u32) -> Value {
        match self {
            Self::Text(text) => json!({ "type": "text", "text": text }),
            Self::Tool { name, input } => {
                json!({ "type": "tool_use", "id": format!("toolu_{number:06}"), "name": name, "input": input })
            }
        }
    }

    fn as_message(&self, request: &Value, number: u32) -> Value {
        json!({
            "id": format!("msg_{number:06}"), "type": "message", "role": "assistant", "model": request["model"],
            "content": [self.block(number)], "stop_reason": self.stop_reason(), "stop_sequence": null,
            "usage": {
                "input_tokens": 1200, "output_tokens": 42,
                "cache_read_input_tokens": 800, "cache_creation_input_tokens": 50,
            },
        })
    }

    /// The same message as the stream of events in which it would have been made.
    fn as_events(&self, request: &Value, number: u32) -> String {
        let mut start = self.as_message(request, number);
        start["content"] = json!([]);
        start["stop_reason"] = Value::Null;
        start["usage"]["output_tokens"] = json!(1);
        let mut block = self.block(number);
        let delta = match self {
            Self::Text(text) => {
                block["text"] = json!("");
                json!({ "type": "text_delta", "text": text })
            }
            Self::Tool { input, .. } => {
                block["input"] = json!({});
                json!({ "type": "input_json_delta", "partial_json": input.to_string() })
            }
        };
        let stop = json!({ "stop_reason": self.stop_reason(), "stop_sequence": null });
        let events = [
            json!({ "type": "message_start", "message": start }),
            json!({ "type": "content_block_start", "index": 0, "content_block": block }),
            json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
            json!({ "type": "content_block_stop", "index": 0 }),
            json!({ "type": "message_delta", "delta": stop, "usage": { "output_tokens": 42 } }),
            json!({ "type": "message_stop" }),
        ];
        let frame = |event: &Value| {
            format!(
                "event: {}\ndata: {event}\n\n",
                event["type"].as_str().unwrap_or_default()
            )
        };
        events.iter().map(frame).collect()
    }
}

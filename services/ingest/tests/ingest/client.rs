//! The other end of both surfaces.

use muster_wire::frame::{self, ServerFrame};
use serde_json::{Value, json};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) event_id: Option<String>,
    pub(crate) retry_after: bool,
    pub(crate) kind: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Option<Self> {
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        Some(Self {
            status: response.status().as_u16(),
            event_id: header("muster-event-id"),
            retry_after: header("retry-after").is_some(),
            kind: header("content-type").unwrap_or_default(),
            body: response.text().await.ok()?,
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The name of the problem that it is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        self.json()["type"]
            .as_str()
            .unwrap()
            .trim_start_matches("urn:muster:problem:")
            .to_owned()
    }
}

/// A connection to the socket.
pub(crate) struct Socket(UnixStream);

impl Socket {
    pub(crate) async fn open(path: &Path) -> Self {
        Self(UnixStream::connect(path).await.unwrap())
    }

    pub(crate) async fn greeted(path: &Path) -> Self {
        let mut socket = Self::open(path).await;
        socket
            .say(&json!({"type": "hello", "proto_min": 1, "proto_max": 1, "client": "hook", "token": null}))
            .await;
        assert!(matches!(socket.hear().await, Some(ServerFrame::Hello(_))));
        socket
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn frame(&mut self, body: &[u8]) {
        self.raw(&[&frame::header(body.len()).unwrap(), body].concat()).await;
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.frame(message.to_string().as_bytes()).await;
    }

    async fn body(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; frame::HEADER_BYTES];
        self.0.read_exact(&mut header).await.ok()?;
        let mut body = vec![0; frame::length(header).unwrap()];
        self.0.read_exact(&mut body).await.ok()?;
        Some(body)
    }

    /// The next frame; none when the connection is closed.
    pub(crate) async fn hear(&mut self) -> Option<ServerFrame> {
        Some(ServerFrame::read(&self.body().await?).unwrap())
    }

    /// The code of the error that must come next.
    pub(crate) async fn error(&mut self) -> String {
        match self.hear().await {
            Some(ServerFrame::Error(error)) => error.code,
            other => panic!("not an error: {other:?}"),
        }
    }

    /// Asks as `muster-hook` does; the id of the event.
    pub(crate) async fn hook(&mut self, around: Value, payload: &[u8]) -> String {
        let mut message = json!({"type": "ingest_hook", "agent": "claude-code", "payload_follows": true});
        message
            .as_object_mut()
            .unwrap()
            .extend(around.as_object().unwrap().clone());
        self.say(&message).await;
        self.frame(payload).await;
        let (id, text) = self.answer().await;
        assert_eq!(text, b"");
        id
    }

    /// The answer to a hook, which must come next: the id of its event, and what its agent shall read.
    pub(crate) async fn answer(&mut self) -> (String, Vec<u8>) {
        let answer = match self.hear().await {
            Some(ServerFrame::HookAnswer(answer)) => answer,
            other => panic!("not an answer: {other:?}"),
        };
        assert_eq!(answer.exit_code, 0);
        (answer.event_id.unwrap().to_string(), self.body().await.unwrap())
    }
}

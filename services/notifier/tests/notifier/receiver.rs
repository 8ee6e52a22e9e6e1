//! A receiver of webhooks that answers as it is told to and checks what it gets as the specification says.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use muster_runtime::drain::Drain;
use serde_json::Value;
use sha2::Sha256;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;

const KEY: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// What it does with a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    Status(u16),
    /// Comes back after so many seconds.
    Later(u16, u64),
    /// Elsewhere.
    Redirect,
    /// Never.
    Silence,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) body: Value,
    pub(crate) headers: HeaderMap,
    pub(crate) path: String,
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    replies: VecDeque<Reply>,
}

/// A receiver, and the file that makes a notifier call it.
pub(crate) struct Receiver {
    seen: Arc<Mutex<Seen>>,
    address: SocketAddr,
    folder: TempDir,
    drain: Drain,
}

impl Receiver {
    /// Gives these replies, then 204 for ever.
    pub(crate) async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            replies: replies.iter().copied().collect(),
            ..Seen::default()
        }));
        let router = Router::new().fallback(receive).with_state(Arc::clone(&seen));
        let drain = Drain::new();
        drain.spawn("receiver", async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("secret"),
            format!("whsec_{}\n", STANDARD.encode(KEY)),
        )
        .unwrap();
        Self {
            seen,
            address,
            folder,
            drain,
        }
    }

    /// A configuration file with these webhooks, each at a path of its name, or at another address.
    pub(crate) fn config(&self, webhooks: &[(&str, Option<&str>)]) -> PathBuf {
        let mut text = String::new();
        let secret = self.folder.path().join("secret");
        for (name, elsewhere) in webhooks {
            let here = format!("http://{}/{name}", self.address);
            let url = elsewhere.unwrap_or(&here);
            writeln!(
                text,
                "[[webhooks]]\nname = {name:?}\nurl = {url:?}\nsecret_file = {secret:?}"
            )
            .unwrap();
        }
        let path = self.folder.path().join("notifier.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap().calls.clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.id).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.drain.request();
    }
}

async fn receive(State(seen): State<Arc<Mutex<Seen>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{at}.").as_bytes());
    mac.update(&body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    let call = Call {
        id,
        body: serde_json::from_slice(&body).unwrap(),
        headers: parts.headers,
        path: parts.uri.path().to_owned(),
    };
    let reply = {
        let mut seen = seen.lock().unwrap();
        seen.calls.push(call);
        seen.replies.pop_front().unwrap_or(Reply::Status(204))
    };
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Later(status, secs) => (
            StatusCode::from_u16(status).unwrap(),
            [("retry-after", secs.to_string())],
        )
            .into_response(),
        Reply::Redirect => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

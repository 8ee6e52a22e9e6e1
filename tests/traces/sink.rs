//! A collector that keeps what it is sent; also the webhook at the end of the way.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A span, and the service that it is of.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) service: String,
    span: Span,
}

impl Seen {
    pub(crate) fn name(&self) -> &str {
        &self.span.name
    }

    pub(crate) fn kind(&self) -> SpanKind {
        self.span.kind()
    }

    pub(crate) fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub(crate) fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// As whatever it causes names it.
    pub(crate) fn context(&self) -> String {
        format!("00-{}-{}-01", self.trace(), self.id())
    }

    pub(crate) fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub(crate) fn links(&self) -> Vec<String> {
        self.span.links.iter().map(|link| hex(&link.span_id)).collect()
    }
}

#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Seen>>,
    /// Trace contexts of the calls to the webhook.
    calls: Mutex<Vec<String>>,
}

/// Listens until it is dropped.
pub(crate) struct Sink {
    pub(crate) url: String,
    kept: Arc<Kept>,
    _serving: JoinSet<()>,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = Arc::<Kept>::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .route("/pager", post(ring))
            .with_state(Arc::clone(&kept));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.expect("a server") });
        Self {
            url,
            kept,
            _serving: serving,
        }
    }

    /// What has arrived of a trace.
    pub(crate) fn of(&self, trace: &str) -> Vec<Seen> {
        let spans = self.kept.spans.lock().expect("no panic while it is held");
        spans.iter().filter(|seen| seen.trace() == trace).cloned().collect()
    }

    /// With which trace contexts the webhook was called.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.kept.calls.lock().expect("no panic while it is held").clone()
    }
}

async fn ring(State(kept): State<Arc<Kept>>, headers: HeaderMap) {
    let context = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let mut calls = kept.calls.lock().expect("no panic while it is held");
    calls.extend(context.map(str::to_owned));
}

async fn take(State(kept): State<Arc<Kept>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("an export request");
    for resource in request.resource_spans {
        let attributes = resource
            .resource
            .map(|resource| resource.attributes)
            .unwrap_or_default();
        let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
        let service = name.and_then(|name| name.value?.value).map(text).unwrap_or_default();
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let of_service = spans.map(|span| Seen {
            service: service.clone(),
            span,
        });
        let mut spans = kept.spans.lock().expect("no panic while it is held");
        spans.extend(of_service);
    }
}

fn text(value: any_value::Value) -> String {
    if let any_value::Value::StringValue(text) = value {
        text
    } else {
        format!("{value:?}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! A hook's way through the services is one trace, and a collector that is not there delays nobody.

mod sink;

use muster_bus::read::Start;
use muster_bus::{Bus, Options, migrate};
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_tests::{Service, WITHIN};
use muster_wire::{Envelope, topology};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use sink::{Seen, Sink};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const AGENT: &str = "b7ad6b7169203331";
/// Shorter than an exporter waits for its collector.
const PATIENCE: Duration = Duration::from_secs(2);

struct Stack {
    bus: Bus,
    ingest: Service,
    _orchestrator: Service,
    _notifier: Service,
    _hub: TestServer,
    _root: TempDir,
}

impl Stack {
    /// Services that export to `collector`, and tell `receiver` what was decided.
    async fn start(collector: &str, receiver: &Sink) -> Self {
        let hub = TestServer::start().await;
        let root = tempfile::tempdir().expect("a folder");
        let nats = hub.client_url();
        let bus = Bus::connect(&Options::new(&nats, "traces")).await.expect("the hub");
        migrate::migrate(&bus, &muster_tests::sizing(), migrate::Shrink::Refuse)
            .await
            .expect("the hub is prepared");
        let traced = [
            ("TELEMETRY__OTLP__ENABLED", "true".to_owned()),
            ("TELEMETRY__OTLP__ENDPOINT", collector.to_owned()),
            ("TELEMETRY__OTLP__METRICS", "false".to_owned()),
        ];
        let mut orchestrator = Service::start("muster-orchestrator", "orchestrator", root.path(), &nats, &traced);
        let named = [&traced[..], &[("HOST__NAME", "web-01".to_owned())]].concat();
        let mut ingest = Service::start("muster-ingest", "ingest", root.path(), &nats, &named);
        let secret = root.path().join("pager.secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let url = format!("{}/pager", receiver.url);
        let pager = format!("[{{name=\"pager\",url={url:?},secret_file={secret:?}}}]");
        let called = [&traced[..], &[("WEBHOOKS", pager)]].concat();
        let mut notifier = Service::start("muster-notifier", "notifier", root.path(), &nats, &called);
        orchestrator.ready().await;
        notifier.ready().await;
        ingest.ready().await;
        // What a leader finds when it begins is decided outside of any trace.
        eventually(WITHIN, async || {
            let metrics = reqwest::get(format!("{}/metrics", orchestrator.url())).await;
            let metrics = metrics
                .map_err(|error| error.to_string())?
                .text()
                .await
                .unwrap_or_default();
            let mut gauge = metrics
                .lines()
                .filter(|line| line.starts_with("muster_orchestrator_leading"));
            gauge
                .any(|line| line.ends_with(" 1"))
                .then_some(())
                .ok_or_else(|| "nobody leads".to_owned())
        })
        .await;
        let stack = Self {
            bus,
            ingest,
            _orchestrator: orchestrator,
            _notifier: notifier,
            _hub: hub,
            _root: root,
        };
        // It goes to the hub by itself, and so will what is reported now.
        stack
            .event(|event| event.event_type.to_string() == "host.status.started")
            .await;
        stack
    }

    /// Reports that a session started, as an agent does that is traced itself.
    async fn hook(&self, session: &str) -> reqwest::Result<reqwest::Response> {
        let payload = json!({ "session_id": session, "hook_event_name": "SessionStart", "source": "startup" });
        self.post("/v1/hooks/claude-code", &payload).await
    }

    /// Sends something to ingest from within the agent's span.
    async fn post(&self, path: &str, payload: &Value) -> reqwest::Result<reqwest::Response> {
        reqwest::Client::new()
            .post(format!("{}{path}", self.ingest.url()))
            .header("traceparent", format!("00-{TRACE}-{AGENT}-01"))
            .json(payload)
            .timeout(PATIENCE)
            .send()
            .await?
            .error_for_status()
    }

    /// The next event of the log for which this holds, with the trace context in its header.
    async fn event(&self, wanted: impl Fn(&Envelope) -> bool) -> (Envelope, Option<String>) {
        let mut log = self.bus.read(topology::EVENTS, &[], Start::First);
        let found = async {
            loop {
                let stored = log.next().await.expect("the log");
                let envelope = Envelope::decode(&stored.payload).expect("an event");
                if wanted(&envelope) {
                    return (envelope, stored.traceparent().map(str::to_owned));
                }
            }
        };
        tokio::time::timeout(WITHIN, found).await.expect("an event in time")
    }
}

fn is_of(event: &Envelope, session: &str) -> bool {
    event.session.as_ref().is_some_and(|id| id.as_str() == session)
}

async fn span(sink: &Sink, service: &str, name: &str) -> Seen {
    eventually(WITHIN, async || {
        let seen = sink.of(TRACE);
        let found = seen.iter().find(|seen| seen.service == service && seen.name() == name);
        let names: Vec<_> = seen.iter().map(|seen| (&seen.service, seen.name())).collect();
        found
            .cloned()
            .ok_or_else(|| format!("no {name} of {service} in {names:?}"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_and_what_was_decided_because_of_it_are_one_trace() {
    let sink = Sink::start().await;
    let stack = Stack::start(&sink.url, &sink).await;
    stack.hook("seen").await.expect("the hook is answered");

    let received = span(&sink, "muster-ingest", "receive agent.hook.session_start").await;
    assert_eq!((received.kind(), received.parent().as_str()), (SpanKind::Server, AGENT));
    let published = span(&sink, "muster-ingest", "publish agent.hook.session_start").await;
    assert_eq!(
        (published.kind(), published.parent()),
        (SpanKind::Producer, received.id())
    );
    let processed = span(&sink, "muster-orchestrator", "process agent.hook.session_start").await;
    assert_eq!(
        (processed.kind(), processed.parent()),
        (SpanKind::Consumer, received.id())
    );
    assert_eq!(processed.links(), [received.id()]);

    let delivered = span(&sink, "muster-notifier", "process runtime.status.state_changed").await;
    assert_eq!(
        (delivered.kind(), delivered.parent()),
        (SpanKind::Consumer, processed.id())
    );
    let calls = sink.calls();
    assert!(calls.contains(&delivered.context()), "{calls:?}");

    let (hook, header) = stack
        .event(|event| event.event_type.to_string() == "agent.hook.session_start")
        .await;
    assert_eq!(
        (&hook.traceparent, header),
        (&Some(received.context()), Some(received.context()))
    );
    let (decided, header) = stack.event(|event| event.causation == Some(hook.id)).await;
    assert_eq!(
        (&decided.traceparent, header),
        (&Some(processed.context()), Some(processed.context()))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_of_the_trace_it_names_or_else_of_its_request() {
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";
    let sink = Sink::start().await;
    let stack = Stack::start(&sink.url, &sink).await;
    let note = |session: &str, traceparent: Option<&str>| json!({ "kind": "agent.turn.note", "session": session, "data": {}, "traceparent": traceparent });
    let events = json!([note("plain", None), note("relayed", Some(OTHER))]);
    stack
        .post("/v1/events", &events)
        .await
        .expect("the events are accepted");

    let received = span(&sink, "muster-ingest", "receive events").await;
    assert_eq!((received.kind(), received.parent().as_str()), (SpanKind::Server, AGENT));
    assert_eq!(received.links(), [AGENT, "2222222222222222"]);
    let (_, header) = stack.event(|event| is_of(event, "plain")).await;
    assert_eq!(header, Some(received.context()));
    let (_, header) = stack.event(|event| is_of(event, "relayed")).await;
    assert_eq!(header.as_deref(), Some(OTHER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_delays_no_hook() {
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let collector = format!("http://{}", hole.local_addr().expect("an address"));
    let receiver = Sink::start().await;
    let stack = Stack::start(&collector, &receiver).await;
    stack.hook("unseen").await.expect("the hook is answered");
    let exporting = tokio::time::timeout(WITHIN, hole.accept()).await;
    let _held = exporting.expect("spans are exported").expect("a connection");
    for number in 0..50 {
        let answered = stack.hook(&format!("unseen-{number}")).await;
        assert!(answered.is_ok(), "hook {number}: {answered:?}");
    }
    stack.event(|event| is_of(event, "unseen-49")).await;
}

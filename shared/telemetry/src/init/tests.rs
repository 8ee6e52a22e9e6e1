use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::InMemorySpanExporter;
use tracing::info_span;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::config::{Otlp, Protocol};

fn to_black_hole(listener: &TcpListener) -> Otlp {
    Otlp {
        enabled: true,
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        protocol: Protocol::Http,
        timeout: Duration::from_millis(300),
        ..Otlp::default()
    }
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    // Bound and never accepted: the kernel completes the handshake, and no byte comes back.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let otlp = to_black_hole(&silent);
    let tracer = SdkTracerProvider::builder()
        .with_batch_exporter(export::spans(&otlp).unwrap())
        .build();
    let metrics = Metrics::build(
        "muster-test",
        Resource::builder_empty().build(),
        Some(export::metrics(&otlp).unwrap()),
    );
    metrics.counter("muster_test_total", "anything", &[]).add(1);

    let layer = tracing_opentelemetry::layer().with_tracer(tracer.tracer("test"));
    let started = Instant::now();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for _ in 0..10_000 {
            info_span!("work").in_scope(|| ());
        }
    });
    let per_span = started.elapsed() / 10_000;
    assert!(
        per_span < Duration::from_millis(1),
        "a span took {per_span:?}"
    );

    let started = Instant::now();
    Guard {
        metrics,
        tracer: Some(tracer),
    }
    .shutdown(Duration::from_millis(500));
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "flushing took {:?}",
        started.elapsed()
    );
}

#[test]
fn starting_twice_and_starting_badly_both_work() {
    let bad = Config {
        otlp: Otlp {
            enabled: true,
            endpoint: "not a url".to_owned(),
            ..Otlp::default()
        },
        ..Config::default()
    };
    let first = init(&bad, "muster-test", "0.0.0", "one");
    assert!(first.tracer.is_none());
    let second = init(&Config::default(), "muster-test", "0.0.0", "two");
    first.shutdown(Duration::from_secs(1));
    second.shutdown(Duration::from_secs(1));
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .map_err(|_| io::Error::other("poisoned"))?
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_json_line_names_its_trace_where_there_is_one() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")))
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(lines.clone())
                .json()
                .event_format(WithTrace::new()),
        );
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("outside");
        info_span!("work").in_scope(|| tracing::info!(session.id = "s1", "inside"));
    });

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let parsed: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(parsed[0].get("trace_id").is_none());
    let span = &exporter.get_finished_spans().unwrap()[0];
    assert_eq!(
        parsed[1]["trace_id"],
        span.span_context.trace_id().to_string()
    );
    assert_eq!(
        parsed[1]["span_id"],
        span.span_context.span_id().to_string()
    );
    assert_eq!(parsed[1]["session.id"], "s1");
}

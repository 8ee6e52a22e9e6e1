use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::InMemorySpanExporter;
use tracing::info_span;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::config::{Otlp, Protocol};

fn exporting_to(listener: &TcpListener, protocol: Protocol) -> Otlp {
    Otlp {
        enabled: true,
        endpoint: format!("http://{}", listener.local_addr().unwrap()),
        protocol,
        timeout: Duration::from_millis(300),
        ..Otlp::default()
    }
}

fn guard(otlp: &Otlp) -> Guard {
    let tracer = SdkTracerProvider::builder()
        .with_batch_exporter(export::spans(otlp).unwrap())
        .build();
    let resource = Resource::builder_empty().build();
    let metrics = Metrics::build("muster-test", resource, Some(export::metrics(otlp).unwrap()));
    metrics.counter("muster_test_total", "anything", &[]).add(1);
    Guard {
        metrics,
        tracer: Some(tracer),
    }
}

fn record(guard: &Guard, spans: u32) {
    let tracer = guard.tracer.as_ref().unwrap().tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for _ in 0..spans {
            info_span!("work").in_scope(|| ());
        }
    });
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for protocol in [Protocol::Http, Protocol::Grpc] {
        // Bound and never accepted: the kernel completes the handshake, and no byte comes back.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let guard = runtime.block_on(async { guard(&exporting_to(&silent, protocol)) });

        let started = Instant::now();
        record(&guard, 10_000);
        let per_span = started.elapsed() / 10_000;
        assert!(
            per_span < Duration::from_millis(1),
            "{protocol:?}: a span took {per_span:?}"
        );

        let started = Instant::now();
        guard.shutdown(Duration::from_millis(500));
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{protocol:?}: flushing took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn spans_and_metrics_reach_the_paths_of_the_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = guard(&exporting_to(&collector, Protocol::Http));
    record(&guard, 1);
    let serving = thread::spawn(move || {
        let mut paths: Vec<String> = collector
            .incoming()
            .take(2)
            .map(|stream| answer(stream.unwrap()))
            .collect();
        paths.sort();
        paths
    });
    guard.shutdown(Duration::from_secs(5));
    assert_eq!(
        serving.join().unwrap(),
        ["POST /v1/metrics HTTP/1.1", "POST /v1/traces HTTP/1.1"]
    );
}

/// Takes one request, says it was accepted, and returns its first line.
fn answer(stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push(line.trim().to_owned());
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    reader
        .into_inner()
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
    head.swap_remove(0)
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
    let parsed: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(parsed[0].get("trace_id").is_none());
    let span = &exporter.get_finished_spans().unwrap()[0];
    assert_eq!(parsed[1]["trace_id"], span.span_context.trace_id().to_string());
    assert_eq!(parsed[1]["span_id"], span.span_context.span_id().to_string());
    assert_eq!(parsed[1]["session.id"], "s1");
}

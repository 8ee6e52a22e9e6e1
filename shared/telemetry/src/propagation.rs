//! W3C trace context over carriers of strings: message headers, environment, a stored envelope.
//!
//! The carrier is the caller's, so that no transport is named here. Without OpenTelemetry there is no current context:
//! nothing is injected and following does nothing.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, trace::SpanContext};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// The headers that carry the current span to whoever reads the message.
pub fn current() -> Vec<(&'static str, String)> {
    let mut carrier = Outgoing(Vec::new());
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.0
}

/// The current span as one `traceparent` value, for the envelope.
pub fn traceparent_of_current() -> Option<String> {
    current()
        .into_iter()
        .find_map(|(name, value)| (name == TRACEPARENT).then_some(value))
}

/// Makes `span` the child of the context in the carrier, and links to it.
///
/// For one message handled once, as it arrives. Must be called before the span is entered: a started span keeps its parent.
pub fn follow(span: &Span, get: impl Fn(&str) -> Option<String>) {
    if let Some((context, remote)) = extract(get) {
        // Fails only without OpenTelemetry or for a disabled span, where there is nothing to connect.
        let _ = span.set_parent(context);
        span.add_link(remote);
    }
}

/// Links `span` to the context in the carrier without becoming its child.
///
/// For batches, replays, redeliveries and old messages, where the producer's trace ended long ago.
pub fn link(span: &Span, get: impl Fn(&str) -> Option<String>) {
    if let Some((_, remote)) = extract(get) {
        span.add_link(remote);
    }
}

fn extract(get: impl Fn(&str) -> Option<String>) -> Option<(Context, SpanContext)> {
    let carrier = Incoming {
        traceparent: get(TRACEPARENT)?,
        tracestate: get(TRACESTATE),
    };
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    let remote = context.span().span_context().clone();
    remote.is_valid().then_some((context, remote))
}

struct Outgoing(Vec<(&'static str, String)>);

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        let name = match key {
            TRACEPARENT => TRACEPARENT,
            // The propagator sets it always; an empty header is noise in every stored message.
            TRACESTATE if !value.is_empty() => TRACESTATE,
            _ => return,
        };
        self.0.push((name, value));
    }
}

struct Incoming {
    traceparent: String,
    tracestate: Option<String>,
}

impl Extractor for Incoming {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACEPARENT => Some(&self.traceparent),
            TRACESTATE => self.tracestate.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing::info_span;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::spans;

    fn get<'a>(headers: &'a [(&'static str, String)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.clone())
        }
    }

    #[test]
    fn a_consumer_is_the_child_of_its_producer_and_links_to_it() {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let headers = spans::publish("agent.hook.{kind}").in_scope(current);
            assert_eq!(
                headers.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
                ["traceparent"]
            );

            let consumer = spans::process("agent.hook.{kind}", "orchestrator");
            follow(&consumer, get(&headers));
            consumer.in_scope(|| ());
            let replay = info_span!("replay");
            link(&replay, get(&headers));
            replay.in_scope(|| ());
        });

        let finished = exporter.get_finished_spans().unwrap();
        let named = |name: &str| finished.iter().find(|span| span.name == name).unwrap().clone();
        let producer = named("publish agent.hook.{kind}");
        let consumer = named("process agent.hook.{kind}");
        assert_eq!(consumer.parent_span_id, producer.span_context.span_id());
        assert_eq!(consumer.span_context.trace_id(), producer.span_context.trace_id());
        assert_eq!(
            consumer.links[0].span_context.span_id(),
            producer.span_context.span_id()
        );
        let replay = named("replay");
        assert_ne!(replay.span_context.trace_id(), producer.span_context.trace_id());
        assert_eq!(replay.links[0].span_context.span_id(), producer.span_context.span_id());
    }

    #[test]
    fn without_opentelemetry_nothing_is_carried() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let _entered = info_span!("quiet").entered();
            assert_eq!(current(), []);
            assert_eq!(traceparent_of_current(), None);
            follow(&info_span!("alone"), |_| Some("not a traceparent".to_owned()));
        });
    }
}

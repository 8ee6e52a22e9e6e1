//! A process without OpenTelemetry. Alone in its file: a second subscriber would make every span possible again.

use muster_telemetry::{Config, init, propagation, spans};

#[test]
fn spans_of_messages_cost_nothing_without_opentelemetry() {
    let _guard = init(&Config::default(), "muster-test", "0.0.0", "one");
    let span = spans::publish("agent.hook.{kind}");
    assert!(span.is_disabled());
    assert!(!tracing::info_span!("of a log").is_disabled());
    propagation::follow(&span, |_| {
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())
    });
    assert_eq!(span.in_scope(propagation::current), []);
}

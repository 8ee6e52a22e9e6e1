//! Spans for what crosses the bus, by the messaging conventions.
//!
//! A span is named after the subject's template, never the subject: subjects hold session ids, and a trace store that
//! sees one name per session cannot aggregate. What is not known yet is declared empty, and recorded under its name in
//! [`crate::fields`] when it is; `tracing` ignores the record of an undeclared field.
//!
//! These spans are for traces only. Log lines do not take part in them, so that without OpenTelemetry nobody wants them
//! and they cost one branch per message.

use std::fmt::Display;

use tracing::field::Empty;
use tracing::{Span, info_span};

/// What the filter of the log lines knows these spans by.
pub(crate) const TARGET: &str = "messaging";

/// Answering one request that brings `what`, until it is safe.
pub fn receive(what: impl Display) -> Span {
    info_span!(
        target: TARGET,
        "receive",
        otel.name = format!("receive {what}"),
        otel.kind = "server",
        otel.status_code = Empty,
        otel.status_description = Empty,
        messaging.message.id = Empty,
        messaging.batch.message_count = Empty,
        session.id = Empty,
        host.name = Empty,
        "error.type" = Empty,
    )
}

/// Publishing one message, or one atomic batch, until the acknowledgement.
pub fn publish(template: impl Display) -> Span {
    info_span!(
        target: TARGET,
        "publish",
        otel.name = format!("publish {template}"),
        otel.kind = "producer",
        otel.status_code = Empty,
        otel.status_description = Empty,
        messaging.system = "nats",
        messaging.operation.name = "publish",
        "messaging.operation.type" = "send",
        messaging.destination.template = %template,
        messaging.destination.name = Empty,
        messaging.message.id = Empty,
        messaging.batch.message_count = Empty,
        nats.stream.name = Empty,
        nats.stream.sequence = Empty,
        nats.duplicate = Empty,
        session.id = Empty,
        host.name = Empty,
        "error.type" = Empty,
    )
}

/// Handling one delivery for the durable `consumer`.
pub fn process(template: impl Display, consumer: &str) -> Span {
    info_span!(
        target: TARGET,
        "process",
        otel.name = format!("process {template}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        otel.status_description = Empty,
        messaging.system = "nats",
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.template = %template,
        messaging.consumer.group.name = consumer,
        messaging.destination.name = Empty,
        messaging.message.id = Empty,
        nats.stream.name = Empty,
        nats.stream.sequence = Empty,
        nats.delivery.count = Empty,
        session.id = Empty,
        host.name = Empty,
        "error.type" = Empty,
    )
}

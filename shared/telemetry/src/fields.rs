//! Names of fields on log lines and spans, so that a search finds every line about one thing.
//!
//! Names come from the OpenTelemetry semantic conventions where they have one; `nats.*` are our own, there is no NATS page.

pub const SESSION_ID: &str = "session.id";
pub const HOST_NAME: &str = "host.name";
pub const EVENT_ID: &str = "cloudevents.event_id";
pub const ERROR_TYPE: &str = "error.type";

pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
pub const MESSAGING_DESTINATION: &str = "messaging.destination.name";
pub const MESSAGING_TEMPLATE: &str = "messaging.destination.template";
pub const MESSAGING_CONSUMER: &str = "messaging.consumer.group.name";
pub const MESSAGING_BATCH_SIZE: &str = "messaging.batch.message_count";

pub const NATS_STREAM: &str = "nats.stream.name";
pub const NATS_SEQUENCE: &str = "nats.stream.sequence";
pub const NATS_DELIVERIES: &str = "nats.delivery.count";
pub const NATS_DUPLICATE: &str = "nats.duplicate";

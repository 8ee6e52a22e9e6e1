//! Where an observation enters the trace of its way through muster, and where it leaves this service.
//!
//! The context of the request that brought it is written into the envelope before that is durable: however often it is
//! offered to the hub, it stays in one trace. Without OpenTelemetry the spans are disabled, and the envelope keeps what
//! its reporter said.

use crate::effects::Effects;
use crate::intake::Intake;
use crate::observation::Observation;
use crate::peer::Peer;
use crate::recent::Accepted;
use crate::reject::Reject;
use crate::translate;
use muster_bus::publish::{Outcome, Outgoing};
use muster_telemetry::{fields, propagation, spans};
use tracing::{Instrument as _, Span};

/// Events read and committed together: enough that the sync of one commit is shared by many, few enough that a request of
/// twenty thousand takes no more memory than one of a thousand.
const EVENTS_AT_ONCE: usize = 1024;

/// Makes a hook durable as a span of the trace that its agent is in.
///
/// # Errors
/// Those of [`Intake::accept_one`].
pub(crate) async fn accept_hook(intake: &Intake, mut observation: Observation) -> Result<Accepted, Reject> {
    let span = spans::receive(&observation.event_type);
    if span.is_disabled() {
        return intake.accept_one(observation).await;
    }
    propagation::follow(&span, context(observation.traceparent.as_deref()));
    span.record(fields::HOST_NAME, intake.host().as_str());
    if let Some(session) = &observation.session {
        span.record(fields::SESSION_ID, session.as_str());
    }
    observation.traceparent = span.in_scope(propagation::traceparent_of_current);
    let result = intake.accept_one(observation).instrument(span.clone()).await;
    match &result {
        Ok(accepted) => _ = span.record(fields::MESSAGING_MESSAGE_ID, accepted.id.to_string()),
        Err(reject) => failed(&span, reject.kind(), &reject.to_string()),
    }
    result
}

/// The span of a request that brings `count` events.
pub(crate) fn request(traceparent: Option<String>, count: usize) -> Span {
    let span = spans::receive("events");
    if span.is_disabled() {
        return span;
    }
    propagation::follow(&span, context(traceparent.as_deref()));
    span.record(fields::MESSAGING_BATCH_SIZE, count);
    span
}

/// Who brings events, and where they go.
pub(crate) struct Reporting<'a> {
    pub(crate) intake: &'a Intake,
    pub(crate) effects: &'a Effects,
    /// Nothing where nobody says which process it is.
    pub(crate) by: Option<Peer>,
}

/// Makes a request's events durable within its `span`, and answers each in its place.
pub(crate) async fn accept_texts(from: &Reporting<'_>, span: &Span, texts: &[&str]) -> Vec<Result<Accepted, Reject>> {
    let mut results = Vec::with_capacity(texts.len());
    for texts in texts.chunks(EVENTS_AT_ONCE) {
        let mut events = Vec::with_capacity(texts.len());
        for text in texts {
            events.push(from.read(text).await);
        }
        results.extend(accept_events(from.intake, span, events).await);
    }
    results
}

impl Reporting<'_> {
    async fn read(&self, text: &str) -> Result<Observation, Reject> {
        let event = translate::read(text)?;
        self.effects.may_tell(&event, self.by).await?;
        Ok(event)
    }
}

async fn accept_events(
    intake: &Intake,
    span: &Span,
    mut items: Vec<Result<Observation, Reject>>,
) -> Vec<Result<Accepted, Reject>> {
    if !span.is_disabled() {
        let own = span.in_scope(propagation::traceparent_of_current);
        for observation in items.iter_mut().flatten() {
            match observation.traceparent.as_deref() {
                // Whoever relays for others knows whose story an event belongs to.
                Some(theirs) => propagation::link(span, context(Some(theirs))),
                None => observation.traceparent.clone_from(&own),
            }
        }
    }
    intake.accept(items).instrument(span.clone()).await
}

/// The span of publishing `messages` to `stream`: of the trace of a message alone, and linked to those of many.
pub(crate) fn publish(stream: &'static str, messages: &[Outgoing]) -> Span {
    let span = match messages {
        [message] => spans::publish(&message.subject.event_type),
        _ => spans::publish(stream),
    };
    if span.is_disabled() {
        return span;
    }
    span.record(fields::NATS_STREAM, stream);
    if let [message] = messages {
        propagation::follow(&span, context(message.traceparent.as_deref()));
        span.record(fields::MESSAGING_MESSAGE_ID, message.id.to_string());
    } else {
        for message in messages {
            propagation::link(&span, context(message.traceparent.as_deref()));
        }
        span.record(fields::MESSAGING_BATCH_SIZE, messages.len());
    }
    span
}

/// Ends the span with what became of the messages.
pub(crate) fn published(span: Span, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    if let Some(seq) = outcome.last_seq {
        span.record(fields::NATS_SEQUENCE, seq);
    }
    span.record(fields::NATS_DUPLICATE, outcome.duplicates > 0);
    if let Some(stopped) = &outcome.stopped {
        failed(&span, "not-stored", &stopped.to_string());
    }
}

fn failed(span: &Span, kind: &str, why: &str) {
    span.record(fields::ERROR_TYPE, kind);
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why);
}

fn context(traceparent: Option<&str>) -> impl Fn(&str) -> Option<String> {
    move |name| traceparent.filter(|_| name == "traceparent").map(str::to_owned)
}

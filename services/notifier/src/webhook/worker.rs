//! One endpoint's worker: one call at a time, what is due first.

use super::endpoint::Endpoint;
use super::notice::{Notices, Said, Unsaid};
use super::now;
use super::outcome::{Answer, Outcome, Schedule};
use super::record::{Record, State};
use super::send::{self, Caller};
use crate::config::Delivery as Config;
use axum::http::HeaderValue;
use bytes::Bytes;
use muster_bus::Bus;
use muster_bus::kv::{Bucket, KvError};
use muster_domain::family::DeliveryKind;
use muster_domain::ids::EventId;
use muster_domain::time::Timestamp;
use muster_runtime::drain::Drain;
use muster_telemetry::{fields, propagation, spans};
use muster_wire::Envelope;
use muster_wire::topology::{LEDGER, NOTIFIER};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// What a claim lasts beyond twice the call: saying what became of it, and clocks that differ. A claim that lapses early
/// repeats a call, one that lapses late delays it after a crash.
const CLAIM_SLACK: Duration = Duration::from_secs(5);
/// Pause while the ledger cannot be used.
const LEDGER_RETRY: Duration = Duration::from_secs(1);
/// What a drain leaves a call that is under way: below `shutdown.grace`, and most receivers answer within it.
const DRAIN_PATIENCE: Duration = Duration::from_secs(4);

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Delivered,
    RetryAt(Timestamp),
    Parked,
    /// The endpoint wants nothing more.
    Gone,
    /// Somebody else works on it, or has.
    Taken,
    /// Nothing is due before then.
    Idle(Option<Timestamp>),
}

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Ledger(#[from] KvError),
    #[error("the service drains")]
    Draining,
}

impl From<Unsaid> for StepError {
    fn from(_: Unsaid) -> Self {
        Self::Draining
    }
}

/// Empties one endpoint's queue.
pub(crate) struct Worker {
    endpoint: Arc<Endpoint>,
    ledger: Bucket,
    notices: Notices,
    caller: Caller,
    schedule: Schedule,
    claim: Duration,
    delivered_for: Duration,
    parked_for: Duration,
    /// The receiver asked to be left alone until then.
    rest_until: Timestamp,
    drain: Drain,
}

impl Worker {
    pub(crate) fn new(
        bus: &Bus,
        endpoint: &Arc<Endpoint>,
        notices: Notices,
        caller: Caller,
        config: &Config,
        drain: Drain,
    ) -> Self {
        Self {
            endpoint: Arc::clone(endpoint),
            ledger: bus.bucket(&LEDGER),
            notices,
            caller,
            schedule: Schedule::new(config),
            claim: config.timeout.get() * 2 + CLAIM_SLACK,
            delivered_for: config.delivered_for.get(),
            parked_for: config.parked_for.get(),
            rest_until: Timestamp::default(),
            drain,
        }
    }

    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        while !self.drain.is_requested() {
            let pause = match self.deliver_next().await {
                Ok(Step::Idle(until)) => until.map(|until| until.since(now())),
                Ok(step) => {
                    tracing::debug!(webhook = self.endpoint.name, ?step, "delivery");
                    continue;
                }
                Err(StepError::Draining) => return Ok(()),
                Err(StepError::Ledger(error)) => {
                    tracing::warn!(webhook = self.endpoint.name, %error, "the ledger cannot be used now");
                    Some(LEDGER_RETRY)
                }
            };
            tokio::select! {
                () = self.drain.requested() => {}
                () = self.endpoint.changed.notified() => {}
                () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)) => {}
            }
        }
        Ok(())
    }

    /// Makes the next call that is due, if any, and sees it through.
    ///
    /// # Errors
    /// [`StepError`]: nothing was claimed, or the claim lapses by itself.
    pub(crate) async fn deliver_next(&mut self) -> Result<Step, StepError> {
        let first = self.endpoint.queue().first();
        let Some((due, event)) = first.filter(|_| !self.endpoint.is_gone()) else {
            return Ok(Step::Idle(None));
        };
        let now = now();
        if due.max(self.rest_until) > now {
            return Ok(Step::Idle(Some(due.max(self.rest_until))));
        }
        let Some((record, revision, envelope)) = self.take(event, now).await? else {
            return Ok(Step::Taken);
        };
        let span = spans::process(&envelope.event_type, NOTIFIER.name);
        let parent = |name: &str| (name == "traceparent").then(|| record.traceparent.clone())?;
        // A retry is another story than the one it belongs to: it happens when that one is long over.
        if record.attempt == 1 {
            propagation::follow(&span, parent)
        } else {
            propagation::link(&span, parent)
        }
        span.record(fields::MESSAGING_MESSAGE_ID, envelope.id.to_string());
        span.record(fields::NATS_SEQUENCE, record.seq);
        self.see_through(record, revision, &envelope).instrument(span).await
    }

    /// Claims a record; `None` when it is not to be had.
    async fn take(&self, event: EventId, now: Timestamp) -> Result<Option<(Record, u64, Envelope)>, StepError> {
        let key = self.endpoint.ledger_key(event);
        let Some((bytes, revision)) = self.ledger.get(&key).await? else {
            self.endpoint.dequeue(event);
            return Ok(None);
        };
        let readable = Record::read(&bytes).ok().filter(|record| record.state == State::Open);
        let readable = readable.and_then(|record| {
            let envelope = Envelope::decode(record.event.as_ref()?.get().as_bytes()).ok()?;
            Some((record, envelope))
        });
        let Some((record, envelope)) = readable else {
            self.endpoint.dequeue(event);
            return Ok(None);
        };
        if record.due > now {
            self.endpoint.enqueue(event, record.due, record.seq);
            return Ok(None);
        }
        let record = record.claimed(now.after(self.claim));
        // Until the claim is known to be ours or somebody else's, it is looked at again soon.
        self.endpoint.enqueue(event, now.after(LEDGER_RETRY), record.seq);
        match self.ledger.update(&key, record.to_bytes(), revision).await {
            Ok(revision) => Ok(Some((record, revision, envelope))),
            Err(KvError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn see_through(&mut self, record: Record, revision: u64, envelope: &Envelope) -> Result<Step, StepError> {
        let answer = self.call(&record, envelope).await;
        let now = now();
        let outcome = self.schedule.judge(record.attempt, &answer, rand::random());
        let (status, error) = match answer {
            Answer::Status { status, retry_after } => {
                if let (Outcome::RetryIn(_), Some(asked)) = (&outcome, retry_after) {
                    self.rest_until = now.after(asked);
                }
                (Some(status), None)
            }
            Answer::Nothing { error } => (None, Some(error)),
        };
        let mut said = Said {
            attempt: record.attempt,
            status,
            error,
            next_at: None,
        };
        let (kind, step) = match outcome {
            Outcome::Delivered => (DeliveryKind::Delivered, Step::Delivered),
            Outcome::RetryIn(pause) => {
                said.next_at = Some(now.after(pause));
                (DeliveryKind::Failed, Step::RetryAt(now.after(pause)))
            }
            Outcome::Park(reason) => {
                said.error = Some(reason);
                (DeliveryKind::Parked, Step::Parked)
            }
            Outcome::Gone => {
                self.endpoint.set_gone();
                said.error = Some("the receiver wants nothing more; it is called again after a restart".to_owned());
                (DeliveryKind::Parked, Step::Gone)
            }
        };
        let reason = said.error.clone();
        // First the log, then the ledger: what is closed there is never looked at again.
        self.notices.say(kind, envelope, record.seq, said, now).await?;
        self.close(record, revision, envelope.id, step, reason).await?;
        Ok(step)
    }

    async fn call(&self, record: &Record, envelope: &Envelope) -> Answer {
        let body = record
            .event
            .as_ref()
            .map(|event| Bytes::copy_from_slice(event.get().as_bytes()));
        let body = body.unwrap_or_default();
        let id = envelope.id.to_string();
        let at = now();
        let seconds = at.as_millis().div_euclid(1000);
        let signature = self.endpoint.key.sign(&id, seconds, &body);
        let Some(mut headers) = send::headers(&id, seconds, &signature) else {
            return Answer::Nothing {
                error: "the request cannot be written".to_owned(),
            };
        };
        let mut context = propagation::current();
        if context.is_empty() {
            // Nobody traces here, but whoever reported the event may, and so may the receiver.
            context.extend(record.traceparent.clone().map(|value| ("traceparent", value)));
        }
        for (name, value) in context {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        let request = send::request(&self.endpoint.url, headers, body);
        let drained = async {
            self.drain.requested().await;
            tokio::time::sleep(DRAIN_PATIENCE).await;
        };
        tokio::select! {
            answer = self.caller.call(request, at) => answer,
            () = drained => Answer::Nothing { error: "no answer before the notifier was stopped".to_owned() },
        }
    }

    /// Writes down what became of it, however long the hub is away.
    async fn close(
        &self,
        record: Record,
        revision: u64,
        event: EventId,
        step: Step,
        reason: Option<String>,
    ) -> Result<(), StepError> {
        let seq = record.seq;
        let (record, ttl) = match step {
            Step::RetryAt(due) => (Record { due, ..record }, None),
            Step::Delivered => (
                Record {
                    state: State::Delivered,
                    event: None,
                    ..record
                },
                Some(self.delivered_for),
            ),
            Step::Parked | Step::Gone | Step::Taken | Step::Idle(_) => (
                Record {
                    state: State::Parked,
                    reason,
                    ..record
                },
                Some(self.parked_for),
            ),
        };
        let (key, bytes) = (self.endpoint.ledger_key(event), record.to_bytes());
        loop {
            let written = match ttl {
                None => self.ledger.update(&key, bytes.clone(), revision).await,
                Some(ttl) => self.ledger.put_with_ttl(&key, bytes.clone(), ttl, Some(revision)).await,
            };
            match written {
                // A conflict is our own write that went unanswered, or somebody who took over a claim that had lapsed.
                Ok(_) | Err(KvError::Conflict { .. }) => break,
                Err(KvError::Refused(refusal)) => return Err(KvError::Refused(refusal).into()),
                Err(error) => tracing::debug!(%error, "the ledger cannot be written yet"),
            }
            tokio::select! {
                () = self.drain.requested() => return Err(StepError::Draining),
                () = tokio::time::sleep(LEDGER_RETRY) => {}
            }
        }
        match step {
            Step::RetryAt(due) => self.endpoint.enqueue(event, due, seq),
            Step::Delivered | Step::Parked | Step::Gone | Step::Taken | Step::Idle(_) => self.endpoint.dequeue(event),
        }
        Ok(())
    }
}

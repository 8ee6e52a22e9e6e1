//! One message or one atomic batch (ADR-50) on the wire, plain or fenced.
//!
//! A batch is ordinary messages that share an id and count themselves; only the last is a request, and its answer speaks
//! for all. What happens to the others is not said: one that the hub drops shows as a batch that is incomplete.

use crate::ask::{Failed, Refusal, Unanswered, trouble};
use crate::connect::{ANSWER_WITHIN, Bus};
use crate::publish::Outgoing;
use async_nats::header::{self, HeaderName, HeaderValue};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::{HeaderMap, client::PublishErrorKind};
use muster_telemetry::propagation;
use muster_wire::envelope::CONTENT_TYPE;

const CONTENT_TYPE_HEADER: HeaderName = HeaderName::from_static("content-type");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const FENCE_SUBJECT: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

/// What a write depends on: that `subject` was last written at `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) subject: String,
    pub(crate) seq: u64,
}

/// Publishes one message and waits for its acknowledgement.
pub(crate) async fn one(
    bus: &Bus,
    stream: &str,
    message: &Outgoing,
    fence: Option<&Fence>,
) -> Result<PublishAck, Failed> {
    let ack = bus
        .store(
            message.subject.to_string(),
            headers(message, fence),
            message.payload.clone(),
        )
        .await?;
    expect_stream(&ack, stream)?;
    Ok(ack)
}

/// Publishes all or none, and waits for the one acknowledgement of all.
pub(crate) async fn batch(
    bus: &Bus,
    stream: &str,
    messages: &[Outgoing],
    fence: Option<&Fence>,
) -> Result<PublishAck, Failed> {
    let Some((last, rest)) = messages.split_last() else {
        return Err(Unanswered::Unexpected("a batch of nothing".to_owned()).into());
    };
    let id = format!("{:032x}", rand::random::<u128>());
    let in_batch = |index: usize, message: &Outgoing| {
        let mut headers = headers(message, fence);
        headers.insert(header::NATS_BATCH_ID, id.as_str());
        headers.insert(header::NATS_BATCH_SEQUENCE, HeaderValue::from(index + 1));
        headers
    };
    let mut watched = bus.state();
    let before = watched.borrow_and_update().clone();
    if !before.connected {
        return Err(crate::ask::Away::Disconnected.into());
    }
    let sending = async {
        for (index, message) in rest.iter().enumerate() {
            bus.client
                .publish_with_headers(
                    message.subject.to_string(),
                    in_batch(index, message),
                    message.payload.clone(),
                )
                .await
                .map_err(|error| unsent(&error))?;
        }
        Ok::<(), Failed>(())
    };
    // The client's queue is bounded and is not emptied while there is no connection.
    tokio::select! {
        biased;
        sent = sending => sent?,
        failed = trouble(&mut watched, &before, "Publish to") => return Err(failed),
        () = tokio::time::sleep(ANSWER_WITHIN) => {
            return Err(Unanswered::TimedOut { waited: ANSWER_WITHIN }.into());
        }
    }
    let mut commit = in_batch(rest.len(), last);
    commit.insert(header::NATS_BATCH_COMMIT, header::NATS_BATCH_COMMIT_FINAL);
    let ack = bus
        .store(last.subject.to_string(), commit, last.payload.clone())
        .await?;
    expect_stream(&ack, stream)?;
    if ack.batch_id.as_deref() != Some(&id) || ack.batch_size != Some(messages.len() as u64) {
        return Err(Unanswered::Unexpected(format!(
            "a batch of {} was acknowledged as {:?} of {:?}",
            messages.len(),
            ack.batch_size,
            ack.batch_id
        ))
        .into());
    }
    Ok(ack)
}

/// Whether messages that were refused as a batch may each be taken alone.
pub(crate) fn only_as_batch(failed: &Failed) -> bool {
    let code = failed.code().map(ErrorCode);
    [
        ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE,
        ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT,
        ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH,
        ErrorCode::ATOMIC_PUBLISH_TOO_LARGE_BATCH,
        ErrorCode::ATOMIC_PUBLISH_DISABLED,
        ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT,
    ]
    .into_iter()
    .any(|batch_only| code == Some(batch_only))
        // Which message it was, only publishing them one by one tells.
        || matches!(failed, Failed::Refused(_)) && !is_fenced(failed)
}

/// Whether somebody else wrote what this write depended on.
pub(crate) fn is_fenced(failed: &Failed) -> bool {
    failed.code().map(ErrorCode) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE)
}

fn headers(message: &Outgoing, fence: Option<&Fence>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, message.id.to_string());
    headers.insert(CONTENT_TYPE_HEADER, CONTENT_TYPE);
    match &message.traceparent {
        Some(traceparent) => headers.insert(TRACEPARENT, traceparent.as_str()),
        None => {
            for (name, value) in propagation::current() {
                headers.insert(name, value);
            }
        }
    }
    if let Some(fence) = fence {
        headers.insert(
            header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            HeaderValue::from(fence.seq),
        );
        headers.insert(FENCE_SUBJECT, fence.subject.as_str());
    }
    headers
}

fn expect_stream(ack: &PublishAck, stream: &str) -> Result<(), Failed> {
    if ack.stream == stream {
        return Ok(());
    }
    Err(Unanswered::Unexpected(format!("stored in stream {} instead of {stream}", ack.stream)).into())
}

fn unsent(error: &async_nats::PublishError) -> Failed {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Refusal::TooLarge(error.to_string()).into(),
        PublishErrorKind::InvalidSubject => Refusal::Rejected {
            code: 400,
            text: error.to_string(),
        }
        .into(),
        PublishErrorKind::Send => Unanswered::Disconnected.into(),
    }
}

//! One question to the hub and its answer, with every way it can fail told apart.
//!
//! The client's own timeouts know only "no answer". The difference between *was never sent*, *may have happened* and
//! *was refused* decides everything that follows, so all publishing goes through here.

use crate::connect::{ANSWER_WITHIN, Bus, ConnectionState};
use async_nats::client::{Request, RequestErrorKind};
use async_nats::jetstream::{ErrorCode, publish::PublishAck, response::Response};
use async_nats::{HeaderMap, Message, RequestError};
use bytes::Bytes;
use std::time::Duration;

/// Why an answer is missing although the question was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The connection went away while waiting.
    #[error("the connection was lost while waiting for the answer")]
    Disconnected,
    /// Silence.
    #[error("no answer within {waited:?}")]
    TimedOut {
        /// For how long it was waited.
        waited: Duration,
    },
    /// Something else than what was asked for came back.
    #[error("the hub's answer is not understood: {0}")]
    Unexpected(String),
}

/// Why nothing was sent, or nothing of what was sent took effect; trying later may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// There is no connection.
    #[error("the hub is not connected")]
    Disconnected,
    /// Nobody listens there: JetStream is not ready, or the stream does not exist.
    #[error("nothing at the hub takes this; was `muster migrate` run?")]
    NoResponders,
    /// The hub cannot do it now.
    #[error("the hub cannot take it now: {text} ({code})")]
    Busy {
        /// JetStream's error number.
        code: u64,
        /// Its words.
        text: String,
    },
}

impl Away {
    /// Whether another write that depends on the same subject is on its way through the cluster. Which of the two wins is
    /// open, and asking again tells.
    pub(crate) fn is_contention(&self) -> bool {
        matches!(self, Self::Busy { code, .. } if *code == ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT.0)
    }
}

/// Why the hub will never take this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than the hub's `max_payload`.
    #[error("message is too large for the hub: {0}")]
    TooLarge(String),
    /// Our identity may not do it.
    #[error("the hub forbids it to whoever has our credentials, or none: {0}")]
    Forbidden(String),
    /// JetStream refused it.
    #[error("the hub refused it: {text} ({code})")]
    Rejected {
        /// JetStream's error number.
        code: u64,
        /// Its words.
        text: String,
    },
}

/// How one question failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Failed {
    /// JetStream's error number, where it gave one.
    pub(crate) const fn code(&self) -> Option<u64> {
        match self {
            Self::Away(Away::Busy { code, .. }) | Self::Refused(Refusal::Rejected { code, .. }) => Some(*code),
            Self::Away(_) | Self::Unanswered(_) | Self::Refused(_) => None,
        }
    }
}

impl Bus {
    /// Publishes to a stream and waits for its acknowledgement.
    pub(crate) async fn store(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<PublishAck, Failed> {
        let answer = self.ask(subject, Some(headers), payload, ANSWER_WITHIN).await?;
        match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
            Ok(Response::Ok(ack)) => Ok(ack),
            Ok(Response::Err { error }) => Err(refused(&error)),
            Err(error) => Err(Unanswered::Unexpected(error.to_string()).into()),
        }
    }

    /// Waits until the hub has worked off what was sent before: whatever it says about a subject that nobody can know, it
    /// says in order. A flush would only say that it left our socket.
    pub(crate) async fn settle(&self) {
        let nobody = self.client.new_inbox();
        let _ = self.ask(nobody, None, Bytes::new(), ANSWER_WITHIN).await;
    }

    /// Sends a request and waits for the answer, the loss of the connection, a refusal by permission, or the end of patience.
    pub(crate) async fn ask(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        patience: Duration,
    ) -> Result<Message, Failed> {
        let mut watched = self.state.clone();
        let before = watched.borrow_and_update().clone();
        if !before.connected {
            return Err(Away::Disconnected.into());
        }
        let mut request = Request::new().payload(payload).timeout(Some(patience));
        if let Some(headers) = headers {
            request = request.headers(headers);
        }
        let forbidden = format!("Publish to \"{subject}\"");
        let answer = self.client.send_request(subject, request);
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|error| unanswered(&error, patience)),
            failed = trouble(&mut watched, &before, &forbidden) => Err(failed),
        }
    }
}

impl Bus {
    /// Waits for what the client library asks for at subjects that begin with `api`; ends at once when the connection is lost,
    /// or the hub forbids the question.
    pub(crate) async fn permitted<T>(&self, api: &str, asking: impl Future<Output = T>) -> Result<T, Failed> {
        let mut watched = self.state.clone();
        let before = watched.borrow_and_update().clone();
        let forbidden = format!("Publish to \"{api}");
        tokio::select! {
            biased;
            answer = asking => Ok(answer),
            failed = trouble(&mut watched, &before, &forbidden) => Err(failed),
        }
    }
}

/// Resolves when the connection is lost, or when the hub complains about `forbidden`.
pub(crate) async fn trouble(
    watched: &mut tokio::sync::watch::Receiver<ConnectionState>,
    before: &ConnectionState,
    forbidden: &str,
) -> Failed {
    loop {
        let now = watched.borrow_and_update().clone();
        if now.losses != before.losses {
            return Unanswered::Disconnected.into();
        }
        if now.errors != before.errors
            && let Some(error) = now.last_error.filter(|error| error.contains(forbidden))
        {
            return Refusal::Forbidden(error.as_ref().to_owned()).into();
        }
        if watched.changed().await.is_err() {
            return Unanswered::Disconnected.into();
        }
    }
}

fn unanswered(error: &RequestError, waited: Duration) -> Failed {
    match error.kind() {
        RequestErrorKind::TimedOut => Unanswered::TimedOut { waited }.into(),
        RequestErrorKind::NoResponders => Away::NoResponders.into(),
        RequestErrorKind::MaxPayloadExceeded => Refusal::TooLarge(error.to_string()).into(),
        RequestErrorKind::InvalidSubject => Refusal::Rejected {
            code: 400,
            text: error.to_string(),
        }
        .into(),
        RequestErrorKind::Other => Unanswered::Disconnected.into(),
    }
}

/// JetStream's numbers follow HTTP: what is in the 400s is wrong with the message, the rest with the moment. One is
/// misfiled: see [`Away::is_contention`].
pub(crate) fn refused(error: &async_nats::jetstream::Error) -> Failed {
    let code = error.error_code().0;
    let text = error.to_string();
    let busy = Away::Busy { code, text };
    match error.code() {
        429 => busy.into(),
        _ if busy.is_contention() => busy.into(),
        400..500 => Refusal::Rejected {
            code,
            text: error.to_string(),
        }
        .into(),
        _ => busy.into(),
    }
}

//! Questions to the leader, and their answers: a NATS micro service (ADR-32).
//!
//! Only the leader serves; a standby is not subscribed, so a question can never reach one. Stopping takes the
//! subscriptions away and nothing else, so that the same connection goes on. What is asked while nobody leads fails at
//! once, because the hub says that nobody listens.

use crate::ask::{Away, Failed, Refusal, Unanswered};
use crate::connect::Bus;
use crate::operator::{self, Key};
use async_nats::service::{self, Service, ServiceExt, endpoint::Endpoint};
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::stream::{SelectAll, select_all};
use futures_util::{FutureExt, StreamExt};
use muster_domain::names::SessionId;
use muster_telemetry::propagation;
use muster_wire::api::{self, ApiError, ErrorKind};
use muster_wire::subject::Operation;
use muster_wire::{Request, token};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The service's name, as tools that list services see it.
pub const NAME: &str = "orchestrator";
/// The session on whose behalf is asked; encoded as in subjects.
const SESSION: &str = "Muster-Session";
const ERROR: &str = "Nats-Service-Error";
const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// Room for what stands around an answer: the hub counts headers as well.
const HEADERS_BYTES: usize = 1024;

/// Why questions cannot be served or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot serve requests: {0}")]
pub struct ServeError(String);

/// A question that was answered with no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({code})")]
pub struct Failure {
    /// A number as in HTTP.
    pub code: u16,
    /// One line for people.
    pub text: String,
    /// The whole answer for programs.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody leads at the moment.
    #[error("no orchestrator answers; is one running, and is its hub this one?")]
    NoOrchestrator,
    /// Somebody was asked and did not answer; what was asked may have been done.
    #[error("the orchestrator did not answer: {0}")]
    Unanswered(Unanswered),
    /// The question was not sent.
    #[error(transparent)]
    Away(Away),
    /// The question is not allowed, or too large.
    #[error(transparent)]
    Refused(Refusal),
    /// The answer is no.
    #[error(transparent)]
    Failed(Failure),
}

/// The service while it runs.
pub struct Serving {
    bus: Bus,
    service: Service,
    questions: SelectAll<Endpoint>,
    places: Arc<Semaphore>,
    place: Option<OwnedSemaphorePermit>,
}

/// Starts to serve. At most `at_once` questions are held unanswered; more wait at the connection.
///
/// # Errors
/// [`ServeError`] when the hub cannot be told, or the version is no semantic version.
pub async fn serve(bus: &Bus, version: &str, operations: &[Operation], at_once: usize) -> Result<Serving, ServeError> {
    let failed = |error: async_nats::Error| ServeError(error.to_string());
    let service = bus
        .client
        .service_builder()
        .description("knows the state of every session, and decides")
        // A group of its own: shared, a leader that was paused would still be handed its share of the questions until its
        // connection is given up. So both get them, and the one that is alive answers.
        .queue_group(bus.client.new_inbox().replace('.', "-"))
        .start(NAME, version)
        .await
        .map_err(failed)?;
    let mut endpoints = Vec::with_capacity(operations.len());
    for operation in operations {
        let (noun, verb) = operation.tokens();
        let endpoint = service
            .endpoint_builder()
            .name(format!("{noun}-{verb}"))
            .add(Request::endpoint(*operation))
            .await
            .map_err(failed)?;
        endpoints.push(endpoint);
    }
    bus.settle().await;
    Ok(Serving {
        bus: bus.clone(),
        service,
        questions: select_all(endpoints),
        places: Arc::new(Semaphore::new(at_once.max(1))),
        place: None,
    })
}

impl Serving {
    /// The next question, once fewer than the limit are unanswered; `None` when the connection is closed for good. May be
    /// dropped and called again.
    pub async fn next(&mut self) -> Option<Incoming> {
        loop {
            if self.place.is_none() {
                self.place = Some(self.places.clone().acquire_owned().await.ok()?);
            }
            let question = self.questions.next().await?;
            if !is_answerable(&question) {
                continue;
            }
            let Some(request) = Request::parse(&question.message.subject) else {
                let error = service::error::Error {
                    status: "the caller's name is no subject token".to_owned(),
                    code: 400,
                };
                let _ = question.respond(Err(error)).await;
                continue;
            };
            return Some(Incoming {
                request,
                question,
                answer_bytes_max: self.bus.client.max_payload().saturating_sub(HEADERS_BYTES),
                place: Some(self.place.take()?),
            });
        }
    }

    /// Stops to serve. Questions taken can still be answered; those that wait are told to ask again.
    ///
    /// # Errors
    /// [`ServeError`] when the hub could not be told; it forgets us with the connection.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        for endpoint in self.questions.iter_mut() {
            endpoint.stop().await.map_err(|error| ServeError(error.to_string()))?;
        }
        self.bus.settle().await;
        while let Some(Some(question)) = self.questions.next().now_or_never() {
            if !is_answerable(&question) {
                continue;
            }
            let error = service::error::Error {
                status: "this orchestrator no longer leads; ask again".to_owned(),
                code: 503,
            };
            let _ = question.respond(Err(error)).await;
        }
        self.service.stop().await.map_err(|error| ServeError(error.to_string()))
    }
}

/// Whether the answer would go to an inbox, or come back from another account (`_R_`) or cluster (`_GR_`). The hub does not
/// check whether an asker may publish where it wants its answer: with our rights, the answer to a question could purge
/// a stream (`$JS.API.STREAM.PURGE.EVENTS`) or overwrite what hosts enforce (`$KV.edge.policy`).
fn is_answerable(question: &service::Request) -> bool {
    let reply = question.message.reply.as_deref();
    let answerable = reply.is_none_or(|reply| reply.starts_with('_'));
    if !answerable {
        tracing::warn!(
            subject = %question.message.subject,
            reply,
            "refused a request whose answer was to go elsewhere than to an inbox"
        );
    }
    answerable
}

/// One question. Dropped without an answer, it runs into its asker's timeout.
pub struct Incoming {
    request: Request,
    question: service::Request,
    /// Bytes of an answer that the hub takes.
    answer_bytes_max: usize,
    /// None for one who waits for something that is not being worked on.
    place: Option<OwnedSemaphorePermit>,
}

impl Incoming {
    /// What is asked, and who asks: the hub has checked the caller.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The question itself.
    pub const fn body(&self) -> &Bytes {
        &self.question.message.payload
    }

    /// One of its headers; `traceparent` among them.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.question
            .message
            .headers
            .as_ref()?
            .get(name)
            .map(HeaderValue::as_str)
    }

    /// The session on whose behalf is asked, as its asker says.
    pub fn session(&self) -> Option<SessionId> {
        SessionId::new(&token::decode(self.header(SESSION)?)?).ok()
    }

    /// Lets others be answered meanwhile: nothing is being done for this one.
    pub fn step_aside(&mut self) {
        self.place = None;
    }

    fn fits(&self, body: Bytes) -> Result<Bytes, Failure> {
        let (bytes, limit) = (body.len(), self.answer_bytes_max);
        if bytes <= limit {
            Ok(body)
        } else {
            Err(too_large(bytes, limit))
        }
    }

    /// Answers. An answer that is larger than the hub takes becomes one that says so: its asker would wait in vain.
    ///
    /// # Errors
    /// [`ServeError`] when the answer could not be sent.
    pub async fn respond(self, answer: Result<Bytes, Failure>) -> Result<(), ServeError> {
        let sent = match answer.and_then(|body| self.fits(body)) {
            Ok(body) => self.question.respond(Ok(body)).await,
            // Not through the library's error: that one has no room for a body.
            Err(failure) => {
                let mut headers = HeaderMap::new();
                headers.insert(ERROR, failure.text.replace(['\r', '\n'], " "));
                headers.insert(ERROR_CODE, failure.code.to_string());
                self.question.respond_with_headers(Ok(failure.body), headers).await
            }
        };
        sent.map_err(|error| ServeError(error.to_string()))
    }
}

/// An answer that the hub would not take.
fn too_large(bytes: usize, limit: usize) -> Failure {
    let detail =
        format!("the answer has {bytes} bytes, and the hub takes {limit}; ask for less, with a smaller `limit`");
    let error = ApiError::new(ErrorKind::TooLarge, detail);
    Failure {
        code: error.kind.status(),
        text: error.to_string(),
        body: serde_json::to_vec(&api::Failure { error }).unwrap_or_default().into(),
    }
}

/// What a caller shows beside its name.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The operator's token.
    pub operator: Option<Key>,
    /// The session on whose behalf is asked.
    pub session: Option<SessionId>,
}

impl Bus {
    /// Asks the leader.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request(&self, request: &Request, body: Bytes, patience: Duration) -> Result<Bytes, RequestError> {
        self.request_as(&Credentials::default(), request, body, patience).await
    }

    /// Asks the leader, and shows who asks.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn request_as(
        &self,
        credentials: &Credentials,
        request: &Request,
        body: Bytes,
        patience: Duration,
    ) -> Result<Bytes, RequestError> {
        let mut headers = HeaderMap::new();
        if let Some(session) = &credentials.session {
            headers.insert(SESSION, token::encode(session.as_str()));
        }
        if let Some(key) = &credentials.operator {
            let now = muster_wire::time::from_system(SystemTime::now());
            headers.insert(operator::HEADER, key.sign(request, &body, now));
        }
        for (name, value) in propagation::current() {
            headers.insert(name, value);
        }
        let headers = (!headers.is_empty()).then_some(headers);
        let answer = self
            .ask(request.to_string(), headers, body, patience)
            .await
            .map_err(|failed| match failed {
                Failed::Away(Away::NoResponders) => RequestError::NoOrchestrator,
                Failed::Away(away) => RequestError::Away(away),
                Failed::Unanswered(unanswered) => RequestError::Unanswered(unanswered),
                Failed::Refused(refusal) => RequestError::Refused(refusal),
            })?;
        let header = |name: &str| answer.headers.as_ref()?.get(name).map(HeaderValue::as_str);
        match header(ERROR) {
            None => Ok(answer.payload),
            Some(text) => Err(RequestError::Failed(Failure {
                code: header(ERROR_CODE).and_then(|code| code.parse().ok()).unwrap_or(500),
                text: text.to_owned(),
                body: answer.payload,
            })),
        }
    }
}

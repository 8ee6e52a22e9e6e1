//! Who asks, and who waits for what they asked for to be decided.
//!
//! A request that changes something is answered from the state that holds the change, so its answer and every later one
//! agree. Until then its asker waits here; when leading ends first, they are told to look again.

use crate::answer::{self, Reply, Then};
use crate::election::now;
use crate::parked::{Parked, Room};
use muster_bus::Refusal;
use muster_bus::operator::{HEADER, Judge, Unproven};
use muster_bus::service::Incoming;
use muster_domain::asker::Asker;
use muster_domain::fleet::Fleet;
use muster_domain::ids::EventId;
use muster_wire::api::{ApiError, ErrorKind, Position};
use muster_wire::limits::REQUEST_ID_BYTES_MAX;
use muster_wire::subject::Role;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long anybody waits. What was decided comes back within milliseconds, or the hub is away.
const PATIENCE: Duration = Duration::from_secs(8);

/// Judges who asks.
pub(crate) struct Door(Judge);

impl Door {
    pub(crate) const fn new(judge: Judge) -> Self {
        Self(judge)
    }

    /// A term begins: what was signed for the one before is not taken again.
    pub(crate) fn begin(&mut self) {
        self.0.begin(now());
    }

    /// Who asks, if they may.
    pub(crate) fn admit(&mut self, incoming: &Incoming) -> Result<Asker, ApiError> {
        let request = incoming.request();
        let proof = self.0.verify(request, incoming.body(), incoming.header(HEADER), now());
        match (request.operation.role(), proof) {
            (Role::Viewer | Role::Agent, Ok(()) | Err(Unproven::Missing)) | (Role::Operator, Ok(())) => {}
            // A signature that is no good is a mistake that its maker wants to hear of.
            (_, Err(why)) => return Err(ApiError::new(unproven(why), why.to_string())),
        }
        let named = request_id(incoming.body());
        if named.len() > REQUEST_ID_BYTES_MAX {
            let detail = format!(
                "request_id has {} bytes; the limit is {REQUEST_ID_BYTES_MAX}",
                named.len()
            );
            return Err(ApiError::new(ErrorKind::BadRequest, detail));
        }
        Ok(Asker {
            caller: request.caller.as_str().into(),
            operator: proof.is_ok(),
            session: incoming.session(),
            request: named.into(),
        })
    }
}

const fn unproven(why: Unproven) -> ErrorKind {
    match why {
        // Another signature by the same token is good.
        Unproven::Early => ErrorKind::Unavailable,
        Unproven::Missing | Unproven::Malformed | Unproven::Wrong | Unproven::Stale | Unproven::Replayed => {
            ErrorKind::Forbidden
        }
    }
}

/// The id its asker gave the request, or one of our own.
fn request_id(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Named {
        request_id: Option<String>,
    }
    let named = serde_json::from_slice::<Named>(body).unwrap_or_default();
    named
        .request_id
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| Uuid::now_v7().to_string())
}

struct Waiter {
    incoming: Incoming,
    then: Then,
    since: Instant,
}

/// Those who wait: for what is being decided, by its event; and for a message to come.
#[derive(Default)]
pub(crate) struct Waiting {
    decided: BTreeMap<EventId, Vec<Waiter>>,
    /// For a message.
    pub(crate) parked: Room<Incoming>,
}

/// An answer on its way to its asker.
pub(crate) type Answered = (Incoming, Reply);

impl Waiting {
    pub(crate) fn wait(&mut self, event: EventId, incoming: Incoming, then: Then) {
        let waiter = Waiter {
            incoming,
            then,
            since: Instant::now(),
        };
        self.decided.entry(event).or_default().push(waiter);
    }

    /// The event is folded: whoever waited for it is answered.
    pub(crate) fn folded(&mut self, event: EventId, fleet: &Fleet, at: Position) -> Vec<Answered> {
        let waiters = self.decided.remove(&event).unwrap_or_default();
        let answered = waiters.into_iter().map(|waiter| {
            let reply = (waiter.then)(fleet, at).map_err(|error| answer::failure(&error));
            (waiter.incoming, reply)
        });
        answered.collect()
    }

    /// The event was refused for good: what was asked for is not the case and will not be.
    pub(crate) fn refused(&mut self, event: EventId, reason: &Refusal) -> Vec<Answered> {
        let waiters = self.decided.remove(&event).unwrap_or_default();
        let error = ApiError::new(ErrorKind::Internal, format!("this cannot be stored: {reason}"));
        let refuse = |waiter: Waiter| (waiter.incoming, Err(answer::failure(&error)));
        waiters.into_iter().map(refuse).collect()
    }

    /// Whether somebody waits; nearly always nobody does.
    pub(crate) fn is_empty(&self) -> bool {
        self.decided.is_empty()
    }

    /// Nobody here will decide any more: what was decided may be stored or not.
    pub(crate) fn give_up(&mut self) -> Vec<Answered> {
        let all = std::mem::take(&mut self.decided).into_values().flatten();
        all.map(unknown)
            .chain(self.parked.empty().into_iter().map(elsewhere))
            .collect()
    }

    /// Those who waited too long: their event was refused, or the hub is away.
    pub(crate) fn overdue(&mut self) -> Vec<Answered> {
        let mut overdue = Vec::new();
        for waiters in self.decided.values_mut() {
            overdue.extend(waiters.extract_if(.., |waiter| waiter.since.elapsed() > PATIENCE));
        }
        self.decided.retain(|_, waiters| !waiters.is_empty());
        overdue.into_iter().map(unknown).collect()
    }
}

fn elsewhere(parked: Parked<Incoming>) -> Answered {
    let error = ApiError::new(ErrorKind::Unavailable, "this orchestrator no longer leads; ask again");
    (parked.incoming, Err(answer::failure(&error)))
}

fn unknown(waiter: Waiter) -> Answered {
    let mut error = ApiError::new(
        ErrorKind::Unavailable,
        "it is not known whether this was done; look, and ask again with the same request_id if it was not",
    );
    error.retry_class = muster_wire::api::RetryClass::RetryAfterReread;
    (waiter.incoming, Err(answer::failure(&error)))
}

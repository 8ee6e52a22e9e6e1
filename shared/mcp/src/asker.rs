//! Questions to the leading orchestrator, with whoever asks.

use muster_bus::Bus;
use muster_bus::service::{Credentials, RequestError};
use muster_wire::api;
use muster_wire::subject::{Caller, Operation, Request, Role};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long one answer may take: the leader answers from memory, and what it decides first is folded within a second.
const PATIENCE: Duration = Duration::from_secs(10);
/// For how long it is asked again while nobody leads: an election takes less than the lease and a little.
const ELECTION: Duration = Duration::from_secs(4);
/// The code of what whoever asks may not have done.
const FORBIDDEN: u16 = 403;
/// Pause between two such attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Why there is no answer, in words for the model that asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// Asks.
#[derive(Debug, Clone)]
pub struct Asker {
    bus: Bus,
    caller: Caller,
}

impl Asker {
    /// Asks over this connection under this name.
    pub const fn new(bus: Bus, caller: Caller) -> Self {
        Self { bus, caller }
    }

    /// Under which name it is asked.
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask<A: DeserializeOwned>(
        &self,
        who: &Credentials,
        operation: Operation,
        question: &impl Serialize,
    ) -> Result<A, Refused> {
        let body = serde_json::to_vec(question).map_err(|error| Refused(error.to_string()))?;
        let answer = self.patiently(who, operation, body, Duration::ZERO).await?;
        serde_json::from_slice(&answer).map_err(|error| Refused(format!("the answer cannot be read: {error}")))
    }

    /// Asks, and gives the answer as it came. The leader may keep the question for so long before it answers.
    pub(crate) async fn patiently(
        &self,
        who: &Credentials,
        operation: Operation,
        body: Vec<u8>,
        kept: Duration,
    ) -> Result<Vec<u8>, Refused> {
        let request = Request {
            operation,
            caller: self.caller.clone(),
        };
        // A signature is for what needs one; any other question is answered without, whatever token was presented. What an
        // agent may not do by itself is asked again with it: an operator may.
        let mut shown = Credentials {
            operator: who.operator.clone().filter(|_| operation.role() == Role::Operator),
            session: who.session.clone(),
        };
        let mut refused = None;
        let until = Instant::now() + ELECTION;
        loop {
            match self
                .bus
                .request_as(&shown, &request, body.clone().into(), PATIENCE + kept)
                .await
            {
                Ok(answer) => return Ok(answer.into()),
                Err(RequestError::Failed(failed))
                    if failed.code == FORBIDDEN
                        && refused.is_none()
                        && shown.operator.is_none()
                        && who.operator.is_some() =>
                {
                    shown.operator.clone_from(&who.operator);
                    refused = Some(failed);
                }
                // Nothing was asked yet: nobody leads at the moment, or the hub is just being connected.
                Err(RequestError::NoOrchestrator | RequestError::Away(_)) if Instant::now() < until => {
                    sleep(PAUSE).await
                }
                Err(RequestError::Failed(failed)) => {
                    // A token that is none does not change why it was refused.
                    let failed = refused.filter(|_| failed.code == FORBIDDEN).unwrap_or(failed);
                    let told = serde_json::from_slice::<api::Failure>(&failed.body);
                    return Err(Refused(told.map_or(failed.text, |told| told.error.detail)));
                }
                Err(error) => return Err(Refused(error.to_string())),
            }
        }
    }
}

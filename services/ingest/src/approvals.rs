//! Hooks whose answer is a person's: how long each is held, and what ends the wait.
//!
//! The answer comes as an event of the log, directly ([`crate::resolutions`]). Beside it the leader is asked now and then
//! what became of the ask, so that an answer that was given while nobody listened is not lost. A wait that ends in any other
//! way is told to the log, because a card that nobody waits behind must not stay open.

mod dialog;
mod patience;

pub(crate) use dialog::Dialog;
pub(crate) use patience::{Offer, Settings, Wait};

use crate::answers::Asked;
use crate::intake::Intake;
use crate::observation::Observation;
use crate::recent::Accepted;
use crate::resolutions::{self, Resolutions};
use crate::spool::Lane;
use muster_bus::Bus;
use muster_domain::approval::ApprovalId;
use muster_domain::family::{EventType, TurnKind};
use muster_domain::ids::EventId;
use muster_domain::names::{AgentName, SessionId};
use muster_wire::api::{ApprovalAnswer, ApprovalRequest};
use muster_wire::data::approval::ResolutionData;
use muster_wire::data::turn::StatusChanged;
use muster_wire::subject::{Caller, Operation, Request};
use patience::Patience;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How often it is looked whether the hub has an ask at all.
const LOOK: Duration = Duration::from_secs(1);
/// How often the leader is asked what became of an ask: that often, an answer may be late that was not handed over.
const ASK_EVERY: Duration = Duration::from_secs(20);
/// How soon it is asked again when nobody leads.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long the leader's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Asks that are no older come by themselves; an older one has waited under another ingest.
const FRESH: Duration = Duration::from_secs(2);

/// What waits are made with.
pub(crate) struct Approvals {
    pub(crate) settings: Settings,
    pub(crate) bus: Bus,
    pub(crate) intake: Intake,
    pub(crate) resolutions: Arc<Resolutions>,
}

/// A hook that will be held once it is written.
pub(crate) struct Plan {
    asked: Asked,
    patience: Patience,
    session: Option<SessionId>,
    agent: Option<AgentName>,
    dialog: Option<Dialog>,
}

/// A hook that is held.
pub(crate) struct Held {
    plan: Plan,
    accepted: Accepted,
}

/// Why whoever waits cannot wait any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// The hook's process is gone, or its connection.
    Gone,
    /// This service ends: the hook asks the next one.
    Draining,
}

/// How a wait ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    /// With what the agent shall read. Nothing, where its own dialog decides or has decided.
    Told(Option<Value>),
    /// With nobody there to be told.
    Left(Leaving),
}

enum Outcome {
    Answered(Arc<ResolutionData>),
    AtTheTerminal,
    GivenUp(&'static str),
    Left(Leaving),
}

impl Plan {
    pub(crate) fn of(self, accepted: Accepted) -> Held {
        Held { plan: self, accepted }
    }
}

impl Held {
    pub(crate) const fn event(&self) -> EventId {
        self.accepted.id
    }

    /// How long it is held at most, in milliseconds.
    pub(crate) fn wait_ms(&self) -> u64 {
        millis(self.plan.patience.wait)
    }

    /// How long it may go on without this service, in milliseconds.
    pub(crate) fn alone_ms(&self) -> u64 {
        millis(self.plan.patience.alone)
    }
}

impl Approvals {
    /// Whether and how this hook is held. What it is told is noted beside the payload, where the leader finds it.
    pub(crate) fn plan(&self, observation: &mut Observation, offer: Offer) -> Option<Plan> {
        let EventType::AgentHook(hook) = &observation.event_type else {
            return None;
        };
        let agent = observation.agent.as_ref().map_or("", AgentName::as_str);
        let asked = Asked::read(agent, hook, &observation.data)?;
        let notes = &observation.notes;
        let patience = self.settings.patience(&asked, notes.attended, notes.away, offer.wait)?;
        observation.notes.wait_ms = Some(millis(patience.wait));
        Some(Plan {
            dialog: Dialog::of(observation, &asked, offer.config_dir),
            session: observation.session.clone(),
            agent: observation.agent.clone(),
            asked,
            patience,
        })
    }

    /// Waits for the answer, or for `leaving`.
    pub(crate) async fn wait(&self, held: Held, leaving: impl Future<Output = Leaving>) -> Ended {
        let Held { plan, accepted } = held;
        // A hook that came again has waited before, under the ingest before this one.
        let ask = accepted.id;
        let waited = age(ask);
        let until = Instant::now() + plan.patience.wait.saturating_sub(waited) + plan.patience.grace;
        let mut ticket = self.resolutions.ticket(ask);
        let outcome = tokio::select! {
            biased;
            answer = ticket.answer() => Outcome::Answered(answer),
            left = leaving => Outcome::Left(left),
            answer = self.asked_for(ask, waited) => Outcome::Answered(answer),
            () = Dialog::closed(plan.dialog.as_ref()) => Outcome::AtTheTerminal,
            () = tokio::time::sleep_until(until) => Outcome::GivenUp("deadline"),
            () = self.without_hub(&plan.patience, accepted.seq) => Outcome::GivenUp("hub_away"),
        };
        match outcome {
            Outcome::Answered(answer) => {
                Ended::Told(resolutions::decision(&answer).and_then(|decision| plan.asked.answer(&decision)))
            }
            Outcome::AtTheTerminal => {
                self.say(&plan, ask, StatusChanged::ANSWERED, "terminal").await;
                Ended::Told(None)
            }
            Outcome::GivenUp(reason) => {
                self.say(&plan, ask, StatusChanged::RELEASED, reason).await;
                Ended::Told(None)
            }
            Outcome::Left(Leaving::Gone) => {
                self.say(&plan, ask, StatusChanged::RELEASED, "hook_gone").await;
                Ended::Left(Leaving::Gone)
            }
            Outcome::Left(Leaving::Draining) => Ended::Left(Leaving::Draining),
        }
    }

    /// Asks the leader what became of an ask until it has: now and then, and when the connection is new. An ask that is new
    /// itself cannot have been answered before this service follows the answers.
    async fn asked_for(&self, ask: EventId, waited: Duration) -> Arc<ResolutionData> {
        let mut hub = self.bus.state();
        let mut pause = if waited < FRESH { ASK_EVERY } else { Duration::ZERO };
        loop {
            let losses = hub.borrow().losses;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The sender lives as long as the client does.
                _ = hub.wait_for(|state| state.connected && state.losses != losses) => {}
            }
            pause = match self.ask(ask).await {
                Ok(Some(answer)) => return Arc::new(answer),
                Ok(None) => ASK_EVERY,
                Err(error) => {
                    tracing::debug!(%ask, %error, "the leader did not say what became of an ask");
                    ASK_AGAIN
                }
            };
        }
    }

    async fn ask(&self, ask: EventId) -> anyhow::Result<Option<ResolutionData>> {
        let request = Request {
            operation: Operation::ApprovalsGet,
            caller: Caller::new(self.intake.host().as_str())?,
        };
        let id = ApprovalId::of(ask);
        let body = serde_json::to_vec(&ApprovalRequest { id })?;
        let answer = self.bus.request(&request, body.into(), ANSWER_WITHIN).await?;
        let answer: ApprovalAnswer = serde_json::from_slice(&answer)?;
        Ok(answer.approval.resolution.map(|row| row.answer))
    }

    /// Ends when the hub has been without this ask for longer than the agent's user should look at nothing.
    async fn without_hub(&self, patience: &Patience, seq: u64) {
        if patience.alone >= patience.wait {
            return std::future::pending().await;
        }
        let spool = self.intake.spool();
        let mut since = Instant::now();
        while since.elapsed() < patience.alone {
            tokio::time::sleep(LOOK.min(patience.alone)).await;
            if self.bus.is_connected() && spool.acked(Lane::Events) >= seq {
                since = Instant::now();
            }
        }
    }

    /// Tells the log how the wait ended.
    async fn say(&self, plan: &Plan, ask: EventId, status: &str, reason: &str) {
        let data = StatusChanged {
            status: status.to_owned(),
            ask: Some(ask),
            reason: Some(reason.to_owned()),
        };
        let Ok(Value::Object(data)) = serde_json::to_value(data) else {
            return;
        };
        let mut observation = Observation::of(EventType::AgentTurn(TurnKind::StatusChanged), data);
        observation.session.clone_from(&plan.session);
        observation.agent.clone_from(&plan.agent);
        if let Err(error) = self.intake.accept_one(observation).await {
            // Its deadline closes it.
            tracing::warn!(%ask, %error, "the end of a wait was not told");
        }
    }
}

/// How long ago an event was taken. Its id says: this service makes them of the time.
fn age(id: EventId) -> Duration {
    let taken = id.as_uuid().get_timestamp().map(|stamp| stamp.to_unix());
    let taken = taken.map(|(seconds, nanos)| Duration::new(seconds, nanos));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    taken.map_or(Duration::ZERO, |taken| now.saturating_sub(taken))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

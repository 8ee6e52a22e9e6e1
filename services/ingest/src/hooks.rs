//! The way of every hook through this host, whichever surface it comes by: judged, written, and only then answered. Where
//! its answer is a person's, the surface holds it.

use crate::answers::Vendor;
use crate::approvals::{Approvals, Held, Offer};
use crate::gate::Gate;
use crate::intake::Intake;
use crate::observation::Observation;
use crate::reject::Reject;
use crate::trace;
use muster_domain::ids::EventId;
use muster_wire::data::hook::{Verdict, VerdictKind};
use serde_json::Value;
use std::sync::Arc;

/// What hooks are taken with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hooks {
    pub(crate) intake: Intake,
    pub(crate) gate: Gate,
    pub(crate) approvals: Arc<Approvals>,
}

/// What became of a hook that was written.
pub(crate) enum Taken {
    /// It is answered now.
    Answered(Answered),
    /// Its answer is waited for.
    Held(Box<Held>),
}

/// What goes back to a hook.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The event it became.
    pub(crate) event: Option<EventId>,
    /// What the agent shall read; no output and status 0 leave every decision to it.
    pub(crate) body: Option<Value>,
}

impl Hooks {
    /// Judges a hook and makes it durable with what was said of it, and with how long it is held.
    ///
    /// # Errors
    /// Those of the intake. A denial is answered all the same: a call that is held does not run because a disk is full.
    pub(crate) async fn take(&self, mut observation: Observation, offer: Offer) -> Result<Taken, Reject> {
        let mut verdict = self.gate.judge(&mut observation);
        if verdict
            .as_ref()
            .is_none_or(|verdict| verdict.decision != VerdictKind::Deny)
        {
            verdict = self.gate.ask(&mut observation).await.or(verdict);
        }
        let body = verdict.as_ref().and_then(|verdict| told(&observation, verdict));
        let held = match verdict {
            None => self.approvals.plan(&mut observation, offer),
            Some(_) => None,
        };
        let accepted = match trace::accept_hook(&self.intake, observation).await {
            Ok(accepted) => accepted,
            Err(_) if verdict.is_some_and(|verdict| verdict.decision == VerdictKind::Deny) => {
                return Ok(Taken::Answered(Answered { event: None, body }));
            }
            Err(reject) => return Err(reject),
        };
        Ok(match held {
            Some(plan) => Taken::Held(Box::new(plan.of(accepted))),
            None => Taken::Answered(Answered {
                event: Some(accepted.id),
                body,
            }),
        })
    }
}

impl Hooks {
    /// Keeps an input that cannot be read for whoever wants to look, and says what its agent is told, if it is.
    pub(crate) async fn refused(
        &self,
        agent: &str,
        hint: Option<&str>,
        reject: &Reject,
        bytes: &[u8],
    ) -> Option<Answered> {
        self.intake.refused(reject, bytes).await;
        let (hook, verdict) = self.gate.of_unreadable(hint, bytes)?;
        let body = Vendor::of(agent).before_tool(hook, &verdict)?;
        Some(Answered {
            event: None,
            body: Some(body),
        })
    }
}

fn told(observation: &Observation, verdict: &Verdict) -> Option<Value> {
    let agent = observation.agent.as_ref().map_or("", |agent| agent.as_str());
    Vendor::of(agent).before_tool(&observation.notes.hook, verdict)
}

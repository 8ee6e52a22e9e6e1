//! What an agent's hook is answered: judged first, written, and only then told, in that agent's own words.
//!
//! An answer is the smallest JSON that the agent takes, and none where nothing is said.

use crate::gate::Gate;
use crate::intake::Intake;
use crate::observation::Observation;
use crate::reject::Reject;
use crate::trace;
use muster_domain::ids::EventId;
use muster_wire::data::hook::{Verdict, VerdictKind};
use serde_json::{Value, json};

/// What goes back to a hook.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The event it became.
    pub(crate) event: Option<EventId>,
    /// What the agent shall read.
    pub(crate) body: Option<Value>,
}

/// Judges a hook and makes it durable with what was said of it.
///
/// # Errors
/// Those of the intake. A denial is answered all the same: a call that is held does not run because a disk is full.
pub(crate) async fn hook(intake: &Intake, gate: &Gate, mut observation: Observation) -> Result<Answered, Reject> {
    let verdict = gate.judge(&mut observation);
    let agent = observation.agent.clone();
    let body = verdict
        .as_ref()
        .map(|verdict| before_tool(agent.as_ref().map(|agent| agent.as_str()), verdict));
    let denied = verdict.is_some_and(|verdict| verdict.decision == VerdictKind::Deny);
    match trace::accept_hook(intake, observation).await {
        Ok(accepted) => Ok(Answered {
            event: Some(accepted.id),
            body,
        }),
        Err(_) if denied => Ok(Answered { event: None, body }),
        Err(reject) => Err(reject),
    }
}

/// The answer to a hook before a tool call.
fn before_tool(agent: Option<&str>, verdict: &Verdict) -> Value {
    let decision = match verdict.decision {
        VerdictKind::Deny => "deny",
        VerdictKind::Ask => "ask",
        VerdictKind::Allow => "allow",
    };
    let reason = &verdict.reason;
    match agent {
        Some("gemini-cli") => json!({"decision": decision, "reason": reason}),
        Some("cursor") => json!({"permission": decision, "user_message": reason, "agent_message": reason}),
        _ => json!({"hookSpecificOutput": {
            "hookEventName": "PreToolUse",
            "permissionDecision": decision,
            "permissionDecisionReason": reason,
        }}),
    }
}

//! Calls that start an agent whose circuit is not closed.
//!
//! While the cooldown runs the answer is known here. Once it is over somebody may try, and only the orchestrator can say
//! who: that is the one question a hook may cost. Who cannot ask stays careful until the document's grace is over, and
//! then leaves the decision to the user.

use crate::edge::Rules;
use crate::observation::Observation;
use muster_bus::Bus;
use muster_domain::ids::DelegationId;
use muster_domain::names::{HostName, SubagentName, ToolCallId};
use muster_domain::time::Timestamp;
use muster_wire::agent_call::AgentCall;
use muster_wire::api::{self, CircuitsProbe, CircuitsProbeRequest};
use muster_wire::call::ToolCall;
use muster_wire::data::hook::{Verdict, VerdictBy, VerdictKind};
use muster_wire::edge::{Circuit, CircuitState};
use muster_wire::subject::{Caller, Operation, Request};
use muster_wire::time;
use std::time::Duration;

/// How long the answer may take: a hook that need not wait for a person has two seconds for everything.
const PATIENCE: Duration = Duration::from_secs(1);

/// A call that starts an agent.
struct Start {
    agent: SubagentName,
    delegation: Option<DelegationId>,
    call: Option<ToolCallId>,
}

fn start(observation: &Observation) -> Option<Start> {
    let call = ToolCall::read(&observation.data)?;
    let AgentCall { agent, delegation } = AgentCall::of(call.tool, &call.input)?;
    Some(Start {
        agent,
        delegation,
        call: call.call.and_then(|id| id.parse().ok()),
    })
}

fn standing<'a>(rules: &'a Rules, agent: &SubagentName) -> Option<&'a Circuit> {
    let circuits = &rules.circuits.as_ref()?.circuits;
    circuits.iter().find(|circuit| circuit.agent == agent.as_str())
}

/// What is known here: nobody may run the agent before its cooldown is over.
pub(super) fn cooling(rules: &Rules, observation: &Observation, now: Timestamp) -> Option<Verdict> {
    // Nearly always there is no circuit to look for.
    rules
        .circuits
        .as_ref()
        .filter(|circuits| !circuits.circuits.is_empty())?;
    let start = start(observation)?;
    let circuit = standing(rules, &start.agent)?;
    if circuit.state != CircuitState::Open || circuit.until <= now {
        return None;
    }
    let wait = circuit.until.since(now).as_secs() + 1;
    let until = time::format(circuit.until);
    let reason = format!(
        "circuit breaker for agent `{}` is Open: {}. It may be tried again at {until}, in {wait} s; \
         until then do without it, or tell the user.",
        start.agent, circuit.reason
    );
    Some(said(VerdictKind::Deny, reason, &start.agent))
}

/// What the orchestrator says of a try. Silent where none is needed, or this one is it.
pub(super) async fn probe(bus: &Bus, host: &HostName, rules: &Rules, observation: &Observation) -> Option<Verdict> {
    rules
        .circuits
        .as_ref()
        .filter(|circuits| !circuits.circuits.is_empty())?;
    let start = start(observation)?;
    let circuit = standing(rules, &start.agent)?;
    let agent = &start.agent;
    match ask(bus, host, observation, &start).await {
        Ok(answer) if answer.granted => None,
        Ok(answer) => Some(said(VerdictKind::Deny, refusal(agent, &answer.circuit), agent)),
        Err(error) => {
            let now = super::now();
            let patience = circuit.grace_until.unwrap_or(circuit.until);
            let (decision, then) = if now < patience {
                let until = time::format(patience);
                (VerdictKind::Deny, format!("it stays so until {until}"))
            } else {
                (VerdictKind::Ask, "the user decides".to_owned())
            };
            let reason = format!(
                "circuit breaker for agent `{agent}` is not closed: {}. Whether it may be tried cannot be asked ({error}); {then}.",
                circuit.reason
            );
            Some(said(decision, reason, agent))
        }
    }
}

async fn ask(
    bus: &Bus,
    host: &HostName,
    observation: &Observation,
    start: &Start,
) -> Result<CircuitsProbe, Box<dyn std::error::Error + Send + Sync>> {
    let session = observation.session.clone().ok_or("the call names no session")?;
    let question = CircuitsProbeRequest {
        agent: start.agent.clone(),
        session,
        tool_use_id: start.call.clone(),
        delegation_id: start.delegation,
    };
    let request = Request {
        operation: Operation::CircuitsProbe,
        caller: Caller::new(host.as_str())?,
    };
    let body = serde_json::to_vec(&question)?.into();
    let answer = bus.request(&request, body, PATIENCE).await?;
    Ok(api::Reply::<CircuitsProbe>::read(&answer)?.body)
}

fn refusal(agent: &SubagentName, circuit: &api::Circuit) -> String {
    let failures = circuit.breaker.consecutive_failures;
    let advice = "until then do without it, or tell the user.";
    if let Some(probe) = &circuit.probe {
        let (holder, until) = (&probe.holder, time::format(probe.expires));
        return format!(
            "circuit breaker for agent `{agent}` is HalfOpen after {failures} failures in a row: its probe is held by \
             session {} on {} until {until}; {advice}",
            holder.session, holder.host
        );
    }
    let until = circuit
        .until
        .map_or_else(|| "soon".to_owned(), |at| format!("at {}", time::format(at)));
    format!(
        "circuit breaker for agent `{agent}` is Open after {failures} failures in a row. It may be tried again {until}; {advice}"
    )
}

fn said(decision: VerdictKind, reason: String, agent: &SubagentName) -> Verdict {
    Verdict {
        decision,
        by: VerdictBy::Circuit,
        reason,
        rule: Some(agent.to_string()),
    }
}

//! What hooks tell of the work of named agents.
//!
//! Failure is read from outcomes: the call failed, its response says so, the subagent's last model call did. A hook that
//! itself fails is none; only trusty-mpm's own word for it (`SubagentStopFailure`) keeps the meaning it had there.

use super::read;
use crate::agent_call::AgentCall;
use crate::members::{Field, Members, text};
use muster_domain::fact::{HookBody, ToolOutcome};
use muster_domain::family::HookName;
use muster_domain::names::SubagentName;
use muster_domain::work::{Stage, Work};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the response of an agent's call says of the run that goes on without it.
const DETACHED: &[&str] = &["async_launched", "remote_launched", "teammate_spawned", "queued"];
const FAILED: &[&str] = &["failed", "error", "errored"];
const DROPPED: &[&str] = &["killed", "stopped", "cancelled", "interrupted"];

/// What this hook tells of the work of a named agent, if it does.
pub(super) fn of(name: &HookName, members: &Members<'_>, body: &HookBody) -> Option<Work> {
    match body {
        HookBody::ToolStarted(used) => call(used.tool.as_str(), members, Stage::Begun),
        HookBody::ToolEnded { tool, outcome, .. } => call(tool.tool.as_str(), members, ended(members, outcome)),
        HookBody::SubagentStarted => agent(members, Stage::Begun),
        HookBody::SubagentStopped if *name == HookName::SubagentStopFailure => agent(members, failed(members)),
        HookBody::SubagentStopped => agent(members, Stage::Done),
        HookBody::StopFailed { error } => {
            let error = error.clone();
            typed(members, Stage::Failed { error })
        }
        // The main thread of a session that runs as a named agent; within a subagent, its stop has a hook of its own.
        HookBody::Stopped { .. } if members.raw(Field::Subagent).is_none() => typed(members, Stage::Done),
        HookBody::Stopped { .. }
        | HookBody::SessionStarted { .. }
        | HookBody::SessionEnded { .. }
        | HookBody::PromptGiven { .. }
        | HookBody::PermissionAsked(_)
        | HookBody::ToolsDone
        | HookBody::CompactionStarted
        | HookBody::CompactionEnded
        | HookBody::InputAwaited { .. }
        | HookBody::InputGiven
        | HookBody::CwdChanged { .. }
        | HookBody::Other => None,
    }
}

fn call(tool: &str, members: &Members<'_>, stage: Stage) -> Option<Work> {
    let AgentCall { agent, delegation } = AgentCall::read(tool, members.raw(Field::ToolInput))?;
    Some(Work {
        agent,
        delegation,
        stage,
    })
}

/// The type of a subagent; where a hook has none, what stands for the subagent is its name (trusty-mpm's `agent`).
fn agent(members: &Members<'_>, stage: Stage) -> Option<Work> {
    typed(members, stage.clone()).or_else(|| work(members.name(Field::Subagent)?, stage))
}

fn typed(members: &Members<'_>, stage: Stage) -> Option<Work> {
    work(members.name(Field::SubagentType)?, stage)
}

fn work(agent: SubagentName, stage: Stage) -> Option<Work> {
    Some(Work {
        agent,
        delegation: None,
        stage,
    })
}

fn failed(members: &Members<'_>) -> Stage {
    Stage::Failed {
        error: super::hook::error(members),
    }
}

fn ended(members: &Members<'_>, outcome: &ToolOutcome) -> Stage {
    match outcome {
        ToolOutcome::Denied { .. } => Stage::Dropped,
        ToolOutcome::Failed { .. } if members.is_true(Field::Interrupted) => Stage::Dropped,
        ToolOutcome::Failed { error } => Stage::Failed { error: error.clone() },
        ToolOutcome::Ok => answered(members),
    }
}

/// What a call that came back says of its run.
fn answered(members: &Members<'_>) -> Stage {
    #[derive(Default, Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        status: Option<&'a RawValue>,
        #[serde(borrow)]
        is_error: Option<&'a RawValue>,
    }
    let response: Response<'_> = members
        .raw(Field::ToolResponse)
        .and_then(|raw| read(raw.get()))
        .unwrap_or_default();
    let status = response.status.and_then(text).unwrap_or_default();
    let broken = response.is_error.is_some_and(|raw| raw.get() == "true");
    match &*status {
        status if broken || FAILED.contains(&status) => Stage::Failed {
            error: if status.is_empty() { "error" } else { status }.to_owned(),
        },
        status if DETACHED.contains(&status) => Stage::Detached,
        status if DROPPED.contains(&status) => Stage::Dropped,
        _ => Stage::Done,
    }
}

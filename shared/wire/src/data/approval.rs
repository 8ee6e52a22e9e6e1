//! `runtime.approval_required.*` and `runtime.approval_resolved.*`.

use super::runtime::RuntimeMetadata;
use crate::envelope::RawData;
use crate::{canonical, time};
use muster_domain::approval::{ApprovalFact, ApprovalId, Asked, By, Fallback, Kind, Outcome, Resolution, Scope, Stage};
use muster_domain::fact::InputDigest;
use muster_domain::names::{PromptId, SubagentId, ToolCallId, ToolName};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `runtime.approval_required.*`: somebody waits for an answer. Announced again under the same id as `stage` rises.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalRequired {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub approval_id: ApprovalId,
    /// How urgently: `asked`, `reminded`, `escalated`.
    pub stage: Stage,
    /// Until when an answer counts.
    #[serde(with = "time")]
    pub deadline: Timestamp,
    /// What happens without one.
    #[serde(default)]
    pub fallback: Fallback,
    /// What is asked.
    pub asked: AskedData,
}

/// What is asked, as events and answers show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskedData {
    /// `permission_request`, `question` or `policy_check`.
    pub kind: Kind,
    /// The tool that is to run.
    pub tool_name: ToolName,
    /// Its call, where it is known.
    pub tool_use_id: Option<ToolCallId>,
    /// The subagent that asks; none is the main thread.
    pub agent_id: Option<SubagentId>,
    /// The prompt it belongs to.
    pub prompt_id: Option<PromptId>,
    /// Digest of the input: 16 hexadecimal digits.
    pub input_digest: String,
    /// One line for people.
    pub summary: Option<String>,
    /// Where it would run.
    pub cwd: Option<String>,
    /// The permission mode it is asked in.
    pub permission_mode: Option<String>,
    /// The input, whole; none once it is answered.
    pub tool_input: Option<RawData>,
    /// Rules that the agent offers to add.
    pub suggestions: Option<RawData>,
    /// The object that holds the whole payload, where it is too large for an event.
    pub overflow: Option<String>,
}

/// `runtime.approval_resolved.*`: it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApprovalResolved {
    /// What every decision carries.
    pub runtime: RuntimeMetadata,
    /// Which.
    pub approval_id: ApprovalId,
    /// How, and by whom.
    pub resolution: ResolutionData,
}

/// How it ended, as events and answers show it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolutionData {
    /// `approved`, `denied`, `expired`, `answered_elsewhere` or `withdrawn`.
    pub outcome: Outcome,
    /// By whom.
    pub by: By,
    /// In their words.
    #[serde(default)]
    pub reason: Option<String>,
    /// `once` or `session`.
    #[serde(default)]
    pub scope: Scope,
    /// Whether the agent shall stop.
    #[serde(default)]
    pub interrupt: bool,
    /// The input that the tool shall run with instead.
    #[serde(default)]
    pub updated_input: Option<RawData>,
    /// On an expiry, what the agent is told: `agent` leaves it to its own dialog.
    #[serde(default)]
    pub fallback: Option<Fallback>,
    /// The request that brought the answer.
    #[serde(default)]
    pub request_id: Option<String>,
}

impl From<&Asked> for AskedData {
    fn from(asked: &Asked) -> Self {
        Self {
            kind: asked.kind,
            tool_name: asked.tool.clone(),
            tool_use_id: asked.call.clone(),
            agent_id: asked.subagent.clone(),
            prompt_id: asked.prompt.clone(),
            input_digest: canonical::hex(asked.digest),
            summary: owned(asked.summary.as_deref()),
            cwd: owned(asked.cwd.as_deref()),
            permission_mode: owned(asked.permission_mode.as_deref()),
            tool_input: json(asked.input.as_deref()),
            suggestions: json(asked.suggestions.as_deref()),
            overflow: owned(asked.overflow.as_deref()),
        }
    }
}

impl From<AskedData> for Asked {
    fn from(data: AskedData) -> Self {
        Self {
            kind: data.kind,
            tool: data.tool_name,
            call: data.tool_use_id,
            subagent: data.agent_id,
            prompt: data.prompt_id,
            digest: canonical::parse_hex(&data.input_digest).unwrap_or(InputDigest(0)),
            summary: data.summary.map(Into::into),
            cwd: data.cwd.map(Into::into),
            permission_mode: data.permission_mode.map(Into::into),
            input: data.tool_input.map(|raw| raw.get().into()),
            suggestions: data.suggestions.map(|raw| raw.get().into()),
            overflow: data.overflow.map(Into::into),
        }
    }
}

impl From<&Resolution> for ResolutionData {
    fn from(resolution: &Resolution) -> Self {
        Self {
            outcome: resolution.outcome,
            by: resolution.by.clone(),
            reason: owned(resolution.reason.as_deref()),
            scope: resolution.scope,
            interrupt: resolution.interrupt,
            updated_input: json(resolution.updated_input.as_deref()),
            fallback: resolution.fallback,
            request_id: owned(resolution.request.as_deref()),
        }
    }
}

impl From<ResolutionData> for Resolution {
    fn from(data: ResolutionData) -> Self {
        Self {
            outcome: data.outcome,
            by: data.by,
            reason: data.reason.map(Into::into),
            scope: data.scope,
            interrupt: data.interrupt,
            updated_input: data.updated_input.map(|raw| raw.get().into()),
            fallback: data.fallback,
            request: data.request_id.map(Into::into),
        }
    }
}

impl ApprovalRequired {
    pub(crate) fn into_fact(self) -> ApprovalFact {
        ApprovalFact::Required {
            id: self.approval_id,
            stage: self.stage,
            deadline: self.deadline,
            fallback: self.fallback,
            asked: Box::new(self.asked.into()),
        }
    }
}

impl ApprovalResolved {
    pub(crate) fn into_fact(self) -> ApprovalFact {
        ApprovalFact::Resolved {
            id: self.approval_id,
            resolution: Box::new(self.resolution.into()),
        }
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// A text that was JSON when it was kept.
fn json(text: Option<&str>) -> Option<RawData> {
    RawValue::from_string(text?.to_owned()).ok()
}

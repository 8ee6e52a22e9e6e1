//! Policy: the rules in force, putting others in their place, and asking what they come to.

use crate::edge::Source;
use crate::time;
use muster_domain::approval::ApprovalId;
use muster_domain::names::{AgentName, HostName, SessionId};
use muster_domain::policy::{ActionFamily, Active, Past, Ruling};
use muster_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `policy.activate`: an operator puts rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyActivateRequest {
    /// What they are called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The texts; none puts no rule in force.
    pub sources: Vec<Source>,
    /// The fingerprint of what they replace, an empty one for nothing; without it they replace whatever there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_fingerprint: Option<String>,
    /// Names this request, so that it can be repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Whether an activation changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationOutcome {
    /// It did.
    Applied,
    /// The same rules were in force.
    Unchanged,
    /// It did, and others replaced it since.
    Superseded,
}

/// What became of an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyActivatedAnswer {
    /// Whether it changed anything.
    pub outcome: ActivationOutcome,
    /// What is in force now, without the texts.
    pub active: PolicyRow,
    /// What is legal and probably not meant.
    pub warnings: Vec<String>,
}

/// `policy.show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyShowRequest {}

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyShown {
    /// Which; none where there never were any.
    pub active: Option<PolicyRow>,
    /// Their texts.
    pub sources: Vec<Source>,
    /// The latest activations, the last first.
    pub history: Vec<PolicyRow>,
}

/// One activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRow {
    /// Counts activations, from 1.
    pub version: u64,
    /// One name for the texts.
    pub fingerprint: String,
    /// What they are called.
    pub name: Option<String>,
    /// Who activated them.
    pub by: String,
    /// When.
    #[serde(with = "time")]
    pub at: Timestamp,
}

impl From<&Active> for PolicyRow {
    fn from(active: &Active) -> Self {
        let activation = &active.activation;
        Self {
            version: activation.version,
            fingerprint: activation.fingerprint.to_string(),
            name: activation.name.as_deref().map(str::to_owned),
            by: activation.by.to_string(),
            at: active.at,
        }
    }
}

impl From<&Past> for PolicyRow {
    fn from(past: &Past) -> Self {
        Self {
            version: past.version,
            fingerprint: past.fingerprint.to_string(),
            name: past.name.as_deref().map(str::to_owned),
            by: past.by.to_string(),
            at: past.at,
        }
    }
}

/// `policy.check`: may this happen?
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyCheckRequest {
    /// The action's family; without it, the tool call says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionFamily>,
    /// The tool that would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it would be called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Whose action it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Where that session runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The product that runs it; what is known of the session counts more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Where it would run; without it, where the session is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// In a sentence, what it is for: shown to whoever approves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Only tell; ask nobody to approve.
    pub dry_run: bool,
    /// For how many milliseconds an approval is waited for; without it, ten minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// Names this request, so that it can be repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Who decided a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckedBy {
    /// What stops the session altogether.
    Session,
    /// A rule.
    Rule,
    /// The family's default: no rule applies.
    Default,
}

/// What a check comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChecked {
    /// What is decided.
    pub decision: Ruling,
    /// Why, for programs.
    pub reason_code: String,
    /// Why, for people and models.
    pub message: String,
    /// The action's family.
    pub action: ActionFamily,
    /// Who decided.
    pub by: CheckedBy,
    /// The rules that apply, the one that decided first.
    pub rules: Vec<String>,
    /// Rules that could not be evaluated, each with why.
    pub unevaluated: Vec<String>,
    /// How the check stands towards what it cannot tell: `guarded_local_execution`.
    pub posture: String,
    /// What is destructive is not allowed where a rule fails.
    pub fail_closed: bool,
    /// Where the rules come from.
    pub policy_sources: Vec<PolicySource>,
    /// One name for the rules; none where there never were any.
    pub fingerprint: Option<String>,
    /// Who is asked to approve: look at it with `approvals.get`.
    pub approval_id: Option<ApprovalId>,
}

/// Where rules come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicySource {
    /// The text's name.
    pub name: String,
    /// Whom it is for: `fleet`, or `builtin` for the families' defaults.
    pub locality: String,
    /// SHA-256 of it.
    pub fingerprint: String,
}

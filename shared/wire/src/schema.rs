//! JSON Schemas (2020-12) of requests: what a program may ask, readable for programs.
//!
//! Written by hand, because a schema is also the words by which a model learns what to pass; a test holds each against its
//! request's type, so that neither can gain or lose a member alone.

mod alerts;
mod approvals;
mod delegations;
mod effects;
mod evaluation;
mod experiments;
mod holds;
mod leases;
mod messages;
mod policy;
mod review;
mod search;
mod sessions;
mod work_memory;

use crate::subject::Operation;
use serde_json::{Value, json};

/// Writes a schema.
type Write = fn() -> Value;

/// Schemas of requests, by operation.
const REQUESTS: &[(Operation, Write)] = &[
    (Operation::Hello, sessions::hello),
    (Operation::Status, nothing),
    (Operation::SessionsList, sessions::sessions_list),
    (Operation::SessionsStatus, sessions::sessions_status),
    (Operation::SessionsDetail, sessions::sessions_detail),
    (Operation::SessionsQuery, search::query),
    (Operation::SessionsSearch, search::search),
    (Operation::SessionsSummary, search::summary),
    (Operation::SessionsMetrics, search::metrics),
    (Operation::HostsList, sessions::hosts_list),
    (Operation::AuditDigest, sessions::audit_digest),
    (Operation::AlertsList, alerts::alerts_list),
    (Operation::TurnsStats, alerts::turns_stats),
    (Operation::ApprovalsList, approvals::approvals_list),
    (Operation::ApprovalsGet, approvals::approvals_get),
    (Operation::ApprovalsResolve, approvals::approvals_resolve),
    (Operation::DelegationsDelegate, delegations::delegate),
    (Operation::DelegationsList, delegations::delegations_list),
    (Operation::DelegationsGet, delegations::delegations_get),
    (Operation::DelegationsCancel, delegations::delegations_cancel),
    (Operation::CircuitsStatus, delegations::circuits_status),
    (Operation::CircuitsProbe, delegations::circuits_probe),
    (Operation::CircuitsReset, delegations::circuits_reset),
    (Operation::HoldsList, holds::holds_list),
    (Operation::HoldsSet, holds::holds_set),
    (Operation::HoldsRelease, holds::holds_release),
    (Operation::BudgetsList, nothing),
    (Operation::BudgetsSet, holds::budgets_set),
    (Operation::BudgetsRemove, holds::budgets_remove),
    (Operation::ExperimentsCreate, experiments::create),
    (Operation::ExperimentsList, experiments::list),
    (Operation::ExperimentsGet, experiments::one),
    (Operation::ExperimentsStart, experiments::one),
    (Operation::ExperimentsTag, experiments::tag),
    (Operation::ExperimentsConclude, experiments::conclude),
    (Operation::ExperimentsArchive, experiments::one),
    (Operation::PolicyShow, nothing),
    (Operation::PolicyActivate, policy::policy_activate),
    (Operation::PolicyCheck, policy::policy_check),
    (Operation::MemoryReport, sessions::memory_report),
    (Operation::MemoryCompact, effects::memory_compact),
    (Operation::MemoriesSubmit, work_memory::submit),
    (Operation::MemoriesExtract, work_memory::extract),
    (Operation::MemoriesAdmit, work_memory::admit),
    (Operation::MemoriesPromote, work_memory::promote),
    (Operation::MemoriesCompact, work_memory::compact),
    (Operation::MemoriesList, work_memory::list),
    (Operation::MemoriesGet, work_memory::get),
    (Operation::MemoriesDescribe, work_memory::of_workspace),
    (Operation::MemoriesSources, work_memory::of_workspace),
    (Operation::WorkspacesBootstrap, work_memory::bootstrap),
    (Operation::FeedbackAnnotate, review::annotate),
    (Operation::FeedbackList, review::feedback_list),
    (Operation::CasesMine, review::cases_mine),
    (Operation::CasesCreate, review::cases_create),
    (Operation::CasesList, review::list),
    (Operation::CasesGet, review::get),
    (Operation::CasesArchive, review::close),
    (Operation::RulesCreate, review::rules_create),
    (Operation::RulesList, nothing),
    (Operation::RulesEnable, review::rules_switch),
    (Operation::RulesDisable, review::rules_switch),
    (Operation::RulesRun, review::rules_run),
    (Operation::ReviewsList, review::list),
    (Operation::ReviewsGet, review::get),
    (Operation::ReviewsResolve, review::close),
    (Operation::ReviewsDismiss, review::close),
    (Operation::SessionsInterrupt, effects::sessions_control),
    (Operation::SessionsStop, effects::sessions_control),
    (Operation::SessionsReset, effects::sessions_control),
    (Operation::SessionsModel, effects::sessions_model),
    (Operation::SessionsSpawn, effects::sessions_spawn),
    (Operation::EffectsList, effects::effects_list),
    (Operation::EffectsGet, effects::effects_get),
    (Operation::MessagesSend, messages::send),
    (Operation::MessagesReceive, messages::receive),
    (Operation::MessagesAck, messages::ack),
    (Operation::MessagesAsk, messages::ask),
    (Operation::MessagesAnswer, messages::answer),
    (Operation::MessagesRemind, messages::remind),
    (Operation::MessagesCancel, messages::cancel),
    (Operation::MessagesList, messages::list),
    (Operation::MessagesThreads, messages::threads),
    (Operation::Whoami, nothing),
    (Operation::EscalationsList, leases::guards_list),
    (Operation::EscalationsSet, leases::escalations_set),
    (Operation::EscalationsClear, leases::escalations_clear),
    (Operation::GatesList, leases::guards_list),
    (Operation::GatesReplace, leases::gates_replace),
    (Operation::GatesSeed, leases::gates_seed),
    (Operation::GatesSetStatus, leases::gates_set_status),
    (Operation::GatesAdvance, leases::gates_change),
    (Operation::GatesClear, leases::gates_change),
    (Operation::ContextCheck, evaluation::context_check),
    (Operation::CheckpointsEvaluate, evaluation::checkpoint),
    (Operation::CheckpointsCloseout, evaluation::checkpoint),
    (Operation::HandoffsGet, evaluation::handoffs_get),
    (Operation::HandoffsWrite, evaluation::handoffs_write),
    (Operation::RecoveriesWrite, evaluation::recoveries_write),
    (Operation::SessionsLeases, leases::sessions_leases),
    (Operation::SessionsStart, leases::sessions_start),
    (Operation::SessionsHeartbeat, leases::sessions_heartbeat),
    (Operation::SessionsClear, leases::sessions_clear),
    (Operation::SessionsTakeover, leases::sessions_takeover),
];

/// The schema of an operation's request.
pub fn request(operation: Operation) -> Option<Value> {
    let (_, schema) = REQUESTS.iter().find(|(of, _)| *of == operation)?;
    Some(schema())
}

/// An object of exactly these members.
pub fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn text(what: &str) -> Value {
    json!({"type": "string", "description": what})
}

fn count(what: &str) -> Value {
    json!({"type": "integer", "minimum": 0, "description": what})
}

fn time(what: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": what})
}

fn rows() -> Value {
    json!({"type": "integer", "minimum": 1, "description": "rows at most; the server has a cap of its own"})
}

fn cursor() -> Value {
    text("next_cursor of the page before")
}

fn request_id() -> Value {
    text("names this request, so that it can be repeated")
}

fn nothing() -> Value {
    object(json!({}), &[])
}

#[cfg(test)]
mod tests;

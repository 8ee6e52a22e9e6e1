//! Requests of everything that is decided, each with every member set.

use super::super::*;
use super::{Full, full};
use crate::api::{
    AlertState, AlertsListRequest, ApprovalRequest, ApprovalState, ApprovalsListRequest, ApprovalsResolveRequest,
    AuditDigestRequest, BudgetsRemoveRequest, BudgetsSetRequest, CheckpointRequest, CircuitsProbeRequest,
    CircuitsResetRequest, CircuitsStatusRequest, ContextCheckRequest, Cursor, DelegateRequest, DelegationRequest,
    DelegationsCancelRequest, DelegationsListRequest, EscalationsClearRequest, EscalationsSetRequest,
    GatesReplaceRequest, GatesRequest, GatesSeedRequest, GatesSetStatusRequest, GuardsListRequest, HandoffsGetRequest,
    HandoffsWriteRequest, HelloRequest, HoldsListRequest, HoldsReleaseRequest, HoldsSetRequest, HostsListRequest,
    LeaseCursor, LeaseTarget, LeasesListRequest, MemoryReportRequest, Place, PolicyActivateRequest, PolicyCheckRequest,
    RecoveriesWriteRequest, SessionDetailRequest, SessionRequest, SessionsClearRequest, SessionsHeartbeatRequest,
    SessionsListRequest, SessionsMetricsRequest, SessionsQueryRequest, SessionsSearchRequest, SessionsStartRequest,
    SessionsSummaryRequest, SessionsTakeoverRequest, TurnsStatsRequest, Verdict,
};
use crate::edge::Source;
use crate::words::WordsKind;
use muster_domain::alert::{Rule, Severity};
use muster_domain::approval::{ApprovalId, Scope};
use muster_domain::budget;
use muster_domain::checkpoint::Git;
use muster_domain::context::{Boundary, Trigger};
use muster_domain::fleet::SessionKey;
use muster_domain::hold::{self, Selector};
use muster_domain::ids::DelegationId;
use muster_domain::lease::{EscalationKind, GateStatus, Handoff, LeaseKey, Mode, OwnerKind, Recovery, Seed};
use muster_domain::names::{AgentName, HostName, Profile, SessionId, SubagentName, ToolCallId, Workspace};
use muster_domain::policy::ActionFamily;
use muster_domain::state::SessionState;
use muster_domain::time::Timestamp;
use serde_json::value::to_raw_value;

fn host() -> HostName {
    HostName::new("web-01").unwrap()
}

fn id() -> SessionId {
    SessionId::new("s1").unwrap()
}

fn approval() -> ApprovalId {
    "0198f3c2-0000-7000-8000-00000000000a".parse().unwrap()
}

fn agent() -> SubagentName {
    SubagentName::new("reviewer").unwrap()
}

fn workspace() -> Workspace {
    Workspace::new("/w").unwrap()
}

fn checkpoint() -> CheckpointRequest {
    CheckpointRequest {
        session: Some(id()),
        host: Some(host()),
        workspace: Some(workspace()),
        profile: Profile::new("p").ok(),
        git: Some(Git::default()),
        memory_candidates: Some(1),
        memory_changed: Some(true),
        request_id: Some("r1".to_owned()),
    }
}

fn guards() -> GuardsListRequest {
    GuardsListRequest {
        workspace: workspace(),
        profile: Profile::new("p").ok(),
    }
}

fn target() -> LeaseTarget {
    LeaseTarget {
        workspace: workspace(),
        profile: Some(Profile::new("p").unwrap()),
        actor_id: Some("a".to_owned()),
        session_id: Some(id()),
        expected_revision: Some(1),
        host: Some(host()),
        request_id: Some("r1".to_owned()),
    }
}

fn delegation() -> DelegationId {
    DelegationId::from_uuid(uuid::Uuid::from_u128(1))
}

pub(super) fn requests() -> Vec<Full> {
    vec![
        full(
            Operation::Hello,
            &HelloRequest {
                proto_min: Some(1),
                proto_max: Some(1),
            },
        ),
        full(
            Operation::SessionsList,
            &SessionsListRequest {
                cursor: Some(Cursor::after(SessionKey { host: host(), id: id() })),
                limit: Some(1),
                host: Some(host()),
                agent: Some(AgentName::new("codex").unwrap()),
                state: Some(SessionState::Idle),
                since: Some(Timestamp::from_millis(1)),
            },
        ),
        full(
            Operation::SessionsStatus,
            &SessionRequest {
                id: id(),
                host: Some(host()),
            },
        ),
        full(
            Operation::SessionsDetail,
            &SessionDetailRequest {
                id: id(),
                host: Some(host()),
                after_seq: Some(1),
                limit: Some(1),
            },
        ),
        full(
            Operation::SessionsQuery,
            &SessionsQueryRequest {
                expr: "agent=codex".to_owned(),
                since: Some(Timestamp::from_millis(1)),
                cursor: Some(Place::of(
                    SessionKey { host: host(), id: id() },
                    Timestamp::from_millis(1),
                )),
                limit: Some(1),
            },
        ),
        full(
            Operation::SessionsSearch,
            &SessionsSearchRequest {
                query: "build".to_owned(),
                since: Some(Timestamp::from_millis(1)),
                agent: AgentName::new("codex").ok(),
                kind: Some(WordsKind::Prompt),
                host: Some(host()),
                session: Some(id()),
                limit: Some(1),
            },
        ),
        full(
            Operation::SessionsSummary,
            &SessionsSummaryRequest {
                expr: Some("agent=codex".to_owned()),
                since: Some(Timestamp::from_millis(1)),
            },
        ),
        full(Operation::SessionsMetrics, &SessionsMetricsRequest { days: Some(1) }),
        full(
            Operation::HostsList,
            &HostsListRequest {
                cursor: Some(host()),
                limit: Some(1),
            },
        ),
        full(
            Operation::MemoryReport,
            &MemoryReportRequest {
                session: Some(id()),
                host: Some(host()),
                used_tokens: Some(1),
                window_tokens: Some(1),
            },
        ),
        full(Operation::EscalationsList, &guards()),
        full(Operation::GatesList, &guards()),
        full(
            Operation::EscalationsSet,
            &EscalationsSetRequest {
                target: target(),
                id: Some("e".to_owned()),
                kind: EscalationKind::NonBlocking,
                reason: "why".to_owned(),
            },
        ),
        full(
            Operation::EscalationsClear,
            &EscalationsClearRequest {
                target: target(),
                id: Some("e".to_owned()),
            },
        ),
        full(
            Operation::GatesReplace,
            &GatesReplaceRequest {
                target: target(),
                gates: vec!["tests pass".to_owned()],
            },
        ),
        full(
            Operation::GatesSeed,
            &GatesSeedRequest {
                target: target(),
                seeded_from: Seed::ImmediateActions,
                gates: vec!["tests pass".to_owned()],
            },
        ),
        full(
            Operation::GatesSetStatus,
            &GatesSetStatusRequest {
                target: target(),
                index: 1,
                status: GateStatus::Blocked,
            },
        ),
        full(Operation::GatesAdvance, &GatesRequest { target: target() }),
        full(Operation::GatesClear, &GatesRequest { target: target() }),
        full(Operation::AuditDigest, &AuditDigestRequest { at_seq: Some(1) }),
        full(
            Operation::ApprovalsList,
            &ApprovalsListRequest {
                state: ApprovalState::All,
                session: Some(id()),
                host: Some(host()),
                cursor: Some(approval()),
                limit: Some(1),
            },
        ),
        full(
            Operation::TurnsStats,
            &TurnsStatsRequest {
                since: Some(Timestamp::from_millis(1)),
                host: Some(host()),
                agent: AgentName::new("codex").ok(),
                session: Some(id()),
            },
        ),
        full(
            Operation::AlertsList,
            &AlertsListRequest {
                state: AlertState::All,
                rule: Some(Rule::Stuck),
                session: Some(id()),
                host: Some(host()),
                severity: Some(Severity::Critical),
                since: Some(Timestamp::from_millis(1)),
                limit: Some(1),
            },
        ),
        full(Operation::ApprovalsGet, &ApprovalRequest { id: approval() }),
        full(
            Operation::ApprovalsResolve,
            &ApprovalsResolveRequest {
                id: approval(),
                decision: Verdict::Deny,
                reason: Some("no".to_owned()),
                scope: Scope::Session,
                interrupt: true,
                answers: Some(to_raw_value(&json!({})).unwrap()),
                updated_input: Some(to_raw_value(&json!({})).unwrap()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::CircuitsStatus,
            &CircuitsStatusRequest { agent: Some(agent()) },
        ),
        full(
            Operation::DelegationsDelegate,
            &DelegateRequest {
                session_id: id(),
                host: Some(host()),
                agent: agent(),
                task: "review it".to_owned(),
                tier: Some("opus".to_owned()),
                parent_delegation: Some(delegation()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::DelegationsList,
            &DelegationsListRequest {
                all: true,
                session: Some(id()),
                host: Some(host()),
                cursor: Some(delegation()),
                limit: Some(1),
            },
        ),
        full(Operation::DelegationsGet, &DelegationRequest { id: delegation() }),
        full(
            Operation::DelegationsCancel,
            &DelegationsCancelRequest {
                id: delegation(),
                reason: Some("x".to_owned()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::CircuitsProbe,
            &CircuitsProbeRequest {
                agent: agent(),
                session: id(),
                tool_use_id: Some(ToolCallId::new("t1").unwrap()),
                delegation_id: Some(delegation()),
            },
        ),
        full(
            Operation::CircuitsReset,
            &CircuitsResetRequest {
                agent: agent(),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(Operation::HoldsList, &HoldsListRequest { past: true }),
        full(
            Operation::HoldsSet,
            &HoldsSetRequest {
                mode: hold::Mode::Away,
                selector: Selector::All,
                reason: Some("r".to_owned()),
                expires_in_ms: Some(1),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::HoldsRelease,
            &HoldsReleaseRequest {
                id: Some(approval().event()),
                selector: Some(Selector::All),
                all: true,
                mode: Some(hold::Mode::Hold),
                reason: Some("r".to_owned()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::BudgetsSet,
            &BudgetsSetRequest {
                scope: budget::Scope::Fleet,
                measure: budget::Measure::Calls,
                limit: 1.0,
                window: Some(budget::Window::Minute),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::BudgetsRemove,
            &BudgetsRemoveRequest {
                id: "fleet/usd".to_owned(),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::PolicyActivate,
            &PolicyActivateRequest {
                name: Some("n".to_owned()),
                sources: vec![Source {
                    name: "a.cedar".to_owned(),
                    text: String::new(),
                }],
                expected_fingerprint: Some("f".to_owned()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::PolicyCheck,
            &PolicyCheckRequest {
                action: Some(ActionFamily::ReadOnly),
                tool: Some("Bash".to_owned()),
                input: Some(json!({})),
                session: Some(id()),
                host: Some(host()),
                agent: Some(AgentName::new("codex").unwrap()),
                cwd: Some("/w".to_owned()),
                summary: Some("s".to_owned()),
                dry_run: true,
                wait_ms: Some(1),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(
            Operation::ContextCheck,
            &ContextCheckRequest {
                session: Some(id()),
                host: Some(host()),
                workspace: Some(workspace()),
                profile: Profile::new("p").ok(),
                trigger: Trigger::Resume,
                symptoms: vec!["s".to_owned()],
                no_progress: 1,
                checkout_advisory: Some("c".to_owned()),
                behavioural_drift: Some("b".to_owned()),
                boundary: Some(Boundary::Refresh),
                review_required: true,
                source_fingerprint: Some("f".to_owned()),
                request_id: Some("r1".to_owned()),
            },
        ),
        full(Operation::CheckpointsEvaluate, &checkpoint()),
        full(Operation::CheckpointsCloseout, &checkpoint()),
        full(
            Operation::HandoffsGet,
            &HandoffsGetRequest {
                workspace: workspace(),
                profile: Profile::new("p").ok(),
            },
        ),
        full(
            Operation::HandoffsWrite,
            &HandoffsWriteRequest {
                target: target(),
                handoff: Handoff::default(),
            },
        ),
        full(
            Operation::RecoveriesWrite,
            &RecoveriesWriteRequest {
                target: target(),
                recovery: Recovery::default(),
            },
        ),
        full(
            Operation::SessionsLeases,
            &LeasesListRequest {
                workspace: Some(workspace()),
                cursor: Some(LeaseCursor::after(LeaseKey {
                    profile: None,
                    workspace: workspace(),
                })),
                limit: Some(1),
            },
        ),
        full(
            Operation::SessionsStart,
            &SessionsStartRequest {
                target: target(),
                mode: Mode::Research,
                owner_kind: Some(OwnerKind::Interactive),
                supervisor_id: Some("s".to_owned()),
                lease_seconds: Some(1),
                recover_stale: true,
            },
        ),
        full(
            Operation::SessionsHeartbeat,
            &SessionsHeartbeatRequest {
                target: target(),
                activity: Some("a".to_owned()),
            },
        ),
        full(
            Operation::SessionsClear,
            &SessionsClearRequest {
                target: target(),
                reason: Some("r".to_owned()),
            },
        ),
        full(
            Operation::SessionsTakeover,
            &SessionsTakeoverRequest {
                target: target(),
                reason: "r".to_owned(),
            },
        ),
    ]
}

//! Questions, answered from the state. Pure but for a page of events, which is read from the log.

mod alerts;
mod approvals;
mod bootstrap;
mod budgets;
mod circuits;
mod continuity;
mod delegations;
mod detail;
mod effects;
mod evaluations;
mod experiments;
mod guards;
mod holds;
mod leases;
mod lists;
mod memories;
mod memory;
mod messages;
mod page;
mod policy;
mod query;
mod recall;
mod reviews;
mod rules;

use crate::index::Question;
use bytes::Bytes;
use detail::Wanted;
pub(crate) use messages::{Waits, nothing};
use muster_bus::service::Failure;
use muster_domain::asker::Asker;
use muster_domain::checkpoint::Extent;
use muster_domain::conclusion::Draft;
use muster_domain::effect::Action;
use muster_domain::fleet::Fleet;
use muster_domain::ids::{EventId, InstanceId};
use muster_domain::names::HostName;
use muster_domain::overlay::Overlay;
use muster_domain::review::How;
use muster_domain::time::Timestamp;
use muster_wire::api::{
    self, ApiError, AuditDigest, AuditDigestRequest, BudgetsListRequest, ErrorKind, Hello, HelloRequest, Position,
    RetryClass, RulesListRequest, Session, SessionRequest, Status, WhoamiRequest,
};
use muster_wire::subject::Operation;
use muster_wire::{limits, snapshot};
pub(crate) use policy::InForce;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What goes back.
pub(crate) type Reply = Result<Bytes, Failure>;

/// What the answers are drawn from.
pub(crate) struct Asked<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) overlay: &'a Overlay,
    pub(crate) asker: &'a Asker,
    /// The service's clock.
    pub(crate) now: Timestamp,
    pub(crate) in_force: &'a InForce,
    pub(crate) stream_created: Timestamp,
    pub(crate) instance: InstanceId,
    pub(crate) leading: bool,
    pub(crate) uptime: Duration,
    pub(crate) queue_depth: u64,
    pub(crate) last_error: Option<&'a str>,
}

/// An answer, or what is needed for it.
pub(crate) enum Answer {
    /// It is ready.
    Ready(Reply),
    /// It takes time, and the state no more.
    Detail(Box<Wanted>),
    /// It is to be looked up in the index.
    Indexed(Box<Question>),
    /// Something is to be decided first.
    After(After),
    /// There is nothing yet, and the asker waits for it.
    Wait(Waits),
}

/// How the answer is drawn from a state that holds what was decided.
pub(crate) type Then = Box<dyn FnOnce(&Fleet, Position) -> Result<Bytes, ApiError> + Send + Sync>;

/// What is to be written, or read back, before the answer can be given.
pub(crate) struct After {
    /// What is to be written.
    pub(crate) drafts: Vec<Draft>,
    /// What is to be read back, where nothing is to be written.
    pub(crate) event: Option<EventId>,
    /// The answer then.
    pub(crate) then: Then,
}

impl After {
    /// Once these are written and read back; at once, where there are none.
    pub(crate) fn written(drafts: Vec<Draft>, then: Then) -> Self {
        Self {
            drafts,
            event: None,
            then,
        }
    }

    /// Once this event, which is on its way, is read back.
    pub(crate) fn folded(event: EventId, then: Then) -> Self {
        Self {
            drafts: Vec::new(),
            event: Some(event),
            then,
        }
    }

    /// At once: all that was asked for is the case.
    pub(crate) fn nothing(then: Then) -> Self {
        Self {
            drafts: Vec::new(),
            event: None,
            then,
        }
    }
}

/// Bytes of a request: what it says is kept, by every instance, for as long as what it is about.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of those that carry what agents and rules say, whole. Of rules, half of it may be the rules themselves.
const LARGE: &[(Operation, usize)] = &[
    (Operation::PolicyActivate, 512 * 1024),
    (Operation::ApprovalsResolve, 512 * 1024),
    (Operation::PolicyCheck, 128 * 1024),
    (Operation::DelegationsDelegate, 128 * 1024),
    (Operation::HandoffsWrite, 128 * 1024),
    (Operation::RecoveriesWrite, 128 * 1024),
    (Operation::CheckpointsEvaluate, 128 * 1024),
    (Operation::CheckpointsCloseout, 128 * 1024),
    (Operation::SessionsSpawn, 128 * 1024),
    (Operation::MemoriesSubmit, 64 * 1024),
    (Operation::MemoriesExtract, 256 * 1024),
];

fn body_bytes_max(operation: Operation) -> usize {
    let large = LARGE.iter().find(|(of, _)| *of == operation);
    large.map_or(BODY_BYTES_MAX, |(_, bytes)| *bytes)
}

pub(crate) fn too_large(bytes: usize, limit: usize) -> ApiError {
    ApiError::new(
        ErrorKind::TooLarge,
        format!("this has {bytes} bytes; the limit is {limit}"),
    )
}

/// Answers one request.
pub(crate) fn to(asked: &Asked<'_>, operation: Operation, body: &[u8]) -> Answer {
    let limit = body_bytes_max(operation);
    if body.len() > limit {
        return Answer::Ready(Err(failure(&too_large(body.len(), limit))));
    }
    let fleet = asked.fleet;
    let ready = match operation {
        Operation::Hello => read(body).and_then(|request| asked.reply(hello(asked, &request)?)),
        Operation::Status => asked.reply(status(asked)),
        Operation::SessionsList => read(body).and_then(|request| asked.reply(lists::sessions(fleet, &request))),
        Operation::SessionsStatus => read(body).and_then(|request| asked.reply(session(fleet, &request)?)),
        Operation::SessionsDetail => match read(body).and_then(|request| detail::of(asked, &request)) {
            Ok(wanted) => return Answer::Detail(Box::new(wanted)),
            Err(error) => Err(error),
        },
        Operation::SessionsQuery => read(body).and_then(|request| asked.reply(query::query(asked, &request)?)),
        Operation::SessionsSummary => {
            read(body).and_then(|request| asked.reply(query::summary(fleet, asked.now, &request)?))
        }
        Operation::SessionsSearch => return indexed(read(body).and_then(|request| query::search(asked, &request))),
        Operation::SessionsMetrics => return indexed(read(body).and_then(|request| query::metrics(asked, &request))),
        Operation::HostsList => read(body).and_then(|request| asked.reply(lists::hosts(fleet, &request))),
        Operation::PolicyShow => read(body).and_then(|request| asked.reply(policy::show(fleet, request))),
        Operation::PolicyActivate => return after(read(body).and_then(|request| policy::activate(asked, request))),
        Operation::PolicyCheck => return after(read(body).and_then(|request| policy::check(asked, &request))),
        Operation::TurnsStats => read(body).and_then(|request| asked.reply(lists::turns(fleet, request))),
        Operation::AlertsList => read(body).and_then(|request| asked.reply(alerts::list(fleet, &request))),
        Operation::ApprovalsList => read(body).and_then(|request| asked.reply(approvals::list(fleet, &request))),
        Operation::ApprovalsGet => read(body).and_then(|request| asked.reply(approvals::get(fleet, &request)?)),
        Operation::ApprovalsResolve => return after(read(body).and_then(|request| approvals::resolve(asked, request))),
        Operation::SessionsLeases => read(body).and_then(|request| asked.reply(leases::list(asked, &request))),
        Operation::SessionsStart => return after(read(body).and_then(|request| leases::start(asked, request))),
        Operation::SessionsHeartbeat => return after(read(body).and_then(|request| leases::heartbeat(asked, request))),
        Operation::SessionsClear => return after(read(body).and_then(|request| leases::clear(asked, request))),
        Operation::SessionsTakeover => return after(read(body).and_then(|request| leases::takeover(asked, request))),
        Operation::EscalationsList | Operation::GatesList => {
            read(body).and_then(|request| asked.reply(guards::list(fleet, request)))
        }
        Operation::EscalationsSet => {
            return after(read(body).and_then(|request| guards::set_escalation(asked, request)));
        }
        Operation::EscalationsClear => {
            return after(read(body).map(|request| guards::clear_escalation(asked, request)));
        }
        Operation::GatesReplace => return after(read(body).and_then(|request| guards::replace_gates(asked, request))),
        Operation::GatesSeed => return after(read(body).and_then(|request| guards::seed_gates(asked, request))),
        Operation::GatesSetStatus => return after(read(body).map(|request| guards::set_gate_status(asked, request))),
        Operation::GatesAdvance => return after(read(body).map(|request| guards::advance_gates(asked, request))),
        Operation::GatesClear => return after(read(body).map(|request| guards::clear_gates(asked, request))),
        Operation::HandoffsGet => read(body).and_then(|request| asked.reply(continuity::get(fleet, request))),
        Operation::HandoffsWrite => {
            return after(read(body).and_then(|request| continuity::write_handoff(asked, request)));
        }
        Operation::RecoveriesWrite => {
            return after(read(body).and_then(|request| continuity::write_recovery(asked, request)));
        }
        Operation::ContextCheck => return after(read(body).and_then(|request| evaluations::check(asked, request))),
        Operation::CheckpointsEvaluate | Operation::CheckpointsCloseout => {
            let extent = if operation == Operation::CheckpointsCloseout {
                Extent::Closeout
            } else {
                Extent::Checkpoint
            };
            return after(read(body).and_then(|request| evaluations::evaluate(asked, extent, request)));
        }
        Operation::MemoryReport => read(body).and_then(|request| asked.reply(memory::report(fleet, &request)?)),
        Operation::MemoriesSubmit => return after(read(body).and_then(|request| memories::submit(asked, request))),
        Operation::MemoriesExtract => return after(read(body).and_then(|request| memories::extract(asked, request))),
        Operation::MemoriesAdmit => return after(read(body).and_then(|request| memories::admit(asked, request))),
        Operation::MemoriesPromote => return after(read(body).and_then(|request| memories::promote(asked, request))),
        Operation::MemoriesCompact => return after(read(body).and_then(|request| memories::compact(asked, request))),
        Operation::MemoriesList => read(body).and_then(|request| asked.reply(recall::list(fleet, request)?)),
        Operation::MemoriesGet => read(body).and_then(|request| asked.reply(recall::get(fleet, request)?)),
        Operation::MemoriesDescribe => read(body).and_then(|request| asked.reply(recall::describe(fleet, request))),
        Operation::MemoriesSources => read(body).and_then(|request| recall::sources(asked, request)),
        Operation::WorkspacesBootstrap => read(body).and_then(|request| asked.reply(bootstrap::of(asked, request)?)),
        Operation::FeedbackAnnotate => return after(read(body).and_then(|request| reviews::annotate(asked, request))),
        Operation::FeedbackList => read(body).and_then(|request| asked.reply(reviews::feedback(fleet, &request))),
        Operation::CasesMine => read(body).and_then(|request| asked.reply(reviews::mine(fleet, &request))),
        Operation::CasesCreate => return after(read(body).and_then(|request| reviews::create_case(asked, request))),
        Operation::CasesList => read(body).and_then(|request| asked.reply(reviews::cases(fleet, &request))),
        Operation::CasesGet => read(body).and_then(|request| asked.reply(reviews::case(fleet, request)?)),
        Operation::CasesArchive => return after(read(body).and_then(|request| reviews::archive(asked, request))),
        Operation::RulesCreate => return after(read(body).and_then(|request| rules::create(asked, request))),
        Operation::RulesList => read(body).and_then(|RulesListRequest {}| asked.reply(rules::list(fleet))),
        Operation::RulesEnable => return after(read(body).and_then(|request| rules::switch(asked, &request, true))),
        Operation::RulesDisable => return after(read(body).and_then(|request| rules::switch(asked, &request, false))),
        Operation::RulesRun => return after(read(body).and_then(|request| rules::run(asked, &request))),
        Operation::ReviewsList => read(body).and_then(|request| asked.reply(reviews::queue(fleet, &request))),
        Operation::ReviewsGet => read(body).and_then(|request| asked.reply(reviews::queued(fleet, request)?)),
        Operation::ReviewsResolve => {
            return after(read(body).and_then(|request| reviews::end(asked, How::Resolved, request)));
        }
        Operation::ReviewsDismiss => {
            return after(read(body).and_then(|request| reviews::end(asked, How::Dismissed, request)));
        }
        Operation::MessagesSend => return after(read(body).and_then(|request| messages::send(asked, request))),
        Operation::MessagesReceive => match read(body) {
            Ok(request) => return messages::receive(asked, &request),
            Err(error) => Err(error),
        },
        Operation::MessagesAck => return after(read(body).and_then(|request| messages::ack(asked, &request))),
        Operation::MessagesAsk => return after(read(body).and_then(|request| messages::ask(asked, request))),
        Operation::MessagesAnswer => return after(read(body).and_then(|request| messages::answer(asked, request))),
        Operation::MessagesRemind => return after(read(body).and_then(|request| messages::remind(asked, request))),
        Operation::MessagesCancel => return after(read(body).and_then(|request| messages::cancel(asked, &request))),
        Operation::MessagesList => read(body).and_then(|request| asked.reply(messages::list(asked, &request)?)),
        Operation::MessagesThreads => read(body).and_then(|request| asked.reply(messages::threads(asked, &request)?)),
        Operation::Whoami => read(body).and_then(|WhoamiRequest {}| asked.reply(messages::whoami(asked))),
        Operation::MemoryCompact => return after(read(body).and_then(|request| effects::compact(asked, request))),
        Operation::SessionsInterrupt => {
            return after(read(body).and_then(|request| effects::control(asked, &request, Action::Interrupt)));
        }
        Operation::SessionsStop => {
            return after(read(body).and_then(|request| effects::control(asked, &request, Action::Stop)));
        }
        Operation::SessionsReset => {
            return after(read(body).and_then(|request| effects::control(asked, &request, Action::NewSession)));
        }
        Operation::SessionsModel => return after(read(body).and_then(|request| effects::model(asked, request))),
        Operation::SessionsSpawn => return after(read(body).and_then(|request| effects::spawn(asked, request))),
        Operation::EffectsList => read(body).and_then(|request| asked.reply(effects::list(fleet, &request)?)),
        Operation::EffectsGet => read(body).and_then(|request| asked.reply(effects::get(fleet, &request)?)),
        Operation::DelegationsDelegate => {
            return after(read(body).and_then(|request| delegations::delegate(asked, request)));
        }
        Operation::DelegationsList => read(body).and_then(|request| asked.reply(delegations::list(fleet, &request)?)),
        Operation::DelegationsGet => read(body).and_then(|request| asked.reply(delegations::get(fleet, &request)?)),
        Operation::DelegationsCancel => {
            return after(read(body).and_then(|request| delegations::cancel(asked, request)));
        }
        Operation::CircuitsStatus => read(body).and_then(|request| asked.reply(circuits::status(fleet, &request))),
        Operation::CircuitsProbe => return after(read(body).and_then(|request| circuits::probe(asked, request))),
        Operation::CircuitsReset => return after(read(body).and_then(|request| circuits::reset(asked, request))),
        Operation::HoldsList => read(body).and_then(|request| asked.reply(holds::list(fleet, &request))),
        Operation::HoldsSet => return after(read(body).and_then(|request| holds::set(asked, request))),
        Operation::HoldsRelease => return after(read(body).and_then(|request| holds::release(asked, request))),
        Operation::BudgetsList => read(body).and_then(|BudgetsListRequest {}| asked.reply(budgets::list(fleet))),
        Operation::BudgetsSet => return after(read(body).and_then(|request| budgets::set(asked, &request))),
        Operation::BudgetsRemove => return after(read(body).map(|request| budgets::remove(asked, request))),
        Operation::ExperimentsCreate => {
            return after(read(body).and_then(|request| experiments::create(asked, request)));
        }
        Operation::ExperimentsList => read(body).and_then(|request| asked.reply(experiments::list(fleet, &request)?)),
        Operation::ExperimentsGet => read(body).and_then(|request| asked.reply(experiments::get(fleet, &request)?)),
        Operation::ExperimentsStart => {
            return after(read(body).and_then(|request| experiments::start(asked, &request)));
        }
        Operation::ExperimentsTag => return after(read(body).and_then(|request| experiments::tag(asked, &request))),
        Operation::ExperimentsConclude => {
            return after(read(body).and_then(|request| experiments::conclude(asked, request)));
        }
        Operation::ExperimentsArchive => {
            return after(read(body).and_then(|request| experiments::archive(asked, &request)));
        }
        Operation::AuditDigest => read(body).and_then(|request| asked.reply(digest(fleet, &request)?)),
    };
    Answer::Ready(ready.map_err(|error| failure(&error)))
}

impl Asked<'_> {
    fn at(&self) -> Position {
        Position {
            seq: self.fleet.watermark(),
            stream_created: self.stream_created,
        }
    }

    fn reply<T: Serialize>(&self, body: T) -> Result<Bytes, ApiError> {
        encode_at(self.at(), body)
    }
}

/// A host asks for its own sessions: which host asks, the hub has checked. Others, people's programs, ask for any.
fn of_its_own(asked: &Asked<'_>, host: &HostName) -> Result<(), ApiError> {
    let caller = HostName::new(&asked.asker.caller).ok();
    let caller = caller.filter(|name| asked.fleet.hosts().contains_key(name));
    match caller {
        Some(caller) if caller != *host && !asked.asker.operator => {
            let detail = format!("host {caller} does not speak for sessions of {host}");
            Err(ApiError::new(ErrorKind::Forbidden, detail))
        }
        _ => Ok(()),
    }
}

/// What a request of this caller begins is named after both, so that the same request begins the same.
fn named_by(caller: &str, request: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(caller.len().to_be_bytes());
    hash.update(caller);
    hash.update(request);
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

/// What is to be decided before there is an answer.
fn after(decided: Result<After, ApiError>) -> Answer {
    decided.map_or_else(|error| Answer::Ready(Err(failure(&error))), Answer::After)
}

/// What is to be looked up before there is an answer.
fn indexed(question: Result<Question, ApiError>) -> Answer {
    let looked_up = |question| Answer::Indexed(Box::new(question));
    question.map_or_else(|error| Answer::Ready(Err(failure(&error))), looked_up)
}

fn encode_classed<T: Serialize>(at: Position, class: RetryClass, body: T) -> Result<Bytes, ApiError> {
    encode(&api::Reply::classed(at, class, body))
}

fn encode_at<T: Serialize>(at: Position, body: T) -> Result<Bytes, ApiError> {
    encode(&api::Reply::new(at, body))
}

pub(crate) fn encode(reply: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(reply)
        .map(Bytes::from)
        .map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))
}

/// A request's body; an empty one is the request with nothing set.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| ApiError::new(ErrorKind::BadRequest, error.to_string()))
}

pub(crate) fn failure(error: &ApiError) -> Failure {
    let body = serde_json::to_vec(&api::Failure { error: error.clone() }).unwrap_or_default();
    Failure {
        code: error.kind.status(),
        text: error.to_string(),
        body: body.into(),
    }
}

fn hello(asked: &Asked<'_>, request: &HelloRequest) -> Result<Hello, ApiError> {
    let (min, max) = (
        request.proto_min.unwrap_or(limits::PROTOCOL_MIN),
        request.proto_max.unwrap_or(limits::PROTOCOL_MAX),
    );
    let proto = max.min(limits::PROTOCOL_MAX);
    if proto < min.max(limits::PROTOCOL_MIN) {
        let (oldest, newest) = (limits::PROTOCOL_MIN, limits::PROTOCOL_MAX);
        return Err(ApiError::new(
            ErrorKind::Version,
            format!("versions {oldest} to {newest} are spoken here, {min} to {max} there"),
        ));
    }
    Ok(Hello {
        proto,
        proto_min: limits::PROTOCOL_MIN,
        proto_max: limits::PROTOCOL_MAX,
        version: crate::VERSION.to_owned(),
        instance: asked.instance,
        leading: asked.leading,
    })
}

fn status(asked: &Asked<'_>) -> Status {
    let (fleet, leader) = (asked.fleet, asked.fleet.leader());
    let counters = fleet.counters();
    Status {
        version: crate::VERSION.to_owned(),
        instance: asked.instance,
        leading: asked.leading,
        leader: leader.map(|leader| leader.instance),
        term: leader.map(|leader| leader.term),
        uptime_ms: millis(asked.uptime),
        queue_depth: asked.queue_depth,
        sessions: fleet.sessions().len() as u64,
        hosts: fleet.hosts().len() as u64,
        gaps: fleet.gaps(),
        redelivered: counters.redelivered,
        forked: counters.forked,
        last_error: asked.last_error.map(str::to_owned),
    }
}

fn session(fleet: &Fleet, request: &SessionRequest) -> Result<Session, ApiError> {
    let key = lists::find(fleet, &request.id, request.host.as_ref())?;
    let session = lists::summary(fleet, &key)?;
    Ok(Session { session })
}

fn digest(fleet: &Fleet, request: &AuditDigestRequest) -> Result<AuditDigest, ApiError> {
    let at_seq = fleet.watermark();
    if request.at_seq.is_some_and(|wanted| wanted != at_seq) {
        let detail = format!("the state is at {at_seq}, and has no other place to look at");
        return Err(ApiError::new(ErrorKind::Unavailable, detail));
    }
    let digest = snapshot::digest(fleet).map_err(|error| ApiError::new(ErrorKind::Internal, error.to_string()))?;
    let settings = fleet.settings();
    Ok(AuditDigest {
        at_seq,
        digest,
        settings: settings.clone(),
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

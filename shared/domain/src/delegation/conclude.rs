//! What the leader concludes about delegations: whether one may begin, what became of its call, and that nobody knows.

use super::{Delegation, DelegationFact, Status, Tier, nesting};
use crate::asker::Asker;
use crate::budget;
use crate::circuit::{self, Asking, Holder, Permit};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fact::{Decision, Fact, Recorded, TurnFact};
use crate::fleet::{Fleet, SessionKey};
use crate::hold;
use crate::ids::{DelegationId, EventId};
use crate::names::SubagentName;
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// What somebody wants to delegate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The id it gets.
    pub id: DelegationId,
    /// The session that delegates.
    pub session: SessionKey,
    /// Who shall do it.
    pub agent: SubagentName,
    /// What shall be done.
    pub task: String,
    /// Which kind of model shall.
    pub tier: Tier,
    /// The delegation it is part of.
    pub parent: Option<DelegationId>,
    /// What the rules in force say against its call.
    pub forbidden: Option<String>,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session is not known.
    #[error("no such session: {0}")]
    NoSession(String),
    /// The delegation is not known.
    #[error("no such delegation: {0}")]
    Unknown(DelegationId),
    /// The agent keeps failing.
    #[error("circuit breaker for agent `{0}` is Open; delegation refused")]
    Open(SubagentName),
    /// Another run finds out whether the agent still fails.
    #[error("circuit breaker for agent `{0}` is HalfOpen, and its probe is held by session {1}; delegation refused")]
    HalfOpen(SubagentName, String),
    /// The circuit is changing this very moment.
    #[error("circuit breaker for agent `{0}` is changing; ask again")]
    Changing(SubagentName),
    /// Too many delegations within delegations.
    #[error("delegations may nest {limit} deep, and this one would be deeper; delegation refused")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// The session's tool calls are held.
    #[error("held by {0}; delegation refused")]
    Held(String),
    /// All of a budget is spent.
    #[error("budget {0} is spent; delegation refused")]
    Spent(String),
    /// The rules say no.
    #[error("{0}; delegation refused")]
    Forbidden(String),
    /// It is another host's.
    #[error("this delegation belongs to a session on another host; let its delegator or an operator cancel it")]
    NotYours,
}

impl Refusal {
    /// Whether the log shall show it: it was a decision, and not a mistake in the request.
    const fn is_decision(&self) -> bool {
        matches!(
            self,
            Self::Open(_)
                | Self::HalfOpen(..)
                | Self::TooDeep { .. }
                | Self::Held(_)
                | Self::Spent(_)
                | Self::Forbidden(_)
        )
    }
}

/// What is to be done before one who asked can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delegating {
    /// These are to be written, and read back.
    Write(Vec<Draft>),
    /// This event is on its way.
    Soon(EventId),
    /// Nothing.
    Settled,
}

/// Whether a delegation may begin: the session must be known, the nesting shallow, nothing hold the session, no budget of
/// it be spent, no rule forbid the call, and the agent's circuit let it. Through a circuit that has cooled down it goes as its one probe.
///
/// # Errors
/// [`Refusal`], with the event that shows it where it was a decision.
pub fn delegate(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    wish: &Wish,
    now: Timestamp,
) -> Result<Delegating, (Refusal, Option<Box<Draft>>)> {
    if let Some((event, _)) = overlay.delegation(wish.id) {
        return Ok(Delegating::Soon(event));
    }
    if fleet.delegations().get(wish.id).is_some() {
        return Ok(Delegating::Settled);
    }
    admit(fleet, overlay, asker, wish, now)
        .map(Delegating::Write)
        .map_err(|refusal| {
            let fact = refusal.is_decision().then(|| DelegationFact::Refused {
                agent: wish.agent.clone(),
                reason: refusal.to_string().into(),
            });
            let draft = fact.map(|fact| draft(fleet, &wish.session, fact, Cause::Request(asker.request.clone())));
            (refusal, draft.map(Box::new))
        })
}

fn admit(fleet: &Fleet, overlay: &Overlay, asker: &Asker, wish: &Wish, now: Timestamp) -> Result<Vec<Draft>, Refusal> {
    let Some(session) = fleet.session(&wish.session) else {
        return Err(Refusal::NoSession(wish.session.id.to_string()));
    };
    let limit = fleet.settings().circuits.max_depth;
    if let Some(id) = wish.parent {
        fleet.delegations().get(id).ok_or(Refusal::Unknown(id))?;
    }
    let seen = nesting::asking(fleet, &wish.session);
    let above = seen.iter().copied().chain(wish.parent);
    let depth = above.map(|id| nesting::depth(fleet, id, limit) + 1).max().unwrap_or(0);
    if depth >= limit {
        return Err(Refusal::TooDeep { limit });
    }
    if let Some(by) = hold::holding(fleet, &wish.session) {
        return Err(Refusal::Held(by));
    }
    if let Some(id) = budget::spent(fleet, &wish.session, now) {
        return Err(Refusal::Spent(id));
    }
    if let Some(why) = &wish.forbidden {
        return Err(Refusal::Forbidden(why.clone()));
    }
    let cause = || Cause::Request(asker.request.clone());
    let delegation = Delegation {
        session: wish.session.clone(),
        // One that was seen and is the only one it can be is as good as said.
        parent: wish.parent.or(match seen[..] {
            [only] => Some(only),
            _ => None,
        }),
        depth,
        agent: wish.agent.clone(),
        tier: wish.tier,
        task: wish.task.as_str().into(),
        permission_mode: session.permission_mode().map(Into::into),
        by: asker.caller.clone(),
        request: asker.request.clone(),
        status: Status::Queued,
        queued: now,
        since: now,
        call: None,
        reason: None,
    };
    let fact = DelegationFact::Queued {
        id: wish.id,
        delegation: Box::new(delegation),
    };
    let mut drafts = probe(fleet, overlay, wish, now)?;
    drafts.push(draft(fleet, &wish.session, fact, cause()));
    Ok(drafts)
}

/// What the circuit asks for: nothing while it is closed, its probe once it has cooled down.
fn probe(fleet: &Fleet, overlay: &Overlay, wish: &Wish, now: Timestamp) -> Result<Vec<Draft>, Refusal> {
    let holder = Holder {
        session: wish.session.clone(),
        call: None,
        delegation: Some(wish.id),
    };
    let agent = || wish.agent.clone();
    match circuit::ask(fleet, overlay, &wish.agent, &holder, now) {
        Asking::Write(draft) => return Ok(vec![*draft]),
        Asking::Soon(_) => return Err(Refusal::Changing(agent())),
        Asking::Settled => {}
    }
    let settings = &fleet.settings().circuits;
    match fleet.circuits().permit(&wish.agent, &holder, settings, now) {
        Permit::Free | Permit::Granted { .. } | Permit::Probe(_) => Ok(Vec::new()),
        Permit::Held { holder, .. } => Err(Refusal::HalfOpen(agent(), holder.session.id.to_string())),
        Permit::Open { .. } => Err(Refusal::Open(agent())),
    }
}

/// Takes a delegation back. One that is over stays as it is.
///
/// # Errors
/// [`Refusal::Unknown`], or [`Refusal::NotYours`] for another host's.
pub fn cancel(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    id: DelegationId,
    reason: Option<String>,
) -> Result<Delegating, Refusal> {
    let delegation = fleet.delegations().get(id).ok_or(Refusal::Unknown(id))?;
    if !asker.operator && *asker.caller != *delegation.session.host.as_str() {
        return Err(Refusal::NotYours);
    }
    if let Some((event, status)) = overlay.delegation(id)
        && !status.is_open()
    {
        return Ok(Delegating::Soon(event));
    }
    if !delegation.status.may_become(Status::Cancelled) || delegation.status == Status::Stale {
        return Ok(Delegating::Settled);
    }
    let why = reason.unwrap_or_else(|| "cancelled".to_owned());
    let fact = DelegationFact::Ended {
        id,
        status: Status::Cancelled,
        call: None,
        reason: Some(format!("{why} (by {})", asker.caller).into()),
    };
    let cause = Cause::Request(asker.request.clone());
    Ok(Delegating::Write(vec![draft(fleet, &delegation.session, fact, cause)]))
}

/// What an event that was just folded means for delegations.
pub(crate) fn react(fleet: &Fleet, overlay: &Overlay, recorded: &Recorded, drafts: &mut Vec<Draft>) {
    let event = &recorded.event;
    let bears = match &event.fact {
        Fact::Hook(hook) => hook.work.is_some(),
        Fact::Turn(TurnFact::SubagentLinked { .. })
        | Fact::Decision(Decision::Delegation(_) | Decision::StateChanged { .. }) => true,
        Fact::Turn(_)
        | Fact::Process(_)
        | Fact::Host(_)
        | Fact::Effect(_)
        | Fact::Decision(_)
        | Fact::Tombstone
        | Fact::Noted => false,
    };
    let (true, Some(host), Some(session)) = (bears, &event.host, &event.session) else {
        return;
    };
    let all = fleet.delegations().all().iter();
    let unsettled = all.filter(|(_, one)| one.status.may_become(Status::Completed));
    for (id, delegation) in unsettled.filter(|(_, one)| one.session.host == *host && one.session.id == *session) {
        conclude(fleet, overlay, *id, delegation, &Cause::Event(event.id), drafts);
    }
}

/// For a new leader: everything that is still to be said.
pub(crate) fn catch_up(fleet: &Fleet, overlay: &Overlay, drafts: &mut Vec<Draft>) {
    for (id, delegation) in fleet.delegations().all() {
        let cause = Cause::Due { at: delegation.since };
        conclude(fleet, overlay, *id, delegation, &cause, drafts);
    }
}

fn conclude(
    fleet: &Fleet,
    overlay: &Overlay,
    id: DelegationId,
    delegation: &Delegation,
    cause: &Cause,
    drafts: &mut Vec<Draft>,
) {
    let before = overlay.delegation(id).map_or(delegation.status, |(_, status)| status);
    let observed = fleet.delegations().observed(id, delegation, fleet.circuits());
    let over = || {
        let session = fleet.session(&delegation.session)?;
        let over = session.standing().state.is_over() && before.is_open();
        over.then(|| stale(id, "its session is over"))
    };
    let fact = observed
        .filter(|fact| fact.status().is_some_and(|status| before.may_become(status)))
        .or_else(over);
    if let Some(fact) = fact {
        drafts.push(draft(fleet, &delegation.session, fact, cause.clone()));
    }
}

/// When the next one is stale.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    let all = fleet.delegations().all().values();
    all.filter_map(|delegation| deadline(fleet, delegation)).min()
}

fn deadline(fleet: &Fleet, delegation: &Delegation) -> Option<Timestamp> {
    let settings = &fleet.settings().delegations;
    match delegation.status {
        Status::Queued => Some(delegation.since.after(settings.queued)),
        Status::Running => Some(delegation.since.after(settings.running)),
        Status::Completed | Status::Failed | Status::Cancelled | Status::Stale => None,
    }
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    for (id, delegation) in fleet.delegations().all() {
        let Some(at) = deadline(fleet, delegation).filter(|at| *at <= now) else {
            continue;
        };
        if overlay.delegation(*id).is_some() {
            continue;
        }
        let reason = if delegation.status == Status::Queued {
            "no call was made for it"
        } else {
            "its run was not heard of again"
        };
        drafts.push(draft(fleet, &delegation.session, stale(*id, reason), Cause::Due { at }));
    }
}

fn stale(id: DelegationId, reason: &str) -> DelegationFact {
    DelegationFact::Ended {
        id,
        status: Status::Stale,
        call: None,
        reason: Some(reason.into()),
    }
}

fn draft(fleet: &Fleet, key: &SessionKey, fact: DelegationFact, cause: Cause) -> Draft {
    let session = fleet.session(key);
    Draft {
        host: Some(key.host.clone()),
        session: Some(key.id.clone()),
        agent: session.and_then(|session| session.agent().cloned()),
        profile: session.and_then(|session| session.profile().cloned()),
        conclusion: Conclusion::Delegation(fact),
        cause,
    }
}

//! What the leader concludes about effects: whether one may be asked for, and that one was waited for long enough.

use super::{Action, ActionKind, By, EXPIRED, Effect, EffectFact, GIVEN_UP, Order, Status, UNKNOWN};
use crate::asker::Asker;
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::{Fleet, SessionKey};
use crate::hold;
use crate::host::HostState;
use crate::ids::{EffectId, EventId};
use crate::names::{HostName, RunId, SessionId};
use crate::overlay::Overlay;
use crate::session::Session;
use crate::time::Timestamp;

/// How many may wait for their hosts, of one session and of all.
const WAITING_MAX: usize = 32;
const WAITING_MAX_ALL: usize = 4000;

/// Why something is not asked of a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session is not known.
    #[error("no such session: {0}")]
    NoSession(SessionId),
    /// The host is not known.
    #[error("no such host: {0}")]
    NoHost(HostName),
    /// The host cannot be reached.
    #[error("host {host} is {state}; nothing can be done on it now")]
    HostAway {
        /// Which.
        host: HostName,
        /// How it is.
        state: HostState,
    },
    /// The session is over.
    #[error("session {0} is over; start it again with `muster run --agent claude-code --resume {0}`")]
    Over(SessionId),
    /// Nobody carries out what the session is told.
    #[error(
        "nothing carries out what session {0} is told; run its agent with `muster run --agent claude-code --session {0}`"
    )]
    NoCarrier(SessionId),
    /// Whoever does so cannot do this.
    #[error("what runs session {session} cannot do this: {kind}")]
    Cannot {
        /// The session.
        session: SessionId,
        /// What.
        kind: ActionKind,
    },
    /// An order is in force that new work waits for.
    #[error("held by {0}; release the hold first")]
    Held(String),
    /// Too many wait already.
    #[error("{0} effects wait for their hosts already; ask again when they are through")]
    TooMany(usize),
    /// It is another session's.
    #[error("a session may ask this for itself only; let an operator ask")]
    NotYours,
}

/// What is to be done before one who asked can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// This is to be written, and read back.
    Write(Box<Draft>),
    /// This event is on its way.
    Soon(EventId),
    /// It was asked before.
    Before(EffectId),
}

/// Asks a host to do something. The same request again is the same effect.
///
/// # Errors
/// [`Refusal`].
pub fn request(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    target: &SessionKey,
    action: Action,
    now: Timestamp,
) -> Result<Asking, Refusal> {
    let kind = action.kind();
    if let Some((id, _)) = fleet.effects().asked_by(&asker.caller, &asker.request, target, kind) {
        return Ok(Asking::Before(id));
    }
    let same = |of: &SessionKey, order: &Order| of == target && order.is_by(&asker.caller, &asker.request, kind);
    if let Some((event, ..)) = overlay.effects().requested().find(|(_, of, order)| same(of, order)) {
        return Ok(Asking::Soon(event));
    }
    may_ask(asker, target)?;
    let by = By {
        caller: asker.caller.clone(),
        session: asker.session.clone(),
    };
    let fact = order(fleet, overlay, target, action, by, asker.request.clone(), now)?;
    let cause = Cause::Request(asker.request.clone());
    Ok(Asking::Write(Box::new(draft(fleet, target, fact, cause))))
}

/// An operator may ask anything; a session, what it asks for itself.
pub(crate) fn may_ask(asker: &Asker, target: &SessionKey) -> Result<(), Refusal> {
    let itself = *asker.caller == *target.host.as_str() && asker.session.as_ref() == Some(&target.id);
    if asker.operator || itself {
        Ok(())
    } else {
        Err(Refusal::NotYours)
    }
}

/// What is asked of a host, if it can be.
pub(crate) fn order(
    fleet: &Fleet,
    overlay: &Overlay,
    target: &SessionKey,
    action: Action,
    by: By,
    request: Box<str>,
    now: Timestamp,
) -> Result<EffectFact, Refusal> {
    let kind = action.kind();
    let run = if kind == ActionKind::Spawn {
        may_spawn(fleet, target)?;
        None
    } else {
        Some(carrier(fleet, target, kind)?)
    };
    let on_their_way = overlay.effects().requested();
    let waiting = fleet.effects().waiting() + on_their_way.count();
    let of_it = fleet.effects().of(target);
    let own = of_it.filter(|(_, effect)| effect.status() == Status::Requested).count()
        + overlay.effects().requested().filter(|(_, of, _)| *of == target).count();
    if own >= WAITING_MAX || waiting >= WAITING_MAX_ALL {
        return Err(Refusal::TooMany(own.max(waiting)));
    }
    Ok(EffectFact::Requested(Box::new(Order {
        run,
        action,
        by,
        request,
        expires: now.after(kind.expiry()),
    })))
}

/// The run that carries out what a session is told, if it can do this.
fn carrier(fleet: &Fleet, target: &SessionKey, kind: ActionKind) -> Result<RunId, Refusal> {
    let id = || target.id.clone();
    let session = fleet.session(target).ok_or_else(|| Refusal::NoSession(id()))?;
    if session.standing().state.is_over() {
        return Err(Refusal::Over(id()));
    }
    let carrier = session.carrier().ok_or_else(|| Refusal::NoCarrier(id()))?;
    reachable(fleet, &target.host)?;
    if !carrier.can.contains(&kind) {
        return Err(Refusal::Cannot { session: id(), kind });
    }
    Ok(carrier.run.clone())
}

fn may_spawn(fleet: &Fleet, target: &SessionKey) -> Result<(), Refusal> {
    reachable(fleet, &target.host)?;
    match hold::holding(fleet, target) {
        Some(by) => Err(Refusal::Held(by)),
        None => Ok(()),
    }
}

fn reachable(fleet: &Fleet, name: &HostName) -> Result<(), Refusal> {
    let host = fleet.hosts().get(name).ok_or_else(|| Refusal::NoHost(name.clone()))?;
    match host.state() {
        HostState::Present => Ok(()),
        state @ (HostState::Lost | HostState::Stopping | HostState::Removed) => Err(Refusal::HostAway {
            host: name.clone(),
            state,
        }),
    }
}

/// When the first one was waited for long enough.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    let all = fleet.effects().all().values();
    all.filter_map(|effect| deadline(fleet, effect)).map(|(at, _)| at).min()
}

/// What follows from it being `now`.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp, drafts: &mut Vec<Draft>) {
    for (id, effect) in fleet.effects().all() {
        if let Some((at, reason)) = deadline(fleet, effect).filter(|(at, _)| *at <= now) {
            drafts.extend(taken_back(fleet, overlay, *id, reason, Cause::Due { at }));
        }
    }
}

/// Until when it is waited for what its host says next, and what is the case when it does not.
fn deadline(fleet: &Fleet, effect: &Effect) -> Option<(Timestamp, &'static str)> {
    match effect.status() {
        Status::Requested => Some((effect.order.expires, EXPIRED)),
        Status::Accepted => given_up_at(fleet, effect).map(|at| (at, UNKNOWN)),
        Status::Done | Status::Failed | Status::Withdrawn | Status::Expired => None,
    }
}

/// When nobody expects any more to hear how it ended: its host is away for too long, or its session is over for as long. A
/// host that is there says it itself, however long a turn may take.
fn given_up_at(fleet: &Fleet, effect: &Effect) -> Option<Timestamp> {
    let accepted = effect.accepted?;
    let host = fleet.hosts().get(&effect.target.host);
    let away = match host.map(|host| (host.state(), host.since())) {
        Some((HostState::Removed, since)) => return Some(since.max(accepted)),
        Some((HostState::Lost | HostState::Stopping, since)) => Some(since),
        Some((HostState::Present, _)) => None,
        None => Some(accepted),
    };
    let over = match fleet.session(&effect.target).map(Session::standing) {
        Some(standing) => standing.state.is_over().then_some(standing.since),
        // Forgotten, or not begun by what was to begin it.
        None => Some(accepted),
    };
    let since = away.into_iter().chain(over).min()?;
    Some(since.max(accepted).after(GIVEN_UP))
}

/// Takes back what its host has not begun.
pub(crate) fn withdraw(fleet: &Fleet, overlay: &Overlay, id: EffectId, reason: &str, cause: Cause) -> Option<Draft> {
    let effect = fleet.effects().get(id)?;
    let waits = effect.status() == Status::Requested;
    waits.then(|| taken_back(fleet, overlay, id, reason, cause)).flatten()
}

fn taken_back(fleet: &Fleet, overlay: &Overlay, id: EffectId, reason: &str, cause: Cause) -> Option<Draft> {
    let effect = fleet.effects().get(id)?;
    let fact = EffectFact::Withdrawn {
        id,
        reason: reason.into(),
    };
    let said = overlay.effects().withdrawing(id).is_some();
    (!said).then(|| draft(fleet, &effect.target, fact, cause))
}

pub(crate) fn draft(fleet: &Fleet, target: &SessionKey, fact: EffectFact, cause: Cause) -> Draft {
    let session = fleet.session(target);
    Draft {
        host: Some(target.host.clone()),
        session: Some(target.id.clone()),
        agent: session.and_then(|session| session.agent().cloned()),
        profile: session.and_then(|session| session.profile().cloned()),
        conclusion: Conclusion::Effect(fact),
        cause,
    }
}

//! Orders that hosts enforce: listed, set, released.

use super::page::Room;
use super::{After, Asked, Then, encode_at};
use crate::election::now;
use muster_domain::fleet::Fleet;
use muster_domain::hold::{self, By, Mode, Order, Refusal, Release, Selector, Which};
use muster_domain::ids::EventId;
use muster_wire::api::{
    ApiError, ErrorKind, HoldRow, HoldsList, HoldsListRequest, HoldsReleaseRequest, HoldsReleased, HoldsSet,
    HoldsSetRequest,
};
use std::time::Duration;

/// Characters of a reason: an agent reads it with every call that is held.
const REASON_CHARS_MAX: usize = 500;

pub(super) fn list(fleet: &Fleet, request: &HoldsListRequest) -> HoldsList {
    let holds = fleet.holds();
    let past = holds.past().filter(|_| request.past);
    let mut room = Room::new();
    let holds = room.page(holds.in_force().map(|hold| HoldRow::new(fleet, hold)), usize::MAX);
    let past = room.page(past.map(|past| HoldRow::past(fleet, past)), usize::MAX);
    HoldsList {
        more: holds.more || past.more,
        holds: holds.rows,
        past: past.rows,
    }
}

pub(super) fn set(asked: &Asked<'_>, request: HoldsSetRequest) -> Result<After, ApiError> {
    let now = now();
    let order = Order {
        mode: request.mode,
        selector: request.selector,
        reason: words(request.reason)?,
        by: operator(asked),
        expires_at: request.expires_in_ms.map(|ms| now.after(Duration::from_millis(ms))),
        request: None,
    };
    let name = asked.asker.request.clone();
    let set = hold::ask(asked.fleet, asked.overlay, order, &name, now).map_err(|refusal| refused(&refusal))?;
    let then: Then = Box::new(move |fleet, at| {
        let holds = fleet.holds();
        let in_force = holds.in_force().map(|hold| (hold, HoldRow::new(fleet, hold)));
        let past = holds.past().map(|past| (&past.hold, HoldRow::past(fleet, past)));
        let set = in_force
            .chain(past)
            .find(|(hold, _)| hold.order.request.as_deref() == Some(&*name));
        let (_, hold) = set.ok_or_else(|| ApiError::new(ErrorKind::Internal, "the order is not in the state"))?;
        encode_at(at, HoldsSet { hold })
    });
    Ok(match set {
        hold::Set::Now(draft) => After::written(vec![*draft], then),
        hold::Set::Soon(event) => After::folded(event, then),
        hold::Set::Before => After::nothing(then),
    })
}

pub(super) fn release(asked: &Asked<'_>, request: HoldsReleaseRequest) -> Result<After, ApiError> {
    let fleet = asked.fleet;
    let which = which(&request)?;
    let meant = |order: &Order, id: EventId| match &which {
        Which::One(one) => *one == id,
        Which::For(mode, selector) => order.mode == *mode && order.selector == *selector,
        Which::All(mode) => order.mode == *mode,
    };
    let in_force: Vec<(EventId, &Order)> = fleet
        .holds()
        .in_force()
        .filter(|hold| meant(&hold.order, hold.id))
        .map(|hold| (hold.id, &hold.order))
        .collect();
    if let Some(session) = &asked.asker.session
        && in_force.iter().any(|(_, order)| may_be_of(&order.selector, session))
    {
        let detail = "a session cannot release what holds it";
        return Err(ApiError::new(ErrorKind::Forbidden, detail));
    }
    let kept: Vec<EventId> = in_force
        .iter()
        .filter(|(_, order)| matches!(order.by, By::Budget { .. }))
        .map(|(id, _)| *id)
        .collect();
    let reason = words(request.reason)?;
    let request = asked.asker.request.clone();
    let cause = muster_domain::conclusion::Cause::Request(request);
    let by = operator(asked);
    let over = |id| fleet.holds().past().any(|past| past.hold.id == id);
    let release = match (
        &which,
        hold::release(fleet, asked.overlay, &which, &by, reason.as_deref(), &cause),
    ) {
        (Which::One(id), Err(Refusal::Unknown(_))) if over(*id) => Release {
            drafts: Vec::new(),
            soon: None,
        },
        (_, release) => release.map_err(|refusal| refused(&refusal))?,
    };
    // What is on its way out already is as good as released by this request.
    let ids: Vec<EventId> = match which {
        Which::One(id) => vec![id],
        Which::For(..) | Which::All(_) => in_force
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| !kept.contains(id))
            .collect(),
    };
    let then: Then = Box::new(move |fleet, at| {
        let holds = fleet.holds();
        let released = holds.past().filter(|past| ids.contains(&past.hold.id));
        let kept = holds.in_force().filter(|hold| kept.contains(&hold.id));
        let answer = HoldsReleased {
            released: released.map(|past| HoldRow::past(fleet, past)).collect(),
            kept: kept.map(|hold| HoldRow::new(fleet, hold)).collect(),
        };
        encode_at(at, answer)
    });
    Ok(After {
        drafts: release.drafts,
        event: release.soon,
        then,
    })
}

fn which(request: &HoldsReleaseRequest) -> Result<Which, ApiError> {
    let mode = request.mode.unwrap_or(Mode::Hold);
    match (request.id, &request.selector, request.all) {
        (Some(id), None, false) => Ok(Which::One(id)),
        (None, Some(selector), false) => Ok(Which::For(mode, selector.clone())),
        (None, None, true) => Ok(Which::All(mode)),
        _ => Err(ApiError::new(
            ErrorKind::BadRequest,
            "say what to release: `id`, `selector` or `all`",
        )),
    }
}

/// Whether the order holds this session, as far as that can be told here.
fn may_be_of(selector: &Selector, session: &muster_domain::names::SessionId) -> bool {
    match selector {
        Selector::Session { session: one, .. } => one == session,
        Selector::All | Selector::Host { .. } | Selector::Agent { .. } | Selector::Label { .. } => true,
    }
}

fn operator(asked: &Asked<'_>) -> By {
    By::Operator {
        name: asked.asker.caller.to_string(),
    }
}

fn words(reason: Option<String>) -> Result<Option<String>, ApiError> {
    let reason = reason
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    match &reason {
        Some(text) if text.chars().count() > REASON_CHARS_MAX => Err(ApiError::new(
            ErrorKind::BadRequest,
            format!("the reason is longer than {REASON_CHARS_MAX} characters"),
        )),
        _ => Ok(reason),
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Over => ErrorKind::BadRequest,
        Refusal::Unknown(_) => ErrorKind::NotFound,
        Refusal::TooMany | Refusal::Named(_) | Refusal::OfBudget(_) => ErrorKind::Conflict,
    };
    ApiError::new(kind, refusal.to_string())
}

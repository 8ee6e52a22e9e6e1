//! Compactions that somebody asks for, and those that a full context asks for.

use crate::asker::Asker;
use crate::effect::{self, Action, ActionKind, By, EffectFact, Refusal};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::{EffectId, EventId};
use crate::overlay::Overlay;
use crate::time::Timestamp;

/// Who asks when a context does.
const MUSTER: &str = "muster";

/// Why a compaction need not be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// The effect that compacts already; none where nothing happened since the last compaction.
    pub effect: Option<EffectId>,
    /// The event that asks for it, while it is on its way.
    pub event: Option<EventId>,
}

/// Whether a compaction would find nothing to do: one is under way, or nothing happened since the last.
///
/// # Errors
/// [`Refusal::NotYours`] for whoever may not ask for it at all.
pub fn nothing_to_compact(
    fleet: &Fleet,
    overlay: &Overlay,
    asker: &Asker,
    key: &SessionKey,
) -> Result<Option<UnderWay>, Refusal> {
    effect::may_ask(asker, key)?;
    let found = |effect, event| Ok(Some(UnderWay { effect, event }));
    if let Some(id) = under_way(fleet, key) {
        return found(Some(id), None);
    }
    if let Some(event) = requested(overlay, key) {
        return found(Some(EffectId::of(event)), Some(event));
    }
    if fleet.session(key).is_some_and(|session| session.is_compact()) {
        return found(None, None);
    }
    Ok(None)
}

fn under_way(fleet: &Fleet, key: &SessionKey) -> Option<EffectId> {
    let compacts = |effect: &effect::Effect| effect.order.action.kind() == ActionKind::Compact;
    let mut all = fleet.effects().of(key);
    all.find(|(_, effect)| compacts(effect) && effect.status().is_open())
        .map(|(id, _)| id)
}

fn requested(overlay: &Overlay, key: &SessionKey) -> Option<EventId> {
    let mut all = overlay.effects().requested();
    let own = |of: &SessionKey, order: &effect::Order| of == key && order.action.kind() == ActionKind::Compact;
    all.find(|(_, of, order)| own(of, order)).map(|(event, ..)| event)
}

/// What becomes of a context that is nearly full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relief {
    /// A compaction is asked for now.
    Ask(EffectFact),
    /// One is under way.
    UnderWay,
    /// Nobody here makes room: none can, or one that was tried for this made none.
    None,
}

/// `since` is when the context was said to be full; none while that is being said.
pub(super) fn relieve(
    fleet: &Fleet,
    overlay: &Overlay,
    key: &SessionKey,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Relief {
    if under_way(fleet, key).is_some() || requested(overlay, key).is_some() {
        return Relief::UnderWay;
    }
    let tried = fleet.effects().of(key).any(|(_, effect)| {
        effect.order.action.kind() == ActionKind::Compact && since.is_some_and(|since| effect.asked >= since)
    });
    if tried {
        return Relief::None;
    }
    let action = Action::Compact { instructions: None };
    let by = By {
        caller: MUSTER.into(),
        session: None,
    };
    match effect::order(fleet, overlay, key, action, by, "".into(), now) {
        Ok(fact) => Relief::Ask(fact),
        Err(_) => Relief::None,
    }
}

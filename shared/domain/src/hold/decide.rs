//! What requests, hosts and time make of orders. Pure: each gives what shall be written, and state follows when it is read
//! back.

use super::{By, Change, HOLDS_MAX, Hold, Mode, Order, Selector, Whom};
use crate::conclusion::{Cause, Conclusion, Draft};
use crate::fleet::{Fleet, SessionKey};
use crate::ids::EventId;
use crate::names::HostName;
use crate::overlay::Overlay;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Why an order was not set or released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would be over before it began.
    #[error("it would end before it begins: name a later end")]
    Over,
    /// No more of them.
    #[error("{HOLDS_MAX} orders are in force, which is the limit: release some")]
    TooMany,
    /// There is none of this id.
    #[error("no such order is in force: {0}")]
    Unknown(EventId),
    /// The name of the request stands for another order.
    #[error("request {0:?} set another order: give this one another request_id")]
    Named(String),
    /// A budget set it, and would set it again.
    #[error("budget {0} holds it: raise or remove the budget")]
    OfBudget(String),
}

/// Which orders are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one of this id.
    One(EventId),
    /// Those of this mode that were set for exactly these sessions.
    For(Mode, Selector),
    /// Every one of this mode.
    All(Mode),
}

/// Words about orders that are written and not folded yet.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<(EventId, Option<HostName>, Change)>);

impl Pending {
    pub(crate) fn published(&mut self, id: EventId, host: Option<&HostName>, change: &Change) {
        self.0.push((id, host.cloned(), change.clone()));
    }

    pub(crate) fn folded(&mut self, id: EventId) {
        self.0.retain(|(written, ..)| *written != id);
    }

    pub(crate) fn releases(&self, id: EventId) -> bool {
        self.releasing(id).is_some()
    }

    /// The event by which this order ends.
    fn releasing(&self, id: EventId) -> Option<EventId> {
        let of = |change: &Change| matches!(change, Change::Released { hold, .. } if *hold == id);
        self.0.iter().find(|(_, _, change)| of(change)).map(|(id, ..)| *id)
    }

    fn confirms(&self, id: EventId, host: &HostName) -> bool {
        let of = |change: &Change| matches!(change, Change::Confirmed { hold } if *hold == id);
        self.0
            .iter()
            .any(|(_, at, change)| at.as_ref() == Some(host) && of(change))
    }

    /// The event by which this request sets an order, and which.
    pub(crate) fn setting(&self, request: &str) -> Option<(EventId, &Order)> {
        self.orders()
            .find(|(_, order)| order.request.as_deref() == Some(request))
    }

    fn orders(&self) -> impl Iterator<Item = (EventId, &Order)> {
        self.0.iter().filter_map(|(id, _, change)| match change {
            Change::Set(order) => Some((*id, order)),
            Change::Released { .. } | Change::Confirmed { .. } => None,
        })
    }

    /// Whether an order of this budget for these sessions is on its way.
    pub(crate) fn sets_for(&self, by: &By, selector: &Selector) -> bool {
        let of =
            |change: &Change| matches!(change, Change::Set(order) if order.by == *by && order.selector == *selector);
        self.0.iter().any(|(_, _, change)| of(change))
    }
}

fn draft(selector: &Selector, change: Change, cause: Cause) -> Draft {
    let (host, session, agent) = match selector {
        Selector::Host { host } => (Some(host.clone()), None, None),
        Selector::Session { host, session } => (host.clone(), Some(session.clone()), None),
        Selector::Agent { agent } => (None, None, Some(agent.clone())),
        Selector::All | Selector::Label { .. } => (None, None, None),
    };
    Draft {
        host,
        session,
        agent,
        profile: None,
        conclusion: Conclusion::Hold(change),
        cause,
    }
}

/// What becomes of a request for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// It is written.
    Now(Box<Draft>),
    /// The same request is being written already, as this event.
    Soon(EventId),
    /// The same request set it before.
    Before,
}

/// Takes a request for an order; the same again sets no second one.
///
/// # Errors
/// [`Refusal::Over`], [`Refusal::Named`] and [`Refusal::TooMany`].
pub fn ask(fleet: &Fleet, overlay: &Overlay, order: Order, request: &str, now: Timestamp) -> Result<Set, Refusal> {
    let named = || Refusal::Named(request.to_owned());
    if let Some(before) = fleet.holds().of_request(request) {
        return if before.order.is_like(&order) {
            Ok(Set::Before)
        } else {
            Err(named())
        };
    }
    if let Some((event, before)) = overlay.holds().setting(request) {
        return if before.is_like(&order) {
            Ok(Set::Soon(event))
        } else {
            Err(named())
        };
    }
    let order = Order {
        request: Some(request.to_owned()),
        ..order
    };
    let draft = set(fleet, overlay, order, now, Cause::Request(request.into()))?;
    Ok(Set::Now(Box::new(draft)))
}

/// An order as asked for.
///
/// # Errors
/// [`Refusal::Over`] and [`Refusal::TooMany`].
pub(crate) fn set(
    fleet: &Fleet,
    overlay: &Overlay,
    order: Order,
    now: Timestamp,
    cause: Cause,
) -> Result<Draft, Refusal> {
    if order.expires_at.is_some_and(|at| at <= now) {
        return Err(Refusal::Over);
    }
    if !order.is_of_budget() && orders(fleet, overlay, false) >= HOLDS_MAX {
        return Err(Refusal::TooMany);
    }
    let selector = order.selector.clone();
    Ok(draft(&selector, Change::Set(order), cause))
}

/// Orders in force and on their way: those of budgets, or those of people. Counted apart, because no budget may take from
/// people the means to stop everything.
fn orders(fleet: &Fleet, overlay: &Overlay, of_budgets: bool) -> usize {
    let in_force = fleet
        .holds()
        .in_force()
        .filter(|hold| !overlay.holds().releases(hold.id));
    let written = overlay.holds().orders().map(|(_, order)| order);
    let all = in_force.map(|hold| &hold.order).chain(written);
    all.filter(|order| order.is_of_budget() == of_budgets).count()
}

/// How many orders of budgets there will be once `drafts` are written, too.
pub(crate) fn of_budgets(fleet: &Fleet, overlay: &Overlay, drafts: &[Draft]) -> usize {
    let (mut set, mut released) = (0, 0);
    for draft in drafts {
        let Conclusion::Hold(change) = &draft.conclusion else {
            continue;
        };
        match change {
            Change::Set(order) => set += usize::from(order.is_of_budget()),
            Change::Released { by, .. } => released += usize::from(matches!(by, By::Budget { .. })),
            Change::Confirmed { .. } => {}
        }
    }
    (orders(fleet, overlay, true) + set).saturating_sub(released)
}

/// What becomes of a request to release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The ends that are written now.
    pub drafts: Vec<Draft>,
    /// The last end that is being written already.
    pub soon: Option<EventId>,
}

/// The end of those orders that are meant and in force. Those that budgets set are only let go one by one, by name of the
/// budget, and so stay.
///
/// # Errors
/// [`Refusal::Unknown`] and [`Refusal::OfBudget`], where one was named.
pub fn release(
    fleet: &Fleet,
    overlay: &Overlay,
    which: &Which,
    by: &By,
    reason: Option<&str>,
    cause: &Cause,
) -> Result<Release, Refusal> {
    if let Which::One(id) = which {
        let hold = fleet.holds().get(*id).ok_or(Refusal::Unknown(*id))?;
        if let By::Budget { budget } = &hold.order.by {
            return Err(Refusal::OfBudget(budget.clone()));
        }
    }
    let meant = |hold: &&Hold| match which {
        Which::One(id) => hold.id == *id,
        Which::For(mode, selector) => hold.order.mode == *mode && hold.order.selector == *selector,
        Which::All(mode) => hold.order.mode == *mode,
    };
    let mut release = Release {
        drafts: Vec::new(),
        soon: None,
    };
    for hold in fleet.holds().in_force().filter(meant) {
        match overlay.holds().releasing(hold.id) {
            Some(event) => release.soon = Some(event),
            None if matches!(hold.order.by, By::Budget { .. }) => {}
            None => release.drafts.push(released(hold, by, reason, cause.clone())),
        }
    }
    Ok(release)
}

/// The end of one order.
pub(crate) fn released(hold: &Hold, by: &By, reason: Option<&str>, cause: Cause) -> Draft {
    let change = Change::Released {
        hold: hold.id,
        by: by.clone(),
        reason: reason.map(str::to_owned),
    };
    draft(&hold.order.selector, change, cause)
}

/// What follows from a host enforcing what the log said up to `seq`.
pub fn confirm(fleet: &Fleet, overlay: &Overlay, host: &HostName, seq: u64) -> Vec<Draft> {
    let news = fleet.holds().in_force().filter(|hold| {
        hold.seq <= seq
            && hold.order.selector.reaches(host)
            && !hold.confirmed.contains_key(host)
            && !overlay.holds().confirms(hold.id, host)
    });
    news.map(|hold| Draft {
        host: Some(host.clone()),
        ..draft(
            &Selector::All,
            Change::Confirmed { hold: hold.id },
            Cause::Presence { after_seq: hold.seq },
        )
    })
    .collect()
}

/// When time alone next ends an order.
pub(crate) fn due(fleet: &Fleet) -> Option<Timestamp> {
    fleet.holds().in_force().filter_map(|hold| hold.order.expires_at).min()
}

/// The end of orders whose time is over.
pub(crate) fn expire(fleet: &Fleet, overlay: &Overlay, now: Timestamp) -> Vec<Draft> {
    let over = |hold: &&Hold| hold.order.expires_at.is_some_and(|at| at <= now) && !overlay.holds().releases(hold.id);
    let holds = fleet.holds().in_force().filter(over);
    holds
        .map(|hold| {
            let since = hold.order.expires_at.unwrap_or(now);
            released(hold, &By::Deadline, None, Cause::Silence { since })
        })
        .collect()
}

/// Who holds the session's tool calls. Labels are known on hosts alone: an order by label is enforced there.
pub(crate) fn holding(fleet: &Fleet, key: &SessionKey) -> Option<String> {
    let labels = BTreeMap::new();
    let whom = Whom {
        host: &key.host,
        session: Some(&key.id),
        agent: fleet.session(key).and_then(|session| session.agent()),
        labels: &labels,
        remembered: None,
    };
    let mut orders = fleet.holds().in_force();
    let held = &orders.find(|hold| hold.order.mode == Mode::Hold && hold.order.selector.matches(&whom))?;
    let why = held.order.reason.as_deref().unwrap_or("no reason was given");
    Some(format!("{}: {why}", held.order.by))
}

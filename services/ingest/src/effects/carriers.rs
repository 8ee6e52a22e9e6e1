//! Who carries out what sessions are told, and who has which order.

use crate::peer::Peer;
use muster_domain::ids::EffectId;
use muster_domain::names::{RunId, SessionId};
use muster_wire::frame::{CarryOrder, OfEffect, ServerFrame};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Orders under way to one carrier: as many as it lets wait, and some.
const ORDERS_MAX: usize = 80;

/// A carrier's connection, as the one who serves it has it.
pub(crate) type Link = mpsc::Receiver<ServerFrame>;

pub(super) fn link() -> (mpsc::Sender<ServerFrame>, Link) {
    mpsc::channel(ORDERS_MAX)
}

/// A connected carrier. Its connection is over when nobody receives any more.
pub(super) struct Carrier {
    pub(super) run: RunId,
    pub(super) by: Option<Peer>,
    pub(super) orders: mpsc::Sender<ServerFrame>,
}

/// Where an order that was begun is.
enum Holder {
    Connected(mpsc::Sender<ServerFrame>),
    /// With a carrier that is away, or was when this service began.
    Away(Instant),
}

#[derive(Default)]
pub(super) struct Carriers {
    all: BTreeMap<SessionId, Carrier>,
    orders: BTreeMap<EffectId, Holder>,
}

impl Carriers {
    /// After a restart: these were begun, and their carriers are not back yet.
    pub(super) fn with_lost(orders: impl Iterator<Item = EffectId>, since: Instant) -> Self {
        Self {
            all: BTreeMap::new(),
            orders: orders.map(|id| (id, Holder::Away(since))).collect(),
        }
    }

    pub(super) fn of(&self, session: &SessionId) -> Option<&Carrier> {
        self.all.get(session).filter(|carrier| !carrier.orders.is_closed())
    }

    /// A carrier is there, with the orders that it has. One that was there before for the session is not heard any more.
    pub(super) fn connected(&mut self, session: SessionId, carrier: Carrier, holds: &[EffectId]) {
        for id in holds {
            self.orders.insert(*id, Holder::Connected(carrier.orders.clone()));
        }
        self.all.retain(|_, other| !other.orders.is_closed());
        self.all.insert(session, carrier);
    }

    /// Hands an order to a session's carrier; false when it takes none.
    pub(super) fn give(&mut self, session: &SessionId, order: CarryOrder) -> bool {
        let id = order.effect_id;
        let Some(carrier) = self.all.get(session) else {
            return false;
        };
        let given = carrier.orders.try_send(ServerFrame::Order(order)).is_ok();
        if given {
            self.orders.insert(id, Holder::Connected(carrier.orders.clone()));
        }
        given
    }

    /// Tells whoever has it that an order is taken back.
    pub(super) fn withdraw(&self, id: EffectId) {
        if let Some(Holder::Connected(orders)) = self.orders.get(&id) {
            // Where it is not heard, it is as if it came too late.
            let _ = orders.try_send(ServerFrame::Withdrawn(OfEffect { effect_id: id }));
        }
    }

    pub(super) fn over(&mut self, id: EffectId) {
        self.orders.remove(&id);
    }

    /// The orders whose carriers have been away for this long.
    pub(super) fn lost_since(&mut self, now: Instant, patience: Duration) -> Vec<EffectId> {
        for holder in self.orders.values_mut() {
            if let Holder::Connected(orders) = holder
                && orders.is_closed()
            {
                *holder = Holder::Away(now);
            }
        }
        let lost = |holder: &Holder| matches!(holder, Holder::Away(since) if now.duration_since(*since) >= patience);
        let lost = self.orders.iter().filter(|(_, holder)| lost(holder));
        lost.map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::effect::Action;
    use muster_domain::ids::EventId;
    use uuid::Uuid;

    fn id(n: u128) -> EffectId {
        EffectId::of(EventId::from_uuid(Uuid::from_u128(n)))
    }

    fn session() -> SessionId {
        SessionId::new("s").unwrap()
    }

    fn order(n: u128) -> CarryOrder {
        CarryOrder {
            effect_id: id(n),
            action: Action::Stop,
        }
    }

    fn connect(carriers: &mut Carriers, run: &str, holds: &[EffectId]) -> Link {
        let (orders, link) = link();
        let run = RunId::new(run).unwrap();
        carriers.connected(session(), Carrier { run, by: None, orders }, holds);
        link
    }

    #[tokio::test]
    async fn an_order_is_lost_only_when_its_carrier_stays_away() {
        let mut carriers = Carriers::default();
        let mut first = connect(&mut carriers, "r1", &[]);
        assert!(carriers.give(&session(), order(1)) && carriers.give(&session(), order(2)));
        assert!(matches!(first.recv().await, Some(ServerFrame::Order(given)) if given == order(1)));
        let now = Instant::now();
        assert!(carriers.lost_since(now, Duration::ZERO).is_empty());

        drop(first);
        assert!(carriers.of(&session()).is_none() && !carriers.give(&session(), order(3)));
        assert_eq!(carriers.lost_since(now, Duration::from_secs(1)), []);
        let _second = connect(&mut carriers, "r1", &[id(1)]);
        let later = now + Duration::from_secs(1);
        assert_eq!(carriers.lost_since(later, Duration::from_secs(1)), [id(2)]);
        assert_eq!(carriers.of(&session()).unwrap().run.as_str(), "r1");
    }
}

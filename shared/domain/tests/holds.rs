//! Orders that hosts enforce: set, confirmed, released, and over by themselves.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod script;

use muster_domain::conclusion::{Cause, Conclusion, Draft};
use muster_domain::due;
use muster_domain::hold::{self, By, Change, HOLDS_MAX, Mode, Order, Refusal, Selector, Set, Which};
use muster_domain::ids::EventId;
use muster_domain::names::SessionId;
use muster_domain::time::Timestamp;
use proptest::prelude::*;
use script::*;
use std::collections::{BTreeMap, BTreeSet};

fn anna() -> By {
    By::Operator {
        name: "op-anna".to_owned(),
    }
}

fn order(selector: Selector, expires_at: Option<i64>) -> Order {
    Order {
        mode: Mode::Hold,
        selector,
        reason: Some("a deploy runs".to_owned()),
        by: anna(),
        expires_at: expires_at.map(ms),
        request: None,
    }
}

fn host(name: &str) -> Selector {
    Selector::Host { host: host_name(name) }
}

impl Script {
    fn asks(&self, order: Order, request: &str) -> Result<Set, Refusal> {
        hold::ask(&self.fleet, &self.overlay, order, request, ms(self.now))
    }

    /// Sets an order; its id.
    fn holds(&mut self, order: Order, request: &str) -> EventId {
        let Ok(Set::Now(draft)) = self.asks(order, request) else {
            panic!("not set");
        };
        self.lead(vec![*draft]);
        self.fleet.holds().in_force().last().unwrap().id
    }

    fn releases(&self, which: &Which) -> Vec<Draft> {
        let cause = Cause::Request("release".into());
        let release = hold::release(&self.fleet, &self.overlay, which, &anna(), None, &cause);
        release.unwrap().drafts
    }

    fn in_force(&self) -> Vec<EventId> {
        self.fleet.holds().in_force().map(|hold| hold.id).collect()
    }

    fn enforces(&mut self, name: &str, seq: u64) -> usize {
        let drafts = hold::confirm(&self.fleet, &self.overlay, &host_name(name), seq);
        self.lead(drafts).len()
    }
}

#[test]
fn an_order_is_in_force_until_it_is_released() {
    let mut script = Script::new();
    let one = script.holds(order(Selector::All, None), "r1");
    let two = script.holds(order(host("web-01"), None), "r2");
    assert_eq!(script.in_force(), [one, two]);
    let drafts = script.releases(&Which::One(one));
    script.lead(drafts);
    assert_eq!(script.in_force(), [two]);
    let past = script.fleet.holds().past().next().unwrap();
    assert_eq!((past.hold.id, &past.by), (one, &anna()));
}

#[test]
fn the_same_request_sets_one_order_however_often_it_comes() {
    let mut script = Script::new();
    let Ok(Set::Now(draft)) = script.asks(order(Selector::All, None), "r1") else {
        panic!("not set");
    };
    script.overlay.published(id(1), &draft);
    assert_eq!(script.asks(order(Selector::All, None), "r1"), Ok(Set::Soon(id(1))));
    script.write(vec![*draft]);
    assert_eq!(script.asks(order(Selector::All, None), "r1"), Ok(Set::Before));
    let drafts = script.releases(&Which::All(Mode::Hold));
    script.lead(drafts);
    assert_eq!(
        script.asks(order(Selector::All, None), "r1"),
        Ok(Set::Before),
        "and never again"
    );
    assert!(matches!(script.asks(order(Selector::All, None), "r2"), Ok(Set::Now(_))));
}

#[test]
fn a_request_that_asks_for_something_else_is_not_the_same_request() {
    let mut script = Script::new();
    let Ok(Set::Now(draft)) = script.asks(order(host("web-01"), None), "deploy") else {
        panic!("not set");
    };
    script.overlay.published(id(1), &draft);
    let other = || Err(Refusal::Named("deploy".to_owned()));
    assert_eq!(script.asks(order(Selector::All, None), "deploy"), other());
    script.write(vec![*draft]);
    assert_eq!(script.asks(order(Selector::All, None), "deploy"), other());
    let renamed = Order {
        by: By::Operator {
            name: "op-bert".to_owned(),
        },
        ..order(host("web-01"), None)
    };
    assert_eq!(script.asks(renamed, "deploy"), other());
}

#[test]
fn what_budgets_hold_takes_nothing_from_what_people_may_hold() {
    let mut script = Script::new();
    for n in 0..HOLDS_MAX {
        let of_budget = Order {
            by: By::Budget {
                budget: "session:*".to_owned(),
            },
            ..order(
                Selector::Session {
                    host: None,
                    session: SessionId::new(&format!("s{n}")).unwrap(),
                },
                None,
            )
        };
        script.holds(of_budget, &format!("b{n}"));
    }
    script.holds(order(Selector::All, None), "stop");
    for n in 1..HOLDS_MAX {
        script.holds(order(host(&format!("web-{n}")), None), &format!("r{n}"));
    }
    let last = script.asks(order(Selector::All, None), "one more");
    assert_eq!(last, Err(Refusal::TooMany));
}

#[test]
fn an_order_that_would_be_over_before_it_begins_is_refused() {
    let script = Script::new();
    let ended = order(Selector::All, Some(script.now));
    assert_eq!(script.asks(ended, "r1"), Err(Refusal::Over));
}

#[test]
fn an_order_ends_at_its_time_once() {
    let mut script = Script::new();
    let until = script.now + 60_000;
    script.holds(order(Selector::All, Some(until)), "r1");
    assert_eq!(due::due(&script.fleet), Some(ms(until)));
    assert_eq!(due::expire(&script.fleet, &script.overlay, ms(until - 1)), []);
    let drafts = due::expire(&script.fleet, &script.overlay, ms(until));
    let [
        Draft {
            conclusion: Conclusion::Hold(Change::Released { by: By::Deadline, .. }),
            ..
        },
    ] = &drafts[..]
    else {
        panic!("{drafts:?}");
    };
    script.overlay.published(id(77), &drafts[0]);
    assert_eq!(
        due::expire(&script.fleet, &script.overlay, ms(until)),
        [],
        "it is on its way"
    );
    script.write(drafts);
    assert_eq!((script.in_force(), due::due(&script.fleet)), (vec![], None));
}

#[test]
fn a_host_confirms_what_it_enforces_once_and_only_what_may_be_for_it() {
    let mut script = Script::new();
    script.holds(order(Selector::All, None), "r1");
    let seq = script.seq;
    script.holds(order(host("web-02"), None), "r2");
    assert_eq!(script.enforces("web-01", seq - 1), 0, "it enforces what was before");
    assert_eq!(
        script.enforces("web-01", script.seq),
        1,
        "the other order is not for it"
    );
    assert_eq!(script.enforces("web-01", script.seq), 0, "it is known");
    assert_eq!(script.enforces("web-02", script.seq), 2);
    let confirmed: Vec<usize> = script
        .fleet
        .holds()
        .in_force()
        .map(|hold| hold.confirmed.len())
        .collect();
    assert_eq!(confirmed, [2, 1]);
}

#[test]
fn a_session_marked_away_is_not_held_and_comes_back_alone() {
    let mut script = Script::new();
    let session = Selector::Session {
        host: None,
        session: SessionId::new("s1").unwrap(),
    };
    let away = Order {
        mode: Mode::Away,
        ..order(session.clone(), None)
    };
    let held = script.holds(order(session.clone(), None), "r1");
    let away = script.holds(away, "r2");
    let drafts = script.releases(&Which::For(Mode::Away, session));
    script.lead(drafts);
    assert_eq!(script.in_force(), [held]);
    assert_eq!(script.fleet.holds().past().next().unwrap().hold.id, away);
}

/// What may happen to orders.
#[derive(Debug, Clone)]
enum Step {
    Set(u8, bool),
    Release(usize),
    ReleaseAll,
    Enforce(bool),
    Pass(u8),
    /// The last word comes again.
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8, any::<bool>()).prop_map(|(request, ends)| Step::Set(request, ends)),
        2 => (0..4usize).prop_map(Step::Release),
        1 => Just(Step::ReleaseAll),
        2 => any::<bool>().prop_map(Step::Enforce),
        2 => (0..40u8).prop_map(Step::Pass),
        1 => Just(Step::Again),
    ]
}

proptest! {
    /// Against a plain table: who is in force, until when, and confirmed by whom.
    #[test]
    fn orders_are_as_a_plain_table_says(steps in prop::collection::vec(step(), 0..60)) {
        let mut script = Script::new();
        let mut table: BTreeMap<EventId, (Option<i64>, BTreeSet<&str>)> = BTreeMap::new();
        let mut requests = BTreeSet::new();
        let mut over = BTreeSet::new();
        for step in steps {
            match step {
                Step::Set(request, ends) => {
                    let until = ends.then_some(script.now + 30_000);
                    // Another end is another order, and so another request.
                    let named = format!("{request} {ends}");
                    let set = script.asks(order(Selector::All, until), &named).unwrap();
                    prop_assert_eq!(matches!(set, Set::Now(_)), requests.insert(named));
                    if let Set::Now(draft) = set {
                        script.lead(vec![*draft]);
                        table.insert(id(script.seq), (until, BTreeSet::new()));
                    }
                }
                Step::Release(n) => {
                    if let Some(which) = table.keys().nth(n).copied() {
                        let drafts = script.releases(&Which::One(which));
                        script.lead(drafts);
                        table.remove(&which);
                        over.insert(which);
                    }
                }
                Step::ReleaseAll => {
                    let drafts = script.releases(&Which::All(Mode::Hold));
                    prop_assert_eq!(drafts.len(), table.len());
                    script.lead(drafts);
                    over.extend(std::mem::take(&mut table).into_keys());
                }
                Step::Enforce(first) => {
                    let name = if first { "web-01" } else { "web-02" };
                    script.enforces(name, script.seq);
                    table.values_mut().for_each(|(_, confirmed)| _ = confirmed.insert(name));
                }
                Step::Pass(seconds) => {
                    script.pass(i64::from(seconds));
                    let drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
                    let ended = |until: &Option<i64>| until.is_some_and(|at| at <= script.now);
                    let expired: Vec<EventId> =
                        table.iter().filter(|(_, (until, _))| ended(until)).map(|(id, _)| *id).collect();
                    prop_assert_eq!(drafts.len(), expired.len());
                    script.lead(drafts);
                    for id in expired {
                        table.remove(&id);
                        over.insert(id);
                    }
                }
                Step::Again => {
                    if let Some(id) = over.first() {
                        let again = Change::Released { hold: *id, by: anna(), reason: None };
                        let before = script.fleet.holds().clone();
                        let fact = muster_domain::fact::Fact::Decision(muster_domain::fact::Decision::Hold(again));
                        script.seq += 1;
                        let recorded = muster_domain::fact::Recorded {
                            seq: script.seq,
                            at: ms(script.now),
                            event: event(script.seq, HOST, None, fact),
                        };
                        let _ = script.fold(&recorded);
                        prop_assert_eq!(script.fleet.holds(), &before);
                    }
                }
            }
            let shown: BTreeMap<EventId, (Option<Timestamp>, BTreeSet<String>)> = script
                .fleet
                .holds()
                .in_force()
                .map(|hold| {
                    let confirmed = hold.confirmed.keys().map(ToString::to_string).collect();
                    (hold.id, (hold.order.expires_at, confirmed))
                })
                .collect();
            let expected: BTreeMap<EventId, (Option<Timestamp>, BTreeSet<String>)> = table
                .iter()
                .map(|(id, (until, confirmed))| {
                    let confirmed = confirmed.iter().map(|name| (*name).to_owned()).collect();
                    (*id, (until.map(ms), confirmed))
                })
                .collect();
            prop_assert_eq!(shown, expected);
            prop_assert!(script.in_force().iter().all(|id| !over.contains(id)), "none comes back");
        }
    }
}

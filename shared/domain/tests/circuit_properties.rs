//! What holds for circuits whatever is told: only legal transitions, at most one probe, deadlines that fire, one count for
//! each run in whatever order it is told, and agreement with a naive count.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::circuit::{Change, Circuits, Holder, Permit, Settings as Rules, State};
use muster_domain::conclusion::{Cause, Conclusion, Draft};
use muster_domain::due;
use muster_domain::fact::{Event, Fact, Hook, HookBody, Origin, Recorded, TurnFact};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::names::SubagentName;
use muster_domain::work::{Stage, Work};
use proptest::prelude::*;
use script::*;

fn agent() -> SubagentName {
    SubagentName::new("reviewer").unwrap()
}

fn working(hook: Hook, stage: Stage) -> Fact {
    let work = Work {
        agent: agent(),
        delegation: None,
        stage,
    };
    Fact::Hook(Box::new(Hook {
        work: Some(Box::new(work)),
        ..hook
    }))
}

fn failed() -> Stage {
    Stage::Failed {
        error: "overloaded".to_owned(),
    }
}

fn called(n: usize, stage: Stage) -> Fact {
    working(hook(Some("p1"), fail("Agent", &format!("c{n}"))), stage)
}

fn told_by_agent(n: usize, stage: Stage) -> Fact {
    working(
        in_subagent(&format!("a{n}"), hook(Some("p1"), HookBody::SubagentStopped)),
        stage,
    )
}

fn ran(n: usize, stage: Stage) -> Fact {
    working(
        hook(Some("p1"), spawned("Agent", &format!("c{n}"), &format!("a{n}"))),
        stage,
    )
}

fn linked(n: usize) -> Fact {
    Fact::Turn(TurnFact::SubagentLinked {
        subagent: subagent(&format!("a{n}")),
        call: call(&format!("c{n}")),
    })
}

/// A word of any witness of any run.
fn word() -> impl Strategy<Value = Fact> {
    (0..5usize, 0..8usize).prop_map(|(n, what)| match what {
        0 | 1 => called(n, failed()),
        2 => called(n, Stage::Dropped),
        3 | 4 => told_by_agent(n, failed()),
        5 => told_by_agent(n, Stage::Done),
        6 => ran(n, Stage::Done),
        _ => linked(n),
    })
}

fn holder(n: usize) -> Holder {
    Holder {
        session: key(HOST, SESSION),
        call: Some(call(&format!("c{n}"))),
        delegation: None,
    }
}

/// Something that happens to a circuit.
#[derive(Debug, Clone)]
enum Step {
    Told(Fact),
    Asks(usize),
    Passes(i64),
    Resets,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => word().prop_map(Step::Told),
        4 => (0..5usize).prop_map(Step::Asks),
        3 => prop::sample::select(vec![1i64, 31, 61, 601]).prop_map(Step::Passes),
        1 => Just(Step::Resets),
    ]
}

/// A leader and its log: whatever it concludes, it reads back.
struct Leader(Script);

impl Leader {
    fn circuits(&self) -> &Circuits {
        self.0.fleet.circuits()
    }

    fn state(&self) -> State {
        self.circuits()
            .get(&agent())
            .map_or(State::Closed, |circuit| circuit.state().clone())
    }

    fn rules(&self) -> Rules {
        self.0.fleet.settings().circuits.clone()
    }

    /// Writes what was concluded until nothing is left to say; every transition is looked at.
    fn write(&mut self, mut drafts: Vec<Draft>) {
        while let Some(at) = drafts
            .iter()
            .position(|draft| matches!(draft.conclusion, Conclusion::Circuit(_)))
        {
            let draft = drafts.swap_remove(at);
            let before = self.state();
            self.0.write(vec![draft.clone()]);
            let Conclusion::Circuit(change) = &draft.conclusion else {
                continue;
            };
            assert!(legal(&before, change), "{before:?} {change:?}");
            drafts = self.0.drafts.clone();
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Told(fact) => {
                self.0.tell(event(0, HOST, Some(SESSION), fact.clone()));
                let drafts = self.0.drafts.clone();
                self.write(drafts);
            }
            Step::Asks(n) => {
                let now = ms(self.0.now);
                let permit = self.circuits().permit(&agent(), &holder(*n), &self.rules(), now);
                if let Permit::Probe(change) = permit {
                    self.write(vec![Draft::of_circuit(change, Cause::Due { at: now })]);
                }
            }
            Step::Passes(seconds) => {
                self.0.pass(*seconds);
                let drafts = due::expire(&self.0.fleet, &self.0.overlay, ms(self.0.now));
                self.write(drafts);
            }
            Step::Resets => {
                let now = ms(self.0.now);
                if let Some(change) = self.circuits().reset(&agent(), "anna".to_owned(), "r1".to_owned()) {
                    self.write(vec![Draft::of_circuit(change, Cause::Due { at: now })]);
                }
            }
        }
    }
}

fn legal(before: &State, change: &Change) -> bool {
    match (before, change) {
        (State::Closed | State::HalfOpen(_), Change::Opened { .. }) => true,
        (State::Open { until, .. }, Change::HalfOpened { expires, .. }) => until < expires,
        (_, Change::Closed { .. }) => true,
        (State::Open { .. }, Change::Opened { .. })
        | (State::Closed | State::HalfOpen(_), Change::HalfOpened { .. }) => false,
    }
}

/// What anybody would write down on paper, for runs that are told once and in order.
#[derive(Debug, Default)]
struct Naive {
    state: u8,
    failures: u32,
    trips: u32,
    until: i64,
    probe: Option<(usize, i64)>,
}

impl Naive {
    fn open(&mut self, at: i64) {
        let cooldown = (30 << (self.trips - 1).min(5)).min(900);
        (self.state, self.until) = (1, at + cooldown * 1000);
    }

    fn close(&mut self) {
        *self = Self::default();
    }

    fn outcome(&mut self, run: usize, ok: bool, at: i64) {
        let held = self.probe.is_some_and(|(holder, _)| holder == run);
        match (self.state, ok) {
            (0, true) => self.failures = 0,
            (0, false) => {
                self.failures += 1;
                if self.failures >= 3 {
                    self.trips = 1;
                    self.open(at);
                }
            }
            (_, true) if held => self.close(),
            (2, false) if held => {
                self.failures += 1;
                self.trips += 1;
                self.probe = None;
                self.open(at);
            }
            _ => {}
        }
    }

    fn asks(&mut self, run: usize, at: i64) {
        if self.state == 1 && at >= self.until {
            self.state = 2;
            self.probe = Some((run, at + 600_000));
        }
    }

    fn passes(&mut self, now: i64) {
        if self.state == 2 && self.probe.is_some_and(|(_, expires)| expires <= now) {
            self.open(now);
        }
    }
}

#[derive(Debug, Clone)]
enum Plain {
    Run(bool),
    AsksAndRuns(Option<bool>),
    Passes(i64),
    Resets,
}

fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![
        3 => any::<bool>().prop_map(Plain::Run),
        4 => Just(Plain::Run(false)),
        4 => any::<Option<bool>>().prop_map(Plain::AsksAndRuns),
        4 => prop::sample::select(vec![31i64, 61, 901]).prop_map(Plain::Passes),
        1 => Just(Plain::Resets),
    ]
}

fn fold(events: &[(i64, Event)]) -> Fleet {
    let mut fleet = Fleet::new(Settings::default());
    for (n, (at, event)) in events.iter().enumerate() {
        let origin = Some(Origin {
            producer: spool(1),
            seq: n as u64 + 1,
        });
        let event = Event {
            origin,
            ..event.clone()
        };
        let _ = fleet.apply(&Recorded {
            seq: n as u64 + 1,
            at: ms(*at),
            event,
        });
    }
    fleet
}

proptest! {
    #[test]
    fn no_illegal_transition_is_reachable_and_deadlines_fire(steps in prop::collection::vec(step(), 1..80)) {
        let mut leader = Leader(Script::new());
        for step in &steps {
            leader.step(step);
            if let State::HalfOpen(probe) = leader.state() {
                prop_assert!(due::due(&leader.0.fleet).is_some_and(|at| at <= probe.expires));
            }
        }
        leader.step(&Step::Passes(601));
        prop_assert!(!matches!(leader.state(), State::HalfOpen(_)));
        // Whatever happened, some probe gets through in the end.
        leader.step(&Step::Passes(901));
        let permit = leader.circuits().permit(&agent(), &holder(9), &leader.rules(), ms(leader.0.now));
        prop_assert!(matches!(permit, Permit::Free | Permit::Probe(_)), "{permit:?}");
    }

    #[test]
    fn words_may_come_in_any_order_and_any_number(
        (told, other) in prop::collection::vec((0..30i64, word()), 1..24).prop_flat_map(|words| {
            let told: Vec<(i64, Event)> = words
                .into_iter()
                .enumerate()
                .map(|(n, (second, fact))| (second * 500 + n as i64, event(n as u64, HOST, Some(SESSION), fact)))
                .collect();
            let again = [told.clone(), told.clone()].concat();
            (Just(told), Just(again).prop_shuffle())
        })
    ) {
        // At most one of two events at the same moment: a batch orders what it holds.
        let apart = |events: &[(i64, Event)]| {
            let mut events = events.to_vec();
            events.dedup_by_key(|(at, _)| *at);
            events
        };
        let (one, two) = (fold(&told), fold(&apart(&other)));
        prop_assert_eq!(one.circuits(), two.circuits());
        prop_assert_eq!(one.circuits().failures(&agent()), two.circuits().failures(&agent()));
    }

    #[test]
    fn runs_told_in_order_are_counted_as_anybody_would(steps in prop::collection::vec(plain(), 1..60)) {
        let (mut leader, mut naive) = (Leader(Script::new()), Naive::default());
        for (n, step) in steps.iter().enumerate() {
            let outcome = |leader: &mut Leader, naive: &mut Naive, ok: bool| {
                let stage = if ok { Stage::Done } else { failed() };
                // An event takes a second, and the leader's own words come after it.
                naive.outcome(n, ok, leader.0.now + 1000);
                leader.step(&Step::Told(ran(n, stage)));
            };
            match step {
                Plain::Run(ok) => { outcome(&mut leader, &mut naive, *ok) }
                Plain::AsksAndRuns(ok) => {
                    let before = leader.0.now;
                    naive.asks(n, before);
                    leader.step(&Step::Asks(n));
                    if let Some(ok) = ok {
                        outcome(&mut leader, &mut naive, *ok);
                    }
                }
                Plain::Passes(seconds) => {
                    naive.passes(leader.0.now + seconds * 1000);
                    leader.step(&Step::Passes(*seconds));
                }
                Plain::Resets => {
                    leader.step(&Step::Resets);
                    naive.close();
                }
            }
            let (state, until) = match leader.state() {
                State::Closed => (0, None),
                State::Open { until, .. } => (1, Some(until.as_millis())),
                State::HalfOpen(_) => (2, None),
            };
            prop_assert_eq!((state, leader.circuits().failures(&agent())), (naive.state, naive.failures), "{:?}", naive);
            prop_assert_eq!(until, (state == 1).then_some(naive.until), "{:?}", naive);
        }
    }

    #[test]
    fn a_snapshot_goes_on_where_it_was_taken(steps in prop::collection::vec(step(), 1..40)) {
        let mut leader = Leader(Script::new());
        steps.iter().for_each(|step| leader.step(step));
        let text = serde_json::to_string(&leader.0.fleet).unwrap();
        let restored: Fleet = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(restored.circuits(), leader.circuits());
    }
}

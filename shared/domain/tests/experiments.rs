//! Experiments: stories of the rules, and a naive model beside them, in lists without events or ids. Whatever is asked in
//! whatever order, both know the same; and however often the log is read, the state is the same.

mod script;

use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::experiment::{
    Metric, Outcome, Plan, Refusal, State, Variant, Verdict, archive, conclude, create, outcome, start, tag,
};
use muster_domain::fact::{Decision, Fact, Recorded};
use muster_domain::fleet::{Applied, Fleet, Settings};
use muster_domain::ids::ExperimentId;
use muster_domain::query::Query;
use proptest::prelude::*;
use script::*;
use uuid::Uuid;

const DAY: i64 = 24 * 3600 * 1000;

fn name(n: u8) -> ExperimentId {
    ExperimentId::from_uuid(Uuid::from_u128(0xE1_0000 + u128::from(n)))
}

fn asker() -> Asker {
    Asker {
        caller: "op-anna".into(),
        operator: true,
        session: None,
        request: "r1".into(),
    }
}

fn plan(n: u8) -> Plan {
    Plan {
        name: format!("experiment {n}").into(),
        hypothesis: "cheaper".into(),
        change: "a smaller model".into(),
        metric: Metric::CostUsd,
        target_percent: -10,
        duration_days: 14,
        control: None,
        treatment: None,
    }
}

#[derive(Default)]
struct Lab {
    script: Script,
    log: Vec<Recorded>,
    runs: u32,
}

impl Lab {
    fn fleet(&self) -> &Fleet {
        &self.script.fleet
    }

    /// Writes what was decided; whether anything was.
    fn write(&mut self, decided: Result<Option<Draft>, Refusal>) -> Result<bool, Refusal> {
        let Some(draft) = decided? else {
            return Ok(false);
        };
        let Conclusion::Experiment(fact) = draft.conclusion else {
            panic!("not of an experiment: {draft:?}");
        };
        let decision = Fact::Decision(Decision::Experiment(fact));
        self.log.push(self.script.tell(event(0, HOST, None, decision)));
        Ok(true)
    }

    fn create(&mut self, n: u8, plan: Plan) -> Result<bool, Refusal> {
        let decided = create(self.fleet(), name(n), plan, &asker());
        self.write(decided)
    }

    fn start(&mut self, n: u8) -> Result<bool, Refusal> {
        let decided = start(self.fleet(), name(n), &asker());
        self.write(decided)
    }

    fn tag(&mut self, n: u8, session: u8, variant: Option<Variant>) -> Result<bool, Refusal> {
        let session = key(HOST, &format!("s{session}"));
        let decided = tag(self.fleet(), name(n), session, variant, &asker());
        self.write(decided)
    }

    fn conclude(&mut self, n: u8) -> Result<bool, Refusal> {
        let decided = conclude(self.fleet(), name(n), Some("so it is".into()), &asker());
        self.write(decided)
    }

    fn archive(&mut self, n: u8) -> Result<bool, Refusal> {
        let decided = archive(self.fleet(), name(n), &asker());
        self.write(decided)
    }

    /// A run of a session ends that cost so much; the session is begun by it, where it is new.
    fn cost(&mut self, session: u8, micros: u64) {
        self.runs += 1;
        let ended = turn_ended(&format!("run{}", self.runs), 0, true, micros);
        let told = event(0, HOST, Some(&format!("s{session}")), Fact::Turn(ended));
        self.log.push(self.script.tell(told));
    }

    fn over(&mut self, session: u8) {
        let ended = Fact::Hook(Box::new(hook(None, session_end())));
        self.log
            .push(self.script.tell(event(0, HOST, Some(&format!("s{session}")), ended)));
    }

    /// The digest of the state after a snapshot.
    fn restored(&self) -> u64 {
        let text = serde_json::to_string(self.fleet()).expect("a state can be written");
        let fleet: Fleet = serde_json::from_str(&text).expect("and read");
        fleet.digest()
    }

    fn state(&self, n: u8) -> Option<State> {
        self.fleet()
            .experiments()
            .get(name(n))
            .map(|experiment| experiment.state())
    }

    fn outcome(&self, n: u8) -> Outcome {
        outcome(
            self.fleet(),
            self.fleet().experiments().get(name(n)).expect("it is known"),
        )
    }

    fn told_apart(&self, n: u8) -> (u32, u32) {
        let outcome = self.outcome(n);
        (outcome.control.sessions, outcome.treatment.sessions)
    }
}

#[test]
fn sessions_are_told_apart_by_hand_and_compared_when_somebody_looks() {
    let mut lab = Lab::default();
    assert_eq!(lab.create(1, plan(1)), Ok(true));
    assert_eq!(lab.create(1, plan(1)), Ok(false), "the same request again");
    assert_eq!(lab.create(1, plan(2)), Err(Refusal::OtherRequest));
    for session in 0..10 {
        lab.cost(session, if session < 5 { 1000 } else { 500 } + u64::from(session));
    }
    let early = lab.tag(1, 0, Some(Variant::Control));
    assert!(
        matches!(early, Err(Refusal::State { is: State::Draft, .. })),
        "{early:?}"
    );
    lab.start(1).unwrap();
    for session in 0..10 {
        let variant = if session < 5 {
            Variant::Control
        } else {
            Variant::Treatment
        };
        assert_eq!(lab.tag(1, session, Some(variant)), Ok(true));
    }
    assert_eq!(lab.tag(1, 9, Some(Variant::Treatment)), Ok(false), "it is");
    let outcome = lab.outcome(1);
    assert_eq!(
        (outcome.control.mean_milli, outcome.treatment.mean_milli),
        (1_002_000, 507_000)
    );
    assert_eq!(outcome.compare(-10).verdict, Verdict::Met);
    assert_eq!(outcome.compare(-60).verdict, Verdict::Short);
    assert_eq!(outcome.compare(10).verdict, Verdict::Worse);
}

#[test]
fn a_query_tells_sessions_apart_that_begin_while_it_runs() {
    let mut lab = Lab::default();
    let query = |text: &str| Some(Query::parse(text).unwrap());
    let by_query = Plan {
        control: query("cost_usd<1"),
        treatment: query("cost_usd>=1"),
        ..plan(1)
    };
    let same = Plan {
        treatment: by_query.control.clone(),
        ..by_query.clone()
    };
    assert_eq!(lab.create(2, same), Err(Refusal::Same));
    lab.create(1, by_query).unwrap();
    lab.cost(1, 100);
    lab.start(1).unwrap();
    lab.cost(2, 200);
    lab.cost(3, 2_000_000);
    assert_eq!(lab.told_apart(1), (1, 1), "the first began before");
    // By hand counts more, and whenever it began.
    lab.tag(1, 1, Some(Variant::Treatment)).unwrap();
    assert_eq!(lab.told_apart(1), (1, 2));
    lab.script.now += 15 * DAY;
    lab.cost(4, 300);
    assert_eq!(lab.told_apart(1), (1, 2), "the fourth began after");
}

#[test]
fn what_sessions_added_up_to_is_kept_when_they_are_forgotten() {
    let mut lab = Lab::default();
    lab.create(1, plan(1)).unwrap();
    lab.start(1).unwrap();
    lab.cost(1, 700);
    lab.tag(1, 1, Some(Variant::Treatment)).unwrap();
    assert_eq!(lab.outcome(1).treatment.running, 1);
    lab.over(1);
    lab.script.now += 20 * DAY;
    lab.cost(2, 1);
    assert!(lab.fleet().session(&key(HOST, "s1")).is_none(), "it is forgotten");
    let arm = lab.outcome(1).treatment;
    assert_eq!((arm.sessions, arm.running, arm.median), (1, 0, 700));
    assert_eq!(
        lab.restored(),
        lab.fleet().digest(),
        "a snapshot holds what is told apart and kept"
    );
    lab.conclude(1).unwrap();
    lab.cost(1, 5);
    assert_eq!(lab.outcome(1).treatment.median, 700, "final");
    assert_eq!(lab.conclude(1), Ok(false), "the second is shown the first");
}

#[test]
fn a_plan_is_refused_that_says_nothing_or_too_much() {
    let lab = Lab::default();
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan(1);
        change(&mut plan);
        create(lab.fleet(), name(1), plan, &asker()).unwrap_err()
    };
    assert!(matches!(refused(&|plan| plan.name = " ".into()), Refusal::Text { .. }));
    assert!(matches!(
        refused(&|plan| plan.change = "x".repeat(3000).into()),
        Refusal::Text { .. }
    ));
    assert_eq!(refused(&|plan| plan.duration_days = 0), Refusal::Days);
    assert_eq!(refused(&|plan| plan.duration_days = 91), Refusal::Days);
    assert_eq!(refused(&|plan| plan.target_percent = 0), Refusal::Target);
    assert_eq!(refused(&|plan| plan.target_percent = -101), Refusal::Target);
    let unknown = start(lab.fleet(), name(9), &asker()).unwrap_err();
    assert_eq!(unknown, Refusal::Unknown(name(9)));
}

#[test]
fn as_many_are_known_as_may_be_and_archived_ones_give_way() {
    let mut lab = Lab::default();
    for n in 0..200 {
        lab.create(n, plan(n)).unwrap();
    }
    assert_eq!(lab.create(200, plan(200)), Err(Refusal::TooMany));
    lab.archive(7).unwrap();
    lab.archive(9).unwrap();
    assert_eq!(lab.create(200, plan(200)), Ok(true));
    assert_eq!((lab.state(7), lab.state(9)), (None, Some(State::Archived)));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create(u8),
    Start(u8),
    Tag(u8, u8, Option<Variant>),
    Conclude(u8),
    Archive(u8),
    Cost(u8, u64),
}

/// One experiment, in lists.
struct Tried {
    n: u8,
    state: State,
    tags: Vec<(u8, Variant)>,
    figures: Option<[Vec<u64>; 2]>,
}

#[derive(Default)]
struct Model {
    tried: Vec<Tried>,
    costs: Vec<(u8, u64)>,
}

impl Model {
    fn figures(&self, tried: &Tried) -> [Vec<u64>; 2] {
        let of = |wanted: Variant| {
            let tagged = tried.tags.iter().filter(|(_, variant)| *variant == wanted);
            let sums = tagged.map(|(session, _)| {
                let costs = self.costs.iter().filter(|(of, _)| of == session);
                costs.map(|(_, micros)| micros).sum::<u64>()
            });
            let mut sums: Vec<u64> = sums.collect();
            sums.sort_unstable();
            sums
        };
        tried
            .figures
            .clone()
            .unwrap_or_else(|| [of(Variant::Control), of(Variant::Treatment)])
    }

    /// Whether anything changed.
    fn step(&mut self, step: Step) -> bool {
        let at = |n: u8| self.tried.iter().position(|tried| tried.n == n);
        match step {
            Step::Cost(session, micros) => {
                self.costs.push((session, micros));
                true
            }
            Step::Create(n) => {
                let new = at(n).is_none();
                if new {
                    self.tried.push(Tried {
                        n,
                        state: State::Draft,
                        tags: Vec::new(),
                        figures: None,
                    });
                }
                new
            }
            Step::Start(n) => self.go(at(n), &[State::Draft], State::Running),
            Step::Archive(n) => self.go(at(n), &[State::Draft, State::Concluded], State::Archived),
            Step::Conclude(n) => {
                let figures = at(n).map(|at| self.figures(&self.tried[at]));
                let at = at(n);
                let done = self.go(at, &[State::Running], State::Concluded);
                if done && let Some(at) = at {
                    self.tried[at].figures = figures;
                }
                done
            }
            Step::Tag(n, session, variant) => {
                let known = self.costs.iter().any(|(of, _)| *of == session);
                let Some(tried) = at(n).map(|at| &mut self.tried[at]).filter(|_| known) else {
                    return false;
                };
                let now = tried.tags.iter().find(|(of, _)| *of == session).map(|(_, side)| *side);
                if tried.state != State::Running || now == variant {
                    return false;
                }
                tried.tags.retain(|(of, _)| *of != session);
                tried.tags.extend(variant.map(|variant| (session, variant)));
                true
            }
        }
    }

    fn go(&mut self, at: Option<usize>, from: &[State], to: State) -> bool {
        let Some(tried) = at.map(|at| &mut self.tried[at]) else {
            return false;
        };
        let may = from.contains(&tried.state);
        if may {
            tried.state = to;
        }
        may
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (n, session) = (0..3_u8, 0..4_u8);
    let variant = prop_oneof![Just(None), Just(Some(Variant::Control)), Just(Some(Variant::Treatment))];
    prop_oneof![
        1 => n.clone().prop_map(Step::Create),
        1 => n.clone().prop_map(Step::Start),
        4 => (n.clone(), session.clone(), variant).prop_map(|(n, session, variant)| Step::Tag(n, session, variant)),
        1 => n.clone().prop_map(Step::Conclude),
        1 => n.prop_map(Step::Archive),
        3 => (session, 1..1000_u64).prop_map(|(session, micros)| Step::Cost(session, micros)),
    ]
}

proptest! {
    #[test]
    fn a_naive_model_knows_the_same(steps in prop::collection::vec(step(), 1..60)) {
        let (mut lab, mut model) = (Lab::default(), Model::default());
        for step in steps {
            let known = |session: u8| lab.fleet().session(&key(HOST, &format!("s{session}"))).is_some();
            let changed = match step {
                Step::Create(n) => lab.create(n, plan(n)),
                Step::Start(n) => lab.start(n),
                // Who asks names a session that is known.
                Step::Tag(_, session, _) if !known(session) => Ok(false),
                Step::Tag(n, session, variant) => lab.tag(n, session, variant),
                Step::Conclude(n) => lab.conclude(n),
                Step::Archive(n) => lab.archive(n),
                Step::Cost(session, micros) => {
                    lab.cost(session, micros);
                    Ok(true)
                }
            };
            prop_assert_eq!(changed.unwrap_or(false), model.step(step), "{:?}", step);
            for tried in &model.tried {
                prop_assert_eq!(lab.state(tried.n), Some(tried.state));
                if matches!(tried.state, State::Running | State::Concluded) {
                    let outcome = lab.outcome(tried.n);
                    let [control, treatment] = model.figures(tried);
                    for (arm, values) in [(outcome.control, control), (outcome.treatment, treatment)] {
                        prop_assert_eq!(arm.sessions as usize, values.len());
                        let half = values.get(values.len() / 2).copied().unwrap_or_default();
                        let before = values.len().checked_sub(1).map_or(0, |last| values[last / 2]);
                        prop_assert_eq!(arm.median, u64::midpoint(before, half));
                    }
                }
            }
        }
        let mut again = Fleet::new(Settings::default());
        for recorded in &lab.log {
            prop_assert_eq!(again.apply(recorded), Applied::Changed);
            prop_assert_ne!(again.apply(recorded), Applied::Changed, "twice is once");
        }
        prop_assert_eq!(again.digest(), lab.fleet().digest());
    }
}

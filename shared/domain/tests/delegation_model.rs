//! Delegations beside a naive model of them: a few lines that know what was told of each one's first call, and nothing of
//! ledgers, events or what is on its way. Whatever is wished, told, taken back, lost and waited for, in whatever order, both
//! say the same, whoever leads.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::alert;
use muster_domain::asker::Asker;
use muster_domain::conclusion::Draft;
use muster_domain::delegation::{self, Delegating, Refusal, Status, Tier, Wish};
use muster_domain::fact::{Fact, Hook, HookBody};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::ids::DelegationId;
use muster_domain::names::SubagentName;
use muster_domain::overlay::Overlay;
use muster_domain::time::Timestamp;
use muster_domain::work::{Stage, Work};
use muster_domain::{due, react};
use proptest::prelude::*;
use script::*;
use std::time::Duration;
use uuid::Uuid;

const MINUTE: i64 = 60_000;
const YEAR: i64 = 365 * 24 * 60 * MINUTE;
/// More than may nest.
const ALL: usize = 7;
/// Waits of one story, each longer than it says by another power of two: so that no sum of some of them is a deadline.
const WAITS_MAX: usize = 13;

/// What is told of a call that carries a delegation's id, or of the subagent that it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Begun,
    Done,
    Failed,
    Dropped,
    GoesOn,
    AgentDone,
    AgentFailed,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wish {
        n: usize,
        parent: Option<usize>,
    },
    /// Of one of two calls that carry the same id; the leader may die of it.
    Says {
        n: usize,
        second: bool,
        told: Told,
        lost: bool,
    },
    /// A call of another session that carries the id.
    Elsewhere(usize),
    Cancel(usize),
    SessionEnds {
        lost: bool,
    },
    Wait(i64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Run {
    heard: bool,
    ended: Option<Told>,
    agent: Option<Told>,
}

impl Run {
    fn verdict(&self) -> Option<Status> {
        Some(match (self.ended, self.agent) {
            (Some(Told::Failed), _) | (Some(Told::Done | Told::GoesOn), Some(Told::AgentFailed)) => Status::Failed,
            (Some(Told::Dropped), _) => Status::Cancelled,
            (Some(Told::Done), _) | (Some(Told::GoesOn), Some(_)) => Status::Completed,
            _ if self.heard => Status::Running,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct One {
    /// How it stands and since when, once it was wished for.
    is: Option<(Status, i64)>,
    depth: u32,
    runs: [Run; 2],
    /// Which of its calls was told of first.
    first: Option<usize>,
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    over: bool,
    all: [One; ALL],
}

impl Model {
    /// Whether it is let begin, where that is the question.
    fn wish(&mut self, n: usize, parent: Option<usize>) -> bool {
        if self.all[n].is.is_some() {
            return true;
        }
        let depth = match parent.map(|parent| self.all[parent]) {
            Some(One { is: None, .. }) => return false,
            Some(parent) => parent.depth + 1,
            None => 0,
        };
        if depth >= 5 {
            return false;
        }
        (self.all[n].depth, self.all[n].is) = (depth, Some((Status::Queued, self.now)));
        true
    }

    /// Whether it was told otherwise: a call and a subagent end once, however often they say so.
    fn contradicts(&self, step: Step) -> bool {
        let Step::Says { n, second, told, .. } = step else {
            return false;
        };
        let run = self.all[n].runs[usize::from(second)];
        let before = match told {
            Told::Begun => None,
            Told::AgentDone | Told::AgentFailed => run.agent,
            Told::Done | Told::Failed | Told::Dropped | Told::GoesOn => run.ended,
        };
        before.is_some_and(|before| before != told)
    }

    fn says(&mut self, n: usize, second: bool, told: Told) {
        let one = &mut self.all[n];
        let run = &mut one.runs[usize::from(second)];
        match told {
            Told::AgentDone | Told::AgentFailed => run.agent = Some(told),
            Told::Begun | Told::Done | Told::Failed | Told::Dropped | Told::GoesOn => {
                run.heard = true;
                if told != Told::Begun {
                    run.ended = Some(told);
                }
                one.first.get_or_insert(usize::from(second));
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wish { n, parent } => _ = self.wish(n, parent),
            Step::Says { n, second, told, .. } => self.says(n, second, told),
            Step::Cancel(n) => {
                if let Some((status, since)) = self.all[n].is.as_mut().filter(|(status, _)| status.is_open()) {
                    (*status, *since) = (Status::Cancelled, self.now);
                }
            }
            Step::Elsewhere(_) => {}
            Step::SessionEnds { .. } => self.over = true,
            Step::Wait(span) => self.now += span,
        }
        self.settle();
    }

    /// What follows, now.
    fn settle(&mut self) {
        let now = self.now;
        for one in &mut self.all {
            let Some((status, since)) = &mut one.is else {
                continue;
            };
            let verdict = one.first.and_then(|first| one.runs[first].verdict());
            match (*status, verdict) {
                (Status::Queued, Some(next)) => (*status, *since) = (next, now),
                (Status::Running | Status::Stale, Some(next)) if next != Status::Running => {
                    (*status, *since) = (next, now)
                }
                _ => {}
            }
            let patience = if *status == Status::Queued { 15 } else { 120 } * MINUTE;
            if status.is_open() && (self.over || *since + patience <= now) {
                (*status, *since) = (Status::Stale, now);
            }
        }
    }

    /// When time alone is next news.
    fn next(&self) -> Option<i64> {
        let open = self.all.iter().filter_map(|one| one.is);
        let due = open.filter_map(|(status, since)| match status {
            Status::Queued => Some(since + 15 * MINUTE),
            Status::Running => Some(since + 120 * MINUTE),
            Status::Completed | Status::Failed | Status::Cancelled | Status::Stale => None,
        });
        due.min()
    }
}

/// The real one: a leader that reads back what it writes, and is followed by another.
struct Real(Script);

fn named(n: usize) -> DelegationId {
    DelegationId::from_uuid(Uuid::from_u128(n as u128 + 1))
}

/// Each has an agent of its own, so that no circuit opens.
fn agent(n: usize) -> SubagentName {
    SubagentName::new(&format!("agent{n}")).unwrap()
}

fn told(n: usize, second: bool, told: Told) -> Hook {
    let (call, subagent) = (format!("c{n}{second}"), format!("a{n}{second}"));
    let failed = || Stage::Failed {
        error: "overloaded".to_owned(),
    };
    let (body, stage) = match told {
        Told::Begun => (start("Agent", &call), Stage::Begun),
        Told::Done => (spawned("Agent", &call, &subagent), Stage::Done),
        Told::GoesOn => (spawned("Agent", &call, &subagent), Stage::Detached),
        Told::Failed => (fail("Agent", &call), failed()),
        Told::Dropped => (fail("Agent", &call), Stage::Dropped),
        Told::AgentDone => (HookBody::SubagentStopped, Stage::Done),
        Told::AgentFailed => (HookBody::SubagentStopped, failed()),
    };
    let of_agent = matches!(told, Told::AgentDone | Told::AgentFailed);
    let hook = Hook {
        work: Some(Box::new(Work {
            agent: agent(n),
            delegation: (!of_agent).then(|| named(n)),
            stage,
        })),
        ..hook(Some("p1"), body)
    };
    if of_agent { in_subagent(&subagent, hook) } else { hook }
}

impl Real {
    fn new() -> Self {
        let long = Duration::from_secs(u64::from(u32::MAX));
        let mut script = Script::new();
        // Nothing but delegations is ever due.
        script.fleet = Fleet::new(Settings {
            silence: long,
            retention: long,
            alerts: alert::Settings {
                off: alert::Rule::ALL.iter().copied().collect(),
                ..alert::Settings::default()
            },
            ..Settings::default()
        });
        script.at_once().on("p1", prompt()).follow();
        Self(script)
    }

    /// Decides, and again before the first decision is read back, which must decide nothing.
    fn decide(&mut self, decide: impl Fn(&Script) -> Vec<Draft>) {
        let drafts = decide(&self.0);
        for (n, draft) in (1..).zip(&drafts) {
            self.0.overlay.published(id(self.0.seq + n), draft);
        }
        assert_eq!(decide(&self.0), [], "what is on its way is decided again");
        self.0.lead(drafts);
    }

    fn hook(&mut self, session: &str, hook: Hook, lost: bool) {
        self.0.tell(event(0, HOST, Some(session), Fact::Hook(Box::new(hook))));
        if lost {
            // What this leader would have said, the next one says.
            self.0.overlay = Overlay::new();
            self.0.drafts = react::catch_up(&self.0.fleet, &self.0.overlay);
        }
        self.0.follow();
    }

    fn step(&mut self, step: Step) {
        let asker = Asker {
            caller: HOST.into(),
            operator: false,
            session: None,
            request: self.0.seq.to_string().into(),
        };
        match step {
            Step::Wish { n, parent } => {
                let wish = Wish {
                    id: named(n),
                    session: key(HOST, SESSION),
                    agent: agent(n),
                    task: "review it".to_owned(),
                    tier: Tier::Sonnet,
                    parent: parent.map(named),
                    forbidden: None,
                };
                self.decide(|script| {
                    match delegation::delegate(&script.fleet, &script.overlay, &asker, &wish, ms(script.now)) {
                        Ok(Delegating::Write(drafts)) => drafts,
                        Ok(Delegating::Soon(_) | Delegating::Settled) => Vec::new(),
                        Err((refusal, _)) => {
                            assert!(
                                matches!(refusal, Refusal::Unknown(_) | Refusal::TooDeep { .. }),
                                "{refusal}"
                            );
                            Vec::new()
                        }
                    }
                });
            }
            Step::Says { n, second, told, lost } => self.hook(SESSION, self::told(n, second, told), lost),
            Step::Elsewhere(n) => self.hook("s2", told(n, false, Told::Begun), false),
            Step::SessionEnds { lost } => self.hook(SESSION, hook(None, session_end()), lost),
            Step::Cancel(n) => {
                self.decide(
                    |script| match delegation::cancel(&script.fleet, &script.overlay, &asker, named(n), None) {
                        Ok(Delegating::Write(drafts)) => drafts,
                        Ok(Delegating::Soon(_) | Delegating::Settled) | Err(_) => Vec::new(),
                    },
                )
            }
            Step::Wait(span) => {
                self.0.now += span;
                self.decide(|script| due::expire(&script.fleet, &script.overlay, ms(script.now)));
            }
        }
    }

    fn shown(&self) -> Vec<Option<(Status, u32)>> {
        let all = self.0.fleet.delegations();
        let show = |n| all.get(named(n)).map(|one| (one.status, one.depth));
        (0..ALL).map(show).collect()
    }
}

/// A story that begins with delegations within delegations.
fn story() -> impl Strategy<Value = Vec<Step>> {
    let nested = |n: usize| Step::Wish {
        n,
        parent: n.checked_sub(1),
    };
    let began = (0..=ALL).prop_map(move |all| (0..all).map(nested).collect::<Vec<_>>());
    (began, prop::collection::vec(step(), 0..40)).prop_map(|(began, more)| [began, more].concat())
}

fn step() -> impl Strategy<Value = Step> {
    let parent = prop_oneof![1 => Just(None), 3 => Just(Some(true)), 1 => Just(Some(false))];
    let wish = (0..ALL, parent, 0..ALL).prop_map(|(n, parent, other)| Step::Wish {
        n,
        parent: match parent {
            Some(true) => n.checked_sub(1),
            Some(false) => Some(other).filter(|other| *other != n),
            None => None,
        },
    });
    let told = prop_oneof![
        6 => Just(Told::Begun),
        2 => Just(Told::Done),
        1 => Just(Told::Failed),
        1 => Just(Told::Dropped),
        3 => Just(Told::GoesOn),
        2 => Just(Told::AgentDone),
        2 => Just(Told::AgentFailed),
    ];
    let says = (0..ALL, prop::bool::weighted(0.2), told, any::<bool>());
    prop_oneof![
        8 => wish,
        10 => says.prop_map(|(n, second, told, lost)| Step::Says { n, second, told, lost }),
        1 => (0..ALL).prop_map(Step::Elsewhere),
        2 => (0..ALL).prop_map(Step::Cancel),
        1 => prop::bool::weighted(0.1).prop_flat_map(|ends| {
            if ends {
                any::<bool>().prop_map(|lost| Step::SessionEnds { lost }).boxed()
            } else {
                Just(Step::Wait(MINUTE)).boxed()
            }
        }),
        4 => prop::sample::select(vec![MINUTE, 10 * MINUTE, 70 * MINUTE]).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn delegations_stand_as_the_naive_model_says(steps in story()) {
        let mut real = Real::new();
        let mut model = Model { now: real.0.now, ..Model::default() };
        let mut waits = 0..WAITS_MAX;
        for (n, step) in steps.iter().enumerate() {
            let mut step = *step;
            if model.contradicts(step) {
                continue;
            }
            if let Step::Wait(span) = &mut step {
                let Some(nth) = waits.next() else { continue };
                *span += 1 << nth;
            }
            real.step(step);
            model.step(step);
            let shown: Vec<_> = model.all.iter().map(|one| one.is.map(|(status, _)| (status, one.depth))).collect();
            prop_assert_eq!(real.shown(), shown, "after step {} of {:?}", n, steps);
            let due = due::due(&real.0.fleet).map(Timestamp::as_millis).filter(|due| due - real.0.now < YEAR);
            let early = due.zip(model.next()).map(|(due, next)| due - next);
            prop_assert_eq!(due.is_some(), model.next().is_some(), "after step {} of {:?}", n, steps);
            prop_assert!(early.is_none_or(|early| early.abs() <= 1), "{early:?} after step {n} of {steps:?}");
            let next_leader = react::catch_up(&real.0.fleet, &Overlay::new());
            prop_assert_eq!(next_leader, [], "after step {} of {:?}", n, steps);
        }
    }
}

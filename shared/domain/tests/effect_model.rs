//! Effects beside a naive model of them: a few lines that know what was asked of a host, what it said and until when it had
//! time, and nothing of events or what is on its way. Whatever is asked, said, lost and waited for, in whatever order, both
//! say the same, whoever leads.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::alert;
use muster_domain::asker::Asker;
use muster_domain::conclusion::Draft;
use muster_domain::effect::{self, Action, ActionKind, Asking, Carrier, End, Receipt, Refusal, Status, Word};
use muster_domain::fact::{Decision, Fact, ProcessFact};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::ids::EffectId;
use muster_domain::names::SessionId;
use muster_domain::overlay::Overlay;
use muster_domain::time::Timestamp;
use muster_domain::{due, react};
use proptest::prelude::*;
use script::*;
use std::time::Duration;

const MINUTE: i64 = 60_000;
const YEAR: i64 = 365 * 24 * 60 * MINUTE;
/// Waits of one story, each longer than it says by another power of two: so that no sum of some of them is a deadline.
const WAITS_MAX: usize = 13;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Operator,
    /// The session that it is for.
    Itself,
    /// Another session of the same host.
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// One of a few requests, so that some come again.
    Ask {
        request: usize,
        spawn: bool,
        who: Who,
    },
    /// A host's word about one of the effects; the leader may die of it.
    Says {
        nth: usize,
        word: u8,
        own_host: bool,
        lost: bool,
    },
    Run,
    RunEnds,
    Host {
        there: bool,
    },
    Wait(i64),
}

#[derive(Debug, Clone, Copy)]
struct One {
    request: (usize, bool, Who),
    run: Option<u32>,
    expires: i64,
    /// When it first was.
    accepted: Option<i64>,
    /// How it ended, by the first word of that.
    done: Option<bool>,
    too_late: bool,
    given_up: bool,
}

impl One {
    fn status(&self) -> Status {
        let begun = self.accepted.is_some() || self.done == Some(true);
        match self.done {
            _ if self.too_late && !begun => Status::Expired,
            Some(true) => Status::Done,
            Some(false) => Status::Failed,
            None if begun && self.given_up => Status::Failed,
            None if begun => Status::Accepted,
            None => Status::Requested,
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    /// The latest run, and whether it goes on.
    runs: u32,
    running: bool,
    /// Since when the session is over, and the host away.
    over: Option<i64>,
    away: Option<i64>,
    all: Vec<One>,
}

impl Model {
    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { request, spawn, who } => {
                let request = (request, spawn, who);
                let may = who == Who::Operator || (who == Who::Itself && !spawn);
                let again = self.all.iter().any(|one| one.request == request);
                if again || !may || self.away.is_some() || !(spawn || self.running) {
                    return;
                }
                self.all.push(One {
                    request,
                    run: (!spawn).then_some(self.runs),
                    expires: self.now + if spawn { 2 } else { 10 } * MINUTE,
                    accepted: None,
                    done: None,
                    too_late: false,
                    given_up: false,
                });
            }
            Step::Says {
                nth,
                word,
                own_host: true,
                ..
            } => {
                if let Some(one) = self.all.get_mut(nth) {
                    match word {
                        0 => _ = one.accepted.get_or_insert(self.now),
                        word => _ = one.done.get_or_insert(word == 1),
                    }
                }
            }
            Step::Says { own_host: false, .. } => {}
            Step::Run => (self.runs, self.running, self.over) = (self.runs + 1, true, None),
            Step::RunEnds => (self.running, self.over) = (false, Some(self.now)),
            Step::Host { there: true } => self.away = None,
            Step::Host { there: false } => _ = self.away.get_or_insert(self.now),
            Step::Wait(span) => {
                self.now += span;
                let due: Vec<_> = self.all.iter().map(|one| self.deadline(one)).collect();
                for (one, due) in self.all.iter_mut().zip(due) {
                    if due.is_some_and(|due| due <= self.now) {
                        let given_up = one.status() == Status::Accepted;
                        (one.given_up, one.too_late) = (one.given_up || given_up, one.too_late || !given_up);
                    }
                }
            }
        }
    }

    /// Until when its host has time; what was accepted, an hour without the host or the session. What a spawn begins is never
    /// heard of here.
    fn deadline(&self, one: &One) -> Option<i64> {
        match one.status() {
            Status::Requested => Some(one.expires),
            Status::Accepted => {
                let accepted = one.accepted?;
                let over = if one.run.is_none() { Some(accepted) } else { self.over };
                let gone = self.away.into_iter().chain(over).min()?;
                Some(gone.max(accepted) + 60 * MINUTE)
            }
            Status::Done | Status::Failed | Status::Withdrawn | Status::Expired => None,
        }
    }

    /// When time alone is next news.
    fn next(&self) -> Option<i64> {
        self.all.iter().filter_map(|one| self.deadline(one)).min()
    }
}

/// The real one: a leader that reads back what it writes, and is followed by another.
struct Real {
    script: Script,
    runs: u32,
    /// Effects in the order they were let.
    let_: Vec<EffectId>,
}

impl Real {
    fn new() -> Self {
        let long = Duration::from_secs(u64::from(u32::MAX));
        let mut script = Script::new();
        // Nothing but effects is ever due.
        script.fleet = Fleet::new(Settings {
            silence: long,
            retention: long,
            alerts: alert::Settings {
                off: alert::Rule::ALL.iter().copied().collect(),
                ..alert::Settings::default()
            },
            ..Settings::default()
        });
        script.at_once().host(started_host()).on("p1", prompt()).follow();
        Self {
            script,
            runs: 0,
            let_: Vec::new(),
        }
    }

    fn ask(&mut self, request: usize, spawn: bool, who: Who) {
        let session = match who {
            Who::Operator => None,
            Who::Itself => Some(SESSION),
            Who::Other => Some("s2"),
        };
        let asker = Asker {
            caller: HOST.into(),
            operator: who == Who::Operator,
            session: session.map(|id| SessionId::new(id).unwrap()),
            request: format!("{request} {who:?}").into(),
        };
        let (target, action) = if spawn {
            let (template, prompt) = ("worker".into(), "build it".into());
            let (model, budget_usd_micros) = (None, None);
            let action = Action::Spawn {
                template,
                prompt,
                model,
                budget_usd_micros,
            };
            (key(HOST, "new"), action)
        } else {
            (key(HOST, SESSION), Action::Model { model: "opus".into() })
        };
        let ask = |script: &Script| {
            effect::request(
                &script.fleet,
                &script.overlay,
                &asker,
                &target,
                action.clone(),
                ms(script.now),
            )
        };
        match ask(&self.script) {
            Ok(Asking::Write(draft)) => {
                let event = id(self.script.seq + 1);
                self.script.overlay.published(event, &draft);
                assert_eq!(
                    ask(&self.script),
                    Ok(Asking::Soon(event)),
                    "what is on its way is decided again"
                );
                self.script.lead(vec![*draft]);
                assert_eq!(ask(&self.script), Ok(Asking::Before(EffectId::of(event))));
                self.let_.push(EffectId::of(event));
            }
            Ok(Asking::Before(_)) => {}
            Ok(Asking::Soon(_)) => panic!("nothing is on its way"),
            Err(refusal) => assert!(!matches!(refusal, Refusal::TooMany(_)), "{refusal}"),
        }
    }

    fn process(&mut self, fact: ProcessFact) {
        self.script.process(fact).follow();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Ask { request, spawn, who } => self.ask(request, spawn, who),
            Step::Says {
                nth,
                word,
                own_host,
                lost,
            } => {
                let Some(effect) = self.let_.get(nth).copied() else {
                    return;
                };
                let failed = |reason: &str| {
                    Word::Ended(End::Failed {
                        reason: reason.into(),
                        detail: None,
                    })
                };
                let word = match word {
                    0 => Word::Accepted,
                    1 => Word::Ended(End::Done),
                    2 => failed("unknown"),
                    _ => failed("late"),
                };
                let receipt = Receipt { id: effect, word };
                let host = if own_host { HOST } else { "web-02" };
                self.script.tell(event(0, host, Some(SESSION), Fact::Effect(receipt)));
                if lost {
                    self.script.overlay = Overlay::new();
                    self.script.drafts = react::catch_up(&self.script.fleet, &self.script.overlay);
                }
                self.script.follow();
            }
            Step::Run => {
                self.runs += 1;
                let carrier = Carrier {
                    run: run(&format!("r{}", self.runs)),
                    can: [ActionKind::Model].into(),
                };
                let carrier = Box::new(carrier);
                self.process(ProcessFact::Carries {
                    process: process(self.runs),
                    carrier,
                });
                // Its turn.
                self.script.on(&format!("p{}", self.runs + 1), prompt()).follow();
            }
            Step::RunEnds => self.process(ProcessFact::Exited {
                process: process(self.runs),
                status: Some(0),
            }),
            Step::Host { there } => {
                let said = if there {
                    Decision::HostReturned
                } else {
                    Decision::HostLost
                };
                self.script.concluded(said).follow();
            }
            Step::Wait(span) => {
                self.script.now += span;
                let drafts = due::expire(&self.script.fleet, &self.script.overlay, ms(self.script.now));
                self.publish(&drafts);
                let again = due::expire(&self.script.fleet, &self.script.overlay, ms(self.script.now));
                assert_eq!(again, [], "what is on its way is decided again");
                self.script.lead(drafts);
            }
        }
    }

    fn publish(&mut self, drafts: &[Draft]) {
        for (n, draft) in (1..).zip(drafts) {
            self.script.overlay.published(id(self.script.seq + n), draft);
        }
    }

    /// How each stands, and which run it is for.
    fn shown(&self) -> Vec<(Status, Option<String>)> {
        let show = |id: &EffectId| {
            let effect = self.script.fleet.effects().get(*id).unwrap();
            (effect.status(), effect.order.run.as_ref().map(ToString::to_string))
        };
        self.let_.iter().map(show).collect()
    }
}

fn step() -> impl Strategy<Value = Step> {
    let who = prop_oneof![4 => Just(Who::Operator), 2 => Just(Who::Itself), 1 => Just(Who::Other)];
    let waits = vec![MINUTE / 6, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE];
    prop_oneof![
        6 => (0..3usize, prop::bool::weighted(0.3), who)
            .prop_map(|(request, spawn, who)| Step::Ask { request, spawn, who }),
        8 => (0..6usize, 0..4u8, prop::bool::weighted(0.9), any::<bool>())
            .prop_map(|(nth, word, own_host, lost)| Step::Says { nth, word, own_host, lost }),
        3 => Just(Step::Run),
        1 => Just(Step::RunEnds),
        1 => Just(Step::Host { there: false }),
        2 => Just(Step::Host { there: true }),
        3 => prop::sample::select(waits).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn effects_stand_as_the_naive_model_says(steps in prop::collection::vec(step(), 0..50)) {
        let mut real = Real::new();
        let mut model = Model { now: real.script.now, ..Model::default() };
        let mut waits = 0..WAITS_MAX;
        for (n, step) in steps.iter().enumerate() {
            let mut step = *step;
            if let Step::Wait(span) = &mut step {
                let Some(nth) = waits.next() else { continue };
                *span += 1 << nth;
            }
            if matches!(step, Step::RunEnds) && !model.running {
                continue;
            }
            real.step(step);
            model.step(step);
            let run = |one: &One| one.run.map(|run| format!("r{run}"));
            let shown: Vec<_> = model.all.iter().map(|one| (one.status(), run(one))).collect();
            prop_assert_eq!(real.shown(), shown, "after step {} of {:?}", n, steps);
            let due = due::due(&real.script.fleet).map(Timestamp::as_millis);
            let due = due.filter(|due| due - real.script.now < YEAR);
            prop_assert_eq!(due.is_some(), model.next().is_some(), "after step {} of {:?}", n, steps);
            let early = due.zip(model.next()).map(|(due, next)| due - next);
            prop_assert!(early.is_none_or(|early| early.abs() <= 1), "{early:?} after step {n} of {steps:?}");
        }
    }
}

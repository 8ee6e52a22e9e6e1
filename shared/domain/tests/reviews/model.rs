//! Beside a naive model: lists that are searched, and sets of what was done.

use super::*;
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::review::OPEN_OF_SESSION_MAX;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SESSIONS: usize = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Say { who: u8, session: usize, score: u8 },
    Open(usize),
    Close { how: How, nth: u8 },
    Rule(Action),
    Switch { nth: u8, on: bool },
    Run { dry: bool },
    ReadBack,
}

/// A rule: what it does, whether it is on, and what it did something about.
type Made = (Action, bool, BTreeSet<usize>);

/// Who said which score of what session last; what is kept of which session, and whether it is open; rules.
#[derive(Debug, Default)]
struct Model {
    said: BTreeMap<(usize, u8), u8>,
    cases: Vec<(usize, bool)>,
    queue: Vec<(usize, bool)>,
    rules: Vec<Made>,
    /// Alerts that stand, by rule and session.
    alerts: BTreeSet<(usize, usize)>,
}

fn keep(files: &mut Vec<(usize, bool)>, session: usize) -> bool {
    let open = files.iter().filter(|file| **file == (session, true)).count();
    if open < OPEN_OF_SESSION_MAX {
        files.push((session, true));
    }
    open < OPEN_OF_SESSION_MAX
}

impl Model {
    /// About how many something was done.
    fn step(&mut self, step: Step) -> usize {
        match step {
            Step::Say { who, session, score } => {
                self.said.insert((session, who), score);
                1
            }
            Step::Open(session) => usize::from(keep(&mut self.cases, session)),
            Step::Close { how, nth } => {
                let files = if how == How::Archived {
                    &mut self.cases
                } else {
                    &mut self.queue
                };
                let open = files.get_mut(usize::from(nth));
                usize::from(open.is_some_and(|file| std::mem::replace(&mut file.1, false)))
            }
            Step::Rule(action) => {
                self.rules.push((action, true, BTreeSet::new()));
                1
            }
            Step::Switch { nth, on } => {
                let Some(rule) = self.rules.get_mut(usize::from(nth)) else {
                    return 0;
                };
                let changed = std::mem::replace(&mut rule.1, on) != on;
                if !on {
                    self.alerts.retain(|(rule, _)| *rule != usize::from(nth));
                }
                usize::from(changed)
            }
            Step::Run { dry } => self.run(dry),
            Step::ReadBack => 1,
        }
    }

    fn run(&mut self, dry: bool) -> usize {
        let (mut cases, mut queue, mut alerts) = (self.cases.clone(), self.queue.clone(), self.alerts.clone());
        let mut rules = self.rules.clone();
        let mut done = 0;
        for (nth, (action, _, acted)) in rules.iter_mut().enumerate().filter(|(_, rule)| rule.1) {
            for session in 0..SESSIONS {
                let bad = self.said.iter().any(|((of, _), score)| *of == session && *score <= 2);
                if !bad || acted.contains(&session) {
                    continue;
                }
                let kept = match action {
                    Action::CreateCase => keep(&mut cases, session),
                    Action::QueueReview => keep(&mut queue, session),
                    Action::EmitAlert => alerts.insert((nth, session)),
                };
                if !kept {
                    // The rule stops there.
                    break;
                }
                acted.insert(session);
                done += 1;
            }
        }
        if !dry {
            (self.cases, self.queue, self.alerts, self.rules) = (cases, queue, alerts, rules);
        }
        done
    }
}

impl Real {
    fn step(&mut self, n: usize, step: Step) -> usize {
        let decided = match step {
            Step::Say { who, session, score } => self.say(&format!("u{who}"), session, score),
            Step::Open(session) => self.open(session),
            Step::Close { how, nth } => self.close(how, u64::from(nth) + 1),
            Step::Rule(action) => return usize::from(self.rule(&n.to_string(), "feedback_score<=2", action).is_ok()),
            Step::Switch { nth, on } => self.switch(u64::from(nth) + 1, on),
            Step::Run { dry } => {
                let wanted = Wanted {
                    dry_run: dry,
                    ..Wanted::default()
                };
                let runs = self.run(wanted).expect("rules are run");
                return runs.iter().map(|run| run.acted.len()).sum();
            }
            Step::ReadBack => {
                self.read_back();
                return 1;
            }
        };
        usize::from(decided.is_ok_and(|decided| decided.applied))
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let action = prop::sample::select(Action::ALL.to_vec());
    let how = prop::sample::select(vec![How::Archived, How::Resolved, How::Dismissed]);
    prop_oneof![
        4 => (0..4u8, 0..SESSIONS, 1..=5u8).prop_map(|(who, session, score)| Step::Say { who, session, score }),
        2 => (0..2usize).prop_map(Step::Open),
        2 => (how, 0..20u8).prop_map(|(how, nth)| Step::Close { how, nth }),
        2 => action.prop_map(Step::Rule),
        2 => (0..6u8, any::<bool>()).prop_map(|(nth, on)| Step::Switch { nth, on }),
        4 => any::<bool>().prop_map(|dry| Step::Run { dry }),
        3 => Just(Step::ReadBack),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_in_whatever_order_the_naive_model_knows_the_same(
        steps in prop::collection::vec(steps(), 1..80)
    ) {
        let (mut model, mut real) = (Model::default(), Real::with(SESSIONS));
        for (n, step) in steps.into_iter().enumerate() {
            prop_assert_eq!(real.step(n, step), model.step(step), "step {}: {:?}", n, step);
        }
        real.read_back();
        let fleet = &real.script.fleet;
        let reviews = fleet.reviews();
        for session in 0..SESSIONS {
            let words = reviews.feedback().of(&key(HOST, &format!("s{session}")));
            let known: BTreeMap<String, u8> = words
                .map(|word| (word.annotation.by.to_string(), word.annotation.score.expect("a score").into()))
                .collect();
            let said = model.said.iter().filter(|((of, _), _)| *of == session);
            let expected: BTreeMap<String, u8> = said.map(|((_, who), score)| (format!("u{who}"), *score)).collect();
            prop_assert_eq!(known, expected);
        }
        for (docket, expected) in [(reviews.cases(), &model.cases), (reviews.queue(), &model.queue)] {
            let files = docket.files().map(|file| (file.opening.session.clone(), file.end.is_none()));
            let expected = expected.iter().map(|(of, open)| (key(HOST, &format!("s{of}")), *open));
            prop_assert_eq!(files.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
        let rules = reviews.rules().all().map(|rule| (rule.definition.action, rule.enabled, rule.acted.len()));
        let expected = model.rules.iter().map(|(action, on, acted)| (*action, *on, acted.len()));
        prop_assert_eq!(rules.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let stand: BTreeSet<String> = fleet.alerts().standing().keys().map(ToString::to_string).collect();
        let expected = model.alerts.iter().map(|(rule, of)| format!("rule:{}:{HOST}/s{of}", rule + 1));
        prop_assert_eq!(stand, expected.collect::<BTreeSet<_>>());

        // Read again, with everything twice.
        let mut again = Fleet::new(Settings::default());
        for recorded in real.log.iter().flat_map(|recorded| [recorded, recorded]) {
            let _ = again.apply(recorded);
        }
        prop_assert_eq!(again.digest(), fleet.digest());
    }
}

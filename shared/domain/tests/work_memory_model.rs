//! What is known of work, beside a naive model of it: lists that are searched, without numbers, revisions or events.
//! Whatever is asked in whatever order, both know the same; and however the log is read, the state is the same.

mod script;

use muster_domain::asker::Asker;
use muster_domain::conclusion::Conclusion;
use muster_domain::fact::{Decision, Fact, Recorded};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::lease::{Ground, LeaseKey, Protected, WriteOutcome};
use muster_domain::names::Workspace;
use muster_domain::work_memory::{
    Admit, Compact, Decided, Extract, Found, Kind, Mode, Promote, Refusal, Review, Scope, Source, Submit, WorkMemory,
    admit, compact, extract, promote, submit,
};
use proptest::prelude::*;
use script::*;

const DAY: i64 = 24 * 3600 * 1000;
const KINDS: [Kind; 3] = [Kind::Rule, Kind::Heuristic, Kind::Attempt];

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit(u8),
    Extract { evidence: u8, kind: Kind, word: u8 },
    Admit(u8),
    Promote { nth: u8, operator: bool },
    Keep,
    Decay,
    Wait(i64),
}

/// Something that holds: what it is, what it says, whether it is durable, since when it is believed, and what said it last.
type Held = (Kind, u8, bool, i64, usize);

/// What waits and what holds, as both sides say it.
type Known = (Vec<(Kind, String)>, Vec<(Kind, String, bool, i64)>);

/// What is known.
#[derive(Debug, Default)]
struct Model {
    /// What was shown, and whether somebody looked at it.
    shown: Vec<(u8, bool)>,
    waits: Vec<(Kind, u8, i64, usize)>,
    holds: Vec<Held>,
}

const fn days(kind: Kind) -> i64 {
    match kind {
        Kind::Rule | Kind::Constraint => 90,
        Kind::Heuristic => 30,
        Kind::Observation | Kind::Attempt => 7,
    }
}

impl Model {
    /// Whether anything changed.
    fn step(&mut self, step: Step, now: i64) -> bool {
        match step {
            Step::Submit(word) => {
                let known = self.shown.iter().any(|(shown, _)| *shown == word);
                if !known {
                    self.shown.push((word, false));
                }
                !known
            }
            Step::Extract { evidence, kind, word } => {
                let Some(at) = self.shown.iter().position(|(shown, _)| *shown == evidence) else {
                    return false;
                };
                let looked = std::mem::replace(&mut self.shown[at].1, true);
                if let Some(held) = self.holds.iter_mut().find(|held| (held.0, held.1) == (kind, word)) {
                    if at <= held.4 {
                        return !looked;
                    }
                    (held.3, held.4) = (now, at);
                    return true;
                }
                if self.waits.iter().any(|wait| (wait.0, wait.1) == (kind, word)) {
                    return !looked;
                }
                self.waits.push((kind, word, now, at));
                true
            }
            Step::Admit(nth) => {
                if self.waits.is_empty() {
                    return false;
                }
                let (kind, word, _, at) = self.waits.remove(usize::from(nth) % self.waits.len());
                self.holds.push((kind, word, false, now, at));
                true
            }
            Step::Promote { nth, operator } => {
                let count = self.holds.len().max(1);
                match self.holds.get_mut(usize::from(nth) % count) {
                    Some(held) if operator && !held.2 => {
                        (held.2, held.3) = (true, now);
                        true
                    }
                    _ => false,
                }
            }
            Step::Keep => {
                let all = self.holds.clone();
                let better = |one: &Held, other: &Held| (!one.2, one.0) < (!other.2, other.0);
                let wins = |held: &Held| !all.iter().any(|other| other.1 == held.1 && better(other, held));
                // What is durable stays, however often it is said: no operator asks.
                self.holds.retain(|held| held.2 || wins(held));
                for held in self.holds.iter_mut().filter(|held| wins(held)) {
                    let same = all.iter().filter(|other| other.1 == held.1 && !other.2);
                    held.3 = same.map(|other| other.3).chain([held.3]).max().expect("its own");
                }
                self.holds.len() != all.len()
            }
            Step::Decay => {
                let before = (self.holds.len(), self.waits.len());
                self.holds.retain(|held| held.2 || now < held.3 + days(held.0) * DAY);
                self.waits.retain(|wait| now < wait.2 + 7 * DAY);
                before != (self.holds.len(), self.waits.len())
            }
            Step::Wait(_) => false,
        }
    }

    fn known(&self) -> Known {
        let said = |word: u8| format!("word {word}");
        let mut waits: Vec<_> = self.waits.iter().map(|wait| (wait.0, said(wait.1))).collect();
        let holds = self.holds.iter().map(|held| (held.0, said(held.1), held.2, held.3));
        let mut holds: Vec<_> = holds.collect();
        waits.sort();
        holds.sort();
        (waits, holds)
    }
}

struct Real {
    script: Script,
    log: Vec<Recorded>,
    key: LeaseKey,
    requests: u64,
}

impl Real {
    fn new() -> Self {
        Self {
            script: Script::new(),
            log: Vec::new(),
            key: LeaseKey {
                profile: None,
                workspace: Workspace::new("/repo").expect("a workspace"),
            },
            requests: 0,
        }
    }

    fn known(&self) -> WorkMemory {
        let known = self.script.fleet.work_memories().get(&self.key);
        known.cloned().unwrap_or_default()
    }

    fn decide(&mut self, step: Step) -> Result<Decided, Refusal> {
        self.requests += 1;
        let known = self.known();
        let asker = Asker {
            caller: "web-01".into(),
            operator: false,
            session: None,
            request: format!("r{}", self.requests).into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest: 1,
        };
        let (key, by) = (&self.key, &Protected::default());
        let named = |word: u8| -> Box<str> { format!("evidence {word}").into() };
        match step {
            Step::Submit(word) => {
                let wanted = Submit {
                    source: Source::Session,
                    title: None,
                    text: named(word),
                    digest: named(word),
                };
                submit(&ground, key, by, &wanted)
            }
            Step::Extract { evidence, kind, word } => {
                let digest = named(evidence);
                let from = known
                    .evidence()
                    .find(|one| one.digest == digest)
                    .map_or(9999, |one| one.id);
                let found = vec![Found {
                    kind,
                    scope: Scope::Workspace,
                    text: format!("word {word}").into(),
                }];
                extract(&ground, key, by, &Extract { evidence: from, found })
            }
            Step::Admit(nth) => {
                let count = known.candidates().count().max(1);
                let candidate = known
                    .candidates()
                    .nth(usize::from(nth) % count)
                    .map_or(9999, |one| one.id);
                let wanted = Admit {
                    candidate,
                    scope: None,
                    decay: None,
                    supersedes: None,
                };
                admit(&ground, key, by, &wanted, Err("no".into()))
            }
            Step::Promote { nth, operator } => {
                let mut entries: Vec<_> = known.entries().collect();
                // In the order in which they were admitted.
                entries.sort_by_key(|entry| (entry.admitted, entry.id));
                let count = entries.len().max(1);
                let entry = entries.get(usize::from(nth) % count).map_or(9999, |entry| entry.id);
                let durable = if operator { Ok(()) } else { Err("no".into()) };
                promote(
                    &ground,
                    key,
                    by,
                    Promote {
                        entry,
                        to: Scope::Project,
                    },
                    durable,
                )
            }
            Step::Keep | Step::Decay => {
                let mode = if matches!(step, Step::Keep) {
                    Mode::Keep
                } else {
                    Mode::Decay
                };
                let wanted = Compact {
                    mode,
                    review: Review::Expired,
                    remove: false,
                    write: true,
                };
                Ok(compact(&ground, key, by, wanted, false).0)
            }
            Step::Wait(_) => unreachable!("time is not asked for"),
        }
    }

    /// Whether anything changed.
    fn step(&mut self, step: Step) -> bool {
        if let Step::Wait(time) = step {
            self.script.now += time;
            return false;
        }
        let Ok(decided) = self.decide(step) else {
            return false;
        };
        let changed = decided.write.outcome == WriteOutcome::Applied;
        assert_eq!(changed, decided.write.draft.is_some());
        if let Some(draft) = decided.write.draft {
            let Conclusion::WorkMemory(fact) = draft.conclusion else {
                panic!("it is of what is known");
            };
            let fact = Fact::Decision(Decision::WorkMemory(fact));
            self.log.push(self.script.tell(event(0, HOST, None, fact)));
        }
        changed
    }
}

fn steps() -> impl Strategy<Value = Step> {
    let kind = || prop::sample::select(KINDS.to_vec());
    prop_oneof![
        3 => (0..8u8).prop_map(Step::Submit),
        6 => (0..8u8, kind(), 0..4u8).prop_map(|(evidence, kind, word)| Step::Extract { evidence, kind, word }),
        4 => any::<u8>().prop_map(Step::Admit),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(nth, operator)| Step::Promote { nth, operator }),
        1 => Just(Step::Keep),
        1 => Just(Step::Decay),
        2 => (0..20 * DAY).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_in_whatever_order_the_naive_model_knows_the_same(
        steps in prop::collection::vec(steps(), 1..80)
    ) {
        let (mut model, mut real) = (Model::default(), Real::new());
        for (n, step) in steps.into_iter().enumerate() {
            let before = real.known().revision();
            // What is decided now carries this time.
            let now = real.script.now;
            let (expected, changed) = (model.step(step, now), real.step(step));
            prop_assert_eq!(expected, changed, "step {}: {:?}", n, step);
            let known = real.known();
            prop_assert_eq!(known.revision(), before + u64::from(changed));
            let mut waits: Vec<_> = known.candidates().map(|one| (one.kind, one.text.to_string())).collect();
            let holds = known.entries().map(|one| {
                (one.kind, one.text.to_string(), one.scope.is_durable(), one.affirmed.as_millis())
            });
            let mut holds: Vec<_> = holds.collect();
            waits.sort();
            holds.sort();
            prop_assert_eq!((waits, holds), model.known(), "step {}: {:?}", n, step);
        }
        // Read again, with everything twice.
        let mut again = Fleet::new(Settings::default());
        for recorded in real.log.iter().flat_map(|recorded| [recorded, recorded]) {
            let _ = again.apply(recorded);
        }
        prop_assert_eq!(again.digest(), real.script.fleet.digest());
    }
}

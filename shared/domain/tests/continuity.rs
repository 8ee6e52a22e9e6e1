//! What work leaves to whoever goes on with it, as stories.

mod script;

use WriteOutcome::{
    Applied, DuplicateIdConflict, IdempotentNoop, OwnershipConflict, StaleSession, UnsupportedMultiwriter,
};
use muster_domain::asker::Asker;
use muster_domain::digest;
use muster_domain::lease::{
    Change, Continuity, Decided, Ground, Handoff, LeaseKey, Leave, Mode, Origin, OwnerKind, Protected, Pulse, Recovery,
    Seed, Start, Takeover, WriteOutcome, change, clear, leave, start, takeover,
};
use muster_domain::names::{SessionId, Workspace};
use proptest::prelude::*;
use script::*;
use std::time::Duration;

/// How long a worker's lease lasts in these stories, in seconds.
const TTL: i64 = 60;

/// A workspace, and a leader that decides.
#[derive(Default)]
struct Work {
    script: Script,
    requests: u64,
    /// The request to be made next, where it is one made before.
    again: Option<u64>,
}

impl Work {
    /// Held by the worker `a`, whom `boss` supervises.
    fn held() -> Self {
        let mut work = Self::default();
        assert_eq!(work.begin("a"), Applied);
        work
    }

    fn decide(&mut self, what: &impl std::hash::Hash, decide: impl FnOnce(&Ground<'_>) -> Decided) -> WriteOutcome {
        let request = self.again.take().unwrap_or_else(|| {
            self.requests += 1;
            self.requests
        });
        let asker = Asker {
            caller: "web-01".into(),
            operator: false,
            session: None,
            request: format!("r{request}").into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest: digest::of(what),
        };
        let decided = decide(&ground);
        if let Some(draft) = decided.draft {
            self.script.write(vec![*draft]);
        }
        decided.outcome
    }

    fn begin(&mut self, actor: &str) -> WriteOutcome {
        let wanted = Start {
            protected: by(actor),
            mode: Mode::Implement,
            owner_kind: OwnerKind::RuntimeWorker,
            supervisor: Some("boss".into()),
            ttl: Some(Duration::from_secs(TTL as u64)),
            recover_stale: false,
            host: None,
        };
        let minted = SessionId::new(&format!("ses_{}", self.requests + 1)).expect("a session id");
        self.decide(&wanted, |ground| start(ground, &workspace(), &wanted, minted))
    }

    fn leave(&mut self, actor: &str, wanted: &Leave) -> WriteOutcome {
        self.leave_at(&by(actor), wanted)
    }

    fn leave_at(&mut self, protected: &Protected, wanted: &Leave) -> WriteOutcome {
        self.decide(&(protected, wanted), |ground| {
            leave(ground, &workspace(), protected, wanted)
        })
    }

    fn takeover(&mut self, actor: &str) -> WriteOutcome {
        let wanted = Takeover {
            protected: by(actor),
            reason: "it is silent".into(),
            host: None,
        };
        let minted = SessionId::new(&format!("ses_{}", self.requests + 1)).expect("a session id");
        self.decide(&wanted, |ground| takeover(ground, &workspace(), &wanted, minted))
    }

    fn change(&mut self, wanted: &Change) -> WriteOutcome {
        self.decide(wanted, |ground| change(ground, &workspace(), &by("a"), wanted))
    }

    fn clear(&mut self, actor: &str) -> WriteOutcome {
        let wanted = by(actor);
        self.decide(&wanted, |ground| clear(ground, &workspace(), &wanted, None))
    }

    fn left(&self) -> Continuity {
        let place = self.script.fleet.leases().get(&workspace());
        place.map(|place| place.continuity.clone()).unwrap_or_default()
    }

    fn revision(&self) -> u64 {
        let place = self.script.fleet.leases().get(&workspace());
        place.map_or(0, |place| place.revision)
    }
}

fn workspace() -> LeaseKey {
    LeaseKey {
        profile: None,
        workspace: Workspace::new("/repo").expect("a workspace"),
    }
}

fn by(actor: &str) -> Protected {
    Protected {
        actor: (!actor.is_empty()).then(|| actor.into()),
        ..Protected::default()
    }
}

fn handoff(title: &str) -> Leave {
    Leave::Handoff(Handoff {
        title: title.into(),
        immediate_actions: vec!["run the tests".into(), "fix what fails".into()],
        definition_of_done: vec!["tests pass".into()],
        ..Handoff::default()
    })
}

fn recovery(origin: Origin) -> Leave {
    Leave::Recovery(Recovery {
        origin,
        checkpoint: Pulse {
            summary: "half of the parser stands".into(),
            ..Pulse::default()
        },
        ..Recovery::default()
    })
}

#[test]
fn who_takes_work_over_finds_what_was_left() {
    let mut work = Work::held();
    assert_eq!(work.leave("a", &handoff("the parser")), Applied);
    assert_eq!(work.leave("a", &recovery(Origin::Compaction)), Applied);
    let left = work.left();
    let written = left.handoff.as_ref().expect("it was written");
    assert_eq!((&*written.what.title, written.revision), ("the parser", 1));
    assert_eq!(written.actor.as_deref(), Some("a"));
    work.script.pass(TTL + 1);
    assert_eq!(work.takeover("b"), Applied);
    assert_eq!(work.left(), left, "all of it is there for the successor");
    assert_eq!(work.leave("a", &handoff("mine still")), OwnershipConflict);
    assert_eq!(work.leave("b", &handoff("the parser, again")), Applied);
    assert_eq!(work.left().handoff.expect("it was written").revision, 2);
}

#[test]
fn work_that_is_cleared_leaves_its_handoff_and_no_recovery() {
    let mut work = Work::held();
    work.leave("a", &handoff("the parser"));
    work.leave("a", &recovery(Origin::RiskyPause));
    assert_eq!(work.clear("a"), Applied);
    let left = work.left();
    assert!(left.handoff.is_some() && left.recovery.is_none());
    assert_eq!(work.begin("b"), Applied);
    assert_eq!(work.left(), left);
}

#[test]
fn it_is_written_at_a_revision_by_whoever_holds_or_supervises_the_work() {
    let mut work = Work::default();
    assert_eq!(work.leave("a", &handoff("nobody's")), OwnershipConflict);
    work.begin("a");
    assert_eq!(work.leave("b", &handoff("another's")), OwnershipConflict);
    assert_eq!(work.leave("", &handoff("nobody's")), UnsupportedMultiwriter);
    assert_eq!(work.leave("boss", &handoff("the boss's")), Applied);
    let at = |expected| Protected {
        expected_revision: Some(expected),
        ..by("a")
    };
    let now = work.revision();
    assert_eq!(work.leave_at(&at(now - 1), &handoff("late")), OwnershipConflict);
    assert_eq!(work.leave_at(&at(now), &handoff("in time")), Applied);
    assert_eq!(
        work.leave("a", &handoff("in time")),
        IdempotentNoop,
        "it says so already"
    );
    work.script.pass(TTL + 1);
    assert_eq!(work.leave("a", &handoff("too late")), StaleSession);
}

#[test]
fn the_same_request_leaves_one_and_another_under_its_name_none() {
    let mut work = Work::held();
    work.leave("a", &recovery(Origin::Manual));
    let (request, revision) = (work.requests, work.revision());
    work.again = Some(request);
    assert_eq!(work.leave("a", &recovery(Origin::Manual)), IdempotentNoop);
    work.again = Some(request);
    assert_eq!(work.leave("a", &recovery(Origin::RiskyPause)), DuplicateIdConflict);
    assert_eq!(work.revision(), revision);
}

#[test]
fn gates_begin_with_what_a_handoff_says() {
    let mut work = Work::held();
    let seed = |from| Change::SeedGates(from, Vec::new());
    assert_eq!(
        work.change(&seed(Seed::ImmediateActions)),
        IdempotentNoop,
        "no handoff says any"
    );
    work.leave("a", &handoff("the parser"));
    assert_eq!(work.change(&seed(Seed::ImmediateActions)), Applied);
    let gates = |work: &Work| {
        let place = work
            .script
            .fleet
            .leases()
            .get(&workspace())
            .cloned()
            .expect("it is known");
        let texts = place.guards.gates.into_iter();
        texts.map(|gate| (gate.text, gate.seeded_from)).collect::<Vec<_>>()
    };
    let from = Some(Seed::ImmediateActions);
    assert_eq!(
        gates(&work),
        [("run the tests".into(), from), ("fix what fails".into(), from)]
    );
    work.change(&Change::ClearGates);
    assert_eq!(work.change(&seed(Seed::DefinitionOfDone)), Applied);
    assert_eq!(gates(&work), [("tests pass".into(), Some(Seed::DefinitionOfDone))]);
}

/// What a supervisor would note on paper: who has the work until when, and how often was written what is left of it.
#[derive(Debug, Default)]
struct Model {
    owner: Option<(&'static str, i64)>,
    handoff: Option<(u8, u64)>,
    recovery: Option<(u8, u64)>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(&'static str),
    Handoff(&'static str, u8),
    Recovery(&'static str, u8),
    Takeover(&'static str),
    Clear(&'static str),
    Wait(i64),
    /// The last request comes again.
    Again,
}

impl Model {
    fn write(
        &mut self,
        who: &str,
        now: i64,
        what: u8,
        slot: impl Fn(&mut Self) -> &mut Option<(u8, u64)>,
    ) -> WriteOutcome {
        match self.owner {
            Some((_, until)) if until <= now => StaleSession,
            Some((owner, _)) if who == owner || who == "boss" => {
                let slot = slot(self);
                match slot {
                    Some((known, _)) if *known == what => return IdempotentNoop,
                    Some((known, times)) => (*known, *times) = (what, *times + 1),
                    None => *slot = Some((what, 1)),
                }
                Applied
            }
            _ => OwnershipConflict,
        }
    }

    fn step(&mut self, step: Step, now: i64) -> WriteOutcome {
        match (step, self.owner) {
            (Step::Handoff(who, n), _) => self.write(who, now, n, |this| &mut this.handoff),
            (Step::Recovery(who, n), _) => self.write(who, now, n, |this| &mut this.recovery),
            (Step::Begin(who), None) => {
                self.owner = Some((who, now + TTL * 1000));
                Applied
            }
            (Step::Begin(who), Some((owner, until))) if now < until && who == owner => {
                self.owner = Some((who, now + TTL * 1000));
                Applied
            }
            (Step::Begin(_), Some((_, until))) if until <= now => StaleSession,
            (Step::Takeover(who), Some((owner, until))) if until <= now && who != owner => {
                self.owner = Some((who, now + TTL * 1000));
                Applied
            }
            (Step::Clear(_), None) => IdempotentNoop,
            (Step::Clear(who), Some((owner, _))) if who == owner || who == "boss" => {
                (self.owner, self.recovery) = (None, None);
                Applied
            }
            (Step::Begin(_) | Step::Takeover(_) | Step::Clear(_) | Step::Wait(_) | Step::Again, _) => OwnershipConflict,
        }
    }
}

fn numbered(n: u8) -> (Leave, Leave) {
    let summary = format!("half of part {n} stands").into();
    let checkpoint = Pulse {
        summary,
        ..Pulse::default()
    };
    let recovery = Recovery {
        checkpoint,
        ..Recovery::default()
    };
    (handoff(&format!("part {n}")), Leave::Recovery(recovery))
}

impl Work {
    fn step(&mut self, step: Step) -> Option<WriteOutcome> {
        Some(match step {
            Step::Begin(who) => self.begin(who),
            Step::Handoff(who, n) => self.leave(who, &numbered(n).0),
            Step::Recovery(who, n) => self.leave(who, &numbered(n).1),
            Step::Takeover(who) => self.takeover(who),
            Step::Clear(who) => self.clear(who),
            Step::Wait(seconds) => {
                self.script.pass(seconds);
                return None;
            }
            Step::Again => return None,
        })
    }
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || prop_oneof![Just("a"), Just("b")];
    let anybody = || prop_oneof![3 => Just("a"), 2 => Just("b"), 1 => Just("boss")];
    prop_oneof![
        3 => worker().prop_map(Step::Begin),
        4 => (anybody(), 0..3u8).prop_map(|(who, n)| Step::Handoff(who, n)),
        4 => (anybody(), 0..3u8).prop_map(|(who, n)| Step::Recovery(who, n)),
        2 => worker().prop_map(Step::Takeover),
        1 => anybody().prop_map(Step::Clear),
        2 => prop::sample::select(vec![1, TTL + 1]).prop_map(Step::Wait),
        2 => Just(Step::Again),
    ]
}

proptest! {
    #[test]
    fn what_is_left_is_what_the_naive_model_notes(steps in prop::collection::vec(step(), 0..50)) {
        let (mut work, mut model) = (Work::default(), Model::default());
        let mut last: Option<(Step, WriteOutcome)> = None;
        for (n, step) in steps.iter().enumerate() {
            let now = work.script.now;
            if let (Step::Again, Some((before_it, outcome))) = (step, last) {
                // It was done, if it was, and is done no second time.
                let before = (work.left(), work.revision());
                work.again = Some(work.requests);
                let again = work.step(before_it).expect("it was a request");
                prop_assert!(outcome != Applied || again == IdempotentNoop, "{again:?} step {n} of {steps:?}");
                if outcome == Applied {
                    prop_assert_eq!((work.left(), work.revision()), before, "step {} of {:?}", n, steps);
                    continue;
                }
                last = Some((before_it, again));
                prop_assert_eq!(again, model.step(before_it, now), "step {} of {:?}", n, steps);
                continue;
            }
            let Some(outcome) = work.step(*step) else { continue };
            last = Some((*step, outcome));
            prop_assert_eq!(outcome, model.step(*step, now), "step {} of {:?}", n, steps);
            let left = work.left();
            let shown = (left.handoff.map(|one| one.revision), left.recovery.map(|one| one.revision));
            let noted = (model.handoff.map(|(_, times)| times), model.recovery.map(|(_, times)| times));
            prop_assert_eq!(shown, noted, "after step {} of {:?}", n, steps);
        }
    }
}

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

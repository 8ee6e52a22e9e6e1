//! What stands between work and its going on, as stories, and that no history breaks it.

mod script;

use Change::{AdvanceGates, ClearEscalation, ClearGates, ReplaceGates, SeedGates, SetEscalation, SetGateStatus};
use WriteOutcome::{
    Applied, DuplicateIdConflict, IdempotentNoop, OwnershipConflict, StaleSession, UnsupportedMultiwriter,
};
use muster_domain::asker::Asker;
use muster_domain::digest;
use muster_domain::lease::{
    Change, Decided, EscalationKind, GateStatus, Ground, Guards, LeaseKey, Mode, OwnerKind, Protected, Seed, Start,
    Takeover, WriteOutcome, change, clear, heartbeat, start, takeover,
};
use muster_domain::names::{SessionId, Workspace};
use muster_domain::policy::{self, Blocked};
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
    operator: bool,
}

impl Work {
    fn decide(&mut self, what: &impl std::hash::Hash, decide: impl FnOnce(&Ground<'_>) -> Decided) -> WriteOutcome {
        let request = self.again.take().unwrap_or_else(|| {
            self.requests += 1;
            self.requests
        });
        let asker = Asker {
            caller: "web-01".into(),
            operator: self.operator,
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

    fn start_as(&mut self, wanted: &Start) -> WriteOutcome {
        let minted = SessionId::new(&format!("ses_{}", self.requests + 1)).expect("a session id");
        self.decide(wanted, |ground| start(ground, &workspace(), wanted, minted))
    }

    fn change(&mut self, actor: &str, wanted: &Change) -> WriteOutcome {
        self.decide(wanted, |ground| change(ground, &workspace(), &by(actor), wanted))
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

    fn clear(&mut self, actor: &str) -> WriteOutcome {
        let wanted = by(actor);
        self.decide(&wanted, |ground| clear(ground, &workspace(), &wanted, None))
    }

    fn guards(&self) -> Guards {
        let place = self.script.fleet.leases().get(&workspace());
        place.map(|place| place.guards.clone()).unwrap_or_default()
    }

    fn session(&self) -> SessionId {
        let place = self.script.fleet.leases().get(&workspace()).expect("it is known");
        place.lease.as_ref().expect("somebody holds it").session.clone()
    }

    fn blocked(&self) -> Option<Blocked> {
        policy::blocked(&self.script.fleet, &self.session(), ms(self.script.now))
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

fn worker(actor: &str) -> Start {
    Start {
        protected: by(actor),
        mode: Mode::Implement,
        owner_kind: OwnerKind::RuntimeWorker,
        supervisor: Some("boss".into()),
        ttl: Some(Duration::from_secs(TTL as u64)),
        recover_stale: false,
        host: None,
    }
}

fn escalation(id: &str, kind: EscalationKind) -> Change {
    SetEscalation {
        id: id.into(),
        kind,
        reason: "which of the two?".into(),
    }
}

fn gates(texts: &[&str]) -> Change {
    ReplaceGates(texts.iter().map(|text| (*text).into()).collect())
}

fn held() -> Work {
    let mut work = Work::default();
    assert_eq!(work.start_as(&worker("a")), Applied);
    work
}

#[test]
fn a_blocking_escalation_stops_what_policy_is_asked_for_until_it_is_cleared() {
    let mut work = held();
    assert_eq!(work.blocked(), None);
    assert_eq!(
        work.change("a", &escalation("e1", EscalationKind::NonBlocking)),
        Applied
    );
    assert_eq!(work.blocked(), None);
    assert_eq!(
        work.change("boss", &escalation("e2", EscalationKind::Blocking)),
        Applied
    );
    assert_eq!(work.blocked(), Some(Blocked::BlockingEscalation));
    // It comes before what else stops the session.
    work.script.pass(TTL + 1);
    assert_eq!(work.blocked(), Some(Blocked::BlockingEscalation));
    work.script.pass(-TTL - 1);
    assert_eq!(work.change("a", &ClearEscalation(Some("e2".into()))), Applied);
    assert_eq!(work.blocked(), None);
    assert_eq!(work.guards().escalations.len(), 1);
    assert_eq!(work.change("a", &ClearEscalation(None)), Applied);
    assert_eq!(work.guards(), Guards::default());
}

#[test]
fn what_is_so_already_is_written_no_second_time() {
    let mut work = held();
    assert_eq!(work.change("a", &ClearEscalation(None)), IdempotentNoop);
    assert_eq!(work.change("a", &ClearGates), IdempotentNoop);
    assert_eq!(work.change("a", &AdvanceGates), IdempotentNoop);
    let raised = escalation("e1", EscalationKind::Blocking);
    assert_eq!(work.change("a", &raised), Applied);
    assert_eq!(work.change("a", &raised), IdempotentNoop);
    let other = escalation("e1", EscalationKind::NonBlocking);
    assert_eq!(work.change("a", &other), DuplicateIdConflict);
    // The same request, after what it did was undone.
    let request = work.requests - 2;
    assert_eq!(work.change("a", &ClearEscalation(None)), Applied);
    work.again = Some(request);
    assert_eq!(work.change("a", &raised), IdempotentNoop);
    work.again = Some(request);
    assert_eq!(work.change("a", &other), DuplicateIdConflict);
    assert_eq!(work.guards(), Guards::default());
}

#[test]
fn gates_are_passed_in_their_order() {
    let mut work = held();
    let seed = SeedGates(Seed::DefinitionOfDone, vec!["builds".into(), "tests pass".into()]);
    assert_eq!(work.change("a", &seed), Applied);
    assert_eq!(work.guards().gates[0].seeded_from, Some(Seed::DefinitionOfDone));
    assert_eq!(work.change("a", &seed), IdempotentNoop, "there are gates");
    assert_eq!(work.guards().attention_anchor(), Some(0));
    assert_eq!(work.change("a", &AdvanceGates), Applied);
    assert_eq!(work.guards().attention_anchor(), Some(1));
    // One that cannot be passed now is still what to attend to.
    assert_eq!(work.change("a", &SetGateStatus(1, GateStatus::Blocked)), Applied);
    assert_eq!(work.guards().attention_anchor(), Some(1));
    assert_eq!(work.change("a", &SetGateStatus(2, GateStatus::Done)), OwnershipConflict);
    assert_eq!(work.change("a", &AdvanceGates), Applied);
    assert_eq!(work.guards().attention_anchor(), None);
    assert_eq!(work.change("a", &gates(&["ships"])), Applied);
    assert_eq!(work.guards().attention_anchor(), Some(0));
    assert_eq!(work.change("a", &ClearGates), Applied);
    assert_eq!(work.guards().gates, []);
}

#[test]
fn only_who_holds_the_work_or_supervises_it_writes_to_it() {
    let mut work = Work::default();
    let wanted = gates(&["builds"]);
    assert_eq!(work.change("a", &wanted), OwnershipConflict, "nobody holds it");
    assert_eq!(work.start_as(&worker("a")), Applied);
    assert_eq!(work.change("b", &wanted), OwnershipConflict);
    assert_eq!(work.change("", &wanted), UnsupportedMultiwriter);
    work.operator = true;
    assert_eq!(work.change("", &wanted), Applied);
    work.operator = false;
    let stale_belief = Protected {
        expected_revision: Some(1),
        ..by("a")
    };
    let outcome = work.decide(&1, |ground| change(ground, &workspace(), &stale_belief, &ClearGates));
    assert_eq!(outcome, OwnershipConflict);
    work.script.pass(TTL + 1);
    assert_eq!(work.change("a", &ClearGates), StaleSession);
}

#[test]
fn cleared_work_leaves_nothing_and_stale_work_leaves_what_blocks() {
    let raise = |work: &mut Work| {
        work.change("a", &escalation("e1", EscalationKind::Blocking));
        work.change("a", &escalation("e2", EscalationKind::NonBlocking));
        work.change("a", &gates(&["builds"]));
        assert_eq!((work.guards().escalations.len(), work.guards().gates.len()), (2, 1));
    };
    let left = |work: &Work| -> Vec<String> {
        assert_eq!(work.guards().gates, []);
        work.guards().escalations.iter().map(|one| one.id.to_string()).collect()
    };
    let mut work = held();
    raise(&mut work);
    assert_eq!(work.clear("a"), Applied);
    assert_eq!(work.guards(), Guards::default());

    let recovered = Start {
        recover_stale: true,
        ..worker("a")
    };
    let mut work = held();
    raise(&mut work);
    assert_eq!(work.start_as(&worker("a")), Applied);
    assert_eq!(work.guards().gates.len(), 1, "work that goes on keeps them");
    work.script.pass(TTL + 1);
    assert_eq!(work.start_as(&recovered), Applied);
    assert_eq!(left(&work), ["e1"]);

    let mut work = held();
    raise(&mut work);
    work.script.pass(TTL + 1);
    assert_eq!(work.takeover("b"), Applied);
    assert_eq!(left(&work), ["e1"]);
}

#[test]
fn what_is_on_its_way_counts() {
    let mut work = held();
    let asker = |request: &str| Asker {
        caller: "web-01".into(),
        operator: false,
        session: None,
        request: request.into(),
    };
    // Two writes in a row before either is read back, and then a heartbeat, which says nothing of guards.
    for (n, what) in [escalation("e1", EscalationKind::Blocking), gates(&["builds"])]
        .iter()
        .enumerate()
    {
        let asker = asker(&format!("x{n}"));
        let ground = ground(&work, &asker);
        let decided = change(&ground, &workspace(), &by("a"), what);
        let draft = *decided.draft.expect("it is applied");
        work.script.overlay.published(id(900 + n as u64), &draft);
    }
    let beat = asker("x2");
    let wanted = muster_domain::lease::Heartbeat {
        protected: by("a"),
        activity: None,
        host: None,
    };
    let draft = heartbeat(&ground(&work, &beat), &workspace(), &wanted)
        .draft
        .expect("it is applied");
    work.script.overlay.published(id(902), &draft);
    let first = asker("x0");
    let again = change(
        &ground(&work, &first),
        &workspace(),
        &by("a"),
        &escalation("e1", EscalationKind::Blocking),
    );
    assert_eq!(again.outcome, IdempotentNoop, "the same request");
    let other = asker("x4");
    let again = change(&ground(&work, &other), &workspace(), &by("a"), &gates(&["builds"]));
    assert_eq!(again.outcome, IdempotentNoop, "it will be so");
}

fn ground<'a>(work: &'a Work, asker: &'a Asker) -> Ground<'a> {
    Ground {
        fleet: &work.script.fleet,
        overlay: &work.script.overlay,
        now: ms(work.script.now),
        asker,
        digest: 7,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Recover,
    Takeover,
    Clear,
    Change(Change),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Step> {
    let text = prop::sample::select(vec!["builds", "tests pass", "ships"]);
    let texts = prop::collection::vec(text.prop_map(Box::from), 0..4);
    let status = prop::sample::select(vec![GateStatus::Open, GateStatus::Done, GateStatus::Blocked]);
    let kind = prop::sample::select(vec![EscalationKind::Blocking, EscalationKind::NonBlocking]);
    let name = prop::sample::select(vec!["e1", "e2", "e3"]);
    prop_oneof![
        2 => Just(Step::Start),
        1 => Just(Step::Recover),
        1 => Just(Step::Takeover),
        1 => Just(Step::Clear),
        2 => (0..90i64).prop_map(Step::Wait),
        4 => (name.clone(), kind).prop_map(|(id, kind)| Step::Change(escalation(id, kind))),
        1 => prop::option::of(name.prop_map(Box::from)).prop_map(|id| Step::Change(ClearEscalation(id))),
        2 => texts.clone().prop_map(|texts| Step::Change(ReplaceGates(texts))),
        1 => texts.prop_map(|texts| Step::Change(SeedGates(Seed::ImmediateActions, texts))),
        2 => (0..4usize, status).prop_map(|(index, status)| Step::Change(SetGateStatus(index, status))),
        2 => Just(Step::Change(AdvanceGates)),
        1 => Just(Step::Change(ClearGates)),
    ]
}

proptest! {
    #[test]
    fn guards_belong_to_work_that_is_held_and_change_only_with_the_revision(
        steps in prop::collection::vec(steps(), 1..60)
    ) {
        let mut work = Work::default();
        for step in steps {
            let before = work.script.fleet.leases().get(&workspace()).cloned().unwrap_or_default();
            let outcome = match &step {
                Step::Start => work.start_as(&worker("a")),
                Step::Recover => work.start_as(&Start { recover_stale: true, ..worker("a") }),
                Step::Takeover => work.takeover("b"),
                Step::Clear => work.clear("a"),
                Step::Change(wanted) => work.change("a", wanted),
                Step::Wait(seconds) => {
                    work.script.pass(*seconds);
                    continue;
                }
            };
            let after = work.script.fleet.leases().get(&workspace()).cloned().unwrap_or_default();
            prop_assert_eq!(outcome == Applied, after.revision == before.revision + 1);
            prop_assert!(outcome == Applied || after == before, "{:?}", step);
            if after.lease.is_none() {
                prop_assert_eq!(&after.guards, &Guards::default());
            }
            let mut ids: Vec<_> = after.guards.escalations.iter().map(|one| &one.id).collect();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), after.guards.escalations.len());
            let unfinished = after.guards.gates.iter().any(|gate| gate.status != GateStatus::Done);
            prop_assert_eq!(after.guards.attention_anchor().is_some(), unfinished);
            // What blocks goes by being cleared, or with the work.
            let cleared = matches!(step, Step::Clear | Step::Change(ClearEscalation(_)));
            prop_assert!(cleared || !before.guards.is_blocked() || after.guards.is_blocked());
        }
    }
}

//! Given/when/then: what a session hands to an agent, and what becomes of it, whatever order it is told in.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::asker::Asker;
use muster_domain::budget::{self, Measure, Rule, Scope};
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::delegation::{self, Delegating, Refusal, Status, Tier, Wish};
use muster_domain::due;
use muster_domain::fact::{Hook, HookBody};
use muster_domain::ids::DelegationId;
use muster_domain::names::SubagentName;
use muster_domain::work::{Stage, Work};
use proptest::prelude::*;
use script::*;
use uuid::Uuid;

fn named(n: u128) -> DelegationId {
    DelegationId::from_uuid(Uuid::from_u128(n))
}

fn reviewer() -> SubagentName {
    SubagentName::new("reviewer").unwrap()
}

fn work(delegation: Option<u128>, stage: Stage) -> Option<Box<Work>> {
    Some(Box::new(Work {
        agent: reviewer(),
        delegation: delegation.map(named),
        stage,
    }))
}

/// A call, which carries the delegation's id.
fn of_call(body: HookBody, n: u128, stage: Stage) -> Hook {
    Hook {
        work: work(Some(n), stage),
        ..hook(Some("p1"), body)
    }
}

fn of_agent(id: &str, body: HookBody, stage: Stage) -> Hook {
    Hook {
        work: work(None, stage),
        ..in_subagent(id, hook(Some("p1"), body))
    }
}

fn failed() -> Stage {
    Stage::Failed {
        error: "overloaded".to_owned(),
    }
}

fn asker() -> Asker {
    Asker {
        caller: HOST.into(),
        operator: false,
        session: None,
        request: "r1".into(),
    }
}

trait Story {
    fn wishes(&mut self, n: u128, parent: Option<u128>) -> Result<(), Refusal>;
    fn decides(&mut self) -> &mut Self;
    fn told(&mut self, hook: Hook) -> &mut Self;
    fn is(&mut self, n: u128, status: Status) -> &mut Self;
}

impl Story for Script {
    fn wishes(&mut self, n: u128, parent: Option<u128>) -> Result<(), Refusal> {
        let wish = Wish {
            id: named(n),
            session: key(HOST, SESSION),
            agent: reviewer(),
            task: "review it".to_owned(),
            tier: Tier::Sonnet,
            parent: parent.map(named),
            forbidden: None,
        };
        match delegation::delegate(&self.fleet, &self.overlay, &asker(), &wish, ms(self.now)) {
            Ok(Delegating::Write(drafts)) => {
                self.write(drafts);
                self.decides();
                Ok(())
            }
            Ok(_) => Ok(()),
            Err((refusal, _)) => Err(refusal),
        }
    }

    /// What the leader writes, it reads back.
    fn decides(&mut self) -> &mut Self {
        let ours = |draft: &Draft| matches!(draft.conclusion, Conclusion::Delegation(_) | Conclusion::Circuit(_));
        loop {
            let drafts: Vec<Draft> = std::mem::take(&mut self.drafts).into_iter().filter(ours).collect();
            if drafts.is_empty() {
                return self;
            }
            self.write(drafts);
        }
    }

    fn told(&mut self, hook: Hook) -> &mut Self {
        self.hook(hook).decides()
    }

    fn is(&mut self, n: u128, status: Status) -> &mut Self {
        assert_eq!(self.fleet.delegations().get(named(n)).unwrap().status, status);
        self
    }
}

/// A session that delegated once.
fn queued() -> Script {
    let mut script = Script::new();
    script.hook(Hook {
        permission_mode: Some("plan".to_owned()),
        ..hook(Some("p1"), prompt())
    });
    script.wishes(1, None).unwrap();
    script.is(1, Status::Queued);
    script
}

#[test]
fn a_delegation_runs_with_its_call_and_ends_with_its_run() {
    let mut script = queued();
    let known = script.fleet.delegations().get(named(1)).unwrap();
    assert_eq!((known.depth, known.permission_mode.as_deref()), (0, Some("plan")));
    assert_eq!(script.fleet.delegations().active(&key(HOST, SESSION)), 1);
    script
        .told(of_call(start("Agent", "c1"), 1, Stage::Begun))
        .is(1, Status::Running);
    script
        .told(of_agent("a1", HookBody::SubagentStarted, Stage::Begun))
        .is(1, Status::Running);
    script
        .told(of_agent("a1", HookBody::SubagentStopped, Stage::Done))
        .is(1, Status::Running);
    script
        .told(of_call(spawned("Agent", "c1", "a1"), 1, Stage::Done))
        .is(1, Status::Completed);
    assert_eq!(script.fleet.delegations().active(&key(HOST, SESSION)), 0);
    let known = script.fleet.delegations().get(named(1)).unwrap();
    assert_eq!(known.call, Some(call("c1")));
}

#[test]
fn a_background_run_ends_with_its_subagent() {
    let mut script = queued();
    script.told(of_call(start("Agent", "c1"), 1, Stage::Begun));
    script
        .told(of_call(spawned("Agent", "c1", "a1"), 1, Stage::Detached))
        .is(1, Status::Running);
    script
        .told(of_agent("a1", HookBody::SubagentStopped, failed()))
        .is(1, Status::Failed);
    let known = script.fleet.delegations().get(named(1)).unwrap();
    assert_eq!(known.reason.as_deref(), Some("overloaded"));
}

#[test]
fn a_call_without_the_id_is_never_taken_for_it() {
    let mut script = queued();
    script.told(Hook {
        work: work(None, Stage::Begun),
        ..hook(Some("p1"), start("Agent", "c1"))
    });
    script.is(1, Status::Queued);
    // Nor one that names it from another session.
    let other = of_call(start("Agent", "c1"), 1, Stage::Begun);
    script.tell(event(
        0,
        HOST,
        Some("s2"),
        muster_domain::fact::Fact::Hook(Box::new(other)),
    ));
    script.decides().is(1, Status::Queued);
}

#[test]
fn an_end_that_comes_before_its_beginning_counts() {
    let mut script = queued();
    script
        .told(of_call(spawned("Agent", "c1", "a1"), 1, Stage::Done))
        .is(1, Status::Completed);
    script
        .told(of_call(start("Agent", "c1"), 1, Stage::Begun))
        .is(1, Status::Completed);
}

#[test]
fn what_is_not_heard_of_is_stale_and_ends_after_all_when_it_is() {
    let mut script = queued();
    script.told(of_call(start("Agent", "c1"), 1, Stage::Begun));
    script.pass(2 * 3600 + 1);
    let now = ms(script.now);
    assert!(due::due(&script.fleet).unwrap() <= now);
    let drafts = due::expire(&script.fleet, &script.overlay, now);
    let ours = drafts
        .into_iter()
        .filter(|draft| matches!(draft.conclusion, Conclusion::Delegation(_)));
    script.write(ours.collect());
    script.is(1, Status::Stale);
    script
        .told(of_call(spawned("Agent", "c1", "a1"), 1, Stage::Done))
        .is(1, Status::Completed);
}

#[test]
fn a_delegation_without_a_call_is_stale_too() {
    let mut script = queued();
    script.pass(15 * 60 + 1);
    let drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
    let stale = drafts
        .iter()
        .any(|draft| matches!(draft.conclusion, Conclusion::Delegation(_)));
    assert!(stale, "{drafts:?}");
}

#[test]
fn a_session_that_is_over_leaves_its_delegations_stale() {
    let mut script = queued();
    script.on("p1", session_end());
    let drafts = std::mem::take(&mut script.drafts);
    script.write(drafts);
    script.decides().is(1, Status::Stale);
}

#[test]
fn a_delegation_can_be_taken_back_by_its_own_host_or_an_operator() {
    let mut script = queued();
    let other = Asker {
        caller: "web-09".into(),
        ..asker()
    };
    let refused = delegation::cancel(&script.fleet, &script.overlay, &other, named(1), None);
    assert_eq!(refused, Err(Refusal::NotYours));
    let cancelled = delegation::cancel(
        &script.fleet,
        &script.overlay,
        &asker(),
        named(1),
        Some("changed my mind".to_owned()),
    );
    let Ok(Delegating::Write(drafts)) = cancelled else {
        panic!("{cancelled:?}")
    };
    script.write(drafts);
    script.is(1, Status::Cancelled);
    script
        .told(of_call(start("Agent", "c1"), 1, Stage::Begun))
        .is(1, Status::Cancelled);
    let again = delegation::cancel(&script.fleet, &script.overlay, &asker(), named(1), None);
    assert_eq!(again, Ok(Delegating::Settled));
}

#[test]
fn delegations_nest_five_deep_and_no_deeper() {
    let mut script = queued();
    for n in 2..=5 {
        script.wishes(n, Some(n - 1)).unwrap();
    }
    assert_eq!(script.wishes(6, Some(5)), Err(Refusal::TooDeep { limit: 5 }));
    assert_eq!(script.wishes(7, Some(99)), Err(Refusal::Unknown(named(99))));
}

/// Something that a subagent of the reviewer's kind does.
fn inside(subagent: &str, told: Hook) -> Hook {
    Hook {
        subagent_type: Some("reviewer".to_owned()),
        ..in_subagent(subagent, told)
    }
}

/// A subagent is about to delegate, or did.
fn delegates(subagent: &str, body: HookBody) -> Hook {
    inside(subagent, hook(Some("p1"), body))
}

const DELEGATE: &str = "mcp__muster__agent_delegate";

#[test]
fn a_parent_that_is_not_named_is_counted_where_it_is_seen() {
    let mut script = queued();
    script.told(of_call(start("Agent", "c1"), 1, Stage::Begun));
    let mut refused = None;
    // Each agent delegates to the next one, and none says on whose behalf.
    for n in 1..=5_u128 {
        let (own, ask, next) = (format!("a{n}"), format!("d{n}"), format!("c{}", n + 1));
        script.told(delegates(&own, start(DELEGATE, &ask)));
        match script.wishes(n + 1, None) {
            Err(refusal) => refused = Some((n, refusal)),
            Ok(()) => {
                let known = script.fleet.delegations().get(named(n + 1)).unwrap();
                assert_eq!(u128::from(known.depth), n);
                script.told(delegates(&own, end(DELEGATE, &ask)));
                script.told(inside(&own, of_call(start("Agent", &next), n + 1, Stage::Begun)));
            }
        }
    }
    assert_eq!(refused, Some((5, Refusal::TooDeep { limit: 5 })));
    let first = script.fleet.delegations().get(named(2)).unwrap();
    assert_eq!(first.parent, Some(named(1)), "only one can be it");
    let later = script.fleet.delegations().get(named(3)).unwrap();
    assert_eq!(
        later.parent, None,
        "two run that could be it: the deeper counts, and none is named"
    );
}

#[test]
fn a_call_made_within_an_agents_run_counts_although_its_asking_was_not_seen() {
    let mut script = queued();
    script.told(of_call(start("Agent", "c1"), 1, Stage::Begun));
    script.wishes(2, None).unwrap();
    assert_eq!(script.fleet.delegations().get(named(2)).unwrap().depth, 0);
    script.told(inside("a1", of_call(start("Agent", "c2"), 2, Stage::Begun)));
    script.wishes(3, Some(2)).unwrap();
    assert_eq!(script.fleet.delegations().get(named(3)).unwrap().depth, 2);
}

#[test]
fn a_budget_that_is_spent_refuses_also_without_a_hold() {
    let mut script = queued();
    let rule = Rule {
        scope: Scope::Fleet,
        measure: Measure::Usd,
        limit: 1_000_000,
        window: None,
    };
    let set = budget::set(&script.fleet, rule, "op-anna", "b1").unwrap();
    script.write(vec![set]);
    script.turn(turn_ended("r1", 0, true, 999_999));
    script.wishes(2, None).unwrap();
    script.turn(turn_ended("r1", 1, true, 1_000_000));
    script.drafts.clear();
    assert_eq!(script.fleet.holds().in_force().count(), 0, "its hold is not set yet");
    let refused = script.wishes(3, None).unwrap_err();
    assert!(matches!(refused, Refusal::Spent(_)), "{refused}");
}

#[test]
fn what_the_rules_forbid_is_refused_and_shown() {
    let script = queued();
    let wish = Wish {
        id: named(2),
        session: key(HOST, SESSION),
        agent: reviewer(),
        task: "review it".to_owned(),
        tier: Tier::Sonnet,
        parent: None,
        forbidden: Some("policy: no reviews today".to_owned()),
    };
    let refused = delegation::delegate(&script.fleet, &script.overlay, &asker(), &wish, ms(script.now));
    let (refusal, shown) = refused.unwrap_err();
    assert_eq!(refusal.to_string(), "policy: no reviews today; delegation refused");
    assert!(shown.is_some(), "it was a decision");
}

#[test]
fn an_open_circuit_refuses_and_a_cooled_one_lets_one_through_as_its_probe() {
    let mut script = queued();
    for n in 1..=3 {
        script.told(of_call(fail("Agent", &format!("c{n}")), 90 + n, failed()));
    }
    let refused = script.wishes(2, None).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "circuit breaker for agent `reviewer` is Open; delegation refused"
    );
    script.pass(31);
    script.wishes(3, None).unwrap();
    assert!(matches!(script.wishes(4, None), Err(Refusal::HalfOpen(..))));
    script
        .told(of_call(start("Agent", "c7"), 3, Stage::Begun))
        .is(3, Status::Running);
    script
        .told(of_call(spawned("Agent", "c7", "a7"), 3, Stage::Done))
        .is(3, Status::Completed);
    script.wishes(5, None).unwrap();
}

#[test]
fn the_same_wish_again_is_the_same_delegation() {
    let mut script = queued();
    script.wishes(1, None).unwrap();
    assert_eq!(script.fleet.delegations().all().len(), 1);
    let unknown = Wish {
        id: named(9),
        session: key(HOST, "never-heard-of"),
        agent: reviewer(),
        task: "x".to_owned(),
        tier: Tier::Haiku,
        parent: None,
        forbidden: None,
    };
    let refused = delegation::delegate(&script.fleet, &script.overlay, &asker(), &unknown, ms(script.now));
    let (refusal, shown) = refused.unwrap_err();
    assert_eq!(
        (refusal.to_string().as_str(), shown),
        ("no such session: never-heard-of", None)
    );
    assert!(
        "gpt"
            .parse::<Tier>()
            .unwrap_err()
            .to_string()
            .starts_with("unknown model tier")
    );
}

/// Something told of the run of one delegation.
fn word() -> impl Strategy<Value = Hook> {
    (0..6usize).prop_map(|what| match what {
        0 => of_call(start("Agent", "c1"), 1, Stage::Begun),
        1 => of_call(spawned("Agent", "c1", "a1"), 1, Stage::Detached),
        2 => of_agent("a1", HookBody::SubagentStarted, Stage::Begun),
        3 => of_agent("a1", HookBody::SubagentStopped, Stage::Done),
        4 => of_agent("a1", HookBody::SubagentStopped, failed()),
        _ => of_call(fail("Agent", "c1"), 1, Stage::Dropped),
    })
}

proptest! {
    #[test]
    fn only_legal_steps_are_taken_and_deadlines_fire(words in prop::collection::vec((word(), 0..3i64), 0..12)) {
        let mut script = queued();
        let mut before = Status::Queued;
        for (word, minutes) in words {
            script.pass(minutes * 600);
            let drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
            let ours = drafts.into_iter().filter(|draft| matches!(draft.conclusion, Conclusion::Delegation(_)));
            script.write(ours.collect());
            for told in [None, Some(word)] {
                if let Some(hook) = told {
                    script.told(hook);
                }
                let after = script.fleet.delegations().get(named(1)).unwrap().status;
                prop_assert!(after == before || before.may_become(after), "{before:?} {after:?}");
                before = after;
            }
        }
        script.pass(3 * 3600);
        let drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
        let ours = drafts.into_iter().filter(|draft| matches!(draft.conclusion, Conclusion::Delegation(_)));
        script.write(ours.collect());
        prop_assert!(!script.fleet.delegations().get(named(1)).unwrap().status.is_open());
    }

    #[test]
    fn a_run_that_ends_well_is_completed_in_whatever_order_it_is_told(
        order in Just(vec![0usize, 1, 2, 3]).prop_shuffle(),
        again in prop::collection::vec(0..4usize, 0..4),
    ) {
        let mut script = queued();
        for n in order.into_iter().chain(again) {
            script.told(match n {
                0 => of_call(start("Agent", "c1"), 1, Stage::Begun),
                1 => of_call(spawned("Agent", "c1", "a1"), 1, Stage::Detached),
                2 => of_agent("a1", HookBody::SubagentStarted, Stage::Begun),
                _ => of_agent("a1", HookBody::SubagentStopped, Stage::Done),
            });
        }
        script.is(1, Status::Completed);
    }
}

//! Given/when/then: which runs count against an agent, when its circuit opens, and how it recovers.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::circuit::{Change, Closing, Holder, Opening, Permit, State};
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::fact::{Hook, HookBody, TurnFact};
use muster_domain::ids::DelegationId;
use muster_domain::names::SubagentName;
use muster_domain::react;
use muster_domain::work::{Stage, Work};
use script::*;

fn agent() -> SubagentName {
    SubagentName::new("reviewer").unwrap()
}

fn work(stage: Stage) -> Option<Box<Work>> {
    Some(Box::new(Work {
        agent: agent(),
        delegation: None,
        stage,
    }))
}

fn delegation() -> DelegationId {
    DelegationId::from_uuid(uuid::Uuid::from_u128(77))
}

fn failed() -> Stage {
    Stage::Failed {
        error: "overloaded".to_owned(),
    }
}

/// The call that starts the agent.
fn of_call(body: HookBody, stage: Stage) -> Hook {
    Hook {
        work: work(stage),
        ..hook(Some("p1"), body)
    }
}

/// The agent itself.
fn of_agent(id: &str, body: HookBody, stage: Stage) -> Hook {
    Hook {
        work: work(stage),
        ..in_subagent(id, hook(Some("p1"), body))
    }
}

fn stop_failed() -> HookBody {
    HookBody::StopFailed {
        error: "overloaded".to_owned(),
    }
}

/// The words of a story about circuits.
trait Story {
    fn call_fails(&mut self, call: &str) -> &mut Self;
    fn agent_fails(&mut self, id: &str) -> &mut Self;
    fn runs_well(&mut self, call: &str, id: &str) -> &mut Self;
    fn decides(&mut self) -> &mut Self;
    fn probes(&mut self, call: &str) -> Permit;
    fn reset(&mut self) -> &mut Self;
    fn is(&mut self, state: &str) -> &mut Self;
    fn in_a_row(&mut self, failures: u32) -> &mut Self;
    fn state(&self) -> &State;
}

fn holder(call: &str) -> Holder {
    Holder {
        session: key(HOST, SESSION),
        call: Some(self::call(call)),
        delegation: None,
    }
}

impl Story for Script {
    fn call_fails(&mut self, call: &str) -> &mut Self {
        self.hook(of_call(fail("Agent", call), failed())).decides()
    }

    fn agent_fails(&mut self, id: &str) -> &mut Self {
        self.hook(of_agent(id, stop_failed(), failed())).decides()
    }

    fn runs_well(&mut self, call: &str, id: &str) -> &mut Self {
        self.hook(of_agent(id, HookBody::SubagentStopped, Stage::Done));
        self.decides();
        self.hook(of_call(spawned("Agent", call, id), Stage::Done)).decides()
    }

    /// What the leader writes, it reads back.
    fn decides(&mut self) -> &mut Self {
        let drafts = std::mem::take(&mut self.drafts);
        let circuits = drafts
            .into_iter()
            .filter(|draft| matches!(draft.conclusion, Conclusion::Circuit(_)))
            .collect();
        self.write(circuits);
        self
    }

    fn probes(&mut self, call: &str) -> Permit {
        let settings = self.fleet.settings().circuits.clone();
        let permit = self
            .fleet
            .circuits()
            .permit(&agent(), &holder(call), &settings, ms(self.now));
        if let Permit::Probe(change) = &permit {
            self.write(vec![Draft::of_circuit(
                change.clone(),
                muster_domain::conclusion::Cause::Due { at: ms(self.now) },
            )]);
        }
        permit
    }

    fn reset(&mut self) -> &mut Self {
        let change = self
            .fleet
            .circuits()
            .reset(&agent(), "anna".to_owned(), "r1".to_owned())
            .unwrap();
        self.write(vec![Draft::of_circuit(
            change,
            muster_domain::conclusion::Cause::Due { at: ms(self.now) },
        )]);
        self
    }

    fn is(&mut self, state: &str) -> &mut Self {
        assert_eq!(self.state().as_str(), state);
        self
    }

    fn in_a_row(&mut self, failures: u32) -> &mut Self {
        assert_eq!(self.fleet.circuits().failures(&agent()), failures);
        self
    }

    fn state(&self) -> &State {
        static CLOSED: State = State::Closed;
        self.fleet
            .circuits()
            .get(&agent())
            .map_or(&CLOSED, |circuit| circuit.state())
    }
}

/// An agent whose circuit has just opened.
fn opened() -> Script {
    let mut script = Script::new();
    script.call_fails("c1").call_fails("c2").call_fails("c3").is("open");
    script
}

#[test]
fn three_failures_in_a_row_open_the_circuit() {
    let mut script = Script::new();
    script.call_fails("c1").call_fails("c2").is("closed").in_a_row(2);
    script.call_fails("c3").is("open").in_a_row(3);
    let circuit = script.fleet.circuits().get(&agent()).unwrap();
    assert_eq!((circuit.trips(), circuit.error()), (1, Some("overloaded")));
}

#[test]
fn a_success_in_between_begins_the_count_again() {
    let mut script = Script::new();
    script
        .call_fails("c1")
        .call_fails("c2")
        .runs_well("c3", "a3")
        .in_a_row(0);
    script.call_fails("c4").call_fails("c5").is("closed").in_a_row(2);
}

#[test]
fn failures_count_for_the_whole_fleet() {
    let mut script = Script::new();
    for (host, session) in [("web-01", "s1"), ("web-02", "s2"), ("web-03", "s3")] {
        let hook = of_call(fail("Agent", "c1"), failed());
        script.tell(event(
            0,
            host,
            Some(session),
            muster_domain::fact::Fact::Hook(Box::new(hook)),
        ));
        script.decides();
    }
    script.is("open");
}

#[test]
fn a_run_that_its_call_and_its_subagent_both_tell_of_counts_once_in_either_order() {
    let mut script = Script::new();
    script.call_fails("c1").agent_fails("a1").in_a_row(1);
    script.agent_fails("a2").call_fails("c2").in_a_row(2);
    script.is("closed");
    script.agent_fails("a3").is("open");
}

#[test]
fn a_call_that_fails_before_its_subagent_begins_counts_by_itself() {
    let mut script = Script::new();
    script.call_fails("c1").call_fails("c2").agent_fails("a2").in_a_row(2);
}

#[test]
fn a_background_run_fails_when_its_subagent_does_and_not_when_it_is_launched() {
    let mut script = Script::new();
    for n in 1..=3 {
        let (call, id) = (format!("c{n}"), format!("a{n}"));
        script.hook(of_call(spawned("Agent", &call, &id), Stage::Detached));
        script.decides().in_a_row(n - 1);
        script.agent_fails(&id);
    }
    script.is("open");
}

#[test]
fn a_subagent_that_stops_well_after_its_call_failed_did_not_do_well() {
    let mut script = Script::new();
    script.call_fails("c1").call_fails("c2");
    script.turn(TurnFact::SubagentLinked {
        subagent: subagent("a2"),
        call: call("c2"),
    });
    script
        .hook(of_agent("a2", HookBody::SubagentStopped, Stage::Done))
        .in_a_row(2);
    // Nothing says to which call this one belongs; but no other run can be meant.
    script.call_fails("c3");
    script
        .hook(of_agent("a3", HookBody::SubagentStopped, Stage::Done))
        .in_a_row(3);
}

#[test]
fn a_call_that_was_denied_or_interrupted_is_neither_a_success_nor_a_failure() {
    let mut script = Script::new();
    script.call_fails("c1").call_fails("c2");
    script.hook(of_call(fail("Agent", "c3"), Stage::Dropped)).decides();
    script.in_a_row(2).is("closed");
}

#[test]
fn a_session_that_runs_as_the_agent_counts_by_its_turns() {
    let mut script = Script::new();
    for prompt in ["p1", "p2", "p3"] {
        let told = Hook {
            work: work(failed()),
            subagent_type: Some("reviewer".to_owned()),
            ..hook(Some(prompt), stop_failed())
        };
        script.hook(told).decides();
    }
    script.is("open");
}

#[test]
fn an_agent_whose_runs_have_no_ids_counts_by_its_events() {
    let mut script = Script::new();
    let told = |stage| Hook {
        work: work(stage),
        subagent: Some(subagent("reviewer")),
        ..hook(None, HookBody::SubagentStopped)
    };
    script.hook(told(failed())).decides();
    script.hook(told(failed())).decides().in_a_row(2);
    script.hook(told(Stage::Done)).decides().in_a_row(0);
}

#[test]
fn an_open_circuit_refuses_until_its_cooldown_is_over_and_then_lets_one_run_through() {
    let mut script = opened();
    assert!(matches!(script.probes("c4"), Permit::Open { .. }));
    script.pass(30);
    assert!(matches!(script.probes("c4"), Permit::Probe(_)));
    script.is("half_open");
    let Permit::Held { holder, .. } = script.probes("c5") else {
        panic!("a second probe")
    };
    assert_eq!(holder, self::holder("c4"));
    assert!(matches!(script.probes("c4"), Permit::Granted { .. }));
}

#[test]
fn a_probe_that_succeeds_closes_the_circuit() {
    let mut script = opened();
    script.pass(30).probes("c4");
    script.runs_well("c9", "a9").is("half_open");
    script.runs_well("c4", "a4").is("closed").in_a_row(0);
    assert_eq!(script.probes("c5"), Permit::Free);
}

#[test]
fn a_probe_that_fails_opens_it_again_for_twice_as_long() {
    let mut script = opened();
    script.pass(30).probes("c4");
    script.call_fails("c4").is("open");
    script.pass(30);
    assert!(matches!(script.probes("c5"), Permit::Open { .. }));
    script.pass(30);
    assert!(matches!(script.probes("c5"), Permit::Probe(_)));
    assert_eq!(script.fleet.circuits().get(&agent()).unwrap().trips(), 2);
}

#[test]
fn a_cooldown_grows_to_its_maximum_and_no_further() {
    let settings = muster_domain::circuit::Settings::default();
    let seconds: Vec<u64> = (1..=7).map(|trips| settings.cooldown_of(trips).as_secs()).collect();
    assert_eq!(seconds, [30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(settings.cooldown_of(u32::MAX).as_secs(), 900);
}

#[test]
fn a_probe_that_is_not_heard_of_again_expires_and_its_late_success_still_counts() {
    let mut script = opened();
    script.pass(30).probes("c4");
    script.pass(10 * 60);
    assert!(due::due(&script.fleet).unwrap() <= ms(script.now));
    let drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
    script.write(drafts);
    script.is("open");
    assert!(matches!(script.probes("c5"), Permit::Open { .. }));
    script.runs_well("c4", "a4").is("closed");
}

#[test]
fn a_probe_that_is_not_run_makes_room_for_the_next() {
    let mut script = opened();
    script.pass(30).probes("c4");
    script
        .hook(of_call(fail("Agent", "c4"), Stage::Dropped))
        .decides()
        .is("open");
    assert!(matches!(script.probes("c5"), Permit::Probe(_)));
}

#[test]
fn a_delegation_that_holds_the_probe_is_known_by_its_call_from_then_on() {
    let mut script = opened();
    script.pass(30);
    let of = |call: Option<&str>| Holder {
        session: key(HOST, SESSION),
        call: call.map(self::call),
        delegation: Some(delegation()),
    };
    let settings = script.fleet.settings().circuits.clone();
    let now = ms(script.now);
    let Permit::Probe(change) = script.fleet.circuits().permit(&agent(), &of(None), &settings, now) else {
        panic!("no probe")
    };
    script.write(vec![Draft::of_circuit(
        change,
        muster_domain::conclusion::Cause::Due { at: now },
    )]);
    let mut begun = of_call(start("Agent", "c4"), Stage::Begun);
    begun.work.as_mut().unwrap().delegation = Some(delegation());
    let mine = script
        .fleet
        .circuits()
        .permit(&agent(), &of(Some("c4")), &settings, now);
    assert!(matches!(mine, Permit::Granted { .. }));
    script.hook(begun).decides();
    script.runs_well("c4", "a4").is("closed");
}

#[test]
fn an_operator_closes_it_and_forgives_what_was() {
    let mut script = opened();
    script.reset().is("closed").in_a_row(0);
    script.call_fails("c4").call_fails("c5").is("closed");
    script.call_fails("c6").is("open");
    assert!(
        script
            .fleet
            .circuits()
            .reset(&SubagentName::new("other").unwrap(), "anna".to_owned(), "r1".to_owned())
            .is_none()
    );
}

#[test]
fn what_is_on_its_way_is_not_concluded_twice() {
    let mut script = opened();
    script.reset();
    script.call_fails("c4").call_fails("c5");
    script.hook(of_call(fail("Agent", "c6"), failed()));
    let circuit = |draft: &&Draft| matches!(draft.conclusion, Conclusion::Circuit(_));
    let draft = script.drafts.iter().find(circuit).unwrap().clone();
    script.overlay.published(id(900), &draft);
    script.hook(of_call(fail("Agent", "c7"), failed()));
    assert_eq!(script.drafts.iter().find(circuit), None);
    assert_eq!(
        react::catch_up(&script.fleet, &script.overlay).iter().find(circuit),
        None
    );
}

#[test]
fn transitions_say_why() {
    let mut script = opened();
    script.pass(30).probes("c4");
    script.hook(of_call(fail("Agent", "c4"), failed()));
    let opened = script.drafts.iter().find_map(|draft| {
        let Conclusion::Circuit(Change::Opened {
            reason,
            failures,
            trips,
            ..
        }) = &draft.conclusion
        else {
            return None;
        };
        Some((*reason, *failures, *trips))
    });
    assert_eq!(opened, Some((Opening::ProbeFailed, 4, 2)));
    script.decides().pass(60).probes("c5");
    script.hook(of_call(end("Agent", "c5"), Stage::Done));
    let closed = script.drafts.iter().find_map(|draft| {
        let Conclusion::Circuit(Change::Closed { reason, failures, .. }) = &draft.conclusion else {
            return None;
        };
        Some((*reason, *failures))
    });
    assert_eq!(closed, Some((Closing::ProbeSucceeded, 4)));
}

#[test]
fn an_agent_that_names_no_calls_keeps_the_probe_it_was_given() {
    let nameless = Holder {
        session: key(HOST, SESSION),
        call: None,
        delegation: None,
    };
    let other = Holder {
        session: key(HOST, "another"),
        ..nameless.clone()
    };
    assert!(nameless.is(&nameless.clone()));
    assert!(!nameless.is(&other));
    assert!(!nameless.is(&holder("c1")) && !holder("c1").is(&nameless));
    let delegated = Holder {
        delegation: Some(delegation()),
        ..nameless.clone()
    };
    assert!(!nameless.is(&delegated) && !delegated.is(&nameless));
}

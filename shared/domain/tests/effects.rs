//! Given/when/then: what a host is told to do, and what it says became of it, in whatever order and however often.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::asker::Asker;
use muster_domain::conclusion::Conclusion;
use muster_domain::due;
use muster_domain::effect::{
    self, Action, ActionKind, Asking, Carrier, EffectFact, End, Receipt, Refusal, Status, Word,
};
use muster_domain::fact::{Decision, Fact, ProcessFact};
use muster_domain::fleet::{Fleet, SessionKey, Settings};
use muster_domain::hold;
use muster_domain::ids::EffectId;
use muster_domain::names::SessionId;
use muster_domain::overlay::Overlay;
use muster_domain::state::SessionState;
use proptest::prelude::*;
use script::*;

fn operator(request: &str) -> Asker {
    Asker {
        caller: "op-anna".into(),
        operator: true,
        session: None,
        request: request.into(),
    }
}

fn model() -> Action {
    Action::Model { model: "opus".into() }
}

fn spawn() -> Action {
    Action::Spawn {
        template: "worker".into(),
        prompt: "build it".into(),
        model: None,
        budget_usd_micros: None,
    }
}

fn carries(pid: u32, name: &str, can: &[ActionKind]) -> ProcessFact {
    let carrier = Carrier {
        run: run(name),
        can: can.iter().copied().collect(),
    };
    ProcessFact::Carries {
        process: process(pid),
        carrier: Box::new(carrier),
    }
}

fn failed(reason: &str) -> Word {
    Word::Ended(End::Failed {
        reason: reason.into(),
        detail: None,
    })
}

trait Story {
    fn asks(&mut self, asker: &Asker, target: &SessionKey, action: Action) -> Result<EffectId, Refusal>;
    fn says(&mut self, id: EffectId, word: Word) -> &mut Self;
    fn expires(&mut self) -> usize;
    fn is(&mut self, id: EffectId, status: Status) -> &mut Self;
}

impl Story for Script {
    fn asks(&mut self, asker: &Asker, target: &SessionKey, action: Action) -> Result<EffectId, Refusal> {
        let now = ms(self.now);
        match effect::request(&self.fleet, &self.overlay, asker, target, action, now)? {
            Asking::Write(draft) => {
                let id = EffectId::of(id(self.seq + 1));
                self.lead(vec![*draft]);
                Ok(id)
            }
            Asking::Soon(event) => Ok(EffectId::of(event)),
            Asking::Before(id) => Ok(id),
        }
    }

    fn says(&mut self, id: EffectId, word: Word) -> &mut Self {
        self.fact(Fact::Effect(Receipt { id, word }))
    }

    fn expires(&mut self) -> usize {
        let drafts = due::expire(&self.fleet, &self.overlay, ms(self.now));
        let ours = drafts
            .into_iter()
            .filter(|draft| matches!(draft.conclusion, Conclusion::Effect(_)));
        let ours: Vec<_> = ours.collect();
        self.lead(ours).len()
    }

    #[track_caller]
    fn is(&mut self, id: EffectId, status: Status) -> &mut Self {
        assert_eq!(self.fleet.effects().get(id).unwrap().status(), status);
        self
    }
}

/// A session with a turn loop that can do nearly everything.
fn carried() -> Script {
    let mut script = Script::new();
    let can = [
        ActionKind::Message,
        ActionKind::Model,
        ActionKind::Stop,
        ActionKind::Compact,
    ];
    script
        .host(started_host())
        .process(carries(7, "r1", &can))
        .on("p1", prompt());
    script
}

#[test]
fn an_effect_goes_from_its_request_to_its_end() {
    let mut script = carried();
    let now = ms(script.now);
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    let order = script.fleet.effects().get(id).unwrap().order.clone();
    assert_eq!((order.run, &*order.by.caller), (Some(run("r1")), "op-anna"));
    assert_eq!(order.expires, now.after(effect::EXPIRY));
    script
        .is(id, Status::Requested)
        .says(id, Word::Accepted)
        .is(id, Status::Accepted);
    script.says(id, Word::Ended(End::Done)).is(id, Status::Done);
    assert_eq!(script.pass(3600).expires(), 0, "what is over cannot expire");
}

#[test]
fn what_a_host_began_is_given_up_when_the_host_does_not_return() {
    let mut script = carried();
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    script.says(id, Word::Accepted);
    assert_eq!(script.pass(24 * 3600).expires(), 0, "a turn may take its time");
    script.concluded(Decision::HostLost);
    assert_eq!(script.pass(3599).expires(), 0);
    // Whoever leads now, it is due by what the log says.
    script.overlay = Overlay::new();
    assert_ne!(script.pass(2).expires(), 0);
    let reason = |script: &Script| script.fleet.effects().get(id).unwrap().reason().map(str::to_owned);
    assert_eq!(reason(script.is(id, Status::Failed)).as_deref(), Some("unknown"));
    assert_eq!(script.pass(3600).expires(), 0, "once");
    script.says(id, Word::Ended(End::Done)).is(id, Status::Done);
    assert_eq!(reason(&script), None);
}

#[test]
fn what_a_removed_host_began_is_given_up_at_once() {
    let mut script = carried();
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    script.says(id, Word::Accepted).concluded(Decision::HostRemoved);
    assert_ne!(script.pass(1).expires(), 0);
    script.is(id, Status::Failed);
}

#[test]
fn the_same_request_again_is_the_same_effect() {
    let mut script = carried();
    let target = key(HOST, SESSION);
    let id = script.asks(&operator("q1"), &target, model()).unwrap();
    assert_eq!(script.asks(&operator("q1"), &target, model()), Ok(id));
    script.says(id, Word::Accepted).says(id, Word::Ended(End::Done));
    assert_eq!(script.asks(&operator("q1"), &target, model()), Ok(id));
    assert_ne!(script.asks(&operator("q2"), &target, model()), Ok(id));
    let draft = effect::request(
        &script.fleet,
        &script.overlay,
        &operator("q3"),
        &target,
        model(),
        ms(script.now),
    );
    let Ok(Asking::Write(draft)) = draft else {
        panic!("{draft:?}")
    };
    script.overlay.published(id_of(77), &draft);
    let again = effect::request(
        &script.fleet,
        &script.overlay,
        &operator("q3"),
        &target,
        model(),
        ms(script.now),
    );
    assert_eq!(again, Ok(Asking::Soon(id_of(77))), "also while it is on its way");
}

fn id_of(n: u64) -> muster_domain::ids::EventId {
    id(n)
}

#[test]
fn what_nobody_can_carry_out_is_refused_and_says_what_to_run() {
    let target = key(HOST, SESSION);
    let mut script = Script::new();
    assert_eq!(
        script.asks(&operator("q"), &target, model()),
        Err(Refusal::NoSession(target.id.clone()))
    );
    script.host(started_host()).on("p1", prompt());
    let refusal = script.asks(&operator("q"), &target, model()).unwrap_err();
    assert_eq!(refusal, Refusal::NoCarrier(target.id.clone()));
    assert!(
        refusal
            .to_string()
            .contains("muster run --agent claude-code --session s1")
    );
    script.process(carries(7, "r1", &[ActionKind::Message]));
    assert_eq!(
        script.asks(&operator("q"), &target, model()).unwrap_err().to_string(),
        "what runs session s1 cannot do this: model"
    );
    script.process(ProcessFact::Exited {
        process: process(7),
        status: Some(0),
    });
    assert_eq!(
        script.asks(&operator("q"), &target, model()),
        Err(Refusal::Over(target.id.clone()))
    );
}

#[test]
fn a_later_run_is_another_carrier() {
    let mut script = carried();
    let gone = ProcessFact::Exited {
        process: process(7),
        status: Some(0),
    };
    script.process(carries(8, "r2", &[ActionKind::Model])).process(gone);
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    assert_eq!(script.fleet.effects().get(id).unwrap().order.run, Some(run("r2")));
}

#[test]
fn a_session_goes_on_between_two_turns_of_its_loop() {
    let mut script = carried();
    script.process(ProcessFact::Started(process(9)));
    script.on("p1", stop()).off(session_end()).then(SessionState::Idle);
    script.process(ProcessFact::Exited {
        process: process(9),
        status: Some(0),
    });
    script
        .then(SessionState::Idle)
        .off(session_start("resume"))
        .on("p2", prompt())
        .then(SessionState::Working);
    script.on("p2", stop()).off(session_end()).process(ProcessFact::Exited {
        process: process(7),
        status: Some(0),
    });
    script.then(SessionState::Stopped);
}

#[test]
fn a_spawn_needs_a_host_that_is_there_and_no_hold_on_it() {
    let mut script = carried();
    let new = |host| key(host, "0198f3c2-0000-7000-8000-000000000001");
    assert_eq!(
        script.asks(&operator("q0"), &new("nowhere"), spawn()),
        Err(Refusal::NoHost(host_name("nowhere")))
    );
    let id = script.asks(&operator("q1"), &new(HOST), spawn()).unwrap();
    let order = &script.fleet.effects().get(id).unwrap().order;
    assert_eq!(
        (&order.run, order.expires),
        (&None, ms(script.now - 1000).after(effect::SPAWN_EXPIRY))
    );
    let hold = hold::Order {
        mode: hold::Mode::Hold,
        selector: hold::Selector::Host { host: host_name(HOST) },
        reason: Some("deploy".into()),
        by: hold::By::Operator { name: "anna".into() },
        expires_at: None,
        request: None,
    };
    script.concluded(Decision::Hold(hold::Change::Set(hold)));
    let refusal = script.asks(&operator("q2"), &new(HOST), spawn()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "held by operator anna: deploy; release the hold first"
    );
    let id = script.asks(&operator("q2"), &key(HOST, SESSION), Action::Stop).unwrap();
    script.is(id, Status::Requested).concluded(Decision::HostLost);
    let lost = script.asks(&operator("q3"), &new(HOST), spawn()).unwrap_err();
    assert_eq!(lost.to_string(), "host web-01 is lost; nothing can be done on it now");
}

#[test]
fn a_session_asks_for_itself_only() {
    let mut script = carried();
    let agent = |caller: &str, session: Option<&str>| Asker {
        caller: caller.into(),
        operator: false,
        session: session.map(|id| SessionId::new(id).unwrap()),
        request: "q".into(),
    };
    let compact = || Action::Compact { instructions: None };
    let target = key(HOST, SESSION);
    for asker in [
        agent(HOST, None),
        agent(HOST, Some("other")),
        agent("web-02", Some(SESSION)),
    ] {
        assert_eq!(script.asks(&asker, &target, compact()), Err(Refusal::NotYours));
    }
    assert!(script.asks(&agent(HOST, Some(SESSION)), &target, compact()).is_ok());
}

#[test]
fn what_was_waited_for_long_enough_is_taken_back_once() {
    let mut script = carried();
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    let at = script.fleet.effects().get(id).unwrap().order.expires;
    assert!(due::due(&script.fleet).unwrap() <= at);
    assert_eq!(script.pass(590).expires(), 0);
    assert_eq!(script.pass(20).expires(), 1);
    assert_eq!(script.expires(), 0);
    script.is(id, Status::Expired);
    // Its host comes back, and is right to refuse it.
    script.says(id, failed("late")).is(id, Status::Expired);
    assert!(
        script.fleet.effects().get(id).unwrap().ended.is_some(),
        "but it is kept"
    );
}

#[test]
fn a_receipt_that_comes_too_late_tells_the_truth() {
    let mut script = carried();
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    script.pass(700).expires();
    script
        .is(id, Status::Expired)
        .says(id, Word::Accepted)
        .is(id, Status::Accepted);
    script.says(id, failed("unknown")).is(id, Status::Failed);
}

#[test]
fn nobody_speaks_for_another_hosts_effects() {
    let mut script = carried();
    let id = script.asks(&operator("q1"), &key(HOST, SESSION), model()).unwrap();
    let word = Word::Ended(End::Done);
    script.tell(event(0, "web-02", Some(SESSION), Fact::Effect(Receipt { id, word })));
    script.is(id, Status::Requested);
    assert!(
        script.fleet.session(&key("web-02", SESSION)).is_none(),
        "a receipt is no session's word"
    );
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..5_u8, 0..8)
}

proptest! {
    /// Receipts and a withdrawal at fixed times, told twice and in any order, give one state.
    #[test]
    fn receipts_are_one_set_however_they_come(told in words(), order in Just(vec![0, 1, 2, 3, 4, 0, 1, 2, 3, 4]).prop_shuffle()) {
        let effect = EffectId::of(id(1));
        let facts = |n: u8| match n {
            0 => Fact::Effect(Receipt { id: effect, word: Word::Accepted }),
            1 => Fact::Effect(Receipt { id: effect, word: Word::Ended(End::Done) }),
            2 => Fact::Effect(Receipt { id: effect, word: failed("unknown") }),
            3 => Fact::Effect(Receipt { id: effect, word: failed("late") }),
            _ => Fact::Decision(Decision::Effect(EffectFact::Withdrawn { id: effect, reason: "expired".into() })),
        };
        let order: Vec<u8> = order.into_iter().filter(|n| told.contains(n)).collect();
        let fold = |order: &[u8]| {
            let mut fleet = Fleet::new(Settings::default());
            let requested = EffectFact::Requested(Box::new(muster_domain::effect::Order {
                run: Some(run("r1")),
                action: model(),
                by: effect::By { caller: "op".into(), session: None },
                request: "q".into(),
                expires: ms(600_000),
            }));
            let mut told = vec![(1000, Fact::Decision(Decision::Effect(requested)))];
            told.extend(order.iter().map(|n| (2000 + i64::from(*n), facts(*n))));
            for (seq, (at, fact)) in (1..).zip(told) {
                let event = event(seq, HOST, Some(SESSION), fact);
                let recorded = muster_domain::fact::Recorded { seq, at: ms(at), event };
                let _ = fleet.apply(&recorded);
            }
            fleet.effects().get(effect).cloned().unwrap()
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let (shuffled, plain) = (fold(&order), fold(&sorted));
        prop_assert_eq!(shuffled.status(), plain.status());
        prop_assert_eq!(shuffled.accepted.is_some(), sorted.contains(&0));
        if sorted.contains(&0) || sorted.contains(&1) {
            prop_assert!(![Status::Requested, Status::Withdrawn, Status::Expired].contains(&plain.status()));
        }
    }
}

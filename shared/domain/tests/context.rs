//! Whether to go on with a context, as stories: each rule in its order, and what is written of it.

mod script;

use Action::{CheckpointNow, Escalate, FlushForCompaction, InjectDelta, WrapUpRequired};
use muster_domain::asker::Asker;
use muster_domain::context::{
    Action, Band, Boundary, Checked, Measures, Reason, Told, Trigger, Urgency, check, measured,
};
use muster_domain::fact::TurnFact;
use muster_domain::lease::{
    Change, EscalationKind, Ground, Handoff, LeaseKey, Leave, Mode, OwnerKind, Protected, Pulse, Recovery, Start,
    change, leave, start as begin,
};
use muster_domain::matter::{Matter, Writing};
use muster_domain::names::{SessionId, Workspace};
use script::*;

/// A session that works on a workspace, and whoever checks it.
struct Checking {
    script: Script,
    requests: u64,
    measures: Option<Measures>,
}

impl Checking {
    fn new() -> Self {
        let mut script = Script::new();
        script.off(session_start("startup"));
        Self {
            script,
            requests: 0,
            measures: None,
        }
    }

    fn on<T>(&mut self, request: &str, decide: impl FnOnce(&Ground<'_>) -> T) -> T {
        let asker = Asker {
            caller: "web-01".into(),
            operator: false,
            session: None,
            request: request.into(),
        };
        decide(&Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest: 0,
        })
    }

    fn asked(&mut self, request: &str, told: &Told) -> Checked {
        let given = self.measures.clone();
        let checked = self.on(request, |ground| {
            let measures = given.unwrap_or_else(|| measured(ground, &matter()));
            check(ground, &matter(), &measures, told)
        });
        if let Writing::Now(draft) = &checked.writing {
            self.script.lead(vec![(**draft).clone()]);
        }
        checked
    }

    fn tell(&mut self, told: &Told) -> Checked {
        self.requests += 1;
        let request = format!("c{}", self.requests);
        self.asked(&request, told)
    }

    fn check(&mut self, trigger: Trigger) -> Checked {
        self.tell(&Told {
            trigger,
            ..Told::default()
        })
    }

    fn measured(mut self, measures: Measures) -> Self {
        self.measures = Some(measures);
        self
    }

    /// Its work begins.
    fn held(mut self) -> Self {
        let wanted = Start {
            protected: Protected::default(),
            mode: Mode::Implement,
            owner_kind: OwnerKind::Interactive,
            supervisor: None,
            ttl: None,
            recover_stale: false,
            host: None,
        };
        self.start(&wanted);
        self
    }

    fn start(&mut self, wanted: &Start) {
        self.requests += 1;
        let minted = SessionId::new("ses_1").expect("a session id");
        let request = format!("s{}", self.requests);
        let decided = self.on(&request, |ground| begin(ground, &work(), wanted, minted));
        self.script.write(vec![*decided.draft.expect("it begins")]);
    }

    fn change(&mut self, wanted: &Change) {
        self.requests += 1;
        let request = format!("g{}", self.requests);
        let decided = self.on(&request, |ground| {
            change(ground, &work(), &Protected::default(), wanted)
        });
        self.script.write(vec![*decided.draft.expect("it changes")]);
    }

    fn leave(&mut self, wanted: &Leave) {
        self.requests += 1;
        let request = format!("l{}", self.requests);
        let decided = self.on(&request, |ground| leave(ground, &work(), &Protected::default(), wanted));
        self.script.write(vec![*decided.draft.expect("it is left")]);
    }
}

fn work() -> LeaseKey {
    LeaseKey {
        profile: None,
        workspace: Workspace::new("/repo").expect("a workspace"),
    }
}

fn matter() -> Matter {
    Matter {
        session: Some(key(HOST, SESSION)),
        work: Some(work()),
    }
}

fn of(checked: &Checked) -> (Action, Urgency, Reason) {
    let evaluation = &checked.evaluation;
    (evaluation.action, evaluation.urgency, evaluation.reason)
}

fn blocking() -> Change {
    Change::SetEscalation {
        id: "e1".into(),
        kind: EscalationKind::Blocking,
        reason: "which of the two?".into(),
    }
}

fn calm() -> Measures {
    Measures {
        minutes: Some(1),
        ..Measures::default()
    }
}

#[test]
fn each_rule_comes_before_all_after_it() {
    let worn = Measures {
        minutes: Some(90),
        used_percent: Some(95),
        ..Measures::default()
    };
    let mut session = Checking::new().held().measured(worn);
    session.change(&Change::ReplaceGates(vec!["builds".into()]));
    session.change(&blocking());
    let mut told = Told {
        trigger: Trigger::PreCompaction,
        checkout_advisory: Some("detached".into()),
        behavioural_drift: Some("it rewrites tests".into()),
        review_required: true,
        ..Told::default()
    };
    let checkout = (Escalate, Urgency::High, Reason::CheckoutAdvisory);
    assert_eq!(of(&session.tell(&told)), checkout);
    told.checkout_advisory = None;
    let escalated = (Escalate, Urgency::Critical, Reason::BlockingEscalation);
    assert_eq!(of(&session.tell(&told)), escalated);
    session.change(&Change::ClearEscalation(None));
    let drift = (Escalate, Urgency::High, Reason::BehaviouralDrift);
    assert_eq!(of(&session.tell(&told)), drift);
    told.behavioural_drift = None;
    let flush = (FlushForCompaction, Urgency::High, Reason::ContextAboutToBeLost);
    assert_eq!(of(&session.tell(&told)), flush);
    told.trigger = Trigger::IdleReset;
    assert_eq!(of(&session.tell(&told)), flush);
    told.trigger = Trigger::Manual;
    let wrap_up = (WrapUpRequired, Urgency::High, Reason::WrapUpRecommended);
    assert_eq!(of(&session.tell(&told)), wrap_up);
    session.measures = Some(calm());
    let review = (CheckpointNow, Urgency::Moderate, Reason::ReviewRequired);
    assert_eq!(of(&session.tell(&told)), review);
    told.review_required = false;
    let inject = (InjectDelta, Urgency::Low, Reason::DeltaToInject);
    assert_eq!(of(&session.tell(&told)), inject);
    session.change(&Change::ClearGates);
    told.trigger = Trigger::Interval;
    session.script.pass(600);
    assert_eq!(
        of(&session.tell(&told)),
        (Action::None, Urgency::Low, Reason::NothingToDo)
    );
}

#[test]
fn what_is_under_way_is_told_and_when_to_ask_again() {
    let mut session = Checking::new().held().measured(calm());
    for (trigger, action, recheck) in [
        (Trigger::Manual, InjectDelta, Some(600)),
        (Trigger::Resume, InjectDelta, Some(300)),
        (Trigger::SupervisorPoll, InjectDelta, Some(600)),
        (Trigger::Interval, Action::None, None),
    ] {
        session.script.pass(600);
        let checked = session.check(trigger).evaluation;
        assert_eq!(
            (checked.action, checked.recheck_after_s),
            (action, recheck),
            "{trigger:?}"
        );
    }
    session.script.pass(600);
    session.change(&Change::ReplaceGates(vec!["builds".into(), "ships".into()]));
    let first = session.check(Trigger::Interval).evaluation;
    assert_eq!(first.action, InjectDelta, "a gate is not passed");
    assert_eq!(first.state_delta[..], ["next gate (1 of 2): builds".into()]);
    let known = Told {
        known_fingerprint: Some(first.source_fingerprint.clone()),
        ..Told::default()
    };
    let again = session.tell(&known).evaluation;
    assert_eq!(again.source_fingerprint, first.source_fingerprint);
    assert!(again.state_delta.is_empty(), "what was told is not told again");
    session.change(&Change::AdvanceGates);
    let later = session.tell(&known).evaluation;
    assert_ne!(later.focus_digest, first.focus_digest);
    assert_eq!(later.state_delta[..], ["next gate (2 of 2): ships".into()]);
}

#[test]
fn a_band_and_a_boundary_ask_for_what_they_say() {
    let moderate = Measures {
        compacted: true,
        ..calm()
    };
    let mut session = Checking::new().measured(moderate);
    let checked = session.check(Trigger::Interval).evaluation;
    assert_eq!((checked.action, checked.urgency), (InjectDelta, Urgency::Moderate));
    assert_eq!(checked.score.band, Band::Moderate);
    let mut session = Checking::new().measured(calm());
    for (boundary, action, then) in [
        (Boundary::Continue, InjectDelta, Boundary::Continue),
        (Boundary::Refresh, CheckpointNow, Boundary::Refresh),
        (Boundary::WrapUp, WrapUpRequired, Boundary::WrapUp),
        (Boundary::Stop, WrapUpRequired, Boundary::Stop),
    ] {
        let told = Told {
            boundary: Some(boundary),
            ..Told::default()
        };
        let checked = session.tell(&told).evaluation;
        assert_eq!((checked.action, checked.boundary), (action, then));
    }
    let mut decayed = Checking::new().measured(Measures {
        no_progress: 3,
        ..calm()
    });
    let checked = decayed.check(Trigger::Interval).evaluation;
    assert_eq!((checked.action, checked.urgency), (WrapUpRequired, Urgency::Critical));
}

#[test]
fn a_recovery_written_before_the_work_began_again_is_told() {
    let mut session = Checking::new().held().measured(calm());
    let recovery = Recovery {
        checkpoint: Pulse {
            summary: "half of the parser stands".into(),
            ..Pulse::default()
        },
        ..Recovery::default()
    };
    session.leave(&Leave::Recovery(recovery));
    let own = session.check(Trigger::Interval).evaluation;
    assert_eq!(own.action, Action::None, "it wrote that itself just now");
    session.script.pass(600);
    session.start(&Start {
        protected: Protected::default(),
        mode: Mode::Implement,
        owner_kind: OwnerKind::Interactive,
        supervisor: None,
        ttl: None,
        recover_stale: false,
        host: None,
    });
    let resumed = session.check(Trigger::Interval).evaluation;
    assert_eq!(resumed.action, InjectDelta);
    assert_eq!(
        resumed.state_delta[..],
        ["recovery 1: half of the parser stands".into()]
    );
    session.leave(&Leave::Handoff(Handoff {
        title: "the parser".into(),
        ..Handoff::default()
    }));
    let told = session.check(Trigger::Manual).evaluation;
    assert_eq!(*told.state_delta[0], *"handoff 1: the parser");
}

#[test]
fn a_low_value_trigger_within_two_minutes_is_answered_and_not_written() {
    let mut session = Checking::new().held().measured(calm());
    assert!(!session.check(Trigger::Interval).throttled);
    for trigger in [Trigger::Interval, Trigger::SupervisorPoll] {
        let checked = session.check(trigger);
        assert_eq!(
            (checked.throttled, checked.writing),
            (true, Writing::Not),
            "{trigger:?}"
        );
    }
    for trigger in [
        Trigger::Manual,
        Trigger::Resume,
        Trigger::IdleReset,
        Trigger::PreCompaction,
    ] {
        assert!(!session.check(trigger).throttled, "{trigger:?}");
    }
    session.script.pass(600);
    assert!(!session.check(Trigger::Interval).throttled);
    session.change(&blocking());
    let urgent = session.check(Trigger::Interval);
    assert!(!urgent.throttled, "it is more urgent than what was said");
    assert!(session.check(Trigger::Interval).throttled);
    session.script.pass(120);
    assert!(!session.check(Trigger::Interval).throttled);
}

#[test]
fn a_request_is_written_once() {
    let mut session = Checking::new().held();
    let told = Told::default();
    assert!(matches!(session.asked("r", &told).writing, Writing::Now(_)));
    assert_eq!(session.asked("r", &told).writing, Writing::Not);
    let Writing::Now(draft) = session.asked("r2", &told).writing else {
        panic!("another request is written");
    };
    session.script.overlay.published(id(900), &draft);
    let mut again = Checking::new().held();
    again.script.overlay.published(id(901), &draft);
    let soon = again.on("r2", |ground| check(ground, &matter(), &calm(), &told));
    assert_eq!(soon.writing, Writing::Soon(id(901)));
}

#[test]
fn what_is_measured_comes_from_the_log() {
    let mut session = Checking::new().held();
    session.script.turn(TurnFact::ContextChanged {
        used_tokens: 170_000,
        window_tokens: Some(200_000),
    });
    let call = |n: u64, output_bytes| {
        let mut told = hook(None, end("Bash", &format!("t{n}")));
        told.output_bytes = output_bytes;
        told
    };
    session.script.off(prompt());
    session.script.hook(call(1, 200_500));
    session.script.hook(in_subagent("sub", call(2, 900_000)));
    session.script.hook(call(3, 100_000));
    session.script.pass(3600);
    let measures = session.on("m", |ground| measured(ground, &matter()));
    let expected = Measures {
        minutes: Some(60),
        start_cycles: Some(1),
        used_percent: Some(85),
        total_tokens: Some(170_000),
        compacted: false,
        tool_output_kb: Some(300),
        symptoms: 0,
        no_progress: 0,
    };
    assert_eq!(measures, expected);
    let unknown = Matter {
        session: None,
        work: Some(LeaseKey {
            profile: None,
            workspace: Workspace::new("/other").expect("a workspace"),
        }),
    };
    let nothing = session.on("m", |ground| measured(ground, &unknown));
    assert_eq!(nothing, Measures::default());
    assert_eq!(nothing.score().band, Band::Unknown);
}

//! Leases beside a naive model of them: a few lines that know who holds the workspace and until when, and nothing of
//! events, revisions or requests. Whatever is asked in whatever order, both say the same.

mod script;

use WriteOutcome::{Applied, IdempotentNoop, OwnershipConflict, StaleSession, UnsupportedMultiwriter};
use muster_domain::asker::Asker;
use muster_domain::digest;
use muster_domain::lease::{
    Decided, Ground, Heartbeat, LeaseKey, Mode, OwnerKind, Protected, Start, Takeover, WriteOutcome, clear, heartbeat,
    start, takeover,
};
use muster_domain::names::{SessionId, Workspace};
use proptest::prelude::*;
use script::*;
use std::time::Duration;

/// How long a program keeps work by one heartbeat, and a person by one start, in milliseconds.
const TTL: i64 = 60_000;
const DAY: i64 = 8 * 3600 * 1000;
const SUPERVISOR: &str = "boss";

/// Somebody: a person without a name, or a program.
type Who = Option<&'static str>;

#[derive(Debug, Clone, Copy)]
enum Step {
    Start { who: Who, recover: bool },
    Heartbeat(&'static str),
    Clear(Who),
    Takeover(&'static str),
    Wait(i64),
}

/// Who holds the workspace, and until when.
#[derive(Debug, Clone, Copy, Default)]
struct Model(Option<(Who, i64)>);

impl Model {
    fn step(&mut self, step: Step, now: i64) -> WriteOutcome {
        let kept = self.0.is_some_and(|(_, until)| now < until);
        let (outcome, next) = match (step, self.0) {
            (Step::Start { who, .. }, None | Some((None, _))) if !kept || who.is_none() => (Applied, Some(who)),
            (Step::Start { who, .. }, Some((owner, _))) if kept && who == owner => (Applied, Some(who)),
            (Step::Start { who, recover: true }, Some((owner, _))) if who == owner => (Applied, Some(who)),
            (Step::Start { .. }, _) if !kept => (StaleSession, None),
            (Step::Heartbeat(who), Some((owner, _))) if owner == Some(who) && !kept => (StaleSession, None),
            (Step::Heartbeat(who), Some((owner, _))) if owner == Some(who) => (Applied, Some(owner)),
            (Step::Takeover(who), Some((Some(owner), _))) if owner != who && !kept => (Applied, Some(Some(who))),
            (Step::Clear(_), None) => (IdempotentNoop, None),
            (Step::Clear(None), Some((Some(_), _))) => (UnsupportedMultiwriter, None),
            (Step::Clear(who), Some((owner, _))) if owner.is_none() || who == owner || who == Some(SUPERVISOR) => {
                self.0 = None;
                return Applied;
            }
            _ => (OwnershipConflict, None),
        };
        if let Some(owner) = next {
            self.0 = Some((owner, now + if owner.is_some() { TTL } else { DAY }));
        }
        outcome
    }
}

/// The real one.
#[derive(Default)]
struct Real {
    script: Script,
    requests: u64,
}

impl Real {
    fn decide(
        &mut self,
        what: &impl std::hash::Hash,
        decide: impl FnOnce(&Ground<'_>, SessionId) -> Decided,
    ) -> WriteOutcome {
        self.requests += 1;
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
            digest: digest::of(what),
        };
        let minted = SessionId::new(&format!("ses_{}", self.requests)).expect("a session id");
        let decided = decide(&ground, minted);
        if let Some(draft) = decided.draft {
            self.script.write(vec![*draft]);
        }
        decided.outcome
    }

    fn step(&mut self, step: Step) -> Option<WriteOutcome> {
        let by = |who: Who| Protected {
            actor: who.map(Into::into),
            ..Protected::default()
        };
        Some(match step {
            Step::Start { who, recover } => {
                let program = who.is_some();
                let wanted = Start {
                    protected: by(who),
                    mode: Mode::General,
                    owner_kind: if program {
                        OwnerKind::RuntimeWorker
                    } else {
                        OwnerKind::Interactive
                    },
                    supervisor: program.then(|| SUPERVISOR.into()),
                    ttl: program.then(|| Duration::from_millis(TTL as u64)),
                    recover_stale: recover,
                    host: None,
                };
                self.decide(&wanted, |ground, minted| start(ground, &workspace(), &wanted, minted))
            }
            Step::Heartbeat(who) => {
                let wanted = Heartbeat {
                    protected: by(Some(who)),
                    activity: None,
                    host: None,
                };
                self.decide(&wanted, |ground, _| heartbeat(ground, &workspace(), &wanted))
            }
            Step::Clear(who) => {
                let wanted = by(who);
                self.decide(&wanted, |ground, _| clear(ground, &workspace(), &wanted, None))
            }
            Step::Takeover(who) => {
                let wanted = Takeover {
                    protected: by(Some(who)),
                    reason: "it is silent".into(),
                    host: None,
                };
                self.decide(&wanted, |ground, minted| {
                    takeover(ground, &workspace(), &wanted, minted)
                })
            }
            Step::Wait(seconds) => {
                self.script.pass(seconds);
                return None;
            }
        })
    }

    /// Who holds it, and until when.
    fn held(&self) -> Option<(Option<String>, i64)> {
        let place = self.script.fleet.leases().get(&workspace())?;
        let lease = place.lease.as_ref()?;
        Some((lease.actor.as_deref().map(str::to_owned), lease.stale_at().as_millis()))
    }
}

fn workspace() -> LeaseKey {
    LeaseKey {
        profile: None,
        workspace: Workspace::new("/repo").expect("a workspace"),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let program = || prop_oneof![Just("a"), Just("b")];
    let anybody = || prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let clears = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some(SUPERVISOR))];
    prop_oneof![
        3 => (anybody(), any::<bool>()).prop_map(|(who, recover)| Step::Start { who, recover }),
        2 => program().prop_map(Step::Heartbeat),
        1 => clears.prop_map(Step::Clear),
        2 => program().prop_map(Step::Takeover),
        3 => prop_oneof![Just(1), Just(30), Just(61), Just(9 * 3600)].prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn leases_are_held_as_the_naive_model_says(steps in prop::collection::vec(step(), 0..60)) {
        let (mut model, mut real) = (Model::default(), Real::default());
        for (at, step) in steps.iter().enumerate() {
            let now = real.script.now;
            let Some(outcome) = real.step(*step) else {
                continue;
            };
            prop_assert_eq!(outcome, model.step(*step, now), "step {} of {:?}", at, steps);
            let held = model.0.map(|(who, until)| (who.map(str::to_owned), until));
            prop_assert_eq!(real.held(), held, "after step {} of {:?}", at, steps);
        }
    }
}

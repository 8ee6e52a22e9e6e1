//! Given/when/then: compactions that somebody asks for, and those that a full context asks for.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::alert::{self, AlertFact, Rule};
use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::effect::{ActionKind, Carrier, EffectFact, End, Receipt, Refusal, Word};
use muster_domain::fact::{Fact, HookBody, ProcessFact, TurnFact};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::ids::EffectId;
use muster_domain::memory;
use muster_domain::overlay::Overlay;
use muster_domain::react;
use proptest::prelude::*;
use script::*;
use std::time::Duration;

/// A session with a turn loop that can compact, and a leader that writes down what it concludes.
fn carried() -> Script {
    let mut script = Script::new();
    let carrier = Carrier {
        run: run("r1"),
        can: [ActionKind::Compact].into(),
    };
    let carries = ProcessFact::Carries {
        process: process(7),
        carrier: Box::new(carrier),
    };
    script.host(started_host()).process(carries).on("p1", prompt());
    follow(&mut script);
    script
}

/// Writes what was drafted as a leader does: all of it is on its way before any of it comes back.
fn follow(script: &mut Script) -> Vec<Draft> {
    let mut written = Vec::new();
    let mut waiting = std::mem::take(&mut script.drafts);
    while !waiting.is_empty() {
        for (n, draft) in (1..).zip(&waiting) {
            script.overlay.published(id(script.seq + n), draft);
        }
        let mut next = Vec::new();
        for draft in std::mem::take(&mut waiting) {
            script.write(vec![draft.clone()]);
            written.push(draft);
            next.append(&mut script.drafts);
        }
        waiting = next;
    }
    written
}

fn measured(script: &mut Script, used_tokens: u64) -> Vec<Said> {
    let context = TurnFact::ContextChanged {
        used_tokens,
        window_tokens: Some(1000),
    };
    script.turn(context);
    said(&follow(script))
}

fn receipt(script: &mut Script, word: Word) -> Vec<Said> {
    let id = *script.fleet.effects().all().keys().next_back().unwrap();
    script.fact(Fact::Effect(Receipt { id, word }));
    said(&follow(script))
}

fn failed() -> Word {
    Word::Ended(End::Failed {
        reason: "error".into(),
        detail: None,
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Compact,
    Raised,
    Cleared,
}

fn said(drafts: &[Draft]) -> Vec<Said> {
    let one = |draft: &Draft| {
        if let Conclusion::Effect(EffectFact::Requested(order)) = &draft.conclusion {
            assert_eq!(
                (order.action.kind(), &*order.by.caller),
                (ActionKind::Compact, "muster")
            );
            Some(Said::Compact)
        } else if matches!(draft.conclusion, Conclusion::Alert(AlertFact::Raised(_))) {
            Some(Said::Raised)
        } else if matches!(draft.conclusion, Conclusion::Alert(AlertFact::Cleared { .. })) {
            Some(Said::Cleared)
        } else {
            None
        }
    };
    drafts.iter().filter_map(one).collect()
}

#[test]
fn a_full_context_is_compacted_once_by_whoever_can() {
    let mut script = carried();
    assert_eq!(measured(&mut script, 890), []);
    assert_eq!(measured(&mut script, 930), [Said::Compact]);
    assert_eq!(measured(&mut script, 940), [], "it is asked for already");
    assert_eq!(receipt(&mut script, Word::Accepted), []);
    script.off(HookBody::CompactionStarted).off(HookBody::CompactionEnded);
    assert_eq!(measured(&mut script, 200), []);
    assert_eq!(receipt(&mut script, Word::Ended(End::Done)), []);
    assert_eq!(
        measured(&mut script, 950),
        [Said::Compact],
        "full again is another time"
    );
}

#[test]
fn a_compaction_that_makes_no_room_is_an_alert() {
    let mut script = carried();
    assert_eq!(measured(&mut script, 930), [Said::Compact]);
    assert_eq!(receipt(&mut script, failed()), [Said::Raised]);
    assert_eq!(measured(&mut script, 940), [], "it is not tried again and again");
    assert_eq!(measured(&mut script, 100), [Said::Cleared]);
    assert_eq!(measured(&mut script, 930), [Said::Compact]);
}

#[test]
fn whoever_comes_to_run_the_session_makes_the_room_that_nobody_made() {
    let mut script = Script::new();
    script.host(started_host()).on("p1", prompt());
    follow(&mut script);
    assert_eq!(measured(&mut script, 930), [Said::Raised]);
    let carrier = Carrier {
        run: run("r1"),
        can: [ActionKind::Compact].into(),
    };
    script.process(ProcessFact::Carries {
        process: process(7),
        carrier: Box::new(carrier),
    });
    assert_eq!(said(&follow(&mut script)), [Said::Compact, Said::Cleared]);
}

fn operator(request: &str) -> Asker {
    Asker {
        caller: "op-anna".into(),
        operator: true,
        session: None,
        request: request.into(),
    }
}

#[test]
fn what_was_compacted_and_not_used_since_need_not_be_compacted() {
    let mut script = carried();
    let nothing = |script: &Script, asker: &Asker| {
        memory::nothing_to_compact(&script.fleet, &script.overlay, asker, &key(HOST, SESSION))
    };
    assert_eq!(nothing(&script, &operator("q")), Ok(None));
    measured(&mut script, 930);
    let id: EffectId = *script.fleet.effects().all().keys().next_back().unwrap();
    assert_eq!(nothing(&script, &operator("q")).unwrap().unwrap().effect, Some(id));
    script.off(HookBody::CompactionStarted).off(HookBody::CompactionEnded);
    receipt(&mut script, Word::Ended(End::Done));
    measured(&mut script, 100);
    assert_eq!(nothing(&script, &operator("q")).unwrap().unwrap().effect, None);
    script.pass(60).on("p2", prompt());
    assert_eq!(
        nothing(&script, &operator("q")),
        Ok(None),
        "somebody asked it something since"
    );
    let stranger = Asker {
        operator: false,
        ..operator("q")
    };
    assert_eq!(nothing(&script, &stranger), Err(Refusal::NotYours));
}

#[derive(Debug, Clone)]
enum Step {
    Measured(u64),
    Says(Word),
    /// Another run carries the session, and can compact or not.
    Carried(bool),
    Compacted,
    Wait(i64),
    Replaced,
}

fn step() -> impl Strategy<Value = Step> {
    let word = prop_oneof![2 => Just(Word::Accepted), 1 => Just(Word::Ended(End::Done)), 2 => Just(failed())];
    prop_oneof![
        5 => prop::sample::select(vec![100, 750, 899, 900, 990]).prop_map(Step::Measured),
        3 => word.prop_map(Step::Says),
        2 => any::<bool>().prop_map(Step::Carried),
        1 => Just(Step::Compacted),
        2 => prop::sample::select(vec![5, 61, 601]).prop_map(Step::Wait),
        2 => Just(Step::Replaced),
    ]
}

/// A fleet whose alerts are not quiet after they were cleared.
fn restless() -> Script {
    let mut script = Script::new();
    script.fleet = Fleet::new(Settings {
        silence: Duration::from_hours(24 * 365),
        alerts: alert::Settings {
            cooldown: Duration::ZERO,
            ..alert::Settings::default()
        },
        ..Settings::default()
    });
    script.host(started_host()).on("p1", prompt()).follow();
    script
}

proptest! {
    /// A context that is nearly full is being compacted, once, or somebody is told; one that is not is neither.
    #[test]
    fn a_full_context_is_compacted_or_an_alert_whatever_happens(steps in prop::collection::vec(step(), 0..40)) {
        let mut script = restless();
        let (mut used, mut runs, mut wants) = (0, 0, 0);
        for (n, step) in steps.iter().enumerate() {
            let wanted = wants;
            match step {
                Step::Measured(tokens) => {
                    used = *tokens;
                    let window_tokens = Some(1000);
                    script.turn(TurnFact::ContextChanged { used_tokens: used, window_tokens });
                }
                Step::Says(word) => {
                    let Some(id) = script.fleet.effects().all().keys().next_back().copied() else { continue };
                    script.fact(Fact::Effect(Receipt { id, word: word.clone() }));
                }
                Step::Carried(can) => {
                    runs += 1;
                    let can = can.then_some(ActionKind::Compact).into_iter().collect();
                    let carrier = Box::new(Carrier { run: run(&format!("r{runs}")), can });
                    script.process(ProcessFact::Carries { process: process(runs), carrier });
                }
                Step::Compacted => _ = script.off(HookBody::CompactionStarted).off(HookBody::CompactionEnded),
                Step::Wait(seconds) => {
                    script.pass(*seconds);
                    script.drafts = due::expire(&script.fleet, &script.overlay, ms(script.now));
                }
                Step::Replaced => {
                    script.overlay = Overlay::new();
                    script.drafts = react::catch_up(&script.fleet, &script.overlay);
                }
            }
            for draft in script.follow() {
                wants += usize::from(matches!(draft.conclusion, Conclusion::Effect(EffectFact::Requested(_))));
            }
            let open = script.fleet.effects().all().values().filter(|effect| effect.status().is_open()).count();
            let alerted = script.fleet.alerts().standing().contains_key(&*Rule::ContextPressure.key(&key(HOST, SESSION)));
            let full = used >= 900;
            prop_assert!(open <= 1, "{open} open after step {n} of {steps:?}");
            // Until there was room it is not tried again, and where there is room not at all.
            prop_assert!(wants <= 1 && (full || wants == wanted), "{wants} after step {n} of {steps:?}");
            wants *= usize::from(full);
            prop_assert_eq!(alerted, full && open == 0, "{} open after step {} of {:?}", open, n, steps);
        }
    }
}

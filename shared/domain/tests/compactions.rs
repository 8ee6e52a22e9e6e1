//! Given/when/then: compactions that somebody asks for, and those that a full context asks for.

#![expect(clippy::unwrap_used, reason = "the names in a story are legal")]

mod script;

use muster_domain::alert::AlertFact;
use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::effect::{ActionKind, Carrier, EffectFact, End, Receipt, Refusal, Word};
use muster_domain::fact::{Fact, HookBody, ProcessFact, TurnFact};
use muster_domain::ids::EffectId;
use muster_domain::memory;
use script::*;

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

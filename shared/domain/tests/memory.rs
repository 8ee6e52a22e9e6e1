//! How full contexts are, what compactions make of them, and who is told, as stories.

mod script;

use muster_domain::alert::AlertFact;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::fact::{Decision, Fact, HookBody, TurnFact};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::memory::{Compaction, MemoryFact, Pressure};
use muster_domain::overlay::Overlay;
use muster_domain::react;
use muster_domain::state::SessionState;
use proptest::prelude::*;
use script::*;
use std::time::Duration;

const WINDOW: u64 = 1000;

fn context(used_tokens: u64, window_tokens: Option<u64>) -> TurnFact {
    TurnFact::ContextChanged {
        used_tokens,
        window_tokens,
    }
}

/// A session, and a leader that writes down what it concludes. Alerts come again as often as their reason does.
struct Story {
    script: Script,
    said: Vec<Conclusion>,
}

impl Default for Story {
    fn default() -> Self {
        let mut settings = Settings::default();
        settings.alerts.cooldown = Duration::ZERO;
        let mut script = Script::new();
        script.fleet = Fleet::new(settings);
        let said = Vec::new();
        Self { script, said }
    }
}

impl Story {
    fn about(&mut self, drafts: Vec<Draft>) {
        let of_context = |draft: &&Draft| matches!(draft.conclusion, Conclusion::Memory(_) | Conclusion::Alert(_));
        let written = self.script.lead(drafts);
        self.said
            .extend(written.iter().filter(of_context).map(|draft| draft.conclusion.clone()));
    }

    fn when(&mut self, fact: Fact) -> &mut Self {
        self.script.fact(fact);
        let drafts = self.script.drafts.clone();
        self.about(drafts);
        self
    }

    fn measured(&mut self, used_tokens: u64) -> &mut Self {
        self.when(Fact::Turn(context(used_tokens, Some(WINDOW))))
    }

    fn hook(&mut self, body: HookBody) -> &mut Self {
        self.when(Fact::Hook(Box::new(hook(None, body))))
    }

    fn pass(&mut self, seconds: i64) -> &mut Self {
        let now = self.script.pass(seconds).now;
        let drafts = due::expire(&self.script.fleet, &self.script.overlay, ms(now));
        self.about(drafts);
        self
    }

    #[track_caller]
    fn says(&mut self, expected: &[Said]) -> &mut Self {
        let said: Vec<Said> = self.said.drain(..).map(|conclusion| brief(&conclusion)).collect();
        assert_eq!(said, expected);
        self
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Pressure(Pressure, Pressure, u64),
    Compacted(Option<u64>, Option<u64>),
    Raised,
    Cleared,
}

fn brief(conclusion: &Conclusion) -> Said {
    let Conclusion::Memory(fact) = conclusion else {
        let raised = matches!(conclusion, Conclusion::Alert(AlertFact::Raised(_)));
        return if raised { Said::Raised } else { Said::Cleared };
    };
    match fact {
        MemoryFact::PressureChanged {
            from, to, used_tokens, ..
        } => Said::Pressure(*from, *to, *used_tokens),
        MemoryFact::Compacted(compaction) => Said::Compacted(compaction.before, compaction.after),
    }
}

#[test]
fn a_change_of_pressure_is_said_once() {
    let mut story = Story::default();
    story.measured(100).measured(699).says(&[]);
    story
        .measured(700)
        .measured(700)
        .measured(800)
        .says(&[Said::Pressure(Pressure::Ok, Pressure::Warn, 700)]);
    story
        .measured(860)
        .says(&[Said::Pressure(Pressure::Warn, Pressure::Alert, 860)]);
    story
        .measured(10)
        .says(&[Said::Pressure(Pressure::Alert, Pressure::Ok, 10)]);
}

#[test]
fn of_a_window_of_unknown_size_nobody_can_say_how_full_it_is() {
    let mut story = Story::default();
    story.when(Fact::Turn(context(999_999, None))).says(&[]);
    story.when(Fact::Turn(context(999_999, Some(0)))).says(&[]);
    // A measure without the window takes nothing back.
    story.measured(800).when(Fact::Turn(context(10, None)));
    story.says(&[Said::Pressure(Pressure::Ok, Pressure::Warn, 800)]);
}

#[test]
fn a_context_that_nobody_can_compact_is_an_alert_until_there_is_room() {
    let mut story = Story::default();
    story
        .measured(950)
        .says(&[Said::Pressure(Pressure::Ok, Pressure::Compact, 950), Said::Raised]);
    assert_eq!(story.script.fleet.alerts().standing().len(), 1);
    story.measured(960).hook(HookBody::Other).says(&[]);
    story
        .measured(200)
        .says(&[Said::Pressure(Pressure::Compact, Pressure::Ok, 200), Said::Cleared]);
    assert_eq!(story.script.fleet.alerts().standing().len(), 0);
}

#[test]
fn a_session_that_is_over_needs_no_room() {
    let mut story = Story::default();
    story
        .measured(950)
        .says(&[Said::Pressure(Pressure::Ok, Pressure::Compact, 950), Said::Raised]);
    story.hook(session_end()).says(&[Said::Cleared]);
    story.script.then(SessionState::Stopped);
}

#[test]
fn a_compaction_is_said_once_with_what_was_measured_before_and_after() {
    let mut story = Story::default();
    story.measured(600).hook(HookBody::CompactionStarted);
    story.pass(20).hook(HookBody::CompactionEnded).says(&[]);
    // The same end, said by the session's new beginning and by what the agent prints.
    story.hook(session_start("compact"));
    story
        .when(Fact::Turn(TurnFact::StateChanged { compacting: false }))
        .says(&[]);
    story.measured(120).says(&[Said::Compacted(Some(600), Some(120))]);
    story.measured(130).pass(600).says(&[]);
    // And the next.
    story
        .hook(HookBody::CompactionStarted)
        .pass(20)
        .hook(HookBody::CompactionEnded);
    story.measured(90).says(&[Said::Compacted(Some(130), Some(90))]);
}

#[test]
fn a_late_word_of_a_beginning_is_no_compaction_of_its_own() {
    let mut story = Story::default();
    story.measured(600);
    story
        .when(Fact::Turn(TurnFact::StateChanged { compacting: true }))
        .pass(20);
    story.when(Fact::Turn(TurnFact::StateChanged { compacting: false }));
    story
        .hook(HookBody::CompactionStarted)
        .measured(100)
        .hook(HookBody::CompactionEnded);
    story.measured(110).says(&[Said::Compacted(Some(600), Some(100))]);
}

#[test]
fn what_was_never_measured_is_not_made_up() {
    // Nobody measures: nothing is waited for.
    let mut story = Story::default();
    story.hook(HookBody::CompactionStarted).hook(HookBody::CompactionEnded);
    story.says(&[Said::Compacted(None, None)]);
    // Nobody measures any more: it is waited for a minute.
    let mut story = Story::default();
    story
        .measured(600)
        .hook(HookBody::CompactionStarted)
        .hook(HookBody::CompactionEnded);
    story.pass(50).says(&[]);
    story.pass(11).says(&[Said::Compacted(Some(600), None)]);
    story.measured(100).pass(100).says(&[]);
    // What the session's end leaves unmeasured.
    let mut story = Story::default();
    story
        .measured(600)
        .hook(HookBody::CompactionStarted)
        .hook(HookBody::CompactionEnded);
    story.hook(session_end()).says(&[Said::Compacted(Some(600), None)]);
}

#[test]
fn an_end_without_a_beginning_and_a_subagents_own_compaction_say_nothing() {
    let mut story = Story::default();
    story
        .measured(600)
        .hook(HookBody::CompactionEnded)
        .measured(100)
        .says(&[]);
    let inside = |body| Fact::Hook(Box::new(in_subagent("a1", hook(None, body))));
    story.when(inside(HookBody::CompactionStarted)).pass(9);
    story.when(inside(HookBody::CompactionEnded)).measured(100).says(&[]);
}

#[test]
fn the_next_leader_says_what_is_still_to_be_said_and_no_more() {
    let mut script = Script::new();
    script
        .turn(context(950, Some(WINDOW)))
        .off(HookBody::CompactionStarted)
        .pass(20);
    script.off(HookBody::CompactionEnded).turn(context(910, Some(WINDOW)));
    let of_context = |script: &Script| {
        let drafts = react::catch_up(&script.fleet, &Overlay::new());
        let mut kinds: Vec<String> = drafts.iter().map(|draft| draft.event_type().to_string()).collect();
        kinds.retain(|kind| !kind.starts_with("runtime.status"));
        (drafts, kinds)
    };
    let (drafts, kinds) = of_context(&script);
    assert_eq!(
        kinds,
        [
            "runtime.memory_compaction.compact_memory",
            "runtime.memory_compaction.pressure_changed",
            "runtime.alert.raised",
        ]
    );
    script.write(drafts);
    assert_eq!(of_context(&script).1, Vec::<String>::new());
}

#[test]
fn what_the_log_cut_to_milliseconds_is_still_the_same_compaction() {
    let mut script = Script::new();
    script
        .turn(context(500, Some(WINDOW)))
        .off(HookBody::CompactionStarted)
        .pass(20)
        .at_once();
    script
        .off(HookBody::Other)
        .off(HookBody::CompactionEnded)
        .turn(context(100, Some(WINDOW)));
    let now = script.now;
    let compaction = Compaction {
        began: ms(0),
        ended: ms(now),
        before: None,
        after: None,
    };
    script.decided(Decision::Memory(MemoryFact::Compacted(compaction)));
    let drafts = react::catch_up(&script.fleet, &Overlay::new());
    assert!(
        !drafts
            .iter()
            .any(|draft| matches!(draft.conclusion, Conclusion::Memory(_)))
    );
}

/// What may be heard of contexts.
fn heard() -> impl Strategy<Value = Fact> {
    let told = |body| Fact::Hook(Box::new(hook(None, body)));
    prop_oneof![
        3 => (0..1200u64, any::<bool>()).prop_map(|(used, known)| {
            Fact::Turn(context(used, known.then_some(WINDOW)))
        }),
        1 => Just(told(HookBody::CompactionStarted)),
        1 => Just(told(HookBody::CompactionEnded)),
        1 => Just(told(session_start("compact"))),
        1 => any::<bool>().prop_map(|compacting| Fact::Turn(TurnFact::StateChanged { compacting })),
        1 => Just(told(session_end())),
        1 => Just(told(session_start("resume"))),
        1 => Just(told(HookBody::Other)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_heard_each_change_is_said_once_and_every_compaction_ends(
        told in prop::collection::vec((heard(), 0..90i64), 1..60)
    ) {
        let mut story = Story::default();
        let mut said = Pressure::Ok;
        let mut last_end = None;
        for (fact, wait) in told {
            story.pass(wait).when(fact);
            for conclusion in story.said.drain(..) {
                let Conclusion::Memory(fact) = conclusion else {
                    continue;
                };
                match fact {
                    MemoryFact::PressureChanged { from, to, used_tokens, window_tokens } => {
                        prop_assert_eq!(from, said);
                        prop_assert!(from != to);
                        let settings = story.script.fleet.settings().memory;
                        prop_assert_eq!(settings.pressure(used_tokens, Some(window_tokens)), Some(to));
                        said = to;
                    }
                    MemoryFact::Compacted(compaction) => {
                        prop_assert!(compaction.began < compaction.ended);
                        prop_assert!(last_end.is_none_or(|last| last < compaction.ended));
                        last_end = Some(compaction.ended);
                    }
                }
            }
            // The alert stands for as long as its reason does.
            let over = story.script.session().standing().state.is_over();
            let full = said == Pressure::Compact && !over;
            prop_assert_eq!(story.script.fleet.alerts().standing().len(), usize::from(full));
        }
        story.pass(120).pass(120);
        prop_assert_eq!(due::due(&story.script.fleet).filter(|at| *at <= ms(story.script.now)), None);
    }
}

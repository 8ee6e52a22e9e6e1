//! What holds of any story.

use super::*;
use proptest::prelude::*;

/// What may be heard of a session that gives reason to look.
fn heard() -> impl Strategy<Value = Fact> {
    let told = |body| Fact::Hook(Box::new(hook(Some("p1"), body)));
    let call = |n: u64, failed: bool| {
        let outcome = if failed {
            ToolOutcome::Failed {
                error: "error: it is as it was, and that is wrong".to_owned(),
            }
        } else {
            ToolOutcome::Ok
        };
        HookBody::ToolEnded {
            tool: ToolUse {
                call: None,
                ..bash(n, n % 2)
            },
            outcome,
            duration_ms: None,
            spawned: None,
        }
    };
    prop_oneof![
        6 => (0..3u64, any::<bool>()).prop_map(move |(n, failed)| told(call(n, failed))),
        2 => (0..9u64).prop_map(move |n| told(HookBody::ToolStarted(bash(n, n)))),
        2 => (0..250u64).prop_map(|used| measured(used * 1000, Some(200_000))),
        2 => Just(Fact::Turn(TurnFact::Retried)),
        1 => (0..9u32, 0..9_000_000u64).prop_map(|(index, cost)| spent(index, cost)),
        1 => Just(told(ask("Bash"))),
        1 => Just(told(prompt())),
        1 => Just(told(stop())),
        1 => Just(told(session_end())),
        1 => Just(told(session_start("resume"))),
        1 => Just(told(HookBody::Other)),
    ]
}

proptest! {
    #[test]
    fn whatever_is_heard_each_alert_is_raised_once_before_it_is_cleared_and_none_outlives_its_session(
        told in prop::collection::vec((heard(), 0..40 * MIN), 1..80)
    ) {
        let mut story = Story::default();
        let mut standing = BTreeSet::new();
        for (fact, wait) in told {
            story.pass(wait).tell(fact);
            for (rule, begins) in story.said.drain(..) {
                let changed = if begins { standing.insert(rule) } else { standing.remove(&rule) };
                prop_assert!(changed, "{} twice: {}", rule, begins);
            }
            prop_assert_eq!(story.script.fleet.alerts().standing().len(), standing.len());
            if story.script.session().standing().state.is_over() {
                prop_assert!(standing.is_empty());
            }
        }
        story.hook(session_end()).pass(48 * HOUR);
        prop_assert_eq!(story.script.fleet.alerts().standing().len(), 0);
        prop_assert_eq!(due::due(&story.script.fleet), None);
    }

    #[test]
    fn a_log_that_is_folded_again_has_the_same_alerts(told in prop::collection::vec((heard(), 0..20 * MIN), 1..40)) {
        let mut story = Story::default();
        for (fact, wait) in told {
            story.pass(wait).tell(fact);
        }
        let digest = story.script.fleet.digest();
        let drafts = react::catch_up(&story.script.fleet, &Overlay::new());
        prop_assert!(!drafts.iter().any(|draft| matches!(draft.conclusion, Conclusion::Alert(_))));
        prop_assert_eq!(story.script.fleet.digest(), digest);
    }
}

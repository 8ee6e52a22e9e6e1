//! Rules: each does what it says about each session that it finds, once.

use super::*;
use muster_domain::due;
use muster_domain::review::{ALERTS_MAX, Kept, RULES_MAX, RUN_MAX};

const BAD: &str = "feedback_label=bad,bug";

fn all() -> Wanted {
    Wanted::default()
}

fn dry() -> Wanted {
    Wanted {
        dry_run: true,
        ..Wanted::default()
    }
}

/// Sessions of which the first so many are bad.
fn with_bad(sessions: usize, bad: usize) -> Real {
    let mut real = Real::with(sessions);
    for n in 0..bad {
        let key = key(HOST, &format!("s{n}"));
        let said = Said {
            label: Some(Label::Bad),
            ..Said::default()
        };
        let said = real.ask(("anna", None), None, 1, |ground| annotate(ground, &key, said));
        said.expect("there is room");
        real.read_back();
    }
    real
}

fn told_of(runs: &[RuleRun]) -> Vec<(u32, u32, usize, u32)> {
    let each = |run: &RuleRun| (run.matched, run.already, run.acted.len(), run.left());
    runs.iter().map(each).collect()
}

#[test]
fn a_rule_does_its_action_once_for_each_session_and_a_second_run_says_so() {
    let mut real = with_bad(4, 2);
    for action in Action::ALL {
        real.rule(action.as_str(), BAD, *action).unwrap();
    }
    assert_eq!(told_of(&real.run(dry()).unwrap()), [(2, 0, 2, 0); 3]);
    assert_eq!(real.waiting.len(), 3, "the rules alone are on their way");
    assert_eq!(told_of(&real.run(all()).unwrap()), [(2, 0, 2, 0); 3]);
    assert_eq!(
        told_of(&real.run(all()).unwrap()),
        [(2, 2, 0, 0); 3],
        "while it is on its way"
    );
    real.read_back();
    let last = real.log.len();
    assert_eq!(told_of(&real.run(all()).unwrap()), [(2, 2, 0, 0); 3]);
    real.read_back();
    assert_eq!(real.log.len(), last, "nothing is written");
    let fleet = &real.script.fleet;
    for kept in [Kept::Case, Kept::Review] {
        let files: Vec<_> = fleet.reviews().docket(kept).files().collect();
        assert_eq!(files.len(), 2);
        assert!(files[0].opening.by.to_string().starts_with("rule "));
    }
    let (key, alert) = fleet.alerts().standing().first_key_value().unwrap();
    assert_eq!((&**key, alert.severity), ("rule:3:web-01/s0", Severity::Info));
    assert_eq!(&*alert.summary, "session s0 on web-01: rule emit_alert found it");
    // A case that was put away is not made again.
    real.close(How::Archived, 1).unwrap();
    real.read_back();
    assert_eq!(told_of(&real.run(all()).unwrap())[0], (2, 2, 0, 0));
}

#[test]
fn only_rules_that_are_on_run_and_one_that_is_off_says_what_it_would_do() {
    let mut real = with_bad(2, 1);
    let rule = real.rule("r", BAD, Action::QueueReview).unwrap();
    let one = Wanted {
        rule: Some(rule),
        ..all()
    };
    real.switch(rule, false).unwrap();
    assert_eq!(real.run(all()).unwrap(), []);
    assert_eq!(real.run(one), Err(Refusal::Off(rule)));
    let would = real.run(Wanted { dry_run: true, ..one }).unwrap();
    assert_eq!(told_of(&would), [(1, 0, 1, 0)]);
    assert!(!real.switch(rule, false).unwrap().applied);
    real.switch(rule, true).unwrap();
    let since = Some(ms(real.script.now + 1));
    assert_eq!(told_of(&real.run(Wanted { since, ..one }).unwrap()), [(0, 0, 0, 0)]);
    assert_eq!(told_of(&real.run(one).unwrap()), [(1, 0, 1, 0)]);
    let unknown = Wanted { rule: Some(9), ..all() };
    assert_eq!(real.run(unknown), Err(Refusal::NoRule(9)));
}

#[test]
fn a_run_does_so_much_and_the_next_goes_on() {
    let mut real = with_bad(RUN_MAX + 5, RUN_MAX + 5);
    real.rule("r", BAD, Action::QueueReview).unwrap();
    let many = u32::try_from(RUN_MAX).unwrap();
    assert_eq!(told_of(&real.run(all()).unwrap()), [(many + 5, 0, RUN_MAX, 5)]);
    real.read_back();
    // The same request again does nothing more.
    let run = |real: &mut Real| {
        let mut runs = Vec::new();
        let decided = real.ask(("anna", None), Some("again"), 1, |ground| {
            let (decided, ran) = run_rules(ground, all())?;
            runs = ran;
            Ok(decided)
        });
        (decided.unwrap().drafts.len(), told_of(&runs))
    };
    assert_eq!(run(&mut real), (6, vec![(many + 5, many, 5, 0)]));
    let more = key(HOST, "s0");
    let more = real.ask(("bert", None), None, 1, |ground| {
        create_case(ground, &more, "why", None)
    });
    more.unwrap();
    assert_eq!(run(&mut real).0, 0);
}

#[test]
fn what_waits_for_review_ends_once_and_whoever_comes_later_does_not_change_it() {
    let mut real = with_bad(1, 1);
    real.rule("r", BAD, Action::QueueReview).unwrap();
    real.run(all()).unwrap();
    let own = real.ask(("web-01", Some("s0")), None, 1, |ground| {
        close(ground, How::Dismissed, 1, None)
    });
    assert_eq!(own, Err(Refusal::Own(Kept::Review)));
    assert!(real.close(How::Resolved, 1).unwrap().applied);
    assert!(
        !real.close(How::Dismissed, 1).unwrap().applied,
        "while it is on its way"
    );
    real.read_back();
    assert!(!real.close(How::Dismissed, 1).unwrap().applied);
    let end = real.script.fleet.reviews().queue().get(1).unwrap().end.clone();
    assert_eq!(end.unwrap().how, How::Resolved);
    assert_eq!(real.close(How::Resolved, 2), Err(Refusal::None(Kept::Review, 2)));
}

#[test]
fn an_alert_of_a_rule_stands_for_a_day_or_until_its_rule_is_off() {
    let mut real = with_bad(2, 1);
    let rule = real.rule("r", BAD, Action::EmitAlert).unwrap();
    real.run(all()).unwrap();
    real.read_back();
    let stand = |real: &Real| real.script.fleet.alerts().standing().len();
    assert_eq!(stand(&real), 1);
    real.script.pass(24 * 3600);
    // It is overdue from then on; before, nothing is.
    let at = due::due(&real.script.fleet).unwrap();
    assert!(at <= ms(real.script.now), "{at:?}");
    let drafts = due::expire(&real.script.fleet, &real.script.overlay, ms(real.script.now));
    let (clear, others): (Vec<_>, Vec<_>) = drafts
        .into_iter()
        .partition(|draft| draft.event_type().to_string() == "runtime.alert.cleared");
    assert_eq!(clear.len(), 1);
    assert!(
        others
            .iter()
            .all(|draft| draft.event_type().to_string() == "runtime.status.state_changed")
    );
    real.script.lead(clear);
    assert_eq!(stand(&real), 0);
    assert_eq!(told_of(&real.run(all()).unwrap()), [(1, 1, 0, 0)], "once is once");

    let other = real.rule("other", BAD, Action::EmitAlert).unwrap();
    real.run(all()).unwrap();
    real.read_back();
    assert_eq!(stand(&real), 1);
    real.switch(rule, false).unwrap();
    real.read_back();
    assert_eq!(stand(&real), 1, "it is another's");
    real.switch(other, false).unwrap();
    real.read_back();
    assert_eq!(stand(&real), 0);
}

#[test]
fn so_many_alerts_of_rules_stand_and_a_run_says_why_it_stops() {
    let sessions = ALERTS_MAX + 1;
    let mut real = with_bad(sessions, sessions);
    real.rule("r", BAD, Action::EmitAlert).unwrap();
    for _ in 0..ALERTS_MAX / RUN_MAX {
        real.run(all()).unwrap();
        real.read_back();
    }
    let stopped = real.run(all()).unwrap();
    assert_eq!(told_of(&stopped)[0].3, 1);
    assert_eq!(stopped[0].stopped, Some(Refusal::TooManyAlerts));
}

#[test]
fn a_name_stands_for_one_rule_and_one_that_is_off_gives_way() {
    let mut real = Real::with(1);
    let first = real.rule("r", BAD, Action::CreateCase).unwrap();
    assert_eq!(
        real.rule("r", BAD, Action::QueueReview),
        Err(Refusal::Taken("r".into(), first))
    );
    for n in 1..RULES_MAX {
        real.rule(&format!("r{n}"), BAD, Action::CreateCase).unwrap();
    }
    assert_eq!(
        real.rule("one-more", BAD, Action::CreateCase),
        Err(Refusal::TooManyRules)
    );
    real.switch(first, false).unwrap();
    let second = real.rule("r", "errors>3", Action::QueueReview).unwrap();
    real.read_back();
    let rules = real.script.fleet.reviews().rules();
    assert_eq!((rules.all().len(), rules.get(first)), (RULES_MAX, None));
    let second = rules.get(second).unwrap();
    assert_eq!((&*second.definition.filter, second.enabled), ("errors>3", true));
}

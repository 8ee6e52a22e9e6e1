use super::*;
use Verdict::{Clean, NeedsReview, NoChange, ReadyToCommit, ReadyToPush};

fn held() -> Known {
    Known {
        held: true,
        ..Known::default()
    }
}

fn reported(git: Git) -> Reported {
    Reported {
        git: Some(git),
        ..Reported::default()
    }
}

fn clean() -> Reported {
    reported(Git::default())
}

fn verdicts(known: &Known, reported: &Reported) -> (Verdict, Verdict, Option<Verdict>) {
    let Verdicts {
        next_step,
        memory,
        wrap_up,
    } = found(known, Extent::Closeout, reported).evaluation;
    (next_step, memory, wrap_up)
}

fn decided(known: &Known, reported: &Reported) -> Decisions {
    found(known, Extent::Closeout, reported)
        .decisions
        .expect("a closeout decides")
}

#[test]
fn what_was_not_reported_is_no_change_and_never_clean() {
    let nothing = Reported::default();
    assert_eq!(verdicts(&held(), &nothing), (NoChange, NoChange, Some(NoChange)));
    let decided = decided(&held(), &nothing);
    assert!(!decided.safe_clean_close, "nobody said that nothing would be lost");
    assert!(decided.can_clear_session);
}

#[test]
fn a_checkout_is_committed_then_pushed_then_clean() {
    let git = |changed_files, ahead| Git {
        changed_files,
        ahead,
        ..Git::default()
    };
    for (git, verdict, command, safe) in [
        (git(2, 1), ReadyToCommit, Some("git commit"), false),
        (git(0, 1), ReadyToPush, Some("git push"), false),
        (git(0, 0), Clean, Some("muster lease clear"), true),
    ] {
        let reported = reported(git);
        assert_eq!(verdicts(&held(), &reported), (verdict, NoChange, Some(verdict)));
        let decided = decided(&held(), &reported);
        assert_eq!(decided.recommended_next_command.as_deref(), command);
        assert_eq!((decided.safe_clean_close, decided.needs_full_handover), (safe, !safe));
    }
}

#[test]
fn whatever_waits_for_somebody_needs_review_and_a_choice() {
    let known = |change: fn(&mut Known)| {
        let mut known = held();
        change(&mut known);
        known
    };
    let waiting = [
        (known(|k| k.blocking_escalations = 1), "muster escalation list", false),
        (known(|k| k.open_approvals = 1), "muster approvals", false),
        (
            known(|k| (k.gates_unfinished, k.gates_blocked) = (1, 1)),
            "muster handoff write",
            true,
        ),
    ];
    for (known, command, can_clear) in waiting {
        let decided = decided(&known, &clean());
        assert_eq!(verdicts(&known, &clean()).0, NeedsReview);
        assert!(decided.requires_human_choice);
        assert_eq!(decided.recommended_next_command.as_deref(), Some(command));
        assert_eq!(
            (decided.can_clear_session, decided.safe_clean_close),
            (can_clear, false)
        );
    }
    let conflict = reported(Git {
        conflicts: 1,
        ..Git::default()
    });
    assert_eq!(verdicts(&held(), &conflict).0, NeedsReview);
}

#[test]
fn work_under_way_does_not_wrap_up_although_the_next_step_is_clear() {
    let delegated = Known {
        running_delegations: 1,
        ..held()
    };
    assert_eq!(verdicts(&delegated, &clean()), (Clean, NoChange, Some(NeedsReview)));
    assert!(!decided(&delegated, &clean()).can_clear_session);
    let open = Known {
        gates_unfinished: 1,
        handoff: true,
        ..held()
    };
    assert_eq!(verdicts(&open, &clean()), (NoChange, NoChange, Some(NeedsReview)));
    let decided_open = decided(&open, &clean());
    assert!(decided_open.needs_full_handover);
    assert_eq!(
        decided_open.recommended_next_command.as_deref(),
        Some("muster gate list")
    );
    let stale = Known { stale: true, ..held() };
    assert!(!decided(&stale, &clean()).can_clear_session);
    let paused = Known {
        risky_pause: true,
        ..held()
    };
    assert_eq!(verdicts(&paused, &clean()).2, Some(NeedsReview));
}

#[test]
fn what_was_learned_is_admitted_then_committed() {
    let learned = |candidates, changed| Reported {
        memory_candidates: candidates,
        memory_changed: changed,
        ..clean()
    };
    assert_eq!(verdicts(&held(), &learned(Some(1), None)).1, NeedsReview);
    assert_eq!(verdicts(&held(), &learned(None, Some(true))).1, ReadyToCommit);
    assert_eq!(verdicts(&held(), &learned(Some(0), None)).1, Clean);
    assert!(decided(&held(), &learned(Some(1), None)).requires_human_choice);
    let steps = |known: &Known, reported: &Reported| found(known, Extent::Closeout, reported).approval_steps;
    assert_eq!(steps(&held(), &clean()), Some(vec![]));
    let full = Known {
        pressure: Some(Pressure::Alert),
        blocking_escalations: 1,
        ..held()
    };
    let all = vec![Step::NextStep, Step::Recalibrate, Step::Memory, Step::WrapUp];
    assert_eq!(steps(&full, &learned(Some(1), None)), Some(all));
}

#[test]
fn a_checkpoint_leaves_out_what_a_closeout_adds_and_changes_nothing() {
    let known = Known {
        gates_unfinished: 2,
        ..held()
    };
    let (pulse, whole) = (
        found(&known, Extent::Checkpoint, &clean()),
        found(&known, Extent::Closeout, &clean()),
    );
    assert_eq!((&pulse.approval_steps, &pulse.decisions), (&None, &None));
    assert_eq!(pulse.evaluation.wrap_up, None);
    assert!(whole.evaluation.wrap_up.is_some() && whole.decisions.is_some());
    let reduced = Evaluation {
        evaluation: Verdicts {
            wrap_up: None,
            ..whole.evaluation
        },
        approval_steps: None,
        decisions: None,
        ..whole
    };
    assert_eq!(pulse, reduced);
}

//! What the leader concludes: from events, from silence, and from presence.

mod script;

use muster_domain::alert::AlertFact;
use muster_domain::audit::Audit;
use muster_domain::conclusion::{Cause, Conclusion, Draft};
use muster_domain::due::{self, Presence};
use muster_domain::fact::{Decision, Fact, HookBody, HostFact, Origin, ProcessFact, Recorded};
use muster_domain::fleet::{Applied, Fleet, Settings, Why};
use muster_domain::host::HostState;
use muster_domain::react;
use muster_domain::state::SessionState::{Lost, Starting, Unknown, WaitingApproval, Working};
use muster_domain::view;
use script::*;

fn changes(drafts: &[Draft]) -> Vec<&Conclusion> {
    drafts.iter().map(|draft| &draft.conclusion).collect()
}

#[test]
fn a_change_of_state_is_concluded_once() {
    let mut script = Script::new();
    script.off(session_start("startup"));
    let drafts = script.drafts.clone();
    assert!(matches!(
        changes(&drafts)[..],
        [Conclusion::StateChanged {
            from: None,
            to: Starting,
            ..
        }]
    ));
    for (n, draft) in drafts.iter().enumerate() {
        script.overlay.published(id(900 + n as u64), draft);
    }
    script.off(HookBody::Other);
    assert_eq!(script.drafts, [], "it is on its way");
    script.overlay = muster_domain::overlay::Overlay::new();
    script.write(drafts);
    script.off(HookBody::Other);
    assert_eq!(script.drafts, [], "it was read back");
    script.on("p1", prompt()).on("p1", ask("Bash"));
    let [
        Conclusion::StateChanged {
            from: Some(Starting),
            to: WaitingApproval,
            reason,
            ..
        },
    ] = changes(&script.drafts)[..]
    else {
        panic!("{:?}", script.drafts)
    };
    assert_eq!(reason.as_deref(), Some("Bash: uses Bash"));
}

#[test]
fn a_leader_that_caught_up_says_what_is_still_different_and_names_the_same_cause() {
    let mut script = Script::new();
    script.on("p1", prompt());
    let drafts = react::catch_up(&script.fleet, &script.overlay);
    assert_eq!(drafts, script.drafts);
    assert_eq!(drafts[0].identity(), script.drafts[0].identity());
    script.write(drafts);
    assert_eq!(react::catch_up(&script.fleet, &script.overlay), []);
}

#[test]
fn a_death_without_a_word_is_told_as_a_loss() {
    let mut script = Script::new();
    script.process(ProcessFact::Started(process(7))).on("p1", prompt());
    script.process(ProcessFact::Exited {
        process: process(7),
        status: Some(-9),
    });
    assert!(matches!(
        changes(&script.drafts)[..],
        [
            Conclusion::SessionLost { .. },
            Conclusion::StateChanged { to: Lost, .. }
        ]
    ));
}

#[test]
fn silence_makes_an_unwatched_session_unknown_after_fifteen_minutes() {
    let mut script = Script::new();
    script.on("p1", prompt());
    let due = due::due(&script.fleet).unwrap();
    assert_eq!(due, ms(script.now + 15 * 60 * 1000));
    let drafts = due::expire(&script.fleet, &script.overlay, due);
    assert!(matches!(drafts[0].cause, Cause::Silence { .. }));
    assert_eq!(due::expire(&script.fleet, &script.overlay, ms(due.as_millis() - 1)), []);
    script.overlay.published(id(900), &drafts[0]);
    assert_eq!(due::expire(&script.fleet, &script.overlay, due), []);
    script.pass(15 * 60).write(drafts);
    script.then(Unknown).because("silent");
    assert_eq!(due::due(&script.fleet), None);
    assert_eq!(script.drafts, [], "it is what was announced");
}

#[test]
fn a_watched_session_may_be_silent_while_its_host_is_there() {
    let mut script = Script::new();
    script
        .host(started_host())
        .process(ProcessFact::Started(process(7)))
        .on("p1", prompt());
    assert_eq!(due::due(&script.fleet), None);
    script.host(HostFact::Stopping);
    assert!(due::due(&script.fleet).is_some());
    script.host(started_host());
    assert_eq!(due::due(&script.fleet), None);
}

#[test]
fn presence_is_told_when_it_begins_ends_and_returns() {
    let mut script = Script::new();
    let host = host_name(HOST);
    let tell = |script: &mut Script, presence| {
        let draft = due::presence(&script.fleet, &script.overlay, &host, presence);
        let told = draft.as_ref().map(|draft| draft.conclusion.clone());
        script.write(draft.into_iter().collect());
        told
    };
    assert_eq!(tell(&mut script, Presence::Gone), None);
    assert_eq!(tell(&mut script, Presence::Present), Some(Conclusion::HostAdded));
    assert_eq!(tell(&mut script, Presence::Present), None);
    assert_eq!(tell(&mut script, Presence::Gone), Some(Conclusion::HostLost));
    assert_eq!(tell(&mut script, Presence::Gone), None);
    assert_eq!(tell(&mut script, Presence::Present), Some(Conclusion::HostReturned));
    script.host(HostFact::Stopping);
    assert_eq!(tell(&mut script, Presence::Gone), None, "it said so");
    assert_eq!(view::host(&script.fleet, &host).unwrap().state, HostState::Stopping);
}

#[test]
fn a_lost_host_is_told_of_each_of_its_sessions() {
    let mut script = Script::new();
    script.host(started_host()).on("p1", prompt());
    let drafts = script.drafts.clone();
    script.write(drafts);
    script.tell(event(0, "web-02", Some("other"), Fact::Noted));
    script.concluded(Decision::HostLost);
    assert!(matches!(
        changes(&script.drafts)[..],
        [Conclusion::StateChanged {
            from: Some(Working),
            to: Unknown,
            ..
        }]
    ));
}

#[test]
fn a_host_tells_its_version_and_what_is_wrong_with_it() {
    let mut script = Script::new();
    script.host(started_host()).host(HostFact::Degraded {
        reason: "hub away".to_owned(),
    });
    script.on("p1", prompt());
    let host = view::host(&script.fleet, &host_name(HOST)).unwrap();
    assert_eq!(host.version.as_deref(), Some("0.1.0"));
    assert_eq!(host.degraded.as_deref(), Some("hub away"));
    assert_eq!((host.sessions, host.live), (1, 1));
    script.host(HostFact::Recovered);
    assert_eq!(view::host(&script.fleet, &host_name(HOST)).unwrap().degraded, None);
}

fn observed(seq: u64, count: u64, of: u64) -> Recorded {
    let mut event = event(of, HOST, Some(SESSION), Fact::Noted);
    event.origin = Some(Origin {
        producer: spool(1),
        seq: count,
    });
    Recorded {
        seq,
        at: ms(seq.cast_signed()),
        event,
    }
}

#[test]
fn the_audit_counts_gaps_redeliveries_and_forks_as_the_fold_does() {
    let mut script = Script::new();
    let mut audit = Audit::new();
    let log = [
        (1, 1, 1),
        (2, 2, 2),
        (3, 2, 2),
        (4, 5, 5),
        (5, 5, 55),
        (6, 5, 55),
        (7, 3, 3),
    ];
    for (seq, count, of) in log {
        let recorded = observed(seq, count, of);
        let applied = script.fold(&recorded);
        audit.observe(&recorded, applied);
    }
    let report = audit.report();
    assert_eq!((report.gaps, report.doubles_applied), (1, 0));
    assert_eq!((report.redelivered, report.forked, report.at_seq), (2, 1, 7));
    let counters = script.fleet.counters();
    assert_eq!((script.fleet.gaps(), counters.redelivered, counters.forked), (1, 2, 1));
    let forked = react::react(&script.fleet, &script.overlay, &observed(7, 3, 3));
    assert!(matches!(
        forked.last().unwrap().conclusion,
        Conclusion::Alert(AlertFact::Raised(_))
    ));
}

#[test]
fn the_audit_would_see_a_double() {
    let mut audit = Audit::new();
    audit.observe(&observed(1, 1, 1), Applied::Changed);
    audit.observe(&observed(2, 1, 1), Applied::Changed);
    assert_eq!(audit.report().doubles_applied, 1);
}

#[test]
fn a_tombstone_fills_its_place() {
    let mut script = Script::new();
    let _ = script.fold(&observed(1, 1, 1));
    let _ = script.fold(&observed(2, 3, 3));
    assert_eq!(script.fleet.gaps(), 1);
    let mut tombstone = observed(3, 2, 2);
    tombstone.event.fact = Fact::Tombstone;
    assert_eq!(script.fold(&tombstone), Applied::Ignored(Why::NoBearing));
    assert_eq!(script.fleet.gaps(), 0);
}

#[test]
fn a_log_whose_beginning_aged_out_has_no_gap_before_what_is_left() {
    let mut fleet = Fleet::new(Settings::default());
    let mut audit = Audit::new();
    for recorded in [observed(100, 40, 40), observed(101, 42, 42)] {
        let applied = fleet.apply(&recorded);
        audit.observe(&recorded, applied);
    }
    assert_eq!((fleet.gaps(), audit.report().gaps), (1, 1));
}

#[test]
fn the_same_place_in_the_log_counts_once() {
    let mut fleet = Fleet::new(Settings::default());
    let recorded = observed(1, 1, 1);
    assert_eq!(fleet.apply(&recorded), Applied::Changed);
    assert_eq!(fleet.apply(&recorded), Applied::Ignored(Why::BelowWatermark));
}

#[test]
fn a_session_over_for_longer_than_the_retention_is_dropped() {
    let mut script = Script::new();
    script.on("p1", session_end()).pass(13 * 24 * 3600);
    script.tell(event(0, "web-02", Some("other"), Fact::Noted));
    assert_eq!(script.fleet.sessions().len(), 2);
    script.pass(2 * 24 * 3600);
    script.tell(event(0, "web-02", Some("other"), Fact::Noted));
    assert_eq!(script.fleet.sessions().len(), 1);
}

#[test]
fn a_decision_about_an_unknown_session_makes_none() {
    let mut fleet = Fleet::new(Settings::default());
    let lost = Fact::Decision(Decision::SessionLost {
        reason: "gone".to_owned(),
    });
    let recorded = Recorded {
        seq: 1,
        at: ms(1),
        event: event(1, HOST, Some(SESSION), lost),
    };
    assert_eq!(fleet.apply(&recorded), Applied::Ignored(Why::UnknownSession));
}

//! What is said of sessions, which are kept, and what there is room for.

use super::*;
use muster_domain::review::{CLOSED_MAX, Kept, OPEN_MAX, OPEN_OF_SESSION_MAX, SESSION_MAX, Sign, mine};

#[test]
fn of_what_one_speaker_said_the_latest_counts() {
    let mut real = Real::with(1);
    for (who, score) in [("anna", 5), ("bert", 1), ("anna", 2)] {
        real.say(who, 0, score).unwrap();
    }
    real.read_back();
    let feedback = real.script.fleet.reviews().feedback();
    let counting: Vec<u8> = feedback
        .of(&key(HOST, "s0"))
        .map(|word| word.annotation.score.unwrap().into())
        .collect();
    assert_eq!((counting, feedback.all().count()), (vec![1, 2], 3));
    assert_eq!(
        real.ask(("anna", None), None, 1, |ground| annotate(
            ground,
            &key(HOST, "s0"),
            Said::default()
        )),
        Err(Refusal::Nothing)
    );
}

#[test]
fn a_session_is_spoken_of_by_so_many_and_those_may_speak_again() {
    let mut real = Real::with(1);
    for n in 0..SESSION_MAX {
        real.say(&format!("u{n}"), 0, 3).unwrap();
    }
    assert_eq!(real.say("one-more", 0, 3), Err(Refusal::TooManySpeakers));
    real.say("u0", 0, 1).unwrap();
    real.read_back();
    let feedback = real.script.fleet.reviews().feedback();
    assert_eq!(feedback.of(&key(HOST, "s0")).count(), SESSION_MAX);
    assert_eq!(feedback.all().count(), SESSION_MAX, "what was replaced makes room");
}

#[test]
fn a_request_that_comes_again_is_done_once_and_its_name_stands_for_nothing_else() {
    let mut real = Real::with(2);
    let create = |real: &mut Real, digest| {
        let session = key(HOST, "s1");
        real.ask(("anna", None), Some("once"), digest, |ground| {
            create_case(ground, &session, "why", None)
        })
    };
    let first = create(&mut real, 1).unwrap();
    // Also before the first is read back.
    for _ in 0..2 {
        let again = create(&mut real, 1).unwrap();
        assert_eq!((again.drafts.len(), again.about, again.applied), (0, first.about, true));
        assert_eq!(again.soon.is_some(), !real.waiting.is_empty());
        real.read_back();
    }
    assert_eq!(create(&mut real, 2), Err(Refusal::Named("once".into())));
    assert_eq!(real.script.fleet.reviews().cases().files().count(), 1);
}

#[test]
fn a_case_is_archived_by_whoever_is_first_and_not_by_its_own_session() {
    let mut real = Real::with(1);
    let case = real.open(0).unwrap().about;
    let own = real.ask(("web-01", Some("s0")), None, 1, |ground| {
        close(ground, How::Archived, case, None)
    });
    assert_eq!(own, Err(Refusal::Own(Kept::Case)));
    let archive = |real: &mut Real, who: &str| {
        let decided = real.ask((who, None), None, 1, |ground| {
            close(ground, How::Archived, case, Some("done"))
        });
        decided.unwrap().applied
    };
    assert!(archive(&mut real, "anna"));
    assert!(!archive(&mut real, "bert"), "while the first is on its way");
    real.read_back();
    assert!(!archive(&mut real, "bert"));
    let file = real.script.fleet.reviews().cases().get(case).unwrap().clone();
    assert_eq!(file.end.unwrap().by.to_string(), "anna");
    assert_eq!(real.close(How::Archived, 99), Err(Refusal::None(Kept::Case, 99)));
}

#[test]
fn so_many_cases_are_open_and_no_more_also_while_they_are_on_their_way() {
    let last = OPEN_MAX / OPEN_OF_SESSION_MAX;
    let mut real = Real::with(last + 1);
    for n in 0..OPEN_MAX {
        if n % 100 == 0 {
            real.read_back();
        }
        real.open(n / OPEN_OF_SESSION_MAX).unwrap();
    }
    assert_eq!(real.open(last), Err(Refusal::TooMany(Kept::Case)));
    real.close(How::Archived, 1).unwrap();
    assert!(real.open(last).is_ok());
    for case in 2..=CLOSED_MAX as u64 + 10 {
        real.close(How::Archived, case).unwrap();
        real.read_back();
    }
    assert!(real.open(last).is_ok());
    let files = real.script.fleet.reviews().cases();
    let closed = files.files().filter(|file| file.end.is_some()).count();
    assert_eq!((closed, files.get(9)), (CLOSED_MAX, None), "the oldest are in the log");
}

#[test]
fn so_many_cases_of_one_session_are_open() {
    let mut real = Real::with(2);
    for _ in 0..OPEN_OF_SESSION_MAX {
        real.open(0).unwrap();
    }
    assert_eq!(real.open(0), Err(Refusal::TooManyOfSession(Kept::Case)));
    assert!(real.open(1).is_ok());
    real.close(How::Archived, 1).unwrap();
    assert!(real.open(0).is_ok());
}

#[test]
fn a_session_deserves_a_case_for_what_went_wrong_in_it_until_it_has_one() {
    let mut real = Real::with(4);
    assert_eq!(mine(&real.script.fleet, None), []);
    real.say("anna", 1, 1).unwrap();
    real.say("bert", 1, 2).unwrap();
    real.say("anna", 2, 5).unwrap();
    real.read_back();
    let failed = Fact::Turn(turn_ended("r1", 0, false, 10));
    real.script.tell(event(0, HOST, Some("s3"), failed));
    let proposals = mine(&real.script.fleet, None);
    let found: Vec<_> = proposals
        .iter()
        .map(|one| (one.session.id.as_str(), one.signs.iter().cloned().collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        found,
        [("s3", vec![Sign::FailedTurns(1)]), ("s1", vec![Sign::BadFeedback(2)])]
    );
    let later = ms(real.script.now + 1);
    assert_eq!(mine(&real.script.fleet, Some(later)), []);
    let case = real.open(1).unwrap().about;
    real.close(How::Archived, case).unwrap();
    real.read_back();
    assert_eq!(mine(&real.script.fleet, None).len(), 1, "nor once it had one");
}

#[test]
fn feedback_goes_with_its_session_and_cases_stay() {
    let mut real = Real::with(2);
    real.say("anna", 0, 1).unwrap();
    real.open(0).unwrap();
    real.read_back();
    let ended = Fact::Hook(Box::new(hook(None, session_end())));
    real.script.tell(event(0, HOST, Some("s0"), ended));
    real.script.pass(15 * 24 * 3600);
    let other = Fact::Hook(Box::new(hook(Some("p2"), prompt())));
    real.script.tell(event(0, HOST, Some("s1"), other));
    let fleet = &real.script.fleet;
    assert!(fleet.session(&key(HOST, "s0")).is_none());
    assert_eq!(fleet.reviews().feedback().all().count(), 0);
    assert_eq!(fleet.reviews().cases().files().count(), 1);
}

//! What is thought of sessions, beside a naive model of it: lists that are searched. Whatever is asked in whatever order,
//! also while what was decided before is still on its way, both know the same; and however the log is read, the state is the
//! same.

mod script;

use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::fact::{Decision, Fact, Recorded};
use muster_domain::fleet::{Fleet, Settings};
use muster_domain::lease::Ground;
use muster_domain::names::SessionId;
use muster_domain::review::{
    CLOSED_MAX, Decided, Label, OPEN_MAX, OPEN_OF_SESSION_MAX, Refusal, SESSION_MAX, Said, Score, Sign, annotate,
    archive_case, create_case, mine,
};
use proptest::prelude::*;
use script::*;
use std::collections::{BTreeMap, VecDeque};

/// A fleet with a few sessions, and those who speak of them.
struct Real {
    script: Script,
    log: Vec<Recorded>,
    /// On its way.
    waiting: VecDeque<Draft>,
    requests: u64,
}

impl Real {
    fn with(sessions: usize) -> Self {
        let mut real = Self {
            script: Script::new(),
            log: Vec::new(),
            waiting: VecDeque::new(),
            requests: 0,
        };
        for n in 0..sessions {
            let began = Fact::Hook(Box::new(hook(Some("p1"), prompt())));
            let told = real.script.tell(event(0, HOST, Some(&format!("s{n}")), began));
            real.log.push(told);
        }
        real
    }

    /// Somebody asks; what follows is on its way.
    fn ask(
        &mut self,
        who: (&str, Option<&str>),
        request: Option<&str>,
        digest: u64,
        ask: impl FnOnce(&Ground<'_>) -> Result<Decided, Refusal>,
    ) -> Result<Decided, Refusal> {
        self.requests += 1;
        let asker = Asker {
            caller: who.0.into(),
            operator: false,
            session: who.1.map(|id| SessionId::new(id).expect("an id")),
            request: request
                .map_or_else(|| format!("r{}", self.requests), str::to_owned)
                .into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest,
        };
        let decided = ask(&ground)?;
        for draft in decided.drafts.clone() {
            let place = self.script.seq + 1 + self.waiting.len() as u64;
            self.script.overlay.published(id(place), &draft);
            self.waiting.push_back(draft);
        }
        Ok(decided)
    }

    /// What is on its way comes back.
    fn read_back(&mut self) {
        while let Some(draft) = self.waiting.pop_front() {
            let Conclusion::Review(fact) = draft.conclusion else {
                panic!("it is of reviews: {draft:?}");
            };
            let session = draft.session.as_ref().map(SessionId::as_str);
            let told = event(0, HOST, session, Fact::Decision(Decision::Review(fact)));
            let told = self.script.tell(told);
            self.log.push(told);
        }
    }

    fn say(&mut self, who: &str, session: usize, score: u8) -> Result<Decided, Refusal> {
        let key = key(HOST, &format!("s{session}"));
        let said = Said {
            score: Score::try_from(score).ok(),
            ..Said::default()
        };
        self.ask((who, None), None, 1, |ground| annotate(ground, &key, said))
    }

    fn open(&mut self, session: usize) -> Result<Decided, Refusal> {
        let key = key(HOST, &format!("s{session}"));
        self.ask(("anna", None), None, 1, |ground| {
            create_case(ground, &key, "why", Some(Label::Bug))
        })
    }

    fn archive(&mut self, case: u64) -> Result<Decided, Refusal> {
        self.ask(("anna", None), None, 1, |ground| archive_case(ground, case, None))
    }
}

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
        archive_case(ground, case, None)
    });
    assert_eq!(own, Err(Refusal::OwnCase));
    let archive = |real: &mut Real, who: &str| {
        let decided = real.ask((who, None), None, 1, |ground| archive_case(ground, case, Some("done")));
        decided.unwrap().applied
    };
    assert!(archive(&mut real, "anna"));
    assert!(!archive(&mut real, "bert"), "while the first is on its way");
    real.read_back();
    assert!(!archive(&mut real, "bert"));
    let file = real.script.fleet.reviews().cases().get(case).unwrap().clone();
    assert_eq!(file.end.unwrap().by.to_string(), "anna");
    assert_eq!(real.archive(99), Err(Refusal::NoCase(99)));
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
    assert_eq!(real.open(last), Err(Refusal::TooManyCases));
    real.archive(1).unwrap();
    assert!(real.open(last).is_ok());
    for case in 2..=CLOSED_MAX as u64 + 10 {
        real.archive(case).unwrap();
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
    assert_eq!(real.open(0), Err(Refusal::TooManyOfSession));
    assert!(real.open(1).is_ok());
    real.archive(1).unwrap();
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
    real.archive(case).unwrap();
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

#[derive(Debug, Clone, Copy)]
enum Step {
    Say { who: u8, session: usize, score: u8 },
    Open(usize),
    Archive(u8),
    ReadBack,
}

/// What is known: who said which score of what session last, and cases with whether they are open.
#[derive(Debug, Default)]
struct Model {
    said: BTreeMap<(usize, u8), u8>,
    cases: Vec<(usize, bool)>,
}

impl Model {
    /// Whether it was done.
    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Say { who, session, score } => {
                self.said.insert((session, who), score);
                true
            }
            Step::Open(session) => {
                let open = self.cases.iter().filter(|case| **case == (session, true)).count();
                if open < OPEN_OF_SESSION_MAX {
                    self.cases.push((session, true));
                }
                open < OPEN_OF_SESSION_MAX
            }
            Step::Archive(case) => match self.cases.get_mut(usize::from(case)) {
                Some(case) => std::mem::replace(&mut case.1, false),
                None => false,
            },
            Step::ReadBack => true,
        }
    }
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8, 0..3usize, 1..=5u8).prop_map(|(who, session, score)| Step::Say { who, session, score }),
        3 => (0..2usize).prop_map(Step::Open),
        2 => (0..20u8).prop_map(Step::Archive),
        2 => Just(Step::ReadBack),
    ]
}

proptest! {
    #[test]
    fn whatever_is_asked_in_whatever_order_the_naive_model_knows_the_same(
        steps in prop::collection::vec(steps(), 1..80)
    ) {
        let (mut model, mut real) = (Model::default(), Real::with(3));
        for (n, step) in steps.into_iter().enumerate() {
            let done = match step {
                Step::Say { who, session, score } => real.say(&format!("u{who}"), session, score).is_ok(),
                Step::Open(session) => real.open(session).is_ok(),
                Step::Archive(case) => real.archive(u64::from(case) + 1).is_ok_and(|decided| decided.applied),
                Step::ReadBack => {
                    real.read_back();
                    true
                }
            };
            prop_assert_eq!(done, model.step(step), "step {}: {:?}", n, step);
        }
        real.read_back();
        let reviews = real.script.fleet.reviews();
        for session in 0..3 {
            let words = reviews.feedback().of(&key(HOST, &format!("s{session}")));
            let known: BTreeMap<String, u8> = words
                .map(|word| (word.annotation.by.to_string(), word.annotation.score.expect("a score").into()))
                .collect();
            let said = model.said.iter().filter(|((of, _), _)| *of == session);
            let expected: BTreeMap<String, u8> = said.map(|((_, who), score)| (format!("u{who}"), *score)).collect();
            prop_assert_eq!(known, expected);
        }
        let cases: Vec<_> = reviews.cases().files().map(|file| (file.opening.session.clone(), file.end.is_none())).collect();
        let expected: Vec<_> = model.cases.iter().map(|(of, open)| (key(HOST, &format!("s{of}")), *open)).collect();
        prop_assert_eq!(cases, expected);

        // Read again, with everything twice.
        let mut again = Fleet::new(Settings::default());
        for recorded in real.log.iter().flat_map(|recorded| [recorded, recorded]) {
            let _ = again.apply(recorded);
        }
        prop_assert_eq!(again.digest(), real.script.fleet.digest());
    }
}

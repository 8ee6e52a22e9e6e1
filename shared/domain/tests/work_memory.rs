//! What is known of the work on a workspace, from evidence to what everybody is told, as stories.

mod script;

use WriteOutcome::{
    Applied, DuplicateIdConflict, IdempotentNoop, OwnershipConflict, StaleSession, UnsupportedMultiwriter,
};
use muster_domain::asker::Asker;
use muster_domain::digest;
use muster_domain::lease::{self, Ground, LeaseKey, Mode as WorkMode, OwnerKind, Protected, Start, WriteOutcome};
use muster_domain::names::{Profile, SessionId, Workspace};
use muster_domain::work_memory::{
    Admit, CANDIDATES_MAX, Compact, Decay, Decided, EVIDENCE_MAX, Extract, Found, Kind, Mode, Plan, Promote, Reason,
    Refusal, Review, Scope, Source, Submit, WORKSPACES_MAX, WorkMemory, admit, compact, extract, promote, submit,
};
use script::*;
use std::time::Duration;

const DAY: i64 = 24 * 3600;

/// Workspaces, and a leader that decides.
struct Desk {
    script: Script,
    requests: u64,
    /// The request to be made next, where it is one made before.
    again: Option<u64>,
    operator: bool,
    protected: Protected,
    key: LeaseKey,
}

impl Desk {
    fn new() -> Self {
        Self {
            script: Script::new(),
            requests: 0,
            again: None,
            operator: false,
            protected: Protected::default(),
            key: workspace("/repo"),
        }
    }

    fn ground<T>(&mut self, what: &impl std::fmt::Debug, decide: impl FnOnce(&Self, &Ground<'_>) -> T) -> T {
        let request = self.again.take().unwrap_or_else(|| {
            self.requests += 1;
            self.requests
        });
        let asker = Asker {
            caller: "web-01".into(),
            operator: self.operator,
            session: None,
            request: format!("r{request}").into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest: digest::of(&format!("{what:?}")),
        };
        decide(self, &ground)
    }

    fn write(&mut self, decided: Decided) -> (WriteOutcome, u64) {
        if let Some(draft) = decided.write.draft {
            self.script.write(vec![*draft]);
        }
        (decided.write.outcome, decided.about)
    }

    fn try_submit(&mut self, text: &str) -> Result<(WriteOutcome, u64), Refusal> {
        let wanted = Submit {
            source: Source::Document,
            title: None,
            text: text.into(),
            digest: text.into(),
        };
        let decided = self.ground(&wanted, |desk, ground| {
            submit(ground, &desk.key, &desk.protected, &wanted)
        })?;
        Ok(self.write(decided))
    }

    fn submit(&mut self, text: &str) -> (WriteOutcome, u64) {
        self.try_submit(text).expect("there is room")
    }

    fn try_extract(&mut self, evidence: u64, found: &[(Kind, &str)]) -> Result<(WriteOutcome, u64), Refusal> {
        let found = found.iter().map(|(kind, text)| Found {
            kind: *kind,
            scope: Scope::Workspace,
            text: (*text).into(),
        });
        let wanted = Extract {
            evidence,
            found: found.collect(),
        };
        let decided = self.ground(&wanted, |desk, ground| {
            extract(ground, &desk.key, &desk.protected, &wanted)
        })?;
        Ok(self.write(decided))
    }

    fn extract(&mut self, evidence: u64, found: &[(Kind, &str)]) -> WriteOutcome {
        self.try_extract(evidence, found).expect("there is room").0
    }

    fn try_admit(&mut self, wanted: Admit) -> Result<(WriteOutcome, u64), Refusal> {
        let durable = self.durable();
        let decided = self.ground(&wanted, |desk, ground| {
            admit(ground, &desk.key, &desk.protected, &wanted, durable)
        })?;
        Ok(self.write(decided))
    }

    fn admit(&mut self, candidate: u64) -> WriteOutcome {
        self.try_admit(plainly(candidate)).expect("it may be admitted").0
    }

    fn promote(&mut self, entry: u64, to: Scope) -> Result<WriteOutcome, Refusal> {
        let (wanted, durable) = (Promote { entry, to }, self.durable());
        let decided = self.ground(&wanted, |desk, ground| {
            promote(ground, &desk.key, &desk.protected, wanted, durable)
        })?;
        Ok(self.write(decided).0)
    }

    fn durable(&self) -> Result<(), Box<str>> {
        if self.operator {
            Ok(())
        } else {
            Err("it needs an approval".into())
        }
    }

    fn compact(&mut self, wanted: Compact) -> (WriteOutcome, Plan) {
        let durable = self.operator;
        let (decided, plan) = self.ground(&wanted, |desk, ground| {
            compact(ground, &desk.key, &desk.protected, wanted, durable)
        });
        (self.write(decided).0, plan)
    }

    /// What a compaction of this kind takes away.
    fn removed(&mut self, mode: Mode, review: Review) -> Vec<(u64, Reason)> {
        let (_, preview) = self.compact(Compact {
            mode,
            review,
            remove: true,
            write: false,
        });
        let (outcome, plan) = self.compact(Compact {
            mode,
            review,
            remove: true,
            write: true,
        });
        assert_eq!(preview, plan, "a preview says what is done");
        assert_eq!(outcome == Applied, !plan.found.is_empty());
        plan.found.iter().map(|finding| (finding.id, finding.reason)).collect()
    }

    fn known(&self) -> WorkMemory {
        let known = self.script.fleet.work_memories().get(&self.key);
        known.cloned().unwrap_or_default()
    }

    fn told(&self, key: &LeaseKey) -> Vec<String> {
        let recalled = self.script.fleet.work_memories().recalled(key);
        recalled.iter().map(|(_, entry)| entry.text.to_string()).collect()
    }

    /// An entry that says this.
    fn entry(&mut self, kind: Kind, text: &str) -> u64 {
        let (_, evidence) = self.submit(&format!("evidence of {text} {}", self.requests));
        assert_eq!(self.extract(evidence, &[(kind, text)]), Applied);
        let id = self.known().candidates().last().expect("a candidate").id;
        assert_eq!(self.admit(id), Applied);
        id
    }

    /// A program holds the workspace for a minute.
    fn hold(&mut self, actor: &str) -> WriteOutcome {
        let wanted = Start {
            protected: by(actor),
            mode: WorkMode::Implement,
            owner_kind: OwnerKind::RuntimeWorker,
            supervisor: Some("boss".into()),
            ttl: Some(Duration::from_secs(60)),
            recover_stale: false,
            host: None,
        };
        let minted = SessionId::new(&format!("ses_{}", self.requests)).expect("a session id");
        let decided = self.ground(&wanted, |desk, ground| lease::start(ground, &desk.key, &wanted, minted));
        if let Some(draft) = decided.draft {
            self.script.write(vec![*draft]);
        }
        decided.outcome
    }
}

fn workspace(name: &str) -> LeaseKey {
    LeaseKey {
        profile: Profile::new("p").ok(),
        workspace: Workspace::new(name).expect("a workspace"),
    }
}

fn by(actor: &str) -> Protected {
    Protected {
        actor: Some(actor.into()),
        ..Protected::default()
    }
}

const fn plainly(candidate: u64) -> Admit {
    Admit {
        candidate,
        scope: None,
        decay: None,
        supersedes: None,
    }
}

#[test]
fn what_evidence_shows_is_admitted_and_told_to_whoever_works_there() {
    let mut desk = Desk::new();
    let (outcome, evidence) = desk.submit("the build broke without the linter");
    assert_eq!(outcome, Applied);
    let found = [
        (Kind::Rule, "run the linter first"),
        (Kind::Attempt, "tried without: broke"),
    ];
    assert_eq!(desk.extract(evidence, &found), Applied);
    let waiting: Vec<_> = desk.known().candidates().map(|one| (one.id, one.kind)).collect();
    assert_eq!(waiting, [(2, Kind::Rule), (3, Kind::Attempt)]);
    assert_eq!(desk.told(&workspace("/repo")), [""; 0], "nothing of it holds yet");
    assert_eq!(desk.admit(2), Applied);
    assert_eq!(desk.told(&workspace("/repo")), ["run the linter first"]);
    assert_eq!(desk.told(&workspace("/other")), [""; 0]);
    let entry = desk.known().entry(2).cloned().expect("an entry");
    assert_eq!((entry.evidence, entry.decay), (evidence, Decay::Permanent));
    let source = desk.known().evidence_of(evidence).cloned().expect("evidence");
    assert_eq!((source.candidates, source.duplicates), (2, 0));
}

#[test]
fn what_is_known_already_is_counted_and_affirmed_and_not_known_twice() {
    let mut desk = Desk::new();
    let (_, first) = desk.submit("one");
    assert_eq!(desk.submit("one"), (IdempotentNoop, first), "the same text");
    assert_eq!(
        desk.extract(
            first,
            &[(Kind::Rule, "run  the Linter"), (Kind::Rule, "run the linter")]
        ),
        Applied
    );
    assert_eq!(desk.known().candidates().count(), 1);
    assert_eq!(desk.admit(2), Applied);
    assert_eq!(desk.admit(2), IdempotentNoop);
    // The same evidence affirms nothing, other evidence does, once.
    assert_eq!(desk.extract(first, &[(Kind::Rule, "run the linter")]), IdempotentNoop);
    let (_, second) = desk.submit("two");
    assert_eq!(desk.extract(second, &[(Kind::Rule, "RUN the linter")]), Applied);
    assert_eq!(desk.extract(second, &[(Kind::Rule, "run the linter")]), IdempotentNoop);
    let entry = desk.known().entry(2).cloned().expect("an entry");
    assert_eq!((entry.affirmations, entry.seen_in), (1, second));
    assert!(entry.affirmed > entry.admitted);
    assert_eq!(desk.known().candidates().count(), 0);
    // What binds otherwise is something else.
    assert_eq!(desk.extract(second, &[(Kind::Observation, "run the linter")]), Applied);
}

#[test]
fn a_request_is_carried_out_once() {
    let mut desk = Desk::new();
    assert_eq!(desk.submit("one"), (Applied, 1));
    desk.again = Some(1);
    assert_eq!(desk.submit("one"), (IdempotentNoop, 1));
    desk.again = Some(1);
    assert_eq!(desk.submit("other").0, DuplicateIdConflict);
    assert_eq!(desk.known().revision(), 1);
    desk.protected.expected_revision = Some(7);
    assert_eq!(desk.submit("two").0, OwnershipConflict);
    desk.protected.expected_revision = Some(1);
    assert_eq!(desk.submit("two").0, Applied);
}

#[test]
fn where_a_program_works_only_it_and_its_supervisor_write() {
    let mut desk = Desk::new();
    assert_eq!(desk.submit("nobody holds it").0, Applied);
    assert_eq!(desk.hold("a"), Applied);
    assert_eq!(desk.submit("x").0, UnsupportedMultiwriter);
    desk.protected = by("b");
    assert_eq!(desk.submit("x").0, OwnershipConflict);
    for writer in ["a", "boss"] {
        desk.protected = by(writer);
        assert_eq!(desk.submit(writer).0, Applied, "{writer}");
    }
    desk.protected.session = SessionId::new("ses_99").ok();
    assert_eq!(desk.submit("x").0, OwnershipConflict, "other work");
    desk.protected = by("a");
    desk.script.pass(61);
    assert_eq!(desk.submit("x").0, StaleSession);
    let look = Compact {
        mode: Mode::Keep,
        review: Review::Expired,
        remove: false,
        write: false,
    };
    assert_eq!(desk.compact(look).0, IdempotentNoop, "anybody looks");
    assert_eq!(desk.compact(Compact { write: true, ..look }).0, StaleSession);
    desk.operator = true;
    assert_eq!(desk.submit("x").0, Applied);
}

#[test]
fn what_is_durable_an_operator_makes_and_takes_away() {
    let mut desk = Desk::new();
    let id = desk.entry(Kind::Rule, "run the linter");
    let refused = desk.promote(id, Scope::Profile).expect_err("an agent may not");
    assert_eq!(
        refused.to_string(),
        "it needs an approval: an operator has to change durable memory"
    );
    desk.operator = true;
    assert_eq!(desk.promote(id, Scope::Profile), Ok(Applied));
    assert_eq!(desk.promote(id, Scope::Profile), Ok(IdempotentNoop));
    assert_eq!(desk.promote(99, Scope::Profile), Err(Refusal::NoEntry(99)));
    desk.operator = false;
    assert_eq!(desk.promote(id, Scope::Profile), Ok(IdempotentNoop), "it is so already");
    // It is told in every workspace of the profile, and before what is narrower.
    let other = desk.entry(Kind::Rule, "mind the gap");
    assert_eq!(desk.told(&workspace("/other")), ["run the linter"]);
    assert_eq!(desk.told(&workspace("/repo")), ["run the linter", "mind the gap"]);
    assert_eq!(
        desk.told(&LeaseKey {
            profile: None,
            ..workspace("/other")
        }),
        [""; 0]
    );
    // An agent neither replaces it nor compacts it away.
    let (_, evidence) = desk.submit("newer");
    desk.extract(evidence, &[(Kind::Rule, "the linter runs by itself")]);
    let newer = desk.known().candidates().last().expect("a candidate").id;
    let instead = |of| Admit {
        supersedes: Some(of),
        ..plainly(newer)
    };
    assert!(matches!(desk.try_admit(instead(id)), Err(Refusal::Durable(_))));
    desk.script.pass(91 * DAY);
    assert_eq!(
        desk.removed(Mode::Decay, Review::Expired),
        [(other, Reason::Decayed), (newer, Reason::Decayed)]
    );
    desk.operator = true;
    assert_eq!(desk.removed(Mode::Decay, Review::Expired), [(id, Reason::Decayed)]);
}

#[test]
fn what_says_the_same_is_kept_once_by_what_binds_most() {
    let mut desk = Desk::new();
    let seen = desk.entry(Kind::Observation, "use tabs");
    let rule = desk.entry(Kind::Rule, "Use  tabs");
    let constraint = desk.entry(Kind::Constraint, "use tabs");
    assert_eq!(
        desk.removed(Mode::Keep, Review::Expired),
        [(seen, Reason::Duplicate), (constraint, Reason::Duplicate)]
    );
    assert_eq!(desk.known().entries().map(|entry| entry.id).collect::<Vec<_>>(), [rule]);
    assert_eq!(desk.removed(Mode::Keep, Review::Expired), []);
}

#[test]
fn each_class_is_kept_for_its_days_after_it_was_last_affirmed() {
    for (kind, days) in [(Kind::Rule, 90), (Kind::Heuristic, 30), (Kind::Attempt, 7)] {
        let mut desk = Desk::new();
        let id = desk.entry(kind, "it holds");
        desk.script.pass(days * DAY - 60);
        assert_eq!(desk.removed(Mode::Decay, Review::Expired), [], "{kind:?}");
        let (_, evidence) = desk.submit("it still does");
        assert_eq!(desk.extract(evidence, &[(kind, "it holds")]), Applied);
        desk.script.pass(days * DAY - 60);
        assert_eq!(desk.removed(Mode::Decay, Review::Expired), [], "{kind:?} was affirmed");
        desk.script.pass(60);
        assert_eq!(
            desk.removed(Mode::Decay, Review::Expired),
            [(id, Reason::Decayed)],
            "{kind:?}"
        );
    }
}

#[test]
fn a_review_finds_what_is_over_what_was_replaced_and_what_came_up_often() {
    let mut desk = Desk::new();
    assert_eq!(desk.hold("a"), Applied);
    desk.protected = by("a");
    let (_, evidence) = desk.submit("one");
    desk.extract(
        evidence,
        &[(Kind::Rule, "for now"), (Kind::Rule, "old"), (Kind::Rule, "new")],
    );
    let for_now = Admit {
        scope: Some(Scope::WorkStream),
        ..plainly(2)
    };
    assert_eq!(desk.try_admit(for_now), Ok((Applied, 2)));
    assert_eq!(desk.admit(3), Applied);
    let instead = Admit {
        supersedes: Some(3),
        ..plainly(4)
    };
    assert_eq!(desk.try_admit(instead), Ok((Applied, 4)));
    desk.operator = true;
    assert_eq!(desk.promote(3, Scope::Project), Err(Refusal::Superseded(3, 4)));
    desk.operator = false;
    assert_eq!(desk.told(&workspace("/repo")).len(), 2, "what was replaced is not told");
    assert_eq!(desk.removed(Mode::Review, Review::Expired), [], "the work goes on");
    for text in ["a", "b", "c"] {
        let (_, evidence) = desk.submit(text);
        desk.extract(evidence, &[(Kind::Rule, "new")]);
    }
    let look = Compact {
        mode: Mode::Review,
        review: Review::PromotionCandidate,
        remove: true,
        write: true,
    };
    let (outcome, plan) = desk.compact(look);
    assert_eq!(
        (outcome, plan.found.len()),
        (IdempotentNoop, 1),
        "what may be promoted is not removed"
    );
    assert_eq!(
        (plan.found[0].id, plan.found[0].reason),
        (4, Reason::PromotionCandidate)
    );
    assert_eq!(
        desk.removed(Mode::Review, Review::Superseded),
        [(3, Reason::Superseded)]
    );
    desk.script.pass(61);
    desk.operator = true;
    desk.protected = Protected::default();
    let cleared = desk.ground(&0, |desk, ground| lease::clear(ground, &desk.key, &by("a"), None));
    desk.script.write(vec![*cleared.draft.expect("it is cleared")]);
    assert_eq!(desk.removed(Mode::Review, Review::Expired), [(2, Reason::WorkOver)]);
}

#[test]
fn there_is_room_for_so_much_and_the_refusal_says_how_much() {
    let mut desk = Desk::new();
    for n in 0..EVIDENCE_MAX {
        assert_eq!(desk.submit(&format!("evidence {n}")).0, Applied);
    }
    let refused = desk.try_submit("one more").expect_err("there is no room");
    assert!(
        refused.to_string().starts_with("64 pieces of evidence wait"),
        "{refused}"
    );
    // The oldest that was looked at makes room; nothing that waits does.
    assert_eq!(desk.extract(3, &[(Kind::Rule, "three")]), Applied);
    assert_eq!(desk.submit("one more").0, Applied);
    assert_eq!(desk.known().evidence_of(3), None);
    assert_eq!(desk.known().evidence().count(), EVIDENCE_MAX);
    assert_eq!(desk.try_extract(3, &[(Kind::Rule, "x")]), Err(Refusal::NoEvidence(3)));
    let texts: Vec<String> = (0..32).map(|n| format!("candidate {n}")).collect();
    for (evidence, kind) in [(4, Kind::Rule), (5, Kind::Constraint), (6, Kind::Heuristic)] {
        let found: Vec<_> = texts.iter().map(|text| (kind, text.as_str())).collect();
        assert_eq!(desk.extract(evidence, &found), Applied);
    }
    let found: Vec<_> = texts.iter().map(|text| (Kind::Attempt, text.as_str())).collect();
    assert_eq!(desk.try_extract(7, &found), Err(Refusal::TooManyCandidates));
    assert_eq!(desk.known().candidates().count(), CANDIDATES_MAX - 31);
    desk.script.pass(8 * DAY);
    assert_eq!(desk.removed(Mode::Decay, Review::Expired).len(), CANDIDATES_MAX - 31);
}

#[test]
fn all_workspaces_together_know_so_much_and_what_knows_nothing_makes_room() {
    let mut desk = Desk::new();
    let long = "x".repeat(1000);
    let full = (0..WORKSPACES_MAX).find_map(|n| {
        desk.key = workspace(&format!("/full/{n}"));
        let texts: Vec<String> = (0..CANDIDATES_MAX).map(|n| format!("{n} {long}")).collect();
        let (_, evidence) = desk.try_submit("x").ok()?;
        let found: Vec<_> = texts.iter().map(|text| (Kind::Rule, text.as_str())).collect();
        desk.try_extract(evidence, &found).err()
    });
    assert_eq!(full, Some(Refusal::TooMuch));

    let mut desk = Desk::new();
    for n in 0..WORKSPACES_MAX {
        desk.key = workspace(&format!("/{n}"));
        assert_eq!(desk.submit("x").0, Applied);
        // One of them knows nothing.
        if n != 7 {
            assert_eq!(desk.extract(1, &[(Kind::Rule, "x")]), Applied);
        }
    }
    desk.key = workspace("/one-more");
    assert_eq!(desk.submit("x").0, Applied, "in its place");
    assert_eq!(desk.extract(1, &[(Kind::Rule, "x")]), Applied);
    assert_eq!(desk.script.fleet.work_memories().get(&workspace("/7")), None);
    desk.key = workspace("/another");
    assert_eq!(desk.try_submit("x"), Err(Refusal::TooManyWorkspaces));
}

#[test]
fn what_is_on_its_way_counts() {
    let mut desk = Desk::new();
    let wanted = |text: &str| Submit {
        source: Source::Log,
        title: None,
        text: text.into(),
        digest: text.into(),
    };
    let first = desk.ground(&0, |desk, ground| {
        submit(ground, &desk.key, &desk.protected, &wanted("x"))
    });
    let draft = first.expect("there is room").write.draft.expect("it is applied");
    desk.script.overlay.published(id(900), &draft);
    let again = desk.ground(&1, |desk, ground| {
        submit(ground, &desk.key, &desk.protected, &wanted("x"))
    });
    let again = again.expect("there is room");
    assert_eq!(
        (again.write.outcome, again.about, again.soon),
        (IdempotentNoop, 1, Some(id(900)))
    );
    let other = desk.ground(&2, |desk, ground| {
        submit(ground, &desk.key, &desk.protected, &wanted("y"))
    });
    assert_eq!(other.expect("there is room").about, 2);
}

//! Who works on what: every rule of the lifecycle as a story, and that no history breaks them.

mod script;

use WriteOutcome::{
    Applied, DuplicateIdConflict, IdempotentNoop, OwnershipConflict, StaleSession, UnsupportedMultiwriter,
};
use muster_domain::asker::Asker;
use muster_domain::digest;
use muster_domain::fact::{Decision, HostFact};
use muster_domain::lease::{
    Decided, Ground, HELD_BY_ONE, HELD_MAX, Heartbeat, Lease, LeaseKey, Mode, OwnerKind, Place, Protected, Refusal,
    Start, Takeover, WriteOutcome, clear, heartbeat, room, start, takeover,
};
use muster_domain::names::{SessionId, Workspace};
use proptest::prelude::*;
use script::*;
use std::time::Duration;

/// How long a worker's lease lasts in these stories, in seconds.
const TTL: i64 = 60;

/// A workspace, those who want it, and a leader that decides.
#[derive(Default)]
struct Work {
    script: Script,
    requests: u64,
    /// The request to be made next, where it is one made before.
    again: Option<u64>,
}

impl Work {
    fn decide(&mut self, what: &impl std::hash::Hash, decide: impl FnOnce(&Ground<'_>) -> Decided) -> WriteOutcome {
        let request = self.again.take().unwrap_or_else(|| {
            self.requests += 1;
            self.requests
        });
        let asker = Asker {
            caller: "web-01".into(),
            operator: false,
            session: None,
            request: format!("r{request}").into(),
        };
        let ground = Ground {
            fleet: &self.script.fleet,
            overlay: &self.script.overlay,
            now: ms(self.script.now),
            asker: &asker,
            digest: digest::of(what),
        };
        let decided = decide(&ground);
        if let Some(draft) = decided.draft {
            self.script.write(vec![*draft]);
        }
        decided.outcome
    }

    fn start(&mut self, actor: &str) -> WriteOutcome {
        self.start_as(worker(actor))
    }

    fn start_as(&mut self, wanted: Start) -> WriteOutcome {
        let minted = session(&format!("ses_{}", self.requests + 1));
        self.decide(&wanted, |ground| start(ground, &workspace(), &wanted, minted))
    }

    fn heartbeat(&mut self, actor: &str) -> WriteOutcome {
        self.heartbeat_from(actor, None)
    }

    fn heartbeat_from(&mut self, actor: &str, host: Option<&str>) -> WriteOutcome {
        let wanted = Heartbeat {
            protected: by(actor),
            activity: Some("building".into()),
            host: host.map(host_name),
        };
        self.decide(&wanted, |ground| heartbeat(ground, &workspace(), &wanted))
    }

    fn takeover(&mut self, actor: &str) -> WriteOutcome {
        let wanted = Takeover {
            protected: by(actor),
            reason: "it is silent".into(),
            host: None,
        };
        let minted = session(&format!("ses_{}", self.requests + 1));
        self.decide(&wanted, |ground| takeover(ground, &workspace(), &wanted, minted))
    }

    fn clear(&mut self, protected: &Protected) -> WriteOutcome {
        self.decide(protected, |ground| clear(ground, &workspace(), protected, None))
    }

    fn pass(&mut self, seconds: i64) -> &mut Self {
        self.script.pass(seconds);
        self
    }

    fn place(&self) -> Place {
        self.script
            .fleet
            .leases()
            .get(&workspace())
            .cloned()
            .unwrap_or_default()
    }

    fn lease(&self) -> Lease {
        self.place().lease.expect("somebody holds it")
    }
}

fn session(name: &str) -> SessionId {
    SessionId::new(name).expect("a session id")
}

fn workspace() -> LeaseKey {
    LeaseKey {
        profile: None,
        workspace: Workspace::new("/repo").expect("a workspace"),
    }
}

fn by(actor: &str) -> Protected {
    Protected {
        actor: Some(actor.into()),
        ..Protected::default()
    }
}

fn worker(actor: &str) -> Start {
    Start {
        protected: by(actor),
        mode: Mode::Implement,
        owner_kind: OwnerKind::RuntimeWorker,
        supervisor: Some("boss".into()),
        ttl: Some(Duration::from_secs(TTL as u64)),
        recover_stale: false,
        host: Some(host_name(HOST)),
    }
}

fn person() -> Start {
    Start {
        protected: Protected::default(),
        owner_kind: OwnerKind::Interactive,
        supervisor: None,
        ttl: None,
        ..worker("")
    }
}

#[test]
fn a_worker_starts_again_and_its_work_goes_on() {
    let mut work = Work::default();
    assert_eq!(work.start("ann"), Applied);
    let first = work.lease();
    work.pass(10);
    assert_eq!(work.start("ann"), Applied);
    assert_eq!((work.lease().session, work.lease().start_count), (first.session, 2));
    assert_eq!(work.place().revision, 2);
}

#[test]
fn what_somebody_keeps_nobody_else_starts() {
    let mut work = Work::default();
    work.start("ann");
    assert_eq!(work.start("bob"), OwnershipConflict);
    assert_eq!(work.start_as(person()), OwnershipConflict);
    assert_eq!(work.lease().actor.as_deref(), Some("ann"));
}

#[test]
fn a_person_and_a_program_do_not_share_work() {
    let mut work = Work::default();
    assert_eq!(work.start_as(person()), Applied);
    assert_eq!(work.start("ann"), OwnershipConflict);
    assert_eq!(work.start_as(person()), Applied, "people share");
    work.pass(8 * 3600 + 1);
    assert_eq!(
        work.start("ann"),
        Applied,
        "eight hours after the last start it is nobody's"
    );
    assert_eq!(work.lease().start_count, 1);
}

#[test]
fn heartbeats_keep_a_lease_and_nothing_else_does() {
    let mut work = Work::default();
    work.start("ann");
    for _ in 0..5 {
        work.pass(TTL - 10);
        assert_eq!(work.heartbeat("ann"), Applied);
    }
    assert_eq!(work.heartbeat("bob"), OwnershipConflict);
    work.pass(TTL + 1);
    assert_eq!(work.heartbeat("ann"), StaleSession);
    assert_eq!(work.lease().activity.as_deref(), Some("building"));
}

#[test]
fn an_actors_name_from_another_host_keeps_nothing_and_moves_nothing() {
    let mut work = Work::default();
    work.start("ann");
    assert_eq!(work.heartbeat_from("ann", Some("web-99")), OwnershipConflict);
    assert_eq!(work.heartbeat_from("ann", Some(HOST)), Applied);
    assert_eq!(work.lease().host, Some(host_name(HOST)));
}

#[test]
fn people_send_no_heartbeats() {
    let mut work = Work::default();
    assert_eq!(work.heartbeat("ann"), OwnershipConflict, "nobody holds it");
    work.start_as(person());
    assert_eq!(work.heartbeat("ann"), OwnershipConflict);
}

#[test]
fn ones_own_stale_work_is_recovered_on_request() {
    let mut work = Work::default();
    work.start("ann");
    let before = work.lease();
    work.pass(TTL + 1);
    assert_eq!(work.start("ann"), StaleSession);
    let recover = Start {
        recover_stale: true,
        ttl: None,
        ..worker("ann")
    };
    assert_eq!(work.start_as(recover), Applied);
    assert_eq!((work.lease().session, work.lease().ttl), (before.session, before.ttl));
    assert_eq!(work.heartbeat("ann"), Applied);
}

#[test]
fn stale_work_of_another_is_taken_over_with_a_new_name() {
    let mut work = Work::default();
    work.start("ann");
    let before = work.lease();
    assert_eq!(work.takeover("bob"), OwnershipConflict, "she keeps it");
    work.pass(TTL + 1);
    assert_eq!(work.start("bob"), StaleSession, "a start is no takeover");
    assert_eq!(work.takeover("ann"), OwnershipConflict, "it is her own");
    assert_eq!(work.takeover("bob"), Applied);
    let after = work.lease();
    assert_ne!(after.session, before.session);
    assert_eq!(
        (after.ttl, after.mode, after.supervisor),
        (before.ttl, before.mode, before.supervisor)
    );
    assert_eq!(
        (after.actor.as_deref(), after.owner_kind),
        (Some("bob"), OwnerKind::RuntimeWorker)
    );
    assert_eq!(work.heartbeat("ann"), OwnershipConflict);
}

#[test]
fn a_lost_host_keeps_nothing() {
    let mut work = Work::default();
    work.script.host(HostFact::Recovered);
    work.start("ann");
    assert_eq!(work.takeover("bob"), OwnershipConflict);
    work.script.concluded(Decision::HostLost);
    assert_eq!(work.takeover("bob"), Applied);
}

#[test]
fn what_nobody_keeps_is_forgotten_after_the_retention() {
    let retention = 14 * 24 * 3600;
    let mut work = Work::default();
    work.start("ann");
    work.pass(retention);
    work.script.host(HostFact::Recovered);
    assert_eq!(work.place().revision, 1, "it went stale a minute after it began");
    work.pass(TTL);
    work.script.host(HostFact::Recovered);
    assert_eq!(work.place(), Place::default());
    work.start("ann");
    work.pass(TTL / 2);
    assert_eq!(work.heartbeat("ann"), Applied);
    work.pass(retention);
    work.script.host(HostFact::Recovered);
    assert_eq!(work.place().revision, 2, "from the last heartbeat on");
    assert_eq!(work.clear(&by("ann")), Applied);
    work.pass(retention);
    work.script.host(HostFact::Recovered);
    assert_eq!(work.place(), Place::default(), "and so is what was cleared");
}

#[test]
fn nobody_holds_all_the_workspaces_there_may_be() {
    let mut script = Script::new();
    let asker = |caller: usize, request: &str| Asker {
        caller: format!("web-{caller}").into(),
        operator: false,
        session: None,
        request: request.into(),
    };
    let key = |name: String| LeaseKey {
        workspace: Workspace::new(&name).expect("a workspace"),
        ..workspace()
    };
    fn ground<'a>(script: &'a Script, asker: &'a Asker) -> Ground<'a> {
        Ground {
            fleet: &script.fleet,
            overlay: &script.overlay,
            now: ms(script.now),
            asker,
            digest: 0,
        }
    }
    let more = |script: &Script, asker: &Asker, name: &str| room(&ground(script, asker), &key(name.into()));
    for caller in 0..HELD_MAX / HELD_BY_ONE {
        for n in 0..HELD_BY_ONE {
            let begins = asker(caller, "r");
            let (key, worker) = (key(format!("/{caller}/{n}")), worker("ann"));
            let begun = start(&ground(&script, &begins), &key, &worker, session("ses_1"));
            let draft = begun.draft.expect("a start");
            if n + 1 == HELD_BY_ONE {
                script.overlay.published(id(u64::MAX), &draft);
                let full = more(&script, &asker(caller, "s"), "/more");
                assert_eq!(full, Err(Refusal::OfOne), "the last one is on its way");
                script.overlay.withdraw(id(u64::MAX));
            }
            script.write(vec![*draft]);
        }
    }
    let other = asker(HELD_MAX, "s");
    assert_eq!(more(&script, &other, "/more"), Err(Refusal::OfAll));
    assert_eq!(more(&script, &other, "/0/0"), Ok(()), "what is held goes on, if it may");
}

#[test]
fn a_persons_work_is_not_taken_over() {
    let mut work = Work::default();
    work.start_as(person());
    work.pass(9 * 3600);
    assert_eq!(work.takeover("bob"), OwnershipConflict);
}

#[test]
fn owner_and_supervisor_clear_a_programs_work_and_anybody_a_persons() {
    let mut work = Work::default();
    work.start("ann");
    assert_eq!(work.clear(&by("bob")), OwnershipConflict);
    assert_eq!(work.clear(&Protected::default()), UnsupportedMultiwriter);
    assert_eq!(work.clear(&by("boss")), Applied);
    assert_eq!(work.clear(&by("ann")), IdempotentNoop, "nobody holds it");
    work.start_as(person());
    assert_eq!(work.clear(&Protected::default()), Applied);
    assert_eq!(work.place().revision, 4);
}

#[test]
fn a_write_for_another_revision_or_other_work_is_not_applied() {
    let mut work = Work::default();
    work.start("ann");
    let stale = Protected {
        expected_revision: Some(7),
        ..by("ann")
    };
    assert_eq!(work.clear(&stale), OwnershipConflict);
    let other = Protected {
        session: Some(session("ses_other")),
        ..by("ann")
    };
    assert_eq!(work.clear(&other), OwnershipConflict);
    let right = Protected {
        expected_revision: Some(1),
        session: Some(work.lease().session),
        ..by("ann")
    };
    assert_eq!(work.clear(&right), Applied);
}

#[test]
fn the_same_request_is_done_once_and_another_under_its_name_never() {
    let mut work = Work::default();
    assert_eq!(work.start("ann"), Applied);
    work.again = Some(1);
    assert_eq!(work.start("ann"), IdempotentNoop);
    work.again = Some(1);
    assert_eq!(work.heartbeat("ann"), DuplicateIdConflict);
    assert_eq!(work.place().revision, 1);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Start(usize),
    Recover(usize),
    Person,
    Heartbeat(usize),
    Takeover(usize),
    Clear(usize),
    Pass(i64),
}

const ACTORS: [&str; 3] = ["ann", "bob", "boss"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3usize).prop_map(Step::Start),
        (0..3usize).prop_map(Step::Recover),
        Just(Step::Person),
        (0..3usize).prop_map(Step::Heartbeat),
        (0..3usize).prop_map(Step::Takeover),
        (0..3usize).prop_map(Step::Clear),
        prop_oneof![1..100i64, Just(9 * 3600)].prop_map(Step::Pass),
    ]
}

impl Work {
    fn step(&mut self, step: Step) -> Option<WriteOutcome> {
        Some(match step {
            Step::Start(n) => self.start(ACTORS[n]),
            Step::Recover(n) => self.start_as(Start {
                recover_stale: true,
                ..worker(ACTORS[n])
            }),
            Step::Person => self.start_as(person()),
            Step::Heartbeat(n) => self.heartbeat(ACTORS[n]),
            Step::Takeover(n) => self.takeover(ACTORS[n]),
            Step::Clear(n) => self.clear(&by(ACTORS[n])),
            Step::Pass(seconds) => {
                self.pass(seconds);
                return None;
            }
        })
    }
}

proptest! {
    #[test]
    fn nobody_loses_what_they_keep(steps in prop::collection::vec(step(), 0..60)) {
        let mut work = Work::default();
        for step in steps {
            let before = work.place();
            let now = ms(work.script.now);
            let outcome = work.step(step);
            let after = work.place();
            let applied = outcome == Some(Applied);
            prop_assert_eq!(after.revision, before.revision + u64::from(applied), "one revision a change");
            if !applied {
                prop_assert_eq!(&before.lease, &after.lease, "a refusal changes nothing");
            }
            let Some(held) = before.lease.filter(|held| held.stale_at() > now) else {
                continue;
            };
            let still = after.lease.as_ref().is_some_and(|lease| lease.session == held.session);
            let cleared = matches!(step, Step::Clear(n) if !held.owner_kind.is_autonomous()
                || held.actor.as_deref() == Some(ACTORS[n]) || held.supervisor.as_deref() == Some(ACTORS[n]));
            prop_assert!(still || cleared, "{step:?} ended work that was kept");
        }
    }

    #[test]
    fn a_repeated_request_changes_nothing(steps in prop::collection::vec(step(), 1..30)) {
        let mut work = Work::default();
        for step in steps {
            let made = work.requests;
            let first = work.step(step);
            if work.requests == made || first != Some(Applied) {
                continue;
            }
            let before = work.place();
            work.again = Some(work.requests);
            prop_assert_eq!(work.step(step), Some(IdempotentNoop));
            prop_assert_eq!(before, work.place());
        }
    }
}

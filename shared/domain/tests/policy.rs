//! Rules in force: one after the other, only over what the operator has seen, and the same on every replica.

mod script;

use muster_domain::approval::{ApprovalId, Asked, Kind};
use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::fact::{Decision, Fact, InputDigest};
use muster_domain::fleet::Fleet;
use muster_domain::names::{SessionId, ToolName};
use muster_domain::overlay::Overlay;
use muster_domain::policy::{Activated, Asking, Expected, Proposal, Refusal, Source, activate, ask};
use proptest::prelude::*;
use script::*;

#[derive(Default)]
struct Leader {
    script: Script,
    written: Vec<Draft>,
}

impl Leader {
    fn proposes(&mut self, who: &str, fingerprint: &str, expected: Option<Expected>) -> Result<Activated, Refusal> {
        let activated = activate(
            &self.script.fleet,
            &self.script.overlay,
            &asker(who),
            rules(fingerprint, expected),
        )?;
        if let Activated::Now(draft) = &activated {
            let event = id(1000 + self.written.len() as u64 + self.script.seq);
            self.script.overlay.published(event, draft);
            self.written.push((**draft).clone());
        }
        Ok(activated)
    }

    /// What was written comes back.
    fn settle(&mut self) -> &mut Self {
        for draft in std::mem::take(&mut self.written) {
            let Conclusion::Policy(fact) = draft.conclusion else {
                panic!("not about policy");
            };
            self.script
                .tell(event(0, "web-01", None, Fact::Decision(Decision::Policy(fact))));
        }
        // The ids of this script are its own; what was on its way has arrived.
        self.script.overlay = Overlay::new();
        self
    }

    fn active(&self) -> Option<(u64, String)> {
        let active = self.script.fleet.policy().active()?;
        Some((active.activation.version, active.activation.fingerprint.to_string()))
    }
}

fn asker(request: &str) -> Asker {
    Asker {
        caller: "anna".into(),
        operator: true,
        session: None,
        request: request.into(),
    }
}

fn rules(fingerprint: &str, expected: Option<Expected>) -> Proposal {
    Proposal {
        name: None,
        fingerprint: fingerprint.into(),
        sources: vec![Source {
            name: "a.cedar".into(),
            text: fingerprint.into(),
        }],
        expected,
    }
}

fn on(fingerprint: &str) -> Option<Expected> {
    Some(Expected::Fingerprint(fingerprint.into()))
}

#[test]
fn the_last_activation_in_the_log_counts() {
    let mut leader = Leader::default();
    assert_eq!(leader.script.fleet.policy().changed_seq(), 0);
    leader.proposes("r1", "a", Some(Expected::Nothing)).unwrap();
    assert_eq!(leader.settle().active(), Some((1, "a".to_owned())));
    leader.proposes("r2", "b", on("a")).unwrap();
    assert_eq!(leader.settle().active(), Some((2, "b".to_owned())));
    let versions: Vec<u64> = leader
        .script
        .fleet
        .policy()
        .history()
        .map(|past| past.version)
        .collect();
    assert_eq!(versions, [2, 1]);
    assert_eq!(leader.script.fleet.policy().changed_seq(), leader.script.seq);
}

#[test]
fn rules_replace_only_what_the_operator_has_seen() {
    let mut leader = Leader::default();
    leader.proposes("r1", "a", None).unwrap();
    let refused = leader.proposes("r2", "b", Some(Expected::Nothing));
    assert_eq!(
        refused,
        Err(Refusal::Moved {
            found: Some("a".into())
        }),
        "also while it is on its way"
    );
    leader.settle();
    assert!(leader.proposes("r3", "b", on("x")).is_err());
    leader.proposes("r4", "b", on("a")).unwrap();
    assert!(leader.proposes("r5", "c", on("a")).is_err());
    assert_eq!(leader.settle().active(), Some((2, "b".to_owned())));
}

#[test]
fn the_same_request_and_the_same_rules_activate_once() {
    let mut leader = Leader::default();
    leader.proposes("r1", "a", None).unwrap();
    assert!(matches!(leader.proposes("r1", "a", None), Ok(Activated::Soon(_))));
    leader.settle();
    assert_eq!(leader.proposes("r1", "a", None), Ok(Activated::Before));
    assert_eq!(
        leader.proposes("r2", "a", None),
        Ok(Activated::Before),
        "the same rules"
    );
    leader.proposes("r3", "b", None).unwrap();
    leader.settle();
    assert_eq!(
        leader.proposes("r1", "a", None),
        Ok(Activated::Before),
        "a late repetition activates nothing again"
    );
    assert_eq!(leader.active(), Some((2, "b".to_owned())));
}

#[test]
fn a_session_cannot_change_the_rules_it_is_under() {
    let leader = Leader::default();
    let of_session = Asker {
        session: SessionId::new("s1").ok(),
        ..asker("r1")
    };
    let refused = activate(
        &leader.script.fleet,
        &leader.script.overlay,
        &of_session,
        rules("a", None),
    );
    assert_eq!(refused, Err(Refusal::Own));
}

fn what(tool: &str) -> Asked {
    Asked {
        kind: Kind::PolicyCheck,
        tool: ToolName::new(tool).expect("a legal name"),
        call: None,
        subagent: None,
        prompt: None,
        digest: InputDigest(1),
        summary: None,
        cwd: None,
        permission_mode: None,
        input: None,
        suggestions: None,
        overflow: None,
    }
}

#[test]
fn a_check_asks_people_once_for_each_request() {
    let mut script = Script::new();
    script.tell(event(
        0,
        HOST,
        Some(SESSION),
        Fact::Hook(Box::new(hook(Some("p1"), prompt()))),
    ));
    let (approval, session) = (ApprovalId::of(id(77)), key(HOST, SESSION));
    let asks = |script: &Script, tool: &str| {
        ask(
            &script.fleet,
            &script.overlay,
            &asker("r1"),
            approval,
            Some(&session),
            what(tool),
            ms(60_000),
        )
    };
    let Ok(Asking::Now(draft)) = asks(&script, "Bash") else {
        panic!("the first asks");
    };
    script.overlay.published(id(500), &draft);
    assert_eq!(asks(&script, "Bash"), Ok(Asking::Soon(id(500))));
    script.write(vec![*draft]);
    script.overlay = Overlay::new();
    assert_eq!(asks(&script, "Bash"), Ok(Asking::Before));
    assert!(asks(&script, "Write").is_err(), "another question under the same id");
    assert_eq!(script.fleet.approvals().waiting(), 1);

    // What the agent does next says nothing about it: a request asked, not the agent's hooks.
    script.drafts.clear();
    script.hook(hook(Some("p2"), prompt()));
    let resolved = |draft: &Draft| matches!(draft.conclusion, Conclusion::Approval(_));
    assert!(!script.drafts.iter().any(resolved), "{:?}", script.drafts);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever asks for what in whatever order, versions count up by one and what is active is the last that was taken.
    #[test]
    fn versions_count_up_and_replicas_agree(
        steps in prop::collection::vec((0..6_u8, 0..4_u8, prop::option::of(0..4_u8), any::<bool>()), 1..40),
    ) {
        let mut leader = Leader::default();
        let mut expected: Vec<String> = Vec::new();
        for (request, rules, seen, settle) in steps {
            let (request, fingerprint) = (format!("r{request}"), format!("f{rules}"));
            let seen = seen.map(|seen| Expected::Fingerprint(format!("f{seen}").into()));
            if let Ok(Activated::Now(_)) = leader.proposes(&request, &fingerprint, seen) {
                expected.push(fingerprint);
            }
            if settle {
                leader.settle();
            }
        }
        leader.settle();
        let active = leader.active();
        prop_assert_eq!(active.as_ref().map(|(version, _)| *version), (!expected.is_empty()).then_some(expected.len() as u64));
        prop_assert_eq!(active.map(|(_, fingerprint)| fingerprint), expected.last().cloned());
        let kept = serde_json::to_string(&leader.script.fleet).unwrap();
        let restored: Fleet = serde_json::from_str(&kept).unwrap();
        prop_assert_eq!(restored.digest(), leader.script.fleet.digest());
    }
}

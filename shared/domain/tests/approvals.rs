//! Requests for permission: who answers, who comes too late, and that every one of them ends.

mod script;

use muster_domain::approval::{
    Answer, ApprovalFact, ApprovalId, AskEnd, By, Fallback, Kind, Outcome, Refusal, Resolution, Resolved, Scope, Stage,
    Verdict, resolve,
};
use muster_domain::asker::Asker;
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::fact::{Decision, Fact, HookBody, TurnFact};
use muster_domain::fleet::Fleet;
use muster_domain::names::SessionId;
use muster_domain::overlay::Overlay;
use muster_domain::react;
use muster_domain::state::SessionState::{Idle, WaitingApproval, Working};
use proptest::prelude::*;
use script::*;
use std::collections::BTreeMap;

/// Seconds that a hook waits in these stories.
const WAIT: i64 = 570;

/// A leader and its log.
#[derive(Default)]
struct Leader {
    script: Script,
}

impl Leader {
    /// A session in a turn, whose call of `tool` asks and is held.
    fn asked(tool: &str) -> (Self, ApprovalId) {
        let mut leader = Self::default();
        leader.tell("p1", prompt()).tell("p1", start(tool, "c1"));
        let id = leader.ask(tool);
        (leader, id)
    }

    fn tell(&mut self, prompt: &str, body: HookBody) -> &mut Self {
        self.script.on(prompt, body);
        self.settle()
    }

    fn ask(&mut self, tool: &str) -> ApprovalId {
        self.tell("p1", held_ask(tool, WAIT as u64 * 1000));
        let (id, _) = self.script.fleet.approvals().iter().last().expect("it was asked");
        id
    }

    fn host_says(&mut self, id: ApprovalId, end: AskEnd) -> &mut Self {
        let ask = id.event();
        self.script.turn(TurnFact::AskEnded { ask, end, reason: None });
        self.settle()
    }

    /// Time passes, and the leader looks at the clock each second as it does in life.
    fn pass(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds {
            self.script.pass(1);
            let now = ms(self.script.now);
            if due::due(&self.script.fleet).is_some_and(|at| at <= now) {
                self.script.drafts = due::expire(&self.script.fleet, &self.script.overlay, now);
                self.settle();
            }
        }
        self
    }

    /// Somebody answers; what they are told once it is folded.
    fn answer(&mut self, who: &str, answer: Answer) -> Result<bool, Refusal> {
        let asker = asker(who);
        match resolve(&self.script.fleet, &self.script.overlay, &asker, &answer)? {
            Resolved::Now(draft) => {
                self.script.drafts = vec![*draft];
                self.settle();
            }
            Resolved::Soon(_) | Resolved::Before => {}
        }
        let request = self
            .resolution(answer.id)
            .and_then(|resolution| resolution.request.clone());
        Ok(request.as_deref() == Some(who))
    }

    /// Writes what was concluded, and what follows from that, as the loop does.
    fn settle(&mut self) -> &mut Self {
        let mut drafts = std::mem::take(&mut self.script.drafts);
        while !drafts.is_empty() {
            let mut next = Vec::new();
            for draft in drafts {
                self.script.overlay.published(id(self.script.seq + 1), &draft);
                self.script.write(vec![draft]);
                next.append(&mut self.script.drafts);
            }
            drafts = next;
        }
        self
    }

    /// The leader dies; another one takes over.
    fn replaced(&mut self) -> &mut Self {
        self.script.overlay = Overlay::new();
        self.script.drafts = react::catch_up(&self.script.fleet, &self.script.overlay);
        self.settle()
    }

    fn resolution(&self, id: ApprovalId) -> Option<&Resolution> {
        let approval = self.script.fleet.approvals().get(id)?;
        approval.resolution.as_ref().map(|(_, resolution)| &**resolution)
    }

    fn outcome(&self, id: ApprovalId) -> Option<Outcome> {
        self.resolution(id).map(|resolution| resolution.outcome)
    }
}

fn asker(who: &str) -> Asker {
    Asker {
        caller: who.into(),
        operator: true,
        session: None,
        request: who.into(),
    }
}

fn yes(id: ApprovalId) -> Answer {
    Answer {
        id,
        verdict: Verdict::Approve,
        reason: None,
        scope: Scope::Once,
        interrupt: false,
        updated_input: None,
    }
}

fn no(id: ApprovalId, reason: &str) -> Answer {
    Answer {
        verdict: Verdict::Deny,
        reason: Some(reason.to_owned()),
        ..yes(id)
    }
}

fn approvals(drafts: &[Draft]) -> Vec<&ApprovalFact> {
    let mut facts = Vec::new();
    for draft in drafts {
        if let Conclusion::Approval(fact) = &draft.conclusion {
            facts.push(fact);
        }
    }
    facts
}

#[test]
fn an_ask_that_is_held_is_announced_with_the_call_it_is_about() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", start("Bash", "c1"));
    script.on("p1", held_ask("Bash", 570_000));
    let [
        ApprovalFact::Required {
            stage,
            deadline,
            asked,
            fallback,
            ..
        },
    ] = approvals(&script.drafts)[..]
    else {
        panic!("{:?}", script.drafts);
    };
    assert_eq!((*stage, *fallback), (Stage::Asked, Fallback::Agent));
    assert_eq!(*deadline, ms(script.now + 570_000));
    assert_eq!(asked.kind, Kind::PermissionRequest);
    assert_eq!(asked.call, Some(call("c1")));
    assert_eq!(asked.input.as_deref(), Some(r#"{"command":"uses Bash"}"#));
}

#[test]
fn an_ask_that_nobody_holds_is_no_approval() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", ask("Bash")).then(WaitingApproval);
    assert_eq!(script.fleet.approvals().waiting(), 0);
}

#[test]
fn an_approved_agent_works_although_its_call_goes_on() {
    let (mut leader, id) = Leader::asked("Bash");
    leader.script.then(WaitingApproval);
    assert_eq!(leader.answer("anna", yes(id)), Ok(true));
    leader.script.then(Working);
    leader.tell("p1", end("Bash", "c1")).tell("p1", stop());
    leader.script.then(Idle);
    assert_eq!(leader.outcome(id), Some(Outcome::Approved));
}

#[test]
fn the_first_answer_counts_and_every_other_is_told_whose_it_was() {
    let (mut leader, id) = Leader::asked("Bash");
    assert_eq!(leader.answer("anna", no(id, "not on a Friday")), Ok(true));
    assert_eq!(leader.answer("bert", yes(id)), Ok(false));
    assert_eq!(
        leader.answer("anna", no(id, "not on a Friday")),
        Ok(true),
        "the same request again"
    );
    let resolution = leader.resolution(id).unwrap();
    assert_eq!(resolution.outcome, Outcome::Denied);
    assert_eq!(resolution.by, By::Operator("anna".into()));
    assert_eq!(resolution.reason.as_deref(), Some("not on a Friday"));
}

#[test]
fn an_answer_on_its_way_makes_the_next_one_wait_for_it() {
    let (leader, id) = Leader::asked("Bash");
    let Script { fleet, mut overlay, .. } = leader.script;
    let Ok(Resolved::Now(draft)) = resolve(&fleet, &overlay, &asker("anna"), &yes(id)) else {
        panic!("the first is taken");
    };
    overlay.published(script::id(900), &draft);
    let second = resolve(&fleet, &overlay, &asker("bert"), &no(id, ""));
    assert_eq!(second, Ok(Resolved::Soon(script::id(900))));
}

#[test]
fn an_answer_at_the_terminal_ends_it_by_what_the_agent_does_next() {
    for next in [end("Bash", "c1"), HookBody::ToolsDone, stop(), prompt()] {
        let (mut leader, id) = Leader::asked("Bash");
        // A stop may race; clearly later it is an end.
        leader.script.pass(5);
        let turn = if matches!(next, HookBody::PromptGiven { .. }) {
            "p2"
        } else {
            "p1"
        };
        leader.tell(turn, next.clone());
        assert_eq!(leader.outcome(id), Some(Outcome::AnsweredElsewhere), "{next:?}");
        assert_eq!(leader.resolution(id).unwrap().by, By::Terminal);
        assert_eq!(leader.answer("anna", yes(id)), Ok(false));
    }
}

#[test]
fn the_hosts_word_ends_it_before_the_next_hook() {
    let (mut leader, id) = Leader::asked("Bash");
    leader.host_says(id, AskEnd::Answered);
    assert_eq!(leader.outcome(id), Some(Outcome::AnsweredElsewhere));
    let (mut leader, id) = Leader::asked("Bash");
    leader.host_says(id, AskEnd::Released);
    assert_eq!(leader.outcome(id), Some(Outcome::Withdrawn));
    assert_eq!(leader.resolution(id).unwrap().by, By::Host);
}

#[test]
fn another_host_neither_ends_an_ask_nor_changes_what_people_read_under_it() {
    let (mut leader, id) = Leader::asked("Bash");
    let before = leader.script.fleet.approvals().get(id).cloned();
    let ask = id.event();
    let released = TurnFact::AskEnded {
        ask,
        end: AskEnd::Released,
        reason: None,
    };
    let other = hook(Some("p1"), held_ask("Write", 60_000));
    for fact in [Fact::Turn(released), Fact::Hook(Box::new(other))] {
        leader.script.seq += 1;
        let mut stranger = event(0, "web-02", Some(SESSION), fact);
        stranger.id = ask;
        let recorded = muster_domain::fact::Recorded {
            seq: leader.script.seq,
            at: ms(leader.script.now + 1),
            event: stranger,
        };
        let _ = leader.script.fold(&recorded);
        leader.settle();
    }
    assert_eq!(leader.script.fleet.approvals().get(id).cloned(), before);
    assert_eq!(leader.answer("anna", yes(id)), Ok(true));
    assert_eq!(leader.script.fleet.approvals().iter().count(), 1);
}

#[test]
fn nobody_answers_so_it_is_announced_again_then_escalated_then_ends() {
    let (mut leader, id) = Leader::asked("Bash");
    let stage = |leader: &Leader| leader.script.fleet.approvals().get(id).unwrap().stage;
    assert_eq!(stage(&leader), Some(Stage::Asked));
    leader.pass(110);
    assert_eq!(stage(&leader), Some(Stage::Asked));
    leader.pass(12);
    assert_eq!(stage(&leader), Some(Stage::Reminded));
    leader.pass(180);
    assert_eq!(stage(&leader), Some(Stage::Escalated));
    assert_eq!(leader.outcome(id), None);
    leader.pass(WAIT);
    assert_eq!(leader.outcome(id), Some(Outcome::Expired));
    assert_eq!(leader.resolution(id).unwrap().fallback, Some(Fallback::Agent));
    assert_eq!(leader.answer("anna", yes(id)), Ok(false));
}

#[test]
fn a_session_that_is_over_waits_for_nobody() {
    let (mut leader, id) = Leader::asked("Bash");
    leader.tell("p1", session_end());
    assert_eq!(leader.outcome(id), Some(Outcome::Withdrawn));
    assert_eq!(leader.resolution(id).unwrap().by, By::SessionOver);
}

#[test]
fn a_session_does_not_answer_for_itself() {
    let (leader, id) = Leader::asked("Bash");
    let own = Asker {
        session: SessionId::new(SESSION).ok(),
        ..asker("web-01")
    };
    let Script { fleet, overlay, .. } = &leader.script;
    assert_eq!(resolve(fleet, overlay, &own, &yes(id)), Err(Refusal::Own));
    let unknown = ApprovalId::of(script::id(77_777));
    assert_eq!(
        resolve(fleet, overlay, &asker("anna"), &yes(unknown)),
        Err(Refusal::Unknown(unknown))
    );
}

#[test]
fn a_question_is_approved_with_its_answer_and_denied_without() {
    let mut leader = Leader::default();
    leader
        .tell("p1", prompt())
        .tell("p1", held_start("AskUserQuestion", "c1", 60_000));
    let (id, approval) = leader.script.fleet.approvals().iter().last().unwrap();
    assert_eq!(approval.asked.kind, Kind::Question);
    assert_eq!(leader.answer("anna", yes(id)), Err(Refusal::Unanswered));
    let answered = Answer {
        updated_input: Some(r#"{"answers":{"Which?":"the blue one"}}"#.to_owned()),
        ..yes(id)
    };
    assert_eq!(leader.answer("anna", answered), Ok(true));
}

#[test]
fn a_new_leader_announces_what_the_one_before_did_not() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", start("Bash", "c1"));
    script.on("p1", held_ask("Bash", 570_000));
    let first = script.drafts.clone();
    let again = react::catch_up(&script.fleet, &Overlay::new());
    let identities = |drafts: &[Draft]| -> Vec<String> {
        let of_approvals = drafts
            .iter()
            .filter(|draft| matches!(draft.conclusion, Conclusion::Approval(_)));
        of_approvals.map(Draft::identity).collect()
    };
    assert_eq!(identities(&first), identities(&again));
    assert_eq!(identities(&first).len(), 1);
}

#[test]
fn what_ended_is_remembered_for_a_day() {
    let (mut leader, id) = Leader::asked("Bash");
    leader.answer("anna", yes(id)).unwrap();
    let approval = leader.script.fleet.approvals().get(id).unwrap();
    assert_eq!(approval.asked.input, None, "its input is in the log");
    leader.script.pass(25 * 3600);
    leader.tell("p2", prompt());
    assert_eq!(leader.script.fleet.approvals().get(id), None);
}

/// What may happen to one of three asks.
#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(usize),
    Approve(usize),
    Deny(usize),
    Answered(usize),
    Released(usize),
    ToolEnded(usize),
    Pass(i64),
    Replaced,
    SessionEnds,
}

const CALLS: [(&str, &str); 3] = [("Bash", "c0"), ("Write", "c1"), ("Edit12", "c2")];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize).prop_map(Step::Ask),
        2 => (0..3usize).prop_map(Step::Approve),
        2 => (0..3usize).prop_map(Step::Deny),
        1 => (0..3usize).prop_map(Step::Answered),
        1 => (0..3usize).prop_map(Step::Released),
        1 => (0..3usize).prop_map(Step::ToolEnded),
        3 => (1..200i64).prop_map(Step::Pass),
        2 => Just(Step::Replaced),
        1 => Just(Step::SessionEnds),
    ]
}

/// The rules in their plainest form: each ask has a deadline, and what comes first ends it.
#[derive(Default)]
struct Reference {
    asks: BTreeMap<usize, (ApprovalId, i64, Option<Outcome>)>,
}

impl Reference {
    fn end(&mut self, which: usize, outcome: Outcome) {
        if let Some((_, _, ended @ None)) = self.asks.get_mut(&which) {
            *ended = Some(outcome);
        }
    }

    fn expire(&mut self, now: i64) {
        for (_, deadline, ended) in self.asks.values_mut() {
            if ended.is_none() && *deadline <= now {
                *ended = Some(Outcome::Expired);
            }
        }
    }
}

/// Runs a story against the leader and the reference; gives both.
fn run(steps: &[Step]) -> (Leader, Reference) {
    let mut leader = Leader::default();
    let mut reference = Reference::default();
    leader.tell("p1", prompt());
    let mut over = false;
    for step in steps {
        match *step {
            Step::Ask(n) if !reference.asks.contains_key(&n) && !over => {
                let (tool, call) = CALLS[n];
                leader.tell("p1", start(tool, call));
                let before: Vec<ApprovalId> = leader.script.fleet.approvals().iter().map(|(id, _)| id).collect();
                leader.tell("p1", held_ask(tool, WAIT as u64 * 1000));
                let new = leader.script.fleet.approvals().iter().map(|(id, _)| id);
                let id = new.into_iter().find(|id| !before.contains(id)).expect("a new one");
                let approval = leader.script.fleet.approvals().get(id).expect("it was asked");
                let asked = approval.at.as_millis();
                reference.asks.insert(n, (id, asked + WAIT * 1000, None));
            }
            Step::Approve(n) | Step::Deny(n) => {
                let Some((id, _, ended)) = reference.asks.get(&n).copied() else {
                    continue;
                };
                let approve = matches!(step, Step::Approve(_));
                let request = format!("r{n}-{}", leader.script.seq);
                let answer = if approve { yes(id) } else { no(id, "no") };
                let mine = leader.answer(&request, answer).expect("it is known");
                assert_eq!(mine, ended.is_none(), "one winner");
                reference.end(n, if approve { Outcome::Approved } else { Outcome::Denied });
            }
            Step::Answered(n) | Step::Released(n) => {
                let Some((id, _, _)) = reference.asks.get(&n).copied() else {
                    continue;
                };
                let answered = matches!(step, Step::Answered(_));
                leader.host_says(id, if answered { AskEnd::Answered } else { AskEnd::Released });
                let outcome = if answered {
                    Outcome::AnsweredElsewhere
                } else {
                    Outcome::Withdrawn
                };
                reference.end(n, outcome);
            }
            Step::ToolEnded(n) if !over => {
                let (tool, call) = CALLS[n];
                leader.tell("p1", end(tool, call));
                reference.end(n, Outcome::AnsweredElsewhere);
            }
            Step::Pass(seconds) => {
                leader.pass(seconds);
            }
            Step::Replaced => {
                leader.replaced();
            }
            Step::SessionEnds if !over => {
                over = true;
                leader.tell("p1", session_end());
                for n in 0..3 {
                    reference.end(n, Outcome::Withdrawn);
                }
            }
            Step::Ask(_) | Step::ToolEnded(_) | Step::SessionEnds => {}
        }
        reference.expire(leader.script.now);
        // Events move the clock too, and the leader looks at it.
        leader.pass(1);
        reference.expire(leader.script.now);
    }
    (leader, reference)
}

proptest! {
    #[test]
    fn every_story_ends_as_the_plain_rules_say(steps in prop::collection::vec(step(), 0..40)) {
        let (leader, reference) = run(&steps);
        for (id, _, outcome) in reference.asks.values() {
            prop_assert_eq!(leader.outcome(*id), *outcome);
        }
    }

    #[test]
    fn each_ends_once_and_none_is_left_after_its_deadline(steps in prop::collection::vec(step(), 0..40)) {
        let (mut leader, reference) = run(&steps);
        leader.pass(WAIT + 1);
        for (id, _, _) in reference.asks.values() {
            prop_assert!(leader.outcome(*id).is_some());
        }
        prop_assert_eq!(leader.script.fleet.approvals().waiting(), 0);
        prop_assert_eq!(due::expire(&leader.script.fleet, &Overlay::new(), ms(leader.script.now)), vec![]);
    }

    #[test]
    fn a_second_resolution_in_the_log_changes_nothing(steps in prop::collection::vec(step(), 0..30)) {
        let (leader, reference) = run(&steps);
        let mut fleet: Fleet = leader.script.fleet.clone();
        let mut seq = leader.script.seq;
        for (id, _, outcome) in reference.asks.values() {
            let Some(before) = outcome.and(leader.resolution(*id)).cloned() else {
                continue;
            };
            let other = Resolution { outcome: Outcome::Denied, by: By::Operator("late".into()), ..before.clone() };
            let fact = ApprovalFact::Resolved { id: *id, resolution: Box::new(other) };
            seq += 1;
            let late = muster_domain::fact::Recorded {
                seq,
                at: ms(leader.script.now + 1),
                event: event(seq, HOST, Some(SESSION), Fact::Decision(Decision::Approval(fact))),
            };
            let _ = fleet.apply(&late);
            let after = fleet.approvals().get(*id).and_then(|approval| approval.resolution.as_ref());
            prop_assert_eq!(after.map(|(_, resolution)| &**resolution), Some(&before));
        }
    }
}

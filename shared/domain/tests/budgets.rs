//! Budgets: counted, warned of, held, and let go.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "only one kind of conclusion is looked for"
)]

mod script;

use muster_domain::budget::{self, Change, Level, Measure, Reached, Rule, Scope, Settings, Standing, Subject, Window};
use muster_domain::conclusion::{Conclusion, Draft};
use muster_domain::due;
use muster_domain::fact::{Event, Fact, TurnFact};
use muster_domain::fleet::{self, Fleet};
use muster_domain::hold::{self, Order};
use muster_domain::names::AgentName;
use muster_domain::overlay::Overlay;
use muster_domain::react;
use proptest::prelude::*;
use script::*;
use std::collections::BTreeMap;

const FLEET: Scope = Scope::Fleet;
const EACH_SESSION: Scope = Scope::Session {
    host: None,
    session: None,
};

fn rule(scope: Scope, measure: Measure, limit: u64, window: Option<Window>) -> Rule {
    Rule {
        scope,
        measure,
        limit,
        window,
    }
}

fn usd(scope: Scope, dollars: u64) -> Rule {
    rule(scope, Measure::Usd, dollars * 1_000_000, None)
}

/// What was said of budgets and their holds, in short.
fn said(drafts: &[Draft]) -> Vec<String> {
    let short = |draft: &Draft| match &draft.conclusion {
        Conclusion::Budget(Change::Warned(reached)) => Some(format!("warned: {reached}")),
        Conclusion::Budget(Change::Exceeded(reached)) => Some(format!("exceeded: {reached}")),
        Conclusion::Hold(hold::Change::Set(Order { selector, .. })) => Some(format!("held: {selector}")),
        Conclusion::Hold(hold::Change::Released { reason, .. }) => {
            Some(format!("released: {}", reason.as_deref().unwrap_or("its time")))
        }
        _ => None,
    };
    drafts.iter().filter_map(short).collect()
}

impl Script {
    fn budget(&mut self, rule: Rule) -> Vec<String> {
        let request = format!("set {}", self.seq);
        let draft = budget::set(&self.fleet, rule, "op-anna", &request).unwrap();
        said(&self.lead(vec![draft]))
    }

    /// A run has cost this much so far.
    fn costs(&mut self, session: &str, dollars: u64) -> Vec<String> {
        let fact = Fact::Turn(turn_ended("r1", 0, true, dollars * 1_000_000));
        let told = event(0, HOST, Some(session), fact);
        self.tell(Event {
            agent: Some(AgentName::new("claude-code").unwrap()),
            ..told
        });
        said(&self.follow())
    }

    fn calls(&mut self, call: &str) -> Vec<String> {
        self.on("p1", start("Bash", call));
        said(&self.follow())
    }

    fn held(&self) -> usize {
        self.fleet.holds().in_force().count()
    }
}

#[test]
fn most_of_a_budget_is_warned_of_once_and_all_of_it_is_held_once() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    assert_eq!(script.costs("s1", 7), [""; 0]);
    assert_eq!(
        script.costs("s1", 8),
        ["warned: session s1 on web-01 used 8.00 USD of 10.00 USD"]
    );
    assert_eq!(script.costs("s1", 9), [""; 0]);
    assert_eq!(
        script.costs("s1", 10),
        [
            "exceeded: session s1 on web-01 used 10.00 USD of 10.00 USD",
            "held: session s1 on web-01"
        ]
    );
    assert_eq!(script.costs("s1", 25), [""; 0]);
    assert_eq!(script.held(), 1);
    let hold = script.fleet.holds().in_force().next().unwrap();
    assert_eq!(hold.order.by.to_string(), "budget session:*/usd");
    assert_eq!(
        hold.order.reason.as_deref(),
        Some("session s1 on web-01 used 10.00 USD of 10.00 USD")
    );
}

#[test]
fn what_is_spent_at_once_is_told_as_exceeded_alone() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    let told = script.costs("s1", 30);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("exceeded"));
}

#[test]
fn raising_a_budget_releases_its_hold_and_warns_anew() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    script.costs("s1", 10);
    assert_eq!(
        script.budget(usd(EACH_SESSION, 12)),
        [
            "released: the budget was raised",
            "warned: session s1 on web-01 used 10.00 USD of 12.00 USD"
        ]
    );
    assert_eq!(script.held(), 0);
    assert_eq!(script.costs("s1", 12).len(), 2);
}

#[test]
fn lowering_a_budget_holds_who_spent_it_already() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    script.costs("s1", 5);
    script.costs("s2", 3);
    assert_eq!(
        script.budget(usd(EACH_SESSION, 4)),
        [
            "exceeded: session s1 on web-01 used 5.00 USD of 4.00 USD",
            "held: session s1 on web-01"
        ]
    );
}

#[test]
fn removing_a_budget_releases_its_hold() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    script.costs("s1", 10);
    let draft = budget::remove(&script.fleet, "session:*/usd", "op-anna", "r9").unwrap();
    assert_eq!(said(&script.lead(vec![draft])), ["released: the budget was removed"]);
    assert_eq!((script.held(), script.fleet.budgets().in_force().count()), (0, 0));
    assert_eq!(script.costs("s1", 99), [""; 0]);
    assert_eq!(budget::remove(&script.fleet, "session:*/usd", "op-anna", "r10"), None);
}

#[test]
fn a_budget_of_many_counts_from_when_it_was_set_and_one_of_a_session_counts_it_whole() {
    let mut script = Script::new();
    script.costs("s1", 9);
    assert_eq!(script.budget(usd(FLEET, 10)), [""; 0]);
    script.budget(usd(Scope::Agent { agent: None }, 11));
    script.budget(usd(Scope::Host { host: None }, 12));
    assert_eq!(script.costs("s2", 7), [""; 0]);
    assert_eq!(script.costs("s1", 10), ["warned: the fleet used 8.00 USD of 10.00 USD"]);
    assert_eq!(
        script.costs("s1", 12),
        [
            "exceeded: the fleet used 10.00 USD of 10.00 USD",
            "held: all sessions",
            "warned: host web-01 used 10.00 USD of 12.00 USD",
            "warned: agent claude-code used 10.00 USD of 11.00 USD",
        ]
    );
    assert_eq!(
        script.budget(usd(EACH_SESSION, 12)),
        [
            "exceeded: session s1 on web-01 used 12.00 USD of 12.00 USD",
            "held: session s1 on web-01"
        ]
    );
}

#[test]
fn calls_per_minute_are_held_until_the_minute_passes() {
    let mut script = Script::new();
    script.now = 1_020_000;
    script.budget(rule(EACH_SESSION, Measure::Calls, 5, Some(Window::Minute)));
    let told: Vec<String> = (0..5).flat_map(|n| script.calls(&format!("c{n}"))).collect();
    assert_eq!(
        told,
        [
            "warned: session s1 on web-01 used 4 tool calls of 5 tool calls",
            "exceeded: session s1 on web-01 used 5 tool calls of 5 tool calls",
            "held: session s1 on web-01"
        ]
    );
    let until = due::due(&script.fleet).unwrap();
    assert_eq!(until, ms(1_080_000), "minutes are those of the clock");
    let ends = due::expire(&script.fleet, &script.overlay, until);
    script.now = until.as_millis();
    assert_eq!(said(&script.lead(ends)), ["released: its time"]);
    let told: Vec<String> = (5..9).flat_map(|n| script.calls(&format!("c{n}"))).collect();
    assert_eq!(told, ["warned: session s1 on web-01 used 4 tool calls of 5 tool calls"]);
    assert_eq!(script.held(), 0);
}

#[test]
fn what_a_leader_left_unsaid_is_said_by_the_next_and_only_that() {
    let mut script = Script::new();
    script.budget(usd(EACH_SESSION, 10));
    let fact = Fact::Turn(turn_ended("r1", 0, true, 10_000_000));
    script.tell(event(0, HOST, Some("s1"), fact));
    // The leader died here. Its successor has an overlay of its own.
    script.overlay = Overlay::new();
    let drafts = react::catch_up(&script.fleet, &script.overlay);
    let told = said(&script.lead(drafts));
    assert_eq!(told.len(), 2, "{told:?}");
    let drafts = react::catch_up(&script.fleet, &script.overlay);
    assert_eq!(said(&drafts), [""; 0]);
}

#[test]
fn a_budget_of_the_configuration_holds_from_the_first_event() {
    let settings = fleet::Settings {
        budgets: Settings {
            rules: vec![usd(FLEET, 1)],
            ..Settings::default()
        },
        ..fleet::Settings::default()
    };
    let mut script = Script::new();
    script.fleet = Fleet::new(settings);
    assert_eq!(script.costs("s1", 1).len(), 2);
    assert_eq!(script.budget(usd(FLEET, 5)), ["released: the budget was raised"]);
}

/// One step of spending.
#[derive(Debug, Clone)]
struct Spend {
    host: &'static str,
    session: &'static str,
    agent: &'static str,
    what: What,
    pass: u8,
}

#[derive(Debug, Clone)]
enum What {
    Cost(u32, u64),
    Call(usize),
}

fn spend() -> impl Strategy<Value = Spend> {
    let what = prop_oneof![
        (0..4u32, 0..20_000_000u64).prop_map(|(turn, cost)| What::Cost(turn, cost)),
        (0..40usize).prop_map(What::Call),
    ];
    let whose = prop::sample::select(vec![
        ("web-01", "s1", "claude-code"),
        ("web-01", "s2", "codex"),
        ("web-02", "s1", "codex"),
    ]);
    (whose, what, 0..30u8).prop_map(|((host, session, agent), what, pass)| Spend {
        host,
        session,
        agent,
        what,
        pass,
    })
}

fn told(spend: &Spend) -> Event {
    let fact = match spend.what {
        What::Cost(turn, cost) => Fact::Turn(turn_ended("r1", turn, true, cost)),
        What::Call(n) => Fact::Hook(Box::new(hook(Some("p1"), start("Bash", &format!("c{n}"))))),
    };
    Event {
        agent: Some(AgentName::new(spend.agent).unwrap()),
        ..event(0, spend.host, Some(spend.session), fact)
    }
}

fn everything() -> Vec<Rule> {
    let each = [
        FLEET,
        Scope::Host { host: None },
        Scope::Agent { agent: None },
        EACH_SESSION,
    ];
    let all = each.into_iter().flat_map(|scope| {
        [
            usd(scope.clone(), 30),
            rule(scope.clone(), Measure::Tokens, 60, Some(Window::Hour)),
            rule(scope, Measure::Calls, 10, Some(Window::Minute)),
        ]
    });
    all.collect()
}

fn budgeted() -> Script {
    let mut script = Script::new();
    script.fleet = Fleet::new(fleet::Settings {
        budgets: Settings {
            rules: everything(),
            ..Settings::default()
        },
        ..fleet::Settings::default()
    });
    script
}

proptest! {
    /// Running sums are what adding up all sessions gives, who spent all of it is held, and nobody else is.
    #[test]
    fn sums_and_holds_are_as_counting_anew_says(spends in prop::collection::vec(spend(), 0..60)) {
        let mut script = budgeted();
        for spend in &spends {
            script.pass(i64::from(spend.pass));
            let now = ms(script.now);
            let ends = due::expire(&script.fleet, &script.overlay, now);
            script.lead(ends.into_iter().filter(|draft| matches!(draft.conclusion, Conclusion::Hold(_))).collect());
            script.tell(told(spend));
            let drafts = std::mem::take(&mut script.drafts);
            let of_budgets = |draft: &Draft| matches!(draft.conclusion, Conclusion::Hold(_) | Conclusion::Budget(_));
            for draft in drafts.into_iter().filter(of_budgets) {
                script.overlay.published(id(script.seq + 1), &draft);
                script.write(vec![draft]);
            }
        }
        let mut anew: BTreeMap<Subject, u64> = BTreeMap::new();
        for (key, session) in script.fleet.sessions() {
            let cost = session.cost_micros().unwrap_or(0);
            let agent = session.agent().unwrap().clone();
            for subject in [
                Subject::Fleet,
                Subject::Host(key.host.clone()),
                Subject::Agent(agent),
                Subject::Session(key.clone()),
            ] {
                *anew.entry(subject).or_default() += cost;
            }
        }
        let now = ms(script.now);
        for (id, budget) in script.fleet.budgets().in_force() {
            for Standing { subject, spent, level, .. } in budget::standings(&script.fleet, id, now) {
                if budget.rule.window.is_none() {
                    prop_assert_eq!(spent, anew[&subject], "{} {}", id, &subject);
                }
                let plain = match spent {
                    all if all >= budget.rule.limit => Level::Exceeded,
                    most if most * 100 >= budget.rule.limit * 80 => Level::Warned,
                    _ => Level::Under,
                };
                prop_assert_eq!(level, plain, "{} of {} {}", spent, id, &subject);
                let of = |hold: &&hold::Hold| {
                    hold.order.selector == subject.selector() && hold.order.by.to_string() == format!("budget {id}")
                };
                let holds = script.fleet.holds().in_force().filter(of).count();
                prop_assert_eq!(holds, usize::from(level == Level::Exceeded), "{} {}", id, &subject);
            }
        }
    }

    /// What was told is told once: of each budget, each of those it is for, and each window.
    #[test]
    fn nothing_is_told_twice(spends in prop::collection::vec(spend(), 0..60)) {
        let mut script = budgeted();
        let mut seen: BTreeMap<(String, Subject, Option<i64>), Level> = BTreeMap::new();
        for spend in &spends {
            script.pass(i64::from(spend.pass));
            script.tell(told(spend));
            for draft in script.follow() {
                let (Reached { id, subject, until, .. }, level) = match draft.conclusion {
                    Conclusion::Budget(Change::Warned(reached)) => (reached, Level::Warned),
                    Conclusion::Budget(Change::Exceeded(reached)) => (reached, Level::Exceeded),
                    _ => continue,
                };
                let key = (id, subject, until.map(muster_domain::time::Timestamp::as_millis));
                let before = seen.insert(key.clone(), level);
                prop_assert!(before.is_none_or(|before| before < level), "{key:?}");
            }
        }
    }

    #[test]
    fn a_snapshot_and_the_rest_is_the_whole(
        spends in prop::collection::vec(spend(), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        let mut whole = budgeted();
        let cut = at.index(spends.len());
        let mut resumed = None;
        for (n, spend) in spends.iter().enumerate() {
            if n == cut {
                let text = serde_json::to_string(&whole.fleet).unwrap();
                resumed = Some(serde_json::from_str::<Fleet>(&text).unwrap());
            }
            whole.pass(i64::from(spend.pass));
            let recorded = whole.tell(told(spend));
            if let Some(resumed) = &mut resumed {
                let _ = resumed.apply(&recorded);
            }
        }
        let resumed = resumed.unwrap();
        prop_assert_eq!(resumed.digest(), whole.fleet.digest());
        prop_assert_eq!(resumed, whole.fleet);
    }
}

#[test]
fn tokens_count_too() {
    let mut script = Script::new();
    script.budget(rule(EACH_SESSION, Measure::Tokens, 30, None));
    let run = |turn| -> TurnFact { turn_ended("r1", turn, true, 0) };
    script.turn(run(0));
    assert_eq!(said(&script.follow()), [""; 0]);
    script.turn(run(1));
    assert_eq!(said(&script.follow()).len(), 2);
}

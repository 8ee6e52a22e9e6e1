//! Turns added up, and how much of what was asked for the numbers are of.

mod script;

use muster_domain::fact::{Fact, TurnFact};
use muster_domain::names::SessionId;
use muster_domain::view::{TurnFilter, summary, turn_stats};
use script::*;

fn turn(script: &mut Script, n: u32, seconds: i64, ok: bool) {
    let (prompt_id, call) = (format!("p{n}"), format!("c{n}"));
    script.on(&prompt_id, prompt()).on(&prompt_id, start("Bash", &call));
    script.pass(seconds - 3).on(&prompt_id, end("Bash", &call));
    let stopped = if ok {
        stop()
    } else {
        muster_domain::fact::HookBody::StopFailed {
            error: "overloaded".to_owned(),
        }
    };
    script.on(&prompt_id, stopped);
}

#[test]
fn durations_outcomes_and_tools_are_added_up() {
    let mut script = Script::new();
    for n in 0..20 {
        turn(
            &mut script,
            n,
            if n == 19 { 300 } else { 10 + i64::from(n) },
            n % 5 != 0,
        );
    }
    script.on("p99", prompt());
    let stats = turn_stats(&script.fleet, &TurnFilter::default());
    assert_eq!((stats.sessions, stats.turns), (1, 21));
    let outcomes: Vec<_> = stats.outcomes.iter().map(|(how, n)| (*how, *n)).collect();
    assert_eq!(outcomes, [("failed", 4), ("ok", 16), ("running", 1)]);
    assert_eq!(stats.results["overloaded"], 4);
    assert_eq!((stats.duration_ms.count, stats.duration_ms.p50), (20, 19_000));
    assert_eq!((stats.duration_ms.p95, stats.duration_ms.max), (28_000, 300_000));
    assert_eq!(stats.tools["Bash"], 20);
    assert_eq!((stats.covered.left_out, stats.covered.turns_of_a_session), (0, 32));
}

#[test]
fn tokens_cost_context_and_models_come_from_what_is_printed() {
    let mut script = Script::new();
    script.turn(TurnFact::ModelChanged {
        model: "opus".to_owned(),
    });
    for (index, so_far) in [(0, 100_000), (1, 300_000), (2, 900_000)] {
        script.turn(turn_ended("r1", index, index != 2, so_far));
    }
    script.turn(TurnFact::ContextChanged {
        used_tokens: 700,
        window_tokens: None,
    });
    let stats = turn_stats(&script.fleet, &TurnFilter::default());
    assert_eq!((stats.tokens.total(), stats.tokens_of_a_turn.average), (45, 15));
    assert_eq!(
        (
            stats.cost_micros.total,
            stats.cost_micros.average,
            stats.cost_micros.max
        ),
        (900_000, 300_000, 600_000)
    );
    assert_eq!((stats.context.count, stats.context.max), (1, 700));
    assert_eq!(stats.models["opus"], 3);
    assert_eq!((stats.tools["Bash"], stats.results["error_max_turns"]), (6, 1));
}

#[test]
fn what_is_no_longer_kept_is_said_to_be_left_out_where_it_may_have_been_meant() {
    let mut script = Script::new();
    for n in 0..40 {
        turn(&mut script, n, 10, true);
    }
    let all = turn_stats(&script.fleet, &TurnFilter::default());
    assert_eq!((all.turns, all.covered.left_out), (32, 8));
    let began = all.covered.from.unwrap();
    let since = |since| TurnFilter {
        since: Some(since),
        ..TurnFilter::default()
    };
    let before = turn_stats(&script.fleet, &since(ms(began.as_millis() - 1)));
    assert_eq!((before.turns, before.covered.left_out), (32, 8));
    let after = turn_stats(&script.fleet, &since(ms(began.as_millis() + 1)));
    assert_eq!((after.turns, after.covered.left_out), (31, 0));
}

#[test]
fn only_what_is_asked_for_is_added_up() {
    let mut script = Script::new();
    turn(&mut script, 1, 10, true);
    let other = Fact::Hook(Box::new(hook(Some("q1"), prompt())));
    script.tell(event(0, "web-02", Some("s2"), other));
    let of = |filter: TurnFilter| turn_stats(&script.fleet, &filter).turns;
    assert_eq!(of(TurnFilter::default()), 2);
    assert_eq!(
        of(TurnFilter {
            host: Some(host_name(HOST)),
            ..TurnFilter::default()
        }),
        1
    );
    assert_eq!(
        of(TurnFilter {
            session: SessionId::new("s2").ok(),
            ..TurnFilter::default()
        }),
        1
    );
    let agent = muster_domain::names::AgentName::new("codex").ok();
    assert_eq!(
        of(TurnFilter {
            agent,
            ..TurnFilter::default()
        }),
        0
    );
    assert_eq!(
        of(TurnFilter {
            since: Some(ms(script.now + 1)),
            ..TurnFilter::default()
        }),
        0
    );
}

#[test]
fn sessions_are_added_up_by_state_agent_model_and_host() {
    let mut script = Script::new();
    script.turn(TurnFact::ModelChanged {
        model: "opus".to_owned(),
    });
    script.turn(turn_ended("r1", 0, true, 250_000));
    script.on("p1", prompt()).on("p1", fail("Bash", "c1"));
    script.tell(event(0, "web-02", Some("s2"), Fact::Noted));
    let all = summary(&script.fleet, |_, _| true);
    assert_eq!(
        (all.total.sessions, all.total.tool_calls, all.total.failures),
        (2, 1, 1)
    );
    assert_eq!((all.total.tokens.total(), all.total.cost_micros), (15, Some(250_000)));
    assert_eq!(all.states.values().sum::<u64>(), 2);
    assert_eq!(all.models["opus"].sessions, 1);
    assert_eq!((all.hosts[HOST].turns, all.hosts["web-02"].turns), (2, 0));
    assert_eq!(all.tools["Bash"], 3, "two were printed, one was told");
    let one = summary(&script.fleet, |key, _| key.host.as_str() == "web-02");
    assert_eq!((one.total.sessions, one.total.cost_micros), (1, None));
    assert!(one.models.is_empty() && one.tools.is_empty());
}

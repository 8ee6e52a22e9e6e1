//! What people and programs read, told as stories.

mod script;

use muster_domain::fact::{Hook, HookBody, ToolOutcome, TurnFact};
use muster_domain::view::{Outcome, SpanKind, SpanView};
use script::*;

fn in_run(hook: Hook) -> Hook {
    Hook {
        run: Some(run("r1")),
        ..hook
    }
}

fn shape(spans: &[SpanView]) -> Vec<String> {
    spans
        .iter()
        .map(|span| {
            let inner = shape(&span.children).join(" ");
            format!("{}:{}:{}({inner})", span.kind.as_str(), span.name, span.outcome)
        })
        .collect()
}

/// The recorded run of a subagent, as hooks tell it.
fn subagent_run() -> Script {
    let mut script = Script::new();
    let inside = |body| in_subagent("a1", hook(Some("p1"), body));
    script.on("p1", prompt()).on("p1", start("Agent", "c0"));
    script.hook(inside(HookBody::SubagentStarted));
    script
        .hook(inside(start("Bash", "c1")))
        .hook(inside(fail("Bash", "c1")));
    script.hook(inside(HookBody::SubagentStopped));
    script.on("p1", spawned("Agent", "c0", "a1")).on("p1", stop());
    script
}

#[test]
fn a_subagent_hangs_below_the_call_that_started_it() {
    let script = subagent_run();
    let turn = &script.turns()[0];
    assert_eq!(
        shape(&turn.spans),
        ["tool:Agent:ok(subagent:Explore:ok(tool:Bash:failed()))"]
    );
    let totals = turn.spans[0].totals;
    assert_eq!((totals.tool_calls, totals.failures, totals.subagents), (2, 1, 1));
    let inner = &turn.spans[0].children[0];
    assert_eq!(inner.kind, SpanKind::Subagent);
    assert_eq!(inner.tool_use_id.as_ref().unwrap().as_str(), "c0");
    let call = &inner.children[0];
    assert_eq!(call.duration_ms, Some(11), "the agent's own measure");
    assert_eq!(call.error.as_deref(), Some("exit code 1"));
    assert_eq!(call.agent_id.as_ref().unwrap().as_str(), "a1");
}

#[test]
fn a_printed_link_places_a_subagent_while_its_call_runs() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", start("Agent", "c0"));
    script.hook(in_subagent("a1", hook(Some("p1"), HookBody::SubagentStarted)));
    assert_eq!(script.turns()[0].spans.len(), 2);
    script.turn(TurnFact::SubagentLinked {
        subagent: subagent("a1"),
        call: call("c0"),
    });
    assert_eq!(
        shape(&script.turns()[0].spans),
        ["tool:Agent:running(subagent:Explore:running())"]
    );
}

#[test]
fn links_in_a_circle_still_give_every_span_once() {
    let mut script = Script::new();
    let inside = |body| in_subagent("a1", hook(Some("p1"), body));
    script.on("p1", prompt()).hook(inside(spawned("Agent", "c1", "a1")));
    let turn = &script.turns()[0];
    assert_eq!(shape(&turn.spans), ["subagent:Explore:running(tool:Agent:ok())"]);
}

#[test]
fn a_call_without_an_end_is_abandoned_when_its_turn_is_over() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p1", start("Bash", "c1"));
    assert_eq!(script.turns()[0].spans[0].outcome, Outcome::Running);
    script.on("p1", stop());
    assert_eq!(script.turns()[0].spans[0].outcome, Outcome::Abandoned);
}

#[test]
fn a_turn_that_was_interrupted_is_abandoned_once_the_next_begins() {
    let mut script = Script::new();
    script.on("p1", prompt()).on("p2", prompt());
    let turns = script.turns();
    assert_eq!(turns[0].state, Outcome::Abandoned);
    assert_eq!(turns[1].state, Outcome::Running);
    assert_eq!(turns[1].preview.as_deref(), Some("fix the build"));
}

#[test]
fn a_wait_for_permission_is_a_span_of_its_call() {
    let mut script = Script::new();
    script
        .on("p1", prompt())
        .on("p1", start("Bash", "c1"))
        .on("p1", ask("Bash"));
    assert_eq!(
        shape(&script.turns()[0].spans),
        ["tool:Bash:running(permission:Bash:running())"]
    );
    script.on("p1", end("Bash", "c1"));
    let wait = &script.turns()[0].spans[0].children[0];
    assert_eq!(wait.outcome, Outcome::Ok);
    assert_eq!(
        wait.duration_ms,
        Some(960),
        "one second less the 40 ms that the call ran"
    );
    script.on(
        "p1",
        HookBody::ToolEnded {
            tool: used("Write", Some("c2")),
            outcome: ToolOutcome::Denied {
                reason: "no".to_owned(),
            },
            duration_ms: None,
            spawned: None,
        },
    );
    assert_eq!(script.turns()[0].spans[1].outcome, Outcome::Denied);
}

#[test]
fn printed_turns_are_joined_to_the_prompts_of_their_run_by_order() {
    let mut script = Script::new();
    script.turn(turn_ended("r1", 0, true, 100));
    script.hook(in_run(hook(Some("p1"), prompt()))).on("p1", stop());
    script.hook(in_run(hook(Some("p2"), prompt()))).on("p2", stop());
    script.turn(turn_ended("r1", 1, true, 250));
    let turns = script.turns();
    let costs: Vec<_> = turns.iter().map(|turn| turn.cost_micros).collect();
    assert_eq!(costs, [Some(100), Some(150)]);
    assert_eq!(turns[1].prompt.as_ref().unwrap().as_str(), "p2");
    assert_eq!(turns[1].run.as_ref().unwrap().index, 1);
    assert_eq!(turns[1].duration_ms, Some(900));
    assert_eq!(turns[1].tools["Bash"], 2);
    assert_eq!(turns[1].result.as_deref(), Some("success"));
}

#[test]
fn a_session_costs_what_its_runs_cost_at_last() {
    let mut script = Script::new();
    script
        .turn(turn_ended("r1", 0, true, 100))
        .turn(turn_ended("r1", 1, true, 250));
    script.turn(turn_ended("r2", 0, true, 40));
    let view = script.view();
    assert_eq!(view.cost_micros, Some(290));
    assert_eq!(view.tokens.total(), 45);
    assert_eq!(view.turns, 3);
}

#[test]
fn the_latest_word_on_folder_model_and_context_counts() {
    let mut script = Script::new();
    let words = |cwd: &str, model: &str| Hook {
        cwd: Some(cwd.to_owned()),
        model: Some(model.to_owned()),
        permission_mode: Some("plan".to_owned()),
        ..hook(Some("p1"), prompt())
    };
    script.hook(words("/a", "m1"));
    script.hook(in_subagent("a1", words("/worktree", "m0")));
    script.turn(TurnFact::ModelChanged { model: "m2".to_owned() });
    script.turn(TurnFact::ContextChanged {
        used_tokens: 1000,
        window_tokens: Some(200_000),
    });
    let view = script.view();
    assert_eq!(view.cwd.as_deref(), Some("/a"));
    assert_eq!(view.model.as_deref(), Some("m2"));
    assert_eq!(view.permission_mode.as_deref(), Some("plan"));
    assert_eq!(view.context.unwrap().used_tokens, 1000);
}

#[test]
fn old_turns_are_only_counted_and_a_late_hook_does_not_revive_one() {
    let mut script = Script::new();
    for n in 0..40 {
        let prompt_id = format!("p{n}");
        script.on(&prompt_id, prompt()).on(&prompt_id, end("Bash", "c1"));
        script.on(&prompt_id, stop());
    }
    let view = script.view();
    assert_eq!((view.turns, view.tool_calls, view.truncated), (40, 40, true));
    let turns = script.turns();
    assert_eq!((turns.len(), turns[0].index), (32, 8));
    let late = event(
        0,
        HOST,
        Some(SESSION),
        muster_domain::fact::Fact::Hook(Box::new(hook(Some("p1"), prompt()))),
    );
    let recorded = muster_domain::fact::Recorded {
        seq: script.seq + 1,
        at: ms(script.now + 5000),
        event: late,
    };
    let _ = script.fold(&recorded);
    script.then(muster_domain::state::SessionState::Idle);
    assert_eq!(script.view().turns, 40);
}

#[test]
fn calls_beyond_the_limit_of_a_turn_are_only_counted() {
    let mut script = Script::new();
    script.on("p1", prompt());
    for n in 0..520 {
        script.on("p1", fail("Bash", &format!("c{n}")));
    }
    let view = script.view();
    assert_eq!((view.tool_calls, view.failures), (520, 520));
    let turn = &script.turns()[0];
    assert_eq!((turn.spans.len(), turn.truncated), (512, 8));
}

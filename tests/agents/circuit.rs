//! A circuit with a real agent: its subagents fail, the next call of them is denied and the model is told why; an operator
//! says that they may run again, and they do.

use crate::place::{Place, bash};
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::{Value, json};
use std::time::Duration;

/// More than a failure needs to travel to the hub and come back as a rule.
const SETTLED: Duration = Duration::from_secs(3);

fn delegate(prompt: &str) -> Step {
    let input = json!({
        "description": "Try", "prompt": prompt, "subagent_type": "general-purpose", "run_in_background": false,
    });
    Step::tool("Agent", input)
}

async fn run(place: &Place, model: &ScriptedModel, prompt: &str) {
    let mut claude = place.run(model);
    // A failing model would be asked for minutes.
    claude.env("CLAUDE_CODE_MAX_RETRIES", "0");
    claude.args(["-p", prompt, "--permission-mode", "bypassPermissions"]);
    claude.args(["--output-format", "stream-json", "--verbose"]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN).await.success(), "{}", claude.stderr());
}

/// What the model read as the results of its calls.
fn results(model: &ScriptedModel) -> String {
    let asked = model.asked();
    let last = asked
        .iter()
        .max_by_key(|request| request["messages"].as_array().map_or(0, Vec::len));
    let messages = last.map_or(Value::Null, |request| request["messages"].clone());
    messages.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_keeps_failing_is_denied_with_the_reason_until_it_is_reset() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let rules = [
        Rule::new(
            "it will fail",
            [
                bash("echo hi", "Greet"),
                Step::text("never said").refused_first(99, 400),
            ],
        ),
        Rule::new("it will work", [Step::text("all-tests-are-green")]),
        Rule::new(
            "try three times",
            [
                delegate("it will fail"),
                delegate("it will fail"),
                delegate("it will fail"),
                delegate("it will work").after(SETTLED),
                Step::text("I give up."),
            ],
        ),
    ];
    let model = ScriptedModel::start(rules).await;
    run(&place, &model, "try three times").await;
    let told = results(&model);
    assert!(
        told.contains("circuit breaker for agent `general-purpose` is Open"),
        "{told}"
    );
    assert!(told.contains("it failed 3 times in a row"), "{told}");
    assert!(!told.contains("all-tests-are-green"), "the fourth call ran");
    let shown = place.json(&["circuit", "general-purpose"]);
    assert_eq!(
        (&shown["breaker"]["state"], &shown["breaker"]["consecutive_failures"]),
        (&json!("open"), &json!(3)),
        "each run counts once, though its call and its subagent both tell of it: {shown}"
    );

    let reset = place.muster(&["circuit", "reset", "general-purpose"]);
    assert_eq!(reset, "general-purpose may be run again\n");
    eventually(WITHIN, async || {
        let model = ScriptedModel::start([
            Rule::new("it will work", [Step::text("all-tests-are-green")]),
            Rule::new("try again", [delegate("it will work"), Step::text("Done.")]),
        ])
        .await;
        run(&place, &model, "try again").await;
        let told = results(&model);
        if told.contains("all-tests-are-green") {
            Ok(())
        } else {
            Err(told)
        }
    })
    .await;
    let shown = place.json(&["circuit", "general-purpose"]);
    assert_eq!(shown["breaker"]["state"], "closed", "{shown}");
}

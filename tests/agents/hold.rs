//! A hold, set while the real agent runs: its next call is denied with the reason in the model's view, and once the hold is
//! released calls run again.

use crate::place::{Place, bash};
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::Value;
use std::path::Path;

const REASON: &str = "a deploy runs until noon";

fn model(dir: &Path) -> Vec<Rule> {
    let path = |name: &str| dir.join(name).display().to_string();
    // The second call lasts until the test has seen it run and has set the hold, or is over and its folder gone.
    let wait = format!(
        "touch {waits}; while [ -e {waits} ] && [ ! -e {} ]; do sleep 0.05; done",
        path("go"),
        waits = path("waits"),
    );
    vec![
        Rule::new(
            "do the work",
            [
                bash("echo begun", "Begin"),
                bash(&wait, "Wait"),
                bash(&format!("touch {}", path("ran-while-held")), "Work"),
                Step::text("I was held."),
            ],
        ),
        Rule::new(
            "try again",
            [
                bash(&format!("touch {}", path("ran-after-release")), "Work"),
                Step::text("It works."),
            ],
        ),
    ]
}

fn prompt(place: &Place, model: &ScriptedModel, text: &str) -> Spawned {
    let mut claude = place.claude(model);
    claude.args(["-p", text, "--permission-mode", "bypassPermissions"]);
    Spawned::start(claude)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_denies_the_next_call_of_a_running_agent_and_a_release_lets_it_go_on() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let dir = place.project().to_owned();
    let model = ScriptedModel::start(model(&dir)).await;
    let mut claude = prompt(&place, &model, "do the work");
    eventually(WITHIN, async || dir.join("waits").exists().then_some(())).await;

    let held = place.json(&["hold", "--all", "--reason", REASON]);
    assert_eq!(held["unconfirmed"], serde_json::json!([]), "{held}");
    assert_eq!(held["hosts"][0]["host"], "web-01");
    std::fs::write(dir.join("go"), "").expect("a file");
    assert!(claude.wait(WITHIN).await.success(), "{}", claude.stderr());
    assert!(!dir.join("ran-while-held").exists());

    // What the model was told in place of a result.
    let asked = model.asked();
    let told = asked.last().expect("the model was asked").to_string();
    assert!(told.contains(REASON), "{told}");
    assert!(told.contains("do not retry"), "{told}");
    let shown = place.json(&["sessions", "list"]);
    let id = shown[0]["id"].as_str().expect("a session").to_owned();
    let verdicts: Vec<Value> = place
        .events(&id)
        .iter()
        .filter(|event| event["type"] == "agent.hook.pre_tool_use")
        .map(|event| event["data"]["muster"]["verdict"].clone())
        .collect();
    assert_eq!(verdicts.len(), 3, "{verdicts:?}");
    assert_eq!((&verdicts[0], &verdicts[1]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&verdicts[2]["decision"], &verdicts[2]["rule"]),
        (&"deny".into(), &held["id"])
    );

    place.muster(&["release", "--all"]);
    let hook = || async {
        let holds = place.json(&["holds"]);
        if holds.as_array().is_some_and(Vec::is_empty) {
            Ok(())
        } else {
            Err(holds)
        }
    };
    eventually(WITHIN, hook).await;
    let mut claude = prompt(&place, &model, "try again");
    assert!(claude.wait(WITHIN).await.success(), "{}", claude.stderr());
    eventually(WITHIN, async || dir.join("ran-after-release").exists().then_some(())).await;
}

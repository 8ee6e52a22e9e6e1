//! Work that a real agent hands on: asked for by a tool, done by the agent's own call, which carries the id, and over with it.

use crate::place::{Place, bash};
use muster_testkit::Spawned;
use muster_testkit::model::{QUOTED, Rule, ScriptedModel, Step};
use muster_tests::WITHIN;
use serde_json::json;

const SESSION: &str = "5b0d3c1e-1111-4a4a-8b8b-0123456789ab";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_an_agent_hands_on_is_followed_to_its_end() {
    let place = Place::up().await;
    let wish = json!({"session_id": SESSION, "agent": "general-purpose", "task": "count the files"});
    let call = json!({
        "description": "Count", "prompt": format!("{QUOTED}\ncount the files"), "subagent_type": "general-purpose",
        "run_in_background": false,
    });
    let model = ScriptedModel::start([
        Rule::new(
            "count the files",
            [bash("echo counted", "Count"), Step::text("There is one.")],
        ),
        Rule::new(
            "hand it on",
            [
                Step::tool("mcp__muster__agent_delegate", wish),
                Step::tool("Agent", call).quoting("muster-delegation: [0-9a-f-]{36}"),
                Step::text("Handed on."),
            ],
        ),
    ])
    .await;
    let mut claude = place.claude(&model);
    place.muster(&["enroll", "claude-code", "--mcp"]);
    claude.args(["-p", "hand it on", "--session-id", SESSION]);
    claude.args(["--permission-mode", "bypassPermissions"]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN).await.success(), "{}", claude.stderr());
    let followed = muster_testkit::eventually(WITHIN, async || {
        let followed: Vec<_> = place
            .events(SESSION)
            .into_iter()
            .filter(|event| {
                event["type"]
                    .as_str()
                    .is_some_and(|kind| kind.starts_with("runtime.delegation."))
            })
            .collect();
        if followed.len() < 3 {
            Err(followed)
        } else {
            Ok(followed)
        }
    })
    .await;
    let kinds: Vec<_> = followed
        .iter()
        .map(|event| event["type"].as_str().unwrap_or_default())
        .collect();
    let expected = ["queued", "running", "completed"].map(|kind| format!("runtime.delegation.{kind}"));
    assert_eq!(kinds, expected);
    let id = &followed[0]["data"]["delegation_id"];
    assert!(
        followed.iter().all(|event| event["data"]["delegation_id"] == *id),
        "{followed:?}"
    );
}

//! The real Claude Code as a client of the tools: it finds them once they are registered, calls them, and has its permissions
//! asked for by one of them.

use crate::place::{Place, bash};
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

fn tool(name: &str, input: Value) -> Step {
    Step::tool(&format!("mcp__muster__{name}"), input)
}

/// What the agent was told by its tools, in order, as the model read it.
fn told(model: &ScriptedModel) -> Vec<String> {
    let longest = model
        .asked()
        .into_iter()
        .max_by_key(|asked| asked["messages"].as_array().map_or(0, Vec::len))
        .expect("the model was asked");
    let messages = longest["messages"].as_array().cloned().unwrap_or_default();
    let blocks = messages
        .iter()
        .filter_map(|message| message["content"].as_array())
        .flatten();
    blocks
        .filter(|block| block["type"] == "tool_result")
        .map(|block| match block["content"].as_array() {
            Some(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            None => block["content"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_registered_tools_answer_the_real_agent() {
    let place = Place::up().await;
    let model = ScriptedModel::start([Rule::new(
        "look around",
        [
            tool("session_list", json!({})),
            tool("circuit_breaker_status", json!({"agent": "reviewer"})),
            tool(
                "memory_protect",
                json!({"session_id": "s", "used_tokens": 900, "window_tokens": 1000}),
            ),
            tool("session_status", json!({"session_id": "nobody"})),
            tool("circuit_reset", json!({"agent": "reviewer"})),
            Step::text("Seen."),
        ],
    )])
    .await;
    let mut claude = place.claude(&model);
    let before = std::fs::read(place.servers()).expect("the servers");
    place.muster(&["enroll", "claude-code", "--mcp"]);
    claude.args(["-p", "look around", "--permission-mode", "bypassPermissions"]);
    claude.args(["--output-format", "json"]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN).await.success());
    let id = json(&claude.stdout())["session_id"]
        .as_str()
        .expect("a session")
        .to_owned();

    let told = told(&model);
    let [sessions, circuit, memory, unknown, reset] = &told[..] else {
        panic!("{told:?}");
    };
    let sessions = json(sessions);
    let own = sessions
        .as_array()
        .and_then(|all| all.iter().find(|session| session["id"] == json!(id)));
    let own = own.unwrap_or_else(|| panic!("the agent's own session is not in {sessions}"));
    assert_eq!(
        (&own["status"], &own["host"], &own["agent"]),
        (&json!("Active"), &json!("web-01"), &json!("claude-code"))
    );
    assert_eq!(json(circuit)["breaker"]["state"], "closed");
    assert_eq!(json(memory)["pressure"], "Compact");
    assert!(unknown.contains("no such session: nobody"), "{unknown}");
    assert!(
        reset.contains("No such tool"),
        "what is an operator's is not offered to an agent: {reset}"
    );

    place.muster(&["unenroll", "claude-code"]);
    let after: Value = json(&String::from_utf8_lossy(
        &std::fs::read(place.servers()).expect("the servers"),
    ));
    assert!(
        after
            .get("mcpServers")
            .is_none_or(|servers| servers.get("muster").is_none()),
        "{after}"
    );
    assert!(!before.is_empty());
}

/// Claude Code with the tools and no hooks of ours; its permissions are asked for by a tool.
fn asking(place: &Place, model: &ScriptedModel, prompt_wait: &str) -> Command {
    let muster = place.muster_command();
    let args = ["mcp", "--nats", place.nats(), "--prompt-wait", prompt_wait];
    let servers = json!({"mcpServers": {"muster": {"type": "stdio", "command": muster, "args": args, "env": {}}}});
    let mut claude = place.claude(model);
    claude.args(["--mcp-config", &servers.to_string(), "--strict-mcp-config"]);
    claude.args(["--permission-prompt-tool", "mcp__muster__permission_prompt"]);
    claude.args(["--permission-mode", "default", "--output-format", "json"]);
    claude
}

/// The one approval that waits.
async fn waiting(place: &Place) -> Value {
    eventually(WITHIN, async || {
        let open = place.json(&["approvals"]);
        let rows = open
            .as_array()
            .or_else(|| open["approvals"].as_array())
            .cloned()
            .unwrap_or_default();
        rows.first().cloned().ok_or(open)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_asked_for_by_the_tool_is_answered_from_another_process() {
    let place = Place::up().await;
    let made = place.project().join("made.txt");
    let touch = bash(&format!("touch {}", made.display()), "Make a file");
    let remove = bash(&format!("rm {}", made.display()), "Remove it");
    let script = [touch, remove, Step::text("Done.")];
    let model = ScriptedModel::start([Rule::new("make a file", script)]).await;
    let mut claude = asking(&place, &model, "120");
    claude.args(["-p", "make a file"]);
    let mut claude = Spawned::start(claude);

    let first = waiting(&place).await;
    let shown = first.to_string();
    assert!(shown.contains("made.txt") && shown.contains("Bash"), "{shown}");
    assert!(!made.exists(), "it ran before it was allowed");
    let id = first["id"].as_str().expect("an id");
    place.muster(&["approve", id]);
    eventually(WITHIN, async || made.exists().then_some(()).ok_or("not made")).await;

    let second = eventually(WITHIN, async || {
        let next = waiting(&place).await;
        if next["id"] == first["id"] { Err(next) } else { Ok(next) }
    })
    .await;
    place.muster(&[
        "deny",
        second["id"].as_str().expect("an id"),
        "--reason",
        "it is still needed",
    ]);
    assert!(claude.wait(WITHIN).await.success());
    assert!(made.exists(), "what was denied was done");
    let told = told(&model);
    assert!(told[1].contains("it is still needed"), "{told:?}");
    let result = json(&claude.stdout());
    let events = place.events(result["session_id"].as_str().expect("a session"));
    let resolved: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str()?.strip_prefix("runtime.approval_resolved."))
        .collect();
    assert_eq!(resolved, ["approved", "denied"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_that_nobody_answers_is_denied_in_words() {
    let place = Place::up().await;
    let script = [bash("touch never.txt", "Make a file"), Step::text("Not done.")];
    let model = ScriptedModel::start([Rule::new("make a file", script)]).await;
    let mut claude = asking(&place, &model, "6");
    claude.args(["-p", "make a file"]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN + Duration::from_secs(10)).await.success());
    let told = told(&model);
    assert!(told[0].contains("nobody answered in time"), "{told:?}");
    assert!(!place.project().join("never.txt").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_agent_that_asks_by_hook_and_by_tool_one_answer_ends_both() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let made = place.project().join("made.txt");
    let touch = bash(&format!("touch {}", made.display()), "Make a file");
    let model = ScriptedModel::start([Rule::new("make a file", [touch, Step::text("Done.")])]).await;
    let mut claude = asking(&place, &model, "120");
    claude.args(["-p", "make a file"]);
    let mut claude = Spawned::start(claude);
    let ask = waiting(&place).await;
    place.muster(&["approve", ask["id"].as_str().expect("an id")]);
    assert!(claude.wait(WITHIN).await.success());
    assert!(made.exists(), "what was approved was not done");
    let result = json(&claude.stdout());
    let events = place.events(result["session_id"].as_str().expect("a session"));
    let resolved: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str()?.strip_prefix("runtime.approval_resolved."))
        .collect();
    let approved = resolved.iter().filter(|outcome| **outcome == "approved").count();
    assert_eq!(approved, 1, "{resolved:?}");
    let rest = resolved.iter().filter(|outcome| **outcome != "approved");
    assert!(
        rest.clone()
            .all(|outcome| ["answered_elsewhere", "withdrawn"].contains(outcome)),
        "{resolved:?}"
    );
    assert_eq!(place.json(&["approvals"]), json!([]));
}

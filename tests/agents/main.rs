//! The whole path with a real agent: Claude Code, led by a scripted model, reports through the installed hook; what it did
//! is in the session, in order and once each; the settings are afterwards what they were before.

mod alert;
mod approvals;
mod circuit;
mod delegation;
mod hold;
mod leader;
mod mcp;
mod parts;
mod place;
mod policy;
mod turns;

use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::tmux::Tmux;
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use place::{Place, bash};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// What the real CLI reports of the scripted run, in its own order.
const REPORTED: &[&str] = &[
    "session_start",
    "user_prompt_submit",
    "pre_tool_use",
    "post_tool_use",
    "post_tool_batch",
    "pre_tool_use",
    "post_tool_use",
    "post_tool_batch",
    "pre_tool_use",
    "post_tool_use_failure",
    "post_tool_batch",
    "pre_tool_use",
    "subagent_start",
    "pre_tool_use",
    "post_tool_use",
    "post_tool_batch",
    "subagent_stop",
    "post_tool_use",
    "post_tool_batch",
    "stop",
    "session_end",
];

fn model(notes: &std::path::Path) -> Vec<Rule> {
    let subagent = json!({
        "description": "Count files", "prompt": "count the files", "subagent_type": "general-purpose", "run_in_background": false,
    });
    vec![
        Rule::new(
            "count the files",
            [bash("echo counted", "Count"), Step::text("There is one.")],
        ),
        Rule::new(
            "take the tour",
            [
                bash("echo hello", "Greet"),
                Step::tool("Write", json!({ "file_path": notes, "content": "noted\n" })),
                bash("exit 3", "Fail"),
                Step::tool("Agent", subagent),
                Step::text("The tour is over."),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_the_real_agent_is_in_the_session_whole_and_once() {
    let place = Place::up().await;
    let before = std::fs::read(place.settings()).expect("the settings");
    place.muster(&["enroll", "claude-code"]);
    let enrolled = std::fs::read(place.settings()).expect("the settings");
    assert_ne!(enrolled, before);
    place.muster(&["enroll", "claude-code"]);
    assert_eq!(
        std::fs::read(place.settings()).expect("the settings"),
        enrolled,
        "enrolling twice changes something"
    );

    let model = ScriptedModel::start(model(&place.project().join("notes.txt"))).await;
    let mut claude = place.run(&model);
    claude.args(["-p", "take the tour", "--permission-mode", "bypassPermissions"]);
    claude.args(["--output-format", "stream-json", "--verbose"]);
    let mut claude = Spawned::start(claude);
    assert!(claude.wait(WITHIN).await.success());
    let printed: Vec<Value> = claude
        .stdout()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let result = printed
        .iter()
        .rfind(|frame| frame["type"] == "result")
        .expect("the agent printed its result");
    let id = result["session_id"].as_str().expect("a session").to_owned();

    // Every hook once, in order, from the log itself.
    let hooks = eventually(WITHIN, async || {
        let events = place.events(&id);
        let hooks: Vec<String> = events
            .iter()
            .filter_map(|event| event["type"].as_str()?.strip_prefix("agent.hook.").map(str::to_owned))
            .collect();
        if hooks.last().is_some_and(|last| last == "session_end") {
            Ok(hooks)
        } else {
            Err(hooks)
        }
    })
    .await;
    assert_eq!(hooks, REPORTED);
    assert!(place.own_hook_ran(), "the user's own hook no longer runs");

    let shown = eventually(WITHIN, async || {
        let shown = place.json(&["sessions", "show", &id]);
        if shown["session"]["state"] == "stopped" && shown["session"]["cost_usd"].is_number() {
            Ok(shown)
        } else {
            Err(shown["session"].clone())
        }
    })
    .await;
    let session = &shown["session"];
    assert_eq!(session["turns"], 1, "{session}");
    assert_eq!(session["agent"], "claude-code");
    let cost = (session["cost_usd"].as_f64(), result["total_cost_usd"].as_f64());
    let (Some(told), Some(own)) = cost else {
        panic!("no cost: {cost:?}")
    };
    assert!((told - own).abs() < 0.000_001, "{told} is shown, {own} was printed");
    assert_eq!(session["tokens"]["output"], result["usage"]["output_tokens"]);

    let turn = &shown["turns"][0];
    assert_eq!(turn["preview"], "take the tour");
    assert!(turn["duration_ms"].as_u64().is_some_and(|took| took > 0), "{turn}");
    let spans = turn["spans"].as_array().expect("spans");
    let brief: Vec<(&str, &str)> = spans
        .iter()
        .map(|span| (text(&span["tool"]), text(&span["outcome"])))
        .collect();
    assert_eq!(
        brief,
        [("Bash", "ok"), ("Write", "ok"), ("Bash", "failed"), ("Agent", "ok")]
    );
    assert!(
        spans
            .iter()
            .all(|span| span["duration_ms"].is_number() && span["tool_use_id"].is_string()),
        "{spans:?}"
    );
    let subagent = &spans[3]["children"][0];
    assert_eq!(
        (text(&subagent["kind"]), text(&subagent["agent_type"])),
        ("subagent", "general-purpose")
    );
    assert_eq!(text(&subagent["children"][0]["tool"]), "Bash");

    let audit = place.json(&["audit"]);
    assert_eq!(
        (&audit["gaps"], &audit["doubles_applied"]),
        (&json!(0), &json!(0)),
        "{audit}"
    );
    assert_eq!(audit["digest_live"], audit["digest_replay"]);

    place.muster(&["unenroll", "claude-code"]);
    assert_eq!(
        std::fs::read(place.settings()).expect("the settings"),
        before,
        "the settings are not what they were"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_terminal_session_is_lost_within_fifteen_seconds() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let model = ScriptedModel::start([Rule::new("wait for me", [bash("tail -f /dev/null", "Wait")])]).await;
    let mut command = place.claude(&model);
    command.args(["--permission-mode", "default", "--allowedTools", "Bash"]);
    let terminal = Tmux::start(&command);
    place.state("starting").await;
    let working = || place.json(&["sessions", "list"])[0]["state"] == "working";
    terminal.submit("wait for me", working).await;
    let id = place.state("working").await;

    let killed = Command::new("kill").args(["-9", &terminal.pid().to_string()]).status();
    assert!(killed.expect("kill runs").success());
    let lost = eventually(Duration::from_secs(15), async || {
        let shown = place.json(&["sessions", "show", &id]);
        if shown["session"]["state"] == "lost" {
            Ok(shown)
        } else {
            Err(shown["session"].clone())
        }
    })
    .await;
    assert!(lost["session"]["reason"].is_string(), "{lost}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

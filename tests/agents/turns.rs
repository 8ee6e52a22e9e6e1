//! The turn loop with the real agent: what its session is told from elsewhere becomes turns and changes of one conversation,
//! once each. The orchestrator is played by whoever publishes its decisions.

use crate::leader::{Leader, TURN_LOOP};
use crate::parts::Parts;
use crate::place::bash;
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::{Value, json};
use std::process::Command;

/// How often a text was said to the model, in the last request of its conversation.
fn said(model: &ScriptedModel, text: &str) -> usize {
    let asked = model.asked();
    let with = asked.iter().rfind(|request| request.to_string().contains(text));
    with.map_or(0, |request| request["messages"].to_string().matches(text).count())
}

pub(crate) fn message(body: &str) -> Value {
    json!({"kind": "message", "message": uuid::Uuid::new_v4().to_string(), "from": "op-anna", "body": body, "attempt": 1})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_loop_does_what_its_session_is_told_from_elsewhere() {
    let parts = Parts::start(0).await;
    let leader = Leader::of(&parts).await;
    let endless = bash("tail -f /dev/null", "Wait");
    let steps = [
        Step::text("One."),
        Step::text("Two."),
        Step::text("Three."),
        Step::text("Four."),
        endless,
    ];
    let model = ScriptedModel::start([Rule::new("hello loop", steps)]).await;
    let mut loop_ = Spawned::start(parts.turn_loop(&model, &["--prompt", "hello loop", "--model", "sonnet"]));
    let (session, run) = leader.carrier(None).await;

    // Two messages are two turns of one conversation.
    let first = leader.order(&session, Some(&run), message("look left")).await;
    let second = leader.order(&session, Some(&run), message("look right")).await;
    assert_eq!(leader.ended(&first).await, ["accepted", "done"]);
    assert_eq!(leader.ended(&second).await, ["accepted", "done"]);
    assert_eq!((said(&model, "look left"), said(&model, "look right")), (1, 1));
    let turns = leader.turns(&session, 3).await;
    assert_eq!(turns[1]["from"], "op-anna");
    assert_eq!(turns[2]["unread"], 0);
    let before = model.asked().last().expect("the model was asked")["model"].clone();
    assert!(before.as_str().is_some_and(|name| name.contains("sonnet")), "{before}");

    // The model from the next turn on.
    let switch = leader
        .order(&session, Some(&run), json!({"kind": "model", "model": "opus"}))
        .await;
    assert_eq!(leader.ended(&switch).await, ["accepted", "done"]);
    let next = leader
        .order(&session, Some(&run), message("with whom do I speak?"))
        .await;
    assert_eq!(leader.ended(&next).await, ["accepted", "done"]);
    let after = model.asked().last().expect("the model was asked")["model"].clone();
    assert!(after.as_str().is_some_and(|name| name.contains("opus")), "{after}");

    // An interruption ends the running turn, and the loop takes the next one.
    let stuck = leader.order(&session, Some(&run), message("wait for ever")).await;
    leader.event(&session, "agent.hook.pre_tool_use").await;
    let interrupt = leader.order(&session, Some(&run), json!({"kind": "interrupt"})).await;
    assert_eq!(leader.ended(&interrupt).await, ["accepted", "done"]);
    assert_eq!(leader.ended(&stuck).await, ["accepted", "interrupted"]);
    let next = leader.order(&session, Some(&run), message("go on")).await;
    assert_eq!(leader.ended(&next).await, ["accepted", "done"]);

    let compact = json!({"kind": "compact", "instructions": "keep the names"});
    let compact = leader.order(&session, Some(&run), compact).await;
    assert_eq!(leader.ended(&compact).await, ["accepted", "done"]);
    let hook = leader.event(&session, "agent.hook.pre_compact").await;
    assert_eq!(hook["custom_instructions"], "keep the names", "{hook}");
    leader.event(&session, "agent.hook.post_compact").await;

    // A new conversation is a new session, which the same loop carries.
    let fresh = leader.order(&session, Some(&run), json!({"kind": "new_session"})).await;
    assert_eq!(leader.ended(&fresh).await, ["accepted", "done"]);
    let (other, other_run) = leader.carrier(Some(&session)).await;
    assert_ne!((&other, &other_run), (&session, &run));
    let late = leader.order(&session, Some(&run), message("are you there?")).await;
    assert_eq!(leader.ended(&late).await.last().map(String::as_str), Some("no_carrier"));
    let next = leader.order(&other, Some(&other_run), message("who are you?")).await;
    assert_eq!(leader.ended(&next).await, ["accepted", "done"]);
    let asked = model.asked().last().expect("the model was asked").to_string();
    assert!(!asked.contains("look left"), "the conversation is the old one");

    let stop = leader.order(&other, Some(&other_run), json!({"kind": "stop"})).await;
    assert_eq!(leader.ended(&stop).await, ["accepted", "done"]);
    assert!(loop_.wait(WITHIN).await.success(), "{}", loop_.stderr());
    leader.event(&other, "process.lifecycle.exited").await;
    let printed = loop_.stdout();
    assert!(printed.contains("> turn 2 from op-anna"), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_killed_goes_on_with_its_conversation_as_another_run() {
    let parts = Parts::start(0).await;
    let leader = Leader::of(&parts).await;
    let steps = [Step::text("The word is heron."), Step::text("It was heron.")];
    let model = ScriptedModel::start([Rule::new("remember a word", steps)]).await;
    let mut loop_ = Spawned::start(parts.turn_loop(&model, &["--prompt", "remember a word"]));
    let (session, run) = leader.carrier(None).await;
    leader.event(&session, "agent.turn.turn_end").await;
    let pid = leader.event(&session, "process.lifecycle.started").await["pid"].clone();
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.expect("kill runs").success());

    let (_, again) = eventually(WITHIN, async || {
        let (session, again) = leader.carrier(None).await;
        if again == run { Err(again) } else { Ok((session, again)) }
    })
    .await;
    let old = leader.order(&session, Some(&run), message("too late")).await;
    assert_eq!(leader.ended(&old).await, ["mismatched"]);
    let next = leader
        .order(&session, Some(&again), message("which word was it?"))
        .await;
    assert_eq!(leader.ended(&next).await, ["accepted", "done"]);
    let asked = model.asked().last().expect("the model was asked").to_string();
    assert!(
        asked.contains("heron") && asked.contains("which word was it?"),
        "{asked}"
    );
    assert!(!asked.contains("too late"));

    // Ctrl-c ends it well.
    let asked = Command::new("kill").args(["-INT", &loop_.pid().to_string()]).status();
    assert!(asked.expect("kill runs").success());
    assert!(loop_.wait(WITHIN).await.success(), "{}", loop_.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_ingest_neither_doubles_an_order_nor_makes_up_its_end() {
    let mut parts = Parts::start(0).await;
    let leader = Leader::of(&parts).await;
    let go = parts.made();
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    let steps = [Step::text("Ready."), bash(&wait, "Wait"), Step::text("Done.")];
    let model = ScriptedModel::start([Rule::new("be ready", steps)]).await;
    let _loop = Spawned::start(parts.turn_loop(&model, &["--prompt", "be ready"]));
    let (session, run) = leader.carrier(None).await;
    let action = message("now or never");
    let effect = leader.order(&session, Some(&run), action.clone()).await;
    leader.event(&session, "agent.hook.pre_tool_use").await;
    assert_eq!(leader.told(&effect).await, ["accepted"]);

    parts.ingest.kill9_and_restart().await;
    parts.ingest.ready().await;
    // The hub hands it over once more.
    leader.again(&effect, &session, Some(&run), action).await;
    std::fs::write(&go, "").expect("a file");
    assert_eq!(leader.ended(&effect).await, ["accepted", "done"]);
    // Whatever came twice would come before this.
    let last = leader.order(&session, Some(&run), message("and that was all")).await;
    assert_eq!(leader.ended(&last).await, ["accepted", "done"]);
    assert_eq!(leader.told(&effect).await, ["accepted", "done"]);
    assert_eq!((said(&model, "now or never"), said(&model, "and that was all")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_claims_to_know_what_became_of_an_order_whose_loop_was_killed() {
    let parts = Parts::start(0).await;
    let leader = Leader::of(&parts).await;
    let go = parts.made();
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    let steps = [Step::text("Ready."), bash(&wait, "Wait"), Step::text("Done.")];
    let model = ScriptedModel::start([Rule::new("be ready", steps)]).await;
    let mut loop_ = Spawned::start(parts.turn_loop(&model, &["--prompt", "be ready"]));
    let (session, run) = leader.carrier(None).await;
    let effect = leader.order(&session, Some(&run), message("now or never")).await;
    leader.event(&session, "agent.hook.pre_tool_use").await;
    loop_.kill9().await;
    std::fs::write(&go, "").expect("a file");
    assert_eq!(leader.ended(&effect).await, ["accepted", "unknown"]);
    // The agent heard that nobody speaks to it any more, and ended after its turn.
    leader.event(&session, "process.lifecycle.exited").await;
    let late = leader.order(&session, Some(&run), message("anybody?")).await;
    assert_eq!(leader.ended(&late).await, ["no_carrier"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_begun_of_a_template_of_its_host_and_takes_messages() {
    let model = ScriptedModel::start([]).await;
    let parts = Parts::spawning(&model).await;
    let leader = Leader::of(&parts).await;
    let session = uuid::Uuid::new_v4().to_string();
    let refused = json!({"kind": "spawn", "template": "root", "prompt": "hello"});
    let refused = leader.order(&session, None, refused).await;
    assert_eq!(leader.ended(&refused).await, ["refused"]);

    let spawn =
        json!({"kind": "spawn", "template": "worker", "prompt": "$(touch made.txt) --version", "model": "haiku"});
    let spawn = leader.order(&session, None, spawn).await;
    assert_eq!(leader.ended(&spawn).await, ["accepted", "done"]);
    let (begun, run) = leader.carrier(None).await;
    assert_eq!(begun, session);
    let next = leader.order(&session, Some(&run), message("and now?")).await;
    assert_eq!(leader.ended(&next).await, ["accepted", "done"]);
    let asked = model.asked().last().expect("the model was asked").clone();
    assert!(
        asked["model"].as_str().is_some_and(|name| name.contains("haiku")),
        "{}",
        asked["model"]
    );
    let conversation = asked["messages"].to_string();
    assert!(
        conversation.contains("Be brief.\\n\\nPrompt from op-anna:\\n\\n$(touch made.txt) --version"),
        "{conversation}"
    );
    assert!(!parts.made().exists(), "a shell read the prompt");
    let stop = leader.order(&session, Some(&run), json!({"kind": "stop"})).await;
    assert_eq!(leader.ended(&stop).await, ["accepted", "done"]);
    let event = leader.event(&session, "process.lifecycle.started").await;
    let carries: Vec<&str> = event["carries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(carries, TURN_LOOP);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_tells_a_running_session_what_to_do_and_hears_what_became_of_it() {
    let parts = Parts::start(1).await;
    let leader = Leader::of(&parts).await;
    let model = ScriptedModel::start([]).await;
    let mut loop_ = Spawned::start(parts.turn_loop(&model, &["--prompt", "hello there"]));
    let (session, _) = leader.carrier(None).await;
    leader.event(&session, "agent.turn.turn_end").await;
    // As soon as the leader has read it, too.
    eventually(WITHIN, async || {
        parts.try_muster(&["session", "model", &session, "opus", "--wait"])
    })
    .await;
    parts.muster(&["session", "compact", &session, "--keep", "names", "--wait"]);
    leader.event(&session, "agent.hook.post_compact").await;
    parts.muster(&["session", "interrupt", &session, "--wait"]);
    parts.muster(&["session", "stop", &session, "--wait"]);
    assert!(loop_.wait(WITHIN).await.success(), "{}", loop_.stderr());
    let refused = eventually(WITHIN, async || {
        match parts.try_muster(&["session", "stop", &session, "--wait"]) {
            Err(refused) => Ok(refused),
            Ok(()) => Err("it was told to a session that nobody carries"),
        }
    })
    .await;
    assert!(refused.contains("muster run"), "{refused}");
}

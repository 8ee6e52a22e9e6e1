//! What somebody should look at in sessions of the real agent: one that goes round and round, and one that its model's
//! provider turns away.

use crate::leader::Leader;
use crate::parts::Parts;
use crate::place::{Place, bash};
use crate::text;
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_fails_the_same_way_again_and_again_is_stuck_until_it_gets_somewhere() {
    let place = Place::up().await;
    place.muster(&["enroll", "claude-code"]);
    let go = place.project().join("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    let fails = || bash("exit 3", "Try");
    let steps = [
        fails(),
        fails(),
        fails(),
        fails(),
        bash(&wait, "Wait"),
        Step::text("Well."),
    ];
    let model = ScriptedModel::start([Rule::new("try it", steps)]).await;
    let mut claude = place.claude(&model);
    claude.args(["-p", "try it", "--permission-mode", "bypassPermissions"]);
    let mut claude = Spawned::start(claude);

    let alerts = |args: &[&str]| place.json(&[&["alerts", "--rule", "stuck"], args].concat());
    let alert = eventually(WITHIN, async || {
        let standing = alerts(&[]);
        if standing[0].is_object() {
            Ok(standing[0].clone())
        } else {
            Err(standing)
        }
    })
    .await;
    let session = text(&alert["session"]).to_owned();
    assert_eq!(alert["kind"], "same_error", "{alert}");
    assert_eq!(alert["evidence"]["times"], 4, "{alert}");
    assert!(
        text(&alert["summary"]).contains("met the same error 4 times in a row"),
        "{alert}"
    );
    assert!(place.muster(&["alerts"]).contains("same error 4 times"));

    std::fs::write(&go, "").expect("a file");
    assert!(claude.wait(WITHIN).await.success());
    let over = eventually(WITHIN, async || {
        let all = alerts(&["--all"]);
        if alerts(&[]).as_array().is_some_and(Vec::is_empty) {
            Ok(all[0].clone())
        } else {
            Err(all)
        }
    })
    .await;
    assert_eq!((&over["id"], text(&over["session"])), (&alert["id"], &*session));
    let told: Vec<Value> = place.events(&session);
    let told = told
        .iter()
        .filter_map(|event| event["type"].as_str()?.strip_prefix("runtime.alert."));
    assert_eq!(told.collect::<Vec<_>>(), ["raised", "cleared"]);
}

/// How the session's turns ended, in the words of its agent, once there are this many.
async fn ends(leader: &Leader, session: &str, count: usize) -> Vec<(bool, String)> {
    eventually(WITHIN, async || {
        let ends = leader.of_session(session, "agent.turn.turn_end").await;
        let ends = ends
            .iter()
            .map(|end| (end["ok"] == true, text(&end["result"]).to_owned()));
        let ends: Vec<_> = ends.collect();
        if ends.len() >= count { Ok(ends) } else { Err(ends) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_loop_waits_out_a_rate_limit_and_an_alert_says_so() {
    let parts = Parts::start(1).await;
    let leader = Leader::of(&parts).await;
    let steps = [Step::text("At last.").refused_first(4, 429)];
    let model = ScriptedModel::start([Rule::new("hello there", steps)]).await;
    let mut run = parts.turn_loop(&model, &["--prompt", "hello there", "--rate-limit-wait", "1s"]);
    // Of its own it would ask ten times, and longer each time.
    run.env("CLAUDE_CODE_MAX_RETRIES", "1");
    let loop_ = Spawned::start(run);
    let (session, _) = leader.carrier(None).await;
    let ends = ends(&leader, &session, 3).await;
    let turned_away = || (false, "rate_limit".to_owned());
    assert_eq!(ends, [turned_away(), turned_away(), (true, "success".to_owned())]);
    assert!(
        loop_.stdout().contains("the turn is tried again in 1 s"),
        "{}",
        loop_.stdout()
    );

    let stats = eventually(WITHIN, async || {
        let stats = parts.json(&["stats", "--session", &session]);
        if stats["results"]["success"] == 1 {
            Ok(stats)
        } else {
            Err(stats)
        }
    })
    .await;
    assert_eq!(stats["results"]["rate_limit"], 2, "{stats}");
    let alerts = parts.json(&["alerts", "--rule", "rate_limit_cascade"]);
    assert_eq!(alerts[0]["session"], session, "{alerts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_loop_makes_room_where_the_prompt_is_too_long() {
    let parts = Parts::start(0).await;
    let leader = Leader::of(&parts).await;
    let steps = [Step::text("One."), Step::text("Two.").too_long_first(1)];
    let model = ScriptedModel::start([Rule::new("hello loop", steps)]).await;
    let mut run = parts.turn_loop(&model, &["--prompt", "hello loop"]);
    // Else the agent makes room by itself.
    run.env("DISABLE_AUTO_COMPACT", "1");
    let loop_ = Spawned::start(run);
    let (session, run) = leader.carrier(None).await;
    let told = leader
        .order(&session, Some(&run), crate::turns::message("look left"))
        .await;
    assert_eq!(leader.ended(&told).await, ["accepted", "done"], "{}", loop_.stdout());
    leader.event(&session, "agent.hook.post_compact").await;
    let ends = ends(&leader, &session, 4).await;
    let well = || (true, "success".to_owned());
    assert_eq!(ends, [well(), (false, "prompt_too_long".to_owned()), well(), well()]);
}

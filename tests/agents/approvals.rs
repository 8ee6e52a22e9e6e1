//! A real agent asks, and somebody who is not at its terminal answers; or is too late, or cannot be reached.

use crate::parts::{Parts, results};
use crate::place::bash;
use muster_testkit::model::{Rule, ScriptedModel, Step};
use muster_testkit::tmux::Tmux;
use muster_testkit::{Spawned, eventually};
use muster_tests::WITHIN;
use std::time::Duration;

const PROMPT: &str = "make a file";
const DIALOG: &str = "Do you want to proceed?";

async fn model(command: &str) -> ScriptedModel {
    ScriptedModel::start([Rule::new(PROMPT, [bash(command, "Make"), Step::text("That was all.")])]).await
}

fn headless(parts: &Parts, model: &ScriptedModel) -> Spawned {
    let mut claude = parts.claude(model);
    claude.args(["-p", PROMPT]);
    Spawned::start(claude)
}

/// A session at a terminal that shows its dialog.
async fn asking(parts: &Parts, model: &ScriptedModel) -> Tmux {
    let terminal = Tmux::start(&parts.claude(model));
    let prompted = || !model.asked().is_empty();
    terminal.submit(PROMPT, prompted).await;
    shown(&terminal, true).await;
    terminal
}

async fn shown(terminal: &Tmux, dialog: bool) {
    eventually(WITHIN, async || {
        let screen = terminal.screen();
        if screen.contains(DIALOG) == dialog {
            Ok(())
        } else {
            Err(screen)
        }
    })
    .await;
}

async fn made(parts: &Parts) {
    eventually(WITHIN, async || parts.made().exists().then_some(()).ok_or("not made")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_headless_call_runs_when_it_is_approved_from_elsewhere() {
    let parts = Parts::start(1).await;
    let model = model("touch made.txt").await;
    let mut claude = headless(&parts, &model);
    let id = parts.asked().await;
    assert!(!parts.made().exists());
    parts.muster(&["approve", &id]);
    assert!(claude.wait(WITHIN).await.success());
    assert!(parts.made().exists());
    assert_eq!(parts.answer()["outcome"], "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_reads_a_denial_word_by_word() {
    const REASON: &str = "Not on \"this\" host: use the build server, and ask Anna.";
    let parts = Parts::start(1).await;
    let model = model("touch made.txt").await;
    let mut claude = headless(&parts, &model);
    let id = parts.asked().await;
    parts.muster(&["deny", &id, "--reason", REASON]);
    assert!(claude.wait(WITHIN).await.success());
    assert!(!parts.made().exists());
    let results = results(&model);
    assert!(results.iter().any(|text| text == REASON), "{results:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_elsewhere_closes_the_dialog_at_the_terminal() {
    let parts = Parts::start(1).await;
    let model = model("touch made.txt").await;
    let terminal = asking(&parts, &model).await;
    let id = parts.asked().await;
    parts.muster(&["approve", &id]);
    made(&parts).await;
    shown(&terminal, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_at_the_terminal_closes_the_card_before_the_call_has_ended() {
    let parts = Parts::start(1).await;
    // It never ends: nothing that the agent reports later can tell.
    let model = model("touch made.txt; tail -f /dev/null").await;
    let terminal = asking(&parts, &model).await;
    let id = parts.asked().await;
    terminal.press("Enter");
    made(&parts).await;
    let answer = eventually(Duration::from_secs(2), async || {
        let answer = parts.answer();
        if answer.is_null() { Err("open") } else { Ok(answer) }
    })
    .await;
    assert_eq!(answer["outcome"], "answered_elsewhere", "{answer}");
    let late = parts.try_muster(&["deny", &id, "--reason", "too late"]);
    assert_eq!(parts.answer()["outcome"], "answered_elsewhere", "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_the_answer_when_the_leader_is_killed() {
    let mut parts = Parts::start(2).await;
    let model = model("touch made.txt").await;
    let mut claude = headless(&parts, &model);
    let id = parts.asked().await;
    parts.orchestrators[0].process.kill9().await;
    eventually(WITHIN, async || parts.try_muster(&["approve", &id])).await;
    assert!(claude.wait(WITHIN).await.success());
    assert!(parts.made().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_waits_outlives_its_ingest() {
    let mut parts = Parts::start(1).await;
    let model = model("touch made.txt").await;
    let mut claude = headless(&parts, &model);
    let id = parts.asked().await;
    parts.ingest.kill9_and_restart().await;
    parts.muster(&["approve", &id]);
    assert!(claude.wait(WITHIN).await.success());
    assert!(parts.made().exists());
    assert_eq!(parts.approvals().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_hub_the_terminal_decides() {
    let mut parts = Parts::start(1).await;
    parts.hub.kill9().await;
    let model = model("touch made.txt").await;
    let terminal = asking(&parts, &model).await;
    terminal.press("Enter");
    made(&parts).await;
    eventually(WITHIN, async || {
        let screen = terminal.screen();
        if screen.contains("That was all.") {
            Ok(())
        } else {
            Err(screen)
        }
    })
    .await;
}

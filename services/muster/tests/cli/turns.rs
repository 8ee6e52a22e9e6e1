//! The turn loop where its agent does not go along: an agent of a few lines of shell plays what a real one seldom does.

use crate::place::{Place, script};
use muster_testkit::{Spawned, eventually};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);

/// An agent that notes its arguments and answers each prompt by these `case` branches.
fn agent(place: &Place, branches: &str) -> String {
    let path = place.path("claude");
    let text = format!(
        "#!/bin/sh
cd {}
echo \"$@\" >> args
test -e dying && exit 7
ok='{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}}'
while read -r line; do
  echo \"$line\" >> heard
  case \"$line\" in
{branches}
  *) echo \"$ok\" ;;
  esac
done
",
        place.path("").display()
    );
    script(&path, &text);
    path.display().to_string()
}

fn start(place: &Place, agent: &str, more: &[&str]) -> Spawned {
    let words = [&["run", "--program", agent, "--prompt", "begin"], more].concat();
    Spawned::start(place.muster(&words))
}

async fn printed(turns: &Spawned, text: &str) {
    eventually(SOON, async || {
        let printed = turns.stdout();
        if printed.contains(text) { Ok(()) } else { Err(printed) }
    })
    .await;
}

fn interrupt(turns: &Spawned) {
    let pid = i32::try_from(turns.pid()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

fn prompts(place: &Place) -> Vec<String> {
    let heard = std::fs::read_to_string(place.path("heard")).unwrap();
    let lines = heard
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter_map(|line| Some(line["message"]["content"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_does_not_fit_is_compacted_once_and_its_turn_tried_again() {
    let place = Place::new();
    let branches = r#"  */compact*) touch compacted; echo '{"type":"system","subtype":"compact_boundary"}'; echo "$ok" ;;
  *begin*) if [ -e compacted ]; then echo "$ok"; else echo '{"type":"result","subtype":"success","is_error":true,"terminal_reason":"prompt_too_long","result":"Prompt is too long"}'; fi ;;"#;
    let mut turns = start(&place, &agent(&place, branches), &[]);
    printed(&turns, "= turn 3 is done").await;
    assert_eq!(prompts(&place), ["begin", "/compact", "begin"]);
    assert!(turns.terminate(SOON).await.success(), "{}", turns.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_met_a_rate_limit_waits_and_is_tried_again() {
    let place = Place::new();
    let branches = r#"  *begin*) if [ -e refused ]; then echo "$ok"; else touch refused; echo '{"type":"result","subtype":"success","is_error":true,"terminal_reason":"api_error","api_error_status":429,"result":"API Error"}'; fi ;;"#;
    let mut turns = start(&place, &agent(&place, branches), &["--rate-limit-wait", "1s"]);
    printed(&turns, "the turn is tried again in 1 s").await;
    printed(&turns, "= turn 2 is done").await;
    assert_eq!(prompts(&place), ["begin", "begin"]);
    assert!(turns.terminate(SOON).await.success(), "{}", turns.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_dies_again_and_again_ends_the_loop_with_its_status() {
    let place = Place::new();
    let agent = agent(&place, "  *) touch dying; exit 7 ;;");
    let session = "78e6edba-fbb9-4db4-878f-fd73757b08ad";
    let mut turns = start(&place, &agent, &["--session", session, "--model", "opus"]);
    assert_eq!(turns.wait(SOON).await.code(), Some(7), "{}", turns.stdout());
    let args = std::fs::read_to_string(place.path("args")).unwrap();
    let starts: Vec<&str> = args.lines().collect();
    assert_eq!(starts.len(), 4, "{args}");
    assert!(
        starts[0].contains(&format!("--session-id {session} --model opus")),
        "{args}"
    );
    assert!(
        starts[3].contains(&format!("--resume {session} --model opus")),
        "{args}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_heeds_nothing_is_killed_at_the_second_ctrl_c() {
    let place = Place::new();
    let branches = "  *begin*) echo '{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"No.\"}]}}'; trap '' INT TERM; while :; do read -r x; done ;;";
    let mut turns = start(&place, &agent(&place, branches), &[]);
    printed(&turns, "  No.").await;
    interrupt(&turns);
    printed(&turns, "ending; again to end at once").await;
    interrupt(&turns);
    assert!(turns.wait(SOON).await.success(), "{}", turns.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_reads_nothing_keeps_the_loop_from_nothing() {
    let place = Place::new();
    let path = place.path("claude");
    script(&path, "#!/bin/sh\ntrap '' INT TERM\nwhile :; do sleep 1; done\n");
    // More than a pipe holds.
    let prompt = "x".repeat(100_000);
    let agent = path.display().to_string();
    let mut turns = Spawned::start(place.muster(&["run", "--program", &agent, "--prompt", &prompt]));
    printed(&turns, "turn 1").await;
    interrupt(&turns);
    printed(&turns, "ending; again to end at once").await;
    interrupt(&turns);
    assert!(turns.wait(SOON).await.success(), "{}", turns.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_gone_is_missed_also_where_its_output_stays_open_or_it_only_closed_that() {
    for branch in ["sleep 20 & exit 3", "exec >&-; while :; do sleep 1; done"] {
        let place = Place::new();
        let branches = format!("  *begin*) {branch} ;;");
        let turns = start(&place, &agent(&place, &branches), &[]);
        printed(&turns, "the agent ended by itself").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_one_loops_until_that_is_gone_and_then_the_waiting_ones() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let agent = agent(&place, "");
    let session = "78e6edba-fbb9-4db4-878f-fd73757b08ad";
    let mut first = start(&place, &agent, &["--session", session]);
    printed(&first, "messages reach this run through ingest").await;
    let mut second = start(&place, &agent, &["--resume", session]);
    let carried = format!("no messages for now: process {} carries this session", first.pid());
    printed(&second, &carried).await;
    first.kill9().await;
    printed(&second, "messages reach this run through ingest").await;
    // The fleet, too, knows now which run carries: what is ordered reaches it.
    eventually(SOON, async || {
        let stopped = place.output(&["session", "stop", session]);
        let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
        if stopped.status.success() { Ok(()) } else { Err(said) }
    })
    .await;
    printed(&second, "the run was told to end").await;
    assert!(second.wait(SOON).await.success(), "{}", second.stderr());
    assert!(up.terminate(SOON).await.success(), "{}", up.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_turn_loop_has_is_refused_for_a_wrapped_command() {
    let place = Place::new();
    let output = place.output(&["run", "--model", "opus", "--", "echo", "hello"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--model is for a turn loop"), "{said}");
    let output = place.output(&["run", "--agent", "codex"]);
    assert_eq!(output.status.code(), Some(64));
    let output = place.output(&["run", "--program", "/nowhere/claude"]);
    assert_eq!(output.status.code(), Some(64));
}

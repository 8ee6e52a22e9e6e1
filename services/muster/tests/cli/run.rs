//! `muster run`: to its caller the command itself, to the fleet a session.

use crate::place::{Place, script};
use muster_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;

const STREAM: &[&str] = &[
    r#"{"type":"system","subtype":"init","session_id":"run-1","cwd":"/w","model":"opus","tools":["Bash"]}"#,
    r#"{"type":"assistant","session_id":"run-1","message":{"id":"m1","role":"assistant","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"make"}}],"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":85,"cache_creation_input_tokens":0}}}"#,
    r#"{"type":"user","session_id":"run-1","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]}}"#,
    r#"{"type":"result","subtype":"success","is_error":false,"session_id":"run-1","duration_ms":1200,"num_turns":2,"total_cost_usd":0.25,"usage":{"input_tokens":20,"output_tokens":15,"cache_read_input_tokens":165,"cache_creation_input_tokens":0}}"#,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_agents_turns_are_reported_and_its_status_is_passed_on() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let agent = place.path("claude");
    let printed: String = STREAM.iter().map(|line| format!("echo '{line}'\n")).collect();
    script(
        &agent,
        &format!(
            "#!/bin/sh\ntest -n \"$MUSTER_RUN\" || exit 9\nread word\ntest \"$word\" = hello || exit 8\n{printed}printf 'no end'\nexit 3\n"
        ),
    );

    let mut command = place.muster(&["run", "--"]);
    command
        .arg(&agent)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"hello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("{}\nno end", STREAM.join("\n"))
    );
    assert_eq!(said, "", "all of it was reported");

    let row = place.session("run-1", |row| row["state"] == "stopped").await;
    assert_eq!(
        (&row["agent"], &row["turns"], &row["cost_usd"]),
        (&json!("claude-code"), &json!(1), &json!(0.25))
    );
    assert_eq!(row["tokens"]["total"], 200);
    let shown = place.json(&["sessions", "show", "run-1", "--json"]);
    assert_eq!(shown["turns"][0]["tools"], json!({"Bash": 1}));
    let lines = eventually(Duration::from_secs(20), async || {
        let lines = place.lines(&["tail", "--json", "--no-follow", "--transcript", "--session", "run-1"]);
        if lines.len() == 5 { Ok(lines) } else { Err(lines) }
    })
    .await;
    assert_eq!(lines[3]["data"]["line"]["total_cost_usd"], 0.25);
    assert_eq!(lines[4]["data"]["line"]["text"], "no end");
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

#[tokio::test]
async fn without_ingest_the_command_runs_all_the_same() {
    let place = Place::new();
    let output = place.output(&["run", "--", "sh", "-c", "echo hello; kill -9 $$"]);
    assert_eq!(output.status.code(), Some(128 + 9));
    assert_eq!(output.stdout, b"hello\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("1 printed lines and 2 other events of this run were not reported"),
        "{said}"
    );
    assert_eq!(
        place.output(&["run", "--", "/nonexistent/agent"]).status.code(),
        Some(64)
    );
}

#[tokio::test]
async fn signals_are_the_commands() {
    let place = Place::new();
    let agent = place.path("agent");
    let ready = place.path("ready");
    let text = format!(
        "#!/bin/sh\ntrap 'exit 7' TERM\ntouch {}\nwhile :; do sleep 0.05; done\n",
        ready.display()
    );
    script(&agent, &text);
    let mut command = place.muster(&["run", "--"]);
    command
        .arg(&agent)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    eventually(Duration::from_secs(20), async || ready.exists().then_some(())).await;
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[tokio::test]
async fn output_is_whole_however_late_its_reader_is() {
    let place = Place::new();
    let mut command = place.muster(&["run", "--", "seq", "100000"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    // The command itself ends early only for a reader that never reads: its output waits in pipes and in muster.
    let until = std::time::Instant::now() + Duration::from_secs(3);
    eventually(Duration::from_secs(20), async || {
        (std::time::Instant::now() >= until).then_some(())
    })
    .await;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!((text.lines().count(), text.lines().last()), (100_000, Some("100000")));
}

#[tokio::test]
async fn output_of_what_the_command_left_running_is_whole_until_it_is_quiet() {
    let place = Place::new();
    let script = "(for i in 1 2 3 4; do sleep 0.5; echo $i; done; exec sleep 60 2>/dev/null) & exit 5";
    let output = place.output(&["run", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(output.stdout, b"1\n2\n3\n4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatty_run_ends_and_a_silent_one_is_seen() {
    let place = Place::new();
    let (mut up, _) = place.started(&["--host", "web-01"]).await;
    let output = place.output(&["run", "--agent", "chatty", "--", "seq", "100000"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.ends_with(b"\n100000\n"));
    let mut silent = place
        .muster(&["run", "--agent", "silent", "--", "sleep", "600"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let states = async |wanted: [&str; 2]| {
        eventually(Duration::from_secs(40), async || {
            let rows = place.json(&["sessions", "list", "--json"]);
            let state = |agent: &str| {
                let row = rows.as_array().unwrap().iter().find(|row| row["agent"] == agent);
                row.map(|row| row["state"].clone())
            };
            let found = [state("chatty"), state("silent")];
            (found == wanted.map(|state| Some(json!(state))))
                .then_some(())
                .ok_or(rows)
        })
        .await;
    };
    states(["stopped", "starting"]).await;
    kill_process(Pid::from_child(&silent), Signal::TERM).unwrap();
    silent.wait().unwrap();
    assert!(up.terminate(Duration::from_secs(30)).await.success(), "{}", up.stderr());
}

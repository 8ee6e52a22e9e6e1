//! A hook from exec to exit, its observation on the host's disk: with the hub there, away, and silent.

use crate::hub::{Hub, bare, bare_agent, socket};
use crate::table::{Reach, Row, Unit, percentile};
use muster_testkit::process::bin;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
/// Of each kind in a round: enough for a p99 that is not the worst one.
const RUNS: usize = 300;
/// Between two runs: an agent does not call its hooks back to back, and what the last one left to do is then done.
const APART: Duration = Duration::from_millis(3);
/// What no agent may ever wait longer for.
const LONGEST_MS: f64 = 2000.0;

const PAYLOAD: &str = r#"{"session_id":"78e6edba-fbb9-4db4-878f-fd73757b08ad","transcript_path":"/home/dev/.claude/projects/-home-dev-app/78e6edba-fbb9-4db4-878f-fd73757b08ad.jsonl","cwd":"/home/dev/app","prompt_id":"6a0c5a3e-5cf8-4c65-8b0f-6f9c1c7ad0de","permission_mode":"default","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"cargo test --workspace 2>&1 | tail -40","description":"Run the tests"},"tool_use_id":"toolu_01A09q90qw90lq917835lq9"}"#;

pub(crate) async fn rows() -> Vec<Row> {
    let mut hub = Hub::start().await;
    let ingest = hub.ingest().await;
    let (_agent, bare_socket) = bare_agent(hub.root()).await;
    let before = hub.last().await;

    let mut floor = Command::new(bare());
    floor.env_clear().arg("ask").arg(bare_socket);
    let mut hook = Command::new(bin("muster-hook"));
    hook.env_clear()
        .env("CLAUDECODE", "1")
        .arg("--socket")
        .arg(socket(&ingest));

    let mut rows = measured("hub up", &mut hook, &mut floor);
    hub.server.stop().await;
    rows.extend(measured("hub down", &mut hook, &mut floor));
    hub.server.restart().await;
    hub.server.pause();
    rows.extend(measured("hub black-holed", &mut hook, &mut floor));
    hub.server.resume();

    // A hook that fails is quick and silent: only the log shows that each of these did its work.
    hub.reaches(before + 3 * (ROUNDS * RUNS) as u64).await;
    rows
}

fn measured(state: &str, hook: &mut Command, floor: &mut Command) -> Vec<Row> {
    let mut half = Row::new(
        format!("hook exec → exit, {state}, p50"),
        Unit::Millis,
        Reach::AtMost(1.25),
    );
    let mut most = Row::new(
        format!("hook exec → exit, {state}, p99"),
        Unit::Millis,
        Reach::AtMost(1.5),
    );
    let mut longest = Row::new(
        format!("hook exec → exit, {state}, longest"),
        Unit::Millis,
        Reach::Never(LONGEST_MS),
    );
    for _ in 0..ROUNDS {
        let (mut ours, mut floors) = (Vec::with_capacity(RUNS), Vec::with_capacity(RUNS));
        for _ in 0..RUNS {
            thread::sleep(APART);
            floors.push(run(floor));
            thread::sleep(APART);
            ours.push(run(hook));
        }
        half.round(percentile(&ours, 0.5), percentile(&floors, 0.5));
        most.round(percentile(&ours, 0.99), percentile(&floors, 0.99));
        longest.alone(percentile(&ours, 1.0));
    }
    vec![half, most, longest]
}

fn run(command: &mut Command) -> Duration {
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a program starts");
    child
        .stdin
        .take()
        .expect("its input")
        .write_all(PAYLOAD.as_bytes())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let took = began.elapsed();
    assert!(output.status.success(), "a hook ended with {}", output.status);
    took
}

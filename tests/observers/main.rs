//! An independent client: the Python NATS client subscribes to the README's recipes, and the CloudEvents SDK for Python
//! validates what it receives.

use muster_bus::{Bus, Options, migrate};
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_testkit::process::Spawned;
use muster_tests::{Service, WITHIN, sizing};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The README's recipes, for a host `web-01` and a session `s-1`.
const RECIPES: &[&str] = &[
    "agent.hook.>",
    "runtime.status.>",
    "*.*.*.web-01.>",
    "*.*.*.*.s-1",
    "stored.agent.>",
];

/// A Python with the pinned packages, made once.
fn python() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = std::fs::read_to_string(here.join("observers/requirements.txt")).expect("the pinned packages");
    let venv = here.parent().expect("the workspace").join("target/observers");
    let (python, stamp) = (venv.join("bin/python"), venv.join("installed.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = command
            .output()
            .expect("python3 is needed for this test: install Python 3.10 or newer with venv and pip");
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "-r"])
        .arg(here.join("observers/requirements.txt")));
    std::fs::write(&stamp, wanted).expect("the stamp is written");
    python
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recipes_show_valid_cloudevents_to_a_foreign_client() {
    let hub = TestServer::start().await;
    let bus = Bus::connect(&Options::new(hub.client_url(), "test"))
        .await
        .expect("the hub answers");
    migrate::migrate(&bus, &sizing(), migrate::Shrink::Refuse)
        .await
        .expect("the hub is prepared");
    let dir = tempfile::tempdir().expect("a folder");
    let nats = hub.client_url();
    let mut ingest = Service::start(
        "muster-ingest",
        "web-01",
        dir.path(),
        &nats,
        &[("HOST__NAME", "web-01".to_owned())],
    );
    let mut orchestrator = Service::start("muster-orchestrator", "orchestrator", dir.path(), &nats, &[]);
    ingest.ready().await;
    orchestrator.ready().await;

    let mut observe = Command::new(tokio::task::spawn_blocking(python).await.expect("Python is made ready"));
    observe
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("observers/observe.py"))
        .args([&nats, "1"])
        .args(RECIPES);
    let mut observer = Spawned::start(observe);
    eventually(WITHIN, async || {
        if observer.stdout().contains("ready") {
            Ok(())
        } else {
            Err(observer.stderr())
        }
    })
    .await;

    let hook = json!({"hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt_id": "p", "prompt": "hello", "cwd": "/app"});
    let posted = reqwest::Client::new()
        .post(format!("{}/v1/hooks/claude-code", ingest.url()))
        .json(&hook)
        .send()
        .await;
    let id = posted.expect("ingest answers").headers()["muster-event-id"]
        .to_str()
        .expect("an id")
        .to_owned();

    let status = observer.wait(WITHIN).await;
    assert!(status.success(), "an event was refused: {}", observer.stderr());
    let events: Vec<Value> = observer
        .stdout()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    for recipe in RECIPES {
        assert!(
            events.iter().any(|event| event["filter"] == *recipe),
            "{recipe} showed nothing: {events:?}"
        );
    }
    let stored = events
        .iter()
        .find(|event| event["filter"] == "stored.agent.>")
        .expect("what was stored is shown");
    assert_eq!(stored["subject"], "stored.agent.hook.user_prompt_submit.web-01.s-1");
    assert_eq!(stored["id"], id.as_str());
}

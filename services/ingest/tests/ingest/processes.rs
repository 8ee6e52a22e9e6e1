use crate::rig::{Hub, Ingest, Place};
use muster_testkit::Spawned;
use muster_wire::Filter;
use muster_wire::topology::EVENTS;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

fn agent() -> Spawned {
    let mut command = Command::new("sleep");
    command.arg("600");
    Spawned::start(command)
}

fn ticks(agent: &Spawned) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", agent.pid())).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    fields.split_ascii_whitespace().nth(19).unwrap().parse().unwrap()
}

/// Says hello for an agent's process, as `muster-hook` would.
async fn hook(ingest: &Ingest, agent: &Spawned, session: &str, name: &str) {
    let (pid, ticks) = (agent.pid(), ticks(agent));
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    let around = json!({"env": {"CLAUDE_PID": pid.to_string()}, "pid": pid, "pid_start": ticks, "boot_id": boot.trim(), "pid_ns": namespace});
    let payload = json!({"session_id": session, "hook_event_name": name});
    ingest
        .connect()
        .await
        .hook(around, payload.to_string().as_bytes())
        .await;
}

#[tokio::test]
async fn a_killed_agent_is_told_within_seconds_and_once() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let mut agent = agent();
    hook(&ingest, &agent, "s", "SessionStart").await;
    hook(&ingest, &agent, "s", "UserPromptSubmit").await;
    let started = hub.event("web-01", "process.lifecycle.started").await;
    let data: Value = serde_json::from_str(started.data.get()).unwrap();
    assert_eq!(
        (&data["pid"], &data["command"], &data["session_process"]),
        (&json!(agent.pid()), &json!("sleep"), &json!(true))
    );
    assert_eq!(started.session.unwrap().as_str(), "s");
    let killed = Instant::now();
    agent.kill9().await;
    hub.event("web-01", "process.lifecycle.exited").await;
    assert!(killed.elapsed() < Duration::from_secs(5), "{:?}", killed.elapsed());
    let lifecycle = hub
        .stored(
            EVENTS,
            Filter::all().area(muster_domain::family::Family::ProcessLifecycle),
        )
        .await;
    assert_eq!(lifecycle.len(), 2);
}

#[tokio::test]
async fn a_run_that_carries_is_over_with_its_process_and_not_with_its_agents_words() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let mut agent = agent();
    let data = json!({"pid": agent.pid(), "start_ticks": ticks(&agent), "run": "r1", "carries": ["message", "stop"]});
    let event = json!({"kind": "process.lifecycle.started", "session": "s", "agent": "claude-code", "data": data});
    let taken = ingest.post("/v1/events", "application/json", event.to_string()).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    hook(&ingest, &agent, "s", "SessionStart").await;
    hook(&ingest, &agent, "s", "SessionEnd").await;
    agent.kill9().await;
    let exited = hub.event("web-01", "process.lifecycle.exited").await;
    assert_eq!(exited.session.unwrap().as_str(), "s");
    let lifecycle = hub
        .stored(
            EVENTS,
            Filter::all().area(muster_domain::family::Family::ProcessLifecycle),
        )
        .await;
    assert_eq!(lifecycle.len(), 2);
}

#[tokio::test]
async fn an_agent_that_died_while_ingest_was_away_is_told_at_its_start() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let mut ingest = place.start().await;
    let (mut dies, mut lives) = (agent(), agent());
    hook(&ingest, &dies, "dies", "SessionStart").await;
    hook(&ingest, &lives, "lives", "SessionStart").await;
    muster_testkit::eventually(crate::rig::SOON, async || {
        let started = hub
            .stored(
                EVENTS,
                Filter::all().area(muster_domain::family::Family::ProcessLifecycle),
            )
            .await
            .len();
        if started == 2 { Ok(()) } else { Err(started) }
    })
    .await;
    ingest.process.kill9().await;
    dies.kill9().await;
    let _ingest = place.start().await;
    let exited = hub.event("web-01", "process.lifecycle.exited").await;
    assert_eq!(exited.session.unwrap().as_str(), "dies");
    lives.kill9().await;
    muster_testkit::eventually(crate::rig::SOON, async || {
        let told = hub
            .stored(
                EVENTS,
                Filter::all().area(muster_domain::family::Family::ProcessLifecycle),
            )
            .await
            .len();
        if told == 4 { Ok(()) } else { Err(told) }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_is_no_longer_watched() {
    let hub = Hub::start().await;
    let place = Place::new("web-01", &hub.server.client_url());
    let ingest = place.start().await;
    let mut agent = agent();
    hook(&ingest, &agent, "s", "SessionStart").await;
    hub.event("web-01", "process.lifecycle.started").await;
    hook(&ingest, &agent, "s", "SessionEnd").await;
    agent.kill9().await;
    hook(&ingest, &self::agent(), "other", "SessionStart").await;
    muster_testkit::eventually(crate::rig::SOON, async || {
        let lifecycle = hub
            .stored(
                EVENTS,
                Filter::all().area(muster_domain::family::Family::ProcessLifecycle),
            )
            .await;
        let sessions: Vec<String> = lifecycle
            .iter()
            .map(|(_, envelope)| format!("{} {}", envelope.event_type, envelope.session.as_ref().unwrap()))
            .collect();
        if sessions.last().is_some_and(|last| last.ends_with("exited other")) {
            Ok(sessions)
        } else {
            Err(sessions)
        }
    })
    .await
    .iter()
    .for_each(|told| assert_ne!(told, "process.lifecycle.exited s"));
}

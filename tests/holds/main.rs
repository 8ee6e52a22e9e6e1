//! Three hosts and one hold: those that run enforce it within seconds, the one that stands still is named until it does.

use muster_bus::{Bus, Options, migrate};
use muster_testkit::eventually;
use muster_testkit::nats::TestServer;
use muster_testkit::process::bin;
use muster_tests::{Service, WITHIN};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// What is promised: from the command to the last host that runs.
const PROMISED: Duration = Duration::from_secs(5);

struct Fleet {
    hub: TestServer,
    hosts: Vec<Service>,
    orchestrator: Service,
    root: tempfile::TempDir,
}

impl Fleet {
    async fn start() -> Self {
        let hub = TestServer::start().await;
        let nats = hub.client_url();
        let root = tempfile::tempdir().expect("a folder");
        let bus = Bus::connect(&Options::new(nats.clone(), "test".to_owned()))
            .await
            .expect("the hub answers");
        migrate::migrate(&bus, &muster_tests::sizing(), migrate::Shrink::Refuse)
            .await
            .expect("the hub is prepared");
        let token = root.path().join("operator.token").display().to_string();
        let orchestrator = Service::start(
            "muster-orchestrator",
            "orchestrator",
            root.path(),
            &nats,
            &[("OPERATOR__TOKEN_FILE", token), ("MCP__ENABLED", "false".to_owned())],
        );
        let host = |number: usize| {
            let name = format!("web-0{number}");
            Service::start(
                "muster-ingest",
                &name,
                root.path(),
                &nats,
                &[("HOST__NAME", name.clone())],
            )
        };
        let mut fleet = Self {
            hosts: (1..=3).map(host).collect(),
            orchestrator,
            hub,
            root,
        };
        fleet.orchestrator.ready().await;
        for host in &mut fleet.hosts {
            host.ready().await;
        }
        eventually(WITHIN, async || {
            let holds = fleet.json(&["holds"]);
            if holds.is_array() { Ok(()) } else { Err(holds) }
        })
        .await;
        fleet
    }

    fn token(&self) -> PathBuf {
        self.root.path().join("operator.token")
    }

    fn json(&self, words: &[&str]) -> Value {
        let mut command = Command::new(bin("muster"));
        command
            .arg("--json")
            .args(words)
            .env("HOME", self.root.path())
            .env("XDG_STATE_HOME", self.root.path().join("none"))
            .env_remove("CLAUDE_CODE_SESSION_ID")
            .env("MUSTER_NATS", self.hub.client_url())
            .env("MUSTER_OPERATOR_TOKEN_FILE", self.token());
        let output = command.output().expect("muster runs");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| json!({"failed": String::from_utf8_lossy(&output.stderr)}))
    }

    /// What a host answers to a hook before a tool call of the session.
    async fn call(&self, host: usize, session: &str) -> Value {
        let hook = json!({"session_id": session, "hook_event_name": "PreToolUse", "tool_name": "Bash",
            "tool_use_id": "t1", "tool_input": {"command": "ls"}});
        let url = format!("{}/v1/hooks/claude-code", self.hosts[host].url());
        let client = reqwest::Client::new();
        let answer = client.post(url).json(&hook).send().await.expect("the host answers");
        let text = answer.text().await.expect("an answer");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    async fn denied(&self, host: usize, session: &str) -> bool {
        let answer = self.call(host, session).await;
        answer["hookSpecificOutput"]["permissionDecision"] == "deny"
    }

    /// Waits until these hosts, and no others, do not enforce the only hold.
    async fn until_unconfirmed(&self, hosts: &[&str]) {
        eventually(WITHIN, async || {
            let holds = self.json(&["holds"]);
            if holds[0]["unconfirmed"] == json!(hosts) {
                Ok(())
            } else {
                Err(holds)
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stands_still_is_named_until_it_enforces_the_hold() {
    let mut fleet = Fleet::start().await;
    for host in 0..3 {
        assert!(!fleet.denied(host, "s1").await, "no rule, no output");
    }
    // Only hosts that are known can be waited for.
    eventually(WITHIN, async || {
        let first = fleet.json(&["hold", "--label", "nobody=here", "--no-wait"]);
        let known = first["hosts"].as_array().map(Vec::len);
        let gone = fleet.json(&["release", "--label", "nobody=here"]);
        if known == Some(3) { Ok(()) } else { Err((first, gone)) }
    })
    .await;
    fleet.hosts[2].process.pause();
    let asked = Instant::now();
    let set = fleet.json(&["hold", "--all", "--reason", "a deploy runs", "--no-wait"]);
    assert_eq!(set["reason"], "a deploy runs", "{set}");
    fleet.until_unconfirmed(&["web-03"]).await;
    let took = asked.elapsed();
    assert!(took < PROMISED, "{took:?}");
    for host in 0..2 {
        assert!(fleet.denied(host, "s1").await);
    }
    fleet.hosts[2].process.resume();
    fleet.until_unconfirmed(&[]).await;
    assert!(fleet.denied(2, "s1").await);

    let done = fleet.json(&["release", "--all"]);
    assert_eq!(done["released"][0]["id"], set["id"], "{done}");
    for host in 0..3 {
        eventually(PROMISED, async || (!fleet.denied(host, "s1").await).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_calls_too_often_is_held_on_its_host_and_no_other_is() {
    let fleet = Fleet::start().await;
    let set = fleet.json(&["budget", "set", "--session", "each", "--calls", "5"]);
    assert_eq!(set["id"], "session:*/calls", "{set}");
    for n in 0..5 {
        let hook = json!({"session_id": "busy", "hook_event_name": "PreToolUse", "tool_name": "Bash",
            "tool_use_id": format!("t{n}"), "tool_input": {"command": "ls"}});
        let url = format!("{}/v1/hooks/claude-code", fleet.hosts[0].url());
        let client = reqwest::Client::new();
        client.post(url).json(&hook).send().await.expect("the host answers");
    }
    eventually(WITHIN, async || {
        let answer = fleet.call(0, "busy").await;
        let reason = answer["hookSpecificOutput"]["permissionDecisionReason"].to_string();
        if reason.contains("budget session:*/calls") {
            Ok(())
        } else {
            Err(answer)
        }
    })
    .await;
    assert!(!fleet.denied(0, "quiet").await);
    assert!(!fleet.denied(1, "busy").await, "a session is one of its host");
    let gone = fleet.json(&["budget", "remove", "session:*/calls"]);
    assert_eq!(gone["removed"], true, "{gone}");
    eventually(WITHIN, async || (!fleet.denied(0, "busy").await).then_some(())).await;
}

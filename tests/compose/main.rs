//! The compose file that ships, brought up for real: a hook posted with the token from outside the network reaches the
//! notifier's stream.
//!
//! With an engine at hand the images are built as a user builds them. Without one, a private engine is started (root on
//! Debian), and because it can pull nothing, the three base images are made here under the names that the Dockerfile and
//! the compose file use; the "compiler" in the stand-in for the build image hands out the binaries that cargo built for the
//! other tests. The Dockerfile and the compose file are the ones that ship, line for line.

#![expect(clippy::print_stderr, reason = "what the containers said belongs to a failed test")]

mod engine;
mod images;
mod project;

use muster_testkit::eventually;
use project::Project;
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_from_outside_reaches_the_stream() {
    let engine = engine::Engine::at_hand().await;
    images::ensure(&engine).await;
    let project = Project::up(&engine).await;
    let http = reqwest::Client::new();
    for service in ["ingest", "orchestrator", "notifier"] {
        let url = format!("{}/readyz", project.url(service));
        eventually(WITHIN, async || {
            let answer = http
                .get(&url)
                .send()
                .await
                .map_err(|error| format!("{service}: {error}"))?;
            let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
            if status == StatusCode::OK && !body.contains("degraded") {
                Ok(())
            } else {
                Err(format!("{service}: {status} {body}"))
            }
        })
        .await;
    }

    let token = project.token();
    assert!(token.len() >= 32, "the token was generated");
    let hook =
        json!({"hook_event_name": "UserPromptSubmit", "session_id": "from-outside", "prompt": "hello", "cwd": "/app"});
    let post = || {
        http.post(format!("{}/v1/hooks/claude-code", project.url("ingest")))
            .json(&hook)
    };
    assert_eq!(
        post().send().await.expect("ingest answers").status(),
        StatusCode::UNAUTHORIZED
    );
    let accepted = post().bearer_auth(&token).send().await.expect("ingest answers");
    assert_eq!(accepted.status(), StatusCode::OK);
    let id = accepted.headers()["muster-event-id"]
        .to_str()
        .expect("an id")
        .to_owned();

    let stream = format!("{}/api/v1/stream?from_seq=1&family=agent.hook", project.url("notifier"));
    let mut answer = http
        .get(stream)
        .bearer_auth(&token)
        .send()
        .await
        .expect("the notifier answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let mut seen = String::new();
    let reached = async {
        while let Some(chunk) = answer.chunk().await.expect("the stream goes on") {
            seen.push_str(&String::from_utf8_lossy(&chunk));
            if seen.contains(&id) {
                return true;
            }
        }
        false
    };
    assert!(
        tokio::time::timeout(WITHIN, reached).await.unwrap_or(false),
        "the hook is not on the stream"
    );

    for service in ["nats", "ingest", "orchestrator", "notifier"].iter().skip(1) {
        assert_eq!(project.user_of(service), "10001:10001", "{service} runs as root");
    }
    let sessions = http
        .get(format!("{}/api/v1/sessions", project.url("notifier")))
        .bearer_auth(&token)
        .send()
        .await;
    let sessions: serde_json::Value = sessions.expect("the notifier answers").json().await.expect("JSON");
    assert_eq!(sessions["sessions"][0]["id"], "from-outside");
    assert_eq!(sessions["sessions"][0]["state"], "working");

    assert_eq!(project.approvals(), "[]");
    // It has read the token before it asks.
    let refused = project.refused();
    assert!(refused.contains("no approval's id"), "{refused}");
}

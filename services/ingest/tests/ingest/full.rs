use crate::rig::Place;
use muster_testkit::free_port;
use serde_json::json;

#[tokio::test]
async fn a_full_spool_refuses_tools_and_takes_lifecycle_and_approvals() {
    let place = Place::new("web-01", &format!("nats://127.0.0.1:{}", free_port()))
        .with("spool.max_bytes=1MiB")
        .with("spool.reserve_bytes=512KiB");
    let ingest = place.start().await;
    let hook = |name: &str| json!({"session_id": "s", "hook_event_name": name, "pad": "x".repeat(8000)});
    let mut refused = None;
    for _ in 0..200 {
        let answer = ingest.hook(&hook("PreToolUse")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("200 times 8 kB are more than half a MiB");
    assert_eq!(
        (refused.status, refused.retry_after, refused.problem().as_str()),
        (503, true, "spool-full")
    );
    for name in ["SessionStart", "PermissionRequest", "Stop", "SessionEnd"] {
        let body = hook(name).to_string();
        let answer = ingest
            .post("/v1/hooks/claude-code?wait=0", "application/json", body)
            .await;
        assert_eq!(answer.status, 200, "{name}");
    }
    let event = |kind: &str| json!({"kind": kind, "session": "s", "data": {"pad": "x".repeat(8000)}});
    let mixed = json!([event("agent.hook.pre_tool_use"), event("agent.hook.stop")]).to_string();
    let mixed = ingest.post("/v1/events", "application/json", mixed).await;
    assert_eq!(mixed.status, 202);
    assert_eq!(mixed.json()["rejected"][0]["type"], "spool-full");
    assert_eq!(mixed.json()["accepted"].as_array().unwrap().len(), 1);
}

//! How full contexts are: announced, alerted, and asked for.

use crate::hub::Hub;
use muster_bus::service::RequestError;
use muster_wire::api::{MemoryReport, Reply};
use muster_wire::subject::Operation;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_fills_is_announced_compacted_and_reported() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    let mut host = hub.host("web-01");
    let measured = |used| json!({"used_tokens": used, "window_tokens": 1000});
    let full = host.observe(Some("s1"), "agent.turn.token_usage_changed", &measured(930));
    host.publish(&[full]).await;
    let raised = hub.until_events("runtime.alert.raised", 1).await;
    assert_eq!(raised[0]["data"]["key"], "context_pressure:web-01/s1");

    let begun = host.hook("s1", "pre_compact", json!({"trigger": "auto"}));
    let ended = host.hook("s1", "post_compact", json!({"trigger": "auto"}));
    let room = host.observe(Some("s1"), "agent.turn.token_usage_changed", &measured(120));
    host.publish(&[begun, ended, room]).await;
    let compacted = hub.until_events("runtime.memory_compaction.compact_memory", 1).await;
    let data = &compacted[0]["data"];
    assert_eq!(
        (&data["before_tokens"], &data["after_tokens"]),
        (&json!(930), &json!(120))
    );
    assert_eq!(data["runtime"]["operation"], "compact_memory");
    hub.until_events("runtime.alert.cleared", 1).await;
    let changes = hub.until_events("runtime.memory_compaction.pressure_changed", 2).await;
    let said: Vec<_> = changes
        .iter()
        .map(|event| (&event["data"]["from"], &event["data"]["to"]))
        .collect();
    assert_eq!(
        said,
        [(&json!("Ok"), &json!("Compact")), (&json!("Compact"), &json!("Ok"))]
    );

    let known: Reply<MemoryReport> = hub.answer(Operation::MemoryReport, json!({"session": "s1"})).await;
    assert_eq!((known.body.used_tokens, known.body.fraction), (Some(120), Some(0.12)));
    assert_eq!(known.body.compaction.unwrap().before_tokens, Some(930));
    let given = json!({"session_id": "nobody", "used_tokens": 900, "window_tokens": 1000});
    let given = hub.ask(Operation::MemoryReport, given).await.unwrap();
    let given: serde_json::Value = serde_json::from_slice(&given).unwrap();
    assert_eq!(
        (&given["fraction"], &given["pressure"]),
        (&json!(0.9), &json!("Compact"))
    );
    assert_eq!(
        given["config"],
        json!({"warn_at": 0.7, "alert_at": 0.85, "compact_at": 0.9})
    );
    for body in [
        json!({"session": "nobody"}),
        json!({}),
        json!({"session": "s1", "window_tokens": 0}),
    ] {
        let refused = hub.ask(Operation::MemoryReport, &body).await;
        assert!(matches!(refused, Err(RequestError::Failed(_))), "{body}");
    }
    orchestrator.stop().await;
}

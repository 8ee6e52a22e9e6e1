//! Turns added up over a real hub.

use crate::hub::Hub;
use muster_bus::service::RequestError;
use muster_wire::api::TurnsStats;
use muster_wire::subject::Operation;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_added_up_with_what_the_answer_covers() {
    let hub = Hub::start().await;
    let orchestrator = hub.orchestrator("a", &[]);
    orchestrator.ready().await;
    let mut host = hub.host("web-01");
    let mut told = vec![host.observe(Some("s1"), "agent.turn.model_changed", &json!({"model": "opus"}))];
    for (index, ok) in [(0, true), (1, true), (2, false)] {
        let result = if ok { "success" } else { "error_max_turns" };
        let end = json!({
            "run": "r1", "index": index, "ok": ok, "result": result, "duration_ms": 1000 * (index + 1),
            "usage": {"input_tokens": 10, "output_tokens": 5}, "run_cost_usd": 0.25 * f64::from(index + 1), "tools": {"Bash": 2},
        });
        told.push(host.observe(Some("s1"), "agent.turn.turn_end", &end));
    }
    let seq = host.publish(&told).await;
    let stats = muster_testkit::eventually(crate::hub::SOON, async || {
        let answer = hub
            .answer::<TurnsStats>(Operation::TurnsStats, json!({"session": "s1"}))
            .await;
        if answer.seq >= seq {
            Ok(answer.body)
        } else {
            Err(answer.seq)
        }
    })
    .await;
    assert_eq!((stats.sessions, stats.turns), (1, 3));
    assert_eq!(
        (
            stats.outcomes["ok"],
            stats.outcomes["failed"],
            stats.results["error_max_turns"]
        ),
        (2, 1, 1)
    );
    assert_eq!(
        (stats.duration_ms.p50, stats.duration_ms.p95, stats.duration_ms.average),
        (2000, 3000, 2000)
    );
    assert_eq!((stats.tokens.total, stats.tokens_of_a_turn.max), (45, 15));
    assert_eq!((stats.cost_usd.total, stats.cost_usd.max), (0.75, 0.25));
    assert_eq!((stats.tools[0].tool.as_str(), stats.tools[0].calls), ("Bash", 6));
    assert_eq!((stats.models[0].model.as_str(), stats.models[0].turns), ("opus", 3));
    assert_eq!((stats.covered.turns_of_a_session, stats.covered.left_out), (32, 0));
    for none in [
        json!({"host": "web-02"}),
        json!({"agent": "codex"}),
        json!({"since": "2126-01-01T00:00:00Z"}),
    ] {
        let stats = hub.answer::<TurnsStats>(Operation::TurnsStats, none).await.body;
        assert_eq!((stats.turns, stats.covered.from), (0, None));
    }
    let refused = hub.ask(Operation::TurnsStats, json!({"window": "7d"})).await;
    assert!(matches!(refused, Err(RequestError::Failed(_))));
    orchestrator.stop().await;
}
